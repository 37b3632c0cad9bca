#include "drivers/receive.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/btrfs/btrfs_volume.h"
#include "drivers/receive_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 1024, TAKE_OVER_SECONDS = 20 };

static const char *const kind_dirs[] = { "shares", "snapshots" };
static const char *const kind_words[] = { "share", "snapshot" };

/* ---- the place ---- */

void receive_close(struct receive_place *p)
{
	for (int *fd = (int[]){ p->fd, p->kinds[0], p->kinds[1], p->receiving, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	*p = RECEIVE_PLACE_INIT;
}

static int open_dir(int dirfd, const char *name, bool make, int *ret)
{
	if (make && mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret = path_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	return *ret < 0 ? *ret : 0;
}

static int check_file_system(int root, const char *path, struct error *e)
{
	struct statfs fs;

	if (fstatfs(root, &fs) < 0)
		return error_errno(e, errno, "cannot look at the file system of %s", path);
	if (fs.f_type != BTRFS_SUPER_MAGIC)
		return error_set(e, ERR_DRIVER_FAILED, EOPNOTSUPP, "%s is not on btrfs: mount one there", path);
	return 0;
}

static int open_dirs(int root, bool make, struct receive_place *p)
{
	int r;

	if ((r = open_dir(root, p->backend, make, &p->fd)) < 0 ||
	    (r = open_dir(p->fd, kind_dirs[RECEIVE_SHARE], make, &p->kinds[RECEIVE_SHARE])) < 0 ||
	    (r = open_dir(p->fd, kind_dirs[RECEIVE_SNAPSHOT], make, &p->kinds[RECEIVE_SNAPSHOT])) < 0 ||
	    (r = open_dir(p->fd, "receiving", make, &p->receiving)) < 0)
		return r;
	return make ? btrfs_volume_commit(p->fd) : 0;
}

int receive_open(const char *root, const char *backend, bool make, struct receive_place *ret, struct error *e)
{
	_cleanup_close_ int fd = path_open_root(root);
	struct receive_place p = RECEIVE_PLACE_INIT;
	int r;

	if (fd < 0)
		return error_errno(e, -fd, "cannot open %s", root);
	if ((r = check_file_system(fd, root, e)) < 0)
		return r;
	p.root = root;
	p.backend = backend;
	if ((r = open_dirs(fd, make, &p)) < 0) {
		receive_close(&p);
		return error_errno(e, -r,
				   "cannot open the place of the replicas, %s/%s: is the right disk mounted there?",
				   root, backend);
	}
	*ret = p;
	return 0;
}

/* ---- state ---- */

static char *hex(const unsigned char *uuid)
{
	char *s = xmalloc(33);

	for (int i = 0; i < 16; i++)
		sprintf(s + 2 * i, "%02x", uuid[i]);
	return s;
}

/* NULL with `e` filled. */
static DIR *open_list(const struct receive_place *p, int dir, struct error *e)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);

	if (!d) {
		error_errno(e, errno, "cannot read a directory in %s/%s", p->root, p->backend);
		cleanup_close(&again);
	}
	return d;
}

static char *read_line(int place, const char *file)
{
	char *text;
	size_t len;

	return path_read_file(place, file, NAME_BYTES, &text, &len) < 0 ? xstrdup("") : text;
}

/* `replica`: only what is of it; NULL: all. */
static void add_held(json_t *held, int dir, enum receive_kind kind, const char *id, const char *replica)
{
	_cleanup_close_ int place = path_open(dir, id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_close_ int data = place < 0 ? -1 : path_open(place, "data", O_RDONLY | O_DIRECTORY, 0);
	_cleanup_free_ char *uuid = NULL, *received = NULL, *name = NULL, *of = NULL;
	struct btrfs_volume_info info;

	if (data < 0 || btrfs_volume_look(data, id, &info, NULL) < 0 || !info.read_only)
		return;
	of = kind == RECEIVE_SHARE ? xstrdup(id) : read_line(place, "of");
	if (replica && strcmp(of, replica) != 0)
		return;
	name = read_line(place, "name");
	uuid = hex(info.uuid);
	received = hex(info.received);
	json_array_append_new(held, jsonx_pack("{s:s,s:s,s:s,s:s,s:s}", "kind", kind_words[kind], "id", id, "name",
					       name, "uuid", uuid, "received", received));
}

int receive_state(const struct receive_place *p, const char *replica, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *held = json_array();
	const struct dirent *entry;
	struct statvfs vfs;

	if (fstatvfs(p->fd, &vfs) < 0)
		return error_errno(e, errno, "cannot ask %s for its space", p->root);
	for (int kind = RECEIVE_SHARE; kind <= RECEIVE_SNAPSHOT; kind++) {
		_cleanup_closedir_ DIR *d = open_list(p, p->kinds[kind], e);

		if (!d)
			return -e->err;
		while ((entry = readdir(d)))
			if (*entry->d_name != '.')
				add_held(held, p->kinds[kind], (enum receive_kind)kind, entry->d_name, replica);
	}
	*ret = jsonx_pack("{s:I,s:I,s:b,s:O}", "total_bytes", (json_int_t)vfs.f_blocks * (json_int_t)vfs.f_frsize,
			  "free_bytes", (json_int_t)vfs.f_bavail * (json_int_t)vfs.f_frsize, "incremental",
			  btrfs_volume_is_wholly_mounted(p->fd), "held", held);
	return 0;
}

/* ---- one at a time ---- */

static int lock(const struct receive_place *p, const char *id, bool take_over, int *ret, struct error *e)
{
	_cleanup_free_ char *name = xasprintf("%s.lock", id);
	_cleanup_close_ int fd = openat(p->receiving, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	if (fd < 0)
		return error_errno(e, errno, "cannot open a lock in %s/%s/receiving", p->root, p->backend);
	for (int i = 0; i < TAKE_OVER_SECONDS * 20; i++) {
		struct flock mine = { .l_type = F_WRLCK, .l_whence = SEEK_SET }, others = mine;

		if (fcntl(fd, F_SETLK, &mine) == 0) {
			*ret = take_fd(fd);
			return 0;
		}
		if (!take_over)
			break;
		/* Its connection is gone, or it would not be asked for again. */
		if (fcntl(fd, F_GETLK, &others) == 0 && others.l_type != F_UNLCK && others.l_pid > 0)
			kill(others.l_pid, SIGTERM);
		nanosleep(&pause, NULL);
	}
	return error_set(e, ERR_DRIVER_FAILED, EBUSY, "%s is being received already: try again later", id);
}

static int remove_place(int dirfd, const char *id, struct error *e)
{
	static const char *const volumes[] = { "data", "data.flush" };
	_cleanup_close_ int place = path_open(dirfd, id, O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (place == -ENOENT)
		return 0;
	if (place < 0)
		return error_errno(e, -place, "cannot open %s", id);
	for (size_t i = 0; i < sizeof volumes / sizeof *volumes; i++)
		if ((r = btrfs_volume_remove_at(place, volumes[i], e)) < 0) {
			if (r != -ENOENT)
				return r;
			error_clear(e);
		}
	if ((unlinkat(place, "name", 0) < 0 && errno != ENOENT) || (unlinkat(place, "of", 0) < 0 && errno != ENOENT) ||
	    unlinkat(dirfd, id, AT_REMOVEDIR) < 0)
		return error_errno(e, errno, "cannot remove %s", id);
	return 0;
}

int receive_tidy(const struct receive_place *p, struct error *e)
{
	_cleanup_closedir_ DIR *d = open_list(p, p->receiving, e);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return -e->err;
	while (r == 0 && (entry = readdir(d))) {
		_cleanup_free_ char *name = NULL;
		_cleanup_close_ int locked = -1;

		if (*entry->d_name == '.' || strchr(entry->d_name, '.') ||
		    lock(p, entry->d_name, false, &locked, NULL) < 0)
			continue;
		name = xasprintf("%s.lock", entry->d_name);
		r = remove_place(p->receiving, entry->d_name, e);
		(void)unlinkat(p->receiving, name, 0);
	}
	return r;
}

/* ---- receiving ---- */

static int check_received(int place, struct error *e)
{
	_cleanup_close_ int data = path_open(place, "data", O_RDONLY | O_DIRECTORY, 0);
	static const unsigned char none[16];
	struct btrfs_volume_info info;
	int r;

	if (data < 0)
		return error_errno(e, -data, "btrfs receive made no data");
	if ((r = btrfs_volume_look(data, "what was received", &info, e)) < 0)
		return r;
	if (!info.read_only || memcmp(info.received, none, sizeof none) == 0)
		return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
				 "what was received is not whole: see what btrfs receive says");
	return btrfs_volume_flush_received(place, "data", e);
}

static int bring(const struct receive_place *p, const struct receive_object *o, int in, struct error *e)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/receiving/%s", p->root, p->backend, o->id);
	_cleanup_close_ int place = -1;
	int r;

	if ((r = remove_place(p->receiving, o->id, e)) < 0)
		return r;
	if ((r = open_dir(p->receiving, o->id, true, &place)) < 0)
		return error_errno(e, -r, "cannot make %s", path);
	if ((r = path_write_file(place, "name", o->name, strlen(o->name), 0600)) < 0 ||
	    (o->of && (r = path_write_file(place, "of", o->of, strlen(o->of), 0600)) < 0))
		return error_errno(e, -r, "cannot write the name of what is received");
	if ((r = receive_run(path, in, e)) < 0)
		return r;
	return check_received(place, e);
}

/* What was there before is found in receiving/ID afterwards. */
static int take_place(const struct receive_place *p, enum receive_kind kind, const char *id, struct error *e)
{
	if (renameat2(p->receiving, id, p->kinds[kind], id, RENAME_NOREPLACE) < 0 &&
	    (errno != EEXIST || renameat2(p->receiving, id, p->kinds[kind], id, RENAME_EXCHANGE) < 0))
		return error_errno(e, errno, "cannot put what was received in its place");
	return 0;
}

static int flush(const struct receive_place *p, struct error *e)
{
	int r = btrfs_volume_commit(p->fd);

	return r < 0 ? error_errno(e, -r, "cannot flush %s/%s", p->root, p->backend) : 0;
}

int receive_take(const struct receive_place *p, const struct receive_object *o, int in, struct error *e)
{
	_cleanup_close_ int locked = -1;
	int r = lock(p, o->id, true, &locked, e);

	if (r < 0)
		return r;
	r = bring(p, o, in, e);
	if (r == 0 && (r = take_place(p, o->kind, o->id, e)) == 0)
		r = flush(p, e);
	(void)remove_place(p->receiving, o->id, NULL);
	return r;
}

static int delete_one(const struct receive_place *p, enum receive_kind kind, const char *id, struct error *e)
{
	_cleanup_free_ char *name = xasprintf("%s.lock", id);
	_cleanup_close_ int locked = -1;
	int r = lock(p, id, true, &locked, e);

	if (r < 0 || (r = remove_place(p->receiving, id, e)) < 0)
		return r;
	if (renameat2(p->kinds[kind], id, p->receiving, id, RENAME_NOREPLACE) < 0 && errno != ENOENT)
		return error_errno(e, errno, "cannot take %s from its place", id);
	if ((r = remove_place(p->receiving, id, e)) < 0 || (r = flush(p, e)) < 0)
		return r;
	(void)unlinkat(p->receiving, name, 0);
	return 0;
}

/* Those in `dir` that are of a replica. */
static int delete_snapshots(const struct receive_place *p, int dir, const char *replica, struct error *e)
{
	_cleanup_closedir_ DIR *d = open_list(p, dir, e);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return -e->err;
	while (r == 0 && (entry = readdir(d))) {
		_cleanup_close_ int place =
			strchr(entry->d_name, '.') ? -1 : path_open(dir, entry->d_name, O_RDONLY | O_DIRECTORY, 0);
		_cleanup_free_ char *of = place < 0 ? NULL : read_line(place, "of");

		if (of && strcmp(of, replica) == 0)
			r = delete_one(p, RECEIVE_SNAPSHOT, entry->d_name, e);
	}
	return r;
}

int receive_delete(const struct receive_place *p, enum receive_kind kind, const char *id, struct error *e)
{
	int r = 0;

	if (kind == RECEIVE_SHARE && (r = delete_snapshots(p, p->receiving, id, e)) == 0)
		r = delete_snapshots(p, p->kinds[RECEIVE_SNAPSHOT], id, e);
	return r < 0 ? r : delete_one(p, kind, id, e);
}
