/* A file system of its own for a backend's root, and ways to lose it. Linux, root, a mount namespace of the test. */
#ifndef TESTS_E2E_HARNESS_MOUNT_H
#define TESTS_E2E_HARNESS_MOUNT_H

#include "tests/e2e/harness.h"

/* To be called before fixture_new: what is mounted from now on goes with this process and its children. False: this
 * machine cannot do it, which was printed as SKIP (a failure when $CI is set). */
bool mounts_begin(const char *test_name);
/* An ext4 in DIR/disk.img, made anew and mounted on DIR/root. What lies below the mount point stays visible as
 * DIR/under. */
void disk_new(const struct fixture *f);
void disk_mount(const struct fixture *f); /* the same disk once more */
/* Stops the daemon where it runs, takes the disk away and then the fixture: what is mounted cannot be removed. */
void disk_fixture_free(struct fixture *f);

/* How a disk can go while it is in use. */
struct loss {
	const char *name;
	const char *away, *back; /* shell commands in DIR; NULL: see shut_down */
	const char *reason;      /* is in the backend's status_reason */
	bool stays_visible;      /* what was there can still be read */
	bool shut_down;          /* by the file system's own emergency stop: everything fails with EIO from then on */
};
extern const struct loss losses[];
extern const int n_losses;
void disk_lose(const struct fixture *f, const struct loss *l);
void disk_return(const struct fixture *f, const struct loss *l);
/* What is seen on DIR/root in place of the disk, and below it, as text: free it. */
char *disk_places(const struct fixture *f, const struct loss *l);

/* Everything that writes to DIR/root hangs, until disk_thaw; or the end of this process, or a minute. */
void disk_freeze(const struct fixture *f);
void disk_thaw(void);

#endif
