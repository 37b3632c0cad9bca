#include "drivers/local/local_snapshot.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_exchange.h"
#include "drivers/local/local_gate.h"
#include "drivers/local/local_object.h"
#include "drivers/local/local_trash.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- making ---- */

static void answer(const struct local_root *r, const struct local_object *o, struct driver_result *ret)
{
	ret->values = jsonx_pack("{s:s,s:O}", "provider_location", o->location, "size_bytes",
				 json_object_get(o->mark, "size_bytes"));
	if (jsonx_get(o->mark, "left_out"))
		json_object_set_new(ret->values, "metadata",
				    jsonx_pack("{s:O}", "left_out", json_object_get(o->mark, "left_out")));
	r->b->storage->purge(r, ret);
}

int local_snapshot_place(const struct local_root *r, const char *call_id, json_t *mark, struct local_object *ret,
			 struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	const char *id = jsonx_str(mark, "id"), *name = jsonx_str(mark, "name");
	int n;

	o.mark = json_incref(mark);
	o.location = xasprintf(LOCAL_META "/snapshots/%s", id);
	o.gate = path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	if (o.gate < 0)
		return error_errno(e, -o.gate, "cannot open the copy for snapshot %s", name);
	if ((n = local_object_write(r, &o, e)) < 0 || (n = local_order(r->b, o.gate, "the new snapshot", e)) < 0)
		return n;
	crash_step("local: put the snapshot in its place");
	if (renameat2(r->staging, id, r->snapshots, id, RENAME_NOREPLACE) < 0)
		return error_errno(e, errno, "cannot put snapshot %s in its place in %s", name, r->b->root);
	crash_step("local: the snapshot is in its place");
	if ((n = local_order(r->b, r->snapshots, "the directory of snapshots", e)) < 0 ||
	    (n = local_flush(r->b, r->staging, "the staging directory", e)) < 0) {
		(void)local_object_trash(r, &o, call_id, NULL);
		return n;
	}
	*ret = o;
	o = LOCAL_OBJECT_INIT;
	return 0;
}

static int publish(const struct local_root *r, const struct driver_call *call, struct driver_result *ret,
		   struct error *e)
{
	_cleanup_json_ json_t *mark = local_snapshot_mark(r->b, call->snapshot, call->id);
	_cleanup_free_ char *left_out = NULL;
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n = local_share_find(r, call->share, &share, e);

	if (n < 0)
		return n;
	json_object_set_new(mark, "size_bytes", json_integer((json_int_t)call->share->size_bytes));
	json_object_set_new(mark, "of_gate", json_boolean(share.in_place && local_gate_takes_rules(&share)));
	left_out = r->b->storage->left_out ? r->b->storage->left_out(r, &share) : NULL;
	if (left_out)
		json_object_set_new(mark, "left_out", jsonx_string(left_out));
	if ((n = local_snapshot_place(r, call->id, mark, &o, e)) < 0)
		return n;
	answer(r, &o, ret);
	return 0;
}

static void undo(const struct local_root *r, const char *id)
{
	(void)local_staging_discard(r, id, NULL);
	(void)local_object_forget(r, id, NULL);
}

int local_snapshot_copied(void *backend, void *data, const struct driver_call *call, const json_t *output,
			  const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n = local_root_open(backend, &r, e);

	(void)data, (void)output;
	if (n < 0)
		return n;
	n = failure ? local_work_failed(failure, e) : publish(&r, call, ret, e);
	if (n < 0)
		undo(&r, call->snapshot->id);
	return n;
}

int local_create_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	_cleanup_close_ int gate = -1;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = local_snapshot_find(&r, call->snapshot, &o, e);
	if (n == 0) { /* this call was made before */
		n = local_flush(r.b, r.snapshots, "the directory of snapshots", e);
		if (n == 0)
			answer(&r, &o, ret);
		return n;
	}
	if (n != -ENOENT)
		return n;
	error_clear(e);
	if ((n = local_share_find(&r, call->share, &share, e)) < 0 ||
	    (n = local_staging_make(&r, call->snapshot->id, &gate, e)) < 0)
		return n;
	n = r.b->storage->copy(&r, &share, call->snapshot->id, true, call, local_snapshot_copied, ret, e);
	if (n < 0)
		undo(&r, call->snapshot->id);
	return n;
}

/* ---- removing ---- */

int local_snapshot_remove(const struct local_root *r, const struct driver_snapshot *s, const char *call_id,
			  struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n = local_snapshot_load(r, s, &o, e);

	if (n == 0 && local_object_is_available(&o))
		n = local_object_trash(r, &o, call_id, e);
	else if (n == -ENOENT)
		n = local_object_forget(r, s->id, e);
	if (n < 0 || (n = local_staging_discard(r, s->id, e)) < 0)
		return n;
	error_clear(e);
	return 0;
}

int local_delete_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_snapshot_remove(&r, call->snapshot, call->id, e)) < 0)
		return n;
	r.b->storage->purge(&r, ret);
	return 0;
}

/* ---- reverting ---- */

static void reverted(const struct local_root *r, const struct local_object *share, struct driver_result *ret)
{
	_cleanup_free_ char *data = local_object_data_location(share);

	ret->values = jsonx_pack("{s:O,s:o}", "size_bytes", json_object_get(share->mark, "size_bytes"),
				 "export_locations", local_root_export(r->b, data));
	r->b->storage->purge(r, ret);
}

static int revert(const struct local_root *r, const struct driver_call *call, struct driver_result *ret,
		  struct error *e)
{
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_share_find(r, call->share, &share, e)) < 0 ||
	    (r->b->storage->let_go && (n = r->b->storage->let_go(r, &share, false, e)) < 0) ||
	    (n = local_exchange(r, call->id, call->share->id, call->snapshot->size_bytes, &share, e)) < 0)
		return n;
	/* What the mark announced has come to pass, so it is true whether or not this is written. */
	(void)local_object_save(r, &share, NULL);
	(void)local_staging_discard(r, call->share->id, NULL);
	reverted(r, &share, ret);
	return 0;
}

static int snapshot_staged(void *backend, void *data, const struct driver_call *call, const json_t *output,
			   const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n = local_root_open(backend, &r, e);

	(void)data, (void)output;
	if (n < 0)
		return n;
	n = failure ? local_work_failed(failure, e) : revert(&r, call, ret, e);
	if (n < 0)
		(void)local_staging_discard(&r, call->share->id, NULL);
	return n;
}

int local_revert_to_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	_cleanup_close_ int staging = -1;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = local_share_find(&r, call->share, &share, e)) < 0)
		return n;
	if (strcmp(jsonx_str(share.mark, "call_id"), call->id) == 0) { /* this call was made before */
		reverted(&r, &share, ret);
		return 0;
	}
	if ((n = local_snapshot_find(&r, call->snapshot, &snapshot, e)) < 0 ||
	    (n = local_staging_make(&r, call->share->id, &staging, e)) < 0)
		return n;
	n = r.b->storage->copy(&r, &snapshot, call->share->id, false, call, snapshot_staged, ret, e);
	if (n < 0)
		(void)local_staging_discard(&r, call->share->id, NULL);
	return n;
}
