/* A way down a directory tree: the directories from a root to where one stands. Only the last few are held open, so
 * that a tree may be as deep as it likes; a closed one is opened again through "..", and must then be the same
 * directory. */
#ifndef DRIVERS_TREE_TRAIL_H
#define DRIVERS_TREE_TRAIL_H

#include <stddef.h>

struct tree_trail;

/* Takes `fd`, a directory: the root. Returns 0 or a negative errno, with `fd` closed. */
int tree_trail_new(int fd, struct tree_trail **ret);
void tree_trail_free(struct tree_trail *t); /* NULL is fine */

/* The directory where one stands: borrowed. */
int tree_trail_fd(const struct tree_trail *t);
/* How many levels there are, the root among them. */
size_t tree_trail_depth(const struct tree_trail *t);
/* One level down: takes `fd`, also on failure. */
int tree_trail_push(struct tree_trail *t, int fd);
/* One level up. -ESTALE: the directory was moved or removed meanwhile, so its ".." is not where we came from. */
int tree_trail_pop(struct tree_trail *t);

#endif
