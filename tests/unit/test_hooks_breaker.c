/* The breaker: a hook that does not answer in time, again and again. */
#include "tests/unit/test_hooks.h"

static const char *const func_name = "create_share_instance";

#define BREAKER(timeouts, pause) "hook_breaker_timeouts = " #timeouts "\nhook_breaker_pause = " #pause "\n"

/* What the hook does. */
static enum { ANSWER, HANG, FAIL, VETO } mode;
static size_t runs;

static int on_event(void *data, const struct hook_setup *hs, const struct hook_event *ev, json_t **ret, struct error *e)
{
	(void)data;
	(void)hs;
	(void)ev;
	(void)ret;
	runs++;
	switch (mode) {
	case ANSWER:
		return 0;
	case HANG:
		return error_set(e, ERR_INTERNAL, ETIMEDOUT, "no end within 1 s");
	case FAIL:
		return error_set(e, ERR_INTERNAL, EIO, "no disk");
	case VETO:
		return error_set(e, ERR_VETOED, EPERM, "no");
	}
	return 0;
}

static struct hook_set *hanging(const char *options)
{
	script->event = on_event;
	mode = HANG;
	runs = 0;
	return one_hook(text("%s:hook_record", plugin), options);
}

/* One event; its outcome, "left_out " before it where the hook was not called. */
static const char *event(struct hook_set *set, enum hook_phase phase)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *o = NULL;
	size_t before = runs;
	int r = run_phase(set, phase, func_name, NULL, &o, &e);
	bool left_out = jsonx_bool(o, "left_out");
	const char *outcome = jsonx_str(o, "outcome");

	ck_assert_uint_eq(runs - before, left_out ? 0 : 1);
	ck_assert(!left_out || !jsonx_bool(o, "timed_out"));
	bool ends = strcmp(outcome, "failed") == 0 || strcmp(outcome, "vetoed") == 0;
	ck_assert_int_eq(r < 0, ends && (phase == HOOK_PRE || phase == HOOK_POST));
	if (left_out)
		ck_assert_msg(strstr(jsonx_str(o, "error"), "it did not answer in time") != NULL, "%s",
			      jsonx_str(o, "error"));
	return text("%s%s", left_out ? "left_out " : "", outcome);
}

static const char *state(struct hook_set *set)
{
	_cleanup_json_ json_t *hooks = hook_set_describe(set);
	json_t *h = json_array_get(hooks, 0);

	ck_assert(jsonx_get(h, "left_out_until") ? strcmp(jsonx_str(h, "state"), "left_out") == 0 : true);
	return text("%s %d", jsonx_str(h, "state"), (int)jsonx_int(h, "timeouts_in_row"));
}

/* Suppressed: the call goes on without it, and its post hook is told why nothing came of its pre hook. */
START_TEST(test_suppressed)
{
	struct hook_set *set = hanging(BREAKER(2, 1000) "suppress_pre_hooks_errors = true\n"
							"suppress_post_hooks_errors = true\n");

	ck_assert_str_eq(event(set, HOOK_PRE), "suppressed");
	ck_assert_str_eq(state(set), "ready 1");
	ck_assert_str_eq(event(set, HOOK_POST), "suppressed");
	ck_assert_str_eq(state(set), "left_out 2");
	ck_assert_str_eq(event(set, HOOK_PRE), "left_out suppressed");
	ck_assert_str_eq(event(set, HOOK_POST), "left_out suppressed");
	ck_assert_str_eq(event(set, HOOK_PERIODIC), "left_out failed");
	ck_assert_str_eq(event(set, HOOK_ERROR), "left_out failed");
	hook_set_free(set);
}
END_TEST

/* Not suppressed: it might have vetoed, so nothing goes on; at once, and with the reason. */
START_TEST(test_not_suppressed)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = hanging(BREAKER(1, 1000));

	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	ck_assert_str_eq(event(set, HOOK_PRE), "left_out failed");
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
	ck_assert_msg(strstr(e.message, "1 times in a row") && strstr(e.message, "sharesctl hook enable"), "%s",
		      e.message);
	ck_assert_int_lt(run_phase(set, HOOK_POST, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(e.kind, ERR_POST_HOOK_FAILED);
	/* Its veto counts as soon as it is asked again. */
	mode = VETO;
	ck_assert_int_eq(hook_set_enable(set, text("%s:hook_record", plugin), &e), 0);
	ck_assert_str_eq(state(set), "ready 0");
	ck_assert_str_eq(event(set, HOOK_PRE), "vetoed");
	ck_assert_int_eq(hook_set_enable(set, "nobody", &e), -ENOENT);
	hook_set_free(set);
}
END_TEST

/* An answer, a veto too, begins the row anew; other failures do neither. */
START_TEST(test_in_a_row)
{
	struct hook_set *set = hanging(BREAKER(2, 1000));

	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	mode = FAIL;
	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	ck_assert_str_eq(state(set), "ready 1");
	mode = VETO;
	ck_assert_str_eq(event(set, HOOK_PRE), "vetoed");
	ck_assert_str_eq(state(set), "ready 0");
	mode = HANG;
	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	mode = ANSWER;
	ck_assert_str_eq(event(set, HOOK_PRE), "ok");
	ck_assert_str_eq(state(set), "ready 0");
	hook_set_free(set);
}
END_TEST

/* After the pause one event tries it: a time-out leaves it out again, an answer brings it back. */
START_TEST(test_tried_again)
{
	struct hook_set *set = hanging(BREAKER(2, 0.3));
	double end = now() + 60;

	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	ck_assert_str_eq(state(set), "left_out 2");
	while (runs < 3) {
		event(set, HOOK_PRE);
		ck_assert(now() < end);
		sleep_ms(10);
	}
	ck_assert_str_eq(state(set), "left_out 3");
	mode = ANSWER;
	while (runs < 4) {
		event(set, HOOK_PRE);
		ck_assert(now() < end);
		sleep_ms(10);
	}
	ck_assert_str_eq(state(set), "ready 0");
	ck_assert_str_eq(event(set, HOOK_PRE), "ok");
	hook_set_free(set);
}
END_TEST

START_TEST(test_switched_off)
{
	struct hook_set *set = hanging(BREAKER(0, 1000));

	for (int i = 0; i < 7; i++)
		ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	ck_assert_str_eq(state(set), "ready 7");
	hook_set_free(set);
}
END_TEST

/* test_hook asks the hook itself, and changes nothing. */
START_TEST(test_by_hand)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *given = jsonx_pack("{s:s,s:s}", "phase", "pre", "func_name", func_name), *ret = NULL;
	struct hook_set *set = hanging(BREAKER(1, 1000));

	ck_assert_str_eq(event(set, HOOK_PRE), "failed");
	mode = ANSWER;
	ck_assert_int_eq(hook_set_test(set, text("%s:hook_record", plugin), given, NULL, NULL, &ret, &e), 0);
	ck_assert(jsonx_bool(ret, "accepted"));
	ck_assert_str_eq(state(set), "left_out 1");
	ck_assert_str_eq(event(set, HOOK_PRE), "left_out failed");
	hook_set_free(set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks: breaker");
	TCase *c = tcase_create("breaker");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_suppressed);
	tcase_add_test(c, test_not_suppressed);
	tcase_add_test(c, test_in_a_row);
	tcase_add_test(c, test_tried_again);
	tcase_add_test(c, test_switched_off);
	tcase_add_test(c, test_by_hand);
	suite_add_tcase(s, c);
	return run_suite(s);
}
