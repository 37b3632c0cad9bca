/* base/text. */
#include "base/cleanup.h"
#include "base/text.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define KIB      1024ULL
#define GIB      (1ULL << 30)

START_TEST(sizes_read)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "17B", 17 },
		{ "17 B", 17 },
		{ "10GiB", 10 * GIB },
		{ "512 MiB", 512ULL << 20 },
		{ "512   MiB", 512ULL << 20 },
		{ "1.5T", 3ULL << 39 },
		{ "1K", KIB },
		{ "1k", KIB },
		{ "1kib", KIB },
		{ "1KB", 1000 },
		{ "1kb", 1000 },
		{ "2MB", 2000000 },
		{ "3GB", 3000000000ULL },
		{ "4TB", 4000000000000ULL },
		{ "5PB", 5000000000000000ULL },
		{ "6EB", 6000000000000000000ULL },
		{ "1P", 1ULL << 50 },
		{ "7EiB", 7ULL << 60 },
		{ "0.5K", 512 },
		{ "0.1K", 102 },
		{ "1.000000000000000000000000000000001K", KIB },
		{ "1.999999999999999999999999999999E", (2ULL << 60) - 2 },
		{ "007", 7 },
		{ "9223372036854775807", INT64_MAX },
		{ "7.99E", 9211842821808707338ULL },
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		uint64_t n = 99;

		ck_assert_msg(text_parse_size(good[i].text, &n) == 0, "%s", good[i].text);
		ck_assert_msg(n == good[i].bytes, "%s: %llu", good[i].text, (unsigned long long)n);
	}
}
END_TEST

START_TEST(sizes_refused)
{
	static const char *const bad[] = {
		"",    " ",   "x",    "G",    "-1",    "+1",     "1X",   "1GiBs", "1 2", "1iB", "1Ki",
		"1.",  ".5G", "1.5",  "1.5B", "1..5G", "1.5.5G", "1,5G", "0x10",  "1e3", "1E3", " 1G",
		"1G ", "1 ",  "1G B", "nan",  "inf",   "1\tG",   "1KBi", "1BB",   "1.G",
	};
	static const char *const huge[] = {
		"9223372036854775808",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999999999999999999999999999999",
		"8E",
		"8EiB",
		"10EB",
		"99999999999999999999E",
		"9007199254740992K",
	};
	uint64_t n = 99;

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(text_parse_size(bad[i], &n) == -EINVAL, "%s", bad[i]);
	for (size_t i = 0; i < COUNT(huge); i++)
		ck_assert_msg(text_parse_size(huge[i], &n) == -ERANGE, "%s", huge[i]);
	ck_assert_uint_eq(n, 99);
}
END_TEST

START_TEST(sizes_written)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0B" },
		{ 17, "17B" },
		{ 1023, "1023B" },
		{ 1024, "1KiB" },
		{ 1536, "1.5KiB" },
		{ 1075, "1KiB" },
		{ 1076, "1.1KiB" },
		{ (1 << 20) - 1, "1MiB" },
		{ 10 * GIB, "10GiB" },
		{ 3 * GIB / 2, "1.5GiB" },
		{ 1023 * GIB, "1023GiB" },
		{ GIB * 1024, "1TiB" },
		{ INT64_MAX, "8EiB" },
		{ UINT64_MAX, "16EiB" },
	};
	char text[32];

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_str_eq(text_format_size(rows[i].bytes, text), rows[i].text);
}
END_TEST

START_TEST(sizes_both_ways)
{
	char text[32];

	for (int shift = 0; shift < 63; shift++) {
		uint64_t n;

		ck_assert_int_eq(text_parse_size(text_format_size(1ULL << shift, text), &n), 0);
		ck_assert_uint_eq(n, 1ULL << shift);
	}
}
END_TEST

START_TEST(names)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		".a",
		"-a",
		"a/b",
		"a b",
		"a@b",
		"a\n",
		"\xc3\xa4",
		"a:b",
		"a\\b",
		"a*",
		"a\x01b",
		"\xff",
		"ab\xff",
		"01234567-89ab-cdef-0123-456789abcdef",
		"01234567-89AB-CDEF-0123-456789ABCDEF",
	};
	static const char *const good[] = {
		"a",
		"_",
		"_a",
		"A-b.c_9",
		"0",
		"a.",
		"a-",
		"a..b",
		"01234567-89ab-cdef-0123-456789abcde",
		"01234567-89ab-cdef-0123-456789abcdef0",
		"g1234567-89ab-cdef-0123-456789abcdef",
	};
	char text[300];

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!text_is_name(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(text_is_name(good[i]), "%s", good[i]);
	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	ck_assert(text_is_name(text));
	text[255] = 'a';
	text[256] = '\0';
	ck_assert(!text_is_name(text));
	ck_assert(!text_is_name(NULL));
}
END_TEST

START_TEST(uuids)
{
	char a[37], b[37];

	for (int i = 0; i < 1000; i++) {
		text_make_uuid(a);
		text_make_uuid(b);
		ck_assert(text_is_uuid(a) && strlen(a) == 36);
		ck_assert_int_eq(a[14], '7');
		ck_assert_int_le(strncmp(a, b, 13), 0);
		ck_assert_ptr_nonnull(strchr("89ab", a[19]));
		ck_assert_str_ne(a, b);
		ck_assert_uint_eq(strspn(a, "0123456789abcdef-"), 36);
	}
	ck_assert(text_is_uuid("01234567-89AB-cdef-0123-456789abcdef"));
	ck_assert(!text_is_uuid(""));
	ck_assert(!text_is_uuid(NULL));
	ck_assert(!text_is_uuid("0123456789abcdef0123456789abcdef0123"));
	ck_assert(!text_is_uuid("01234567-89ab-cdef-0123-456789abcde-"));
}
END_TEST

START_TEST(times)
{
	double before = text_monotonic(), after;
	struct tm tm = { 0 };
	struct timespec now;
	const char *rest;
	char text[32];
	time_t t;

	text_now(text);
	ck_assert_uint_eq(strlen(text), 24);
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	ck_assert_ptr_nonnull(rest);
	ck_assert_int_eq(rest[0], '.');
	ck_assert_uint_eq(strspn(rest + 1, "0123456789"), 3);
	ck_assert_str_eq(rest + 4, "Z");
	t = timegm(&tm);
	clock_gettime(CLOCK_REALTIME, &now); /* not time(), which may lag behind */
	ck_assert_int_le(now.tv_sec - t, 2);
	ck_assert_int_ge(now.tv_sec - t, 0);
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	after = text_monotonic();
	ck_assert(after - before >= 0.002 && after - before < 10);
}
END_TEST

START_TEST(modes)
{
	static const char *const bad[] = {
		"", "8", "0778", "10000", "-1", "+7", "0x7", " 7", "7 ", "rwx", "77777777777777777777"
	};
	mode_t m = 1;

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(text_parse_mode(bad[i], &m) == -EINVAL, "%s", bad[i]);
	ck_assert_uint_eq(m, 1);
	ck_assert_int_eq(text_parse_mode("0770", &m), 0);
	ck_assert_uint_eq(m, 0770);
	ck_assert_int_eq(text_parse_mode("770", &m), 0);
	ck_assert_uint_eq(m, 0770);
	ck_assert_int_eq(text_parse_mode("07777", &m), 0);
	ck_assert_uint_eq(m, 07777);
	ck_assert_int_eq(text_parse_mode("0", &m), 0);
	ck_assert_uint_eq(m, 0);
}
END_TEST

/* A number that no user and no group has. */
static id_t free_id(void)
{
	id_t id = 61234;

	while (getpwuid(id) || getgrgid(id))
		id++;
	return id;
}

START_TEST(users_and_groups)
{
	static const char *const bad[] = { "",           "no such user here",    "-1",  "4294967295",
					   "4294967296", "99999999999999999999", "12x", " 0" };
	_cleanup_free_ char *name = NULL, *number = NULL, *group = NULL;
	char digits[16];
	uid_t uid = 77;
	gid_t gid = 77;

	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_msg(text_parse_user(bad[i], &uid, &name) == -ENOENT, "%s", bad[i]);
		ck_assert_msg(text_parse_group(bad[i], &gid, &name) == -ENOENT, "%s", bad[i]);
	}
	ck_assert_uint_eq(uid, 77);
	ck_assert_uint_eq(gid, 77);
	ck_assert_ptr_null(name);
	ck_assert_int_eq(text_parse_user("root", &uid, NULL), 0);
	ck_assert_uint_eq(uid, 0);
	uid = 77;
	ck_assert_int_eq(text_parse_user("0", &uid, &name), 0);
	ck_assert_uint_eq(uid, 0);
	ck_assert_str_eq(name, "root");
	snprintf(digits, sizeof(digits), "%u", free_id());
	ck_assert_int_eq(text_parse_user(digits, &uid, &number), 0);
	ck_assert_str_eq(number, digits);
	ck_assert_uint_eq(uid, free_id());
	ck_assert_int_eq(text_parse_group("0", &gid, &group), 0);
	ck_assert_str_eq(group, "root");
	ck_assert_int_eq(text_parse_group("4294967294", &gid, NULL), 0);
	ck_assert_uint_eq(gid, 4294967294U);
}
END_TEST

START_TEST(prefixes)
{
	ck_assert(text_starts_with("exec:/x", "exec:"));
	ck_assert(text_starts_with("x", ""));
	ck_assert(!text_starts_with("exe", "exec:"));
	ck_assert(!text_starts_with("", "e"));
}
END_TEST

START_TEST(utf8)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "", "" },
		{ "abc", "abc" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "a\xff"
		  "b",
		  "a?b" },
		{ "\xc3", "?" },
		{ "\xe2\x82", "??" },
		{ "\xc0\x80", "??" },           /* overlong NUL */
		{ "\xe0\x80\xaf", "???" },      /* overlong slash */
		{ "\xed\xa0\x80", "???" },      /* surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* above U+10FFFF */
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xf5\x80\x80\x80", "????" },
		{ "\x80", "?" },
		{ "\xc3\xc3\xa4", "?\xc3\xa4" },
	};
	char text[16];

	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%s", rows[i].from);
		text_fix_utf8(text);
		ck_assert_str_eq(text, rows[i].to);
	}
	ck_assert_uint_eq(text_utf8_length("\xe2\x82\xac"), 3);
	ck_assert_uint_eq(text_utf8_length(""), 0);
}
END_TEST

/* The Nth allocation fails, also within libc. Sanitizers have their own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define CAN_FAIL 1
#endif
#else
#define CAN_FAIL 1
#endif
#endif

#ifdef CAN_FAIL
void *__libc_malloc(size_t n); /* NOLINT(bugprone-reserved-identifier) */

static int allocations, fail_at;

void *malloc(size_t n)
{
	if (++allocations != fail_at)
		return __libc_malloc(n);
	errno = ENOMEM;
	return NULL;
}

/* 0 or 1: found, and no, yes all allocations were to be had; 2: not found. Aborted: an own allocation failed. */
static _Noreturn void find_with_failure(int n)
{
	const struct rlimit no_core = { 0 };
	uid_t uid;
	int r;

	setrlimit(RLIMIT_CORE, &no_core);
	/* What libc needs once for its configuration is none of ours. */
	(void)getpwnam("daemon");
	allocations = 0;
	fail_at = n;
	r = text_parse_user("daemon", &uid, NULL);
	_exit(r == 0 && uid == 1 ? allocations < n : 2);
}

START_TEST(users_are_found_when_memory_is_short)
{
	int found = 0;

	for (int n = 1, status = 0; !WIFEXITED(status) || WEXITSTATUS(status) != 1; n++) {
		pid_t pid = fork();

		if (pid == 0)
			find_with_failure(n);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFEXITED(status) || WTERMSIG(status) == SIGABRT, "wait status %d", status);
		ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) < 2, "not found when allocation %d fails", n);
		ck_assert_int_lt(n, 1000);
		found += WIFEXITED(status);
	}
	ck_assert_int_gt(found, 2);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("base_text");
	TCase *t = tcase_create("text");
	SRunner *runner;
	int failed;

	tcase_add_test(t, sizes_read);
	tcase_add_test(t, sizes_refused);
	tcase_add_test(t, sizes_written);
	tcase_add_test(t, sizes_both_ways);
	tcase_add_test(t, names);
	tcase_add_test(t, uuids);
	tcase_add_test(t, times);
	tcase_add_test(t, modes);
	tcase_add_test(t, users_and_groups);
	tcase_add_test(t, prefixes);
	tcase_add_test(t, utf8);
#ifdef CAN_FAIL
	tcase_add_test(t, users_are_found_when_memory_is_short);
#endif
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
