/* Hook programs around the calls of a real daemon: what they are told, what their answers do, what becomes of those
 * that fail, hang, flood or may be written by others, which of them run, and what is shown of them. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIB 1073741824LL

/* ---- tools ---- */

static json_t *load(const struct fixture *f, const char *name)
{
	json_error_t error;
	json_t *j = json_load_file(fixture_path(f, "%s", name), JSON_DECODE_ANY, &error);

	ck_assert_msg(j != NULL, "%s: %s", name, error.text);
	return j;
}

static void same(const json_t *got, const json_t *want, const char *what)
{
	char *a, *b;

	if (got && want && json_equal(got, want))
		return;
	a = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	b = json_dumps(want, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	ck_abort_msg("%s is %.2500s, and must be %.2500s", what, a ? a : "nothing", b ? b : "nothing");
}

/* Exactly these members, in a blank-separated list. */
static void has_members(const json_t *o, const char *names, const char *what)
{
	_cleanup_free_ char *copy = strdup(names), *text = jsonx_dump(o);
	size_t n = 0;
	char *save;

	for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save), n++)
		ck_assert_msg(json_object_get(o, name) != NULL, "%s has no %s: %.2000s", what, name, text);
	ck_assert_msg(json_object_size(o) == n, "%s has more than %s: %.2000s", what, names, text);
}

/* Until all that belongs to the start is through: a backend is up before its first publish_service_capabilities. */
static void start(struct fixture *f, const char *const *env)
{
	fixture_start(f, env, (uid_t)-1);
	json_decref(call(f, "list_orphans", NULL)); /* waits its turn behind it */
}

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:I}", "name", name, "size_bytes", (json_int_t)GIB);
}

static json_t *hook_shown(const struct fixture *f, const char *backend, const char *hook)
{
	return call(f, "get_hook", "{s:s,s:s}", "backend", backend, "hook", hook);
}

/* The newest record of a method. New reference. */
static json_t *last_call(const struct fixture *f, const char *method)
{
	_cleanup_json_ json_t *page = call(f, "list_calls", "{s:i}", "limit", 1000);
	json_t *record, *found = NULL;
	size_t i;

	json_array_foreach(at(page, "calls"), i, record)
		if (strcmp(str_at(record, "method"), method) == 0)
			found = record;
	ck_assert_msg(found != NULL, "there was no %s", method);
	return json_incref(found);
}

/* Events since the beginning, by type. */
static size_t count_events(const struct fixture *f, const char *type)
{
	struct client *c = client_new(f);
	size_t n = 0;

	json_decref(client_call(c, "subscribe", "{s:i}", "since", 0));
	while (!client_quiet(c, 0.2)) {
		_cleanup_json_ json_t *e = client_read(c);

		n += strcmp(str_at(e, "params.type"), type) == 0;
	}
	client_free(c);
	return n;
}

/* One hook "h" at a dir backend "media", all phases but periodic. `more` goes into the hook's section. */
static struct fixture *with_hook(const char *program, const char *more)
{
	char conf[2048];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf,
		 "hook \"h\" {\n run = \"exec:@DIR@/h\"\n %s\n}\n"
		 "dir \"media\" {\n root = \"@DIR@/root\"\n hook_drivers = {\"h\"}\n"
		 " enable_pre_hooks = true\n enable_post_hooks = true\n enable_error_hooks = true\n}\n",
		 more);
	fixture_conf(f, conf);
	fixture_program(f, "h", program);
	return f;
}

/* ---- what a hook is told ---- */

static const char spy[] = "#!/bin/sh\ncat >@DIR@/event.$1.$2\n"
			  "[ $1 = pre ] && echo '{\"ticket\":[4711]}'\nexit 0\n";

static void check_common(const struct fixture *f, const json_t *e, const char *phase, const char *func_name)
{
	_cleanup_json_ json_t *backend = call(f, "get_backend", "{s:s}", "backend", "media");
	const char *time = str_at(e, "time");
	char host[256];

	gethostname(host, sizeof host);
	ck_assert_int_eq(int_at(e, "version"), 1);
	ck_assert_str_eq(str_at(e, "phase"), phase);
	ck_assert_str_eq(str_at(e, "func_name"), func_name);
	ck_assert_str_eq(str_at(e, "host"), host);
	ck_assert_msg(strlen(time) >= 20 && time[10] == 'T' && time[strlen(time) - 1] == 'Z', "%s", time);
	has_members(at(e, "backend"), "name driver capabilities", "backend");
	ck_assert_str_eq(str_at(e, "backend.name"), "media");
	ck_assert_str_eq(str_at(e, "backend.driver"), "dir");
	ck_assert_str_eq(str_at(e, "options.colour"), "red");
	has_members(at(e, "context"), "call_id parent_call_id request_id origin uid user gid groups pid", "context");
	/* Nothing is published yet at the start. */
	if (json_is_null(at(e, "backend.capabilities")) && !json_is_string(json_object_get(at(e, "context"), "user")))
		return;
	has_members(at(e, "backend.capabilities"),
		    "total_bytes free_bytes allocated_bytes size_enforced share_protos access_types access_levels "
		    "snapshots "
		    "snapshot_consistent create_from_snapshot revert shrink manage replication_type reflink",
		    "capabilities");
	same(at(e, "backend.capabilities.share_protos"), at(backend, "capabilities.share_protos"), "share_protos");
}

static json_t *told(const struct fixture *f, const char *phase, const char *func_name)
{
	static const char common[] = "version phase func_name time host backend context args objects options";
	char name[128], members[256];
	json_t *e;

	snprintf(name, sizeof name, "event.%s.%s", phase, func_name);
	e = load(f, name);
	snprintf(members, sizeof members, "%s%s", common,
		 strcmp(phase, "pre") == 0    ? ""
		 : strcmp(phase, "post") == 0 ? " pre_hook_data pre_hook_error driver_action_results result"
					      : " pre_hook_data error");
	has_members(e, members, name);
	check_common(f, e, phase, func_name);
	return e;
}

/* All of pre and post of one call. */
static void check_pair(const struct fixture *f, const char *func_name, const json_t *args, const json_t *objects,
		       const json_t *results, const json_t *result)
{
	_cleanup_json_ json_t *pre = told(f, "pre", func_name), *post = told(f, "post", func_name);
	_cleanup_json_ json_t *data = jsonx_pack("{s:[i]}", "ticket", 4711);

	for (int i = 0; i < 2; i++) {
		same(at(i ? post : pre, "args"), args, "args");
		same(at(i ? post : pre, "objects"), objects, "objects");
	}
	same(at(post, "context"), at(pre, "context"), "the context of post");
	same(at(post, "pre_hook_data"), data, "pre_hook_data");
	ck_assert(json_is_null(at(post, "pre_hook_error")));
	same(at(post, "driver_action_results"), results, "driver_action_results");
	same(at(post, "result"), result, "result");
}

static json_t *check_create(const struct fixture *f, struct client *c, gid_t group)
{
	json_t *share = client_call(c, "create_share_instance", "{s:s,s:I,s:{s:s},s:s}", "name", "photos", "size_bytes",
				    (json_int_t)GIB, "metadata", "a", "b", "request_id", "r-1");
	_cleanup_json_ json_t *args =
		jsonx_pack("{s:O,s:O,s:s,s:I,s:s,s:s,s:{s:s},s:i,s:i,s:s}", "id", at(share, "id"), "instance_id",
			   at(share, "instances.0.id"), "name", "photos", "size_bytes", (json_int_t)GIB, "backend",
			   "media", "share_proto", "LOCAL", "metadata", "a", "b", "uid", 1, "gid", 1, "mode", "0770");
	_cleanup_json_ json_t *results =
		jsonx_pack("{s:O,s:s,s:{s:s}}", "export_locations", at(share, "export_locations"), "provider_location",
			   "photos", "metadata", "a", "b");
	_cleanup_json_ json_t *none = json_object(), *pre = NULL, *context = NULL;

	check_pair(f, "create_share_instance", args, none, results, share);
	pre = told(f, "pre", "create_share_instance");
	context =
		jsonx_pack("{s:O,s:n,s:s,s:s,s:i,s:s,s:i,s:o,s:i}", "call_id", at(pre, "context.call_id"),
			   "parent_call_id", "request_id", "r-1", "origin", "client", "uid", 1, "user", "daemon", "gid",
			   1, "groups", group == 100 ? jsonx_pack("[s]", "users") : json_array(), "pid", (int)getpid());
	same(at(pre, "context"), context, "context");
	return share;
}

static void check_resize(const struct fixture *f, struct client *c)
{
	_cleanup_json_ json_t *before = client_call(c, "get_share", "{s:s}", "share", "photos");
	_cleanup_json_ json_t *share =
		client_call(c, "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes", (json_int_t)(2 * GIB));
	_cleanup_json_ json_t *args =
		jsonx_pack("{s:O,s:I}", "share", at(before, "id"), "size_bytes", (json_int_t)(2 * GIB));
	_cleanup_json_ json_t *objects = jsonx_pack("{s:O}", "share", before);
	_cleanup_json_ json_t *results =
		jsonx_pack("{s:I,s:{s:s}}", "size_bytes", (json_int_t)(2 * GIB), "metadata", "a", "b");

	check_pair(f, "extend_share", args, objects, results, share);
}

static void check_access(const struct fixture *f, struct client *c)
{
	_cleanup_json_ json_t *before = client_call(c, "get_share", "{s:s}", "share", "photos");
	_cleanup_json_ json_t *rule = client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", "photos", "access_type",
						  "user", "access_to", "nobody");
	_cleanup_json_ json_t *args =
		jsonx_pack("{s:O,s:O,s:s,s:s,s:s,s:{},s:{}}", "id", at(rule, "id"), "share", at(before, "id"),
			   "access_type", "user", "access_to", "nobody", "access_level", "rw", "options", "metadata");
	_cleanup_json_ json_t *objects = jsonx_pack("{s:O}", "share", before);
	_cleanup_json_ json_t *results = jsonx_pack("{s:s,s:{}}", "state", "active", "metadata");
	_cleanup_json_ json_t *now_is = NULL, *deny_args = NULL, *deny_objects = NULL, *empty = json_object();

	check_pair(f, "allow_access", args, objects, results, rule);
	now_is = client_call(c, "get_share", "{s:s}", "share", "photos");
	json_decref(client_call(c, "deny_access", "{s:s,s:s,s:s}", "share", "photos", "access_type", "user",
				"access_to", "nobody"));
	deny_args = jsonx_pack("{s:O,s:O,s:s,s:s}", "share", at(before, "id"), "access", at(rule, "id"), "access_type",
			       "user", "access_to", "nobody");
	deny_objects = jsonx_pack("{s:O,s:O}", "share", now_is, "access", rule);
	check_pair(f, "deny_access", deny_args, deny_objects, empty, json_null());
}

static void check_snapshot(const struct fixture *f, struct client *c)
{
	_cleanup_json_ json_t *before = client_call(c, "get_share", "{s:s}", "share", "photos");
	_cleanup_json_ json_t *snapshot =
		client_call(c, "create_snapshot", "{s:s,s:s}", "share", "photos", "name", "monday");
	_cleanup_json_ json_t *args = jsonx_pack("{s:O,s:O,s:s,s:{}}", "id", at(snapshot, "id"), "share",
						 at(before, "id"), "name", "monday", "metadata");
	_cleanup_json_ json_t *objects = jsonx_pack("{s:O}", "share", before), *both = NULL, *revert_args = NULL;
	_cleanup_json_ json_t *results =
		jsonx_pack("{s:O,s:O,s:{}}", "provider_location", at(snapshot, "provider_location"), "size_bytes",
			   at(snapshot, "size_bytes"), "metadata");
	_cleanup_json_ json_t *share = NULL, *pre = NULL, *post = NULL;

	check_pair(f, "create_snapshot", args, objects, results, snapshot);
	share = client_call(c, "revert_to_snapshot", "{s:s}", "snapshot", "photos@monday");
	revert_args = jsonx_pack("{s:O}", "snapshot", at(snapshot, "id"));
	both = jsonx_pack("{s:O,s:O}", "share", before, "snapshot", snapshot);
	pre = told(f, "pre", "revert_to_snapshot");
	post = told(f, "post", "revert_to_snapshot");
	same(at(pre, "args"), revert_args, "args");
	same(at(pre, "objects"), both, "objects");
	same(at(post, "result"), share, "result");
	json_decref(client_call(c, "create_share_instance", "{s:s,s:s}", "name", "copy", "snapshot", "photos@monday"));
	json_decref(pre);
	pre = told(f, "pre", "create_share_instance");
	same(at(pre, "args.snapshot"), at(snapshot, "id"), "args.snapshot");
	same(at(pre, "args.size_bytes"), at(snapshot, "size_bytes"), "args.size_bytes");
	ck_assert_str_eq(str_at(pre, "objects.snapshot.name"), "monday");
}

/* A call that fails after its checks. */
static void check_failure(const struct fixture *f, struct client *c)
{
	_cleanup_json_ json_t *error = NULL, *event = NULL;
	_cleanup_json_ json_t *data = jsonx_pack("{s:[i]}", "ticket", 4711);

	ck_assert_int_eq(shell(NULL, "head -c 100000 /dev/zero >%s/root/photos/data/big", f->dir), 0);
	error = client_error(c, "data_loss", "shrink_share", "{s:s,s:i}", "share", "photos", "size_bytes", 1000);
	event = told(f, "error", "shrink_share");
	same(at(event, "error"), error, "error");
	same(at(event, "pre_hook_data"), data, "pre_hook_data");
	ck_assert_str_eq(str_at(event, "objects.share.name"), "photos");
	ck_assert(!exists(fixture_path(f, "event.post.shrink_share")));
	json_decref(client_error(c, "invalid_params", "extend_share", "{s:s,s:i}", "share", "photos", "size_bytes", 1));
	ck_assert(!exists(fixture_path(f, "event.error.extend_share")));
}

START_TEST(test_told)
{
	const gid_t groups[] = { 100 };
	struct fixture *f;
	struct client *c;
	_cleanup_json_ json_t *init = NULL, *stats = NULL;

	if (!need_root("test_told"))
		return;
	f = with_hook(spy, "options = {\"colour=red\"}");
	ck_assert_int_eq(shell(NULL, "echo 'admin_groups = {\"users\"}' >>%s", f->conf), 0);
	start(f, NULL);
	init = told(f, "pre", "init_host");
	ck_assert_str_eq(str_at(init, "context.origin"), "start");
	for (const char *const *k =
		     (const char *const[]){ "uid", "user", "gid", "pid", "request_id", "parent_call_id", NULL };
	     *k; k++)
		ck_assert(json_is_null(json_object_get(at(init, "context"), *k)));
	stats = told(f, "post", "publish_service_capabilities");
	ck_assert_str_eq(str_at(stats, "context.origin"), "call");
	same(at(stats, "context.parent_call_id"), at(init, "context.call_id"), "parent_call_id");
	same(at(stats, "result.capabilities"), at(stats, "driver_action_results"), "the capabilities in result");
	c = client_new_groups(f, 1, 1, groups, 1);
	json_decref(check_create(f, c, 100));
	check_resize(f, c);
	check_access(f, c);
	check_snapshot(f, c);
	check_failure(f, c);
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(test_surroundings)
{
	struct fixture *f = with_hook("#!/bin/sh\n[ \"$2\" = create_share_instance ] || exit 0\ncd @DIR@\n"
				      "echo \"$# $*\" >args.$1\nenv >env.$1\nls /proc/self/fd | tr '\\n' ' ' >fds.$1\n",
				      "");
	static const char *const secret[] = { "SHARESD_TEST_SECRET=x", NULL };
	_cleanup_json_ json_t *record = NULL;
	_cleanup_free_ char *args = NULL, *env = NULL, *fds = NULL;
	char want[512];

	start(f, secret);
	json_decref(create(f, "photos"));
	record = last_call(f, "create_share_instance");
	args = read_text(fixture_path(f, "args.post"));
	env = read_text(fixture_path(f, "env.post"));
	fds = read_text(fixture_path(f, "fds.post"));
	ck_assert_str_eq(args, "2 post create_share_instance\n");
	ck_assert_str_eq(fds, "0 1 2 3 "); /* the fourth is of ls itself */
	snprintf(want, sizeof want, "SHARESD_SOCKET=%s\n", f->socket);
	ck_assert_ptr_nonnull(strstr(env, want));
	snprintf(want, sizeof want, "SHARESD_CALL_ID=%s\n", str_at(record, "id"));
	ck_assert_ptr_nonnull(strstr(env, want));
	ck_assert_ptr_nonnull(strstr(env, "PATH=/"));
	ck_assert_ptr_null(strstr(env, "SECRET"));
	fixture_free(f);
}
END_TEST

/* ---- veto and failure ---- */

static void assert_no_trace(const struct fixture *f, const char *share)
{
	_cleanup_json_ json_t *shares = call(f, "list_shares", NULL), *orphans = call(f, "list_orphans", NULL);

	ck_assert_uint_eq(json_array_size(at(shares, "shares")), 0);
	ck_assert_uint_eq(json_array_size(at(orphans, "orphans")), 0);
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", share));
	ck_assert_int_eq(shell(NULL, "test -z \"$(find %s/root -mindepth 1 -maxdepth 1 ! -name .sharesd)\"", f->dir),
			 0);
	ck_assert_int_eq(shell(NULL, "test -z \"$(find %s/root/.sharesd -mindepth 2)\"", f->dir), 0);
}

START_TEST(test_veto)
{
	struct fixture *f = with_hook("#!/bin/sh\n[ $2 = create_share_instance ] || exit 0\necho $1 >>@DIR@/phases\n"
				      "echo 'only on Mondays' >&2\nexit 10\n",
				      "");
	_cleanup_json_ json_t *error = NULL, *record = NULL, *again = NULL;
	_cleanup_free_ char *phases = NULL;

	start(f, NULL);
	error = call_error(f, "vetoed", "create_share_instance", "{s:s,s:I,s:s}", "name", "photos", "size_bytes",
			   (json_int_t)GIB, "request_id", "r-1");
	ck_assert_int_eq(int_at(error, "code"), 14);
	ck_assert_str_eq(str_at(error, "message"), "only on Mondays");
	ck_assert_str_eq(str_at(error, "data.hook"), "h");
	ck_assert_str_eq(str_at(error, "data.phase"), "pre_hook");
	assert_no_trace(f, "photos");
	phases = read_text(fixture_path(f, "phases"));
	ck_assert_str_eq(phases, "pre\nerror\n");
	record = last_call(f, "create_share_instance");
	ck_assert_str_eq(str_at(record, "outcome"), "vetoed");
	ck_assert_str_eq(str_at(record, "hooks.0.outcome"), "vetoed");
	ck_assert(fixture_log_has(f, "only on Mondays"));
	ck_assert_uint_eq(count_events(f, "call.vetoed"), 1);
	/* A refusal is not kept: the next try may be a Monday. */
	fixture_program(f, "h", "#!/bin/sh\nexit 0\n");
	again = call(f, "create_share_instance", "{s:s,s:I,s:s}", "name", "photos", "size_bytes", (json_int_t)GIB,
		     "request_id", "r-1");
	ck_assert_str_eq(str_at(again, "status"), "available");
	fixture_free(f);
}
END_TEST

static const struct {
	const char *program, *message; /* part of it */
} failing[] = {
	{ "#!/bin/sh\necho first >&2\necho 'no ticket' >&2\nexit 1\n", "exit status 1: no ticket" },
	{ "#!/bin/sh\nkill -SEGV $$\n", "signal 11" },
	{ "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\n", "more than 1 MiB of output" },
	{ "#!/bin/sh\nyes >&2\n", "no end within 0.5 s and killed" },
	{ "#!/bin/sh\necho 'this is no JSON'\n", "standard output is neither empty nor one JSON value" },
	{ "#!/bin/sh\nprintf '{\"a\":1}\\n{\"b\":2}\\n'\n", "standard output is neither empty nor one JSON value" },
	{ "#!/bin/sh\nprintf '%0400d' 0 | tr 0 '['; printf '%0400d' 0 | tr 0 ']'\n", "nested deeper than 32 levels" },
	{ "#!/nowhere/interpreter\n", "h" },
	{ "#!/bin/sh\nsleep 60\n", "no end within 0.5 s and killed" },
	{ NULL, "others may write it" },
	{ NULL, "h" },
	{ NULL, "h" },
};

static void spoil(struct fixture *f, int row)
{
	const char *path = fixture_path(f, "h");

	if (failing[row].program) {
		fixture_program(f, "h", failing[row].program);
		return;
	}
	fixture_program(f, "h", "#!/bin/sh\nexit 0\n");
	if (row == 9)
		ck_assert_int_eq(chmod(path, 0777), 0);
	else if (row == 10)
		ck_assert_int_eq(chmod(path, 0644), 0);
	else
		ck_assert_int_eq(unlink(path), 0);
}

/* A hook that fails before a call: the call is refused. With on_error = "ignore": it goes on, with the hook or without.
 */
START_TEST(test_failing)
{
	/* Those that do not end are waited for twice, the others as long as they take. */
	bool hangs = strstr(failing[_i].message, "no end") != NULL;
	struct fixture *f = with_hook("#!/bin/sh\nexit 0\n", hangs ? "timeout = 0.5\n phases = {\"pre\"}"
								   : "timeout = 60\n phases = {\"pre\"}");
	_cleanup_json_ json_t *error = NULL, *record = NULL, *shown = NULL;

	start(f, NULL);
	spoil(f, _i);
	error = call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "photos", "size_bytes",
			   1000);
	ck_assert_msg(strstr(str_at(error, "message"), failing[_i].message) != NULL, "%s", str_at(error, "message"));
	ck_assert_str_eq(str_at(error, "data.hook"), "h");
	assert_no_trace(f, "photos");
	shown = hook_shown(f, "media", "h");
	ck_assert_int_eq(int_at(shown, "failures"), 1);
	ck_assert_int_eq(int_at(shown, "timeouts"), hangs);
	/* A reload looks at the program, as the start did. */
	fixture_program(f, "h", "#!/bin/sh\nexit 0\n");
	ck_assert_int_eq(shell(NULL, "sed -i 's/phases = /on_error = \"ignore\" phases = /' %s", f->conf), 0);
	fixture_hup(f);
	for (double until = now() + 60; !fixture_log_has(f, "is in force"); nap(0.01))
		ck_assert(now() < until);
	json_decref(call(f, "list_orphans", NULL)); /* the call thread has it too */
	spoil(f, _i);
	json_decref(create(f, "photos"));
	record = last_call(f, "create_share_instance");
	ck_assert_str_eq(str_at(record, "outcome"), "ok");
	ck_assert_str_eq(str_at(record, "hooks.0.outcome"), "suppressed");
	ck_assert_ptr_nonnull(strstr(str_at(record, "hooks.0.error"), failing[_i].message));
	fixture_free(f);
}
END_TEST

static bool some_left(const struct fixture *f)
{
	return shell(NULL, "pgrep -f '^%s/[m]arked' >/dev/null", f->dir) == 0;
}

/* Children that left the session and the parent end with the hook, at its end as at its time limit. */
START_TEST(test_tree)
{
	bool hangs = _i;
	struct fixture *f =
		with_hook(hangs ? "#!/bin/sh\n(setsid setsid @DIR@/marked 600 &)\nsetsid @DIR@/marked 601 &\n"
				  "echo $1 >>@DIR@/ran\nexec @DIR@/marked 602\n"
				: "#!/bin/sh\n(setsid setsid @DIR@/marked 600 &)\nsetsid @DIR@/marked 601 &\n"
				  "echo $1 >>@DIR@/ran\nexit 0\n",
			  "timeout = 1.0\n phases = {\"pre\"}\n methods = {\"create_share_instance\"}");
	double begin;

	ck_assert_int_eq(shell(NULL, "ln -s /bin/sleep %s/marked", f->dir), 0);
	start(f, NULL);
	begin = now();
	if (hangs)
		json_decref(call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "photos",
				       "size_bytes", 1000));
	else
		json_decref(create(f, "photos"));
	ck_assert_msg(now() - begin < 10, "it took %.1f s", now() - begin);
	ck_assert(exists(fixture_path(f, "ran")));
	ck_assert_msg(!some_left(f), "a process of the hook is still there");
	fixture_free(f);
}
END_TEST

/* ---- results ---- */

static const char locate[] =
	"#!/bin/sh\n[ $1 = post ] || exit 0\n"
	"echo '{\"driver_action_results\":{\"metadata\":{\"by\":\"hook\"},\"export_locations\":"
	"[{\"path\":\"/other/place\",\"preferred\":true,\"is_admin_only\":false,\"metadata\":{\"a\":\"b\"}}]}}'\n";

static void assert_changed(const json_t *share)
{
	_cleanup_json_ json_t *metadata = jsonx_pack("{s:s}", "by", "hook");
	_cleanup_json_ json_t *place = jsonx_pack("[{s:s,s:b,s:b,s:{s:s}}]", "path", "/other/place", "preferred", 1,
						  "is_admin_only", 0, "metadata", "a", "b");

	same(at(share, "metadata"), metadata, "metadata");
	same(at(share, "export_locations"), place, "export_locations");
	same(at(share, "instances.0.export_locations"), place, "the instance's export_locations");
}

START_TEST(test_change)
{
	struct fixture *f = with_hook(locate, "methods = {\"create_share_instance\"}");
	_cleanup_json_ json_t *share = NULL, *list = NULL, *event = NULL, *after = NULL, *moved = NULL;
	struct client *c;
	char want[256];

	start(f, NULL);
	c = client_new(f);
	json_decref(client_call(c, "subscribe", "{s:[s]}", "types", "share.available"));
	share = create(f, "photos");
	assert_changed(share);
	event = client_read(c);
	assert_changed(at(event, "params.object"));
	client_free(c);
	list = call(f, "list_shares", NULL);
	assert_changed(at(list, "shares.0"));
	fixture_stop(f);
	start(f, NULL);
	after = call(f, "get_share", "{s:s}", "share", "photos");
	assert_changed(after);
	/* Until the driver itself says something else. */
	fixture_stop(f);
	ck_assert_int_eq(
		shell(NULL, "mv %s/root %s/elsewhere && sed -i s,/root,/elsewhere, %s", f->dir, f->dir, f->conf), 0);
	start(f, NULL);
	moved = call(f, "get_share", "{s:s}", "share", "photos");
	snprintf(want, sizeof want, "%s/elsewhere/photos/data", f->dir);
	ck_assert_str_eq(str_at(moved, "export_locations.0.path"), want);
	ck_assert_str_eq(str_at(moved, "metadata.by"), "hook");
	fixture_free(f);
}
END_TEST

static const struct {
	const char *results, *message;
} refused[] = {
	{ "{\"size_bytes\":5}", "may not set \"size_bytes\"" },
	{ "{\"provider_location\":\"/etc\"}", "may not set \"provider_location\"" },
	{ "{\"status\":\"error\"}", "may not set \"status\"" },
	{ "{\"metadata\":{\"a\":1}}", "must be an object of strings" },
	{ "{\"metadata\":null}", "must be an object of strings" },
	{ "{\"export_locations\":\"/x\"}", "must be an array" },
	{ "{\"export_locations\":[{\"preferred\":true}]}", "path" },
	{ "{\"export_locations\":[{\"path\":\"/x\",\"host\":\"y\"}]}", "unknown member \"host\"" },
	{ "{\"metadata\":{\"by\":\"hook\"},\"size_bytes\":5}", "may not set \"size_bytes\"" },
	{ "[]", "it must be an object" },
};

START_TEST(test_refused_change)
{
	char program[512];
	struct fixture *f;
	_cleanup_json_ json_t *error = NULL, *share = NULL;

	snprintf(program, sizeof program, "#!/bin/sh\n[ $1 = post ] || exit 0\necho '{\"driver_action_results\":%s}'\n",
		 refused[_i].results);
	f = with_hook(program, "methods = {\"create_share_instance\"}");
	start(f, NULL);
	error = call_error(f, "post_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "photos", "size_bytes",
			   1000);
	ck_assert_msg(strstr(str_at(error, "message"), refused[_i].message) != NULL, "%s", str_at(error, "message"));
	share = call(f, "get_share", "{s:s}", "share", "photos");
	same(at(error, "data.result"), share, "data.result");
	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert_uint_eq(json_object_size(at(share, "metadata")), 0);
	fixture_free(f);
}
END_TEST

/* A location that says only where it is gets the rest filled in: clients find every member. */
START_TEST(test_short_location)
{
	struct fixture *f = with_hook("#!/bin/sh\n[ $1 = post ] || exit 0\n"
				      "echo '{\"driver_action_results\":{\"export_locations\":[{\"path\":\"/x\"}]}}'\n",
				      "methods = {\"create_share_instance\"}");
	_cleanup_json_ json_t *share = NULL;
	_cleanup_json_ json_t *want =
		jsonx_pack("[{s:s,s:b,s:b,s:{}}]", "path", "/x", "preferred", 0, "is_admin_only", 0, "metadata");

	start(f, NULL);
	share = create(f, "photos");
	same(at(share, "export_locations"), want, "export_locations");
	fixture_free(f);
}
END_TEST

/* ---- which hooks, in what order, with what settings ---- */

/* Each notes its name, the phase and what its own pre hook gave. */
static void add_noter(struct fixture *f, const char *name, const char *then)
{
	char text[512];

	snprintf(text, sizeof text,
		 "#!/bin/sh\n[ $2 = create_share_instance ] || exit 0\n"
		 "echo \"%s $1 $(jq -r '.pre_hook_data // \"-\"')\" >>@DIR@/order\n%s\n"
		 "[ $1 = pre ] && echo '\"of %s\"'\nexit 0\n",
		 name, then, name);
	fixture_program(f, name, text);
}

static struct fixture *with_three(const char *more, const char *b_does)
{
	char conf[1024];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf,
		 "sim \"s\" {\n hook_drivers = {\"exec:@DIR@/a\", \"exec:@DIR@/b\", \"exec:@DIR@/c\"}\n"
		 " enable_pre_hooks = true\n enable_post_hooks = true\n enable_error_hooks = true\n %s\n}\n",
		 more);
	fixture_conf(f, conf);
	add_noter(f, "a", "");
	add_noter(f, "b", b_does);
	add_noter(f, "c", "");
	return f;
}

static const struct {
	const char *more, *b_does, *kind, *order;
} orders[] = {
	{ "", "", NULL, "a pre -\nb pre -\nc pre -\na post of a\nb post of b\nc post of c\n" },
	{ "", "[ $1 = pre ] && exit 10", "vetoed", "a pre -\nb pre -\nb error -\na error of a\n" },
	{ "", "[ $1 = pre ] && exit 1", "pre_hook_failed", "a pre -\nb pre -\nb error -\na error of a\n" },
	{ "suppress_pre_hooks_errors = true", "[ $1 = pre ] && exit 1", NULL,
	  "a pre -\nb pre -\nc pre -\na post of a\nb post -\nc post of c\n" },
	{ "suppress_pre_hooks_errors = true", "[ $1 = pre ] && exit 10", "vetoed",
	  "a pre -\nb pre -\nb error -\na error of a\n" },
	{ "fail = {\"create_share:EIO\"}", "", "driver_failed",
	  "a pre -\nb pre -\nc pre -\nc error of c\nb error of b\na error of a\n" },
	{ "fail = {\"create_share:ENOSPC\"}", "[ $1 = error ] && exit 1", "no_space",
	  "a pre -\nb pre -\nc pre -\nc error of c\nb error of b\na error of a\n" },
	{ "", "[ $1 = post ] && exit 1", "post_hook_failed",
	  "a pre -\nb pre -\nc pre -\na post of a\nb post of b\nc error of c\nb error of b\na error of a\n" },
	{ "suppress_post_hooks_errors = true", "[ $1 = post ] && exit 10", NULL,
	  "a pre -\nb pre -\nc pre -\na post of a\nb post of b\nc post of c\n" },
};

START_TEST(test_order)
{
	struct fixture *f = with_three(orders[_i].more, orders[_i].b_does);
	_cleanup_free_ char *order = NULL;

	start(f, NULL);
	if (orders[_i].kind)
		json_decref(call_error(f, orders[_i].kind, "create_share_instance", "{s:s,s:i}", "name", "photos",
				       "size_bytes", 1000));
	else
		json_decref(create(f, "photos"));
	order = read_text(fixture_path(f, "order"));
	ck_assert_str_eq(order, orders[_i].order);
	fixture_free(f);
}
END_TEST

START_TEST(test_directory)
{
	struct fixture *f =
		fixture_new("sim \"s\" {\n hook_drivers = {\"exec:@DIR@/hooks\"}\n enable_pre_hooks = true\n"
			    " enable_post_hooks = true\n enable_error_hooks = true\n}\n");
	static const char note[] = "#!/bin/sh\necho \"${0##*/} $*\" >>@DIR@/ran\n";
	_cleanup_json_ json_t *create_record = NULL, *extend_record = NULL, *error = NULL;
	_cleanup_free_ char *ran = NULL;

	ck_assert_int_eq(mkdir(fixture_path(f, "hooks"), 0755), 0);
	fixture_program(f, "hooks/pre-create_share_instance", note);
	fixture_program(f, "hooks/post-allow_access", note);
	fixture_program(f, "hooks/error-shrink_share", note);
	fixture_program(f, "hooks/create_share_instance", note);
	start(f, NULL);
	json_decref(create(f, "photos"));
	json_decref(call(f, "allow_access", "{s:s,s:s,s:s}", "share", "photos", "access_type", "ip", "access_to",
			 "192.0.2.1"));
	json_decref(call(f, "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes", (json_int_t)(3 * GIB)));
	ran = read_text(fixture_path(f, "ran"));
	ck_assert_str_eq(ran,
			 "pre-create_share_instance pre create_share_instance\npost-allow_access post allow_access\n");
	create_record = last_call(f, "create_share_instance");
	extend_record = last_call(f, "extend_share");
	ck_assert_uint_eq(json_array_size(at(create_record, "hooks")), 1);
	ck_assert_uint_eq(json_array_size(at(extend_record, "hooks")), 0);
	/* Made while the daemon runs, it counts from the next call on. */
	fixture_program(f, "hooks/pre-extend_share", "#!/bin/sh\nexit 10\n");
	json_decref(call_error(f, "vetoed", "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes",
			       (json_int_t)(4 * GIB)));
	/* Who may write the directory may put a program there. */
	ck_assert_int_eq(chmod(fixture_path(f, "hooks"), 0777), 0);
	error = call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes", 1000);
	ck_assert_ptr_nonnull(strstr(str_at(error, "message"), "may be written by others"));
	fixture_free(f);
}
END_TEST

/* The store learns the end of a call with the next one: who asks in between, or after a stop, sees no difference. */
START_TEST(test_ends_are_seen_at_once)
{
	struct fixture *f = with_hook("#!/bin/sh\nexit 0\n", "");
	_cleanup_json_ json_t *page = NULL;
	json_t *record;
	size_t i, creates = 0;

	start(f, NULL);
	for (int n = 0; n < 10; n++) {
		_cleanup_json_ json_t *last = NULL;
		char name[16];

		snprintf(name, sizeof name, "s%d", n);
		json_decref(create(f, name));
		last = last_call(f, "create_share_instance");
		ck_assert_str_eq(str_at(last, "state"), "done");
		ck_assert_str_eq(str_at(last, "hooks.0.phase"), "pre");
		ck_assert_str_eq(str_at(last, "hooks.1.phase"), "post");
		ck_assert_str_eq(str_at(last, "outcome"), "ok");
	}
	json_decref(create(f, "last"));
	fixture_stop(f);
	start(f, NULL);
	page = call(f, "list_calls", "{s:i}", "limit", 1000);
	json_array_foreach(at(page, "calls"), i, record) {
		if (strcmp(str_at(record, "method"), "create_share_instance") != 0)
			continue;
		creates++;
		ck_assert_str_eq(str_at(record, "state"), "done");
		ck_assert_str_eq(str_at(record, "hooks.1.phase"), "post");
		ck_assert(json_is_string(at(record, "ended_at")));
	}
	ck_assert_uint_eq(creates, 11);
	fixture_free(f);
}
END_TEST

/* phases and methods of a hook section; "phases" that the backend does not enable stay off. */
START_TEST(test_filters)
{
	struct fixture *f = fixture_new(
		"hook \"all\" { run = \"exec:@DIR@/note\" options = {\"as=all\"} }\n"
		"hook \"post\" { run = \"exec:@DIR@/note\" phases = {\"post\", \"error\"} options = {\"as=post\"} }\n"
		"hook \"grow\" { run = \"exec:@DIR@/note\" methods = {\"extend_share\", \"shrink_share\"} "
		"options = {\"as=grow\"} }\n"
		"hook \"both\" { run = \"exec:@DIR@/note\" methods = {\"extend_share\"} phases = {\"pre\"} "
		"options = {\"as=both\"} }\n"
		"sim \"s\" {\n hook_drivers = {\"all\", \"post\", \"grow\", \"both\"}\n enable_pre_hooks = true\n"
		" enable_post_hooks = true\n}\n");
	_cleanup_free_ char *order = NULL;
	_cleanup_json_ json_t *shown = NULL,
			      *want = jsonx_pack("{s:b,s:b,s:b,s:b}", "pre", 0, "post", 1, "periodic", 0, "error", 0);

	fixture_program(f, "note",
			"#!/bin/sh\ncase $2 in init_host|publish*) exit 0;; esac\n"
			"echo \"$1 $2 $(jq -r .options.as)\" >>@DIR@/order\n");
	start(f, NULL);
	json_decref(create(f, "photos"));
	json_decref(call(f, "extend_share", "{s:s,s:I}", "share", "photos", "size_bytes", (json_int_t)(3 * GIB)));
	order = read_text(fixture_path(f, "order"));
	ck_assert_str_eq(
		order,
		"pre create_share_instance all\npost create_share_instance all\npost create_share_instance post\n"
		"pre extend_share all\npre extend_share grow\npre extend_share both\n"
		"post extend_share all\npost extend_share post\npost extend_share grow\n");
	shown = hook_shown(f, "s", "post");
	same(at(shown, "enabled"), want, "enabled");
	fixture_free(f);
}
END_TEST

/* A hook's own section, the backend's, the top level, the default; then `options`, hook_options of the backend, of the
 * top. */
START_TEST(test_options)
{
	struct fixture *f =
		fixture_new("exec_timeout = 21.0\ncoproc_timeout = 22.0\nstats_interval = 77.0\n"
			    "hook_options = {\"a=top\", \"b=top\", \"c=top=1\", \"exec_user=free\"}\n"
			    "hook \"h\" { run = \"exec:@DIR@/keep\" exec_timeout = 11.0 options = {\"a=own\"} }\n"
			    "sim \"s\" {\n hook_drivers = {\"h\", \"exec:@DIR@/keep2\"}\n exec_timeout = 12.0\n"
			    " enable_pre_hooks = true\n hook_options = {\"a=backend\", \"b=backend\"}\n}\n");
	static const struct {
		const char *key, *h, *plain;
	} rows[] = {
		{ "exec_timeout", "11", "12" },
		{ "coproc_timeout", "22", "22" },
		{ "periodic_hooks_interval", "300", "300" },
		{ "stats_interval", "77", "77" },
		{ "a", "\"own\"", "\"backend\"" },
		{ "b", "\"backend\"", "\"backend\"" },
		{ "c", "\"top=1\"", "\"top=1\"" },
		{ "exec_user", "\"\"", "\"\"" },
	};
	_cleanup_json_ json_t *h = NULL, *plain = NULL, *shown = NULL;

	fixture_program(f, "keep", "#!/bin/sh\njq .options >@DIR@/own\n");
	fixture_program(f, "keep2", "#!/bin/sh\njq .options >@DIR@/plain\n");
	start(f, NULL);
	h = load(f, "own");
	plain = load(f, "plain");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		_cleanup_json_ json_t *want = json_loads(rows[i].h, JSON_DECODE_ANY, NULL);
		_cleanup_json_ json_t *want_plain = json_loads(rows[i].plain, JSON_DECODE_ANY, NULL);

		same(json_object_get(h, rows[i].key), want, rows[i].key);
		same(json_object_get(plain, rows[i].key), want_plain, rows[i].key);
	}
	shown = hook_shown(f, "s", "h");
	ck_assert_double_eq_tol(json_number_value(at(shown, "timeout")), 11, 0.001);
	fixture_free(f);
}
END_TEST

START_TEST(test_exec_user)
{
	struct fixture *f;
	_cleanup_free_ char *who = NULL;

	if (!need_root("test_exec_user"))
		return;
	f = with_hook("#!/bin/sh\nid -un >>@DIR@/out/who\n",
		      "exec_user = \"daemon\"\n methods = {\"create_share_instance\"}");
	ck_assert_int_eq(shell(NULL, "mkdir %s/out && chown daemon %s/out", f->dir, f->dir), 0);
	start(f, NULL);
	json_decref(create(f, "photos"));
	who = read_text(fixture_path(f, "out/who"));
	ck_assert_str_eq(who, "daemon\ndaemon\n");
	fixture_free(f);
}
END_TEST

START_TEST(test_skip_hooks)
{
	struct fixture *f = with_hook("#!/bin/sh\n[ $2 = create_share_instance ] || exit 0\nexit 10\n", "");
	const gid_t groups[] = { 100 };
	_cleanup_json_ json_t *record = NULL;
	struct client *c;

	if (!need_root("test_skip_hooks")) {
		fixture_free(f);
		return;
	}
	ck_assert_int_eq(shell(NULL, "echo 'admin_groups = {\"users\"}' >>%s", f->conf), 0);
	start(f, NULL);
	c = client_new_groups(f, 1, 1, groups, 1);
	json_decref(client_error(c, "permission_denied", "create_share_instance", "{s:s,s:i,s:b}", "name", "photos",
				 "size_bytes", 1000, "skip_hooks", 1));
	json_decref(client_error(c, "vetoed", "create_share_instance", "{s:s,s:i,s:b}", "name", "photos", "size_bytes",
				 1000, "skip_hooks", 0));
	client_free(c);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:b}", "name", "photos", "size_bytes", 1000,
			 "skip_hooks", 1));
	record = last_call(f, "create_share_instance");
	ck_assert(json_is_true(at(record, "skip_hooks")));
	ck_assert_uint_eq(json_array_size(at(record, "hooks")), 0);
	ck_assert_uint_eq(count_events(f, "hooks.skipped"), 1);
	ck_assert(fixture_log_has(f, "runs without hooks"));
	fixture_free(f);
}
END_TEST

/* ---- a hook that asks the daemon ---- */

START_TEST(test_calls_from_a_hook)
{
	struct fixture *f = with_hook("#!/bin/sh\n[ $2 = create_share_instance ] && [ $1 = pre ] || exit 0\ncd @DIR@\n"
				      "ctl=\"$(cat ctl) --socket $SHARESD_SOCKET\"\n"
				      "$ctl call list_backends >read 2>&1; echo $? >read.code\n"
				      "$ctl call list_calls >calls\n"
				      "$ctl call create_share_instance '{\"name\":\"inner\",\"size_bytes\":5}' >write "
				      "2>&1; echo $? >write.code\n"
				      "setsid sh -c \"$ctl call set_metadata "
				      "'{\\\"share\\\":\\\"x\\\",\\\"metadata\\\":{}}'; echo \\$? >deep.code\"\n"
				      "exit 0\n",
				      "");
	_cleanup_free_ char *ok = NULL, *denied = NULL, *deep = NULL;
	_cleanup_json_ json_t *calls = NULL;
	bool seen = false;
	json_t *c;
	size_t i;

	write_file(fixture_path(f, "ctl"), program_path("sharesctl"));
	start(f, NULL);
	json_decref(create(f, "photos"));
	ok = read_text(fixture_path(f, "read.code"));
	denied = read_text(fixture_path(f, "write.code"));
	deep = read_text(fixture_path(f, "deep.code"));
	ck_assert_str_eq(ok, "0\n");
	ck_assert_str_eq(denied, "18\n");
	ck_assert_str_eq(deep, "18\n");
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "inner"));
	calls = load(f, "calls");
	json_array_foreach(at(calls, "calls"), i, c)
		seen = seen || (strcmp(str_at(c, "method"), "create_share_instance") == 0 &&
				strcmp(str_at(c, "phase"), "pre_hook") == 0);
	ck_assert(seen);
	fixture_free(f);
}
END_TEST

/* ---- what is shown of hooks ---- */

START_TEST(test_figures)
{
	struct fixture *f = with_hook("#!/bin/sh\ncase \"$1 $(cat @DIR@/mode)\" in\n'pre veto') exit 10;;\n'pre fail') "
				      "echo broken >&2; exit 1;;\n"
				      "'pre slow') sleep 60;;\nesac\nexit 0\n",
				      "methods = {\"create_share_instance\"}\n phases = {\"pre\"}\n timeout = 2.5");
	static const char *const modes[] = { "ok", "veto", "fail", "slow", "ok" };
	_cleanup_json_ json_t *h = NULL, *list = NULL, *by_entry = NULL;
	char entry[256];

	start(f, NULL);
	for (int i = 0; i < 5; i++) {
		struct client *c = client_new(f);
		char name[] = { 's', (char)('0' + i), 0 };

		write_file(fixture_path(f, "mode"), modes[i]);
		json_decref(client_request(c, "create_share_instance",
					   jsonx_pack("{s:s,s:i}", "name", name, "size_bytes", 1000)));
		client_free(c);
	}
	h = hook_shown(f, "media", "h");
	has_members(h,
		    "backend name entry module phases enabled methods on_error timeout user containment state "
		    "timeouts_in_row "
		    "left_out_until calls calls_left_out failures suppressed_failures timeouts vetoes "
		    "duration_ms last_error dropped_ticks",
		    "the hook");
	ck_assert_int_eq(int_at(h, "calls"), 5);
	ck_assert_int_eq(int_at(h, "vetoes"), 1);
	ck_assert_int_eq(int_at(h, "failures"), 2);
	ck_assert_int_eq(int_at(h, "timeouts"), 1);
	ck_assert_int_eq(int_at(h, "suppressed_failures"), 0);
	ck_assert_int_eq(int_at(h, "dropped_ticks"), 0);
	ck_assert_ptr_nonnull(strstr(str_at(h, "last_error"), "no end within 2.5 s"));
	ck_assert(json_number_value(at(h, "duration_ms.max")) >= 500);
	ck_assert(json_number_value(at(h, "duration_ms.min")) <= json_number_value(at(h, "duration_ms.median")));
	ck_assert_str_eq(str_at(h, "module"), "exec");
	ck_assert_str_eq(str_at(h, "phases.0"), "pre");
	ck_assert_uint_eq(json_array_size(at(h, "phases")), 1);
	list = call(f, "list_hooks", "{s:s}", "backend", "media");
	same(at(list, "hooks.0"), h, "list_hooks");
	snprintf(entry, sizeof entry, "exec:%s/h", f->dir);
	by_entry = hook_shown(f, "media", entry);
	same(by_entry, h, "get_hook by entry");
	json_decref(call_error(f, "not_found", "get_hook", "{s:s,s:s}", "backend", "media", "hook", "nobody"));
	json_decref(call_error(f, "not_found", "list_hooks", "{s:s}", "backend", "nowhere"));
	fixture_free(f);
}
END_TEST

START_TEST(test_test_hook)
{
	struct fixture *f = with_hook(
		"#!/bin/sh\ncat >@DIR@/got\n[ $1 = post ] && echo '{\"driver_action_results\":{\"size_bytes\":1}}'\n"
		"[ $1 = pre ] && echo '{\"t\":1}'\n[ $1 = error ] && exit 1\nexit 0\n",
		"phases = {\"error\"}");
	static const char *const phases[] = { "pre", "post", "error" };
	static const bool accepted[] = { true, false, false };
	_cleanup_json_ json_t *before = NULL, *after = NULL;

	start(f, NULL);
	before = call(f, "list_shares", NULL);
	for (int i = 0; i < 3; i++) {
		_cleanup_json_ json_t *r =
			call(f, "test_hook", "{s:s,s:s,s:{s:s,s:s,s:{s:s}}}", "backend", "media", "hook", "h", "event",
			     "phase", phases[i], "func_name", "create_share_instance", "args", "name", "x");
		_cleanup_json_ json_t *got = load(f, "got");

		ck_assert_int_eq(json_is_true(at(r, "accepted")), accepted[i]);
		ck_assert_int_eq(json_object_get(r, "error") == NULL, accepted[i]);
		ck_assert_int_ge(int_at(r, "duration_ms"), 0);
		ck_assert_str_eq(str_at(got, "args.name"), "x");
		if (i == 0)
			ck_assert_int_eq(int_at(r, "returned.t"), 1);
		if (i == 1)
			ck_assert_ptr_nonnull(strstr(str_at(r, "error.message"), "may not set \"size_bytes\""));
	}
	after = call(f, "list_shares", NULL);
	same(after, before, "list_shares");
	json_decref(call_error(f, "invalid_params", "test_hook", "{s:s,s:s,s:{s:s}}", "backend", "media", "hook", "h",
			       "event", "phase", "often"));
	json_decref(call_error(f, "not_found", "test_hook", "{s:s,s:s,s:{s:s,s:s}}", "backend", "media", "hook", "g",
			       "event", "phase", "pre", "func_name", "create_share_instance"));
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hook programs");
	TCase *tc = tcase_create("hooks");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_told);
	tcase_add_test(tc, test_surroundings);
	tcase_add_test(tc, test_veto);
	tcase_add_loop_test(tc, test_failing, 0, sizeof failing / sizeof *failing);
	tcase_add_loop_test(tc, test_tree, 0, 2);
	tcase_add_test(tc, test_change);
	tcase_add_loop_test(tc, test_refused_change, 0, sizeof refused / sizeof *refused);
	tcase_add_test(tc, test_short_location);
	tcase_add_loop_test(tc, test_order, 0, sizeof orders / sizeof *orders);
	tcase_add_test(tc, test_directory);
	tcase_add_test(tc, test_filters);
	tcase_add_test(tc, test_options);
	tcase_add_test(tc, test_ends_are_seen_at_once);
	tcase_add_test(tc, test_exec_user);
	tcase_add_test(tc, test_skip_hooks);
	tcase_add_test(tc, test_calls_from_a_hook);
	tcase_add_test(tc, test_figures);
	tcase_add_test(tc, test_test_hook);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
