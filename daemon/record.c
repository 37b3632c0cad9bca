#include "daemon/record.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/backend.h"
#include "daemon/methods.h"

#include <string.h>

static json_t *number_or_null(bool known, long long n)
{
	return known ? json_integer(n) : json_null();
}

static json_t *outcome_json(const struct call *c)
{
	json_t *o = json_object();

	if (c->result < 0)
		json_object_set_new(o, "error", error_to_json(&c->err));
	else
		json_object_set_new(o, "result", c->answer ? json_incref(c->answer) : json_null());
	return o;
}

static const char *outcome_word(const struct call *c)
{
	return c->result < 0 ? error_kind_name(c->err.kind) : "ok";
}

static enum log_level level_of(const struct call *c)
{
	/* What comes of itself again and again, or changes nothing. */
	bool quiet = c->result >= 0 && (c->origin == HOOK_ORIGIN_TIMER || c->method->kind == METHOD_QUEUED_READ);

	return quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

static void log_end(const struct call *c, double seconds)
{
	const char *by = c->who.user ? c->who.user : hook_origin_name(c->origin), *id;
	_cleanup_free_ char *method = xasprintf("SHARESD_METHOD=%s", c->method->name);
	_cleanup_free_ char *outcome = xasprintf("SHARESD_OUTCOME=%s", outcome_word(c));
	_cleanup_free_ char *took = xasprintf("SHARESD_DURATION_MS=%.1f", seconds * 1000);
	_cleanup_free_ char *uid = c->who.known ? xasprintf("SHARESD_UID=%u", (unsigned)c->who.uid) : NULL;
	const char *const fields[] = { method, outcome, took, uid, NULL };

	id = log_kind_id(c->result < 0 ? LOG_KIND_CALL_FAILED : LOG_KIND_CALL_DONE);
	if (c->result < 0)
		log_record(level_of(c), id, fields, "%s by %s: %s after %.1f ms: %s", c->method->name, by,
			   outcome_word(c), seconds * 1000, c->err.message);
	else
		log_record(level_of(c), id, fields, "%s by %s: ok after %.1f ms", c->method->name, by, seconds * 1000);
}

/* What list_calls shows and no column of the row holds. */
static json_t *record_json(const struct call *c)
{
	json_t *r = jsonx_pack("{s:o,s:o,s:o,s:o,s:s,s:s,s:f,s:b,s:s}", "request_id", jsonx_string(c->request_id),
			       "user", jsonx_string(c->who.user), "gid", number_or_null(c->who.known, c->who.gid),
			       "pid", number_or_null(c->who.known && c->who.pid, c->who.pid), "queued_at", c->queued_at,
			       "ended_at", c->ended_at, "duration_ms",
			       (double)(long long)((c->ended - c->started) * 1e6) / 1e3, "skip_hooks", c->skip_hooks,
			       "outcome", outcome_word(c));

	json_object_set_new(r, "error", c->result < 0 ? error_to_json(&c->err) : json_null());
	json_object_set_new(r, "hooks", c->hooks ? json_incref(hook_run_outcomes(c->hooks)) : json_array());
	return r;
}

static void stop_clock(struct call *c)
{
	c->ended = text_monotonic();
	text_now(c->ended_at);
}

void record_end(struct call *c)
{
	stop_clock(c);
	log_end(c, c->ended - c->started);
	json_decref(c->record);
	c->record = record_json(c);
}

static json_t *row_of(const struct call *c, const char *state)
{
	return jsonx_pack("{s:s,s:s,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:s,s:s}", "id", c->id, "method", c->method->name,
			  "backend", jsonx_string(c->backend ? c->backend->name : NULL), "object_kind",
			  jsonx_string(c->object_kind), "object_id", jsonx_string(c->object_id), "origin",
			  hook_origin_name(c->origin), "parent_call_id", jsonx_string(*c->parent ? c->parent : NULL),
			  "uid", number_or_null(c->who.known, c->who.uid), "request_id", json_null(), "state", state,
			  "started_at", c->started_at);
}

int record_insert_intent(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *row = row_of(c, "intent");

	if (c->request_id && c->who.known) {
		json_object_set_new(row, "request_id", json_string(c->request_id));
	}
	json_object_set(row, "request", c->params);
	json_object_set_new(row, "intent", c->intent ? json_incref(c->intent) : json_object());
	return store_insert(en->st, STORE_CALLS, row, &c->seq, e);
}

/* ---- events ---- */

static int store_event(struct engine *en, struct call *c, json_t *event, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	char now[32];
	int64_t seq;
	int r;

	text_now(now);
	row = jsonx_pack("{s:s,s:O,s:O,s:o,s:o}", "time", now, "type", json_object_get(event, "type"), "object",
			 json_object_get(event, "object"), "call_id", jsonx_string(c ? c->id : NULL), "uid",
			 number_or_null(c && c->who.known, c ? c->who.uid : 0));
	if ((r = store_insert(en->st, STORE_EVENTS, row, &seq, e)) < 0)
		return r;
	json_object_set_new(event, "seq", json_integer(seq));
	return 0;
}

static int update_event(struct engine *en, json_t *event, struct error *e)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:O}", "object", json_object_get(event, "object"));

	json_object_del(event, "dirty");
	return store_update_seq(en->st, STORE_EVENTS, jsonx_int(event, "seq"), fields, e);
}

static int store_events(struct engine *en, struct call *c, struct error *e)
{
	size_t i;
	json_t *event;
	int r = 0;

	json_array_foreach(c->events, i, event) {
		if (!jsonx_get(event, "seq"))
			r = store_event(en, c, event, e);
		else if (jsonx_get(event, "dirty"))
			r = update_event(en, event, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The answer, or one of its instances. */
static json_t *object_in(json_t *answer, const char *id)
{
	size_t i;
	json_t *instance;

	if (strcmp(jsonx_str(answer, "id"), id) == 0)
		return answer;
	json_array_foreach(json_object_get(answer, "instances"), i, instance)
		if (strcmp(jsonx_str(instance, "id"), id) == 0)
			return instance;
	return NULL;
}

void record_amend_events(struct call *c)
{
	const char *id = jsonx_str(c->answer, "id");
	size_t i;
	json_t *event;

	json_array_foreach(c->events, i, event) {
		const char *of = jsonx_str(json_object_get(event, "object"), "id");

		json_t *now = id && of ? object_in(c->answer, of) : NULL;

		if (!now)
			continue;
		json_object_set(event, "object", now);
		json_object_set_new(event, "dirty", json_true());
	}
}

/* Only how far they may be told: who wants them reads them from the store. */
static void announce(struct engine *en)
{
	struct message *m = message_new(MSG_EVENT);

	m->told = store_durable_event(en->st);
	queue_push(en->out, m);
}

void record_event(struct engine *en, const char *type, json_t *object)
{
	_cleanup_json_ json_t *event = jsonx_pack("{s:s,s:o}", "type", type, "object", object);
	_cleanup_error_ struct error e = ERROR_INIT;

	if (store_begin(en->st, &e) < 0 || store_event(en, NULL, event, &e) < 0 || store_commit(en->st, true, &e) < 0) {
		store_rollback(en->st);
		log_warning("event %s could not be stored: %s", type, e.message);
		return;
	}
	announce(en);
}

/* ---- rows ---- */

int record_write(struct engine *en, struct call *c, const char *state, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r;

	if ((r = store_events(en, c, e)) < 0)
		return r;
	/* What a crash would need is not needed any more, but to know the same request again. */
	row = c->seq ? jsonx_pack("{s:s,s:n}", "state", state, "intent") : row_of(c, state);
	if (c->seq && !c->request_id)
		json_object_set_new(row, "request", json_null());
	/* Only a call with a request_id can be asked for again. */
	if (c->committed && c->request_id)
		json_object_set_new(row, "outcome", outcome_json(c));
	if (c->forgotten)
		json_object_set_new(row, "request_id", json_null());
	/* Before its post hooks it has not ended: this is what a crash in them leaves. */
	if (!c->record)
		stop_clock(c);
	json_object_set_new(row, "record", c->record ? json_incref(c->record) : record_json(c));
	if (strcmp(state, "post_hooks") != 0)
		json_object_set_new(row, "ended_at", json_string(c->ended_at));
	if (c->seq)
		return store_update_seq(en->st, STORE_CALLS, c->seq, row, e);
	return store_insert(en->st, STORE_CALLS, row, &c->seq, e);
}

int record_write_later(struct engine *en, struct call *c, struct error *e)
{
	/* A deep copy: the record itself goes to the loop. */
	json_t *fields = jsonx_pack("{s:s,s:o,s:s}", "state", "done", "record", json_deep_copy(c->record), "ended_at",
				    c->ended_at);
	int r = store_update_later(en->st, STORE_CALLS, c->seq, fields, e);

	c->ends_later = r == 0;
	return r;
}

void record_add_hooks(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *fields = NULL;

	/* The list of outcomes in it is the runner's, which has grown. */
	fields = jsonx_pack("{s:O}", "record", c->record);
	if (store_begin(en->st, &e) < 0 || store_update_seq(en->st, STORE_CALLS, c->seq, fields, &e) < 0 ||
	    store_commit(en->st, false, &e) < 0) {
		store_rollback(en->st);
		log_warning("the record of %s lacks what its error hooks did: %s", c->method->name, e.message);
	}
}

void record_store_only(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	bool tells = json_array_size(c->events) > 0; /* and only what is durable is told */

	if (store_begin(en->st, &e) < 0 || record_write(en, c, "done", &e) < 0 || store_commit(en->st, tells, &e) < 0) {
		store_rollback(en->st);
		c->seq = 0;
		log_warning("the record of %s could not be stored: %s", c->method->name, e.message);
	}
}

void record_send(struct engine *en, struct call *c, bool whole)
{
	struct message *m = message_new(MSG_ANSWER);

	m->call = c;
	/* A call within it may have taken its end along. */
	c->ends_later = c->ends_later && store_waits_for(en->st, STORE_CALLS, c->seq);
	m->told = whole && json_array_size(c->events) ? store_durable_event(en->st) : 0;
	if (whole && c->backend) {
		m->name = xstrdup(c->backend->name);
		m->json = json_incref(jsonx_get(c->record, "hooks"));
	}
	queue_push(en->out, m);
}

int record_mark_interrupted(struct engine *en, struct error *e)
{
	char now[32];
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:n}", "state", "post_hooks", "ended_at"), *rows = NULL;
	_cleanup_json_ json_t *fields = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_CALLS, &(struct store_query){ .where = where }, &rows, e);

	if (r < 0 || json_array_size(rows) == 0)
		return r;
	text_now(now);
	fields = jsonx_pack("{s:s,s:s}", "state", "interrupted", "ended_at", now);
	if ((r = store_begin(en->st, e)) < 0)
		return r;
	json_array_foreach(rows, i, row)
		if ((r = store_update_seq(en->st, STORE_CALLS, jsonx_int(row, "seq"), fields, e)) < 0) {
			store_rollback(en->st);
			return r;
		}
	return store_commit(en->st, true, e);
}
