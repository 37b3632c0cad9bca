/* Making hooks from the conf file, what list_hooks shows of them, the event document, and test_hook. */
#include "tests/unit/test_hooks.h"

/* ---- making ---- */

static const struct {
	const char *entry;   /* %s: the plugin */
	const char *message; /* NULL: the conf file's own checks may be the first to refuse it */
} bad_entries[] = {
	{ "nosuch:/bin/true",
	  "there is no hook module \"nosuch\" (known: exec, coproc, python, webhook, journal) and no hook section" },
	{ "typo", NULL },
	{ "", NULL },
	{ "exec", NULL },
	{ "exec:relative/path", "needs the path of a program from \"/\": write exec:/path/program" },
	{ "coproc:", NULL },
	{ "journal:x", "takes no argument" },
	{ "%s", NULL },
	{ "%s:", NULL },
	{ "%s:nosuch", "has no symbol \"nosuch\"" },
	{ "/nonexistent.so:hook", "/nonexistent.so" },
	{ "/etc/hosts:hook", "/etc/hosts" },
	{ "%s:hook_record_old", "was built for hook ABI 2, but this daemon has 1" },
	{ "%s:hook_record_nameless", "have no name" },
	{ "%s:hook_record_idle", "have no execute function" },
	{ "%s:hook_record_uncreated", "have no create or no destroy" },
	{ "%s:hook_record_options", "it declares options, so its file must stand in `plugins`" },
};

START_TEST(test_bad_entries)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	const char *entry = text(bad_entries[_i].entry, plugin);
#pragma GCC diagnostic pop

	/* A good one before and a good one after it: the whole set fails, and nothing of it is left. */
	int r = make_set("", text("hook_drivers = {\"%s:hook_record\", \"%s\", \"journal\"}", plugin, entry), &set, &e);
	ck_assert_int_lt(r, 0);
	ck_assert_ptr_null(set);
	ck_assert_int_eq(script->alive, 0);
	if (!bad_entries[_i].message)
		return;
	ck_assert_int_eq(e.kind, ERR_INVALID_PARAMS);
	ck_assert_msg(strstr(e.message, bad_entries[_i].message) != NULL, "%s", e.message);
	ck_assert_msg(strstr(e.message, "media") != NULL, "%s", e.message);
	ck_assert_msg(strstr(e.message, entry) != NULL, "%s", e.message);
}
END_TEST

START_TEST(test_bad_section)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;

	int r = make_set("hook \"policy\" { run = \"nosuch:x\" }", "hook_drivers = {\"policy\"}", &set, &e);
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_msg(strstr(e.message, "run of hook \"policy\": there is no hook module \"nosuch\"") != NULL, "%s",
		      e.message);
	ck_assert_str_eq(jsonx_str(e.data, "hook"), "policy");
}
END_TEST

START_TEST(test_writable_shared_object)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;

	copy_file(plugin, "h.so", 0775);
	const char *backend = text("hook_drivers = {\"%s/h.so:hook_record\"}", dir);
	ck_assert_int_eq(make_set("", backend, &set, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.message, "h.so"));
	ck_assert_int_eq(chmod(in_dir("h.so"), 0755), 0);
	ck_assert_int_eq(make_set("", backend, &set, &e), 0);
	ck_assert_uint_eq(hook_set_size(set), 1);
	hook_set_free(set);
}
END_TEST

START_TEST(test_plugin_module)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	const struct hook_ops *ops = dlsym(handle, "hook_record_options");
	const struct hook_ops *old = dlsym(handle, "hook_record_old");

	ck_assert_ptr_null(hook_module_find("record"));
	ck_assert_int_eq(hook_module_register(old, plugin, &e), -EINVAL);
	ck_assert_int_eq(hook_module_register(ops, plugin, &e), 0);
	ck_assert_ptr_eq(hook_module_find("record"), ops);
	ck_assert_int_eq(hook_module_register(ops, plugin, &e), -EEXIST);
	/* Now its options are known, so both ways to name it work. */
	struct hook_set *set = new_set(
		"", text("hook_drivers = {\"record:x\", \"%s:hook_record_options\"}\nrecord_path = \"/p\"\n", plugin));
	ck_assert_int_eq(script->alive, 2);
	hook_set_free(set);
	ck_assert_int_eq(script->alive, 0);
}
END_TEST

/* ---- describe ---- */

static json_t *describe_one(struct hook_set *set, size_t i)
{
	_cleanup_json_ json_t *list = hook_set_describe(set);

	return json_incref(json_array_get(list, i));
}

START_TEST(test_describe)
{
	write_script("coproc", "while read -r line; do :; done");
	struct hook_set *set = new_set(
		"hook \"policy\" {\nrun = \"exec:/etc/policy\"\non_error = \"ignore\"\ntimeout = 5.0\nphases = "
		"{\"pre\"}\n"
		"methods = {\"extend_share\"}\n}\n",
		text("hook_drivers = {\"policy\", \"journal\", \"coproc:%s/coproc\", \"%s:hook_record_only_post\"}\n"
		     "enable_pre_hooks = true\nexec_timeout = 7.0\n",
		     dir, plugin));
	_cleanup_json_ json_t *policy = describe_one(set, 0), *journal = describe_one(set, 1);
	_cleanup_json_ json_t *coproc = describe_one(set, 2), *shared = describe_one(set, 3);
	_cleanup_json_ json_t *expected = json_loads(
		"{\"backend\":\"media\",\"name\":\"policy\",\"entry\":\"exec:/etc/policy\",\"module\":\"exec\","
		"\"phases\":[\"pre\"],\"enabled\":{\"pre\":true,\"post\":false,\"periodic\":false,\"error\":false},"
		"\"methods\":[\"extend_share\"],\"on_error\":\"ignore\",\"timeout\":5.0,\"user\":null,"
		"\"containment\":\"subreaper\",\"state\":\"ready\",\"timeouts_in_row\":0,\"left_out_until\":null}",
		0, NULL);

	ck_assert(json_equal(policy, expected));
	ck_assert_str_eq(jsonx_str(journal, "name"), "journal");
	ck_assert_uint_eq(json_array_size(json_object_get(journal, "phases")), 4);
	ck_assert(json_is_null(json_object_get(journal, "on_error")));
	ck_assert(json_is_null(json_object_get(journal, "timeout")));
	ck_assert_str_eq(jsonx_str(coproc, "state"), "running");
	ck_assert_int_gt(jsonx_int(coproc, "pid"), 1);
	ck_assert_str_eq(jsonx_str(coproc, "containment"), "subreaper");
	/* It runs no program. */
	ck_assert_ptr_null(json_object_get(journal, "containment"));
	ck_assert_str_eq(jsonx_str(shared, "module"), "shared");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(shared, "phases"), 0)), "post");
	/* It has nothing to do in pre. */
	ck_assert(!jsonx_bool(json_object_get(shared, "enabled"), "pre"));
	ck_assert(hook_set_has_phase(set, HOOK_PRE));
	ck_assert(!hook_set_has_phase(set, HOOK_POST));
	hook_set_free(set);
}
END_TEST

/* ---- the event ---- */

struct caught {
	json_t *events[HOOK_PHASE_COUNT];
	bool same_twice;
};

static int catch_event(void *data, const struct hook_setup *hs, const struct hook_event *ev, json_t **ret,
		       struct error *e)
{
	struct caught *c = data;
	size_t len;
	const char *line = hook_event_text(ev, &len);
	const json_t *object = hook_event_json(ev);

	c->same_twice = hook_event_json(ev) == object && hook_event_text(ev, NULL) == line;
	ck_assert_uint_eq(strlen(line), len);
	ck_assert_ptr_null(strchr(line, '\n'));
	json_decref(c->events[ev->phase]);
	c->events[ev->phase] = json_loads(line, 0, NULL);
	if (ev->phase == HOOK_PRE && strcmp(hs->name, "x") == 0)
		return error_set(e, ERR_INTERNAL, EIO, "broken");
	if (ev->phase == HOOK_PRE)
		*ret = jsonx_pack("[i,i]", 1, 2);
	return 0;
}

static void check_members(const json_t *event, const char *expected)
{
	_cleanup_free_ char *members = xstrdup("");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)event, key, value) {
		char *longer = xasprintf("%s%s ", members, key);

		free(members);
		members = longer;
	}
	ck_assert_str_eq(members, expected);
	ck_assert_int_eq(jsonx_int(event, "version"), 1);
	ck_assert_str_eq(jsonx_str(event, "host"), host_name);
	ck_assert_str_eq(jsonx_str(json_object_get(event, "backend"), "name"), "media");
	ck_assert_str_eq(jsonx_str(json_object_get(event, "context"), "user"), "ann");
	/* "2026-11-22T15:37:02.123Z" */
	ck_assert_uint_eq(strlen(jsonx_str(event, "time")), 24);
}

static void run_events(struct hook_set *set, struct fake_call *f)
{
	_cleanup_json_ json_t *results = jsonx_pack("{s:i}", "n", 1), *changed = NULL;
	_cleanup_json_ json_t *shares = json_loads("[{\"name\":\"photos\",\"access_rules\":[]}]", 0, NULL);
	_cleanup_error_ struct error e = ERROR_INIT, cause = ERROR_INIT;
	struct hook_run *run = hook_run_new(set, &f->call);

	ck_assert_int_eq(hook_run_pre(run, &e), 0);
	ck_assert_int_eq(hook_run_post(run, results, &changed, &e), 0);
	error_set(&cause, ERR_NO_SPACE, ENOSPC, "no space on media");
	hook_run_error(run, &cause);
	hook_run_free(run);
	f->call.args = NULL;
	run = hook_run_new(set, &f->call);
	hook_run_periodic(run, shares);
	hook_run_free(run);
}

#define COMMON "version phase func_name time host backend context "

START_TEST(test_event)
{
	struct caught c = { 0 };
	_cleanup_fake_call_ struct fake_call f;
	struct hook_set *set = new_set(
		text("hook \"x\" {\nrun = \"%s:hook_record\"\noptions = {\"max_size=500GiB\"}\n}", plugin),
		text("hook_drivers = {\"x\"}\nhook_options = {\"ticket_url=https://t.example.org\"}\nexec_timeout = "
		     "7.5\nsuppress_pre_hooks_errors = true\n%s",
		     ALL_PHASES));

	script->event = catch_event;
	script->data = &c;
	fake_call_init(&f, "create_share_instance");
	run_events(set, &f);
	ck_assert(c.same_twice);
	check_members(c.events[HOOK_PRE], COMMON "args objects options ");
	check_members(c.events[HOOK_POST], COMMON "args objects options pre_hook_data pre_hook_error "
						  "driver_action_results result ");
	check_members(c.events[HOOK_ERROR], COMMON "args objects options pre_hook_data error ");
	check_members(c.events[HOOK_PERIODIC], COMMON "periodic_hook_data options ");

	const json_t *options = json_object_get(c.events[HOOK_PRE], "options");
	ck_assert_str_eq(jsonx_str(options, "max_size"), "500GiB");
	ck_assert_str_eq(jsonx_str(options, "ticket_url"), "https://t.example.org");
	ck_assert_double_eq(json_real_value(json_object_get(options, "exec_timeout")), 7.5);
	ck_assert_str_eq(jsonx_str(c.events[HOOK_PRE], "func_name"), "create_share_instance");
	ck_assert(json_equal(json_object_get(c.events[HOOK_PRE], "args"), f.args));
	ck_assert_ptr_nonnull(json_object_get(json_object_get(c.events[HOOK_ERROR], "objects"), "share"));
	ck_assert_int_eq(f.objects_made, 1);

	const json_t *post = c.events[HOOK_POST];
	ck_assert(json_is_null(json_object_get(post, "pre_hook_data")));
	ck_assert_str_eq(jsonx_str(json_object_get(json_object_get(post, "pre_hook_error"), "data"), "kind"),
			 "pre_hook_failed");
	ck_assert_int_eq(jsonx_int(json_object_get(post, "driver_action_results"), "n"), 1);
	ck_assert_str_eq(jsonx_str(json_object_get(post, "result"), "name"), "photos");
	const json_t *error = json_object_get(c.events[HOOK_ERROR], "error");
	ck_assert_str_eq(jsonx_str(error, "message"), "no space on media");
	ck_assert_int_eq(jsonx_int(error, "code"), 5);
	ck_assert(json_is_null(json_object_get(c.events[HOOK_PERIODIC], "func_name")));
	ck_assert_uint_eq(json_array_size(json_object_get(c.events[HOOK_PERIODIC], "periodic_hook_data")), 1);
	for (int p = 0; p < HOOK_PHASE_COUNT; p++)
		json_decref(c.events[p]);
	hook_set_free(set);
}
END_TEST

START_TEST(test_event_without_makers)
{
	struct caught c = { 0 };
	_cleanup_fake_call_ struct fake_call f;
	struct hook_set *set = one_hook(text("%s:hook_record", plugin), "");

	script->event = catch_event;
	script->data = &c;
	fake_call_init(&f, "extend_share");
	f.call.objects = NULL;
	f.call.result = NULL;
	run_events(set, &f);
	ck_assert_uint_eq(json_object_size(json_object_get(c.events[HOOK_PRE], "objects")), 0);
	ck_assert(json_is_null(json_object_get(c.events[HOOK_POST], "result")));
	ck_assert(json_is_null(json_object_get(c.events[HOOK_POST], "pre_hook_error")));
	ck_assert_uint_eq(json_array_size(json_object_get(c.events[HOOK_POST], "pre_hook_data")), 2);
	for (int p = 0; p < HOOK_PHASE_COUNT; p++)
		json_decref(c.events[p]);
	hook_set_free(set);
}
END_TEST

/* ---- test_hook ---- */

static json_t *given_seen;

static int trial_event(void *data, const struct hook_setup *hs, const struct hook_event *ev, json_t **ret,
		       struct error *e)
{
	(void)data;
	(void)hs;
	json_decref(given_seen);
	given_seen = json_deep_copy(hook_event_json(ev));
	if (jsonx_bool(ev->args, "veto"))
		return error_set(e, ERR_VETOED, EPERM, "no");
	if (jsonx_bool(ev->args, "fail"))
		return error_set(e, ERR_INTERNAL, EIO, "broken");
	*ret = json_incref(json_object_get(ev->args, "say"));
	return 0;
}

static const struct {
	const char *event, *expected; /* the report, without its duration */
} trials[] = {
	{ "{\"phase\":\"pre\",\"func_name\":\"extend_share\",\"args\":{\"say\":{\"a\":1}}}",
	  "{\"accepted\":true,\"wanted\":true,\"phase\":\"pre\",\"returned\":{\"a\":1}}" },
	{ "{\"phase\":\"pre\",\"func_name\":\"extend_share\",\"args\":{\"veto\":true}}",
	  "{\"accepted\":false,\"wanted\":true,\"phase\":\"pre\",\"returned\":null,\"error\":\"vetoed\"}" },
	{ "{\"phase\":\"pre\",\"func_name\":\"extend_share\",\"args\":{\"fail\":true}}",
	  "{\"accepted\":false,\"wanted\":true,\"phase\":\"pre\",\"returned\":null,\"error\":\"pre_hook_failed\"}" },
	{ "{\"phase\":\"post\",\"func_name\":\"extend_share\",\"args\":{\"say\":{\"n\":1}}}",
	  "{\"accepted\":true,\"wanted\":true,\"phase\":\"post\",\"returned\":{\"n\":1}}" },
	{ "{\"phase\":\"post\",\"func_name\":\"extend_share\",\"args\":{\"say\":{\"bad\":1}}}",
	  "{\"accepted\":false,\"wanted\":true,\"phase\":\"post\",\"returned\":{\"bad\":1},\"error\":\"post_hook_"
	  "failed\"}" },
	{ "{\"phase\":\"periodic\",\"args\":{}}",
	  "{\"accepted\":true,\"wanted\":true,\"phase\":\"periodic\",\"returned\":null}" },
};

START_TEST(test_trial)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *event = json_loads(trials[_i].event, 0, NULL), *report = NULL;
	_cleanup_json_ json_t *expected = json_loads(trials[_i].expected, 0, NULL), *before = json_deep_copy(event);
	/* No phase is on, and it is for another method: test_hook runs it all the same. */
	struct hook_set *set = new_set(text("hook \"x\" {\nrun = \"%s:hook_record\"\nmethods = "
					    "{\"create_snapshot\"}\non_error = \"ignore\"\n}",
					    plugin),
				       "hook_drivers = {\"x\"}");

	script->event = trial_event;
	ck_assert_int_eq(hook_set_test(set, "x", event, fake_check, NULL, &report, &e), 0);
	ck_assert(json_is_integer(json_object_get(report, "duration_ms")));
	json_object_del(report, "duration_ms");
	json_t *error = json_object_get(report, "error");
	if (error)
		json_object_set(report, "error", json_object_get(json_object_get(error, "data"), "kind"));
	_cleanup_free_ char *got = jsonx_canonical(report), *want = jsonx_canonical(expected);
	ck_assert_str_eq(got, want);
	ck_assert(json_equal(given_seen, before));
	ck_assert(json_equal(event, before));
	json_decref(given_seen);
	hook_set_free(set);
}
END_TEST

static const char *const bad_events[] = {
	"{}",
	"[]",
	"{\"phase\":\"before\",\"func_name\":\"extend_share\"}",
	"{\"phase\":\"pre\"}",
	"{\"phase\":\"pre\",\"func_name\":\"../../bin/sh\"}",
	"{\"phase\":\"post\",\"func_name\":\"\"}",
	"{\"phase\":\"pre\",\"func_name\":\"extend_share\",\"id\":3}",
};

START_TEST(test_trial_refused)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *event = json_loads(bad_events[_i], 0, NULL), *report = NULL;
	struct hook_set *set = one_hook("journal", "");

	ck_assert_int_eq(hook_set_test(set, "journal", event, NULL, NULL, &report, &e), -EINVAL);
	ck_assert_int_eq(e.kind, ERR_INVALID_PARAMS);
	ck_assert_str_eq(jsonx_str(e.data, "param"), "event");
	ck_assert_ptr_null(report);
	hook_set_free(set);
}
END_TEST

START_TEST(test_trial_of_which_hook)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *event = json_loads(trials[0].event, 0, NULL), *report = NULL, *none = NULL;
	struct hook_set *set = new_set(text("hook \"x\" { run = \"%s:hook_record_only_post\" }", plugin),
				       "hook_drivers = {\"x\", \"journal\"}");

	ck_assert_int_eq(hook_set_test(set, "nosuch", event, NULL, NULL, &none, &e), -ENOENT);
	ck_assert_int_eq(e.kind, ERR_NOT_FOUND);
	ck_assert_int_eq(hook_set_test(NULL, "x", event, NULL, NULL, &none, &e), -ENOENT);
	/* By its entry too; and this one wants nothing of phase pre. */
	ck_assert_int_eq(hook_set_test(set, text("%s:hook_record_only_post", plugin), event, NULL, NULL, &report, &e),
			 0);
	ck_assert(json_is_false(json_object_get(report, "wanted")));
	ck_assert(jsonx_bool(report, "accepted"));
	hook_set_free(set);
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, (int)(sizeof(rows) / sizeof(*(rows))))

int main(void)
{
	Suite *s = suite_create("hooks: set");
	TCase *tc = tcase_create("set");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	LOOP(tc, test_bad_entries, bad_entries);
	tcase_add_test(tc, test_bad_section);
	tcase_add_test(tc, test_writable_shared_object);
	tcase_add_test(tc, test_plugin_module);
	tcase_add_test(tc, test_describe);
	tcase_add_test(tc, test_event);
	tcase_add_test(tc, test_event_without_makers);
	LOOP(tc, test_trial, trials);
	LOOP(tc, test_trial_refused, bad_events);
	tcase_add_test(tc, test_trial_of_which_hook);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
