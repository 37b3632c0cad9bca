/* Do the store and the disk of a `dir` backend say the same? */
#ifndef TESTS_E2E_HARNESS_DISK_H
#define TESTS_E2E_HARNESS_DISK_H

#include "tests/e2e/harness.h"

/* Of a running daemon at rest, whose backend "b" has the root DIR/root: nothing is in a transitional status; every
 * available share has its directory, its mark, and an ACL equal to its rules, which are active; every available
 * snapshot its directory and mark; nothing else there is the daemon's, but what was given back and what is in the
 * trash. Fails the test with `where` in its words. */
void check_disk(const struct fixture *f, const char *where);
/* All entries of a list method, over its pages: new reference to an array. */
json_t *list_all(const struct fixture *f, const char *method, const char *member);

/* How far list_calls was read. */
struct cursor {
	char before[24], last[24];
};

/* Each call since the last time handed to `take`, those of the last page again: one that was under way is not shown. */
void each_call(struct client *c, struct cursor *from, void (*take)(void *data, const json_t *record), void *data);

#endif
