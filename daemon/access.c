#include "daemon/access.h"

#include "base/address.h"
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/objects.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

/* ---- what a rule is for ---- */

static int bad_address(struct error *e, const char *to, const char *why)
{
	return error_param(e, "access_to", "\"%s\" %s: give an IPv4 or IPv6 address, or a network like 192.0.2.0/24",
			   to, why);
}

static int canonical_ip(const char *to, char **ret, struct error *e)
{
	char text[ADDRESS_TEXT];
	struct address a;
	int r = address_parse_exact(to, &a);

	if (r == -ERANGE)
		return bad_address(e, to, "has host bits set beyond its prefix");
	if (r < 0)
		return bad_address(e, to, "is no address, or has a prefix length that cannot be");
	*ret = xstrdup(address_format(&a, text));
	return 0;
}

static int canonical_user(const char *to, char **ret, struct error *e)
{
	uid_t uid;

	int r = text_parse_user(to, &uid, ret);

	if (r < 0 && r != -ENOENT)
		return error_set(e, ERR_INTERNAL, -r, "cannot look up the user \"%s\": %s", to, strerror(-r));
	if (r < 0)
		return error_param(e, "access_to", "there is no user \"%s\" on this host", to);
	return 0;
}

static int canonical_cephx(const char *to, char **ret, struct error *e)
{
	for (const char *p = to; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '.')
			return error_param(e, "access_to",
					   "\"%s\" is no cephx id: printable ASCII without dot and blank", to);
	*ret = xstrdup(to);
	return 0;
}

int access_canonical(const char *type, const char *to, char **ret, struct error *e)
{
	if (strcmp(type, "ip") == 0)
		return canonical_ip(to, ret, e);
	if (strcmp(type, "user") == 0)
		return canonical_user(to, ret, e);
	return canonical_cephx(to, ret, e);
}

/* What a protocol has, whoever exports it. Where there are no exporters, the driver's own lists say all. */
static const struct {
	const char *share_proto, *types, *levels;
} protocols[] = {
	{ "LOCAL", "user", "rw" },
	{ "NFS", "ip", "rw, ro" },
	{ "CIFS", "user, ip", "rw, ro" },
	{ "NFS_CIFS", "ip, user", "rw, ro" },
};

static int not_offered(struct error *e, const char *param, const char *text)
{
	error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "%s", text);
	error_add(e, "param", json_string(param));
	return -EOPNOTSUPP;
}

static int offered(const struct backend *b, const char *share_proto, const char *capability, const char *word,
		   const char *list, const char *param, struct error *e)
{
	_cleanup_free_ char *text = NULL;

	if (!backend_offers(b, capability, word))
		text = xasprintf("backend \"%s\" has no %s %s: get_backend shows %s", b->name,
				 strcmp(param, "access_type") == 0 ? "access rules of type" : "access level", word,
				 capability);
	else if (list && !strstr(list, word))
		text = xasprintf("%s shares have no %s %s, but %s", share_proto,
				 strcmp(param, "access_type") == 0 ? "access rules of type" : "access level", word,
				 list);
	return text ? not_offered(e, param, text) : 0;
}

int access_offered(const struct backend *b, const char *share_proto, const char *type, const char *level,
		   struct error *e)
{
	const char *types = NULL, *levels = NULL;
	int r = 0;

	for (size_t i = 0; share_proto && backend_is_exported(b) && i < sizeof protocols / sizeof *protocols; i++)
		if (strcmp(protocols[i].share_proto, share_proto) == 0) {
			types = protocols[i].types;
			levels = protocols[i].levels;
		}
	if (type)
		r = offered(b, share_proto, "access_types", type, types, "access_type", e);
	if (r == 0 && level)
		r = offered(b, share_proto, "access_levels", level, levels, "access_level", e);
	return r;
}

int access_check_options(const char *share_proto, const json_t *options, struct error *e)
{
	static const char *const known[] = { "squash", "sec", "anonuid", "anongid", NULL };
	/* A share without a protocol was never made by us. */
	bool nfs = share_proto && (strcmp(share_proto, "NFS") == 0 || strcmp(share_proto, "NFS_CIFS") == 0);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)options, key, v) {
		const char *const *k = known;

		if (!nfs)
			return error_param(e, "options", "rules of a %s share have no options: leave them out",
					   share_proto ? share_proto : "damaged");
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k || (!json_is_string(v) && !json_is_integer(v)))
			return error_param(
				e, "options",
				"options has \"%s\": there are squash, sec, anonuid and anongid, each a text or number",
				key);
	}
	return 0;
}

/* ---- rows ---- */

json_t *access_row(const char *share_id, const char *id, const char *type, const char *to, const char *canonical,
		   const char *level, json_t *options, json_t *metadata)
{
	char now[32];

	text_now(now);
	return jsonx_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:s}", "id", id, "share_id", share_id, "access_type",
			  type, "access_to", to, "canonical", canonical, "access_level", level, "options",
			  options ? json_incref(options) : json_object(), "metadata",
			  metadata ? json_incref(metadata) : json_object(), "created_at", now, "updated_at", now);
}

int access_add_state(struct engine *en, const char *access_id, const char *instance_id, const char *state,
		     struct error *e)
{
	_cleanup_free_ char *id = xasprintf("%s/%s", access_id, instance_id);
	_cleanup_json_ json_t *s = jsonx_pack("{s:s,s:s,s:s,s:s}", "id", id, "access_id", access_id, "instance_id",
					      instance_id, "state", state);

	return store_insert(en->st, STORE_ACCESS_STATES, s, NULL, e);
}

int access_insert(struct engine *en, const json_t *row, const char *instance_id, const char *state, struct error *e)
{
	int r = store_insert(en->st, STORE_ACCESS_RULES, row, NULL, e);

	return r < 0 ? r : access_add_state(en, jsonx_str(row, "id"), instance_id, state, e);
}

int access_set_state(struct engine *en, const char *access_id, const char *instance_id, const char *state,
		     const char *reason, struct error *e)
{
	_cleanup_free_ char *id = xasprintf("%s/%s", access_id, instance_id);
	_cleanup_json_ json_t *fields = jsonx_pack("{s:s,s:o}", "state", state, "status_reason", jsonx_string(reason));

	return store_update(en->st, STORE_ACCESS_STATES, id, fields, e);
}

int access_drop(struct engine *en, const char *access_id, const char *instance_id, struct error *e)
{
	_cleanup_free_ char *id = xasprintf("%s/%s", access_id, instance_id);
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "access_id", access_id);
	int64_t elsewhere;
	int r;

	if ((r = store_delete(en->st, STORE_ACCESS_STATES, id, e)) < 0 ||
	    (r = store_count(en->st, STORE_ACCESS_STATES, where, &elsewhere, e)) < 0 || elsewhere > 0)
		return r;
	return store_delete(en->st, STORE_ACCESS_RULES, access_id, e);
}

static bool is_leaving(struct engine *en, const char *access_id, const char *instance_id)
{
	_cleanup_free_ char *id = xasprintf("%s/%s", access_id, instance_id);
	_cleanup_json_ json_t *row = NULL;
	const char *state;

	if (store_get(en->st, STORE_ACCESS_STATES, "id", id, &row, NULL) < 0)
		return false;
	state = jsonx_str(row, "state");
	return strcmp(state, "queued_to_deny") == 0 || strcmp(state, "denying") == 0;
}

int access_wanted(struct engine *en, const char *share_id, const char *instance_id, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	json_t *wanted, *rule;
	size_t i;
	int r = object_rules(en->st, share_id, &rules, e);

	if (r < 0)
		return r;
	wanted = json_array();
	json_array_foreach(rules, i, rule)
		if (!is_leaving(en, jsonx_str(rule, "id"), instance_id))
			json_array_append(wanted, rule);
	*ret = wanted;
	return 0;
}

int access_set_all(struct engine *en, const char *share_id, const char *instance_id, const char *state,
		   const char *reason, struct error *e)
{
	_cleanup_json_ json_t *wanted = NULL;
	json_t *rule;
	size_t i;
	int r = access_wanted(en, share_id, instance_id, &wanted, e);

	if (r < 0)
		return r;
	json_array_foreach(wanted, i, rule)
		if ((r = access_set_state(en, jsonx_str(rule, "id"), instance_id, state, reason, e)) < 0)
			return r;
	return 0;
}

/* ---- the driver ---- */

static int check_rules(const struct backend *b, const json_t *rules, struct error *e)
{
	const char *id, *key;
	json_t *rule, *v;

	json_object_foreach((json_t *)rules, id, rule) {
		const char *state = jsonx_str(rule, "state");

		if (!state || (strcmp(state, "active") != 0 && strcmp(state, "error") != 0))
			return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
					 "update_access of driver %s answered a rule without state active or error",
					 b->driver);
		json_object_foreach(rule, key, v)
			if (strcmp(key, "state") != 0 && strcmp(key, "reason") != 0 && strcmp(key, "access_key") != 0)
				return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
						 "update_access of driver %s answered "
						 "a rule with the unknown key \"%s\"",
						 b->driver, key);
	}
	return 0;
}

/* What an instance opens to whom a rule names. */
static enum opens { OPENS_AS_RULED, OPENS_READ_ONLY, OPENS_NOTHING } what_opens(const struct call *c)
{
	const char *state = jsonx_str(c->instance, "replica_state"), *type = jsonx_str(c->share, "replication_type");

	if (!state || strcmp(state, "active") == 0)
		return OPENS_AS_RULED;
	if (c->backend->ops && c->backend->ops->replicates)
		return OPENS_NOTHING;
	return type && strcmp(type, "dr") == 0 ? OPENS_NOTHING : OPENS_READ_ONLY;
}

static void add_rule(struct input *in, enum input_rules kind, enum opens opens, const json_t *rule)
{
	_cleanup_json_ json_t *open = opens == OPENS_READ_ONLY ? json_copy((json_t *)rule) : NULL;

	if (!rule || opens == OPENS_NOTHING)
		return;
	if (open)
		json_object_set_new(open, "access_level", json_string("ro"));
	input_rule(in, kind, open ? open : rule);
}

/* Nothing is to be open, and nothing is: that is as it should be. */
static json_t *all_fine(const json_t *wanted)
{
	json_t *o = json_object(), *rule;
	size_t i;

	json_array_foreach(wanted, i, rule)
		json_object_set_new(o, jsonx_str(rule, "id"), jsonx_pack("{s:s}", "state", "active"));
	return o;
}

int access_add_wanted(struct engine *en, const struct call *c, struct input *in, const json_t *update, json_t **ret,
		      struct error *e)
{
	json_t *wanted, *rule;
	size_t i;
	int r = access_wanted(en, jsonx_str(c->share, "id"), jsonx_str(c->instance, "id"), &wanted, e);

	if (r < 0)
		return r;
	input_rules_begin(in);
	json_array_foreach(wanted, i, rule) {
		/* What is to be changed is wanted as it will be. */
		bool changes = update && strcmp(jsonx_str(update, "id"), jsonx_str(rule, "id")) == 0;

		add_rule(in, RULES_ALL, what_opens(c), changes ? update : rule);
	}
	if (ret)
		*ret = wanted;
	else
		json_decref(wanted);
	return 0;
}

int access_apply(struct engine *en, struct call *c, const json_t *add, const json_t *remove, const json_t *update,
		 json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *wanted = NULL, *values = NULL;
	enum opens opens = what_opens(c);
	struct input *in = input_of(c);
	int r = access_add_wanted(en, c, in, update, &wanted, e);

	if (r < 0) {
		input_free(in);
		return r;
	}
	if (opens == OPENS_NOTHING && (add || remove || update)) {
		input_free(in);
		*ret = all_fine(wanted);
		return 0;
	}
	add_rule(in, RULES_ADD, opens, add);
	add_rule(in, RULES_REMOVE, opens, remove);
	add_rule(in, RULES_UPDATE, opens, update);
	r = backend_invoke(en, c->backend, c, "update_access", in, &values, e);
	if (r == 1)
		return error_set(e, ERR_INTERNAL, EINVAL, "update_access of driver %s answered with long work",
				 c->backend->driver);
	if (r < 0 || (r = check_rules(c->backend, json_object_get(values, "rules"), e)) < 0)
		return r;
	*ret = opens == OPENS_NOTHING ? all_fine(wanted) : json_incref(json_object_get(values, "rules"));
	return 0;
}

int access_deny_all(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL, *values = NULL;
	struct input *in;
	size_t i;
	json_t *rule;
	int r;

	if (!backend_has_slot(c->backend, "update_access"))
		return 0;
	if ((r = object_rules(en->st, jsonx_str(c->share, "id"), &rules, e)) < 0 || json_array_size(rules) == 0)
		return r;
	in = input_of(c);
	input_rules_begin(in);
	json_array_foreach(rules, i, rule)
		input_rule(in, RULES_REMOVE, rule);
	r = backend_invoke(en, c->backend, c, "update_access", in, &values, e);
	/* Nothing there to guard: what follows decides. */
	if (r < 0 && e->kind == ERR_NOT_FOUND) {
		error_clear(e);
		return 0;
	}
	return r;
}

int access_settle(struct engine *en, const struct call *c, const json_t *rules, struct error *e)
{
	return access_settle_on(en, jsonx_str(c->instance, "id"), rules, e);
}

int access_settle_on(struct engine *en, const char *instance_id, const json_t *rules, struct error *e)
{
	const char *id, *key;
	json_t *rule;

	json_object_foreach((json_t *)rules, id, rule) {
		_cleanup_free_ char *state_id = xasprintf("%s/%s", id, instance_id);
		_cleanup_json_ json_t *fields = jsonx_pack("{s:O,s:o}", "state", json_object_get(rule, "state"),
							   "status_reason", jsonx_string(jsonx_str(rule, "reason")));
		int r;

		if ((key = jsonx_str(rule, "access_key")))
			json_object_set_new(fields, "access_key", json_string(key));
		/* A driver that speaks of a rule nobody has is not believed. */
		r = store_update(en->st, STORE_ACCESS_STATES, state_id, fields, e);
		if (r < 0 && r != -ENOENT)
			return r;
		error_clear(e);
	}
	return 0;
}

int access_drop_denied(struct engine *en, const char *instance_id, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "instance_id", instance_id), *rows = NULL;
	size_t i;
	json_t *row;
	int r = store_select(en->st, STORE_ACCESS_STATES, &(struct store_query){ .where = where }, &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		const char *state = jsonx_str(row, "state");

		if (strcmp(state, "denying") != 0 && strcmp(state, "queued_to_deny") != 0)
			continue;
		if ((r = access_drop(en, jsonx_str(row, "access_id"), jsonx_str(row, "instance_id"), e)) < 0)
			return r;
	}
	return 0;
}

json_t *access_states_json(const json_t *rules)
{
	json_t *o = json_object(), *rule;
	const char *id;

	json_object_foreach((json_t *)rules, id, rule)
		json_object_set(o, id, json_object_get(rule, "state"));
	return o;
}
