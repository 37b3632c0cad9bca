/* set_metadata, reset_status, test_hook, enable_hook, list_orphans. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/access.h"
#include "daemon/answers.h"
#include "daemon/methods.h"
#include "daemon/objects.h"
#include "daemon/resolve.h"
#include "daemon/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Exactly one of the named params says which object it is. */
static int one_of(const struct call *c, const char *const *names, struct error *e)
{
	int n = 0;

	for (const char *const *p = names; *p; p++)
		if (jsonx_get(c->params, *p))
			n++;
	return n == 1 ? 0
		      : error_param(e, names[0], "name one object: %s, %s%s%s", names[0], names[1],
				    names[2] ? ", " : "", names[2] ? names[2] : "");
}

static int find_rule(struct engine *en, struct call *c, const char *id, struct error *e)
{
	int r = object_find_access(en->st, id, "access", &c->access, e);

	if (r < 0)
		return r;
	c->object_kind = xstrdup("access");
	c->object_id = xstrdup(id);
	return 0;
}

static int find_object(struct engine *en, struct call *c, struct error *e)
{
	const char *share = jsonx_str(c->params, "share"), *snapshot = jsonx_str(c->params, "snapshot");

	if (share)
		return resolve_share(en, c, share, e);
	if (snapshot)
		return resolve_snapshot(en, c, snapshot, e);
	return find_rule(en, c, jsonx_str(c->params, "access"), e);
}

static int object_answer(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r;

	if (strcmp(c->object_kind, "share") == 0)
		return answer_share(en, c, ret, e);
	if (strcmp(c->object_kind, "snapshot") == 0)
		return answer_snapshot(en, c, ret, e);
	r = object_find_access(en->st, c->object_id, "access", &row, e);
	return r < 0 ? r : object_access(en->st, row, ret, e);
}

/* ---- set_metadata ---- */

static enum store_table metadata_row(const struct call *c, json_t **ret_row)
{
	*ret_row = c->access ? c->access : c->snapshot ? c->snapshot : c->share;
	return c->access ? STORE_ACCESS_RULES : c->snapshot ? STORE_SNAPSHOTS : STORE_SHARES;
}

static json_t *patched_metadata(const struct call *c)
{
	json_t *row, *all, *v;
	const char *key;

	metadata_row(c, &row);
	all = jsonx_get(row, "metadata") ? json_copy(jsonx_get(row, "metadata")) : json_object();
	json_object_foreach(json_object_get(c->params, "metadata"), key, v) {
		if (json_is_null(v))
			json_object_del(all, key);
		else
			json_object_set(all, key, v);
	}
	return all;
}

static int metadata_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = one_of(c, WORDS("share", "snapshot", "access"), e);

	if (r < 0)
		return r;
	r = find_object(en, c, e);
	/* Nothing is asked of the backend: it may be down. */
	if (r < 0 && (r != -ENODEV || !c->share))
		return r;
	error_clear(e);
	c->extra = patched_metadata(c);
	if (json_object_size(c->extra) > METADATA_MAX)
		return error_param(e, "metadata", "metadata: an object may have %d texts at most", METADATA_MAX);
	return 0;
}

static int metadata_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *row, *object = NULL;
	enum store_table t = metadata_row(c, &row);
	_cleanup_json_ json_t *fields = jsonx_pack("{s:O,s:o}", "metadata", c->extra, "updated_at", now_json());
	_cleanup_free_ char *type = xasprintf("%s.metadata", c->object_kind);
	int r;

	if ((r = store_update(en->st, t, c->object_id, fields, e)) < 0 || (r = object_answer(en, c, &object, e)) < 0)
		return r;
	call_event(c, type, object);
	return 0;
}

const struct call_ops ops_set_metadata = { .resolve = metadata_resolve,
					   .settle = metadata_settle,
					   .answer = object_answer };

/* ---- reset_status ---- */

/* A call on it was cut off by a crash: the next init_host of its backend decides, whatever is written here. */
static int need_decided(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:n}", "state", "intent", "ended_at"), *rows = NULL;
	const char *share = jsonx_str(c->share, "id");
	size_t i;
	json_t *row;
	int r = store_select(en->st, STORE_CALLS, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row) {
		const char *of = jsonx_str(jsonx_get(row, "intent"), "share_id");

		if (r < 0 || !of || strcmp(of, share) != 0)
			continue;
		error_set(e, ERR_BUSY, EBUSY,
			  "a %s of share \"%s\" was cut off and is decided when its backend is up: try again then",
			  jsonx_str(row, "method"), jsonx_str(c->share, "name"));
		return -EBUSY;
	}
	return r;
}

/* Snapshots are not resized, nor reverted. */
static int check_status(const struct call *c, struct error *e)
{
	static const char *const of_shares[] = { "extending_error", "shrinking_error", "reverting_error" };
	const char *status = jsonx_str(c->params, "status");

	for (size_t i = 0; jsonx_get(c->params, "snapshot") && i < sizeof of_shares / sizeof *of_shares; i++)
		if (strcmp(status, of_shares[i]) == 0)
			return error_param(e, "status", "%s is no status of a snapshot", status);
	return 0;
}

static int status_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = one_of(c, WORDS("share", "snapshot"), e);

	if (r < 0 || (r = check_status(c, e)) < 0)
		return r;
	r = find_object(en, c, e);
	if (r < 0 && (r != -ENODEV || !c->share))
		return r;
	error_clear(e);
	if (!is_worked_on(en, jsonx_str(c->share, "id")))
		return need_decided(en, c, e);
	error_set(e, ERR_BUSY, EBUSY, "share \"%s\" is being worked on: its status follows from that",
		  jsonx_str(c->share, "name"));
	return -EBUSY;
}

static int status_settle(struct engine *en, struct call *c, struct error *e)
{
	const char *status = jsonx_str(c->params, "status"), *reason = "set by reset_status";
	bool fine = strcmp(status, "available") == 0;
	int r = c->snapshot ? set_snapshot_status(en, c, status, fine ? NULL : reason, e)
			    : set_instance_status(en, c, status, fine ? NULL : reason, e);

	if (r < 0)
		return r;
	if (c->snapshot)
		snapshot_event(en, c);
	else
		share_event(en, c);
	return 0;
}

const struct call_ops ops_reset_status = { .resolve = status_resolve,
					   .settle = status_settle,
					   .answer = object_answer };

/* ---- test_hook ---- */

/* Its backend need not be up, but must have its hooks made. */
static int hook_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = backend_get(en, jsonx_str(c->params, "backend"), "backend", &c->backend, e);

	if (r < 0 || c->backend->hooks)
		return r;
	return error_set(e, ERR_BACKEND_DOWN, ENODEV, "backend \"%s\" has no hooks now: %s", c->backend->name,
			 c->backend->reason ? c->backend->reason : "it is not in the conf file");
}

static int test_resolve(struct engine *en, struct call *c, struct error *e)
{
	const json_t *event = json_object_get(c->params, "event");
	const char *phase = jsonx_str(event, "phase");
	int r = hook_resolve(en, c, e);

	if (r < 0)
		return r;
	for (int p = HOOK_PRE; p < HOOK_PHASE_COUNT; p++)
		if (phase && strcmp(phase, hook_phase_name((enum hook_phase)p)) == 0)
			return 0;
	return error_param(e, "event", "event needs `phase`: pre, post, periodic or error");
}

static int test_check(void *data, const char *key, const json_t *value, struct error *e)
{
	const json_t *event = data;
	const char *name = jsonx_str(event, "func_name");
	const struct method *m = name ? method_find(name) : NULL;
	const struct result_key *k = m ? method_result_key(m, key) : NULL;

	if (!k || !k->changeable)
		return error_set(e, ERR_POST_HOOK_FAILED, EPERM, "a post hook of %s may not set \"%s\"",
				 name ? name : "this call", key);
	return answer_check_shape(k, key, value, e);
}

static int test_drive(struct engine *en, struct call *c, struct error *e)
{
	const char *hook = jsonx_str(c->params, "hook");
	_cleanup_json_ json_t *event = NULL;
	const json_t *options;
	int r;

	if ((r = hook_set_options(c->backend->hooks, hook, &options, e)) < 0 ||
	    (r = sample_event(en, c->backend, c, options, json_object_get(c->params, "event"), &event, e)) < 0 ||
	    (r = hook_set_test(c->backend->hooks, hook, event, test_check, event, &c->extra, e)) < 0)
		return r;
	json_object_set(c->extra, "event", event);
	return 0;
}

static int extra_answer(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	(void)en;
	(void)e;
	*ret = json_incref(c->extra);
	return 0;
}

const struct call_ops ops_test_hook = { .resolve = test_resolve, .drive = test_drive, .answer = extra_answer };

/* ---- enable_hook ---- */

static int enable_drive(struct engine *en, struct call *c, struct error *e)
{
	int r = hook_set_enable(c->backend->hooks, jsonx_str(c->params, "hook"), e);

	if (r == 0)
		backend_show_hooks(en, c->backend);
	return r;
}

const struct call_ops ops_enable_hook = { .resolve = hook_resolve, .drive = enable_drive };

/* ---- list_orphans ---- */

static int orphans_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *name = jsonx_str(c->params, "backend"), *after = jsonx_str(c->params, "after");
	int r;

	if (after && (!*after || after[strspn(after, "0123456789")] || strlen(after) > 18))
		return error_param(e, "after", "after must be the `next` of an answer to the same method");
	if (!name)
		return 0;
	if ((r = backend_get(en, name, "backend", &c->backend, e)) < 0)
		return r;
	return backend_need_up(c->backend, e);
}

static bool is_known(struct engine *en, const json_t *object)
{
	_cleanup_json_ json_t *row = NULL;
	const char *kind = jsonx_str(object, "kind"), *id = jsonx_str(object, "id");

	if (!kind || !id)
		return false;
	return store_get(en->st, strcmp(kind, "snapshot") == 0 ? STORE_SNAPSHOT_INSTANCES : STORE_INSTANCES, "id", id,
			 &row, NULL) == 0;
}

static int add_orphans(struct engine *en, struct call *c, struct backend *b, json_t *list, struct error *e)
{
	_cleanup_json_ json_t *values = NULL;
	json_t *object;
	size_t i;
	int r;

	if (!backend_has_slot(b, "list_objects"))
		return 0;
	r = backend_invoke(en, b, c, "list_objects", NULL, &values, e);
	if (r != 0)
		return r < 0 ? r
			     : error_set(e, ERR_INTERNAL, EINVAL, "list_objects of driver %s answered with long work",
					 b->driver);
	json_array_foreach(json_object_get(values, "objects"), i, object) {
		if (is_known(en, object))
			continue;
		json_object_set_new(object, "backend", json_string(b->name));
		json_array_append(list, object);
	}
	return 0;
}

/* The list is made anew for each page; the cursor is a place in it. */
static json_t *page_of(const json_t *list, const json_t *params)
{
	const char *after = jsonx_str(params, "after");
	size_t from = after ? strtoul(after, NULL, 10) : 0, limit = (size_t)jsonx_int(params, "limit"), i;
	json_t *page = json_array(), *o;
	char next[24];

	json_array_foreach(list, i, o)
		if (i >= from && i < from + limit)
			json_array_append(page, o);
	snprintf(next, sizeof next, "%zu", from + limit);
	return jsonx_pack("{s:o,s:o}", "orphans", page, "next",
			  from + limit < json_array_size(list) ? json_string(next) : json_null());
}

static int orphans_drive(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *list = json_array();
	int r;

	for (struct backend *b = en->backends; b; b = b->next) {
		if (c->backend ? b != c->backend : b->status != BACKEND_UP)
			continue;
		if ((r = add_orphans(en, c, b, list, e)) < 0)
			return r;
	}
	c->extra = page_of(list, c->params);
	return 0;
}

const struct call_ops ops_list_orphans = { .resolve = orphans_resolve, .drive = orphans_drive, .answer = extra_answer };
