#include "daemon/events.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/event_types.h"
#include "daemon/methods.h"
#include "daemon/server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BATCH 50
/* One subscriber that catches up gives way to others after this. */
#define TURN_SECONDS 0.005
/* A subscriber that took nothing for so long does not read. */
#define STUCK_SECONDS 30.0

struct subscription {
	json_t *types; /* NULL: all */
	int64_t seq;   /* the last that it got, or did not want */
};

void subscription_free(struct subscription *s)
{
	if (!s)
		return;
	json_decref(s->types);
	free(s);
}

static bool wants(const struct subscription *s, const char *type)
{
	size_t i;
	json_t *t;

	if (!s->types)
		return true;
	json_array_foreach(s->types, i, t) {
		if (event_type_fits(json_string_value(t), type))
			return true;
	}
	return false;
}

static void send_event(struct conn *c, const json_t *row)
{
	static const char *const shown[] = { "seq", "time", "type", "object", "call_id", "uid", NULL };
	json_t *params = json_object();
	_cleanup_json_ json_t *j = jsonx_pack("{s:s,s:s,s:o}", "jsonrpc", "2.0", "method", "event", "params", params);

	for (const char *const *k = shown; *k; k++) {
		json_t *v = json_object_get(row, *k);

		json_object_set_new(params, *k, v ? json_incref(v) : json_null());
	}
	conn_send(c, j);
}

/* The oldest that is kept, or 0. */
static int64_t oldest(struct service *s)
{
	_cleanup_json_ json_t *rows = NULL;

	if (store_select(s->st, STORE_EVENTS, &(struct store_query){ .limit = 1 }, &rows, NULL) < 0)
		return 0;
	return jsonx_int(json_array_get(rows, 0), "seq");
}

/* false: nothing more to send now. */
static bool pump_some(struct service *s, struct conn *c, struct subscription *sub)
{
	_cleanup_json_ json_t *rows = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	size_t i;
	json_t *row;

	if (store_select(s->st, STORE_EVENTS, &(struct store_query){ .after = sub->seq, .limit = BATCH }, &rows, &e) <
	    0) {
		log_error("events cannot be read: %s", e.message);
		return false;
	}
	json_array_foreach(rows, i, row) {
		int64_t seq = jsonx_int(row, "seq");

		if (seq > s->told || !conn_takes_more(c))
			return false;
		if (seq != sub->seq + 1) {
			conn_drop_slow(c,
				       oldest(s) > sub->seq + 1
					       ? "it read its events so slowly that they are not all kept any more"
					       : "an event that comes next is not in the store, whose file is damaged");
			return false;
		}
		sub->seq = seq;
		if (wants(sub, jsonx_str(row, "type")))
			send_event(c, row);
	}
	return json_array_size(rows) == BATCH;
}

static void pump_soon(struct service *s)
{
	event_active(s->pump, EV_TIMEOUT, 0);
}

void events_pump(struct service *s, struct conn *c)
{
	struct subscription *sub = *conn_subscription(c);
	double until = text_monotonic() + TURN_SECONDS;

	if (!sub || conn_drop_if_gone(c))
		return;
	if (conn_stuck_seconds(c) > STUCK_SECONDS) {
		conn_drop_slow(c, "it subscribed to events and does not read them");
		return;
	}
	conn_enter(c);
	while (pump_some(s, c, sub))
		if (text_monotonic() > until) {
			pump_soon(s);
			break;
		}
	conn_leave(c);
}

void events_pump_all(struct service *s)
{
	struct conn *next;

	for (struct conn *c = server_next(s->server, NULL); c; c = next) {
		next = server_next(s->server, c);
		events_pump(s, c);
	}
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval a_while = { .tv_sec = 10 };
	struct service *s = arg;

	(void)fd;
	(void)what;
	events_pump_all(s);
	/* Now and then also for those who do not read, or have gone: they are found and dropped. */
	event_add(s->pump, &a_while);
}

void events_begin(struct service *s)
{
	s->pump = evtimer_new(s->base, on_pump, s);
}

static int check_since(struct service *s, int64_t since, struct error *e)
{
	int64_t first = oldest(s), last = s->told;

	if (since > last)
		return error_param(e, "since", "since must not be above the last event, %" PRId64, last);
	if (first == 0 || since >= first - 1)
		return 0;
	error_set(e, ERR_LIMIT, ERANGE,
		  "events after %" PRId64 " are not all kept: the oldest is %" PRId64
		  ", so look at the objects anew and subscribe from there",
		  since, first);
	error_add(e, "param", json_string("since"));
	error_add(e, "limit", json_integer(first));
	return -ERANGE;
}

static int check_types(const json_t *types, struct error *e)
{
	size_t i;
	json_t *t;

	json_array_foreach(types, i, t) {
		if (!event_type_is_known(json_string_value(t)))
			return error_param(e, "types",
					   "there is no event of type \"%s\": rpc.discover lists them under x-events",
					   json_string_value(t));
	}
	return 0;
}

int read_subscribe(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	struct subscription **slot = conn_subscription(rd->conn), *sub;
	json_t *since = jsonx_get(params, "since"), *types = jsonx_get(params, "types");
	int64_t last = rd->service->told;
	int r;

	if (types && (r = check_types(types, e)) < 0)
		return r;
	if (since && (r = check_since(rd->service, json_integer_value(since), e)) < 0)
		return r;
	sub = xcalloc(1, sizeof *sub);
	sub->types = types ? json_deep_copy(types) : NULL;
	sub->seq = since ? json_integer_value(since) : last;
	subscription_free(*slot);
	*slot = sub;
	*ret = jsonx_pack("{s:I}", "seq", (json_int_t)last);
	/* What was asked for by `since` follows the answer. */
	pump_soon(rd->service);
	return 0;
}
