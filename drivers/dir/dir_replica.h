/* Replicas on `dir`: whole copies first, as those of snapshots are made, then by rsync what differs.
 *
 * What differs is not brought into a replica's data, which would be neither the old nor the new state until it is
 * through: a whole new tree is made beside them, in which the files that are the same are links to theirs, and takes
 * their place in one step. */
#ifndef DRIVERS_DIR_DIR_REPLICA_H
#define DRIVERS_DIR_DIR_REPLICA_H

#include "drivers/local/local_storage.h"

extern const struct local_replication dir_replication;

#endif
