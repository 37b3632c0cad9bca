/* What roots of the driver `btrfs` keep their data in, for drivers that read there (drivers/btrfs_ssh). */
#ifndef DRIVERS_BTRFS_BTRFS_H
#define DRIVERS_BTRFS_BTRFS_H

#include "drivers/local/local_storage.h"

extern const struct local_storage btrfs_storage;

#endif
