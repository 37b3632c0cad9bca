/* What sharesd-receive does on the host that holds replicas for another one (receive_main.c): a directory of a btrfs,
 * and in it
 *
 *   BACKEND/shares/ID/data      what the replica ID has, read only
 *   BACKEND/snapshots/ID/data   an instance of a snapshot of the replica that BACKEND/snapshots/ID/of names
 *   BACKEND/shares/ID/name      the name of the share, for people; NAME@SNAPSHOT of a snapshot
 *   BACKEND/receiving/ID        what is on its way; ID.lock is held by who receives it
 *
 * BACKEND and ID are UUIDs of the other host's. Functions return 0 or a negative errno with `e` filled. */
#ifndef DRIVERS_RECEIVE_H
#define DRIVERS_RECEIVE_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

struct receive_place {
	const char *root; /* its path; borrowed */
	const char *backend;
	int fd, kinds[2], receiving;
};
enum receive_kind { RECEIVE_SHARE, RECEIVE_SNAPSHOT };
struct receive_object {
	enum receive_kind kind;
	const char *id, *name;
	const char *of; /* the replica that a snapshot is of; NULL of a share */
};
#define RECEIVE_PLACE_INIT ((struct receive_place){ .fd = -1, .kinds = { -1, -1 }, .receiving = -1 })

/* The place of a backend. `make`: it is made where it is missing, on a btrfs only. Else -ENOENT. */
int receive_open(const char *root, const char *backend, bool make, struct receive_place *ret, struct error *e);
void receive_close(struct receive_place *p);

/* New reference to {"total_bytes", "free_bytes", "incremental", "held": [{"kind", "id", "name", "uuid", "received"}]}.
 * incremental: differences can be received here. `replica`: only it and its snapshots; NULL: all. */
int receive_state(const struct receive_place *p, const char *replica, json_t **ret, struct error *e);
/* Takes a stream of btrfs send from `in`. It is in its place whole, and on the disk, or nothing of it is there; what
 * was there before stays until then. One that is on its way already, from a connection that nobody ended, is ended. */
int receive_take(const struct receive_place *p, const struct receive_object *o, int in, struct error *e);
/* Also of what is not there; a replica with its snapshots. */
int receive_delete(const struct receive_place *p, enum receive_kind kind, const char *id, struct error *e);
/* Removes what nobody is receiving any more. */
int receive_tidy(const struct receive_place *p, struct error *e);

#endif
