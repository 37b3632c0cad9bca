/* promote_share_replica. The old active replica is shut to writers before the new one is opened, and the store goes
 * from one to the other in the result's commit: until then the old one is the active one, whatever happens. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/access.h"
#include "daemon/objects.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

/* ---- may it be? ---- */

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (word && strcmp(word, *words) == 0)
			return true;
	return false;
}

static int need_in_sync(const struct call *c, struct error *e)
{
	const char *state = jsonx_str(c->instance, "replica_state");

	if (strcmp(state, "in_sync") == 0 || jsonx_bool(c->params, "force"))
		return 0;
	error_set(
		e, ERR_INVALID_STATE, EINVAL,
		"the replica is %s: update_share_replica brings it in sync; with `force` it becomes the active one as "
		"it is, and what it lacks is lost",
		state);
	error_add(e, "object", json_string(jsonx_str(c->instance, "id")));
	return -EINVAL;
}

/* The old one may be in any trouble, but nothing may be at work on it. What is half done on a backend that is gone is
 * decided when it is back, on a replica like others then. */
static int need_old_at_rest(struct engine *en, const struct call *c, struct error *e)
{
	const json_t *old = c->source_instance;
	struct backend *b = backend_find(en, jsonx_str(old, "backend"));
	const char *status = jsonx_str(old, "status");
	int r = need_quiet_replica(en, c, old, e);

	if (r < 0 || !b || b->status != BACKEND_UP ||
	    is_one_of(status, WORDS("available", "error", "extending_error", "shrinking_error", "reverting_error")))
		return r;
	error_set(e, ERR_INVALID_STATE, EINVAL, "share \"%s\" is %s: no replica of it can be promoted now",
		  jsonx_str(c->share, "name"), status);
	error_add(e, "object", json_string(jsonx_str(c->share, "name")));
	return -EINVAL;
}

static int promote_resolve(struct engine *en, struct call *c, struct error *e)
{
	bool force = jsonx_bool(c->params, "force");
	int r = resolve_replica(en, c, jsonx_str(c->params, "replica"), e);

	if (r < 0)
		return r;
	if (replica_is_active(c->instance)) {
		c->answered = true;
		return answer_share(en, c, &c->answer, e);
	}
	if ((r = object_instance_of(en->st, jsonx_str(c->share, "id"), &c->source_instance, e)) < 0 ||
	    (r = need_quiet_replica(en, c, c->instance, e)) < 0 ||
	    (r = need_share_status(en, c, force ? WORDS("available", "error") : WORDS("available"), e)) < 0 ||
	    (r = need_in_sync(c, e)) < 0 || (r = need_old_at_rest(en, c, e)) < 0 ||
	    (r = backend_need_up(c->backend, e)) < 0)
		return r;
	c->args = replica_args(c);
	return 0;
}

/* ---- rows ---- */

static int set_old(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	int r;

	json_object_set_new(fields, "updated_at", now_json());
	r = store_update(en->st, STORE_INSTANCES, jsonx_str(c->intent, "old_id"), fields, e);
	json_decref(fields);
	/* It was deleted by force since: there is nothing to write. */
	return r == -ENOENT ? 0 : r;
}

static int promote_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->intent = jsonx_pack("{s:O,s:O,s:O,s:O,s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			       json_object_get(c->instance, "id"), "old_id", json_object_get(c->source_instance, "id"),
			       "old_status", json_object_get(c->source_instance, "status"), "status",
			       json_object_get(c->instance, "status"), "replica_state",
			       json_object_get(c->instance, "replica_state"));
	if ((r = set_instance_status(en, c, "replication_change", NULL, e)) < 0)
		return r;
	/* What was wrong with it goes on to be wrong. */
	return set_old(en, c, jsonx_pack("{s:s}", "status", "replication_change"), e);
}

/* ---- the driver calls ---- */

/* The old one as it is to be from now on. */
static struct call *demoted_part(struct engine *en, struct call *c)
{
	_cleanup_json_ json_t *old = json_copy(c->source_instance);

	json_object_set_new(old, "replica_state", json_string("out_of_sync"));
	return replica_part(en, c, old);
}

/* Nobody writes to the old one any more. One that cannot be reached keeps nobody from going on elsewhere. */
static int shut_old(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct call *part = demoted_part(en, c);
	json_t *rules = NULL;
	int r = 0;

	json_decref(c->extra);
	c->extra = json_object();
	if (replica_part_is_up(part) && backend_has_slot(part->backend, "update_access"))
		r = access_apply(en, part, NULL, NULL, NULL, &rules, &why);
	if (rules)
		json_object_set_new(c->extra, "old_rules", rules);
	if (r < 0 && replica_part_is_up(part) && !jsonx_bool(c->params, "force")) {
		error_move(e, &why);
		error_prefix(e,
			     "the old active replica could not be shut to writers; with `force` that is passed over");
		/* Rules may have been taken away before it failed. */
		json_object_set_new(c->extra, "old_rules", json_object());
	} else if (r < 0) {
		log_warning("the old active replica of share \"%s\" is not shut to writers: %s",
			    jsonx_str(c->share, "name"), why.message);
		r = 0;
	}
	call_free(part);
	return r;
}

static int reopen_rows(struct engine *en, struct call *c, const json_t *rules, const char *reason, struct error *e)
{
	const char *old_id = jsonx_str(c->intent, "old_id");

	return rules ? access_settle_on(en, old_id, rules, e)
		     : access_set_all(en, jsonx_str(c->share, "id"), old_id, "error", reason, e);
}

/* The promotion failed, and the old one is the active one still: it is opened again. */
static void reopen_old(struct engine *en, struct call *c)
{
	_cleanup_error_ struct error e = ERROR_INIT, why = ERROR_INIT;
	_cleanup_json_ json_t *rules = NULL;
	struct call *part;

	if (!jsonx_get(c->extra, "old_rules"))
		return;
	part = replica_part(en, c, c->source_instance);
	if (access_apply(en, part, NULL, NULL, NULL, &rules, &why) < 0)
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_RULES_FAILED,
			 "the access rules of share \"%s\" could not be put back after a promotion that failed: %s",
			 jsonx_str(c->share, "name"), why.message);
	call_free(part);
	if (store_begin(en->st, &e) < 0)
		return;
	if (reopen_rows(en, c, rules, why.message, &e) < 0 || store_commit(en->st, true, &e) < 0)
		store_rollback(en->st);
}

/* Which one is active the store says: a call may fail after it has gone over. The share's snapshots are those of the
 * new one then. */
static void promoted(struct engine *en, struct call *c)
{
	_cleanup_json_ json_t *row = NULL;

	if (store_get(en->st, STORE_INSTANCES, "id", c->object_id, &row, NULL) < 0)
		return;
	if (replica_is_active(row))
		replica_ask_snapshots(en, c);
	else
		reopen_old(en, c);
}

/* The rules are those of an active replica. */
static int promote_input(struct engine *en, struct call *c, struct input **ret, struct error *e)
{
	_cleanup_json_ json_t *active = json_copy(c->instance);
	struct input *in;
	struct call *part;
	int r = replica_input(en, c, &in, e);

	if (r < 0)
		return r;
	json_object_set_new(active, "replica_state", json_string("active"));
	part = replica_part(en, c, active);
	if ((r = access_add_wanted(en, part, in, NULL, NULL, e)) == 0)
		r = replica_add_snapshots(en, c, in, e);
	call_free(part);
	if (r < 0) {
		input_free(in);
		return r;
	}
	input_call(in)->force = jsonx_bool(c->params, "force");
	*ret = in;
	return 0;
}

static int promote_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in = NULL;
	int r;

	c->after = promoted;
	if ((r = shut_old(en, c, e)) < 0 || (r = promote_input(en, c, &in, e)) < 0)
		return r;
	return backend_invoke(en, c->backend, c, "promote_replica", in, &c->results, e);
}

/* What the driver said, made whole: one is active, the others are not. */
static int complete_results(struct engine *en, struct call *c, struct error *e)
{
	const json_t *said = json_object_get(c->results, "replicas");
	_cleanup_json_ json_t *rows = NULL, *all = json_object();
	json_t *row;
	size_t i;
	int r = replica_rows(en, jsonx_str(c->share, "id"), &rows, e);

	if (r < 0)
		return r;
	json_array_foreach(rows, i, row) {
		const char *id = jsonx_str(row, "id"), *state = "active";
		const json_t *one = json_object_get(said, id);
		json_t *whole;

		if (strcmp(id, c->object_id) != 0 &&
		    (r = replica_state_of(c, jsonx_str(one, "replica_state"), &state, e)) < 0)
			return r;
		whole = jsonx_pack("{s:s}", "replica_state", state);
		if (jsonx_get(one, "export_locations"))
			json_object_set(whole, "export_locations", json_object_get(one, "export_locations"));
		json_object_set_new(all, id, whole);
	}
	json_object_set(c->results, "replicas", all);
	row = jsonx_get(json_object_get(all, c->object_id), "export_locations");
	if (!row)
		row = jsonx_get(c->instance, "export_locations");
	json_object_set_new(c->results, "export_locations", row ? json_incref(row) : json_array());
	return 0;
}

/* A rule that cannot be put in force says so; the share has gone over all the same. */
static int promote_follow(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	json_t *active, *rules = NULL;
	int r = complete_results(en, c, e);

	if (r < 0)
		return r;
	active = json_copy(c->instance);
	json_object_set_new(active, "replica_state", json_string("active"));
	json_decref(c->instance);
	c->instance = active;
	json_decref(c->more);
	c->more = NULL;
	if (!backend_has_slot(c->backend, "update_access"))
		return 0;
	if (access_apply(en, c, NULL, NULL, NULL, &rules, &why) == 0) {
		c->more = jsonx_pack("{s:o}", "rules", rules);
		return 0;
	}
	log_kind(LOG_LEVEL_ERROR, LOG_KIND_RULES_FAILED,
		 "the access rules of share \"%s\" could not be put in force on its new active replica: %s",
		 jsonx_str(c->share, "name"), why.message);
	c->more = jsonx_pack("{s:s}", "reason", why.message);
	return 0;
}

/* ---- the end ---- */

static int settle_replica(struct engine *en, struct call *c, const char *id, const json_t *said, struct error *e)
{
	_cleanup_json_ json_t *row = NULL, *fields = NULL;
	json_t *locations = jsonx_get(said, "export_locations");
	int r = store_get(en->st, STORE_INSTANCES, "id", id, &row, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	fields = jsonx_pack("{s:O,s:o}", "replica_state", json_object_get(said, "replica_state"), "updated_at",
			    now_json());
	if (strcmp(id, c->object_id) == 0) {
		json_object_set_new(fields, "status", json_string("available"));
		json_object_set_new(fields, "status_reason", json_null());
	} else if (strcmp(id, jsonx_str(c->intent, "old_id")) == 0) {
		json_object_set(fields, "status", json_object_get(c->intent, "old_status"));
	}
	if (locations && !json_equal(locations, jsonx_get(row, "export_locations"))) {
		json_object_set(fields, "export_locations", locations);
		json_object_set_new(fields, "hook_export_locations", json_null());
	}
	if ((r = store_update(en->st, STORE_INSTANCES, id, fields, e)) == 0)
		replica_event(en, c, id);
	return r;
}

/* Where the old one could not be told, its backend's next init_host does. */
static int settle_old_rules(struct engine *en, const struct call *c, struct error *e)
{
	const char *old_id = jsonx_str(c->intent, "old_id");
	const json_t *rules = jsonx_get(c->extra, "old_rules");

	return rules ? access_settle_on(en, old_id, rules, e)
		     : access_set_all(
			       en, jsonx_str(c->share, "id"), old_id, "queued_to_apply",
			       "the replica that was active before cannot be reached: it follows when its backend "
			       "is back",
			       e);
}

static int promote_settle(struct engine *en, struct call *c, struct error *e)
{
	const char *id;
	json_t *said;
	int r;

	json_object_foreach(json_object_get(c->results, "replicas"), id, said)
		if ((r = settle_replica(en, c, id, said, e)) < 0)
			return r;
	if ((r = replica_settle_rules(en, c, e)) < 0 || (r = settle_old_rules(en, c, e)) < 0 ||
	    (r = reload_rows(en, c, e)) < 0)
		return r;
	share_event(en, c);
	return 0;
}

static int restore(struct engine *en, struct call *c, const char *state, const char *old_reason, const char *reason,
		   struct error *e)
{
	int r = set_old(en, c,
			jsonx_pack("{s:O,s:s}", "status", json_object_get(c->intent, "old_status"), "status_reason",
				   old_reason),
			e);

	if (r < 0)
		return r;
	return set_instance(en, c,
			    jsonx_pack("{s:O,s:s,s:s}", "status", json_object_get(c->intent, "status"), "replica_state",
				       state, "status_reason", reason),
			    e);
}

/* A driver that failed left nothing behind; one that took too long may have. */
static int promote_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	_cleanup_free_ char *reason = xasprintf("the replica on backend \"%s\" could not be promoted, and the share is "
						"where it was: %s",
						c->backend->name, cause->message);
	const char *was = jsonx_str(c->intent, "replica_state");
	int r = restore(en, c, cause->err == ETIMEDOUT ? "error" : was, reason, cause->message, e);

	if (r < 0)
		return r;
	replica_event(en, c, jsonx_str(c->instance, "id"));
	share_event(en, c);
	return 0;
}

static int promote_recover(struct engine *en, struct call *c, struct error *e)
{
	(void)en;
	(void)c;
	(void)e;
	return 0;
}

/* The share is where it was, and so is the replica: nobody was let in there before the driver had done its part. */
static int promote_undo(struct engine *en, struct call *c, struct error *e)
{
	static const char text[] = "a promotion was cut off and undone: the share is where it was";
	int r = restore(en, c, jsonx_str(c->intent, "replica_state"), text, text, e);

	if (r < 0)
		return r;
	replica_event(en, c, jsonx_str(c->instance, "id"));
	share_event(en, c);
	return 0;
}

const struct call_ops ops_promote_replica = {
	.resolve = promote_resolve,
	.intend = promote_intend,
	.drive = promote_drive,
	.follow = promote_follow,
	.settle = promote_settle,
	.fail = promote_fail,
	.amend = amend_share,
	.answer = answer_share,
	.recover = promote_recover,
	.undo = promote_undo,
};
