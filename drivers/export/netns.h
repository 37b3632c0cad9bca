/* Networks of share servers: each is a network namespace with one address on one bridge of this host. It is pinned at
 * /run/netns/sharesd-ID, where ip(8) finds it too, and so outlives us, until it is removed or the machine starts anew;
 * within, the interface is eth0, its other end (netns_link) hangs on the bridge. Everything finishes what was begun, or
 * finds it done. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and the program ip. One thread. */
#ifndef DRIVERS_EXPORT_NETNS_H
#define DRIVERS_EXPORT_NETNS_H

#include "base/error.h"

#include <stdbool.h>

/* All is borrowed. */
struct netns_spec {
	const char *id;      /* UUID of the share server */
	const char *address; /* "192.0.2.10/24" */
	const char *bridge;
	const char *gateway; /* NULL or "": none */
};

/* Can networks be made here? ERR_BACKEND_DOWN: what is missing, and what to do. */
int netns_check(struct error *e);

/* All owned by the caller: "sharesd-ID"; where it is pinned; the name of the link's end in our network. */
char *netns_name(const char *id);
char *netns_path(const char *id);
char *netns_link(const char *id);

/* `*ret_made`: it was not there before, so nothing lives in it. */
int netns_setup(const struct netns_spec *spec, bool *ret_made, struct error *e);
/* Is it pinned, and does its link hang on the bridge? Cheap: some system calls. */
bool netns_is_whole(const char *id, const char *bridge);
/* Not there is success. What still lives in it goes on without a network. */
int netns_remove(const char *id, struct error *e);

/* A socket in the namespace at `path` (NULL: in ours): a descriptor or a negative errno. Any thread. */
int netns_socket(const char *path, int family, int type);

#endif
