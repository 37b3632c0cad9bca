/* The command line against a real daemon: events, the newest calls, the progress bar, and what bash completes. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs it with the shell's words behind it; its output. */
static char *ctl(const struct fixture *f, int code, const char *words)
{
	char *out;

	ck_assert_int_eq(shell(&out, "'%s' --socket '%s' %s 2>&1", program_path("sharesctl"), f->socket, words), code);
	return out;
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The file, as soon as it holds this. */
static char *wait_text(const struct fixture *f, const char *name, const char *needle)
{
	double until = now() + 30;

	for (;;) {
		char *text = read_text(fixture_path(f, "%s", name));

		if (text && strstr(text, needle))
			return text;
		ck_assert_msg(now() < until, "%s lacks %s: %s", name, needle, text ? text : "nothing");
		free(text);
		nap(0.02);
	}
}

/* ---- events ---- */

/* Until the end of the daemon, so that nothing waits for a time. */
START_TEST(events)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	char *out;

	fixture_start(f, NULL, (uid_t)-1);
	free(ctl(f, 0, "share create a --size 1MiB"));
	free(ctl(f, 0, "snapshot create a@s"));
	free(ctl(f, 0, "snapshot delete a@s --yes"));
	free(ctl(f, 0, "share delete a --yes"));
	ck_assert_int_eq(shell(NULL,
			       "'%s' --socket '%s' events --since 0 >'%s/all' 2>&1 & '%s' --socket '%s' events --json "
			       "--since 0 --type 'snapshot.*' --type share.deleted >'%s/some' 2>&1 &",
			       program_path("sharesctl"), f->socket, f->dir, program_path("sharesctl"), f->socket,
			       f->dir),
			 0);
	free(wait_text(f, "all", "share.deleted"));
	free(wait_text(f, "some", "share.deleted"));
	fixture_stop(f);
	out = wait_text(f, "all", "follow on");
	/* backend.up, and the five. The share with its snapshot could not be deleted. */
	ck_assert_msg(count_lines(out) == 6, "%s", out);
	ck_assert_ptr_nonnull(strstr(out, "  1  backend.up  s\n"));
	ck_assert_ptr_nonnull(strstr(out, "  2  share.available  a\n"));
	ck_assert_ptr_nonnull(strstr(out, "  4  snapshot.deleted  s\n"));
	ck_assert_ptr_nonnull(strstr(out, "  5  share.deleted  a\n"));
	ck_assert_ptr_nonnull(strstr(out, "follow on with sharesctl events --since 5\n"));
	free(out);
	out = wait_text(f, "some", "follow on");
	ck_assert_msg(count_lines(out) == 4, "%s", out);
	ck_assert_int_eq(strncmp(out, "{\"seq\":3,", 9), 0);
	free(out);
	fixture_start(f, NULL, (uid_t)-1);
	out = ctl(f, 5, "events --type share.odd");
	ck_assert_ptr_nonnull(strstr(out, "there is no event of type \"share.odd\""));
	free(out);
	fixture_free(f);
}
END_TEST

/* ---- calls ---- */

START_TEST(newest_calls_first)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	char *out, *all;
	const char *line;

	fixture_start(f, NULL, (uid_t)-1);
	free(ctl(f, 0, "share create a --size 1MiB"));
	free(ctl(f, 0, "share extend a 2MiB"));
	free(ctl(f, 0, "share shrink a 1MiB"));
	out = ctl(f, 0, "calls --limit 2");
	ck_assert_int_eq(count_lines(out), 3);
	line = strchr(out, '\n') + 1;
	ck_assert_ptr_nonnull(strstr(line, "shrink_share"));
	ck_assert_ptr_nonnull(strstr(line, "extend_share"));
	ck_assert(strstr(line, "shrink_share") < strstr(line, "extend_share"));
	all = ctl(f, 0, "calls");
	ck_assert(strstr(all, "shrink_share") < strstr(all, "extend_share"));
	ck_assert(strstr(all, "extend_share") < strstr(all, "init_host"));
	free(out);
	free(all);
	out = ctl(f, 0, "calls --json --limit 1");
	ck_assert_ptr_nonnull(strstr(out, "shrink_share"));
	ck_assert_ptr_null(strstr(out, "extend_share"));
	free(out);
	fixture_free(f);
}
END_TEST

/* ---- progress ---- */

/* On a terminal that `script` makes, for work that is held at 1 per cent. */
START_TEST(progress_on_a_terminal)
{
	struct fixture *f = fixture_new("dir \"d\" { root = \"@DIR@/d\" }\n");
	char *out, *shown;
	int code;

	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	free(ctl(f, 0, "share create a --size 1MiB"));
	ck_assert_int_eq(shell(NULL, "seq 1000 >'%s/d/a/data/file'", f->dir), 0);
	free(ctl(f, 0, "snapshot create a@s"));
	fixture_hold_work(f);
	ck_assert_int_eq(shell(NULL,
			       "(TERM=xterm script -qefc \"'%s' --socket '%s' share create b --snapshot a@s\" "
			       "'%s/typed' </dev/null && touch '%s/ended') >/dev/null 2>&1 &",
			       program_path("sharesctl"), f->socket, f->dir, f->dir),
			 0);
	shown = wait_text(f, "typed", "1%");
	ck_assert_msg(strstr(shown, "b: creating_from_snapshot [....") != NULL, "%s", shown);
	ck_assert_ptr_nonnull(strstr(shown, "1000"));
	free(shown);
	fixture_release_work(f);
	for (double until = now() + 30; !exists(fixture_path(f, "ended")) && now() < until;)
		nap(0.05);
	ck_assert(exists(fixture_path(f, "ended")));
	shown = read_text(fixture_path(f, "typed"));
	/* The bar is wiped before the share is shown. */
	ck_assert_ptr_nonnull(strstr(shown, "\r\033[K"));
	ck_assert_ptr_nonnull(strstr(strrchr(shown, '\033'), "status: available"));
	free(shown);
	/* Not where nobody looks. */
	code = shell(&out, "'%s' --socket '%s' share create c --snapshot a@s 2>&1", program_path("sharesctl"),
		     f->socket);
	ck_assert_int_eq(code, 0);
	ck_assert_ptr_null(strstr(out, "\033"));
	free(out);
	fixture_free(f);
}
END_TEST

/* ---- completion ---- */

/* What bash would offer for the last of these words, one a line, sorted. */
static void check_completion(const struct fixture *f, const char *words, const char *want)
{
	char *out;

	ck_assert_int_eq(shell(&out,
			       "cd / && PATH='%s':$PATH SHARESD_SOCKET='%s' bash -c 'source \"%s\"; compopt() { :; }; "
			       "COMP_WORDS=(sharesctl %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sharesctl; "
			       "printf \"%%s\\n\" \"${COMPREPLY[@]}\" | sort | paste -sd\" \"'",
			       fixture_path(f, "bin"), f->socket, program_path("tests/sharesctl.bash"), words),
			 0);
	out[strcspn(out, "\n")] = '\0';
	ck_assert_msg(strcmp(out, want) == 0, "sharesctl %s: %s, and not %s", words, out, want);
	free(out);
}

START_TEST(completion)
{
	struct fixture *f = fixture_new("sim \"media\" { }\nsim \"misc\" { }\n");

	ck_assert_int_eq(
		shell(NULL, "mkdir '%s/bin' && ln -s '%s' '%s/bin'", f->dir, program_path("sharesctl"), f->dir), 0);
	/* Commands and options need no daemon. */
	check_completion(f, "sna", "snapshot");
	check_completion(f, "snapshot l", "list");
	check_completion(f, "share ex", "extend");
	check_completion(f, "share list --lim", "--limit=");
	check_completion(f, "share create x --backend m", "");
	fixture_spawn(f, NULL, (uid_t)-1);
	fixture_wait_started(f);
	free(ctl(f, 0, "share create photos --size 1MiB --backend media"));
	free(ctl(f, 0, "share create papers --size 1MiB --backend misc"));
	free(ctl(f, 0, "snapshot create photos@monday"));
	check_completion(f, "share show p", "papers photos");
	check_completion(f, "share create x --backend m", "media misc");
	check_completion(f, "share create x --backend=me", "--backend=media");
	check_completion(f, "snapshot show pho", "photos@monday");
	/* Words that the daemon describes. */
	check_completion(f, "share create x --proto N", "NFS NFS_CIFS");
	check_completion(f, "access allow photos \"\"", "cephx ip user");
	check_completion(f, "share list --status ext", "extending extending_error");
	check_completion(f, "reset-status share photos ext", "extending_error");
	check_completion(f, "events --type access.",
			 "access.* access.active access.denied access.error access.metadata "
			 "access.queued_to_deny");
	check_completion(f, "call get_s", "get_service get_share get_snapshot");
	check_completion(f, "call rpc", "rpc.discover");
	check_completion(f, "share nothing \"\"", "");
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sharesctl");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, events);
	tcase_add_test(t, newest_calls_first);
	tcase_add_test(t, progress_on_a_terminal);
	tcase_add_test(t, completion);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
