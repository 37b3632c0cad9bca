#include "daemon/access_replicas.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/replicas.h"

#include <string.h>

static int others(struct engine *en, const struct call *c, json_t **ret, struct error *e)
{
	json_t *rows = NULL;
	size_t i = 0;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	while (i < json_array_size(rows)) {
		const char *id = jsonx_str(json_array_get(rows, i), "id");

		if (strcmp(id, jsonx_str(c->instance, "id")) == 0)
			json_array_remove(rows, i);
		else
			i++;
	}
	*ret = rows;
	return r;
}

static int write_others(struct engine *en, const struct call *c, const char *access_id, const char *state, bool insert,
			struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = others(en, c, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = insert ? access_add_state(en, access_id, jsonx_str(row, "id"), state, e)
				   : access_set_state(en, access_id, jsonx_str(row, "id"), state, NULL, e);
	return r;
}

int access_insert_others(struct engine *en, const struct call *c, const char *access_id, const char *state,
			 struct error *e)
{
	return write_others(en, c, access_id, state, true, e);
}

int access_set_others(struct engine *en, const struct call *c, const char *access_id, const char *state,
		      struct error *e)
{
	return write_others(en, c, access_id, state, false, e);
}

/* {"rules"} as access_apply's, or {"reason", "state"}. */
static json_t *apply_to(struct engine *en, struct call *c, const json_t *instance, const json_t *add,
			const json_t *remove, const json_t *update)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct call *part;
	json_t *rules = NULL, *o;

	/* Nothing is open there yet; its own call puts what is wanted then in force. */
	if (strcmp(jsonx_str(instance, "status"), "creating") == 0)
		return jsonx_pack("{s:{}}", "rules");
	part = replica_part(en, c, instance);
	if (!replica_part_is_up(part)) {
		o = jsonx_pack("{s:o,s:s}", "reason",
			       json_sprintf("backend \"%s\" of a replica is down: this follows when it is back",
					    jsonx_str(instance, "backend")),
			       "state", "queued_to_apply");
	} else if (access_apply(en, part, add, remove, update, &rules, &e) < 0) {
		log_warning("the access rules of replica %s on backend \"%s\" do not follow: %s",
			    jsonx_str(instance, "id"), part->backend->name, e.message);
		o = jsonx_pack("{s:s,s:s}", "reason", e.message, "state",
			       e.kind == ERR_BACKEND_DOWN ? "queued_to_apply" : "error");
	} else {
		o = jsonx_pack("{s:o}", "rules", rules);
	}
	call_free(part);
	return o;
}

int access_apply_others(struct engine *en, struct call *c, const json_t *add, const json_t *remove,
			const json_t *update, struct error *e)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = others(en, c, &rows, e);

	if (r < 0)
		return r;
	json_decref(c->more);
	c->more = json_object();
	json_array_foreach(rows, i, row)
		json_object_set_new(c->more, jsonx_str(row, "id"), apply_to(en, c, row, add, remove, update));
	return 0;
}

/* Which rules could not be put in force there. */
static int write_reason(struct engine *en, const struct call *c, const char *instance_id, const json_t *rule,
			const char *state, const char *reason, struct error *e)
{
	return rule ? access_set_state(en, jsonx_str(rule, "id"), instance_id, state, reason, e)
		    : access_set_all(en, jsonx_str(c->share, "id"), instance_id, state, reason, e);
}

static int settle_one(struct engine *en, const struct call *c, const char *instance_id, const json_t *outcome,
		      const json_t *rule, bool removed, struct error *e)
{
	const char *reason = jsonx_str(outcome, "reason");
	int r;

	if (reason)
		return write_reason(en, c, instance_id, rule, removed ? "queued_to_deny" : jsonx_str(outcome, "state"),
				    reason, e);
	if (removed)
		return access_drop(en, jsonx_str(rule, "id"), instance_id, e);
	r = access_settle_on(en, instance_id, json_object_get(outcome, "rules"), e);
	return r < 0 || rule ? r : access_drop_denied(en, instance_id, e);
}

int access_settle_others(struct engine *en, const struct call *c, const json_t *rule, bool removed, struct error *e)
{
	const char *id;
	json_t *outcome;

	json_object_foreach(c->more, id, outcome) {
		int r = settle_one(en, c, id, outcome, rule, removed, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int access_drop_everywhere(struct engine *en, const char *access_id, struct error *e)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "access_id", access_id), *rows = NULL;
	json_t *row;
	size_t i;
	int r = store_select(en->st, STORE_ACCESS_STATES, &(struct store_query){ .where = where }, &rows, e);

	json_array_foreach(rows, i, row)
		if (r == 0)
			r = store_delete(en->st, STORE_ACCESS_STATES, jsonx_str(row, "id"), e);
	return r < 0 ? r : store_delete(en->st, STORE_ACCESS_RULES, access_id, e);
}
