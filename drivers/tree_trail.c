#include "drivers/tree_trail.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { HELD_OPEN = 64 };

struct level {
	int fd; /* -1: closed for now */
	dev_t dev;
	ino_t ino;
};

struct tree_trail {
	struct level *levels;
	size_t n, room;
};

int tree_trail_new(int fd, struct tree_trail **ret)
{
	struct tree_trail *t = xcalloc(1, sizeof *t);
	int r = tree_trail_push(t, fd);

	if (r < 0) {
		tree_trail_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tree_trail_free(struct tree_trail *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		if (t->levels[i].fd >= 0)
			close(t->levels[i].fd);
	free(t->levels);
	free(t);
}

int tree_trail_fd(const struct tree_trail *t)
{
	return t->levels[t->n - 1].fd;
}

size_t tree_trail_depth(const struct tree_trail *t)
{
	return t->n;
}

int tree_trail_push(struct tree_trail *t, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 16;
		t->levels = xrealloc(t->levels, t->room * sizeof *t->levels);
	}
	t->levels[t->n++] = (struct level){ .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
	/* The root stays open: what failed half-way starts again there. */
	if (t->n > HELD_OPEN + 1) {
		struct level *old = &t->levels[t->n - 1 - HELD_OPEN];

		if (old->fd >= 0)
			close(old->fd);
		old->fd = -1;
	}
	return 0;
}

static int open_again(struct level *up, int from)
{
	_cleanup_close_ int fd = openat(from, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? -ESTALE : -errno; /* removed: it has no ".." any more */
	if (st.st_dev != up->dev || st.st_ino != up->ino)
		return -ESTALE;
	up->fd = take_fd(fd);
	return 0;
}

int tree_trail_pop(struct tree_trail *t)
{
	struct level *top = &t->levels[--t->n];
	int r = 0;

	if (t->n > 0 && top[-1].fd < 0)
		r = open_again(&top[-1], top->fd);
	close(top->fd);
	return r;
}
