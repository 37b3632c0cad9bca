/* What the other host holds, as its sharesd-receive tells. It is asked once in a call, and no call waits long for it
 * that can do without: ssh goes on behind, and the next call hears of it. Call thread. */
#ifndef DRIVERS_BTRFS_SSH_FAR_STATE_H
#define DRIVERS_BTRFS_SSH_FAR_STATE_H

#include "drivers/btrfs_ssh/far.h"

struct far_state;
/* `f` must live as long. */
struct far_state *far_state_new(const struct far *f);
void far_state_free(struct far_state *s); /* kills what runs; NULL is fine */

enum {
	FAR_PATIENT = 1, /* waits longer, for what it says now */
	FAR_MAKE = 2,    /* its place there is made first */
};
/* New reference. Not patient: what it said lately will do. Where it has not answered in time the error is
 * ERR_BACKEND_DOWN with EAGAIN. */
int far_state_get(struct far_state *s, const char *call_id, int how, json_t **ret, struct error *e);
/* Deletes a snapshot there; also where it is not there. EAGAIN as above: who asks again hears of the end. */
int far_state_drop(struct far_state *s, const char *id, struct error *e);
/* What it said last, however long ago: borrowed, NULL before. */
json_t *far_state_last(const struct far_state *s);
/* Something is about to change there, or may have been changed: what was asked before is out of date. */
void far_state_changed(struct far_state *s);

#endif
