/* The `btrfs_ssh` driver: replicas of shares on `btrfs` that lie on another host, for the day this one is gone. It
 * makes no shares of its own, nothing is exported there by this daemon, and nothing is promoted to there: the other
 * host's own sharesd takes a replica over (sharesd(8), REPLICAS). What is there is read-only snapshots, received by
 * sharesd-receive; the pairs that differences are sent to are kept as those of btrfs_replica.h are. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "drivers/btrfs/btrfs.h"
#include "drivers/btrfs/btrfs_replica.h"
#include "drivers/btrfs_ssh/far_state.h"
#include "drivers/local/local_peer.h"
#include "drivers/local/local_replicated_snapshot.h"
#include "drivers/local/local_snapshot.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct backend {
	struct local_backend local; /* as much of it as reading the roots of others needs */
	struct far far;
	struct far_state *state;
};

static bool is(const char *word, const char *what)
{
	return word && strcmp(word, what) == 0;
}

static int state_of(const struct backend *b, const struct driver_call *call, json_t **ret, struct error *e)
{
	return far_state_get(b->state, call->id, FAR_PATIENT, ret, e);
}

static json_t *location_of(const char *kind, const char *id)
{
	return json_sprintf("%ss/%s/data", kind, id);
}

/* ---- host ---- */

/* What is asked again and again while the host is away must not hold up those who need it not. */
static int do_setup(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	const struct backend *b = backend;

	(void)ret;
	return call->root_is_empty ? far_state_get(b->state, call->id, FAR_MAKE, &state, e) : 0;
}

static int check_for_setup_error(void *backend, const struct driver_call *call, struct driver_result *ret,
				 struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	const struct backend *b = backend;

	(void)ret;
	return far_state_get(b->state, call->id, 0, &state, e);
}

static int check_backend(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	const struct backend *b = backend;

	(void)ret;
	far_state_changed(b->state);
	return state_of(b, call, &state, e);
}

static int get_share_stats(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	const struct backend *b = backend;
	int n = far_state_get(b->state, call->id, 0, &state, e);

	/* The link is slow, or the host is gone: the next time tells. */
	if (n == -EAGAIN && far_state_last(b->state)) {
		error_clear(e);
		state = json_incref(far_state_last(b->state));
		n = 0;
	}
	if (n == 0)
		ret->values = jsonx_pack("{s:O?,s:O?,s:b,s:[],s:b,s:b,s:b,s:b,s:b,s:b,s:s}", "total_bytes",
					 json_object_get(state, "total_bytes"), "free_bytes",
					 json_object_get(state, "free_bytes"), "size_enforced", 0, "share_protos",
					 "snapshots", 0, "snapshot_consistent", 1, "create_from_snapshot", 0, "revert",
					 0, "shrink", 0, "manage", 0, "replication_type", "dr");
	return n;
}

static int ensure_shares(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL, *shares = json_object();
	const struct backend *b = backend;
	int n = state_of(b, call, &state, e);

	for (size_t i = 0; n == 0 && i < call->n_shares; i++) {
		const struct driver_share *s = &call->shares[i];
		json_t *one = jsonx_pack("{s:[]}", "export_locations");

		if (!far_held(state, "share", s->id)) {
			json_object_set_new(one, "status", json_string("error"));
			json_object_set_new(
				one, "status_reason",
				json_sprintf("its data are not at %s: update_share_replica sends them again",
					     b->far.transport));
		}
		json_object_set_new(shares, s->id, one);
	}
	if (n == 0)
		ret->values = jsonx_pack("{s:O}", "shares", shares);
	return n;
}

static int get_share_status(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	int n = state_of(backend, call, &state, e);
	const json_t *held;

	if (n < 0)
		return n;
	held = call->snapshot ? far_held(state, "snapshot", call->snapshot->id)
			      : far_held(state, "share", call->share->id);
	ret->values = jsonx_pack("{s:s}", "status", held ? "available" : "absent");
	return 0;
}

static int list_objects(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL, *objects = json_array();
	int n = state_of(backend, call, &state, e);
	json_t *held;
	size_t i;

	(void)call;
	if (n < 0)
		return n;
	json_array_foreach(json_object_get(state, "held"), i, held) {
		const char *kind = jsonx_str(held, "kind"), *id = jsonx_str(held, "id");

		json_array_append_new(objects, jsonx_pack("{s:s,s:s,s:s,s:o}", "kind", kind ? kind : "?", "id",
							  id ? id : "?", "name", jsonx_str(held, "name"),
							  "provider_location", location_of(kind, id)));
	}
	ret->values = jsonx_pack("{s:O}", "objects", objects);
	return 0;
}

/* ---- bringing a replica up to date ----
 *
 * One step after another, each of them work, so that no other call waits for the other host: it is asked what it has,
 * gets what comes next, and is asked again. */

enum purpose { TO_CREATE = 1, FIRST = 2 };

/* One call, opened. */
struct task {
	const struct backend *b;
	const struct driver_call *call;
	const struct driver_share *active;
	struct local_peer source;
	const json_t *state; /* of the other host; borrowed */
	int create;          /* TO_CREATE or 0 */
};
#define _cleanup_task_ __attribute__((__cleanup__(task_clear)))

static void task_clear(struct task *t)
{
	local_peer_close(&t->source);
}

static struct task task_of(void *backend, const struct driver_call *call, int purpose)
{
	return (struct task){ .b = backend,
			      .call = call,
			      .active = local_peer_active(call),
			      .source = LOCAL_PEER_INIT,
			      .create = purpose & TO_CREATE };
}

static int task_open(struct task *t, struct error *e)
{
	if (!t->active) {
		error_set(e, ERR_DRIVER_FAILED, EINVAL, "share %s has no active replica", t->call->share->name);
		return -EINVAL;
	}
	return local_peer_open(&t->b->local, t->active, &t->source, e);
}

/* What the other host has of the replica and its snapshots. The caller frees `all`. */
static struct btrfs_far far_of(const struct task *t, const char *kind, const char *id)
{
	struct btrfs_volume_info *all = xcalloc(t->call->n_snapshots + 2, sizeof *all);
	struct btrfs_far far = { .all = all };
	const json_t *held = far_held(t->state, kind, id);

	if (held) {
		far_volume(held, &all[0]);
		far.pair = &all[0];
		far.n = 1;
	}
	if (!jsonx_bool(t->state, "incremental")) {
		far.n = 0;
		return far;
	}
	if (strcmp(kind, "share") != 0 && (held = far_held(t->state, "share", t->call->share->id)))
		far_volume(held, &all[far.n++]);
	for (size_t i = 0; i < t->call->n_snapshots; i++)
		if ((held = far_held(t->state, "snapshot", t->call->snapshots[i].id)) &&
		    strcmp(t->call->snapshots[i].id, id) != 0)
			far_volume(held, &all[far.n++]);
	return far;
}

static struct local_transfer transfer_of(const struct task *t)
{
	return (struct local_transfer){ .call = t->call,
					.from = &t->source.r,
					.source = &t->source.share,
					.source_id = t->active->id,
					.id = t->call->share->id };
}

static const struct driver_snapshot *snapshot_of(const struct driver_call *call, const char *id)
{
	for (size_t i = 0; i < call->n_snapshots; i++)
		if (is(call->snapshots[i].id, id))
			return &call->snapshots[i];
	return NULL;
}

static local_finish asked, sent, dropped;

static int count_gone(const struct task *t)
{
	return local_replicated_snapshots_gone(&t->source.r, t->call, t->active->id);
}

/* Takes argv, whose first is the helper. `id`: what it is about. */
static struct driver_work *work_of(const struct backend *b, const char *id, char **argv, int purpose, int gone,
				   local_finish *finish_work)
{
	struct local_root none = LOCAL_ROOT_INIT;

	none.b = (struct local_backend *)&b->local;
	argv[0] = process_beside_helper("sharesd-transfer");
	return local_work_transfer(&none, id, argv, purpose, gone, finish_work);
}

/* For the helper: takes the request. */
static char **request_argv(const struct far *f, char *request)
{
	char **argv = xcalloc(8, sizeof *argv);

	argv[1] = xstrdup("ask");
	argv[2] = xstrdup(f->name);
	argv[3] = xstrdup(f->id);
	argv[4] = xstrdup(f->transport);
	argv[5] = xstrdup(f->config);
	argv[6] = request;
	return argv;
}

/* `id`: what was sent before, or NULL. `first`: FIRST, or 0. */
static struct driver_work *ask(const struct task *t, const char *id, int first, int gone)
{
	return work_of(t->b, id ? id : "", request_argv(&t->b->far, xasprintf("state %s", t->call->share->id)),
		       t->create | first, gone, asked);
}

/* A snapshot there that nobody wants any more; then it goes on. */
static struct driver_work *drop(const struct task *t, const char *id, int gone)
{
	return work_of(t->b, id, request_argv(&t->b->far, xasprintf("delete snapshot %s", id)), t->create, gone,
		       dropped);
}

static struct driver_work *send(const struct task *t, const struct local_transfer *x, char *path, char *parent,
				uint64_t bytes)
{
	enum { OWN = 5 };
	_cleanup_free_ char *request = x->snapshot
					       ? xasprintf("receive snapshot %s %s@%s %s", x->id, t->call->share->name,
							   x->snapshot->name, t->call->share->id)
					       : xasprintf("receive share %s %s", x->id, t->call->share->name);
	char **argv = far_argv(&t->b->far, request, OWN);

	argv[1] = xstrdup("btrfs-to");
	argv[2] = path;
	argv[3] = parent ? parent : xstrdup("-");
	argv[4] = xasprintf("%" PRIu64, bytes);
	return work_of(t->b, x->id, argv, t->create, count_gone(t), sent);
}

static int finish(const struct task *t, struct driver_result *ret)
{
	ret->values = jsonx_pack("{s:s}", "replica_state", "in_sync");
	if (t->create) {
		json_object_set_new(ret->values, "export_locations", json_array());
		json_object_set_new(ret->values, "provider_location", location_of("share", t->call->share->id));
	}
	t->source.r.b->storage->purge(&t->source.r, ret);
	return 0;
}

/* What comes next: the oldest snapshot that is not there yet, then the data. */
static int go_on(struct task *t, struct driver_result *ret, struct error *e)
{
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	struct local_transfer x = transfer_of(t);
	struct btrfs_far far;
	char *path, *parent;
	uint64_t bytes;
	int n;

	for (size_t i = 0; i < t->call->n_snapshots && !x.snapshot; i++) {
		const struct driver_snapshot *s = &t->call->snapshots[i];

		if (is(s->share_instance_id, t->call->share->id) && is(s->status, "creating") &&
		    !far_held(t->state, "snapshot", s->id) &&
		    local_replicated_snapshot_find(&t->source.r, t->call, t->active->id, s->id, &snapshot, NULL)) {
			x.snapshot = s;
			x.source = &snapshot;
			x.id = s->id;
		}
	}
	far = far_of(t, x.snapshot ? "snapshot" : "share", x.id);
	x.far = &far;
	n = btrfs_replica_prepare(&x, &path, &parent, &bytes, e);
	if (n == 0)
		ret->work = send(t, &x, path, parent, bytes);
	free((void *)far.all);
	return n == 1 ? finish(t, ret) : n;
}

/* The other host has it now, as it says itself. */
static int arrived(struct task *t, const char *id, struct driver_result *ret, struct error *e)
{
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	struct local_transfer x = transfer_of(t);
	struct btrfs_far far;
	int n;

	if (!is(id, t->call->share->id)) {
		x.snapshot = snapshot_of(t->call, id);
		if (!x.snapshot ||
		    !local_replicated_snapshot_find(&t->source.r, t->call, t->active->id, id, &snapshot, e))
			return error_set(e, ERR_DRIVER_FAILED, ENOENT, "the snapshot %s is gone since", id);
		x.source = &snapshot;
		x.id = id;
	}
	far = far_of(t, x.snapshot ? "snapshot" : "share", id);
	x.far = &far;
	n = btrfs_replica_sent(&x, e);
	free((void *)far.all);
	if (n < 0)
		return n;
	return x.snapshot ? go_on(t, ret, e) : finish(t, ret);
}

/* Of a first copy nothing is left at the source. Whether another came over is not known: the next update finds out. */
static void abandon(struct task *t, struct driver_result *ret)
{
	if (!t->create || !t->source.r.b)
		return;
	btrfs_replication.forget(&t->source.r, t->call->share->share_id, t->call->share->id, t->call->id);
	t->source.b.storage->purge(&t->source.r, ret);
}

/* Where the other host is gone before anything was sent, nothing was changed. Later it is not known what is there. */
static int failed(const struct error *failure, const void *data, struct error *e)
{
	if (failure->err == ENOTCONN && (local_work_purpose(data) & FIRST))
		return error_set(e, ERR_BACKEND_DOWN, ENOTCONN, "%s", failure->message);
	return local_work_failed(failure, e);
}

/* What came over although the snapshot was deleted meanwhile, or NULL. */
static const char *unknown_of(const struct task *t)
{
	json_t *held;
	size_t i;

	json_array_foreach(json_object_get(t->state, "held"), i, held) {
		const char *id = jsonx_str(held, "id");

		if (id && is(jsonx_str(held, "kind"), "snapshot") && !snapshot_of(t->call, id))
			return id;
	}
	return NULL;
}

/* What was on its way, or was what a difference is to, was deleted: there is something else to send. */
static bool goes_on(const struct task *t, const void *data, struct driver_result *ret, struct error *e)
{
	if (!t->source.r.b || e->kind == ERR_BACKEND_DOWN || count_gone(t) <= local_work_gone(data))
		return false;
	log_info("a snapshot was deleted while it was sent, and the rest goes on: %s", e->message);
	error_clear(e);
	ret->work = ask(t, NULL, 0, 0);
	return true;
}

static int sent(void *backend, void *data, const struct driver_call *call, const json_t *output,
		const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = task_of(backend, call, local_work_purpose(data));
	int n;

	far_state_changed(t.b->state);
	if (!failure) {
		log_info("%lld bytes of share \"%s\" went to %s", (long long)jsonx_int(output, "sent_bytes"),
			 call->share->name, t.b->far.transport);
		ret->work = ask(&t, local_work_id(data), 0, local_work_gone(data));
		return 0;
	}
	n = failed(failure, data, e);
	if (task_open(&t, NULL) < 0 || goes_on(&t, data, ret, e))
		return ret->work ? 0 : n;
	abandon(&t, ret);
	return n;
}

static int dropped(void *backend, void *data, const struct driver_call *call, const json_t *output,
		   const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = task_of(backend, call, local_work_purpose(data));
	int n;

	(void)output;
	far_state_changed(t.b->state);
	if (!failure) {
		ret->work = ask(&t, NULL, 0, local_work_gone(data));
		return 0;
	}
	n = failed(failure, data, e);
	if (task_open(&t, NULL) == 0)
		abandon(&t, ret);
	return n;
}

/* A share whose active replica cannot be read stays what it was. */
static int stay(const struct task *t, struct driver_result *ret)
{
	bool same = is(t->call->share->replica_state, "in_sync") && far_held(t->state, "share", t->call->share->id);

	ret->values = jsonx_pack("{s:s}", "replica_state", same ? "in_sync" : "out_of_sync");
	return 0;
}

/* It was made by a call that did not hear of it. */
static int found(const struct task *t, struct driver_result *ret)
{
	ret->values = jsonx_pack("{s:s,s:[],s:o}", "replica_state", "out_of_sync", "export_locations",
				 "provider_location", location_of("share", t->call->share->id));
	return 0;
}

static int asked(void *backend, void *data, const struct driver_call *call, const json_t *output,
		 const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_task_ struct task t = task_of(backend, call, local_work_purpose(data));
	const char *id = local_work_id(data), *unknown;
	int n;

	t.state = output;
	if (failure) {
		n = failed(failure, data, e);
		if (task_open(&t, NULL) == 0)
			abandon(&t, ret);
		return n;
	}
	if (!*id && t.create && far_held(output, "share", call->share->id))
		return found(&t, ret);
	if (!t.create && !*id && t.active && !t.active->path)
		return stay(&t, ret);
	n = task_open(&t, e);
	if (n == 0 && !*id && (unknown = unknown_of(&t)))
		ret->work = drop(&t, unknown, local_work_gone(data));
	else if (n == 0)
		n = *id ? arrived(&t, id, ret, e) : go_on(&t, ret, e);
	if (n == 0)
		return 0;
	if (goes_on(&t, data, ret, e)) {
		if (*id && !is(id, call->share->id)) {
			driver_work_free(ret->work);
			ret->work = drop(&t, id, 0);
		}
		return 0;
	}
	abandon(&t, ret);
	return n;
}

/* ---- the slots ---- */

static int begin(void *backend, const struct driver_call *call, int purpose, struct driver_result *ret)
{
	_cleanup_task_ struct task t = task_of(backend, call, purpose);

	if (t.active && t.active->path && task_open(&t, NULL) == 0)
		btrfs_replication.tidy(&t.source.r, call);
	ret->work = ask(&t, NULL, FIRST, 0);
	return 0;
}

static int create_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)e;
	return begin(backend, call, TO_CREATE, ret);
}

static int update_replica_state(void *backend, const struct driver_call *call, struct driver_result *ret,
				struct error *e)
{
	(void)e;
	return begin(backend, call, 0, ret);
}

static int deleted(void *backend, void *data, const struct driver_call *call, const json_t *output,
		   const struct error *failure, struct driver_result *ret, struct error *e)
{
	const struct backend *b = backend;

	(void)output;
	far_state_changed(b->state);
	if (failure)
		return failed(failure, data, e);
	for (size_t i = 0; i < call->n_shares; i++) {
		_cleanup_peer_ struct local_peer peer = LOCAL_PEER_INIT;
		const struct driver_share *s = &call->shares[i];

		if (is(s->id, call->share->id) || !s->path || local_peer_open(&b->local, s, &peer, NULL) < 0)
			continue;
		btrfs_replication.forget(&peer.r, call->share->share_id, call->share->id, call->id);
		peer.b.storage->purge(&peer.r, ret);
	}
	return 0;
}

static int delete_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	const struct backend *b = backend;
	const char *id = call->share->id;

	(void)e;
	ret->work = work_of(b, id, request_argv(&b->far, xasprintf("delete share %s", id)), 0, 0, deleted);
	return 0;
}

/* An instance comes over with an update of the replica, and goes when it is asked for. */
static int update_replicated_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				      struct error *e)
{
	const struct backend *b = backend;
	const char *id = call->snapshot->id;
	_cleanup_json_ json_t *state = NULL;
	bool deleting = is(call->snapshot->status, "deleting");
	int n;

	n = deleting ? far_state_drop(b->state, id, e) : far_state_get(b->state, call->id, 0, &state, e);
	if (n == -EAGAIN) {
		error_clear(e);
		ret->values = jsonx_pack("{s:{}}", "instances");
		return 0;
	}
	if (n < 0)
		return n;
	if (deleting) {
		ret->values = jsonx_pack("{s:{s:{s:s}}}", "instances", id, "status", "deleted");
		return 0;
	}
	if (far_held(state, "snapshot", id)) {
		ret->values = jsonx_pack("{s:{s:{s:s,s:o}}}", "instances", id, "status", "available",
					 "provider_location", location_of("snapshot", id));
		return 0;
	}
	if (is(call->snapshot->status, "creating")) {
		ret->values = jsonx_pack("{s:{}}", "instances");
		return 0;
	}
	return error_set(e, ERR_NOT_FOUND, ENOENT, "snapshot %s is not at %s", call->snapshot->name, b->far.transport);
}

/* ---- the driver ---- */

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	const char *transport = settings_string(setup->settings, "replica_transport");
	struct backend *b;
	int n = far_check_transport(transport, e);

	if (n < 0)
		return n;
	b = xcalloc(1, sizeof *b);
	b->local.storage = &btrfs_storage;
	b->local.name = xstrdup(setup->name);
	b->local.id = xstrdup(setup->id);
	b->local.busy = json_object();
	b->far = (struct far){ .name = b->local.name,
			       .id = b->local.id,
			       .transport = xstrdup(transport),
			       .config = xstrdup(settings_string(setup->settings, "ssh_config")) };
	b->state = far_state_new(&b->far);
	*ret_backend = b;
	return 0;
}

static void destroy(void *backend)
{
	struct backend *b = backend;

	if (!b)
		return;
	far_state_free(b->state);
	json_decref(b->local.busy);
	free(b->local.name);
	free(b->local.id);
	free(b->far.transport);
	free(b->far.config);
	free(b);
}

static const struct option options[] = {
	{ .name = "replica_transport",
	  .type = OPTION_STRING,
	  .flags = OPTION_REQUIRED | OPTION_FIXED | OPTION_MOUNTS,
	  .help = "The other host, \"ssh://user@host\" or \"ssh://user@host:port\"; the key that this daemon's user "
		  "has there "
		  "runs sharesd-receive." },
	{ .name = "ssh_config",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .flags = OPTION_ABSOLUTE,
	  .help = "A file for ssh's option -F, which names the key and the known hosts; empty: ssh's own files." },
	{ .name = NULL },
};

extern const struct share_driver_ops btrfs_ssh_driver;
const struct share_driver_ops btrfs_ssh_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "btrfs_ssh",
	.summary = "replicas of shares on btrfs, kept on another host through ssh",
	.options = options,
	.replicates = "btrfs",
	.create = create,
	.destroy = destroy,
	.do_setup = do_setup,
	.check_for_setup_error = check_for_setup_error,
	.get_share_stats = get_share_stats,
	.ensure_shares = ensure_shares,
	.create_replica = create_replica,
	.delete_replica = delete_replica,
	.update_replica_state = update_replica_state,
	.update_replicated_snapshot = update_replicated_snapshot,
	.get_share_status = get_share_status,
	.list_objects = list_objects,
	.check_backend = check_backend,
};
