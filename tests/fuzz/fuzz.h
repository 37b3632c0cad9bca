/* What all fuzz targets share. A target stops at a crash, and at whatever it finds not to hold: FUZZ_CHECK. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's two, which have no header. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(holds, ...)                                                                                         \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			fuzz_fail(__FILE__, __LINE__, #holds, __VA_ARGS__);                                            \
	} while (0)
void fuzz_fail(const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* Each target's own: once, first. */
void fuzz_setup(void);
/* A directory of this process, in memory where there is /dev/shm; removed at its end. The same one each time. */
const char *fuzz_directory(void);
void fuzz_write_file(const char *path, const void *data, size_t len);

/* Numbers that depend on the input alone, so that a failure can be repeated. */
struct fuzz_random {
	uint64_t state;
};
struct fuzz_random fuzz_random_of(const void *data, size_t size);
/* Below `limit`. */
size_t fuzz_random_next(struct fuzz_random *r, size_t limit);

/* Text for people: not empty, UTF-8, no control characters but those in `allowed`. */
bool fuzz_is_readable(const char *text, const char *allowed);
/* A failure as it must be: a kind that clients know, and a message. */
void fuzz_check_error(const struct error *e);
/* The "error" of an answer. */
void fuzz_check_error_object(const json_t *error);

/* The next line (without its end) of `*text`, which moves behind it; false at the end. */
bool fuzz_line(const char **text, size_t *left, const char **ret, size_t *ret_len);

#endif
