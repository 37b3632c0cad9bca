#include "drivers/local/local_share.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/privilege.h"
#include "base/text.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_gate.h"
#include "drivers/local/local_manage.h"
#include "drivers/local/local_object.h"
#include "drivers/local/local_replica.h"
#include "drivers/local/local_trash.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- making ---- */

static void answer(const struct local_root *r, const struct local_object *o, struct driver_result *ret)
{
	_cleanup_free_ char *data = local_object_data_location(o);

	ret->values = jsonx_pack("{s:o,s:s}", "export_locations", local_root_export(r->b, data), "provider_location",
				 o->location);
	r->b->storage->purge(r, ret);
}

int local_share_look(const struct local_root *r, const struct driver_share *s, struct driver_result *ret,
		     struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	struct stat st;
	int n = local_share_load(r, s, &o, e);

	if (n == -ENOENT || n == -ESTALE) {
		error_clear(e);
	} else if (n < 0) {
		return n;
	} else if (local_object_is_available(&o)) {
		if ((n = local_flush(r->b, r->fd, r->b->root, e)) < 0)
			return n;
		answer(r, &o, ret);
		return 1;
	}
	if (fstatat(r->fd, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(
			e, ERR_ALREADY_EXISTS, EEXIST,
			"%s exists in %s and is not this share's: manage_share adopts a directory that is there",
			s->name, r->b->root);
	return 0;
}

static int check_owner(const struct driver_share *s, struct error *e)
{
	uid_t me = geteuid();

	if (privilege_files() || s->uid == me)
		return 0;
	error_set(e, ERR_NOT_SUPPORTED, EPERM,
		  "user %u cannot own a share here: the daemon runs as user %u, and only root gives directories to "
		  "others",
		  (unsigned)s->uid, (unsigned)me);
	error_add(e, "param", json_string("uid"));
	return -EPERM;
}

/* Owner, group and mode that the call wants. */
static int give(const struct local_root *r, int fd, const struct driver_share *s, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "cannot look at the root of share %s", s->name);
	if ((st.st_uid != s->uid || st.st_gid != s->gid) && fchown(fd, s->uid, s->gid) < 0) {
		if (errno != EPERM)
			return error_errno(e, errno, "cannot give share %s to user %u", s->name, (unsigned)s->uid);
		error_set(e, ERR_NOT_SUPPORTED, EPERM,
			  "share %s cannot be given to user %u and group %u: user %u, as whom the daemon runs, may not "
			  "do that",
			  s->name, (unsigned)s->uid, (unsigned)s->gid, (unsigned)geteuid());
		error_add(e, "param", json_string(st.st_uid != s->uid ? "uid" : "gid"));
		return -EPERM;
	}
	if (fchmod(fd, s->mode & 07777) < 0)
		return error_errno(e, errno, "cannot set the mode of share %s", s->name);
	return local_order(r->b, fd, "the root of the new share", e);
}

int local_share_place(const struct local_root *r, const struct driver_call *call, int gate, struct driver_result *ret,
		      struct error *e)
{
	const struct driver_share *s = call->share;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	o.mark = local_share_mark(r->b, s, call->id);
	if (local_replica_is_secondary(s))
		json_object_set_new(o.mark, "copy", json_true());
	o.location = xstrdup(s->name);
	o.gate = fcntl(gate, F_DUPFD_CLOEXEC, 0);
	if (o.gate < 0)
		return error_errno(e, errno, "cannot open the gate of share %s", s->name);
	if ((n = local_object_limit(r, &o, s->size_bytes, e)) < 0 || (n = local_gate_prepare(&o, e)) < 0 ||
	    (n = local_object_write(r, &o, e)) < 0 || (n = local_order(r->b, gate, "the gate of the new share", e)) < 0)
		return n;
	crash_step("local: put the share in its place");
	if (renameat2(r->staging, s->id, r->fd, s->name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return error_set(e, ERR_ALREADY_EXISTS, EEXIST,
					 "%s appeared in %s meanwhile and is not this share's", s->name, r->b->root);
		return error_errno(e, errno, "cannot put share %s in its place in %s", s->name, r->b->root);
	}
	crash_step("local: the share is in its place");
	if ((n = local_order(r->b, r->fd, r->b->root, e)) < 0 ||
	    (n = local_flush(r->b, r->staging, "the staging directory", e)) < 0) {
		(void)local_object_trash(r, &o, call->id, NULL);
		return n;
	}
	answer(r, &o, ret);
	return 0;
}

static void undo(const struct local_root *r, const struct driver_share *s)
{
	(void)local_staging_discard(r, s->id, NULL);
	(void)local_object_forget(r, s->id, NULL);
}

static int make_data(const struct local_root *r, int gate, const struct driver_share *s, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int n;

	crash_step("local: make a share's root");
	if ((n = r->b->storage->make(gate, e)) < 0)
		return n;
	crash_step("local: made a share's root");
	fd = path_open(gate, "data", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return error_errno(e, -fd, "cannot open the root of share %s", s->name);
	return give(r, fd, s, e);
}

int local_create_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_close_ int gate = -1;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = check_owner(call->share, e)) < 0)
		return n;
	if ((n = local_share_look(&r, call->share, ret, e)) != 0)
		return n < 0 ? n : 0;
	if ((n = local_staging_make(&r, call->share->id, &gate, e)) < 0)
		return n;
	if ((n = make_data(&r, gate, call->share, e)) < 0 || (n = local_share_place(&r, call, gate, ret, e)) < 0)
		undo(&r, call->share);
	return n;
}

static int finish_copy(const struct local_root *r, const struct driver_call *call, struct driver_result *ret,
		       struct error *e)
{
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	_cleanup_close_ int gate = path_open(r->staging, call->share->id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_close_ int data = gate < 0 ? gate : path_open(gate, "data", O_RDONLY | O_DIRECTORY, 0);
	int n;

	if (data < 0)
		return error_errno(e, -data, "cannot open the copy for share %s", call->share->name);
	if ((n = local_snapshot_find(r, call->snapshot, &snapshot, e)) < 0)
		return n;
	/* The copied root's ACL was the gate of the share that the snapshot is of: its rules are not ours. */
	if (jsonx_bool(snapshot.mark, "of_gate") && (n = local_acl_set(data, NULL, 0)) < 0)
		return error_errno(e, -n, "cannot set the ACL of share %s", call->share->name);
	if ((n = give(r, data, call->share, e)) < 0)
		return n;
	return local_share_place(r, call, gate, ret, e);
}

static int created_from_snapshot(void *backend, void *data, const struct driver_call *call, const json_t *output,
				 const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n = local_root_open(backend, &r, e);

	(void)data, (void)output;
	if (n < 0)
		return n;
	n = failure ? local_work_failed(failure, e) : finish_copy(&r, call, ret, e);
	if (n < 0)
		undo(&r, call->share);
	return n;
}

int local_create_share_from_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				     struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object snapshot = LOCAL_OBJECT_INIT;
	_cleanup_close_ int gate = -1;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = check_owner(call->share, e)) < 0)
		return n;
	if ((n = local_share_look(&r, call->share, ret, e)) != 0)
		return n < 0 ? n : 0;
	if ((n = local_snapshot_find(&r, call->snapshot, &snapshot, e)) < 0 ||
	    (n = local_staging_make(&r, call->share->id, &gate, e)) < 0)
		return n;
	n = r.b->storage->copy(&r, &snapshot, call->share->id, false, call, created_from_snapshot, ret, e);
	if (n < 0)
		undo(&r, call->share);
	return n;
}

/* ---- removing ---- */

int local_delete_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	n = local_share_load(&r, call->share, &o, e);
	if (n == 0 && local_object_is_available(&o))
		n = local_object_trash(&r, &o, call->id, e);
	else if (n == 0)
		n = local_manage_undo(&r, &o, e);
	else if (n == -ENOENT)
		n = local_object_forget(&r, call->share->id, e);
	if (n < 0 || (n = local_staging_discard(&r, call->share->id, e)) < 0)
		return n;
	error_clear(e);
	local_replica_forget(&r, call->share, call->id);
	r.b->storage->purge(&r, ret);
	return 0;
}

/* ---- resizing ---- */

static int resize(const struct local_root *r, const struct driver_call *call, struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n = local_share_find(r, call->share, &o, e);

	if (n < 0 || (n = local_object_limit(r, &o, call->new_size_bytes, e)) < 0)
		return n;
	crash_step("local: set a limit");
	json_object_set_new(o.mark, "size_bytes", json_integer((json_int_t)call->new_size_bytes));
	json_object_set_new(o.mark, "call_id", json_string(call->id));
	if ((n = local_object_save(r, &o, e)) < 0)
		(void)local_object_limit(r, &o, call->share->size_bytes, NULL);
	return n;
}

int local_extend_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n = local_root_open(backend, &r, e);

	(void)ret;
	return n < 0 ? n : resize(&r, call, e);
}

static int shrink_measured(void *backend, void *data, const struct driver_call *call, const json_t *output,
			   const struct error *failure, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int64_t used = jsonx_int(output, "used_bytes");
	char has[32], asked[32];
	int n;

	(void)data, (void)ret;
	if ((n = local_root_open(backend, &r, e)) < 0)
		return n;
	if (failure)
		return local_work_failed(failure, e);
	if ((uint64_t)used > call->new_size_bytes)
		return error_set(e, ERR_DATA_LOSS, EFBIG,
				 "share %s uses %s (%" PRId64 " bytes), which does not fit into %s (%" PRIu64
				 " bytes): remove files first",
				 call->share->name, text_format_size((uint64_t)used, has), used,
				 text_format_size(call->new_size_bytes, asked), call->new_size_bytes);
	return resize(&r, call, e);
}

int local_shrink_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	if ((n = local_root_open(backend, &r, e)) < 0 || (n = local_share_find(&r, call->share, &o, e)) < 0)
		return n;
	return r.b->storage->measure(&r, &o, call, shrink_measured, ret, e);
}
