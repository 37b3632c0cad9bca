/* The daemon dies by SIGKILL at every step of every call that changes something (SHARESD_CRASH_AT), and is started
 * again: store, disk and access agree, nothing is stuck, no hook ran twice, and the same request_id ends in one object
 * and one answer. The calls are the rows of harness_sweep_rows.c. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_mount.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The steps at which a call may be cut off are fewer; a sweep that goes on has lost its way. */
enum { MOST_STEPS = 150 };
/* The start after a crash dies too, every so many tries. */
enum { TWICE = 2 };

static const char *const *dying_at(unsigned step)
{
	static char number[40];
	static const char *env[] = { number, NULL };

	snprintf(number, sizeof number, "SHARESD_CRASH_AT=%u", step);
	return env;
}

/* The daemon starts and gets the call. NULL: it died on the way. */
static json_t *call_until_crash(struct sweep *s, const struct sweep_row *row, unsigned step)
{
	json_t *reply;

	fixture_spawn(s->f, dying_at(step), (uid_t)-1);
	reply = sweep_call(s, row);
	if (reply) {
		_cleanup_free_ char *text = jsonx_dump(reply);

		ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s", s->where, text);
		fixture_stop(s->f);
		return reply;
	}
	ck_assert(fixture_wait_end(s->f, 10));
	ck_assert_msg(WIFSIGNALED(s->f->status) && WTERMSIG(s->f->status) == SIGKILL,
		      "%s: the daemon ended with wait status %d", s->where, s->f->status);
	return NULL;
}

/* The next start dies too, in the middle of deciding what became of the call; or it does not get to that step. */
static void crash_in_recovery(struct sweep *s)
{
	struct client *c = NULL;

	fixture_spawn(s->f, dying_at(5 + s->try / TWICE % 20), (uid_t)-1);
	while (!fixture_wait_end(s->f, 0) && !(c = client_try(s->f)))
		nap(0.002);
	if (c) {
		_cleanup_json_ json_t *reply = NULL;

		/* Answered when all that the start has to decide has been decided. */
		client_send_request(c, "list_orphans", NULL);
		reply = client_read(c);
		client_free(c);
		if (reply)
			fixture_kill(s->f);
	}
	ck_assert(fixture_wait_end(s->f, 10));
}

/* A running daemon before and after. Returns the last step at which the call had not begun. */
static unsigned sweep_steps(struct sweep *s, const struct sweep_row *row, unsigned from)
{
	unsigned before = from;
	/* Under a sanitizer, where a start takes longer, every second step. What takes longer still is cut off at some,
	 * others in each row; SWEEP_ALL=1 for all. */
	unsigned stride = s->driver->slow && !getenv("SWEEP_ALL") ? 16 : is_sanitized() ? 2 : 1;
	unsigned first = from + (unsigned)(row - sweep_rows_of(s->driver)) * 5 % stride;
	bool answered = false;

	for (unsigned step = first; !answered; step += stride) {
		_cleanup_json_ json_t *reply = NULL;

		ck_assert_uint_lt(step, MOST_STEPS);
		sweep_begin(s, row, "killed at step %u", step);
		fixture_stop(s->f);
		reply = call_until_crash(s, row, step);
		answered = reply != NULL;
		sweep_take_events(s);
		if (!answered && !sweep_was_begun(s, row))
			before = step;
		if (!answered && s->try % TWICE == 0)
			crash_in_recovery(s);
		fixture_start(s->f, NULL, (uid_t)-1);
		sweep_settle(s, row, reply);
		sweep_clear(s);
	}
	return before;
}

static bool is_swept(const struct sweep_driver *d, const struct sweep_row *row)
{
	const char *const *m = d->methods;

	if (!m)
		return d == sweep_drivers || !row->no_data;
	while (*m && strcmp(*m, row->method) != 0)
		m++;
	return *m != NULL;
}

static size_t count_rows(const struct sweep_driver *d)
{
	size_t n = 0;

	while (sweep_rows_of(d)[n].method)
		n++;
	return n;
}

static void sweep_some(size_t which, void *driver)
{
	struct sweep s;
	unsigned from = 1;

	/* Its servers have the ports to themselves. */
	if (driver == &sweep_exported)
		ck_assert(unshare(CLONE_NEWNET) == 0 && shell(NULL, "ip link set lo up") == 0);

	sweep_open(&s, driver, "");
	fixture_start(s.f, NULL, (uid_t)-1);
	for (size_t i = which; i < count_rows(s.driver); i += 2) {
		const struct sweep_row *row = &sweep_rows_of(s.driver)[i];
		unsigned before;

		if (!is_swept(s.driver, row))
			continue;
		before = sweep_steps(&s, row, from);

		/* The steps of the start were swept by the first; a little less may be there in another place. */
		if (i < 2 || before < from + 3)
			from = before > 3 ? before - 3 : 1;
	}
	printf("%s: killed in %u tries\n", s.driver->name, s.try);
	sweep_close(&s);
}

START_TEST(test_rows)
{
	sweep_check_rows(&sweep_drivers[_i]);
}
END_TEST

START_TEST(test_sweep)
{
	const struct sweep_driver *d = &sweep_drivers[_i];

	if (d->begin ? mounts_begin("test_sweep") : need_root("test_sweep"))
		in_halves(sweep_some, (void *)d);
}
END_TEST

START_TEST(test_sweep_exported)
{
	if (mounts_begin("test_sweep_exported"))
		in_halves(sweep_some, (void *)&sweep_exported);
}
END_TEST

START_TEST(test_sweep_replicated)
{
	if (mounts_begin("test_sweep_replicated"))
		in_halves(sweep_some, (void *)&sweep_replicated);
}
END_TEST

START_TEST(test_sweep_replicated_dir)
{
	if (need_root("test_sweep_replicated_dir"))
		in_halves(sweep_some, (void *)&sweep_replicated_dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crash_sweep");
	TCase *tc = tcase_create("sweep"), *exported = tcase_create("exported"),
	      *replicated = tcase_create("replicated");
	SRunner *runner;
	int failed, drivers = 0;

	/* What is flushed to the disk is flushed there too; a power cut is another test's. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	while (sweep_drivers[drivers].name)
		drivers++;
	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, test_rows, 0, drivers);
	tcase_add_loop_test(tc, test_sweep, 0, drivers);
	tcase_set_timeout(exported, 600);
	tcase_add_test(exported, test_sweep_exported);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, exported);
	tcase_set_timeout(replicated, 600);
	tcase_add_test(replicated, test_sweep_replicated);
	tcase_add_test(replicated, test_sweep_replicated_dir);
	suite_add_tcase(s, replicated);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
