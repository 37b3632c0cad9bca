/* What the tests of the conf file share: a directory with one conf file in it, and tables of options. */
#ifndef TESTS_UNIT_TEST_CONF_H
#define TESTS_UNIT_TEST_CONF_H

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/conf.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[PATH_MAX - 32], path[PATH_MAX];
static struct conf_faults faults, warnings;

static const struct option top_options[] = {
	{ .name = "state_dir",
	  .type = OPTION_STRING,
	  .fallback = "/var/lib/sharesd",
	  .flags = OPTION_FIXED | OPTION_ABSOLUTE },
	{ .name = "socket_mode", .type = OPTION_MODE, .fallback = "0666" },
	{ .name = "admin_groups", .type = OPTION_LIST, .fallback = "sharesd, wheel" },
	{ .name = "plugins", .type = OPTION_LIST, .flags = OPTION_ABSOLUTE },
	{ .name = "max_bytes", .type = OPTION_SIZE, .fallback = "1MiB", .min = 1024, .max = 8.0 * 1024 * 1024 },
	{ .name = "max_depth", .type = OPTION_INT, .fallback = "32", .min = 4, .max = 512 },
	{ .name = "any_size", .type = OPTION_SIZE },
	{ .name = "any_number", .type = OPTION_INT },
	{ .name = "any_seconds", .type = OPTION_SECONDS },
	{ .name = "from_two", .type = OPTION_INT, .fallback = "2", .min = 2 },
	{ 0 },
};
static const struct option exec_options[] = {
	{ .name = "exec_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN },
	{ .name = "exec_user", .type = OPTION_STRING },
	{ 0 },
};
static const struct option coproc_options[] = {
	{ .name = "coproc_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN },
	{ 0 },
};
static const struct option dir_options[] = {
	{ .name = "root", .type = OPTION_STRING, .flags = OPTION_REQUIRED | OPTION_FIXED | OPTION_ABSOLUTE },
	{ 0 },
};
static const struct option sim_options[] = {
	{ .name = "latency", .type = OPTION_SECONDS, .fallback = "0", .max = 3600 },
	{ .name = "fail", .type = OPTION_LIST },
	{ 0 },
};
static const struct option *const module_options[] = { exec_options, coproc_options, NULL };
static const char *const module_names[] = { "exec", "coproc", "journal", "audit", NULL };
static const struct conf_driver drivers[] = {
	{ .keyword = "dir", .options = dir_options },
	{ .keyword = "sim", .options = sim_options },
	{ 0 },
};
static const struct conf_schema schema = {
	.top = top_options,
	.backend = conf_backend_options,
	.modules = module_options,
	.drivers = drivers,
	.module_names = module_names,
};

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%s/sharesd-conf-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf", dir);
	umask(022);
}

static inline int remove_one(const char *p, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(p);
}

static inline void teardown(void)
{
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void write_bytes(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

/* Loads the file as it is; what is wrong is in `faults` and `warnings`. NULL and -errno on failure. */
static inline int load_file(struct conf **ret)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *c = NULL;
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	int r = conf_load(path, &schema, &c, &faults, &warnings, &e);
	if (r == 0) {
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(faults.n, 0);
		*ret = c;
		return 0;
	}
	ck_assert_ptr_null(c);
	ck_assert_uint_gt(faults.n, 0);
	ck_assert_str_eq(e.message, faults.lines[0]);
	ck_assert_int_eq(e.err, -r);
	return r;
}

static inline void show_faults(const struct conf_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		fprintf(stderr, "  %s\n", f->lines[i]);
}

/* Loads a text that must be well. */
static inline struct conf *load(const char *text)
{
	struct conf *c = NULL;
	write_bytes(text, strlen(text));
	if (load_file(&c) < 0)
		show_faults(&faults);
	ck_assert_ptr_nonnull(c);
	return c;
}

/* The lines are `expected`, without the file's name before them; each may be told from its beginning on. A line's own
 * NULL ends them. */
static inline void check_lines(const struct conf_faults *f, const char *const *expected)
{
	size_t n = 0;
	while (expected[n])
		n++;
	bool same = f->n == n;
	for (size_t i = 0; i < f->n && i < n; i++)
		same = same && strncmp(f->lines[i], path, strlen(path)) == 0 &&
		       strncmp(f->lines[i] + strlen(path) + 1, expected[i], strlen(expected[i])) == 0 &&
		       !strchr(f->lines[i], '\n');
	if (!same) {
		fprintf(stderr, "expected:\n");
		for (size_t i = 0; i < n; i++)
			fprintf(stderr, "  FILE:%s\n", expected[i]);
		fprintf(stderr, "but there are:\n");
		show_faults(f);
	}
	ck_assert(same);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The text is refused with these lines and no others. */
static inline void refuse(const char *text, const char *const *expected)
{
	struct conf *c = NULL;
	write_bytes(text, strlen(text));
	int r = load_file(&c);
	if (r == 0)
		fprintf(stderr, "taken: %s\n", text);
	ck_assert_int_eq(r, -EINVAL);
	check_lines(&faults, expected);
}

/* The `aborting` ones must end their process by abort; so their directory is made and removed outside of it. */
static inline int run_suites(const char *name, const TTest *const *tests, size_t n, const TTest *const *aborting,
			     size_t n_aborting)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name), *a = tcase_create("aborts");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_unchecked_fixture(a, setup, teardown);
	tcase_set_timeout(t, 30);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(t, tests[i]);
	for (size_t i = 0; i < n_aborting; i++)
		tcase_add_test_raise_signal(a, aborting[i], SIGABRT);
	suite_add_tcase(s, t);
	suite_add_tcase(s, a);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

static inline int run_suite(const char *name, const TTest *const *tests, size_t n)
{
	return run_suites(name, tests, n, NULL, 0);
}

#endif
