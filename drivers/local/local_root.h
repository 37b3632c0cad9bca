/* The root of a backend on a local file system, opened afresh by every slot: whose it is, and the private directories
 * in it.
 *
 *   ROOT/NAME/            a share's gate (the daemon's): who may search it is who has access (local_gate.h)
 *   ROOT/NAME/data/       the share's root
 *   ROOT/.sharesd/        private (0700)
 *     backend             the root's mark: whose root this is
 *     staging/ID/         what is being made; anything there that no running work needs is left over
 *     trash/              what waits to be purged
 *     snapshots/ID/data/  snapshots
 *     replicas/SHARE/     what replicas of a share keep for their next update (local_replica.h)
 *     objects/ID          marks of what was adopted in place, and of all where there are no user xattrs */
#ifndef DRIVERS_LOCAL_LOCAL_ROOT_H
#define DRIVERS_LOCAL_LOCAL_ROOT_H

#include "drivers/driver.h"

#include <dirent.h>

#define LOCAL_META ".sharesd"

struct local_storage;

/* A driver's own state begins with it. */
struct local_backend {
	const struct local_storage *storage;
	char *name, *id;
	char *root;   /* without a slash at its end, unless it is "/" */
	json_t *busy; /* ids of objects whose staging directory is in use by running work; shared with that work */
	bool reflink, size_enforced; /* found at setup */
};

struct local_root {
	const struct local_backend *b;
	int fd, meta, staging, trash, snapshots, objects, replicas;
};
#define LOCAL_ROOT_INIT ((struct local_root){ NULL, -1, -1, -1, -1, -1, -1, -1 })
#define _cleanup_root_  __attribute__((__cleanup__(local_root_close)))

/* ERR_BACKEND_DOWN when the root is missing, carries no mark or another backend's, or is mounted read-only. */
int local_root_open(const struct local_backend *b, struct local_root *ret, struct error *e);
void local_root_close(struct local_root *r);
/* Makes what is missing of the private directories and, where `may_mark`, of the mark. The same errors. */
int local_root_make(const struct local_backend *b, bool may_mark, struct error *e);

/* The mark of a root, of whatever backend it is: new reference to {"backend_id", "name", "driver", ..}. The same
 * errors; b's root and name are all that is asked of it. */
int local_root_read_mark(const struct local_backend *b, json_t **ret, struct error *e);

/* ROOT/LOCATION. Owned by the caller. */
char *local_root_path(const struct local_backend *b, const char *location);
/* [{"path": ROOT/LOCATION, ..}]: new reference. */
json_t *local_root_export(const struct local_backend *b, const char *location);

/* Which directory it is, for as long as its file system lives: on btrfs all roots of subvolumes have one inode number.
 */
int local_identify(int dirfd, const char *name, uint64_t *ret);

/* Between two steps: what was done in this directory is on the disk before what comes. */
int local_order(const struct local_backend *b, int fd, const char *what, struct error *e);
/* At the end: what was done is on the disk. */
int local_flush(const struct local_backend *b, int fd, const char *what, struct error *e);

/* Opens a directory once more, for its entries. NULL with errno. */
DIR *local_list(int dirfd);
/* Is it without entries? False where it cannot be read. */
bool local_is_empty(int dirfd);

#endif
