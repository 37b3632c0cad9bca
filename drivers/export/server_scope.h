/* Where systemd runs, a server gets a unit of its own (sharesd-NAME-PID.scope), for the stop of ours ends all that is
 * in it. Any thread. */
#ifndef DRIVERS_EXPORT_SERVER_SCOPE_H
#define DRIVERS_EXPORT_SERVER_SCOPE_H

#include <sys/types.h>

/* Moves the process, and with it what it starts from then on. 0 where systemd does not run: nothing is to be done. */
int export_server_scope(const char *name, pid_t pid);

#endif
