/* Replicas on `dir`: copied first, then brought up to date by what differs, in one step for who looks; promoted and
 * brought back, with their snapshots; what is cut off leaves nothing. Needs no root. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/e2e/harness_recorder.h"
#include "tests/e2e/harness_replica.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1 << 20)

/* Nothing happens by itself. */
#define BACKEND(name) "dir \"" name "\" { root = \"@DIR@/" name "\"\nreplication_domain = \"d\"\n}\n"
static const char conf[] =
	"stats_interval = 86400\nusage_interval = 0\nreplica_state_update_interval = 86400\n" BACKEND("a") BACKEND("b")
		BACKEND("c");

static struct fixture *start(void)
{
	struct fixture *f = fixture_new(conf);

	in_dir(f, "mkdir -p a b c");
	fixture_start(f, NULL, (uid_t)-1);
	return f;
}

/* The programs of long work wait while DIR/hold is there. */
static struct fixture *start_held(const char *text)
{
	struct fixture *f = fixture_new(text);

	in_dir(f, "mkdir -p a b c");
	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	return f;
}

static void finish(struct fixture *f)
{
	if (f->pid)
		fixture_stop(f);
	fixture_free(f);
}

static void create(const struct fixture *f)
{
	json_decref(
		call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "s", "backend", "a", "size_bytes", 64 * MIB));
}

/* The trash is emptied behind the call; until then what it holds may share its files with what came after it. */
static void until_trash_is_empty(const struct fixture *f)
{
	for (int i = 0; number_of(f, "find [abc]/.sharesd/trash [abc]/.sharesd/staging -mindepth 1 | wc -l") > 0; i++) {
		ck_assert_int_lt(i, 1000);
		nap(0.01);
	}
}

/* All that is theirs, the numbers of their inodes aside. */
static void same_trees(const struct fixture *f, const char *x, const char *y)
{
	_cleanup_free_ char *command =
		xasprintf("for x in %s %s; do (cd $x/s/data && find . -printf '%%p %%y %%m %%U %%G %%T@ %%l\\n' && "
			  "find . -type f -links +1 && find . -type f -exec sha256sum {} +) | sort >$x.text; done; "
			  "diff %s.text %s.text",
			  x, y, x, y);

	until_trash_is_empty(f);
	in_dir(f, command);
}

static ino_t inode(const struct fixture *f, const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(fixture_path(f, "%s", path), &st), 0);
	return st.st_ino;
}

static void no_rest(const struct fixture *f)
{
	_cleanup_json_ json_t *orphans = call(f, "list_orphans", NULL);

	ck_assert_uint_eq(json_array_size(at(orphans, "orphans")), 0);
	until_trash_is_empty(f);
}

/* ---- the data ---- */

START_TEST(whole_first_then_the_difference)
{
	struct fixture *f = start();
	_cleanup_close_ int reader = -1;
	_cleanup_json_ json_t *s = NULL;
	ino_t root, big;
	struct stat st;

	create(f);
	in_dir(f, "cd a/s/data && head -c 3M /dev/urandom >big && mkdir -p d/e && echo 1 >d/f && ln d/f d/g && "
		  "ln -s /etc link && mkfifo fifo && chmod 0710 d && truncate -s 100M hole");
	replicate(f, "b");
	expect(f, "b", "available", "in_sync");
	same_trees(f, "a", "b");
	in_dir(f, "[ $(du -s b/s/data | cut -f1) -lt 5000 ]");
	/* Nothing is new. */
	root = inode(f, "b/s/data");
	big = inode(f, "b/s/data/big");
	update(f, "b");
	ck_assert_uint_eq(inode(f, "b/s/data"), root);
	/* Who reads meanwhile goes on reading the old state. */
	reader = open(fixture_path(f, "b/s/data"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	in_dir(f, "cd a/s/data && echo 2 >d/f && rm fifo && mv d/e e && chmod 0700 .");
	update(f, "b");
	same_trees(f, "a", "b");
	ck_assert_uint_ne(inode(f, "b/s/data"), root);
	ck_assert_uint_eq(inode(f, "b/s/data/big"), big);
	ck_assert_int_eq(fstat(reader, &st), 0);
	ck_assert_uint_eq(st.st_ino, root);
	no_rest(f);
	s = call(f, "get_share", "{s:s}", "share", "s");
	ck_assert_str_eq(str_at(s, "status"), "available");
	drop(f, "b");
	in_dir(f, "! [ -e b/s ]");
	no_rest(f);
	finish(f);
}
END_TEST

/* Files of a replica that is promoted are nobody else's. */
START_TEST(there_and_back)
{
	struct fixture *f = start();

	create(f);
	in_dir(f, "cd a/s/data && mkdir d && echo 1 >d/f && echo 1 >d/g");
	replicate(f, "b");
	replicate(f, "c");
	in_dir(f, "echo 2 >a/s/data/d/f");
	/* What was written since goes over first. */
	promote(f, "b");
	expect(f, "a", "available", "out_of_sync");
	has(f, "b/s/data/d/f", "2\n");
	in_dir(f, "echo 3 >>b/s/data/d/f; echo 3 >>b/s/data/d/g; touch b/s/data/new");
	has(f, "a/s/data/d/g", "1\n");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 96 * MIB));
	update(f, "a");
	update(f, "c");
	same_trees(f, "b", "a");
	same_trees(f, "b", "c");
	promote(f, "a");
	in_dir(f, "echo 4 >>a/s/data/d/g");
	update(f, "b");
	same_trees(f, "a", "b");
	has(f, "c/s/data/d/g", "1\n3\n");
	no_rest(f);
	drop(f, "b");
	drop(f, "c");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "s"));
	in_dir(f, "! [ -e a/s ] && ! [ -e b/s ] && ! [ -e c/s ]");
	no_rest(f);
	finish(f);
}
END_TEST

START_TEST(the_root_goes_away)
{
	struct fixture *f = start();

	create(f);
	put(f, "a/s/data/f", "one");
	replicate(f, "b");
	put(f, "a/s/data/f", "never sent");
	in_dir(f, "mv a away");
	promote(f, "b");
	has(f, "b/s/data/f", "one");
	put(f, "b/s/data/f", "two");
	in_dir(f, "mv away a");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	expect(f, "a", "available", "out_of_sync");
	has(f, "a/s/data/f", "never sent");
	update(f, "a");
	has(f, "a/s/data/f", "two");
	no_rest(f);
	finish(f);
}
END_TEST

/* ---- what is cut off ---- */

static void kill_in(struct fixture *f, const char *method, json_t *params)
{
	struct client *c = client_new(f);

	put(f, "hold", "");
	client_send_request(c, method, params);
	while (number_of(f, "ls -d b/.sharesd/staging/* 2>/dev/null | wc -l") == 0)
		nap(0.01);
	client_may_be_cut(c);
	fixture_kill(f);
	client_free(c);
	unlink(fixture_path(f, "hold"));
}

static json_t *first_copy(void)
{
	return jsonx_pack("{s:s,s:s,s:s}", "share", "s", "backend", "b", "request_id", "r");
}

/* A hook of b's was told of the first copy in this phase, so often. */
static void told(struct recorder *r, const char *phase, int times)
{
	_cleanup_json_ json_t *events = recorder_events(r);
	json_t *one;
	size_t i;

	json_array_foreach(events, i, one)
		if (strcmp(str_at(one, "event.func_name"), "create_share_replica") == 0) {
			ck_assert_str_eq(str_at(one, "event.phase"), phase);
			ck_assert_str_eq(str_at(one, "event.context.origin"), "client");
			ck_assert_str_eq(str_at(one, "event.context.request_id"), "r");
			ck_assert_int_eq(int_at(one, "event.context.uid"), geteuid());
			times--;
		}
	ck_assert_int_eq(times, 0);
}

/* A first copy goes on after a restart, as the call that it was. */
START_TEST(a_first_copy_goes_on)
{
	_cleanup_free_ char *hooks =
		xasprintf("hook_drivers = {\"%s\"}\nenable_pre_hooks = true\nenable_post_hooks = true\n%s",
			  recorder_entry(), recorder_options);
	_cleanup_free_ char *text = xasprintf("%s%s", hooks, conf);
	struct fixture *f = start_held(text);
	struct recorder *r = recorder_new(f);
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *id = NULL, *same = NULL;
	struct client *c;

	create(f);
	put(f, "a/s/data/f", "one");
	json_decref(recorder_events(r));
	kill_in(f, "create_share_replica", first_copy());
	told(r, "pre", 1);
	/* Its source is not there yet: it is neither lost nor begun. */
	in_dir(f, "mv a away");
	fixture_start(f, NULL, (uid_t)-1);
	expect(f, "b", "creating", "out_of_sync");
	id = id_on(f, "b");
	no_rest(f);
	told(r, "pre", 0);
	in_dir(f, "mv away a");
	put(f, "hold", "");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	while (number_of(f, "ls -d b/.sharesd/staging/* 2>/dev/null | wc -l") == 0)
		nap(0.01);
	/* Who asks again waits for it. */
	c = client_new(f);
	unlink(fixture_path(f, "hold"));
	reply = client_request(c, "create_share_replica", first_copy());
	ck_assert_msg(json_object_get(reply, "result") != NULL, "%s", str_at(reply, "error.message"));
	client_free(c);
	expect(f, "b", "available", "in_sync");
	same = id_on(f, "b");
	ck_assert_str_eq(id, same);
	has(f, "b/s/data/f", "one");
	told(r, "post", 1);
	no_rest(f);
	/* Taken away while it waits. */
	drop(f, "b");
	put(f, "hold", "");
	c = client_new(f);
	client_send_request(c, "create_share_replica",
			    jsonx_pack("{s:s,s:s,s:b}", "share", "s", "backend", "b", "wait", 0));
	json_decref(client_read(c));
	client_free(c);
	fixture_stop(f);
	unlink(fixture_path(f, "hold"));
	in_dir(f, "mv a away");
	fixture_start(f, NULL, (uid_t)-1);
	expect(f, "b", "creating", "out_of_sync");
	free(same);
	same = id_on(f, "b");
	json_decref(call(f, "delete_share_replica", "{s:s}", "replica", same));
	in_dir(f, "mv away a");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	json_decref(call_error(f, "not_found", "update_share_replica", "{s:s}", "replica", "s@b"));
	no_rest(f);
	in_dir(f, "! [ -e b/s ]");
	replicate(f, "b");
	recorder_free(r);
	finish(f);
}
END_TEST

START_TEST(what_is_cut_off)
{
	struct fixture *f = start_held(conf);
	_cleanup_free_ char *b = NULL;

	create(f);
	put(f, "a/s/data/f", "one");
	replicate(f, "b");
	b = id_on(f, "b");
	put(f, "a/s/data/f", "two");
	kill_in(f, "update_share_replica", jsonx_pack("{s:s}", "replica", b));
	fixture_start(f, NULL, (uid_t)-1);
	has(f, "b/s/data/f", "one");
	no_rest(f);
	kill_in(f, "promote_share_replica", jsonx_pack("{s:s}", "replica", b));
	fixture_start(f, NULL, (uid_t)-1);
	expect(f, "a", "available", "active");
	has(f, "b/s/data/f", "one");
	no_rest(f);
	update(f, "b");
	has(f, "b/s/data/f", "two");
	/* A program that is missing is named, and the replica is what it was. */
	in_dir(f, "mv bin/sharesd-transfer.held bin/moved");
	put(f, "a/s/data/f", "three");
	json_decref(call_error(f, "driver_failed", "update_share_replica", "{s:s}", "replica", b));
	expect(f, "b", "error", "error");
	has(f, "b/s/data/f", "two");
	in_dir(f, "mv bin/moved bin/sharesd-transfer.held");
	update(f, "b");
	has(f, "b/s/data/f", "three");
	no_rest(f);
	finish(f);
}
END_TEST

/* ---- snapshots ---- */

static void snapshot(const struct fixture *f, const char *name)
{
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", name));
}

START_TEST(snapshots_of_all)
{
	struct fixture *f = start();

	create(f);
	put(f, "a/s/data/f", "one");
	snapshot(f, "first");
	put(f, "a/s/data/f", "two");
	replicate(f, "b");
	has(f, place_of(f, "s@first", "b", "f"), "one");
	has(f, "b/s/data/f", "two");
	snapshot(f, "second");
	put(f, "a/s/data/f", "three");
	update(f, "b");
	has(f, place_of(f, "s@second", "b", "f"), "two");
	has(f, "b/s/data/f", "three");
	no_rest(f);
	promote(f, "b");
	/* What is written now is in none of them. */
	in_dir(f, "echo -n more >>b/s/data/f");
	has(f, place_of(f, "s@second", "b", "f"), "two");
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "s@second"));
	has(f, "b/s/data/f", "two");
	update(f, "a");
	has(f, "a/s/data/f", "two");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@second"));
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "s@second"));
	no_rest(f);
	finish(f);
}
END_TEST

/* ---- access ---- */

static bool lets_in(const struct fixture *f, const char *gate)
{
	return shell(NULL, "getfacl %s/%s 2>/dev/null | grep -q user:nobody:--x", f->dir, gate) == 0;
}

/* Nothing holds a directory read-only for users of this host: so nobody gets into a replica before it is promoted. */
START_TEST(nobody_gets_in_before)
{
	struct fixture *f = start();
	_cleanup_json_ json_t *rules = NULL;

	create(f);
	replicate(f, "b");
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "user", "access_to", "nobody"));
	ck_assert(lets_in(f, "a/s") && !lets_in(f, "b/s"));
	promote(f, "b");
	ck_assert(lets_in(f, "b/s") && !lets_in(f, "a/s"));
	rules = call(f, "list_access_rules", "{s:s}", "share", "s");
	ck_assert_str_eq(str_at(rules, "access_rules.0.state"), "active");
	finish(f);
}
END_TEST

/* A share that was adopted is its own gate; its copy is none. */
START_TEST(of_what_was_adopted)
{
	struct fixture *f = start();

	in_dir(f, "mkdir a/old && echo 1 >a/old/f && chmod 0751 a/old");
	json_decref(call(f, "manage_share", "{s:s,s:s,s:s}", "name", "s", "backend", "a", "provider_location", "old"));
	replicate(f, "b");
	in_dir(f, "[ $(stat -c %a b/s/data) = 751 ] && ! getfacl b/s/data 2>/dev/null | grep user:[^:]");
	in_dir(f, "echo 2 >a/old/f");
	promote(f, "b");
	has(f, "b/s/data/f", "2\n");
	in_dir(f, "[ $(stat -c %a b/s/data) = 751 ] && echo 3 >b/s/data/f");
	update(f, "a");
	has(f, "a/old/f", "3\n");
	promote(f, "a");
	no_rest(f);
	finish(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replica_dir");
	TCase *tc = tcase_create("replicas");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, whole_first_then_the_difference);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, the_root_goes_away);
	tcase_add_test(tc, a_first_copy_goes_on);
	tcase_add_test(tc, what_is_cut_off);
	tcase_add_test(tc, snapshots_of_all);
	tcase_add_test(tc, nobody_gets_in_before);
	tcase_add_test(tc, of_what_was_adopted);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
