/* The `btrfs` driver: each share's data are a subvolume, held to the share's size by its quota group; snapshots and
 * shares made of them share blocks and are there at once. Needs btrfs and CAP_SYS_ADMIN. The layout stands in
 * local_root.h. */
#include "drivers/btrfs/btrfs.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/btrfs/btrfs_mounts.h"
#include "drivers/btrfs/btrfs_quota.h"
#include "drivers/btrfs/btrfs_replica.h"
#include "drivers/btrfs/btrfs_volume.h"
#include "drivers/local/local.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

struct btrfs_backend {
	struct local_backend local; /* first */
	bool use_quota, enable_quota;
};

/* ---- can it be done here? ---- */

static int down(const struct local_backend *b, int err, struct error *e, const char *what)
{
	return error_set(e, ERR_BACKEND_DOWN, err, "root %s of backend \"%s\" %s", b->root, b->name, what);
}

static int check_quota(const struct btrfs_backend *b, int fd, struct error *e)
{
	enum btrfs_quota state;
	int r = btrfs_quota_state(fd, &state, e);

	if (r == 0 && state == BTRFS_QUOTA_IS_OFF && b->enable_quota && (r = btrfs_quota_enable(fd, e)) == 0)
		state = BTRFS_QUOTA_IS_COUNTING;
	if (r == 0 && state == BTRFS_QUOTA_IS_COUNTING)
		r = btrfs_quota_count(fd, &state, e);
	if (r < 0)
		return r;
	if (state == BTRFS_QUOTA_IS_OFF)
		return down(
			&b->local, ENOTCONN, e,
			"is on a btrfs whose quota is off, so that no size can be enforced: `btrfs quota enable` it, "
			"or set the option `quota` to \"enable\", or to \"off\" to go without");
	/* Meanwhile no size is enforced, and removing a subvolume would spoil the figures. */
	if (state == BTRFS_QUOTA_IS_COUNTING)
		return down(
			&b->local, EAGAIN, e,
			"waits for btrfs to count what its subvolumes use: `btrfs quota rescan -s` tells how far it "
			"is, and then it comes up by itself");
	if (state == BTRFS_QUOTA_IS_SIMPLE)
		return down(&b->local, EOPNOTSUPP, e,
			    "is on a btrfs with simple quotas, which count of a clone only what is new in it: disable "
			    "them and "
			    "`btrfs quota enable`, or set the option `quota` to \"off\"");
	return 0;
}

/* All that every call will need, tried. */
static int try_volumes(const struct btrfs_backend *b, int probe, struct error *e)
{
	_cleanup_close_ int volume = -1;
	_cleanup_close_ int snapshot = -1;
	int r = btrfs_volume_create(probe, "volume", e);

	if (r < 0)
		return r;
	volume = path_open(probe, "volume", O_RDONLY | O_DIRECTORY, 0);
	if (volume < 0)
		return error_errno(e, -volume, "cannot open a new subvolume");
	if (b->use_quota)
		r = btrfs_quota_limit(volume, 1 << 20, "a new subvolume", e);
	if (r == 0)
		r = btrfs_volume_snapshot(volume, probe, "snapshot", true, "a new subvolume", e);
	if (r == 0)
		snapshot = path_open(probe, "snapshot", O_RDONLY | O_DIRECTORY, 0);
	if (snapshot >= 0)
		r = btrfs_volume_remove(snapshot, "a new snapshot", e);
	return r < 0 ? r : btrfs_volume_remove(volume, "a new subvolume", e);
}

static int fits(const struct local_backend *b, int root, struct error *e)
{
	struct statfs fs;

	if (fstatfs(root, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC)
		return 0;
	return down(b, EOPNOTSUPP, e,
		    "is not on btrfs: mount a btrfs there, or use the driver `dir`, which takes any file system");
}

static int check(struct local_backend *local, int probe, struct error *e)
{
	struct btrfs_backend *b = (struct btrfs_backend *)local;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r;

	r = b->use_quota ? check_quota(b, probe, &why) : 0;
	if (r == 0)
		r = try_volumes(b, probe, &why);
	if (r == -EPERM || r == -EACCES)
		return down(
			local, EPERM, e,
			"cannot be used by the daemon's user: limits and the removal of subvolumes need CAP_SYS_ADMIN; "
			"run the daemon as root; under systemd its unit needs the drop-in mount (see sharesd(8))");
	if (r < 0 && why.kind == ERR_BACKEND_DOWN) {
		error_move(e, &why);
		return r;
	}
	if (r < 0)
		return down(local, -r, e, why.message);
	local->reflink = true;
	local->size_enforced = b->use_quota;
	return 0;
}

/* ---- the storage ---- */

static int make(int dirfd, struct error *e)
{
	return btrfs_volume_create(dirfd, "data", e);
}

static int limit(const struct local_root *r, int data, uint64_t size_bytes, struct error *e)
{
	return r->b->size_enforced ? btrfs_quota_limit(data, size_bytes, "a share", e) : 0;
}

static uint64_t find_limit(const struct local_root *r, int data)
{
	return r->b->size_enforced ? btrfs_quota_find_limit(data) : 0;
}

/* A clone begins with the limit of what it is made of: it is set anew when the clone is whole. */
static int copy(const struct local_root *r, const struct local_object *from, const char *id, bool read_only,
		const struct driver_call *call, local_finish *finish, struct driver_result *ret, struct error *e)
{
	_cleanup_close_ int data = local_object_open_data(from, e);
	_cleanup_close_ int staging = data < 0 ? -1 : path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_close_ int made = -1;
	int n;

	if (data < 0)
		return data;
	if (staging < 0)
		return error_errno(e, -staging, "cannot open the staging directory of %s", from->location);
	if ((n = btrfs_volume_snapshot(data, staging, "data", read_only, from->location, e)) < 0)
		return n;
	if (!read_only) {
		made = path_open(staging, "data", O_RDONLY | O_DIRECTORY, 0);
		if (made < 0)
			return error_errno(e, -made, "cannot open the clone of %s", from->location);
		if ((n = limit(r, made, 0, e)) < 0)
			return n;
	}
	return finish((struct local_backend *)r->b, NULL, call, NULL, NULL, ret, e);
}

/* With all that lies in subvolumes of their own in it. */
static int used(const struct local_object *o, uint64_t *ret, struct error *e)
{
	_cleanup_close_ int data = local_object_open_data(o, e);
	_cleanup_json_ json_t *nested = NULL;
	uint64_t id, one, sum;
	json_t *volume;
	size_t i;
	int n;

	if (data < 0)
		return data;
	if ((n = btrfs_volume_id(data, o->location, &id, e)) < 0 ||
	    (n = btrfs_quota_used(data, id, &sum, NULL, e)) < 0 ||
	    (n = btrfs_volume_nested(data, o->location, &nested, e)) < 0)
		return n;
	json_array_foreach(nested, i, volume)
		if (btrfs_quota_used(data, (uint64_t)jsonx_int(volume, "id"), &one, NULL, NULL) == 0)
			sum += one;
	*ret = sum;
	return 0;
}

/* What has reached the disk counts from the next transaction on. */
static int count(const struct local_root *r, const struct local_object *o, uint64_t *ret, struct error *e)
{
	enum btrfs_quota state;
	int n = btrfs_quota_state(o->gate, &state, e);

	if (n < 0)
		return n;
	if (state == BTRFS_QUOTA_IS_OFF)
		return down(r->b, ENOTCONN, e, "has no btrfs quota any more: `btrfs quota enable` it");
	if (state == BTRFS_QUOTA_IS_COUNTING && (n = btrfs_quota_count(o->gate, &state, e)) < 0)
		return n;
	if (state != BTRFS_QUOTA_IS_ON)
		return error_set(e, ERR_INVALID_STATE, EAGAIN,
				 "what the subvolumes on %s use is being counted anew: try again when `btrfs quota "
				 "rescan -s` says that it is done",
				 r->b->root);
	n = btrfs_volume_commit(r->fd);
	return n < 0 ? error_errno(e, -n, "cannot commit to the file system of %s", r->b->root) : used(o, ret, e);
}

static int measure(const struct local_root *r, const struct local_object *o, const struct driver_call *call,
		   local_finish *finish, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *output = NULL;
	uint64_t bytes = 0;
	int n;

	if (!r->b->size_enforced)
		return local_work_measure(r, o, call, finish, ret, e);
	if ((n = count(r, o, &bytes, e)) < 0)
		return n;
	output = jsonx_pack("{s:I}", "used_bytes", (json_int_t)bytes);
	return finish((struct local_backend *)r->b, NULL, call, output, NULL, ret, e);
}

static int may_adopt(const struct local_root *r, const char *kind, int fd, const char *location, struct error *e)
{
	bool is_share = strcmp(kind, "share") == 0;

	if (!btrfs_volume_is(fd))
		return error_param(e, "provider_location",
				   "%s is a plain directory, and a %s on backend \"%s\" is a btrfs subvolume: make one "
				   "(btrfs subvolume create), and move the files there (cp -a --reflink=always)",
				   location, kind, r->b->name);
	if (is_share && btrfs_volume_is_read_only(fd))
		return error_param(e, "provider_location",
				   "%s is a read-only snapshot: manage it as a snapshot, or make a writable one of it "
				   "(btrfs subvolume snapshot)",
				   location);
	if (!is_share && !btrfs_volume_is_read_only(fd))
		return error_param(
			e, "provider_location",
			"%s can be written, so it is no snapshot: make it read-only (btrfs property set %s ro "
			"true)",
			location, location);
	return 0;
}

/* Names for people, cut short where there are many. */
static char *name_nested(const json_t *nested)
{
	enum { SHOWN = 4 };
	_cleanup_free_ char *names = xstrdup("");
	json_t *volume;
	size_t i;

	json_array_foreach(nested, i, volume) {
		const char *path = jsonx_str(volume, "path");
		char *longer;

		if (i == SHOWN)
			break;
		longer = xasprintf("%s%s%.40s", names, i ? ", " : "", path ? path : "?");
		free(names);
		names = longer;
	}
	if (json_array_size(nested) <= SHOWN)
		return take_ptr(names);
	return xasprintf("%s and %zu more", names, json_array_size(nested) - SHOWN);
}

static char *left_out(const struct local_root *r, const struct local_object *share)
{
	_cleanup_close_ int data = local_object_open_data(share, NULL);
	_cleanup_json_ json_t *nested = NULL;

	(void)r;
	if (data < 0 || btrfs_volume_nested(data, share->location, &nested, NULL) < 0 || json_array_size(nested) == 0)
		return NULL;
	return name_nested(nested);
}

/* Subvolumes that users made inside are in no snapshot: a revert would destroy them for ever. */
static int refuse_nested(int data, const char *what, struct error *e)
{
	_cleanup_json_ json_t *nested = NULL;
	_cleanup_free_ char *names = NULL;
	int n = btrfs_volume_nested(data, what, &nested, e);

	if (n < 0 || json_array_size(nested) == 0)
		return n;
	names = name_nested(nested);
	return error_set(e, ERR_INVALID_STATE, ENOTEMPTY,
			 "%s holds subvolumes of its users, which are in no snapshot and would be lost: move or remove "
			 "them first (%s)",
			 what, names);
}

static int let_go(const struct local_root *r, const struct local_object *o, bool for_good, struct error *e)
{
	_cleanup_close_ int data = local_object_open_data(o, NULL);
	_cleanup_free_ char *what = local_root_path(r->b, o->location);
	int n;

	if (data < 0 || !btrfs_volume_is(data)) /* damaged: nothing that anybody could hold */
		return 0;
	if ((n = btrfs_mounts_refuse(data, what, e)) < 0 || (!for_good && (n = refuse_nested(data, what, e)) < 0))
		return n;
	/* A read-only directory cannot change the directory that it lies in. */
	return o->in_place && btrfs_volume_is_read_only(data) ? btrfs_volume_set_read_only(data, false, what, e) : 0;
}

/* ---- the trash ---- */

static void remove_volume(int dirfd, const char *name)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_close_ int fd = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0 && btrfs_volume_is(fd))
		(void)btrfs_volume_remove(fd, name, &e);
}

/* In a directory lie its data and, of a transfer that was cut off, a second subvolume, which nobody can empty. */
static void remove_entry(int trash, const char *name)
{
	_cleanup_close_ int fd = path_open(trash, name, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *entry;

	if (fd < 0)
		return;
	if (btrfs_volume_is(fd)) {
		remove_volume(trash, name);
		return;
	}
	d = local_list(fd);
	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_volume(fd, entry->d_name);
	(void)unlinkat(trash, name, AT_REMOVEDIR);
}

/* Subvolumes go as a whole; for whatever else was put beside them there is the helper. */
static void purge(const struct local_root *r, struct driver_result *ret)
{
	_cleanup_closedir_ DIR *d = local_list(r->trash);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_entry(r->trash, entry->d_name);
	local_work_purge(r, ret);
}

static void describe(const struct local_root *r, const struct local_object *o, json_t *values)
{
	_cleanup_close_ int data = local_object_open_data(o, NULL);
	_cleanup_json_ json_t *nested = NULL;
	uint64_t id, all, exclusive;

	if (data < 0)
		return;
	if (r->b->size_enforced && btrfs_volume_id(data, o->location, &id, NULL) == 0 &&
	    btrfs_quota_used(data, id, &all, &exclusive, NULL) == 0) {
		json_object_set_new(values, "used_bytes", json_integer((json_int_t)all));
		json_object_set_new(values, "exclusive_bytes", json_integer((json_int_t)exclusive));
		json_object_set_new(values, "limit_bytes", json_integer((json_int_t)btrfs_quota_find_limit(data)));
	}
	if (btrfs_volume_nested(data, o->location, &nested, NULL) == 0)
		json_object_set_new(values, "nested_subvolumes", json_integer((json_int_t)json_array_size(nested)));
}

const struct local_storage btrfs_storage = {
	.driver = "btrfs",
	.consistent = true,
	.fits = fits,
	.check = check,
	.commit = btrfs_volume_commit,
	.make = make,
	.copy = copy,
	.measure = measure,
	.limit = limit,
	.find_limit = find_limit,
	.may_adopt = may_adopt,
	.let_go = let_go,
	.left_out = left_out,
	.purge = purge,
	.replication = &btrfs_replication,
	.describe = describe,
};

/* ---- the driver ---- */

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	const char *quota = settings_string(setup->settings, "quota");
	struct btrfs_backend *b = xcalloc(1, sizeof *b);
	int r = local_init(&b->local, &btrfs_storage, setup, e);

	if (r < 0) {
		free(b);
		return r;
	}
	b->use_quota = strcmp(quota, "off") != 0;
	b->enable_quota = strcmp(quota, "enable") == 0;
	*ret_backend = b;
	return 0;
}

static void destroy(void *backend)
{
	struct btrfs_backend *b = backend;

	if (b)
		local_clear(&b->local);
	free(b);
}

static const char *const quotas[] = { "on", "enable", "off", NULL };

static const struct option options[] = {
	LOCAL_OPTION_ROOT("The directory that holds the shares; it must exist, and be on btrfs."),
	{ .name = "quota",
	  .type = OPTION_CHOICE,
	  .fallback = "on",
	  .choices = quotas,
	  .flags = OPTION_MOUNTS,
	  .help = "Sizes are enforced by btrfs quota, which must be \"on\"; \"enable\" switches it on where it is off; "
		  "with "
		  "\"off\" no size is enforced, and snapshots of busy shares are quicker." },
	{ .name = NULL },
};

extern const struct share_driver_ops btrfs_driver;
const struct share_driver_ops btrfs_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "btrfs",
	.summary = "subvolumes of a btrfs, each held to its size; snapshots and clones are there at once",
	.options = options,
	.create = create,
	.destroy = destroy,
	LOCAL_SLOTS,
	LOCAL_REPLICA_SLOTS,
};
