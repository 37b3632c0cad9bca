/* What reads show that is not in the store: backends, hooks with their figures, calls under way, progress. Loop thread.
 */
#ifndef DAEMON_VIEW_H
#define DAEMON_VIEW_H

#include "daemon/call.h"

#include <jansson.h>

struct view;
struct view *view_new(void);
void view_free(struct view *v);

/* Takes `backend` (as get_backend shows it); NULL: it is gone. */
void view_set_backend(struct view *v, const char *name, json_t *backend);
/* Borrowed; NULL: no such. */
json_t *view_backend(const struct view *v, const char *name);
/* All, an object by name: borrowed. */
json_t *view_backends(const struct view *v);

/* Counts what hooks did, from a call's record (or the outcomes of a tick). */
void view_count_hooks(struct view *v, const char *backend, const json_t *outcomes);
/* One backend's hooks, each with its figures: new reference to an array. */
json_t *view_hooks(const struct view *v, const char *backend);
/* Ticks that were dropped since the last one was still running. */
void view_count_dropped_tick(struct view *v, const char *backend);

/* Calls handed to the call thread. */
/* Takes `shown`: see call_shown_json. */
void view_call_begins(struct view *v, const struct call *c, json_t *shown);
/* Back again: a record that the store does not have yet stays here. */
void view_call_ends(struct view *v, struct call *c);
bool view_has_call(const struct view *v, const char *id);
size_t view_calls_count(const struct view *v);
/* As list_calls shows them, in the order they came: new reference to an array. */
json_t *view_calls(const struct view *v);
/* What the store does not say yet of the end of a call that list_calls shows. */
void view_fill_end(const struct view *v, json_t *call);

/* Calls that are inside a driver for longer than `seconds(data, backend)` allows, each reported once. */
void view_find_stuck(struct view *v, double (*seconds)(void *data, const char *backend),
		     void (*report)(void *data, const json_t *call, const char *backend, double since), void *data);

/* Takes `progress`; NULL: at rest. */
void view_set_progress(struct view *v, const char *object_id, json_t *progress);
/* Fills `progress` of a share or snapshot object, and of its instances. */
void view_fill_progress(const struct view *v, json_t *object);

#endif
