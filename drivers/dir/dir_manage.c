#include "drivers/dir/dir_manage.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/dir/dir_acl.h"
#include "drivers/dir/dir_gate.h"
#include "drivers/dir/dir_place.h"
#include "drivers/dir/dir_trash.h"
#include "drivers/dir/dir_work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- giving back ---- */

/* Mode and ACL as they were when it was adopted. */
static int give_back(const struct dir_object *o, struct error *e)
{
	const char *acl = jsonx_str(o->mark, "acl"), *mode = jsonx_str(o->mark, "mode");
	int n;

	if (!acl || !mode) /* snapshots are not touched */
		return 0;
	crash_step("dir: give the access back");
	n = dir_acl_restore(o->gate, acl, (mode_t)strtoul(mode, NULL, 8));
	if (n < 0)
		return error_errno(e, -n, "cannot give %s its mode and ACL back", o->location);
	crash_step("dir: gave the access back");
	return dir_flush(o->gate, o->location, e);
}

int dir_manage_undo(const struct dir_root *r, const struct dir_object *o, struct error *e)
{
	int n;

	if (strcmp(dir_object_state(o), "managing") != 0)
		return 0;
	if ((n = give_back(o, e)) < 0)
		return n;
	return dir_object_forget(r, jsonx_str(o->mark, "id"), e);
}

static int undo_half(const struct dir_root *r, const json_t *mark, struct error *e)
{
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	struct driver_share s = { .id = jsonx_str(mark, "id"), .name = jsonx_str(mark, "name") };
	int n = dir_share_load(r, &s, &o, e);

	if (n == 0)
		return dir_manage_undo(r, &o, e);
	return n == -ENOENT || n == -ESTALE ? dir_object_forget(r, s.id, e) : n;
}

/* What was given back, and then was removed by its owner or taken again. */
static bool is_outdated(const struct dir_root *r, const json_t *marks, const json_t *mark)
{
	const json_t *other;
	size_t i;

	json_array_foreach(marks, i, other)
		if (strcmp(jsonx_str(other, "state"), "unmanaged") != 0 &&
		    strcmp(jsonx_str(other, "location"), jsonx_str(mark, "location")) == 0)
			return true;
	return !dir_object_file_holds(r, mark);
}

int dir_manage_undo_left(const struct dir_root *r, struct error *e)
{
	_cleanup_json_ json_t *marks = NULL;
	json_t *mark;
	size_t i;
	int n = dir_object_files(r, &marks, e);

	if (n < 0)
		return n;
	json_array_foreach(marks, i, mark) {
		if (strcmp(jsonx_str(mark, "state"), "managing") == 0)
			n = undo_half(r, mark, e);
		else if (strcmp(jsonx_str(mark, "state"), "unmanaged") == 0 && is_outdated(r, marks, mark))
			n = dir_object_forget(r, jsonx_str(mark, "id"), e);
		if (n < 0)
			return n;
	}
	return 0;
}

/* Of what the daemon made: it stays where it is, and says so. */
static int mark_unmanaged(const struct dir_root *r, const struct driver_call *call, struct dir_object *o,
			  struct error *e)
{
	json_object_set_new(o->mark, "state", json_string("unmanaged"));
	json_object_set_new(o->mark, "call_id", json_string(call->id));
	return dir_object_save(r, o, e);
}

static int close_gate(const struct dir_object *o, struct error *e)
{
	int n;

	crash_step("dir: close a gate");
	n = dir_acl_set(o->gate, NULL, 0);
	if (n < 0)
		return error_errno(e, -n, "cannot take the access rules from %s", o->location);
	crash_step("dir: closed a gate");
	return dir_flush(o->gate, o->location, e);
}

static int unmanage(const struct dir_root *r, const struct driver_call *call, struct dir_object *o, struct error *e)
{
	int n;

	if (!o->in_place) {
		if (call->share && !call->snapshot && (n = close_gate(o, e)) < 0)
			return n;
		return mark_unmanaged(r, call, o, e);
	}
	if ((n = give_back(o, e)) < 0)
		return n;
	return dir_object_forget(r, jsonx_str(o->mark, "id"), e);
}

/* What is not there, or is something else by now, has nothing to be given back. */
static int unmanage_found(const struct dir_root *r, const struct driver_call *call, const char *id,
			  struct dir_object *o, int found, struct error *e)
{
	int n = found;

	if (found == 0 && strcmp(dir_object_state(o), "unmanaged") != 0)
		n = unmanage(r, call, o, e);
	else if (found == -ENOENT || found == -ESTALE)
		n = dir_object_forget(r, id, e);
	if (n == 0)
		n = dir_staging_discard(r, id, e);
	if (n == 0)
		error_clear(e);
	return n;
}

int dir_unmanage(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	int n;

	(void)ret;
	if ((n = dir_root_open(backend, &r, e)) < 0)
		return n;
	n = dir_share_load(&r, call->share, &o, e);
	return unmanage_found(&r, call, call->share->id, &o, n, e);
}

int dir_unmanage_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	int n;

	(void)ret;
	if ((n = dir_root_open(backend, &r, e)) < 0)
		return n;
	n = dir_snapshot_load(&r, call->snapshot, &o, e);
	return unmanage_found(&r, call, call->snapshot->id, &o, n, e);
}

/* ---- adopting ---- */

/* The old access is written down before it is changed. */
static int adopt(const struct dir_root *r, struct dir_object *o, json_t *mark, struct error *e)
{
	_cleanup_free_ char *acl = NULL;
	char mode[16];
	struct stat st;
	int n;

	o->mark = json_incref(mark);
	n = fstat(o->gate, &st) < 0 ? -errno : dir_acl_text(o->gate, &acl);
	if (n < 0)
		return error_errno(e, -n, "cannot read mode and ACL of %s", o->location);
	snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777);
	json_object_set_new(mark, "mode", json_string(mode));
	json_object_set_new(mark, "acl", json_string(acl));
	json_object_set_new(mark, "state", json_string("managing"));
	return dir_object_save(r, o, e);
}

/* From here on only its owner and those with a rule get in; these without a gap. */
static int settle(const struct dir_root *r, struct dir_object *o, const struct driver_rules *rules, struct error *e)
{
	int n = dir_gate_set(r, o, rules, NULL, e);

	if (n < 0)
		return n;
	json_object_set_new(o->mark, "state", json_string("available"));
	return dir_object_save(r, o, e);
}

/* The new mark takes the place of the old one, and keeps what it knew of the directory. */
static int take_again(const struct dir_root *r, struct dir_object *o, json_t *mark, struct error *e)
{
	static const char *const kept[] = { "of_gate", "mode", "acl" };
	_cleanup_json_ json_t *old = take_ptr(o->mark);
	int n;

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (jsonx_get(old, kept[i]))
			json_object_set(mark, kept[i], json_object_get(old, kept[i]));
	o->mark = json_incref(mark);
	if ((n = dir_object_save(r, o, e)) < 0)
		return n;
	return o->by_file ? dir_object_forget(r, jsonx_str(old, "id"), e) : 0;
}

/* `mark` is the new one. */
static int apply_to_share(const struct dir_root *r, struct dir_place *p, json_t *mark, const struct driver_rules *rules,
			  struct error *e)
{
	struct dir_object *o = &p->object;
	int n = 0;

	switch (p->what) {
	case DIR_PLACE_OURS:
		return strcmp(dir_object_state(o), "managing") == 0 ? settle(r, o, rules, e) : 0;
	case DIR_PLACE_GIVEN:
		return take_again(r, o, mark, e);
	case DIR_PLACE_ADOPT:
		n = adopt(r, o, mark, e);
		if (n == 0)
			n = settle(r, o, rules, e);
		if (n < 0)
			(void)dir_manage_undo(r, o, NULL);
	}
	return n;
}

/* A snapshot's directory keeps its access: nothing but the mark is new. */
static int apply_to_snapshot(const struct dir_root *r, struct dir_place *p, json_t *mark, struct error *e)
{
	switch (p->what) {
	case DIR_PLACE_OURS:
		return 0;
	case DIR_PLACE_GIVEN:
		return take_again(r, &p->object, mark, e);
	case DIR_PLACE_ADOPT:
		p->object.mark = json_incref(mark);
		return dir_object_save(r, &p->object, e);
	}
	return 0;
}

static int measure(const struct dir_root *r, const struct dir_place *p, dir_finish *finish, struct driver_result *ret,
		   struct error *e)
{
	_cleanup_free_ char *data = dir_object_data_location(&p->object);
	struct stat st;
	int n = dir_object_stat_data(&p->object, &st);

	if (n < 0)
		return error_errno(e, -n, "cannot look at the data of %s", p->object.location);
	dir_work_measure(r, data, st.st_ino, finish, ret);
	return 0;
}

static json_int_t at_least_one(json_int_t n)
{
	return n > 0 ? n : 1;
}

static int share_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			  const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_json_ json_t *mark = NULL;
	_cleanup_free_ char *exported = NULL;
	json_int_t used = at_least_one(jsonx_int(output, "used_bytes"));
	struct dir_place p;
	int n;

	(void)data;
	if (failure)
		return dir_work_failed(failure, e);
	if ((n = dir_root_open(backend, &r, e)) < 0 ||
	    (n = dir_place_find(&r, "share", call->share->id, call->share->provider_location, &p, e)) < 0)
		return n;
	mark = dir_share_mark(r.b, call->share, call->id);
	if (call->share->size_bytes == 0)
		json_object_set_new(mark, "size_bytes", json_integer(used));
	n = call->dry_run ? 0 : apply_to_share(&r, &p, mark, call->rules, e);
	if (n == 0) {
		exported = dir_object_data_location(&p.object);
		ret->values = jsonx_pack("{s:I,s:o,s:s}", "size_bytes", used, "export_locations",
					 dir_root_export(r.b, exported), "provider_location", p.object.location);
	}
	dir_object_clear(&p.object);
	return n;
}

int dir_manage_existing(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	struct dir_place p;
	int n;

	if ((n = dir_root_open(backend, &r, e)) < 0 ||
	    (n = dir_place_find(&r, "share", call->share->id, call->share->provider_location, &p, e)) < 0)
		return n;
	n = measure(&r, &p, share_measured, ret, e);
	dir_object_clear(&p.object);
	return n;
}

/* Like every snapshot, at least as large as its share; larger where that is what is in it. */
static json_int_t snapshot_size(const struct driver_call *call, const json_t *output)
{
	json_int_t used = at_least_one(jsonx_int(output, "used_bytes"));
	json_int_t share = call->share ? (json_int_t)call->share->size_bytes : 0;

	return used > share ? used : share;
}

static int snapshot_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			     const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_json_ json_t *mark = NULL;
	struct dir_place p;
	int n;

	(void)data;
	if (failure)
		return dir_work_failed(failure, e);
	if ((n = dir_root_open(backend, &r, e)) < 0 ||
	    (n = dir_place_find(&r, "snapshot", call->snapshot->id, call->snapshot->provider_location, &p, e)) < 0)
		return n;
	mark = dir_snapshot_mark(r.b, call->snapshot, call->id);
	json_object_set_new(mark, "size_bytes", json_integer(snapshot_size(call, output)));
	n = apply_to_snapshot(&r, &p, mark, e);
	if (n == 0)
		ret->values = jsonx_pack("{s:I,s:s}", "size_bytes", snapshot_size(call, output), "provider_location",
					 p.object.location);
	dir_object_clear(&p.object);
	return n;
}

int dir_manage_existing_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				 struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	struct dir_place p;
	int n;

	if ((n = dir_root_open(backend, &r, e)) < 0 ||
	    (n = dir_place_find(&r, "snapshot", call->snapshot->id, call->snapshot->provider_location, &p, e)) < 0)
		return n;
	n = measure(&r, &p, snapshot_measured, ret, e);
	dir_object_clear(&p.object);
	return n;
}
