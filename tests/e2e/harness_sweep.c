#include "tests/e2e/harness_sweep.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "daemon/methods.h"
#include "drivers/table.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A driver is a line here; what its check has to look at is its own. */
const struct sweep_driver sweep_drivers[] = {
	{ .name = "dir", .options = "root = \"@DIR@/root\"\n", .check = check_disk },
	{ .name = "btrfs",
	  .options = "root = \"@DIR@/root\"\n",
	  .begin = "truncate -s 256M disk.img && mkfs.btrfs -q disk.img >/dev/null 2>&1 && mount -o loop disk.img root "
		   "&& "
		   "btrfs quota enable root",
	  .end = "umount root",
	  .foreign = "btrfs subvolume create >/dev/null",
	  .clear = "for v in .sharesd/snapshots/*/data; do ! [ -e $v ] || btrfs property set $v ro false; done",
	  .check = check_disk },
	{ .name = NULL },
};

/* Nothing happens by itself, so that each step is the call's. */
static const char conf[] = "stats_interval = 86400\nusage_interval = 0\n%s%s"
			   "hook \"h\" { run = \"%s\" }\n"
			   "%s \"b\" {\n %s hook_drivers = {\"h\"}\n enable_pre_hooks = true\n"
			   " enable_post_hooks = true\n enable_error_hooks = true\n}\n";

/* ---- is every method there? ---- */

size_t sweep_count(void)
{
	size_t n = 0;

	while (sweep_rows[n].method)
		n++;
	return n;
}

static bool has_row(const char *method)
{
	for (const struct sweep_row *r = sweep_rows; r->method; r++)
		if (strcmp(r->method, method) == 0)
			return true;
	return false;
}

static bool can_do(const struct share_driver_ops *ops, const struct method *m)
{
	for (const char *const *slot = m->slots; slot && *slot; slot++)
		if (!driver_slot_by_name(ops, *slot))
			return false;
	return true;
}

static bool changes_something(const struct method *m)
{
	return m->kind == METHOD_HOOKED || (m->kind == METHOD_WRITE && !(m->flags & METHOD_NO_INTENT));
}

void sweep_check_rows(const struct sweep_driver *d)
{
	const struct share_driver_ops *ops = driver_find(d->name);

	ck_assert_msg(ops != NULL, "there is no driver %s", d->name);
	for (const struct method *m = method_table(); m->name; m++)
		ck_assert_msg(!changes_something(m) || !can_do(ops, m) || has_row(m->name),
			      "%s has no row in sweep_rows, and driver %s can do it", m->name, d->name);
	for (const struct sweep_row *r = sweep_rows; r->method; r++)
		ck_assert_msg(method_find(r->method) != NULL, "there is no method %s", r->method);
}

/* ---- a place ---- */

void sweep_open(struct sweep *s, const struct sweep_driver *d, const char *options)
{
	char text[2048];

	*s = (struct sweep){ .driver = d, .events = json_array() };
	ck_assert_uint_lt((size_t)snprintf(text, sizeof text, conf, options, recorder_options, recorder_entry(),
					   d->name, d->options),
			  sizeof text);
	s->f = fixture_new("");
	fixture_conf(s->f, text);
	if (d->begin)
		ck_assert_int_eq(shell(NULL, "cd %s && { %s; }", s->f->dir, d->begin), 0);
	s->recorder = recorder_new(s->f);
	/* One more commit: what a post hook changes. */
	recorder_script(
		s->recorder, "b",
		jsonx_pack("{s:[{s:{s:{s:s}}}]}", "h post extend_share client", "return", "metadata", "by", "hook"));
}

void sweep_close(struct sweep *s)
{
	if (s->f->pid)
		fixture_stop(s->f);
	if (s->driver->end)
		ck_assert_int_eq(shell(NULL, "cd %s && { %s; }", s->f->dir, s->driver->end), 0);
	recorder_free(s->recorder);
	fixture_free(s->f);
	json_decref(s->events);
}

/* ---- one try ---- */

void sweep_begin(struct sweep *s, const struct sweep_row *row, const char *how, ...)
{
	char text[100];
	va_list ap;

	va_start(ap, how);
	vsnprintf(text, sizeof text, how, ap);
	va_end(ap);
	s->try++;
	snprintf(s->share, sizeof s->share, "s%u", s->try);
	snprintf(s->other, sizeof s->other, "o%u", s->try);
	snprintf(s->request, sizeof s->request, "r%u", s->try);
	snprintf(s->where, sizeof s->where, "%s of driver %s (row %td), %s", row->method, s->driver->name,
		 row - sweep_rows, text);
	row->prepare(s);
	json_decref(recorder_events(s->recorder));
	json_array_clear(s->events);
}

json_t *sweep_params(const struct sweep *s, const struct sweep_row *row)
{
	json_t *params = row->params(s);

	json_object_set_new(params, "request_id", json_string(s->request));
	return params;
}

json_t *sweep_call_on(struct sweep *s, const struct sweep_row *row, struct client *c)
{
	client_send_request(c, row->method, sweep_params(s, row));
	return client_read(c);
}

json_t *sweep_call(struct sweep *s, const struct sweep_row *row)
{
	json_t *reply = NULL;
	struct client *c = NULL;

	while (!fixture_wait_end(s->f, 0) && !(c = client_try(s->f)))
		nap(0.002);
	if (!c)
		return NULL;
	reply = sweep_call_on(s, row, c);
	client_free(c);
	return reply;
}

void sweep_take_events(struct sweep *s)
{
	_cleanup_json_ json_t *lines = recorder_events(s->recorder);

	json_array_extend(s->events, lines);
}

bool sweep_was_begun(const struct sweep *s, const struct sweep_row *row)
{
	json_t *line;
	size_t i;

	json_array_foreach(s->events, i, line) {
		const char *request = jsonx_str(at(line, "event.context"), "request_id");

		if (strcmp(str_at(line, "event.func_name"), row->method) == 0 && request &&
		    strcmp(request, s->request) == 0)
			return true;
	}
	return false;
}

/* ---- what must hold ---- */

/* Of no call was any hook told of the same phase twice. */
static void check_hooks_once(const struct sweep *s)
{
	_cleanup_json_ json_t *seen = json_object();
	json_t *line;
	size_t i;

	json_array_foreach(s->events, i, line) {
		char key[128];

		snprintf(key, sizeof key, "%s %s", str_at(line, "event.context.call_id"), str_at(line, "event.phase"));
		ck_assert_msg(json_object_get(seen, key) == NULL, "%s: %s of %s came twice", s->where,
			      str_at(line, "event.phase"), str_at(line, "event.func_name"));
		json_object_set_new(seen, key, json_true());
	}
}

/* Every record that was cut off has come to an end. */
static void check_records(const struct sweep *s)
{
	_cleanup_json_ json_t *calls = list_all(s->f, "list_calls", "calls");
	json_t *record;
	size_t i;

	json_array_foreach(calls, i, record) {
		const char *state = str_at(record, "state");

		ck_assert_msg(strcmp(state, "unfinished") != 0, "%s: a %s is unfinished", s->where,
			      str_at(record, "method"));
	}
}

static bool in_error(const struct sweep *s)
{
	static const char *const lists[][3] = { { "list_shares", "shares", "status" },
						{ "list_snapshots", "snapshots", "status" },
						{ "list_access_rules", "access_rules", "state" } };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		_cleanup_json_ json_t *all = list_all(s->f, lists[i][0], lists[i][1]);
		json_t *o;
		size_t k;

		json_array_foreach(all, k, o)
			if (strstr(str_at(o, lists[i][2]), "error"))
				return true;
	}
	return false;
}

/* No outcome of it is kept: it is simply done again. */
static bool repeats(const struct sweep_row *row)
{
	return method_find(row->method)->flags & METHOD_NO_INTENT;
}

static bool same_outcome(const json_t *a, const json_t *b)
{
	const json_t *result = json_object_get(a, "result"), *other = json_object_get(b, "result");

	return result && other ? json_equal(result, other) : !result && !other;
}

static json_t *ask_again(struct sweep *s, const struct sweep_row *row)
{
	struct client *c = client_new(s->f);
	json_t *first = client_request(c, row->method, sweep_params(s, row));
	_cleanup_json_ json_t *second = client_request(c, row->method, sweep_params(s, row));
	_cleanup_free_ char *text = jsonx_dump(first), *other = jsonx_dump(second);

	client_free(c);
	if (!repeats(row))
		ck_assert_msg(same_outcome(first, second), "%s: %s, and then %s", s->where, text, other);
	return first;
}

/* A rule that could not be set or taken away is so after the next init_host. */
static bool is_done_already(const struct sweep_row *row, const json_t *reply)
{
	unsigned flags = method_find(row->method)->flags;
	const char *kind = json_object_get(reply, "error") ? str_at(reply, "error.data.kind") : "";

	return ((flags & METHOD_IF_PRESENT) && strcmp(kind, "not_found") == 0) ||
	       ((flags & METHOD_IF_ABSENT) && strcmp(kind, "already_exists") == 0);
}

/* Its error was its end. Where it left nothing behind, a new call does it. */
static void do_anew(struct sweep *s, const struct sweep_row *row)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *text = NULL;

	if (in_error(s))
		return;
	strcat(s->request, "-anew");
	reply = ask_again(s, row);
	text = jsonx_dump(reply);
	ck_assert_msg(json_object_get(reply, "result") || is_done_already(row, reply), "%s: a new call answers %s",
		      s->where, text);
	s->driver->check(s->f, s->where);
	row->expect(s);
}

void sweep_settle(struct sweep *s, const struct sweep_row *row, const json_t *reply)
{
	_cleanup_json_ json_t *again = NULL;
	_cleanup_free_ char *text = NULL, *before = reply ? jsonx_dump(reply) : NULL;
	bool failed = reply && json_object_get(reply, "error");

	s->driver->check(s->f, s->where);
	check_records(s);
	again = ask_again(s, row);
	text = jsonx_dump(again);
	s->driver->check(s->f, s->where);
	if (json_object_get(again, "result")) {
		if (reply && !failed && !repeats(row))
			ck_assert_msg(json_equal(json_object_get(reply, "result"), json_object_get(again, "result")),
				      "%s: it was answered %s, and the same request_id answers %s", s->where, before,
				      text);
		row->expect(s);
	} else {
		ck_assert_msg(failed && strcmp(str_at(reply, "error.data.kind"), str_at(again, "error.data.kind")) == 0,
			      "%s: it was answered %s, and the same request_id answers %s", s->where,
			      before ? before : "nothing", text);
		do_anew(s, row);
	}
	sweep_take_events(s);
	check_hooks_once(s);
}

void sweep_clear(struct sweep *s)
{
	_cleanup_json_ json_t *shares = list_all(s->f, "list_shares", "shares"),
			      *snapshots = list_all(s->f, "list_snapshots", "snapshots");
	json_t *o;
	size_t i;

	json_array_foreach(snapshots, i, o)
		json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", str_at(o, "id")));
	json_array_foreach(shares, i, o) {
		bool adopting = strcmp(str_at(o, "status"), "manage_error") == 0;

		json_decref(call(s->f, adopting ? "unmanage_share" : "delete_share_instance", "{s:s}", "share",
				 str_at(o, "id")));
	}
	ck_assert_int_eq(shell(NULL, "cd %s/root && { %s; } && rm -rf [!.l]* .sharesd/snapshots/*", s->f->dir,
			       s->driver->clear ? s->driver->clear : ":"),
			 0);
}
