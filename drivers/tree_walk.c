#include "drivers/tree_walk.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/tree_trail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { SHOWN_LEVELS = 16 };

struct place {
	char *name; /* NULL: the root */
	struct stat st;
	char **subdirs; /* still to be walked: the names from `next` on are ours */
	size_t n, room, next;
};

struct tree_walk {
	const struct tree_visitor *v;
	void *ctx;
	struct tree_trail *trail;
	struct place *places;
	size_t n, room;
};

int tree_open_dir(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = path_open(dirfd, name, flags | O_NOATIME, 0);

	return fd == -EPERM ? path_open(dirfd, name, flags, 0) : fd;
}

char *tree_walk_path(const struct tree_walk *w, const char *name)
{
	char *path = xstrdup("");

	for (size_t i = 1; i < w->n; i++) {
		char *longer;

		if (i == SHOWN_LEVELS && w->n > 2 * (size_t)SHOWN_LEVELS) {
			longer = xasprintf("%s/..", path);
			i = w->n - SHOWN_LEVELS - 1;
		} else {
			longer = xasprintf("%s%s%s", path, i > 1 ? "/" : "", w->places[i].name);
		}
		free(path);
		path = longer;
	}
	if (name || w->n <= 1) {
		char *longer = xasprintf("%s%s%s", path, *path ? "/" : "", name ? name : ".");

		free(path);
		path = longer;
	}
	return path;
}

int tree_walk_error(const struct tree_walk *w, const char *what, const char *name, int err, struct error *e)
{
	_cleanup_free_ char *path = tree_walk_path(w, name);

	return error_errno(e, err, "cannot %s %s", what, path);
}

static void place_clear(struct place *p)
{
	for (size_t i = p->next; i < p->n; i++)
		free(p->subdirs[i]);
	free(p->subdirs);
	free(p->name);
}

static void remember(struct place *p, const char *name)
{
	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 8;
		p->subdirs = xrealloc(p->subdirs, p->room * sizeof *p->subdirs);
	}
	p->subdirs[p->n++] = xstrdup(name);
}

static bool is_dir(int dirfd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int read_entries(struct tree_walk *w, struct place *p, struct error *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *d;
	int dirfd = tree_trail_fd(w->trail);
	int fd = tree_open_dir(dirfd, ".");
	int r;

	if (fd == -ENOENT) /* removed meanwhile */
		return 0;
	if (fd < 0)
		return tree_walk_error(w, "read the directory", NULL, -fd, e);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return tree_walk_error(w, "read the directory", NULL, errno, e);
	}
	while (errno = 0, (d = readdir(dir))) {
		if (is_dots(d->d_name))
			continue;
		if (is_dir(dirfd, d))
			remember(p, d->d_name);
		else if (w->v->entry && (r = w->v->entry(w->ctx, w, dirfd, d->d_name, e)) < 0)
			return r;
	}
	return errno && errno != ENOENT ? tree_walk_error(w, "read the directory", NULL, errno, e) : 0;
}

/* Takes `fd` and `name`. */
static int go_down(struct tree_walk *w, int fd, char *name, struct error *e)
{
	struct place place = { .name = name };
	int r;

	if (fstat(fd, &place.st) < 0)
		r = tree_walk_error(w, "look at", name, errno, e);
	else
		r = w->v->enter ? w->v->enter(w->ctx, w, name, fd, &place.st, e) : 0;
	if (r != 0) {
		close(fd);
		free(name);
		return r < 0 ? r : 0;
	}
	if (!w->trail)
		r = tree_trail_new(fd, &w->trail);
	else
		r = tree_trail_push(w->trail, fd);
	if (r < 0) {
		tree_walk_error(w, "look at", name, -r, e);
		free(name);
		return r;
	}
	if (w->n == w->room) {
		w->room = w->room ? 2 * w->room : 16;
		w->places = xrealloc(w->places, w->room * sizeof *w->places);
	}
	w->places[w->n++] = place;
	return read_entries(w, &w->places[w->n - 1], e);
}

static int walk_subdir(struct tree_walk *w, char *name, struct error *e)
{
	int dirfd = tree_trail_fd(w->trail);
	int fd, r;

	while ((fd = tree_open_dir(dirfd, name)) < 0) {
		if (fd == -ENOENT)
			r = 0;
		else if (fd == -ENOTDIR || fd == -ELOOP) /* replaced since we read its name */
			r = w->v->entry ? w->v->entry(w->ctx, w, dirfd, name, e) : 0;
		else if (w->v->blocked)
			r = w->v->blocked(w->ctx, w, dirfd, name, -fd, e);
		else
			r = tree_walk_error(w, "open", name, -fd, e);
		if (r <= 0) {
			free(name);
			return r;
		}
	}
	return go_down(w, fd, name, e);
}

static int go_up(struct tree_walk *w, struct error *e)
{
	struct place *p = &w->places[w->n - 1];
	_cleanup_free_ char *name = NULL;
	int r;

	if (w->v->leave && (r = w->v->leave(w->ctx, w, tree_trail_fd(w->trail), &p->st, e)) < 0)
		return r;
	r = tree_trail_pop(w->trail);
	if (r < 0)
		return tree_walk_error(w, "find the way back up from (moved meanwhile?)", NULL, -r, e);
	name = take_ptr(p->name);
	place_clear(p);
	w->n--;
	if (w->n == 0 || !w->v->left)
		return 0;
	r = w->v->left(w->ctx, w, tree_trail_fd(w->trail), name, e);
	if (r > 0)
		return walk_subdir(w, take_ptr(name), e);
	return r;
}

int tree_walk(int fd, const struct tree_visitor *v, void *ctx, struct error *e)
{
	struct tree_walk w = { .v = v, .ctx = ctx };
	int r = go_down(&w, fd, NULL, e);

	while (r == 0 && w.n > 0) {
		struct place *p = &w.places[w.n - 1];

		if (p->next < p->n)
			r = walk_subdir(&w, p->subdirs[p->next++], e);
		else
			r = go_up(&w, e);
	}
	while (w.n > 0)
		place_clear(&w.places[--w.n]);
	free(w.places);
	tree_trail_free(w.trail);
	return r;
}
