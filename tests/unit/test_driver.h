/* What the tests of the drivers share: a directory, backends made from a conf file in it, and a runner that does with a
 * slot what the daemon does: it runs its long work to the end and calls `finish`. */
#ifndef TESTS_UNIT_TEST_DRIVER_H
#define TESTS_UNIT_TEST_DRIVER_H

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"
#include "conf/conf.h"
#include "daemon/options.h"
#include "drivers/export/exported.h"
#include "drivers/table.h"
#include "drivers/tree.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NOBODY    65534
#define CALL_1    "00000000-0000-4000-8000-0000000000c1"
#define CALL_2    "00000000-0000-4000-8000-0000000000c2"
#define CALL_3    "00000000-0000-4000-8000-0000000000c3"
#define SHARE_1   "00000000-0000-4000-8000-0000000000a1"
#define SHARE_2   "00000000-0000-4000-8000-0000000000a2"
#define SNAP_1    "00000000-0000-4000-8000-0000000000b1"
#define SNAP_2    "00000000-0000-4000-8000-0000000000b2"
#define BACKEND_1 "00000000-0000-4000-8000-00000000000b"
#define BACKEND_2 "00000000-0000-4000-8000-00000000000d"
#define GIB       (1ull << 30)
#define COUNT(a)  (sizeof(a) / sizeof(*(a)))

static char dir[PATH_MAX]; /* of this test, removed after it */

/* Static storage; sixteen of them live at a time. */
__attribute__((format(printf, 1, 2))) static inline const char *text(const char *fmt, ...)
{
	static char ring[16][4 * PATH_MAX];
	static size_t next;
	char *s = ring[next++ % COUNT(ring)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, sizeof ring[0], fmt, ap);
	va_end(ap);
	return s;
}

static inline bool skip_unless_root(const char *name)
{
	if (geteuid() == 0)
		return false;
	printf("SKIP %s: needs root\n", name);
	return true;
}

/* ---- files ---- */

static inline void write_text(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

/* Static storage. */
static inline const char *read_text(const char *path)
{
	static char buf[64 << 10];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	n = read(fd, buf, sizeof buf - 1);
	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	close(fd);
	return buf;
}

static inline bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline struct stat stat_of(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st;
}

static inline size_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	for (const struct dirent *entry; (entry = readdir(d));)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return n;
}

/* Exit status of a command line. */
static inline int shell_status(const char *command)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, xstrdup(command), NULL };
	pid_t pid;
	int status;

	ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	free(argv[2]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

__attribute__((format(printf, 1, 2))) static inline void shell(const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	command = xvasprintf(fmt, ap);
	va_end(ap);
	status = shell_status(command);
	ck_assert_msg(status == 0, "`%s` ended with %d", command, status);
}

/* Runs `f` as another user in a process of its own; its exit status. */
static inline int as_user(uid_t uid, int (*f)(const void *arg), const void *arg)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(99);
		_exit(f(arg));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* 0 or errno of entering the directory. */
static inline int try_enter(const void *path)
{
	return chdir(path) == 0 ? 0 : errno;
}

/* ---- fixture ---- */

static inline void copy_program(const char *name)
{
	char self[PATH_MAX] = "";

	ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
	dirname(self);
	shell("cp '%s/%s' '%s/%s' && chmod 755 '%s/%s'", dirname(self), name, dir, name, dir, name);
}

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	umask(022);
	snprintf(dir, sizeof dir, "%s/driver.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	/* Copies, so that other users may run them wherever the build lies. */
	copy_program("sharesd-contain");
	copy_program("sharesd-tree");
	copy_program("sharesd-transfer");
	process_set_helper(text("%s/sharesd-contain", dir));
}

static inline void teardown(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	char *slash = strrchr(dir, '/');
	_cleanup_close_ int parent = -1;

	*slash = '\0';
	parent = path_open_root(dir);
	ck_assert_msg(tree_remove(parent, slash + 1, &e) == 0, "%s", e.message);
}

/* ---- backends ---- */

struct backend {
	struct conf *conf;
	const struct share_driver_ops *ops;
	void *state;
};

/* `section` is what stands between the braces. 0 or what create() returned. */
static inline int backend_try(const char *driver, const char *name, const char *id, const char *section,
			      struct backend *ret, struct error *e)
{
	struct conf_faults faults = { 0 }, warnings = { 0 };
	const char *path = text("%s/%s.conf", dir, name);
	struct driver_setup setup = { .name = name, .id = id };
	int r;

	write_text(path, text("%s \"%s\" {\n%s\n}\n", driver, name, section));
	r = conf_load(path, daemon_schema(), &ret->conf, &faults, &warnings, e);
	ck_assert_msg(r == 0, "%s", e->message);
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	setup.settings = conf_backend(ret->conf, name)->settings;
	ck_assert_ptr_nonnull(driver_find(driver));
	r = exported_create(driver_find(driver), &setup, ret->conf, &ret->ops, &ret->state, e);
	if (r < 0) {
		conf_unref(ret->conf);
		*ret = (struct backend){ 0 };
	}
	return r;
}

static inline struct backend backend_new(const char *driver, const char *name, const char *id, const char *section)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct backend b = { 0 };

	ck_assert_msg(backend_try(driver, name, id, section, &b, &e) == 0, "%s", e.message);
	return b;
}

static inline void backend_free(struct backend *b)
{
	if (b->ops)
		b->ops->destroy(b->state);
	conf_unref(b->conf);
	*b = (struct backend){ 0 };
}

/* ---- calls ---- */

struct outcome {
	int r;
	json_t *values; /* never NULL on success */
	struct error e;
	size_t works; /* how many helpers ran that the call waited for */
	bool purged;  /* one ran behind it */
};

static inline void outcome_clear(struct outcome *o)
{
	json_decref(o->values);
	error_clear(&o->e);
	*o = (struct outcome){ 0 };
}
#define _cleanup_outcome_ __attribute__((__cleanup__(outcome_clear)))

/* What the daemon makes of the lines that a helper prints. */
static inline void read_lines(char *output, json_t **ret_result, struct error *ret_failure)
{
	char *next = NULL;

	for (char *line = strtok_r(output, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		json_t *j = NULL, *member;

		ck_assert_msg(jsonx_parse(line, strlen(line), 8, &j, NULL) == 0, "no JSON: %s", line);
		if ((member = jsonx_get(j, "result")))
			*ret_result = json_incref(member);
		else if ((member = jsonx_get(j, "error")))
			error_set(ret_failure, ERR_DRIVER_FAILED, (int)jsonx_int(member, "errno"), "%s",
				  jsonx_str(member, "message"));
		else
			ck_assert_ptr_nonnull(jsonx_get(j, "bytes"));
		json_decref(j);
	}
}

/* true: it succeeded. */
static inline bool work_run(const struct driver_work *w, json_t **ret_result, struct error *ret_failure)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct process_spec spec = {
		.argv = (const char *const *)w->argv, .env = env, .max_output = 16 << 20, .timeout = 120
	};
	struct process_result p;
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(process_run(&spec, &p, &e) == 0, "%s", e.message);
	ck_assert_msg(!*p.errors, "%s", p.errors);
	read_lines(p.output, ret_result, ret_failure);
	ck_assert_int_eq(p.exit_code, *ret_result ? 0 : 1);
	process_result_clear(&p);
	return *ret_result != NULL;
}

/* One round of long work. */
static inline void work_step(const struct backend *b, const struct driver_call *call, struct driver_result *res,
			     struct outcome *o)
{
	_cleanup_error_ struct error failure = ERROR_INIT;
	_cleanup_json_ json_t *result = NULL;
	struct driver_work *w = take_ptr(res->work);
	bool good = work_run(w, &result, &failure);

	if (w->background) {
		ck_assert_msg(good, "%s", failure.message);
		o->purged = true;
	} else {
		o->works++;
		o->r = w->finish(b->state, w->data, call, result, good ? NULL : &failure, res, &o->e);
	}
	driver_work_free(w);
}

static inline struct outcome run_slot(const struct backend *b, driver_slot *slot, const struct driver_call *call)
{
	struct outcome o = { 0 };
	struct driver_result res = { 0 };

	ck_assert_ptr_nonnull(slot);
	o.r = slot(b->state, call, &res, &o.e);
	while (o.r == 0 && res.work)
		work_step(b, call, &res, &o);
	ck_assert_msg((o.r < 0) == (o.e.kind != ERR_NONE), "%d with kind %s: %s", o.r, error_kind_name(o.e.kind),
		      o.e.message ? o.e.message : "");
	ck_assert(o.r == 0 || o.e.message != NULL);
	if (o.r == 0 && !res.values)
		res.values = json_object();
	o.values = res.values;
	return o;
}

#define RUN(b, slot, ...) run_slot((b), (b)->ops->slot, &(struct driver_call){ __VA_ARGS__ })
/* The same where it must go well; the outcome is the caller's to clear. */
#define WELL(b, slot, ...)                                                                                             \
	({                                                                                                             \
		struct outcome well_ = RUN(b, slot, __VA_ARGS__);                                                      \
		ck_assert_msg(well_.r == 0, #slot ": %s", well_.e.message);                                            \
		well_;                                                                                                 \
	})
#define DO(b, slot, ...)                                                                                               \
	do {                                                                                                           \
		struct outcome done_ = WELL(b, slot, __VA_ARGS__);                                                     \
		outcome_clear(&done_);                                                                                 \
	} while (0)
/* Where it must fail so. */
#define FAILS(b, kind_, slot, ...)                                                                                     \
	do {                                                                                                           \
		struct outcome failed_ = RUN(b, slot, __VA_ARGS__);                                                    \
		ck_assert_msg(failed_.e.kind == (kind_), #slot ": kind %s, not " #kind_ ": %s",                        \
			      error_kind_name(failed_.e.kind), failed_.e.message ? failed_.e.message : "no error");    \
		outcome_clear(&failed_);                                                                               \
	} while (0)

static inline int run_suite(Suite *s)
{
	SRunner *runner;
	int failed;

	/* Out of memory must not depend on the allocator of a sanitizer; leaks show all the same. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif
