/* What the methods share: finding objects and checking their state, rows and driver inputs. Call thread. */
#ifndef DAEMON_RESOLVE_H
#define DAEMON_RESOLVE_H

#include "daemon/backend.h"
#include "daemon/engine.h"
#include "daemon/methods.h"

/* Fill c->share, c->instance, c->backend and what the call is about; the parameter's value is the reference. */
int resolve_share(struct engine *en, struct call *c, const char *ref, struct error *e);
/* c->server, where c->instance is on one. */
int load_server(struct engine *en, struct call *c, struct error *e);
/* input_add_share with its share server. */
int add_share_to(struct engine *en, struct input *in, const json_t *share, const json_t *instance, struct error *e);
/* Also c->snapshot and c->snapshot_instance, and the snapshot's share. */
int resolve_snapshot(struct engine *en, struct call *c, const char *ref, struct error *e);
/* c->share's status is one of the words (NULL ends), else ERR_INVALID_STATE; ERR_BUSY while a call is at work on it. */
int need_share_status(struct engine *en, const struct call *c, const char *const *words, struct error *e);
int need_snapshot_status(struct engine *en, const struct call *c, const char *const *words, struct error *e);
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* Does a parked call work on the share, or copy from it? */
bool is_worked_on(struct engine *en, const char *share_id);
/* ERR_NO_SPACE unless the backend has room for that many more bytes above what is reserved. */
int need_capacity(const struct backend *b, uint64_t bytes, struct error *e);

/* Whether `ref` was not found and `if_present` makes that the answer (null): then clears `e`, sets c->answered, returns
 * 0. */
int gone_is_fine(struct call *c, int r, struct error *e);
/* `forgive` of what deletes: what the driver finds nothing of is deleted, and with `force` its failure is a line in the
 * log. */
int forgive_delete(struct engine *en, struct call *c, int r, struct error *e);

/* Now, as rows hold it. */
json_t *now_json(void);
/* Sets members of the call's instance, snapshot instance or share row, with updated_at. `fields` is taken. */
int set_instance(struct engine *en, const struct call *c, json_t *fields, struct error *e);
int set_snapshot_instance(struct engine *en, const struct call *c, json_t *fields, struct error *e);
int set_share(struct engine *en, const struct call *c, json_t *fields, struct error *e);
int set_snapshot(struct engine *en, const struct call *c, json_t *fields, struct error *e);
/* Status with its reason (NULL: none). */
int set_instance_status(struct engine *en, const struct call *c, const char *status, const char *reason,
			struct error *e);
int set_snapshot_status(struct engine *en, const struct call *c, const char *status, const char *reason,
			struct error *e);
/* The status that the row had before the call. */
int restore_instance(struct engine *en, struct call *c, struct error *e);
int restore_snapshot(struct engine *en, struct call *c, struct error *e);
/* New values of the driver's export locations: a hook's value stands until they differ. */
int set_locations(struct engine *en, const struct call *c, json_t *locations, struct error *e);

/* A driver's input with share and snapshot of the call. */
struct input *input_of(const struct call *c);
/* Reads the rows of the call anew, after they were written. */
int reload_rows(struct engine *en, struct call *c, struct error *e);

int answer_share(struct engine *en, struct call *c, json_t **ret, struct error *e);
int answer_snapshot(struct engine *en, struct call *c, json_t **ret, struct error *e);
/* An event with the share (or snapshot) as it is now: "share." + its status. */
void share_event(struct engine *en, struct call *c);
void snapshot_event(struct engine *en, struct call *c);

/* amend: what post hooks may change of shares. */
int amend_share(struct engine *en, struct call *c, const json_t *changed, struct error *e);

/* The rows of an unfinished call from its intent ("share_id", "snapshot_id", "access_id"); those that are gone stay
 * NULL. */
int load_intent(struct engine *en, struct call *c, struct error *e);
/* Asks the driver what became of the share (or snapshot). `*ret_status`: "available", "absent", "error".
 * `*ret_by_call`: the last change was this call's. */
int ask_status(struct engine *en, struct call *c, bool snapshot, const char **ret_status, bool *ret_by_call,
	       struct error *e);

#endif
