/* Ends of the daemon that are no step of a sweep: killed under load, killed by the moment of a hook, stopped in the
 * middle of work, started twice, with a damaged database. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_load.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

/* ---- killed under load ---- */

enum { ROUNDS = 6 };

START_TEST(test_load)
{
	struct fixture *f;
	struct load *l = load_new();

	if (!need_root("test_load"))
		return;
	f = fixture_new("log_level = \"warning\"\ndir \"b\" { root = \"@DIR@/root\" }\n");
	fixture_start(f, NULL, (uid_t)-1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t clients[LOAD_CLIENTS];
		char where[64];

		snprintf(where, sizeof where, "killed under load, round %u", round);
		load_start(f, l, round, clients);
		nap(0.15 + 0.11 * (double)round + (double)(getpid() % 100) / 1000);
		fixture_kill(f);
		load_wait(clients);
		fixture_start(f, NULL, (uid_t)-1);
		load_check(f, l, where);
	}
	fixture_free(f);
	load_free(l);
}
END_TEST

/* ---- killed in a hook ---- */

static struct fixture *with_recorder(struct recorder **ret)
{
	char conf[1024];
	struct fixture *f = fixture_new("");

	snprintf(conf, sizeof conf,
		 "%shook \"h\" { run = \"%s\" }\ndir \"b\" {\n root = \"@DIR@/root\"\n hook_drivers = {\"h\"}\n "
		 "enable_pre_hooks = true\n"
		 " enable_post_hooks = true\n enable_error_hooks = true\n}\n",
		 recorder_options, recorder_entry());
	fixture_conf(f, conf);
	*ret = recorder_new(f);
	return f;
}

static size_t count_told(const json_t *lines, const char *phase)
{
	json_t *line;
	size_t i, n = 0;

	json_array_foreach(lines, i, line)
		n += strcmp(str_at(line, "event.func_name"), "create_share_instance") == 0 &&
		     strcmp(str_at(line, "event.phase"), phase) == 0;
	return n;
}

static json_t *create_params(void)
{
	return jsonx_pack("{s:s,s:i,s:s}", "name", "photos", "size_bytes", MIB, "request_id", "r-1");
}

static const char *state_of_create(const struct fixture *f)
{
	static char state[32];
	_cleanup_json_ json_t *calls = list_all(f, "list_calls", "calls");
	json_t *record;
	size_t i;

	state[0] = '\0';
	json_array_foreach(calls, i, record)
		if (strcmp(str_at(record, "method"), "create_share_instance") == 0)
			snprintf(state, sizeof state, "%s", str_at(record, "state"));
	return state;
}

static const char *const phases[] = { "pre", "post" };

START_TEST(test_killed_in_a_hook)
{
	struct recorder *r;
	struct fixture *f = with_recorder(&r);
	bool post = _i;
	char key[64];
	struct client *c;
	_cleanup_json_ json_t *lines = NULL, *first = NULL, *second = NULL, *share = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	snprintf(key, sizeof key, "h %s create_share_instance client", phases[_i]);
	recorder_script(r, "b", jsonx_pack("{s:[{s:b}]}", key, "kill", 1));
	c = client_new(f);
	client_send_request(c, "create_share_instance", create_params());
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	ck_assert(fixture_wait_end(f, 60));
	recorder_script(r, "b", NULL);
	fixture_start(f, NULL, (uid_t)-1);
	check_disk(f, key);
	ck_assert_str_eq(state_of_create(f), post ? "interrupted" : "");
	if (!post)
		json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "photos"));
	c = client_new(f);
	first = client_request(c, "create_share_instance", create_params());
	second = client_request(c, "create_share_instance", create_params());
	client_free(c);
	share = call(f, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert(json_equal(at(first, "result"), share) && json_equal(at(second, "result"), share));
	lines = recorder_events(r);
	/* In phase pre nothing was begun, so it is a new call. */
	ck_assert_uint_eq(count_told(lines, "pre"), post ? 1 : 2);
	ck_assert_uint_eq(count_told(lines, "post"), 1);
	ck_assert_str_eq(state_of_create(f), post ? "interrupted" : "done");
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* ---- stopped ---- */

static void wait_state(const struct fixture *f, const char *object, const char *state)
{
	double until = now() + 60;
	bool found = false;

	while (!found) {
		_cleanup_json_ json_t *calls = list_all(f, "list_calls", "calls");
		json_t *c;
		size_t i;

		json_array_foreach(calls, i, c)
			found = found || (strcmp(str_at(c, "method"), "create_share_instance") == 0 &&
					  strcmp(str_at(c, "request_id"), object) == 0 &&
					  strcmp(str_at(c, "state"), state) == 0);
		ck_assert_msg(now() < until, "%s is never %s", object, state);
		nap(0.01);
	}
}

/* The running call is finished and answered, the waiting one is refused with nothing changed. */
START_TEST(test_stop)
{
	struct fixture *f = fixture_new("sim \"s\" { hook_drivers = {\"exec:@DIR@/hold\"} enable_pre_hooks = true }\n");
	struct client *a, *b;
	json_int_t id_a, id_b;
	_cleanup_json_ json_t *ok = NULL, *no = NULL, *share = NULL;

	fixture_program(f, "hold",
			"#!/bin/sh\n[ \"$2\" = create_share_instance ] || exit 0\n"
			"while [ ! -e @DIR@/go ]; do sleep 0.01; done\n");
	fixture_start(f, NULL, (uid_t)-1);
	a = client_new(f);
	b = client_new(f);
	id_a = client_send_request(
		a, "create_share_instance",
		jsonx_pack("{s:s,s:i,s:s}", "name", "first", "size_bytes", MIB, "request_id", "first"));
	wait_state(f, "first", "running");
	id_b = client_send_request(
		b, "create_share_instance",
		jsonx_pack("{s:s,s:i,s:s}", "name", "second", "size_bytes", MIB, "request_id", "second"));
	wait_state(f, "second", "queued");
	kill(f->pid, SIGTERM);
	for (double until = now() + 60; !fixture_log_has(f, "stopping ("); nap(0.01))
		ck_assert_msg(now() < until, "it does not begin to stop");
	write_file(fixture_path(f, "go"), "");
	ok = client_reply(a, id_a);
	no = client_reply(b, id_b);
	ck_assert_str_eq(str_at(ok, "result.status"), "available");
	ck_assert_str_eq(str_at(no, "error.data.kind"), "shutting_down");
	ck_assert(json_is_true(at(no, "error.data.retryable")));
	ck_assert_ptr_null(client_read(a));
	client_free(a);
	client_free(b);
	ck_assert(fixture_wait_end(f, 60));
	ck_assert(WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0);
	fixture_start(f, NULL, (uid_t)-1);
	share = call(f, "get_share", "{s:s}", "share", "first");
	ck_assert(json_equal(share, at(ok, "result")));
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "second"));
	fixture_free(f);
}
END_TEST

/* Copying is cut off by a stop; the next start undoes or finishes it, and events and records last. */
START_TEST(test_stop_in_work)
{
	struct fixture *f = fixture_new("dir \"b\" { root = \"@DIR@/root\" }\n");
	struct client *c;
	json_int_t id;
	_cleanup_json_ json_t *reply = NULL, *again = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "photos", "size_bytes", MIB));
	ck_assert_int_eq(shell(NULL,
			       "cd %s/root/photos/data && for i in $(seq 300); do mkdir $i; for k in 1 2 3 4 5 6 7 8 "
			       "9; do echo $i >$i/$k; done; done",
			       f->dir),
			 0);
	c = client_new(f);
	id = client_send_request(c, "create_snapshot",
				 jsonx_pack("{s:s,s:s,s:s}", "share", "photos", "name", "snap", "request_id", "r-1"));
	nap(0.03);
	kill(f->pid, SIGTERM);
	reply = client_reply(c, id);
	client_free(c);
	ck_assert(fixture_wait_end(f, 60));
	ck_assert(WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0);
	fixture_start(f, NULL, (uid_t)-1);
	check_disk(f, "stopped in long work");
	if (json_object_get(reply, "error"))
		ck_assert_str_eq(str_at(reply, "error.data.kind"), "shutting_down");
	again = call(f, "create_snapshot", "{s:s,s:s,s:s}", "share", "photos", "name", "snap", "request_id", "r-1");
	ck_assert_int_eq(shell(NULL, "diff -r %s/root/photos/data %s/root/%s/data", f->dir, f->dir,
			       str_at(again, "provider_location")),
			 0);
	check_disk(f, "after the call was made again");
	fixture_free(f);
}
END_TEST

/* ---- started twice ---- */

START_TEST(test_twice)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	_cleanup_free_ char *said = NULL;
	char pid[32];

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_ne(shell(&said, "timeout 20 %s --config %s 2>&1", program_path("sharesd"), f->conf), 0);
	ck_assert_msg(strstr(said, "another sharesd runs on state_dir") != NULL, "%s", said);
	snprintf(pid, sizeof pid, "pid %d", (int)f->pid);
	ck_assert_msg(strstr(said, pid) != NULL, "%s", said);
	/* The first one does not care. */
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "photos", "size_bytes", MIB));
	fixture_free(f);
}
END_TEST

/* ---- a damaged database ---- */

static const struct {
	const char *damage; /* in the state directory */
	const char *says;
} damages[] = {
	{ "dd if=/dev/urandom of=sharesd.db bs=1k count=4 conv=notrunc", "sharesd.db" },
	{ "echo 'this is no database, this is a text that is longer than the head of one, which has a hundred bytes' "
	  ">sharesd.db",
	  "sharesd.db" },
	{ "truncate -s 6000 sharesd.db", "sharesd.db" },
	{ "dd if=/dev/urandom of=sharesd.db bs=4k seek=1 count=20 conv=notrunc", "sharesd.db" },
	{ "sqlite3 sharesd.db 'PRAGMA user_version = 999'", "newer than this sharesd knows" },
	{ "chmod 0770 .", "may be written by others" },
	{ "mv sharesd.db x; mkdir sharesd.db", "sharesd.db" },
};

START_TEST(test_damaged)
{
	struct fixture *f = fixture_new("dir \"b\" { root = \"@DIR@/root\" }\n");
	_cleanup_free_ char *before = NULL, *after = NULL, *log = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	for (int i = 0; i < 20; i++) {
		char name[] = { 's', (char)('a' + i), 0 };

		json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", name, "size_bytes", MIB));
	}
	fixture_stop(f);
	ck_assert_int_eq(shell(NULL, "cp -a %s/state %s/good; (cd %s/state && %s) >/dev/null 2>&1", f->dir, f->dir,
			       f->dir, damages[_i].damage),
			 0);
	/* As after a crash: then it is looked through before it is used. */
	ck_assert_int_eq(shell(NULL,
			       "test -s %s/state/sharesd.db-wal || head -c 100 /dev/urandom >%s/state/sharesd.db-wal",
			       f->dir, f->dir),
			 0);
	ck_assert_int_eq(shell(&before, "md5sum <%s/state/sharesd.db 2>&1", f->dir) & 0x7e, 0);
	unlink(f->log);
	fixture_spawn(f, NULL, (uid_t)-1);
	ck_assert_msg(fixture_wait_end(f, 60), "it started with a damaged database");
	ck_assert_msg(WIFEXITED(f->status) && WEXITSTATUS(f->status) != 0, "it ended with wait status %d", f->status);
	log = fixture_log(f);
	ck_assert_msg(strstr(log, damages[_i].says) != NULL && strstr(log, "cannot start") != NULL, "%s", log);
	/* Nothing was made worse; with the copy put back all is well. */
	ck_assert_int_eq(shell(&after, "md5sum <%s/state/sharesd.db 2>&1", f->dir) & 0x7e, 0);
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(shell(NULL, "rm -rf %s/state && mv %s/good %s/state", f->dir, f->dir, f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	check_disk(f, "with the good database");
	fixture_free(f);
}
END_TEST

/* The database is taken away from under a running daemon: what it could not keep it does not promise. */
START_TEST(test_displaced)
{
	static const struct {
		const char *away, *back;
	} ways[] = { { "mv sharesd.db x", "mv x sharesd.db" },
		     { "cp -p sharesd.db x && mv sharesd.db y && mv x sharesd.db", "mv y sharesd.db" },
		     { "mv sharesd.db x && mkdir sharesd.db", "rmdir sharesd.db && mv x sharesd.db" } };
	struct fixture *f = fixture_new("dir \"b\" { root = \"@DIR@/root\" }\n");
	_cleanup_json_ json_t *e = NULL, *list = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", MIB));
	ck_assert_int_eq(shell(NULL, "cd %s/state && %s", f->dir, ways[_i].away), 0);
	e = call_error(f, "internal", "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes", MIB);
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "removed or replaced"));
	ck_assert_str_eq(str_at(e, "data.phase"), "store");
	ck_assert(!exists(fixture_path(f, "root/b")));
	ck_assert(fixture_log_has(f, "changes are refused until it is back"));
	/* What was known is still answered. */
	list = call(f, "list_shares", NULL);
	ck_assert_uint_eq(json_array_size(at(list, "shares")), 1);
	ck_assert_int_eq(shell(NULL, "cd %s/state && %s", f->dir, ways[_i].back), 0);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "b", "size_bytes", MIB));
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "get_share", "{s:s}", "share", "b"));
	check_disk(f, "with its database back");
	/* For good: the log goes as well. */
	ck_assert_int_eq(shell(NULL, "rm %s/state/sharesd.db-wal", f->dir), 0);
	json_decref(call_error(f, "internal", "delete_share_instance", "{s:s}", "share", "b"));
	ck_assert(exists(fixture_path(f, "root/b/data")));
	fixture_free(f);
}
END_TEST

/* An empty store beside a root that has shares: nothing there is touched, and the backend says why it is down. */
START_TEST(test_lost_store)
{
	struct fixture *f = fixture_new("dir \"b\" { root = \"@DIR@/root\" }\n");
	_cleanup_json_ json_t *backend = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "photos", "size_bytes", MIB));
	fixture_stop(f);
	ck_assert_int_eq(shell(NULL, "rm -r %s/state", f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	backend = call(f, "get_backend", "{s:s}", "backend", "b");
	ck_assert_str_eq(str_at(backend, "status"), "down");
	ck_assert_ptr_nonnull(strstr(str_at(backend, "status_reason"), "belongs to another backend"));
	ck_assert(exists(fixture_path(f, "root/photos/data")));
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kill");
	TCase *tc = tcase_create("kill");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_load);
	tcase_add_loop_test(tc, test_killed_in_a_hook, 0, 2);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_stop_in_work);
	tcase_add_test(tc, test_twice);
	tcase_add_loop_test(tc, test_damaged, 0, sizeof damages / sizeof *damages);
	tcase_add_loop_test(tc, test_displaced, 0, 3);
	tcase_add_test(tc, test_lost_store);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
