#include "base/path.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The kernel gives EAGAIN where a rename elsewhere came between, and EXDEV where what it had found was moved out of the
 * directory meanwhile, as if that had been left; more of them in a row than this is no accident. */
#define RESOLVE_TRIES 256

int path_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	long fd;
	int tries = 0;

	do
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || ((errno == EAGAIN || errno == EXDEV) && ++tries < RESOLVE_TRIES)));
	return fd < 0 ? -errno : (int)fd;
}

int path_open_parent(int dirfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[PATH_MAX] = ".";
	int fd;

	if (*path == '/' || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (slash) {
		if ((size_t)(slash - path) >= sizeof(parent))
			return -ENAMETOOLONG;
		memcpy(parent, path, (size_t)(slash - path));
		parent[slash - path] = '\0';
	}
	fd = path_open(dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

int path_open_root(const char *path)
{
	int fd;

	if (*path != '/')
		return -EINVAL;
	do
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int path_check_relative(const char *path)
{
	const char *p = path;

	if (strlen(path) >= PATH_MAX)
		return -EINVAL;
	for (;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

int path_fsync(int fd)
{
	int r;

	do
		r = fsync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Past any end that fstat promised: files grow, and some have no size at all. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buffer = NULL;
	size_t len = 0, size = 0;

	for (;;) {
		ssize_t n;

		if (len == size) {
			size = size ? size * 2 : 4096;
			buffer = xrealloc(buffer, size + 1);
		}
		n = read(fd, buffer + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	buffer[len] = '\0';
	*ret = take_ptr(buffer);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int path_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a pipe planted there must not hold the caller. */
	fd = path_open(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > 0 && (size_t)st.st_size > max)
		return -EFBIG;
	return read_all(fd, max, ret, ret_len);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_new(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = path_open(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	r = write_all(fd, data, len);
	/* Not left to open: the umask would have a say. */
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	return r == 0 ? path_fsync(fd) : r;
}

int path_write_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	/* The temporary's name is made of the file's, so that what a crash left is found and replaced by the next
	 * write; one writer at a time, so that two threads do not share it. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	_cleanup_close_ int parent = -1;
	char temporary[NAME_MAX + 1];
	const char *base;
	int r;

	parent = path_open_parent(dirfd, name, &base);
	if (parent < 0)
		return parent;
	snprintf(temporary, sizeof(temporary), ".%.240s.new", base);
	pthread_mutex_lock(&lock);
	unlinkat(parent, temporary, 0);
	r = write_new(parent, temporary, data, len, mode);
	if (r == 0 && renameat(parent, temporary, parent, base) < 0)
		r = -errno;
	if (r == 0)
		r = path_fsync(parent);
	else
		unlinkat(parent, temporary, 0);
	pthread_mutex_unlock(&lock);
	return r;
}
