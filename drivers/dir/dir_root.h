/* The root of a `dir` backend, opened afresh by every slot: whose it is, and the private directories in it.
 *
 *   ROOT/NAME/            a share's gate (0700, the daemon's): who may search it is who has access
 *   ROOT/NAME/data/       the share's root
 *   ROOT/.sharesd/        private (0700)
 *     backend             the root's mark: whose root this is
 *     staging/ID/         what is being made; anything there that no running work needs is left over
 *     trash/              what waits to be purged
 *     snapshots/ID/data/  snapshots
 *     objects/ID          marks of what was adopted in place, and of all where there are no user xattrs */
#ifndef DRIVERS_DIR_DIR_ROOT_H
#define DRIVERS_DIR_DIR_ROOT_H

#include "drivers/driver.h"

#include <dirent.h>

#define DIR_META ".sharesd"

struct dir_backend {
	char *name, *id;
	char *root;   /* without a slash at its end, unless it is "/" */
	json_t *busy; /* ids of objects whose staging directory is in use by running work; shared with that work */
	bool reflink; /* found at setup */
};

struct dir_root {
	const struct dir_backend *b;
	int fd, meta, staging, trash, snapshots, objects;
};
#define DIR_ROOT_INIT  ((struct dir_root){ NULL, -1, -1, -1, -1, -1, -1 })
#define _cleanup_root_ __attribute__((__cleanup__(dir_root_close)))

/* ERR_BACKEND_DOWN when the root is missing, carries no mark or another backend's, or is mounted read-only. */
int dir_root_open(const struct dir_backend *b, struct dir_root *ret, struct error *e);
void dir_root_close(struct dir_root *r);
/* Makes what is missing of the private directories and, where `may_mark`, of the mark. The same errors. */
int dir_root_make(const struct dir_backend *b, bool may_mark, struct error *e);

/* ROOT/LOCATION. Owned by the caller. */
char *dir_root_path(const struct dir_backend *b, const char *location);
/* [{"path": ROOT/LOCATION, ..}]: new reference. */
json_t *dir_root_export(const struct dir_backend *b, const char *location);

/* Flushes a directory after a change in it. */
int dir_flush(int fd, const char *what, struct error *e);

/* Opens a directory once more, for its entries. NULL with errno. */
DIR *dir_list(int dirfd);
/* Is it without entries? False where it cannot be read. */
bool dir_is_empty(int dirfd);

#endif
