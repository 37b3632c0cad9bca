#include "drivers/export/server.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/process_launch.h"
#include "base/text.h"
#include "drivers/export/server_scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define LOG_KEPT     65536
#define PID_FILE_MAX 256
/* After SIGKILL only a machine in trouble keeps a process. */
#define KILL_LIMIT 10.0

struct export_server {
	char *directory, *name;
	char *netns; /* NULL: ours */
	pid_t pid;   /* 0: none */
	int pidfd;
};

/* What a pid file says. */
struct identity {
	pid_t pid;
	unsigned long long start;
	char boot[40];
};

/* ---- the directory ---- */

static int make_one(const char *path, mode_t mode, struct error *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_errno(e, errno, "cannot make the directory %s", path);
	return 0;
}

/* Whoever can write here gives a server that is root its orders. */
static int check_private(const char *path, struct error *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return error_errno(e, errno, "cannot look at the directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, ERR_BACKEND_DOWN, ENOTDIR, "%s is no directory: move it out of the way", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(e, ERR_BACKEND_DOWN, EPERM,
				 "%s is not used, for others than the daemon's user may change it: remove it", path);
	return 0;
}

int export_server_make_directory(const char *path, struct error *e)
{
	char part[PATH_MAX];
	int r = 0;

	if (*path != '/' || strlen(path) >= sizeof(part))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "\"%s\" is no absolute path", path);
	for (const char *p = strchr(path + 1, '/'); p && r == 0; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		r = make_one(part, 0755, e);
	}
	if (r == 0)
		r = make_one(path, 0700, e);
	return r == 0 ? check_private(path, e) : r;
}

/* ---- the pid file ---- */

static int read_boot(char ret[40])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(ret, 40, f))
		return -ENOENT;
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static int write_identity(int dirfd, const char *name, const struct identity *id)
{
	_cleanup_free_ char *file = xasprintf("%s.pid", name);
	_cleanup_free_ char *text = xasprintf("%d %llu %s\n", (int)id->pid, id->start, id->boot);

	return path_write_file(dirfd, file, text, strlen(text), 0600);
}

static int read_identity(int dirfd, const char *name, struct identity *ret)
{
	_cleanup_free_ char *file = xasprintf("%s.pid", name);
	_cleanup_free_ char *text = NULL;
	int r;

	r = path_read_file(dirfd, file, PID_FILE_MAX, &text, NULL);
	if (r < 0)
		return r;
	*ret = (struct identity){ 0 };
	/* NOLINTNEXTLINE(cert-err34-c): what is no number names no process */
	if (sscanf(text, "%d %llu %39s", &ret->pid, &ret->start, ret->boot) != 3 || ret->pid <= 1)
		return -EINVAL;
	return 0;
}

/* A descriptor that stands for this very process, or -ESRCH. */
static int open_process(const struct identity *id)
{
	_cleanup_close_ int fd = -1;
	unsigned long long start;
	char boot[40];

	if (read_boot(boot) < 0 || strcmp(boot, id->boot) != 0)
		return -ESRCH;
	fd = pidfd_open(id->pid, 0);
	if (fd < 0)
		return -errno;
	/* Looked at after the descriptor was there: what has its number now and has not ended is what it stands for. */
	if (process_start_time(id->pid, &start) < 0 || start != id->start || process_has_ended(fd))
		return -ESRCH;
	return take_fd(fd);
}

/* ---- the server ---- */

struct export_server *export_server_new(const char *directory, const char *name)
{
	struct export_server *s = xcalloc(1, sizeof(*s));

	s->directory = xstrdup(directory);
	s->name = xstrdup(name);
	s->pidfd = -1;
	return s;
}

void export_server_free(struct export_server *s)
{
	if (!s)
		return;
	cleanup_close(&s->pidfd);
	free(s->directory);
	free(s->name);
	free(s->netns);
	free(s);
}

void export_server_live_in(struct export_server *s, const char *netns)
{
	free(s->netns);
	s->netns = xstrdup(netns);
}

int export_server_find_program(const char *name, const char *packages, char **ret, struct error *e)
{
	static const char *const places[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin",
					      "/sbin",           "/bin",           NULL };

	for (const char *const *place = places; *place; place++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", *place, name);

		if (access(path, X_OK) == 0) {
			*ret = take_ptr(path);
			return 0;
		}
	}
	return error_set(e, ERR_BACKEND_DOWN, ENOENT, "%s is not installed: apt-get install %s", name, packages);
}

static void forget(struct export_server *s)
{
	if (s->pidfd >= 0)
		close(take_fd(s->pidfd));
	s->pid = 0;
}

int export_server_take_over(struct export_server *s)
{
	_cleanup_close_ int dirfd = -1;
	struct identity id;
	int fd, r;

	if (export_server_is_alive(s))
		return 0;
	dirfd = path_open_root(s->directory);
	r = dirfd < 0 ? dirfd : read_identity(dirfd, s->name, &id);
	if (r < 0)
		return -ESRCH;
	fd = open_process(&id);
	if (fd < 0)
		return -ESRCH;
	s->pidfd = fd;
	s->pid = id.pid;
	return 0;
}

/* What the last one printed is kept once. */
static int open_log(int dirfd, const char *name)
{
	_cleanup_free_ char *file = xasprintf("%s.log", name);
	_cleanup_free_ char *old = xasprintf("%s.log.old", name);

	(void)renameat(dirfd, file, dirfd, old);
	return path_open(dirfd, file, O_WRONLY | O_APPEND | O_CREAT, 0600);
}

static int write_down(int dirfd, const char *name, pid_t pid)
{
	struct identity id = { .pid = pid };
	int r;

	r = process_start_time(pid, &id.start);
	if (r == 0)
		r = read_boot(id.boot);
	return r == 0 ? write_identity(dirfd, name, &id) : r;
}

int export_server_start(struct export_server *s, const char *const *argv, const char *const *env, struct error *e)
{
	struct process_launch l cleanup(process_launch_clear) = PROCESS_LAUNCH_INIT;
	_cleanup_close_ int dirfd = -1, log = -1, netns = -1;
	int r;

	if (export_server_take_over(s) == 0)
		return error_set(e, ERR_INTERNAL, EEXIST, "%s runs already, as process %d", s->name, (int)s->pid);
	dirfd = path_open_root(s->directory);
	if (dirfd < 0)
		return error_errno(e, -dirfd, "cannot open the directory %s", s->directory);
	log = open_log(dirfd, s->name);
	if (log < 0)
		return error_errno(e, -log, "cannot make %s/%s.log", s->directory, s->name);
	netns = s->netns ? open(s->netns, O_RDONLY | O_CLOEXEC) : -1;
	if (s->netns && netns < 0)
		return error_errno(e, errno, "cannot open the network namespace %s", s->netns);
	r = process_launch_hold_in(netns, argv, env, log, &l, e);
	if (r < 0)
		return r;
	r = write_down(dirfd, s->name, l.pid);
	if (r < 0)
		return error_errno(e, -r, "cannot write %s/%s.pid", s->directory, s->name);
	/* Else it goes on until our unit is stopped: better than not at all. */
	r = export_server_scope(s->name, l.pid);
	if (r < 0)
		log_warning(
			"the server %s gets no unit of its own, and so ends when the unit of sharesd is stopped: %s",
			s->name, strerror(-r));
	r = process_launch_go(&l, argv[0], e);
	if (r < 0)
		return r;
	s->pid = l.pid;
	s->pidfd = take_fd(l.pidfd);
	return 0;
}

bool export_server_is_alive(struct export_server *s)
{
	if (s->pid == 0)
		return false;
	if (!process_has_ended(s->pidfd))
		return true;
	forget(s);
	return false;
}

pid_t export_server_pid(const struct export_server *s)
{
	return s->pid;
}

/* Is this the namespace of that kind ("mnt", "net") that it lives in? */
static bool lives_in(const struct export_server *s, const char *kind, const char *wanted)
{
	struct stat is, its;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)s->pid, kind);
	return stat(wanted, &is) == 0 && stat(path, &its) == 0 && is.st_ino == its.st_ino;
}

bool export_server_is_in_place(const struct export_server *s)
{
	return lives_in(s, "mnt", "/proc/self/ns/mnt") && (!s->netns || lives_in(s, "net", s->netns));
}

static bool await_end(const struct export_server *s, double seconds)
{
	double deadline = text_monotonic() + seconds, left;
	struct pollfd fd = { .fd = s->pidfd, .events = POLLIN };

	while ((left = deadline - text_monotonic()) > 0)
		if (poll(&fd, 1, (int)(left * 1000) + 1) > 0)
			return true;
	return false;
}

bool export_server_stop(struct export_server *s, double seconds)
{
	if (!export_server_is_alive(s))
		return true;
	(void)pidfd_send_signal(s->pidfd, SIGTERM, NULL, 0);
	if (!await_end(s, seconds)) {
		/* It leads its group, which therefore is its own as long as it has not ended. */
		(void)kill(-s->pid, SIGKILL);
		(void)pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
		(void)await_end(s, KILL_LIMIT);
	}
	return !export_server_is_alive(s);
}

/* ---- the log ---- */

static char *log_end(const struct export_server *s)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.log", s->directory, s->name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text;
	size_t n;

	if (!f)
		return NULL;
	if (fseek(f, -LOG_KEPT, SEEK_END) < 0)
		(void)fseek(f, 0, SEEK_SET);
	text = xmalloc(LOG_KEPT + 1);
	n = fread(text, 1, LOG_KEPT, f);
	text[n] = '\0';
	text_fix_utf8(text);
	return text;
}

char *export_server_log_line(const struct export_server *s, const char *word)
{
	_cleanup_free_ char *text = log_end(s);
	char *found = NULL, *rest = text;

	for (char *line = text ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n"))
		if (*line != '\0' && (!word || strstr(line, word)))
			found = line;
	return xstrdup(found);
}
