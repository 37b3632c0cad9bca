/* The daemon runs out of descriptors: in the middle of a call, whichever the next one is for, and by more connections
 * than it has descriptors for. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A call that needs more than so many is no call of ours. */
enum { MOST = 60 };

static unsigned count_open(const struct fixture *f)
{
	char path[64];
	_cleanup_closedir_ DIR *d = NULL;
	unsigned n = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)f->pid);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

static void limit(const struct fixture *f, rlim_t n)
{
	struct rlimit was, now = { .rlim_cur = n };

	ck_assert_int_eq(prlimit(f->pid, RLIMIT_NOFILE, NULL, &was), 0);
	now.rlim_max = was.rlim_max;
	if (now.rlim_cur > now.rlim_max)
		now.rlim_cur = now.rlim_max;
	ck_assert_int_eq(prlimit(f->pid, RLIMIT_NOFILE, &now, NULL), 0);
}

/* What went before has let go of all that it had: purging and the last connections. */
static unsigned count_resting(const struct fixture *f)
{
	unsigned n = count_open(f), again;

	for (int i = 0; i < 100; i++) {
		nap(0.002);
		again = count_open(f);
		if (again == n && i > 3)
			break;
		n = again;
	}
	return n;
}

static void check_refusal(const struct sweep *s, const json_t *reply)
{
	const char *kind = str_at(reply, "error.data.kind"), *text = str_at(reply, "error.message");

	ck_assert_msg(strcmp(kind, "driver_failed") == 0 || strcmp(kind, "internal") == 0 ||
			      strcmp(kind, "pre_hook_failed") == 0 || strcmp(kind, "post_hook_failed") == 0 ||
			      strcmp(kind, "backend_down") == 0,
		      "%s: %s, %s", s->where, kind, text);
	ck_assert_msg(strstr(text, strerror(EMFILE)) || strstr(text, "descriptors") ||
			      strcmp(kind, "backend_down") == 0,
		      "%s: it does not say that descriptors are lacking: %s", s->where, text);
}

/* With so many more than it has open: true, the call has been done. */
static bool try_with(struct sweep *s, const struct sweep_row *row, unsigned more)
{
	struct client *c;
	_cleanup_json_ json_t *reply = NULL;
	bool done;

	sweep_begin(s, row, "with %u descriptors left", more);
	c = client_new(s->f);
	json_decref(client_call(c, "list_backends", NULL));
	limit(s->f, count_resting(s->f) + more);
	reply = sweep_call_on(s, row, c);
	/* Reads go on. */
	json_decref(client_call(c, "list_shares", NULL));
	limit(s->f, RLIM_INFINITY);
	client_free(c);
	ck_assert_msg(reply != NULL, "%s: no answer", s->where);
	done = json_object_get(reply, "result") != NULL;
	if (!done)
		check_refusal(s, reply);
	/* Where its root could not be opened the backend is down, and would be looked at again before long. */
	json_decref(call(s->f, "init_host", "{s:s}", "backend", "b"));
	sweep_take_events(s);
	sweep_settle(s, row, reply);
	sweep_clear(s);
	return done;
}

static void sweep_some(size_t which, void *driver)
{
	struct sweep s;

	sweep_open(&s, driver, "");
	fixture_start(s.f, NULL, (uid_t)-1);
	for (size_t i = which; i < sweep_count(); i += 2) {
		unsigned more = 0;

		while (!try_with(&s, &sweep_rows[i], more))
			ck_assert_uint_lt(++more, MOST);
		printf("%s: done with %u\n", sweep_rows[i].method, more);
	}
	fflush(stdout);
	sweep_close(&s);
}

START_TEST(test_calls)
{
	if (need_root("test_no_descriptors"))
		in_halves(sweep_some, (void *)&sweep_drivers[0]);
}
END_TEST

/* Seconds of processor time. */
static double used(const struct fixture *f)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *field;
	unsigned long user;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)f->pid);
	text = read_text(path);
	ck_assert_ptr_nonnull(text);
	/* The 12th and 13th after the name: in user mode, in the kernel. */
	field = strrchr(text, ')') + 1;
	for (int i = 0; i < 12; i++)
		field = strchr(field + 1, ' ');
	user = strtoul(field, &field, 10);
	return (double)(user + strtoul(field, NULL, 10)) / (double)sysconf(_SC_CLK_TCK);
}

/* As many connections as there can be: who is in stays served with all that calls need, who is not is told why, and
 * nothing is lost by it. */
START_TEST(test_connections)
{
	enum { MANY = 150 };
	struct fixture *f = fixture_new("max_connections_per_user = 256\ndir \"b\" { root = \"@DIR@/root\" }\n");
	struct client *in, *many[MANY], *late;
	unsigned refused = 0;
	double before;

	fixture_start(f, NULL, (uid_t)-1);
	in = client_new(f);
	json_decref(client_call(in, "list_backends", NULL));
	limit(f, count_resting(f) + 100);
	for (int i = 0; i < MANY; i++)
		many[i] = client_new(f);
	for (int i = 0; i < MANY; i++) {
		_cleanup_json_ json_t *reply = NULL;

		client_send_request(many[i], "list_shares", NULL);
		reply = client_read(many[i]);
		if (reply && json_object_get(reply, "result"))
			continue;
		refused++;
		if (reply)
			ck_assert_str_eq(str_at(reply, "error.data.kind"), "limit");
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_lt(refused, MANY);
	before = used(f);
	nap(0.5);
	ck_assert_msg(used(f) - before < 0.25, "doing nothing cost %.2f s of half a second", used(f) - before);
	json_decref(client_call(in, "create_share_instance", "{s:s,s:i}", "name", "s", "size_bytes", 1));
	json_decref(client_call(in, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "snap"));
	json_decref(client_call(in, "delete_snapshot", "{s:s}", "snapshot", "s@snap"));
	for (int i = 0; i < MANY; i++)
		client_free(many[i]);
	/* Those that left are not counted any more. */
	json_decref(client_call(in, "delete_share_instance", "{s:s}", "share", "s"));
	count_resting(f);
	late = client_new(f);
	json_decref(client_call(late, "list_shares", NULL));
	client_free(late);
	client_free(in);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("no_descriptors");
	TCase *tc = tcase_create("no_descriptors");
	SRunner *runner;
	int failed;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_calls);
	tcase_add_test(tc, test_connections);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
