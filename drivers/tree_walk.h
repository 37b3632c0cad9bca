/* A walk over a directory tree that somebody may be changing meanwhile: depth first, by descriptors, following no link
 * and crossing no mount point. Of a directory the entries that are no directories come first. */
#ifndef DRIVERS_TREE_WALK_H
#define DRIVERS_TREE_WALK_H

#include "base/error.h"

#include <sys/stat.h>

struct tree_walk;

/* Functions return 0, or a negative errno with `e` filled, which ends the walk. Those that are NULL are not called.
 * `name` is NULL for the root. Descriptors are borrowed. */
struct tree_visitor {
	/* A directory before its entries. 1: leave it out, with all below. */
	int (*enter)(void *ctx, struct tree_walk *w, const char *name, int fd, const struct stat *st, struct error *e);
	/* What is no directory, or was not a moment ago. */
	int (*entry)(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e);
	/* A directory after all below it; `st` is what enter saw. */
	int (*leave)(void *ctx, struct tree_walk *w, int fd, const struct stat *st, struct error *e);
	/* The same, seen from the directory that holds it; not for the root. 1: walk it once more. */
	int (*left)(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e);
	/* A directory that cannot be opened: EXDEV for a mount point, EACCES, .. 0: leave it out. 1: try again. */
	int (*blocked)(void *ctx, struct tree_walk *w, int dirfd, const char *name, int err, struct error *e);
};

/* Takes `fd`. -ESTALE: a directory on the way was moved while we were far below it. */
int tree_walk(int fd, const struct tree_visitor *v, void *ctx, struct error *e);

/* The path from the root of what is called `name` where the walk is (NULL: that directory), for messages: the middle
 * of a long one left out. Owned by the caller. */
char *tree_walk_path(const struct tree_walk *w, const char *name);
/* error_errno with that path: "cannot WHAT PATH: reason". */
int tree_walk_error(const struct tree_walk *w, const char *what, const char *name, int err, struct error *e);

/* A directory below `dirfd` for reading, on this mount, its access time left alone where we may. */
int tree_open_dir(int dirfd, const char *name);

#endif
