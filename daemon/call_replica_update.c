/* update_share_replica. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "daemon/objects.h"
#include "daemon/replicas.h"
#include "daemon/resolve.h"

#include <errno.h>
#include <string.h>

/* Where its data come from. */
static int need_source_up(struct engine *en, struct call *c, struct error *e)
{
	struct backend *from;
	int r = object_instance_of(en->st, jsonx_str(c->share, "id"), &c->source_instance, e);

	if (r < 0)
		return r;
	from = backend_find(en, jsonx_str(c->source_instance, "backend"));
	if (!from)
		return error_set(e, ERR_BACKEND_DOWN, ENODEV,
				 "backend \"%s\" of the active replica is not in the conf file: put its section back",
				 jsonx_str(c->source_instance, "backend"));
	return backend_need_up(from, e);
}

static int update_resolve(struct engine *en, struct call *c, struct error *e)
{
	int r = resolve_replica(en, c, jsonx_str(c->params, "replica"), e);

	if (r < 0)
		return r;
	if (replica_is_active(c->instance)) {
		c->answered = true;
		return answer_share(en, c, &c->answer, e);
	}
	if ((r = need_quiet_replica(en, c, c->instance, e)) < 0 ||
	    (r = need_share_status(en, c, WORDS("available", "error"), e)) < 0 || (r = need_source_up(en, c, e)) < 0)
		return r;
	c->args = replica_args(c);
	return 0;
}

/* With the source, to see at the end whether that is still so. */
static int update_intend(struct engine *en, struct call *c, struct error *e)
{
	(void)en;
	(void)e;
	c->intent =
		jsonx_pack("{s:O,s:O,s:O}", "share_id", json_object_get(c->share, "id"), "instance_id",
			   json_object_get(c->instance, "id"), "active_id", json_object_get(c->source_instance, "id"));
	return 0;
}

/* A timer's round asks for them by itself. */
static void updated(struct engine *en, struct call *c)
{
	if (c->result == 0 && c->origin != HOOK_ORIGIN_TIMER)
		replica_ask_snapshots(en, c);
}

static int update_drive(struct engine *en, struct call *c, struct error *e)
{
	struct input *in;
	int r;

	c->after = updated;
	r = replica_whole_input(en, c, &in, e);
	return r < 0 ? r : backend_invoke(en, c->backend, c, "update_replica_state", in, &c->results, e);
}

static int update_follow(struct engine *en, struct call *c, struct error *e)
{
	const char *state;
	int r;

	(void)en;
	r = replica_state_of(c, jsonx_str(c->results, "replica_state"), &state, e);

	if (r == 0)
		json_object_set_new(c->results, "replica_state", json_string(state));
	return r;
}

/* A good one mends both the status and the state. */
static int update_settle(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *active = NULL, *now = NULL;
	const char *state = jsonx_str(c->results, "replica_state");
	bool broken = strcmp(state, "error") == 0;
	int r;

	/* Long work went on for a while: it may have gone, or been promoted, or its source may be another one. */
	if ((r = store_get(en->st, STORE_INSTANCES, "id", jsonx_str(c->instance, "id"), &now, e)) < 0 ||
	    (r = object_instance_of(en->st, jsonx_str(c->share, "id"), &active, e)) < 0)
		return r;
	if (!broken && strcmp(jsonx_str(active, "id"), jsonx_str(c->intent, "active_id")) != 0) {
		state = "out_of_sync";
		json_object_set_new(c->results, "replica_state", json_string(state));
	}
	if (strcmp(state, jsonx_str(now, "replica_state")) == 0 &&
	    (broken || strcmp("available", jsonx_str(now, "status")) == 0))
		return 0;
	r = set_replica(en, c, broken ? jsonx_str(now, "status") : "available", state,
			broken ? "its driver says that it is broken; update_share_replica asks again" : NULL, e);
	if (r == 0)
		replica_event(en, c, jsonx_str(c->instance, "id"));
	return r;
}

/* Where the source went away the replica is what it was: that may be all that is left. */
static int update_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r;

	if (cause->kind == ERR_BACKEND_DOWN)
		return 0;
	r = set_replica(en, c, "error", "error", cause->message, e);
	if (r == 0)
		replica_event(en, c, jsonx_str(c->instance, "id"));
	return r;
}

const struct call_ops ops_update_replica = {
	.resolve = update_resolve,
	.intend = update_intend,
	.drive = update_drive,
	.follow = update_follow,
	.settle = update_settle,
	.fail = update_fail,
	.answer = answer_share,
	.recover = replica_leave,
	.undo = replica_leave,
};
