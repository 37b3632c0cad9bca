/* delete_share_instance, unmanage_share, extend_share, shrink_share. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/resolve.h"
#include "daemon/share_servers.h"
#include "daemon/shares.h"

#include <errno.h>
#include <string.h>

static json_t *share_intent(const struct call *c)
{
	return jsonx_pack("{s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			  json_object_get(c->instance, "id"));
}

static json_t *args_with_id(const struct call *c)
{
	json_t *args = json_copy(c->params);

	json_object_set(args, "share", json_object_get(c->share, "id"));
	return args;
}

/* ---- leaving: delete and unmanage ---- */

static int need_no_dependants(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O}", "share_id", json_object_get(c->share, "id"));
	const char *name = jsonx_str(c->share, "name");
	int64_t snapshots, instances;
	int r;

	if ((r = store_count(en->st, STORE_SNAPSHOTS, where, &snapshots, e)) < 0 ||
	    (r = store_count(en->st, STORE_INSTANCES, where, &instances, e)) < 0)
		return r;
	if (snapshots > 0) {
		r = error_set(e, ERR_INVALID_STATE, ENOTEMPTY, "share \"%s\" has %lld snapshot%s: delete them first",
			      name, (long long)snapshots, snapshots == 1 ? "" : "s");
		error_add(e, "object", json_string(name));
	} else if (instances > 1) {
		r = error_set(e, ERR_INVALID_STATE, ENOTEMPTY, "share \"%s\" has other replicas: delete them first",
			      name);
		error_add(e, "object", json_string(name));
	}
	return r;
}

/* What was half done on a backend that does not come back can still be forgotten. */
static bool forced_on_absent(struct engine *en, const struct call *c)
{
	return jsonx_bool(c->params, "force") && c->backend->status == BACKEND_DOWN &&
	       !is_worked_on(en, jsonx_str(c->share, "id"));
}

static int delete_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_share(en, c, jsonx_str(c->params, "share"), e), e);

	if (r < 0 || c->answered)
		return r;
	if (!forced_on_absent(en, c) &&
	    (r = need_share_status(en, c,
				   WORDS("available", "error", "error_deleting", "extending_error", "shrinking_error",
					 "reverting_error", "manage_error", "unmanage_error"),
				   e)) < 0)
		return r;
	if ((r = need_no_dependants(en, c, e)) < 0)
		return r;
	c->args = args_with_id(c);
	return 0;
}

static int deny_rows(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	size_t i;
	json_t *rule;
	int r = object_rules(en->st, jsonx_str(c->share, "id"), &rules, e);

	if (r < 0)
		return r;
	json_array_foreach(rules, i, rule)
		if ((r = access_set_state(en, jsonx_str(rule, "id"), jsonx_str(c->instance, "id"), "queued_to_deny",
					  NULL, e)) < 0)
			return r;
	return 0;
}

static int delete_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = share_intent(c);
	if ((r = deny_rows(en, c, e)) < 0)
		return r;
	return set_instance_status(en, c, "deleting", NULL, e);
}

/* The rows as they were; the rules are put in force again by the init_host that the backend needs now. */
static int leave_undo(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	size_t i;
	json_t *rule;
	int r = object_rules(en->st, jsonx_str(c->share, "id"), &rules, e);

	json_array_foreach(rules, i, rule)
		if (r == 0)
			r = access_set_state(en, jsonx_str(rule, "id"), jsonx_str(c->instance, "id"), "queued_to_apply",
					     NULL, e);
	return r < 0 ? r : restore_instance(en, c, e);
}

static int delete_drive(struct engine *en, struct call *c, struct error *e)
{
	int r = forgive_delete(en, c, access_deny_all(en, c, e), e);
	struct input *in;

	if (r < 0)
		return r;
	c->after = share_server_leave;
	in = input_of(c);
	input_call(in)->force = jsonx_bool(c->params, "force");
	return backend_invoke(en, c->backend, c, "delete_share", in, &c->results, e);
}

static int delete_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *object = NULL;
	int r = answer_share(en, c, &object, e);

	if (r < 0)
		return r;
	call_event(c, "share.deleted", object);
	return drop_share_rows(en, c, e);
}

static int delete_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_instance_status(en, c, "error_deleting", cause->message, e);

	if (r == 0)
		share_event(en, c);
	return r;
}

/* Deleting twice is deleting: what was begun is done. */
static int delete_recover(struct engine *en, struct call *c, struct error *e)
{
	int r = access_deny_all(en, c, e);

	if (r == 0)
		r = forgive_delete(en, c, recover_invoke(en, c, "delete_share", input_of(c), &c->results, e), e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_delete_share = {
	.resolve = delete_resolve,
	.intend = delete_intend,
	.drive = delete_drive,
	.forgive = forgive_delete,
	.settle = delete_settle,
	.fail = delete_fail,
	.recover = delete_recover,
	.undo = leave_undo,
};

static int unmanage_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_share(en, c, jsonx_str(c->params, "share"), e), e);

	if (r < 0 || c->answered)
		return r;
	if ((r = need_share_status(en, c, WORDS("available", "error", "manage_error", "unmanage_error"), e)) < 0 ||
	    (r = need_no_dependants(en, c, e)) < 0)
		return r;
	c->args = args_with_id(c);
	return 0;
}

static int unmanage_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = share_intent(c);
	if ((r = deny_rows(en, c, e)) < 0)
		return r;
	return set_instance_status(en, c, "unmanage_starting", NULL, e);
}

static int unmanage_drive(struct engine *en, struct call *c, struct error *e)
{
	int r = forgive_delete(en, c, access_deny_all(en, c, e), e);

	if (r < 0)
		return r;
	c->after = share_server_leave;
	return backend_invoke(en, c->backend, c, "unmanage", input_of(c), &c->results, e);
}

static int unmanage_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *object = NULL;
	int r = answer_share(en, c, &object, e);

	if (r < 0)
		return r;
	call_event(c, "share.unmanaged", object);
	return drop_share_rows(en, c, e);
}

static int unmanage_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_instance_status(en, c, "unmanage_error", cause->message, e);

	if (r == 0)
		share_event(en, c);
	return r;
}

static int unmanage_recover(struct engine *en, struct call *c, struct error *e)
{
	int r = access_deny_all(en, c, e);

	if (r == 0)
		r = forgive_delete(en, c, recover_invoke(en, c, "unmanage", input_of(c), &c->results, e), e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_unmanage_share = {
	.resolve = unmanage_resolve,
	.intend = unmanage_intend,
	.drive = unmanage_drive,
	.forgive = forgive_delete,
	.settle = unmanage_settle,
	.fail = unmanage_fail,
	.recover = unmanage_recover,
	.undo = leave_undo,
};

/* ---- resizing ---- */

static bool extends(const struct call *c)
{
	return strcmp(c->method->name, "extend_share") == 0;
}

static int resize_resolve(struct engine *en, struct call *c, struct error *e)
{
	int64_t now, want = jsonx_int(c->params, "size_bytes");
	char text[32];
	int r;

	if ((r = resolve_share(en, c, jsonx_str(c->params, "share"), e)) < 0 ||
	    (r = need_share_status(en, c, WORDS("available"), e)) < 0)
		return r;
	now = jsonx_int(c->share, "size_bytes");
	if (extends(c) ? want <= now : want >= now)
		return error_param(e, "size_bytes", "share \"%s\" has %s (%lld bytes): to %s it, give a size %s that",
				   jsonx_str(c->share, "name"), text_format_size((uint64_t)now, text), (long long)now,
				   extends(c) ? "extend" : "shrink", extends(c) ? "above" : "below");
	if (!extends(c) && !jsonx_bool(c->backend->capabilities, "shrink") && c->backend->status == BACKEND_UP)
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "backend \"%s\" cannot shrink shares",
				 c->backend->name);
	if (extends(c) && (r = need_capacity(c->backend, (uint64_t)(want - now), e)) < 0)
		return r;
	c->args = args_with_id(c);
	return 0;
}

static int resize_intend(struct engine *en, struct call *c, struct error *e)
{
	c->intent = share_intent(c);
	json_object_set(c->intent, "new_size_bytes", json_object_get(c->params, "size_bytes"));
	return set_instance_status(en, c, extends(c) ? "extending" : "shrinking", NULL, e);
}

static struct input *resize_input(const struct call *c)
{
	struct input *in = input_of(c);

	input_call(in)->new_size_bytes = (uint64_t)jsonx_int(c->intent, "new_size_bytes");
	return in;
}

static int resize_drive(struct engine *en, struct call *c, struct error *e)
{
	return backend_invoke(en, c->backend, c, c->method->name, resize_input(c), &c->results, e);
}

static int resize_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *metadata = jsonx_get(c->results, "metadata"), *all,
	       *size = json_object_get(c->intent, "new_size_bytes");
	/* Long work went on for a while: others may have changed the share. */
	int r = reload_rows(en, c, e);

	if (r < 0)
		return r;
	all = json_copy(jsonx_get(c->share, "metadata"));
	if (!all)
		all = json_object();
	if (metadata)
		json_object_update(all, metadata);
	json_object_set(c->results, "size_bytes", size);
	json_object_set(c->results, "metadata", all);
	if ((r = set_share(en, c, jsonx_pack("{s:O,s:o}", "size_bytes", size, "metadata", all), e)) < 0 ||
	    (r = set_instance_status(en, c, "available", NULL, e)) < 0 || (r = reload_rows(en, c, e)) < 0)
		return r;
	share_event(en, c);
	return 0;
}

/* A refused shrink leaves the share as it was; anything else may have changed it. */
static int resize_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	bool refused = !extends(c) && (cause->kind == ERR_DATA_LOSS || cause->kind == ERR_NOT_SUPPORTED);
	const char *status = refused ? "available" : extends(c) ? "extending_error" : "shrinking_error";
	int r = set_instance_status(en, c, status, cause->message, e);

	if (r == 0)
		share_event(en, c);
	return r;
}

static int resize_recover(struct engine *en, struct call *c, struct error *e)
{
	int r = recover_invoke(en, c, c->method->name, resize_input(c), &c->results, e);

	return r < 0 ? r : 1;
}

const struct call_ops ops_resize_share = {
	.resolve = resize_resolve,
	.intend = resize_intend,
	.drive = resize_drive,
	.settle = resize_settle,
	.fail = resize_fail,
	.amend = amend_share,
	.answer = answer_share,
	.recover = resize_recover,
	.undo = restore_instance,
};
