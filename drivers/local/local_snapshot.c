#include "drivers/local/local_snapshot.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"
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

static int publish(const struct local_root *r, const struct driver_call *call, struct driver_result *ret,
		   struct error *e)
{
	const char *id = call->snapshot->id;
	_cleanup_free_ char *left_out = NULL;
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n = local_share_find(r, call->share, &share, e);

	if (n < 0)
		return n;
	o.mark = local_snapshot_mark(r->b, call->snapshot, call->id);
	json_object_set_new(o.mark, "size_bytes", json_integer((json_int_t)call->share->size_bytes));
	json_object_set_new(o.mark, "of_gate", json_boolean(share.in_place && local_gate_takes_rules(&share)));
	left_out = r->b->storage->left_out ? r->b->storage->left_out(r, &share) : NULL;
	if (left_out)
		json_object_set_new(o.mark, "left_out", jsonx_string(left_out));
	o.location = xasprintf(LOCAL_META "/snapshots/%s", id);
	o.gate = path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	if (o.gate < 0)
		return error_errno(e, -o.gate, "cannot open the copy for snapshot %s", call->snapshot->name);
	if ((n = local_object_write(r, &o, e)) < 0 || (n = local_order(r->b, o.gate, "the new snapshot", e)) < 0)
		return n;
	crash_step("local: put the snapshot in its place");
	if (renameat2(r->staging, id, r->snapshots, id, RENAME_NOREPLACE) < 0)
		return error_errno(e, errno, "cannot put snapshot %s in its place in %s", call->snapshot->name,
				   r->b->root);
	crash_step("local: the snapshot is in its place");
	if ((n = local_order(r->b, r->snapshots, "the directory of snapshots", e)) < 0 ||
	    (n = local_flush(r->b, r->staging, "the staging directory", e)) < 0) {
		(void)local_object_trash(r, &o, call->id, NULL);
		return n;
	}
	answer(r, &o, ret);
	return 0;
}

static void undo(const struct local_root *r, const char *id)
{
	(void)local_staging_discard(r, id, NULL);
	(void)local_object_forget(r, id, NULL);
}

static int snapshot_copied(void *backend, void *data, const struct driver_call *call, const json_t *output,
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
	n = r.b->storage->copy(&r, &share, call->snapshot->id, true, call, snapshot_copied, ret, e);
	if (n < 0)
		undo(&r, call->snapshot->id);
	return n;
}

/* ---- removing ---- */

int local_delete_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = local_snapshot_load(&r, call->snapshot, &o, e);
	if (n == 0 && local_object_is_available(&o))
		n = local_object_trash(&r, &o, call->id, e);
	else if (n == -ENOENT)
		n = local_object_forget(&r, call->snapshot->id, e);
	if (n < 0 || (n = local_staging_discard(&r, call->snapshot->id, e)) < 0)
		return n;
	error_clear(e);
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

static bool is_still(int dirfd, const char *name, uint64_t which)
{
	uint64_t id;

	return local_identify(dirfd, name, &id) == 0 && id == which;
}

/* The live data and the staged ones change places in one step. Of an adopted share somebody else may own the directory
 * above: so it is looked at again afterwards. */
static int exchange(const struct local_root *r, const struct local_object *share, int staging, uint64_t now,
		    uint64_t staged, struct error *e)
{
	_cleanup_free_ char *location = local_object_data_location(share);
	const char *name;
	_cleanup_close_ int parent = path_open_parent(r->fd, location, &name);
	int n;

	if (parent < 0)
		return error_errno(e, -parent, "cannot open the directory of %s in %s", location, r->b->root);
	crash_step("local: exchange the data");
	if (!is_still(parent, name, now))
		return error_set(e, ERR_INVALID_STATE, ESTALE, "%s in %s was replaced during the revert: try again",
				 location, r->b->root);
	if (renameat2(staging, "data", parent, name, RENAME_EXCHANGE) < 0)
		return error_errno(e, errno, "cannot put the snapshot's data in the place of %s in %s", location,
				   r->b->root);
	if (!is_still(parent, name, staged) || !is_still(staging, "data", now)) {
		(void)renameat2(staging, "data", parent, name, RENAME_EXCHANGE);
		return error_set(e, ERR_INVALID_STATE, ESTALE, "%s in %s was replaced during the revert: try again",
				 location, r->b->root);
	}
	crash_step("local: the data are exchanged");
	n = local_order(r->b, parent, "the directory of the share's data", e);
	if (n == 0)
		n = local_flush(r->b, staging, "the staging directory", e);
	if (n < 0)
		(void)renameat2(staging, "data", parent, name, RENAME_EXCHANGE);
	return n;
}

/* The mark says before what will be: whoever reads it sees by the data's inode whether it has come to pass. */
static int announce(const struct local_root *r, const struct driver_call *call, struct local_object *share,
		    uint64_t staged, struct error *e)
{
	json_object_set_new(share->mark, "next",
			    jsonx_pack("{s:s,s:I,s:I}", "call_id", call->id, "size_bytes",
				       (json_int_t)call->snapshot->size_bytes, "inode", (json_int_t)staged));
	return local_object_write(r, share, e);
}

static int revert(const struct local_root *r, const struct driver_call *call, struct driver_result *ret,
		  struct error *e)
{
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	_cleanup_close_ int staging = path_open(r->staging, call->share->id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_close_ int data = staging < 0 ? staging : path_open(staging, "data", O_RDONLY | O_DIRECTORY, 0);
	uint64_t now, staged;
	int n;

	n = data < 0 ? data : local_identify(data, ".", &staged);
	if (n < 0)
		return error_errno(e, -n, "cannot open the copy for share %s", call->share->name);
	if ((n = local_share_find(r, call->share, &share, e)) < 0)
		return n;
	if ((n = local_object_data_id(&share, &now)) < 0)
		return error_errno(e, -n, "cannot look at the data of share %s", call->share->name);
	if (r->b->storage->let_go && (n = r->b->storage->let_go(r, &share, false, e)) < 0)
		return n;
	if (share.in_place && local_gate_takes_rules(&share) && (n = local_acl_copy(share.gate, data)) < 0)
		return error_errno(e, -n, "cannot keep the access of share %s", call->share->name);
	if (r->b->storage->limit && (n = r->b->storage->limit(r, data, call->snapshot->size_bytes, e)) < 0)
		return n;
	if ((n = local_order(r->b, data, "the copied data", e)) < 0 || (n = announce(r, call, &share, staged, e)) < 0 ||
	    (n = exchange(r, &share, staging, now, staged, e)) < 0)
		return n;
	local_object_clear(&share);
	if ((n = local_share_find(r, call->share, &share, e)) < 0)
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
