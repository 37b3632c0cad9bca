#include "drivers/dir/dir_setup.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "drivers/dir/dir_acl.h"
#include "drivers/dir/dir_manage.h"
#include "drivers/dir/dir_trash.h"
#include "drivers/dir/dir_work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int dir_do_setup(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	int n;

	if ((n = dir_root_make(backend, call->root_is_empty, e)) < 0 || (n = dir_root_open(backend, &r, e)) < 0 ||
	    (n = dir_manage_undo_left(&r, e)) < 0 || (n = dir_staging_discard_left(&r, e)) < 0)
		return n;
	dir_work_purge(&r, ret);
	return 0;
}

/* ---- what the file system can ---- */

#define PROBE "probe"

static int unfit(const struct dir_backend *b, int err, const char *what, struct error *e)
{
	return error_set(e, ERR_BACKEND_DOWN, err, "root %s of backend \"%s\" %s: %s", b->root, b->name, what,
			 strerror(err));
}

static int check_writable(const struct dir_root *r, struct error *e)
{
	if (faccessat(r->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return unfit(r->b, errno, "cannot be written by the daemon's user; chown it, or run the daemon as root",
			     e);
	return 0;
}

/* Rules are ACLs: where they are silently not kept, nobody would get in, or everybody. */
static int probe_acl(const struct dir_root *r, int fd, struct error *e)
{
	static const struct dir_acl_user user = { .uid = 4242, .perms = DIR_ACL_SEARCH };
	_cleanup_free_ char *text = NULL;
	unsigned perms = 0;
	int n = dir_acl_set(fd, &user, 1);

	if (n == 0)
		n = dir_acl_text(fd, &text);
	if (n == 0)
		n = dir_acl_perms(text, 0, 0, user.uid, NULL, 0, &perms);
	if (n == 0 && perms != DIR_ACL_SEARCH)
		n = -EOPNOTSUPP;
	if (n < 0)
		return unfit(r->b, -n,
			     "is on a file system without POSIX ACLs, so that no access rule could be in force; mount "
			     "it with "
			     "the option acl, or use another file system",
			     e);
	return 0;
}

static int probe_rename(const struct dir_root *r, int fd, struct error *e)
{
	if (mkdirat(fd, "a", 0700) < 0 || mkdirat(fd, "b", 0700) < 0)
		return unfit(r->b, errno, "takes no new directories", e);
	if (renameat2(fd, "a", fd, "b", RENAME_EXCHANGE) < 0 || renameat2(fd, "a", fd, "c", RENAME_NOREPLACE) < 0)
		return unfit(
			r->b, errno,
			"is on a file system that cannot exchange directories in one step; use another file system", e);
	return 0;
}

static int probe_file(int dirfd, const char *name, const char *data, size_t len)
{
	int fd = path_open(dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd >= 0 && len && write(fd, data, len) != (ssize_t)len) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static bool probe_reflink(int dirfd)
{
	char data[4096] = { 1 };
	_cleanup_close_ int from = probe_file(dirfd, "from", data, sizeof data);
	_cleanup_close_ int to = from < 0 ? -1 : probe_file(dirfd, "to", data, 0);

	return to >= 0 && ioctl(to, FICLONE, from) == 0;
}

static void probe_clear(int fd)
{
	static const char *const dirs[] = { "a", "b", "c" }, *const files[] = { "from", "to" };

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		(void)unlinkat(fd, dirs[i], AT_REMOVEDIR);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		(void)unlinkat(fd, files[i], 0);
}

int dir_check_for_setup_error(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_close_ int fd = -1;
	struct dir_backend *b = backend;
	int n;

	(void)call, (void)ret;
	if ((n = dir_root_open(backend, &r, e)) < 0 || (n = check_writable(&r, e)) < 0)
		return n;
	n = dir_staging_make(&r, PROBE, &fd, e);
	if (n < 0)
		return unfit(b, -n, "takes no new directories", e);
	if ((n = probe_rename(&r, fd, e)) == 0 && (n = probe_acl(&r, fd, e)) == 0)
		b->reflink = probe_reflink(fd);
	probe_clear(fd);
	(void)dir_staging_discard(&r, PROBE, NULL);
	return n;
}

/* ---- whether it is still there ---- */

/* Is this about what is left on the file system, or of the daemon's own means, rather than about the disk? */
static bool is_shortage(int err)
{
	return err == ENOSPC || err == EDQUOT || err == EMFILE || err == ENFILE || err == ENOMEM;
}

int dir_check_backend(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct dir_root r = DIR_ROOT_INIT;
	_cleanup_close_ int fd = -1;
	int n = dir_root_open(backend, &r, e);

	(void)call, (void)ret;
	if (n < 0)
		return n;
	n = dir_staging_make(&r, PROBE, &fd, NULL);
	if (n == 0)
		n = path_fsync(fd);
	if (n == 0)
		n = dir_staging_discard(&r, PROBE, NULL);
	if (n == 0 || is_shortage(-n))
		return 0;
	return unfit(r.b, -n, "takes no changes any more; look at its disk and at the kernel's log", e);
}
