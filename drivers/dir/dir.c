/* The `dir` driver: shares are directories below a root, on any file system with POSIX ACLs. Needs nothing, not even
 * root's rights. Nothing holds a share to its size. The layout stands in local_root.h. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/dir/dir_replica.h"
#include "drivers/local/local.h"
#include "drivers/local/local_work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* ---- the storage ---- */

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

static int check(struct local_backend *b, int probe, struct error *e)
{
	(void)e;
	b->reflink = probe_reflink(probe);
	(void)unlinkat(probe, "from", 0);
	(void)unlinkat(probe, "to", 0);
	return 0;
}

static int make(int dirfd, struct error *e)
{
	return mkdirat(dirfd, "data", 0700) < 0 ? error_errno(e, errno, "cannot make the root of a share") : 0;
}

/* It must be possible to rename it into the trash, and to exchange it. */
static int may_adopt(const struct local_root *r, const char *kind, int fd, const char *location, struct error *e)
{
	struct stat st, root;

	(void)kind;
	if (fstat(fd, &st) < 0 || fstat(r->fd, &root) < 0)
		return error_errno(e, errno, "cannot look at %s in %s", location, r->b->root);
	if (st.st_dev == root.st_dev)
		return 0;
	return error_param(e, "provider_location",
			   "%s lies on another file system or subvolume than the root %s: make it a backend of its own",
			   location, r->b->root);
}

static const struct local_storage storage = {
	.driver = "dir",
	.check = check,
	.make = make,
	.copy = local_work_copy,
	.measure = local_work_measure,
	.may_adopt = may_adopt,
	.purge = local_work_purge,
	.replication = &dir_replication,
};

/* ---- the driver ---- */

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	struct local_backend *b = xcalloc(1, sizeof *b);
	int r = local_init(b, &storage, setup, e);

	if (r < 0)
		free(b);
	else
		*ret_backend = b;
	return r;
}

static void destroy(void *backend)
{
	if (backend)
		local_clear(backend);
	free(backend);
}

static const struct option options[] = {
	LOCAL_OPTION_ROOT(
		"The directory that holds the shares; it must exist, and be on a file system with POSIX ACLs."),
	{ .name = NULL },
};

extern const struct share_driver_ops dir_driver;
const struct share_driver_ops dir_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "dir",
	.summary = "directories on a local file system; snapshots by shared blocks where it can, else by copy",
	.options = options,
	.revert_is_long = true,
	.create = create,
	.destroy = destroy,
	LOCAL_SLOTS,
	LOCAL_REPLICA_SLOTS,
};
