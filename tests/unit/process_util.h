/* What the tests of base/process share. */
#ifndef TESTS_UNIT_PROCESS_UTIL_H
#define TESTS_UNIT_PROCESS_UTIL_H

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COUNT(a)          (sizeof(a) / sizeof(*(a)))
#define _cleanup_result_  cleanup(process_result_clear)
#define _cleanup_process_ cleanup(free_process)
#define SHELL(text)       ((const char *const[]){ "/bin/sh", "-c", text, NULL })

static char dir[PATH_MAX];
static char self[PATH_MAX] __attribute__((unused)); /* of this program; set by main */
static const char *const some_env[] = { "PATH=/usr/bin:/bin", "A=b", NULL };

static inline void free_process(struct process **p)
{
	process_free(*p);
}

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/sharesd-process-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void teardown(void)
{
	ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct process_spec spec_of(const char *const *argv)
{
	return (struct process_spec){ .argv = argv, .env = some_env, .max_output = 1 << 20, .timeout = 20.0 };
}

static inline struct process_result run(const char *const *argv)
{
	struct process_spec spec = spec_of(argv);
	_cleanup_error_ struct error e = ERROR_INIT;
	struct process_result r;

	ck_assert_msg(process_run(&spec, &r, &e) == 0, "%s", e.message);
	return r;
}

/* A file in `dir`; the text is static. */
static inline const char *make_file(const char *name, const char *text, mode_t mode)
{
	static char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* 0 while it is not there. */
static inline pid_t read_pid(const char *name)
{
	char path[PATH_MAX + 64], text[32] = "";
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f && !fgets(text, sizeof(text), f))
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* Not even a zombie. */
static inline bool gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static inline bool gone_within(pid_t pid, double seconds)
{
	double deadline = text_monotonic() + seconds;

	while (!gone(pid)) {
		if (text_monotonic() > deadline)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

static inline int count_descriptors(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	return n;
}

/* Everything until the end of file, waiting. NUL-terminated; static. */
static inline const char *read_to_end(int fd)
{
	static char text[65536];
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		n = read(fd, text + len, sizeof(text) - 1 - len);
		ck_assert_int_ge(n, 0);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	return text;
}

#endif
