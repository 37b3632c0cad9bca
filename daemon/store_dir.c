#include "daemon/store_dir.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define OTHERS_ANY   (S_IRWXG | S_IRWXO)

static int fail(struct error *e, int err, const char *doing, const char *dir, const char *name)
{
	return error_set(e, err == ENOSPC || err == EDQUOT ? ERR_NO_SPACE : ERR_INTERNAL, err, "cannot %s %s%s%s: %s",
			 doing, dir, *name ? "/" : "", name, strerror(err));
}

/* A new directory is there after a power cut only when its parent was flushed. */
static int flush_parent(const char *dir, struct error *e)
{
	_cleanup_free_ char *copy = xstrdup(dir);
	_cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? fail(e, errno, "flush the directory above", dir, "") : 0;
}

static int make_dir(const char *dir, struct error *e)
{
	if (mkdir(dir, 0700) == 0)
		return flush_parent(dir, e);
	if (errno == EEXIST)
		return 0;
	if (errno == ENOENT)
		return error_set(e, ERR_INTERNAL, ENOENT,
				 "cannot make state_dir \"%s\": the directory above it does not exist: make that, or "
				 "set another state_dir",
				 dir);
	return fail(e, errno, "make state_dir", dir, "");
}

static int check_dir(int fd, const char *dir, struct error *e)
{
	struct stat s;

	if (fstat(fd, &s) < 0)
		return fail(e, errno, "look at state_dir", dir, "");
	if (s.st_uid != geteuid())
		return error_set(e, ERR_PERMISSION_DENIED, EPERM,
				 "state_dir \"%s\" belongs to uid %u and sharesd runs as uid %u: give it to that user, "
				 "or set another "
				 "state_dir",
				 dir, (unsigned)s.st_uid, (unsigned)geteuid());
	if (s.st_mode & OTHERS_WRITE)
		return error_set(e, ERR_PERMISSION_DENIED, EPERM,
				 "state_dir \"%s\" may be written by others (mode %04o): set its mode to 0700", dir,
				 (unsigned)(s.st_mode & 07777));
	return 0;
}

static int open_dir(const char *dir, int *ret, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r = make_dir(dir, e);

	if (r < 0)
		return r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(e, errno, "open state_dir", dir, "");
	if ((r = check_dir(fd, dir, e)) < 0)
		return r;
	*ret = take_fd(fd);
	return 0;
}

static int locked_by_other(int owner, const char *dir, struct error *e)
{
	char pid[24] = "";

	if (owner > 0)
		snprintf(pid, sizeof pid, ", pid %d", owner);
	return error_set(e, ERR_BUSY, EBUSY,
			 "another sharesd runs on state_dir \"%s\"%s: stop it or set another state_dir", dir, pid);
}

static int take_lock(int dirfd, const char *dir, int *ret, struct error *e)
{
	_cleanup_close_ int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int owner, r;

	if (fd < 0)
		return fail(e, errno, "open", dir, "lock");
	if ((r = lock_take(fd, &owner)) < 0)
		return r == -EWOULDBLOCK ? locked_by_other(owner, dir, e) : fail(e, -r, "lock", dir, "lock");
	*ret = take_fd(fd);
	return 0;
}

static int create_file(int dirfd, const char *dir, struct error *e)
{
	_cleanup_close_ int fd = openat(dirfd, STORE_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(e, errno, "make", dir, STORE_FILE);
	return fsync(dirfd) < 0 ? fail(e, errno, "flush state_dir", dir, "") : 0;
}

/* The database is made here for its mode, which its -wal and -shm inherit. One that is there is never opened by us: the
 * close would drop the locks that SQLite holds on it in this process. */
static int check_file(int dirfd, const char *dir, struct error *e)
{
	struct stat s;

	if (fstatat(dirfd, STORE_FILE, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? create_file(dirfd, dir, e) : fail(e, errno, "look at", dir, STORE_FILE);
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid())
		return error_set(e, ERR_PERMISSION_DENIED, EPERM,
				 "%s/" STORE_FILE
				 " is not a regular file of uid %u: give it to that user, or set another state_dir",
				 dir, (unsigned)geteuid());
	if (s.st_mode & OTHERS_ANY && fchmodat(dirfd, STORE_FILE, 0600, 0) < 0)
		return fail(e, errno, "set mode 0600 of", dir, STORE_FILE);
	return 0;
}

int store_dir_take(const char *state_dir, int *ret_lock, bool *ret_unclean, struct error *e)
{
	_cleanup_close_ int dirfd = -1, lock = -1;
	struct stat wal;
	int r;

	if ((r = open_dir(state_dir, &dirfd, e)) < 0 || (r = take_lock(dirfd, state_dir, &lock, e)) < 0 ||
	    (r = check_file(dirfd, state_dir, e)) < 0)
		return r;
	*ret_unclean = fstatat(dirfd, STORE_FILE "-wal", &wal, AT_SYMLINK_NOFOLLOW) == 0 && wal.st_size > 0;
	*ret_lock = take_fd(lock);
	return 0;
}
