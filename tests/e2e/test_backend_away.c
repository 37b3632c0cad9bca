/* A backend that goes away while it is used, in every way a disk can: nothing is made in its place, nothing is lost,
 * others serve, and it comes back by itself. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_mount.h"

#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

#define CONF                                                                                                           \
	"log_level = \"info\"\n"                                                                                       \
	"dir \"b\" { root = \"@DIR@/root\" }\n"                                                                        \
	"dir \"other\" { root = \"@DIR@/other\" }\n"

/* ---- under load ---- */

enum { CLIENTS = 3, STEPS = 6 };

/* Each share goes the same way: made, extended, given a rule, a snapshot taken and removed; each second one deleted. */
static const char *const methods[STEPS] = { "create_share_instance", "extend_share",    "allow_access",
					    "create_snapshot",       "delete_snapshot", "delete_share_instance" };

/* One client's doings, shared with the test. */
struct doer {
	_Atomic int answered; /* calls: all before it are done */
	_Atomic bool refused; /* by backend_down */
	char wrong[512];      /* what must not be */
};

static int step_of(int call)
{
	/* Of two shares in a row, the first is kept. */
	return call % (2 * STEPS - 1) < STEPS - 1 ? call % (2 * STEPS - 1) : call % (2 * STEPS - 1) - (STEPS - 1);
}

static int share_of(int call)
{
	return call / (2 * STEPS - 1) * 2 + (call % (2 * STEPS - 1) >= STEPS - 1);
}

static json_t *params_of(int client, int call)
{
	char name[32], snapshot[40];
	int step = step_of(call);
	json_t *p;

	snprintf(name, sizeof name, "c%d-%d", client, share_of(call));
	snprintf(snapshot, sizeof snapshot, "%s@s", name);
	if (step == 0)
		return jsonx_pack("{s:s,s:i,s:s}", "name", name, "size_bytes", MIB, "backend", "b");
	p = step == 4 ? jsonx_pack("{s:s}", "snapshot", snapshot) : jsonx_pack("{s:s}", "share", name);
	if (step == 1)
		json_object_set_new(p, "size_bytes", json_integer(2 * MIB));
	if (step == 2)
		json_object_update_new(p, jsonx_pack("{s:s,s:s}", "access_type", "user", "access_to", "nobody"));
	if (step == 3)
		json_object_set_new(p, "name", json_string("s"));
	return p;
}

/* Until the first refusal. */
static _Noreturn void be_client(const struct fixture *f, int number, struct doer *d)
{
	struct client *c = client_new(f);

	for (int call = 0;; call++) {
		_cleanup_json_ json_t *reply = client_request(c, methods[step_of(call)], params_of(number, call));
		json_t *error = json_object_get(reply, "error");

		if (!error) {
			atomic_store(&d->answered, call + 1);
			continue;
		}
		if (strcmp(str_at(error, "data.kind"), "backend_down") != 0)
			snprintf(d->wrong, sizeof d->wrong, "%s: %s: %s", methods[step_of(call)],
				 str_at(error, "data.kind"), str_at(error, "message"));
		atomic_store(&d->refused, true);
		_exit(0);
	}
}

static void start_clients(const struct fixture *f, struct doer *doers, pid_t *pids)
{
	fflush(NULL);
	for (int i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0)
			be_client(f, i, &doers[i]);
	}
}

static void wait_busy(struct doer *doers, int calls)
{
	double until = now() + 60;

	for (int i = 0; i < CLIENTS; i++)
		while (atomic_load(&doers[i].answered) < calls) {
			ck_assert_msg(now() < until, "client %d does not get on", i);
			ck_assert_msg(!atomic_load(&doers[i].refused), "client %d: %s", i, doers[i].wrong);
			nap(0.002);
		}
}

static void wait_clients(struct doer *doers, const pid_t *pids)
{
	for (int i = 0; i < CLIENTS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "client %d ended with status %d", i,
			      status);
		ck_assert_msg(!doers[i].wrong[0], "client %d: %s", i, doers[i].wrong);
	}
}

/* What was answered is so; `call` itself may be or not. */
static void check_share_of(const struct fixture *f, int client, int call, const char *where)
{
	struct client *c = client_new(f);
	char name[32];
	int step = step_of(call);
	_cleanup_json_ json_t *reply = NULL, *share = NULL;

	snprintf(name, sizeof name, "c%d-%d", client, share_of(call));
	reply = client_request(c, "get_share", jsonx_pack("{s:s}", "share", name));
	client_free(c);
	share = json_incref(json_object_get(reply, "result"));
	if (!share) {
		ck_assert_msg(step == 0 || step == STEPS - 1, "%s: share %s is lost", where, name);
		return;
	}
	ck_assert_msg(strcmp(str_at(share, "status"), "available") == 0, "%s: share %s is %s", where, name,
		      str_at(share, "status"));
	ck_assert_msg(step <= 1 || int_at(share, "size_bytes") == 2 * MIB, "%s: share %s has an old size", where, name);
	ck_assert_msg(step <= 2 || strcmp(str_at(share, "access_rules_status"), "active") == 0,
		      "%s: the rule of share %s is lost", where, name);
}

static void check_answered(const struct fixture *f, struct doer *doers, const char *where)
{
	for (int i = 0; i < CLIENTS; i++) {
		int n = atomic_load(&doers[i].answered);

		check_share_of(f, i, n, where);
		/* Those before it: kept ones are there, others gone. */
		for (int s = 0; s < share_of(n); s++) {
			char name[32];

			snprintf(name, sizeof name, "c%d-%d", i, s);
			if (s % 2)
				json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", name));
			else
				check_share_of(f, i, s / 2 * (2 * STEPS - 1) + STEPS - 2, where);
		}
	}
}

static void check_down(const struct fixture *f, const char *reason)
{
	_cleanup_json_ json_t *b = NULL;

	wait_backend(f, "b", "down");
	b = call(f, "get_backend", "{s:s}", "backend", "b");
	ck_assert_msg(strcasestr(str_at(b, "status_reason"), reason) != NULL, "%s", str_at(b, "status_reason"));
	ck_assert_msg(strstr(str_at(b, "status_reason"), f->dir) != NULL, "%s", str_at(b, "status_reason"));
	json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes",
			       MIB, "backend", "b"));
}

static void check_others_serve(const struct fixture *f)
{
	json_decref(
		call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "y", "size_bytes", MIB, "backend", "other"));
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "y", "name", "s"));
	ck_assert(exists(fixture_path(f, "other/y/data")));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "y@s"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "y"));
}

START_TEST(away_under_load)
{
	const struct loss *l = &losses[_i];
	struct doer *doers;
	pid_t pids[CLIENTS];
	struct fixture *f;
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (!mounts_begin("away_under_load"))
		return;
	doers = mmap(NULL, CLIENTS * sizeof *doers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(doers, MAP_FAILED);
	f = fixture_new(CONF);
	disk_new(f);
	fixture_start(f, NULL, (uid_t)-1);
	start_clients(f, doers, pids);
	wait_busy(doers, 2 * STEPS);
	disk_lose(f, l);
	before = disk_places(f, l);
	wait_clients(doers, pids);
	check_down(f, l->reason);
	check_others_serve(f);
	/* Retries look, and change nothing. */
	after = disk_places(f, l);
	ck_assert_str_eq(before, after);
	disk_return(f, l);
	wait_backend(f, "b", "up");
	check_disk(f, l->name);
	check_answered(f, doers, l->name);
	/* All of it is as good as before. */
	for (int i = 0; i < CLIENTS; i++) {
		char name[16];

		snprintf(name, sizeof name, "c%d-0", i);
		json_decref(call(f, "extend_share", "{s:s,s:i}", "share", name, "size_bytes", 3 * MIB));
	}
	check_disk(f, l->name);
	disk_fixture_free(f);
}
END_TEST

/* ---- in the middle of long work ---- */

/* Of each kind one: not there, not writable, failing. */
static const char *const kinds[] = { "unmounted by force", "read-only", "unplugged" };
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const struct loss *loss_named(const char *name)
{
	int i = 0;

	while (i < n_losses && strcmp(losses[i].name, name) != 0)
		i++;
	ck_assert_int_lt(i, n_losses);
	return &losses[i];
}

static const struct {
	const char *method, *params;
	const char *kept; /* the method and params of a look that must answer as before, or NULL: it is not there */
} works[] = {
	{ "create_snapshot", "{\"share\":\"a\",\"name\":\"new\"}", NULL },
	{ "create_share_instance", "{\"name\":\"copy\",\"snapshot\":\"a@s\"}", NULL },
	{ "revert_to_snapshot", "{\"snapshot\":\"a@s\"}", "a" },
	{ "shrink_share", "{\"share\":\"a\",\"size_bytes\":1048576}", "a" },
};
enum { N_WORKS = sizeof works / sizeof *works };

static json_t *find_live(const struct fixture *f, const char *method, const char *state)
{
	_cleanup_json_ json_t *calls = list_all(f, "list_calls", "calls");
	json_t *c;
	size_t i;

	json_array_foreach(calls, i, c)
		if (strcmp(str_at(c, "method"), method) == 0 && strcmp(str_at(c, "state"), state) == 0)
			return json_incref(c);
	return NULL;
}

static void wait_parked(const struct fixture *f, const char *method)
{
	double until = now() + 30;
	bool found = false;

	while (!found) {
		_cleanup_json_ json_t *c = find_live(f, method, "working");

		found = c != NULL;
		ck_assert_msg(now() < until, "%s does not begin its work", method);
		nap(0.005);
	}
}

/* Without what changes by itself. */
static json_t *look_at(const struct fixture *f, const char *share)
{
	json_t *j = call(f, "get_share", "{s:s}", "share", share);

	json_object_del(j, "updated_at");
	json_object_del(at(j, "instances.0"), "updated_at");
	return j;
}

static void start_work(const struct fixture *f, struct client *c, int w, json_int_t *ret)
{
	*ret = client_send_request(c, works[w].method, json_loads(works[w].params, 0, NULL));
	wait_parked(f, works[w].method);
}

static void make_share(const struct fixture *f)
{
	json_decref(
		call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 2 * MIB, "backend", "b"));
	write_file(fixture_path(f, "root/a/data/file"), "old");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	write_file(fixture_path(f, "root/a/data/file"), "new");
}

static void check_kept(const struct fixture *f, int w, const json_t *before, const char *where)
{
	_cleanup_json_ json_t *after = look_at(f, "a");
	_cleanup_free_ char *text = read_text(fixture_path(f, "root/a/data/file"));

	_cleanup_free_ char *was = json_dumps(before, JSON_SORT_KEYS), *is = json_dumps(after, JSON_SORT_KEYS);

	ck_assert_msg(strcmp(was, is) == 0, "%s: %s changed the share from %s to %s", where, works[w].method, was, is);
	ck_assert_str_eq(text, "new");
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "a@new"));
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "copy"));
}

/* Every kind of work, lost in every way: the caller is told, and the object is as it was. */
START_TEST(away_in_work)
{
	const struct loss *l = loss_named(kinds[_i]);
	struct fixture *f;
	_cleanup_json_ json_t *before = NULL;

	if (!mounts_begin("away_in_work"))
		return;
	f = fixture_new(CONF);
	disk_new(f);
	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	make_share(f);
	before = look_at(f, "a");
	for (int w = 0; w < N_WORKS; w++) {
		struct client *c = client_new(f);
		_cleanup_json_ json_t *reply = NULL;
		_cleanup_free_ char *places = NULL, *after = NULL;
		json_int_t id;

		fixture_hold_work(f);
		start_work(f, c, w, &id);
		disk_lose(f, l);
		places = disk_places(f, l);
		fixture_release_work(f);
		reply = client_reply(c, id);
		ck_assert_msg(strcmp(str_at(reply, "error.data.kind"), "backend_down") == 0, "%s, %s: %s", l->name,
			      works[w].method, str_at(reply, "error.message"));
		ck_assert(json_is_true(at(reply, "error.data.retryable")));
		check_down(f, l->reason);
		after = disk_places(f, l);
		ck_assert_str_eq(places, after);
		disk_return(f, l);
		/* It would come back by itself; tests are impatient. */
		json_decref(call(f, "init_host", "{s:s}", "backend", "b"));
		wait_backend(f, "b", "up");
		check_kept(f, w, before, l->name);
		check_disk(f, l->name);
		client_free(c);
	}
	/* And all of it can be done: backwards, since only the latest snapshot can be gone back to. */
	for (int w = N_WORKS - 1; w >= 0; w--) {
		struct client *c = client_new(f);
		_cleanup_json_ json_t *reply = client_request(c, works[w].method, json_loads(works[w].params, 0, NULL));

		ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s", works[w].method,
			      str_at(reply, "error.message"));
		client_free(c);
	}
	check_disk(f, l->name);
	disk_fixture_free(f);
}
END_TEST

/* Purging is tried again when the disk is back, and a disk without anything in use is missed too. */
START_TEST(away_at_rest)
{
	const struct loss *l = loss_named(kinds[_i]);
	struct fixture *f;

	if (!mounts_begin("away_at_rest"))
		return;
	f = fixture_new("log_level = \"info\"\nstats_interval = 0.3\ndir \"b\" { root = \"@DIR@/root\" }\n"
			"dir \"other\" { root = \"@DIR@/other\" }\n");
	disk_new(f);
	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	make_share(f);
	fixture_hold_work(f);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "a"));
	ck_assert_int_ne(shell(NULL, "rmdir %s/root/.sharesd/trash 2>/dev/null", f->dir), 0);
	disk_lose(f, l);
	fixture_release_work(f);
	/* Nobody calls: the next look at its capacity tells. What a file system that was shut down still has in memory
	 * hides it from that. */
	if (l->shut_down)
		json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "a",
				       "size_bytes", MIB, "backend", "b"));
	wait_backend(f, "b", "down");
	disk_return(f, l);
	wait_backend(f, "b", "up");
	for (double until = now() + 30; shell(NULL, "[ -z \"$(ls -A %s/root/.sharesd/trash)\" ]", f->dir) != 0;) {
		ck_assert_msg(now() < until, "%s: the trash is never emptied", l->name);
		nap(0.01);
	}
	check_disk(f, l->name);
	disk_fixture_free(f);
}
END_TEST

/* ---- hanging ---- */

START_TEST(hanging)
{
	struct fixture *f;
	struct client *c, *events, *reads;
	json_int_t create, behind;
	_cleanup_json_ json_t *event = NULL, *b = NULL, *reply = NULL, *reply2 = NULL;

	if (!mounts_begin("hanging"))
		return;
	f = fixture_new("dir \"b\" { root = \"@DIR@/root\" driver_timeout = 2 }\n"
			"dir \"other\" { root = \"@DIR@/other\" }\n");
	disk_new(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", MIB, "backend", "b"));
	c = client_new(f);
	reads = client_new(f);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "backend.*"));
	disk_freeze(f);
	create = client_send_request(c, "create_share_instance",
				     jsonx_pack("{s:s,s:i,s:s}", "name", "late", "size_bytes", MIB, "backend", "b"));
	behind = client_send_request(
		c, "create_share_instance",
		jsonx_pack("{s:s,s:i,s:s}", "name", "behind", "size_bytes", MIB, "backend", "other"));
	/* The reads go on, and show what is the matter. */
	for (double until = now() + 30;;) {
		json_t *list;

		json_decref(b);
		b = client_call(reads, "get_backend", "{s:s}", "backend", "b");
		if (strcmp(str_at(b, "status"), "down") == 0)
			break;
		list = client_call(reads, "list_shares", NULL);
		ck_assert_uint_ge(json_array_size(at(list, "shares")), 1);
		json_decref(list);
		ck_assert_msg(now() < until, "the hanging call is not reported");
		nap(0.02);
	}
	ck_assert_ptr_nonnull(strstr(str_at(b, "status_reason"), "driver_timeout"));
	ck_assert(fixture_log_has(f, "has not come back from create_share_instance"));
	disk_thaw();
	/* Too late is failed, and what waited behind it is done. */
	reply = client_reply(c, create);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "driver_failed");
	ck_assert_str_eq(str_at(reply, "error.data.errno"), "ETIMEDOUT");
	reply2 = client_reply(c, behind);
	ck_assert_str_eq(str_at(reply2, "result.status"), "available");
	wait_backend(f, "b", "up");
	/* The event waited with everything that writes. */
	event = client_read(events);
	ck_assert_str_eq(str_at(event, "params.type"), "backend.down");
	json_decref(event);
	event = client_read(events);
	ck_assert_str_eq(str_at(event, "params.type"), "backend.stuck");
	ck_assert_str_eq(str_at(event, "params.object.name"), "b");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "behind"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "late"));
	check_disk(f, "thawed");
	client_free(c);
	client_free(reads);
	client_free(events);
	disk_fixture_free(f);
}
END_TEST

/* Nor does a disk that hangs at the start go unseen. */
START_TEST(hanging_start)
{
	struct fixture *f;
	_cleanup_json_ json_t *seen = NULL, *b = NULL;
	double until;

	if (!mounts_begin("hanging_start"))
		return;
	f = fixture_new("dir \"b\" { root = \"@DIR@/root\" driver_timeout = 2 }\n");
	disk_new(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", MIB));
	fixture_stop(f);
	disk_freeze(f);
	fixture_spawn(f, NULL, (uid_t)-1);
	until = now() + 30;
	do {
		struct client *c = client_try(f);

		ck_assert_msg(now() < until, "the hanging start is not reported");
		nap(0.02);
		if (!c)
			continue;
		json_decref(b);
		b = client_call(c, "get_backend", "{s:s}", "backend", "b");
		client_free(c);
	} while (!b || strcmp(str_at(b, "status"), "down") != 0);
	ck_assert_ptr_nonnull(strstr(str_at(b, "status_reason"), "has not come back from init_host"));
	seen = find_live(f, "init_host", "running");
	ck_assert_ptr_nonnull(seen);
	ck_assert_str_eq(str_at(seen, "origin"), "start");
	ck_assert_str_eq(str_at(seen, "backend"), "b");
	ck_assert_str_eq(str_at(seen, "phase"), "driver");
	ck_assert_double_ge(json_number_value(at(seen, "duration_ms")), 2000);
	disk_thaw();
	wait_backend(f, "b", "up");
	check_disk(f, "after a start that hung");
	disk_fixture_free(f);
}
END_TEST

/* A copy that hangs holds nobody up, neither a stop. */
START_TEST(hanging_copy)
{
	struct fixture *f;
	struct client *c;
	double begin;

	if (!mounts_begin("hanging_copy"))
		return;
	f = fixture_new(CONF);
	disk_new(f);
	fixture_hold_work(f);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	make_share(f);
	fixture_hold_work(f);
	c = client_new(f);
	client_send_request(c, "create_snapshot", jsonx_pack("{s:s,s:s}", "share", "a", "name", "new"));
	wait_parked(f, "create_snapshot");
	disk_freeze(f);
	fixture_release_work(f);
	for (int i = 0; i < 5; i++)
		check_others_serve(f);
	wait_parked(f, "create_snapshot");
	begin = now();
	kill(f->pid, SIGTERM);
	ck_assert(fixture_wait_end(f, 30));
	ck_assert_int_eq(f->status, 0);
	ck_assert_double_le(now() - begin, 30);
	client_free(c);
	disk_thaw();
	fixture_start(f, NULL, (uid_t)-1);
	check_disk(f, "after a copy that hung");
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "a@new"));
	disk_fixture_free(f);
}
END_TEST

/* ---- in the middle of a call ---- */

/* The driver fails, and then its backend is found to be gone: nobody knows how far it came, until it is back. */
START_TEST(away_in_the_middle)
{
	struct fixture *f = fixture_new("sim \"s\" { fail = {\"extend_share:EIO@1\", \"check_backend:ENODEV@1\", "
					"\"create_share:EIO@2\", \"check_backend:ENODEV@2\"} }\n");
	_cleanup_json_ json_t *e = NULL, *share = NULL, *again = NULL, *two = NULL;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 10));
	e = call_error(f, "backend_down", "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 20, "request_id",
		       "r-1");
	ck_assert(json_is_true(at(e, "data.retryable")));
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "extend_share"));
	wait_backend(f, "s", "up");
	/* Extending twice is extending: it was finished, and the same request has its answer. */
	share = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert_int_eq(int_at(share, "size_bytes"), 20);
	again = call(f, "extend_share", "{s:s,s:i,s:s}", "share", "a", "size_bytes", 20, "request_id", "r-1");
	ck_assert_int_eq(int_at(again, "size_bytes"), 20);
	json_decref(call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes",
			       10, "request_id", "r-2"));
	wait_backend(f, "s", "up");
	two = call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 10, "request_id", "r-2");
	ck_assert_str_eq(str_at(two, "status"), "available");
	fixture_free(f);
}
END_TEST

/* Set up, and then it does not say what it can: that is told as it is, and it is asked again. */
START_TEST(capabilities_unknown)
{
	struct fixture *f = fixture_new("sim \"s\" { stats_interval = 0.2 fail = {\"get_share_stats:EIO@1\"} }\n"
					"sim \"never\" { fail = {\"get_share_stats:EIO\"} }\n");
	_cleanup_json_ json_t *b = NULL, *e = NULL;
	double until = now() + 30;

	fixture_start(f, NULL, (uid_t)-1);
	b = call(f, "get_backend", "{s:s}", "backend", "never");
	ck_assert_str_eq(str_at(b, "status"), "up");
	ck_assert_ptr_nonnull(strstr(str_at(b, "status_reason"), "what it can do is not known"));
	ck_assert_ptr_nonnull(strstr(str_at(b, "status_reason"), "get_share_stats"));
	e = call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1,
		       "backend", "never");
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "get_share_stats"));
	do {
		ck_assert_msg(now() < until, "nobody asks again");
		nap(0.02);
		json_decref(b);
		b = call(f, "get_backend", "{s:s}", "backend", "s");
	} while (json_is_null(at(b, "capabilities")));
	ck_assert(json_is_null(at(b, "status_reason")));
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backend_away");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	/* A disk that has much else to do must not be taken for one that hangs. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, away_under_load, 0, n_losses);
	tcase_add_loop_test(t, away_in_work, 0, N_KINDS);
	tcase_add_loop_test(t, away_at_rest, 0, N_KINDS);
	tcase_add_test(t, hanging);
	tcase_add_test(t, hanging_start);
	tcase_add_test(t, hanging_copy);
	tcase_add_test(t, away_in_the_middle);
	tcase_add_test(t, capabilities_unknown);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
