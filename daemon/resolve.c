#include "daemon/resolve.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/objects.h"

#include <errno.h>
#include <string.h>

static void about(struct call *c, const char *kind, const char *id)
{
	free(c->object_kind);
	free(c->object_id);
	c->object_kind = xstrdup(kind);
	c->object_id = xstrdup(id);
}

static int find_backend(struct engine *en, struct call *c, const char *name, struct error *e)
{
	c->backend = backend_find(en, name);
	if (!c->backend)
		return error_set(e, ERR_BACKEND_DOWN, ENODEV,
				 "backend \"%s\" is not in the conf file: put its section back", name);
	return 0;
}

int load_server(struct engine *en, struct call *c, struct error *e)
{
	const char *id = jsonx_str(c->instance, "share_server_id");
	int r;

	if (!id || c->server)
		return 0;
	r = store_get(en->st, STORE_SHARE_SERVERS, "id", id, &c->server, e);
	return r == -ENOENT ? 0 : r;
}

int add_share_to(struct engine *en, struct input *in, const json_t *share, const json_t *instance, struct error *e)
{
	_cleanup_json_ json_t *server = NULL;
	const char *id = jsonx_str(instance, "share_server_id");
	int r = id ? store_get(en->st, STORE_SHARE_SERVERS, "id", id, &server, e) : 0;

	if (r < 0 && r != -ENOENT)
		return r;
	input_add_share(in, share, instance);
	input_add_server(in, server);
	return 0;
}

int resolve_share(struct engine *en, struct call *c, const char *ref, struct error *e)
{
	int r;

	if ((r = object_find_share(en->st, ref, "share", &c->share, e)) < 0 ||
	    (r = object_instance_of(en->st, jsonx_str(c->share, "id"), &c->instance, e)) < 0 ||
	    (r = load_server(en, c, e)) < 0)
		return r;
	about(c, "share", jsonx_str(c->share, "id"));
	return find_backend(en, c, jsonx_str(c->instance, "backend"), e);
}

int resolve_snapshot(struct engine *en, struct call *c, const char *ref, struct error *e)
{
	int r;

	if ((r = object_find_snapshot(en->st, ref, "snapshot", &c->snapshot, e)) < 0 ||
	    (r = resolve_share(en, c, jsonx_str(c->snapshot, "share_id"), e)) < 0)
		return r;
	about(c, "snapshot", jsonx_str(c->snapshot, "id"));
	return object_snapshot_instance_of(en->st, jsonx_str(c->snapshot, "id"), jsonx_str(c->instance, "id"),
					   &c->snapshot_instance, e);
}

bool is_worked_on(struct engine *en, const char *share_id)
{
	for (const struct call *p = en->parked; p; p = p->next) {
		if (!p->method)
			continue;
		if (p->share && strcmp(jsonx_str(p->share, "id"), share_id) == 0)
			return true;
		if (p->source && strcmp(jsonx_str(p->source, "id"), share_id) == 0)
			return true;
	}
	return false;
}

static int wrong_state(struct engine *en, const char *kind, const char *name, const json_t *share, const char *status,
		       const char *const *words, struct error *e)
{
	char list[160] = "";
	size_t n = 0;
	const char *id = jsonx_str(share, "id");

	if (id && is_worked_on(en, id)) {
		error_set(e, ERR_BUSY, EBUSY, "%s \"%s\" is %s: try again when that is through (list_calls shows it)",
			  kind, name, status);
	} else {
		for (; *words && n < sizeof list - 1; words++)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? " or " : "", *words);
		error_set(e, ERR_INVALID_STATE, EINVAL, "%s \"%s\" is %s, and must be %s for this", kind, name, status,
			  list);
	}
	error_add(e, "object", json_string(name));
	return -EBUSY;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (word && strcmp(word, *words) == 0)
			return true;
	return false;
}

int need_share_status(struct engine *en, const struct call *c, const char *const *words, struct error *e)
{
	const char *status = jsonx_str(c->instance, "status");

	if (is_one_of(status, words))
		return 0;
	return wrong_state(en, "share", jsonx_str(c->share, "name"), c->share, status, words, e);
}

int need_snapshot_status(struct engine *en, const struct call *c, const char *const *words, struct error *e)
{
	const char *status = jsonx_str(c->snapshot_instance, "status");

	if (is_one_of(status, words))
		return 0;
	return wrong_state(en, "snapshot", jsonx_str(c->snapshot, "name"), c->share, status, words, e);
}

int need_capacity(const struct backend *b, uint64_t bytes, struct error *e)
{
	uint64_t total = (uint64_t)jsonx_int(b->capabilities, "total_bytes"), reserved;
	uint64_t percent = (uint64_t)settings_int(b->settings, "reserved_percentage");
	uint64_t unused = (uint64_t)jsonx_int(b->capabilities, "free_bytes");
	char want[32], have[32];

	if (!jsonx_get(b->capabilities, "free_bytes"))
		return 0;
	reserved = total / 100 * percent + total % 100 * percent / 100;
	unused = unused > reserved ? unused - reserved : 0;
	if (bytes <= unused)
		return 0;
	return error_set(e, ERR_NO_SPACE, ENOSPC,
			 "backend \"%s\" has %s for new data, and %s is asked for: ask for less or make room", b->name,
			 text_format_size(unused, have), text_format_size(bytes, want));
}

int gone_is_fine(struct call *c, int r, struct error *e)
{
	if (r >= 0 || e->kind != ERR_NOT_FOUND || !c->if_present)
		return r;
	error_clear(e);
	c->answered = true;
	return 0;
}

int forgive_delete(struct engine *en, struct call *c, int r, struct error *e)
{
	(void)en;
	if (r >= 0 || (e->kind != ERR_NOT_FOUND && !jsonx_bool(c->params, "force")))
		return r;
	if (e->kind != ERR_NOT_FOUND)
		log_kind(LOG_LEVEL_WARNING, LOG_KIND_ORPHAN_LEFT, "%s goes on by force, and leaves an orphan: %s",
			 c->method->name, e->message);
	error_clear(e);
	return 0;
}

json_t *now_json(void)
{
	char now[32];

	text_now(now);
	return json_string(now);
}

static int set_row(struct engine *en, enum store_table t, const json_t *row, json_t *fields, struct error *e)
{
	int r;

	json_object_set_new(fields, "updated_at", now_json());
	r = store_update(en->st, t, jsonx_str(row, "id"), fields, e);
	json_decref(fields);
	return r;
}

int set_instance(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	return set_row(en, STORE_INSTANCES, c->instance, fields, e);
}

int set_snapshot_instance(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	return set_row(en, STORE_SNAPSHOT_INSTANCES, c->snapshot_instance, fields, e);
}

int set_share(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	return set_row(en, STORE_SHARES, c->share, fields, e);
}

int set_snapshot(struct engine *en, const struct call *c, json_t *fields, struct error *e)
{
	return set_row(en, STORE_SNAPSHOTS, c->snapshot, fields, e);
}

int set_instance_status(struct engine *en, const struct call *c, const char *status, const char *reason,
			struct error *e)
{
	return set_instance(en, c, jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason)), e);
}

int set_snapshot_status(struct engine *en, const struct call *c, const char *status, const char *reason,
			struct error *e)
{
	return set_snapshot_instance(
		en, c, jsonx_pack("{s:s,s:o}", "status", status, "status_reason", jsonx_string(reason)), e);
}

int restore_instance(struct engine *en, struct call *c, struct error *e)
{
	return set_instance_status(en, c, jsonx_str(c->instance, "status"), jsonx_str(c->instance, "status_reason"), e);
}

int restore_snapshot(struct engine *en, struct call *c, struct error *e)
{
	return set_snapshot_status(en, c, jsonx_str(c->snapshot_instance, "status"),
				   jsonx_str(c->snapshot_instance, "status_reason"), e);
}

int set_locations(struct engine *en, const struct call *c, json_t *locations, struct error *e)
{
	json_t *fields;

	if (!locations || json_equal(locations, jsonx_get(c->instance, "export_locations")))
		return 0;
	fields = jsonx_pack("{s:O,s:n}", "export_locations", locations, "hook_export_locations");
	return set_instance(en, c, fields, e);
}

struct input *input_of(const struct call *c)
{
	struct input *in = input_new(c->id, c->method ? c->method->name : NULL);

	if (c->share) {
		input_share(in, c->share, c->instance);
		input_server(in, c->server);
	}
	if (c->snapshot)
		input_snapshot(in, c->snapshot, c->snapshot_instance);
	return in;
}

static int reload_row(struct engine *en, enum store_table t, json_t **row, struct error *e)
{
	json_t *fresh = NULL;
	int r;

	if (!*row)
		return 0;
	r = store_get(en->st, t, "id", jsonx_str(*row, "id"), &fresh, e);
	/* Only a damaged file loses what it held a moment ago. */
	if (r == -ENOENT)
		return error_set(e, ERR_INTERNAL, EUCLEAN, "row %s is gone from the store: the database is damaged",
				 jsonx_str(*row, "id"));
	if (r < 0)
		return r;
	json_decref(*row);
	*row = fresh;
	return 0;
}

int reload_rows(struct engine *en, struct call *c, struct error *e)
{
	int r;

	if ((r = reload_row(en, STORE_SHARES, &c->share, e)) < 0 ||
	    (r = reload_row(en, STORE_INSTANCES, &c->instance, e)) < 0 ||
	    (r = reload_row(en, STORE_SNAPSHOTS, &c->snapshot, e)) < 0)
		return r;
	return reload_row(en, STORE_SNAPSHOT_INSTANCES, &c->snapshot_instance, e);
}

int answer_share(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	if (c->shown) {
		*ret = json_incref(c->shown);
		return 0;
	}
	return object_share_by_id(en->st, jsonx_str(c->share, "id"), ret, e);
}

int answer_snapshot(struct engine *en, struct call *c, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *row = NULL;
	int r;

	if (c->shown) {
		*ret = json_incref(c->shown);
		return 0;
	}
	r = object_find_snapshot(en->st, jsonx_str(c->snapshot, "id"), "snapshot", &row, e);
	return r < 0 ? r : object_snapshot(en->st, row, ret, e);
}

static void status_event(struct call *c, const char *kind, json_t *object)
{
	_cleanup_free_ char *type = xasprintf("%s.%s", kind, jsonx_str(object, "status"));

	call_event(c, type, object);
}

void share_event(struct engine *en, struct call *c)
{
	json_t *o;

	call_forget_shown(c);
	if (object_share(en->st, c->share, &o, NULL) < 0)
		return;
	c->shown = json_incref(o);
	status_event(c, "share", o);
}

void snapshot_event(struct engine *en, struct call *c)
{
	json_t *o;

	call_forget_shown(c);
	if (answer_snapshot(en, c, &o, NULL) < 0)
		return;
	c->shown = json_incref(o);
	status_event(c, "snapshot", o);
}

int amend_share(struct engine *en, struct call *c, const json_t *changed, struct error *e)
{
	json_t *locations = jsonx_get(changed, "export_locations"), *metadata = jsonx_get(changed, "metadata");
	int r;

	if (locations && (r = set_instance(en, c, jsonx_pack("{s:O}", "hook_export_locations", locations), e)) < 0)
		return r;
	if (metadata && (r = set_share(en, c, jsonx_pack("{s:O}", "metadata", metadata), e)) < 0)
		return r;
	return 0;
}

static int load_row(struct engine *en, struct call *c, enum store_table t, const char *member, json_t **row,
		    struct error *e)
{
	const char *id = jsonx_str(c->intent, member);
	int r;

	if (!id)
		return 0;
	json_decref(*row);
	*row = NULL;
	r = store_get(en->st, t, "id", id, row, e);
	return r == -ENOENT ? 0 : r;
}

int load_intent(struct engine *en, struct call *c, struct error *e)
{
	static const struct {
		enum store_table table;
		const char *member;
		size_t offset;
	} rows[] = {
		{ STORE_SHARES, "share_id", offsetof(struct call, share) },
		{ STORE_INSTANCES, "instance_id", offsetof(struct call, instance) },
		{ STORE_SNAPSHOTS, "snapshot_id", offsetof(struct call, snapshot) },
		{ STORE_SNAPSHOT_INSTANCES, "snapshot_instance_id", offsetof(struct call, snapshot_instance) },
		{ STORE_ACCESS_RULES, "access_id", offsetof(struct call, access) },
		{ STORE_SHARE_SERVERS, "share_server_id", offsetof(struct call, server) },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int r = load_row(en, c, rows[i].table, rows[i].member, (json_t **)((char *)c + rows[i].offset), e);

		if (r < 0)
			return r;
	}
	return c->instance ? load_server(en, c, e) : 0;
}

int ask_status(struct engine *en, struct call *c, bool snapshot, const char **ret_status, bool *ret_by_call,
	       struct error *e)
{
	static const char *const words[] = { "available", "absent", "error" };
	_cleanup_json_ json_t *values = NULL;
	struct input *in = input_new(c->id, c->method->name);
	const char *status, *by;
	int r;

	input_share(in, c->share, c->instance);
	input_server(in, c->server);
	if (snapshot)
		input_snapshot(in, c->snapshot, c->snapshot_instance);
	r = backend_invoke(en, c->backend, c, "get_share_status", in, &values, e);
	if (r < 0)
		return r;
	if (r == 1)
		return error_set(e, ERR_INTERNAL, EINVAL, "get_share_status of driver %s answered with long work",
				 c->backend->driver);
	status = jsonx_str(values, "status");
	by = jsonx_str(values, "call_id");
	for (size_t i = 0; i < 3; i++)
		if (strcmp(words[i], status) == 0) {
			*ret_status = words[i];
			*ret_by_call = by && strcmp(by, c->id) == 0;
			return 0;
		}
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
			 "get_share_status of driver %s answered the unknown status \"%s\"", c->backend->driver,
			 status);
}
