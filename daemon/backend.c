#include "daemon/backend.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/answers.h"
#include "daemon/methods.h"
#include "daemon/record.h"
#include "daemon/work.h"
#include "drivers/export/exported.h"
#include "drivers/table.h"

#include <errno.h>
#include <string.h>

struct backend *backend_find(struct engine *en, const char *name)
{
	for (struct backend *b = en->backends; b; b = b->next)
		if (strcmp(b->name, name) == 0)
			return b;
	return NULL;
}

int backend_get(struct engine *en, const char *name, const char *param, struct backend **ret, struct error *e)
{
	struct backend *b = backend_find(en, name);

	if (!b || b->gone) {
		error_set(e, ERR_NOT_FOUND, ENOENT,
			  "there is no backend \"%s\": list_backends shows those of the conf file", name);
		error_add(e, "param", json_string(param));
		error_add(e, "backend", jsonx_string(name));
		return -ENOENT;
	}
	*ret = b;
	return 0;
}

static int down(const struct backend *b, struct error *e)
{
	error_set(e, ERR_BACKEND_DOWN, ENODEV, "backend \"%s\" is down: %s; nothing was changed", b->name,
		  b->reason ? b->reason : "it is being set up");
	error_add(e, "backend", json_string(b->name));
	return -ENODEV;
}

int backend_need_up(const struct backend *b, struct error *e)
{
	return b->status == BACKEND_UP ? 0 : down(b, e);
}

int backend_need_known(const struct backend *b, struct error *e)
{
	int r = backend_need_up(b, e);

	if (r < 0 || b->capabilities)
		return r;
	error_set(e, ERR_BACKEND_DOWN, ENODATA,
		  "backend \"%s\" is up, but %s; publish_service_capabilities asks it again, as the daemon does each "
		  "stats_interval",
		  b->name, b->reason ? b->reason : "what it can do is not known");
	error_add(e, "backend", json_string(b->name));
	return -ENODATA;
}

json_t *backend_json(const struct backend *b)
{
	static const char *const words[] = { "starting", "up", "down" };

	return jsonx_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "name", b->name, "driver", b->driver, "status", words[b->status],
			  "status_reason", jsonx_string(b->reason), "hooks",
			  b->hooks ? hook_set_describe(b->hooks) : json_array(), "capabilities",
			  b->capabilities ? json_incref(b->capabilities) : json_null());
}

json_t *backend_event_json(const struct backend *b)
{
	return jsonx_pack("{s:s,s:s,s:o}", "name", b->name, "driver", b->driver, "capabilities",
			  b->capabilities ? json_incref(b->capabilities) : json_null());
}

static void tell_loop(struct engine *en, const struct backend *b, bool gone)
{
	struct message *m = message_new(MSG_BACKEND);
	_cleanup_json_ json_t *shared = gone ? NULL : backend_json(b);

	m->name = xstrdup(b->name);
	/* A deep copy: JSON is not shared between the threads. */
	m->json = shared ? json_deep_copy(shared) : NULL;
	queue_push(en->out, m);
}

static bool is_left_out(const json_t *hook)
{
	const char *state = hook ? jsonx_str(hook, "state") : NULL;

	return state && strcmp(state, "left_out") == 0;
}

/* Events for those that are left out now, and for those that are called again. */
static void tell_of_hooks(struct engine *en, const struct backend *b, const json_t *hooks)
{
	size_t i;
	json_t *hook;

	json_array_foreach(hooks, i, hook) {
		json_t *about, *before = json_array_get(b->shown_hooks, i);
		bool left_out = is_left_out(hook);

		if (left_out == is_left_out(before))
			continue;
		about = jsonx_pack("{s:s,s:O,s:o}", "backend", b->name, "name", json_object_get(hook, "name"),
				   "status_reason",
				   jsonx_string(left_out ? "it did not answer in time, again and again" : NULL));
		record_event(en, left_out ? "hook.left_out" : "hook.back", about);
	}
}

void backend_show_hooks(struct engine *en, struct backend *b)
{
	_cleanup_json_ json_t *hooks = NULL;

	if (!hook_set_changes(b->hooks))
		return;
	hooks = hook_set_describe(b->hooks);
	if (b->shown_hooks && json_equal(hooks, b->shown_hooks))
		return;
	tell_of_hooks(en, b, hooks);
	json_decref(b->shown_hooks);
	b->shown_hooks = take_ptr(hooks);
	tell_loop(en, b, false);
}

static void tell_of_change(struct engine *en, const struct backend *b, enum backend_status status, const char *reason)
{
	json_t *about = jsonx_pack("{s:s,s:s,s:o}", "name", b->name, "driver", b->driver, "status_reason",
				   jsonx_string(status == BACKEND_DOWN ? reason : NULL));

	if (status == BACKEND_DOWN)
		log_kind(LOG_LEVEL_WARNING, LOG_KIND_BACKEND_DOWN, "backend \"%s\" is down: %s", b->name, reason);
	else
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_BACKEND_UP, "backend \"%s\" is up", b->name);
	record_event(en, status == BACKEND_DOWN ? "backend.down" : "backend.up", about);
}

void backend_set_status(struct engine *en, struct backend *b, enum backend_status status, const char *reason)
{
	if (status != b->status && status != BACKEND_STARTING)
		tell_of_change(en, b, status, reason);
	b->status = status;
	if (reason != b->reason) {
		free(b->reason);
		b->reason = xstrdup(reason);
	}
	tell_loop(en, b, false);
}

static void backend_free(struct backend *b)
{
	if (b->state)
		b->state_ops->destroy(b->state);
	hook_set_free(b->hooks);
	conf_unref(b->conf);
	conf_unref(b->state_conf);
	free(b->name);
	free(b->id);
	free(b->driver);
	free(b->reason);
	free(b->purge_failure);
	json_decref(b->capabilities);
	json_decref(b->to_measure);
	json_decref(b->to_update);
	json_decref(b->shown_hooks);
	free(b);
}

void backends_free(struct backend *list)
{
	while (list) {
		struct backend *next = list->next;

		backend_free(list);
		list = next;
	}
}

/* ---- hooks of before a reload ---- */

void backends_free_retired(struct engine *en)
{
	while (en->retired) {
		struct retired *r = en->retired;

		en->retired = r->next;
		hook_set_free(r->set);
		free(r);
	}
}

static void retire_hooks(struct engine *en, struct hook_set *set)
{
	struct retired *r;

	if (!en->parked || !set) {
		hook_set_free(set);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->set = set;
	r->next = en->retired;
	en->retired = r;
}

/* ---- the driver's state ---- */

/* A call is parked, or shares are being measured: the driver has it in its state. */
static bool is_at_work(const struct engine *en, const struct backend *b)
{
	for (const struct call *c = en->parked; c; c = c->next)
		if (c->backend == b)
			return true;
	return false;
}

/* Work that goes on is cut off; its calls are left for the next init_host to decide. */
static void drop_state(struct engine *en, struct backend *b)
{
	if (!b->state)
		return;
	for (struct call *c = en->parked; c; c = c->next)
		if (c->backend == b)
			work_cut_off(c->work);
	b->state_ops->destroy(b->state);
	b->state = NULL;
}

/* ---- the conf file's backends become ours ---- */

static int has_shares(struct engine *en, const char *name, bool *ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "backend", name);
	int64_t n;
	int r = store_count(en->st, STORE_INSTANCES, where, &n, e);

	if (r < 0)
		return r;
	*ret = n > 0;
	return 0;
}

int backend_is_empty(struct engine *en, const struct backend *b, bool *ret, struct error *e)
{
	int r = has_shares(en, b->name, ret, e);

	*ret = r == 0 && !*ret;
	return r;
}

static int store_identity(struct engine *en, const char *name, const char *driver, char **ret_id, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	char id[37], now[32];
	int r;

	text_make_uuid(id);
	text_now(now);
	row = jsonx_pack("{s:s,s:s,s:s,s:s}", "id", id, "name", name, "driver", driver, "created_at", now);
	if ((r = store_begin(en->st, e)) < 0)
		return r;
	if ((r = store_insert(en->st, STORE_BACKENDS, row, NULL, e)) < 0 || (r = store_commit(en->st, true, e)) < 0) {
		store_rollback(en->st);
		return r;
	}
	*ret_id = xstrdup(id);
	return 0;
}

static int forget_identity(struct engine *en, const char *id, struct error *e)
{
	int r = store_begin(en->st, e);

	if (r < 0)
		return r;
	if ((r = store_delete(en->st, STORE_BACKENDS, id, e)) < 0 || (r = store_commit(en->st, true, e)) < 0)
		store_rollback(en->st);
	return r;
}

/* The backend's id for life, made at its first appearance. A section whose driver changed keeps its name only when the
 * store holds nothing there. */
static int identity(struct engine *en, const struct conf_section *s, char **ret_id, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	const char *driver;
	bool used;
	int r = store_get(en->st, STORE_BACKENDS, "name", s->title, &row, e);

	if (r == -ENOENT)
		return store_identity(en, s->title, s->keyword, ret_id, e);
	if (r < 0)
		return r;
	driver = jsonx_str(row, "driver");
	if (strcmp(driver, s->keyword) == 0) {
		*ret_id = xstrdup(jsonx_str(row, "id"));
		return 0;
	}
	if ((r = has_shares(en, s->title, &used, e)) < 0)
		return r;
	if (used)
		return error_set(e, ERR_BACKEND_DOWN, EBUSY,
				 "the store holds shares of driver %s on backend \"%s\", and the conf file says %s: "
				 "give the new "
				 "one another name",
				 driver, s->title, s->keyword);
	if ((r = forget_identity(en, jsonx_str(row, "id"), e)) < 0)
		return r;
	return store_identity(en, s->title, s->keyword, ret_id, e);
}

static int make_state(struct backend *b, struct error *e)
{
	struct driver_setup setup = { .name = b->name, .id = b->id, .settings = b->settings };
	int r;

	if (b->state)
		return 0;
	r = exported_create(b->ops, &setup, b->conf, &b->state_ops, &b->state, e);
	if (r < 0)
		return r;
	b->state_driver = b->ops;
	conf_unref(b->state_conf);
	b->state_conf = conf_ref(b->conf);
	return 0;
}

static int make_hooks(struct engine *en, struct backend *b, struct error *e)
{
	struct hook_set_setup setup = { .conf = b->conf,
					.backend = conf_backend(b->conf, b->name),
					.host = en->host,
					.socket = en->socket,
					.max_depth = en->max_depth };

	return b->hooks ? 0 : hook_set_new(&setup, &b->hooks, e);
}

int backend_prepare(struct engine *en, struct backend *b, struct error *e)
{
	const struct conf_section *s = b->conf ? conf_backend(b->conf, b->name) : NULL;
	int r;

	if (!b->ops || !s)
		return error_set(e, ERR_BACKEND_DOWN, ENODEV,
				 "it is not in the conf file: put its section back, or delete its shares");
	if (!b->id && (r = identity(en, s, &b->id, e)) < 0)
		return r;
	if ((r = make_state(b, e)) < 0)
		return r;
	if ((r = make_hooks(en, b, e)) < 0)
		return r;
	return hook_set_check(b->hooks, e);
}

static bool same_option(const char *name, const struct settings *a, const struct settings *b)
{
	_cleanup_json_ json_t *x = settings_lookup(a, name);
	_cleanup_json_ json_t *y = settings_lookup(b, name);

	return json_equal(x, y);
}

static bool same_driver_options(const struct share_driver_ops *ops, const struct settings *a, const struct settings *b)
{
	for (const struct option *o = ops->options; o && o->name; o++)
		if (!same_option(o->name, a, b))
			return false;
	return same_option("export", a, b) && same_option("driver_handles_share_servers", a, b);
}

static void renew(struct engine *en, struct backend *b, struct conf *conf, const struct conf_section *s)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (b->state && (b->state_driver != driver_find(s->keyword) ||
			 !same_driver_options(b->state_driver, b->settings, s->settings))) {
		drop_state(en, b);
		b->status = BACKEND_STARTING;
	}
	retire_hooks(en, take_ptr(b->hooks));
	conf_unref(b->conf);
	b->conf = conf_ref(conf);
	b->settings = s->settings;
	b->ops = driver_find(s->keyword);
	/* What cannot be made is said by its init_host, which makes it anew. */
	if (backend_prepare(en, b, &e) < 0 && b->status == BACKEND_UP)
		backend_set_status(en, b, BACKEND_DOWN, e.message);
	else
		tell_loop(en, b, false);
}

static struct backend *backend_new(const char *name, const char *driver)
{
	struct backend *b = xcalloc(1, sizeof *b);

	b->name = xstrdup(name);
	b->driver = xstrdup(driver);
	return b;
}

void backend_forget_unneeded(struct engine *en, struct backend *b)
{
	bool empty;

	if (b->ops || b->gone || is_at_work(en, b))
		return;
	drop_state(en, b);
	if (backend_is_empty(en, b, &empty, NULL) < 0 || !empty)
		return;
	b->gone = true;
	b->status = BACKEND_DOWN;
	tell_loop(en, b, true);
}

static void take_out(struct engine *en, struct backend *b)
{
	retire_hooks(en, take_ptr(b->hooks));
	b->ops = NULL;
	backend_forget_unneeded(en, b);
	if (!b->gone)
		backend_set_status(en, b, BACKEND_DOWN, "not in the conf file");
}

/* Shares whose backend's section is gone since the last start: they stay listed, and their backend says why it is down.
 */
static int add_orphaned(struct engine *en, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_BACKENDS, &(struct store_query){ 0 }, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		const char *name = jsonx_str(row, "name");
		bool used;

		if (backend_find(en, name))
			continue;
		if ((r = has_shares(en, name, &used, e)) < 0)
			return r;
		if (used) {
			struct backend *b = backend_new(name, jsonx_str(row, "driver"));

			b->id = xstrdup(jsonx_str(row, "id"));
			b->next = en->backends;
			en->backends = b;
			backend_set_status(en, b, BACKEND_DOWN, "not in the conf file");
		}
	}
	return 0;
}

/* A section that was gone and is there again may name another driver: its identity is looked up anew, which refuses
 * that while the store holds shares of the old one. */
static void come_back(struct backend *b, const char *driver)
{
	if (strcmp(b->driver, driver) == 0)
		return;
	free(b->id);
	b->id = NULL;
	free(b->driver);
	b->driver = xstrdup(driver);
	json_decref(b->capabilities);
	b->capabilities = NULL;
}

int backends_apply(struct engine *en, struct conf *conf, struct error *e)
{
	const struct conf_section *s;
	size_t n;

	s = conf_backends(conf, &n);
	en->max_depth = (size_t)settings_int(conf_top(conf), "max_request_depth");
	for (struct backend *b = en->backends; b; b = b->next)
		if (!conf_backend(conf, b->name) && b->ops)
			take_out(en, b);
	for (size_t i = 0; i < n; i++) {
		struct backend *b = backend_find(en, s[i].title);

		if (!b) {
			b = backend_new(s[i].title, s[i].keyword);
			b->next = en->backends;
			en->backends = b;
		} else if (!b->ops) {
			b->gone = false;
			come_back(b, s[i].keyword);
			backend_set_status(en, b, BACKEND_STARTING, NULL);
		}
		renew(en, b, conf, &s[i]);
	}
	conf_unref(en->conf);
	en->conf = conf_ref(conf);
	return add_orphaned(en, e);
}

/* ---- driver calls ---- */

bool backend_has_slot(const struct backend *b, const char *slot)
{
	return b->ops && driver_slot_by_name(b->state ? b->state_ops : b->ops, slot) != NULL;
}

bool backend_is_exported(const struct backend *b)
{
	return b->state && b->state_ops != b->state_driver;
}

void backend_check_exports(struct engine *en)
{
	for (struct backend *b = en->backends; b; b = b->next) {
		_cleanup_free_ char *lost =
			b->status == BACKEND_UP && b->state ? exported_is_lost(b->state_ops, b->state) : NULL;
		_cleanup_free_ char *reason = NULL;

		if (!lost)
			continue;
		reason = xasprintf("%s: that is mended now, and all exports are put back", lost);
		backend_set_status(en, b, BACKEND_DOWN, reason);
	}
}

bool backend_offers(const struct backend *b, const char *capability, const char *word)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(b->capabilities, capability), i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

static void say_where(const struct backend *b, struct error *e)
{
	if (!jsonx_get(e->data, "backend"))
		error_add(e, "backend", json_string(b->name));
	if (!jsonx_get(e->data, "phase"))
		error_add(e, "phase", json_string("driver"));
}

static struct call *shown(struct call *c)
{
	return c->part_of ? c->part_of : c;
}

static double driver_begins(const struct backend *b, struct call *c)
{
	struct call *seen = shown(c);
	double now = text_monotonic();

	atomic_store_explicit(&seen->driver_of, b->name, memory_order_relaxed);
	atomic_store_explicit(&seen->driver_since, (int64_t)(now * 1000), memory_order_release);
	atomic_store_explicit(&seen->phase, CALL_DRIVER, memory_order_release);
	return now;
}

static void driver_ends(struct call *c)
{
	atomic_store_explicit(&shown(c)->driver_since, 0, memory_order_release);
}

/* A failure like any other, or did the backend go away under the call? A call that took too long is not asked: the
 * answer might take as long again. */
static bool went_away(struct backend *b, struct call *c, const char *slot, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct driver_result nothing = { 0 };
	struct input *in;
	bool away;

	if (!b->state_ops->check_backend || e->err == ETIMEDOUT ||
	    (e->kind != ERR_DRIVER_FAILED && e->kind != ERR_INTERNAL && e->kind != ERR_NOT_FOUND &&
	     e->kind != ERR_INVALID_STATE))
		return false;
	in = input_new(c->id, c->method ? c->method->name : NULL);
	driver_begins(b, c);
	away = b->state_ops->check_backend(b->state, input_call(in), &nothing, &why) < 0 &&
	       why.kind == ERR_BACKEND_DOWN;
	driver_ends(c);
	json_decref(nothing.values);
	input_free(in);
	if (away) {
		log_warning("%s of driver %s failed: %s", slot, b->driver, e->message);
		error_move(e, &why);
	}
	return away;
}

/* The same of the backend that the data come from, which is no fault of this one. */
static bool source_went_away(struct engine *en, const struct backend *b, struct call *c, const char *slot,
			     struct error *e)
{
	struct backend *from = c->source_instance ? backend_find(en, jsonx_str(c->source_instance, "backend")) : NULL;

	if (!from || from == b || from->status != BACKEND_UP || !from->state || !went_away(from, c, slot, e))
		return false;
	backend_set_status(en, from, BACKEND_DOWN, e->message);
	say_where(from, e);
	return true;
}

/* Where the backend is gone, everything else about it waits until it is back. */
static int driver_error(struct engine *en, struct backend *b, struct call *c, const char *slot, int r, struct error *e)
{
	if (e->kind == ERR_NONE)
		error_errno(e, r < 0 ? -r : EIO, "%s of driver %s failed and did not say why", slot, b->driver);
	if (e->kind != ERR_BACKEND_DOWN && went_away(b, c, slot, e))
		c->undecided = true;
	else if (e->kind != ERR_BACKEND_DOWN && source_went_away(en, b, c, slot, e))
		return -e->err;
	if (b->ops && (e->kind == ERR_BACKEND_DOWN || e->err == ETIMEDOUT))
		backend_set_status(en, b, BACKEND_DOWN, e->message);
	say_where(b, e);
	return e->err ? -e->err : -EIO;
}

static int take_result(struct engine *en, struct backend *b, struct call *c, const char *slot, struct input *in,
		       struct driver_result *res, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *values = res->values ? res->values : json_object();
	int r;

	if (res->work && !res->work->background) {
		c->work = work_new(res->work, b, in);
		c->slot = slot;
		return 1;
	}
	if (res->work)
		work_add_background(&en->background, work_new(res->work, b, NULL));
	r = answer_check(slot, values, e);
	if (r < 0) {
		say_where(b, e);
		input_free(in);
		return r;
	}
	input_free(in);
	*ret = take_ptr(values);
	return 0;
}

/* What took longer than driver_timeout counts as failed, whatever it says; the next init_host sees what it left. */
static int driver_ended(struct backend *b, struct call *c, const char *slot, double began, int r, struct error *e)
{
	double took = text_monotonic() - began, most = settings_seconds(b->settings, "driver_timeout");

	driver_ends(c);
	if (took <= most)
		return r;
	return error_set(e, ERR_DRIVER_FAILED, ETIMEDOUT,
			 "%s of driver %s took %.1f s, and driver_timeout is %.1f s: it counts as failed; see what "
			 "holds backend \"%s\" up",
			 slot, b->driver, took, most, b->name);
}

int backend_invoke(struct engine *en, struct backend *b, struct call *c, const char *slot, struct input *in,
		   json_t **ret, struct error *e)
{
	struct driver_result res = { 0 };
	driver_slot *f = b->ops && b->state ? driver_slot_by_name(b->state_ops, slot) : NULL;
	double began;
	int r;

	if (!b->ops || !b->state) {
		input_free(in);
		return down(b, e);
	}
	if (!f) {
		input_free(in);
		error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "driver %s of backend \"%s\" has no %s", b->driver, b->name,
			  slot);
		say_where(b, e);
		return -EOPNOTSUPP;
	}
	if (!in)
		in = input_new(c->id, c->method ? c->method->name : NULL);
	log_debug("%s of driver %s", slot, b->driver);
	began = driver_begins(b, c);
	r = driver_ended(b, c, slot, began, f(b->state, input_call(in), &res, e), e);
	if (r < 0) {
		json_decref(res.values);
		driver_work_free(res.work);
		input_free(in);
		return driver_error(en, b, c, slot, r, e);
	}
	return take_result(en, b, c, slot, in, &res, ret, e);
}

int backend_finish(struct engine *en, struct backend *b, struct call *c, json_t **ret, struct error *e)
{
	struct work *w = take_ptr(c->work);
	const struct driver_work *spec = work_spec(w);
	struct driver_result res = { 0 };
	struct input *in;
	double began;
	int r;

	if (work_is_cut_off(w)) {
		work_free(w);
		c->undecided = true;
		return error_set(e, ERR_BACKEND_DOWN, ECANCELED,
				 "the conf file gave backend \"%s\" another driver or other options", b->name);
	}
	began = driver_begins(b, c);
	r = spec->finish(b->state, spec->data, input_call(work_input(w)), work_output(w), work_failure(w), &res, e);
	r = driver_ended(b, c, c->slot, began, r, e);
	if (r < 0) {
		json_decref(res.values);
		driver_work_free(res.work);
		work_free(w);
		return driver_error(en, b, c, c->slot, r, e);
	}
	in = work_take_input(w);
	work_free(w);
	return take_result(en, b, c, c->slot, in, &res, ret, e);
}
