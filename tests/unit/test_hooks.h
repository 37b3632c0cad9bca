/* What the tests of the hooks share: a directory with scripts, a conf file in it, and the hooks of its one backend. */
#ifndef TESTS_UNIT_TEST_HOOKS_H
#define TESTS_UNIT_TEST_HOOKS_H

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/runner.h"
#include "hooks/table.h"
#include "tests/plugins/hook_record.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[PATH_MAX];    /* of this test, removed after it */
static char plugin[PATH_MAX]; /* hook_record.so */
static struct hook_record_script *script;

static const struct option no_options[] = { { 0 } };

/* Static storage, for use in conf texts: eight of them live at a time. */
__attribute__((format(printf, 1, 2))) static inline const char *text(const char *fmt, ...)
{
	static char *ring[8];
	static size_t next;
	va_list ap;

	va_start(ap, fmt);
	free(ring[next % 8]);
	char *s = ring[next++ % 8] = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

static inline const char *in_dir(const char *name)
{
	return text("%s/%s", dir, name);
}

static inline void copy_file(const char *from, const char *name, mode_t mode)
{
	_cleanup_fclose_ FILE *in = fopen(from, "r");
	_cleanup_fclose_ FILE *out = fopen(in_dir(name), "w");
	char chunk[65536];
	size_t n;

	ck_assert_msg(in != NULL, "%s is not there: run tests from the top of the source tree", from);
	ck_assert_ptr_nonnull(out);
	while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		ck_assert_uint_eq(fwrite(chunk, 1, n, out), n);
	ck_assert_int_eq(fchmod(fileno(out), mode), 0);
}

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	char self[PATH_MAX] = "";

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	snprintf(dir, sizeof(dir), "%s/hooks.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	/* A copy: the build tree may be another user's, or writable by a group. */
	copy_file(text("%s/plugins/hook_record.so", dirname(self)), "hook_record.so", 0755);
	snprintf(plugin, sizeof(plugin), "%s", in_dir("hook_record.so"));
	void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(handle != NULL, "%s", dlerror());
	script = dlsym(handle, "hook_record_script");
	ck_assert_ptr_nonnull(script);
	*script = (struct hook_record_script){ 0 };
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
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_file(const char *name, const char *content, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	fclose(f);
	ck_assert_int_eq(chmod(in_dir(name), mode), 0);
}

static inline void write_script(const char *name, const char *body)
{
	_cleanup_free_ char *content = xasprintf("#!/bin/sh\n%s\n", body);

	write_file(name, content, 0755);
}

/* What a file in the directory holds, "" without one: owned by the caller. */
static inline char *read_file(const char *name)
{
	FILE *f = fopen(in_dir(name), "r");
	char *s = xcalloc(1, 1 << 21);

	if (f) {
		size_t n = fread(s, 1, (1 << 21) - 1, f);

		s[n] = '\0';
		fclose(f);
	}
	return s;
}

/* The number in a file, 0 without one. */
static inline long number_in(const char *name)
{
	_cleanup_free_ char *s = read_file(name);

	return strtol(s, NULL, 10);
}

#define ALL_PHASES                                                                                                     \
	"enable_pre_hooks = true\nenable_post_hooks = true\nenable_periodic_hooks = true\nenable_error_hooks = true\n"

static const char *host_name = "nas1", *socket_path = "/run/sharesd/test.sock";
static size_t max_depth = 32;

/* `sections`: what stands before the backend; `backend`: what stands in it. Fails as conf_load or hook_set_new does. */
static inline int make_set(const char *sections, const char *backend, struct hook_set **ret, struct error *e)
{
	static const struct conf_driver drivers[] = { { .keyword = "sim", .options = no_options }, { 0 } };
	static struct conf_schema schema;
	struct conf_faults faults = { 0 }, warnings = { 0 };
	struct conf *conf = NULL;
	FILE *f = fopen(in_dir("conf"), "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\nsim \"media\" {\n%s\n}\n", sections, backend);
	fclose(f);
	schema = (struct conf_schema){
		.top = no_options, .backend = conf_backend_options, .modules = hook_module_options(), .drivers = drivers
	};
	int r = conf_load(in_dir("conf"), &schema, &conf, &faults, &warnings, e);
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	if (r < 0)
		return r;
	struct hook_set_setup hs = { .conf = conf,
				     .backend = conf_backend(conf, "media"),
				     .host = host_name,
				     .socket = socket_path,
				     .max_depth = max_depth };
	r = hook_set_new(&hs, ret, e);
	conf_unref(conf);
	return r;
}

static inline struct hook_set *new_set(const char *sections, const char *backend)
{
	struct error e = ERROR_INIT;
	struct hook_set *set = NULL;
	int r = make_set(sections, backend, &set, &e);

	ck_assert_msg(r == 0, "%s", e.message ? e.message : "?");
	return set;
}

/* The set of one hook with all phases enabled; `options` are further lines of the backend. */
static inline struct hook_set *one_hook(const char *entry, const char *options)
{
	return new_set("", text("hook_drivers = {\"%s\"}\n%s%s", entry, ALL_PHASES, options));
}

/* A call as the daemon would describe it. */
struct fake_call {
	struct hook_call call;
	json_t *args, *context, *backend;
	int objects_made, results_made;
};

static inline json_t *fake_objects(void *data)
{
	((struct fake_call *)data)->objects_made++;
	return jsonx_pack("{s:{s:s}}", "share", "name", "photos");
}

static inline json_t *fake_result(void *data, const json_t *results)
{
	((struct fake_call *)data)->results_made++;
	return jsonx_pack("{s:s,s:O}", "name", "photos", "seen", (json_t *)results);
}

/* "n" (a number), "metadata" and "export_locations" may be set. */
static inline int fake_check(void *data, const char *key, const json_t *value, struct error *e)
{
	(void)data;
	if (strcmp(key, "n") == 0 && !json_is_integer(value))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "it must be a number");
	if (strcmp(key, "n") != 0 && strcmp(key, "metadata") != 0 && strcmp(key, "export_locations") != 0)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "a post hook may not set it");
	return 0;
}

static inline void fake_call_init(struct fake_call *f, const char *func_name)
{
	*f = (struct fake_call){ 0 };
	f->args = jsonx_pack("{s:s,s:i}", "name", "photos", "size_bytes", 4096);
	f->context = jsonx_pack("{s:s,s:s,s:i,s:s}", "call_id", "c-1", "origin", "client", "uid", 1000, "user", "ann");
	f->backend = jsonx_pack("{s:s,s:s,s:{}}", "name", "media", "driver", "sim", "capabilities");
	f->call = (struct hook_call){ .func_name = func_name,
				      .call_id = "c-1",
				      .context = f->context,
				      .backend = f->backend,
				      .args = f->args,
				      .objects = fake_objects,
				      .result = fake_result,
				      .check = fake_check,
				      .data = f };
}

static inline void fake_call_clear(struct fake_call *f)
{
	json_decref(f->args);
	json_decref(f->context);
	json_decref(f->backend);
}
#define _cleanup_fake_call_ __attribute__((__cleanup__(fake_call_clear)))

static inline void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, (ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static inline double now(void)
{
	return text_monotonic();
}

/* The same pre or post event of one method, run alone: what came of it. `*ret_data`: what the hook returned from pre
 * (as its post hook would see it), or the results after post. */
static inline int run_phase(struct hook_set *set, enum hook_phase phase, const char *func_name, json_t **ret_data,
			    json_t **ret_outcome, struct error *e)
{
	struct fake_call f;
	json_t *results = jsonx_pack("{s:i}", "n", 1), *changed = NULL;

	fake_call_init(&f, func_name);
	struct hook_run *run = hook_run_new(set, &f.call);
	int r = 0;
	if (phase == HOOK_PRE)
		r = hook_run_pre(run, e);
	else if (phase == HOOK_POST)
		r = hook_run_post(run, results, &changed, e);
	else if (phase == HOOK_PERIODIC)
		hook_run_periodic(run, results);
	else {
		struct error cause = ERROR_INIT;

		error_set(&cause, ERR_NO_SPACE, ENOSPC, "no space on media");
		hook_run_error(run, &cause);
		error_clear(&cause);
	}
	if (ret_outcome)
		*ret_outcome = json_incref(json_array_get(hook_run_outcomes(run), 0));
	if (ret_data)
		*ret_data = json_incref(results);
	hook_run_free(run);
	json_decref(results);
	json_decref(changed);
	fake_call_clear(&f);
	return r;
}

static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);

	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
