#include "tests/bench/bench_place.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROCESSES = 32 };

static char dir[4096], memory_dir[64];
static pid_t processes[MAX_PROCESSES];

struct wire {
	int fd;
	char buf[1 << 20];
	size_t start, end;
};

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	va_end(ap);
	exit(EXIT_FAILURE);
}

/* ---- files ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

static void clean_up(void)
{
	for (size_t i = 0; i < MAX_PROCESSES; i++) {
		if (processes[i] <= 0)
			continue;
		kill(processes[i], SIGKILL);
		waitpid(processes[i], NULL, 0);
	}
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (*memory_dir)
		nftw(memory_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void place_open(const char *parent)
{
	_cleanup_free_ char *real = realpath(parent, NULL);

	if (!real)
		give_up("%s: %s", parent, strerror(errno));
	snprintf(dir, sizeof dir, "%s/bench.XXXXXX", real);
	if (!mkdtemp(dir))
		give_up("cannot make a directory in %s: %s", parent, strerror(errno));
	atexit(clean_up);
}

const char *place_path(const char *fmt, ...)
{
	static char ring[8][8192];
	static size_t next;
	char *s = ring[next++ % 8];
	va_list ap;
	int n = snprintf(s, sizeof *ring, "%s/", dir);

	va_start(ap, fmt);
	vsnprintf(s + n, sizeof *ring - (size_t)n, fmt, ap);
	va_end(ap);
	return s;
}

const char *place_in_memory(void)
{
	if (!*memory_dir) {
		strcpy(memory_dir, "/dev/shm/bench.XXXXXX");
		if (!mkdtemp(memory_dir))
			give_up("cannot make a directory in /dev/shm: %s", strerror(errno));
	}
	return memory_dir;
}

void place_write(const char *name, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(place_path("%s", name), "we");

	if (!f || fputs(text, f) < 0)
		give_up("cannot write %s: %s", place_path("%s", name), strerror(errno));
	fchmod(fileno(f), 0600);
}

const char *place_copy(const char *from)
{
	const char *slash = strrchr(from, '/'), *to = place_path("%s", slash ? slash + 1 : from);
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	char chunk[65536];
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, chunk, sizeof chunk)) > 0)
		if (write(out, chunk, (size_t)n) != n)
			give_up("cannot write %s: %s", to, strerror(errno));
	if (n < 0 || fchmod(out, 0755) < 0)
		give_up("cannot copy %s to %s: %s", from, to, strerror(errno));
	return to;
}

/* ---- processes ---- */

pid_t start(const char *name, const char *const *argv)
{
	size_t slot = 0;
	int log = open(place_path("%s.log", name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t pid;

	while (slot < MAX_PROCESSES && processes[slot] > 0)
		slot++;
	if (log < 0 || slot == MAX_PROCESSES || (pid = fork()) < 0)
		give_up("cannot start %s: %s", argv[0], strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, 1);
		dup2(log, 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(log);
	processes[slot] = pid;
	return pid;
}

static void forget_process(pid_t pid)
{
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (processes[i] == pid)
			processes[i] = 0;
}

void end_at_once(pid_t pid)
{
	forget_process(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void stop(pid_t pid)
{
	int status = -1;

	forget_process(pid);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	if (status != 0)
		give_up("a daemon did not stop as it should: wait status %d", status);
}

long memory_of(pid_t pid, const char *what)
{
	char path[64], line[256];
	size_t len = strlen(what);
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, what, len) == 0 && line[len] == ':')
			return strtol(line + len + 1, NULL, 10);
	give_up("%s has no %s", path, what);
}

/* ---- connections ---- */

struct wire *wire_open(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct wire *w = calloc(1, sizeof *w);
	double end = seconds() + 20;

	if (!w || strlen(path) >= sizeof sa.sun_path)
		give_up("the path %s is too long for a socket: run it in a directory with a shorter path", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (connect(w->fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		if (seconds() > end)
			give_up("nobody listens on %s: %s", path, strerror(errno));
		usleep(10000);
	}
	return w;
}

void wire_close(struct wire *w)
{
	close(w->fd);
	free(w);
}

void wire_send(struct wire *w, const char *line, size_t len)
{
	while (len) {
		ssize_t n = send(w->fd, line, len, MSG_NOSIGNAL);

		if (n < 0)
			give_up("cannot send: %s", strerror(errno));
		line += n;
		len -= (size_t)n;
	}
}

const char *wire_receive(struct wire *w)
{
	size_t seen = w->start;

	for (;;) {
		char *end = memchr(w->buf + seen, '\n', w->end - seen), *line = w->buf + w->start;
		ssize_t n;

		if (end) {
			*end = '\0';
			w->start = (size_t)(end - w->buf) + 1;
			return line;
		}
		memmove(w->buf, line, w->end - w->start);
		w->end -= w->start;
		w->start = 0;
		seen = w->end;
		n = recv(w->fd, w->buf + w->end, sizeof w->buf - w->end, 0);
		if (n <= 0)
			give_up("the connection ended: %s", n < 0 ? strerror(errno) : "nothing more came");
		w->end += (size_t)n;
	}
}

const char *wire_ask(struct wire *w, const char *line, size_t len)
{
	const char *answer;

	wire_send(w, line, len);
	answer = wire_receive(w);
	if (!strstr(answer, "\"result\":"))
		give_up("%s was answered by %s", line, answer);
	return answer;
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(const double *values, size_t n)
{
	_cleanup_free_ double *sorted = calloc(n, sizeof *sorted);

	if (!sorted)
		give_up("out of memory");
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare);
	return sorted[n / 2];
}
