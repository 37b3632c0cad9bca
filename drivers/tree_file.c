#include "drivers/tree_file.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

enum { CHUNK = 8 << 20, BUFFER = 256 << 10 };

/* ---- data ---- */

static bool clone_data(struct tree_data *d, int in, int out)
{
	if (d->no_clone)
		return false;
	if (ioctl(out, FICLONE, in) == 0)
		return true;
	/* Other refusals are about this one file (no copy on write, a swap file). */
	d->no_clone = errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS;
	return false;
}

static void carried(struct tree_data *d, ssize_t n)
{
	d->bytes += (uint64_t)n;
	if (d->tick)
		d->tick(d->ctx);
}

static int write_all(int out, const char *buf, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t w = pwrite(out, buf, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		buf += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

static int copy_plain(struct tree_data *d, int in, int out, off_t at, off_t end)
{
	_cleanup_free_ char *buf = xmalloc(BUFFER);

	while (at < end) {
		size_t want = end - at < BUFFER ? (size_t)(end - at) : BUFFER;
		ssize_t n = pread(in, buf, want, at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if ((r = write_all(out, buf, (size_t)n, at)) < 0)
			return r;
		at += n;
		carried(d, n);
	}
	return 0;
}

static int copy_range(struct tree_data *d, int in, int out, off_t at, off_t end)
{
	while (at < end) {
		off_t from = at, to = at;
		size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		ssize_t n = copy_file_range(in, &from, out, &to, want, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return -errno;
		/* The end of a file that became shorter, or a file system that cannot do this. */
		if (n <= 0)
			return copy_plain(d, in, out, at, end);
		at += n;
		carried(d, n);
	}
	return 0;
}

static int copy_extents(struct tree_data *d, int in, int out, off_t size)
{
	off_t at = 0;
	int r;

	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at;
		hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		if ((r = copy_range(d, in, out, data, hole)) < 0)
			return r;
		at = hole;
	}
	return 0;
}

int tree_copy_data(struct tree_data *d, int in, int out, const struct stat *st)
{
	struct stat now;
	int r;

	if (st->st_size == 0)
		return 0;
	if (clone_data(d, in, out)) {
		d->cloned++;
		carried(d, (ssize_t)st->st_blocks * 512);
		return 0;
	}
	d->copied++;
	if ((r = copy_extents(d, in, out, st->st_size)) < 0)
		return r;
	if (fstat(in, &now) < 0)
		return -errno;
	return ftruncate(out, now.st_size < st->st_size ? now.st_size : st->st_size) < 0 ? -errno : 0;
}

/* ---- what else belongs to a file ---- */

static void self_path(int fd, char ret[32])
{
	snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

static bool is_acl(const char *name)
{
	return text_starts_with(name, "system.posix_acl_");
}

/* What is a user's own must come over; what belongs to the system comes where the system lets us. */
static bool may_stay_behind(const char *name, int err)
{
	if (text_starts_with(name, "user.") || is_acl(name))
		return false;
	return err != ENOSPC && err != EDQUOT && err != EIO;
}

static int copy_xattr(const char *from, const char *to, const char *name)
{
	_cleanup_free_ char *value = xmalloc(XATTR_SIZE_MAX);
	ssize_t n = getxattr(from, name, value, XATTR_SIZE_MAX);

	if (n < 0)
		return errno == ENODATA || may_stay_behind(name, errno) ? 0 : -errno;
	if (setxattr(to, name, value, (size_t)n, 0) < 0 && !may_stay_behind(name, errno))
		return -errno;
	return 0;
}

/* ACLs last: they may take from an unprivileged owner the right to set the others. */
static int copy_xattrs(int from_fd, int to_fd, char **ret_what)
{
	char from[32], to[32], names[XATTR_LIST_MAX];
	ssize_t n;

	self_path(from_fd, from);
	self_path(to_fd, to);
	n = listxattr(from, names, sizeof names);
	if (n < 0 && errno != EOPNOTSUPP) {
		*ret_what = xstrdup("extended attributes");
		return -errno;
	}
	for (int acls = 0; acls < 2; acls++)
		for (const char *name = names; name < names + n; name += strlen(name) + 1) {
			int r = is_acl(name) == acls ? copy_xattr(from, to, name) : 0;

			if (r < 0) {
				*ret_what = xasprintf("extended attribute %s", name);
				return r;
			}
		}
	return 0;
}

static int copy_owner(int to, const struct stat *st, char **ret_what)
{
	struct stat now;

	if (fstat(to, &now) < 0 ||
	    (now.st_uid != st->st_uid && fchownat(to, "", st->st_uid, (gid_t)-1, AT_EMPTY_PATH) < 0)) {
		*ret_what = xstrdup("owner");
		return -errno;
	}
	if (now.st_gid != st->st_gid && fchownat(to, "", (uid_t)-1, st->st_gid, AT_EMPTY_PATH) < 0) {
		*ret_what = xstrdup("group");
		return -errno;
	}
	return 0;
}

int tree_copy_attributes(int from, int to, const struct stat *st, char **ret_what)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	char self[32];
	int r;

	if ((r = copy_owner(to, st, ret_what)) < 0 || (r = copy_xattrs(from, to, ret_what)) < 0)
		return r;
	self_path(to, self);
	/* After the owner, whose change takes set-user-id away. */
	if (!S_ISLNK(st->st_mode) && chmod(self, st->st_mode & 07777) < 0) {
		*ret_what = xstrdup("mode");
		return -errno;
	}
	if (utimensat(to, "", times, AT_EMPTY_PATH) < 0) {
		*ret_what = xstrdup("times");
		return -errno;
	}
	return 0;
}
