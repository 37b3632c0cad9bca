/* Allocations fail during one request, whichever they are: the daemon ends by itself, or answers, and what it was about
 * is decided: the rows of harness_sweep_rows.c, as after a kill. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_fail.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* There are thousands of allocations in a call: so many of them fail in a run, spread evenly from an offset that is
 * another in each run. */
enum { TRIES = 10 };

struct tally {
	unsigned ended, refused, done;
};

static long count_allocations(struct sweep *s, const struct sweep_row *row, struct preload_fail *fail)
{
	_cleanup_json_ json_t *reply = NULL;

	sweep_begin(s, row, "with memory");
	atomic_store(&fail->allocations, 0);
	atomic_store(&fail->counting, 1);
	reply = sweep_call(s, row);
	atomic_store(&fail->counting, 0);
	ck_assert_msg(reply && json_object_get(reply, "result"), "%s: it failed", s->where);
	sweep_clear(s);
	return atomic_load(&fail->allocations);
}

/* By abort, with a word about why; never by a NULL pointer. The dynamic linker has an end of its own, when it needs
 * memory for a thread's first steps into a library. */
static void expect_abort(struct sweep *s)
{
	int status = s->f->status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 &&
	    fixture_log_has(s->f, "cannot allocate memory for thread-local data"))
		return;
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: the daemon ended with wait status %d",
		      s->where, status);
	ck_assert_msg(fixture_log_has(s->f, "out of memory"), "%s: the log does not say why", s->where);
}

/* An answer need not mean that it lives on, nor a closed connection that it does not, and an end takes its time. This
 * is answered by both threads, and each has had the effect of what failed in it when it gets there. */
static bool has_ended(struct sweep *s)
{
	double until = now() + 60;

	while (now() < until) {
		struct client *c;
		_cleanup_json_ json_t *answer = NULL;

		if (fixture_wait_end(s->f, 0))
			return true;
		c = client_try(s->f);
		if (!c) {
			nap(0.01);
			continue;
		}
		answer = client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'list_orphans'}");
		client_free(c);
		if (answer)
			return false;
	}
	ck_abort_msg("%s: the daemon neither ended nor answers", s->where);
}

static bool is_busy(const struct fixture *f)
{
	_cleanup_json_ json_t *calls = list_all(f, "list_calls", "calls");
	json_t *c;
	size_t i;

	json_array_foreach(calls, i, c) {
		const char *state = str_at(c, "state");

		if (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0 || strcmp(state, "working") == 0)
			return true;
	}
	return false;
}

/* Who asked was cut off, and the call goes on. */
static void wait_idle(const struct sweep *s)
{
	double until = now() + 60;

	while (is_busy(s->f)) {
		ck_assert_msg(now() < until, "%s: the call has no end", s->where);
		nap(0.01);
	}
}

static void try_at(struct sweep *s, const struct sweep_row *row, struct preload_fail *fail, long at, bool for_good,
		   struct tally *t)
{
	_cleanup_json_ json_t *reply = NULL;

	sweep_begin(s, row, "with allocation %ld %s failing", at, for_good ? "and all after it" : "alone");
	atomic_store(&fail->allocations, 0);
	atomic_store(&fail->failed, 0);
	atomic_store(&fail->fail_at, at);
	atomic_store(&fail->for_good, for_good);
	atomic_store(&fail->counting, 1);
	reply = sweep_call(s, row);
	atomic_store(&fail->counting, 0);
	atomic_store(&fail->fail_at, 0);
	sweep_take_events(s);
	if (has_ended(s)) {
		t->ended++;
		expect_abort(s);
		fixture_start(s->f, fail_env(), (uid_t)-1);
	} else if (reply && json_object_get(reply, "error")) {
		t->refused++;
		/* Where the store failed, init_host decides soon. */
		wait_backend(s->f, "b", "up");
	} else {
		wait_idle(s);
		t->done++;
	}
	sweep_settle(s, row, reply);
	sweep_clear(s);
}

static void sweep_some(size_t which, void *offset)
{
	struct sweep s;
	struct preload_fail *fail;
	struct tally t = { 0 };
	double from = *(const double *)offset;

	sweep_open(&s, &sweep_drivers[0], "");
	fail = fail_new(s.f);
	fixture_start(s.f, fail_env(), (uid_t)-1);
	for (size_t i = which; i < sweep_count(); i += 2) {
		long n = count_allocations(&s, &sweep_rows[i], fail);

		for (int k = 0; k < TRIES; k++)
			try_at(&s, &sweep_rows[i], fail, 1 + (long)((k + from) * (double)n / TRIES), k % 2, &t);
	}
	printf("from offset %.3f: the daemon ended %u times, refused %u, did %u\n", from, t.ended, t.refused, t.done);
	fflush(stdout);
	sweep_close(&s);
}

START_TEST(test_no_memory)
{
	struct timeval tv;
	const char *given = getenv("OFFSET");
	double offset;

	if (is_sanitized() || !need_root("test_no_memory"))
		return;
	gettimeofday(&tv, NULL);
	offset = given ? strtod(given, NULL) : (double)tv.tv_usec / 1e6;
	printf("OFFSET=%.6f\n", offset);
	in_halves(sweep_some, &offset);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("no_memory");
	TCase *tc = tcase_create("no_memory");
	SRunner *runner;
	int failed;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_no_memory);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
