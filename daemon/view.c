#include "daemon/view.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/backend.h"
#include "daemon/methods.h"

#include <string.h>

/* Of each hook the last durations are kept, for median and p99. */
#define DURATIONS 256

struct figures {
	struct figures *next;
	char *backend, *hook;
	uint64_t calls, left_out, failures, suppressed, timeouts, vetoes, n;
	double durations[DURATIONS];
	char *last_error;
};

struct live {
	struct live *next;
	const struct call *call; /* only what its phase allows may be read, and only until it comes back */
	json_t *shown;
	int64_t reported; /* the driver call that was reported as stuck, by its start */
	char id[37];
};

struct view {
	json_t *backends, *progress, *dropped_ticks;
	struct figures *figures;
	struct live *calls, **last;
	size_t n_calls;
	/* The last call whose end the store learns with the next transaction; before another one ends, it has. */
	char ended_id[37];
	json_t *ended;
};

struct view *view_new(void)
{
	struct view *v = xcalloc(1, sizeof *v);

	v->backends = json_object();
	v->progress = json_object();
	v->dropped_ticks = json_object();
	v->last = &v->calls;
	return v;
}

static void live_free(struct live *l)
{
	json_decref(l->shown);
	free(l);
}

void view_free(struct view *v)
{
	if (!v)
		return;
	while (v->figures) {
		struct figures *f = v->figures;

		v->figures = f->next;
		free(f->backend);
		free(f->hook);
		free(f->last_error);
		free(f);
	}
	while (v->calls) {
		struct live *l = v->calls;

		v->calls = l->next;
		live_free(l);
	}
	json_decref(v->ended);
	json_decref(v->backends);
	json_decref(v->progress);
	json_decref(v->dropped_ticks);
	free(v);
}

/* ---- backends ---- */

void view_set_backend(struct view *v, const char *name, json_t *backend)
{
	if (backend)
		json_object_set_new(v->backends, name, backend);
	else
		json_object_del(v->backends, name);
}

json_t *view_backend(const struct view *v, const char *name)
{
	return json_object_get(v->backends, name);
}

json_t *view_backends(const struct view *v)
{
	return v->backends;
}

/* ---- hooks ---- */

static struct figures *figures_of(struct view *v, const char *backend, const char *hook)
{
	struct figures *f;

	for (f = v->figures; f; f = f->next)
		if (strcmp(f->backend, backend) == 0 && strcmp(f->hook, hook) == 0)
			return f;
	f = xcalloc(1, sizeof *f);
	f->backend = xstrdup(backend);
	f->hook = xstrdup(hook);
	f->next = v->figures;
	v->figures = f;
	return f;
}

static void count_outcome(struct figures *f, const json_t *o)
{
	const char *word = jsonx_str(o, "outcome"), *error = jsonx_str(o, "error");

	/* It was not called. */
	if (jsonx_bool(o, "left_out")) {
		f->left_out++;
		return;
	}
	f->calls++;
	f->durations[f->n++ % DURATIONS] = json_number_value(json_object_get(o, "duration_ms"));
	if (!word || strcmp(word, "ok") == 0)
		return;
	if (strcmp(word, "vetoed") == 0) {
		f->vetoes++;
		return;
	}
	f->failures++;
	if (strcmp(word, "suppressed") == 0 || strcmp(word, "tolerated") == 0)
		f->suppressed++;
	if (jsonx_bool(o, "timed_out"))
		f->timeouts++;
	free(f->last_error);
	f->last_error = xstrdup(error);
}

void view_count_hooks(struct view *v, const char *backend, const json_t *outcomes)
{
	size_t i;
	json_t *o;

	json_array_foreach(outcomes, i, o)
		if (backend && jsonx_str(o, "hook"))
			count_outcome(figures_of(v, backend, jsonx_str(o, "hook")), o);
}

void view_count_dropped_tick(struct view *v, const char *backend)
{
	json_object_set_new(v->dropped_ticks, backend, json_integer(jsonx_int(v->dropped_ticks, backend) + 1));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *durations_json(const struct figures *f)
{
	double sorted[DURATIONS];
	size_t n = f->n < DURATIONS ? (size_t)f->n : DURATIONS;

	if (n == 0)
		return json_null();
	memcpy(sorted, f->durations, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, by_size);
	return jsonx_pack("{s:f,s:f,s:f,s:f}", "min", sorted[0], "median", sorted[n / 2], "p99", sorted[(n * 99) / 100],
			  "max", sorted[n - 1]);
}

static void add_figures(struct view *v, const char *backend, json_t *hook)
{
	const struct figures *f = figures_of(v, backend, jsonx_str(hook, "name"));

	json_object_set_new(hook, "calls", json_integer((json_int_t)f->calls));
	json_object_set_new(hook, "calls_left_out", json_integer((json_int_t)f->left_out));
	json_object_set_new(hook, "failures", json_integer((json_int_t)f->failures));
	json_object_set_new(hook, "suppressed_failures", json_integer((json_int_t)f->suppressed));
	json_object_set_new(hook, "timeouts", json_integer((json_int_t)f->timeouts));
	json_object_set_new(hook, "vetoes", json_integer((json_int_t)f->vetoes));
	json_object_set_new(hook, "duration_ms", durations_json(f));
	json_object_set_new(hook, "last_error", jsonx_string(f->last_error));
	json_object_set_new(hook, "dropped_ticks", json_integer(jsonx_int(v->dropped_ticks, backend)));
}

json_t *view_hooks(const struct view *v, const char *backend)
{
	json_t *list = json_deep_copy(json_object_get(view_backend(v, backend), "hooks")), *hook;
	size_t i;

	if (!list)
		return json_array();
	json_array_foreach(list, i, hook)
		add_figures((struct view *)v, backend, hook);
	return list;
}

/* ---- calls ---- */

void view_call_begins(struct view *v, const struct call *c, json_t *shown)
{
	struct live *l = xcalloc(1, sizeof *l);

	l->call = c;
	l->shown = shown;
	memcpy(l->id, c->id, sizeof l->id);
	*v->last = l;
	v->last = &l->next;
	v->n_calls++;
}

static void keep_end(struct view *v, struct call *c)
{
	json_decref(v->ended);
	v->ended = take_ptr(c->record);
	memcpy(v->ended_id, c->id, sizeof v->ended_id);
}

void view_fill_end(const struct view *v, json_t *call)
{
	if (strcmp(v->ended_id, jsonx_str(call, "id")) != 0)
		return;
	json_object_update(call, v->ended);
	json_object_set_new(call, "state", json_string("done"));
}

void view_call_ends(struct view *v, struct call *c)
{
	if (c->ends_later)
		keep_end(v, c);
	for (struct live **p = &v->calls; *p; p = &(*p)->next) {
		struct live *l = *p;

		if (strcmp(l->id, c->id) != 0)
			continue;
		*p = l->next;
		if (v->last == &l->next)
			v->last = p;
		v->n_calls--;
		live_free(l);
		return;
	}
}

bool view_has_call(const struct view *v, const char *id)
{
	for (const struct live *l = v->calls; l; l = l->next)
		if (strcmp(l->id, id) == 0)
			return true;
	return false;
}

size_t view_calls_count(const struct view *v)
{
	return v->n_calls;
}

/* What the call thread has found out of it since; see `phase` in struct call. */
static void add_found(const struct call *c, enum call_phase phase, json_t *o)
{
	json_object_set_new(o, "phase", json_string(call_phase_name(phase)));
	if (phase == CALL_QUEUED)
		return;
	json_object_set_new(o, "user", jsonx_string(c->who.user));
	json_object_set_new(o, "started_at", json_string(c->started_at));
	json_object_set_new(o, "duration_ms",
			    json_real((double)(long long)((text_monotonic() - c->started) * 1e6) / 1e3));
	if (phase == CALL_CHECK)
		return;
	if (c->method)
		json_object_set_new(o, "method", json_string(c->method->name));
	if (c->backend)
		json_object_set_new(o, "backend", json_string(c->backend->name));
	json_object_set_new(o, "object_kind", jsonx_string(c->object_kind));
	json_object_set_new(o, "object_id", jsonx_string(c->object_id));
}

json_t *view_calls(const struct view *v)
{
	json_t *list = json_array();

	for (const struct live *l = v->calls; l; l = l->next) {
		enum call_phase phase = (enum call_phase)atomic_load_explicit(&l->call->phase, memory_order_acquire);
		json_t *o = json_copy(l->shown);

		json_object_set_new(o, "state",
				    json_string(phase == CALL_QUEUED ? "queued"
						: phase == CALL_WORK ? "working"
								     : "running"));
		add_found(l->call, phase, o);
		json_array_append_new(list, o);
	}
	return list;
}

void view_find_stuck(struct view *v, double (*seconds)(void *data, const char *backend),
		     void (*report)(void *data, const json_t *call, const char *backend, double since), void *data)
{
	for (struct live *l = v->calls; l; l = l->next) {
		int64_t since = atomic_load_explicit(&l->call->driver_since, memory_order_acquire);
		const char *backend = atomic_load_explicit(&l->call->driver_of, memory_order_relaxed);
		double took = text_monotonic() - (double)since / 1000;

		if (since == 0 || since == l->reported || took <= seconds(data, backend))
			continue;
		l->reported = since;
		report(data, l->shown, backend, took);
	}
}

/* ---- progress ---- */

void view_set_progress(struct view *v, const char *object_id, json_t *progress)
{
	if (progress)
		json_object_set_new(v->progress, object_id, progress);
	else
		json_object_del(v->progress, object_id);
}

void view_fill_progress(const struct view *v, json_t *object)
{
	const char *id = jsonx_str(object, "id");
	json_t *p = id ? json_object_get(v->progress, id) : NULL, *instance;
	size_t i;

	if (p)
		json_object_set(object, "progress", p);
	json_array_foreach(json_object_get(object, "instances"), i, instance) {
		/* Of a replica alone, or of the share, which is its active one. */
		const char *state = jsonx_str(instance, "replica_state");
		json_t *own = json_object_get(v->progress, jsonx_str(instance, "id"));

		if (!own && (!state || strcmp(state, "active") == 0))
			own = p;
		if (own)
			json_object_set(instance, "progress", own);
	}
}
