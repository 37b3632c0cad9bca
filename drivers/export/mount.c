#include "drivers/export/mount.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "drivers/export/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* As many as the kernel follows in a path. */
#define MAX_LINKS 40
/* How long a server may hold what it does not export any more, seconds. */
#define BUSY_LIMIT 0.5

/* ---- the source ---- */

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static int open_one(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The rest of the way, with what the link at `fd` says before it. */
static int follow(int fd, const struct stat *st, const char *rest, char ret[PATH_MAX])
{
	char target[PATH_MAX], way[PATH_MAX];
	ssize_t n;

	if (!is_trusted(st->st_uid))
		return -ELOOP;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (snprintf(way, sizeof(way), "%s/%s", target, rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, way, sizeof(way));
	return 0;
}

int mount_open_source(const char *path)
{
	_cleanup_close_ int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char way[PATH_MAX], *rest = way;
	struct stat st;
	int links = 0, r;

	if (at < 0)
		return -errno;
	if (*path != '/' || snprintf(way, sizeof(way), "%s", path) >= PATH_MAX)
		return -EINVAL;
	for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
		_cleanup_close_ int next = -1;

		if (*name == '\0' || strcmp(name, ".") == 0)
			continue;
		next = open_one(at, name);
		if (next < 0)
			return next;
		if (fstat(next, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode)) {
			r = ++links > MAX_LINKS ? -ELOOP : follow(next, &st, rest ? rest : "", way);
			if (r < 0)
				return r;
			rest = way;
			if (*way != '/')
				continue;
			close(take_fd(next));
			next = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		close(at);
		at = take_fd(next);
	}
	if (fstat(at, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? take_fd(at) : -ENOTDIR;
}

/* ---- the place ---- */

/* What stands in a path of ours is one component of it. */
static int check_name(const char *name, struct error *e)
{
	if (*name == '\0' || strlen(name) > NAME_MAX || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return error_set(e, ERR_INTERNAL, EINVAL, "\"%s\" is no name for a place to mount at", name);
	return 0;
}

char *mount_place(const char *dir, const char *backend, const char *id)
{
	return xasprintf("%s/%s/%s", dir, backend, id);
}

/* Checks the names too: NULL with the error. Owned by the caller. */
static char *place_of(const char *dir, const char *backend, const char *id, struct error *e)
{
	if (check_name(backend, e) < 0 || check_name(id, e) < 0)
		return NULL;
	return mount_place(dir, backend, id);
}

/* -ENOENT: there is no such directory; 1: it is the root of a mount, whose directory is at `*ret`. */
static int look(const char *place, struct statx *ret)
{
	/* Nobody but us can put a link in there. */
	if (statx(AT_FDCWD, place, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO | STATX_TYPE, ret) < 0)
		return -errno;
	return (ret->stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* One that was removed is kept by the mount, so that no other has its number meanwhile. */
static bool is_same(const struct statx *mounted, const char *path)
{
	_cleanup_close_ int fd = path ? mount_open_source(path) : -1;
	struct statx now;

	return fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_INO, &now) == 0 && now.stx_ino == mounted->stx_ino &&
	       now.stx_dev_major == mounted->stx_dev_major && now.stx_dev_minor == mounted->stx_dev_minor;
}

int mount_look(const char *dir, const char *backend, const char *id, const char *path, enum mount_state *ret,
	       struct error *e)
{
	_cleanup_free_ char *place = place_of(dir, backend, id, e);
	struct statx st;
	int r;

	if (!place)
		return -EINVAL;
	r = look(place, &st);
	if (r < 0 && r != -ENOENT && r != -ENOTDIR) {
		/* The file system below it has failed: all that is known is that something is there. */
		*ret = MOUNT_OTHER;
		return 0;
	}
	if (r <= 0)
		*ret = MOUNT_NONE;
	else
		*ret = is_same(&st, path) ? MOUNT_CURRENT : MOUNT_OTHER;
	return 0;
}

bool mount_is_there(const char *place)
{
	struct statx st;

	return look(place, &st) > 0;
}

/* ---- mounting ---- */

static int attach(int source, const char *place)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE };
	_cleanup_close_ int tree = -1, target = -1;

	/* A copy of this one mount, whose root is the directory that is open: no path is walked again. Private, so that
	 * what is mounted below the directory later does not show up in it. */
	tree = open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	target = open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return -errno;
	crash_step("before the mount of an exported directory");
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	crash_step("after the mount of an exported directory");
	return 0;
}

int mount_bind(const char *dir, const char *backend, const char *id, const char *path, struct error *e)
{
	_cleanup_free_ char *place = place_of(dir, backend, id, e);
	_cleanup_close_ int source = -1;
	int r;

	if (!place)
		return -EINVAL;
	r = export_server_make_directory(place, e);
	if (r < 0)
		return r;
	source = mount_open_source(path);
	if (source == -ELOOP)
		return error_set(e, ERR_DRIVER_FAILED, ELOOP,
				 "%s is not exported, for a link on the way there belongs to a user", path);
	if (source < 0)
		return error_errno(e, -source, "cannot open %s to export it", path);
	r = attach(source, place);
	if (r == -EPERM)
		return error_set(e, ERR_BACKEND_DOWN, EPERM,
				 "cannot mount %s at %s: NFS exports need root, or CAP_SYS_ADMIN", path, place);
	return r < 0 ? error_errno(e, -r, "cannot mount %s at %s", path, place) : 0;
}

int mount_check_handles(const char *place)
{
	_cleanup_close_ int fd = open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), again = -1;
	_cleanup_free_ struct file_handle *handle = xcalloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
	int mount_id;

	handle->handle_bytes = MAX_HANDLE_SZ;
	if (fd < 0 || name_to_handle_at(fd, "", handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	again = open_by_handle_at(fd, handle, O_PATH | O_CLOEXEC);
	return again < 0 ? -errno : 0;
}

static int unmount(const char *place)
{
	double deadline = text_monotonic() + BUSY_LIMIT;

	while (umount2(place, UMOUNT_NOFOLLOW) < 0) {
		if (errno != EBUSY)
			return -errno;
		if (text_monotonic() > deadline)
			return umount2(place, UMOUNT_NOFOLLOW | MNT_DETACH) < 0 ? -errno : 0;
		poll(NULL, 0, 5);
	}
	return 0;
}

int mount_remove(const char *dir, const char *backend, const char *id, struct error *e)
{
	_cleanup_free_ char *place = place_of(dir, backend, id, e), *parent = xasprintf("%s/%s", dir, backend);
	int r;

	if (!place)
		return -EINVAL;
	crash_step("before an exported directory is unmounted");
	/* Until nothing is left: mounts may lie one above the other. */
	do
		r = unmount(place);
	while (r == 0);
	if (r != -EINVAL && r != -ENOENT)
		return error_errno(e, -r, "cannot unmount %s", place);
	crash_step("after an exported directory was unmounted");
	if (rmdir(place) < 0 && errno != ENOENT)
		return error_errno(e, errno, "cannot remove the directory %s", place);
	(void)rmdir(parent); /* the last one's */
	return 0;
}

/* ---- what there is ---- */

static int list_backend(DIR *above, const char *backend, json_t *all)
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = openat(dirfd(above), backend, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR || errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (const struct dirent *one = readdir(d); one; one = readdir(d))
		if (one->d_name[0] != '.')
			json_array_append_new(all, jsonx_pack("{s:s,s:s}", "backend", backend, "id", one->d_name));
	return 0;
}

int mount_list(const char *dir, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *all = json_array();
	_cleanup_closedir_ DIR *d = opendir(dir);
	int r = 0;

	if (!d && errno != ENOENT)
		return error_errno(e, errno, "cannot look into %s", dir);
	for (const struct dirent *one = d ? readdir(d) : NULL; one && r == 0; one = readdir(d))
		if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0)
			r = list_backend(d, one->d_name, all);
	if (r < 0)
		return error_errno(e, -r, "cannot look into %s", dir);
	*ret = take_ptr(all);
	return 0;
}
