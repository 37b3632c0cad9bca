/* What the service manager is told, and the kinds of log records. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/status.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static json_t *backend(const char *status, const char *reason)
{
	return jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason));
}

static void expect_text(const json_t *backends, bool refused, const char *expected)
{
	_cleanup_free_ char *text = status_text(backends, refused);

	ck_assert_str_eq(text, expected);
}

START_TEST(one_line_says_it)
{
	_cleanup_json_ json_t *all = json_object();

	expect_text(all, false, "no backends");
	json_object_set_new(all, "media", backend("up", NULL));
	expect_text(all, false, "1 of 1 backend up");
	json_object_set_new(all, "films", backend("down", "root /srv/films\nis not there"));
	json_object_set_new(all, "old", backend("starting", NULL));
	json_object_set_new(all, "tape", backend("down", "not in the conf file"));
	expect_text(all, false,
		    "1 of 4 backends up; down: films (root /srv/films is not there), tape (not in the conf file); "
		    "starting: old");
	json_object_clear(all);
	json_object_set_new(all, "media", backend("up", NULL));
	expect_text(all, true, "1 of 1 backend up; the conf file that was read last is refused, see the journal");
}
END_TEST

START_TEST(many_and_long_reasons_are_cut)
{
	_cleanup_json_ json_t *all = json_object();
	_cleanup_free_ char *text = NULL;
	char name[16], reason[1001];

	/* Two bytes each, so that the cut may come within one. */
	for (size_t i = 0; i < sizeof reason - 1; i += 2)
		memcpy(reason + i, "\xc3\xa4", 2);
	reason[sizeof reason - 1] = '\0';
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "b%d", i);
		json_object_set_new(all, name, backend("down", reason + i % 2));
	}
	text = status_text(all, false);
	ck_assert_ptr_nonnull(strstr(text, "0 of 1000 backends up; down: b0 ("));
	ck_assert_ptr_nonnull(strstr(text, "..) and 992 more"));
	ck_assert_uint_lt(strlen(text), 2000);
	for (const char *p = text; *p; p += text_utf8_length(p))
		ck_assert_uint_gt(text_utf8_length(p), 0);
}
END_TEST

/* What comes next at the socket; "" when there is nothing. */
static const char *told(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int listen_as_manager(char *dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s/notify", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	return fd;
}

START_TEST(the_manager_is_told)
{
	char dir[] = "/tmp/sharesd-unit-XXXXXX", path[64];
	int fd = listen_as_manager(dir);
	struct view *v = view_new();
	struct status *st = status_new();

	view_set_backend(v, "media", backend("starting", NULL));
	status_ready(st, v);
	ck_assert_str_eq(told(fd), "READY=1\nSTATUS=0 of 1 backend up; starting: media");
	status_show(st, v);
	ck_assert_str_eq(told(fd), "");
	view_set_backend(v, "media", backend("up", NULL));
	status_show(st, v);
	ck_assert_str_eq(told(fd), "STATUS=1 of 1 backend up");
	status_reloading(st);
	ck_assert_int_eq(strncmp(told(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	status_refused(st, true);
	status_ready(st, v);
	ck_assert_int_eq(strncmp(told(fd), "READY=1\nSTATUS=1 of 1 backend up; the conf file", 47), 0);
	status_refused(st, false);
	status_ready(st, v);
	ck_assert_str_eq(told(fd), "READY=1\nSTATUS=1 of 1 backend up");
	status_stopping(st);
	ck_assert_int_eq(strncmp(told(fd), "STOPPING=1\nSTATUS=stopping", 26), 0);
	/* From here on only the end is of interest. */
	status_ready(st, v);
	status_reloading(st);
	view_set_backend(v, "media", NULL);
	status_show(st, v);
	ck_assert_str_eq(told(fd), "");
	status_free(st);
	view_free(v);
	close(fd);
	snprintf(path, sizeof path, "%s/notify", dir);
	unlink(path);
	rmdir(dir);
}
END_TEST

START_TEST(kinds_are_whole)
{
	for (int k = 0; k < LOG_KIND_COUNT; k++) {
		const char *id = log_kind_id((enum log_kind)k);

		ck_assert_ptr_nonnull(id);
		ck_assert_uint_eq(strspn(id, "0123456789abcdef"), 32);
		ck_assert_uint_eq(strlen(id), 32);
		ck_assert_uint_gt(strlen(log_kind_name((enum log_kind)k)), 0);
		ck_assert_uint_gt(strlen(log_kind_help((enum log_kind)k)), 0);
		for (int i = 0; i < k; i++) {
			ck_assert_str_ne(id, log_kind_id((enum log_kind)i));
			ck_assert_str_ne(log_kind_name((enum log_kind)k), log_kind_name((enum log_kind)i));
		}
	}
	/* Given out, so never another again. */
	ck_assert_str_eq(log_kind_id(LOG_KIND_HOOK_EVENT), "5c1b8a0f3d9a4e6db7f2c4a96e0d1b38");
	ck_assert_str_eq(log_kind_id(LOG_KIND_BACKEND_DOWN), "f32c83c7d39941b493ccba91863d67dc");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_status");
	TCase *t = tcase_create("status");
	SRunner *runner;
	int failed;

	mem_setup();
	tcase_add_test(t, one_line_says_it);
	tcase_add_test(t, many_and_long_reasons_are_cut);
	tcase_add_test(t, the_manager_is_told);
	tcase_add_test(t, kinds_are_whole);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
