/* Access rules in force: what a driver is told and what became of it. Call thread. */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include "daemon/backend.h"

/* Canonical form of what a rule is for: an address or network without host bits, a user's name. ERR_INVALID_PARAMS when
 * it is none. Owned by the caller. */
int access_canonical(const char *type, const char *to, char **ret, struct error *e);
/* ERR_NOT_SUPPORTED unless the backend has this type and level for shares of this protocol; type, level: NULL is fine.
 */
int access_offered(const struct backend *b, const char *share_proto, const char *type, const char *level,
		   struct error *e);

/* Only NFS rules have options, and only those that are known. ERR_INVALID_PARAMS. */
int access_check_options(const char *share_proto, const json_t *options, struct error *e);

/* A new rule's row, as JSON: new reference. */
json_t *access_row(const char *share_id, const char *id, const char *type, const char *to, const char *canonical,
		   const char *level, json_t *options, json_t *metadata);
/* Inserts the rule and its state on the instance. */
int access_insert(struct engine *en, const json_t *row, const char *instance_id, const char *state, struct error *e);
int access_set_state(struct engine *en, const char *access_id, const char *instance_id, const char *state,
		     const char *reason, struct error *e);
/* The state of a rule on one more instance. */
int access_add_state(struct engine *en, const char *access_id, const char *instance_id, const char *state,
		     struct error *e);
/* The state of a rule on the instance; the rule itself when it was the last. */
int access_drop(struct engine *en, const char *access_id, const char *instance_id, struct error *e);

/* `rules` of an input: all that are wanted on the call's instance, as they are to be there: a replica that is not the
 * active one is open read-only (readable) or not at all (dr). `update`: a row that takes the place of its rule, or
 * NULL. `*ret` (may be NULL): the wanted rows. */
int access_add_wanted(struct engine *en, const struct call *c, struct input *in, const json_t *update, json_t **ret,
		      struct error *e);
/* Tells the driver: all wanted rules of the call's share, and the one that is added, removed or updated (rows; NULL:
 * none; all NULL: make it equal). `*ret`: id to {"state","reason"?,"access_key"?}. */
int access_apply(struct engine *en, struct call *c, const json_t *add, const json_t *remove, const json_t *update,
		 json_t **ret, struct error *e);
/* Takes all access away before a share goes. */
int access_deny_all(struct engine *en, struct call *c, struct error *e);
/* Writes what access_apply answered, rule by rule. */
int access_settle(struct engine *en, const struct call *c, const json_t *rules, struct error *e);
int access_settle_on(struct engine *en, const char *instance_id, const json_t *rules, struct error *e);
/* Rules about to be denied, after all others were put in force: they are gone. */
int access_drop_denied(struct engine *en, const char *instance_id, struct error *e);
/* What a hook may see of `rules`: id to state. New reference. */
json_t *access_states_json(const json_t *rules);
/* Rules of this share that are wanted: without those about to be denied. */
int access_wanted(struct engine *en, const char *share_id, const char *instance_id, json_t **ret, struct error *e);
/* All of them at that instance are in this state, for this reason (NULL: none). */
int access_set_all(struct engine *en, const char *share_id, const char *instance_id, const char *state,
		   const char *reason, struct error *e);

#endif
