/* What is new in a subvolume since a state of it. */
#ifndef DRIVERS_BTRFS_BTRFS_CHANGED_H
#define DRIVERS_BTRFS_BTRFS_CHANGED_H

#include <stdint.h>

/* Bytes of file data that are in the snapshot `path` and not in `base`, an older one of the same data on the same file
 * system: about what btrfs send gives for the difference. 0: none, or that cannot be told. Asking takes as long as it
 * takes to read the metadata that are new. */
uint64_t btrfs_changed_bytes(const char *path, const char *base);

#endif
