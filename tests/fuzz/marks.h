/* The marks that the `dir` driver leaves on a backend and believes later: the root's own and those of objects. */
#ifndef TESTS_FUZZ_MARKS_H
#define TESTS_FUZZ_MARKS_H

#include "conf/settings.h"
#include "tests/fuzz/fuzz.h"

/* Makes nothing of `root` yet. */
void marks_setup(const char *root, const struct settings *settings);
/* Puts the text in the place of a mark ('b' before it: the root's), then asks the driver about a share and tells it to
 * change and remove it. Nothing outside of the root may change. */
void marks_run(const char *text, size_t len);

#endif
