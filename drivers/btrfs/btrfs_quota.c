#include "drivers/btrfs/btrfs_quota.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/btrfs/btrfs_volume.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { SYS_MAX = 4096, WAIT_ROUNDS = 100 };

/* ---- /sys/fs/btrfs/FSID/qgroups ---- */

/* The text of a file there, without its end of line. Owned by the caller. */
__attribute__((format(printf, 3, 4))) static int read_sys(int fd, char **ret, const char *fmt, ...)
{
	struct btrfs_ioctl_fs_info_args info = { 0 };
	const unsigned char *id = info.fsid;
	_cleanup_close_ int sys = -1;
	_cleanup_free_ char *dir = NULL;
	_cleanup_free_ char *file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	va_list ap;
	int r;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
		return -errno;
	dir = xasprintf("/sys/fs/btrfs/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x/qgroups",
			id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12],
			id[13], id[14], id[15]);
	va_start(ap, fmt);
	file = xvasprintf(fmt, ap);
	va_end(ap);
	sys = path_open_root(dir);
	r = sys < 0 ? sys : path_read_file(sys, file, SYS_MAX, &text, &len);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	*ret = take_ptr(text);
	return 0;
}

static int read_number(int fd, uint64_t id, const char *file, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char *end;
	int r = read_sys(fd, &text, "0_%" PRIu64 "/%s", id, file);

	if (r < 0)
		return r;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EIO : 0;
}

/* ---- on or off ---- */

int btrfs_quota_state(int fd, enum btrfs_quota *ret, struct error *e)
{
	_cleanup_free_ char *mode = NULL;
	_cleanup_free_ char *inconsistent = NULL;
	int r = read_sys(fd, &inconsistent, "inconsistent");

	if (r == -ENOENT) {
		*ret = BTRFS_QUOTA_IS_OFF;
		return 0;
	}
	if (r < 0)
		return error_errno(e, -r, "cannot read the state of btrfs quota in /sys/fs/btrfs");
	*ret = strcmp(inconsistent, "0") == 0 ? BTRFS_QUOTA_IS_ON : BTRFS_QUOTA_IS_COUNTING;
	/* Older kernels have but one mode, and no such file. */
	if (read_sys(fd, &mode, "mode") == 0 && strcmp(mode, "squota") == 0)
		*ret = BTRFS_QUOTA_IS_SIMPLE;
	return 0;
}

int btrfs_quota_enable(int fd, struct error *e)
{
	struct btrfs_ioctl_quota_ctl_args args = { .cmd = BTRFS_QUOTA_CTL_ENABLE };

	return ioctl(fd, BTRFS_IOC_QUOTA_CTL, &args) < 0 ? error_errno(e, errno, "cannot switch btrfs quota on") : 0;
}

int btrfs_quota_count(int fd, enum btrfs_quota *ret, struct error *e)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct btrfs_ioctl_quota_rescan_args args = { 0 };
	int r;

	if (ioctl(fd, BTRFS_IOC_QUOTA_RESCAN, &args) < 0 && errno != EINPROGRESS)
		return error_errno(e, errno, "cannot start a rescan of btrfs quota");
	for (int round = 0; round < WAIT_ROUNDS; round++) {
		if ((r = btrfs_quota_state(fd, ret, e)) < 0 || *ret != BTRFS_QUOTA_IS_COUNTING)
			return r;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* ---- limits ---- */

static int set_limit(int fd, uint64_t id, uint64_t bytes)
{
	struct btrfs_ioctl_qgroup_limit_args args = {
		.qgroupid = id, .lim = { .flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes ? bytes : UINT64_MAX }
	};

	return ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args) < 0 ? -errno : 0;
}

/* A subvolume that was made while quota was off has none. */
static int make_group(int fd, uint64_t id)
{
	struct btrfs_ioctl_qgroup_create_args args = { .create = 1, .qgroupid = id };

	return ioctl(fd, BTRFS_IOC_QGROUP_CREATE, &args) < 0 && errno != EEXIST ? -errno : 0;
}

int btrfs_quota_limit(int fd, uint64_t bytes, const char *what, struct error *e)
{
	uint64_t id;
	int r = btrfs_volume_id(fd, what, &id, e);

	if (r < 0)
		return r;
	r = set_limit(fd, id, bytes);
	if (r == -ENOENT && (r = make_group(fd, id)) == 0)
		r = set_limit(fd, id, bytes);
	if (r == -ENOTCONN || r == -EINVAL)
		return error_set(e, ERR_BACKEND_DOWN, -r,
				 "quota is off on the btrfs of %s, so that no size can be enforced: btrfs quota enable",
				 what);
	return r < 0 ? error_errno(e, -r, "cannot set the size of %s", what) : 0;
}

uint64_t btrfs_quota_find_limit(int fd)
{
	uint64_t id, flags, bytes;

	if (btrfs_volume_id(fd, "", &id, NULL) < 0 || read_number(fd, id, "limit_flags", &flags) < 0 ||
	    !(flags & BTRFS_QGROUP_LIMIT_MAX_RFER) || read_number(fd, id, "max_referenced", &bytes) < 0)
		return 0;
	return bytes > INT64_MAX ? 0 : bytes;
}

int btrfs_quota_used(int fd, uint64_t id, uint64_t *ret, uint64_t *ret_exclusive, struct error *e)
{
	uint64_t used, exclusive, dirty;
	int r = read_number(fd, id, "referenced", &used);

	if (r == 0)
		r = read_number(fd, id, "exclusive", &exclusive);
	if (r < 0)
		return error_errno(e, -r, "cannot read what subvolume %" PRIu64 " uses; is btrfs quota on?", id);
	/* What is only written yet holds its part of the limit already. */
	if (read_number(fd, id, "rsv_data", &dirty) == 0)
		used += dirty;
	*ret = used;
	if (ret_exclusive)
		*ret_exclusive = exclusive;
	return 0;
}
