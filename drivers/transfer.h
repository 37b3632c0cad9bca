/* Copies of whole trees from one backend to another, done by the helper program sharesd-transfer (transfer_main.c) with
 * well-kept programs. Paths are absolute. Functions return 0 or a negative errno with `e` filled. */
#ifndef DRIVERS_TRANSFER_H
#define DRIVERS_TRANSFER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct transfer {
	const char *source, *target;
	/* btrfs: a program that takes the stream on its standard input, instead of `target`: NULL-terminated, or NULL.
	 */
	const char *const *far;
	/* btrfs: what both sides have, a snapshot on the source's side. rsync: a tree on the target's file system;
	 * files in it that are still the same are not copied, but linked. Or NULL. */
	const char *base;
	uint64_t inode;       /* rsync: what the source must be; 0: any */
	uint64_t total_bytes; /* expected, for per cent; 0: unknown. btrfs: of a difference it is found out */
};

struct transfer_result {
	uint64_t sent_bytes;
	bool same; /* rsync: `base` is what `source` is, and nothing was made */
};

/* Sends the read-only snapshot `source` into the directory `target`, where it keeps its name. It is there whole, and on
 * stable storage, or not at all. With `far`, as that program's exit status says. */
int transfer_btrfs(const struct transfer *t, struct transfer_result *ret, struct error *e);

/* Makes `target`, a directory that is made if it is missing, equal to the directory `source`: what is on other file
 * systems left out, no link followed, whatever others do in `source` meanwhile. On failure some is, and the next try
 * goes on from there. */
int transfer_rsync(const struct transfer *t, struct transfer_result *ret, struct error *e);

#endif
