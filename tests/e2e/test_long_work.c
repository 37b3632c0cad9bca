/* Long work that does not come to its end undisturbed: the daemon stopped or killed, its helper killed, the conf file
 * changed under it; and what goes on behind finished calls. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_mount.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB     1048576
#define HEAD    "log_level = \"info\"\nadmin_groups = {}\n"
#define BACK    "dir \"b\" { root = \"@DIR@/root\" usage_interval = 0 }\n"
#define OTHER   "sim \"other\" { }\n"
#define CONF    HEAD BACK OTHER
#define WITHOUT HEAD OTHER

/* ---- works ---- */

static const struct {
	const char *method, *params; /* with request_id "r" */
	const char *made;            /* "snapshot" or "share": the new object; NULL: the share "a" is worked on */
	const char *failed;          /* status of that object when the helper failed */
} works[] = {
	{ "create_snapshot", "{\"share\":\"a\",\"name\":\"new\",\"request_id\":\"r\"}", "snapshot", "error" },
	{ "create_share_instance", "{\"name\":\"copy\",\"snapshot\":\"a@s\",\"request_id\":\"r\"}", "share", "error" },
	{ "revert_to_snapshot", "{\"snapshot\":\"a@s\",\"request_id\":\"r\"}", NULL, "reverting_error" },
	{ "shrink_share", "{\"share\":\"a\",\"size_bytes\":1048576,\"request_id\":\"r\"}", NULL, "shrinking_error" },
};
enum { N_WORKS = sizeof works / sizeof *works };

static json_t *params(int w)
{
	json_t *p = json_loads(works[w].params, 0, NULL);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* The new object as it is, or the share that is worked on; NULL: there is none. */
static json_t *look(const struct fixture *f, int w)
{
	bool snapshot = works[w].made && strcmp(works[w].made, "snapshot") == 0;
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = NULL;

	reply = snapshot ? client_request(c, "get_snapshot", jsonx_pack("{s:s}", "snapshot", "a@new"))
			 : client_request(c, "get_share", jsonx_pack("{s:s}", "share", works[w].made ? "copy" : "a"));
	client_free(c);
	return json_incref(json_object_get(reply, "result"));
}

static json_t *find_call(const struct fixture *f, const char *method, const char *state)
{
	_cleanup_json_ json_t *calls = list_all(f, "list_calls", "calls");
	json_t *c, *found = NULL;
	size_t i;

	json_array_foreach(calls, i, c)
		if (strcmp(str_at(c, "method"), method) == 0 && strcmp(str_at(c, "state"), state) == 0)
			found = c;
	return json_incref(found);
}

/* A share with other data than its snapshot has, on a daemon whose work is held from now on. */
static struct fixture *begin(const char *conf)
{
	struct fixture *f = fixture_new(conf);

	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(
		call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 2 * MIB, "backend", "b"));
	write_file(fixture_path(f, "root/a/data/file"), "old");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	write_file(fixture_path(f, "root/a/data/file"), "new");
	fixture_hold_work(f);
	return f;
}

static bool is_working(const struct fixture *f, const char *method)
{
	_cleanup_json_ json_t *live = find_call(f, method, "working");

	return live != NULL;
}

static void send_work(const struct fixture *f, struct client *c, int w, json_int_t *ret_id)
{
	double until = now() + 30;

	*ret_id = client_send_request(c, works[w].method, params(w));
	while (!is_working(f, works[w].method)) {
		ck_assert_msg(now() < until, "%s does not begin its work", works[w].method);
		nap(0.005);
	}
}

static void check_data(const struct fixture *f, const char *path, const char *want)
{
	_cleanup_free_ char *text = read_text(fixture_path(f, "root/%s/data/file", path));

	ck_assert_msg(text && strcmp(text, want) == 0, "%s holds %s", path, text ? text : "nothing");
}

/* Nothing of it has happened. */
static void check_undone(const struct fixture *f, int w, const char *how)
{
	_cleanup_json_ json_t *o = look(f, w);

	if (works[w].made) {
		ck_assert_msg(!o, "%s: %s left something", how, works[w].method);
	} else {
		ck_assert_msg(strcmp(str_at(o, "status"), "available") == 0, "%s: %s left the share %s", how,
			      works[w].method, str_at(o, "status"));
		ck_assert_int_eq(int_at(o, "size_bytes"), 2 * MIB);
	}
	check_data(f, "a", "new");
	check_disk(f, how);
}

static void check_done(const struct fixture *f, int w, const char *how)
{
	_cleanup_json_ json_t *o = look(f, w);

	ck_assert_msg(o != NULL, "%s: %s made nothing", how, works[w].method);
	ck_assert_msg(strcmp(str_at(o, "status"), "available") == 0, "%s: %s made it %s", how, works[w].method,
		      str_at(o, "status"));
	ck_assert(json_is_null(at(o, "progress")));
	if (w == 0)
		check_data(f, str_at(o, "provider_location"), "new");
	else if (w == 1)
		check_data(f, "copy", "old");
	else
		check_data(f, "a", w == 2 ? "old" : "new");
	check_disk(f, how);
}

/* The same request runs anew, or has its answer. */
static void ask_again(const struct fixture *f, int w, const char *how)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = client_request(c, works[w].method, params(w));

	ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s: %s", how, works[w].method,
		      str_at(reply, "error.message"));
	client_free(c);
	check_done(f, w, how);
}

/* Who, what and how long, while it goes on. */
START_TEST(shown)
{
	int w = _i;
	struct fixture *f = begin(CONF);
	struct client *c = client_new(f);
	_cleanup_json_ json_t *live = NULL, *o = NULL, *reply = NULL;
	json_int_t id;

	send_work(f, c, w, &id);
	live = find_call(f, works[w].method, "working");
	ck_assert_str_eq(str_at(live, "phase"), "work");
	ck_assert_str_eq(str_at(live, "backend"), "b");
	ck_assert_str_eq(str_at(live, "origin"), "client");
	ck_assert_int_eq(int_at(live, "uid"), geteuid());
	ck_assert_int_eq(int_at(live, "pid"), getpid());
	ck_assert(strlen(str_at(live, "user")) > 0);
	ck_assert(json_is_string(at(live, "started_at")));
	ck_assert_double_gt(json_number_value(at(live, "duration_ms")), 0);
	o = look(f, w);
	if (w != 2) {
		ck_assert_str_eq(str_at(live, "object_id"), str_at(o, "id"));
		ck_assert_str_eq(str_at(live, "object_kind"), w == 0 ? "snapshot" : "share");
	}
	for (double until = now() + 30; json_is_null(at(o, "progress")); o = look(f, w)) {
		ck_assert_msg(now() < until, "there is no progress");
		json_decref(o);
		nap(0.01);
	}
	ck_assert_int_eq(int_at(o, "progress.bytes"), 1000);
	fixture_release_work(f);
	reply = client_reply(c, id);
	ck_assert(json_object_get(reply, "result") != NULL);
	client_free(c);
	ck_assert(!is_working(f, works[w].method));
	fixture_free(f);
}
END_TEST

/* ---- the daemon ends ---- */

static void check_fate(const struct fixture *f, int w)
{
	_cleanup_json_ json_t *record = find_call(f, works[w].method, "done");

	/* A measuring that was cut off is made anew. */
	if (!record)
		record = find_call(f, works[w].method, "interrupted");
	ck_assert_msg(record != NULL, "%s is not decided", works[w].method);
	ck_assert_str_eq(str_at(record, "recovered"), w == 3 ? "finished" : "undone");
}

static void end_and_start(struct fixture *f, bool killed, struct client *c, json_int_t id)
{
	_cleanup_json_ json_t *reply = NULL;

	if (killed) {
		fixture_kill(f);
		ck_assert_ptr_null(client_read(c));
	} else {
		kill(f->pid, SIGTERM);
		reply = client_reply(c, id);
		ck_assert_str_eq(str_at(reply, "error.data.kind"), "shutting_down");
		ck_assert(json_is_true(at(reply, "error.data.retryable")));
		ck_assert(fixture_wait_end(f, 30));
		ck_assert_int_eq(f->status, 0);
	}
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
}

START_TEST(daemon_ends)
{
	bool killed = _i >= N_WORKS;
	int w = _i % N_WORKS;
	const char *how = killed ? "killed" : "stopped";
	struct fixture *f = begin(CONF);
	struct client *c = client_new(f);
	json_int_t id;

	send_work(f, c, w, &id);
	end_and_start(f, killed, c, id);
	client_free(c);
	check_fate(f, w);
	if (w == 3) /* it reads only: nothing was begun that had to be undone, and so it is finished */
		check_done(f, w, how);
	else
		check_undone(f, w, how);
	ask_again(f, w, how);
	fixture_free(f);
}
END_TEST

/* ---- the helper ends ---- */

/* Processes of this fixture whose command line begins with one text and holds another. */
static int kill_processes(const struct fixture *f, const char *begin, const char *part)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	const struct dirent *entry;
	int n = 0;

	while ((entry = readdir(d))) {
		char path[300], line[4096];
		FILE *in;
		size_t len;

		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !(in = fopen(path, "re")))
			continue;
		len = fread(line, 1, sizeof line - 1, in);
		fclose(in);
		for (size_t i = 0; i < len; i++)
			line[i] = line[i] ? line[i] : ' ';
		line[len] = '\0';
		if (strncmp(line, begin, strlen(begin)) == 0 && strstr(line, part) && strstr(line, f->dir)) {
			kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
			n++;
		}
	}
	return n;
}

START_TEST(helper_ends)
{
	/* The program, or the one that contains it. */
	static const char *const begins[] = { "/bin/sh ", "sharesd-contain " };
	int w = _i % N_WORKS;
	struct fixture *f = begin(CONF);
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = NULL, *o = NULL;
	json_int_t id;

	send_work(f, c, w, &id);
	/* A shell that starts its next program is two for a moment. */
	ck_assert_int_ge(kill_processes(f, begins[_i / N_WORKS], "bin/sharesd-tree"), 1);
	reply = client_reply(c, id);
	client_free(c);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "driver_failed");
	ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), "signal 9"));
	fixture_release_work(f);
	o = look(f, w);
	ck_assert_str_eq(str_at(o, "status"), works[w].failed);
	ck_assert_ptr_nonnull(strstr(str_at(o, "status_reason"), "signal 9"));
	check_data(f, "a", "new");
	check_disk(f, "the helper was killed");
	/* The way out. */
	if (w == 0)
		json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@new"));
	else if (w == 1)
		json_decref(call(f, "delete_share_instance", "{s:s}", "share", "copy"));
	else
		json_decref(call(f, "reset_status", "{s:s,s:s}", "share", "a", "status", "available"));
	check_undone(f, w, "the helper was killed");
	fixture_free(f);
}
END_TEST

/* ---- the conf file changes ---- */

static int count_reloads(const struct fixture *f)
{
	_cleanup_free_ char *log = fixture_log(f);
	int n = 0;

	for (const char *p = log; (p = strstr(p, "sharesd.conf is in force")) != NULL; p++)
		n++;
	return n;
}

/* Taken by both threads, and the backend as it is to be. */
static void reload(struct fixture *f, const char *body, const char *status)
{
	double until = now() + 30;
	int before = count_reloads(f);

	fixture_conf(f, body);
	fixture_hup(f);
	while (count_reloads(f) == before) {
		ck_assert_msg(now() < until, "the new conf is not in force");
		nap(0.005);
	}
	json_decref(call(f, "list_orphans", NULL));
	wait_backend(f, "b", status);
}

enum change { SAME, OTHER_HOOKS, OUT_AND_IN, OUT_THEN_END, CHANGES };

/* Work that was begun comes to its end, whatever becomes of the section. */
START_TEST(conf_changes)
{
	static const char *const how[] = { "same conf", "hooks changed", "taken out and put back",
					   "taken out, ended, put back" };
	int w = _i % N_WORKS;
	enum change change = (enum change)(_i / N_WORKS);
	struct fixture *f = begin(CONF);
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = NULL;
	json_int_t id;

	send_work(f, c, w, &id);
	if (change == SAME)
		reload(f, CONF, "up");
	else if (change == OTHER_HOOKS)
		reload(f,
		       HEAD OTHER "dir \"b\" { root = \"@DIR@/root\" usage_interval = 0 hook_drivers = {\"journal\"} "
				  "enable_post_hooks = true }\n",
		       "up");
	else
		reload(f, WITHOUT, "down");
	if (change == OUT_AND_IN)
		reload(f, CONF, "up");
	fixture_release_work(f);
	reply = client_reply(c, id);
	client_free(c);
	ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s: %s", how[change], works[w].method,
		      str_at(reply, "error.message"));
	if (change == OUT_THEN_END)
		reload(f, CONF, "up");
	check_done(f, w, how[change]);
	ask_again(f, w, how[change]);
	fixture_free(f);
}
END_TEST

/* With another root under the same name nothing can be finished: it is cut off, and decided when the right one is back.
 */
START_TEST(root_changes)
{
	int w = _i;
	struct fixture *f = begin(CONF);
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = NULL;
	json_int_t id;

	send_work(f, c, w, &id);
	reload(f, WITHOUT, "down");
	reload(f, HEAD OTHER "dir \"b\" { root = \"@DIR@/elsewhere\" usage_interval = 0 }\n", "down");
	reply = client_reply(c, id);
	client_free(c);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "backend_down");
	ck_assert(json_is_true(at(reply, "error.data.retryable")));
	fixture_release_work(f);
	ck_assert_int_eq(shell(NULL, "[ -z \"$(ls -A %s/elsewhere)\" ]", f->dir), 0);
	reload(f, WITHOUT, "down");
	reload(f, CONF, "up");
	if (w == 3)
		check_done(f, w, "another root");
	else
		check_undone(f, w, "another root");
	ask_again(f, w, "another root");
	fixture_free(f);
}
END_TEST

/* A backend that is out of the conf file is listed as long as there is something of it. */
START_TEST(gone_with_its_last_share)
{
	struct fixture *f = begin(CONF);
	_cleanup_json_ json_t *b = NULL;

	fixture_release_work(f);
	reload(f, WITHOUT, "down");
	b = call(f, "get_backend", "{s:s}", "backend", "b");
	ck_assert_str_eq(str_at(b, "status_reason"), "not in the conf file");
	json_decref(call(f, "delete_snapshot", "{s:s,s:b}", "snapshot", "a@s", "force", 1));
	json_decref(call(f, "delete_share_instance", "{s:s,s:b}", "share", "a", "force", 1));
	json_decref(call_error(f, "not_found", "get_backend", "{s:s}", "backend", "b"));
	/* And back: what is on its root is an orphan now. */
	reload(f, CONF, "up");
	json_decref(b);
	b = call(f, "list_orphans", NULL);
	ck_assert_uint_ge(json_array_size(at(b, "orphans")), 1);
	fixture_free(f);
}
END_TEST

/* ---- behind finished calls ---- */

static void wait_trash(const struct fixture *f, int left)
{
	double until = now() + 30;

	while (shell(NULL, "[ $(ls -A %s/root/.sharesd/trash | wc -l) = %d ]", f->dir, left) != 0) {
		ck_assert_msg(now() < until, "the trash does not come to hold %d things", left);
		nap(0.01);
	}
}

/* Deleting is answered before the tree is gone, and the rest is taken up by the next start. */
START_TEST(purging)
{
	struct fixture *f = begin(CONF);

	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	ck_assert(!exists(fixture_path(f, "root/a")));
	wait_trash(f, 2);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", MIB, "backend", "b"));
	if (_i == 0)
		fixture_kill(f);
	else
		fixture_stop(f);
	wait_trash(f, 2);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	wait_trash(f, 0);
	check_disk(f, "purged");
	fixture_free(f);
}
END_TEST

/* One thing that cannot go does not keep the others, and who watches is told. */
START_TEST(purging_around_an_obstacle)
{
	struct fixture *f;
	struct client *events;
	_cleanup_json_ json_t *event = NULL;

	if (!mounts_begin("purging_around_an_obstacle"))
		return;
	f = begin(CONF);
	fixture_release_work(f);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s"));
	wait_trash(f, 0);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "backend.purge_failed"));
	for (int i = 0; i < 6; i++) {
		char name[] = { 'o', (char)('0' + i), 0 };

		json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", name, "size_bytes", MIB,
				 "backend", "b"));
		ck_assert_int_eq(
			shell(NULL, "mkdir %s/root/%s/data/d && touch %s/root/%s/data/d/x", f->dir, name, f->dir, name),
			0);
	}
	ck_assert_int_eq(mount("tmpfs", fixture_path(f, "root/o2/data/d"), "tmpfs", 0, "size=64k"), 0);
	for (int i = 0; i < 6; i++) {
		char name[] = { 'o', (char)('0' + i), 0 };

		json_decref(call(f, "delete_share_instance", "{s:s}", "share", name));
	}
	event = client_read(events);
	ck_assert_str_eq(str_at(event, "params.object.name"), "b");
	ck_assert_ptr_nonnull(strstr(str_at(event, "params.object.status_reason"), "another file system is mounted"));
	wait_trash(f, 1);
	ck_assert_int_eq(shell(NULL, "umount %s/root/.sharesd/trash/*/data/d", f->dir), 0);
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	wait_trash(f, 0);
	client_free(events);
	fixture_free(f);
}
END_TEST

/* Measuring goes on beside the calls. */
START_TEST(measuring)
{
	struct fixture *f = begin(HEAD "dir \"b\" { root = \"@DIR@/root\" usage_interval = 0.1 }\n" OTHER);
	double until = now() + 30;
	_cleanup_json_ json_t *share = NULL, *measured = NULL;

	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "m", "size_bytes", MIB, "backend", "b"));
	share = call(f, "get_share", "{s:s}", "share", "m");
	ck_assert(json_is_null(at(share, "used_bytes")));
	while (!is_working(f, "measure_usage")) {
		ck_assert_msg(now() < until, "no measuring is shown");
		nap(0.02);
	}
	fixture_release_work(f);
	for (;;) {
		json_decref(measured);
		measured = call(f, "get_share", "{s:s}", "share", "m");
		if (json_is_integer(at(measured, "used_bytes")) && json_is_string(at(measured, "used_at")))
			break;
		ck_assert_msg(now() < until, "nothing is measured");
		nap(0.02);
	}
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("long_work");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, shown, 0, N_WORKS);
	tcase_add_loop_test(t, daemon_ends, 0, 2 * N_WORKS);
	tcase_add_loop_test(t, helper_ends, 0, 2 * N_WORKS);
	tcase_add_loop_test(t, conf_changes, 0, CHANGES * N_WORKS);
	tcase_add_loop_test(t, root_changes, 0, N_WORKS);
	tcase_add_test(t, gone_with_its_last_share);
	tcase_add_loop_test(t, purging, 0, 2);
	tcase_add_test(t, purging_around_an_obstacle);
	tcase_add_test(t, measuring);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
