/* What takes long with a directory tree, done by the helper program sharesd-tree (tree_main.c): measuring and removing.
 * Copying is in tree_copy.h. */
#ifndef DRIVERS_TREE_H
#define DRIVERS_TREE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tree_sum {
	uint64_t used_bytes; /* blocks in use, hard links once, directories too */
	uint64_t files;      /* all that is no directory, each name of a hard link */
	uint64_t entries;    /* files and directories */
};

/* Takes `fd`, a directory. Other file systems mounted below are left out. */
int tree_measure(int fd, struct tree_sum *ret, struct error *e);

/* Removes a directory and all below it, read-only directories too. What is gone already is fine. Other file systems
 * mounted below are an error that names them. */
int tree_remove(int dirfd, const char *name, struct error *e);
/* Removes all that is in a directory: whatever can be removed is, and the error is that of the first that cannot. */
int tree_empty(int dirfd, const char *name, struct error *e);

#endif
