/* Subvolumes of btrfs, by libbtrfsutil. Functions return 0 or a negative errno with `e` filled; `what` names for people
 * what it is about. */
#ifndef DRIVERS_BTRFS_BTRFS_VOLUME_H
#define DRIVERS_BTRFS_BTRFS_VOLUME_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Is it the root of a subvolume? Says no where it cannot tell. */
bool btrfs_volume_is(int fd);
int btrfs_volume_id(int fd, const char *what, uint64_t *ret, struct error *e);
/* `fd` is the root of a subvolume. */
bool btrfs_volume_is_read_only(int fd);
int btrfs_volume_set_read_only(int fd, bool read_only, const char *what, struct error *e);

struct btrfs_volume_info {
	unsigned char uuid[16];
	unsigned char parent[16];   /* what it was a snapshot of; zeros: of nothing */
	unsigned char received[16]; /* what it was received as a copy of; zeros: it was not */
	uint64_t changed, made;     /* transactions of its file system: the last one that changed it; its first */
	bool read_only;
};
int btrfs_volume_look(int fd, const char *what, struct btrfs_volume_info *ret, struct error *e);
/* Do both lie on one file system? */
bool btrfs_volume_same_file_system(int a, int b);

/* Does the mount that a directory lies on show a whole subvolume? Else btrfs receive does not find there what a
 * difference is to. */
bool btrfs_volume_is_wholly_mounted(int fd);

int btrfs_volume_create(int dirfd, const char *name, struct error *e);
int btrfs_volume_snapshot(int fd, int dirfd, const char *name, bool read_only, const char *what, struct error *e);
/* Removes a subvolume and all in it, by their ids, so that nobody who changes names meanwhile can lead us to others.
 * The space comes back later. */
int btrfs_volume_remove(int fd, const char *what, struct error *e);

int btrfs_volume_remove_at(int dirfd, const char *name, struct error *e);

/* What lies in it as subvolumes of their own, and so is in none of its snapshots, and not held to its size: new
 * reference to [{"id", "path"}], the path from its root. */
int btrfs_volume_nested(int fd, const char *what, json_t **ret, struct error *e);
/* Where it lies below the top of its file system, without slash at the beginning: owned by the caller. */
int btrfs_volume_path(int fd, const char *what, char **ret, struct error *e);

/* What was done in this file system is on its disk. Not what others only wrote: that is not flushed for it. Negative
 * errno. */
int btrfs_volume_commit(int fd);
/* What was received as NAME in `dirfd` is on the disk; NAME.flush is there for a moment, or after a crash. */
int btrfs_volume_flush_received(int dirfd, const char *name, struct error *e);

#endif
