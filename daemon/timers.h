/* The timers of the backends: periodic hooks, stats, usage, replica updates, and the next try of an init_host that
 * failed. Loop thread.
 */
#ifndef DAEMON_TIMERS_H
#define DAEMON_TIMERS_H

#include "daemon/service.h"

struct timers;
struct timers *timers_new(struct service *s);
void timers_free(struct timers *t);
/* The conf is new: intervals change, backends come and go. */
void timers_reload(struct timers *t);
/* A backend's status changed ("up", "down", "starting"). */
void timers_backend(struct timers *t, const char *backend, const char *status);
/* Its periodic hooks have run. */
void timers_ticked(struct timers *t, const char *backend);

#endif
