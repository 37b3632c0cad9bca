/* A daemon whose allocations, or whose fallocate, fail when a test wants it. */
#ifndef TESTS_E2E_HARNESS_FAIL_H
#define TESTS_E2E_HARNESS_FAIL_H

#include "tests/e2e/harness.h"
#include "tests/plugins/preload_fail.h"

/* Below the fixture's directory; lives as long as the process. NULL where it cannot be: under a sanitizer, whose
 * allocator is its own. */
struct preload_fail *fail_new(const struct fixture *f);
/* For fixture_start, of the last fail_new. */
const char *const *fail_env(void);

#endif
