/* base/error, base/mem, base/crash. */
#include "base/cleanup.h"
#include "base/crash.h"
#include "base/error.h"
#include "base/mem.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static int setv(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int setv(struct error *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_setv(e, ERR_BUSY, EAGAIN, fmt, ap);
	va_end(ap);
	return r;
}

START_TEST(set_returns_and_fills)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(error_set(&e, ERR_NOT_FOUND, ENOENT, "no share \"%s\"", "a"), -ENOENT);
	ck_assert_int_eq(e.kind, ERR_NOT_FOUND);
	ck_assert_int_eq(e.err, ENOENT);
	ck_assert_str_eq(e.message, "no share \"a\"");
	ck_assert_int_eq(error_set(&e, ERR_INVALID_STATE, 0, "x"), -EINVAL);
	ck_assert_int_eq(e.err, 0);
	ck_assert_int_eq(setv(&e, "queue of %d", 3), -EAGAIN);
	ck_assert_str_eq(e.message, "queue of 3");
	ck_assert_int_eq(error_set(NULL, ERR_INTERNAL, EIO, "nobody asks"), -EIO);
	ck_assert_int_eq(error_set(&e, ERR_INTERNAL, -EIO, "sign"), -EIO);
	ck_assert_int_eq(e.err, EIO);
}
END_TEST

START_TEST(set_may_use_the_old_message)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	error_set(&e, ERR_INTERNAL, 0, "inner");
	error_add(&e, "hook", json_string("h"));
	error_set(&e, ERR_PRE_HOOK_FAILED, 0, "outer (%s)", e.message);
	ck_assert_str_eq(e.message, "outer (inner)");
	ck_assert_ptr_null(e.data);
}
END_TEST

START_TEST(errno_chooses_the_kind)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(error_errno(&e, ENOSPC, "write %s", "f"), -ENOSPC);
	ck_assert_int_eq(e.kind, ERR_NO_SPACE);
	ck_assert_str_eq(e.message, "write f: No space left on device");
	error_errno(&e, EDQUOT, "write");
	ck_assert_int_eq(e.kind, ERR_NO_SPACE);
	error_errno(&e, EIO, "write");
	ck_assert_int_eq(e.kind, ERR_DRIVER_FAILED);
	/* From the old message here too. */
	error_errno(&e, EIO, "again: %s", e.message);
	ck_assert_str_eq(e.message, "again: write: Input/output error: Input/output error");
}
END_TEST

START_TEST(param_names_the_param)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;

	ck_assert_int_eq(error_param(&e, "size_bytes", "must be above %d", 0), -EINVAL);
	ck_assert_int_eq(error_param(NULL, "size_bytes", "x"), -EINVAL);
	j = error_to_json(&e);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "code")), -32602);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "data"), "param")), "size_bytes");
	ck_assert_ptr_null(json_object_get(json_object_get(j, "data"), "errno"));
}
END_TEST

START_TEST(prefix_move_clear)
{
	_cleanup_error_ struct error a = ERROR_INIT, b = ERROR_INIT;

	error_prefix(&a, "only");
	ck_assert_str_eq(a.message, "only");
	error_prefix(&a, "backend %s", "m");
	ck_assert_str_eq(a.message, "backend m: only");
	error_prefix(NULL, "x");
	error_add(NULL, "k", json_true());
	error_set(&b, ERR_BUSY, 0, "b");
	error_move(&b, &a);
	ck_assert_str_eq(b.message, "backend m: only");
	ck_assert_ptr_null(a.message);
	error_move(&b, &b);
	ck_assert_str_eq(b.message, "backend m: only");
	error_move(NULL, &b);
	ck_assert_ptr_null(b.message);
	error_clear(NULL);
	error_clear(&b);
}
END_TEST

START_TEST(kinds_have_their_codes)
{
	static const int codes[ERR_KIND_COUNT] = { 0, -32700, -32600, -32601, -32602, -32603, 1,  2,  3,  4,  5,
						   6, 7,      8,      9,      10,     11,     12, 13, 14, 15, 16 };

	for (enum error_kind k = ERR_NONE; k < ERR_KIND_COUNT; k++) {
		ck_assert_int_eq(error_kind_code(k), codes[k]);
		ck_assert_int_eq(error_kind_retryable(k),
				 k == ERR_BUSY || k == ERR_BACKEND_DOWN || k == ERR_SHUTTING_DOWN);
		if (k != ERR_NONE)
			ck_assert_int_eq(error_kind_from_name(error_kind_name(k)), k);
	}
	ck_assert_str_eq(error_kind_name(ERR_WOULD_DEADLOCK), "would_deadlock");
	ck_assert_int_eq(error_kind_from_name("none"), ERR_KIND_COUNT);
	ck_assert_int_eq(error_kind_from_name("nonsense"), ERR_KIND_COUNT);
	ck_assert_int_eq(error_kind_from_name(NULL), ERR_KIND_COUNT);
}
END_TEST

START_TEST(json_and_back)
{
	_cleanup_error_ struct error e = ERROR_INIT, back = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL, *again = NULL, *want = NULL;

	error_set(&e, ERR_BACKEND_DOWN, ENOSPC, "backend media is down");
	error_add(&e, "backend", json_string("media"));
	j = error_to_json(&e);
	want = json_pack("{s:i, s:s, s:{s:s, s:b, s:s, s:s}}", "code", 13, "message", "backend media is down", "data",
			 "kind", "backend_down", "retryable", 1, "errno", "ENOSPC", "backend", "media");
	ck_assert_int_eq(json_equal(j, want), 1);
	ck_assert_int_eq(error_from_json(j, &back), 0);
	ck_assert_int_eq(back.kind, ERR_BACKEND_DOWN);
	ck_assert_int_eq(back.err, ENOSPC);
	ck_assert_int_eq(json_object_size(back.data), 1);
	again = error_to_json(&back);
	ck_assert_int_eq(json_equal(j, again), 1);
}
END_TEST

START_TEST(json_of_odd_errors)
{
	_cleanup_error_ struct error e = ERROR_INIT, back = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL, *bare = NULL;

	/* Bytes of some file name that are no UTF-8, and an errno without a name. */
	error_set(&e, ERR_DRIVER_FAILED, 3999, "open \xff\xc3");
	j = error_to_json(&e);
	ck_assert_str_eq(json_string_value(json_object_get(j, "message")), "open ??");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "data"), "errno")), "3999");
	ck_assert_int_eq(error_from_json(j, &back), 0);
	ck_assert_int_eq(back.err, 3999);
	ck_assert_ptr_null(back.data);
	error_clear(&e);
	e.kind = ERR_LIMIT;
	bare = error_to_json(&e);
	ck_assert_str_eq(json_string_value(json_object_get(bare, "message")), "limit");
}
END_TEST

START_TEST(json_that_is_no_error)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"null",
		"{\"message\":\"m\"}",
		"{\"message\":\"m\",\"data\":{\"kind\":\"odd\"}}",
		"{\"message\":1,\"data\":{\"kind\":\"busy\"}}",
		"{\"data\":{\"kind\":\"busy\"}}",
	};
	struct error e = { .kind = ERR_LIMIT };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_json_ json_t *j = json_loads(texts[i], JSON_DECODE_ANY, NULL);

		ck_assert_ptr_nonnull(j);
		ck_assert_int_eq(error_from_json(j, &e), -EINVAL);
		ck_assert_int_eq(e.kind, ERR_LIMIT);
	}
	ck_assert_int_eq(error_from_json(NULL, &e), -EINVAL);
}
END_TEST

START_TEST(json_does_not_share_data)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;

	error_set(&e, ERR_POST_HOOK_FAILED, 0, "m");
	error_add(&e, "result", json_pack("{s:i}", "size", 1));
	j = error_to_json(&e);
	json_object_set_new(json_object_get(e.data, "result"), "size", json_integer(2));
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(json_object_get(j, "data"), "result"), "size")), 1);
}
END_TEST

START_TEST(memory_of_no_size)
{
	_cleanup_free_ char *a = xmalloc(0), *b = xcalloc(0, 8), *c = xrealloc(NULL, 0);

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_nonnull(c);
	ck_assert_ptr_null(xstrdup(NULL));
	ck_assert_ptr_null(xstrndup(NULL, 3));
}
END_TEST

START_TEST(memory_texts)
{
	static const char unterminated[3] = { 'a', 'b', 'c' };
	_cleanup_free_ char *a = xstrdup("abc"), *b = xstrndup(unterminated, 3), *c = xstrndup("ab", 10);
	_cleanup_free_ char *d = xasprintf("%s-%d", a, 7);

	ck_assert_str_eq(b, "abc");
	ck_assert_str_eq(c, "ab");
	ck_assert_str_eq(d, "abc-7");
}
END_TEST

/* For the sanitizers, whose allocators else end the process in their own way. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

START_TEST(out_of_memory_aborts)
{
	volatile size_t too_much = PTRDIFF_MAX;

	mem_setup();
	free(xmalloc(too_much));
}
END_TEST

/* Runs crash_step in a child until it dies; returns how many steps it had begun. */
static int steps_until_death(const char *at, int *ret_status)
{
	int fds[2], n = 0;
	char c;

	ck_assert_int_eq(pipe(fds), 0);
	if (fork() == 0) {
		if (at)
			setenv("SHARESD_CRASH_AT", at, 1);
		else
			unsetenv("SHARESD_CRASH_AT");
		if (!freopen("/dev/null", "w", stderr))
			_exit(99);
		crash_setup();
		for (int i = 0; i < 10; i++) {
			if (write(fds[1], "x", 1) != 1)
				_exit(99);
			crash_step("test");
		}
		_exit(0);
	}
	close(fds[1]);
	while (read(fds[0], &c, 1) == 1)
		n++;
	close(fds[0]);
	wait(ret_status);
	return n;
}

START_TEST(crash_at_the_step_named)
{
	int status;

	ck_assert_int_eq(steps_until_death("3", &status), 3);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(steps_until_death("1", &status), 1);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(steps_until_death("11", &status), 10);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(steps_until_death(NULL, &status), 10);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_error");
	TCase *error = tcase_create("error"), *mem = tcase_create("mem"), *crash = tcase_create("crash");
	SRunner *runner;
	int failed;

	tcase_add_test(error, set_returns_and_fills);
	tcase_add_test(error, set_may_use_the_old_message);
	tcase_add_test(error, errno_chooses_the_kind);
	tcase_add_test(error, param_names_the_param);
	tcase_add_test(error, prefix_move_clear);
	tcase_add_test(error, kinds_have_their_codes);
	tcase_add_test(error, json_and_back);
	tcase_add_test(error, json_of_odd_errors);
	tcase_add_test(error, json_that_is_no_error);
	tcase_add_test(error, json_does_not_share_data);
	suite_add_tcase(s, error);
	tcase_add_test(mem, memory_of_no_size);
	tcase_add_test(mem, memory_texts);
	tcase_add_test_raise_signal(mem, out_of_memory_aborts, SIGABRT);
	suite_add_tcase(s, mem);
	tcase_add_test(crash, crash_at_the_step_named);
	suite_add_tcase(s, crash);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
