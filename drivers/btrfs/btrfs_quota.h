/* Quota groups of btrfs, each subvolume's own: what it uses, and the limit that holds it to its share's size. By ioctls
 * and /sys; `fd` is the root of the subvolume. */
#ifndef DRIVERS_BTRFS_BTRFS_QUOTA_H
#define DRIVERS_BTRFS_BTRFS_QUOTA_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum btrfs_quota {
	BTRFS_QUOTA_IS_OFF,
	BTRFS_QUOTA_IS_ON,
	BTRFS_QUOTA_IS_SIMPLE,  /* counts for a clone only what is new in it */
	BTRFS_QUOTA_IS_COUNTING /* on, but its figures are not right (yet), and so no limit holds */
};
int btrfs_quota_state(int fd, enum btrfs_quota *ret, struct error *e);
int btrfs_quota_enable(int fd, struct error *e);
/* Has all counted anew, and waits a moment for that: `*ret` is on, or still counting. */
int btrfs_quota_count(int fd, enum btrfs_quota *ret, struct error *e);

/* 0: no limit. ERR_BACKEND_DOWN where quota is off by now. */
int btrfs_quota_limit(int fd, uint64_t bytes, const char *what, struct error *e);
/* 0: none, or not known. */
uint64_t btrfs_quota_find_limit(int fd);
/* All its data, what is not yet on the disk included, and what no other subvolume shares with it (`ret_exclusive` may
 * be NULL). Otherwise as of the last transaction. `id`: of the subvolume, somewhere in the file system of `fd`. */
int btrfs_quota_used(int fd, uint64_t id, uint64_t *ret, uint64_t *ret_exclusive, struct error *e);

#endif
