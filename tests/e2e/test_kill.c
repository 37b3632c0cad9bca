/* Ends of the daemon that are no step of a sweep: killed under load, killed by the moment of a hook, stopped in the
 * middle of work, started twice, with a damaged database, on a full disk. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

/* ---- killed under load ---- */

enum { CLIENTS = 4, ITEMS = 6, ROUNDS = 6 };

enum op { NO_OP, CREATE, COPY, DELETE, EXTEND, SHRINK, ALLOW, DENY, SNAP, UNSNAP, REVERT, OPS };

/* A share as its client believes it to be: after the last answer, and with what it has asked for since. */
struct item {
	char name[12];
	bool present, rule, snap;
	long long size;
	char content[32], snap_content[32];
	enum op pending;
	int from; /* COPY: of this item */
	unsigned serial;
};

/* Shared with the clients' processes. */
struct load {
	struct item items[CLIENTS][ITEMS];
};

static const char *const op_methods[OPS] = { "",
					     "create_share_instance",
					     "create_share_instance",
					     "delete_share_instance",
					     "extend_share",
					     "shrink_share",
					     "allow_access",
					     "deny_access",
					     "create_snapshot",
					     "delete_snapshot",
					     "revert_to_snapshot" };

static bool can(const struct item *items, struct item *it, enum op op, unsigned dice)
{
	switch (op) {
	case CREATE:
		return !it->present;
	case COPY:
		it->from = (int)(dice % ITEMS);
		return !it->present && items[it->from].snap;
	case DELETE:
		return it->present && !it->snap && dice % 2;
	case EXTEND:
		return it->present;
	case SHRINK:
		return it->present && it->size > 2 * MIB;
	case ALLOW:
		return it->present && !it->rule;
	case DENY:
		return it->rule;
	case SNAP:
		return it->present && !it->snap;
	case UNSNAP:
	case REVERT:
		return it->snap;
	case NO_OP:
	case OPS:
		break;
	}
	return false;
}

static json_t *op_params(const struct item *items, const struct item *it)
{
	json_t *p = json_object();
	char text[64];

	snprintf(text, sizeof text, "%s-%u", it->name, it->serial);
	json_object_set_new(p, "request_id", json_string(text));
	snprintf(text, sizeof text, "%s@snap", it->pending == COPY ? items[it->from].name : it->name);
	if (it->pending == CREATE || it->pending == COPY)
		json_object_set_new(p, "name", json_string(it->name));
	else if (it->pending != UNSNAP && it->pending != REVERT)
		json_object_set_new(p, "share", json_string(it->name));
	if (it->pending == COPY || it->pending == UNSNAP || it->pending == REVERT)
		json_object_set_new(p, "snapshot", json_string(text));
	if (it->pending == CREATE)
		json_object_set_new(p, "size_bytes", json_integer(2 * MIB));
	if (it->pending == EXTEND || it->pending == SHRINK)
		json_object_set_new(p, "size_bytes", json_integer(it->size + (it->pending == EXTEND ? MIB : -MIB)));
	if (it->pending == ALLOW || it->pending == DENY) {
		json_object_set_new(p, "access_type", json_string("user"));
		json_object_set_new(p, "access_to", json_string("nobody"));
	}
	if (it->pending == SNAP)
		json_object_set_new(p, "name", json_string("snap"));
	return p;
}

/* What a share is when the pending call has been done. */
static struct item done(const struct item *items, const struct item *it)
{
	struct item after = *it;
	bool keeps = it->pending != CREATE && it->pending != COPY && it->pending != DELETE;

	if (!keeps) {
		after.present = it->pending != DELETE;
		after.rule = after.snap = false;
		after.size = it->pending == COPY ? items[it->from].size : 2 * MIB;
		memset(after.content, 0, sizeof after.content);
	}
	if (it->pending == COPY)
		memcpy(after.content, items[it->from].snap_content, sizeof after.content);
	if (it->pending == EXTEND || it->pending == SHRINK)
		after.size += it->pending == EXTEND ? MIB : -MIB;
	if (it->pending == ALLOW || it->pending == DENY)
		after.rule = it->pending == ALLOW;
	if (it->pending == SNAP || it->pending == UNSNAP)
		after.snap = it->pending == SNAP;
	if (it->pending == SNAP)
		memcpy(after.snap_content, it->content, sizeof after.content);
	if (it->pending == REVERT)
		memcpy(after.content, it->snap_content, sizeof after.content);
	after.pending = NO_OP;
	return after;
}

static void write_content(const struct fixture *f, struct item *it)
{
	char text[32];

	if (!it->present || it->content[0])
		return;
	snprintf(text, sizeof text, "%s.%u", it->name, it->serial);
	write_file(fixture_path(f, "root/%s/data/file", it->name), text);
	memcpy(it->content, text, sizeof text);
}

/* Of the size that the source had when its snapshot was made: the store knows it. */
static void take_size(struct item *it, const json_t *result)
{
	if (it->pending == COPY || it->pending == REVERT)
		it->size = int_at(result, "size_bytes");
}

static void apply(const struct fixture *f, const struct item *items, struct item *it, const json_t *result)
{
	struct item after = done(items, it);

	after.pending = it->pending;
	take_size(&after, result);
	after.pending = NO_OP;
	write_content(f, &after);
	*it = after;
}

/* Until the daemon is gone. An error is a failure: nothing that is asked for is wrong. */
static _Noreturn void be_client(const struct fixture *f, struct item *items, unsigned seed)
{
	struct client *c = client_new(f);

	for (;;) {
		struct item *it = &items[(seed = seed * 1103515245 + 12345, seed >> 16) % ITEMS];
		enum op op = (enum op)(1 + (seed = seed * 1103515245 + 12345, seed >> 16) % (OPS - 1));
		json_t *reply;

		if (!can(items, it, op, seed >> 20))
			continue;
		it->serial++;
		it->pending = op;
		client_send_request(c, op_methods[op], op_params(items, it));
		reply = client_read(c);
		if (!reply)
			_exit(0);
		if (!json_object_get(reply, "result")) {
			fprintf(stderr, "%s of %s: %s\n", op_methods[op], it->name, str_at(reply, "error.message"));
			_exit(3);
		}
		apply(f, items, it, json_object_get(reply, "result"));
		json_decref(reply);
	}
}

static void run_round(struct fixture *f, struct load *l, unsigned round)
{
	pid_t pids[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++) {
		fflush(NULL);
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0)
			be_client(f, l->items[i], round * 77 + i);
	}
	nap(0.15 + 0.11 * (double)round + (double)(getpid() % 100) / 1000);
	fixture_kill(f);
	for (unsigned i = 0; i < CLIENTS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(status == 0, "client %u ended with wait status %d", i, status);
	}
}

static json_t *find(const struct fixture *f, const char *name)
{
	struct client *c = client_new(f);
	json_t *reply = client_request(c, "get_share", jsonx_pack("{s:s}", "share", name)),
	       *share = json_object_get(reply, "result");

	json_incref(share);
	json_decref(reply);
	client_free(c);
	return share;
}

static size_t count(const struct fixture *f, const char *method, const char *member, const char *share)
{
	_cleanup_json_ json_t *page = call(f, method, "{s:s}", "share", share);

	return json_array_size(at(page, member));
}

/* Why the share is not as it should be, or NULL. */
static const char *differs(const struct fixture *f, const struct item *it)
{
	_cleanup_json_ json_t *share = find(f, it->name);
	_cleanup_free_ char *content = NULL;

	if (!share)
		return it->present ? "it is gone" : NULL;
	if (!it->present)
		return "it is there";
	if (strcmp(str_at(share, "status"), "available") != 0)
		return "it is not available";
	if (int_at(share, "size_bytes") != it->size)
		return "its size";
	if (count(f, "list_access_rules", "access_rules", it->name) != it->rule)
		return "its rules";
	if (count(f, "list_snapshots", "snapshots", it->name) != it->snap)
		return "its snapshots";
	content = read_text(fixture_path(f, "root/%s/data/file", it->name));
	if (it->content[0] && (!content || strcmp(content, it->content) != 0))
		return "its contents";
	return NULL;
}

/* What was answered is so; what was not is done or not done at all, and is done when it is asked for again. */
static void check_item(const struct fixture *f, const struct item *items, struct item *it)
{
	struct item after = done(items, it);
	struct client *c;
	json_t *reply;
	const char *why;

	if (it->pending == NO_OP) {
		why = differs(f, it);
		ck_assert_msg(!why, "%s: %s", it->name, why);
		return;
	}
	c = client_new(f);
	why = it->pending == COPY || it->pending == REVERT ? NULL : differs(f, it);
	if (why)
		ck_assert_msg(!differs(f, &after), "%s, in the middle of a %s: neither as before nor as after: %s, %s",
			      it->name, op_methods[it->pending], why, differs(f, &after));
	reply = client_request(c, op_methods[it->pending], op_params(items, it));
	ck_assert_msg(json_object_get(reply, "result") != NULL, "%s of %s again: %s", op_methods[it->pending], it->name,
		      json_object_get(reply, "error") ? str_at(reply, "error.message") : "");
	apply(f, items, it, json_object_get(reply, "result"));
	json_decref(reply);
	client_free(c);
	why = differs(f, it);
	ck_assert_msg(!why, "%s after its call was made again: %s", it->name, why);
}

static void check_load(const struct fixture *f, struct load *l, unsigned round)
{
	char where[64];

	snprintf(where, sizeof where, "killed under load, round %u", round);
	check_disk(f, where);
	for (unsigned i = 0; i < CLIENTS; i++) {
		/* A copy's source is looked at as it was. */
		for (int pass = 0; pass < 2; pass++)
			for (unsigned k = 0; k < ITEMS; k++)
				if ((l->items[i][k].pending != NO_OP) == (pass == 0))
					check_item(f, l->items[i], &l->items[i][k]);
	}
	check_disk(f, where);
}

START_TEST(test_load)
{
	struct fixture *f;
	struct load *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!need_root("test_load"))
		return;
	ck_assert_ptr_ne(l, MAP_FAILED);
	f = fixture_new("log_level = \"warning\"\ndir \"b\" { root = \"@DIR@/root\" }\n");
	for (unsigned i = 0; i < CLIENTS; i++)
		for (unsigned k = 0; k < ITEMS; k++)
			snprintf(l->items[i][k].name, sizeof l->items[i][k].name, "c%u-%u", i, k);
	fixture_start(f, NULL, (uid_t)-1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		run_round(f, l, round);
		fixture_start(f, NULL, (uid_t)-1);
		check_load(f, l, round);
	}
	fixture_free(f);
	munmap(l, sizeof *l);
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

	json_array_foreach(lines, i, line) n += strcmp(str_at(line, "event.func_name"), "create_share_instance") == 0 &&
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
	json_array_foreach(calls, i, record) if (strcmp(str_at(record, "method"), "create_share_instance") == 0)
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
	ck_assert(fixture_wait_end(f, 10));
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

/* The running call is finished and answered, the waiting one is refused with nothing changed. */
START_TEST(test_stop)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.6 }\n");
	struct client *a, *b;
	json_int_t id_a, id_b;
	_cleanup_json_ json_t *ok = NULL, *no = NULL, *share = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	a = client_new(f);
	b = client_new(f);
	id_a = client_send_request(a, "create_share_instance",
				   jsonx_pack("{s:s,s:i}", "name", "first", "size_bytes", MIB));
	nap(0.1);
	id_b = client_send_request(b, "create_share_instance",
				   jsonx_pack("{s:s,s:i}", "name", "second", "size_bytes", MIB));
	nap(0.1);
	kill(f->pid, SIGTERM);
	ok = client_reply(a, id_a);
	no = client_reply(b, id_b);
	ck_assert_str_eq(str_at(ok, "result.status"), "available");
	ck_assert_str_eq(str_at(no, "error.data.kind"), "shutting_down");
	ck_assert(json_is_true(at(no, "error.data.retryable")));
	ck_assert_ptr_null(client_read(a));
	client_free(a);
	client_free(b);
	ck_assert(fixture_wait_end(f, 10));
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
	ck_assert(fixture_wait_end(f, 10));
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
	ck_assert_msg(fixture_wait_end(f, 10), "it started with a damaged database");
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

/* ---- a full disk ---- */

static void fill_but(const struct fixture *f, unsigned long pages)
{
	struct statvfs st;
	unsigned long left;

	unlink(fixture_path(f, "state/fill"));
	ck_assert_int_eq(statvfs(fixture_path(f, "state"), &st), 0);
	left = st.f_bavail * st.f_frsize / 4096;
	ck_assert_uint_gt(left, pages);
	ck_assert_int_eq(
		shell(NULL, "dd if=/dev/zero of=%s/state/fill bs=4096 count=%lu 2>/dev/null", f->dir, left - pages), 0);
}

static void make_room(const struct fixture *f)
{
	ck_assert_int_eq(unlink(fixture_path(f, "state/fill")), 0);
}

/* With so many pages left: done, or refused with nothing changed, or decided when there is room again. */
static void try_with(struct fixture *f, unsigned long pages, unsigned *refused, unsigned *undecided)
{
	char name[32], where[64];
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply = NULL, *list = NULL, *again = NULL;

	snprintf(name, sizeof name, "full-%lu", pages);
	snprintf(where, sizeof where, "with %lu pages left", pages);
	fill_but(f, pages);
	reply = client_request(
		c, "create_share_instance",
		jsonx_pack("{s:s,s:i,s:s,s:s}", "name", name, "size_bytes", MIB, "request_id", name, "backend", "b"));
	list = client_call(c, "list_shares", NULL);
	if (json_object_get(reply, "error")) {
		const char *kind = str_at(reply, "error.data.kind");
		_cleanup_json_ json_t *b = client_call(c, "get_backend", "{s:s}", "backend", "b");

		ck_assert_msg(strcmp(kind, "no_space") == 0 || strcmp(kind, "backend_down") == 0, "%s: %s, %s", where,
			      kind, str_at(reply, "error.message"));
		*refused += strcmp(str_at(b, "status"), "up") == 0;
		*undecided += strcmp(str_at(b, "status"), "up") != 0;
	}
	make_room(f);
	wait_backend(f, "b", "up");
	check_disk(f, where);
	again = client_call(c, "create_share_instance", "{s:s,s:i,s:s,s:s}", "name", name, "size_bytes", MIB,
			    "request_id", name, "backend", "b");
	ck_assert_str_eq(str_at(again, "status"), "available");
	client_free(c);
	check_disk(f, where);
}

START_TEST(test_full_disk)
{
	static const unsigned long rooms[] = { 40, 20, 14, 10, 8, 7, 6, 5, 4, 3, 2, 1, 0 };
	struct fixture *f;
	unsigned refused = 0, undecided = 0;

	if (!need_root("test_full_disk"))
		return;
	/* Of its own, so that nothing stays mounted whatever happens. */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	f = fixture_new("log_level = \"warning\"\ndir \"b\" { root = \"@DIR@/root\" }\n");
	ck_assert_int_eq(shell(NULL, "mkdir -m 0700 %s/state", f->dir), 0);
	ck_assert_int_eq(mount("tmpfs", fixture_path(f, "state"), "tmpfs", 0, "size=3m,mode=0700"), 0);
	fixture_start(f, NULL, (uid_t)-1);
	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
		try_with(f, rooms[i], &refused, &undecided);
	ck_assert_uint_ge(refused, 1);
	/* Started on a full disk it serves what it can, or says why not; with room it is all there. */
	fixture_stop(f);
	fill_but(f, 0);
	fixture_spawn(f, NULL, (uid_t)-1);
	if (fixture_wait_end(f, 2)) {
		ck_assert(WIFEXITED(f->status) && WEXITSTATUS(f->status) != 0);
		ck_assert(fixture_log_has(f, "no space is left"));
		make_room(f);
		fixture_start(f, NULL, (uid_t)-1);
	} else {
		make_room(f);
	}
	wait_backend(f, "b", "up");
	check_disk(f, "after a start on a full disk");
	fixture_stop(f);
	ck_assert_int_eq(umount(fixture_path(f, "state")), 0);
	fixture_free(f);
	printf("full disk: %u refused, %u undecided\n", refused, undecided);
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
	tcase_add_test(tc, test_lost_store);
	tcase_add_test(tc, test_full_disk);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
