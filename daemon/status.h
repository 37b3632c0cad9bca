/* What the service manager shows of us: the state, and a line of text that says what is up and what is not. Does
 * nothing without one. Loop thread. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/view.h"

struct status;
struct status *status_new(void);
void status_free(struct status *st);

/* Clients are served from here on; also the end of a reload. */
void status_ready(struct status *st, const struct view *v);
/* Backends may have changed. */
void status_show(struct status *st, const struct view *v);
/* A reload begins. */
void status_reloading(struct status *st);
/* The last conf file that was read anew is not in force; until this is called with false. */
void status_refused(struct status *st, bool refused);
void status_stopping(struct status *st);

/* How the line would read: owned by the caller. */
char *status_text(const json_t *backends, bool refused);

#endif
