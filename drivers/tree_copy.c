#include "drivers/tree_copy.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/tree.h"
#include "drivers/tree_file.h"
#include "drivers/tree_trail.h"
#include "drivers/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Files are flushed in batches: writing starts at once, and the first fsync's journal commit serves the others too. */
enum { BATCH = 128, ENTRY_WEIGHT = 4096 };

struct copy {
	int dirfd;
	const char *name;
	char *links_name;
	int links; /* a name of each file that has several, called after its inode; -1: none met yet */
	struct tree_trail *to;
	struct tree_data data;
	uint64_t files, entries;
	struct tree_sum expected;
	void (*progress)(uint64_t bytes, double percent);
	int unflushed[BATCH];
	size_t n_unflushed;
};

static void tick(void *ctx)
{
	const struct copy *c = ctx;
	double done = (double)c->data.bytes + (double)c->entries * ENTRY_WEIGHT;
	double all = (double)c->expected.used_bytes + (double)c->expected.entries * ENTRY_WEIGHT;
	double percent = all > 0 ? 100 * done / all : 0;

	/* The tree may have grown since it was measured; the end is told by the result. */
	if (c->progress)
		c->progress(c->data.bytes, percent < 99 ? percent : 99);
}

/* ---- flushing ---- */

static int flush_all(struct copy *c, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < c->n_unflushed; i++) {
		if (!err && fsync(c->unflushed[i]) < 0)
			err = errno;
		close(c->unflushed[i]);
		tick(c);
	}
	c->n_unflushed = 0;
	return err ? error_errno(e, err, "cannot flush the copy") : 0;
}

/* Takes `fd`. */
static int flush_later(struct copy *c, int fd, struct error *e)
{
	c->unflushed[c->n_unflushed++] = fd;
	return c->n_unflushed == BATCH ? flush_all(c, e) : 0;
}

/* ---- files ---- */

static int attributes(struct tree_walk *w, const char *name, int from, int to, const struct stat *st, struct error *e)
{
	_cleanup_free_ char *what = NULL;
	_cleanup_free_ char *path = NULL;
	int r = tree_copy_attributes(from, to, st, &what);

	if (r == 0)
		return 0;
	path = tree_walk_path(w, name);
	if (r == -EPERM && geteuid() != 0)
		return error_set(e, ERR_DRIVER_FAILED, EPERM, "cannot keep the %s of %s: run as root", what, path);
	return error_errno(e, -r, "cannot keep the %s of %s", what, path);
}

static int open_links(struct copy *c, struct error *e)
{
	if (c->links >= 0)
		return 0;
	if (mkdirat(c->dirfd, c->links_name, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "cannot make %s", c->links_name);
	c->links = path_open(c->dirfd, c->links_name, O_RDONLY | O_DIRECTORY, 0);
	return c->links < 0 ? error_errno(e, -c->links, "cannot open %s", c->links_name) : 0;
}

/* The number of an inode is given again once its file is gone; with the time of its making it names one file. */
static void link_key(int dirfd, const char *name, const struct stat *st, char ret[96])
{
	struct statx sx = { 0 };

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_INO, &sx) < 0 || sx.stx_ino != st->st_ino)
		memset(&sx, 0, sizeof sx);
	snprintf(ret, 96, "%jx-%jx-%llx.%x", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino,
		 (unsigned long long)sx.stx_btime.tv_sec, sx.stx_btime.tv_nsec);
}

/* 1: the file was copied under another name before, and now has this one too. */
static int link_again(struct copy *c, struct tree_walk *w, const char *key, const char *name, struct error *e)
{
	int r = open_links(c, e);

	if (r < 0)
		return r;
	if (linkat(c->links, key, tree_trail_fd(c->to), name, 0) == 0 || errno == EEXIST)
		return 1;
	return errno == ENOENT ? 0 : tree_walk_error(w, "link", name, errno, e);
}

/* Returns 1 when the name is there already: a directory that changes while it is read may show a name twice. */
static int make_file(struct copy *c, const char *name, const struct stat *st, const char *target)
{
	int dirfd = tree_trail_fd(c->to);
	int r;

	if (S_ISLNK(st->st_mode))
		r = symlinkat(target, dirfd, name);
	else
		r = mknodat(dirfd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev);
	if (r < 0)
		return errno == EEXIST ? 1 : -errno;
	return 0;
}

/* A symlink, fifo, socket or device node: never opened for reading or writing. */
static int copy_special(struct copy *c, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	_cleanup_close_ int from = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int to = -1;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n = 0;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return errno == ENOENT ? 0 : tree_walk_error(w, "look at", name, errno, e);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	if (S_ISLNK(st.st_mode) && (n = readlinkat(from, "", target, sizeof target - 1)) < 0)
		return tree_walk_error(w, "read the link", name, errno, e);
	target[n] = '\0';
	r = make_file(c, name, &st, target);
	if (r == -EPERM && geteuid() != 0) {
		_cleanup_free_ char *path = tree_walk_path(w, name);

		return error_set(e, ERR_DRIVER_FAILED, EPERM, "cannot copy the device %s: run as root", path);
	}
	if (r != 0)
		return r < 0 ? tree_walk_error(w, "make", name, -r, e) : 0;
	to = openat(tree_trail_fd(c->to), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return tree_walk_error(w, "make", name, errno, e);
	return attributes(w, name, from, to, &st, e);
}

static int open_regular(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
	int fd = path_open(dirfd, name, flags | O_NOATIME, 0);

	return fd == -EPERM ? path_open(dirfd, name, flags, 0) : fd;
}

static int copy_regular(struct copy *c, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	_cleanup_close_ int in = open_regular(dirfd, name);
	_cleanup_close_ int out = -1;
	struct stat st;
	int r;

	/* Gone, or replaced by a link, since its name was read. */
	if (in == -ENOENT || in == -ELOOP || in == -ENXIO)
		return 0;
	if (in == -EXDEV)
		return tree_walk_error(w, "copy what is mounted on", name, EXDEV, e);
	if (in < 0)
		return tree_walk_error(w, "read", name, -in, e);
	if (fstat(in, &st) < 0)
		return tree_walk_error(w, "look at", name, errno, e);
	if (!S_ISREG(st.st_mode))
		return 0;
	out = openat(tree_trail_fd(c->to), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return errno == EEXIST ? 0 : tree_walk_error(w, "make", name, errno, e);
	if ((r = tree_copy_data(&c->data, in, out, &st)) < 0)
		return tree_walk_error(w, "copy", name, -r, e);
	if ((r = attributes(w, name, in, out, &st, e)) < 0)
		return r;
	(void)sync_file_range(out, 0, 0, SYNC_FILE_RANGE_WRITE);
	return flush_later(c, take_fd(out), e);
}

static int copy_entry(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	struct copy *c = ctx;
	char key[96];
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_walk_error(w, "look at", name, errno, e);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (st.st_nlink > 1) {
		link_key(dirfd, name, &st, key);
		r = link_again(c, w, key, name, e);
		if (r < 0)
			return r;
		if (r > 0)
			goto done;
	}
	r = S_ISREG(st.st_mode) ? copy_regular(c, w, dirfd, name, e) : copy_special(c, w, dirfd, name, e);
	if (r < 0)
		return r;
	if (st.st_nlink > 1 && linkat(tree_trail_fd(c->to), name, c->links, key, 0) < 0 && errno != ENOENT &&
	    errno != EMLINK)
		return tree_walk_error(w, "link", name, errno, e);
done:
	c->files++;
	c->entries++;
	tick(c);
	return 0;
}

/* ---- directories ---- */

static int copy_enter(void *ctx, struct tree_walk *w, const char *name, int fd, const struct stat *st, struct error *e)
{
	struct copy *c = ctx;
	int to, r;

	(void)fd, (void)st;
	if (!name) /* the root stands since copy_begin */
		return 0;
	if (mkdirat(tree_trail_fd(c->to), name, 0700) < 0)
		return errno == EEXIST ? 1 : tree_walk_error(w, "make the directory", name, errno, e);
	to = path_open(tree_trail_fd(c->to), name, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0)
		return tree_walk_error(w, "open the new directory", name, -to, e);
	r = tree_trail_push(c->to, to);
	return r < 0 ? tree_walk_error(w, "open the new directory", name, -r, e) : 0;
}

/* Only now: a default ACL or a read-only mode would be in the way before. */
static int copy_leave(void *ctx, struct tree_walk *w, int fd, const struct stat *st, struct error *e)
{
	struct copy *c = ctx;
	int to = tree_trail_fd(c->to);
	int r = attributes(w, NULL, fd, to, st, e);
	int kept;

	if (r < 0)
		return r;
	kept = fcntl(to, F_DUPFD_CLOEXEC, 0);
	if (kept < 0)
		return tree_walk_error(w, "flush", NULL, errno, e);
	if ((r = flush_later(c, kept, e)) < 0)
		return r;
	c->entries++;
	tick(c);
	if (tree_trail_depth(c->to) > 1 && (r = tree_trail_pop(c->to)) < 0)
		return tree_walk_error(w, "find the way back up in the copy of", NULL, -r, e);
	return 0;
}

static int copy_blocked(void *ctx, struct tree_walk *w, int dirfd, const char *name, int err, struct error *e)
{
	_cleanup_free_ char *path = tree_walk_path(w, name);

	(void)ctx, (void)dirfd;
	if (err == EXDEV)
		return error_set(e, ERR_DRIVER_FAILED, EXDEV,
				 "another file system is mounted on %s, which a copy leaves out: umount it, or move it "
				 "elsewhere",
				 path);
	return error_errno(e, err, "cannot open %s", path);
}

/* ---- the whole ---- */

static int copy_begin(struct copy *c, int src, struct error *e)
{
	int fd = fcntl(src, F_DUPFD_CLOEXEC, 0), r;

	if (fd < 0)
		return error_errno(e, errno, "cannot read the tree");
	if ((r = tree_measure(fd, &c->expected, e)) < 0)
		return r;
	if (mkdirat(c->dirfd, c->name, 0700) < 0)
		return error_errno(e, errno, "cannot make %s", c->name);
	fd = path_open(c->dirfd, c->name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return error_errno(e, -fd, "cannot open %s", c->name);
	r = tree_trail_new(fd, &c->to);
	return r < 0 ? error_errno(e, -r, "cannot open %s", c->name) : 0;
}

static int remove_links(struct copy *c, struct error *e)
{
	if (c->links < 0)
		return 0;
	close(take_fd(c->links));
	return tree_remove(c->dirfd, c->links_name, e);
}

static int copy_end(struct copy *c, struct error *e)
{
	int r = flush_all(c, e);

	if (r < 0 || (r = remove_links(c, e)) < 0)
		return r;
	return fsync(c->dirfd) < 0 ? error_errno(e, errno, "cannot flush the directory of %s", c->name) : 0;
}

static void copy_undo(struct copy *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	(void)flush_all(c, &e);
	(void)remove_links(c, &e);
	if (c->to)
		(void)tree_remove(c->dirfd, c->name, &e);
}

int tree_copy(int src, int dirfd, const char *name, void (*progress)(uint64_t bytes, double percent),
	      struct tree_copy_result *ret, struct error *e)
{
	static const struct tree_visitor visitor = {
		.enter = copy_enter,
		.entry = copy_entry,
		.leave = copy_leave,
		.blocked = copy_blocked,
	};
	struct copy c = { .dirfd = dirfd, .name = name, .links = -1, .progress = progress };
	int r;

	c.data.tick = tick;
	c.data.ctx = &c;
	c.links_name = xasprintf("%s.links", name);
	r = copy_begin(&c, src, e);
	if (r < 0)
		close(src);
	else
		r = tree_walk(src, &visitor, &c, e);
	if (r == 0)
		r = copy_end(&c, e);
	if (r < 0)
		copy_undo(&c);
	tree_trail_free(c.to);
	free(c.links_name);
	if (r == 0)
		*ret = (struct tree_copy_result){ .bytes = c.data.bytes,
						  .files = c.files,
						  .reflink = c.data.cloned > 0 && c.data.copied == 0 };
	return r;
}
