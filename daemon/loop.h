/* The loop thread: starts everything, serves, reloads, stops. */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "conf/conf.h"

/* Runs the daemon until it is told to stop. 0 or a negative errno, with what was wrong in the log. `fds`: n sockets
 * that listen already (systemd), or none. */
int loop_run(const char *conf_path, struct conf *conf, const int *fds, int n_fds);

#endif
