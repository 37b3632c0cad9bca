#include "drivers/tree.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

/* ---- measure ---- */

struct inode {
	dev_t dev;
	ino_t ino;
};

struct measure {
	struct tree_sum sum;
	void *seen; /* tsearch tree of struct inode: files with several names */
};

static int compare_inodes(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return 0;
}

static bool seen_before(struct measure *m, const struct stat *st)
{
	struct inode *key = xmalloc(sizeof *key);
	struct inode **found;

	*key = (struct inode){ .dev = st->st_dev, .ino = st->st_ino };
	found = tsearch(key, &m->seen, compare_inodes);
	if (!found)
		abort();
	if (*found == key)
		return false;
	free(key);
	return true;
}

static int measure_enter(void *ctx, struct tree_walk *w, const char *name, int fd, const struct stat *st,
			 struct error *e)
{
	struct measure *m = ctx;

	(void)w, (void)name, (void)fd, (void)e;
	m->sum.entries++;
	m->sum.used_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

static int measure_entry(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	struct measure *m = ctx;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : tree_walk_error(w, "look at", name, errno, e);
	if (S_ISDIR(st.st_mode))
		return 0;
	m->sum.entries++;
	m->sum.files++;
	if (st.st_nlink == 1 || !seen_before(m, &st))
		m->sum.used_bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

static int measure_blocked(void *ctx, struct tree_walk *w, int dirfd, const char *name, int err, struct error *e)
{
	(void)ctx, (void)dirfd;
	return err == EXDEV ? 0 : tree_walk_error(w, "open", name, err, e);
}

int tree_measure(int fd, struct tree_sum *ret, struct error *e)
{
	static const struct tree_visitor visitor = {
		.enter = measure_enter,
		.entry = measure_entry,
		.blocked = measure_blocked,
	};
	struct measure m = { 0 };
	int r = tree_walk(fd, &visitor, &m, e);

	tdestroy(m.seen, free);
	if (r == 0)
		*ret = m.sum;
	return r;
}

/* ---- remove ---- */

/* Somebody who still stands in the tree may fill it as fast as we empty it, or move its directories about. */
enum { ROUNDS = 100 };

struct removal {
	int rounds;
};

/* Without root's rights a directory must be ours to write before its entries can go. */
static void make_writable(int fd, const struct stat *st)
{
	if ((st->st_mode & S_IRWXU) != S_IRWXU)
		(void)fchmod(fd, (st->st_mode & 07777) | S_IRWXU);
}

static int remove_enter(void *ctx, struct tree_walk *w, const char *name, int fd, const struct stat *st,
			struct error *e)
{
	(void)ctx, (void)w, (void)name, (void)e;
	make_writable(fd, st);
	return 0;
}

static int remove_entry(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	(void)ctx;
	/* EISDIR: it became a directory just now; then its own directory is not empty and walked again. */
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT || errno == EISDIR)
		return 0;
	return tree_walk_error(w, "remove", name, errno, e);
}

static int remove_left(void *ctx, struct tree_walk *w, int dirfd, const char *name, struct error *e)
{
	struct removal *rm = ctx;

	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if ((errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) && rm->rounds-- > 0)
		return 1;
	return tree_walk_error(w, "remove the directory", name, errno, e);
}

/* A directory that we may not read: ours to change if it is ours. Not by its name: that may be a link by now. */
static int unlock(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char self[64];

	if (fd < 0)
		return -errno;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return chmod(self, S_IRWXU) < 0 ? -errno : 0;
}

static int remove_blocked(void *ctx, struct tree_walk *w, int dirfd, const char *name, int err, struct error *e)
{
	struct removal *rm = ctx;
	_cleanup_free_ char *path = tree_walk_path(w, name);
	int r;

	if (err == EXDEV)
		return error_set(e, ERR_DRIVER_FAILED, EXDEV, "another file system is mounted on %s: umount it first",
				 path);
	if (err != EACCES || rm->rounds-- <= 0)
		return error_errno(e, err, "cannot open %s", path);
	r = unlock(dirfd, name);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_errno(e, -r, "cannot open %s", path) : 1;
}

static int empty_once(int dirfd, const char *name, struct removal *rm, struct error *e)
{
	static const struct tree_visitor visitor = {
		.enter = remove_enter,
		.entry = remove_entry,
		.left = remove_left,
		.blocked = remove_blocked,
	};
	int fd = tree_open_dir(dirfd, name);

	if (fd == -EACCES && unlock(dirfd, name) == 0)
		fd = tree_open_dir(dirfd, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : error_errno(e, -fd, "cannot open %s", name);
	return tree_walk(fd, &visitor, rm, e);
}

int tree_remove(int dirfd, const char *name, struct error *e)
{
	struct removal rm = { .rounds = ROUNDS };

	for (;;) {
		int r = empty_once(dirfd, name, &rm, e);

		if (r == 0 && (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT))
			return 0;
		if (r == 0)
			r = error_errno(e, errno, "cannot remove the directory %s", name);
		if ((r != -ESTALE && r != -ENOTEMPTY) || rm.rounds-- <= 0)
			return r;
		error_clear(e);
	}
}

int tree_empty(int dirfd, const char *name, struct error *e)
{
	_cleanup_error_ struct error first = ERROR_INIT;
	int fd = tree_open_dir(dirfd, name), failed = 0;
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (fd < 0)
		return fd == -ENOENT ? 0 : error_errno(e, -fd, "cannot open %s", name);
	if (!d) {
		close(fd);
		return error_errno(e, ENOMEM, "cannot read %s", name);
	}
	while (errno = 0, (entry = readdir(d))) {
		_cleanup_error_ struct error one = ERROR_INIT;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    unlinkat(fd, entry->d_name, 0) == 0 || tree_remove(fd, entry->d_name, &one) == 0)
			continue;
		error_prefix(&one, "%s/%s", name, entry->d_name);
		if (failed++ == 0)
			error_move(&first, &one);
	}
	if (errno)
		return error_errno(e, errno, "cannot read %s", name);
	if (failed == 0)
		return 0;
	if (failed > 1)
		error_prefix(&first, "%d things cannot be removed, first of them", failed);
	error_move(e, &first);
	return e && e->err ? -e->err : -EIO;
}
