/* allow_access, deny_access, update_access. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access_replicas.h"
#include "daemon/objects.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

#define RULE_STATUSES WORDS("available", "extending_error", "shrinking_error", "reverting_error")

static void about_rule(struct call *c, const char *id)
{
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup("access");
	c->object_id = xstrdup(id);
}

static json_t *rule_intent(const struct call *c, const json_t *rule)
{
	return jsonx_pack("{s:O,s:O,s:o}", "share_id", json_object_get(c->share, "id"), "instance_id",
			  json_object_get(c->instance, "id"), "access_id",
			  rule ? json_incref(json_object_get(rule, "id")) : json_null());
}

static int answer_rule(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r = object_find_access(en->st, c->object_id, "access", &row, e);

	return r < 0 ? r : object_access(en->st, row, ret, e);
}

static void rule_event(struct engine *en, struct call *c)
{
	json_t *o;

	if (answer_rule(en, c, &o, NULL) == 0) {
		_cleanup_free_ char *id = xasprintf("%s/%s", c->object_id, jsonx_str(c->instance, "id"));
		_cleanup_json_ json_t *own = NULL;
		_cleanup_free_ char *type = NULL;

		/* At the active replica; others may follow later, which the object's state shows. */
		store_get(en->st, STORE_ACCESS_STATES, "id", id, &own, NULL);
		type = xasprintf("access.%s", jsonx_str(own ? own : o, "state"));
		call_event(c, type, o);
	}
}

/* What became of one rule: active, or the call fails with the driver's reason. */
static int check_rule(const struct call *c, const json_t *rules, const char *id, struct error *e)
{
	const json_t *rule = json_object_get(rules, id);
	const char *state = jsonx_str(rule, "state"), *reason = jsonx_str(rule, "reason");

	if (state && strcmp(state, "active") == 0)
		return 0;
	if (!state)
		reason = "the driver said nothing about it";
	error_set(e, ERR_DRIVER_FAILED, EIO,
		  "the rule is not in force: %s; update_access tries it again, deny_access takes it away",
		  reason ? reason : "the driver gave no reason");
	error_add(e, "backend", json_string(c->backend->name));
	error_add(e, "object", json_string(id));
	return -EIO;
}

/* ---- allow ---- */

static int answer_existing(struct engine *en, struct call *c, json_t *row, struct error *e)
{
	static const char *const keys[] = { "access_level", "options" };
	const char *id = jsonx_str(row, "id");
	json_t *object;
	int r;

	for (size_t i = 0; i < 2; i++) {
		if (c->if_absent && json_equal(json_object_get(row, keys[i]), json_object_get(c->params, keys[i])))
			continue;
		error_set(e, ERR_ALREADY_EXISTS, EEXIST,
			  "share \"%s\" has a rule for %s %s already%s%s: change it with update_access",
			  jsonx_str(c->share, "name"), jsonx_str(row, "access_type"), jsonx_str(row, "canonical"),
			  c->if_absent ? ", with another " : "", c->if_absent ? keys[i] : "");
		error_add(e, "param", json_string(c->if_absent ? keys[i] : "access_to"));
		error_add(e, "object", json_string(id));
		return -EEXIST;
	}
	if ((r = object_access(en->st, row, &object, e)) < 0)
		return r;
	if (strcmp(jsonx_str(object, "state"), "active") != 0) {
		r = error_set(e, ERR_INVALID_STATE, EINVAL, "the rule exists and is %s: update_access tries it again",
			      jsonx_str(object, "state"));
		error_add(e, "object", json_string(id));
		json_decref(object);
		return r;
	}
	c->answered = true;
	c->answer = object;
	return 0;
}

static int find_equal(struct engine *en, const struct call *c, const char *type, const char *canonical, json_t **ret,
		      struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:O,s:s,s:s}", "share_id", json_object_get(c->share, "id"),
						  "access_type", type, "canonical", canonical),
			      *rows = NULL;
	int r = store_select(en->st, STORE_ACCESS_RULES, &(struct store_query){ .where = where, .limit = 1 }, &rows, e);

	if (r == 0 && json_array_size(rows))
		*ret = json_incref(json_array_get(rows, 0));
	return r;
}

static int allow_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *type = jsonx_str(c->params, "access_type"), *to = jsonx_str(c->params, "access_to");
	const char *level = jsonx_str(c->params, "access_level");
	_cleanup_free_ char *canonical = NULL;
	_cleanup_json_ json_t *equal = NULL;
	char id[37];
	int r;

	if ((r = resolve_share(en, c, jsonx_str(c->params, "share"), e)) < 0 ||
	    (r = need_share_status(en, c, RULE_STATUSES, e)) < 0 || (r = backend_need_up(c->backend, e)) < 0 ||
	    (r = access_offered(c->backend, jsonx_str(c->share, "share_proto"), type, level, e)) < 0 ||
	    (r = access_check_options(jsonx_str(c->share, "share_proto"), jsonx_get(c->params, "options"), e)) < 0 ||
	    (r = access_canonical(type, to, &canonical, e)) < 0 ||
	    (r = find_equal(en, c, type, canonical, &equal, e)) < 0)
		return r;
	if (equal)
		return answer_existing(en, c, equal, e);
	text_make_uuid(id);
	about_rule(c, id);
	c->extra = access_row(jsonx_str(c->share, "id"), id, type, to, canonical, level,
			      jsonx_get(c->params, "options"), jsonx_get(c->params, "metadata"));
	c->args = json_copy(c->params);
	json_object_set(c->args, "share", json_object_get(c->share, "id"));
	json_object_set_new(c->args, "id", json_string(id));
	json_object_set_new(c->args, "access_to", json_string(canonical));
	return 0;
}

static int allow_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->access = json_incref(c->extra);
	c->intent = rule_intent(c, c->access);
	if ((r = access_insert(en, c->access, jsonx_str(c->instance, "id"), "applying", e)) < 0)
		return r;
	return access_insert_others(en, c, jsonx_str(c->access, "id"), "queued_to_apply", e);
}

static int allow_result(struct call *c, json_t *rules, struct error *e)
{
	json_decref(c->extra);
	c->extra = rules;
	c->results = jsonx_pack("{s:s,s:O}", "state", "active", "metadata", json_object_get(c->access, "metadata"));
	return check_rule(c, rules, jsonx_str(c->access, "id"), e);
}

static int allow_drive(struct engine *en, struct call *c, struct error *e)
{
	json_t *rules = NULL;
	int r = access_apply(en, c, c->access, NULL, NULL, &rules, e);

	if (r == 0)
		r = allow_result(c, rules, e);
	return r < 0 ? r : access_apply_others(en, c, c->access, NULL, NULL, e);
}

static int allow_settle(struct engine *en, struct call *c, struct error *e)
{
	int r = access_settle(en, c, c->extra, e);

	if (r == 0)
		r = access_settle_others(en, c, c->access, false, e);
	if (r == 0)
		rule_event(en, c);
	return r;
}

static int rule_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = access_set_state(en, jsonx_str(c->access, "id"), jsonx_str(c->instance, "id"), "error", cause->message,
				 e);

	if (r == 0)
		rule_event(en, c);
	return r;
}

static int rule_amend(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	_cleanup_json_ json_t *fields =
		jsonx_pack("{s:O,s:o}", "metadata", json_object_get(changed, "metadata"), "updated_at", now_json());

	return store_update(en->st, STORE_ACCESS_RULES, jsonx_str(c->access, "id"), fields, e);
}

static int allow_undo(struct engine *en, struct call *c, struct error *e)
{
	return access_drop_everywhere(en, jsonx_str(c->access, "id"), e);
}

/* The rule is wanted: everything wanted is put in force, which says what became of it. */
static int allow_recover(struct engine *en, struct call *c, struct error *e)
{
	json_t *rules = NULL;
	int r;

	about_rule(c, jsonx_str(c->access, "id"));
	r = access_apply(en, c, NULL, NULL, NULL, &rules, e);
	if (r == 0)
		r = allow_result(c, rules, e);
	if (r == 0)
		r = access_apply_others(en, c, c->access, NULL, NULL, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_allow_access = {
	.resolve = allow_resolve,
	.intend = allow_intend,
	.drive = allow_drive,
	.settle = allow_settle,
	.fail = rule_fail,
	.amend = rule_amend,
	.answer = answer_rule,
	.recover = allow_recover,
	.undo = allow_undo,
};

/* ---- a rule that exists ---- */

static int find_by_target(struct engine *en, struct call *c, struct error *e)
{
	const char *type = jsonx_str(c->params, "access_type"), *to = jsonx_str(c->params, "access_to");
	_cleanup_free_ char *canonical = NULL;
	int r;

	if (!type || !to)
		return error_param(e, "access", "say which rule: `access` (its id), or access_type and access_to");
	/* A user who is gone from the host had a name when the rule was made. */
	if (access_canonical(type, to, &canonical, e) < 0) {
		if (strcmp(type, "user") != 0)
			return -EINVAL;
		error_clear(e);
		canonical = xstrdup(to);
	}
	if ((r = find_equal(en, c, type, canonical, &c->access, e)) < 0)
		return r;
	if (c->access)
		return 0;
	error_set(e, ERR_NOT_FOUND, ENOENT, "share \"%s\" has no rule for %s %s: list_access_rules shows what it has",
		  jsonx_str(c->share, "name"), type, to);
	error_add(e, "param", json_string("access_to"));
	return -ENOENT;
}

static int find_rule(struct engine *en, struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->params, "access");
	int r;

	if (!id)
		r = find_by_target(en, c, e);
	else
		r = object_find_access(en->st, id, "access", &c->access, e);
	if (r < 0)
		return r;
	if (strcmp(jsonx_str(c->access, "share_id"), jsonx_str(c->share, "id")) != 0) {
		error_set(e, ERR_NOT_FOUND, ENOENT, "access rule %s is not one of share \"%s\"", id,
			  jsonx_str(c->share, "name"));
		error_add(e, "param", json_string("access"));
		return -ENOENT;
	}
	about_rule(c, jsonx_str(c->access, "id"));
	return 0;
}

static int set_rule_args(struct call *c)
{
	c->args = json_copy(c->params);
	json_object_set(c->args, "share", json_object_get(c->share, "id"));
	if (c->access) {
		json_object_set(c->args, "access", json_object_get(c->access, "id"));
		json_object_set(c->args, "access_type", json_object_get(c->access, "access_type"));
		json_object_set(c->args, "access_to", json_object_get(c->access, "canonical"));
	}
	return 0;
}

/* As it was; the init_host that the backend needs now puts the wanted rules in force again. */
static int rule_undo(struct engine *en, struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->access, "id");
	int r;

	if (!c->access)
		return 0;
	if ((r = access_set_state(en, id, jsonx_str(c->instance, "id"), "queued_to_apply", NULL, e)) < 0)
		return r;
	return access_set_others(en, c, id, "queued_to_apply", e);
}

/* ---- deny ---- */

static int deny_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = gone_is_fine(c, resolve_share(en, c, jsonx_str(c->params, "share"), e), e);

	if (r < 0 || c->answered)
		return r;
	r = gone_is_fine(c, find_rule(en, c, e), e);
	if (r < 0 || c->answered)
		return r;
	if ((r = need_share_status(en, c,
				   WORDS("available", "error", "extending_error", "shrinking_error", "reverting_error"),
				   e)) < 0)
		return r;
	return set_rule_args(c);
}

static int deny_intend(struct engine *en, struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->access, "id");
	int r;

	c->intent = rule_intent(c, c->access);
	if ((r = access_set_state(en, id, jsonx_str(c->instance, "id"), "denying", NULL, e)) < 0)
		return r;
	return access_set_others(en, c, id, "queued_to_deny", e);
}

static int deny_drive(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	int r = access_apply(en, c, NULL, c->access, NULL, &rules, e);

	if (r < 0 && e->kind == ERR_NOT_FOUND) {
		error_clear(e);
		r = 0;
	}
	return r < 0 ? r : access_apply_others(en, c, NULL, c->access, NULL, e);
}

static bool is_left(struct engine *en, const struct call *c)
{
	_cleanup_json_ json_t *row = NULL;

	return store_get(en->st, STORE_ACCESS_RULES, "id", jsonx_str(c->access, "id"), &row, NULL) == 0;
}

/* Gone, unless a replica still lets them in: then the rule stays until that is over. */
static int deny_settle(struct engine *en, struct call *c, struct error *e)
{
	json_t *o = NULL;
	int r = answer_rule(en, c, &o, e);

	if (r < 0)
		return r;
	if ((r = access_drop(en, jsonx_str(c->access, "id"), jsonx_str(c->instance, "id"), e)) < 0 ||
	    (r = access_settle_others(en, c, c->access, true, e)) < 0) {
		json_decref(o);
		return r;
	}
	if (is_left(en, c)) {
		json_decref(o);
		rule_event(en, c);
	} else {
		call_event(c, "access.denied", o);
	}
	return 0;
}

/* It is wanted gone, and stays so: update_access and the next start go on taking it away. */
static int deny_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = access_set_state(en, jsonx_str(c->access, "id"), jsonx_str(c->instance, "id"), "queued_to_deny",
				 cause->message, e);

	if (r == 0)
		rule_event(en, c);
	return r;
}

static int deny_recover(struct engine *en, struct call *c, struct error *e)
{
	int r;

	about_rule(c, jsonx_str(c->access, "id"));
	r = deny_drive(en, c, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_deny_access = {
	.resolve = deny_resolve,
	.intend = deny_intend,
	.drive = deny_drive,
	.settle = deny_settle,
	.fail = deny_fail,
	.recover = deny_recover,
	.undo = rule_undo,
};

/* ---- update ---- */

static bool one_rule(const struct call *c)
{
	return c->access != NULL;
}

static int update_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *level = jsonx_str(c->params, "access_level");
	bool changes = level || jsonx_get(c->params, "options"), named = jsonx_get(c->params, "access") != NULL;
	int r;

	if ((r = resolve_share(en, c, jsonx_str(c->params, "share"), e)) < 0 ||
	    (r = need_share_status(en, c, RULE_STATUSES, e)) < 0)
		return r;
	if (changes && !named)
		return error_param(e, "access", "say which rule gets the new level or options: `access` is missing");
	if (named && !changes)
		return error_param(
			e, "access_level",
			"say what changes: access_level or options; without `access` all rules are put in force again");
	if (named &&
	    ((r = find_rule(en, c, e)) < 0 || (r = backend_need_up(c->backend, e)) < 0 ||
	     (r = access_check_options(jsonx_str(c->share, "share_proto"), jsonx_get(c->params, "options"), e)) < 0 ||
	     (r = access_offered(c->backend, jsonx_str(c->share, "share_proto"), NULL, level, e)) < 0))
		return r;
	return set_rule_args(c);
}

static int update_intend(struct engine *en, struct call *c, struct error *e)
{
	static const char *const keys[] = { "access_level", "options" };
	int r;

	c->intent = rule_intent(c, c->access);
	if (!one_rule(c))
		return 0;
	for (size_t i = 0; i < 2; i++) {
		json_t *v = jsonx_get(c->params, keys[i]);

		json_object_set(c->intent, keys[i], v ? v : json_object_get(c->access, keys[i]));
	}
	if ((r = access_set_state(en, jsonx_str(c->access, "id"), jsonx_str(c->instance, "id"), "updating", NULL, e)) <
	    0)
		return r;
	return access_set_others(en, c, jsonx_str(c->access, "id"), "queued_to_apply", e);
}

static int update_result(struct call *c, json_t *rules, struct error *e)
{
	json_decref(c->extra);
	c->extra = rules;
	c->results = jsonx_pack("{s:o}", "rules", access_states_json(rules));
	return one_rule(c) ? check_rule(c, rules, jsonx_str(c->access, "id"), e) : 0;
}

static int update_drive(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *changed = NULL;
	json_t *rules = NULL;
	int r;

	if (one_rule(c)) {
		changed = json_copy(c->access);
		json_object_set(changed, "access_level", json_object_get(c->intent, "access_level"));
		json_object_set(changed, "options", json_object_get(c->intent, "options"));
	}
	r = access_apply(en, c, NULL, NULL, changed, &rules, e);
	if (r == 0)
		r = update_result(c, rules, e);
	return r < 0 ? r : access_apply_others(en, c, NULL, NULL, changed, e);
}

static int update_settle(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *fields = NULL;
	int r;

	if (one_rule(c)) {
		fields = jsonx_pack("{s:O,s:O,s:o}", "access_level", json_object_get(c->intent, "access_level"),
				    "options", json_object_get(c->intent, "options"), "updated_at", now_json());
		if ((r = store_update(en->st, STORE_ACCESS_RULES, jsonx_str(c->access, "id"), fields, e)) < 0)
			return r;
	}
	if ((r = access_settle(en, c, c->extra, e)) < 0)
		return r;
	if ((!one_rule(c) && (r = access_drop_denied(en, jsonx_str(c->instance, "id"), e)) < 0) ||
	    (r = access_settle_others(en, c, c->access, false, e)) < 0)
		return r;
	if (one_rule(c))
		rule_event(en, c);
	return 0;
}

static int update_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	return one_rule(c) ? rule_fail(en, c, cause, e) : 0;
}

static int update_recover(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if (one_rule(c))
		about_rule(c, jsonx_str(c->access, "id"));
	r = update_drive(en, c, e);
	return r < 0 ? r : 1;
}

const struct call_ops ops_update_access = {
	.resolve = update_resolve,
	.intend = update_intend,
	.drive = update_drive,
	.settle = update_settle,
	.fail = update_fail,
	.answer = answer_share,
	.recover = update_recover,
	.undo = rule_undo,
};
