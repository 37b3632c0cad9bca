/* base/log: what reaches stderr and the journal. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define THREADS 4
#define LINES   200

static int captured = -1; /* the reading end of what stands for stderr */

static void capture(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	captured = fds[0];
	unsetenv("JOURNAL_STREAM");
	log_open();
}

/* What was written since the last call. */
static const char *written(void)
{
	static char text[1 << 20];
	ssize_t n, len = 0;

	while ((n = read(captured, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

START_TEST(levels)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
	enum log_level level = LOG_LEVEL_ERROR;

	for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
		ck_assert_int_eq(log_level_from_name(names[i], &level), 0);
		ck_assert_int_eq(level, i);
	}
	ck_assert_int_eq(log_level_from_name("loud", &level), -EINVAL);
	ck_assert_int_eq(log_level_from_name("", &level), -EINVAL);
	ck_assert_int_eq(log_level_from_name(NULL, &level), -EINVAL);
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_INFO);
	capture();
	log_debug("not %s", "this");
	log_info("this");
	ck_assert_str_eq(written(), "info: this\n");
	log_set_level(LOG_LEVEL_ERROR);
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_ERROR);
	log_warning("nor this");
	log_error("but this");
	ck_assert_str_eq(written(), "error: but this\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d");
	log_notice("n");
	ck_assert_str_eq(written(), "debug: d\nnotice: n\n");
}
END_TEST

START_TEST(context_in_brackets)
{
	char text[16] = "c1";

	capture();
	log_context(LOG_CALL, text);
	strcpy(text, "changed");
	log_context(LOG_OBJECT, "photos");
	log_info("x");
	ck_assert_str_eq(written(), "info: [c1 photos] x\n");
	log_context(LOG_CALL, NULL);
	log_context(LOG_BACKEND, "media");
	log_context(LOG_HOOK, "policy");
	log_record(LOG_LEVEL_WARNING, "0123456789abcdef0123456789abcdef", (const char *const[]){ "A=b", NULL }, "y %d",
		   1);
	ck_assert_str_eq(written(), "warning: [media photos policy] y 1\n");
	log_context_clear();
	log_info("z");
	ck_assert_str_eq(written(), "info: z\n");
}
END_TEST

START_TEST(one_line_without_control_characters)
{
	char large[5000];

	capture();
	log_info("a\nb\r\x1b[31m\x7f\t\xc2\x9b"
		 "2J");
	ck_assert_str_eq(written(), "info: a\\nb\\x0d\\x1b[31m\\x7f\\x09\\xc2\\x9b2J\n");
	log_info("\xc3\xa4 \xff \xe2\x82");
	ck_assert_str_eq(written(), "info: \xc3\xa4 \\xff \\xe2\\x82\n");
	log_context(LOG_OBJECT, "a\nb");
	log_info("x");
	ck_assert_str_eq(written(), "info: [a\\nb] x\n");
	/* All of it escaped, and a context over its bound. */
	memset(large, '\x01', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	log_context(LOG_OBJECT, large);
	log_context(LOG_HOOK, large);
	log_info("%s", large);
	ck_assert_uint_eq(strlen(written()), strlen("info: [ ] \n") + 4 * ((size_t)4999 + 519 + 519));
}
END_TEST

START_TEST(errno_survives)
{
	capture();
	close(STDERR_FILENO);
	errno = EXDEV;
	log_error("nowhere to write");
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

static void *log_lines(void *name)
{
	log_context(LOG_CALL, name);
	for (int i = 0; i < LINES; i++)
		log_info("line of %s", (const char *)name);
	return NULL;
}

START_TEST(threads_have_their_own_context)
{
	static char names[THREADS][2] = { "a", "b", "c", "d" };
	_cleanup_free_ char *all = NULL;
	int counts[THREADS] = { 0 };
	pthread_t threads[THREADS];
	char *line, *rest;

	capture();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, log_lines, names[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	all = xstrdup(written());
	rest = all;
	while ((line = strsep(&rest, "\n")) && *line != '\0') {
		char call, name;

		ck_assert_msg(sscanf(line, "info: [%c] line of %c", &call, &name) == 2, "%s", line);
		ck_assert_int_eq(call, name);
		counts[name - 'a']++;
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(counts[i], LINES);
}
END_TEST

START_TEST(a_stale_journal_stream_is_not_believed)
{
	capture();
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open();
	log_info("x");
	ck_assert_str_eq(written(), "info: x\n");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	log_open();
	log_info("y");
	ck_assert_str_eq(written(), "info: y\n");
}
END_TEST

static int bind_journal(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A /run of our own: the machine's journal, if there is one, is left alone. */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("none", "/run", "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
	ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static bool has_line(const char *record, const char *line)
{
	const char *p = record;

	while ((p = strstr(p, line))) {
		if ((p == record || p[-1] == '\n') && p[strlen(line)] == '\n')
			return true;
		p++;
	}
	return false;
}

START_TEST(journal_records)
{
	char stream[64], record[8192];
	struct stat st;
	ssize_t n;
	int fd;

	if (geteuid() != 0) {
		printf("SKIP journal_records: needs root\n");
		return;
	}
	fd = bind_journal();
	capture();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open();
	log_context(LOG_BACKEND, "media");
	log_context(LOG_CALL, "c1");
	log_record(LOG_LEVEL_NOTICE, "0123456789abcdef0123456789abcdef",
		   (const char *const[]){ "SHARESD_METHOD=extend_share", NULL }, "took %d s\xff", 5);
	n = recv(fd, record, sizeof(record) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	record[n] = '\0';
	ck_assert(has_line(record, "MESSAGE=took 5 s?"));
	ck_assert(has_line(record, "PRIORITY=5"));
	ck_assert(has_line(record, "MESSAGE_ID=0123456789abcdef0123456789abcdef"));
	ck_assert(has_line(record, "SHARESD_CALL=c1"));
	ck_assert(has_line(record, "SHARESD_BACKEND=media"));
	ck_assert(has_line(record, "SHARESD_METHOD=extend_share"));
	ck_assert_ptr_null(strstr(record, "SHARESD_HOOK"));
	ck_assert_str_eq(written(), "");
	log_debug("below the level");
	ck_assert_int_lt(recv(fd, record, sizeof(record), MSG_DONTWAIT), 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_log");
	TCase *t = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_test(t, levels);
	tcase_add_test(t, context_in_brackets);
	tcase_add_test(t, one_line_without_control_characters);
	tcase_add_test(t, errno_survives);
	tcase_add_test(t, threads_have_their_own_context);
	tcase_add_test(t, a_stale_journal_stream_is_not_believed);
	tcase_add_test(t, journal_records);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
