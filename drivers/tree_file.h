/* One file of a copied tree: its data and what else belongs to it. */
#ifndef DRIVERS_TREE_FILE_H
#define DRIVERS_TREE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct tree_data {
	bool no_clone;           /* the file system cannot share blocks between files */
	uint64_t cloned, copied; /* files with data, by how it came over */
	uint64_t bytes;          /* of data carried over */
	void (*tick)(void *ctx); /* called now and then */
	void *ctx;
};

/* Everything of regular file `in` into the empty file `out`: shared blocks where that works, else a copy with its
 * holes. `st` is of `in`. What grows or shrinks meanwhile is copied as long as it was, or as it became shorter. */
int tree_copy_data(struct tree_data *d, int in, int out, const struct stat *st);

/* Owner, group, extended attributes with ACLs, mode and times, onto anything but a link's target: both descriptors may
 * be of O_PATH. On failure `*ret_what` names what could not be kept: owned by the caller. */
int tree_copy_attributes(int from, int to, const struct stat *st, char **ret_what);

#endif
