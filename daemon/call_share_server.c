/* create_share_server and delete_share_server: share servers, each for one network on one backend. */
#include "base/address.h"
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/call_run.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/resolve.h"
#include "daemon/share_servers.h"

#include <errno.h>
#include <string.h>

/* ---- rows ---- */

static int answer_server(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r = store_get(en->st, STORE_SHARE_SERVERS, "id", jsonx_str(c->server, "id"), &row, e);

	if (r == 0)
		*ret = object_share_server(row);
	return r;
}

static void server_event(struct engine *en, struct call *c)
{
	json_t *o = NULL;

	if (answer_server(en, c, &o, NULL) == 0) {
		_cleanup_free_ char *type = xasprintf("share_server.%s", jsonx_str(o, "status"));

		call_event(c, type, o);
	}
}

static int set_server(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	int r;

	json_object_set_new(fields, "updated_at", now_json());
	r = store_update(en->st, STORE_SHARE_SERVERS, jsonx_str(c->server, "id"), fields, e);
	json_decref(fields);
	return r;
}

static int set_status(struct engine *en, const struct call *c, const char *status, const char *reason, struct error *e)
{
	return set_server(en, c, jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason)), e);
}

static int server_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_status(en, c, "error", cause->message, e);

	if (r == 0)
		server_event(en, c);
	return r;
}

static void about_server(struct call *c)
{
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup("share_server");
	c->object_id = xstrdup(jsonx_str(c->server, "id"));
}

/* What a driver is told of it: its network as the conf file has it now, and itself. */
static json_t *network_json(const struct engine *en, const json_t *server)
{
	const char *name = jsonx_str(server, "share_network");
	const struct conf_section *s = name ? conf_network(en->conf, name) : NULL;
	json_t *o = jsonx_pack("{s:O,s:O}", "id", json_object_get(server, "id"), "share_network",
			       json_object_get(server, "share_network"));
	static const char *const own[] = { "address", "identifier", "backend_details" };

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		json_object_set_new(o, own[i],
				    jsonx_get(server, own[i]) ? json_incref(jsonx_get(server, own[i])) : json_null());
	if (s) {
		json_object_set_new(o, "bridge", jsonx_string(settings_string(s->settings, "bridge")));
		json_object_set_new(o, "gateway", jsonx_string(settings_string(s->settings, "gateway")));
	}
	return o;
}

static struct input *input_for(const struct engine *en, const struct call *c, const json_t *server)
{
	_cleanup_json_ json_t *network = network_json(en, server);
	struct input *in = input_new(c->id, c->method->name);

	input_call(in)->options = input_keep(in, network);
	return in;
}

static int invoke(struct engine *en, struct call *c, const char *slot, json_t **ret, struct error *e)
{
	struct input *in = input_for(en, c, c->server);
	int r;

	r = c->recovering ? recover_invoke(en, c, slot, in, ret, e)
			  : backend_invoke(en, c->backend, c, slot, in, ret, e);
	return r;
}

/* ---- create ---- */

int share_server_find(struct engine *en, const char *backend, const char *network, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:s}", "backend", backend, "share_network", network),
			      *rows = NULL;
	int r = store_select(en->st, STORE_SHARE_SERVERS, &(struct store_query){ .where = where, .limit = 1 }, &rows,
			     e);

	if (r == 0 && json_array_size(rows))
		*ret = json_incref(json_array_get(rows, 0));
	return r;
}

static int exists_already(struct call *c, json_t *row, struct error *e)
{
	const char *status = jsonx_str(row, "status"), *network = jsonx_str(row, "share_network");

	if (c->if_absent && strcmp(status, "active") == 0) {
		c->answered = true;
		c->answer = object_share_server(row);
		return 0;
	}
	if (c->if_absent)
		error_set(e, ERR_INVALID_STATE, EEXIST, "the share server for network \"%s\" exists and is %s%s",
			  network, status, strcmp(status, "error") == 0 ? ": delete it, and make it again" : "");
	else
		error_set(e, ERR_ALREADY_EXISTS, EEXIST, "backend \"%s\" has a share server for network \"%s\" already",
			  c->backend->name, network);
	error_add(e, "object", json_string(jsonx_str(row, "id")));
	return -EEXIST;
}

struct taken {
	struct engine *en;
	const char *network;
	int failed;
};

/* By a server of any backend. */
static bool is_taken(const char *address, void *data)
{
	struct taken *t = data;
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:s}", "share_network", t->network, "address", address);
	int64_t n = 0;

	t->failed = store_count(t->en->st, STORE_SHARE_SERVERS, where, &n, NULL);
	return t->failed == 0 && n > 0;
}

static int pick_address(struct engine *en, const struct conf_section *network, char **ret, struct error *e)
{
	struct taken t = { .en = en, .network = network->title };
	const char *const *list;
	size_t n;

	list = settings_list(network->settings, "addresses", &n);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *reason = NULL;
		struct address_range range;

		if (address_range_parse(list[i], &range, &reason) < 0)
			continue; /* the conf file was checked */
		*ret = address_range_pick(&range, is_taken, &t);
		if (*ret)
			return 0;
	}
	error_set(
		e, ERR_NO_SPACE, EADDRNOTAVAIL,
		"all addresses of network \"%s\" are taken by share servers: give its section more, or delete servers "
		"without shares",
		network->title);
	error_add(e, "param", json_string("share_network"));
	return -EADDRNOTAVAIL;
}

static int need_servers(const struct backend *b, struct error *e)
{
	if (b->settings && settings_bool(b->settings, "driver_handles_share_servers"))
		return 0;
	error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
		  "backend \"%s\" has no share servers: driver_handles_share_servers is not set there", b->name);
	error_add(e, "param", json_string("backend"));
	return -EOPNOTSUPP;
}

static void make_row(struct call *c, const char *network, const char *address)
{
	char id[37], now[32];

	text_make_uuid(id);
	text_now(now);
	c->server = jsonx_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "id", id, "backend", c->backend->name, "share_network",
			       network, "address", address, "status", "creating", "created_at", now, "updated_at", now);
	about_server(c);
	c->args = json_copy(c->params);
	json_object_set_new(c->args, "id", json_string(id));
}

static int create_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *name = jsonx_str(c->params, "share_network");
	_cleanup_json_ json_t *existing = NULL;
	_cleanup_free_ char *address = NULL;
	const struct conf_section *network;
	int r;

	if ((r = backend_get(en, jsonx_str(c->params, "backend"), "backend", &c->backend, e)) < 0 ||
	    (r = need_servers(c->backend, e)) < 0 || (r = need_network(en, name, &network, e)) < 0 ||
	    (r = share_server_find(en, c->backend->name, name, &existing, e)) < 0)
		return r;
	if (existing)
		return exists_already(c, existing, e);
	if ((r = backend_need_up(c->backend, e)) < 0 || (r = pick_address(en, network, &address, e)) < 0)
		return r;
	make_row(c, name, address);
	return 0;
}

static int create_intend(struct engine *en, struct call *c, struct error *e)
{
	c->intent = jsonx_pack("{s:O}", "share_server_id", json_object_get(c->server, "id"));
	return store_insert(en->st, STORE_SHARE_SERVERS, c->server, NULL, e);
}

static int create_drive(struct engine *en, struct call *c, struct error *e)
{
	return invoke(en, c, "setup_server", &c->results, e);
}

static int create_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *fields = jsonx_pack("{s:s,s:n,s:o,s:o}", "status", "active", "status_reason", "identifier",
				    jsonx_string(jsonx_str(c->results, "identifier")), "backend_details",
				    jsonx_get(c->results, "backend_details")
					    ? json_incref(jsonx_get(c->results, "backend_details"))
					    : json_object());
	int r = set_server(en, c, fields, e);

	if (r == 0)
		server_event(en, c);
	return r;
}

static int create_undo(struct engine *en, struct call *c, struct error *e)
{
	return store_delete(en->st, STORE_SHARE_SERVERS, jsonx_str(c->server, "id"), e);
}

/* A driver finishes what it began, or finds it done. */
static int create_recover(struct engine *en, struct call *c, struct error *e)
{
	int r;

	about_server(c);
	r = create_drive(en, c, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_create_share_server = {
	.resolve = create_resolve,
	.intend = create_intend,
	.drive = create_drive,
	.settle = create_settle,
	.fail = server_fail,
	.answer = answer_server,
	.recover = create_recover,
	.undo = create_undo,
};

/* ---- put back, by init_host ---- */

static int write_details(struct engine *en, const json_t *server, json_t *details, struct error *e)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:O}", "backend_details", details);
	int r = store_begin(en->st, e);

	if (r < 0)
		return r;
	if ((r = store_update(en->st, STORE_SHARE_SERVERS, jsonx_str(server, "id"), fields, e)) < 0 ||
	    (r = store_commit(en->st, true, e)) < 0)
		store_rollback(en->st);
	return r;
}

static int put_back(struct engine *en, struct call *host, const json_t *server, struct error *e)
{
	_cleanup_json_ json_t *values = NULL;
	json_t *details;
	int r = backend_invoke(en, host->backend, host, "setup_server", input_for(en, host, server), &values, e);

	if (r == 1)
		return error_set(e, ERR_INTERNAL, EINVAL, "setup_server of driver %s answered with long work",
				 host->backend->driver);
	if (r < 0) {
		error_prefix(e, "share server %s of network \"%s\" could not be put back", jsonx_str(server, "id"),
			     jsonx_str(server, "share_network"));
		return r;
	}
	details = jsonx_get(values, "backend_details");
	if (!details || json_equal(details, jsonx_get(server, "backend_details")))
		return 0;
	return write_details(en, server, details, e);
}

int share_servers_put_back(struct engine *en, struct call *host, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:s}", "backend", host->backend->name, "status", "active");
	_cleanup_error_ struct error first = ERROR_INIT;
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r;

	if (!backend_has_slot(host->backend, "setup_server"))
		return 0;
	r = store_select(en->st, STORE_SHARE_SERVERS, &(struct store_query){ .where = where }, &rows, e);
	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		_cleanup_error_ struct error why = ERROR_INIT;

		if (put_back(en, host, row, &why) < 0 && first.kind == ERR_NONE)
			error_move(&first, &why);
	}
	if (first.kind == ERR_NONE)
		return 0;
	error_move(e, &first);
	e->kind = ERR_BACKEND_DOWN;
	return e->err ? -e->err : -EIO;
}

/* ---- delete ---- */

static int need_no_shares(struct engine *en, const struct call *c, struct error *e)
{
	int64_t n;
	int r = share_server_count_shares(en, jsonx_str(c->server, "id"), &n, e);

	if (r < 0 || n == 0)
		return r;
	error_set(e, ERR_INVALID_STATE, ENOTEMPTY, "%lld share%s on this share server: delete %s first", (long long)n,
		  n == 1 ? " is" : "s are", n == 1 ? "it" : "them");
	error_add(e, "object", json_string(jsonx_str(c->server, "id")));
	return -ENOTEMPTY;
}

static int need_rest(const struct call *c, struct error *e)
{
	const char *status = jsonx_str(c->server, "status");

	if (strcmp(status, "active") == 0 || strcmp(status, "error") == 0)
		return 0;
	error_set(e, ERR_BUSY, EBUSY, "the share server is %s: try again when that is through", status);
	error_add(e, "object", json_string(jsonx_str(c->server, "id")));
	return -EBUSY;
}

static int delete_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->params, "share_server");
	int r = store_get(en->st, STORE_SHARE_SERVERS, "id", id, &c->server, e);

	if (r == -ENOENT) {
		error_set(e, ERR_NOT_FOUND, ENOENT, "there is no share server %s: list_share_servers shows them", id);
		error_add(e, "param", json_string("share_server"));
		return gone_is_fine(c, r, e);
	}
	if (r < 0 || (r = need_rest(c, e)) < 0 || (r = need_no_shares(en, c, e)) < 0)
		return r;
	about_server(c);
	return backend_get(en, jsonx_str(c->server, "backend"), "share_server", &c->backend, e);
}

static int delete_intend(struct engine *en, struct call *c, struct error *e)
{
	c->intent = jsonx_pack("{s:O}", "share_server_id", json_object_get(c->server, "id"));
	return set_status(en, c, "deleting", NULL, e);
}

static int delete_drive(struct engine *en, struct call *c, struct error *e)
{
	int r = invoke(en, c, "teardown_server", &c->results, e);

	if (r < 0 && e->kind == ERR_NOT_FOUND) {
		error_clear(e);
		r = 0;
	}
	return r;
}

static int delete_settle(struct engine *en, struct call *c, struct error *e)
{
	call_event(c, "share_server.deleted", object_share_server(c->server));
	return store_delete(en->st, STORE_SHARE_SERVERS, jsonx_str(c->server, "id"), e);
}

static int delete_undo(struct engine *en, struct call *c, struct error *e)
{
	const char *status = jsonx_str(c->server, "status");

	/* After a crash the row does not say what it was. */
	return set_status(en, c, strcmp(status, "deleting") == 0 ? "error" : status,
			  strcmp(status, "deleting") == 0 ? "it was to be deleted when the daemon ended"
							  : jsonx_str(c->server, "status_reason"),
			  e);
}

static int delete_recover(struct engine *en, struct call *c, struct error *e)
{
	int r;

	about_server(c);
	r = delete_drive(en, c, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_delete_share_server = {
	.resolve = delete_resolve,
	.intend = delete_intend,
	.drive = delete_drive,
	.settle = delete_settle,
	.fail = server_fail,
	.recover = delete_recover,
	.undo = delete_undo,
};
