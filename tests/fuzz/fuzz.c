#include "tests/fuzz/fuzz.h"

#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[256];

void fuzz_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "ERROR: %s:%d: %s does not hold: ", file, line, what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

/* NOLINTNEXTLINE(readability-non-const-parameter): so libFuzzer calls it. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	umask(0077);
	/* Hash tables in the same order each time. */
	json_object_seed(1);
	fuzz_setup();
	return 0;
}

/* ---- the log: texts are made and thrown away ---- */

/* The linker puts these in the place of base/log.c's (--wrap, see the Makefile). */
void __wrap_log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_record(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

__attribute__((format(printf, 1, 0))) static void swallow(const char *fmt, va_list ap)
{
	char *text = xvasprintf(fmt, ap);

	/* For who looks into a failure. */
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "%s\n", text);
	free(text);
}

void __wrap_log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	swallow(fmt, ap);
	va_end(ap);
}

void __wrap_log_record(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	(void)message_id;
	(void)fields;
	va_start(ap, fmt);
	swallow(fmt, ap);
	va_end(ap);
}

/* ---- places ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_directory(void)
{
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_directory(void)
{
	const char *tmp = getenv("TMPDIR");

	if (*directory)
		return directory;
	if (!tmp)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(directory, sizeof directory, "%.200s/fuzz.XXXXXX", tmp);
	FUZZ_CHECK(mkdtemp(directory), "cannot make a directory in %s", tmp);
	atexit(remove_directory);
	return directory;
}

void fuzz_write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len, "cannot write %s", path);
	close(fd);
}

struct fuzz_random fuzz_random_of(const void *data, size_t size)
{
	struct fuzz_random r = { .state = 0xcbf29ce484222325 };

	for (size_t i = 0; i < size; i++)
		r.state = (r.state ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	r.state |= 1;
	return r;
}

size_t fuzz_random_next(struct fuzz_random *r, size_t limit)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (size_t)(r->state >> 11) % limit;
}

bool fuzz_is_readable(const char *text, const char *allowed)
{
	if (!text || !*text)
		return false;
	for (size_t n; *text; text += n) {
		n = text_utf8_length(text);
		if (n == 0 || (((unsigned char)*text < ' ' || *text == 0x7f) && !strchr(allowed, *text)))
			return false;
	}
	return true;
}

void fuzz_check_error(const struct error *e)
{
	FUZZ_CHECK(e->kind > ERR_NONE && e->kind < ERR_KIND_COUNT, "kind %d", (int)e->kind);
	FUZZ_CHECK(e->message && *e->message, "kind %s", error_kind_name(e->kind));
	json_decref(error_to_json(e));
}

void fuzz_check_error_object(const json_t *error)
{
	const char *message = jsonx_str(error, "message"), *kind = jsonx_str(jsonx_get(error, "data"), "kind");

	FUZZ_CHECK(json_is_integer(json_object_get(error, "code")), "no code");
	FUZZ_CHECK(message && *message, "no message");
	FUZZ_CHECK(kind && error_kind_from_name(kind) != ERR_KIND_COUNT, "kind %s", kind ? kind : "missing");
	FUZZ_CHECK(jsonx_int(error, "code") == error_kind_code(error_kind_from_name(kind)), "%s has another code",
		   kind);
}

bool fuzz_line(const char **text, size_t *left, const char **ret, size_t *ret_len)
{
	const char *end;

	if (*left == 0)
		return false;
	end = memchr(*text, '\n', *left);
	*ret = *text;
	*ret_len = end ? (size_t)(end - *text) : *left;
	*text += *ret_len + (end ? 1 : 0);
	*left -= *ret_len + (end ? 1 : 0);
	return true;
}
