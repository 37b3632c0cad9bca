#include "daemon/call_run.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/answers.h"
#include "daemon/backend.h"
#include "daemon/methods.h"
#include "daemon/objects.h"
#include "daemon/record.h"
#include "daemon/work.h"

#include <errno.h>
#include <string.h>

/* ---- what hooks ask about the call ---- */

static json_t *hook_objects(void *data)
{
	struct call *c = data;

	return c->objects ? json_incref(c->objects) : json_object();
}

/* Results that stand elsewhere in the object than at its top. */
static void set_inner(const struct call *c, json_t *o, const json_t *results)
{
	json_t *locations = json_object_get(results, "export_locations"), *instance;
	size_t i;

	if (locations)
		json_array_foreach(json_object_get(o, "instances"), i, instance)
			if (strcmp(jsonx_str(instance, "id"), jsonx_str(c->instance, "id")) == 0)
				json_object_set(instance, "export_locations", locations);
	if (json_object_get(o, "capabilities") && method_result_key(c->method, "capabilities"))
		json_object_set(o, "capabilities", (json_t *)results);
}

/* Then the locations of the share itself are those of the active one. */
static bool is_another_replica(const struct call *c)
{
	const char *state = jsonx_str(c->instance, "replica_state");

	return state && strcmp(state, "active") != 0;
}

/* The answer with what hooks have changed so far put over it. */
static json_t *hook_result(void *data, const json_t *results)
{
	struct call *c = data;
	const struct result_key *k = c->method->results;
	json_t *o, *v;

	if (!json_is_object(c->answer))
		return json_null();
	o = json_deep_copy(c->answer);
	for (; k && k->name; k++)
		if (json_object_get(o, k->name) && (v = json_object_get(results, k->name)) &&
		    (!is_another_replica(c) || strcmp(k->name, "export_locations") != 0))
			json_object_set(o, k->name, v);
	set_inner(c, o, results);
	return o;
}

static int hook_check(void *data, const char *key, const json_t *value, struct error *e)
{
	struct call *c = data;
	const struct result_key *k = method_result_key(c->method, key);

	if (!k || !k->changeable)
		return error_set(e, ERR_POST_HOOK_FAILED, EPERM, "a post hook of %s may not set \"%s\"",
				 c->method->name, key);
	return answer_check_shape(k, key, value, e);
}

static void add_object(struct engine *en, json_t *to, const char *key, const json_t *row,
		       int (*make)(struct store *, const json_t *, json_t **, struct error *))
{
	json_t *o;

	if (row && make(en->st, row, &o, NULL) == 0)
		json_object_set_new(to, key, o);
}

static bool hooks_want(struct call *c)
{
	struct hook_set *set = c->backend ? c->backend->hooks : NULL;
	const char *name = c->method->name;

	return set && c->method->kind == METHOD_HOOKED && !c->skip_hooks &&
	       (hook_set_wants(set, HOOK_PRE, name) || hook_set_wants(set, HOOK_POST, name) ||
		hook_set_wants(set, HOOK_ERROR, name));
}

/* Objects are taken now, since hooks of every phase see them as they were before the call. */
static void begin_hooks(struct engine *en, struct call *c)
{
	struct hook_call hc = { .func_name = c->method->name,
				.call_id = c->id,
				.tolerant = c->tolerant,
				.args = c->args,
				.objects = hook_objects,
				.result = hook_result,
				.check = hook_check,
				.data = c };

	if (!hooks_want(c))
		return;
	c->objects = json_object();
	add_object(en, c->objects, "share", c->share, object_share);
	add_object(en, c->objects, "snapshot", c->snapshot, object_snapshot);
	add_object(en, c->objects, "access", c->access, object_access);
	if (c->server)
		json_object_set_new(c->objects, "share_server", object_share_server(c->server));
	c->hook_context = call_context_json(c);
	c->hook_backend = backend_event_json(c->backend);
	hc.context = c->hook_context;
	hc.backend = c->hook_backend;
	c->hook_set = c->backend->hooks;
	c->hooks = hook_run_new(c->hook_set, &hc);
}

static void tell_error_hooks(struct call *c)
{
	if (c->hooks)
		hook_run_error(c->hooks, &c->err);
}

/* ---- outcome ---- */

static void set_phase(struct call *c, enum call_phase phase)
{
	atomic_store_explicit(&c->phase, phase, memory_order_release);
}

static void set_error(struct call *c, struct error *e, const char *phase)
{
	error_move(&c->err, e);
	if (!jsonx_get(c->err.data, "phase"))
		error_add(&c->err, "phase", json_string(phase));
	if (c->backend && !jsonx_get(c->err.data, "backend"))
		error_add(&c->err, "backend", json_string(c->backend->name));
	if (!jsonx_get(c->err.data, "call_id"))
		error_add(&c->err, "call_id", json_string(c->id));
	json_decref(c->answer);
	c->answer = NULL;
	c->result = -(c->err.err ? c->err.err : EINVAL);
}

/* The key of a cephx rule goes to an admin's answer only: after hooks, record and store. */
static void add_secret(struct engine *en, struct call *c)
{
	_cleanup_json_ json_t *row = NULL;
	const char *id = c->answer ? jsonx_str(c->answer, "id") : NULL, *key;

	if (!id || strcmp(c->method->result, "access_rule") != 0 ||
	    store_get(en->st, STORE_ACCESS_STATES, "access_id", id, &row, NULL) < 0)
		return;
	key = jsonx_str(row, "access_key");
	if (key) {
		json_t *with = json_copy(c->answer);

		json_object_set_new(with, "access_key", json_string(key));
		json_decref(c->answer);
		c->answer = with;
	}
}

static void answer_twins(struct engine *en, struct call *c)
{
	while (c->twins) {
		struct call *twin = c->twins;

		c->twins = twin->next;
		twin->next = NULL;
		if (c->result < 0) {
			_cleanup_json_ json_t *j = error_to_json(&c->err);

			error_from_json(j, &twin->err);
		} else {
			twin->answer = json_is_null(c->answer) || !c->answer ? NULL : json_deep_copy(c->answer);
		}
		twin->result = c->result;
		record_send(en, twin, false);
	}
}

/* To the loop: nothing of the call is touched here after that. */
static void send_back(struct engine *en, struct call *c)
{
	set_phase(c, CALL_DONE);
	log_context_clear();
	if (c->result == 0)
		add_secret(en, c);
	answer_twins(en, c);
	if (c->hooks)
		backend_show_hooks(en, c->backend);
	/* Here, since it leans on its hook set, which a reload may free before the loop frees the call. */
	hook_run_free(take_ptr(c->hooks));
	record_send(en, c, true);
}

/* A call that changed nothing: its record outlives the process, nothing more. */
static void end_unchanged(struct engine *en, struct call *c)
{
	record_end(c);
	record_store_only(en, c);
	/* A call that waits for this one is told why it was refused. */
	if (c->after_data)
		c->after(en, c);
	send_back(en, c);
}

/* ---- commits ---- */

/* It, and those whose long work goes on. */
static unsigned count_results(const struct engine *en)
{
	unsigned n = 1;

	for (const struct call *p = en->parked; p; p = p->next)
		n++;
	return n;
}

static int commit_intent(struct engine *en, struct call *c, struct error *e)
{
	bool frees = c->method->flags & METHOD_IF_PRESENT;
	int r;

	set_phase(c, CALL_STORE);
	if ((r = store_need_room(en->st, count_results(en), frees, e)) < 0 || (r = store_begin(en->st, e)) < 0)
		return r;
	if ((c->method->ops->intend && (r = c->method->ops->intend(en, c, e)) < 0) ||
	    (r = record_insert_intent(en, c, e)) < 0 || (r = store_commit(en->st, true, e)) < 0) {
		store_rollback(en->st);
		c->seq = 0;
		return r;
	}
	c->committed = true;
	return 0;
}

static int make_answer(struct engine *en, struct call *c, struct error *e)
{
	json_t *answer = NULL;
	int r = c->method->ops->answer ? c->method->ops->answer(en, c, &answer, e) : 0;

	if (r == 0) {
		json_decref(c->answer);
		c->answer = answer;
	}
	return r;
}

static int remake_answer(struct engine *en, struct call *c, struct error *e)
{
	call_forget_shown(c);
	return make_answer(en, c, e);
}

static bool wants_post(const struct call *c)
{
	return c->hooks && c->result == 0 && !c->dry_run && hook_set_wants(c->hook_set, HOOK_POST, c->method->name);
}

/* Its backend is not there, or the driver refused what was asked for: nothing was changed. */
static bool changed_nothing(const struct error *cause)
{
	if (cause->kind == ERR_BACKEND_DOWN)
		return true;
	return jsonx_get(cause->data, "param") &&
	       (cause->kind == ERR_INVALID_PARAMS || cause->kind == ERR_NOT_FOUND ||
		cause->kind == ERR_ALREADY_EXISTS || cause->kind == ERR_NOT_SUPPORTED);
}

/* Where nothing was changed the rows say so. Else the object has its error state. */
static int write_failure(struct engine *en, struct call *c, struct error *e)
{
	const struct call_ops *ops = c->method->ops;

	if (!changed_nothing(&c->err) || !ops->undo)
		return ops->fail ? ops->fail(en, c, &c->err, e) : 0;
	c->forgotten = true;
	return ops->undo(en, c, e);
}

static int write_result(struct engine *en, struct call *c, struct error *e)
{
	const struct call_ops *ops = c->method->ops;
	int r = 0;

	if (c->result == 0) {
		if (ops->settle && !c->dry_run && (r = ops->settle(en, c, e)) < 0)
			return r;
		if ((r = make_answer(en, c, e)) < 0)
			return r;
	} else if (c->committed && (r = write_failure(en, c, e)) < 0) {
		return r;
	}
	if (!wants_post(c))
		record_end(c);
	return record_write(en, c, wants_post(c) ? "post_hooks" : "done", e);
}

/* A write without hooks is one commit; with a request_id its outcome is kept as that of the others. */
static int keep_for_replay(struct engine *en, struct call *c, struct error *e)
{
	if (c->committed || c->result < 0 || c->method->kind != METHOD_WRITE)
		return 0;
	c->committed = true;
	return record_insert_intent(en, c, e);
}

/* The result's commit. Where the store fails the intent stays, the backend goes down, and its next init_host decides.
 */
static int commit_result(struct engine *en, struct call *c, struct error *e)
{
	int64_t seq = c->seq;
	int r;

	set_phase(c, CALL_STORE);
	if ((r = store_begin(en->st, e)) < 0)
		return r;
	if ((r = keep_for_replay(en, c, e)) < 0 || (r = write_result(en, c, e)) < 0 ||
	    (r = store_commit(en->st, true, e)) < 0) {
		store_rollback(en->st);
		c->seq = seq;
	}
	return r;
}

static void lose_result(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_free_ char *reason =
		xasprintf("the result of a %s could not be stored: %s", c->method->name, e->message);

	if (c->method->kind != METHOD_HOOKED) {
		c->committed = false;
		set_error(c, e, "store");
		return;
	}
	error_prefix(e, "the driver was called, and its result could not be stored; it is decided as soon as the store "
			"can be written");
	set_error(c, e, "store");
	if (c->backend && c->committed)
		backend_set_status(en, c->backend, BACKEND_DOWN, reason);
}

/* ---- the second half: result, post hooks, answer ---- */

static int amend(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	int r;

	if (!changed && c->result == 0) {
		record_end(c);
		return record_write_later(en, c, e);
	}
	if ((r = store_begin(en->st, e)) < 0)
		return r;
	if (changed && c->method->ops->amend && (r = c->method->ops->amend(en, c, changed, e)) < 0)
		goto failed;
	if (changed && (r = remake_answer(en, c, e)) < 0)
		goto failed;
	if (changed)
		record_amend_events(c);
	record_end(c);
	if ((r = record_write(en, c, "done", e)) < 0 || (r = store_commit(en->st, changed || c->result < 0, e)) < 0)
		goto failed;
	return 0;
failed:
	store_rollback(en->st);
	return r;
}

static void fail_post(struct call *c, struct error *e)
{
	json_t *object = c->answer ? json_incref(c->answer) : json_null();

	set_error(c, e, "post_hook");
	error_add(&c->err, "result", object);
}

static void run_post(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT, failure = ERROR_INIT;
	_cleanup_json_ json_t *changed = NULL, *kept = NULL;
	int r;

	set_phase(c, CALL_POST_HOOK);
	r = hook_run_post(c->hooks, c->results, &changed, &failure);
	set_phase(c, CALL_STORE);
	/* What the hooks before the failing one changed stands: the object in data.result shows it. */
	if (r < 0 && changed) {
		kept = json_incref(changed);
		if (store_begin(en->st, &e) < 0 ||
		    (c->method->ops->amend && c->method->ops->amend(en, c, kept, &e) < 0) ||
		    remake_answer(en, c, &e) < 0 || store_commit(en->st, true, &e) < 0) {
			store_rollback(en->st);
			log_error("what a post hook of %s changed could not be stored: %s", c->method->name, e.message);
			error_clear(&e);
		} else {
			record_amend_events(c);
		}
	}
	if (r < 0) {
		fail_post(c, &failure);
		tell_error_hooks(c);
	}
	if (amend(en, c, r < 0 ? NULL : changed, &e) < 0) {
		json_t *object = c->answer ? json_incref(c->answer) : json_null();

		log_error("the end of %s could not be stored: %s", c->method->name, e.message);
		en->lost_an_end = true;
		error_prefix(&e,
			     "what the driver did is done and stored, but the end of its hooks could not be stored");
		set_error(c, &e, "store");
		error_add(&c->err, "result", object);
	}
}

/* The intent stays as a crash would have left it: when the backend is back, its init_host finishes or undoes it. */
static void leave_open(struct engine *en, struct call *c)
{
	error_prefix(&c->err,
		     "the backend went away while it was at work, and what became of this %s is decided when "
		     "it is back",
		     c->method->name);
	tell_error_hooks(c);
	record_end(c);
	backend_forget_unneeded(en, c->backend);
	send_back(en, c);
}

static void call_complete(struct engine *en, struct call *c, int r, struct error *e)
{
	_cleanup_error_ struct error store_error = ERROR_INIT;

	if (r < 0)
		set_error(c, e, "driver");
	if (c->result < 0 && c->undecided && c->committed && !(c->method->flags & METHOD_UNDONE_AT_ONCE)) {
		leave_open(en, c);
		return;
	}
	if (!c->results)
		c->results = json_object();
	if (c->committed || c->method->kind == METHOD_HOOKED || c->method->ops->settle) {
		if (commit_result(en, c, &store_error) < 0) {
			lose_result(en, c, &store_error);
			record_end(c);
		}
	} else {
		if (c->result == 0 && make_answer(en, c, &store_error) < 0)
			set_error(c, &store_error, "store");
		record_end(c);
		if (c->method->kind != METHOD_QUEUED_READ)
			record_store_only(en, c);
	}
	if (c->result < 0 && c->hooks) {
		tell_error_hooks(c);
		record_add_hooks(en, c);
	} else if (wants_post(c)) {
		run_post(en, c);
	}
	if (c->after)
		c->after(en, c);
	if (c->backend)
		backend_forget_unneeded(en, c->backend);
	send_back(en, c);
}

/* ---- long work ---- */

static void answer_early(struct engine *en, struct call *c)
{
	struct call *stub;
	_cleanup_error_ struct error e = ERROR_INIT;

	if (c->wait || !c->conn)
		return;
	stub = call_new(c->method, c->origin);
	stub->conn = c->conn;
	stub->token = c->token;
	c->conn = 0;
	if (c->method->ops->answer && c->method->ops->answer(en, c, &stub->answer, &e) < 0) {
		set_error(stub, &e, "store");
	}
	record_send(en, stub, false);
}

static void park(struct engine *en, struct call *c)
{
	struct message *m = message_new(MSG_PARKED);

	set_phase(c, CALL_WORK);
	c->next = en->parked;
	en->parked = c;
	m->name = xstrdup(c->id);
	queue_push(en->out, m);
	answer_early(en, c);
	log_context_clear();
}

/* After the driver (r as backend_invoke's): more driver calls that need its answer, then the second half. */
static void drove(struct engine *en, struct call *c, int r, struct error *e)
{
	if (r == 1) {
		park(en, c);
		return;
	}
	if (r < 0 && c->method->ops->forgive)
		r = c->method->ops->forgive(en, c, r, e);
	if (r == 0 && c->method->ops->follow)
		r = c->method->ops->follow(en, c, e);
	call_complete(en, c, r, e);
}

static void report_progress_end(struct engine *en, struct call *c)
{
	const char *share = jsonx_str(c->share, "id");
	struct message *m = message_new(MSG_PROGRESS);

	m->name = xstrdup(c->object_id ? c->object_id : "");
	queue_push(en->out, m);
	if (share && c->object_id && strcmp(share, c->object_id) != 0) {
		m = message_new(MSG_PROGRESS);
		m->name = xstrdup(share);
		queue_push(en->out, m);
	}
}

void call_resume(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	int r;

	log_context(LOG_CALL, c->id);
	log_context(LOG_BACKEND, c->backend ? c->backend->name : NULL);
	log_context(LOG_OBJECT, c->object_id);
	report_progress_end(en, c);
	json_decref(c->results);
	c->results = NULL;
	r = backend_finish(en, c->backend, c, &c->results, &e);
	if (!c->method) { /* the daemon's own measuring */
		c->after(en, c);
		backend_forget_unneeded(en, c->backend);
		log_context_clear();
		call_end_own(en, c);
		return;
	}
	drove(en, c, r, &e);
}

/* ---- the first half ---- */

static int same_request(const struct call *c, const json_t *row)
{
	_cleanup_free_ char *a = jsonx_canonical(c->params);
	_cleanup_free_ char *b = jsonx_canonical(jsonx_get(row, "request"));

	const char *method = jsonx_str(row, "method"), *as = c->method->taken_as;

	return (strcmp(c->method->name, method) == 0 || (as && strcmp(as, method) == 0)) && strcmp(a, b) == 0;
}

static struct call *find_parked(struct engine *en, const char *id)
{
	for (struct call *p = en->parked; p; p = p->next)
		if (strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

static int refuse_replay(struct call *c, enum error_kind kind, const char *text)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	error_set(&e, kind, EEXIST, "%s", text);
	error_add(&e, "param", json_string("request_id"));
	set_error(c, &e, "check");
	return 1;
}

static int replay_outcome(struct call *c, const json_t *row)
{
	const json_t *outcome = jsonx_get(row, "outcome");
	json_t *error = jsonx_get(outcome, "error");

	c->replayed = true;
	if (error) {
		if (error_from_json(error, &c->err) < 0)
			return refuse_replay(c, ERR_INTERNAL,
					     "the store holds no outcome of the call with this request_id that can be "
					     "read: look what became of it, and take a new one");
		c->result = -EINVAL;
	} else {
		json_t *result = jsonx_get(outcome, "result");

		c->answer = result ? json_incref(result) : NULL;
	}
	return 1;
}

/* 0: a new call. 1: answered. 2: waits for its twin, and is not ours any more. */
static int replay(struct engine *en, struct call *c)
{
	_cleanup_json_ json_t *row = NULL;
	char uid[24];
	struct call *twin;

	if (!c->request_id || !c->who.known)
		return 0;
	snprintf(uid, sizeof uid, "%u", (unsigned)c->who.uid);
	if (store_get2(en->st, STORE_CALLS, "uid", uid, "request_id", c->request_id, &row, NULL) < 0)
		return 0;
	if (!same_request(c, row))
		return refuse_replay(c, ERR_ALREADY_EXISTS,
				     "this request_id was used for another call: take a new one");
	if (jsonx_get(row, "outcome"))
		return replay_outcome(c, row);
	twin = find_parked(en, jsonx_str(row, "id"));
	if (!twin)
		return refuse_replay(c, ERR_BUSY,
				     "the call with this request_id was cut off and is decided when its backend is up: "
				     "try again then");
	c->next = twin->twins;
	twin->twins = c;
	return 2;
}

static int check_slots(const struct call *c, struct error *e)
{
	if (!c->backend)
		return 0;
	for (const char *const *s = c->method->slots; s && *s; s++)
		if (c->backend->ops && !backend_has_slot(c->backend, *s))
			return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
					 "driver %s of backend \"%s\" cannot do %s: it has no %s", c->backend->driver,
					 c->backend->name, c->method->name, *s);
	if (c->method->kind != METHOD_HOOKED || (c->method->flags & METHOD_ANY_BACKEND_STATE))
		return 0;
	/* Force goes on past a backend that is gone, too: what stays there is an orphan. It does not go past hooks that
	 * could not be made. */
	if (!jsonx_bool(c->params, "force") || (c->backend->state && !c->backend->hooks && !c->skip_hooks))
		return backend_need_up(c->backend, e);
	return 0;
}

static int resolve(struct engine *en, struct call *c, struct error *e)
{
	int r;

	set_phase(c, CALL_CHECK);
	if (c->method->ops->resolve && (r = c->method->ops->resolve(en, c, e)) < 0) {
		/* What is not known is not offered; that is no reason to say that it cannot be done. */
		if (e->kind == ERR_NOT_SUPPORTED && c->backend && c->backend->status == BACKEND_UP &&
		    !c->backend->capabilities)
			return backend_need_known(c->backend, e);
		return r;
	}
	if (c->answered)
		return 0;
	if ((r = check_slots(c, e)) < 0)
		return r;
	if (!c->args)
		c->args = json_copy(c->params);
	return 0;
}

static int pre_hooks(struct engine *en, struct call *c, struct error *e)
{
	if (c->skip_hooks) {
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_HOOKS_SKIPPED, "%s runs without hooks: asked for by uid %u",
			 c->method->name, (unsigned)c->who.uid);
		call_event(c, "hooks.skipped", jsonx_pack("{s:s}", "method", c->method->name));
	}
	begin_hooks(en, c);
	if (!c->hooks)
		return 0;
	set_phase(c, CALL_PRE_HOOK);
	return hook_run_pre(c->hooks, e);
}

static void vetoed(struct engine *en, struct call *c, struct error *e)
{
	set_error(c, e, "pre_hook");
	call_event(c, c->err.kind == ERR_VETOED ? "call.vetoed" : "call.pre_hook_failed",
		   jsonx_pack("{s:s,s:s}", "method", c->method->name, "message", c->err.message));
	tell_error_hooks(c);
	end_unchanged(en, c);
}

static void start(struct engine *en, struct call *c)
{
	c->started = text_monotonic();
	text_now(c->started_at);
	requester_find_names(&c->who);
	log_context_clear();
	log_context(LOG_CALL, c->id);
	/* A full store may have room again. */
	if (en->lost_an_end)
		en->lost_an_end = record_mark_interrupted(en, NULL) < 0;
	if (++en->calls_since_prune >= 500) {
		en->calls_since_prune = 0;
		store_prune(en->st, NULL);
	}
}

static bool needs_intent(const struct call *c)
{
	return c->method->kind == METHOD_HOOKED && !(c->method->flags & METHOD_NO_INTENT) && !c->dry_run;
}

/* Top to bottom, this is what a call goes through; call_complete is its end. */
void call_run(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	int r;

	start(en, c);
	r = replay(en, c);
	if (r == 2)
		return;
	if (r == 1) {
		send_back(en, c);
		return;
	}
	if (resolve(en, c, &e) < 0) {
		set_error(c, &e, "check");
		end_unchanged(en, c);
		return;
	}
	log_context(LOG_BACKEND, c->backend ? c->backend->name : NULL);
	log_context(LOG_OBJECT, c->object_id);
	if (c->answered) {
		end_unchanged(en, c);
		return;
	}
	if (pre_hooks(en, c, &e) < 0) {
		vetoed(en, c, &e);
		return;
	}
	if (needs_intent(c) && commit_intent(en, c, &e) < 0) {
		set_error(c, &e, "store");
		tell_error_hooks(c);
		end_unchanged(en, c);
		return;
	}
	set_phase(c, CALL_DRIVER);
	drove(en, c, c->method->ops->drive ? c->method->ops->drive(en, c, &e) : 0, &e);
}

void call_go_on(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	requester_find_names(&c->who);
	call_announce(en, c);
	c->started = text_monotonic();
	log_context(LOG_CALL, c->id);
	log_context(LOG_BACKEND, c->backend->name);
	log_context(LOG_OBJECT, c->object_id);
	begin_hooks(en, c);
	set_phase(c, CALL_DRIVER);
	drove(en, c, c->method->ops->drive(en, c, &e), &e);
}

void call_run_nested(struct engine *en, struct call *parent, struct call *c)
{
	snprintf(c->parent, sizeof c->parent, "%s", parent->id);
	c->tolerant = parent->tolerant;
	c->skip_hooks = parent->skip_hooks;
	requester_copy(&c->who, &parent->who);
	call_announce(en, c);
	call_run(en, c);
	log_context(LOG_CALL, parent->id);
	log_context(LOG_BACKEND, parent->backend ? parent->backend->name : NULL);
}

void call_refuse(struct engine *en, struct call *c, enum error_kind kind, const char *text)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	error_set(&e, kind, ESHUTDOWN, "%s", text);
	set_error(c, &e, "check");
	send_back(en, c);
}
