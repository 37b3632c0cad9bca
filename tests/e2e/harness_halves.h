/* Two processors: the second half of a test in a process of its own. */
#ifndef TESTS_E2E_HARNESS_HALVES_H
#define TESTS_E2E_HARNESS_HALVES_H

#include <stddef.h>

/* Calls part(0, data) here and part(1, data) in a child, at once; one after the other with CK_FORK=no. A failure in the
 * child is the test's. */
void in_halves(void (*part)(size_t which, void *data), void *data);

#endif
