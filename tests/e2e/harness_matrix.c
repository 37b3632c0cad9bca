#include "tests/e2e/harness_matrix.h"

#include "base/cleanup.h"
#include "base/jsonx.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- backends: one for each combination of what the conf file says ---- */

const char variants[] = "ufipqe";

void add_config(struct configs *all, struct config c)
{
	if (all->n % 256 == 0) {
		all->list = realloc(all->list, (all->n + 256) * sizeof *all->list);
		ck_assert_ptr_nonnull(all->list);
	}
	all->list[all->n++] = c;
}

struct configs half_of(const struct configs *all, size_t which)
{
	struct configs half = { 0 };

	for (size_t i = which; i < all->n; i += 2 * THIN)
		add_config(&half, all->list[i]);
	return half;
}

struct model_row row_of(const struct config *c)
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

void hook_name(char text[8], size_t hook, char variant)
{
	snprintf(text, 8, "h%c%c", (char)('1' + hook), variant);
}

void write_hooks(FILE *out)
{
	static const char *const says[] = { "",
					    "on_error = \"fail\"",
					    "on_error = \"ignore\"",
					    "phases = {\"pre\"}",
					    "phases = {\"post\"}",
					    "phases = {\"error\"}" };

	fputs("hook_options = {\"recorder_log=@DIR@/recorder/log\", \"recorder_scripts=@DIR@/recorder\", "
	      "\"recorder_brief=yes\"}\n",
	      out);
	for (size_t i = 0; i < MODEL_HOOKS; i++)
		for (size_t v = 0; variants[v]; v++) {
			char name[8];

			hook_name(name, i, variants[v]);
			fprintf(out, "hook \"%s\" {\n run = \"%s\"\n %s\n}\n", name, recorder_entry(), says[v]);
		}
}

void write_backend(FILE *out, const struct config *c, size_t number, double stats_interval)
{
	static const char *const switches[] = { "enable_pre_hooks", "enable_post_hooks", "enable_error_hooks" };
	static const char *const suppress[] = { "suppress_pre_hooks_errors", "suppress_post_hooks_errors" };
	char names[MODEL_HOOKS][8] = { "", "", "" };

	for (unsigned i = 0; i < c->n; i++)
		hook_name(names[i], i, c->variant[i]);
	fprintf(out, "sim \"b%zu\" {\n hook_drivers = {\"%s\"", number, names[0]);
	for (unsigned i = 1; i < c->n; i++)
		fprintf(out, ", \"%s\"", names[i]);
	/* Measured after half a minute, a share would change in between. */
	fprintf(out, "}\n stats_interval = %.3f\n usage_interval = 0\n", stats_interval);
	for (unsigned p = 0; p < MODEL_PHASES; p++)
		if (c->enabled & (1U << p))
			fprintf(out, " %s = true\n", switches[p]);
	for (unsigned p = 0; p < MODEL_ERROR; p++)
		if (c->suppress & (1U << p))
			fprintf(out, " %s = true\n", suppress[p]);
	fprintf(out, " fail = {\"unmanage_snapshot:EIO\"%s%s%s}\n}\n", c->driver_fails ? ", \"create_share:EIO\"" : "",
		c->setup_fails ? ", \"check_for_setup_error:EIO@1\"" : "",
		c->stats_fail ? ", \"get_share_stats:EIO\"" : "");
}

/* ---- what hooks do: the model's three words, each in several ways ---- */

const struct method_words create_words = {
	"create_share_instance",
	{ "{\"metadata\":{\"by\":\"h%zu\"}}",
	  "{\"export_locations\":[{\"path\":\"/by/h%zu\",\"preferred\":true,\"is_admin_only\":false,\"metadata\":{}}]}",
	  "{\"metadata\":{},\"export_locations\":[{\"path\":\"/both/h%zu\",\"preferred\":false,\"is_admin_only\":true,"
	  "\"metadata\":{\"a\":\"b\"}}]}" },
	{ "{\"metadata\":{\"by\":\"h%zu\"},\"provider_location\":\"elsewhere\"}", "{\"metadata\":{\"n\":%zu}}",
	  "{\"size_bytes\":%zu}" },
};
const struct method_words publish_words = {
	"publish_service_capabilities",
	{ "{\"free_bytes\":100%zu}", "{\"reflink\":true,\"total_bytes\":200%zu}",
	  "{\"free_bytes\":300%zu,\"snapshots\":false}" },
	{ "{\"free_bytes\":5,\"color%zu\":\"blue\"}", "{\"free_bytes\":\"%zu\"}", "{\"snapshots\":%zu}" },
};
const struct method_words init_words = {
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
json_t *data_of(size_t hook, unsigned turn)
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

void add_script(json_t *script, const struct config *c, const struct method_words *w, const char *origin,
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

void describe(struct expected *x, size_t backend)
{
	const struct config *c = x->config;
	int n = snprintf(x->where, sizeof x->where,
			 "%s of origin %s, backend b%zu, hooks %.*s, enabled %u, suppress %u, driver fails %d, does",
			 x->words->name, x->origin, backend, (int)c->n, c->variant, c->enabled, c->suppress,
			 c->driver_fails);

	for (unsigned i = 0; i < c->n && n < (int)sizeof x->where; i++)
		n += snprintf(x->where + n, sizeof x->where - (size_t)n, " %d/%d", (int)x->model->pre[i],
			      (int)x->model->post[i]);
}

void same(const struct expected *x, const json_t *got, const json_t *want, const char *what)
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
	static const char *const members[] = { "version",
					       "phase",
					       "func_name",
					       "time",
					       "host",
					       "backend",
					       "context",
					       "args",
					       "objects",
					       "options",
					       "pre_hook_data",
					       "pre_hook_error",
					       "driver_action_results",
					       "result",
					       "error" };
	static const unsigned in_phase[MODEL_PHASES] = { 0x3ff, 0x3fff, 0x47ff };
	size_t n = 0;

	for (unsigned i = 0; i < sizeof members / sizeof *members; i++)
		if (in_phase[phase] & (1U << i)) {
			n++;
			ck_assert_msg(json_object_get(event, members[i]) != NULL, "%s: the event has no %s", x->where,
				      members[i]);
		}
	ck_assert_msg(json_object_size(event) == n, "%s: the event has %zu members, not %zu", x->where,
		      json_object_size(event), n);
	ck_assert_int_eq(jsonx_int(event, "version"), 1);
	ck_assert_str_eq(str_at(event, "phase"), model_phase_names[phase]);
	ck_assert_str_eq(str_at(event, "func_name"), x->words->name);
	ck_assert_str_eq(str_at(event, "context.origin"), x->origin);
}

json_t *with_changes(const struct expected *x, const json_t *base, unsigned changes)
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
	same(x, json_object_get(seen, "export_locations"), json_object_get(results, "export_locations"),
	     "export_locations of result");
	same(x, at(seen, "instances.0.export_locations"), json_object_get(results, "export_locations"),
	     "the instance's locations in result");
	for (const char *const *k =
		     (const char *const[]){ "metadata", "export_locations", "updated_at", "instances", NULL };
	     *k; k++) {
		json_object_del(seen, *k);
		json_object_del(last, *k);
	}
	same(x, seen, last, "result");
}

static void check_event(struct expected *x, const json_t *line, const struct model_event *want)
{
	const json_t *event = json_object_get(line, "event"),
		     *results = json_object_get(event, "driver_action_results");
	const json_t *pre_error = jsonx_get(event, "pre_hook_error");
	_cleanup_json_ json_t *data = want->has_data ? data_of(want->hook, x->turn) : NULL, *should = NULL;
	char name[8];

	hook_name(name, want->hook, x->config->variant[want->hook]);
	ck_assert_msg(strcmp(name, str_at(line, "hook")) == 0 &&
			      strcmp(model_phase_names[want->phase], str_at(event, "phase")) == 0,
		      "%s: %s was told of %s, and must have been %s of %s", x->where, str_at(line, "hook"),
		      str_at(event, "phase"), name, model_phase_names[want->phase]);
	check_members(x, event, want->phase);
	same(x, jsonx_get(event, "pre_hook_data"), data, "pre_hook_data");
	if (want->phase == MODEL_ERROR) {
		static const char *const kinds[] = { "", "vetoed", "pre_hook_failed", "driver_failed",
						     "post_hook_failed" };

		ck_assert_msg(strcmp(str_at(event, "error.data.kind"), kinds[x->model->end]) == 0,
			      "%s: the error told is %s", x->where, str_at(event, "error.data.kind"));
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

void check_events(struct expected *x, const json_t *lines)
{
	size_t n = json_array_size(lines);

	for (size_t i = 0; i < n && i < x->model->n_events; i++)
		check_event(x, json_array_get(lines, i), &x->model->events[i]);
	ck_assert_msg(n == x->model->n_events, "%s: %zu events, and there must be %zu", x->where, n,
		      x->model->n_events);
}

const char *const outcome_words[] = { "ok", "vetoed", "pre_hook_failed", "driver_failed", "post_hook_failed" };

json_t *expected_record(const struct expected *x)
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

void check_record(const json_t *record, const json_t *want)
{
	const json_t *hooks = json_object_get(record, "hooks"), *expected = json_object_get(want, "hooks");
	const char *where = str_at(want, "where");
	size_t i;
	json_t *h;

	ck_assert_msg(strcmp(str_at(record, "outcome"), str_at(want, "outcome")) == 0, "%s: the record says %s, not %s",
		      where, str_at(record, "outcome"), str_at(want, "outcome"));
	ck_assert_str_eq(str_at(record, "state"), "done");
	ck_assert_msg(json_array_size(hooks) == json_array_size(expected), "%s: the record has %zu hooks, not %zu",
		      where, json_array_size(hooks), json_array_size(expected));
	json_array_foreach(hooks, i, h) {
		const char *should = json_string_value(json_array_get(expected, i));
		char text[64];

		snprintf(text, sizeof text, "%s %s %s", str_at(h, "hook"), str_at(h, "phase"), str_at(h, "outcome"));
		ck_assert_msg(strcmp(text, should) == 0, "%s: the record says \"%s\", not \"%s\"", where, text, should);
		ck_assert_msg((strstr(should, " ok") != NULL) == !json_object_get(h, "error"), "%s: %s has an error",
			      where, text);
		ck_assert(json_is_integer(at(h, "duration_ms")));
	}
}

/* ---- a daemon ---- */

void open_lane(struct lane *l, const char *conf)
{
	*l = (struct lane){ .f = fixture_new(""), .records = json_object() };
	fixture_conf(l->f, conf);
	l->r = recorder_new(l->f);
}

void close_lane(struct lane *l)
{
	client_free(l->c);
	fixture_stop(l->f);
	recorder_free(l->r);
	fixture_free(l->f);
	json_decref(l->records);
}
