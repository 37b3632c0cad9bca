#include "drivers/local/local_root.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MARK "backend"

enum { MARK_MAX = 64 << 10, MARK_DEPTH = 4 };

/* ---- paths ---- */

char *local_root_path(const struct local_backend *b, const char *location)
{
	return xasprintf("%s/%s", strcmp(b->root, "/") == 0 ? "" : b->root, location);
}

json_t *local_root_export(const struct local_backend *b, const char *location)
{
	_cleanup_free_ char *path = local_root_path(b, location);

	return jsonx_pack("[{s:o,s:b,s:b,s:{}}]", "path", jsonx_string(path), "preferred", 1, "is_admin_only", 0,
			  "metadata");
}

/* Above all numbers of inodes. */
static const uint64_t of_subvolume = 1ull << 62;

int local_identify(int dirfd, const char *name, uint64_t *ret)
{
	struct btrfs_ioctl_ino_lookup_args args = { .objectid = BTRFS_FIRST_FREE_OBJECTID };
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_ino == BTRFS_FIRST_FREE_OBJECTID)
		fd = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && ioctl(fd, BTRFS_IOC_INO_LOOKUP, &args) == 0)
		*ret = of_subvolume | args.treeid;
	else
		*ret = st.st_ino;
	return 0;
}

int local_order(const struct local_backend *b, int fd, const char *what, struct error *e)
{
	int r = b->storage->commit ? 0 : path_fsync(fd);

	return r < 0 ? error_errno(e, -r, "cannot flush %s", what) : 0;
}

int local_flush(const struct local_backend *b, int fd, const char *what, struct error *e)
{
	int r = b->storage->commit ? b->storage->commit(fd) : path_fsync(fd);

	return r < 0 ? error_errno(e, -r, "cannot flush %s", what) : 0;
}

DIR *local_list(int dirfd)
{
	int fd = path_open(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *d;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

bool local_is_empty(int dirfd)
{
	_cleanup_closedir_ DIR *d = local_list(dirfd);
	const struct dirent *entry;

	if (!d)
		return false;
	while (errno = 0, (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return false;
	return errno == 0;
}

/* ---- whose root is it ---- */

static int down(const struct local_backend *b, int err, struct error *e, const char *what)
{
	return error_set(e, ERR_BACKEND_DOWN, err, "root %s of backend \"%s\" %s", b->root, b->name, what);
}

/* The private directory; -ENOENT without a word in `e` when there is none. */
static int open_meta(const struct local_backend *b, int rootfd, struct error *e)
{
	_cleanup_close_ int fd = path_open(rootfd, LOCAL_META, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(e, ERR_BACKEND_DOWN, fd < 0 ? -fd : errno,
				 "%s/" LOCAL_META " of backend \"%s\" cannot be opened: %s", b->root, b->name,
				 strerror(fd < 0 ? -fd : errno));
	/* Whoever may write there could forge marks. */
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(e, ERR_BACKEND_DOWN, EPERM,
				 "%s/" LOCAL_META
				 " of backend \"%s\" must belong to user %u and be writable by nobody else: "
				 "chown and chmod 0700 it if this root is really this backend's",
				 b->root, b->name, (unsigned)geteuid());
	return take_fd(fd);
}

/* The root's mark; -ENOENT without a word in `e` when there is none. */
static int read_mark(const struct local_backend *b, int meta, json_t **ret, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	_cleanup_json_ json_t *mark = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = path_read_file(meta, MARK, MARK_MAX, &text, &len);

	if (r == -ENOENT)
		return -ENOENT;
	if (r < 0)
		return error_set(e, ERR_BACKEND_DOWN, -r, "%s/" LOCAL_META "/" MARK " cannot be read: %s", b->root,
				 strerror(-r));
	if (jsonx_parse(text, len, MARK_DEPTH, &mark, &why) < 0 || !jsonx_str(mark, "backend_id"))
		return error_set(e, ERR_BACKEND_DOWN, EUCLEAN,
				 "%s/" LOCAL_META "/" MARK
				 " is damaged: put back {\"version\":1,\"backend_id\":\"..\"} with this "
				 "backend's id (%s) if this root is really backend \"%s\"",
				 b->root, b->id, b->name);
	*ret = take_ptr(mark);
	return 0;
}

static int check_mark(const struct local_backend *b, const json_t *mark, struct error *e)
{
	const char *name = jsonx_str(mark, "name");

	if (strcmp(jsonx_str(mark, "backend_id"), b->id) == 0)
		return 0;
	return error_set(e, ERR_BACKEND_DOWN, EEXIST,
			 "root %s of backend \"%s\" belongs to another backend, \"%s\" (%s): mount the right disk "
			 "there, or give "
			 "each backend a root of its own",
			 b->root, b->name, name ? name : "?", jsonx_str(mark, "backend_id"));
}

static int open_root(const struct local_backend *b, struct error *e)
{
	int fd = path_open_root(b->root);

	if (fd == -ENOENT)
		return down(b, ENOENT, e,
			    "is not there: mount its disk, make the directory, or correct the option `root`");
	if (fd == -ENOTDIR)
		return down(b, ENOTDIR, e, "is not a directory: correct the option `root`");
	if (fd < 0)
		return error_set(e, ERR_BACKEND_DOWN, -fd, "root %s of backend \"%s\" cannot be opened: %s", b->root,
				 b->name, strerror(-fd));
	return fd;
}

static const struct subdir {
	const char *name;
	size_t offset;
} subdirs[] = {
	{ "staging", offsetof(struct local_root, staging) },     { "trash", offsetof(struct local_root, trash) },
	{ "snapshots", offsetof(struct local_root, snapshots) }, { "objects", offsetof(struct local_root, objects) },
	{ "replicas", offsetof(struct local_root, replicas) },
};
enum { SUBDIR_COUNT = sizeof subdirs / sizeof *subdirs };

static int *subdir_fd(struct local_root *r, size_t i)
{
	return (int *)((char *)r + subdirs[i].offset);
}

void local_root_close(struct local_root *r)
{
	for (size_t i = 0; i < SUBDIR_COUNT; i++)
		cleanup_close(subdir_fd(r, i));
	cleanup_close(&r->meta);
	cleanup_close(&r->fd);
	*r = LOCAL_ROOT_INIT;
}

static int open_marked(const struct local_backend *b, struct local_root *r, json_t **ret_mark, struct error *e)
{
	int n;

	r->b = b;
	if ((r->fd = open_root(b, e)) < 0)
		return r->fd;
	n = r->meta = open_meta(b, r->fd, e);
	if (n >= 0)
		n = read_mark(b, r->meta, ret_mark, e);
	if (n == -ENOENT)
		return down(b, ENOENT, e,
			    "does not carry this backend's mark (" LOCAL_META "/" MARK "): is its disk mounted?");
	return n;
}

int local_root_read_mark(const struct local_backend *b, json_t **ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;

	return open_marked(b, &r, ret, e);
}

static int open_subdirs(struct local_root *r, struct error *e)
{
	for (size_t i = 0; i < SUBDIR_COUNT; i++) {
		int fd = path_open(r->meta, subdirs[i].name, O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0)
			return error_set(e, ERR_BACKEND_DOWN, -fd,
					 "%s/" LOCAL_META "/%s of backend \"%s\" cannot be opened: %s", r->b->root,
					 subdirs[i].name, r->b->name, strerror(-fd));
		*subdir_fd(r, i) = fd;
	}
	return 0;
}

/* Before a call has changed anything: where it could not end, it does not begin. */
static int check_writable(const struct local_backend *b, int fd, struct error *e)
{
	struct statvfs vfs;

	if (fstatvfs(fd, &vfs) < 0)
		return error_set(e, ERR_BACKEND_DOWN, errno, "root %s of backend \"%s\" cannot be looked at: %s",
				 b->root, b->name, strerror(errno));
	if (!(vfs.f_flag & ST_RDONLY))
		return 0;
	return down(b, EROFS, e,
		    "is mounted read-only: mount it for writing, or, under systemd, name it in ReadWritePaths= of the "
		    "unit (see sharesd(8))");
}

int local_root_open(const struct local_backend *b, struct local_root *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_json_ json_t *mark = NULL;
	int n;

	if ((n = open_marked(b, &r, &mark, e)) < 0 || (n = check_mark(b, mark, e)) < 0 ||
	    (n = open_subdirs(&r, e)) < 0 || (n = check_writable(b, r.fd, e)) < 0)
		return n;
	*ret = r;
	r = LOCAL_ROOT_INIT;
	return 0;
}

/* ---- making the root ours ---- */

static int make_private(const struct local_backend *b, int dirfd, const char *name, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	crash_step("local: make a private directory");
	if (mkdirat(dirfd, name, 0700) < 0)
		return errno == EEXIST ? 0 : error_errno(e, errno, "cannot make the directory %s", name);
	fd = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	/* A default ACL of the root would be inherited all the way down into the gates. */
	r = fd < 0 ? fd : local_acl_shut(fd);
	if (r < 0)
		return error_errno(e, -r, "cannot make the directory %s private", name);
	crash_step("local: made a private directory");
	if ((r = local_order(b, fd, name, e)) < 0)
		return r;
	return local_flush(b, dirfd, "the directory above", e);
}

static int write_mark(const struct local_backend *b, int meta, struct error *e)
{
	_cleanup_json_ json_t *mark = jsonx_pack("{s:i,s:s,s:s,s:s}", "version", 1, "backend_id", b->id, "name",
						 b->name, "driver", b->storage->driver);
	_cleanup_free_ char *text = jsonx_dump(mark);
	int r;

	crash_step("local: mark the root");
	r = path_write_file(meta, MARK, text, strlen(text), 0600);
	if (r < 0)
		return error_errno(e, -r, "cannot write %s/" LOCAL_META "/" MARK, b->root);
	crash_step("local: marked the root");
	return 0;
}

/* Without a mark nobody knows whose these are. */
static int refuse_remains(const struct local_backend *b, int meta, struct error *e)
{
	static const char *const kept[] = { "snapshots", "objects", "replicas" };

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		_cleanup_close_ int fd = path_open(meta, kept[i], O_RDONLY | O_DIRECTORY, 0);

		if (fd == -ENOENT)
			continue;
		if (fd < 0 || !local_is_empty(fd))
			return error_set(
				e, ERR_BACKEND_DOWN, ENOTEMPTY,
				"%s/" LOCAL_META
				"/%s holds what another backend left, but there is no mark that says whose it is: "
				"move %s/" LOCAL_META " away if it is not needed",
				b->root, kept[i], b->root);
	}
	return 0;
}

int local_root_make(const struct local_backend *b, bool may_mark, struct error *e)
{
	_cleanup_close_ int root = open_root(b, e);
	_cleanup_close_ int meta = -1;
	_cleanup_json_ json_t *mark = NULL;
	int r;

	if (root < 0)
		return root;
	if (b->storage->fits && (r = b->storage->fits(b, root, e)) < 0)
		return r;
	r = meta = open_meta(b, root, e);
	if (r >= 0)
		r = read_mark(b, meta, &mark, e);
	if (r == -ENOENT && !may_mark)
		return down(b, ENOENT, e,
			    "does not carry this backend's mark (" LOCAL_META "/" MARK
			    "), and there are shares on it: is its disk mounted?");
	if (r < 0 && r != -ENOENT)
		return r;
	if (mark && (r = check_mark(b, mark, e)) < 0)
		return r;
	if (meta < 0) {
		if ((r = check_writable(b, root, e)) < 0 || (r = make_private(b, root, LOCAL_META, e)) < 0 ||
		    (r = meta = open_meta(b, root, e)) < 0)
			return r;
	} else if (!mark && (r = refuse_remains(b, meta, e)) < 0) {
		return r;
	}
	for (size_t i = 0; i < SUBDIR_COUNT; i++)
		if ((r = make_private(b, meta, subdirs[i].name, e)) < 0)
			return r;
	return mark ? 0 : write_mark(b, meta, e);
}
