/* A share driver: how one kind of storage creates, resizes, snapshots, replicates and guards shares. Public.
 *
 * A driver is one `const struct share_driver_ops` with designated initialisers, listed in drivers/table.c or exported
 * by a plugin as `share_driver`. A slot left NULL is a capability that is not there: the daemon refuses the call before
 * anything happens. Slots carry the names of OpenStack Manila's driver interface.
 *
 * Thread: all slots of all backends run in the call thread, one after another. A slot may block, but work that grows
 * with the data (copying, sending, measuring a tree) is handed back as `struct driver_work`.
 * Durability: when a slot returns 0, what it did is on stable storage.
 * Repeats: every slot may be called again after a crash with the same call->id: it finishes or finds its work done. A
 * delete of what is not there is success, as long as the backend itself is there; ERR_BACKEND_DOWN says it is not, and
 * that the call changed nothing. */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "base/error.h"
#include "base/option.h"
#include "conf/settings.h"

#include <stdint.h>
#include <sys/types.h>

#define SHARE_DRIVER_ABI 3

/* All strings and JSON here are borrowed: they live for the call. A pointer that does not apply is NULL. */
struct driver_share {                /* one instance (physical copy) of a share */
	const char *id;              /* of the instance: names it on the backend, for life */
	const char *share_id, *name; /* of the share */
	const char *share_proto;     /* "LOCAL", "NFS", .. */
	unsigned export_number; /* 1..65535, for life: unique among what the daemon exports; 0: it is not exported */
	uint64_t size_bytes;
	const char *provider_location; /* what the driver answered when it made or adopted it; NULL before */
	const char *replica_state;     /* NULL unless replicated */
	uid_t uid; /* owner, group and mode of a new share's root; source: the call, else the conf file */
	gid_t gid;
	mode_t mode;
	const json_t *metadata;       /* object of strings */
	const json_t *server_details; /* backend_details of its share server, or NULL */
	const char *backend;          /* name of the backend that it lies on */
	/* Of `shares` in the replica slots: what locate_share of its own backend answers, by which its data can be read
	 * on this host; NULL where that backend is down, has no locate_share, or the replica is not made yet. */
	const char *path;
};

struct driver_snapshot { /* one instance of a snapshot */
	const char *id;  /* of the instance */
	const char *snapshot_id, *name;
	const char *share_instance_id; /* of what it is a snapshot of */
	uint64_t size_bytes;
	const char *provider_location;
	const char *status;
};

struct driver_rule {
	const char *id;
	const char *access_type;  /* "user", "ip", "cephx" */
	const char *access_to;    /* canonical */
	const char *access_level; /* "rw", "ro" */
	const json_t *options;    /* object */
};

struct driver_rules {
	const struct driver_rule *all; /* the whole wanted set */
	size_t n_all;
	const struct driver_rule *add, *remove,
		*update; /* the difference; all empty: make the backend equal to `all` */
	size_t n_add, n_remove, n_update;
};

/* Input of every slot; which members are set stands at the slot. */
struct driver_call {
	const char *id;        /* UUID of the call; the marker of what a call changed holds it */
	const char *func_name; /* the hook-wrapped method, or NULL */
	const struct driver_share *share;
	const struct driver_snapshot *snapshot;
	const struct driver_share *shares; /* ensure_shares, get_periodic_hook_data: all; replica slots: all replicas */
	size_t n_shares;
	const struct driver_snapshot *snapshots; /* replicated snapshots: instance by instance */
	size_t n_snapshots;
	const struct driver_rules *rules;
	uint64_t new_size_bytes;
	const json_t *options; /* driver_options of manage; network of setup_server */
	bool root_is_empty;    /* do_setup: the store holds nothing on this backend, its root's marker may be made */
	/* ensure_shares, in the last of the calls that name all shares: object whose keys are the ids of all share
	 * instances of the backend, in whatever state; what it exports besides these is wanted by nobody. */
	const json_t *known;
	bool force;
	bool dry_run; /* manage_existing: look, change nothing */
};

/* Work that grows with the data, done by a helper process while other calls go on. The program prints JSON lines:
 * {"bytes":N,"percent":N} (null: unknown) as it goes on, and last {"result":{..}} or
 * {"error":{"errno":N,"message":".."}}. */
struct driver_result;
struct driver_work {
	char **argv;     /* argv[0] absolute, NULL-terminated; owned, freed by the daemon with its strings */
	bool background; /* nobody waits: the call is already finished (purging). No `finish` */
	/* Call thread, after the program's end. `output` is its "result" or NULL; `failure` NULL on success. The same
	 * rules as for a slot; `data` is the driver's own. */
	int (*finish)(void *backend, void *data, const struct driver_call *call, const json_t *output,
		      const struct error *failure, struct driver_result *ret, struct error *e);
	void (*release)(void *data); /* frees data; called once in any case, may be NULL */
	void *data;
};

struct driver_result {
	json_t *values; /* object with the keys named at the slot, or NULL for {}; an unknown key is refused */
	struct driver_work *work; /* malloc'ed; the result comes later, from `finish` */
};
/* NULL is fine. */
void driver_work_free(struct driver_work *w);

/* 0, or a negative errno with `e` filled: ERR_DRIVER_FAILED, or nearer: no_space, data_loss, not_found,
 * not_supported, invalid_params, invalid_state, backend_down. On failure nothing of the call is left behind. */
typedef int driver_slot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e);

/* What a backend knows of itself for life. */
struct driver_setup {
	const char *name;                /* the title of its section */
	const char *id;                  /* UUID of the backend, from the store: for the marker of its root */
	const struct settings *settings; /* of its section; lives as long as the backend */
};

struct share_driver_ops {
	unsigned abi; /* SHARE_DRIVER_ABI */
	const char *name;
	const char *summary;
	const struct option *options; /* its own options, beside those of every backend */

	/* The driver of whose shares its backends hold replicas, which nobody reads there (replication_type dr); NULL:
	 * of its own. */
	const char *replicates;

	/* revert_to_snapshot answers with work, and replaces the share's directory in its `finish`, not before. */
	bool revert_is_long;

	/* Makes the backend's state from settings; touches no storage. */
	int (*create)(const struct driver_setup *setup, void **ret_backend, struct error *e);
	void (*destroy)(void *backend); /* NULL is fine */

	/* Host. do_setup: root_is_empty. Values: none */
	driver_slot *do_setup;
	driver_slot *check_for_setup_error;
	/* Values: the stats of contract section 7 (allocated_bytes is the daemon's own sum). Must not walk trees. */
	driver_slot *get_share_stats;
	/* shares. Values: "shares": {instance id: {"export_locations", "status"?, "status_reason"?}}; what is missing
	 * on the backend comes with status "error". Changes neither data nor modes. */
	driver_slot *ensure_shares;

	/* Shares. share. Values: "export_locations", "provider_location", "metadata"? */
	driver_slot *create_share;
	driver_slot *create_share_from_snapshot; /* also snapshot */
	driver_slot *delete_share;               /* share, force */
	driver_slot *extend_share;               /* share, new_size_bytes. Values: "metadata"? */
	driver_slot *shrink_share;               /* the same; ERR_DATA_LOSS when what is used does not fit */
	/* share with provider_location as the client named it, options, dry_run, rules (all: put in force in the same
	 * step where that spares present users a gap). Values: "size_bytes" (used, at least 1), "export_locations",
	 * "provider_location" (canonical), "metadata"? */
	driver_slot *manage_existing;
	driver_slot *unmanage; /* share; the data stay */

	/* share, rules. Values: "rules": {rule id: {"state": "active" or "error", "reason"?, "access_key"?}} for each
	 * of `all` when the difference is empty, else of add and update. A rule that fails fails alone. */
	driver_slot *update_access;

	/* Snapshots. share, snapshot. Values: "provider_location", "size_bytes"?, "metadata"? */
	driver_slot *create_snapshot;
	driver_slot *delete_snapshot;          /* also force */
	driver_slot *revert_to_snapshot;       /* also rules. Values: "size_bytes"?, "export_locations"? */
	driver_slot *manage_existing_snapshot; /* snapshot's provider_location, options. Values: "size_bytes",
						  "provider_location" */
	driver_slot *unmanage_snapshot;

	/* Replicas, asked of the backend that holds `share`. shares: all replicas, the one of replica_state "active" is
	 * where the data come from; rules: as they are to be at `share`; snapshots: all of the share, on all replicas.
	 * Each leaves `share` limited to size_bytes: an extend or shrink is done at the active replica only. What was
	 * cut off (a crash, work that was killed) leaves nothing that hinders the next call.
	 *
	 * update_access of a replica that is not active gets its rules all with level "ro" (replication_type readable),
	 * whatever levels the driver offers, or none at all (dr).
	 *
	 * Values: "replica_state"? ("in_sync", "out_of_sync", "error"; out_of_sync without), "export_locations"?,
	 * "provider_location"? */
	driver_slot *create_replica;
	driver_slot *delete_replica; /* also force. Values: none */
	/* The old active replica may be gone (its `path` is NULL); where its backend is up, nobody can write there any
	 * more. Also force: what it has and cannot be brought over is given up. Values: "replicas": {instance id:
	 * {"replica_state", "export_locations"?}}; of whom it says nothing, the promoted one is active and the others
	 * out_of_sync. After one that was cut off the replica is a secondary again: the next update_replica_state makes
	 * it so, or another promote_replica goes on. */
	driver_slot *promote_replica;
	driver_slot *update_replica_state; /* values: "replica_state" */
	/* Asked of the active replica's backend. share: that one, shares: all; snapshots: this snapshot on all
	 * replicas, with the status of each ("creating", "deleting"). Values: "instances": {snapshot instance id:
	 * {"status": "available", "error" or "deleted", "provider_location"?}}; those that are left out stay as they
	 * are, and are asked for again by update_replicated_snapshot. */
	driver_slot *create_replicated_snapshot;
	driver_slot *delete_replicated_snapshot; /* also force */
	/* Asked of each replica's own backend. share: the replica, snapshot: its instance of the snapshot; the rest as
	 * above. ERR_NOT_FOUND: it is not there. Never long work. */
	driver_slot *update_replicated_snapshot;

	/* Share servers. options: {"id", "share_network", "address": "192.0.2.10/24", "bridge", "gateway": "" or an
	 * address; "identifier", "backend_details": what setup_server answered, null before; without "bridge" where
	 * the network is not in the conf file any more}. Values of setup_server: "identifier", "backend_details"; it
	 * finishes what it began, or finds it done, and is asked again for each server in init_host, before
	 * ensure_shares. */
	driver_slot *setup_server;
	driver_slot *teardown_server;

	/* shares. Values: "shares": {instance id: {anything}}: what the driver adds to each share's periodic data. */
	driver_slot *get_periodic_hook_data;
	/* share (or snapshot, when it is not NULL). Values: "status": "available" (whole), "absent" (not there or half
	 * made), "error"; "call_id"?: the last call that changed it. How a restart decides the fate of a half-done
	 * call. */
	driver_slot *get_share_status;
	/* Ours. Values: "used_bytes". Work where it must walk. */
	driver_slot *get_share_usage;
	/* Ours. Values: "objects": [{"kind": "share" or "snapshot", "id", "name"?, "provider_location"}]: all that is
	 * marked as the daemon's on this backend. */
	driver_slot *list_objects;
	/* Ours, asked after another slot failed: 0 while the backend is there and takes changes, else ERR_BACKEND_DOWN.
	 * Then the failed call is not blamed on its object: what became of it is decided when the backend is back, by
	 * get_share_status. Values: none */
	driver_slot *check_backend;
	/* Ours. share. Values: "path": absolute path of the root directory of its data. A driver that has it can be
	 * exported (drivers/export): then a share whose protocol is not LOCAL has no gate that its rules open, see
	 * driver_share.share_proto; update_access is not asked for it. */
	driver_slot *locate_share;
};

#endif
