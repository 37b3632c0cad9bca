/* Replicas on btrfs: read-only snapshots, sent and received.
 *
 * Each replica has a pair of subvolumes that hold the same, so that the next time only the difference goes over: at the
 * active replica .sharesd/replicas/SHARE/ID/data, a read-only snapshot of its data; at the replica the one of the same
 * name, received from it. ID is the replica's. ID.next is a snapshot that is on its way. Any two that hold the same
 * will do as a pair: what an older promotion left, or the instances of a snapshot. */
#ifndef DRIVERS_BTRFS_BTRFS_REPLICA_H
#define DRIVERS_BTRFS_BTRFS_REPLICA_H

#include "drivers/local/local_storage.h"

extern const struct local_replication btrfs_replication;

#endif
