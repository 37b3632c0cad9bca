/* Control groups (v2) of their own for processes, below the one that we run in, where that is delegated to us: its
 * attribute user.delegate is "1" (systemd does that for units with Delegate=) and we may make groups in it. All that is
 * in a group is killed at once, whatever session it moved to and whatever became of its parents. No controllers are
 * used. Setup and its end in one thread, the rest in any. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include "base/error.h"

#include <stdbool.h>

struct cgroup;

/* Kills and removes what daemons that crashed here left behind. -ENOENT: nothing is delegated to us; other failures,
 * with `e`, where it is, but is of no use. After failures there are no groups. */
int cgroup_setup(struct error *e);
/* When no group is left. */
void cgroup_setup_end(void);
/* Groups are there, and the last that was asked for could be made. */
bool cgroup_holds(void);

/* An empty one. NULL where there are none. */
struct cgroup *cgroup_make(void);
/* Its directory (O_PATH). */
int cgroup_fd(const struct cgroup *g);
/* Kills what is in it until nobody is left, for at most `seconds`, removes it and frees `g`, which may be NULL. What
 * cannot be killed stays, and its group with it, until the next setup. */
void cgroup_end(struct cgroup *g, double seconds);

#endif
