/* Every row of the table of what happens around a driver call, in a real daemon, for calls of a client: 1 to 3 hooks,
 * phases enabled or not, errors suppressed or not, hooks that succeed, change, fail and veto, a driver that fails or
 * not. What must happen is said by tests/e2e/harness_model.c; here the daemon is made to do it and compared. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_matrix.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take_expected(void *data, const json_t *record)
{
	struct lane *l = data;
	const char *id = jsonx_str(record, "request_id");
	json_t *want = id ? json_object_get(l->records, id) : NULL;

	if (!want)
		return;
	check_record(record, want);
	json_object_del(l->records, id);
}

static void compare_records(struct lane *l)
{
	each_call(l->c, &l->seen, take_expected, l);
	ck_assert_msg(json_object_size(l->records) == 0, "%zu calls have no record", json_object_size(l->records));
}

static json_t *created_results(const char *name, const char *backend, unsigned turn)
{
	char path[64], text[16];

	snprintf(path, sizeof path, "/sim/%s/%s", backend, name);
	snprintf(text, sizeof text, "%u", turn);
	return jsonx_pack("{s:[{s:s,s:b,s:b,s:{}}],s:s,s:{s:s}}", "export_locations", "path", path, "preferred", 1,
			  "is_admin_only", 0, "metadata", "provider_location", name, "metadata", "turn", text);
}

static void check_error(const struct expected *x, const json_t *error, const char *backend)
{
	static const struct {
		int code;
		const char *phase, *text;
	} ends[] = { { 0 },
		     { 14, "pre_hook", "not today" },
		     { 8, "pre_hook", "out of order" },
		     { 7, "driver", "create_share" },
		     { 9, "post_hook", "" } };
	enum model_end end = x->model->end;
	char name[8];

	ck_assert_msg(error != NULL, "%s: it went well", x->where);
	ck_assert_msg(jsonx_int(error, "code") == ends[end].code, "%s: %s", x->where, str_at(error, "message"));
	ck_assert_str_eq(str_at(error, "data.kind"), outcome_words[end]);
	ck_assert_str_eq(str_at(error, "data.phase"), ends[end].phase);
	ck_assert_str_eq(str_at(error, "data.backend"), backend);
	ck_assert_uint_eq(strlen(str_at(error, "data.call_id")), 36);
	ck_assert_msg(strstr(str_at(error, "message"), ends[end].text) != NULL, "%s: %s", x->where,
		      str_at(error, "message"));
	if (end == END_VETOED)
		ck_assert_str_eq(str_at(error, "message"), "not today");
	if (end == END_DRIVER_FAILED)
		return;
	hook_name(name, x->model->ended_by, x->config->variant[x->model->ended_by]);
	ck_assert_msg(strcmp(str_at(error, "data.hook"), name) == 0, "%s: %s is blamed", x->where,
		      str_at(error, "data.hook"));
}

/* What is stored: the share as answered, an error, or nothing at all. */
static void check_stored(struct lane *l, const struct expected *x, const char *name, const json_t *error)
{
	_cleanup_json_ json_t *share = NULL;

	if (x->model->end == END_VETOED || x->model->end == END_PRE_FAILED) {
		json_decref(client_error(l->c, "not_found", "get_share", "{s:s}", "share", name));
		return;
	}
	share = client_call(l->c, "get_share", "{s:s}", "share", name);
	if (x->model->end == END_DRIVER_FAILED) {
		ck_assert_str_eq(str_at(share, "status"), "error");
		ck_assert_str_eq(str_at(share, "status_reason"), str_at(error, "message"));
		return;
	}
	same(x, x->answer, share, "the answer");
	ck_assert_str_eq(str_at(share, "status"), "available");
}

/* The share in the answer has what hooks changed, and only that. */
static void check_answer(struct expected *x, const json_t *reply)
{
	_cleanup_json_ json_t *should = with_changes(x, x->results, x->model->changes);
	const json_t *error = json_object_get(reply, "error");

	x->answer = error ? at(error, "data.result") : at(reply, "result");
	same(x, json_object_get(x->answer, "metadata"), json_object_get(should, "metadata"), "metadata");
	same(x, json_object_get(x->answer, "export_locations"), json_object_get(should, "export_locations"),
	     "export_locations");
	same(x, at(x->answer, "instances.0.export_locations"), json_object_get(should, "export_locations"),
	     "the instance's locations");
}

static void one_case(struct lane *l, const struct config *c, size_t number, const struct model *m, bool skip)
{
	struct expected x = { .config = c, .words = &create_words, .origin = "client", .model = m, .turn = ++l->turn };
	char backend[32], name[16], text[16];
	_cleanup_json_ json_t *reply = NULL, *events = NULL;
	json_t *script = json_object(), *params, *error;

	snprintf(backend, sizeof backend, "b%zu", number);
	snprintf(name, sizeof name, "s%u", x.turn);
	snprintf(text, sizeof text, "%u", x.turn);
	describe(&x, number);
	x.results = created_results(name, backend, x.turn);
	add_script(script, c, &create_words, NULL, m, x.turn);
	recorder_script(l->r, backend, script);
	params = jsonx_pack("{s:s,s:i,s:s,s:s,s:{s:s}}", "name", name, "size_bytes", 1000, "backend", backend,
			    "request_id", name, "metadata", "turn", text);
	if (skip)
		json_object_set_new(params, "skip_hooks", json_true());
	reply = client_request(l->c, create_words.name, params);
	events = recorder_events(l->r);
	error = json_object_get(reply, "error");
	if (m->end == END_OK && error)
		ck_abort_msg("%s: %s", x.where, str_at(error, "message"));
	if (m->end != END_OK)
		check_error(&x, error, backend);
	if (m->end == END_OK || m->end == END_POST_FAILED)
		check_answer(&x, reply);
	check_events(&x, events);
	check_stored(l, &x, name, error);
	json_object_set_new(l->records, name, expected_record(&x));
	json_decref(x.results);
	if (json_object_size(l->records) == 900)
		compare_records(l);
}

/* All ways of one backend, and once without hooks. */
static void walk_config(struct lane *l, const struct config *c, size_t number)
{
	struct model_row row = row_of(c);
	struct model_walk w = { .n = 0 };
	struct model m;

	do {
		model_run(&row, &w, &m);
		one_case(l, c, number, &m, false);
	} while (model_walk_next(&w));
	row.skip_hooks = true;
	model_run(&row, &w, &m);
	one_case(l, c, number, &m, true);
}

static char *client_conf(const struct configs *all)
{
	char *conf;
	size_t len;
	FILE *out = open_memstream(&conf, &len);

	ck_assert_ptr_nonnull(out);
	fputs("log_level = \"error\"\n", out);
	write_hooks(out);
	for (size_t i = 0; i < all->n; i++)
		write_backend(out, &all->list[i], i, 86400);
	fclose(out);
	return conf;
}

/* One hook of each kind; two of each in on_error, and of each in phases; three in some mixtures. */
static void client_configs(struct configs *all, unsigned hooks, unsigned mask, bool fails)
{
	static const char *const mixtures[] = { "uuu", "ufi", "iuf", "fii", "iii" };

	for (unsigned suppress = 0; suppress < 4; suppress++) {
		struct config c = { .n = hooks, .enabled = mask, .suppress = suppress, .driver_fails = fails };

		for (size_t a = 0; hooks < 3 && variants[a]; a++)
			for (size_t b = 0; variants[b] && (hooks == 2 || b == 0); b++) {
				bool on_errors = a < 3 && b < 3;
				bool phases =
					strchr("upqe", variants[a]) && strchr("upqe", variants[b]) && suppress % 3 == 0;

				if (hooks == 2 && !on_errors && !phases)
					continue;
				c.variant[0] = variants[a];
				c.variant[1] = variants[b];
				add_config(all, c);
			}
		for (size_t i = 0; hooks == 3 && i < sizeof mixtures / sizeof *mixtures; i++) {
			memcpy(c.variant, mixtures[i], 3);
			add_config(all, c);
		}
	}
}

/* The backends of one daemon. */
static void walk_some(const struct configs *some)
{
	_cleanup_free_ char *conf = client_conf(some);
	struct lane l;

	open_lane(&l, conf);
	fixture_start(l.f, NULL, (uid_t)-1);
	l.c = client_new(l.f);
	json_decref(recorder_events(l.r));
	for (size_t i = 0; i < some->n; i++)
		walk_config(&l, &some->list[i], i);
	compare_records(&l);
	close_lane(&l);
}

static void walk_client(size_t which, void *configs)
{
	struct configs half = half_of(configs, which);

	for (size_t from = 0; from < half.n; from += BACKENDS) {
		size_t left = half.n - from;

		walk_some(&(struct configs){ half.list + from, left < BACKENDS ? left : BACKENDS });
	}
	free(half.list);
}

START_TEST(test_client)
{
	struct configs all = { 0 };

	for (unsigned mask = 0; mask < 8; mask++)
		for (unsigned fails = 0; fails < 2; fails++)
			client_configs(&all, (unsigned)_i, mask, fails);
	in_halves(walk_client, &all);
	free(all.list);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hook matrix");
	TCase *tc = tcase_create("client");
	SRunner *runner;
	int failed;

	/* A thousand flushes a second are not what is tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_client, 1, MODEL_HOOKS + 1);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
