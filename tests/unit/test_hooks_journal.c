/* The module journal: against a journal of the test's own, and without any. */
#include "tests/unit/test_hooks.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A mount namespace in which /run is empty: no journal, or this test's. False without the rights for it. */
static bool own_run(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static int own_journal(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };

	ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
	ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* One record as text, "NAME=value" lines; longer ones come as a descriptor. */
static char *receive(int fd)
{
	char *buf = xcalloc(1, 1 << 20), control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { buf, (1 << 20) - 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &m, 0);

	ck_assert_int_ge(n, 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c) {
		int passed;

		memcpy(&passed, CMSG_DATA(c), sizeof(passed));
		n = pread(passed, buf, (1 << 20) - 1, 0);
		ck_assert_int_gt(n, 0);
		close(passed);
	}
	buf[n] = '\0';
	return buf;
}

static void has(const char *record, const char *field)
{
	ck_assert_msg(strncmp(record, field, strlen(field)) == 0 || strstr(record, text("\n%s", field)) != NULL,
		      "no %s in %s", field, record);
}

START_TEST(test_record)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (!own_run()) {
		printf("SKIP test_record: needs root\n");
		return;
	}
	int fd = own_journal();
	struct hook_set *set = one_hook("journal", "hook_options = {\"ticket=1\"}\n");
	/* It is a record, not a message that a level could hide. */
	log_set_level(LOG_LEVEL_ERROR);
	ck_assert_int_eq(run_phase(set, HOOK_PRE, "extend_share", NULL, NULL, &e), 0);
	_cleanup_free_ char *pre = receive(fd);
	has(pre, "SHARESD_PHASE=pre\n");
	has(pre, "SHARESD_FUNC_NAME=extend_share\n");
	has(pre, "SHARESD_CALL=c-1\n");
	has(pre, "SHARESD_BACKEND=media\n");
	has(pre, "SHARESD_HOOK=journal\n");
	has(pre, "SHARESD_UID=1000\n");
	has(pre, "SYSLOG_IDENTIFIER=sharesd\n");
	has(pre, "PRIORITY=6\n");
	has(pre, "MESSAGE=pre extend_share on backend media by ann\n");
	ck_assert_ptr_nonnull(strstr(pre, "MESSAGE_ID="));
	char *event = strstr(pre, "SHARESD_EVENT=");
	ck_assert_ptr_nonnull(event);
	event += strlen("SHARESD_EVENT=");
	event[strcspn(event, "\n")] = '\0';
	_cleanup_json_ json_t *o = json_loads(event, 0, NULL);
	ck_assert_str_eq(jsonx_str(json_object_get(o, "options"), "ticket"), "1");
	for (int p = HOOK_POST; p < HOOK_PHASE_COUNT; p++) {
		run_phase(set, (enum hook_phase)p, "extend_share", NULL, NULL, &e);
		_cleanup_free_ char *record = receive(fd);
		has(record, text("SHARESD_PHASE=%s\n", hook_phase_name((enum hook_phase)p)));
		has(record, p == HOOK_ERROR ? "PRIORITY=4\n" : "PRIORITY=6\n");
		ck_assert_int_eq(strstr(record, "SHARESD_FUNC_NAME") != NULL, p != HOOK_PERIODIC);
	}
	hook_set_free(set);
	close(fd);
}
END_TEST

START_TEST(test_large_record)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_free_ char *big = xcalloc(1, 500001);

	if (!own_run()) {
		printf("SKIP test_large_record: needs root\n");
		return;
	}
	int fd = own_journal();
	struct hook_set *set = one_hook("journal", "");
	memset(big, 'x', 500000);
	fake_call_init(&f, "extend_share");
	json_object_set_new(f.args, "big", json_string(big));
	json_object_set_new(f.context, "uid", json_null()); /* a timer's call */
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_pre(run, &e) == 0, "%s", e.message);
	_cleanup_free_ char *record = receive(fd);
	ck_assert_ptr_nonnull(strstr(record, big));
	ck_assert_ptr_null(strstr(record, "SHARESD_UID"));
	hook_run_free(run);
	hook_set_free(set);
	close(fd);
}
END_TEST

START_TEST(test_without_journal)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (!own_run()) {
		printf("SKIP test_without_journal: needs root\n");
		return;
	}
	struct hook_set *set = one_hook("journal", "");
	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0600), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	ck_assert_int_eq(run_phase(set, HOOK_PRE, "extend_share", NULL, NULL, &e), 0);
	dup2(saved, STDERR_FILENO);
	close(fd);
	close(saved);
	_cleanup_free_ char *log = read_file("log");
	ck_assert_str_eq(log, "info: [journal] pre extend_share on backend media by ann\n");
	hook_set_free(set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks: journal");
	TCase *tc = tcase_create("journal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_record);
	tcase_add_test(tc, test_large_record);
	tcase_add_test(tc, test_without_journal);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
