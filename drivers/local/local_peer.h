/* The root of another backend of this host, on which a replica lies: opened for one call, beside the backend's own. */
#ifndef DRIVERS_LOCAL_LOCAL_PEER_H
#define DRIVERS_LOCAL_LOCAL_PEER_H

#include "drivers/local/local_object.h"

struct local_peer {
	struct local_backend b;    /* as much of it as a root needs */
	struct local_root r;       /* points into `b`: a peer is not copied */
	struct local_object share; /* the replica there */
};
#define LOCAL_PEER_INIT ((struct local_peer){ .r = LOCAL_ROOT_INIT, .share = LOCAL_OBJECT_INIT })
#define _cleanup_peer_  __attribute__((__cleanup__(local_peer_close)))

/* Opens the root that s->path lies in: it must be of a backend of that name and of b's storage, and have the replica's
 * mark. Its trouble is not b's: never ERR_BACKEND_DOWN. -ENODEV where s->path is NULL. */
int local_peer_open(const struct local_backend *b, const struct driver_share *s, struct local_peer *ret,
		    struct error *e);
void local_peer_close(struct local_peer *p);

/* The replica that is the active one, or NULL. */
const struct driver_share *local_peer_active(const struct driver_call *call);

#endif
