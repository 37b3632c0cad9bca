/* A faithful copy of a directory tree; see tree_file.h for what is kept of each file. */
#ifndef DRIVERS_TREE_COPY_H
#define DRIVERS_TREE_COPY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tree_copy_result {
	uint64_t bytes; /* of data carried over */
	uint64_t files; /* all that is no directory */
	bool reflink;   /* no data was copied, all is shared */
};

/* Takes `src`, a directory. Makes `name` in `dirfd`, and while it works a directory "NAME.links" beside it; nothing is
 * left of either on failure. What vanishes during the copy is fine. Other file systems mounted below, and owners that
 * cannot be kept, are errors that name the place. When it returns 0, all is on stable storage.
 * `progress` is called often. */
int tree_copy(int src, int dirfd, const char *name, void (*progress)(uint64_t bytes, double percent),
	      struct tree_copy_result *ret, struct error *e);

#endif
