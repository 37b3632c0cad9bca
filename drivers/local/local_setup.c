#include "drivers/local/local_setup.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_manage.h"
#include "drivers/local/local_storage.h"
#include "drivers/local/local_trash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int local_do_setup(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	int n;

	if ((n = local_root_make(backend, call->root_is_empty, e)) < 0 || (n = local_root_open(backend, &r, e)) < 0 ||
	    (n = local_manage_undo_left(&r, e)) < 0 || (n = local_staging_discard_left(&r, e)) < 0)
		return n;
	r.b->storage->purge(&r, ret);
	return 0;
}

/* ---- what the file system can ---- */

#define PROBE "probe"

static int unfit(const struct local_backend *b, int err, const char *what, struct error *e)
{
	return error_set(e, ERR_BACKEND_DOWN, err, "root %s of backend \"%s\" %s: %s", b->root, b->name, what,
			 strerror(err));
}

static int check_writable(const struct local_root *r, struct error *e)
{
	if (faccessat(r->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return unfit(r->b, errno, "cannot be written by the daemon's user; chown it, or run the daemon as root",
			     e);
	return 0;
}

/* Rules are ACLs: where they are silently not kept, nobody would get in, or everybody. */
static int probe_acl(const struct local_root *r, int fd, struct error *e)
{
	static const struct local_acl_user user = { .uid = 4242, .perms = LOCAL_ACL_SEARCH };
	_cleanup_free_ char *text = NULL;
	unsigned perms = 0;
	int n = local_acl_set(fd, &user, 1);

	if (n == 0)
		n = local_acl_text(fd, &text);
	if (n == 0)
		n = local_acl_perms(text, 0, 0, user.uid, NULL, 0, &perms);
	if (n == 0 && perms != LOCAL_ACL_SEARCH)
		n = -EOPNOTSUPP;
	if (n < 0)
		return unfit(r->b, -n,
			     "is on a file system without POSIX ACLs, so that no access rule could be in force; mount "
			     "it with "
			     "the option acl, or use another file system",
			     e);
	return 0;
}

static int probe_rename(const struct local_root *r, int fd, struct error *e)
{
	if (mkdirat(fd, "a", 0700) < 0 || mkdirat(fd, "b", 0700) < 0)
		return unfit(r->b, errno, "takes no new directories", e);
	if (renameat2(fd, "a", fd, "b", RENAME_EXCHANGE) < 0 || renameat2(fd, "a", fd, "c", RENAME_NOREPLACE) < 0)
		return unfit(
			r->b, errno,
			"is on a file system that cannot exchange directories in one step; use another file system", e);
	return 0;
}

static void probe_clear(int fd)
{
	static const char *const dirs[] = { "a", "b", "c" };

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		(void)unlinkat(fd, dirs[i], AT_REMOVEDIR);
}

int local_check_for_setup_error(void *backend, const struct driver_call *call, struct driver_result *ret,
				struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_close_ int fd = -1;
	struct local_backend *b = backend;
	int n;

	(void)call, (void)ret;
	if ((n = local_root_open(backend, &r, e)) < 0 || (n = check_writable(&r, e)) < 0)
		return n;
	n = local_staging_make(&r, PROBE, &fd, e);
	if (n < 0)
		return unfit(b, -n, "takes no new directories", e);
	if ((n = probe_rename(&r, fd, e)) == 0 && (n = probe_acl(&r, fd, e)) == 0)
		n = b->storage->check(b, fd, e);
	probe_clear(fd);
	(void)local_staging_discard(&r, PROBE, NULL);
	return n;
}

/* ---- whether it is still there ---- */

/* Is this about what is left on the file system, or of the daemon's own means, rather than about the disk? */
static bool is_shortage(int err)
{
	return err == ENOSPC || err == EDQUOT || err == EMFILE || err == ENFILE || err == ENOMEM;
}

int local_check_backend(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_close_ int fd = -1;
	int n = local_root_open(backend, &r, e);

	(void)call, (void)ret;
	if (n < 0)
		return n;
	n = local_staging_make(&r, PROBE, &fd, NULL);
	if (n == 0)
		n = local_flush(r.b, fd, "the staging directory", NULL);
	if (n == 0)
		n = local_staging_discard(&r, PROBE, NULL);
	if (n == 0 || is_shortage(-n))
		return 0;
	return unfit(r.b, -n, "takes no changes any more; look at its disk and at the kernel's log", e);
}
