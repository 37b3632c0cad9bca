/* create_share_instance. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/objects.h"
#include "daemon/owner.h"
#include "daemon/recover.h"
#include "daemon/resolve.h"
#include "daemon/share_servers.h"
#include "daemon/shares.h"

#include <errno.h>
#include <string.h>

/* ---- if_absent ---- */

static int differs(struct error *e, const char *name, const char *key)
{
	error_set(e, ERR_ALREADY_EXISTS, EEXIST, "share \"%s\" exists with another %s: choose another name", name, key);
	error_add(e, "param", json_string(key));
	error_add(e, "object", json_string(name));
	return -EEXIST;
}

/* Owner, group and mode are compared where the call names them. */
static int same_owner(struct engine *en, const struct call *c, const json_t *share, struct error *e)
{
	static const char *const asked[] = { "uid", "gid", "mode" }, *const columns[] = { "root_uid", "root_gid",
											  "root_mode" };
	struct backend *b = backend_find(en, jsonx_str(share, "backend"));
	_cleanup_json_ json_t *row = NULL;
	struct owner o;
	int r = object_find_share(en->st, jsonx_str(share, "id"), "name", &row, e);

	if (r < 0 || !b || !b->settings)
		return r;
	for (size_t i = 0; i < 3; i++) {
		json_int_t want;

		if (!jsonx_get(c->params, asked[i]))
			continue;
		if ((r = owner_of_new(b, c, &o, e)) < 0)
			return r;
		want = i == 0 ? (json_int_t)o.uid : i == 1 ? (json_int_t)o.gid : (json_int_t)o.mode;
		if (want != jsonx_int(row, columns[i]))
			return differs(e, jsonx_str(share, "name"), asked[i]);
	}
	return 0;
}

/* What was asked for is there; hooks and drivers may have added to it. */
bool has_metadata(const json_t *object, const json_t *asked)
{
	const json_t *there = json_object_get(object, "metadata");
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)asked, key, v)
		if (!json_equal(v, json_object_get(there, key)))
			return false;
	return true;
}

static int same_as_existing(struct engine *en, struct call *c, const json_t *share, struct error *e)
{
	static const char *const keys[] = { "size_bytes", "backend", "share_proto", "share_network" };
	const char *name = jsonx_str(share, "name"), *ref = jsonx_str(c->params, "snapshot"),
		   *from = jsonx_str(share, "snapshot_id");
	int r;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *want = jsonx_get(c->params, keys[i]);

		if (want && !json_equal(want, json_object_get(share, keys[i])))
			return differs(e, name, keys[i]);
	}
	if ((r = same_owner(en, c, share, e)) < 0)
		return r;
	if (!has_metadata(share, jsonx_get(c->params, "metadata")))
		return differs(e, name, "metadata");
	if (ref) {
		_cleanup_json_ json_t *snapshot = NULL;

		r = object_find_snapshot(en->st, ref, "snapshot", &snapshot, e);

		if (r < 0)
			return r;
		if (!from || strcmp(from, jsonx_str(snapshot, "id")) != 0)
			return differs(e, name, "snapshot");
	} else if (from) {
		return differs(e, name, "snapshot");
	}
	return 0;
}

int answer_existing_share(struct engine *en, struct call *c, json_t *row,
			  int (*same)(struct engine *, struct call *, const json_t *, struct error *), struct error *e)
{
	_cleanup_json_ json_t *share = NULL;
	const char *status, *name = jsonx_str(row, "name");
	int r;

	if (!c->if_absent) {
		error_set(e, ERR_ALREADY_EXISTS, EEXIST, "there is a share \"%s\" already: choose another name", name);
		error_add(e, "param", json_string("name"));
		error_add(e, "object", json_string(name));
		return -EEXIST;
	}
	if ((r = object_share(en->st, row, &share, e)) < 0 || (r = same(en, c, share, e)) < 0)
		return r;
	status = jsonx_str(share, "status");
	if (strcmp(status, "available") != 0) {
		error_set(e,
			  strncmp(status, "creating", 8) == 0 || strcmp(status, "manage_starting") == 0
				  ? ERR_BUSY
				  : ERR_INVALID_STATE,
			  EBUSY, "share \"%s\" exists and is %s", name, status);
		error_add(e, "object", json_string(name));
		return -EBUSY;
	}
	c->answered = true;
	c->answer = take_ptr(share);
	return 0;
}

int number_export(struct engine *en, const struct backend *b, const json_t *share, json_t *instance, struct error *e)
{
	int64_t number;
	int r;

	if (!backend_is_exported(b) || strcmp(jsonx_str(share, "share_proto"), "LOCAL") == 0)
		return 0;
	if ((r = store_free_export_number(en->st, &number, e)) < 0)
		return r;
	json_object_set_new(instance, "export_number", json_integer(number));
	return 0;
}

/* ---- where it goes ---- */

/* A copy goes to the network that its source is in. */
static const char *network_of(const struct call *c)
{
	const char *name = jsonx_str(c->params, "share_network");

	return name ? name : jsonx_str(c->source, "share_network");
}

/* Why this backend cannot take the share; 0 when it can. */
static int suits(const struct backend *b, const struct call *c, uint64_t size, struct error *e)
{
	const char *proto = jsonx_str(c->params, "share_proto");
	bool copy = jsonx_get(c->params, "snapshot") != NULL;
	int r;

	if ((r = backend_need_known(b, e)) < 0)
		return r;
	if (!backend_offers(b, "share_protos", proto))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
				 "backend \"%s\" does not export over %s: get_backend shows share_protos", b->name,
				 proto);
	if (!backend_has_slot(b, copy ? "create_share_from_snapshot" : "create_share") ||
	    (copy && !jsonx_bool(b->capabilities, "create_from_snapshot")))
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "backend \"%s\" cannot make shares%s", b->name,
				 copy ? " from snapshots" : "");
	if (settings_bool(b->settings, "driver_handles_share_servers") != (network_of(c) != NULL))
		return error_param(e, "share_network",
				   settings_bool(b->settings, "driver_handles_share_servers")
					   ? "backend \"%s\" makes share servers: name a share_network"
					   : "backend \"%s\" has no share servers: leave share_network out",
				   b->name);
	return need_capacity(b, size, e);
}

static int choose_backend(struct engine *en, struct call *c, uint64_t size, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	int64_t most = -1;

	for (struct backend *b = en->backends; b; b = b->next) {
		int64_t unused = jsonx_int(b->capabilities, "free_bytes");

		if (suits(b, c, size, &why) == 0 && unused > most) {
			c->backend = b;
			most = unused;
		}
	}
	if (c->backend)
		return 0;
	if (!en->backends)
		return error_set(e, ERR_NOT_FOUND, ENOENT,
				 "there is no backend in the conf file: add a section like dir \"media\" { root = "
				 "\"/srv/media\" }");
	if (en->backends->next)
		error_prefix(&why, "no backend can take this share; of the last one looked at");
	error_move(e, &why);
	return -ENODEV;
}

static int find_backend(struct engine *en, struct call *c, uint64_t size, struct error *e)
{
	const char *name = jsonx_str(c->params, "backend");
	const char *of_snapshot = c->source_instance ? jsonx_str(c->source_instance, "backend") : NULL;
	int r;

	if (name && of_snapshot && strcmp(name, of_snapshot) != 0)
		return error_param(e, "backend", "the snapshot lies on backend \"%s\", so the share must too",
				   of_snapshot);
	if (!name)
		name = of_snapshot;
	if (!name)
		return choose_backend(en, c, size, e);
	r = backend_get(en, name, "backend", &c->backend, e);
	return r < 0 ? r : suits(c->backend, c, size, e);
}

/* ---- the steps ---- */

/* Where the snapshot is taken from: the active replica, or the one on the backend that is asked for. */
static int find_source_instance(struct engine *en, struct call *c, struct error *e)
{
	const char *share_id = jsonx_str(c->source, "id"), *backend = jsonx_str(c->params, "backend");
	_cleanup_json_ json_t *where =
		backend ? jsonx_pack("{s:s,s:s}", "share_id", share_id, "backend", backend) : NULL;
	_cleanup_json_ json_t *rows = NULL, *here = NULL;
	json_t *row;
	int r = where ? store_select(en->st, STORE_INSTANCES, &(struct store_query){ .where = where, .limit = 1 },
				     &rows, e)
		      : 0;

	row = json_array_get(rows, 0);
	if (r == 0 && row)
		r = object_snapshot_instance_of(en->st, jsonx_str(c->snapshot, "id"), jsonx_str(row, "id"), &here, e);
	if (r < 0)
		return r;
	if (here && strcmp(jsonx_str(here, "instance_id"), jsonx_str(row, "id")) == 0) {
		c->source_instance = json_incref(row);
		return 0;
	}
	return object_instance_of(en->st, share_id, &c->source_instance, e);
}

static int find_source(struct engine *en, struct call *c, uint64_t *size, struct error *e)
{
	const char *ref = jsonx_str(c->params, "snapshot");
	uint64_t least;
	int r;

	if (!ref)
		return *size ? 0
			     : error_param(e, "size_bytes",
					   "size_bytes is missing: say how many bytes the share may hold");
	if ((r = object_find_snapshot(en->st, ref, "snapshot", &c->snapshot, e)) < 0 ||
	    (r = object_find_share(en->st, jsonx_str(c->snapshot, "share_id"), "snapshot", &c->source, e)) < 0 ||
	    (r = find_source_instance(en, c, e)) < 0 ||
	    (r = object_snapshot_instance_of(en->st, jsonx_str(c->snapshot, "id"), jsonx_str(c->source_instance, "id"),
					     &c->snapshot_instance, e)) < 0 ||
	    (r = need_snapshot_status(en, c, WORDS("available"), e)) < 0)
		return r;
	least = (uint64_t)jsonx_int(c->snapshot, "size_bytes");
	if (*size && *size < least)
		return error_param(e, "size_bytes", "size_bytes must not be below the snapshot's %llu",
				   (unsigned long long)least);
	if (!*size)
		*size = least;
	return 0;
}

/* The rows of the new share, for now in c->extra. */
static int make_rows(struct engine *en, struct call *c, uint64_t size, const struct owner *o, struct error *e)
{
	char share_id[37], instance_id[37], now[32];
	json_t *share, *instance, *warnings = json_array();
	const char *domain = settings_string(c->backend->settings, "replication_domain");

	text_make_uuid(share_id);
	text_make_uuid(instance_id);
	text_now(now);
	if (!jsonx_bool(c->backend->capabilities, "size_enforced"))
		json_array_append_new(warnings, json_string("size is not enforced on this backend"));
	share = jsonx_pack("{s:s,s:O,s:O,s:I,s:i,s:i,s:i,s:O,s:o,s:s,s:s}", "id", share_id, "name",
			   json_object_get(c->params, "name"), "share_proto", json_object_get(c->params, "share_proto"),
			   "size_bytes", (json_int_t)size, "root_uid", (int)o->uid, "root_gid", (int)o->gid,
			   "root_mode", (int)o->mode, "metadata", json_object_get(c->params, "metadata"), "warnings",
			   warnings, "created_at", now, "updated_at", now);
	json_object_set_new(share, "root_uid", json_integer(o->uid));
	json_object_set_new(share, "root_gid", json_integer(o->gid));
	json_object_set_new(share, "owner_uid", c->who.known ? json_integer(c->who.uid) : json_null());
	json_object_set_new(share, "snapshot_id", jsonx_string(c->snapshot ? jsonx_str(c->snapshot, "id") : NULL));
	json_object_set_new(share, "share_network", jsonx_string(network_of(c)));
	json_object_set_new(share, "replication_type",
			    jsonx_string(*domain ? settings_string(c->backend->settings, "replication_type") : NULL));
	instance = jsonx_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:s}", "id", instance_id, "share_id", share_id, "backend",
			      c->backend->name, "status", c->snapshot ? "creating_from_snapshot" : "creating",
			      "replica_state", jsonx_string(*domain ? "active" : NULL), "created_at", now, "updated_at",
			      now);
	c->extra = jsonx_pack("{s:o,s:o}", "share", share, "instance", instance);
	c->object_kind = xstrdup("share");
	c->object_id = xstrdup(share_id);
	return number_export(en, c->backend, share, instance, e);
}

static void make_args(struct call *c, const struct owner *o, uint64_t size)
{
	char mode[16];

	snprintf(mode, sizeof mode, "%04o", (unsigned)o->mode);
	c->args = json_copy(c->params);
	json_object_set_new(c->args, "id", json_string(c->object_id));
	/* The method's name promises it, and hooks written for its namesake ask for it. */
	json_object_set(c->args, "instance_id", json_object_get(json_object_get(c->extra, "instance"), "id"));
	json_object_set_new(c->args, "size_bytes", json_integer((json_int_t)size));
	json_object_set_new(c->args, "backend", json_string(c->backend->name));
	json_object_set_new(c->args, "uid", json_integer(o->uid));
	json_object_set_new(c->args, "gid", json_integer(o->gid));
	json_object_set_new(c->args, "mode", json_string(mode));
	if (c->snapshot)
		json_object_set(c->args, "snapshot", json_object_get(c->snapshot, "id"));
	if (network_of(c))
		json_object_set_new(c->args, "share_network", json_string(network_of(c)));
}

/* A copy stays with the server of its source, where its snapshot is. */
static int check_network(struct engine *en, const struct call *c, struct error *e)
{
	const char *name = network_of(c), *source = jsonx_str(c->source, "share_network");
	const struct conf_section *network;

	if (!name)
		return 0;
	if (source && strcmp(source, name) != 0)
		return error_param(e, "share_network", "the snapshot is of a share of network \"%s\": name that one",
				   source);
	return need_network(en, name, &network, e);
}

static int create_resolve(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *existing = NULL;
	uint64_t size = (uint64_t)jsonx_int(c->params, "size_bytes");
	struct owner o;
	int r;

	if (object_find_share(en->st, jsonx_str(c->params, "name"), "name", &existing, NULL) == 0)
		return answer_existing_share(en, c, existing, same_as_existing, e);
	if ((r = find_source(en, c, &size, e)) < 0 || (r = find_backend(en, c, size, e)) < 0 ||
	    (r = check_network(en, c, e)) < 0 || (r = owner_of_new(c->backend, c, &o, e)) < 0 ||
	    (r = make_rows(en, c, size, &o, e)) < 0)
		return r;
	make_args(c, &o, size);
	return 0;
}

static int create_intend(struct engine *en, struct call *c, struct error *e)
{
	int r;

	c->share = json_incref(json_object_get(c->extra, "share"));
	c->instance = json_incref(json_object_get(c->extra, "instance"));
	c->intent = jsonx_pack("{s:O,s:O,s:o,s:o}", "share_id", json_object_get(c->share, "id"), "instance_id",
			       json_object_get(c->instance, "id"), "snapshot_id",
			       jsonx_string(c->snapshot ? jsonx_str(c->snapshot, "id") : NULL), "snapshot_instance_id",
			       jsonx_string(c->snapshot ? jsonx_str(c->snapshot_instance, "id") : NULL));
	if ((r = store_insert(en->st, STORE_SHARES, c->share, NULL, e)) < 0)
		return r;
	return store_insert(en->st, STORE_INSTANCES, c->instance, NULL, e);
}

static int create_drive(struct engine *en, struct call *c, struct error *e)
{
	int r = share_server_take(en, c, e);

	return r < 0 ? r
		     : backend_invoke(en, c->backend, c, c->snapshot ? "create_share_from_snapshot" : "create_share",
				      input_of(c), &c->results, e);
}

/* What the driver adds to the metadata stands beside what the caller gave. */
static void merge_metadata(struct call *c)
{
	json_t *own = jsonx_get(c->share, "metadata"), *more = jsonx_get(c->results, "metadata");
	json_t *all = own ? json_copy(own) : json_object();

	if (more)
		json_object_update(all, more);
	json_object_set_new(c->results, "metadata", all);
}

/* The rows are ours, made a moment ago: what is written is also how they read now. */
static int settle_rows(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *instance =
		jsonx_pack("{s:s,s:n,s:O}", "status", "available", "status_reason", "export_locations",
			   json_object_get(c->results, "export_locations"));
	_cleanup_json_ json_t *share = jsonx_pack("{s:O}", "metadata", json_object_get(c->results, "metadata"));
	int r;

	if (jsonx_get(c->results, "provider_location"))
		json_object_set(instance, "provider_location", json_object_get(c->results, "provider_location"));
	if ((r = set_instance(en, c, json_incref(instance), e)) < 0)
		return r;
	json_object_update(c->instance, instance);
	if (json_equal(jsonx_get(c->share, "metadata"), json_object_get(share, "metadata")))
		return 0;
	if ((r = set_share(en, c, json_incref(share), e)) < 0)
		return r;
	json_object_update(c->share, share);
	return 0;
}

static int create_settle(struct engine *en, struct call *c, struct error *e)
{
	int r;

	/* A copy went on for a while: others may have changed the row. */
	if (c->snapshot && (r = reload_rows(en, c, e)) < 0)
		return r;
	merge_metadata(c);
	if ((r = settle_rows(en, c, e)) < 0)
		return r;
	call_forget_shown(c);
	c->shown = object_new_share(c->share, c->instance);
	call_event(c, "share.available", json_incref(c->shown));
	return 0;
}

static int create_fail(struct engine *en, struct call *c, const struct error *cause, struct error *e)
{
	int r = set_instance_status(en, c, "error", cause->message, e);

	if (r == 0)
		share_event(en, c);
	return r;
}

int drop_share_rows(struct engine *en, const struct call *c, struct error *e)
{
	_cleanup_json_ json_t *rules = NULL;
	const char *instance_id = jsonx_str(c->instance, "id");
	size_t i;
	json_t *rule;
	int r = object_rules(en->st, jsonx_str(c->share, "id"), &rules, e);

	if (r < 0)
		return r;
	json_array_foreach(rules, i, rule) {
		_cleanup_free_ char *state_id = xasprintf("%s/%s", jsonx_str(rule, "id"), instance_id);

		if ((r = store_delete(en->st, STORE_ACCESS_STATES, state_id, e)) < 0 ||
		    (r = store_delete(en->st, STORE_ACCESS_RULES, jsonx_str(rule, "id"), e)) < 0)
			return r;
	}
	if ((r = store_delete(en->st, STORE_INSTANCES, instance_id, e)) < 0)
		return r;
	return store_delete(en->st, STORE_SHARES, jsonx_str(c->share, "id"), e);
}

static int create_undo(struct engine *en, struct call *c, struct error *e)
{
	return drop_share_rows(en, c, e);
}

/* Whole on the backend: the driver says again where it is. Else what is left of it goes. */
static int create_recover(struct engine *en, struct call *c, struct error *e)
{
	_cleanup_json_ json_t *gone = NULL;
	const char *status;
	bool by_call;
	int r;

	/* Without its share server nothing was begun. */
	if (jsonx_str(c->share, "share_network") && !c->server)
		return 0;
	r = ask_status(en, c, false, &status, &by_call, e);
	if (r < 0)
		return r;
	if (strcmp(status, "available") == 0) {
		r = recover_invoke(en, c, c->snapshot ? "create_share_from_snapshot" : "create_share", input_of(c),
				   &c->results, e);
		return r < 0 ? r : 1;
	}
	r = recover_invoke(en, c, "delete_share", input_of(c), &gone, e);
	return r < 0 ? r : 0;
}

const struct call_ops ops_create_share = {
	.resolve = create_resolve,
	.intend = create_intend,
	.drive = create_drive,
	.settle = create_settle,
	.fail = create_fail,
	.amend = amend_share,
	.answer = answer_share,
	.recover = create_recover,
	.undo = create_undo,
};
