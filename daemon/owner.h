/* Owner, group and mode of a new share's root. Call thread. */
#ifndef DAEMON_OWNER_H
#define DAEMON_OWNER_H

#include "daemon/backend.h"

struct owner {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};
/* From the call's params (uid, gid, mode), else the backend's default_*, else the caller. An unprivileged daemon gives
 * its own, and refuses others (ERR_PERMISSION_DENIED). */
int owner_of_new(const struct backend *b, const struct call *c, struct owner *ret, struct error *e);

#endif
