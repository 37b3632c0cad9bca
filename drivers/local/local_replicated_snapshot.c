#include "drivers/local/local_replicated_snapshot.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/local/local_peer.h"
#include "drivers/local/local_snapshot.h"
#include "drivers/local/local_storage.h"
#include "drivers/local/local_trash.h"

#include <errno.h>
#include <string.h>

static bool is(const char *word, const char *what)
{
	return word && strcmp(word, what) == 0;
}

/* The instance of a snapshot on a replica, or NULL. */
static const struct driver_snapshot *instance_on(const struct driver_call *call, const char *snapshot_id,
						 const char *replica_id)
{
	for (size_t i = 0; i < call->n_snapshots; i++)
		if (is(call->snapshots[i].snapshot_id, snapshot_id) &&
		    is(call->snapshots[i].share_instance_id, replica_id))
			return &call->snapshots[i];
	return NULL;
}

static const struct driver_share *replica_of(const struct driver_call *call, const struct driver_snapshot *s)
{
	for (size_t i = 0; i < call->n_shares; i++)
		if (is(s->share_instance_id, call->shares[i].id))
			return &call->shares[i];
	return NULL;
}

/* ---- bringing them over ---- */

const struct driver_snapshot *local_replicated_snapshot_next(const struct local_root *r, const struct local_root *from,
							     const struct driver_call *call, const char *active_id,
							     struct local_object *ret_source)
{
	for (size_t i = 0; i < call->n_snapshots; i++) {
		_cleanup_object_ struct local_object here = LOCAL_OBJECT_INIT;
		const struct driver_snapshot *s = &call->snapshots[i], *there;

		if (!is(s->share_instance_id, call->share->id) || !is(s->status, "creating") ||
		    local_snapshot_find(r, s, &here, NULL) != -ENOENT)
			continue;
		there = instance_on(call, s->snapshot_id, active_id);
		if (there && is(there->status, "available") && local_snapshot_find(from, there, ret_source, NULL) == 0)
			return s;
	}
	return NULL;
}

const struct driver_snapshot *local_replicated_snapshot_find(const struct local_root *from,
							     const struct driver_call *call, const char *active_id,
							     const char *id, struct local_object *ret_source,
							     struct error *e)
{
	const struct driver_snapshot *there = NULL, *here = NULL;

	for (size_t i = 0; i < call->n_snapshots && !here; i++)
		if (is(call->snapshots[i].id, id))
			here = &call->snapshots[i];
	if (here)
		there = instance_on(call, here->snapshot_id, active_id);
	if (there)
		return local_snapshot_find(from, there, ret_source, e) == 0 ? here : NULL;
	error_set(e, ERR_NOT_FOUND, ENOENT, "the snapshot %s is not known any more", id);
	return NULL;
}

int local_replicated_snapshots_gone(const struct local_root *from, const struct driver_call *call,
				    const char *active_id)
{
	int n = 0;

	for (size_t i = 0; i < call->n_snapshots; i++) {
		_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;

		n += is(call->snapshots[i].share_instance_id, active_id) &&
		     local_snapshot_find(from, &call->snapshots[i], &o, NULL) == -ENOENT;
	}
	return n;
}

int local_replicated_snapshot_place(const struct local_root *r, const struct driver_call *call,
				    const struct driver_snapshot *s, const struct local_object *source, struct error *e)
{
	static const char *const same[] = { "size_bytes", "of_gate", "left_out" };
	_cleanup_json_ json_t *mark = local_snapshot_mark(r->b, s, call->id);
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;

	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (jsonx_get(source->mark, same[i]))
			json_object_set(mark, same[i], json_object_get(source->mark, same[i]));
	return local_snapshot_place(r, call->id, mark, &o, e);
}

void local_replicated_snapshots_abandon(const struct local_root *r, const struct driver_call *call, bool all)
{
	for (size_t i = 0; i < call->n_snapshots; i++) {
		const struct driver_snapshot *s = &call->snapshots[i];

		if (!is(s->share_instance_id, call->share->id))
			continue;
		if (all)
			(void)local_snapshot_remove(r, s, call->id, NULL);
		else
			(void)local_staging_discard(r, s->id, NULL);
	}
}

/* ---- the slots ---- */

static void add_instance(json_t *instances, const struct driver_snapshot *s, const char *status, const char *location)
{
	json_object_set_new(instances, s->id,
			    jsonx_pack("{s:s,s:s*}", "status", status, "provider_location", location));
}

/* As create_snapshot at the active replica; the others follow with their next update. */
static int created(struct driver_result *ret, const struct driver_snapshot *own)
{
	_cleanup_json_ json_t *values = take_ptr(ret->values);
	json_t *instances = json_object();

	add_instance(instances, own, "available", jsonx_str(values, "provider_location"));
	ret->values = jsonx_pack("{s:o}", "instances", instances);
	return 0;
}

/* The call as that of the one instance. */
static int as_own(const struct driver_call *call, struct driver_call *ret, struct error *e)
{
	*ret = *call;
	for (size_t i = 0; i < call->n_snapshots; i++)
		if (is(call->snapshots[i].share_instance_id, call->share->id)) {
			ret->snapshot = &call->snapshots[i];
			return 0;
		}
	return error_set(e, ERR_DRIVER_FAILED, EINVAL, "the snapshot has no instance on the active replica");
}

static int copied(void *backend, void *data, const struct driver_call *call, const json_t *output,
		  const struct error *failure, struct driver_result *ret, struct error *e)
{
	struct driver_call one;
	int n = as_own(call, &one, e);

	if (n < 0 || (n = local_snapshot_copied(backend, data, &one, output, failure, ret, e)) < 0)
		return n;
	return created(ret, one.snapshot);
}

int local_create_replicated_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				     struct error *e)
{
	struct driver_call one;
	int n = as_own(call, &one, e);

	if (n < 0 || (n = local_create_snapshot(backend, &one, ret, e)) < 0)
		return n;
	if (!ret->work || ret->work->background)
		return created(ret, one.snapshot);
	ret->work->finish = copied;
	return 0;
}

static int delete_at(const struct local_backend *b, const struct driver_call *call, const struct driver_snapshot *s,
		     struct driver_result *ret, struct error *e)
{
	const struct driver_share *replica = replica_of(call, s);
	_cleanup_peer_ struct local_peer peer = LOCAL_PEER_INIT;
	int n;

	if (!replica || !replica->path)
		return -ENODEV;
	if ((n = local_peer_open(b, replica, &peer, e)) < 0 || (n = local_snapshot_remove(&peer.r, s, call->id, e)) < 0)
		return n;
	peer.b.storage->purge(&peer.r, ret);
	return 0;
}

/* On every replica that can be reached; the others are asked later. */
int local_delete_replicated_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				     struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_json_ json_t *instances = json_object();
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	for (size_t i = 0; i < call->n_snapshots; i++) {
		const struct driver_snapshot *s = &call->snapshots[i];
		bool own = is(s->share_instance_id, call->share->id);

		n = own ? local_snapshot_remove(&r, s, call->id, e) : delete_at(r.b, call, s, ret, NULL);
		if (n < 0 && own)
			return n;
		if (n == 0)
			add_instance(instances, s, "deleted", NULL);
	}
	r.b->storage->purge(&r, ret);
	ret->values = jsonx_pack("{s:O}", "instances", instances);
	return 0;
}

/* Is it still to come from the active replica? */
static bool is_expected(const struct driver_call *call)
{
	const struct driver_share *active = local_peer_active(call);
	const struct driver_snapshot *there;

	if (!active || strcmp(active->id, call->share->id) == 0)
		return false;
	there = instance_on(call, call->snapshot->snapshot_id, active->id);
	return there && (is(there->status, "available") || is(there->status, "creating"));
}

int local_update_replicated_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				     struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	_cleanup_json_ json_t *instances = json_object();
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	if (is(call->snapshot->status, "deleting")) {
		if ((n = local_snapshot_remove(&r, call->snapshot, call->id, e)) < 0)
			return n;
		add_instance(instances, call->snapshot, "deleted", NULL);
		r.b->storage->purge(&r, ret);
	} else if ((n = local_snapshot_find(&r, call->snapshot, &o, e)) == 0) {
		add_instance(instances, call->snapshot, "available", o.location);
	} else if (n == -ENOENT && is(call->snapshot->status, "creating") && is_expected(call)) {
		error_clear(e);
	} else {
		return n;
	}
	ret->values = jsonx_pack("{s:O}", "instances", instances);
	return 0;
}
