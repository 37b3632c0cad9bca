#include "daemon/server.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/lock.h"
#include "daemon/reply.h"
#include "daemon/submit.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* A client that does not read what it asked for is not read from either, past this. */
#define READ_PAUSE_BYTES (256 * 1024)
#define LISTENERS_MAX    8
/* More than a call with its hooks and helpers takes. */
#define DESCRIPTORS_KEPT 64

struct conn {
	struct conn *next;
	struct server *server;
	uint64_t id;
	struct bufferevent *bev;
	struct event *line_timer;
	struct requester who;
	enum role role;
	bool below_us;
	bool skipping;  /* the rest of a line that was too long */
	bool eof;       /* the client sends no more */
	bool dead;      /* to be freed when the stack is unwound */
	int busy;       /* how deep inside our own code for this connection */
	size_t scanned; /* bytes of the input that hold no end of line */
	struct pending *pending;
	struct subscription *subscription;
	double last_read; /* when output was last taken, or began to wait */
};

struct server {
	struct service *service;
	const struct server_users *users;
	struct event *listeners[LISTENERS_MAX];
	int fds[LISTENERS_MAX];
	struct event *resume;
	int n_fds;
	int lock;
	char *path; /* unlinked at the end; NULL when the service manager made the socket */
	struct conn *conns;
	size_t n_conns;
	uint64_t last_id;
	size_t max_line, max_unsent, max_conns, max_conns_per_user;
	struct timeval line_timeout;
};

uint64_t conn_id(const struct conn *c)
{
	return c->id;
}

const struct requester *conn_who(const struct conn *c)
{
	return &c->who;
}

enum role conn_role(const struct conn *c)
{
	return c->role;
}

bool conn_is_below_us(const struct conn *c)
{
	return c->below_us;
}

struct pending **conn_pending(struct conn *c)
{
	return &c->pending;
}

size_t server_connections(const struct server *sv)
{
	return sv->n_conns;
}

struct conn *server_find(struct server *sv, uint64_t id)
{
	for (struct conn *c = sv ? sv->conns : NULL; c; c = c->next)
		if (c->id == id && !c->dead)
			return c;
	return NULL;
}

/* ---- the end of a connection ---- */

static void conn_destroy(struct conn *c)
{
	c->server->users->gone(c);
	if (c->line_timer)
		event_free(c->line_timer);
	bufferevent_free(c->bev);
	requester_clear(&c->who);
	free(c);
}

static void conn_free(struct conn *c)
{
	struct conn **p = &c->server->conns;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->server->n_conns--;
	conn_destroy(c);
}

static void conn_drop(struct conn *c)
{
	c->dead = true;
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	if (!c->busy)
		conn_free(c);
}

void conn_enter(struct conn *c)
{
	c->busy++;
}

void conn_leave(struct conn *c)
{
	if (--c->busy > 0)
		return;
	if (c->dead)
		conn_free(c);
	else
		conn_answered(c);
}

/* All that a half-closed client sent is done and answered, then we close too. */
static bool is_done(const struct conn *c)
{
	/* A subscriber that sends no more still listens. */
	return c->eof && !c->pending && !c->subscription && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0 &&
	       evbuffer_get_length(bufferevent_get_input(c->bev)) == 0;
}

void conn_answered(struct conn *c)
{
	if (!c->dead && is_done(c))
		conn_drop(c);
}

/* ---- sending ---- */

void conn_drop_slow(struct conn *c, const char *why)
{
	log_kind(LOG_LEVEL_WARNING, LOG_KIND_CLIENT_DROPPED, "connection of uid %u, pid %d closed: %s",
		 (unsigned)c->who.uid, (int)c->who.pid, why);
	service_event(
		c->server->service, "client.dropped",
		jsonx_pack("{s:I,s:i,s:s}", "uid", (json_int_t)c->who.uid, "pid", (int)c->who.pid, "reason", why));
	conn_drop(c);
}

/* After its half of the stream has ended nothing is read any more, so nobody is told of the end of the other half. */
bool conn_drop_if_gone(struct conn *c)
{
	struct pollfd p = { .fd = bufferevent_getfd(c->bev) };

	if (!c->eof || c->dead || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)))
		return false;
	conn_drop(c);
	return true;
}

struct subscription **conn_subscription(struct conn *c)
{
	return &c->subscription;
}

bool conn_takes_more(const struct conn *c)
{
	return !c->dead && evbuffer_get_length(bufferevent_get_output(c->bev)) <= READ_PAUSE_BYTES;
}

double conn_stuck_seconds(const struct conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev)) ? text_monotonic() - c->last_read : 0;
}

struct conn *server_next(struct server *sv, struct conn *c)
{
	for (c = c ? c->next : sv->conns; c && c->dead; c = c->next)
		;
	return c;
}

static void note_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	(void)out;
	if (info->n_deleted || info->orig_size == 0)
		c->last_read = text_monotonic();
}

static void does_not_read(struct conn *c, size_t unsent)
{
	_cleanup_free_ char *why = xasprintf("it left %zu bytes of answers unread (max_unsent_bytes)", unsent);

	conn_drop_slow(c, why);
}

void conn_send(struct conn *c, const json_t *j)
{
	struct evbuffer *out;
	_cleanup_free_ char *text = NULL;
	size_t before;

	if (c->dead)
		return;
	out = bufferevent_get_output(c->bev);
	before = evbuffer_get_length(out);
	text = jsonx_dump(j);
	evbuffer_add(out, text, strlen(text));
	evbuffer_add(out, "\n", 1);
	/* What it left of earlier answers counts; one answer's own size is not held against it. */
	if (before > c->server->max_unsent)
		does_not_read(c, before);
	else if (evbuffer_get_length(out) > READ_PAUSE_BYTES)
		bufferevent_disable(c->bev, EV_READ);
}

static void process_input(struct conn *c);

static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if (c->dead)
		return;
	if (!c->eof && !(bufferevent_get_enabled(c->bev) & EV_READ)) {
		bufferevent_enable(c->bev, EV_READ);
		conn_enter(c);
		process_input(c);
		if (c->subscription && !c->dead)
			c->server->users->drained(c->server->service, c);
		conn_leave(c);
		return;
	}
	if (c->subscription)
		c->server->users->drained(c->server->service, c);
	else
		conn_answered(c);
}

/* ---- lines ---- */

static void refuse_line(struct conn *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;

	error_set(&e, ERR_INVALID_REQUEST, EMSGSIZE,
		  "a request line may have %zu bytes (max_request_bytes); the rest of it was skipped",
		  c->server->max_line);
	error_add(&e, "limit", json_integer((json_int_t)c->server->max_line));
	j = reply_error(NULL, &e);
	conn_send(c, j);
}

static void set_line_timer(struct conn *c, bool wanted)
{
	if (!wanted)
		event_del(c->line_timer);
	else if (!event_pending(c->line_timer, EV_TIMEOUT, NULL))
		event_add(c->line_timer, &c->server->line_timeout);
}

static void take_line(struct conn *c, struct evbuffer *in, size_t len, size_t ending)
{
	const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)(len + ending));
	size_t n = len && data[len - 1] == '\r' ? len - 1 : len;

	set_line_timer(c, false);
	if (c->skipping) {
		c->skipping = false;
	} else if (n > c->server->max_line) {
		refuse_line(c);
	} else {
		_cleanup_free_ char *line = NULL;

		if (n) {
			line = xmalloc(n + 1);
			memcpy(line, data, n);
			line[n] = '\0';
		}
		evbuffer_drain(in, len + ending);
		c->scanned = 0;
		if (line)
			c->server->users->line(c->server->service, c, line, n);
		return;
	}
	evbuffer_drain(in, len + ending);
	c->scanned = 0;
}

/* What is there has no end of line yet. */
static void take_partial(struct conn *c, struct evbuffer *in)
{
	size_t len = evbuffer_get_length(in);

	c->scanned = len;
	if (c->eof && len) {
		/* The last line of a client that shut down may lack its end. */
		take_line(c, in, len, 0);
		return;
	}
	/* One byte more may be the CR of a line that fits. */
	if (!c->skipping && len > c->server->max_line + 1) {
		refuse_line(c);
		c->skipping = true;
	}
	if (c->skipping && !c->dead) {
		evbuffer_drain(in, evbuffer_get_length(in));
		c->scanned = 0;
	}
	if (!c->dead)
		set_line_timer(c, (len > 0 || c->skipping) && !c->eof);
}

static bool may_read(const struct conn *c)
{
	return !c->dead && (c->eof || evbuffer_get_length(bufferevent_get_output(c->bev)) <= READ_PAUSE_BYTES);
}

static void process_input(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	conn_enter(c);
	while (may_read(c)) {
		struct evbuffer_ptr from, end;

		evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET);
		end = evbuffer_search(in, "\n", 1, &from);
		if (end.pos < 0) {
			take_partial(c, in);
			if (c->eof && evbuffer_get_length(in) > 0)
				continue;
			break;
		}
		take_line(c, in, (size_t)end.pos, 1);
	}
	conn_leave(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	process_input(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_WRITING)) {
		c->eof = true;
		set_line_timer(c, false);
		process_input(c);
		return;
	}
	conn_drop(c);
}

static void on_line_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	log_notice(
		"connection of uid %u, pid %d closed: half a request line, and nothing after it (request_line_timeout)",
		(unsigned)c->who.uid, (int)c->who.pid);
	conn_drop(c);
}

/* ---- accepting ---- */

static size_t count_user(const struct server *sv, uid_t uid)
{
	size_t n = 0;

	for (const struct conn *c = sv->conns; c; c = c->next)
		if (c->who.uid == uid && !c->dead)
			n++;
	return n;
}

/* One line, then the end. It fits any socket buffer. */
static void turn_away(int fd, enum error_kind kind, const char *text)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *line = NULL, *with_end = NULL;

	error_set(&e, kind, EPERM, "%s", text);
	j = reply_error(NULL, &e);
	line = jsonx_dump(j);
	with_end = xasprintf("%s\n", line);
	(void)!send(fd, with_end, strlen(with_end), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void turn_away_stranger(int fd, const struct requester *who)
{
	log_kind(LOG_LEVEL_NOTICE, LOG_KIND_CLIENT_REFUSED,
		 "uid %u, pid %d was turned away: in no group of admin_groups or reader_groups", (unsigned)who->uid,
		 (int)who->pid);
	turn_away(
		fd, ERR_PERMISSION_DENIED,
		"you may not use this daemon: ask its admin to put you into one of its admin_groups or reader_groups");
}

static void add_conn(struct server *sv, int fd, struct requester *who, enum role role)
{
	struct conn *c = xcalloc(1, sizeof *c);

	c->server = sv;
	c->id = ++sv->last_id;
	c->who = *who;
	c->role = role;
	c->below_us = peer_is_below_us(who->pid);
	c->bev = bufferevent_socket_new(sv->service->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->line_timer = evtimer_new(sv->service->base, on_line_timeout, c);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	evbuffer_add_cb(bufferevent_get_output(c->bev), note_output, c);
	bufferevent_set_max_single_read(c->bev, 64 * 1024);
	c->next = sv->conns;
	sv->conns = c;
	sv->n_conns++;
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void welcome(struct server *sv, int fd)
{
	struct requester who;
	enum role role;

	if (peer_of(fd, &who) < 0) {
		close(fd);
		return;
	}
	role = peer_role(&sv->service->roles, &who);
	if (role == ROLE_NONE)
		turn_away_stranger(fd, &who);
	else if (sv->n_conns >= sv->max_conns)
		turn_away(fd, ERR_LIMIT, "too many connections (max_connections): close some, or try again later");
	else if (count_user(sv, who.uid) >= sv->max_conns_per_user)
		turn_away(fd, ERR_LIMIT,
			  "you have too many connections (max_connections_per_user): close some, or try again later");
	else {
		add_conn(sv, fd, &who, role);
		return;
	}
	requester_clear(&who);
}

/* Out of descriptors: a listener that stays readable would keep the loop spinning until some are free. */
static void pause_listening(struct server *sv)
{
	static const struct timeval a_while = { .tv_usec = 200000 };

	for (int i = 0; i < sv->n_fds; i++)
		event_del(sv->listeners[i]);
	event_add(sv->resume, &a_while);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *sv = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < sv->n_fds; i++)
		event_add(sv->listeners[i], NULL);
}

/* Connections leave some for the calls that come in over them. A new descriptor has the lowest free number. */
static bool lacks_descriptors(int fd)
{
	struct rlimit limit;
	rlim_t kept = DESCRIPTORS_KEPT;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	if (kept > limit.rlim_cur / 2)
		kept = limit.rlim_cur / 2;
	return (rlim_t)fd >= limit.rlim_cur - kept;
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct server *sv = arg;

	(void)what;
	for (int i = 0; i < 16; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
				log_warning("no connection can be taken now: %m");
				pause_listening(sv);
			}
			return;
		}
		if (lacks_descriptors(fd))
			turn_away(fd, ERR_LIMIT,
				  "sharesd has hardly any descriptors left: close some connections, or raise its "
				  "limit (LimitNOFILE, ulimit -n)");
		else
			welcome(sv, fd);
	}
}

/* ---- listening ---- */

static int listen_on(struct server *sv, int fd)
{
	struct event *ev;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ev = event_new(sv->service->base, fd, EV_READ | EV_PERSIST, on_accept, sv);
	sv->fds[sv->n_fds] = fd;
	sv->listeners[sv->n_fds++] = ev;
	return event_add(ev, NULL);
}

/* A lock beside the socket: an old socket file is removed only when nobody serves it. */
static int lock_path(struct server *sv, const char *path, struct error *e)
{
	_cleanup_free_ char *lock = xasprintf("%s.lock", path);
	int owner = 0, r;

	sv->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sv->lock < 0)
		return error_errno(e, errno, "cannot make %s: create its directory, or set another `socket`", lock);
	if ((r = lock_take(sv->lock, &owner)) == -EWOULDBLOCK)
		return error_set(e, ERR_INTERNAL, EBUSY,
				 "another sharesd serves %s, pid %d: stop it, or set another `socket`", path, owner);
	return r < 0 ? error_errno(e, -r, "cannot lock %s", lock) : 0;
}

static int bind_path(struct server *sv, const char *path, mode_t mode, struct error *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	mode_t old;
	int r;

	if (strlen(path) >= sizeof addr.sun_path)
		return error_set(e, ERR_INTERNAL, ENAMETOOLONG,
				 "socket %s: the path is longer than %zu bytes, set a shorter one", path,
				 sizeof addr.sun_path - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if ((r = lock_path(sv, path, e)) < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(e, errno, "cannot make a socket");
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(e, errno, "cannot replace %s", path);
	/* Nobody may connect before the mode is the wanted one. */
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof addr);
	umask(old);
	if (r < 0)
		return error_errno(e, errno, "cannot bind %s", path);
	sv->path = xstrdup(path);
	if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0)
		return error_errno(e, errno, "cannot listen on %s", path);
	listen_on(sv, take_fd(fd));
	return 0;
}

void server_reload(struct server *sv)
{
	const struct settings *top = conf_top(sv->service->conf);
	double timeout = settings_seconds(top, "request_line_timeout");

	sv->max_line = settings_size(top, "max_request_bytes");
	sv->max_unsent = settings_size(top, "max_unsent_bytes");
	sv->max_conns = (size_t)settings_int(top, "max_connections");
	sv->max_conns_per_user = (size_t)settings_int(top, "max_connections_per_user");
	sv->line_timeout.tv_sec = (time_t)timeout;
	sv->line_timeout.tv_usec = (suseconds_t)((timeout - (double)(time_t)timeout) * 1e6);
	if (sv->path && chmod(sv->path, settings_mode(top, "socket_mode")) < 0)
		log_warning("socket_mode could not be set on %s: %m", sv->path);
}

/* Hooks and people look for the daemon where the conf file says. */
static int take_sockets(struct server *sv, const int *fds, int n, const struct settings *top, struct error *e)
{
	const char *path = settings_string(top, "socket");
	bool found = false;

	if (n > LISTENERS_MAX)
		return error_set(e, ERR_INTERNAL, E2BIG, "the socket unit has %d sockets: %d at most are served", n,
				 LISTENERS_MAX);
	for (int i = 0; i < n; i++) {
		if (sd_is_socket_unix(fds[i], SOCK_STREAM, 1, NULL, 0) <= 0)
			return error_set(e, ERR_INTERNAL, EINVAL,
					 "descriptor %d, which the service manager handed over, is no listening Unix "
					 "stream socket: correct the socket unit (ListenStream=/PATH)",
					 fds[i]);
		found = found || sd_is_socket_unix(fds[i], SOCK_STREAM, 1, path, 0) > 0;
		listen_on(sv, fds[i]);
	}
	if (found)
		return 0;
	return error_set(
		e, ERR_INTERNAL, EINVAL,
		"the socket unit does not listen on %s: make its ListenStream= and the conf file's `socket` the "
		"same",
		path);
}

int server_new(struct service *s, const struct server_users *users, const int *fds, int n_fds, struct server **ret,
	       struct error *e)
{
	const struct settings *top = conf_top(s->conf);
	struct server *sv = xcalloc(1, sizeof *sv);
	int r = 0;

	sv->service = s;
	sv->users = users;
	sv->lock = -1;
	sv->resume = evtimer_new(s->base, on_resume, sv);
	server_reload(sv);
	if (n_fds > 0)
		r = take_sockets(sv, fds, n_fds, top, e);
	else
		r = bind_path(sv, settings_string(top, "socket"), settings_mode(top, "socket_mode"), e);
	if (r < 0) {
		server_free(sv);
		return r;
	}
	*ret = sv;
	return 0;
}

void server_stop_listening(struct server *sv)
{
	for (int i = 0; i < sv->n_fds; i++) {
		event_free(sv->listeners[i]);
		close(sv->fds[i]);
	}
	sv->n_fds = 0;
	if (sv->path)
		unlink(sv->path);
	free(sv->path);
	sv->path = NULL;
}

bool server_is_flushed(const struct server *sv)
{
	for (const struct conn *c = sv->conns; c; c = c->next)
		if (evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
			return false;
	return true;
}

void server_free(struct server *sv)
{
	if (!sv)
		return;
	server_stop_listening(sv);
	while (sv->conns) {
		struct conn *c = sv->conns;

		sv->conns = c->next;
		conn_destroy(c);
	}
	if (sv->lock >= 0)
		close(sv->lock);
	event_free(sv->resume);
	free(sv);
}
