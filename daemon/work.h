/* Long work: a helper program that a driver slot asked for. It runs beside the calls; its end comes back into the call
 * thread, as the second half of its call. Call thread. */
#ifndef DAEMON_WORK_H
#define DAEMON_WORK_H

#include "daemon/engine.h"
#include "daemon/input.h"
#include "drivers/driver.h"

#include <poll.h>

/* Takes `spec`. The work starts at once; a program that cannot be started is a failure at its end. */
struct work *work_new(struct driver_work *spec, struct backend *b, struct input *in);
/* Kills what runs. NULL is fine. */
void work_free(struct work *w);

/* What poll() must watch; returns how many (at most 3). */
size_t work_poll_fds(const struct work *w, struct pollfd *fds);
/* Reads what is there. true: it has ended, the outcome is known. */
bool work_step(struct work *w);
/* New progress since the last time: new reference or NULL. */
json_t *work_progress(struct work *w);
/* Kills what runs; the driver's state that it belongs to is no more, so that it cannot be finished either. */
void work_cut_off(struct work *w);
bool work_is_cut_off(const struct work *w);
/* Waits for the end without doing anything else: recovery, and tests. */
void work_wait(struct work *w);

struct input *work_input(struct work *w);
struct input *work_take_input(struct work *w);
const struct driver_work *work_spec(const struct work *w);
/* After the end: NULL on success. Borrowed. */
const struct error *work_failure(const struct work *w);
const json_t *work_output(const struct work *w);
struct backend *work_backend(const struct work *w);

/* A list of what nobody waits for: adds, and takes one out that has ended (NULL: none has). */
void work_add_background(struct work **list, struct work *w);
struct work *work_take_ended(struct work **list);
struct work *work_next(const struct work *w);
void work_free_all(struct work *list);

#endif
