/* Events: each type that is declared, who gets which, over restarts, and in an order without gaps. */
#include "tests/e2e/harness_schema.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- each type ---- */

/* "ok" has no faults, "bad" has them where a share or snapshot is there already, "none" makes nothing, "slow" does not
 * come back in time, what "full" deletes stays in its trash, "veto" and "broken" have hooks that say no. */
static const char backends[] =
	"max_unsent_bytes = 65536\n"
	"sim \"ok\" { }\n"
	"sim \"bad\" { fail = {\"delete_share:EIO\", \"extend_share:EIO\", \"shrink_share:EIO\", "
	"\"revert_to_snapshot:EIO\", \"manage_existing:EIO\", \"unmanage:EIO\", \"delete_snapshot:EIO\", "
	"\"manage_existing_snapshot:EIO\", \"unmanage_snapshot:EIO\", \"update_access:EIO@2\"} }\n"
	"sim \"none\" { fail = {\"create_share:EIO@1\", \"create_snapshot:EIO\", \"update_access:EIO\"} }\n"
	"sim \"slow\" { latency = 1.5 driver_timeout = 0.2 }\n"
	"sim \"veto\" { hook_drivers = {\"exec:@DIR@/veto\"} enable_pre_hooks = true }\n"
	"sim \"broken\" { hook_drivers = {\"exec:@DIR@/broken\"} enable_pre_hooks = true }\n"
	"share_network \"n\" { bridge = \"br\"\n addresses = \"192.0.2.1/24\" }\n"
	"sim \"one\" { replication_domain = \"d\" }\n"
	"sim \"two\" { replication_domain = \"d\"\n fail = {\"create_replica:EIO@1\", \"delete_replica:EIO@1\"} }\n"
	"sim \"servers\" { driver_handles_share_servers = true\n fail = {\"setup_server:EIO@1\"} }\n"
	"dir \"full\" { root = \"@DIR@/full\" }\n"
	"dir \"away\" { root=\"@DIR@/not/there\" }\n";

struct provocation {
	const char *type, *method, *params; /* method NULL: something else makes it come, or has */
};

/* In this order; the last step of each row makes the event come. */
static const struct provocation provocations[] = {
	{ "backend.up", NULL, NULL },
	{ "backend.down", NULL, NULL },
	{ "share.available", "create_share_instance", "{'name':'a','backend':'ok','size_bytes':100}" },
	{ "share.metadata", "set_metadata", "{'share':'a','metadata':{'k':'v'}}" },
	{ "snapshot.available", "create_snapshot", "{'share':'a','name':'s'}" },
	{ "snapshot.metadata", "set_metadata", "{'snapshot':'a@s','metadata':{'k':'v'}}" },
	{ "snapshot.deleted", "delete_snapshot", "{'snapshot':'a@s'}" },
	{ "snapshot.available", "create_snapshot", "{'share':'a','name':'u'}" },
	{ "snapshot.unmanaged", "unmanage_snapshot", "{'snapshot':'a@u'}" },
	{ "access.active", "allow_access", "{'share':'a','access_type':'user','access_to':'daemon'}" },
	{ "access.metadata", "set_metadata", "{'access':'@ID@','metadata':{'k':'v'}}" },
	{ "access.denied", "deny_access", "{'share':'a','access_type':'user','access_to':'daemon'}" },
	{ "share.deleted", "delete_share_instance", "{'share':'a'}" },
	{ "share.available", "manage_share", "{'name':'m','backend':'ok','provider_location':'x','size_bytes':9}" },
	{ "share.unmanaged", "unmanage_share", "{'share':'m'}" },
	{ "share.available", "create_share_instance", "{'name':'b','backend':'bad','size_bytes':100}" },
	{ "access.active", "allow_access", "{'share':'b','access_type':'user','access_to':'daemon'}" },
	{ "access.queued_to_deny", "deny_access", "{'share':'b','access_type':'user','access_to':'daemon'}" },
	{ "share.extending_error", "extend_share", "{'share':'b','size_bytes':200}" },
	{ "share.available", "reset_status", "{'share':'b','status':'available'}" },
	{ "share.shrinking_error", "shrink_share", "{'share':'b','size_bytes':50}" },
	{ "share.available", "reset_status", "{'share':'b','status':'available'}" },
	{ "snapshot.available", "create_snapshot", "{'share':'b','name':'s'}" },
	{ "share.reverting_error", "revert_to_snapshot", "{'snapshot':'b@s'}" },
	{ "share.available", "reset_status", "{'share':'b','status':'available'}" },
	{ "snapshot.available", "reset_status", "{'snapshot':'b@s','status':'available'}" },
	{ "snapshot.unmanage_error", "unmanage_snapshot", "{'snapshot':'b@s'}" },
	{ "snapshot.available", "reset_status", "{'snapshot':'b@s','status':'available'}" },
	{ "snapshot.error_deleting", "delete_snapshot", "{'snapshot':'b@s'}" },
	{ "snapshot.deleted", "delete_snapshot", "{'snapshot':'b@s','force':true}" },
	{ "snapshot.manage_error", "manage_snapshot", "{'share':'b','name':'t','provider_location':'x'}" },
	{ "snapshot.deleted", "delete_snapshot", "{'snapshot':'b@t','force':true}" },
	{ "share.unmanage_error", "unmanage_share", "{'share':'b'}" },
	{ "share.available", "reset_status", "{'share':'b','status':'available'}" },
	{ "share.error_deleting", "delete_share_instance", "{'share':'b'}" },
	{ "share.manage_error", "manage_share", "{'name':'c','backend':'bad','provider_location':'x','size_bytes':9}" },
	{ "share.error", "create_share_instance", "{'name':'d','backend':'none','size_bytes':100}" },
	{ "share.available", "create_share_instance", "{'name':'e','backend':'none','size_bytes':100}" },
	{ "snapshot.error", "create_snapshot", "{'share':'e','name':'s'}" },
	{ "access.error", "allow_access", "{'share':'e','access_type':'user','access_to':'daemon'}" },
	{ "call.vetoed", "create_share_instance", "{'name':'f','backend':'veto','size_bytes':100}" },
	{ "call.pre_hook_failed", "create_share_instance", "{'name':'f','backend':'broken','size_bytes':100}" },
	{ "hooks.skipped", "create_share_instance",
	  "{'name':'f','backend':'veto','size_bytes':100,'skip_hooks':true}" },
	{ "share.available", "create_share_instance", "{'name':'r','backend':'one','size_bytes':100}" },
	{ "share_replica.error", "create_share_replica", "{'share':'r','backend':'two'}" },
	{ "share_replica.in_sync", "update_share_replica", "{'replica':'@ID@'}" },
	{ "share_replica.error_deleting", "delete_share_replica", "{'replica':'@ID@'}" },
	{ "share_replica.deleted", "delete_share_replica", "{'replica':'@ID@'}" },
	{ "share_replica.in_sync", "create_share_replica", "{'share':'r','backend':'two'}" },
	{ "snapshot.available", "create_replicated_snapshot", "{'share':'r','name':'s'}" },
	{ "share_replica.out_of_sync", "revert_to_snapshot", "{'snapshot':'r@s'}" },
	{ "share_replica.in_sync", "update_share_replica", "{'replica':'@ID@'}" },
	{ "share_replica.active", "promote_share_replica", "{'replica':'@ID@'}" },
	{ "share_server.error", "create_share_server", "{'backend':'servers','share_network':'n'}" },
	{ "share_server.deleted", "delete_share_server", "{'share_server':'@ID@'}" },
	{ "share_server.active", "create_share_server", "{'backend':'servers','share_network':'n'}" },
	{ "share.available", "create_share_instance", "{'name':'t','backend':'full','size_bytes':100}" },
	{ "backend.purge_failed", "delete_share_instance", "{'share':'t'}" },
	{ "backend.stuck", "create_share_instance", "{'name':'g','backend':'slow','size_bytes':100}" },
	{ "client.dropped", NULL, NULL },
};

/* What comes until an event of this type: all of it into `all`. Borrowed. */
static json_t *wait_event(struct client *c, json_t *all, const char *type)
{
	for (;;) {
		json_t *event = client_read(c);

		ck_assert_msg(event != NULL, "the connection was closed before %s", type);
		if (!json_object_get(event, "params")) {
			json_decref(event);
			continue;
		}
		json_array_append_new(all, event);
		if (strcmp(str_at(event, "params.type"), type) == 0)
			return at(event, "params");
	}
}

static json_t *read_quoted(const char *text, const char *id)
{
	char *copy = strdup(text), *mark;
	json_t *j;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	mark = strstr(copy, "@ID@");
	if (mark) {
		char *whole;

		*mark = '\0';
		ck_assert_int_gt(asprintf(&whole, "%s%s%s", copy, id, mark + 4), 0);
		free(copy);
		copy = whole;
	}
	j = json_loads(copy, 0, NULL);
	ck_assert_msg(j != NULL, "the test has no JSON: %s", copy);
	free(copy);
	return j;
}

/* Sends without ever reading, until it is dropped. */
static void be_rude(const struct fixture *f)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":1}\n";
	struct client *c = client_new(f);
	double until = now() + 20;

	while (now() < until) {
		ssize_t n = send(client_fd(c), line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n < 0)
			nap(0.01);
	}
	ck_assert(now() < until);
	client_free(c);
}

/* The record of the call that an event names has its method, and the event its caller. */
static void check_call(struct client *c, const json_t *event, const char *method)
{
	json_t *calls = client_call(c, "list_calls", "{s:i}", "limit", 1000), *found = NULL;

	for (size_t i = 0; i < json_array_size(at(calls, "calls")); i++) {
		json_t *one = json_array_get(at(calls, "calls"), i);

		if (strcmp(str_at(one, "id"), str_at(event, "call_id")) == 0)
			found = one;
	}
	ck_assert_msg(found != NULL, "%s names a call that is not listed", str_at(event, "type"));
	ck_assert_str_eq(str_at(found, "method"), method);
	ck_assert_int_eq(int_at(event, "uid"), geteuid());
	json_decref(calls);
}

/* "share.error": its object is in this status. */
static void check_status(const json_t *event)
{
	const char *type = str_at(event, "type"), *status = strchr(type, '.') + 1,
		   *is = json_string_value(json_object_get(at(event, "object"), "status")),
		   *state = json_string_value(json_object_get(at(event, "object"), "replica_state"));

	/* Of a replica, its state, until it is to be deleted. */
	if (state && strncmp(status, "error_", 6) != 0)
		is = state;

	if (is && strcmp(status, "deleted") != 0 && strcmp(status, "unmanaged") != 0 && strcmp(status, "metadata") != 0)
		ck_assert_str_eq(is, status);
}

static bool has_come(const json_t *all, const char *type)
{
	for (size_t i = 0; i < json_array_size(all); i++)
		if (strcmp(str_at(json_array_get(all, i), "params.type"), type) == 0)
			return true;
	return false;
}

static void provoke(struct client *c, struct client *events, const struct provocation *p, json_t *all, char *last)
{
	json_t *reply, *event;
	json_int_t id = p->method ? client_send_request(c, p->method, read_quoted(p->params, last)) : 0;

	if (!p->method && has_come(all, p->type))
		return;
	event = wait_event(events, all, p->type);
	check_status(event);
	if (!p->method) {
		ck_assert(json_is_null(at(event, "uid")));
		return;
	}
	reply = client_reply(c, id);
	if (json_object_get(at(event, "object"), "id"))
		snprintf(last, 40, "%s", str_at(event, "object.id"));
	json_decref(reply);
	/* What becomes of a backend, the daemon finds out by itself. */
	if (strncmp(p->type, "backend.", 8) != 0)
		check_call(c, event, p->method);
}

static void check_all_came(const json_t *all)
{
	const json_t *types = at(described(), "x-events");

	for (size_t i = 0; i < json_array_size(types); i++) {
		const char *type = str_at(json_array_get(types, i), "name");

		/* Hooks that break and come back: test_hooks_seen. */
		if (strcmp(type, "hook.left_out") == 0 || strcmp(type, "hook.back") == 0)
			continue;
		ck_assert_msg(has_come(all, type) || (geteuid() != 0 && strcmp(type, "hooks.skipped") == 0),
			      "nothing here makes %s come", type);
	}
	for (size_t k = 0; k < json_array_size(all); k++)
		ck_assert_int_eq(int_at(json_array_get(all, k), "params.seq"), (long long)k + 1);
}

/* The checks of the objects are the client's: each line is held against the schema of its type. */
START_TEST(every_type)
{
	struct fixture *f = fixture_new(backends);
	struct client *c, *events;
	json_t *all = json_array();
	char last[40] = ""; /* id of what the last event was about */

	/* Nothing empties the trash. */
	fixture_hold_work(f);
	fixture_program(f, "bin/sharesd-tree", "#!/bin/sh\nexit 1\n");
	fixture_program(f, "veto", "#!/bin/sh\n[ \"$2\" = create_share_instance ] || exit 0\necho no >&2; exit 10\n");
	fixture_program(f, "broken", "#!/bin/sh\n[ \"$2\" = create_share_instance ] || exit 0\nexit 1\n");
	fixture_start(f, NULL, (uid_t)-1);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:i}", "since", 0));
	c = client_new(f);
	for (size_t i = 0; i < sizeof provocations / sizeof *provocations; i++) {
		const struct provocation *p = &provocations[i];

		if (strcmp(p->type, "hooks.skipped") == 0 && !need_root("every_type: hooks.skipped"))
			continue;
		if (strcmp(p->type, "client.dropped") == 0)
			be_rude(f);
		provoke(c, events, p, all, last);
	}
	check_all_came(all);
	json_decref(all);
	client_free(c);
	client_free(events);
	fixture_free(f);
}
END_TEST

/* ---- who gets which ---- */

static void set_metadata(struct client *c, const char *share, const char *value)
{
	json_decref(client_call(c, "set_metadata", "{s:s,s:{s:s}}", "share", share, "metadata", "k", value));
}

START_TEST(types_are_chosen)
{
	static const char *const unknown[] = { "share", "share.", "share.avail", "shares.*", "", "event" };
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c, *one, *kind, *all;
	json_t *event, *e;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "list_orphans", NULL)); /* behind all that the start itself tells */
	one = client_new(f);
	kind = client_new(f);
	all = client_new(f);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		e = client_error(c, "invalid_params", "subscribe", "{s:[s,s]}", "types", "share.*", unknown[i]);
		ck_assert_str_eq(str_at(e, "data.param"), "types");
		json_decref(e);
	}
	json_decref(client_call(one, "subscribe", "{s:[s,s]}", "types", "share.deleted", "snapshot.deleted"));
	json_decref(client_call(kind, "subscribe", "{s:[s]}", "types", "share.*"));
	json_decref(client_call(all, "subscribe", "{s:[s]}", "types", "*"));
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	json_decref(client_call(c, "delete_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", "a"));
	for (int i = 0; i < 4; i++) {
		static const char *const types[] = { "share.available", "snapshot.available", "snapshot.deleted",
						     "share.deleted" };

		event = client_read(all);
		ck_assert_str_eq(str_at(event, "params.type"), types[i]);
		json_decref(event);
		event = i == 0 || i == 3 ? client_read(kind) : client_read(one);
		ck_assert_str_eq(str_at(event, "params.type"), i == 1 ? "snapshot.deleted" : types[i == 2 ? 3 : i]);
		json_decref(event);
	}
	ck_assert(client_quiet(one, 0.05) && client_quiet(kind, 0) && client_quiet(all, 0) && client_quiet(c, 0));
	/* A second subscription takes the first one's place. */
	json_decref(client_call(kind, "subscribe", "{s:[s]}", "types", "snapshot.*"));
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes", 1));
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "b", "name", "s"));
	event = client_read(kind);
	ck_assert_str_eq(str_at(event, "params.type"), "snapshot.available");
	json_decref(event);
	client_free(c);
	client_free(one);
	client_free(kind);
	client_free(all);
	fixture_free(f);
}
END_TEST

/* ---- since ---- */

/* All that is kept after `since`, as text lines: "SEQ TYPE OBJECT". */
static json_t *events_since(const struct fixture *f, json_int_t since)
{
	struct client *c = client_new(f);
	json_t *list = json_array(), *answer = client_call(c, "subscribe", "{s:I}", "since", since);
	json_int_t last = int_at(answer, "seq");

	for (json_int_t seq = since + 1; seq <= last; seq++) {
		json_t *event = client_read(c);

		ck_assert_ptr_nonnull(event);
		ck_assert_int_eq(int_at(event, "params.seq"), seq);
		json_array_append(list, at(event, "params"));
		json_decref(event);
	}
	json_decref(answer);
	client_free(c);
	return list;
}

/* Whatever the end of the daemon: what was told is told again alike, and no number is given twice. */
START_TEST(seq_lasts)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	json_t *told = json_array(), *before, *after, *e;
	struct client *c, *events;

	fixture_start(f, NULL, (uid_t)-1);
	for (int round = 0; round < 4; round++) {
		events = client_new(f);
		client_may_be_cut(events);
		json_decref(client_call(events, "subscribe", "{s:I}", "since", (json_int_t)json_array_size(told)));
		c = client_new(f);
		if (round == 0)
			json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
		for (int i = 0; i < 20; i++)
			set_metadata(c, "a", i % 2 ? "one" : "two");
		/* One whose answer nobody waits for: the end may come at any moment of it. */
		client_line(c, "{'jsonrpc':'2.0','method':'set_metadata','id':1,'params':{'share':'a','metadata':"
			       "{'k':'last'}}}");
		nap(0.001 * round);
		if (round % 2)
			fixture_stop(f);
		else
			fixture_kill(f);
		for (json_t *event; (event = client_read(events)); json_decref(event)) {
			ck_assert_int_eq(int_at(event, "params.seq"), (long long)json_array_size(told) + 1);
			json_array_append(told, at(event, "params"));
		}
		client_free(c);
		client_free(events);
		fixture_start(f, NULL, (uid_t)-1);
		/* Behind all that the start itself tells. */
		json_decref(call(f, "list_orphans", NULL));
		before = events_since(f, 0);
		ck_assert_uint_ge(json_array_size(before), json_array_size(told));
		for (size_t i = 0; i < json_array_size(told); i++)
			ck_assert(json_equal(json_array_get(told, i), json_array_get(before, i)));
		json_decref(told);
		told = before;
	}
	/* The middle and the ends of what is kept. */
	after = events_since(f, 10);
	ck_assert(json_equal(json_array_get(after, 0), json_array_get(told, 10)));
	json_decref(after);
	after = events_since(f, (json_int_t)json_array_size(told));
	ck_assert_uint_eq(json_array_size(after), 0);
	json_decref(after);
	e = call_error(f, "invalid_params", "subscribe", "{s:I}", "since", (json_int_t)json_array_size(told) + 1);
	ck_assert_str_eq(str_at(e, "data.param"), "since");
	json_decref(e);
	json_decref(told);
	fixture_free(f);
}
END_TEST

/* So many events, each with an object of about so many bytes, put into the store of a daemon that is stopped. */
static void fill(const struct fixture *f, int count, int size)
{
	ck_assert_int_eq(shell(NULL,
			       "sqlite3 %s/state/sharesd.db \"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
			       "FROM n WHERE i < %d) INSERT INTO events (time, type, object) SELECT "
			       "'2026-01-01T00:00:00.000Z', 'backend.up', "
			       "json_object('name', 's', 'driver', 'sim', 'status_reason', hex(zeroblob(%d))) FROM n\"",
			       f->dir, count, size / 2),
			 0);
}

START_TEST(older_than_what_is_kept)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	json_t *e, *list;
	json_int_t first;

	fixture_start(f, NULL, (uid_t)-1);
	fixture_stop(f);
	fill(f, 10500, 10);
	fixture_start(f, NULL, (uid_t)-1);
	e = call_error(f, "limit", "subscribe", "{s:i}", "since", 0);
	ck_assert_str_eq(str_at(e, "data.param"), "since");
	first = int_at(e, "data.limit");
	ck_assert_int_gt(first, 400);
	json_decref(e);
	json_decref(call_error(f, "limit", "subscribe", "{s:I}", "since", first - 2));
	list = events_since(f, first - 1);
	ck_assert_uint_ge(json_array_size(list), 10000);
	json_decref(list);
	fixture_free(f);
}
END_TEST

/* What a subscriber has not got yet is pruned: it is disconnected, and never sees a gap. */
START_TEST(too_slow_to_keep_up)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *slow, *c, *watch;
	json_t *event, *answer;
	json_int_t seq;
	size_t n = 0;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	fixture_stop(f);
	fill(f, 100, 40000); /* a dozen of these is more than is sent ahead */
	fill(f, 9880, 10);
	fixture_start(f, NULL, (uid_t)-1);
	slow = client_new(f);
	client_may_be_cut(slow);
	watch = client_new(f);
	c = client_new(f);
	answer = client_call(watch, "subscribe", "{s:[s]}", "types", "client.dropped");
	json_decref(answer);
	answer = client_call(slow, "subscribe", "{s:i}", "since", 1);
	seq = 1;
	json_decref(answer);
	for (int i = 0; i < 100; i++)
		set_metadata(c, "a", i % 2 ? "one" : "two");
	/* The oldest are removed each 500 calls, of whatever kind. */
	for (int i = 0; i < 500; i++)
		client_line(c, "{'jsonrpc':'2.0','method':'list_orphans','id':%d}", i);
	for (int i = 0; i < 500; i++)
		json_decref(client_read(c));
	while ((event = client_read(slow))) {
		ck_assert_int_eq(int_at(event, "params.seq"), seq + 1);
		seq++;
		n++;
		json_decref(event);
	}
	ck_assert_uint_gt(n, 0);
	event = client_read(watch);
	ck_assert_ptr_nonnull(strstr(str_at(event, "params.object.reason"), "not all kept"));
	json_decref(event);
	client_free(slow);
	client_free(watch);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- many ---- */

START_TEST(many_subscribers)
{
	enum { N = 60, EVENTS = 30 };
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *subscribers[N], *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	for (int i = 0; i < N; i++) {
		subscribers[i] = client_new(f);
		json_decref(client_call(subscribers[i], "subscribe", "{s:[s]}", "types", "share.metadata"));
	}
	for (int i = 0; i < EVENTS; i++) {
		char text[16];

		snprintf(text, sizeof text, "%d", i);
		set_metadata(c, "a", text);
	}
	for (int i = 0; i < N; i++) {
		for (int k = 0; k < EVENTS; k++) {
			json_t *event = client_read(subscribers[i]);

			ck_assert_int_eq(strtol(str_at(event, "params.object.metadata.k"), NULL, 10), k);
			json_decref(event);
		}
		ck_assert(client_quiet(subscribers[i], 0));
		client_free(subscribers[i]);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, every_type);
	tcase_add_test(t, types_are_chosen);
	tcase_add_test(t, seq_lasts);
	tcase_add_test(t, older_than_what_is_kept);
	tcase_add_test(t, too_slow_to_keep_up);
	tcase_add_test(t, many_subscribers);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
