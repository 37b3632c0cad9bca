/* The one table of methods: dispatch, parameter checks, rpc.discover, the command line's completion and the manual come
 * from it. Immutable; any thread. */
#ifndef DAEMON_METHODS_H
#define DAEMON_METHODS_H

#include "base/error.h"
#include "drivers/driver.h"

#include <stdbool.h>
#include <stddef.h>

struct call;
struct engine;
struct reader;

enum param_type {
	PARAM_STRING, /* bounds: length */
	PARAM_NAME,   /* a new object's name */
	PARAM_REF,    /* an id, or a name where names are unique */
	PARAM_SIZE,   /* bytes, 1..2^63-1 */
	PARAM_INT,    /* bounds: value */
	PARAM_BOOL,
	PARAM_CHOICE,
	PARAM_MODE,     /* "0770" */
	PARAM_OWNER,    /* number or name */
	PARAM_METADATA, /* object of strings; `choices` non-NULL is not used */
	PARAM_PATCH,    /* the same, null removes */
	PARAM_OBJECT,   /* any object */
	PARAM_RULES,    /* array of {"access_type","access_to","access_level"?,"options"?} */
	PARAM_STRINGS,  /* array of strings */
};

#define METADATA_MAX 256 /* texts that an object may have */

struct param {
	const char *name;
	enum param_type type;
	bool required;
	const char *fallback; /* JSON text filled in when missing; NULL: stays missing */
	const char *const *choices;
	int64_t min, max;
	const char *help;
};

/* A member of driver_action_results. */
struct result_key {
	const char *name;
	enum result_shape {
		SHAPE_LOCATIONS,
		SHAPE_METADATA,
		SHAPE_STRING,
		SHAPE_SIZE,
		SHAPE_OBJECT,
		SHAPE_STATS,
		SHAPE_ENSURED, /* id to {"export_locations", "status", ..}: a driver's */
		SHAPE_LOCATIONS_BY_ID,
		SHAPE_REPLICAS,           /* id to {"replica_state", "export_locations"?} */
		SHAPE_SNAPSHOT_INSTANCES, /* id to {"status", "provider_location"?} */
		SHAPE_ARRAY,
	} shape;
	bool changeable; /* by a post hook */
};

enum method_kind {
	METHOD_READ,        /* answered by the loop */
	METHOD_QUEUED_READ, /* changes nothing, but asks a driver: waits its turn in the call thread */
	METHOD_WRITE,       /* call thread, no hooks */
	METHOD_HOOKED,      /* call thread, with hooks */
};

enum method_flag {
	METHOD_ADMIN = 1 << 0, /* a read that only admins may call */
	METHOD_IF_ABSENT = 1 << 1,
	METHOD_IF_PRESENT = 1 << 2,
	METHOD_LONG = 1 << 3,              /* takes `wait` */
	METHOD_NO_INTENT = 1 << 4,         /* repeats itself at every start: needs no intent */
	METHOD_ANY_BACKEND_STATE = 1 << 5, /* runs although the backend is down */
	/* What was cut off is undone, and the store alone can do that: its backend need not come back for it. */
	METHOD_UNDONE_AT_ONCE = 1 << 6,
};

/* The steps of a call in the call thread (CONTRIBUTING.md). NULL: nothing to do. Each returns 0 or negative with c->err
 * filled through `e`. */
struct call_ops {
	int (*resolve)(struct engine *en, struct call *c, struct error *e);
	int (*intend)(struct engine *en, struct call *c, struct error *e);
	int (*drive)(struct engine *en, struct call *c, struct error *e);
	/* A failure of the driver, also of its long work, that may be none of the call's: 0 with `e` cleared, or `r`.
	 */
	int (*forgive)(struct engine *en, struct call *c, int r, struct error *e);
	/* Further driver calls once c->results is known, also after long work. */
	int (*follow)(struct engine *en, struct call *c, struct error *e);
	int (*settle)(struct engine *en, struct call *c, struct error *e);
	int (*fail)(struct engine *en, struct call *c, const struct error *cause, struct error *e);
	int (*amend)(struct engine *en, struct call *c, const json_t *changed, struct error *e);
	int (*answer)(struct engine *en, struct call *c, json_t **ret, struct error *e);
	/* 1: it took effect and c->results is filled, settle it. 0: nothing is left of it, rows are to be undone by
	 * `undo`. Negative: an error state by `fail`. */
	int (*recover)(struct engine *en, struct call *c, struct error *e);
	/* NULL: what `recover` finds nothing of is undone. Else it is driven anew, with the hooks that come after the
	 * driver, as soon as this answers 1: all it needs is there. 0: not yet. Negative: nobody wants it any more. */
	int (*goes_on)(struct engine *en, const struct call *c);
	int (*undo)(struct engine *en, struct call *c, struct error *e);
};

typedef int read_function(struct reader *rd, const json_t *params, json_t **ret, struct error *e);

struct method {
	const char *name;
	enum method_kind kind;
	unsigned flags;
	const struct param *params; /* name NULL ends; NULL: none */
	const char *result;         /* a schema's name: "share", "share|null", "null", "shares" (a page) .. */
	const struct result_key *results;
	const char *const *slots; /* driver slots that must exist; NULL-terminated */
	const struct call_ops *ops;
	const char *taken_as; /* the method that it becomes, hooks included, where its `resolve` says so */
	read_function *read;
	const char *help;
};

/* name NULL ends. */
const struct method *method_table(void);
const struct method *method_find(const char *name);
const struct result_key *method_result_key(const struct method *m, const char *key); /* or NULL */

/* Checks `params` (NULL or an object) against the row: unknown members, types, bounds, what is missing. `*ret`: a new
 * object with the defaults filled in. ERR_INVALID_PARAMS names the member. */
int params_check(const struct method *m, const json_t *params, json_t **ret, struct error *e);
/* The JSON schema of a parameter: new reference. */
json_t *param_schema(const struct param *p);
/* The parameters that every row of this kind has besides its own (request_id, wait, ..); name NULL ends. */
const struct param *method_common_params(void);
bool method_takes(const struct method *m, const char *common);

extern const struct call_ops ops_init_host, ops_publish, ops_create_share, ops_delete_share, ops_manage_share,
	ops_unmanage_share, ops_resize_share, ops_allow_access, ops_deny_access, ops_update_access, ops_create_snapshot,
	ops_delete_snapshot, ops_revert, ops_manage_snapshot, ops_unmanage_snapshot, ops_set_metadata, ops_reset_status,
	ops_test_hook, ops_enable_hook, ops_list_orphans, ops_create_share_server, ops_delete_share_server,
	ops_create_replica, ops_delete_replica, ops_promote_replica, ops_update_replica, ops_create_replicated_snapshot,
	ops_delete_replicated_snapshot, ops_update_replicated_snapshot;
extern read_function read_list_backends, read_get_backend, read_list_shares, read_get_share, read_list_snapshots,
	read_get_snapshot, read_list_access_rules, read_list_replicas, read_list_share_servers, read_list_calls,
	read_list_share_networks, read_list_hooks, read_get_hook, read_get_service, read_discover, read_subscribe;

#endif
