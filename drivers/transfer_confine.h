/* Who may write in a tree can put a link in the place of a directory just when a program with more rights goes through
 * it. So that program is shut in: it can read and write files in the trees of the transfer only, wherever a path leads.
 */
#ifndef DRIVERS_TRANSFER_CONFINE_H
#define DRIVERS_TRANSFER_CONFINE_H

#include <stdbool.h>

struct transfer_tree {
	int fd;           /* or -1, and .. */
	const char *path; /* .. NULL: none */
	bool writable;
};

/* For the child, before it becomes the program, for good: data is a list of struct transfer_tree, which ends with
 * neither. By Landlock; 0 also where the kernel is built without it. */
int transfer_confine(const void *data);

#endif
