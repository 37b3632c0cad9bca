#include "tests/e2e/harness_sweep.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/methods.h"
#include "drivers/table.h"
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

/* ---- exported ---- */

static char *output_of(const struct fixture *f, const char *command)
{
	char *out = NULL;

	ck_assert_msg(shell(&out, "cd %s && { %s; }", f->dir, command) == 0, "%s", command);
	return out;
}

static size_t count_lines(const char *text, const char *with)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, with)); p += strlen(with))
		n++;
	return n;
}

/* Both servers have the shares that are there, each with its rules, and no others. */
static void check_exported(const struct fixture *f, const char *where)
{
	_cleanup_json_ json_t *shares = list_all(f, "list_shares", "shares"),
			      *rules = list_all(f, "list_access_rules", "access_rules");
	_cleanup_free_ char *nfs = NULL, *smb = NULL, *mounts = NULL, *blocks = NULL;
	size_t there = 0, i, k;
	json_t *share, *rule;

	check_disk(f, where);
	nfs = output_of(f, "busctl --address=unix:path=run/ganesha/bus call org.ganesha.nfsd "
			   "/org/ganesha/nfsd/ExportMgr org.ganesha.nfsd.exportmgr ShowExports");
	smb = output_of(f, "net -s run/samba/smb.conf conf list");
	mounts = output_of(f, "ls run/exports/b 2>/dev/null || true");
	json_array_foreach(shares, i, share) {
		const char *id = str_at(share, "instances.0.id"), *name = str_at(share, "name");
		_cleanup_free_ char *pseudo = xasprintf("\"/%s\"", name), *block = NULL;

		if (strcmp(str_at(share, "status"), "available") != 0)
			continue;
		there++;
		ck_assert_msg(strstr(nfs, pseudo) && strstr(mounts, id), "%s: %s is not exported over NFS", where,
			      name);
		ck_assert_msg(strstr(smb, id), "%s: %s is not exported over SMB", where, name);
		block = xasprintf("cat $(grep -l '\"/%s\"' run/ganesha/exports.d/*)", name);
		free(blocks);
		blocks = output_of(f, block);
		json_array_foreach(rules, k, rule)
			if (strcmp(str_at(rule, "share_id"), str_at(share, "id")) == 0 &&
			    strcmp(str_at(rule, "state"), "active") == 0)
				ck_assert_msg(strstr(strcmp(str_at(rule, "access_type"), "ip") == 0 ? blocks : smb,
						     str_at(rule, "access_to")),
					      "%s: the rule for %s of %s is not in force", where,
					      str_at(rule, "access_to"), name);
	}
	if (there < json_array_size(shares))
		return; /* what is in error may be exported to nobody, or not */
	/* Beside them Ganesha has the root of all. */
	ck_assert_msg(count_lines(nfs, "\"/") == there + 1 && count_lines(smb, "sharesd:instance") == there &&
			      count_lines(mounts, "\n") == there,
		      "%s: %zu shares, and exported are %s%s%s", where, there, nfs, smb, mounts);
}

static const char *const exported_methods[] = { "create_share_instance", "delete_share_instance", "manage_share",
						"unmanage_share",        "allow_access",          "deny_access",
						"update_access",         "revert_to_snapshot",    NULL };

const struct sweep_driver sweep_exported = {
	.name = "btrfs",
	.proto = "NFS_CIFS",
	.methods = exported_methods,
	.options = "root = \"@DIR@/root\"\n export = {\"ganesha\", \"samba\"}\n",
	.begin =
		"truncate -s 256M disk.img && mkfs.btrfs -q disk.img >/dev/null 2>&1 && mount -o loop disk.img root && "
		"btrfs quota enable root && mkdir -m 700 pdb && "
		"printf '[global]\\nprivate dir = pdb\\npassdb backend = tdbsam:passdb.tdb\\n' >pdb/conf && "
		"printf 'x\\nx\\n' | smbpasswd -c pdb/conf -a -s games >/dev/null",
	.end = "kill -9 $(cut -d' ' -f1 run/*/*.pid); sleep 0.2; umount -l run/exports/b/* 2>/dev/null; umount -l root",
	.foreign = "btrfs subvolume create >/dev/null",
	.clear = "for v in .sharesd/snapshots/*/data; do ! [ -e $v ] || btrfs property set $v ro false; done",
	.slow = true,
	.check = check_exported,
};

/* Nothing happens by itself, so that each step is the call's. */
static const char conf[] = "stats_interval = 86400\nusage_interval = 0\nruntime_dir = \"@DIR@/run\"\n"
			   "samba_passdb = \"@DIR@/passdb.tdb\"\nganesha_grace_period = 0\n%s%s%s"
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

const struct sweep_row *sweep_rows_of(const struct sweep_driver *d)
{
	return d->rows ? d->rows : sweep_rows;
}

static bool has_row(const struct sweep_row *rows, const char *method)
{
	for (const struct sweep_row *r = rows; r->method; r++)
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
		ck_assert_msg(!changes_something(m) || !can_do(ops, m) || has_row(sweep_rows, m->name) ||
				      has_row(sweep_replica_rows, m->name),
			      "%s has no row in sweep_rows, and driver %s can do it", m->name, d->name);
	for (const struct sweep_row *r = sweep_rows; r->method; r++)
		ck_assert_msg(method_find(r->method) != NULL, "there is no method %s", r->method);
}

/* ---- a place ---- */

void sweep_open(struct sweep *s, const struct sweep_driver *d, const char *options)
{
	char text[2048];

	*s = (struct sweep){ .driver = d, .events = json_array() };
	ck_assert_uint_lt((size_t)snprintf(text, sizeof text, conf, options, d->top ? d->top : "", recorder_options,
					   recorder_entry(), d->name, d->options),
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
		 row - sweep_rows_of(s->driver), text);
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

static void must_have_ended(void *data, const json_t *record)
{
	const struct sweep *s = data;

	if (strcmp(str_at(record, "state"), "unfinished") == 0)
		ck_abort_msg("%s: a %s is unfinished", s->where, str_at(record, "method"));
}

/* Every record that was cut off has come to an end. */
static void check_records(struct sweep *s)
{
	struct client *c = client_new(s->f);

	each_call(c, &s->checked, must_have_ended, s);
	client_free(c);
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

static void delete_replicas(const struct sweep *s, const json_t *share)
{
	json_t *instance;
	size_t i;

	json_array_foreach(at(share, "instances"), i, instance) {
		const char *state = jsonx_str(instance, "replica_state");

		if (state && strcmp(state, "active") != 0)
			json_decref(call(s->f, "delete_share_replica", "{s:s}", "replica", str_at(instance, "id")));
	}
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

		delete_replicas(s, o);
		json_decref(call(s->f, adopting ? "unmanage_share" : "delete_share_instance", "{s:s}", "share",
				 str_at(o, "id")));
	}
	ck_assert_int_eq(shell(NULL, "cd %s/root && { %s; } && rm -rf [!.l]* .sharesd/snapshots/*", s->f->dir,
			       s->driver->clear ? s->driver->clear : ":"),
			 0);
}
