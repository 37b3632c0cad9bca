/* Replicas on btrfs: read-only snapshots, sent and received.
 *
 * Each replica has a pair of subvolumes that hold the same, so that the next time only the difference goes over: at the
 * active replica .sharesd/replicas/SHARE/ID/data, a read-only snapshot of its data; at the replica the one of the same
 * name, received from it. ID is the replica's. ID.next is a snapshot that is on its way. Any two that hold the same
 * will do as a pair: what an older promotion left, or the instances of a snapshot. */
#ifndef DRIVERS_BTRFS_BTRFS_REPLICA_H
#define DRIVERS_BTRFS_BTRFS_REPLICA_H

#include "drivers/btrfs/btrfs_volume.h"
#include "drivers/local/local_storage.h"

extern const struct local_replication btrfs_replication;

/* What another host holds of the pairs, for those who send there (drivers/btrfs_ssh). `all` is of the replica and its
 * snapshots, `pair` the replica's own; NULL: it has nothing yet. */
struct btrfs_far {
	const struct btrfs_volume_info *all, *pair;
	size_t n;
};

/* The source's part of the replication's functions, for t->far. Paths are absolute and the caller's; parent is NULL
 * where there is no common state; 0 bytes: unknown. */
int btrfs_replica_prepare(const struct local_transfer *t, char **ret_sent, char **ret_parent, uint64_t *ret_bytes,
			  struct error *e);
/* It is there, as t->far says: -EBADMSG where that is not what was sent. */
int btrfs_replica_sent(const struct local_transfer *t, struct error *e);

#endif
