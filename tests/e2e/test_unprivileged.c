/* A daemon without any rights: what somebody who is not root can do at home, with the command line as with the socket.
 */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, OTHER = 4711 };
#define HOME "dir \"home\" { root = \"@DIR@/home/shares\" }\n"

/* As root: a daemon of another user. Else: our own. */
static uid_t daemon_uid(void)
{
	return geteuid() == 0 ? NOBODY : geteuid();
}

static void start(struct fixture *f)
{
	fixture_start(f, NULL, geteuid() == 0 ? NOBODY : (uid_t)-1);
}

/* Its user's shell, with `ctl` for sharesctl; the exit status. */
__attribute__((format(printf, 3, 4))) static int run(const struct fixture *f, char **ret_out, const char *fmt, ...)
{
	char command[2048], prefix[128] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (geteuid() == 0)
		snprintf(prefix, sizeof prefix, "setpriv --reuid=%d --regid=%d --clear-groups ", NOBODY, NOBODY);
	write_file(fixture_path(f, "script"), command);
	return shell(ret_out,
		     "cd '%s' && env SHARESD_SOCKET='%s' HOME='%s/home' %ssh -c 'ctl() { \"$CTL\" \"$@\"; }; "
		     "CTL=\"%s\"; . ./script' 2>&1",
		     f->dir, f->socket, f->dir, prefix,
		     geteuid() == 0 ? fixture_path(f, "bin/sharesctl") : program_path("sharesctl"));
}

static void must_run(const struct fixture *f, const char *command)
{
	char *out;
	int status = run(f, &out, "%s", command);

	ck_assert_msg(status == 0, "exit status %d of: %s\n%s", status, command, out);
	free(out);
}

START_TEST(at_home)
{
	struct fixture *f = fixture_new(HOME);
	json_t *j;
	struct stat st;
	char *out;

	start(f);
	must_run(f, "ctl share create photos --backend home --size 10MiB");
	ck_assert_int_eq(stat(fixture_path(f, "home/shares/photos/data"), &st), 0);
	ck_assert_uint_eq(st.st_uid, daemon_uid());
	/* The gate is the daemon's own user's, so that user is always in. */
	must_run(f,
		 "cd home/shares/photos/data && echo one > one && mkdir sub && ln -s ../one sub/link && head -c 100000 "
		 "/dev/urandom > random "
		 "&& cp random sub/random");
	must_run(f, "ctl snapshot create photos first");
	must_run(f, "cd home/shares/photos/data && rm -rf sub && echo two > one");
	must_run(f, "ctl share create copy --snapshot photos@first");
	must_run(f, "cd home/shares && [ $(cat copy/data/one) = one ] && cmp photos/data/random copy/data/sub/random");
	must_run(f, "ctl share revert photos@first --yes");
	must_run(f, "cd home/shares && diff -r --no-dereference photos/data copy/data");
	must_run(f, "ctl share extend photos 20MiB && ctl share shrink photos 1MiB");
	ck_assert_int_ne(run(f, NULL, "ctl share shrink photos 100KiB"), 0);
	must_run(f, "ctl access allow photos user daemon && ctl access list photos | grep -q daemon");
	must_run(f, "ctl access deny photos user daemon");
	must_run(f, "ctl snapshot delete photos@first --yes && ctl share delete copy --yes");
	/* What is there already. */
	must_run(f,
		 "mkdir -p home/shares/old/docs && echo x > home/shares/old/docs/x && chmod 751 home/shares/old/docs");
	must_run(f, "ctl share manage docs --backend home --location old/docs && [ $(stat -c %a home/shares/old/docs) "
		    "!= 751 ]");
	must_run(f, "ctl share unmanage docs --yes && [ $(stat -c %a home/shares/old/docs) = 751 ]");
	must_run(f, "ctl share delete photos --yes && [ ! -e home/shares/photos ]");
	must_run(f, "ctl status");
	ck_assert_int_eq(run(f, &out, "ctl --json share list"), 0);
	j = json_loads(out, JSON_DECODE_ANY, NULL);
	ck_assert_msg(j != NULL, "no JSON: %s", out);
	ck_assert_ptr_null(strstr(out, "photos"));
	json_decref(j);
	free(out);
	/* Hooks run without rights as well. */
	fixture_conf(f, "dir \"home\" { root = \"@DIR@/home/shares\" hook_drivers = {\"exec:@DIR@/home/hook\"} "
			"enable_pre_hooks = true }\n");
	must_run(f, "printf '#!/bin/sh\\nid -u > ${0%%/*}/ran\\n' > home/hook && chmod 755 home/hook");
	fixture_stop(f);
	start(f);
	must_run(f, "ctl share create hooked --size 1MiB && [ $(cat home/ran) = $(id -u) ]");
	fixture_free(f);
}
END_TEST

START_TEST(others_cannot_be_given_anything)
{
	struct fixture *f = fixture_new(HOME "sim \"s\" { default_uid = \"4711\" }\n");
	json_t *e;

	start(f);
	for (int i = 0; i < 2; i++) {
		e = call_error(f, "permission_denied", "create_share_instance", "{s:s,s:i,s:s,s:i}", "name", "a",
			       "size_bytes", 1000, "backend", "home", i ? "uid" : "gid", OTHER);
		ck_assert_str_eq(str_at(e, "data.param"), i ? "uid" : "gid");
		json_decref(e);
	}
	json_decref(call_error(f, "permission_denied", "create_share_instance", "{s:s,s:i,s:s,s:s}", "name", "a",
			       "size_bytes", 1000, "backend", "home", "uid", "root"));
	e = call_error(f, "permission_denied", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
		       1000, "backend", "s");
	json_decref(e);
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "a"));
	ck_assert(!exists(fixture_path(f, "home/shares/a")));
	/* Its own it may name. */
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s,s:I}", "name", "a", "size_bytes", 1000, "backend",
			 "home", "uid", (json_int_t)daemon_uid()));
	if (geteuid() == 0) {
		struct client *c = client_new_as(f, OTHER, OTHER);

		e = client_read(c);
		ck_assert_str_eq(str_at(e, "error.data.kind"), "permission_denied");
		json_decref(e);
		client_free(c);
		/* skip_hooks is for root, not for the daemon's own user. */
		c = client_new_as(f, NOBODY, NOBODY);
		json_decref(client_error(c, "permission_denied", "delete_share_instance", "{s:s,s:b}", "share", "a",
					 "skip_hooks", 1));
		json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", "a"));
		client_free(c);
		/* Somebody else's directory cannot be adopted: its access could not be changed. */
		ck_assert_int_eq(shell(NULL, "mkdir -m 755 %s/home/shares/others", f->dir), 0);
		e = call_error(f, "not_supported", "manage_share", "{s:s,s:s,s:s}", "backend", "home", "name", "o",
			       "provider_location", "others");
		ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "root"));
		json_decref(e);
		json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "o"));
	}
	fixture_free(f);
}
END_TEST

/* What it may not use says so. */
START_TEST(places_of_others)
{
	struct fixture *f;
	json_t *j;

	if (!need_root("places_of_others"))
		return;
	f = fixture_new("dir \"root\" { root = \"@DIR@/root\" }\n" HOME);
	fixture_start(f, NULL, NOBODY);
	fixture_stop(f);
	ck_assert_int_eq(shell(NULL, "rm -rf %s/root && mkdir -m 755 %s/root", f->dir, f->dir), 0);
	fixture_spawn(f, NULL, NOBODY); /* gives all to its user */
	fixture_wait_started(f);
	ck_assert_int_eq(shell(NULL, "chown 0:0 %s/root && rm -rf %s/root/.sharesd", f->dir, f->dir), 0);
	json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes",
			       1, "backend", "root"));
	j = call(f, "get_backend", "{s:s}", "backend", "root");
	ck_assert_str_eq(str_at(j, "status"), "down");
	ck_assert_ptr_nonnull(strstr(str_at(j, "status_reason"), "/root"));
	json_decref(j);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1, "backend", "home"));
	fixture_free(f);
}
END_TEST

/* A hook that could never run refuses the conf file, with what is missing. */
START_TEST(users_of_hooks)
{
	static const char *const options[] = { "exec_user", "coproc_user" };

	for (int i = 0; i < 2; i++) {
		struct fixture *f = fixture_new(HOME);
		char body[256];

		snprintf(body, sizeof body, HOME "hook \"h\" { run = \"exec:@DIR@/hook\" %s = \"%s\" }\n", options[i],
			 geteuid() == OTHER ? "root" : "4711");
		fixture_conf(f, body);
		fixture_spawn(f, NULL, geteuid() == 0 ? NOBODY : (uid_t)-1);
		ck_assert(fixture_wait_end(f, 20));
		ck_assert(WIFEXITED(f->status));
		ck_assert_int_eq(WEXITSTATUS(f->status), 78);
		ck_assert(fixture_log_has(f, options[i]));
		ck_assert(fixture_log_has(f, "run-as"));
		fixture_free(f);
	}
	/* Its own user is always fine. */
	struct fixture *f = fixture_new(HOME);
	char body[256];

	snprintf(body, sizeof body, HOME "exec_user = \"%u\"\n", (unsigned)daemon_uid());
	fixture_conf(f, body);
	start(f);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unprivileged");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, at_home);
	tcase_add_test(t, others_cannot_be_given_anything);
	tcase_add_test(t, places_of_others);
	tcase_add_test(t, users_of_hooks);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
