/* The `sim` driver: no storage at all. For trying hooks and clients, and for tests: calls take as long and fail as the
 * conf file says. It remembers nothing of shares; every answer is made of the question. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HIGHEST_ERRNO = 200 };

struct failure {
	char *slot;
	int err;
	unsigned long on; /* on this call of the slot only; 0: on each */
};

struct sim {
	char *name;
	double latency;
	uint64_t capacity;
	bool replicas_lag;
	struct failure *failures;
	size_t n_failures;
	json_t *counts; /* slot name to number of calls so far */
};

static const struct option options[] = {
	{ .name = "latency",
	  .type = OPTION_SECONDS,
	  .fallback = "0",
	  .min = 0,
	  .max = 3600,
	  .help = "Seconds that each driver call takes, but do_setup, check_for_setup_error, ensure_shares and "
		  "get_share_stats." },
	{ .name = "fail",
	  .type = OPTION_LIST,
	  .help = "Driver calls that fail, as \"slot:ERRNO\", or \"slot:ERRNO@3\" for the third call only. ENOSPC and "
		  "EDQUOT "
		  "become no_space, ENOENT not_found, EOPNOTSUPP not_supported, ENOTEMPTY of shrink_share data_loss, "
		  "all else "
		  "driver_failed." },
	{ .name = "capacity",
	  .type = OPTION_SIZE,
	  .fallback = "1PiB",
	  .min = 1,
	  .max = 9223372036854775807.0,
	  .help = "The capacity that it reports." },
	{ .name = "replicas_lag",
	  .type = OPTION_BOOL,
	  .fallback = "false",
	  .help = "A new replica, and snapshots on other replicas than the active one, are there only once they are "
		  "asked "
		  "for by an update; of a promotion nothing more is said than that it went well." },
	{ .name = NULL },
};

/* ---- what the conf file scripts ---- */

static int errno_by_name(const char *name)
{
	static const struct {
		const char *name;
		int err;
	} aliases[] = { { "EWOULDBLOCK", EWOULDBLOCK }, { "ENOTSUP", ENOTSUP }, { "EDEADLOCK", EDEADLOCK } };

	for (int err = 1; err < HIGHEST_ERRNO; err++) {
		const char *known = strerrorname_np(err);

		if (known && strcmp(known, name) == 0)
			return err;
	}
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcmp(aliases[i].name, name) == 0)
			return aliases[i].err;
	return 0;
}

static bool is_slot(const char *name)
{
	for (const char *const *slot = driver_slot_names(); *slot; slot++)
		if (strcmp(*slot, name) == 0)
			return true;
	return false;
}

static int parse_failure(const char *text, struct failure *ret, struct error *e)
{
	_cleanup_free_ char *copy = xstrdup(text);
	char *name = strchr(copy, ':'), *at, *end;
	struct failure f = { 0 };

	if (!name)
		return error_param(e, "fail", "fail: \"%s\" is not \"slot:ERRNO\" or \"slot:ERRNO@n\"", text);
	*name++ = '\0';
	at = strchr(name, '@');
	if (at) {
		*at++ = '\0';
		errno = 0;
		f.on = strtoul(at, &end, 10);
		if (*at < '0' || *at > '9' || *end || f.on == 0 || errno)
			return error_param(e, "fail", "fail: \"%s\" has no number of a call, from 1, after \"@\"",
					   text);
	}
	if (!is_slot(copy))
		return error_param(
			e, "fail",
			"fail: \"%s\" names no driver call: they are called as in driver.h, like create_share", text);
	f.err = errno_by_name(name);
	if (f.err == 0)
		return error_param(e, "fail", "fail: \"%s\" names no error: they are called like ENOSPC or EIO", text);
	f.slot = xstrdup(copy);
	*ret = f;
	return 0;
}

static void destroy(void *backend)
{
	struct sim *s = backend;

	if (!s)
		return;
	for (size_t i = 0; i < s->n_failures; i++)
		free(s->failures[i].slot);
	free(s->failures);
	free(s->name);
	json_decref(s->counts);
	free(s);
}

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	struct sim *s = xcalloc(1, sizeof *s);
	const char *const *list;
	size_t n;

	s->name = xstrdup(setup->name);
	s->latency = settings_seconds(setup->settings, "latency");
	s->capacity = settings_size(setup->settings, "capacity");
	s->replicas_lag = settings_bool(setup->settings, "replicas_lag");
	s->counts = json_object();
	list = settings_list(setup->settings, "fail", &n);
	s->failures = xcalloc(n ? n : 1, sizeof *s->failures);
	for (size_t i = 0; i < n; i++) {
		int r = parse_failure(list[i], &s->failures[i], e);

		if (r < 0) {
			destroy(s);
			return r;
		}
		s->n_failures++;
	}
	*ret_backend = s;
	return 0;
}

static int fail(const struct sim *s, const char *slot, int err, struct error *e)
{
	enum error_kind kind;

	if (strcmp(slot, "check_backend") == 0)
		kind = ERR_BACKEND_DOWN;
	else if (err == ENOSPC || err == EDQUOT)
		kind = ERR_NO_SPACE;
	else if (err == ENOENT)
		kind = ERR_NOT_FOUND;
	else if (err == EOPNOTSUPP)
		kind = ERR_NOT_SUPPORTED;
	else if (err == ENOTEMPTY && strcmp(slot, "shrink_share") == 0)
		kind = ERR_DATA_LOSS;
	else
		kind = ERR_DRIVER_FAILED;
	return error_set(e, kind, err, "%s of backend \"%s\" failed as its option `fail` says: %s", slot, s->name,
			 strerror(err));
}

static void pause_for(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds,
				 .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

/* What each slot does first: the pause, then the scripted failure. */
static int begin(struct sim *s, const char *slot, bool pauses, struct error *e)
{
	json_int_t count = jsonx_int(s->counts, slot) + 1;

	json_object_set_new(s->counts, slot, json_integer(count));
	if (pauses && s->latency > 0)
		pause_for(s->latency);
	for (size_t i = 0; i < s->n_failures; i++) {
		const struct failure *f = &s->failures[i];

		if (strcmp(f->slot, slot) == 0 && (f->on == 0 || f->on == (unsigned long)count))
			return fail(s, slot, f->err, e);
	}
	return 0;
}

/* ---- answers ---- */

static json_t *locations(const struct sim *s, const struct driver_share *share)
{
	_cleanup_free_ char *path = xasprintf("/sim/%s/%s", s->name, share->name);

	return jsonx_pack("[{s:o,s:b,s:b,s:{}}]", "path", jsonx_string(path), "preferred", 1, "is_admin_only", 0,
			  "metadata");
}

static json_t *no_values(const struct sim *s, const struct driver_call *call)
{
	(void)s, (void)call;
	return json_object();
}

static json_t *stats(const struct sim *s, const struct driver_call *call)
{
	(void)call;
	return jsonx_pack("{s:I,s:I,s:b,s:[s,s,s,s,s],s:[s,s,s],s:[s,s],s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:b}",
			  "total_bytes", (json_int_t)s->capacity, "free_bytes", (json_int_t)s->capacity,
			  "size_enforced", 0, "share_protos", "LOCAL", "NFS", "CIFS", "NFS_CIFS", "CEPHFS",
			  "access_types", "user", "ip", "cephx", "access_levels", "rw", "ro", "snapshots", 1,
			  "snapshot_consistent", 1, "create_from_snapshot", 1, "revert", 1, "shrink", 1, "manage", 1,
			  "replication_type", "readable", "reflink", 0);
}

static json_t *ensured(const struct sim *s, const struct driver_call *call)
{
	json_t *shares = json_object();

	for (size_t i = 0; i < call->n_shares; i++)
		json_object_set_new(shares, call->shares[i].id,
				    jsonx_pack("{s:o}", "export_locations", locations(s, &call->shares[i])));
	return jsonx_pack("{s:o}", "shares", shares);
}

static json_t *created(const struct sim *s, const struct driver_call *call)
{
	return jsonx_pack("{s:o,s:s}", "export_locations", locations(s, call->share), "provider_location",
			  call->share->name);
}

static json_t *managed(const struct sim *s, const struct driver_call *call)
{
	json_int_t size = jsonx_int(call->options, "size_bytes");

	if (size <= 0)
		size = call->share->size_bytes > 0 ? (json_int_t)call->share->size_bytes : 1 << 30;
	return jsonx_pack("{s:I,s:o,s:s}", "size_bytes", size, "export_locations", locations(s, call->share),
			  "provider_location",
			  call->share->provider_location ? call->share->provider_location : call->share->name);
}

static json_t *rule_state(const struct driver_rule *rule)
{
	_cleanup_free_ char *key = NULL;

	if (strcmp(rule->access_type, "cephx") != 0)
		return jsonx_pack("{s:s}", "state", "active");
	/* Of the shape of a Ceph key; the same rule has the same key. */
	key = xasprintf("AQ%.36s==", rule->id);
	return jsonx_pack("{s:s,s:s}", "state", "active", "access_key", key);
}

static json_t *access_updated(const struct sim *s, const struct driver_call *call)
{
	const struct driver_rules *rules = call->rules;
	json_t *states = json_object();

	(void)s;
	if (rules->n_add + rules->n_remove + rules->n_update == 0)
		for (size_t i = 0; i < rules->n_all; i++)
			json_object_set_new(states, rules->all[i].id, rule_state(&rules->all[i]));
	for (size_t i = 0; i < rules->n_add; i++)
		json_object_set_new(states, rules->add[i].id, rule_state(&rules->add[i]));
	for (size_t i = 0; i < rules->n_update; i++)
		json_object_set_new(states, rules->update[i].id, rule_state(&rules->update[i]));
	return jsonx_pack("{s:o}", "rules", states);
}

static char *snapshot_location(const struct driver_snapshot *snapshot)
{
	if (snapshot->provider_location)
		return xstrdup(snapshot->provider_location);
	return xasprintf("%s@%s", snapshot->share_instance_id ? snapshot->share_instance_id : "", snapshot->id);
}

static json_t *snapshot_made(const struct sim *s, const struct driver_call *call)
{
	_cleanup_free_ char *location = snapshot_location(call->snapshot);
	json_int_t size = call->share ? (json_int_t)call->share->size_bytes : (json_int_t)call->snapshot->size_bytes;

	(void)s;
	return jsonx_pack("{s:s,s:I}", "provider_location", location, "size_bytes", size > 0 ? size : 1);
}

static json_t *reverted(const struct sim *s, const struct driver_call *call)
{
	return jsonx_pack("{s:I,s:o}", "size_bytes", (json_int_t)call->snapshot->size_bytes, "export_locations",
			  locations(s, call->share));
}

/* There is nothing to bring over, so a replica is in step at once. */
static json_t *replica_made(const struct sim *s, const struct driver_call *call)
{
	json_t *values = created(s, call);

	if (!s->replicas_lag)
		json_object_set_new(values, "replica_state", json_string("in_sync"));
	return values;
}

static json_t *replica_promoted(const struct sim *s, const struct driver_call *call)
{
	json_t *replicas = json_object();

	for (size_t i = 0; i < call->n_shares; i++) {
		bool active = strcmp(call->shares[i].id, call->share->id) == 0;
		json_t *one = jsonx_pack("{s:s}", "replica_state", active ? "active" : "in_sync");

		/* Where the others are only their own backends know. */
		if (active)
			json_object_set_new(one, "export_locations", locations(s, &call->shares[i]));
		json_object_set_new(replicas, call->shares[i].id, one);
	}
	if (s->replicas_lag)
		json_object_clear(replicas);
	return jsonx_pack("{s:o}", "replicas", replicas);
}

static json_t *replica_updated(const struct sim *s, const struct driver_call *call)
{
	const char *state = call->share->replica_state;

	(void)s;
	return jsonx_pack("{s:s}", "replica_state", state && strcmp(state, "active") == 0 ? "active" : "in_sync");
}

/* `own`: only that of call->share. */
static json_t *snapshots_with(const struct driver_call *call, const char *status, bool own)
{
	json_t *instances = json_object();

	for (size_t i = 0; i < call->n_snapshots; i++) {
		const struct driver_snapshot *snapshot = &call->snapshots[i];
		_cleanup_free_ char *location = snapshot_location(snapshot);
		bool leaving = snapshot->status && strcmp(snapshot->status, "deleting") == 0;

		if (own && strcmp(snapshot->share_instance_id, call->share->id) != 0)
			continue;
		json_object_set_new(instances, snapshot->id,
				    jsonx_pack("{s:s,s:s}", "status",
					       status    ? status
					       : leaving ? "deleted"
							 : "available",
					       "provider_location", location));
	}
	return jsonx_pack("{s:o}", "instances", instances);
}

static json_t *snapshots_made(const struct sim *s, const struct driver_call *call)
{
	return snapshots_with(call, "available", s->replicas_lag);
}

static json_t *snapshots_gone(const struct sim *s, const struct driver_call *call)
{
	return snapshots_with(call, "deleted", s->replicas_lag);
}

static json_t *snapshots_updated(const struct sim *s, const struct driver_call *call)
{
	(void)s;
	return snapshots_with(call, NULL, false);
}

static json_t *server_made(const struct sim *s, const struct driver_call *call)
{
	const char *network = jsonx_str(call->options, "share_network");
	_cleanup_free_ char *identifier = xasprintf("sim-%s-%s", s->name, call->id);

	return jsonx_pack("{s:s,s:{s:s,s:s}}", "identifier", identifier, "backend_details", "backend", s->name,
			  "share_network", network ? network : "");
}

static json_t *periodic_data(const struct sim *s, const struct driver_call *call)
{
	json_t *shares = json_object();

	for (size_t i = 0; i < call->n_shares; i++)
		json_object_set_new(shares, call->shares[i].id, jsonx_pack("{s:s}", "simulator", s->name));
	return jsonx_pack("{s:o}", "shares", shares);
}

/* It has no memory: what the daemon believes to be there is there. */
static json_t *status(const struct sim *s, const struct driver_call *call)
{
	(void)s, (void)call;
	return jsonx_pack("{s:s}", "status", "available");
}

static json_t *usage(const struct sim *s, const struct driver_call *call)
{
	(void)s, (void)call;
	return jsonx_pack("{s:i}", "used_bytes", 0);
}

static json_t *place(const struct sim *s, const struct driver_call *call)
{
	return jsonx_pack("{s:o}", "path", json_sprintf("/sim/%s/%s", s->name, call->share->name));
}

static json_t *no_objects(const struct sim *s, const struct driver_call *call)
{
	(void)s, (void)call;
	return jsonx_pack("{s:[]}", "objects");
}

/* ---- slots ---- */

static int run(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e,
	       const char *slot, bool pauses, json_t *(*make)(const struct sim *s, const struct driver_call *call))
{
	int r = begin(backend, slot, pauses, e);

	if (r == 0)
		ret->values = make(backend, call);
	return r;
}

#define SLOT(name, pauses, make)                                                                                       \
	static int sim_##name(void *backend, const struct driver_call *call, struct driver_result *ret,                \
			      struct error *e)                                                                         \
	{                                                                                                              \
		return run(backend, call, ret, e, #name, pauses, make);                                                \
	}

SLOT(do_setup, false, no_values)
SLOT(check_for_setup_error, false, no_values)
SLOT(get_share_stats, false, stats)
SLOT(ensure_shares, false, ensured)
SLOT(create_share, true, created)
SLOT(create_share_from_snapshot, true, created)
SLOT(delete_share, true, no_values)
SLOT(extend_share, true, no_values)
SLOT(shrink_share, true, no_values)
SLOT(manage_existing, true, managed)
SLOT(unmanage, true, no_values)
SLOT(update_access, true, access_updated)
SLOT(create_snapshot, true, snapshot_made)
SLOT(delete_snapshot, true, no_values)
SLOT(revert_to_snapshot, true, reverted)
SLOT(manage_existing_snapshot, true, snapshot_made)
SLOT(unmanage_snapshot, true, no_values)
SLOT(create_replica, true, replica_made)
SLOT(delete_replica, true, no_values)
SLOT(promote_replica, true, replica_promoted)
SLOT(update_replica_state, true, replica_updated)
SLOT(create_replicated_snapshot, true, snapshots_made)
SLOT(delete_replicated_snapshot, true, snapshots_gone)
SLOT(update_replicated_snapshot, true, snapshots_updated)
SLOT(setup_server, true, server_made)
SLOT(teardown_server, true, no_values)
SLOT(get_periodic_hook_data, true, periodic_data)
SLOT(get_share_status, true, status)
SLOT(get_share_usage, true, usage)
SLOT(list_objects, true, no_objects)
SLOT(check_backend, false, no_values)
SLOT(locate_share, false, place)

extern const struct share_driver_ops sim_driver;
const struct share_driver_ops sim_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "sim",
	.summary = "a simulator without storage, with scripted delays and failures",
	.options = options,
	.create = create,
	.destroy = destroy,

	.do_setup = sim_do_setup,
	.check_for_setup_error = sim_check_for_setup_error,
	.get_share_stats = sim_get_share_stats,
	.ensure_shares = sim_ensure_shares,

	.create_share = sim_create_share,
	.create_share_from_snapshot = sim_create_share_from_snapshot,
	.delete_share = sim_delete_share,
	.extend_share = sim_extend_share,
	.shrink_share = sim_shrink_share,
	.manage_existing = sim_manage_existing,
	.unmanage = sim_unmanage,

	.update_access = sim_update_access,

	.create_snapshot = sim_create_snapshot,
	.delete_snapshot = sim_delete_snapshot,
	.revert_to_snapshot = sim_revert_to_snapshot,
	.manage_existing_snapshot = sim_manage_existing_snapshot,
	.unmanage_snapshot = sim_unmanage_snapshot,

	.create_replica = sim_create_replica,
	.delete_replica = sim_delete_replica,
	.promote_replica = sim_promote_replica,
	.update_replica_state = sim_update_replica_state,
	.create_replicated_snapshot = sim_create_replicated_snapshot,
	.delete_replicated_snapshot = sim_delete_replicated_snapshot,
	.update_replicated_snapshot = sim_update_replicated_snapshot,

	.setup_server = sim_setup_server,
	.teardown_server = sim_teardown_server,

	.get_periodic_hook_data = sim_get_periodic_hook_data,
	.get_share_status = sim_get_share_status,
	.get_share_usage = sim_get_share_usage,
	.list_objects = sim_list_objects,
	.check_backend = sim_check_backend,
	.locate_share = sim_locate_share,
};
