/* The methods that the loop answers, from its own reading store and the view. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/methods.h"
#include "daemon/objects.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/view.h"
#include "drivers/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ---- */

static int parse_cursor(const json_t *params, int64_t *ret, struct error *e)
{
	const char *after = jsonx_str(params, "after");
	char *end;

	*ret = 0;
	if (!after)
		return 0;
	errno = 0;
	*ret = strtoll(after, &end, 10);
	if (errno || *end || end == after || *ret < 0)
		return error_param(e, "after", "after must be the `next` of an answer to the same method");
	return 0;
}

static json_t *page(const char *member, json_t *list, bool more, int64_t next)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, next);
	return jsonx_pack("{s:o,s:o}", member, list, "next", more ? json_string(text) : json_null());
}

/* A page ends after so many bytes, and before `limit`, so that one answer does not grow without bound. */
#define PAGE_BYTES (1024 * 1024)
/* Rows are read in small lots, since each may be large. */
#define LOT 32

struct page {
	json_t *list;
	size_t limit, bytes;
};

/* An entry always fits an empty page. */
static bool page_takes(const struct page *p)
{
	size_t n = json_array_size(p->list);

	return n == 0 || (n < p->limit && p->bytes < PAGE_BYTES);
}

static void page_add(struct page *p, json_t *entry)
{
	p->bytes += jsonx_size(entry);
	json_array_append_new(p->list, entry);
}

typedef int make_object(struct reader *rd, const json_t *row, json_t **ret, struct error *e);

/* Of one lot; 1: the page is full, and more is there. */
static int add_rows(struct reader *rd, struct page *p, make_object *make, const json_t *rows, int64_t *last,
		    struct error *e)
{
	json_t *row, *o;
	size_t i;
	int r;

	json_array_foreach(rows, i, row) {
		if (!page_takes(p))
			return 1;
		o = NULL;
		if ((r = make(rd, row, &o, e)) < 0)
			return r;
		if (o)
			page_add(p, o);
		*last = jsonx_int(row, "seq");
	}
	return 0;
}

static int fill_page(struct reader *rd, enum store_table t, const json_t *where, make_object *make, int64_t after,
		     struct page *p, int64_t *ret_last, struct error *e)
{
	*ret_last = after;
	for (;;) {
		struct store_query q = { .where = where, .after = *ret_last, .limit = LOT };
		_cleanup_json_ json_t *rows = NULL;
		int r = store_select(rd->service->st, t, &q, &rows, e);

		if (r < 0 || (r = add_rows(rd, p, make, rows, ret_last, e)) != 0)
			return r;
		if (json_array_size(rows) < LOT)
			return 0;
	}
}

/* Rows of a table as objects, one page of them. */
static int list_rows(struct reader *rd, enum store_table t, const char *member, json_t *where, make_object *make,
		     const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *list = json_array(), *w = where;
	struct page p = { .list = list, .limit = (size_t)jsonx_int(params, "limit") };
	int64_t after, last;
	int r;

	if ((r = parse_cursor(params, &after, e)) < 0 || (r = fill_page(rd, t, w, make, after, &p, &last, e)) < 0)
		return r;
	*ret = page(member, take_ptr(list), r == 1, last);
	return 0;
}

/* Entries of a list in memory; the cursor is a place in it. Takes the list. */
static int page_list(const char *member, json_t *all, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *list = all, *part = json_array();
	struct page p = { .list = part, .limit = (size_t)jsonx_int(params, "limit") };
	size_t n = json_array_size(list), i;
	int64_t from;
	int r = parse_cursor(params, &from, e);

	if (r < 0)
		return r;
	for (i = (uint64_t)from < n ? (size_t)from : n; i < n && page_takes(&p); i++)
		page_add(&p, json_incref(json_array_get(list, i)));
	*ret = page(member, take_ptr(part), i < n, (int64_t)i);
	return 0;
}

/* ---- shares ---- */

static int make_share(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	int r = object_share(rd->service->st, row, ret, e);

	if (r == 0)
		view_fill_progress(rd->service->view, *ret);
	return r;
}

static int make_share_of_instance(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *share = NULL;
	const char *state = jsonx_str(row, "replica_state");
	int r;

	/* A share is where its active replica is. */
	if (state && strcmp(state, "active") != 0)
		return 0;
	r = object_find_share(rd->service->st, jsonx_str(row, "share_id"), "share", &share, e);
	return r < 0 ? r : make_share(rd, share, ret, e);
}

static int need_backend(struct reader *rd, const char *name, struct error *e)
{
	if (view_backend(rd->service->view, name))
		return 0;
	error_set(e, ERR_NOT_FOUND, ENOENT, "there is no backend \"%s\": list_backends shows those of the conf file",
		  name);
	error_add(e, "param", json_string("backend"));
	error_add(e, "backend", json_string(name));
	return -ENOENT;
}

int read_list_shares(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *backend = jsonx_str(params, "backend"), *status = jsonx_str(params, "status");
	json_t *where;
	int r;

	if (!backend && !status)
		return list_rows(rd, STORE_SHARES, "shares", NULL, make_share, params, ret, e);
	if (backend && (r = need_backend(rd, backend, e)) < 0)
		return r;
	where = json_object();
	if (backend)
		json_object_set_new(where, "backend", json_string(backend));
	if (status)
		json_object_set_new(where, "status", json_string(status));
	return list_rows(rd, STORE_INSTANCES, "shares", where, make_share_of_instance, params, ret, e);
}

int read_get_share(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r = object_find_share(rd->service->st, jsonx_str(params, "share"), "share", &row, e);

	return r < 0 ? r : make_share(rd, row, ret, e);
}

/* {"share_id": ..} when the call names a share, else NULL. */
static int where_share(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *ref = jsonx_str(params, "share");
	_cleanup_json_ json_t *row = NULL;
	int r;

	*ret = NULL;
	if (!ref)
		return 0;
	r = object_find_share(rd->service->st, ref, "share", &row, e);
	if (r == 0)
		*ret = jsonx_pack("{s:O}", "share_id", json_object_get(row, "id"));
	return r;
}

static int make_snapshot(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	int r = object_snapshot(rd->service->st, row, ret, e);

	if (r == 0)
		view_fill_progress(rd->service->view, *ret);
	return r;
}

int read_list_snapshots(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	json_t *where;
	int r = where_share(rd, params, &where, e);

	return r < 0 ? r : list_rows(rd, STORE_SNAPSHOTS, "snapshots", where, make_snapshot, params, ret, e);
}

int read_get_snapshot(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r = object_find_snapshot(rd->service->st, jsonx_str(params, "snapshot"), "snapshot", &row, e);

	return r < 0 ? r : make_snapshot(rd, row, ret, e);
}

/* An admin sees the key of a cephx rule. */
static int make_rule(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	int r = object_access(rd->service->st, row, ret, e);
	const char *key;

	if (r < 0 || rd->role != ROLE_ADMIN || strcmp(jsonx_str(row, "access_type"), "cephx") != 0 ||
	    store_get(rd->service->st, STORE_ACCESS_STATES, "access_id", jsonx_str(row, "id"), &state, NULL) < 0)
		return r;
	key = jsonx_str(state, "access_key");
	if (key)
		json_object_set_new(*ret, "access_key", json_string(key));
	return 0;
}

int read_list_access_rules(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *to = jsonx_str(params, "access_to");
	_cleanup_free_ char *canonical = NULL;
	json_t *where;
	int r = where_share(rd, params, &where, e);

	if (r < 0)
		return r;
	if (to && !where)
		where = json_object();
	/* An address in any of its forms. */
	if (to && access_canonical("ip", to, &canonical, NULL) < 0)
		canonical = xstrdup(to);
	if (to)
		json_object_set_new(where, "canonical", json_string(canonical));
	return list_rows(rd, STORE_ACCESS_RULES, "access_rules", where, make_rule, params, ret, e);
}

static int make_replica(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	(void)e;
	*ret = object_instance(row);
	view_fill_progress(rd->service->view, *ret);
	return 0;
}

/* Instances of shares that are not replicated are no replicas. */
int read_list_replicas(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL, *w = NULL;
	json_t *where, *row, *list;
	size_t i;
	int r = where_share(rd, params, &where, e);

	if (r < 0)
		return r;
	w = where;
	if ((r = store_select(rd->service->st, STORE_INSTANCES, &(struct store_query){ .where = w }, &rows, e)) < 0)
		return r;
	list = json_array();
	json_array_foreach(rows, i, row) {
		json_t *o = NULL;

		if (jsonx_get(row, "replica_state") && make_replica(rd, row, &o, e) == 0)
			json_array_append_new(list, o);
	}
	return page_list("replicas", list, params, ret, e);
}

static int make_server(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	(void)rd;
	(void)e;
	*ret = object_share_server(row);
	return 0;
}

int read_list_share_servers(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	return list_rows(rd, STORE_SHARE_SERVERS, "share_servers", NULL, make_server, params, ret, e);
}

int read_list_share_networks(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	json_t *list = json_array();
	size_t n, n_addresses;
	const struct conf_section *s = conf_networks(rd->service->conf, &n);

	for (size_t i = 0; i < n; i++) {
		const char *const *a = settings_list(s[i].settings, "addresses", &n_addresses);
		const char *gateway = settings_string(s[i].settings, "gateway");
		json_t *addresses = json_array();

		for (size_t k = 0; k < n_addresses; k++)
			json_array_append_new(addresses, jsonx_string(a[k]));
		json_array_append_new(list,
				      jsonx_pack("{s:s,s:o,s:o,s:o}", "name", s[i].title, "bridge",
						 jsonx_string(settings_string(s[i].settings, "bridge")), "addresses",
						 addresses, "gateway", jsonx_string(*gateway ? gateway : NULL)));
	}
	return page_list("share_networks", list, params, ret, e);
}

/* ---- backends and hooks ---- */

int read_list_backends(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	json_t *list = json_array(), *b;
	const char *name;

	json_object_foreach(view_backends(rd->service->view), name, b)
		json_array_append(list, b);
	return page_list("backends", list, params, ret, e);
}

int read_get_backend(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *name = jsonx_str(params, "backend");
	int r = need_backend(rd, name, e);

	if (r == 0)
		*ret = json_incref(view_backend(rd->service->view, name));
	return r;
}

int read_list_hooks(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *only = jsonx_str(params, "backend"), *name;
	_cleanup_json_ json_t *list = json_array();
	json_t *b;
	int r;

	if (only && (r = need_backend(rd, only, e)) < 0)
		return r;
	json_object_foreach(view_backends(rd->service->view), name, b) {
		_cleanup_json_ json_t *hooks = view_hooks(rd->service->view, name);

		if (!only || strcmp(only, name) == 0)
			json_array_extend(list, hooks);
	}
	return page_list("hooks", take_ptr(list), params, ret, e);
}

int read_get_hook(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	const char *backend = jsonx_str(params, "backend"), *want = jsonx_str(params, "hook");
	_cleanup_json_ json_t *hooks = NULL;
	json_t *h;
	size_t i;
	int r = need_backend(rd, backend, e);

	if (r < 0)
		return r;
	hooks = view_hooks(rd->service->view, backend);
	json_array_foreach(hooks, i, h)
		if (strcmp(jsonx_str(h, "name"), want) == 0 || strcmp(jsonx_str(h, "entry"), want) == 0) {
			*ret = json_incref(h);
			return 0;
		}
	error_set(e, ERR_NOT_FOUND, ENOENT, "backend \"%s\" has no hook \"%s\": list_hooks shows those it has", backend,
		  want);
	error_add(e, "param", json_string("hook"));
	return -ENOENT;
}

/* ---- calls ---- */

/* Calls under way have no place in the store's order: a cursor "live:N" counts through them, behind all others. */
static int64_t live_cursor(const json_t *params)
{
	const char *after = jsonx_str(params, "after");

	return after && text_starts_with(after, "live:") ? strtoll(after + 5, NULL, 10) : -1;
}

static json_t *live_page(struct page *p, const json_t *live, size_t from)
{
	char next[32];
	size_t i, n = json_array_size(live);

	for (i = from; i < n && page_takes(p); i++)
		page_add(p, json_incref(json_array_get(live, i)));
	snprintf(next, sizeof next, "live:%zu", i);
	return jsonx_pack("{s:O,s:o}", "calls", p->list, "next", i < n ? json_string(next) : json_null());
}

/* Those under way are shown behind all others. */
static int make_ended_call(struct reader *rd, const json_t *row, json_t **ret, struct error *e)
{
	(void)e;
	if (view_has_call(rd->service->view, jsonx_str(row, "id")))
		return 0;
	*ret = object_call(row);
	view_fill_end(rd->service->view, *ret);
	return 0;
}

/* Those in the store, in the order they began, then those under way. */
int read_list_calls(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *live = view_calls(rd->service->view), *list = json_array();
	struct page p = { .list = list, .limit = (size_t)jsonx_int(params, "limit") };
	int64_t after, last, from = live_cursor(params);
	int r;

	if (from >= 0) {
		*ret = live_page(&p, live, (size_t)from);
		return 0;
	}
	if ((r = parse_cursor(params, &after, e)) < 0 ||
	    (r = fill_page(rd, STORE_CALLS, NULL, make_ended_call, after, &p, &last, e)) < 0)
		return r;
	*ret = r == 1 ? page("calls", take_ptr(list), true, last) : live_page(&p, live, 0);
	return 0;
}

/* ---- the daemon ---- */

static json_t *limits_json(const struct settings *top)
{
	static const char *const sizes[] = { "max_request_bytes", "max_unsent_bytes", NULL };
	static const char *const numbers[] = { "max_request_depth",        "max_batch_entries", "max_connections",
					       "max_connections_per_user", "max_queued_calls",  NULL };
	json_t *o = json_object();

	for (const char *const *k = sizes; *k; k++)
		json_object_set_new(o, *k, json_integer((json_int_t)settings_size(top, *k)));
	for (const char *const *k = numbers; *k; k++)
		json_object_set_new(o, *k, json_integer(settings_int(top, *k)));
	json_object_set_new(o, "request_line_timeout", json_real(settings_seconds(top, "request_line_timeout")));
	return o;
}

static int counts_json(struct service *s, json_t **ret, struct error *e)
{
	static const struct {
		const char *name;
		enum store_table table;
	} counted[] = {
		{ "shares", STORE_SHARES },
		{ "snapshots", STORE_SNAPSHOTS },
		{ "access_rules", STORE_ACCESS_RULES },
		{ "share_servers", STORE_SHARE_SERVERS },
	};
	_cleanup_json_ json_t *o = json_object();

	for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
		int64_t n;
		int r = store_count(s->st, counted[i].table, NULL, &n, e);

		if (r < 0)
			return r;
		json_object_set_new(o, counted[i].name, json_integer(n));
	}
	json_object_set_new(o, "backends", json_integer((json_int_t)json_object_size(view_backends(s->view))));
	json_object_set_new(o, "connections", json_integer((json_int_t)server_connections(s->server)));
	json_object_set_new(o, "calls", json_integer((json_int_t)view_calls_count(s->view)));
	*ret = take_ptr(o);
	return 0;
}

int read_get_service(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	struct service *s = rd->service;
	json_t *counts, *drivers;
	int r = counts_json(s, &counts, e);

	(void)params;
	if (r < 0)
		return r;
	drivers = json_array();
	for (const struct share_driver_ops *const *d = driver_table(); *d; d++)
		json_array_append_new(
			drivers, jsonx_pack("{s:s,s:o}", "name", (*d)->name, "summary", jsonx_string((*d)->summary)));
	*ret = jsonx_pack("{s:s,s:s,s:i,s:o,s:o,s:o,s:o}", "version", SHARESD_VERSION, "started_at", s->started_at,
			  "pid", (int)getpid(), "conf_file", jsonx_string(s->conf_path), "limits",
			  limits_json(conf_top(s->conf)), "counts", counts, "drivers", drivers);
	return 0;
}
