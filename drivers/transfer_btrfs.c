#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/btrfs/btrfs_changed.h"
#include "drivers/btrfs/btrfs_volume.h"
#include "drivers/report.h"
#include "drivers/transfer.h"
#include "drivers/transfer_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 20 };

struct stream {
	const struct transfer *t;
	struct transfer_child send, receive;
	int from, to;    /* our ends of the pipes; `from` is -1 once all was moved, `to` once nobody reads */
	bool to_is_full; /* else `from` is empty */
	int signals;
	uint64_t bytes, total;
};

static void stream_clear(struct stream *s)
{
	transfer_child_end(&s->send);
	transfer_child_end(&s->receive);
	for (int *fd = (int[]){ s->from, s->to, s->signals, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
}
#define _cleanup_stream_ __attribute__((__cleanup__(stream_clear)))

static int start_send(struct stream *s, struct error *e)
{
	const char *argv[] = { "btrfs", "send", "-q", NULL, NULL, NULL, NULL };
	struct transfer_spec spec = { argv, "btrfs send", "btrfs-progs", -1, -1, -1, NULL, NULL };
	int ends[2], n = 3;
	int r;

	if (s->t->base) {
		argv[n++] = "-p";
		argv[n++] = s->t->base;
	}
	argv[n] = s->t->source;
	if ((r = transfer_pipe(ends, e)) < 0)
		return r;
	s->from = ends[0];
	spec.out = ends[1];
	r = transfer_child_start(&spec, &s->send, e);
	close(ends[1]);
	return r;
}

/* It would take a stream that breaks off between two commands for a whole one, and mark what it has as received. So it
 * holds the writing end of its own input: what it reads comes to no end but by the stream's own last command (-e). */
static int start_receive(struct stream *s, struct error *e)
{
	const char *argv[] = { "btrfs", "receive", "-q", "-e", s->t->target, NULL };
	struct transfer_spec here = { argv, "btrfs receive", "btrfs-progs", -1, -1, -1, NULL, NULL };
	struct transfer_spec there = { s->t->far, "ssh", "openssh-client", -1, -1, -1, NULL, NULL };
	struct transfer_spec spec = s->t->far ? there : here;
	int ends[2];
	int r;

	if ((r = transfer_pipe(ends, e)) < 0)
		return r;
	spec.in = ends[0];
	s->to = ends[1];
	if (!s->t->far)
		spec.keep = ends[1];
	r = transfer_child_start(&spec, &s->receive, e);
	close(ends[0]);
	return r;
}

/* Until nothing comes, or nothing goes. */
static int move(struct stream *s, struct error *e)
{
	ssize_t n;

	while (s->from >= 0 && s->to >= 0) {
		n = splice(s->from, NULL, s->to, NULL, CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n == 0) {
			close(take_fd(s->from));
		} else if (n > 0) {
			s->bytes += (uint64_t)n;
			report_progress_of(s->bytes, s->total);
		} else if (errno == EPIPE) {
			close(take_fd(s->to)); /* it is ending, and will say why */
		} else if (errno == EAGAIN) {
			s->to_is_full = poll(&(struct pollfd){ .fd = s->from, .events = POLLIN }, 1, 0) > 0;
			return 0;
		} else if (errno != EINTR) {
			return error_errno(e, errno, "cannot move what btrfs send gives");
		}
	}
	return 0;
}

static void wait_for_more(const struct stream *s)
{
	bool moving = s->from >= 0 && s->to >= 0;
	struct pollfd fds[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->send.err, .events = POLLIN },
		{ .fd = s->send.pidfd, .events = POLLIN },
		{ .fd = s->receive.err, .events = POLLIN },
		{ .fd = s->receive.pidfd, .events = POLLIN },
		{ .fd = moving && !s->to_is_full ? s->from : -1, .events = POLLIN },
		{ .fd = moving && s->to_is_full ? s->to : -1, .events = POLLOUT },
	};

	poll(fds, sizeof fds / sizeof *fds, -1);
}

/* 1 at the end of both. What receive says comes first: send fails where nobody takes what it gives. */
static int look(struct stream *s, struct error *e)
{
	transfer_child_listen(&s->send);
	transfer_child_listen(&s->receive);
	if (s->receive.pid == 0 && !transfer_child_is_good(&s->receive))
		return transfer_child_error(&s->receive, e);
	if (s->send.pid == 0 && !transfer_child_is_good(&s->send))
		return transfer_child_error(&s->send, e);
	/* Only a stream that is whole is ended for the other host, which looks for its last command. */
	if (s->t->far && s->send.pid == 0 && s->from < 0 && s->to >= 0)
		close(take_fd(s->to));
	return s->send.pid == 0 && s->receive.pid == 0;
}

static int carry(const struct transfer *t, struct transfer_result *ret, struct error *e)
{
	_cleanup_stream_ struct stream s = {
		t, TRANSFER_CHILD_INIT, TRANSFER_CHILD_INIT, .from = -1, .to = -1, .signals = -1,
	};
	int r;

	if ((s.signals = transfer_signals(e)) < 0)
		return s.signals;
	if ((r = start_receive(&s, e)) < 0 || (r = start_send(&s, e)) < 0)
		return r;
	s.total = t->base ? btrfs_changed_bytes(t->source, t->base) : t->total_bytes;
	while ((r = transfer_interrupted(s.signals, e)) == 0 && (r = move(&s, e)) == 0 && (r = look(&s, e)) == 0)
		wait_for_more(&s);
	if (r == 1)
		*ret = (struct transfer_result){ .sent_bytes = s.bytes };
	return r < 0 ? r : 0;
}

static bool is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int receive_here(const struct transfer *t, struct transfer_result *ret, struct error *e)
{
	_cleanup_close_ int target = path_open_root(t->target);
	const char *name = strrchr(t->source, '/') + 1;
	int r;

	if (target < 0)
		return error_errno(e, -target, "cannot open %s", t->target);
	/* Else what is removed on failure might not be ours. */
	if (is_there(target, name))
		return error_set(e, ERR_DRIVER_FAILED, EEXIST, "%s/%s is there already: remove it first", t->target,
				 name);
	r = carry(t, ret, e);
	if (r == 0)
		r = btrfs_volume_flush_received(target, name, e);
	if (r < 0 && is_there(target, name))
		(void)btrfs_volume_remove_at(target, name, NULL);
	return r;
}

int transfer_btrfs(const struct transfer *t, struct transfer_result *ret, struct error *e)
{
	return t->far ? carry(t, ret, e) : receive_here(t, ret, e);
}
