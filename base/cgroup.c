#include "base/cgroup.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* Each daemon has one group for all it makes, and holds a lock on it: one that nobody holds was left behind. */
#define OURS     "sharesd-hooks."
#define MAX_DEEP 8

/* At setup, seconds. */
#define LEFT_OVER_LIMIT 5.0

struct cgroup {
	int fd;
	char *path;
};

static char *base_path; /* of our own group; NULL: there are none */
static int base_lock = -1;
static atomic_uint made;
static atomic_bool holds;

/* ---- one group ---- */

static struct cgroup *open_group(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cgroup *g;

	if (fd < 0)
		return NULL;
	g = xmalloc(sizeof(*g));
	*g = (struct cgroup){ .fd = fd, .path = xstrdup(path) };
	return g;
}

static bool populated(int events)
{
	char text[256];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "populated 1") != NULL;
}

static void order_kill(const struct cgroup *g)
{
	_cleanup_close_ int fd = openat(g->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

static void kill_group(const struct cgroup *g, double seconds)
{
	double deadline = text_monotonic() + seconds;
	_cleanup_close_ int events = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int pause = 1;

	/* Anew each time, for somebody may be put into the group at any moment. */
	while (events >= 0 && populated(events) && text_monotonic() < deadline) {
		order_kill(g);
		(void)poll(&(struct pollfd){ .fd = events, .events = POLLPRI }, 1, pause);
		pause = pause < 50 ? pause * 2 : pause;
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type == FTW_DP)
		(void)rmdir(path);
	return 0;
}

struct cgroup *cgroup_make(void)
{
	_cleanup_free_ char *path = NULL;
	struct cgroup *g = NULL;

	if (!base_path)
		return NULL;
	path = xasprintf("%s/%u", base_path, atomic_fetch_add(&made, 1));
	if (mkdir(path, 0755) == 0) {
		g = open_group(path);
		if (!g)
			(void)rmdir(path);
	}
	atomic_store(&holds, g != NULL);
	return g;
}

int cgroup_fd(const struct cgroup *g)
{
	return g->fd;
}

void cgroup_end(struct cgroup *g, double seconds)
{
	if (!g)
		return;
	/* As a rule nobody is in it and it has no groups below. */
	if (rmdir(g->path) < 0) {
		kill_group(g, seconds);
		(void)nftw(g->path, remove_one, MAX_DEEP, FTW_DEPTH | FTW_PHYS);
	}
	cleanup_close(&g->fd);
	free(g->path);
	free(g);
}

bool cgroup_holds(void)
{
	return atomic_load(&holds);
}

/* ---- where we are ---- */

/* What follows `prefix` in the first line of the file that begins with it, or NULL. */
static char *find_line(const char *file, const char *prefix)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, prefix, strlen(prefix)) == 0)
			return xstrdup(line + strlen(prefix));
	}
	return NULL;
}

/* Where control groups v2 are mounted, as a whole; NULL: nowhere. */
static char *find_mount(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char root[8], point[256];

		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %7s %255s", root, point) == 2 &&
		    strcmp(root, "/") == 0)
			return xstrdup(point);
	}
	return NULL;
}

static bool is_delegated(const char *path)
{
	char value[2] = "";

	return getxattr(path, "user.delegate", value, sizeof(value)) == 1 && value[0] == '1';
}

/* The directory of the group that we are in, where that is delegated to us; else NULL. */
static char *find_own(void)
{
	_cleanup_free_ char *mount = find_mount();
	_cleanup_free_ char *below = find_line("/proc/self/cgroup", "0::");
	_cleanup_free_ char *path = NULL;

	if (!mount || !below)
		return NULL;
	path = xasprintf("%s%s", mount, below);
	return is_delegated(path) ? take_ptr(path) : NULL;
}

/* ---- setup ---- */

/* -1: it is gone, or somebody holds it. */
static int lock_group(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return take_fd(fd);
}

static void remove_left_over(const char *path)
{
	_cleanup_close_ int lock = lock_group(path);

	if (lock >= 0)
		cgroup_end(open_group(path), LEFT_OVER_LIMIT);
}

static void remove_left_overs(const char *own)
{
	_cleanup_closedir_ DIR *d = opendir(own);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", own, entry->d_name);

		if (strncmp(entry->d_name, OURS, strlen(OURS)) == 0)
			remove_left_over(path);
	}
}

/* All that later runs need is tried once, as far as it can be without a process. */
static int try_out(const char *own, struct error *e)
{
	struct cgroup *g;
	int r = 0;

	base_path = xasprintf("%s/" OURS "%d", own, (int)getpid());
	if (mkdir(base_path, 0755) < 0)
		return error_errno(e, errno, "cannot make the control group %s", base_path);
	base_lock = lock_group(base_path);
	g = base_lock < 0 ? NULL : cgroup_make();
	if (!g)
		return error_errno(e, errno, "cannot use the control group %s", base_path);
	/* Linux 5.14 */
	if (faccessat(g->fd, "cgroup.kill", W_OK, AT_EACCESS) < 0)
		r = error_errno(e, errno, "cannot kill by the control group %s", g->path);
	cgroup_end(g, 0);
	return r;
}

int cgroup_setup(struct error *e)
{
	_cleanup_free_ char *own = find_own();
	int r;

	if (!own)
		return -ENOENT;
	remove_left_overs(own);
	r = try_out(own, e);
	if (r < 0)
		cgroup_setup_end();
	return r;
}

void cgroup_setup_end(void)
{
	if (base_path)
		(void)rmdir(base_path);
	free(base_path);
	base_path = NULL;
	cleanup_close(&base_lock);
	atomic_store(&holds, false);
}
