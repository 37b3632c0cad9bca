#include "drivers/receive_run.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "drivers/receive_stream.h"
#include "drivers/transfer_child.h"
#include "drivers/transfer_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static int write_all(int fd, const unsigned char *data, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

/* Until the stream's end, or until nobody takes more. */
static int feed(int in, int to, struct transfer_child *child, struct error *e)
{
	_cleanup_free_ unsigned char *chunk = xmalloc(CHUNK);
	struct receive_stream stream = { 0 };
	ssize_t n;
	int r = 0;

	while ((n = read(in, chunk, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(e, errno, "cannot read the stream");
		receive_stream_feed(&stream, chunk, (size_t)n);
		if ((r = write_all(to, chunk, (size_t)n)) < 0)
			break;
		transfer_child_listen(child);
	}
	/* It is ending, and says why. */
	if (r == -EPIPE)
		return 0;
	if (r < 0)
		return error_errno(e, -r, "cannot hand the stream to btrfs receive");
	if (!receive_stream_is_whole(&stream))
		return error_set(e, ERR_DRIVER_FAILED, EPIPE, "the stream broke off before its end");
	return 0;
}

/* ---- shut in ----
 *
 * A stream can be made for the purpose, with a symbolic link and something to be done behind it. So the program has a
 * view of its own of the files, in which all but its directory is read-only, modes and owners too; and, since what is
 * mounted there can be asked for its other directories, it may write there alone. */

/* The root of the mount that a path lies in, where the program looks for what a difference is to. */
static char *mount_of(const char *path)
{
	char *root = xstrdup(path);
	struct statx st;

	while (root[1] && (statx(AT_FDCWD, root, AT_SYMLINK_NOFOLLOW, 0, &st) < 0 ||
			   !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))) {
		char *slash = strrchr(root, '/');

		slash[slash == root ? 1 : 0] = '\0';
	}
	return root;
}

static int shut_in(const void *data)
{
	const struct transfer_tree *trees = data;
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_close_ int own = -1;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	own = open_tree(AT_FDCWD, trees[1].path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (own < 0 || mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof read_only) < 0 ||
	    move_mount(own, "", AT_FDCWD, trees[1].path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return transfer_confine(trees);
}

int receive_run(const char *path, int in, struct error *e)
{
	_cleanup_free_ char *root = mount_of(path);
	const char *argv[] = { "btrfs", "receive", "-q", "-e", "-m", root, path, NULL };
	struct transfer_tree trees[] = { { -1, "/", false }, { -1, path, true }, { -1, NULL, false } };
	struct transfer_spec spec = { argv, "btrfs receive", "btrfs-progs", -1, -1, -1, shut_in, trees };
	_cleanup_child_ struct transfer_child child = TRANSFER_CHILD_INIT;
	_cleanup_close_ int to = -1;
	int ends[2], r;

	if ((r = transfer_pipe(ends, e)) < 0)
		return r;
	spec.in = ends[0];
	to = ends[1];
	r = transfer_child_start(&spec, &child, e);
	close(ends[0]);
	if (r < 0 || (r = feed(in, to, &child, e)) < 0)
		return r;
	close(take_fd(to));
	for (transfer_child_listen(&child); child.pid != 0; transfer_child_listen(&child))
		poll((struct pollfd[]){ { .fd = child.pidfd, .events = POLLIN },
					{ .fd = child.err, .events = POLLIN } },
		     2, -1);
	return transfer_child_is_good(&child) ? 0 : transfer_child_error(&child, e);
}
