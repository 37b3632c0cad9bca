/* Every row of the table of what happens around a driver call, in a real daemon: 1 to 3 hooks, phases enabled or not,
 * errors suppressed or not, hooks that succeed, change, fail and veto, a driver that fails or not, every origin. What
 * must happen is said by tests/e2e/harness_model.c; here the daemon is made to do it and compared. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_model.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIB 1125899906842624LL

enum { BACKENDS = 480 }; /* a conf file holds 512 sections, some are hooks */

/* ---- backends: one for each combination of what the conf file says ---- */

/* Hook sections by letter: without on_error, "fail", "ignore"; in phase pre, post, error only. */
static const char variants[] = "ufipqe";

struct config {
	unsigned n;
	unsigned enabled;  /* bit by phase */
	unsigned suppress; /* bit by phase */
	char variant[MODEL_HOOKS];
	bool driver_fails, setup_fails, stats_fail;
};

struct configs {
	struct config *list;
	size_t n;
};

static void add_config(struct configs *all, struct config c)
{
	if (all->n % 256 == 0) {
		all->list = realloc(all->list, (all->n + 256) * sizeof *all->list);
		ck_assert_ptr_nonnull(all->list);
	}
	all->list[all->n++] = c;
}

/* Of the backends every second one, for one of two daemons. */
static struct configs half_of(const struct configs *all, size_t which)
{
	struct configs half = { 0 };

	for (size_t i = which; i < all->n; i += 2)
		add_config(&half, all->list[i]);
	return half;
}

static struct model_row row_of(const struct config *c)
{
	struct model_row row = { .n = c->n, .driver_fails = c->driver_fails };

	for (unsigned i = 0; i < c->n; i++) {
		const char only[] = { [MODEL_PRE] = 'p', [MODEL_POST] = 'q', [MODEL_ERROR] = 'e' };
		char v = c->variant[i];

		for (unsigned p = 0; p < MODEL_PHASES; p++)
			row.hooks[i].runs[p] = (c->enabled & (1U << p)) && (strchr("ufi", v) || v == only[p]);
		for (unsigned p = 0; p < MODEL_ERROR; p++)
			row.hooks[i].suppressed[p] = v == 'i' || (v != 'f' && (c->suppress & (1U << p)));
	}
	return row;
}

static void hook_name(char text[8], size_t hook, char variant)
{
	snprintf(text, 8, "h%c%c", (char)('1' + hook), variant);
}

static void write_hooks(FILE *out)
{
	static const char *const says[] = { "", "on_error = \"fail\"", "on_error = \"ignore\"", "phases = {\"pre\"}",
					    "phases = {\"post\"}", "phases = {\"error\"}" };

	fputs("hook_options = {\"recorder_log=@DIR@/recorder/log\", \"recorder_scripts=@DIR@/recorder\", \"recorder_brief=yes\"}\n",
	      out);
	for (size_t i = 0; i < MODEL_HOOKS; i++)
		for (size_t v = 0; variants[v]; v++) {
			char name[8];

			hook_name(name, i, variants[v]);
			fprintf(out, "hook \"%s\" {\n run = \"%s\"\n %s\n}\n", name, recorder_entry(), says[v]);
		}
}

static void write_backend(FILE *out, const struct config *c, size_t number, double stats_interval)
{
	static const char *const switches[] = { "enable_pre_hooks", "enable_post_hooks", "enable_error_hooks" };
	static const char *const suppress[] = { "suppress_pre_hooks_errors", "suppress_post_hooks_errors" };
	char names[MODEL_HOOKS][8] = { "", "", "" };

	for (unsigned i = 0; i < c->n; i++)
		hook_name(names[i], i, c->variant[i]);
	fprintf(out, "sim \"b%zu\" {\n hook_drivers = {\"%s\"", number, names[0]);
	for (unsigned i = 1; i < c->n; i++)
		fprintf(out, ", \"%s\"", names[i]);
	fprintf(out, "}\n stats_interval = %.3f\n", stats_interval);
	for (unsigned p = 0; p < MODEL_PHASES; p++)
		if (c->enabled & (1U << p))
			fprintf(out, " %s = true\n", switches[p]);
	for (unsigned p = 0; p < MODEL_ERROR; p++)
		if (c->suppress & (1U << p))
			fprintf(out, " %s = true\n", suppress[p]);
	fprintf(out, " fail = {\"unmanage_snapshot:EIO\"%s%s%s}\n}\n", c->driver_fails ? ", \"create_share:EIO\"" : "",
		c->setup_fails ? ", \"check_for_setup_error:EIO@1\"" : "", c->stats_fail ? ", \"get_share_stats:EIO\"" : "");
}

/* ---- what hooks do: the model's three words, each in several ways ---- */

struct method_words {
	const char *name;
	const char *changes[3]; /* driver_action_results, "%zu" is the hook's number */
	const char *refused[3]; /* what a post hook must not answer */
};

static const struct method_words create_words = {
	"create_share_instance",
	{ "{\"metadata\":{\"by\":\"h%zu\"}}",
	  "{\"export_locations\":[{\"path\":\"/by/h%zu\",\"preferred\":true,\"is_admin_only\":false,\"metadata\":{}}]}",
	  "{\"metadata\":{},\"export_locations\":[{\"path\":\"/both/h%zu\",\"preferred\":false,\"is_admin_only\":true,"
	  "\"metadata\":{\"a\":\"b\"}}]}" },
	{ "{\"metadata\":{\"by\":\"h%zu\"},\"provider_location\":\"elsewhere\"}", "{\"metadata\":{\"n\":%zu}}",
	  "{\"size_bytes\":%zu}" },
};
static const struct method_words publish_words = {
	"publish_service_capabilities",
	{ "{\"free_bytes\":100%zu}", "{\"reflink\":true,\"total_bytes\":200%zu}", "{\"free_bytes\":300%zu,\"snapshots\":false}" },
	{ "{\"free_bytes\":5,\"color%zu\":\"blue\"}", "{\"free_bytes\":\"%zu\"}", "{\"snapshots\":%zu}" },
};
static const struct method_words init_words = {
	"init_host",
	{ "{\"shares\":{}}", "{\"shares\":{}}", "{\"shares\":{}}" },
	{ "{\"shares\":{},\"failed\":[]}", "{\"shares\":[%zu]}", "{\"recovered\":[%zu]}" },
};

static json_t *filled(const char *format, size_t hook)
{
	char text[512], *mark = strstr(format, "%zu");
	json_t *j;

	if (mark)
		snprintf(text, sizeof text, "%.*s%zu%s", (int)(mark - format), format, hook + 1, mark + 3);
	else
		snprintf(text, sizeof text, "%s", format);
	j = json_loads(text, 0, NULL);
	ck_assert_msg(j != NULL, "%s", text);
	return j;
}

static json_t *change_of(const struct method_words *w, size_t hook, unsigned turn)
{
	return filled(w->changes[(turn + hook) % 3], hook);
}

/* Every second time a pre hook gives nothing. */
static json_t *data_of(size_t hook, unsigned turn)
{
	return (turn + hook) % 2 ? jsonx_pack("{s:i,s:i}", "hook", (int)hook, "turn", (int)turn) : NULL;
}

static json_t *pre_steps(enum model_does does, size_t hook, unsigned turn)
{
	json_t *data = data_of(hook, turn);

	if (does == DOES_OK)
		return data ? jsonx_pack("[{s:o}]", "return", data) : json_array();
	json_decref(data);
	if (does == DOES_VETO)
		return jsonx_pack("[{s:s}]", "veto", "not today");
	return jsonx_pack("[{s:{s:i}},{s:s}]", "return", "lost", 1, "fail", "out of order");
}

static json_t *post_steps(const struct method_words *w, enum model_does does, size_t hook, unsigned turn)
{
	unsigned way = (turn + (unsigned)hook) % 6;

	if (does == DOES_OK)
		return turn % 2 ? json_array() : jsonx_pack("[{s:{}}]", "return");
	if (does == DOES_CHANGE)
		return jsonx_pack("[{s:o}]", "return", change_of(w, hook, turn));
	if (way < 3)
		return jsonx_pack("[{s:o}]", "return", filled(w->refused[way], hook));
	if (way == 3)
		return jsonx_pack("[{s:s}]", "veto", "too late");
	if (way == 4)
		return jsonx_pack("[{s:[]}]", "return");
	return jsonx_pack("[{s:o},{s:s}]", "return", change_of(w, hook, turn), "fail", "out of order");
}

/* `origin` NULL: whatever the origin. */
static void add_script(json_t *script, const struct config *c, const struct method_words *w, const char *origin,
		       const struct model *m, unsigned turn)
{
	for (size_t i = 0; i < c->n; i++) {
		char name[8], pre[96], post[96];

		hook_name(name, i, c->variant[i]);
		snprintf(pre, sizeof pre, origin ? "%s pre %s %s" : "%s pre", name, w->name, origin);
		snprintf(post, sizeof post, origin ? "%s post %s %s" : "%s post", name, w->name, origin);
		json_object_set_new(script, pre, pre_steps(m->pre[i], i, turn));
		json_object_set_new(script, post, post_steps(w, m->post[i], i, turn));
	}
}

/* ---- comparing ---- */

/* One call as it must have been. */
struct expected {
	const struct config *config;
	const struct method_words *words;
	const char *origin;
	const struct model *model;
	unsigned turn;
	json_t *results; /* driver_action_results of the driver alone; NULL: whatever the first post hook saw */
	json_t *answer;  /* the object in the answer, to compare `result` with; NULL: not known */
	char where[200];
};

static void describe(struct expected *x, size_t backend)
{
	const struct config *c = x->config;
	int n = snprintf(x->where, sizeof x->where, "%s of origin %s, backend b%zu, hooks %.*s, enabled %u, suppress %u, driver fails %d, does",
			 x->words->name, x->origin, backend, (int)c->n, c->variant, c->enabled, c->suppress, c->driver_fails);

	for (unsigned i = 0; i < c->n && n < (int)sizeof x->where; i++)
		n += snprintf(x->where + n, sizeof x->where - (size_t)n, " %d/%d", (int)x->model->pre[i], (int)x->model->post[i]);
}

static void same(const struct expected *x, const json_t *got, const json_t *want, const char *what)
{
	_cleanup_free_ char *a = NULL, *b = NULL;

	if (!got && !want)
		return;
	if (got && want && json_equal(got, want))
		return;
	a = got ? jsonx_canonical(got) : strdup("nothing");
	b = want ? jsonx_canonical(want) : strdup("nothing");
	ck_abort_msg("%s: %s is %.1500s, and must be %.1500s", x->where, what, a, b);
}

static void check_members(const struct expected *x, const json_t *event, enum model_phase phase)
{
	static const char *const members[] = { "version", "phase", "func_name", "time", "host", "backend", "context", "args", "objects",
					       "options", "pre_hook_data", "pre_hook_error", "driver_action_results", "result", "error" };
	static const unsigned in_phase[MODEL_PHASES] = { 0x3ff, 0x3fff, 0x47ff };
	size_t n = 0;

	for (unsigned i = 0; i < sizeof members / sizeof *members; i++)
		if (in_phase[phase] & (1U << i)) {
			n++;
			ck_assert_msg(json_object_get(event, members[i]) != NULL, "%s: the event has no %s", x->where, members[i]);
		}
	ck_assert_msg(json_object_size(event) == n, "%s: the event has %zu members, not %zu", x->where, json_object_size(event), n);
	ck_assert_int_eq(jsonx_int(event, "version"), 1);
	ck_assert_str_eq(str_at(event, "phase"), model_phase_names[phase]);
	ck_assert_str_eq(str_at(event, "func_name"), x->words->name);
	ck_assert_str_eq(str_at(event, "context.origin"), x->origin);
}

static json_t *with_changes(const struct expected *x, const json_t *base, unsigned changes)
{
	json_t *all = json_deep_copy(base);

	for (size_t i = 0; i < x->config->n; i++) {
		_cleanup_json_ json_t *change = NULL;

		if (!(changes & (1U << i)))
			continue;
		change = change_of(x->words, i, x->turn);
		json_object_update(all, change);
	}
	return all;
}

/* What the hook saw as the answer so far is the final answer but for what later hooks changed. */
static void check_result(const struct expected *x, const json_t *event)
{
	_cleanup_json_ json_t *seen = json_deep_copy(json_object_get(event, "result")), *last = NULL;
	const json_t *results = json_object_get(event, "driver_action_results");

	if (!x->answer)
		return;
	last = json_deep_copy(x->answer);
	same(x, json_object_get(seen, "metadata"), json_object_get(results, "metadata"), "metadata of result");
	same(x, json_object_get(seen, "export_locations"), json_object_get(results, "export_locations"), "export_locations of result");
	same(x, at(seen, "instances.0.export_locations"), json_object_get(results, "export_locations"), "the instance's locations in result");
	for (const char *const *k = (const char *const[]){ "metadata", "export_locations", "updated_at", "instances", NULL }; *k; k++) {
		json_object_del(seen, *k);
		json_object_del(last, *k);
	}
	same(x, seen, last, "result");
}

static void check_event(struct expected *x, const json_t *line, const struct model_event *want)
{
	const json_t *event = json_object_get(line, "event"), *results = json_object_get(event, "driver_action_results");
	const json_t *pre_error = jsonx_get(event, "pre_hook_error");
	_cleanup_json_ json_t *data = want->has_data ? data_of(want->hook, x->turn) : NULL, *should = NULL;
	char name[8];

	hook_name(name, want->hook, x->config->variant[want->hook]);
	ck_assert_msg(strcmp(name, str_at(line, "hook")) == 0 && strcmp(model_phase_names[want->phase], str_at(event, "phase")) == 0,
		      "%s: %s was told of %s, and must have been %s of %s", x->where, str_at(line, "hook"), str_at(event, "phase"), name,
		      model_phase_names[want->phase]);
	check_members(x, event, want->phase);
	same(x, jsonx_get(event, "pre_hook_data"), data, "pre_hook_data");
	if (want->phase == MODEL_ERROR) {
		static const char *const kinds[] = { "", "vetoed", "pre_hook_failed", "driver_failed", "post_hook_failed" };

		ck_assert_msg(strcmp(str_at(event, "error.data.kind"), kinds[x->model->end]) == 0, "%s: the error told is %s", x->where,
			      str_at(event, "error.data.kind"));
	}
	if (want->phase != MODEL_POST)
		return;
	ck_assert_msg(!pre_error == !want->pre_error, "%s: pre_hook_error", x->where);
	if (pre_error)
		ck_assert_str_eq(str_at(pre_error, "data.kind"), want->pre_error);
	if (!x->results)
		x->results = json_deep_copy(results);
	should = with_changes(x, x->results, want->changes);
	same(x, results, should, "driver_action_results");
	check_result(x, event);
}

static void check_events(struct expected *x, const json_t *lines)
{
	size_t n = json_array_size(lines);

	for (size_t i = 0; i < n && i < x->model->n_events; i++)
		check_event(x, json_array_get(lines, i), &x->model->events[i]);
	ck_assert_msg(n == x->model->n_events, "%s: %zu events, and there must be %zu", x->where, n, x->model->n_events);
}

static const char *const outcome_words[] = { "ok", "vetoed", "pre_hook_failed", "driver_failed", "post_hook_failed" };

/* What list_calls must show of the call: {"outcome","hooks":["h1u pre ok",..]}. */
static json_t *expected_record(const struct expected *x)
{
	json_t *hooks = json_array();

	for (size_t i = 0; i < x->model->n_events; i++) {
		const struct model_event *e = &x->model->events[i];
		char name[8], text[64];

		hook_name(name, e->hook, x->config->variant[e->hook]);
		snprintf(text, sizeof text, "%s %s %s", name, model_phase_names[e->phase], x->model->outcomes[i]);
		json_array_append_new(hooks, json_string(text));
	}
	return jsonx_pack("{s:s,s:o,s:s}", "outcome", outcome_words[x->model->end], "hooks", hooks, "where", x->where);
}

static void check_record(const json_t *record, const json_t *want)
{
	const json_t *hooks = json_object_get(record, "hooks"), *expected = json_object_get(want, "hooks");
	const char *where = str_at(want, "where");
	size_t i;
	json_t *h;

	ck_assert_msg(strcmp(str_at(record, "outcome"), str_at(want, "outcome")) == 0, "%s: the record says %s, not %s", where,
		      str_at(record, "outcome"), str_at(want, "outcome"));
	ck_assert_str_eq(str_at(record, "state"), "done");
	ck_assert_msg(json_array_size(hooks) == json_array_size(expected), "%s: the record has %zu hooks, not %zu", where,
		      json_array_size(hooks), json_array_size(expected));
	json_array_foreach(hooks, i, h) {
		const char *should = json_string_value(json_array_get(expected, i));
		char text[64];

		snprintf(text, sizeof text, "%s %s %s", str_at(h, "hook"), str_at(h, "phase"), str_at(h, "outcome"));
		ck_assert_msg(strcmp(text, should) == 0, "%s: the record says \"%s\", not \"%s\"", where, text, should);
		ck_assert_msg((strstr(should, " ok") != NULL) == !json_object_get(h, "error"), "%s: %s has an error", where, text);
		ck_assert(json_is_integer(at(h, "duration_ms")));
	}
}

/* How far list_calls was read. */
struct cursor {
	char before[24], last[24];
};

/* Each call since the last time handed to `take`, those of the last page again: one that was under way is not shown. */
static void each_call(struct client *c, struct cursor *from, void (*take)(void *data, const json_t *record), void *data)
{
	_cleanup_json_ json_t *after = json_string(from->before);

	do {
		_cleanup_json_ json_t *page = *json_string_value(after)
						      ? client_call(c, "list_calls", "{s:i,s:O}", "limit", 250, "after", after)
						      : client_call(c, "list_calls", "{s:i}", "limit", 250);
		size_t i;
		json_t *record;

		json_array_foreach(at(page, "calls"), i, record)
			take(data, record);
		json_decref(after);
		after = json_incref(at(page, "next"));
		if (json_is_string(after) && strncmp(json_string_value(after), "live", 4) != 0) {
			memcpy(from->before, from->last, sizeof from->last);
			snprintf(from->last, sizeof from->last, "%s", json_string_value(after));
		}
	} while (json_is_string(after));
}

/* ---- origin client ---- */

struct lane {
	struct fixture *f;
	struct client *c;
	struct recorder *r;
	struct cursor seen;
	json_t *records; /* request_id to expected record, not compared yet */
	unsigned turn;
};

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
	return jsonx_pack("{s:[{s:s,s:b,s:b,s:{}}],s:s,s:{s:s}}", "export_locations", "path", path, "preferred", 1, "is_admin_only", 0,
			  "metadata", "provider_location", name, "metadata", "turn", text);
}

static void check_error(const struct expected *x, const json_t *error, const char *backend)
{
	static const struct {
		int code;
		const char *phase, *text;
	} ends[] = { { 0 }, { 14, "pre_hook", "not today" }, { 8, "pre_hook", "out of order" }, { 7, "driver", "create_share" }, { 9, "post_hook", "" } };
	enum model_end end = x->model->end;
	char name[8];

	ck_assert_msg(error != NULL, "%s: it went well", x->where);
	ck_assert_msg(jsonx_int(error, "code") == ends[end].code, "%s: %s", x->where, str_at(error, "message"));
	ck_assert_str_eq(str_at(error, "data.kind"), outcome_words[end]);
	ck_assert_str_eq(str_at(error, "data.phase"), ends[end].phase);
	ck_assert_str_eq(str_at(error, "data.backend"), backend);
	ck_assert_uint_eq(strlen(str_at(error, "data.call_id")), 36);
	ck_assert_msg(strstr(str_at(error, "message"), ends[end].text) != NULL, "%s: %s", x->where, str_at(error, "message"));
	if (end == END_VETOED)
		ck_assert_str_eq(str_at(error, "message"), "not today");
	if (end == END_DRIVER_FAILED)
		return;
	hook_name(name, x->model->ended_by, x->config->variant[x->model->ended_by]);
	ck_assert_msg(strcmp(str_at(error, "data.hook"), name) == 0, "%s: %s is blamed", x->where, str_at(error, "data.hook"));
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
	same(x, json_object_get(x->answer, "export_locations"), json_object_get(should, "export_locations"), "export_locations");
	same(x, at(x->answer, "instances.0.export_locations"), json_object_get(should, "export_locations"), "the instance's locations");
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
	params = jsonx_pack("{s:s,s:i,s:s,s:s,s:{s:s}}", "name", name, "size_bytes", 1000, "backend", backend, "request_id", name,
			    "metadata", "turn", text);
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

static void open_lane(struct lane *l, const char *conf)
{
	*l = (struct lane){ .f = fixture_new(""), .records = json_object() };
	fixture_conf(l->f, conf);
	l->r = recorder_new(l->f);
}

static void close_lane(struct lane *l)
{
	client_free(l->c);
	fixture_stop(l->f);
	recorder_free(l->r);
	fixture_free(l->f);
	json_decref(l->records);
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
				bool phases = strchr("upqe", variants[a]) && strchr("upqe", variants[b]) && suppress % 3 == 0;

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

/* ---- origins start, timer and call ---- */

/* The calls of one backend's life, each with ways of its own. */
enum role { INIT_START, INIT_RETRY, INIT_CLIENT, PUBLISH_NESTED, PUBLISH_CLIENT, PUBLISH_TIMER, ROLES };

static const struct {
	const struct method_words *words;
	const char *origin;
	bool tolerant;
} roles[ROLES] = {
	[INIT_START] = { &init_words, "start", true },	     [INIT_RETRY] = { &init_words, "timer", true },
	[INIT_CLIENT] = { &init_words, "client", false },    [PUBLISH_NESTED] = { &publish_words, "call", true },
	[PUBLISH_CLIENT] = { &publish_words, "client", false }, [PUBLISH_TIMER] = { &publish_words, "timer", true },
};

/* Seconds: each backend's timer a little after the one before, since a timer finding a long queue leaves its turn out. */
#define STATS_INTERVAL 2.0
#define STATS_STEP     0.002

struct host {
	const struct config *config;
	struct model models[ROLES];
	struct model nested_for_client; /* the same hooks, but a client asked */
	unsigned turn;
	bool seen[ROLES];
};

struct hosts {
	struct lane l;
	struct host *list;
	size_t n;
	json_t *records, *events; /* by call id */
	size_t published;         /* by their timer */
};

static struct model_row role_row(const struct config *c, enum role role)
{
	struct model_row row = row_of(c);

	row.tolerant = roles[role].tolerant;
	row.driver_fails = role == INIT_START ? c->setup_fails : role >= PUBLISH_NESTED && c->stats_fail;
	return row;
}

static size_t count_ways(const struct model_row *row)
{
	struct model_walk w = { .n = 0 };
	struct model m;
	size_t n = 0;

	do {
		model_run(row, &w, &m);
		n++;
	} while (model_walk_next(&w));
	return n;
}

static void nth_way(const struct model_row *row, size_t n, struct model *ret)
{
	struct model_walk w = { .n = 0 };

	model_run(row, &w, ret);
	while (n-- > 0 && model_walk_next(&w))
		model_run(row, &w, ret);
}

static size_t hosts_of(const struct config *c)
{
	size_t most = 0;

	for (int role = 0; role < ROLES; role++) {
		struct model_row row = role_row(c, (enum role)role);
		size_t n = count_ways(&row);

		most = n > most ? n : most;
	}
	return most;
}

static void make_host(struct host *h, const struct config *c, size_t way, unsigned turn)
{
	struct model_row as_client = role_row(c, PUBLISH_NESTED);

	*h = (struct host){ .config = c, .turn = turn };
	for (int role = 0; role < ROLES; role++) {
		struct model_row row = role_row(c, (enum role)role);

		/* Another way of each role, so that they do not all go the same. */
		nth_way(&row, (way + (size_t)role) % count_ways(&row), &h->models[role]);
	}
	as_client.tolerant = false;
	model_run_as(&as_client, h->models[PUBLISH_NESTED].pre, h->models[PUBLISH_NESTED].post, &h->nested_for_client);
}

static json_t *host_script(const struct host *h)
{
	json_t *script = json_object();

	for (int role = 0; role < ROLES; role++)
		add_script(script, h->config, roles[role].words, roles[role].origin, &h->models[role], h->turn);
	return script;
}

static void take_host_record(void *data, const json_t *record)
{
	struct hosts *all = data;

	if (strcmp(str_at(record, "state"), "done") == 0)
		json_object_set(all->records, str_at(record, "id"), (json_t *)record);
}

/* Only the last thousand calls are kept, so they are fetched now and then. Events first: a record has all of its. */
static void fetch(struct hosts *all)
{
	_cleanup_json_ json_t *lines = NULL;
	json_t *line;
	size_t i;

	each_call(all->l.c, &all->l.seen, take_host_record, all);
	lines = recorder_events(all->l.r);
	json_array_foreach(lines, i, line) {
		const char *id = str_at(line, "event.context.call_id");

		if (!json_object_get(all->events, id))
			json_object_set_new(all->events, id, json_array());
		json_array_append(json_object_get(all->events, id), line);
	}
}

static enum role role_of(const json_t *record)
{
	for (int role = 0; role < ROLES; role++)
		if (strcmp(roles[role].words->name, str_at(record, "method")) == 0 &&
		    strcmp(roles[role].origin, str_at(record, "origin")) == 0)
			return (enum role)role;
	ck_abort_msg("a %s of origin %s", str_at(record, "method"), str_at(record, "origin"));
}

static bool is_clients(const struct hosts *all, const json_t *record)
{
	const char *parent = jsonx_str(record, "parent_call_id");

	return parent && strcmp(jsonx_str(json_object_get(all->records, parent), "origin"), "client") == 0;
}

static void check_host_call(struct hosts *all, const json_t *record)
{
	size_t number = strtoul(str_at(record, "backend") + 1, NULL, 10);
	struct host *h = &all->list[number];
	enum role role = role_of(record);
	struct expected x = { .config = h->config, .words = roles[role].words, .origin = roles[role].origin, .turn = h->turn };
	_cleanup_json_ json_t *none = json_array(), *want = NULL;
	const json_t *events = json_object_get(all->events, str_at(record, "id"));

	h->seen[role] = true;
	x.model = is_clients(all, record) ? &h->nested_for_client : &h->models[role];
	describe(&x, number);
	want = expected_record(&x);
	check_record(record, want);
	check_events(&x, events ? events : none);
	ck_assert(json_is_null(at(record, "uid")) == (x.origin[0] != 'c' || (role == PUBLISH_NESTED && !is_clients(all, record))));
	if (x.results && role >= PUBLISH_NESTED) {
		ck_assert_int_eq(int_at(x.results, "total_bytes"), PIB);
		ck_assert_int_eq(int_at(x.results, "free_bytes"), PIB);
	}
	json_decref(x.results);
}

/* A client's own calls, with the answer looked at. */
static void ask_host(struct hosts *all, size_t number, enum role role)
{
	const struct host *h = &all->list[number];
	struct expected x = { .config = h->config, .words = roles[role].words, .origin = "client", .model = &h->models[role], .turn = h->turn };
	char backend[32];
	_cleanup_json_ json_t *reply = NULL, *change = NULL;
	const json_t *error, *answer;
	const char *key;
	json_t *value;

	snprintf(backend, sizeof backend, "b%zu", number);
	describe(&x, number);
	reply = client_request(all->l.c, x.words->name, jsonx_pack("{s:s}", "backend", backend));
	error = json_object_get(reply, "error");
	ck_assert_msg(strcmp(error ? str_at(error, "data.kind") : "ok", outcome_words[x.model->end]) == 0, "%s: %s", x.where,
		      error ? str_at(error, "message") : "ok");
	if (x.model->end != END_OK && x.model->end != END_POST_FAILED)
		return;
	answer = error ? at(error, "data.result") : at(reply, "result");
	ck_assert_str_eq(str_at(answer, "name"), backend);
	ck_assert_str_eq(str_at(answer, "status"), "up");
	if (role != PUBLISH_CLIENT)
		return;
	change = json_object();
	value = with_changes(&x, change, x.model->changes);
	json_decref(change);
	change = value;
	json_object_foreach(change, key, value)
		same(&x, json_object_get(at(answer, "capabilities"), key), value, key);
}

static bool all_were_published(struct hosts *all)
{
	const char *id;
	json_t *record;
	size_t n = 0;

	json_object_foreach(all->records, id, record) {
		struct host *h = &all->list[strtoul(str_at(record, "backend") + 1, NULL, 10)];

		n += role_of(record) == PUBLISH_TIMER && !h->seen[PUBLISH_TIMER];
		h->seen[PUBLISH_TIMER] = h->seen[PUBLISH_TIMER] || role_of(record) == PUBLISH_TIMER;
	}
	all->published += n;
	return all->published == all->n;
}

static void wait_for_timers(struct hosts *all, double started)
{
	double until = now() + 30, left = started + STATS_INTERVAL + STATS_STEP * (double)all->n - now();

	if (left > 0)
		nap(left);
	fetch(all);
	while (!all_were_published(all)) {
		ck_assert_msg(now() < until, "not every backend has been published by its timer");
		nap(0.3);
		fetch(all);
	}
}

/* Backends whose first init_host fails come up by the timer's, a second later. */
static void wait_until_up(struct hosts *all)
{
	double until = now() + 20;

	for (size_t i = 0; i < all->n; i++) {
		bool up = false;

		while (!up) {
			char name[32];
			_cleanup_json_ json_t *b = NULL;

			snprintf(name, sizeof name, "b%zu", i);
			b = client_call(all->l.c, "get_backend", "{s:s}", "backend", name);
			up = strcmp(str_at(b, "status"), "up") == 0;
			ck_assert_msg(now() < until, "%s is %s", name, str_at(b, "status"));
			if (!up)
				nap(0.05);
		}
	}
}

static void run_hosts(struct hosts *all)
{
	double started;
	char *conf;
	size_t len;
	FILE *out = open_memstream(&conf, &len);
	const char *id;
	json_t *record;

	ck_assert_ptr_nonnull(out);
	fputs("log_level = \"error\"\n", out);
	write_hooks(out);
	for (size_t i = 0; i < all->n; i++)
		write_backend(out, all->list[i].config, i, STATS_INTERVAL + STATS_STEP * (double)i);
	fclose(out);
	open_lane(&all->l, conf);
	free(conf);
	all->records = json_object();
	all->events = json_object();
	for (size_t i = 0; i < all->n; i++) {
		char name[32];

		snprintf(name, sizeof name, "b%zu", i);
		recorder_script(all->l.r, name, host_script(&all->list[i]));
	}
	all->published = 0;
	started = now();
	fixture_start(all->l.f, NULL, (uid_t)-1);
	all->l.c = client_new(all->l.f);
	fetch(all);
	wait_until_up(all);
	for (size_t i = 0; i < all->n; i++) {
		ask_host(all, i, INIT_CLIENT);
		ask_host(all, i, PUBLISH_CLIENT);
		if (i % 100 == 0)
			fetch(all);
	}
	wait_for_timers(all, started);
	json_object_foreach(all->records, id, record)
		check_host_call(all, record);
	for (size_t i = 0; i < all->n; i++) {
		const struct host *h = &all->list[i];

		for (int role = 0; role < ROLES; role++)
			ck_assert_msg(h->seen[role] || (role == INIT_RETRY && !h->config->setup_fails), "b%zu: there was no %s of origin %s", i,
				      roles[role].words->name, roles[role].origin);
	}
	json_decref(all->records);
	json_decref(all->events);
	close_lane(&all->l);
}

/* ---- what runs ---- */

enum { HOSTS = 240 }; /* backends of one daemon: twice as many calls as it keeps records of are in flight between fetches */

struct walk {
	struct configs configs;
	size_t every; /* of the ways of each backend only each so-many-th */
};

static void walk_hosts(size_t which, void *data)
{
	const struct walk *w = data;
	struct configs half = half_of(&w->configs, which);
	struct hosts all = { .list = calloc(HOSTS, sizeof *all.list) };
	unsigned total = 0;

	ck_assert_ptr_nonnull(all.list);
	for (size_t i = 0; i < half.n; i++)
		for (size_t way = i % w->every, n = hosts_of(&half.list[i]); way < n; way += w->every) {
			make_host(&all.list[all.n++], &half.list[i], way, ++total);
			if (all.n == HOSTS) {
				run_hosts(&all);
				all.n = 0;
			}
		}
	if (all.n)
		run_hosts(&all);
	free(all.list);
	free(half.list);
}

static void host_configs(struct configs *all, unsigned hooks, const char *const *mixtures, unsigned from_mask, unsigned fails)
{
	for (unsigned mask = from_mask; mask < 8; mask++)
		for (unsigned suppress = 0; suppress < 4; suppress++)
			for (const char *const *v = mixtures; *v; v++)
				for (unsigned f = 0; f < fails; f++) {
					struct config c = { .n = hooks,
							    .enabled = mask,
							    .suppress = suppress,
							    .setup_fails = f,
							    .stats_fail = f };

					memcpy(c.variant, *v, hooks);
					add_config(all, c);
				}
}

START_TEST(test_hosts_of_one)
{
	static const char *const mixtures[] = { "u", "f", "i", NULL };
	struct walk w = { .every = 1 };

	host_configs(&w.configs, 1, mixtures, 0, 2);
	in_halves(walk_hosts, &w);
	free(w.configs.list);
}
END_TEST

START_TEST(test_hosts_of_more)
{
	static const char *const two[] = { "uu", NULL }, *const three[] = { "uuu", "fiu", NULL };
	struct walk w = { .every = 11 };

	host_configs(&w.configs, 2, two, 3, 1);
	host_configs(&w.configs, 3, three, 7, 1);
	in_halves(walk_hosts, &w);
	free(w.configs.list);
}
END_TEST

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
	TCase *client = tcase_create("client"), *hosts = tcase_create("host");
	SRunner *runner;
	int failed;

	/* A thousand flushes a second are not what is tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(client, 300);
	tcase_set_timeout(hosts, 300);
	tcase_add_loop_test(client, test_client, 1, MODEL_HOOKS + 1);
	tcase_add_test(hosts, test_hosts_of_one);
	tcase_add_test(hosts, test_hosts_of_more);
	suite_add_tcase(s, client);
	suite_add_tcase(s, hosts);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
