#include "client/connection.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* No answer of sharesd comes near: a page has 1000 entries at most. Guards against a wrong server behind the socket. */
#define MAX_LINE  ((size_t)64 << 20)
#define MAX_DEPTH 256
#define READ_SIZE ((size_t)65536)

struct connection {
	int fd;
	char *path;
	char *buffer; /* what was received and not yet taken */
	size_t length, space;
	size_t searched; /* so far there is no end of line in the buffer */
	size_t taken;    /* bytes of the last line, to be dropped before the next one */
	json_int_t last_id;
	bool lost; /* closed by the other side before an answer */
};

static int connect_failure(const char *path, int err, struct failure *f)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
		return failure_set(f, CTL_NO_DAEMON,
				   "no sharesd answers on %s: is the service running? (systemctl status sharesd)",
				   path);
	case EACCES:
	case EPERM:
		return failure_set(f, CTL_NO_DAEMON,
				   "you may not connect to %s: its mode (socket_mode in sharesd.conf) or that of its "
				   "directory does not let you, so ask who runs sharesd",
				   path);
	case EAGAIN:
		return failure_set(f, CTL_NO_DAEMON,
				   "sharesd did not take the connection to %s in time: is the service well? "
				   "(systemctl status sharesd)",
				   path);
	default:
		return failure_set(f, CTL_NO_DAEMON, "cannot connect to sharesd on %s: %s (systemctl status sharesd)",
				   path, strerror(err));
	}
}

/* A connect or send that waits for the daemon ends at the deadline. */
static void limit_sending(int fd, double deadline)
{
	double left = deadline > 0 ? deadline - text_monotonic() : 0;
	struct timeval limit = { 0 }; /* no limit */

	if (deadline > 0 && left < 0.001)
		left = 0.001;
	limit.tv_sec = (time_t)left;
	limit.tv_usec = (suseconds_t)((left - (double)limit.tv_sec) * 1e6);
	/* Where it fails sending merely waits longer. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int connection_open(const char *path, double deadline, struct connection **ret, struct failure *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	struct connection *conn;

	if (!*path || strlen(path) >= sizeof address.sun_path)
		return failure_set(f, CTL_USAGE, "the path of a socket has 1 to %zu characters: \"%s\" has not",
				   sizeof address.sun_path - 1, path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failure_set(f, CTL_INTERNAL, "cannot make a socket: %s", strerror(errno));
	limit_sending(fd, deadline);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return connect_failure(path, errno, f);
	conn = xcalloc(1, sizeof *conn);
	conn->fd = take_fd(fd);
	conn->path = xstrdup(path);
	*ret = conn;
	return 0;
}

void connection_close(struct connection *conn)
{
	if (!conn)
		return;
	close(conn->fd);
	free(conn->path);
	free(conn->buffer);
	free(conn);
}

/* Sends `len` bytes; how many went out is in `*ret_sent`, on failure too. */
static int send_all(struct connection *conn, const char *text, size_t len, size_t *ret_sent)
{
	*ret_sent = 0;
	while (*ret_sent < len) {
		ssize_t n = send(conn->fd, text + *ret_sent, len - *ret_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		*ret_sent += (size_t)n;
	}
	return 0;
}

/* Milliseconds until `next` (0: never), rounded up so that poll does not spin. */
static int until(double next)
{
	double left = next - text_monotonic();

	if (next <= 0)
		return -1;
	if (left <= 0)
		return 0;
	return left > 3600 ? 3600000 : (int)(left * 1000.0) + 1;
}

/* Waits for input, ticking. -ETIMEDOUT at the deadline. */
static int wait_readable(struct connection *conn, const struct waiting *w, double *next_tick)
{
	for (;;) {
		struct pollfd p = { .fd = conn->fd, .events = POLLIN };
		bool ticks = w && w->tick;
		double deadline = w ? w->deadline : 0, next = deadline, now;
		int n;

		/* Looked at first: a server that drips would else never come to its deadline. */
		if (deadline > 0 && text_monotonic() >= deadline)
			return -ETIMEDOUT;
		if (ticks && (next <= 0 || *next_tick < next))
			next = *next_tick;
		n = poll(&p, 1, until(next));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		now = text_monotonic();
		if (ticks && now >= *next_tick) {
			w->tick(w->data);
			*next_tick = text_monotonic() + w->tick_every;
		}
	}
}

static void drop_taken(struct connection *conn)
{
	if (!conn->taken)
		return;
	memmove(conn->buffer, conn->buffer + conn->taken, conn->length - conn->taken);
	conn->length -= conn->taken;
	conn->taken = 0;
	conn->searched = 0;
}

/* The next line, borrowed until the next call. -ECONNRESET: closed before its end; -EMSGSIZE: too long. */
static int receive_line(struct connection *conn, const struct waiting *w, const char **ret, size_t *ret_len)
{
	double next_tick = w && w->tick ? text_monotonic() + w->first_tick : 0;
	int r;

	drop_taken(conn);
	for (;;) {
		char *end =
			memchr(conn->buffer ? conn->buffer + conn->searched : "", '\n', conn->length - conn->searched);
		ssize_t n;

		if (end) {
			*ret = conn->buffer;
			*ret_len = (size_t)(end - conn->buffer);
			conn->taken = *ret_len + 1;
			return 0;
		}
		conn->searched = conn->length;
		if (conn->length > MAX_LINE)
			return -EMSGSIZE;
		if (conn->space - conn->length < READ_SIZE) {
			conn->space = conn->space ? conn->space * 2 : 2 * READ_SIZE;
			conn->buffer = xrealloc(conn->buffer, conn->space);
		}
		if ((r = wait_readable(conn, w, &next_tick)) < 0)
			return r;
		n = read(conn->fd, conn->buffer + conn->length, conn->space - conn->length);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -ECONNRESET;
		conn->length += (size_t)n;
	}
}

static int not_sharesd(const struct connection *conn, struct failure *f)
{
	return failure_set(f, CTL_UNKNOWN,
			   "what answers on %s does not speak like sharesd: check --socket and SHARESD_SOCKET",
			   conn->path);
}

/* The next message, notifications included: new reference. */
static int receive(struct connection *conn, const struct waiting *w, json_t **ret, struct failure *f)
{
	const char *line = NULL;
	size_t len = 0;
	int r = receive_line(conn, w, &line, &len);

	if (r == -ETIMEDOUT)
		return failure_set(f, CTL_UNKNOWN, "sharesd did not answer in time");
	if (r == -EMSGSIZE)
		return not_sharesd(conn, f);
	conn->lost = r < 0;
	if (r < 0)
		return failure_set(f, CTL_UNKNOWN, "sharesd closed the connection before it answered");
	r = jsonx_parse(line, len, MAX_DEPTH, ret, NULL);
	if (r == 0 && !json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		r = -EPROTO;
	}
	return r < 0 ? not_sharesd(conn, f) : 0;
}

/* An answer without an id is to what the daemon could not read, or to the connection itself: there is one request, so
 * it is meant. */
static bool is_answer(const struct connection *conn, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	return json_is_null(id) || (json_is_integer(id) && json_integer_value(id) == conn->last_id);
}

static int receive_answer(struct connection *conn, const struct waiting *w, json_t **ret, struct failure *f)
{
	for (;;) {
		_cleanup_json_ json_t *message = NULL;
		json_t *error, *result;
		int r = receive(conn, w, &message, f);

		if (r < 0)
			return r;
		if (json_object_get(message, "method"))
			continue;
		error = jsonx_get(message, "error");
		result = json_object_get(message, "result");
		if (!is_answer(conn, message) || !(error || result))
			return not_sharesd(conn, f);
		if (error)
			return failure_set_error(f, error);
		*ret = json_incref(result);
		return 0;
	}
}

/* The request did not go out whole. Where but its line end is missing the daemon may still take it. */
static int send_failure(struct connection *conn, const struct waiting *w, int err, bool unfinished, json_t **ret,
			struct failure *f)
{
	int r;

	if (err == EAGAIN && unfinished)
		return failure_set(f, CTL_NO_DAEMON, "sharesd did not take the request in time, so nothing was done");
	/* It hangs up without reading on who may not call it, but says so first. */
	r = receive_answer(conn, w, ret, f);
	if (r < 0 && f->exit_code == CTL_UNKNOWN && unfinished) {
		failure_clear(f);
		return failure_set(f, CTL_NO_DAEMON,
				   "sharesd hung up before it had the whole request, so nothing was done: try again");
	}
	return r;
}

int connection_call(struct connection *conn, const char *method, json_t *params, const struct waiting *w, json_t **ret,
		    struct failure *f)
{
	_cleanup_json_ json_t *request =
		jsonx_pack("{s:s,s:I,s:o}", "jsonrpc", "2.0", "id", ++conn->last_id, "method", jsonx_string(method));
	_cleanup_free_ char *text = NULL, *line = NULL;
	size_t sent;
	int r;

	if (params)
		json_object_set(request, "params", params);
	text = jsonx_dump(request);
	line = xasprintf("%s\n", text);
	limit_sending(conn->fd, w ? w->deadline : 0);
	r = send_all(conn, line, strlen(line), &sent);
	if (r < 0)
		return send_failure(conn, w, -r, sent + 1 < strlen(line), ret, f);
	return receive_answer(conn, w, ret, f);
}

bool connection_is_lost(const struct connection *conn)
{
	return conn->lost;
}

int connection_next_event(struct connection *conn, json_t **ret, struct failure *f)
{
	for (;;) {
		_cleanup_json_ json_t *message = NULL;
		json_t *error, *params;
		int r = receive(conn, NULL, &message, f);

		if (r < 0)
			return r;
		error = jsonx_get(message, "error");
		if (error)
			return failure_set_error(f, error);
		params = jsonx_get(message, "params");
		if (!params)
			continue;
		*ret = json_incref(params);
		return 0;
	}
}
