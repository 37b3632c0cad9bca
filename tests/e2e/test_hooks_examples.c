/* The examples, installed as their own comments say, around calls of a real daemon. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static json_t *create(const struct fixture *f, const char *name, int size)
{
	return call(f, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", size);
}

/* Its text for the caller, or what is said of its failure. */
static void create_refused(const struct fixture *f, const char *kind, const char *name, int size, const char *text)
{
	_cleanup_json_ json_t *e =
		call_error(f, kind, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", size);

	ck_assert_msg(strstr(str_at(e, "message"), text) != NULL, "%s", str_at(e, "message"));
}

static void install(const struct fixture *f, const char *names)
{
	ck_assert_int_eq(shell(NULL, "cd hooks/examples && install -D -m 0755 -t '%s/hooks' %s", f->dir, names), 0);
}

/* One hook section and one backend with it. `options`: of the section. */
static struct fixture *with_example(const char *name, const char *options)
{
	char conf[2048];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf,
		 "hook \"%s\" {\n run = \"exec:@DIR@/hooks/%s\"\n %s\n}\n"
		 "sim \"s\" {\n hook_drivers = {\"%s\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n"
		 " enable_error_hooks = true\n}\n",
		 name, name, options, name);
	fixture_conf(f, conf);
	install(f, name);
	fixture_start(f, NULL, (uid_t)-1);
	return f;
}

START_TEST(test_policy)
{
	char options[512];
	struct fixture *f;

	snprintf(options, sizeof options,
		 "phases = {\"pre\"}\n methods = {\"create_share_instance\", \"extend_share\"}\n"
		 " options = {\"max_size=4KiB\", \"name_pattern=^[a-z]{2,5}$\", \"quota_per_user=8KiB\", "
		 "\"sharesctl=%s\"}",
		 program_path("sharesctl"));
	f = with_example("policy", options);
	json_decref(create(f, "one", 4096));
	create_refused(f, "vetoed", "two", 4097, "a share may have 4KiB at most, and this one would have 4097 bytes");
	create_refused(f, "vetoed", "Two", 1000, "the name Two is not like ^[a-z]{2,5}$");
	json_decref(create(f, "two", 4000));
	create_refused(f, "vetoed", "three", 1000, "a user may have 8KiB in all, and the others of uid");
	/* Its own old size does not count. */
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "two", "size_bytes", 4096));
	fixture_free(f);
}
END_TEST

/* Without its tools, and without a rule, nothing goes on. */
START_TEST(test_policy_fails_closed)
{
	struct fixture *f = with_example("policy", "phases = {\"pre\"}\n methods = {\"create_share_instance\"}\n"
						   " options = {\"quota_per_user=1GiB\", \"sharesctl=/nonexistent\"}");

	create_refused(f, "pre_hook_failed", "one", 1000, "sharesctl is missing: install it");
	/* As where jq is not installed. */
	ck_assert_int_eq(
		shell(NULL, "sed -i 's/command -v jq/command -v no-such-jq/' '%s'", fixture_path(f, "hooks/policy")),
		0);
	create_refused(f, "pre_hook_failed", "one", 1000, "jq is missing: install it");
	fixture_free(f);
	f = with_example("policy", "phases = {\"pre\"}\n methods = {\"create_share_instance\"}");
	create_refused(f, "pre_hook_failed", "one", 1000, "the event could not be judged");
	fixture_free(f);
}
END_TEST

START_TEST(test_audit)
{
	struct fixture *f = with_example("audit", "options = {\"audit_file=@DIR@/audit.log\"}\n"
						  " methods = {\"create_share_instance\"}\n on_error = \"fail\"");
	_cleanup_free_ char *text = NULL;
	json_t *line;
	struct stat st;

	json_decref(create(f, "one", 1000));
	ck_assert_int_eq(stat(fixture_path(f, "audit.log"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	text = read_text(fixture_path(f, "audit.log"));
	line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
	ck_assert_str_eq(str_at(line, "phase"), "pre");
	ck_assert_str_eq(str_at(line, "args.name"), "one");
	ck_assert_int_eq(int_at(line, "uid"), (long long)getuid());
	json_decref(line);
	line = json_loads(strchr(text, '\n') + 1, 0, NULL); /* the second is the last */
	ck_assert_str_eq(str_at(line, "phase"), "post");
	json_decref(line);
	/* What cannot be recorded is not done. */
	ck_assert_int_eq(unlink(fixture_path(f, "audit.log")), 0);
	ck_assert_int_eq(symlink("/dev/full", fixture_path(f, "audit.log")), 0);
	create_refused(f, "pre_hook_failed", "two", 1000, "hook \"audit\" failed before create_share_instance");
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "two"));
	fixture_free(f);
}
END_TEST

START_TEST(test_add_location)
{
	struct fixture *f = with_example("add-location", "phases = {\"post\"}\n methods = {\"create_share_instance\"}\n"
							 " options = {\"dns_name=files.example.org\"}");
	_cleanup_json_ json_t *share = create(f, "one", 1000);

	ck_assert_uint_eq(json_array_size(at(share, "export_locations")), 2);
	ck_assert_ptr_nonnull(strstr(str_at(share, "export_locations.0.path"), "files.example.org:"));
	ck_assert(json_is_true(at(share, "export_locations.0.preferred")));
	fixture_free(f);
}
END_TEST

/* notify.conf itself, with the paths of this place. */
START_TEST(test_notify)
{
	struct fixture *f = fixture_new("");
	_cleanup_free_ char *conf = NULL, *said = NULL;
	double end = now() + 60;
	pid_t receiver;

	install(f, "notify-receiver");
	ck_assert_int_eq(shell(NULL, "openssl rand -hex 32 >'%s/secret' && chmod 0600 '%s/secret'", f->dir, f->dir), 0);
	ck_assert_int_eq(
		shell(&conf,
		      "sed -e 's|/run/sharesd-notify/socket|%s/receiver|; s|/etc/sharesd/notify.secret|%s/secret|' "
		      "-e '/^#dir/,$s/^#//; s|dir \"media\" {|sim \"s\" {|' hooks/examples/notify.conf",
		      f->dir, f->dir),
		0);
	fixture_conf(f, conf);
	receiver = fork();
	if (receiver == 0) {
		char program[256], command[1024];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(program, sizeof program, "%s/hooks/notify-receiver", f->dir);
		snprintf(command, sizeof command, "exec '%s' '%s/receiver' '%s/secret' >'%s/said'", program, f->dir,
			 f->dir, f->dir);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (; !exists(fixture_path(f, "receiver")); nap(0.01))
		ck_assert_msg(now() < end && waitpid(receiver, NULL, WNOHANG) == 0, "the receiver did not start");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "one", 1000));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "one", "access_type", "user", "access_to", "root"));
	json_decref(
		call(f, "deny_access", "{s:s,s:s,s:s}", "share", "one", "access_type", "user", "access_to", "root"));
	said = read_text(fixture_path(f, "said"));
	ck_assert_str_eq(said, "user root was let into one\nuser root is kept out of one\n");
	kill(receiver, SIGKILL);
	waitpid(receiver, NULL, 0);
	/* It is a notifier: without its receiver all goes on. */
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "one", "access_type", "user", "access_to", "root"));
	fixture_free(f);
}
END_TEST

/* By its own Makefile, against the headers as they are installed. */
START_TEST(test_count)
{
	struct fixture *f = fixture_new("");
	_cleanup_json_ json_t *h = NULL;
	char conf[1024], entry[256];

	/* By way of links to what was built: the installation writes a file there, and others may install too. */
	ck_assert_int_eq(shell(NULL,
			       "mkdir '%s/built' '%s/hooks' && ln -s \"$(dirname '%s')\"/* '%s/built' && "
			       "rm -f '%s/built/sharesd.pc' && unset MAKEFLAGS MAKELEVEL && "
			       "make -s install-built O='%s/built' DESTDIR='%s/root' >'%s/install.log' 2>&1",
			       f->dir, f->dir, program_path("sharesd"), f->dir, f->dir, f->dir, f->dir, f->dir),
			 0);
	ck_assert_int_eq(shell(NULL,
			       "cd '%s/root/usr/share/doc/sharesd/examples/hooks' && cp count.c Makefile '%s/hooks' && "
			       "cd '%s/hooks' && unset MAKEFLAGS MAKELEVEL && PKG_CONFIG_SYSROOT_DIR='%s/root' "
			       "PKG_CONFIG_PATH='%s/root/usr/share/pkgconfig' make -s CFLAGS='-Wall -Wextra -Werror'",
			       f->dir, f->dir, f->dir, f->dir, f->dir),
			 0);
	snprintf(entry, sizeof entry, "%s/hooks/count.so:count", f->dir);
	snprintf(conf, sizeof conf,
		 "sim \"s\" {\n hook_drivers = {\"%s\"}\n enable_pre_hooks = true\n enable_post_hooks = true\n}\n",
		 entry);
	fixture_conf(f, conf);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(create(f, "one", 1000));
	h = call(f, "get_hook", "{s:s,s:s}", "backend", "s", "hook", entry);
	ck_assert_int_eq(int_at(h, "events.pre"), 3); /* after init_host and publish_service_capabilities */
	ck_assert_int_eq(int_at(h, "events.post"), 3);
	ck_assert_int_eq(int_at(h, "events.periodic"), 0);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hook examples");
	TCase *c = tcase_create("hook examples");
	SRunner *sr;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_policy);
	tcase_add_test(c, test_policy_fails_closed);
	tcase_add_test(c, test_audit);
	tcase_add_test(c, test_add_location);
	tcase_add_test(c, test_notify);
	tcase_add_test(c, test_count);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
