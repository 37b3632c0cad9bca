/* Replicas: the instances of a replicated share, each on a backend of its own. What the methods about them have in
 * common (call_replica.c, call_promote.c, call_replicated_snapshot.c). Call thread. */
#ifndef DAEMON_REPLICAS_H
#define DAEMON_REPLICAS_H

#include "daemon/backend.h"
#include "daemon/input.h"

/* All instances of a share as rows, oldest first: new reference to an array. */
int replica_rows(struct engine *en, const char *share_id, json_t **ret, struct error *e);
bool replica_is_active(const json_t *instance);

/* Fill c->share, c->instance (the replica), c->backend (its own) and what the call is about. */
int resolve_replica(struct engine *en, struct call *c, const char *ref, struct error *e);
/* ERR_BUSY while a parked call works on the instance, or promotes a replica of the call's share. */
int need_quiet_replica(struct engine *en, const struct call *c, const json_t *instance, struct error *e);

/* A call of the same id and method about another instance of the call's share, to call that one's backend: what goes
 * wrong there is not blamed on the call itself. To be freed by call_free. `backend` may be NULL or down. */
struct call *replica_part(struct engine *en, struct call *c, const json_t *instance);
/* Is the backend of that part there to be called? */
bool replica_part_is_up(const struct call *part);

/* A driver's input about c->instance: the share, and all replicas with what is known of their peers. */
int replica_input(struct engine *en, struct call *c, struct input **ret, struct error *e);
/* Adds all instances of a snapshot. */
int replica_add_snapshot(struct engine *en, struct input *in, const json_t *snapshot, struct error *e);
/* The same of all snapshots of the call's share. */
int replica_add_snapshots(struct engine *en, const struct call *c, struct input *in, struct error *e);

/* The input of the slots about one replica: with its rules and all snapshots. */
int replica_whole_input(struct engine *en, struct call *c, struct input **ret, struct error *e);
/* c->args: with the share's id. New reference. */
json_t *replica_args(const struct call *c);
/* Status and state of c->instance, with the reason (NULL: none). */
int set_replica(struct engine *en, const struct call *c, const char *status, const char *state, const char *reason,
		struct error *e);

/* What a driver says about a replica that is not to be the active one: one of in_sync, out_of_sync, error. NULL and
 * "active" (with a warning) are out_of_sync; an unknown word fails. */
int replica_state_of(const struct call *c, const char *said, const char **ret, struct error *e);
/* Writes what became of the rules of c->instance: c->more is {"rules"} as access_apply's, or {"reason"}. */
int replica_settle_rules(struct engine *en, const struct call *c, struct error *e);
/* Deletes an instance of a snapshot; the snapshot, when it was the last. */
int drop_snapshot_instance(struct engine *en, const json_t *instance, struct error *e);
/* `recover` and `undo` of what its next call goes on with, from whatever is there. */
int replica_leave(struct engine *en, struct call *c, struct error *e);
/* Asks for the snapshots that the call's replica is about to get or to lose, each by a call of its own: what has just
 * come over with it shall not wait for the timer's next round. */
void replica_ask_snapshots(struct engine *en, struct call *c);
/* "share_replica." and its state, or its status where it is being deleted, with the instance as it is now. */
void replica_event(struct engine *en, struct call *c, const char *instance_id);

#endif
