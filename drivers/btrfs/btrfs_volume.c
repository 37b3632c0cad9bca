#include "drivers/btrfs/btrfs_volume.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The first and the longest time until a commit is asked for again. */
enum { ASK_AGAIN_NS = 20000000, ASK_AGAIN_MOST_NS = 1000000000 };

/* libbtrfsutil says which step failed; errno says why. */
static int failed(enum btrfs_util_error step, struct error *e, const char *doing, const char *what)
{
	int err = errno ? errno : EIO;

	if (step == BTRFS_UTIL_ERROR_NOT_BTRFS || step == BTRFS_UTIL_ERROR_NOT_SUBVOLUME)
		return error_set(e, ERR_INVALID_STATE, EINVAL, "cannot %s %s: it is not a btrfs subvolume", doing,
				 what);
	return error_errno(e, err, "cannot %s %s", doing, what);
}

bool btrfs_volume_is(int fd)
{
	return btrfs_util_is_subvolume_fd(fd) == BTRFS_UTIL_OK;
}

int btrfs_volume_id(int fd, const char *what, uint64_t *ret, struct error *e)
{
	enum btrfs_util_error r = btrfs_util_subvolume_id_fd(fd, ret);

	return r ? failed(r, e, "find the subvolume of", what) : 0;
}

bool btrfs_volume_is_read_only(int fd)
{
	bool read_only = false;

	return btrfs_util_get_subvolume_read_only_fd(fd, &read_only) == BTRFS_UTIL_OK && read_only;
}

int btrfs_volume_set_read_only(int fd, bool read_only, const char *what, struct error *e)
{
	enum btrfs_util_error r;

	crash_step("btrfs: make a subvolume read-only or writable");
	r = btrfs_util_set_subvolume_read_only_fd(fd, read_only);
	if (r)
		return failed(r, e, read_only ? "make read-only" : "make writable", what);
	crash_step("btrfs: made a subvolume read-only or writable");
	return 0;
}

int btrfs_volume_look(int fd, const char *what, struct btrfs_volume_info *ret, struct error *e)
{
	struct btrfs_util_subvolume_info info;
	enum btrfs_util_error r = btrfs_util_subvolume_info_fd(fd, 0, &info);

	if (r)
		return failed(r, e, "look at the subvolume of", what);
	memcpy(ret->uuid, info.uuid, sizeof ret->uuid);
	memcpy(ret->parent, info.parent_uuid, sizeof ret->parent);
	memcpy(ret->received, info.received_uuid, sizeof ret->received);
	/* The generation also grows when a snapshot is made of it. */
	ret->changed = info.ctransid;
	ret->made = info.otransid;
	ret->read_only = btrfs_volume_is_read_only(fd);
	return 0;
}

bool btrfs_volume_same_file_system(int a, int b)
{
	struct btrfs_ioctl_fs_info_args of_a = { 0 }, of_b = { 0 };

	return ioctl(a, BTRFS_IOC_FS_INFO, &of_a) == 0 && ioctl(b, BTRFS_IOC_FS_INFO, &of_b) == 0 &&
	       memcmp(of_a.fsid, of_b.fsid, sizeof of_a.fsid) == 0;
}

int btrfs_volume_create(int dirfd, const char *name, struct error *e)
{
	enum btrfs_util_error r = btrfs_util_create_subvolume_fd(dirfd, name, 0, NULL, NULL);

	return r ? failed(r, e, "make the subvolume of", "a new share") : 0;
}

int btrfs_volume_snapshot(int fd, int dirfd, const char *name, bool read_only, const char *what, struct error *e)
{
	enum btrfs_util_error r;

	crash_step("btrfs: make a snapshot");
	r = btrfs_util_create_snapshot_fd2(fd, dirfd, name, read_only ? BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY : 0, NULL,
					   NULL);
	if (r)
		return failed(r, e, "make a snapshot of", what);
	crash_step("btrfs: made a snapshot");
	return 0;
}

/* ---- what lies in it ---- */

/* Calls `f` for each, those inside others first. A path is NULL where somebody removed what leads to it. */
static int each_nested(int fd, uint64_t top, const char *what,
		       int (*f)(int fd, uint64_t id, const char *path, void *ctx), void *ctx, struct error *e)
{
	struct btrfs_util_subvolume_iterator *it;
	enum btrfs_util_error r =
		btrfs_util_create_subvolume_iterator_fd(fd, top, BTRFS_UTIL_SUBVOLUME_ITERATOR_POST_ORDER, &it);
	uint64_t id;
	char *path;
	int n = 0;

	if (r)
		return failed(r, e, "list the subvolumes in", what);
	while (n == 0 && !(r = btrfs_util_subvolume_iterator_next(it, &path, &id))) {
		n = f(fd, id, path, ctx);
		free(path);
	}
	if (n == 0 && r != BTRFS_UTIL_ERROR_STOP_ITERATION)
		n = failed(r, e, "list the subvolumes in", what);
	btrfs_util_destroy_subvolume_iterator(it);
	return n;
}

static int collect(int fd, uint64_t id, const char *path, void *ctx)
{
	(void)fd;
	json_array_append_new(ctx, jsonx_pack("{s:I,s:o}", "id", (json_int_t)id, "path", jsonx_string(path)));
	return 0;
}

int btrfs_volume_nested(int fd, const char *what, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *found = json_array();
	uint64_t top;
	int n = btrfs_volume_id(fd, what, &top, e);

	if (n < 0 || (n = each_nested(fd, top, what, collect, found, e)) < 0)
		return n;
	*ret = take_ptr(found);
	return 0;
}

int btrfs_volume_path(int fd, const char *what, char **ret, struct error *e)
{
	enum btrfs_util_error r = btrfs_util_subvolume_path_fd(fd, 0, ret);

	return r ? failed(r, e, "find the place of", what) : 0;
}

/* ---- removing ---- */

static int remove_id(int fd, uint64_t id, const char *path, void *ctx)
{
	(void)path, (void)ctx;
	crash_step("btrfs: remove a subvolume");
	if (btrfs_util_delete_subvolume_by_id_fd(fd, id) && errno != ENOENT)
		return -errno;
	crash_step("btrfs: removed a subvolume");
	return 0;
}

/* Who still stands in it may make new ones inside as fast as we remove them. */
enum { ROUNDS = 100 };

int btrfs_volume_remove(int fd, const char *what, struct error *e)
{
	uint64_t top;
	int n = btrfs_volume_id(fd, what, &top, e);

	if (n < 0)
		return n;
	for (int round = 0; round < ROUNDS; round++) {
		n = each_nested(fd, top, what, remove_id, NULL, e);
		if (n == 0)
			n = remove_id(fd, top, NULL, NULL);
		if (n != -ENOTEMPTY)
			break;
	}
	return n < 0 ? error_errno(e, -n, "cannot remove the subvolume of %s", what) : 0;
}

/* ---- commit ---- */

/* The kernel's own thread commits what start_sync asks for. Where it is just about to fall asleep it does not hear
 * that, and would only commit when its interval is over, after 30 s. So it is asked again until it is done, at growing
 * intervals; by a thread of its own each time, since who asks has to wait until the commit has begun, and might wait
 * for the next one when this is over. */
enum { MOST_ASKERS = 16 };

struct asking {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	int fd;
};

static void *ask(void *data)
{
	int *fd = data;

	(void)btrfs_util_start_sync_fd(*fd, NULL);
	close(*fd);
	free(fd);
	return NULL;
}

static bool start_asker(const struct asking *a)
{
	pthread_t thread;
	int *fd = xmalloc(sizeof *fd);

	*fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
	if (*fd >= 0 && pthread_create(&thread, NULL, ask, fd) == 0) {
		pthread_detach(thread);
		return true;
	}
	if (*fd >= 0)
		close(*fd);
	free(fd);
	return false;
}

/* Until it is done or the time is over: is it done? With the lock held. */
static bool wait_done(struct asking *a, int64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!a->done && pthread_cond_clockwait(&a->changed, &a->lock, CLOCK_MONOTONIC, &until) == 0)
		continue;
	return a->done;
}

static void *ask_again(void *data)
{
	struct asking *a = data;
	int64_t ns = ASK_AGAIN_NS;

	pthread_mutex_lock(&a->lock);
	for (int n = 0; n < MOST_ASKERS && !wait_done(a, ns) && start_asker(a); n++)
		ns = ns * 2 < ASK_AGAIN_MOST_NS ? ns * 2 : ASK_AGAIN_MOST_NS;
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static int commit(int fd)
{
	uint64_t transaction;

	if (btrfs_util_start_sync_fd(fd, &transaction) || btrfs_util_wait_sync_fd(fd, transaction))
		return errno ? -errno : -EIO;
	return 0;
}

int btrfs_volume_commit(int fd)
{
	struct asking a = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .fd = fd };
	pthread_t thread;
	bool asks;
	int r;

	crash_step("btrfs: commit");
	asks = pthread_create(&thread, NULL, ask_again, &a) == 0;
	r = commit(fd);
	if (asks) {
		pthread_mutex_lock(&a.lock);
		a.done = true;
		pthread_cond_signal(&a.changed);
		pthread_mutex_unlock(&a.lock);
		pthread_join(thread, NULL);
	}
	return r;
}

bool btrfs_volume_is_wholly_mounted(int root)
{
	_cleanup_close_ int fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statx here, above;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &here) < 0)
		return false;
	for (;;) {
		int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (up < 0 || statx(up, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &above) < 0) {
			cleanup_close(&up);
			return false;
		}
		close(fd);
		fd = up;
		if (above.stx_mnt_id != here.stx_mnt_id || (above.stx_ino == here.stx_ino))
			return here.stx_ino == BTRFS_FIRST_FREE_OBJECTID;
		here = above;
	}
}

int btrfs_volume_remove_at(int dirfd, const char *name, struct error *e)
{
	_cleanup_close_ int fd = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? error_errno(e, -fd, "cannot open %s", name) : btrfs_volume_remove(fd, name, e);
}

/* The data lie in memory yet. To make a snapshot writes those of its source, and nobody else's. */
int btrfs_volume_flush_received(int dirfd, const char *name, struct error *e)
{
	_cleanup_close_ int fd = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_free_ char *copy = xasprintf("%s.flush", name);
	int r = btrfs_volume_remove_at(dirfd, copy, NULL);

	if (fd < 0)
		return error_errno(e, -fd, "btrfs receive made no %s", name);
	if (r < 0 && r != -ENOENT)
		return error_errno(e, -r, "cannot remove %s", copy);
	if ((r = btrfs_volume_snapshot(fd, dirfd, copy, true, name, e)) < 0 ||
	    (r = btrfs_volume_remove_at(dirfd, copy, e)) < 0)
		return r;
	r = btrfs_volume_commit(dirfd);
	return r < 0 ? error_errno(e, -r, "cannot flush %s", name) : 0;
}
