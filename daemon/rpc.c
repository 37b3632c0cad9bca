#include "daemon/rpc.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/reply.h"
#include "daemon/submit.h"

#include <errno.h>
#include <string.h>

/* A batch gives way to others after this. */
#define TURN_SECONDS 0.005

/* Entries run one after another; the answers leave together. */
struct batch {
	json_t *entries, *answers;
	size_t next, bytes; /* of the answers so far */
};

/* A call under way, and what its answer needs. */
struct pending {
	struct pending *next;
	uint64_t token;
	json_t *id; /* NULL: a notification */
	struct batch *batch;
};

static uint64_t last_token;

static void batch_free(struct batch *b)
{
	if (!b)
		return;
	json_decref(b->entries);
	json_decref(b->answers);
	free(b);
}

static void pending_free(struct pending *p)
{
	json_decref(p->id);
	free(p);
}

void rpc_forget(struct pending *list)
{
	while (list) {
		struct pending *next = list->next;

		batch_free(list->batch);
		pending_free(list);
		list = next;
	}
}

/* ---- answers ---- */

/* Takes the answer: to the client, or to the others of its batch. */
static void deliver(struct conn *c, struct batch *b, json_t *answer)
{
	if (!answer)
		return;
	if (b) {
		b->bytes += jsonx_size(answer);
		json_array_append_new(b->answers, answer);
		return;
	}
	conn_send(c, answer);
	json_decref(answer);
}

static void deliver_error(struct conn *c, struct batch *b, const json_t *id, bool is_notification,
			  const struct error *e)
{
	if (!is_notification)
		deliver(c, b, reply_error(id, e));
}

static struct pending *take_pending(struct conn *conn, uint64_t token)
{
	for (struct pending **p = conn_pending(conn); *p; p = &(*p)->next)
		if ((*p)->token == token) {
			struct pending *found = *p;

			*p = found->next;
			return found;
		}
	return NULL;
}

/* ---- one request ---- */

static int check_request(const json_t *req, const json_t **ret_id, bool *ret_notification, struct error *e)
{
	const json_t *id = json_object_get(req, "id"), *version = json_object_get(req, "jsonrpc");

	*ret_notification = false;
	if (!json_is_object(req))
		return error_set(e, ERR_INVALID_REQUEST, EINVAL,
				 "a request must be an object with jsonrpc, method, params and id");
	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return error_set(e, ERR_INVALID_REQUEST, EINVAL, "id must be a string, a number or null");
	*ret_id = id;
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return error_set(e, ERR_INVALID_REQUEST, EINVAL, "jsonrpc must be \"2.0\"");
	if (!jsonx_str(req, "method"))
		return error_set(e, ERR_INVALID_REQUEST, EINVAL, "method must be a string");
	if (json_object_get(req, "params") && !json_is_object(json_object_get(req, "params")) &&
	    !json_is_array(json_object_get(req, "params")))
		return error_set(e, ERR_INVALID_REQUEST, EINVAL, "params must be an object");
	*ret_notification = id == NULL;
	return 0;
}

static int may_call(const struct method *m, const struct conn *c, struct error *e)
{
	bool reads = m->kind == METHOD_READ || m->kind == METHOD_QUEUED_READ;

	if (conn_role(c) != ROLE_ADMIN && (!reads || (m->flags & METHOD_ADMIN)))
		return error_set(e, ERR_PERMISSION_DENIED, EPERM,
				 "%s is for admins: ask to be put into one of admin_groups", m->name);
	if (m->kind != METHOD_READ && conn_is_below_us(c))
		return error_set(e, ERR_WOULD_DEADLOCK, EDEADLK,
				 "%s comes from a hook, and changes wait until hooks are through: call it when the "
				 "hook has ended",
				 m->name);
	return 0;
}

/* The members that are no parameter of the method's own leave params and become the call's. */
static int take_common(struct call *c, json_t *params, const struct conn *conn, struct error *e)
{
	const char *request_id = jsonx_str(params, "request_id");

	c->request_id = xstrdup(request_id);
	c->skip_hooks = jsonx_bool(params, "skip_hooks");
	c->if_absent = jsonx_bool(params, "if_absent");
	c->if_present = jsonx_bool(params, "if_present");
	c->wait = !json_is_false(json_object_get(params, "wait"));
	for (const struct param *p = method_common_params(); p->name; p++)
		json_object_del(params, p->name);
	if (c->skip_hooks && conn_who(conn)->uid != 0) {
		error_set(e, ERR_PERMISSION_DENIED, EPERM, "skip_hooks is for root");
		error_add(e, "param", json_string("skip_hooks"));
		return -EPERM;
	}
	return 0;
}

static void remember(struct conn *conn, struct call *c, const json_t *id, struct batch *b)
{
	struct pending *p = xcalloc(1, sizeof *p), **list = conn_pending(conn);

	p->token = ++last_token;
	p->id = id ? json_incref((json_t *)id) : NULL;
	p->batch = b;
	p->next = *list;
	*list = p;
	c->conn = conn_id(conn);
	c->token = p->token;
}

/* 1: under way. Negative: refused. Takes params: they go to the other thread. */
static int start_call(struct service *s, struct conn *conn, const struct method *m, json_t *params, const json_t *id,
		      struct batch *b, struct error *e)
{
	struct call *c = call_new(m, HOOK_ORIGIN_CLIENT);
	int r = take_common(c, params, conn, e);

	c->params = params;
	requester_copy(&c->who, conn_who(conn));
	if (r == 0) {
		remember(conn, c, id, b);
		r = service_submit(s, c, e);
	}
	if (r < 0) {
		struct pending **list = conn_pending(conn), *p = *list;

		if (p && p->token == c->token && c->token) {
			*list = p->next;
			pending_free(p);
		}
		call_free(c);
		return r;
	}
	return 1;
}

/* One state of the store for the whole answer, whatever the call thread commits meanwhile. */
static int read_at_once(const struct method *m, struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	int r = store_begin(rd->service->st, e);

	if (r < 0)
		return r;
	r = m->read(rd, params, ret, e);
	store_rollback(rd->service->st);
	return r;
}

static int dispatch(struct service *s, struct conn *conn, const json_t *req, const json_t *id, struct batch *b,
		    json_t **ret, struct error *e)
{
	const char *name = jsonx_str(req, "method");
	const struct method *m = method_find(name);
	_cleanup_json_ json_t *params = NULL;
	struct reader rd = { .service = s, .conn = conn, .role = conn_role(conn) };
	int r;

	if (!m) {
		error_set(e, ERR_METHOD_NOT_FOUND, ENOSYS, "there is no method \"%s\": rpc.discover lists them", name);
		return -ENOSYS;
	}
	if ((r = may_call(m, conn, e)) < 0 || (r = params_check(m, json_object_get(req, "params"), &params, e)) < 0)
		return r;
	if (m->kind == METHOD_READ)
		return read_at_once(m, &rd, params, ret, e);
	return start_call(s, conn, m, take_ptr(params), id, b, e);
}

/* true: answered, or nothing to answer. false: under way. */
static bool run_request(struct service *s, struct conn *conn, const json_t *req, struct batch *b)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const json_t *id = NULL;
	bool notification = false;
	json_t *result = NULL;
	int r = check_request(req, &id, &notification, &e);

	if (r == 0)
		r = dispatch(s, conn, req, id, b, &result, &e);
	if (r == 1)
		return false;
	if (r < 0)
		deliver_error(conn, b, id, notification, &e);
	else if (!notification)
		deliver(conn, b, reply_result(id, result));
	else
		json_decref(result);
	return true;
}

/* ---- batches ---- */

/* Answers are kept until the last one, so together they may not grow without bound. */
static bool refuse_large(struct service *s, struct conn *conn, struct batch *b, const json_t *req)
{
	size_t most = settings_size(conf_top(s->conf), "max_unsent_bytes");
	_cleanup_error_ struct error e = ERROR_INIT;
	const json_t *id = NULL;
	bool notification = false;

	if (b->bytes <= most)
		return false;
	if (check_request(req, &id, &notification, &e) == 0) {
		error_set(&e, ERR_LIMIT, E2BIG,
			  "the answers of this batch have more than %zu bytes (max_unsent_bytes): send several batches",
			  most);
		error_add(&e, "limit", json_integer((json_int_t)most));
	}
	deliver_error(conn, b, id, notification, &e);
	return true;
}

static void step_batch(struct service *s, struct conn *conn, struct batch *b);

/* The rest of a batch, after others had their turn. */
struct turn {
	struct service *service;
	uint64_t conn, token;
};

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct turn *t = arg;
	struct conn *conn = server_find(t->service->server, t->conn);
	struct pending *p = conn ? take_pending(conn, t->token) : NULL;

	(void)fd;
	(void)what;
	if (p) {
		conn_enter(conn);
		step_batch(t->service, conn, p->batch);
		pending_free(p);
		conn_leave(conn);
	}
	free(t);
}

static void wait_for_turn(struct service *s, struct conn *conn, struct batch *b)
{
	static const struct timeval now = { 0 };
	struct pending *p = xcalloc(1, sizeof *p), **list = conn_pending(conn);
	struct turn *t = xcalloc(1, sizeof *t);

	p->token = ++last_token;
	p->batch = b;
	p->next = *list;
	*list = p;
	*t = (struct turn){ .service = s, .conn = conn_id(conn), .token = p->token };
	event_base_once(s->base, -1, EV_TIMEOUT, on_turn, t, &now);
}

static void step_batch(struct service *s, struct conn *conn, struct batch *b)
{
	double until = text_monotonic() + TURN_SECONDS;

	while (b->next < json_array_size(b->entries)) {
		const json_t *req = json_array_get(b->entries, b->next);

		if (text_monotonic() > until) {
			wait_for_turn(s, conn, b);
			return;
		}
		b->next++;
		if (!refuse_large(s, conn, b, req) && !run_request(s, conn, req, b))
			return;
	}
	if (json_array_size(b->answers))
		conn_send(conn, b->answers);
	batch_free(b);
}

static int check_batch(struct service *s, const json_t *entries, struct error *e)
{
	size_t most = (size_t)settings_int(conf_top(s->conf), "max_batch_entries");

	if (json_array_size(entries) == 0)
		return error_set(e, ERR_INVALID_REQUEST, EINVAL, "an empty batch asks for nothing");
	if (json_array_size(entries) <= most)
		return 0;
	error_set(e, ERR_INVALID_REQUEST, E2BIG, "a batch may have %zu entries (max_batch_entries): send several",
		  most);
	error_add(e, "limit", json_integer((json_int_t)most));
	return -E2BIG;
}

void rpc_line(struct service *s, struct conn *conn, const char *line, size_t len)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;
	size_t depth = (size_t)settings_int(conf_top(s->conf), "max_request_depth");
	struct batch *b;

	if (strspn(line, " \t\r") == len)
		return;
	if (jsonx_parse(line, len, depth, &j, &e) < 0 || (json_is_array(j) && check_batch(s, j, &e) < 0)) {
		deliver_error(conn, NULL, NULL, false, &e);
		return;
	}
	if (!json_is_array(j)) {
		run_request(s, conn, j, NULL);
		return;
	}
	b = xcalloc(1, sizeof *b);
	b->entries = take_ptr(j);
	b->answers = json_array();
	step_batch(s, conn, b);
}

/* ---- a call that came back ---- */

static json_t *answer_of(const struct pending *p, struct call *c)
{
	if (!p->id)
		return NULL;
	if (c->result < 0)
		return reply_error(p->id, &c->err);
	return reply_result(p->id, take_ptr(c->answer));
}

void rpc_answer(struct service *s, struct call *c)
{
	struct conn *conn = c->conn ? server_find(s->server, c->conn) : NULL;
	struct pending *p = conn ? take_pending(conn, c->token) : NULL;

	if (!p)
		return;
	conn_enter(conn);
	deliver(conn, p->batch, answer_of(p, c));
	if (p->batch)
		step_batch(s, conn, p->batch);
	pending_free(p);
	conn_leave(conn);
}
