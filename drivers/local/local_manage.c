#include "drivers/local/local_manage.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_gate.h"
#include "drivers/local/local_place.h"
#include "drivers/local/local_replica.h"
#include "drivers/local/local_trash.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- giving back ---- */

/* Mode and ACL as they were when it was adopted. */
static int give_back(const struct local_root *r, const struct local_object *o, struct error *e)
{
	const char *acl = jsonx_str(o->mark, "acl"), *mode = jsonx_str(o->mark, "mode");
	int n;

	if (!acl || !mode) /* snapshots are not touched */
		return 0;
	crash_step("local: give the access back");
	n = local_acl_restore(o->gate, acl, (mode_t)strtoul(mode, NULL, 8));
	/* As in local_gate.c. */
	if (n == -EDQUOT && local_object_limit(r, o, 0, NULL) == 0) {
		n = local_acl_restore(o->gate, acl, (mode_t)strtoul(mode, NULL, 8));
		if (local_object_limit(r, o, (uint64_t)jsonx_int(o->mark, "size_bytes"), e) < 0)
			return -EIO;
	}
	if (n < 0)
		return error_errno(e, -n, "cannot give %s its mode and ACL back", o->location);
	crash_step("local: gave the access back");
	return local_flush(r->b, o->gate, o->location, e);
}

int local_manage_undo(const struct local_root *r, const struct local_object *o, struct error *e)
{
	int n;

	if (strcmp(local_object_state(o), "managing") != 0)
		return 0;
	if ((n = give_back(r, o, e)) < 0 ||
	    (jsonx_get(o->mark, "limit") &&
	     (n = local_object_limit(r, o, (uint64_t)jsonx_int(o->mark, "limit"), e)) < 0))
		return n;
	return local_object_forget(r, jsonx_str(o->mark, "id"), e);
}

static int undo_half(const struct local_root *r, const json_t *mark, struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	struct driver_share s = { .id = jsonx_str(mark, "id"), .name = jsonx_str(mark, "name") };
	int n = local_share_load(r, &s, &o, e);

	if (n == 0)
		return local_manage_undo(r, &o, e);
	return n == -ENOENT || n == -ESTALE ? local_object_forget(r, s.id, e) : n;
}

/* What was given back, and then was removed by its owner or taken again. */
static bool is_outdated(const struct local_root *r, const json_t *marks, const json_t *mark)
{
	const json_t *other;
	size_t i;

	json_array_foreach(marks, i, other)
		if (strcmp(jsonx_str(other, "state"), "unmanaged") != 0 &&
		    strcmp(jsonx_str(other, "location"), jsonx_str(mark, "location")) == 0)
			return true;
	return !local_object_file_holds(r, mark);
}

int local_manage_undo_left(const struct local_root *r, struct error *e)
{
	_cleanup_json_ json_t *marks = NULL;
	json_t *mark;
	size_t i;
	int n = local_object_files(r, &marks, e);

	if (n < 0)
		return n;
	json_array_foreach(marks, i, mark) {
		if (strcmp(jsonx_str(mark, "state"), "managing") == 0)
			n = undo_half(r, mark, e);
		else if (strcmp(jsonx_str(mark, "state"), "unmanaged") == 0 && is_outdated(r, marks, mark))
			n = local_object_forget(r, jsonx_str(mark, "id"), e);
		if (n < 0)
			return n;
	}
	return 0;
}

/* Of what the daemon made: it stays where it is, and says so. */
static int mark_unmanaged(const struct local_root *r, const struct driver_call *call, struct local_object *o,
			  struct error *e)
{
	json_object_set_new(o->mark, "state", json_string("unmanaged"));
	json_object_set_new(o->mark, "call_id", json_string(call->id));
	return local_object_save(r, o, e);
}

static int close_gate(const struct local_root *r, const struct local_object *o, struct error *e)
{
	int n;

	crash_step("local: close a gate");
	n = local_acl_set(o->gate, NULL, 0);
	if (n < 0)
		return error_errno(e, -n, "cannot take the access rules from %s", o->location);
	crash_step("local: closed a gate");
	return local_order(r->b, o->gate, o->location, e);
}

static int unmanage(const struct local_root *r, const struct driver_call *call, struct local_object *o, struct error *e)
{
	int n;

	if (!o->in_place) {
		if (call->share && !call->snapshot && (n = close_gate(r, o, e)) < 0)
			return n;
		return mark_unmanaged(r, call, o, e);
	}
	if ((n = give_back(r, o, e)) < 0)
		return n;
	return local_object_forget(r, jsonx_str(o->mark, "id"), e);
}

/* What is not there, or is something else by now, has nothing to be given back. */
static int unmanage_found(const struct local_root *r, const struct driver_call *call, const char *id,
			  struct local_object *o, int found, struct error *e)
{
	int n = found;

	if (found == 0 && strcmp(local_object_state(o), "unmanaged") != 0)
		n = unmanage(r, call, o, e);
	else if (found == -ENOENT || found == -ESTALE)
		n = local_object_forget(r, id, e);
	if (n == 0)
		n = local_staging_discard(r, id, e);
	if (n == 0)
		error_clear(e);
	return n;
}

int local_unmanage(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = local_share_load(&r, call->share, &o, e);
	if ((n = unmanage_found(&r, call, call->share->id, &o, n, e)) < 0)
		return n;
	local_replica_forget(&r, call->share, call->id);
	r.b->storage->purge(&r, ret);
	return 0;
}

int local_unmanage_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	(void)ret;
	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = local_snapshot_load(&r, call->snapshot, &o, e);
	return unmanage_found(&r, call, call->snapshot->id, &o, n, e);
}

/* ---- adopting ---- */

/* The old limit is written down before it is changed. */
static int note_limit(const struct local_root *r, const struct local_object *o, json_t *mark, struct error *e)
{
	_cleanup_close_ int data = -1;

	if (!r->b->size_enforced)
		return 0;
	data = local_object_open_data(o, e);
	if (data < 0)
		return data;
	json_object_set_new(mark, "limit", json_integer((json_int_t)r->b->storage->find_limit(r, data)));
	return 0;
}

static int note_access(const struct local_object *o, json_t *mark, struct error *e)
{
	_cleanup_free_ char *acl = NULL;
	char mode[16];
	struct stat st;
	int n = fstat(o->gate, &st) < 0 ? -errno : local_acl_text(o->gate, &acl);

	if (n < 0)
		return error_errno(e, -n, "cannot read mode and ACL of %s", o->location);
	snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777);
	json_object_set_new(mark, "mode", json_string(mode));
	json_object_set_new(mark, "acl", json_string(acl));
	return 0;
}

/* What will be changed is written down before. */
static int adopt(const struct local_root *r, struct local_object *o, json_t *mark, struct error *e)
{
	int n;

	o->mark = json_incref(mark);
	if ((local_gate_takes_rules(o) && (n = note_access(o, mark, e)) < 0) || (n = note_limit(r, o, mark, e)) < 0)
		return n;
	json_object_set_new(mark, "state", json_string("managing"));
	return local_object_write(r, o, e);
}

/* From here on, where it is its own gate, only its owner and those with a rule get in; these without a gap. */
static int settle(const struct local_root *r, struct local_object *o, const struct driver_rules *rules, struct error *e)
{
	int n;

	if ((local_gate_takes_rules(o) && (n = local_gate_set(r, o, rules, false, NULL, e)) < 0) ||
	    (n = local_object_limit(r, o, (uint64_t)jsonx_int(o->mark, "size_bytes"), e)) < 0)
		return n;
	json_object_del(o->mark, "limit");
	json_object_set_new(o->mark, "state", json_string("available"));
	return local_object_save(r, o, e);
}

/* The new mark takes the place of the old one, and keeps what it knew of the directory. */
static int take_again(const struct local_root *r, struct local_object *o, json_t *mark, struct error *e)
{
	static const char *const kept[] = { "of_gate", "mode", "acl" };
	_cleanup_json_ json_t *old = take_ptr(o->mark);
	int n;

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (jsonx_get(old, kept[i]))
			json_object_set(mark, kept[i], json_object_get(old, kept[i]));
	o->mark = json_incref(mark);
	if ((n = local_object_save(r, o, e)) < 0)
		return n;
	return o->by_file ? local_object_forget(r, jsonx_str(old, "id"), e) : 0;
}

/* `mark` is the new one. */
static int apply_to_share(const struct local_root *r, struct local_place *p, json_t *mark,
			  const struct driver_rules *rules, struct error *e)
{
	struct local_object *o = &p->object;
	int n = 0;

	switch (p->what) {
	case LOCAL_PLACE_OURS:
		return strcmp(local_object_state(o), "managing") == 0 ? settle(r, o, rules, e)
								      : local_gate_prepare(o, e);
	case LOCAL_PLACE_GIVEN:
		n = local_object_limit(r, o, (uint64_t)jsonx_int(mark, "size_bytes"), e);
		if (n == 0)
			n = take_again(r, o, mark, e);
		return n == 0 ? local_gate_prepare(o, e) : n;
	case LOCAL_PLACE_ADOPT:
		n = adopt(r, o, mark, e);
		if (n == 0)
			n = settle(r, o, rules, e);
		if (n < 0)
			(void)local_manage_undo(r, o, NULL);
	}
	return n;
}

/* A snapshot's directory keeps its access: nothing but the mark is new. */
static int apply_to_snapshot(const struct local_root *r, struct local_place *p, json_t *mark, struct error *e)
{
	switch (p->what) {
	case LOCAL_PLACE_OURS:
		return 0;
	case LOCAL_PLACE_GIVEN:
		return take_again(r, &p->object, mark, e);
	case LOCAL_PLACE_ADOPT:
		p->object.mark = json_incref(mark);
		return local_object_save(r, &p->object, e);
	}
	return 0;
}

static json_int_t at_least_one(json_int_t n)
{
	return n > 0 ? n : 1;
}

/* The size of a share that is adopted: what the client says, else the limit that it has, else what is used; that in
 * whole GiB where it is enforced, so that its users can go on writing. */
static int find_size(const struct local_root *r, const struct local_object *o, const struct driver_share *s,
		     json_int_t used, json_int_t *ret, struct error *e)
{
	const json_int_t gib = (json_int_t)1 << 30;
	_cleanup_close_ int data = -1;
	char has[32], asked[32];

	*ret = s->size_bytes > 1 ? (json_int_t)s->size_bytes : used;
	if (!r->b->size_enforced)
		return 0;
	if (*ret < used)
		return error_set(e, ERR_DATA_LOSS, EFBIG,
				 "%s uses %s, which does not fit into %s: manage it with a larger size_bytes",
				 o->location, text_format_size((uint64_t)used, has),
				 text_format_size((uint64_t)*ret, asked));
	if (s->size_bytes > 1)
		return 0;
	data = local_object_open_data(o, e);
	if (data < 0)
		return data;
	*ret = (json_int_t)r->b->storage->find_limit(r, data);
	if (*ret == 0)
		*ret = (used + gib - 1) / gib * gib;
	return 0;
}

static int share_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			  const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_json_ json_t *mark = NULL;
	_cleanup_free_ char *exported = NULL;
	json_int_t used = at_least_one(jsonx_int(output, "used_bytes"));
	struct local_place p;
	json_int_t size;
	int n;

	(void)data;
	if (failure)
		return local_work_failed(failure, e);
	if ((n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_place_find(&r, "share", call->share->id, call->share->provider_location, &p, e)) < 0)
		return n;
	n = find_size(&r, &p.object, call->share, used, &size, e);
	if (n == 0) {
		mark = local_share_mark(r.b, call->share, call->id);
		json_object_set_new(mark, "size_bytes", json_integer(size));
	}
	if (n == 0 && !call->dry_run)
		n = apply_to_share(&r, &p, mark, call->rules, e);
	if (n == 0) {
		exported = local_object_data_location(&p.object);
		ret->values = jsonx_pack("{s:I,s:o,s:s}", "size_bytes", size, "export_locations",
					 local_root_export(r.b, exported), "provider_location", p.object.location);
	}
	local_object_clear(&p.object);
	return n;
}

int local_manage_existing(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	struct local_place p;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_place_find(&r, "share", call->share->id, call->share->provider_location, &p, e)) < 0)
		return n;
	n = r.b->storage->measure(&r, &p.object, call, share_measured, ret, e);
	local_object_clear(&p.object);
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
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_json_ json_t *mark = NULL;
	struct local_place p;
	int n;

	(void)data;
	if (failure)
		return local_work_failed(failure, e);
	if ((n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_place_find(&r, "snapshot", call->snapshot->id, call->snapshot->provider_location, &p, e)) < 0)
		return n;
	mark = local_snapshot_mark(r.b, call->snapshot, call->id);
	json_object_set_new(mark, "size_bytes", json_integer(snapshot_size(call, output)));
	n = apply_to_snapshot(&r, &p, mark, e);
	if (n == 0)
		ret->values = jsonx_pack("{s:I,s:s}", "size_bytes", snapshot_size(call, output), "provider_location",
					 p.object.location);
	local_object_clear(&p.object);
	return n;
}

int local_manage_existing_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				   struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	struct local_place p;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_place_find(&r, "snapshot", call->snapshot->id, call->snapshot->provider_location, &p, e)) < 0)
		return n;
	n = r.b->storage->measure(&r, &p.object, call, snapshot_measured, ret, e);
	local_object_clear(&p.object);
	return n;
}
