#include "drivers/export/exported_share.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

/* Of a share and of a backend, with what stands between them. */
enum { NAME_SIZE = 2 * 256 };

/* ---- which exporter does what ---- */

int exported_find(const struct exported *x, const struct driver_share *s, struct exporter *const **ret, struct error *e)
{
	const char *id = x->driver->setup_server ? NULL : jsonx_str(s->server_details, "id");
	const struct share_server *own = id ? share_server_of(x->share_servers, id) : NULL;

	if (own || (!id && !x->makes_servers)) {
		*ret = own ? own->exporters : x->exporters;
		return 0;
	}
	if (id && x->makes_servers)
		return error_set(e, ERR_BACKEND_DOWN, ENOTCONN, "share server %s of share \"%s\" is not set up", id,
				 s->name);
	return error_set(e, ERR_INVALID_STATE, ENOTSUP,
			 id ? "share \"%s\" lies on a share server, and backend \"%s\" has none any more: set "
			      "driver_handles_share_servers again"
			    : "share \"%s\" has no share server, for it was made before backend \"%s\" had "
			      "driver_handles_share_servers: unset that, or delete the share",
			 s->name, x->name);
}

bool exported_is_on(const struct driver_share *s)
{
	return s->share_proto && strcmp(s->share_proto, "LOCAL") != 0;
}

static bool serves(const struct exporter_ops *x, const char *share_proto)
{
	if (strcmp(share_proto, "NFS_CIFS") == 0)
		return strcmp(x->proto, "NFS") == 0 || strcmp(x->proto, "CIFS") == 0;
	return strcmp(x->proto, share_proto) == 0;
}

static bool has_word(const char *const *list, const char *word)
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list != NULL;
}

/* A share over both: addresses are for NFS, users for SMB. */
static bool takes(const struct exporter_ops *x, const char *share_proto, const char *access_type)
{
	if (strcmp(share_proto, "NFS_CIFS") == 0 && strcmp(x->proto, "CIFS") == 0)
		return strcmp(access_type, "user") == 0;
	return has_word(x->access_types, access_type);
}

/* A replica that others are made from has no other state. */
static bool is_secondary(const struct driver_share *s)
{
	return s->replica_state && strcmp(s->replica_state, "active") != 0;
}

/* The share's name is always the active replica's; the others stand beside it, to be read. */
static struct export describe(const struct driver_share *s, const char *path, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, is_secondary(s) ? "%s@%s" : "%s", s->name, s->backend);
	return (struct export){ .backend = s->backend,
				.id = s->id,
				.name = name,
				.number = s->export_number,
				.path = path,
				.read_only = is_secondary(s) };
}

/* One that an exporter lists; borrowed. */
struct export exported_of_list(const json_t *one)
{
	return (struct export){ .backend = jsonx_str(one, "backend"),
				.id = jsonx_str(one, "id"),
				.name = jsonx_str(one, "name"),
				.number = (unsigned)jsonx_int(one, "number") };
}

static int cannot_export(const struct exported *x, const struct driver_share *s, struct error *e)
{
	return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
			 "share \"%s\" is for %s, and no exporter of backend \"%s\" speaks that: name one in `export`",
			 s->name, s->share_proto, x->name);
}

/* ---- the steps ---- */

/* Owned by the caller. */
static int locate(const struct exported *x, const struct driver_call *call, const struct driver_share *s, char **ret,
		  struct error *e)
{
	struct driver_result res = { 0 };
	struct driver_call one = { .id = call->id, .func_name = call->func_name, .share = s };
	int r = x->driver->locate_share(x->state, &one, &res, e);

	if (r == 0 && !jsonx_str(res.values, "path"))
		r = error_set(e, ERR_DRIVER_FAILED, EBADMSG, "locate_share of driver %s answered without a path",
			      x->driver->name);
	if (r == 0)
		*ret = xstrdup(jsonx_str(res.values, "path"));
	json_decref(res.values);
	return r;
}

/* Exports of other replicas that have this one's name: the one that was active, where a promotion was cut off or its
 * backend is gone. */
static int free_name(const struct exporter *on, const struct export *mine, struct error *e)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *one;
	size_t i;
	int r = on->ops->list(on->object, &all, e);

	if (r < 0)
		return r;
	json_array_foreach(all, i, one) {
		struct export export = exported_of_list(one);

		if (strcmp(export.name, mine->name) == 0 && strcmp(export.id, mine->id) != 0 &&
		    (r = on->ops->remove(on->object, &export, e)) < 0)
			return r;
	}
	return 0;
}

static int put_rules(const struct exporter *on, const struct driver_share *s, const char *path,
		     const struct driver_rule *rules, size_t n, json_t *results, struct error *e)
{
	_cleanup_error_ struct error first = ERROR_INIT;
	char name[NAME_SIZE];
	struct export export = describe(s, path, name);
	int r = on->ops->put(on->object, &export, rules, n, results, &first);

	if (r < 0 && first.kind == ERR_ALREADY_EXISTS && s->replica_state)
		return (r = free_name(on, &export, e)) < 0 ? r
							   : on->ops->put(on->object, &export, rules, n, results, e);
	if (r < 0)
		error_move(e, &first);
	return r;
}

static int put_on(const struct exporter *on, const struct driver_share *s, const char *path,
		  const struct driver_rules *rules, json_t *results, struct error *e)
{
	size_t n_all = rules ? rules->n_all : 0, n = 0;
	_cleanup_free_ struct driver_rule *mine = xcalloc(n_all + 1, sizeof *mine);
	int r;

	for (size_t i = 0; i < n_all; i++)
		if (takes(on->ops, s->share_proto, rules->all[i].access_type))
			mine[n++] = rules->all[i];
	if ((r = put_rules(on, s, path, mine, n, results, e)) < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!json_object_get(results, mine[i].id))
			return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "exporter %s said nothing about a rule",
					 on->ops->name);
	return 0;
}

static void refuse_others(const struct driver_share *s, const struct driver_rules *rules, json_t *results)
{
	for (size_t i = 0; rules && i < rules->n_all; i++) {
		const struct driver_rule *rule = &rules->all[i];

		if (!json_object_get(results, rule->id))
			json_object_set_new(results, rule->id,
					    jsonx_pack("{s:s,s:o}", "state", "error", "reason",
						       json_sprintf("%s shares have no rules of type %s",
								    s->share_proto, rule->access_type)));
	}
}

static bool has_exporter(const struct exported *x, const char *proto)
{
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->kinds[i]->proto, proto) == 0)
			return true;
	return false;
}

static bool can_export(const struct exported *x, const char *share_proto)
{
	if (strcmp(share_proto, "NFS_CIFS") == 0)
		return has_exporter(x, "NFS") && has_exporter(x, "CIFS");
	return has_exporter(x, share_proto);
}

int exported_put(const struct exported *x, const struct driver_call *call, const struct driver_share *s,
		 const struct driver_rules *rules, json_t *results, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	struct exporter *const *on = NULL;
	int r = can_export(x, s->share_proto) ? exported_find(x, s, &on, e) : cannot_export(x, s, e);

	if (r == 0)
		r = locate(x, call, s, &path, e);
	for (size_t i = 0; on && r == 0 && i < x->n; i++)
		if (serves(on[i]->ops, s->share_proto))
			r = put_on(on[i], s, path, rules, results, e);
	if (r == 0)
		refuse_others(s, rules, results);
	return r;
}

/* All are tried: what one cannot take away is no reason to leave the others open. */
int exported_remove(const struct exported *x, const struct driver_share *s, struct error *e)
{
	char name[NAME_SIZE];
	struct export export = describe(s, NULL, name);
	struct exporter *const *on = NULL;
	int r = exported_find(x, s, &on, e), one = 0;

	if (r == -ENOTSUP && !jsonx_get(s->server_details, "id")) {
		/* Its server was never made. */
		error_clear(e);
		return 0;
	}
	for (size_t i = 0; on && i < x->n; i++) {
		int this = on[i]->ops->remove(on[i]->object, &export, one < 0 ? NULL : e);

		one = one < 0 ? one : this;
	}
	return r < 0 ? r : one;
}

json_t *exported_locations(const struct exported *x, const struct driver_share *s)
{
	char name[NAME_SIZE];
	struct export export = describe(s, NULL, name);
	struct exporter *const *on = NULL;
	json_t *all = json_array();

	(void)exported_find(x, s, &on, NULL);
	for (size_t i = 0; on && i < x->n; i++) {
		_cleanup_json_ json_t *some = NULL;

		if (!serves(on[i]->ops, s->share_proto))
			continue;
		some = on[i]->ops->locations(on[i]->object, &export);
		json_array_extend(all, some);
	}
	return all;
}
