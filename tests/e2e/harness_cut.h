/* A disk whose power can be cut, at any moment and afterwards: it writes down every write and every flush in order.
 *
 * It is a file that a process of its own serves over FUSE, under a loop device. What the file system above it sends to
 * a real disk arrives there as requests: a write, in the order of their completion, or a flush, which orders nothing
 * but itself. A disk with a cache promises this much and no more: what was written before a flush was asked for is
 * there after it; of all that came later any part may be there, in any order, down to the disk's own unit. So an image
 * made of the writes before the last flush, and of any part of those after it, is one that a cut may leave. */
#ifndef TESTS_E2E_HARNESS_CUT_H
#define TESTS_E2E_HARNESS_CUT_H

#include "tests/e2e/harness.h"

enum { CUT_BLOCK = 4096 }; /* the disk's unit: it is written wholly or not at all */

enum cut_loss {
	CUT_LOSES_ALL, /* that was not flushed */
	CUT_LOSES_NONE,
	CUT_LOSES_WRITES, /* some of them, whole */
	CUT_LOSES_BLOCKS, /* some blocks of them */
	CUT_LOSSES
};

struct cut_disk;

/* An empty ext4 on such a disk, mounted at DIR/disk. NULL, and a line that begins with SKIP, where the machine has no
 * loop device or no FUSE. For a process that has a mount namespace of its own. */
struct cut_disk *cut_new(const struct fixture *f, const char *test_name);
/* How much has happened so far: counts up with each request, in any process. */
size_t cut_position(const struct cut_disk *d);
/* No more is written down. */
bool cut_is_full(const struct cut_disk *d);
/* Takes the disk away, whoever still uses it. What it wrote down stays. */
void cut_stop(struct cut_disk *d);
/* Mounts at DIR/disk what a cut at this position leaves. Positions ascend from call to call. */
void cut_mount(struct cut_disk *d, size_t position, enum cut_loss loss, unsigned *seed);
void cut_unmount(struct cut_disk *d);
void cut_free(struct cut_disk *d); /* NULL is fine */

#endif
