#include "daemon/share_servers.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/call_run.h"
#include "daemon/methods.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int need_network(struct engine *en, const char *name, const struct conf_section **ret, struct error *e)
{
	const struct conf_section *s = conf_network(en->conf, name);

	if (s) {
		*ret = s;
		return 0;
	}
	error_set(e, ERR_NOT_FOUND, ENOENT,
		  "the conf file has no section share_network \"%s\": list_share_networks shows those that there are",
		  name);
	error_add(e, "param", json_string("share_network"));
	return -ENOENT;
}

int share_server_count_shares(struct engine *en, const char *id, int64_t *ret, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "share_server_id", id);

	return store_count(en->st, STORE_INSTANCES, where, ret, e);
}

/* ---- a new share ---- */

/* Why the call that was to make it failed. */
static void made(struct engine *en, struct call *c)
{
	struct error *why = c->after_data;
	enum error_kind kind = c->err.kind;

	(void)en;
	if (c->result < 0) {
		/* Not the call for the share was refused by a hook: that share is there, and in error. */
		if (kind == ERR_VETOED || kind == ERR_PRE_HOOK_FAILED)
			kind = ERR_DRIVER_FAILED;
		error_set(why, kind, -c->result, "%s", c->err.message);
		error_prefix(why, "its share server could not be made");
	}
}

static int make(struct engine *en, struct call *c, const char *network, struct error *e)
{
	struct call *one = call_new(method_find("create_share_server"), HOOK_ORIGIN_CALL);

	one->params = jsonx_pack("{s:s,s:s}", "backend", c->backend->name, "share_network", network);
	one->if_absent = true;
	one->after = made;
	one->after_data = e;
	call_run_nested(en, c, one);
	return e->kind == ERR_NONE ? 0 : e->err ? -e->err : -EIO;
}

static int write_server(struct engine *en, struct call *c, struct error *e)
{
	const json_t *id = json_object_get(c->server, "id");
	int r = store_begin(en->st, e);

	if (r < 0)
		return r;
	if ((r = set_share(en, c, jsonx_pack("{s:O}", "share_server_id", id), e)) < 0 ||
	    (r = set_instance(en, c, jsonx_pack("{s:O}", "share_server_id", id), e)) < 0 ||
	    (r = store_commit(en->st, true, e)) < 0) {
		store_rollback(en->st);
		return r;
	}
	json_object_set(c->share, "share_server_id", (json_t *)id);
	json_object_set(c->instance, "share_server_id", (json_t *)id);
	return 0;
}

int share_server_take(struct engine *en, struct call *c, struct error *e)
{
	const char *network = jsonx_str(c->share, "share_network");
	int r;

	if (!network || c->server)
		return 0;
	if ((r = share_server_find(en, c->backend->name, network, &c->server, e)) < 0)
		return r;
	if (!c->server && ((r = make(en, c, network, e)) < 0 ||
			   (r = share_server_find(en, c->backend->name, network, &c->server, e)) < 0))
		return r;
	if (!c->server)
		return error_set(
			e, ERR_DRIVER_FAILED, ENOENT,
			"its share server was not made: list_calls shows why (a create_share_server of this call)");
	if (strcmp(jsonx_str(c->server, "status"), "active") != 0)
		return error_set(e, ERR_INVALID_STATE, EINVAL,
				 "share server %s of network \"%s\" is %s: delete it, and a new one is made",
				 jsonx_str(c->server, "id"), network, jsonx_str(c->server, "status"));
	return write_server(en, c, e);
}

/* ---- servers that nobody needs ---- */

static struct call *removal(const char *id, enum hook_origin origin)
{
	struct call *c = call_new(method_find("delete_share_server"), origin);

	c->params = jsonx_pack("{s:s}", "share_server", id);
	c->if_present = true;
	return c;
}

/* Its time without shares begins now. */
static void touch(struct engine *en, const char *id)
{
	_cleanup_json_ json_t *fields = jsonx_pack("{s:o}", "updated_at", now_json());
	_cleanup_error_ struct error e = ERROR_INIT;

	if (store_begin(en->st, &e) < 0)
		return;
	if (store_update(en->st, STORE_SHARE_SERVERS, id, fields, &e) < 0 || store_commit(en->st, false, &e) < 0)
		store_rollback(en->st);
}

void share_server_leave(struct engine *en, struct call *c)
{
	const char *id = jsonx_str(c->instance, "share_server_id");
	int64_t n = 1;

	if (c->result < 0 || !id || share_server_count_shares(en, id, &n, NULL) < 0 || n > 0)
		return;
	touch(en, id);
	if (c->backend->settings && settings_bool(c->backend->settings, "delete_share_server_with_last_share"))
		call_run_nested(en, c, removal(id, HOOK_ORIGIN_CALL));
}

/* Seconds since an RFC 3339 time of ours; 0 where it cannot be read. */
static double seconds_since(const char *then)
{
	struct tm tm = { 0 };

	if (!then || !strptime(then, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	return difftime(time(NULL), timegm(&tm));
}

void share_servers_reap(struct engine *en, const char *backend)
{
	struct backend *b = backend_find(en, backend);
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:s}", "backend", backend, "status", "active"), *rows = NULL;
	double most;
	json_t *row;
	size_t i;

	if (!b || !b->settings || b->status != BACKEND_UP)
		return;
	most = settings_seconds(b->settings, "unused_share_server_cleanup_interval");
	if (most <= 0 ||
	    store_select(en->st, STORE_SHARE_SERVERS, &(struct store_query){ .where = where }, &rows, NULL) < 0)
		return;
	json_array_foreach(rows, i, row) {
		const char *id = jsonx_str(row, "id");
		struct call *c;
		int64_t n = 1;

		if (seconds_since(jsonx_str(row, "updated_at")) < most ||
		    share_server_count_shares(en, id, &n, NULL) < 0 || n > 0)
			continue;
		log_info("share server %s of network \"%s\" had no shares for %.0f s: it is deleted", id,
			 jsonx_str(row, "share_network"), most);
		c = removal(id, HOOK_ORIGIN_TIMER);
		call_announce(en, c);
		call_run(en, c);
	}
}
