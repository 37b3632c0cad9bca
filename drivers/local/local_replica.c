#include "drivers/local/local_replica.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_exchange.h"
#include "drivers/local/local_gate.h"
#include "drivers/local/local_peer.h"
#include "drivers/local/local_replicated_snapshot.h"
#include "drivers/local/local_share.h"
#include "drivers/local/local_snapshot.h"
#include "drivers/local/local_storage.h"
#include "drivers/local/local_trash.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* What a transfer is for. */
enum purpose { TO_CREATE, TO_UPDATE, TO_PROMOTE };

/* One call, opened. */
struct task {
	struct local_root r;
	struct local_peer source;  /* where the data come from */
	struct local_object share; /* the replica; not opened while it is made */
	const struct driver_share *active;
	const struct driver_call *call;
	enum purpose purpose;
};
#define TASK_INIT      ((struct task){ .r = LOCAL_ROOT_INIT, .source = LOCAL_PEER_INIT, .share = LOCAL_OBJECT_INIT })
#define _cleanup_task_ __attribute__((__cleanup__(task_clear)))

static void task_clear(struct task *t)
{
	local_object_clear(&t->share);
	local_peer_close(&t->source);
	local_root_close(&t->r);
}

static const struct local_replication *replication_of(const struct local_root *r)
{
	return r->b->storage->replication;
}

static int task_open(const struct local_backend *b, const struct driver_call *call, enum purpose purpose,
		     struct task *t, struct error *e)
{
	int n;

	t->call = call;
	t->purpose = purpose;
	t->active = local_peer_active(call);
	if ((n = local_root_open(b, &t->r, e)) < 0)
		return n;
	if (!t->active)
		return error_set(e, ERR_DRIVER_FAILED, EINVAL, "share %s has no active replica", call->share->name);
	return purpose == TO_CREATE ? 0 : local_share_find(&t->r, call->share, &t->share, e);
}

/* ---- holding ---- */

bool local_replica_is_secondary(const struct driver_share *s)
{
	return s->replica_state && strcmp(s->replica_state, "active") != 0;
}

bool local_replica_can_hold(const struct local_root *r)
{
	return replication_of(r) && replication_of(r)->hold;
}

int local_replica_hold(const struct local_root *r, const struct local_object *o, bool read_only, struct error *e)
{
	const struct local_replication *how = replication_of(r);
	_cleanup_close_ int data = -1;

	if (!local_replica_can_hold(r))
		return 0;
	data = local_object_open_data(o, e);
	return data < 0 ? data : how->hold(r, data, read_only, e);
}

void local_replica_forget(const struct local_root *r, const struct driver_share *s, const char *call_id)
{
	const struct local_replication *how = replication_of(r);

	if (how && how->forget && s->share_id)
		how->forget(r, s->share_id, NULL, call_id);
}

static void forget_at(const struct local_root *r, const struct driver_call *call, const char *id)
{
	const struct local_replication *how = replication_of(r);

	if (how->forget)
		how->forget(r, call->share->share_id, id, call->id);
}

/* ---- the end: what was brought takes its place ---- */

static int put_copy_mark(struct task *t, bool copy, struct error *e)
{
	if (copy)
		json_object_set_new(t->share.mark, "copy", json_true());
	else
		json_object_del(t->share.mark, "copy");
	return local_object_save(&t->r, &t->share, e);
}

static char *staged_data(const struct task *t)
{
	return xasprintf("%s/data", t->call->share->id);
}

static int stage(const struct task *t, struct error *e)
{
	const struct local_replication *how = replication_of(&t->r);
	_cleanup_close_ int staging = -1;
	int n;

	if (!how->stage)
		return 0;
	n = local_staging_make(&t->r, t->call->share->id, &staging, e);
	return n < 0 ? n : how->stage(&t->r, t->call->share, e);
}

/* Of an adopted share the root is its gate, whose ACL and mode are the rules there: the copy gets those that it had
 * before. Where the source cannot be asked, the data that are shown have them. */
static int fit_root(const struct task *t, struct error *e)
{
	const struct local_object *source = &t->source.share;
	const char *acl = jsonx_str(source->mark, "acl"), *mode = jsonx_str(source->mark, "mode");
	_cleanup_free_ char *staged = staged_data(t);
	_cleanup_close_ int data = path_open(t->r.staging, staged, O_RDONLY | O_DIRECTORY, 0), shown = -1;
	int n = 0;

	if (data < 0)
		return error_errno(e, -data, "cannot open the copy of share %s", t->call->share->name);
	if (source->mark && source->in_place && acl && mode && local_gate_takes_rules(source)) {
		n = local_acl_restore(data, acl, (mode_t)strtoul(mode, NULL, 8));
	} else if (!source->mark) {
		if ((shown = local_object_open_data(&t->share, e)) < 0)
			return shown;
		n = local_acl_copy(shown, data);
	}
	if (n < 0)
		return error_errno(e, -n, "cannot set the access of the root of share %s", t->call->share->name);
	return local_order(t->r.b, data, "the root of the copy", e);
}

/* Whether the replica's data are older than what there is in their place. */
static bool is_behind(const struct task *t, bool brought)
{
	const struct local_replication *how = replication_of(&t->r);
	_cleanup_free_ char *staged = staged_data(t);
	_cleanup_close_ int data = -1;

	if (how->stage && t->purpose == TO_PROMOTE)
		return brought || jsonx_bool(t->share.mark, "copy");
	if (how->stage)
		return !jsonx_bool(t->share.mark, "copy") || !how->is_shown(&t->r, t->call->share, &t->share);
	if (brought)
		data = path_open(t->r.staging, staged, O_RDONLY | O_DIRECTORY, 0);
	return data >= 0;
}

static int try_to_show(struct task *t, bool writable, struct error *e)
{
	const struct driver_call *call = t->call;
	const char *id = call->share->id;
	int n;

	/* What is held cannot be moved either. */
	if ((n = stage(t, e)) < 0 || (n = fit_root(t, e)) < 0 ||
	    (n = local_replica_hold(&t->r, &t->share, false, e)) < 0 ||
	    (n = local_exchange(&t->r, call->id, id, call->share->size_bytes, &t->share, e)) < 0 ||
	    (!writable && (n = local_replica_hold(&t->r, &t->share, true, e)) < 0) ||
	    (n = put_copy_mark(t, !writable, e)) < 0)
		return n;
	return 0;
}

/* The replica's data are replaced by a copy of what was kept. A promoted one is writable, any other is not. */
static int show(struct task *t, bool writable, struct error *e)
{
	int n = try_to_show(t, writable, e), gone = local_staging_discard(&t->r, t->call->share->id, n < 0 ? NULL : e);

	return n < 0 ? n : gone;
}

static void answer_state(const struct task *t, const char *state, struct driver_result *ret)
{
	ret->values = jsonx_pack("{s:s}", "replica_state", state);
	t->r.b->storage->purge(&t->r, ret);
}

static void answer_promoted(const struct task *t, struct driver_result *ret)
{
	_cleanup_free_ char *data = local_object_data_location(&t->share);

	ret->values = jsonx_pack("{s:{s:{s:s,s:o}}}", "replicas", t->call->share->id, "replica_state", "active",
				 "export_locations", local_root_export(t->r.b, data));
	t->r.b->storage->purge(&t->r, ret);
}

static int end_create(struct task *t, struct driver_result *ret, struct error *e)
{
	const struct driver_call *call = t->call;
	_cleanup_close_ int gate = -1, data = -1;
	int n;

	if ((n = stage(t, e)) < 0 || (n = fit_root(t, e)) < 0)
		return n;
	gate = path_open(t->r.staging, call->share->id, O_RDONLY | O_DIRECTORY, 0);
	data = gate < 0 ? gate : path_open(gate, "data", O_RDONLY | O_DIRECTORY, 0);
	if (data < 0)
		return error_errno(e, -data, "cannot open the copy of share %s", call->share->name);
	if (replication_of(&t->r)->hold && (n = replication_of(&t->r)->hold(&t->r, data, true, e)) < 0)
		return n;
	if ((n = local_share_place(&t->r, call, gate, ret, e)) == 0)
		json_object_set_new(ret->values, "replica_state", json_string("in_sync"));
	return n;
}

static int end_update(struct task *t, bool brought, struct driver_result *ret, struct error *e)
{
	int n;

	if (is_behind(t, brought))
		n = show(t, false, e);
	else if ((n = local_object_limit(&t->r, &t->share, t->call->share->size_bytes, e)) == 0)
		n = local_staging_discard(&t->r, t->call->share->id, e);
	if (n == 0 && !jsonx_bool(t->share.mark, "copy"))
		n = put_copy_mark(t, true, e);
	if (n == 0)
		answer_state(t, "in_sync", ret);
	return n;
}

/* What the mark calls a copy is what was kept last. One that was the active replica before, and was not updated since,
 * has only what it has. */
static int end_promote(struct task *t, bool brought, struct driver_result *ret, struct error *e)
{
	int n;

	if (is_behind(t, brought)) {
		if ((n = show(t, true, e)) < 0)
			return n;
	} else if ((n = local_replica_hold(&t->r, &t->share, false, e)) < 0 ||
		   (n = local_object_limit(&t->r, &t->share, t->call->share->size_bytes, e)) < 0 ||
		   (n = put_copy_mark(t, false, e)) < 0 ||
		   (n = local_staging_discard(&t->r, t->call->share->id, e)) < 0) {
		return n;
	}
	answer_promoted(t, ret);
	return 0;
}

static int end(struct task *t, bool brought, struct driver_result *ret, struct error *e)
{
	switch (t->purpose) {
	case TO_CREATE:
		return end_create(t, ret, e);
	case TO_UPDATE:
		return end_update(t, brought, ret, e);
	case TO_PROMOTE:
		return end_promote(t, brought, ret, e);
	}
	return error_set(e, ERR_INTERNAL, EINVAL, "an unknown purpose");
}

/* ---- transfers, one after another ---- */

static struct local_transfer transfer_of(const struct task *t)
{
	return (struct local_transfer){ .call = t->call,
					.from = &t->source.r,
					.to = &t->r,
					.source = &t->source.share,
					.source_id = t->active->id,
					.replica = t->purpose == TO_CREATE ? NULL : &t->share,
					.id = t->call->share->id };
}

/* Nothing is left behind of what was cut off. */
static void abandon(const struct task *t, struct driver_result *ret)
{
	const struct driver_call *call = t->call;
	struct local_transfer x = transfer_of(t);

	(void)local_staging_discard(&t->r, call->share->id, NULL);
	local_replicated_snapshots_abandon(&t->r, call, t->purpose == TO_CREATE);
	if (t->source.r.b && replication_of(&t->r)->abandon)
		replication_of(&t->r)->abandon(&x);
	if (t->purpose == TO_CREATE) {
		forget_at(&t->r, call, call->share->id);
		if (t->source.r.b)
			forget_at(&t->source.r, call, call->share->id);
		(void)local_object_forget(&t->r, call->share->id, NULL);
	}
	t->r.b->storage->purge(&t->r, ret);
	if (t->source.r.b)
		t->source.b.storage->purge(&t->source.r, ret);
}

static int count_gone(const struct task *t)
{
	return local_replicated_snapshots_gone(&t->source.r, t->call, t->active->id);
}

static local_finish transferred;

/* 1: there is nothing to bring. */
static int begin(const struct task *t, const struct local_transfer *x, struct driver_result *ret, struct error *e)
{
	_cleanup_close_ int staging = -1;
	char **argv;
	int n;

	if ((n = local_staging_make(&t->r, x->id, &staging, e)) < 0 ||
	    (n = replication_of(&t->r)->prepare(x, &argv, e)) != 0)
		return n;
	ret->work = local_work_transfer(&t->r, x->id, argv, t->purpose, count_gone(t), transferred);
	return 0;
}

/* What comes next: the oldest snapshot that is not here yet, then the data. */
static int go_on(struct task *t, struct driver_result *ret, struct error *e)
{
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	struct local_transfer x = transfer_of(t);
	int n;

	x.snapshot = local_replicated_snapshot_next(&t->r, &t->source.r, t->call, t->active->id, &snapshot);
	if (x.snapshot) {
		x.source = &snapshot;
		x.id = x.snapshot->id;
		return begin(t, &x, ret, e);
	}
	n = begin(t, &x, ret, e);
	if (n != 1)
		return n;
	if ((n = local_staging_discard(&t->r, x.id, e)) < 0)
		return n;
	t->source.r.b->storage->purge(&t->source.r, ret);
	return end(t, true, ret, e);
}

/* One transfer has ended well. */
static int arrived(struct task *t, const char *id, struct driver_result *ret, struct error *e)
{
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	struct local_transfer x = transfer_of(t);
	int n;

	if (strcmp(id, t->call->share->id) == 0) {
		if (replication_of(&t->r)->keep && (n = replication_of(&t->r)->keep(&x, e)) < 0)
			return n;
		t->source.r.b->storage->purge(&t->source.r, ret);
		return end(t, true, ret, e);
	}
	x.snapshot = local_replicated_snapshot_find(&t->source.r, t->call, t->active->id, id, &snapshot, e);
	if (!x.snapshot)
		return -ENOENT;
	x.source = &snapshot;
	x.id = id;
	if ((replication_of(&t->r)->keep && (n = replication_of(&t->r)->keep(&x, e)) < 0) ||
	    (n = local_replicated_snapshot_place(&t->r, t->call, x.snapshot, &snapshot, e)) < 0)
		return n;
	return go_on(t, ret, e);
}

/* By force a promotion goes on with what there is. */
static int give_up(struct task *t, int n, struct driver_result *ret, struct error *e)
{
	abandon(t, ret);
	if (t->purpose != TO_PROMOTE || !t->call->force)
		return n;
	error_clear(e);
	local_peer_close(&t->source);
	return end(t, false, ret, e);
}

/* Snapshots go by the hour, and a first copy may take days: what was on its way, or was what a difference is to, was
 * deleted, and there is something else to bring. */
static bool goes_on(struct task *t, const void *data, struct driver_result *ret, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;

	if (!t->source.r.b || count_gone(t) <= local_work_gone(data))
		return false;
	log_info("a snapshot was deleted while it was brought over, and the rest goes on: %s", e->message);
	error_move(&why, e);
	(void)local_staging_discard(&t->r, local_work_id(data), NULL);
	if (go_on(t, ret, e) == 0)
		return true;
	error_clear(e);
	error_move(e, &why);
	return false;
}

static int transferred(void *backend, void *data, const struct driver_call *call, const json_t *output,
		       const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = TASK_INIT;
	int n = task_open(backend, call, local_work_purpose(data), &t, e);

	if (n < 0)
		return n;
	if (failure) {
		(void)local_peer_open(backend, t.active, &t.source, NULL);
		n = local_work_failed(failure, e);
	} else if ((n = local_peer_open(backend, t.active, &t.source, e)) == 0) {
		log_info("%lld bytes of share \"%s\" came over from backend \"%s\"",
			 (long long)jsonx_int(output, json_object_get(output, "sent_bytes") ? "sent_bytes" : "bytes"),
			 call->share->name, t.active->backend);
		n = arrived(&t, local_work_id(data), ret, e);
	}
	return n < 0 && !goes_on(&t, data, ret, e) ? give_up(&t, n, ret, e) : 0;
}

static int start(const struct local_backend *b, struct task *t, struct driver_result *ret, struct error *e)
{
	int n = local_peer_open(b, t->active, &t->source, e);

	if (n == 0 && replication_of(&t->r)->tidy)
		replication_of(&t->r)->tidy(&t->source.r, t->call);
	if (n == 0)
		n = go_on(t, ret, e);
	return n < 0 ? give_up(t, n, ret, e) : 0;
}

/* ---- the slots ---- */

int local_create_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = TASK_INIT;
	int n = task_open(backend, call, TO_CREATE, &t, e);

	if (n < 0)
		return n;
	if ((n = local_share_look(&t.r, call->share, ret, e)) != 0) {
		if (n == 1)
			json_object_set_new(ret->values, "replica_state", json_string("out_of_sync"));
		return n < 0 ? n : 0;
	}
	return start(backend, &t, ret, e);
}

/* Of what cannot be reached nothing can be brought, and nothing is known beyond what was known before. */
int local_update_replica_state(void *backend, const struct driver_call *call, struct driver_result *ret,
			       struct error *e)
{
	_cleanup_task_ struct task t = TASK_INIT;
	const char *state = call->share->replica_state;
	int n = task_open(backend, call, TO_UPDATE, &t, e);

	if (n < 0)
		return n;
	if (!t.active->path) {
		answer_state(&t, state && strcmp(state, "in_sync") == 0 ? "in_sync" : "out_of_sync", ret);
		return local_object_limit(&t.r, &t.share, call->share->size_bytes, e);
	}
	return start(backend, &t, ret, e);
}

int local_promote_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = TASK_INIT;
	int n = task_open(backend, call, TO_PROMOTE, &t, e);

	if (n < 0)
		return n;
	if (!t.active->path || strcmp(t.active->id, call->share->id) == 0)
		return end(&t, false, ret, e);
	return start(backend, &t, ret, e);
}

/* Its halves of the pairs, wherever they are. Where a peer cannot be reached they go with its share. */
static void forget_pairs(const struct local_root *r, const struct driver_call *call, struct driver_result *ret)
{
	for (size_t i = 0; i < call->n_shares; i++) {
		_cleanup_peer_ struct local_peer peer = LOCAL_PEER_INIT;
		const struct driver_share *s = &call->shares[i];

		if (strcmp(s->id, call->share->id) == 0 || !s->path || local_peer_open(r->b, s, &peer, NULL) < 0)
			continue;
		forget_at(&peer.r, call, call->share->id);
		peer.b.storage->purge(&peer.r, ret);
	}
	local_replica_forget(r, call->share, call->id);
}

int local_delete_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	for (size_t i = 0; i < call->n_snapshots; i++)
		if (strcmp(call->snapshots[i].share_instance_id, call->share->id) == 0 &&
		    (n = local_snapshot_remove(&r, &call->snapshots[i], call->id, e)) < 0)
			return n;
	forget_pairs(&r, call, ret);
	return local_delete_share(backend, call, ret, e);
}
