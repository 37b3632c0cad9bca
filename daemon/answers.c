#include "daemon/answers.h"

#include "base/jsonx.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int wrong(struct error *e, const char *name, const char *text)
{
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "%s %s", name, text);
}

static int check_metadata(const char *name, const json_t *v, struct error *e)
{
	const char *key;
	json_t *text;

	if (!json_is_object(v))
		return wrong(e, name, "must be an object of strings");
	json_object_foreach((json_t *)v, key, text)
		if (!json_is_string(text))
			return wrong(e, name, "must be an object of strings");
	return 0;
}

static int check_location(const char *name, const json_t *l, struct error *e)
{
	const char *key, *path = jsonx_str(l, "path");
	json_t *v;

	if (!path || !*path || strlen(path) > 4200)
		return wrong(e, name, "must be an array of objects that each have a `path` (a string)");
	json_object_foreach((json_t *)l, key, v) {
		if (strcmp(key, "preferred") == 0 || strcmp(key, "is_admin_only") == 0) {
			if (!json_is_boolean(v))
				return wrong(e, name, "has a `preferred` or `is_admin_only` that is not true or false");
		} else if (strcmp(key, "metadata") == 0) {
			if (check_metadata(name, v, NULL) < 0)
				return wrong(e, name, "has `metadata` that is not an object of strings");
		} else if (strcmp(key, "path") != 0) {
			return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "%s has an unknown member \"%s\"", name, key);
		}
	}
	return 0;
}

static int check_locations(const char *name, const json_t *v, struct error *e)
{
	size_t i;
	json_t *l;
	int r;

	if (!json_is_array(v))
		return wrong(e, name, "must be an array of export locations");
	json_array_foreach(v, i, l)
		if ((r = check_location(name, l, e)) < 0)
			return r;
	return 0;
}

static int check_locations_by_id(const char *name, const json_t *v, struct error *e)
{
	const char *id;
	json_t *l;
	int r;

	if (!json_is_object(v))
		return wrong(e, name, "must be an object from id to export locations");
	json_object_foreach((json_t *)v, id, l)
		if ((r = check_locations(name, l, e)) < 0)
			return r;
	return 0;
}

static bool is_rest_status(const json_t *v)
{
	return json_is_string(v) &&
	       (strcmp(json_string_value(v), "available") == 0 || strcmp(json_string_value(v), "error") == 0);
}

/* Each object of `v` may have these members; which of them are locations is known by name. */
static int check_members(const char *name, const json_t *v, const char *const *known, struct error *e)
{
	const char *id, *key;
	json_t *one, *member;

	if (!json_is_object(v))
		return wrong(e, name, "must be an object by id");
	json_object_foreach((json_t *)v, id, one) {
		if (!json_is_object(one))
			return wrong(e, name, "must hold objects");
		json_object_foreach(one, key, member) {
			const char *const *k = known;

			while (*k && strcmp(*k, key) != 0)
				k++;
			if (!*k)
				return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "%s has an unknown member \"%s\"", name,
						 key);
			if (strcmp(key, "export_locations") == 0 && check_locations(name, member, e) < 0)
				return -EBADMSG;
			if (strcmp(key, "status") == 0 && !is_rest_status(member))
				return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
						 "%s: a status must be available or error", name);
			if (strcmp(key, "export_locations") != 0 && !json_is_string(member) && !json_is_null(member))
				return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "%s: \"%s\" must be a string", name,
						 key);
		}
	}
	return 0;
}

/* {id: {"status", "provider_location"?}} */
static int check_snapshots(const char *name, const json_t *v, struct error *e)
{
	static const char *const words[] = { "available", "error", "deleted" };
	const char *id, *key;
	json_t *one, *member;

	if (!json_is_object(v))
		return wrong(e, name, "must be an object by id");
	json_object_foreach((json_t *)v, id, one) {
		const char *status = jsonx_str(one, "status");
		size_t i = 0;

		while (i < 3 && !(status && strcmp(status, words[i]) == 0))
			i++;
		if (i == 3)
			return wrong(e, name, "must hold objects with a `status`: available, error or deleted");
		json_object_foreach(one, key, member)
			if ((strcmp(key, "status") != 0 && strcmp(key, "provider_location") != 0) ||
			    !json_is_string(member))
				return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
						 "%s: \"%s\" is unknown, or not a string", name, key);
	}
	return 0;
}

static int check_size(const char *name, const json_t *v, struct error *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 1)
		return wrong(e, name, "must be a whole number of bytes above 0");
	return 0;
}

static int check_words(const char *name, const json_t *v, struct error *e)
{
	size_t i;
	json_t *w;

	if (!json_is_array(v))
		return wrong(e, name, "must be an array of strings");
	json_array_foreach(v, i, w)
		if (!json_is_string(w))
			return wrong(e, name, "must be an array of strings");
	return 0;
}

static const struct stat_key {
	const char *name;
	enum { STAT_BYTES, STAT_BOOL, STAT_WORDS, STAT_WORD } type;
} stat_keys[] = {
	{ "total_bytes", STAT_BYTES },
	{ "free_bytes", STAT_BYTES },
	{ "allocated_bytes", STAT_BYTES },
	{ "size_enforced", STAT_BOOL },
	{ "share_protos", STAT_WORDS },
	{ "access_types", STAT_WORDS },
	{ "access_levels", STAT_WORDS },
	{ "snapshots", STAT_BOOL },
	{ "snapshot_consistent", STAT_BOOL },
	{ "create_from_snapshot", STAT_BOOL },
	{ "revert", STAT_BOOL },
	{ "shrink", STAT_BOOL },
	{ "manage", STAT_BOOL },
	{ "replication_type", STAT_WORD },
	{ "reflink", STAT_BOOL },
};

static int check_stat(const char *name, const json_t *v, struct error *e)
{
	for (size_t i = 0; i < sizeof stat_keys / sizeof *stat_keys; i++) {
		if (strcmp(stat_keys[i].name, name) != 0)
			continue;
		switch (stat_keys[i].type) {
		case STAT_BYTES:
			return json_is_integer(v) && json_integer_value(v) >= 0
				       ? 0
				       : wrong(e, name, "must be a whole number of bytes");
		case STAT_BOOL:
			return json_is_boolean(v) ? 0 : wrong(e, name, "must be true or false");
		case STAT_WORDS:
			return check_words(name, v, e);
		case STAT_WORD:
			return json_is_string(v) || json_is_null(v) ? 0 : wrong(e, name, "must be a string or null");
		}
	}
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "there is no capability \"%s\"", name);
}

int answer_check_shape(const struct result_key *key, const char *name, const json_t *v, struct error *e)
{
	static const char *const ensured[] = { "export_locations", "status", "status_reason", NULL };
	static const char *const replicas[] = { "replica_state", "export_locations", NULL };

	switch (key->shape) {
	case SHAPE_LOCATIONS:
		return check_locations(name, v, e);
	case SHAPE_METADATA:
		return check_metadata(name, v, e);
	case SHAPE_STRING:
		return json_is_string(v) && json_string_length(v) > 0 ? 0 : wrong(e, name, "must be a string");
	case SHAPE_SIZE:
		return check_size(name, v, e);
	case SHAPE_OBJECT:
		return json_is_object(v) ? 0 : wrong(e, name, "must be an object");
	case SHAPE_STATS:
		return check_stat(name, v, e);
	case SHAPE_ENSURED:
		return check_members(name, v, ensured, e);
	case SHAPE_REPLICAS:
		return check_members(name, v, replicas, e);
	case SHAPE_SNAPSHOT_INSTANCES:
		return check_snapshots(name, v, e);
	case SHAPE_LOCATIONS_BY_ID:
		return check_locations_by_id(name, v, e);
	case SHAPE_ARRAY:
		return json_is_array(v) ? 0 : wrong(e, name, "must be an array");
	}
	return wrong(e, name, "has no shape");
}

#define LOCATIONS                                                                                                      \
	{                                                                                                              \
		.name = "export_locations", .shape = SHAPE_LOCATIONS                                                   \
	}
#define LOCATION                                                                                                       \
	{                                                                                                              \
		.name = "provider_location", .shape = SHAPE_STRING                                                     \
	}
#define METADATA                                                                                                       \
	{                                                                                                              \
		.name = "metadata", .shape = SHAPE_METADATA                                                            \
	}
#define SIZE                                                                                                           \
	{                                                                                                              \
		.name = "size_bytes", .shape = SHAPE_SIZE                                                              \
	}

/* What each slot may answer, and what it must. */
static const struct slot_answer {
	const char *slot;
	struct result_key keys[5];
	const char *required;
} answers[] = {
	{ "get_share_stats", { { .name = "*", .shape = SHAPE_STATS } }, "share_protos" },
	{ "ensure_shares", { { .name = "shares", .shape = SHAPE_ENSURED } }, "shares" },
	{ "create_share", { LOCATIONS, LOCATION, METADATA }, "export_locations" },
	{ "create_share_from_snapshot", { LOCATIONS, LOCATION, METADATA }, "export_locations" },
	{ "extend_share", { METADATA }, NULL },
	{ "shrink_share", { METADATA }, NULL },
	{ "manage_existing", { SIZE, LOCATIONS, LOCATION, METADATA }, "size_bytes" },
	{ "update_access", { { .name = "rules", .shape = SHAPE_OBJECT } }, "rules" },
	{ "create_snapshot", { LOCATION, SIZE, METADATA }, NULL },
	{ "revert_to_snapshot", { SIZE, LOCATIONS }, NULL },
	{ "manage_existing_snapshot", { SIZE, LOCATION }, "provider_location" },
	{ "create_replica", { { .name = "replica_state", .shape = SHAPE_STRING }, LOCATIONS, LOCATION }, NULL },
	{ "promote_replica", { { .name = "replicas", .shape = SHAPE_REPLICAS } }, NULL },
	{ "update_replica_state", { { .name = "replica_state", .shape = SHAPE_STRING } }, "replica_state" },
	{ "create_replicated_snapshot", { { .name = "instances", .shape = SHAPE_SNAPSHOT_INSTANCES } }, NULL },
	{ "delete_replicated_snapshot", { { .name = "instances", .shape = SHAPE_SNAPSHOT_INSTANCES } }, NULL },
	{ "update_replicated_snapshot", { { .name = "instances", .shape = SHAPE_SNAPSHOT_INSTANCES } }, NULL },
	{ "setup_server",
	  { { .name = "identifier", .shape = SHAPE_STRING }, { .name = "backend_details", .shape = SHAPE_OBJECT } },
	  "identifier" },
	{ "get_periodic_hook_data", { { .name = "shares", .shape = SHAPE_OBJECT } }, NULL },
	{ "get_share_status",
	  { { .name = "status", .shape = SHAPE_STRING }, { .name = "call_id", .shape = SHAPE_STRING } },
	  "status" },
	{ "get_share_usage", { { .name = "used_bytes", .shape = SHAPE_OBJECT } }, "used_bytes" },
	{ "locate_share", { { .name = "path", .shape = SHAPE_STRING } }, "path" },
	{ "list_objects", { { .name = "objects", .shape = SHAPE_ARRAY } }, "objects" },
};

static const struct slot_answer *answer_of(const char *slot)
{
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (strcmp(answers[i].slot, slot) == 0)
			return &answers[i];
	return NULL;
}

static int check_key(const struct slot_answer *a, const char *name, const json_t *v, struct error *e)
{
	/* Bytes in use may be none, unlike a size. */
	if (a && strcmp(name, "used_bytes") == 0)
		return json_is_integer(v) && json_integer_value(v) >= 0
			       ? 0
			       : wrong(e, name, "must be a whole number of bytes");
	for (const struct result_key *k = a ? a->keys : NULL; k && k->name; k++)
		if (strcmp(k->name, name) == 0 || strcmp(k->name, "*") == 0)
			return answer_check_shape(k, name, v, e);
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "there is no key \"%s\" in its answer", name);
}

int answer_check(const char *slot, const json_t *values, struct error *e)
{
	const struct slot_answer *a = answer_of(slot);
	const char *name;
	json_t *v;
	int r = json_is_object(values) ? 0 : wrong(e, "its answer", "must be an object");

	json_object_foreach((json_t *)values, name, v)
		if ((r = check_key(a, name, v, e)) < 0)
			break;
	if (r == 0 && a && a->required && !json_object_get(values, a->required))
		r = error_set(e, ERR_DRIVER_FAILED, EBADMSG, "\"%s\" is missing in its answer", a->required);
	if (r < 0)
		error_prefix(e, "the driver's %s answered what it must not", slot);
	return r;
}
