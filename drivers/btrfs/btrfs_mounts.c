#include "drivers/btrfs/btrfs_mounts.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "drivers/btrfs/btrfs_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One line of /proc/self/mountinfo: pointers into it. */
struct mount {
	char *line;
	size_t room;
	unsigned long long id;
	const char *dev;   /* of its file system, "MAJOR:MINOR" */
	const char *root;  /* what of it is mounted */
	const char *point; /* where */
};

static void mount_clear(struct mount *m)
{
	free(m->line);
}
#define _cleanup_mount_ cleanup(mount_clear)

/* "\040" is a blank. */
static const char *decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT .." */
static bool read_mount(FILE *f, struct mount *m)
{
	while (getline(&m->line, &m->room, f) >= 0) {
		char *fields[5], *rest = m->line;
		size_t n = 0;

		while (n < 5 && (fields[n] = strsep(&rest, " ")))
			n++;
		if (n < 5)
			continue;
		m->id = strtoull(fields[0], NULL, 10);
		m->dev = fields[2];
		m->root = decode(fields[3]);
		m->point = decode(fields[4]);
		return true;
	}
	return false;
}

static bool is_in(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* "MAJOR:MINOR" as mountinfo has it: those of stat are each subvolume's own. NULL with errno; owned by the caller. */
static char *find_device(FILE *f, int fd)
{
	struct statx stx;
	_cleanup_mount_ struct mount m = { 0 };

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return NULL;
	rewind(f);
	while (read_mount(f, &m))
		if (m.id == stx.stx_mnt_id)
			return xstrdup(m.dev);
	errno = ENOENT;
	return NULL;
}

static char *path_of(int fd)
{
	char self[64], path[PATH_MAX];
	ssize_t n;

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof path - 1);
	return n < 0 ? NULL : xstrndup(path, (size_t)n);
}

static int refuse(const char *what, const struct mount *m, bool inside, struct error *e)
{
	if (inside)
		return error_set(e, ERR_INVALID_STATE, EBUSY, "something is mounted in %s, on %s: unmount it first",
				 what, m->point);
	return error_set(e, ERR_INVALID_STATE, EBUSY, "%s is mounted on %s too: unmount it there first", what,
			 m->point);
}

int btrfs_mounts_refuse(int fd, const char *what, struct error *e)
{
	_cleanup_free_ char *volume = NULL;
	_cleanup_free_ char *top = NULL;
	_cleanup_free_ char *path = path_of(fd);
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *device = NULL;
	_cleanup_mount_ struct mount m = { 0 };
	int r;

	if (!f || !path)
		return error_errno(e, errno, "cannot read /proc/self/mountinfo");
	if ((r = btrfs_volume_path(fd, what, &volume, e)) < 0)
		return r;
	top = xasprintf("/%s", volume);
	device = find_device(f, fd);
	if (!device)
		return error_errno(e, errno, "cannot find the mount of %s", what);
	rewind(f);
	while (read_mount(f, &m)) {
		if (is_in(m.point, path))
			return refuse(what, &m, true, e);
		if (strcmp(m.dev, device) == 0 && is_in(m.root, top))
			return refuse(what, &m, false, e);
	}
	return 0;
}
