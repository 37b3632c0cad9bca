#include "drivers/local/local.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

/* ---- the backend ---- */

void local_clear(struct local_backend *b)
{
	free(b->name);
	free(b->id);
	free(b->root);
	json_decref(b->busy);
}

int local_init(struct local_backend *b, const struct local_storage *storage, const struct driver_setup *setup,
	       struct error *e)
{
	const char *root = settings_string(setup->settings, "root");
	_cleanup_json_ json_t *text = json_string(root);

	if (!text)
		return error_param(
			e, "root",
			"the root of backend \"%s\" is not UTF-8: its shares' paths could not be told to clients",
			setup->name);
	*b = (struct local_backend){ .storage = storage,
				     .name = xstrdup(setup->name),
				     .id = xstrdup(setup->id),
				     .root = xstrdup(root),
				     .busy = json_object() };
	for (size_t n = strlen(b->root); n > 1 && b->root[n - 1] == '/'; n--)
		b->root[n - 1] = '\0';
	return 0;
}

/* ---- reports ---- */

int local_get_share_stats(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	const struct local_backend *b = backend;
	struct statvfs vfs;
	int n;

	(void)call;
	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	if (fstatvfs(r.fd, &vfs) < 0)
		return error_errno(e, errno, "cannot ask %s for its space", b->root);
	ret->values = jsonx_pack("{s:I,s:I,s:b,s:[s],s:[s],s:[s],s:b,s:b,s:b,s:b,s:b,s:b,s:s?,s:b}", "total_bytes",
				 (json_int_t)vfs.f_blocks * (json_int_t)vfs.f_frsize, "free_bytes",
				 (json_int_t)vfs.f_bavail * (json_int_t)vfs.f_frsize, "size_enforced", b->size_enforced,
				 "share_protos", "LOCAL", "access_types", "user", "access_levels", "rw", "snapshots", 1,
				 "snapshot_consistent", b->storage->consistent, "create_from_snapshot", 1, "revert", 1,
				 "shrink", 1, "manage", 1, "replication_type",
				 b->storage->replication ? "readable" : NULL, "reflink", b->reflink);
	return 0;
}

/* Found, with data in it. */
static int find_whole(const struct local_root *r, const struct driver_share *s, struct local_object *ret,
		      struct error *e)
{
	uint64_t id;
	int n = local_share_find(r, s, ret, e);

	if (n == 0 && (n = local_object_data_id(ret, &id)) < 0)
		return error_errno(e, -n, "the data of share %s are missing: %s/%s/data", s->name, r->b->root,
				   ret->location);
	return n;
}

static json_t *ensured(const struct local_root *r, const struct driver_share *s)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	_cleanup_free_ char *data = NULL;

	if (find_whole(r, s, &o, &why) < 0 || local_object_limit(r, &o, s->size_bytes, &why) < 0)
		return jsonx_pack("{s:s,s:o}", "status", "error", "status_reason", jsonx_string(why.message));
	data = local_object_data_location(&o);
	return jsonx_pack("{s:o}", "export_locations", local_root_export(r->b, data));
}

int local_ensure_shares(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	json_t *shares;
	int n = local_root_open(backend, &r, e);

	if (n < 0)
		return n;
	shares = json_object();
	for (size_t i = 0; i < call->n_shares; i++)
		json_object_set_new(shares, call->shares[i].id, ensured(&r, &call->shares[i]));
	ret->values = jsonx_pack("{s:o}", "shares", shares);
	return 0;
}

int local_get_periodic_hook_data(void *backend, const struct driver_call *call, struct driver_result *ret,
				 struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	json_t *shares;
	int n = local_root_open(backend, &r, e);

	if (n < 0)
		return n;
	shares = json_object();
	for (size_t i = 0; i < call->n_shares; i++) {
		_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
		_cleanup_free_ char *data = NULL;
		_cleanup_free_ char *path = NULL;
		json_t *values;

		if (local_share_find(&r, &call->shares[i], &o, NULL) < 0)
			continue;
		data = local_object_data_location(&o);
		path = local_root_path(r.b, data);
		values = jsonx_pack("{s:o}", "provider_path", jsonx_string(path));
		if (r.b->storage->describe)
			r.b->storage->describe(&r, &o, values);
		json_object_set_new(shares, call->shares[i].id, values);
	}
	ret->values = jsonx_pack("{s:o}", "shares", shares);
	return 0;
}

int local_get_share_status(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	const char *status = "available";
	uint64_t id;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = call->snapshot ? local_snapshot_load(&r, call->snapshot, &o, e) : local_share_load(&r, call->share, &o, e);
	if (n < 0 && n != -ENOENT && n != -ESTALE && n != -EUCLEAN)
		return n;
	error_clear(e);
	if (n == -ENOENT || (n == 0 && !local_object_is_available(&o)))
		status = "absent";
	else if (n < 0 || local_object_data_id(&o, &id) < 0)
		status = "error";
	ret->values = jsonx_pack("{s:s}", "status", status);
	if (jsonx_str(o.mark, "call_id"))
		json_object_set(ret->values, "call_id", json_object_get(o.mark, "call_id"));
	return 0;
}

static int usage_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			  const struct error *failure, struct driver_result *ret, struct error *e)
{
	(void)backend, (void)data, (void)call;
	if (failure)
		return local_work_failed(failure, e);
	ret->values = jsonx_pack("{s:I}", "used_bytes", (json_int_t)jsonx_int(output, "used_bytes"));
	return 0;
}

int local_get_share_usage(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = find_whole(&r, call->share, &o, e)) < 0)
		return n;
	return r.b->storage->measure(&r, &o, call, usage_measured, ret, e);
}

int local_locate_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	_cleanup_free_ char *data = NULL;
	_cleanup_free_ char *path = NULL;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = find_whole(&r, call->share, &o, e)) < 0)
		return n;
	data = local_object_data_location(&o);
	path = local_root_path(r.b, data);
	ret->values = jsonx_pack("{s:o}", "path", jsonx_string(path));
	return 0;
}
