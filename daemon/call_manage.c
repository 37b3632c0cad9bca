/* manage_share: adopts what lies on a backend. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/objects.h"
#include "daemon/recover.h"
#include "daemon/resolve.h"
#include "daemon/shares.h"

#include <errno.h>
#include <string.h>

static int same_as_existing(struct engine *en, struct call *c, const json_t *share, struct error *e)
{
	static const char *const keys[] = { "backend", "share_proto", "size_bytes" };
	const json_t *instance = json_array_get(json_object_get(share, "instances"), 0);
	const char *name = jsonx_str(share, "name"), *differs = NULL;

	(void)en;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *want = jsonx_get(c->params, keys[i]);

		if (want && !json_equal(want, json_object_get(share, keys[i])))
			differs = keys[i];
	}
	if (!has_metadata(share, jsonx_get(c->params, "metadata")))
		differs = "metadata";
	if (!json_equal(json_object_get(c->params, "provider_location"),
			json_object_get(instance, "provider_location")))
		differs = "provider_location";
	if (!differs)
		return 0;
	error_set(e, ERR_ALREADY_EXISTS, EEXIST, "share \"%s\" exists with another %s: choose another name", name,
		  differs);
	error_add(e, "param", json_string(differs));
	error_add(e, "object", json_string(name));
	return -EEXIST;
}

static int need_unmanaged(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s,s:O}", "backend", c->backend->name, "provider_location",
						  json_object_get(c->params, "provider_location")),
			      *rows = NULL, *share = NULL;
	int r = store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where, .limit = 1 }, &rows, e);

	if (r < 0 || json_array_size(rows) == 0)
		return r;
	r = object_find_share(en->st, jsonx_str(json_array_get(rows, 0), "share_id"), "provider_location", &share, e);
	if (r < 0)
		return r;
	error_set(e, ERR_ALREADY_EXISTS, EEXIST, "%s is managed already, as share \"%s\"",
		  jsonx_str(c->params, "provider_location"), jsonx_str(share, "name"));
	error_add(e, "param", json_string("provider_location"));
	error_add(e, "object", json_incref(json_object_get(share, "id")));
	return -EEXIST;
}

/* The rules that come with it, each checked, as rows. */
static int make_rules(const struct call *c, const char *share_id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *rows = json_array(), *seen = json_object();
	size_t i;
	json_t *rule;

	json_array_foreach(json_object_get(c->params, "access_rules"), i, rule) {
		const char *type = jsonx_str(rule, "access_type"), *to = jsonx_str(rule, "access_to"),
			   *level = jsonx_str(rule, "access_level");
		_cleanup_free_ char *canonical = NULL, *key = NULL;
		char id[37];
		int r;

		if ((r = access_offered(c->backend, jsonx_str(c->params, "share_proto"), type, level, e)) < 0 ||
		    (r = access_check_options(jsonx_str(c->params, "share_proto"), jsonx_get(rule, "options"), e)) <
			    0 ||
		    (r = access_canonical(type, to, &canonical, e)) < 0) {
			error_prefix(e, "access_rules, rule %zu", i + 1);
			return r;
		}
		key = xasprintf("%s %s", type, canonical);
		if (json_object_get(seen, key))
			return error_param(e, "access_rules", "access_rules has two rules for %s", key);
		json_object_set_new(seen, key, json_true());
		text_make_uuid(id);
		json_array_append_new(rows, access_row(share_id, id, type, to, canonical, level ? level : "rw",
						       jsonx_get(rule, "options"), NULL));
	}
	*ret = take_ptr(rows);
	return 0;
}

static int make_rows(struct engine *en, struct call *c, struct error *e)
{
	char share_id[37], instance_id[37], now[32];
	json_t *share, *instance, *rules = NULL, *warnings = json_array();
	const char *domain = settings_string(c->backend->settings, "replication_domain");
	int r;

	text_make_uuid(share_id);
	text_make_uuid(instance_id);
	text_now(now);
	if ((r = make_rules(c, share_id, &rules, e)) < 0) {
		json_decref(warnings);
		return r;
	}
	if (!jsonx_bool(c->backend->capabilities, "size_enforced"))
		json_array_append_new(warnings, json_string("size is not enforced on this backend"));
	/* Until the driver says what is used, the smallest size there is. */
	share = jsonx_pack(
		"{s:s,s:O,s:O,s:I,s:O,s:o,s:s,s:s}", "id", share_id, "name", json_object_get(c->params, "name"),
		"share_proto", json_object_get(c->params, "share_proto"), "size_bytes",
		jsonx_get(c->params, "size_bytes") ? (json_int_t)jsonx_int(c->params, "size_bytes") : (json_int_t)1,
		"metadata", json_object_get(c->params, "metadata"), "warnings", warnings, "created_at", now,
		"updated_at", now);
	json_object_set_new(share, "owner_uid", c->who.known ? json_integer(c->who.uid) : json_null());
	json_object_set_new(share, "replication_type",
			    jsonx_string(*domain ? settings_string(c->backend->settings, "replication_type") : NULL));
	instance = jsonx_pack("{s:s,s:s,s:s,s:s,s:o,s:O,s:s,s:s}", "id", instance_id, "share_id", share_id, "backend",
			      c->backend->name, "status", "manage_starting", "replica_state",
			      jsonx_string(*domain ? "active" : NULL), "provider_location",
			      json_object_get(c->params, "provider_location"), "created_at", now, "updated_at", now);
	c->extra = jsonx_pack("{s:o,s:o,s:o}", "share", share, "instance", instance, "rules", rules);
	c->object_kind = xstrdup("share");
	c->object_id = xstrdup(share_id);
	c->args = json_copy(c->params);
	json_object_set_new(c->args, "id", json_string(share_id));
	return number_export(en, c->backend, share, instance, e);
}

static int manage_resolve(struct engine *en, struct call *c, struct error *e)
{
	const char *proto = jsonx_str(c->params, "share_proto");
	_cleanup_json_ json_t *existing = NULL;
	int r;

	c->dry_run = jsonx_bool(c->params, "dry_run");
	if (object_find_share(en->st, jsonx_str(c->params, "name"), "name", &existing, NULL) == 0)
		return answer_existing_share(en, c, existing, same_as_existing, e);
	if ((r = backend_get(en, jsonx_str(c->params, "backend"), "backend", &c->backend, e)) < 0 ||
	    (r = backend_need_up(c->backend, e)) < 0)
		return r;
	if (!backend_offers(c->backend, "share_protos", proto))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
				 "backend \"%s\" does not export over %s: get_backend shows share_protos",
				 c->backend->name, proto);
	if (settings_bool(c->backend->settings, "driver_handles_share_servers"))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
				 "backend \"%s\" makes share servers, and what is adopted would have none: adopt it on "
				 "another backend",
				 c->backend->name);
	if (!jsonx_bool(c->backend->capabilities, "manage"))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "backend \"%s\" cannot adopt shares",
				 c->backend->name);
	if ((r = need_unmanaged(en, c, e)) < 0)
		return r;
	return make_rows(en, c, e);
}

static void use_rows(struct call *c)
{
	c->share = json_incref(json_object_get(c->extra, "share"));
	c->instance = json_incref(json_object_get(c->extra, "instance"));
}

static int manage_intend(struct engine *en, struct call *c, struct error *e)
{
	json_t *rules = json_object_get(c->extra, "rules"), *rule;
	size_t i;
	int r;

	use_rows(c);
	c->intent = jsonx_pack("{s:O,s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			       json_object_get(c->instance, "id"), "rules", rules);
	if ((r = store_insert(en->st, STORE_SHARES, c->share, NULL, e)) < 0 ||
	    (r = store_insert(en->st, STORE_INSTANCES, c->instance, NULL, e)) < 0)
		return r;
	json_array_foreach(rules, i, rule)
		if ((r = access_insert(en, rule, jsonx_str(c->instance, "id"), "applying", e)) < 0)
			return r;
	return 0;
}

static struct input *manage_input(const struct call *c)
{
	struct input *in = input_of(c);
	json_t *rules = json_object_get(c->dry_run ? c->extra : c->intent, "rules"), *rule;
	size_t i;

	input_rules_begin(in);
	json_array_foreach(rules, i, rule)
		input_rule(in, RULES_ALL, rule);
	input_call(in)->options = input_keep(in, jsonx_get(c->params, "driver_options"));
	input_call(in)->dry_run = c->dry_run;
	return in;
}

static int manage_drive(struct engine *en, struct call *c, struct error *e)
{
	if (c->dry_run)
		use_rows(c);
	return backend_invoke(en, c->backend, c, "manage_existing", manage_input(c), &c->results, e);
}

/* The rules in force. Where that fails as a whole, the share is given back as it was. */
static int manage_follow(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	_cleanup_error_ struct error e2 = ERROR_INIT;
	json_t *rules = NULL;
	int r;

	/* The driver knows its place from here on. */
	if (jsonx_get(c->results, "provider_location"))
		json_object_set(c->instance, "provider_location", json_object_get(c->results, "provider_location"));
	if (c->dry_run || !backend_has_slot(c->backend, "update_access"))
		return 0;
	r = access_apply(en, c, NULL, NULL, NULL, &rules, e);
	if (r == 0) {
		json_decref(c->more);
		c->more = rules;
		return 0;
	}
	if (backend_invoke(en, c->backend, c, "unmanage", input_of(c), &gone, &e2) < 0)
		log_warning("what could not be adopted could not be given back: %s", e2.message);
	return r;
}

static int manage_settle(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *location = json_incref(json_object_get(c->instance, "provider_location"));
	json_t *more = jsonx_get(c->results, "metadata"), *own, *all, *fields;
	/* Measuring went on for a while: others may have changed the row. */
	int r = reload_rows(en, c, e);

	if (r < 0)
		return r;
	json_object_set(c->instance, "provider_location", location);
	own = jsonx_get(c->share, "metadata");
	all = own ? json_copy(own) : json_object();
	if (more)
		json_object_update(all, more);
	json_object_set_new(c->results, "metadata", all);
	if (jsonx_get(c->params, "size_bytes"))
		json_object_set(c->results, "size_bytes", json_object_get(c->params, "size_bytes"));
	if (!jsonx_get(c->results, "export_locations"))
		json_object_set_new(c->results, "export_locations", json_array());
	fields = jsonx_pack("{s:s,s:n,s:O,s:O}", "status", "available", "status_reason", "export_locations",
			    json_object_get(c->results, "export_locations"), "provider_location",
			    json_object_get(c->instance, "provider_location"));
	if ((r = set_instance(en, c, fields, e)) < 0 ||
	    (r = set_share(
		     en, c,
		     jsonx_pack("{s:O,s:O}", "size_bytes", json_object_get(c->results, "size_bytes"), "metadata", all),
		     e)) < 0 ||
	    (r = access_settle(en, c, c->more, e)) < 0 || (r = reload_rows(en, c, e)) < 0)
		return r;
	/* The place is the store's business, not a result. */
	json_object_del(c->results, "provider_location");
	share_event(en, c);
	return 0;
}

/* The rules were asked for with the share, and nobody tries them again. */
static int fail_rules(struct engine *en, const struct call *c, const char *reason, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	json_t *rule;
	size_t i;
	int r = object_rules(en->st, jsonx_str(c->share, "id"), &rules, e);

	json_array_foreach(rules, i, rule)
		if (r == 0)
			r = access_set_state(en, jsonx_str(rule, "id"), jsonx_str(c->instance, "id"), "error", reason,
					     e);
	return r;
}

static int manage_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = fail_rules(en, c, cause->message, e);

	if (r < 0 || (r = set_instance_status(en, c, "manage_error", cause->message, e)) < 0)
		return r;
	share_event(en, c);
	return 0;
}

/* A dry run shows the share that would be; nothing of it is in the store. */
static int manage_answer(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	json_t *o, *v;

	if (!c->dry_run)
		return answer_share(en, c, ret, e);
	o = json_deep_copy(c->share);
	for (const char *const *hidden = WORDS("root_uid", "root_gid", "root_mode"); *hidden; hidden++)
		json_object_del(o, *hidden);
	json_object_set_new(o, "id", json_null());
	json_object_set(o, "backend", json_object_get(c->instance, "backend"));
	json_object_set_new(o, "status", json_string("available"));
	json_object_set(o, "size_bytes",
			jsonx_get(c->params, "size_bytes") ? json_object_get(c->params, "size_bytes")
							   : json_object_get(c->results, "size_bytes"));
	v = jsonx_get(c->results, "export_locations");
	json_object_set_new(o, "export_locations", v ? json_incref(v) : json_array());
	json_object_set_new(o, "access_rules_status", json_string("active"));
	json_object_set_new(o, "instances", json_array());
	for (const char *const *none = WORDS("status_reason", "used_bytes", "used_at", "progress", "snapshot_id",
					     "share_network", "share_server_id");
	     *none; none++)
		json_object_set_new(o, *none, json_null());
	*ret = o;
	return 0;
}

static int manage_recover(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	const char *status;
	bool by_call;
	int r = ask_status(en, c, false, &status, &by_call, e);

	if (r < 0)
		return r;
	if (by_call && strcmp(status, "available") == 0) {
		r = recover_invoke(en, c, "manage_existing", manage_input(c), &c->results, e);
		if (r == 0)
			r = manage_follow(en, c, e);
		return r < 0 ? r : 1;
	}
	if (backend_has_slot(c->backend, "unmanage"))
		r = recover_invoke(en, c, "unmanage", input_of(c), &gone, e);
	if (r < 0 && e->kind == ERR_NOT_FOUND) {
		error_clear(e);
		r = 0;
	}
	return r < 0 ? r : 0;
}

static int manage_undo(struct engine *en, struct call *c, struct error *e)
{
	return drop_share_rows(en, c, e);
}

const struct call_ops ops_manage_share = {
	.resolve = manage_resolve,
	.intend = manage_intend,
	.drive = manage_drive,
	.follow = manage_follow,
	.settle = manage_settle,
	.fail = manage_fail,
	.amend = amend_share,
	.answer = manage_answer,
	.recover = manage_recover,
	.undo = manage_undo,
};
