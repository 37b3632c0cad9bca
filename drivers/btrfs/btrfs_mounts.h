/* Who holds a subvolume: btrfs removes one under the feet of those who have it mounted. */
#ifndef DRIVERS_BTRFS_BTRFS_MOUNTS_H
#define DRIVERS_BTRFS_BTRFS_MOUNTS_H

#include "base/error.h"

/* ERR_INVALID_STATE (EBUSY) where the subvolume with this root, or a directory in it, is mounted somewhere, or
 * something is mounted in it, as far as this process sees mounts. `what` it is, for people. */
int btrfs_mounts_refuse(int fd, const char *what, struct error *e);

#endif
