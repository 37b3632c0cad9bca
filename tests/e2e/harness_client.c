#include "tests/e2e/harness.h"
#include "tests/e2e/harness_schema.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SECONDS  30
#define START_SECONDS 20
#define GROUPS_MAX    256
/* Beyond the ids that tests write by hand. */
#define FIRST_ID ((json_int_t)1 << 40)

struct client {
	int fd;
	char *in; /* received, not yet read */
	size_t n_in, cap_in;
	json_t *stash; /* lines that came while another was waited for */
	json_t *asked;
	char *out; /* sent, and no whole line yet */
	size_t n_out;
	json_int_t last_id;
	bool may_be_cut;
};

/* ---- connecting ---- */

static int try_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_lt(strlen(path), sizeof addr.sun_path);
	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
		return fd;
	close(fd);
	return -1;
}

struct client *client_try(const struct fixture *f)
{
	int fd = try_connect(f->socket);
	struct client *c;

	if (fd < 0)
		return NULL;
	c = calloc(1, sizeof *c);
	c->fd = fd;
	c->stash = json_array();
	c->asked = json_object();
	c->last_id = FIRST_ID;
	return c;
}

struct client *client_new(const struct fixture *f)
{
	struct client *c = client_try(f);

	ck_assert_msg(c != NULL, "cannot connect to %s: %s", f->socket, strerror(errno));
	return c;
}

/* Who connects is taken from the effective ids at that moment, so nothing else need run as that user. */
struct client *client_new_groups(const struct fixture *f, uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
	gid_t own[GROUPS_MAX], own_gid = getegid();
	int n_own = getgroups(GROUPS_MAX, own);
	uid_t own_uid = geteuid();
	struct client *c;

	ck_assert_int_ge(n_own, 0);
	ck_assert_int_eq(setgroups(n, groups), 0);
	ck_assert_int_eq(setegid(gid), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	c = client_try(f);
	ck_assert_int_eq(seteuid(own_uid), 0);
	ck_assert_int_eq(setegid(own_gid), 0);
	ck_assert_int_eq(setgroups((size_t)n_own, own), 0);
	ck_assert_msg(c != NULL, "uid %u cannot connect to %s", (unsigned)uid, f->socket);
	return c;
}

struct client *client_new_as(const struct fixture *f, uid_t uid, gid_t gid)
{
	return client_new_groups(f, uid, gid, NULL, 0);
}

void client_free(struct client *c)
{
	if (!c)
		return;
	close(c->fd);
	json_decref(c->stash);
	json_decref(c->asked);
	free(c->in);
	free(c->out);
	free(c);
}

int client_fd(const struct client *c)
{
	return c->fd;
}

void client_may_be_cut(struct client *c)
{
	c->may_be_cut = true;
}

void client_shutdown(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

/* ---- lines ---- */

/* What is there now; 0 at the end of the stream. */
static size_t take_input(struct client *c)
{
	ssize_t n;

	if (c->n_in == c->cap_in) {
		c->cap_in = c->cap_in ? 2 * c->cap_in : 65536;
		c->in = realloc(c->in, c->cap_in);
		ck_assert_ptr_nonnull(c->in);
	}
	do
		n = recv(c->fd, c->in + c->n_in, c->cap_in - c->n_in, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	c->n_in += (size_t)n;
	return (size_t)n;
}

/* What is asked, so that the answer can be held against what is described. Lines that are longer than any request are
 * not kept: the daemon does not take them. */
static void note_sent(struct client *c, const char *data, size_t len)
{
	static const size_t most = 1 << 20;

	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len, keep = c->n_out + n > most ? 0 : n;

		c->out = realloc(c->out, c->n_out + keep + 1);
		ck_assert_ptr_nonnull(c->out);
		memcpy(c->out + c->n_out, data, keep);
		c->n_out += keep;
		if (!end)
			break;
		note_line(c->asked, c->out, c->n_out);
		c->n_out = 0;
		data += n + 1;
		len -= n + 1;
	}
}

/* A daemon whose answers nobody reads may stop reading: while it takes nothing, its answers are taken. */
void client_send(struct client *c, const char *data, size_t len)
{
	double until = now() + READ_SECONDS;

	note_sent(c, data, len);
	while (len) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLOUT };
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return; /* closed: the reading side tells */
		ck_assert_msg(now() < until, "the daemon takes no input");
		poll(&p, 1, 1000);
		if ((p.revents & (POLLIN | POLLHUP)) && take_input(c) == 0)
			return;
	}
}

void client_send_text(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

static json_t *parse_line(const char *line, size_t len)
{
	json_error_t e;
	json_t *j = json_loadb(line, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);

	ck_assert_msg(j != NULL, "the daemon sent no JSON (%s): %.*s", e.text, (int)(len > 400 ? 400 : len), line);
	return j;
}

static json_t *read_line(struct client *c, double seconds)
{
	double until = now() + seconds;

	for (;;) {
		char *end = c->n_in ? memchr(c->in, '\n', c->n_in) : NULL;
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		double left = until - now();

		if (end) {
			size_t len = (size_t)(end - c->in) + 1;
			json_t *j = parse_line(c->in, len - 1);

			memmove(c->in, c->in + len, c->n_in - len);
			c->n_in -= len;
			check_line(c->asked, j);
			return j;
		}
		ck_assert_msg(left > 0, "nothing came from the daemon for %g s", seconds);
		poll(&p, 1, (int)(left * 1000) + 1);
		if (p.revents && take_input(c) == 0) {
			ck_assert_msg(c->may_be_cut || c->n_in == 0, "the stream ended within a line: %.*s",
				      (int)c->n_in, c->in);
			return NULL;
		}
	}
}

static json_t *take_stashed(struct client *c, size_t i)
{
	json_t *j = json_incref(json_array_get(c->stash, i));

	json_array_remove(c->stash, i);
	return j;
}

json_t *client_read(struct client *c)
{
	return json_array_size(c->stash) ? take_stashed(c, 0) : read_line(c, READ_SECONDS);
}

bool client_quiet(struct client *c, double seconds)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return json_array_size(c->stash) == 0 && c->n_in == 0 && poll(&p, 1, (int)(seconds * 1000)) == 0;
}

__attribute__((format(printf, 2, 0))) static void send_line(struct client *c, const char *fmt, va_list ap)
{
	char *text;

	ck_assert_int_ge(vasprintf(&text, fmt, ap), 0);
	for (char *p = strchr(text, '\''); p; p = strchr(p, '\''))
		*p = '"';
	client_send_text(c, text);
	client_send_text(c, "\n");
	free(text);
}

void client_line(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_line(c, fmt, ap);
	va_end(ap);
}

json_t *client_ask(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_line(c, fmt, ap);
	va_end(ap);
	return client_read(c);
}

/* ---- requests ---- */

json_int_t client_send_request(struct client *c, const char *method, json_t *params)
{
	json_int_t id = ++c->last_id;
	json_t *req = json_pack("{s:s,s:s,s:I}", "jsonrpc", "2.0", "method", method, "id", id);
	char *text;

	if (params)
		json_object_set_new(req, "params", params);
	text = json_dumps(req, JSON_COMPACT);
	client_send_text(c, text);
	client_send_text(c, "\n");
	free(text);
	json_decref(req);
	return id;
}

json_t *client_reply(struct client *c, json_int_t id)
{
	for (size_t i = 0; i < json_array_size(c->stash); i++)
		if (json_integer_value(json_object_get(json_array_get(c->stash, i), "id")) == id)
			return take_stashed(c, i);
	for (;;) {
		json_t *j = read_line(c, READ_SECONDS);

		ck_assert_msg(j != NULL, "the daemon closed the connection before its answer");
		if (json_integer_value(json_object_get(j, "id")) == id)
			return j;
		json_array_append_new(c->stash, j);
	}
}

json_t *client_request(struct client *c, const char *method, json_t *params)
{
	return client_reply(c, client_send_request(c, method, params));
}

static json_t *pack_params(const char *fmt, va_list ap)
{
	json_error_t e;
	json_t *j;

	if (!fmt)
		return NULL;
	j = json_vpack_ex(&e, 0, fmt, ap);
	ck_assert_msg(j != NULL, "the test packs its params wrongly (\"%s\"): %s", fmt, e.text);
	return j;
}

static json_t *must_succeed(struct client *c, const char *method, json_t *params)
{
	json_t *reply = client_request(c, method, params), *result = json_object_get(reply, "result");

	if (!result) {
		char *text = json_dumps(reply, 0);

		ck_abort_msg("%s failed: %s", method, text);
	}
	json_incref(result);
	json_decref(reply);
	return result;
}

static json_t *must_fail(struct client *c, const char *kind, const char *method, json_t *params)
{
	json_t *reply = client_request(c, method, params), *error = json_object_get(reply, "error");
	const char *got = json_string_value(json_object_get(json_object_get(error, "data"), "kind"));

	if (!got || strcmp(got, kind) != 0) {
		char *text = json_dumps(reply, 0);

		ck_abort_msg("%s should fail with %s, and answered %s", method, kind, text);
	}
	ck_assert_msg(json_string_length(json_object_get(error, "message")) > 0, "an error of %s has no message",
		      method);
	json_incref(error);
	json_decref(reply);
	return error;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a declaration */
#define WITH_PARAMS(name)                                                                                              \
	va_list ap;                                                                                                    \
	json_t *name;                                                                                                  \
	va_start(ap, fmt);                                                                                             \
	name = pack_params(fmt, ap);                                                                                   \
	va_end(ap)
/* NOLINTEND(bugprone-macro-parentheses) */

json_t *client_call(struct client *c, const char *method, const char *fmt, ...)
{
	WITH_PARAMS(params);
	return must_succeed(c, method, params);
}

json_t *client_error(struct client *c, const char *kind, const char *method, const char *fmt, ...)
{
	WITH_PARAMS(params);
	return must_fail(c, kind, method, params);
}

json_t *call(const struct fixture *f, const char *method, const char *fmt, ...)
{
	struct client *c = client_new(f);
	json_t *j;

	WITH_PARAMS(params);
	j = must_succeed(c, method, params);
	client_free(c);
	return j;
}

json_t *call_error(const struct fixture *f, const char *kind, const char *method, const char *fmt, ...)
{
	struct client *c = client_new(f);
	json_t *j;

	WITH_PARAMS(params);
	j = must_fail(c, kind, method, params);
	client_free(c);
	return j;
}

/* ---- waiting ---- */

static void wait_status(const struct fixture *f, const char *method, const char *param, const char *ref,
			const char *status)
{
	double until = now() + START_SECONDS;

	for (;;) {
		struct client *c = client_new(f);
		json_t *reply = client_request(c, method, json_pack("{s:s}", param, ref));
		const char *is = json_string_value(json_object_get(json_object_get(reply, "result"), "status"));
		bool same = is && strcmp(is, status) == 0;

		ck_assert_msg(same || now() < until, "%s is %s, and not %s after %d s", ref, is ? is : "not there",
			      status, START_SECONDS);
		json_decref(reply);
		client_free(c);
		if (same)
			return;
		nap(0.02);
	}
}

void wait_share(const struct fixture *f, const char *share, const char *status)
{
	bool snapshot = strchr(share, '@') != NULL;

	wait_status(f, snapshot ? "get_snapshot" : "get_share", snapshot ? "snapshot" : "share", share, status);
}

void wait_backend(const struct fixture *f, const char *backend, const char *status)
{
	wait_status(f, "get_backend", "backend", backend, status);
}

bool fixture_crash_at(struct fixture *f, unsigned step, const char *method, json_t *params)
{
	char number[40];
	const char *env[] = { number, NULL };
	struct client *c;
	json_t *reply;

	snprintf(number, sizeof number, "SHARESD_CRASH_AT=%u", step);
	fixture_spawn(f, env, (uid_t)-1);
	while (!(c = client_try(f)) && !fixture_wait_end(f, 0))
		nap(0.002);
	if (!c) {
		json_decref(params);
		return false;
	}
	client_may_be_cut(c);
	(void)client_send_request(c, method, params);
	reply = client_read(c);
	client_free(c);
	if (reply) {
		ck_assert_ptr_nonnull(json_object_get(reply, "result"));
		json_decref(reply);
		fixture_stop(f);
		return true;
	}
	ck_assert(fixture_wait_end(f, 20));
	ck_assert(WIFSIGNALED(f->status) && WTERMSIG(f->status) == SIGKILL);
	return false;
}
