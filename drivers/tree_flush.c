#include "drivers/tree_flush.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "drivers/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

enum { CLOCK_SLACK = 2 }; /* seconds: times of files go by another clock */

struct flush {
	time_t since;
	bool starting; /* first all are begun, then all are waited for */
	bool unread;   /* there are files that we may not open */
};

static bool is_recent(const struct flush *f, int dirfd, const char *name)
{
	struct statx st;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return true;
	if (!S_ISREG(st.stx_mode))
		return false;
	/* To link a file changes its time too. */
	if (!(st.stx_mask & STATX_BTIME) || st.stx_btime.tv_sec >= f->since)
		return true;
	return st.stx_nlink == 1 && st.stx_ctime.tv_sec >= f->since;
}

static int flush_entry(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	struct flush *f = ctx;
	_cleanup_close_ int fd = -1;

	if (!is_recent(f, dirfd, name))
		return 0;
	fd = path_open(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
	if (fd == -EACCES) {
		f->unread = true;
		return 0;
	}
	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP || fd == -ENXIO ? 0 : tree_walk_error(w, "flush", name, -fd, e);
	if (f->starting)
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	else if (fsync(fd) < 0)
		return tree_walk_error(w, "flush", name, errno, e);
	return 0;
}

static int flush_leave(void *ctx, struct tree_walk *w, int fd, const struct stat *st, struct error *e)
{
	const struct flush *f = ctx;

	(void)st;
	return f->starting || fsync(fd) == 0 ? 0 : tree_walk_error(w, "flush", NULL, errno, e);
}

static int flush_blocked(void *ctx, struct tree_walk *w, int dirfd, const char *name, int err, struct error *e)
{
	struct flush *f = ctx;

	(void)dirfd;
	if (err != EACCES)
		return err == EXDEV ? 0 : tree_walk_error(w, "open", name, err, e);
	f->unread = true;
	return 0;
}

/* Takes `fd`, on failure too. */
static int flush_twice(int fd, struct flush *f, struct error *e)
{
	static const struct tree_visitor visitor = {
		.entry = flush_entry,
		.leave = flush_leave,
		.blocked = flush_blocked,
	};
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r;

	f->starting = true;
	r = tree_walk(fd, &visitor, f, e);
	if (again < 0)
		return error_errno(e, EMFILE, "cannot flush the tree");
	f->starting = false;
	if (r < 0)
		close(again);
	return r < 0 ? r : tree_walk(again, &visitor, f, e);
}

int tree_flush(int fd, const struct timespec *begun, struct error *e)
{
	struct flush f = { .since = begun->tv_sec - CLOCK_SLACK };
	_cleanup_close_ int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r = flush_twice(fd, &f, e);

	if (r < 0)
		return r;
	/* Rare: files of our own that are closed to ourselves. */
	return f.unread && syncfs(kept) < 0 ? error_errno(e, errno, "cannot flush the file system") : 0;
}
