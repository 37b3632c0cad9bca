/* Who is at the other end of a connection, and what they may do. Loop thread. */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include "daemon/call.h"

enum role { ROLE_NONE, ROLE_READER, ROLE_ADMIN };

/* Groups of the conf file as numbers. */
struct roles {
	gid_t *admin, *reader;
	size_t n_admin, n_reader;
};
/* Groups that do not exist are left out with a warning. */
void roles_load(struct roles *r, const struct settings *top);
void roles_clear(struct roles *r);

/* Fills `ret` from SO_PEERCRED and SO_PEERGROUPS; negative errno when the socket does not say. */
int peer_of(int fd, struct requester *ret);
enum role peer_role(const struct roles *r, const struct requester *who);
/* Is this process the daemon itself, or below it: a hook, or what a hook started? */
bool peer_is_below_us(pid_t pid);

#endif
