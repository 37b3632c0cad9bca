/* The daemon dies by SIGKILL at every step of every call that changes a `dir` backend (SHARESD_CRASH_AT), and is
 * started again: store, disk and access agree, nothing is stuck, no hook ran twice, and the same request_id ends in one
 * object and one answer. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

/* The steps at which a call may be cut off are fewer; a sweep that goes on has lost its way. */
enum { MOST_STEPS = 150 };
/* Under a sanitizer, where a start takes longer, every second step. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 2 };
#else
enum { STRIDE = 1 };
#endif

static const char conf[] = "stats_interval = 86400\nusage_interval = 0\n%s"
			   "hook \"h\" { run = \"%s\" }\n"
			   "dir \"b\" {\n root = \"@DIR@/root\"\n hook_drivers = {\"h\"}\n enable_pre_hooks = true\n"
			   " enable_post_hooks = true\n enable_error_hooks = true\n}\n";

/* One place, in which each try has objects of its own. */
struct world {
	struct fixture *f;
	struct recorder *r;
	unsigned try;
	char share[32], other[32], request[32];
	json_t *events; /* of this try */
	char where[160];
};

/* ---- what is there before the call, and after it ---- */

static void prepare_nothing(struct world *w)
{
	(void)w;
}

static void put_file(const struct world *w, const char *share, const char *text)
{
	ck_assert_int_eq(shell(NULL, "echo %s >%s/root/%s/data/file", text, w->f->dir, share), 0);
}

static void assert_file(const struct world *w, const char *place, const char *text)
{
	_cleanup_free_ char *got = read_text(fixture_path(w->f, "root/%s/file", place));

	ck_assert_msg(got && strncmp(got, text, strlen(text)) == 0, "%s: %s/file holds %s", w->where, place,
		      got ? got : "nothing");
}

static void prepare_share(struct world *w)
{
	json_decref(call(w->f, "create_share_instance", "{s:s,s:i,s:s}", "name", w->share, "size_bytes", 10 * MIB,
			 "mode", "0755"));
	put_file(w, w->share, "one");
}

static void allow(struct world *w, const char *share, const char *user)
{
	json_decref(
		call(w->f, "allow_access", "{s:s,s:s,s:s}", "share", share, "access_type", "user", "access_to", user));
}

static void prepare_rule(struct world *w)
{
	prepare_share(w);
	allow(w, w->share, "nobody");
	allow(w, w->share, "daemon");
}

static void prepare_snapshot(struct world *w)
{
	prepare_rule(w);
	json_decref(call(w->f, "create_snapshot", "{s:s,s:s}", "share", w->share, "name", "snap"));
	put_file(w, w->share, "two");
}

static void prepare_foreign(struct world *w)
{
	ck_assert_int_eq(shell(NULL, "mkdir -p %s/root/%s && echo mine >%s/root/%s/file && chmod 0751 %s/root/%s",
			       w->f->dir, w->other, w->f->dir, w->other, w->f->dir, w->other),
			 0);
}

static json_t *manage_params(const struct world *w)
{
	return jsonx_pack("{s:s,s:s,s:s,s:[{s:s,s:s}]}", "name", w->share, "backend", "b", "provider_location",
			  w->other, "access_rules", "access_type", "user", "access_to", "nobody");
}

static void prepare_adopted(struct world *w)
{
	struct client *c = client_new(w->f);
	_cleanup_json_ json_t *reply = NULL;

	prepare_foreign(w);
	reply = client_request(c, "manage_share", manage_params(w));
	ck_assert_ptr_null(json_object_get(reply, "error"));
	client_free(c);
}

static json_t *share_of(const struct world *w, const char *name)
{
	json_t *share = call(w->f, "get_share", "{s:s}", "share", name);

	ck_assert_msg(strcmp(str_at(share, "status"), "available") == 0, "%s: %s is %s", w->where, name,
		      str_at(share, "status"));
	return share;
}

static void expect_created(struct world *w)
{
	_cleanup_json_ json_t *share = share_of(w, w->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 10 * MIB);
	ck_assert_str_eq(str_at(share, "metadata.a"), "b");
}

static void expect_copied(struct world *w)
{
	char place[64];

	json_decref(share_of(w, w->other));
	snprintf(place, sizeof place, "%s/data", w->other);
	assert_file(w, place, "one");
	snprintf(place, sizeof place, "%s/data", w->share);
	assert_file(w, place, "two");
}

static void expect_gone(struct world *w)
{
	json_decref(call_error(w->f, "not_found", "get_share", "{s:s}", "share", w->share));
	ck_assert_msg(!exists(fixture_path(w->f, "root/%s", w->share)), "%s: its directory is still there", w->where);
}

static void expect_extended(struct world *w)
{
	_cleanup_json_ json_t *share = share_of(w, w->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 20 * MIB);
}

static void expect_shrunk(struct world *w)
{
	_cleanup_json_ json_t *share = share_of(w, w->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 5 * MIB);
}

static void expect_adopted(struct world *w)
{
	json_decref(share_of(w, w->share));
	assert_file(w, w->other, "mine");
}

/* Its owner's directory again, as it was. */
static void expect_given_back(struct world *w)
{
	_cleanup_free_ char *mode = NULL;

	json_decref(call_error(w->f, "not_found", "get_share", "{s:s}", "share", w->share));
	assert_file(w, w->other, "mine");
	ck_assert_int_eq(shell(&mode, "stat -c %%a %s/root/%s; getfacl -cp %s/root/%s | grep -c ^user:[^:]", w->f->dir,
			       w->other, w->f->dir, w->other),
			 1);
	ck_assert_str_eq(mode, "751\n0\n");
}

static void expect_forgotten(struct world *w)
{
	char place[64];

	json_decref(call_error(w->f, "not_found", "get_share", "{s:s}", "share", w->share));
	snprintf(place, sizeof place, "%s/data", w->share);
	assert_file(w, place, "one");
}

static size_t count_rules(const struct world *w)
{
	_cleanup_json_ json_t *rules = list_all(w->f, "list_access_rules", "access_rules");

	return json_array_size(rules);
}

static void expect_three_rules(struct world *w)
{
	ck_assert_msg(count_rules(w) == 3, "%s: %zu rules", w->where, count_rules(w));
}

static void expect_two_rules(struct world *w)
{
	ck_assert_msg(count_rules(w) == 2, "%s: %zu rules", w->where, count_rules(w));
}

static void expect_one_rule(struct world *w)
{
	ck_assert_msg(count_rules(w) == 1, "%s: %zu rules", w->where, count_rules(w));
}

static json_t *snapshot_of(const struct world *w)
{
	char ref[64];

	snprintf(ref, sizeof ref, "%s@snap", w->share);
	return call(w->f, "get_snapshot", "{s:s}", "snapshot", ref);
}

static void expect_snapshot(struct world *w)
{
	_cleanup_json_ json_t *snapshot = snapshot_of(w);

	ck_assert_str_eq(str_at(snapshot, "status"), "available");
	ck_assert_int_eq(shell(NULL, "grep -rq one %s/root/%s", w->f->dir, str_at(snapshot, "provider_location")), 0);
}

static void expect_no_snapshot(struct world *w)
{
	_cleanup_json_ json_t *all = list_all(w->f, "list_snapshots", "snapshots");

	ck_assert_msg(json_array_size(all) == 0, "%s: there is a snapshot", w->where);
	json_decref(share_of(w, w->share));
}

static void expect_reverted(struct world *w)
{
	char place[64];

	json_decref(share_of(w, w->share));
	json_decref(snapshot_of(w));
	snprintf(place, sizeof place, "%s/data", w->share);
	assert_file(w, place, "one");
}

static void expect_metadata(struct world *w)
{
	_cleanup_json_ json_t *share = share_of(w, w->share);

	ck_assert_str_eq(str_at(share, "metadata.colour"), "red");
}

/* A snapshot that was given back: its place is in w->other. */
static void prepare_left_snapshot(struct world *w)
{
	_cleanup_json_ json_t *snapshot = NULL;

	prepare_snapshot(w);
	snapshot = snapshot_of(w);
	snprintf(w->other, sizeof w->other, "%.8s", str_at(snapshot, "instances.0.id"));
	ck_assert_int_eq(shell(NULL, "echo %s >%s/place", str_at(snapshot, "provider_location"), w->f->dir), 0);
	json_decref(call(w->f, "unmanage_snapshot", "{s:s}", "snapshot", str_at(snapshot, "id")));
}

/* ---- the calls ---- */

static json_t *create_params(const struct world *w)
{
	return jsonx_pack("{s:s,s:i,s:s,s:{s:s}}", "name", w->share, "size_bytes", 10 * MIB, "backend", "b", "metadata",
			  "a", "b");
}

static json_t *by_share(const struct world *w)
{
	return jsonx_pack("{s:s}", "share", w->share);
}

static json_t *by_snapshot(const struct world *w)
{
	char ref[64];

	snprintf(ref, sizeof ref, "%s@snap", w->share);
	return jsonx_pack("{s:s}", "snapshot", ref);
}

static json_t *copy_params(const struct world *w)
{
	json_t *params = by_snapshot(w);

	json_object_set_new(params, "name", json_string(w->other));
	return params;
}

static json_t *larger(const struct world *w)
{
	return jsonx_pack("{s:s,s:i}", "share", w->share, "size_bytes", 20 * MIB);
}

static json_t *smaller(const struct world *w)
{
	return jsonx_pack("{s:s,s:i}", "share", w->share, "size_bytes", 5 * MIB);
}

static json_t *rule_params(const struct world *w)
{
	return jsonx_pack("{s:s,s:s,s:s}", "share", w->share, "access_type", "user", "access_to", "bin");
}

static json_t *deny_params(const struct world *w)
{
	return jsonx_pack("{s:s,s:s,s:s}", "share", w->share, "access_type", "user", "access_to", "nobody");
}

static json_t *new_snapshot(const struct world *w)
{
	return jsonx_pack("{s:s,s:s}", "share", w->share, "name", "snap");
}

static json_t *left_snapshot(const struct world *w)
{
	_cleanup_free_ char *place = read_text(fixture_path(w->f, "place"));

	ck_assert_ptr_nonnull(place);
	place[strcspn(place, "\n")] = '\0';
	return jsonx_pack("{s:s,s:s,s:s}", "share", w->share, "name", "snap", "provider_location", place);
}

static json_t *metadata_params(const struct world *w)
{
	return jsonx_pack("{s:s,s:{s:s}}", "share", w->share, "metadata", "colour", "red");
}

static const struct scenario {
	const char *method;
	void (*prepare)(struct world *w);
	json_t *(*params)(const struct world *w);
	void (*expect)(struct world *w);
} scenarios[] = {
	{ "create_share_instance", prepare_nothing, create_params, expect_created },
	{ "create_share_instance", prepare_snapshot, copy_params, expect_copied },
	{ "delete_share_instance", prepare_rule, by_share, expect_gone },
	{ "delete_share_instance", prepare_adopted, by_share, expect_gone },
	{ "extend_share", prepare_rule, larger, expect_extended },
	{ "shrink_share", prepare_rule, smaller, expect_shrunk },
	{ "manage_share", prepare_foreign, manage_params, expect_adopted },
	{ "unmanage_share", prepare_adopted, by_share, expect_given_back },
	{ "unmanage_share", prepare_rule, by_share, expect_forgotten },
	{ "allow_access", prepare_rule, rule_params, expect_three_rules },
	{ "deny_access", prepare_rule, deny_params, expect_one_rule },
	{ "update_access", prepare_rule, by_share, expect_two_rules },
	{ "create_snapshot", prepare_rule, new_snapshot, expect_snapshot },
	{ "delete_snapshot", prepare_snapshot, by_snapshot, expect_no_snapshot },
	{ "revert_to_snapshot", prepare_snapshot, by_snapshot, expect_reverted },
	{ "manage_snapshot", prepare_left_snapshot, left_snapshot, expect_snapshot },
	{ "unmanage_snapshot", prepare_snapshot, by_snapshot, expect_no_snapshot },
	{ "set_metadata", prepare_share, metadata_params, expect_metadata },
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- one try ---- */

static json_t *with_request(const struct world *w, json_t *params)
{
	json_object_set_new(params, "request_id", json_string(w->request));
	return params;
}

/* The daemon starts and gets the call; true: it lived to answer. */
static bool call_until_crash(struct world *w, const struct scenario *s, unsigned step)
{
	char number[40];
	const char *const env[] = { number, NULL };
	struct client *c = NULL;
	json_t *reply = NULL;
	bool answered;

	snprintf(number, sizeof number, "SHARESD_CRASH_AT=%u", step);
	fixture_spawn(w->f, env, (uid_t)-1);
	while (!fixture_wait_end(w->f, 0) && !(c = client_try(w->f)))
		nap(0.002);
	if (c) {
		client_send_request(c, s->method, with_request(w, s->params(w)));
		reply = client_read(c);
		client_free(c);
	}
	answered = reply != NULL;
	if (answered) {
		_cleanup_free_ char *text = jsonx_dump(reply);

		ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s", w->where, text);
		fixture_stop(w->f);
	} else {
		ck_assert(fixture_wait_end(w->f, 10));
		ck_assert_msg(WIFSIGNALED(w->f->status) && WTERMSIG(w->f->status) == SIGKILL,
			      "%s: the daemon ended with wait status %d", w->where, w->f->status);
	}
	json_decref(reply);
	return answered;
}

/* The next start dies too, in the middle of deciding what became of the call; or it does not get to that step. */
static void crash_in_recovery(struct world *w)
{
	char number[40];
	const char *const env[] = { number, NULL };
	struct client *c = NULL;

	snprintf(number, sizeof number, "SHARESD_CRASH_AT=%u", 5 + w->try % 20);
	fixture_spawn(w->f, env, (uid_t)-1);
	while (!fixture_wait_end(w->f, 0) && !(c = client_try(w->f)))
		nap(0.002);
	if (c) {
		_cleanup_json_ json_t *reply = NULL;

		client_send_request(c, "list_orphans", NULL);
		reply = client_read(c);
		client_free(c);
		if (reply)
			fixture_kill(w->f);
	}
	ck_assert(fixture_wait_end(w->f, 10));
}

static void take_events(struct world *w)
{
	_cleanup_json_ json_t *lines = recorder_events(w->r);

	json_array_extend(w->events, lines);
}

/* Of no call was any hook told of the same phase twice. */
static void check_hooks_once(const struct world *w)
{
	_cleanup_json_ json_t *seen = json_object();
	json_t *line;
	size_t i;

	json_array_foreach(w->events, i, line)
	{
		char key[128];

		snprintf(key, sizeof key, "%s %s", str_at(line, "event.context.call_id"), str_at(line, "event.phase"));
		ck_assert_msg(json_object_get(seen, key) == NULL, "%s: %s of %s came twice", w->where,
			      str_at(line, "event.phase"), str_at(line, "event.func_name"));
		json_object_set_new(seen, key, json_true());
	}
}

static bool was_begun(const struct world *w, const struct scenario *s)
{
	json_t *line;
	size_t i;

	json_array_foreach(w->events, i, line) if (strcmp(str_at(line, "event.func_name"), s->method) == 0 &&
						   strcmp(str_at(line, "event.context.origin"), "client") == 0 &&
						   strcmp(jsonx_str(at(line, "event.context"), "request_id")
								  ? jsonx_str(at(line, "event.context"), "request_id")
								  : "",
							  w->request) == 0) return true;
	return false;
}

/* Every record that a crash cut off has come to an end. */
static void check_records(const struct world *w)
{
	_cleanup_json_ json_t *calls = list_all(w->f, "list_calls", "calls");
	json_t *record;
	size_t i;

	json_array_foreach(calls, i, record)
	{
		const char *state = str_at(record, "state");

		ck_assert_msg(strcmp(state, "unfinished") != 0, "%s: a %s is unfinished", w->where,
			      str_at(record, "method"));
	}
}

static void ask_again(struct world *w, const struct scenario *s)
{
	struct client *c = client_new(w->f);
	_cleanup_json_ json_t *first = client_request(c, s->method, with_request(w, s->params(w)));
	_cleanup_json_ json_t *second = client_request(c, s->method, with_request(w, s->params(w)));
	_cleanup_free_ char *text = jsonx_dump(first), *other = jsonx_dump(second);

	ck_assert_msg(json_object_get(first, "result") != NULL, "%s: the same request_id answers %s", w->where, text);
	ck_assert_msg(json_equal(json_object_get(first, "result"), json_object_get(second, "result")),
		      "%s: %s, and then %s", w->where, text, other);
	client_free(c);
}

/* After the crash: what is there is whole; the call is made once more, and now it has been done. */
static void check_after(struct world *w, const struct scenario *s)
{
	fixture_start(w->f, NULL, (uid_t)-1);
	check_disk(w->f, w->where);
	check_records(w);
	ask_again(w, s);
	check_disk(w->f, w->where);
	s->expect(w);
	take_events(w);
	check_hooks_once(w);
}

static void remove_all(struct world *w)
{
	_cleanup_json_ json_t *shares = list_all(w->f, "list_shares", "shares"),
			      *snapshots = list_all(w->f, "list_snapshots", "snapshots");
	json_t *o;
	size_t i;

	json_array_foreach(snapshots, i, o)
		json_decref(call(w->f, "delete_snapshot", "{s:s}", "snapshot", str_at(o, "id")));
	json_array_foreach(shares, i, o)
		json_decref(call(w->f, "delete_share_instance", "{s:s}", "share", str_at(o, "id")));
	ck_assert_int_eq(shell(NULL, "cd %s/root && rm -rf [!.]* .sharesd/snapshots/*", w->f->dir), 0);
}

static void name_try(struct world *w, const struct scenario *s, unsigned step)
{
	w->try++;
	snprintf(w->share, sizeof w->share, "s%u", w->try);
	snprintf(w->other, sizeof w->other, "o%u", w->try);
	snprintf(w->request, sizeof w->request, "r%u", w->try);
	snprintf(w->where, sizeof w->where, "%s (scenario %td), killed at step %u", s->method, s - scenarios, step);
	json_array_clear(w->events);
}

/* A running daemon before and after. Returns the last step at which the call had not begun. */
static unsigned sweep(struct world *w, const struct scenario *s, unsigned from)
{
	unsigned before = from;
	bool answered = false;

	for (unsigned step = from; !answered; step += STRIDE) {
		ck_assert_uint_lt(step, MOST_STEPS);
		name_try(w, s, step);
		s->prepare(w);
		fixture_stop(w->f);
		json_decref(recorder_events(w->r));
		answered = call_until_crash(w, s, step);
		take_events(w);
		if (!answered && !was_begun(w, s))
			before = step;
		if (!answered)
			crash_in_recovery(w);
		check_after(w, s);
		remove_all(w);
	}
	return before;
}

static void sweep_some(size_t which, void *data)
{
	struct world w = { .events = json_array() };
	char text[2048];
	unsigned from = 1;

	(void)data;
	snprintf(text, sizeof text, conf, recorder_options, recorder_entry());
	w.f = fixture_new("");
	fixture_conf(w.f, text);
	w.r = recorder_new(w.f);
	/* One more commit: what a post hook changes. */
	recorder_script(
		w.r, "b",
		jsonx_pack("{s:[{s:{s:{s:s}}}]}", "h post extend_share client", "return", "metadata", "by", "hook"));
	fixture_start(w.f, NULL, (uid_t)-1);
	for (size_t i = which; i < SCENARIOS; i += 2) {
		unsigned before = sweep(&w, &scenarios[i], from);

		/* The steps of the start were swept by the first; a little less may be there in another place. */
		if (i < 2 || before < from + 3)
			from = before > 3 ? before - 3 : 1;
	}
	fixture_stop(w.f);
	recorder_free(w.r);
	fixture_free(w.f);
	json_decref(w.events);
}

START_TEST(test_sweep)
{
	if (need_root("test_sweep"))
		in_halves(sweep_some, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("restart");
	TCase *tc = tcase_create("sweep");
	SRunner *runner;
	int failed;

	/* What is flushed to the disk is flushed there too; a power cut is not tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, test_sweep);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
