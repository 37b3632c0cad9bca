#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "drivers/report.h"
#include "drivers/transfer.h"
#include "drivers/transfer_child.h"
#include "drivers/transfer_confine.h"
#include "drivers/tree_flush.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SENT "sent "

enum { LINE_BYTES = 512, PARTIAL = 23, VANISHED = 24, ATTEMPTS = 5 };

struct run {
	const struct transfer *t;
	int source;
	bool dry; /* looks only whether something differs from the base */
	struct transfer_child rsync;
	int out; /* -1 at its end */
	int signals;
	char line[LINE_BYTES];
	size_t len;
	uint64_t sent;
	bool differs, shrunk;
};

static void run_clear(struct run *r)
{
	transfer_child_end(&r->rsync);
	if (r->out >= 0)
		close(r->out);
	if (r->signals >= 0)
		close(r->signals);
}
#define _cleanup_run_ __attribute__((__cleanup__(run_clear)))

/* Files are replaced by a rename, so that who reads one has the old or the new one whole. Owners, devices and
 * attributes that we may not give are errors, even where we are not root (--super). Two times are equal to the
 * nanosecond
 * (--modify-window), as a file may change twice a second. */
static int start(struct run *r, struct error *e)
{
	const char *argv[16] = { "rsync",    "-aHAXSx",   "--super", "--numeric-ids", "--modify-window=-1",
				 "--delete", "--outbuf=N" };
	struct transfer_tree trees[] = {
		{ r->source, NULL, false },
		{ -1, r->dry ? r->t->base : r->t->target, true },
		{ -1, r->dry ? NULL : r->t->base, true },
		{ -1, NULL, false },
	};
	struct transfer_spec spec = { argv, "rsync", "rsync", -1, -1, r->source, transfer_confine, trees };
	_cleanup_free_ char *base = r->t->base ? xasprintf("--link-dest=%s", r->t->base) : NULL;
	_cleanup_free_ char *source = xasprintf("/proc/self/fd/%d/", r->source);
	_cleanup_free_ char *target = xasprintf("%s/", r->dry ? r->t->base : r->t->target);
	int ends[2], n = 7, ret;

	argv[n++] = r->dry ? "-ni" : "--info=progress2,stats1";
	argv[n++] = "--no-human-readable";
	if (base && !r->dry)
		argv[n++] = base;
	argv[n++] = "--";
	argv[n++] = source;
	argv[n] = target;
	if ((ret = transfer_pipe(ends, e)) < 0)
		return ret;
	r->out = ends[0];
	(void)fcntl(r->out, F_SETFL, O_NONBLOCK);
	spec.out = ends[1];
	ret = transfer_child_start(&spec, &r->rsync, e);
	close(ends[1]);
	return ret;
}

/* "   1234567  12%    1.23MB/s    0:00:01 (xfr#1, to-chk=1/3)", and last "sent 123 bytes  received 45 bytes  ..". */
static void take_line(struct run *r)
{
	unsigned long long n;
	const char *number;
	char *end;

	r->line[r->len] = '\0';
	r->len = 0;
	number = text_starts_with(r->line, SENT) ? r->line + strlen(SENT) : r->line;
	n = strtoull(number, &end, 10);
	if (number != r->line)
		r->sent = n;
	else if (end != r->line && *end == ' ' && strchr(end, '%'))
		report_progress_of(n, r->t->total_bytes);
}

static void take_output(struct run *r)
{
	char data[4096];
	ssize_t n;

	while (r->out >= 0 && (n = read(r->out, data, sizeof data)) != -1) {
		if (n == 0)
			close(take_fd(r->out));
		r->differs |= n > 0;
		for (ssize_t i = 0; i < n; i++)
			if (data[i] == '\r' || data[i] == '\n')
				take_line(r);
			else if (r->len < sizeof r->line - 1)
				r->line[r->len++] = data[i];
	}
}

/* To its end, or as soon as something differs. */
static int follow(struct run *r, struct error *e)
{
	int n;

	while (transfer_child_listen(&r->rsync), r->rsync.pid > 0) {
		struct pollfd fds[] = {
			{ .fd = r->signals, .events = POLLIN },
			{ .fd = r->out, .events = POLLIN },
			{ .fd = r->rsync.err, .events = POLLIN },
			{ .fd = r->rsync.pidfd, .events = POLLIN },
		};

		if ((n = transfer_interrupted(r->signals, e)) < 0)
			return n;
		take_output(r);
		if (r->dry && r->differs)
			return 0;
		poll(fds, sizeof fds / sizeof *fds, -1);
	}
	take_output(r);
	/* Another look finds the file as it is by then. */
	r->shrunk = WIFEXITED(r->rsync.status) && WEXITSTATUS(r->rsync.status) == PARTIAL &&
		    strstr(r->rsync.errors, "read errors mapping");
	/* What vanishes while it is read was removed by its owner. */
	if (WIFEXITED(r->rsync.status) && WEXITSTATUS(r->rsync.status) == VANISHED)
		r->differs = true;
	else if (!transfer_child_is_good(&r->rsync))
		return transfer_child_error(&r->rsync, e);
	return 0;
}

/* 1: a file became shorter while it was read; why is in `e`. */
static int run(const struct transfer *t, int source, bool dry, struct transfer_result *ret, struct error *e)
{
	_cleanup_run_ struct run r = {
		.t = t,
		.source = source,
		.dry = dry,
		.rsync = TRANSFER_CHILD_INIT,
		.out = -1,
		.signals = -1,
	};
	int n;

	if ((r.signals = transfer_signals(e)) < 0)
		return r.signals;
	if ((n = start(&r, e)) < 0 || ((n = follow(&r, e)) < 0 && !r.shrunk))
		return n;
	ret->sent_bytes += r.sent;
	ret->same = dry && !r.differs && !r.shrunk;
	return r.shrunk;
}

static int copy(const struct transfer *t, int source, struct transfer_result *ret, struct error *e)
{
	int n = 1;

	for (int i = 0; n == 1 && i < ATTEMPTS; i++) {
		error_clear(e);
		n = run(t, source, false, ret, e);
	}
	return n == 1 ? -e->err : n;
}

/* By its descriptor it stays the one that was looked at, whoever renames what above it. */
static int open_source(const struct transfer *t, struct error *e)
{
	_cleanup_close_ int fd = path_open_root(t->source);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, fd < 0 ? -fd : errno, "cannot open the source %s", t->source);
	if (t->inode && st.st_ino != t->inode)
		return error_set(e, ERR_DRIVER_FAILED, ESTALE, "%s was replaced by another directory: try again",
				 t->source);
	return take_fd(fd);
}

int transfer_rsync(const struct transfer *t, struct transfer_result *ret, struct error *e)
{
	_cleanup_close_ int source = open_source(t, e);
	struct timespec begun;
	int fd, r;

	if (source < 0)
		return source;
	if (t->base && ((r = run(t, source, true, ret, e)) < 0 || ret->same))
		return r;
	if (mkdir(t->target, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "cannot make %s", t->target);
	clock_gettime(CLOCK_REALTIME, &begun);
	ret->sent_bytes = 0;
	if ((r = copy(t, source, ret, e)) < 0)
		return r;
	fd = path_open_root(t->target);
	return fd < 0 ? error_errno(e, -fd, "cannot open %s", t->target) : tree_flush(fd, &begun, e);
}
