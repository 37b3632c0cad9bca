#include "tests/fuzz/one_thread.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/call_thread.h"
#include "daemon/engine.h"
#include "daemon/events.h"
#include "daemon/options.h"
#include "daemon/rpc.h"
#include "daemon/server.h"
#include "daemon/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	CHUNK_MAX = 97,
	QUIET_TURNS = 20,      /* without a byte: a subscriber has all that there is */
	STUCK_TURNS = 2000000, /* without a byte: the answer will never come */
};

struct one_thread {
	struct service s;
	struct engine *engine;
	struct sockaddr_un address;
	size_t calls;
};

/* Who asks is this process, which would count as a hook of the daemon's. */
bool __wrap_peer_is_below_us(pid_t pid);
bool __wrap_peer_is_below_us(pid_t pid)
{
	(void)pid;
	return false;
}

/* ---- the call thread's turn ---- */

/* As daemon/loop.c does, but for timers and the service manager. */
static void take(struct one_thread *d, struct message *m)
{
	struct service *s = &d->s;

	if (m->type == MSG_ANSWER)
		view_count_hooks(s->view, m->name, m->json);
	if (m->type == MSG_BEGAN)
		view_call_begins(s->view, m->shown, take_ptr(m->json));
	if (m->type == MSG_ANSWER || m->type == MSG_ENDED)
		view_call_ends(s->view, m->call);
	if (m->type == MSG_ANSWER)
		rpc_answer(s, m->call);
	if (m->type == MSG_BACKEND)
		view_set_backend(s->view, m->name, take_ptr(m->json));
	if (m->type == MSG_PROGRESS)
		view_set_progress(s->view, m->name, take_ptr(m->json));
	if (m->type == MSG_TICKED)
		view_count_hooks(s->view, m->name, m->json);
	if ((m->type == MSG_EVENT || m->type == MSG_ANSWER) && m->told) {
		s->told = m->told;
		/* At the start nobody listens yet. */
		if (s->server)
			events_pump_all(s);
	}
}

/* All that waits, to its end: behind it stands the message at which the call thread's function returns. */
static void run_engine(struct one_thread *d)
{
	struct message *m;

	queue_push(d->s.in, message_new(MSG_STOP));
	d->engine->stopping = false;
	engine_main(d->engine);
	while ((m = queue_pop(d->s.out))) {
		take(d, m);
		message_free(m);
	}
}

static void turn(struct one_thread *d)
{
	size_t waiting;

	event_base_loop(d->s.base, EVLOOP_NONBLOCK);
	waiting = queue_length(d->s.in);
	d->calls += waiting;
	if (waiting)
		run_engine(d);
}

/* ---- start and stop ---- */

static void forget(struct conn *c)
{
	rpc_forget(*conn_pending(c));
	subscription_free(*conn_subscription(c));
}

static int listen_at(struct sockaddr_un *address, const char *directory)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof address->sun_path, "%.90s/socket", directory);
	unlink(address->sun_path);
	FUZZ_CHECK(bind(fd, (struct sockaddr *)address, sizeof *address) == 0 && listen(fd, 8) == 0,
		   "cannot listen at %s", address->sun_path);
	return fd;
}

static struct conf *load(const char *path)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *conf = NULL;

	conf_load(path, daemon_schema(), &conf, NULL, NULL, &e);
	FUZZ_CHECK(conf, "%s", e.message);
	return conf;
}

static void start_engine(struct one_thread *d, struct store *writer)
{
	struct message *m = message_new(MSG_CONF);

	m->conf = conf_ref(d->s.conf);
	queue_push(d->s.in, m);
	d->engine = engine_new(writer, d->s.in, d->s.out, d->s.conf);
	run_engine(d);
}

int one_thread_start(const char *conf_path, const char *directory, struct one_thread **ret, struct error *e)
{
	static const struct server_users users = { .line = rpc_line, .drained = events_pump, .gone = forget };
	struct one_thread *d = xcalloc(1, sizeof *d);
	_cleanup_free_ char *state = xasprintf("%s/state", directory);
	struct store *writer = NULL;
	int fd, r;

	if ((r = store_open(state, true, &writer, e)) < 0 || (r = store_open(state, false, &d->s.st, e)) < 0) {
		store_close(writer);
		free(d);
		return r;
	}
	d->s.told = store_durable_event(writer);
	d->s.conf_path = conf_path;
	d->s.conf = load(conf_path);
	d->s.base = event_base_new();
	d->s.in = queue_new();
	d->s.out = queue_new();
	d->s.view = view_new();
	roles_load(&d->s.roles, conf_top(d->s.conf));
	events_begin(&d->s);
	start_engine(d, writer);
	fd = listen_at(&d->address, directory);
	FUZZ_CHECK(server_new(&d->s, &users, &fd, 1, &d->s.server, e) == 0, "%s", e->message);
	*ret = d;
	return 0;
}

void one_thread_stop(struct one_thread *d)
{
	if (!d)
		return;
	server_free(d->s.server);
	event_free(d->s.pump);
	store_close(d->s.st);
	engine_free(d->engine);
	queue_free(d->s.in);
	queue_free(d->s.out);
	view_free(d->s.view);
	roles_clear(&d->s.roles);
	conf_unref(d->s.conf);
	event_base_free(d->s.base);
	free(d);
}

struct store *one_thread_store(struct one_thread *d)
{
	return d->engine->st;
}

size_t one_thread_calls(const struct one_thread *d)
{
	return d->calls;
}

/* ---- a client ---- */

struct talk {
	int fd;
	const char *text;
	size_t len, sent;
	bool shut, ended, subscribed;
	char *got;
	size_t got_len, got_size;
};

static void send_some(struct talk *t, struct fuzz_random *r)
{
	size_t left = t->len - t->sent, n = r ? 1 + fuzz_random_next(r, CHUNK_MAX) : left;
	ssize_t sent;

	if (r && fuzz_random_next(r, 4) == 0)
		n = left;
	if (left == 0) {
		if (!t->shut)
			shutdown(t->fd, SHUT_WR);
		t->shut = true;
		return;
	}
	sent = send(t->fd, t->text + t->sent, n < left ? n : left, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		t->sent += (size_t)sent;
	else
		/* Only where it was hung up on may something be left unsent: the answers tell. */
		FUZZ_CHECK(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET, "send: %m");
}

/* False when nothing came. */
static bool receive_some(struct talk *t)
{
	ssize_t n;

	if (t->got_size - t->got_len < 65537) {
		t->got_size = 2 * t->got_size + 65537;
		t->got = xrealloc(t->got, t->got_size);
	}
	n = recv(t->fd, t->got + t->got_len, 65536, MSG_DONTWAIT);
	if (n > 0)
		t->got_len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		t->ended = true;
	t->got[t->got_len] = '\0';
	return n > 0;
}

char *one_thread_talk(struct one_thread *d, const char *text, size_t len, struct fuzz_random *r, size_t *ret_len)
{
	struct talk t = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .text = text, .len = len };
	size_t quiet = 0;

	FUZZ_CHECK(connect(t.fd, (struct sockaddr *)&d->address, sizeof d->address) == 0, "connect: %m");
	while (!t.ended) {
		bool moved = !t.shut;

		send_some(&t, r);
		turn(d);
		moved |= receive_some(&t);
		quiet = moved ? 0 : quiet + 1;
		/* Who subscribed is not hung up on. */
		if (quiet == QUIET_TURNS && server_connections(d->s.server) > 0)
			t.subscribed = memmem(t.got, t.got_len, "{\"seq\":", 7) ||
				       memmem(text, len, "subscribe", 9); /* by a notification: not answered */
		if (quiet > QUIET_TURNS && t.subscribed)
			break;
		FUZZ_CHECK(quiet < STUCK_TURNS, "an answer does not come: %.*s", (int)len, text);
	}
	close(t.fd);
	turn(d);
	/* A subscriber that has gone is found out now and then. */
	events_pump_all(&d->s);
	FUZZ_CHECK(server_connections(d->s.server) == 0, "a connection stays when its client has gone");
	*ret_len = t.got_len;
	return t.got;
}

json_t *one_thread_call(struct one_thread *d, const char *method, json_t *params)
{
	_cleanup_json_ json_t *request = jsonx_pack("{s:s,s:i,s:s,s:o}", "jsonrpc", "2.0", "id", 1, "method", method,
						    "params", params ? params : json_object());
	_cleanup_free_ char *text = jsonx_dump(request), *answer = NULL;
	json_t *j;
	size_t len;

	answer = one_thread_talk(d, text, strlen(text), NULL, &len);
	one_thread_check_answers(d, text, strlen(text), answer, len);
	j = json_loads(answer, JSON_DISABLE_EOF_CHECK, NULL);
	FUZZ_CHECK(j, "%s", answer);
	return j;
}

/* ---- what must come back ---- */

/* The id that stands in the answer to one request; NULL: it is not answered. New reference. */
static json_t *id_of(const json_t *request)
{
	const json_t *id = json_object_get(request, "id"), *params = json_object_get(request, "params");
	const char *version = jsonx_str(request, "jsonrpc");
	bool valid = version && strcmp(version, "2.0") == 0 && jsonx_str(request, "method") &&
		     (!params || json_is_object(params) || json_is_array(params));

	if (!json_is_object(request) || (id && (json_is_object(id) || json_is_array(id) || json_is_boolean(id))))
		return json_null();
	if (id)
		return json_incref((json_t *)id);
	return valid ? NULL : json_null();
}

static json_t *ids_of(const json_t *batch)
{
	json_t *ids = json_array(), *request;
	size_t i;

	json_array_foreach(batch, i, request) {
		json_t *id = id_of(request);

		if (id)
			json_array_append_new(ids, id);
	}
	return ids;
}

static void expect(const struct one_thread *d, json_t *list, const char *line, size_t len)
{
	const struct settings *top = conf_top(d->s.conf);
	_cleanup_json_ json_t *j = NULL, *ids = NULL, *id = NULL;
	size_t n;

	len -= len > 0 && line[len - 1] == '\r';
	for (n = 0; n < len && strchr(" \t\r", line[n]) && line[n]; n++)
		;
	/* Blank. */
	if (n == len)
		return;
	if (len <= settings_size(top, "max_request_bytes") &&
	    jsonx_depth(line, len, 1000) <= (size_t)settings_int(top, "max_request_depth"))
		j = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	n = json_array_size(j);
	if (n > 0 && n <= (size_t)settings_int(top, "max_batch_entries")) {
		ids = ids_of(j);
		if (json_array_size(ids))
			json_array_append(list, ids);
		return;
	}
	id = json_is_object(j) ? id_of(j) : json_null();
	if (id)
		json_array_append(list, id);
}

static void check_answer(const json_t *answer)
{
	const char *version = jsonx_str(answer, "jsonrpc");
	json_t *error = json_object_get(answer, "error");

	FUZZ_CHECK(version && strcmp(version, "2.0") == 0, "jsonrpc is missing");
	FUZZ_CHECK(json_object_size(answer) == 3 && json_object_get(answer, "id"), "members");
	FUZZ_CHECK(!error != !json_object_get(answer, "result"), "neither result nor error, or both");
	if (error)
		fuzz_check_error_object(error);
}

static void take_answer(json_t *list, const char *line, size_t len)
{
	_cleanup_json_ json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL),
			      *ids = json_array();
	json_t *answer;
	size_t i;

	FUZZ_CHECK(j, "an answer that is not JSON: %.*s", (int)len, line);
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "answer: %.*s\n", (int)len, line);
	if (json_object_get(j, "method")) {
		FUZZ_CHECK(strcmp(jsonx_str(j, "method"), "event") == 0 && !json_object_get(j, "id"), "no event: %.*s",
			   (int)len, line);
		return;
	}
	if (json_is_object(j)) {
		check_answer(j);
		json_array_append(list, json_object_get(j, "id"));
		return;
	}
	FUZZ_CHECK(json_array_size(j) > 0, "an empty answer to a batch");
	json_array_foreach(j, i, answer) {
		check_answer(answer);
		json_array_append(ids, json_object_get(answer, "id"));
	}
	json_array_append(list, ids);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As one text, the same for the same entries in whatever order. Owned by the caller. */
static char *sorted(const json_t *list)
{
	size_t n = json_array_size(list), len = 1;
	_cleanup_free_ char **texts = xcalloc(n + 1, sizeof *texts);
	char *all, *p;

	for (size_t i = 0; i < n; i++) {
		texts[i] = jsonx_dump(json_array_get(list, i));
		len += strlen(texts[i]) + 1;
	}
	qsort(texts, n, sizeof *texts, by_text);
	p = all = xmalloc(len);
	for (size_t i = 0; i < n; i++) {
		p = stpcpy(stpcpy(p, texts[i]), " ");
		free(texts[i]);
	}
	*p = '\0';
	return all;
}

void one_thread_check_answers(const struct one_thread *d, const char *text, size_t len, const char *answers,
			      size_t answers_len)
{
	_cleanup_json_ json_t *expected = json_array(), *got = json_array();
	_cleanup_free_ char *a = NULL, *b = NULL;
	const char *line;
	size_t n;

	FUZZ_CHECK(answers_len == 0 || answers[answers_len - 1] == '\n', "the last line has no end: %s", answers);
	while (fuzz_line(&text, &len, &line, &n))
		expect(d, expected, line, n);
	while (fuzz_line(&answers, &answers_len, &line, &n))
		take_answer(got, line, n);
	a = sorted(expected);
	b = sorted(got);
	FUZZ_CHECK(strcmp(a, b) == 0, "asked for the ids %s\nand got %s", a, b);
}
