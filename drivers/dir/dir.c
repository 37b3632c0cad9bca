/* The `dir` driver: shares are directories below a root, on any file system with POSIX ACLs. Needs nothing, not even
 * root's rights. The layout stands in dir_root.h. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/dir/dir_gate.h"
#include "drivers/dir/dir_manage.h"
#include "drivers/dir/dir_object.h"
#include "drivers/dir/dir_setup.h"
#include "drivers/dir/dir_share.h"
#include "drivers/dir/dir_snapshot.h"
#include "drivers/dir/dir_work.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

static const struct option options[] = {
	{ .name = "root",
	  .type = OPTION_STRING,
	  .flags = OPTION_REQUIRED | OPTION_FIXED | OPTION_ABSOLUTE,
	  .help = "The directory that holds the shares; it must exist, and be on a file system with POSIX ACLs." },
	{ .name = NULL },
};

/* ---- the backend ---- */

static void destroy(void *backend)
{
	struct dir_backend *b = backend;

	if (!b)
		return;
	free(b->name);
	free(b->id);
	free(b->root);
	json_decref(b->busy);
	free(b);
}

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	const char *root = settings_string(setup->settings, "root");
	_cleanup_json_ json_t *text = json_string(root);
	struct dir_backend *b;

	if (!text)
		return error_param(
			e, "root",
			"the root of backend \"%s\" is not UTF-8: its shares' paths could not be told to clients",
			setup->name);
	b = xcalloc(1, sizeof *b);
	b->name = xstrdup(setup->name);
	b->id = xstrdup(setup->id);
	b->root = xstrdup(root);
	for (size_t n = strlen(b->root); n > 1 && b->root[n - 1] == '/'; n--)
		b->root[n - 1] = '\0';
	b->busy = json_object();
	*ret_backend = b;
	return 0;
}

/* ---- reports ---- */

static int get_share_stats(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	const struct dir_backend *b = backend;
	struct statvfs vfs;
	int n;

	(void)call;
	if ((n = dir_root_open(backend, &r, e)) < 0)
		return n;
	if (fstatvfs(r.fd, &vfs) < 0)
		return error_errno(e, errno, "cannot ask %s for its space", b->root);
	ret->values = jsonx_pack("{s:I,s:I,s:b,s:[s],s:[s],s:[s],s:b,s:b,s:b,s:b,s:b,s:b,s:n,s:b}", "total_bytes",
				 (json_int_t)vfs.f_blocks * (json_int_t)vfs.f_frsize, "free_bytes",
				 (json_int_t)vfs.f_bavail * (json_int_t)vfs.f_frsize, "size_enforced", 0,
				 "share_protos", "LOCAL", "access_types", "user", "access_levels", "rw", "snapshots", 1,
				 "snapshot_consistent", 0, "create_from_snapshot", 1, "revert", 1, "shrink", 1,
				 "manage", 1, "replication_type", "reflink", b->reflink);
	return 0;
}

/* Found, with data in it. */
static int find_whole(const struct dir_root *r, const struct driver_share *s, struct dir_object *ret, struct error *e)
{
	struct stat st;
	int n = dir_share_find(r, s, ret, e);

	if (n == 0 && (n = dir_object_stat_data(ret, &st)) < 0)
		return error_errno(e, -n, "the data of share %s are missing: %s/%s/data", s->name, r->b->root,
				   ret->location);
	return n;
}

static json_t *ensured(const struct dir_root *r, const struct driver_share *s)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	_cleanup_free_ char *data = NULL;

	if (find_whole(r, s, &o, &why) < 0)
		return jsonx_pack("{s:s,s:o}", "status", "error", "status_reason", jsonx_string(why.message));
	data = dir_object_data_location(&o);
	return jsonx_pack("{s:o}", "export_locations", dir_root_export(r->b, data));
}

static int ensure_shares(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	json_t *shares;
	int n = dir_root_open(backend, &r, e);

	if (n < 0)
		return n;
	shares = json_object();
	for (size_t i = 0; i < call->n_shares; i++)
		json_object_set_new(shares, call->shares[i].id, ensured(&r, &call->shares[i]));
	ret->values = jsonx_pack("{s:o}", "shares", shares);
	return 0;
}

static int get_periodic_hook_data(void *backend, const struct driver_call *call, struct driver_result *ret,
				  struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	json_t *shares;
	int n = dir_root_open(backend, &r, e);

	if (n < 0)
		return n;
	shares = json_object();
	for (size_t i = 0; i < call->n_shares; i++) {
		_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
		_cleanup_free_ char *data = NULL;
		_cleanup_free_ char *path = NULL;

		if (dir_share_find(&r, &call->shares[i], &o, NULL) < 0)
			continue;
		data = dir_object_data_location(&o);
		path = dir_root_path(r.b, data);
		json_object_set_new(shares, call->shares[i].id,
				    jsonx_pack("{s:o}", "provider_path", jsonx_string(path)));
	}
	ret->values = jsonx_pack("{s:o}", "shares", shares);
	return 0;
}

static int get_share_status(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	const char *status = "available";
	struct stat st;
	int n;

	if ((n = dir_root_open(backend, &r, e)) < 0)
		return n;
	n = call->snapshot ? dir_snapshot_load(&r, call->snapshot, &o, e) : dir_share_load(&r, call->share, &o, e);
	if (n < 0 && n != -ENOENT && n != -ESTALE && n != -EUCLEAN)
		return n;
	error_clear(e);
	if (n == -ENOENT || (n == 0 && !dir_object_is_available(&o)))
		status = "absent";
	else if (n < 0 || dir_object_stat_data(&o, &st) < 0)
		status = "error";
	ret->values = jsonx_pack("{s:s}", "status", status);
	if (jsonx_str(o.mark, "call_id"))
		json_object_set(ret->values, "call_id", json_object_get(o.mark, "call_id"));
	return 0;
}

static int locate_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	_cleanup_free_ char *data = NULL, *path = NULL;
	int n;

	if ((n = dir_root_open(backend, &r, e)) < 0 || (n = find_whole(&r, call->share, &o, e)) < 0)
		return n;
	data = dir_object_data_location(&o);
	path = dir_root_path(r.b, data);
	ret->values = jsonx_pack("{s:o}", "path", jsonx_string(path));
	return 0;
}

static int usage_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			  const struct error *failure, struct driver_result *ret, struct error *e)
{
	(void)backend, (void)data, (void)call;
	if (failure)
		return dir_work_failed(failure, e);
	ret->values = jsonx_pack("{s:I}", "used_bytes", (json_int_t)jsonx_int(output, "used_bytes"));
	return 0;
}

static int get_share_usage(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_object_ struct dir_object o = DIR_OBJECT_INIT;
	_cleanup_free_ char *data = NULL;
	struct stat st;
	int n;

	if ((n = dir_root_open(backend, &r, e)) < 0 || (n = find_whole(&r, call->share, &o, e)) < 0)
		return n;
	if ((n = dir_object_stat_data(&o, &st)) < 0)
		return error_errno(e, -n, "cannot look at the data of share %s", call->share->name);
	data = dir_object_data_location(&o);
	dir_work_measure(&r, data, st.st_ino, usage_measured, ret);
	return 0;
}

extern const struct share_driver_ops dir_driver;
const struct share_driver_ops dir_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "dir",
	.summary = "directories on a local file system; snapshots by shared blocks where it can, else by copy",
	.options = options,
	.revert_is_long = true,
	.create = create,
	.destroy = destroy,

	.do_setup = dir_do_setup,
	.check_for_setup_error = dir_check_for_setup_error,
	.get_share_stats = get_share_stats,
	.ensure_shares = ensure_shares,

	.create_share = dir_create_share,
	.create_share_from_snapshot = dir_create_share_from_snapshot,
	.delete_share = dir_delete_share,
	.extend_share = dir_extend_share,
	.shrink_share = dir_shrink_share,
	.manage_existing = dir_manage_existing,
	.unmanage = dir_unmanage,

	.update_access = dir_update_access,

	.create_snapshot = dir_create_snapshot,
	.delete_snapshot = dir_delete_snapshot,
	.revert_to_snapshot = dir_revert_to_snapshot,
	.manage_existing_snapshot = dir_manage_existing_snapshot,
	.unmanage_snapshot = dir_unmanage_snapshot,

	.get_periodic_hook_data = get_periodic_hook_data,
	.get_share_status = get_share_status,
	.get_share_usage = get_share_usage,
	.list_objects = dir_list_objects,
	.check_backend = dir_check_backend,
	.locate_share = locate_share,
};
