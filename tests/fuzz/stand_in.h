/* Programs that are not there: what base/process.c would have started says what the target wants. The linker puts these
 * in the place of process_start, process_start_until and process_pidfd (--wrap, see the Makefile). */
#ifndef TESTS_FUZZ_STAND_IN_H
#define TESTS_FUZZ_STAND_IN_H

#include "tests/fuzz/fuzz.h"

/* What the next programs of process_run print, and their wait status. All is borrowed. */
void stand_in_program(const char *output, size_t len, const char *errors, size_t errors_len, int status);

/* What the next process of process_start prints, in pieces that `r` gives, whenever it is looked at; then it ends. At a
 * line "~" it waits for something to be written to it; it ends too where nothing comes. Borrowed. */
void stand_in_coproc(const char *output, size_t len, struct fuzz_random r);
/* What it held of this process's; safe twice. */
void stand_in_clear(void);

#endif
