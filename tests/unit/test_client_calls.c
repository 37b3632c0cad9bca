/* sharesctl against a server in the test that speaks as sharesd does, or badly. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/program.h"

#include <check.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECTIONS 8
#define ARGV_MAX    32

/* The server answers the n-th request for a method with the n-th step of that method; the last one repeats. */
struct step {
	const char *method;
	const char *answer; /* JSON text of the result; or of a whole message when it begins with "!"; "#" is the id in
			       it */
	enum how {
		HOW_AT_ONCE,
		HOW_IN_BYTES,    /* one byte a write */
		HOW_LATER,       /* after the method of `until` was asked three times */
		HOW_NOTHING,     /* no answer, and the connection stays */
		HOW_CLOSE,       /* no answer, and the connection is closed */
		HOW_CLOSE_AFTER, /* closed behind the answer */
	} how;
	const char *until;
};

#define STEP(m, a, h, u)                                                                                               \
	{                                                                                                              \
		.method = (m), .answer = (a), .how = (h), .until = (u)                                                 \
	}
#define ANSWER(m, a) STEP(m, a, HOW_AT_ONCE, NULL)
#define ERROR_STEP(m, kind)                                                                                            \
	ANSWER(m, "!{\"jsonrpc\":\"2.0\",\"id\":#,\"error\":{\"code\":1,"                                              \
		  "\"message\":\"it went wrong\",\"data\":{\"kind\":\"" kind "\"}}}")
#define END                                                                                                            \
	{                                                                                                              \
		.method = NULL                                                                                         \
	}

struct server {
	const struct step *steps;
	const char *greeting; /* sent to whoever connects, who is then hung up on without reading; may be NULL */
	char directory[64], path[96];
	int listener, stop[2];
	pthread_t thread;
	json_t *requests; /* all of them, in order; the test's once the server has stopped */
	int fds[CONNECTIONS];
	const struct step *held[CONNECTIONS];
	json_int_t held_id[CONNECTIONS];
};

static struct server server;

static size_t asked(const char *method)
{
	size_t n = 0, i;
	json_t *r;

	json_array_foreach(server.requests, i, r)
		n += strcmp(jsonx_str(r, "method"), method) == 0;
	return n;
}

static void hang_up(int slot)
{
	close(server.fds[slot]);
	server.fds[slot] = -1;
	server.held[slot] = NULL;
}

static void send_text(int slot, const char *text, bool in_bytes)
{
	size_t len = strlen(text), step = in_bytes ? 1 : len;

	for (size_t i = 0; i < len; i += step) {
		if (send(server.fds[slot], text + i, step, MSG_NOSIGNAL) < 0)
			return;
		if (in_bytes && i % 16 == 0)
			usleep(1000);
	}
}

static void answer(int slot, const struct step *s, json_int_t id)
{
	_cleanup_free_ char *text = NULL;

	if (s->answer[0] == '!') {
		const char *hash = strchr(s->answer, '#');

		text = hash ? xasprintf("%.*s%lld%s\n", (int)(hash - s->answer - 1), s->answer + 1, (long long)id,
					hash + 1)
			    : xasprintf("%s\n", s->answer + 1);
	} else {
		text = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":%s}\n", (long long)id, s->answer);
	}
	send_text(slot, text, s->how == HOW_IN_BYTES);
	if (s->how == HOW_CLOSE_AFTER)
		hang_up(slot);
}

static void take_request(int slot, json_t *request)
{
	const char *method = jsonx_str(request, "method");
	const struct step *found = NULL;
	size_t nth;

	json_array_append_new(server.requests, request);
	nth = asked(method);
	for (const struct step *s = server.steps; s->method && nth > 0; s++)
		if (strcmp(s->method, method) == 0) {
			found = s;
			nth--;
		}
	if (!found) {
		send_text(slot, "the test's server has no answer to this\n", false);
	} else if (found->how == HOW_CLOSE) {
		hang_up(slot);
	} else if (found->how == HOW_LATER) {
		server.held[slot] = found;
		server.held_id[slot] = jsonx_int(request, "id");
	} else if (found->how != HOW_NOTHING) {
		answer(slot, found, jsonx_int(request, "id"));
	}
}

static void release_held(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		const struct step *s = server.held[i];

		if (!s || asked(s->until) < 3)
			continue;
		server.held[i] = NULL;
		answer(i, s, server.held_id[i]);
	}
}

/* Clients of the test send one whole line at a time, no longer than this. */
static void read_requests(int slot)
{
	char buffer[65536];
	ssize_t n = read(server.fds[slot], buffer, sizeof buffer - 1);
	json_t *request;

	if (n <= 0) {
		hang_up(slot);
		return;
	}
	buffer[n] = '\0';
	ck_assert(buffer[n - 1] == '\n');
	request = json_loads(buffer, 0, NULL);
	ck_assert_ptr_nonnull(request);
	take_request(slot, request);
	release_held();
}

static void accept_one(void)
{
	int fd = accept(server.listener, NULL, NULL), slot = 0;

	while (slot < CONNECTIONS && server.fds[slot] >= 0)
		slot++;
	ck_assert_int_lt(slot, CONNECTIONS);
	server.fds[slot] = fd;
	if (server.greeting) {
		send_text(slot, server.greeting, false);
		hang_up(slot);
	}
}

static void *serve(void *unused)
{
	(void)unused;
	for (;;) {
		struct pollfd p[CONNECTIONS + 2] = { { .fd = server.stop[0], .events = POLLIN },
						     { .fd = server.listener, .events = POLLIN } };

		for (int i = 0; i < CONNECTIONS; i++)
			p[i + 2] = (struct pollfd){ .fd = server.fds[i], .events = POLLIN };
		if (poll(p, CONNECTIONS + 2, -1) < 0 && errno != EINTR)
			abort();
		if (p[0].revents)
			return NULL;
		if (p[1].revents)
			accept_one();
		for (int i = 0; i < CONNECTIONS; i++)
			if (p[i + 2].revents && server.fds[i] >= 0)
				read_requests(i);
	}
}

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *tmp = getenv("TMPDIR");

	memset(&server, 0, sizeof server);
	snprintf(server.directory, sizeof server.directory, "%s/sharesctl.XXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(server.directory));
	snprintf(server.path, sizeof server.path, "%s/sock", server.directory);
	memcpy(address.sun_path, server.path, strlen(server.path) + 1);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(server.listener, 8), 0);
	ck_assert_int_eq(pipe(server.stop), 0);
	server.requests = json_array();
	for (int i = 0; i < CONNECTIONS; i++)
		server.fds[i] = -1;
}

static void start(const struct step *steps)
{
	server.steps = steps;
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
	if (!server.thread)
		return;
	ck_assert_int_eq(write(server.stop[1], "", 1), 1);
	pthread_join(server.thread, NULL);
	server.thread = 0;
}

static void teardown(void)
{
	stop();
	for (int i = 0; i < CONNECTIONS; i++)
		if (server.fds[i] >= 0)
			hang_up(i);
	close(server.listener);
	close(server.stop[0]);
	close(server.stop[1]);
	json_decref(server.requests);
	unlink(server.path);
	rmdir(server.directory);
}

/* What one run of sharesctl left behind. */
struct ran {
	int code;
	char *out, *err;
};

struct terminal {
	bool in, out, err;
	const char *input;
};

static void free_ran(struct ran *r)
{
	free(r->out);
	free(r->err);
}
#define _cleanup_ran_ __attribute__((__cleanup__(free_ran)))

static struct ran run_words(char **argv, int argc, const struct terminal *tty)
{
	struct ran r = { 0 };
	size_t out_size, err_size;
	FILE *out = open_memstream(&r.out, &out_size), *err = open_memstream(&r.err, &err_size);
	FILE *in = tty && tty->input && *tty->input ? fmemopen((char *)tty->input, strlen(tty->input), "r")
						    : fopen("/dev/null", "r");
	struct ctl c = { .in = in, .out = out, .err = err };

	if (tty) {
		c.in_tty = tty->in;
		c.out_tty = tty->out;
		c.err_tty = tty->err;
	}
	r.code = program_run(&c, argc, argv);
	fclose(in);
	fclose(out);
	fclose(err);
	return r;
}

static struct ran run_on(const struct terminal *tty, const char *line)
{
	_cleanup_free_ char *copy = xstrdup(line);
	char *argv[ARGV_MAX], *save = NULL;
	int argc = 0;

	argv[argc++] = (char *)"sharesctl";
	argv[argc++] = (char *)"--socket";
	argv[argc++] = server.path;
	for (char *w = strtok_r(copy, " ", &save); w && argc < ARGV_MAX - 1; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	return run_words(argv, argc, tty);
}

static struct ran run(const char *line)
{
	return run_on(NULL, line);
}

static json_t *request(size_t i)
{
	json_t *r;

	stop();
	r = json_array_get(server.requests, i);
	ck_assert_msg(r, "there was no request %zu", i);
	return r;
}

static const json_t *params(size_t i)
{
	return jsonx_get(request(i), "params");
}

START_TEST(create_shows_the_share)
{
	static const struct step steps[] = {
		ANSWER("create_share_instance", "{\"name\":\"photos\",\"size_bytes\":1024}"), END
	};
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share create photos --size 1KiB");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "name: photos\nsize_bytes: 1KiB\n");
	ck_assert_str_eq(r.err, "");
	ck_assert_str_eq(jsonx_str(request(0), "jsonrpc"), "2.0");
	ck_assert_str_eq(jsonx_str(params(0), "name"), "photos");
	ck_assert_int_eq(jsonx_int(params(0), "size_bytes"), 1024);
	/* One of ours, so that the call can be repeated. */
	ck_assert(text_is_uuid(jsonx_str(params(0), "request_id")));
	ck_assert_uint_eq(json_object_size(params(0)), 3);
}
END_TEST

START_TEST(json_is_the_result)
{
	static const struct step steps[] = { ANSWER("get_share", "{\"name\":\"photos\",\"l\":[1,null]}"), END };
	struct terminal tty = { .out = true };
	_cleanup_ran_ struct ran r = { 0 }, pretty = { 0 };

	start(steps);
	r = run("share show photos --json");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "{\"name\":\"photos\",\"l\":[1,null]}\n");
	pretty = run_on(&tty, "--json share show photos");
	ck_assert_ptr_nonnull(strstr(pretty.out, "{\n  \"name\": \"photos\""));
	/* A read has no request_id. */
	ck_assert_uint_eq(json_object_size(params(0)), 1);
}
END_TEST

START_TEST(own_request_id_and_common_options)
{
	static const struct step steps[] = { ANSWER("delete_share_instance", "null"), END };
	_cleanup_ran_ struct ran r = { 0 }, json = { 0 };

	start(steps);
	r = run("share delete photos --request-id mine --no-wait --if-present --skip-hooks --force");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "");
	json = run("share delete photos --json");
	ck_assert_str_eq(json.out, "null\n");
	ck_assert_str_eq(jsonx_str(params(0), "request_id"), "mine");
	ck_assert(json_is_false(json_object_get(params(0), "wait")));
	ck_assert(jsonx_bool(params(0), "if_present") && jsonx_bool(params(0), "skip_hooks") &&
		  jsonx_bool(params(0), "force"));
}
END_TEST

START_TEST(answers_in_pieces)
{
	static const struct step steps[] = { STEP("get_share", "{\"name\":\"Grüße\",\"x\":\"y\"}", HOW_IN_BYTES, NULL),
					     END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share show photos");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "name: Grüße\nx: y\n");
}
END_TEST

START_TEST(large_answers)
{
	enum { SIZE = 3000000 };
	_cleanup_free_ char *text = xmalloc(SIZE + 1), *answer_text = NULL;
	struct step steps[] = { ANSWER("get_share", NULL), END };
	_cleanup_ran_ struct ran r = { 0 };

	memset(text, 'x', SIZE);
	text[SIZE] = '\0';
	answer_text = xasprintf("{\"name\":\"%s\"}", text);
	steps[0].answer = answer_text;
	start(steps);
	r = run("share show photos");
	ck_assert_int_eq(r.code, 0);
	ck_assert_uint_eq(strlen(r.out), SIZE + strlen("name: \n"));
	stop();
}
END_TEST

START_TEST(notifications_are_passed_over)
{
	static const struct step steps[] = { ANSWER("get_share",
						    "!{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}\n{"
						    "\"id\":#,\"result\":{\"name\":\"a\"}}"),
					     END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share show a");
	ck_assert_str_eq(r.out, "name: a\n");
}
END_TEST

START_TEST(errors_have_their_exit_code)
{
	static const struct step steps[] = { ERROR_STEP("get_share", "not_found"), ERROR_STEP("get_snapshot", "vetoed"),
					     ERROR_STEP("get_backend", "unheard_of"), END };
	_cleanup_ran_ struct ran r = { 0 }, vetoed = { 0 }, unknown = { 0 }, json = { 0 };

	start(steps);
	r = run("share show x");
	ck_assert_int_eq(r.code, 3);
	ck_assert_str_eq(r.out, "");
	ck_assert_str_eq(r.err, "sharesctl: it went wrong\n");
	vetoed = run("snapshot show x@y");
	ck_assert_int_eq(vetoed.code, 17);
	unknown = run("backend show x");
	ck_assert_int_eq(unknown.code, CTL_INTERNAL);
	json = run("share show x --json");
	ck_assert_int_eq(json.code, 3);
	ck_assert_str_eq(json.err, "{\"code\":1,\"message\":\"it went wrong\",\"data\":{\"kind\":\"not_found\"}}\n");
}
END_TEST

START_TEST(error_text_is_escaped)
{
	static const struct step steps[] = { ANSWER("get_share",
						    "!{\"id\":#,\"error\":{\"code\":7,\"message\":\"a\\u001b["
						    "2Jb\\nc\",\"data\":{\"kind\":\"driver_failed\"}}}"),
					     END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share show x");
	ck_assert_int_eq(r.code, 10);
	ck_assert_str_eq(r.err, "sharesctl: a\\x1b[2Jb\\nc\n");
}
END_TEST

/* The daemon says why and hangs up, without having read anything. */
START_TEST(refused_at_the_door)
{
	_cleanup_ran_ struct ran r = { 0 };

	server.greeting = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":10,\"message\":\"uid 7 has no role\","
			  "\"data\":{\"kind\":\"permission_denied\"}}}\n";
	start((const struct step[]){ END });
	for (int i = 0; i < 20; i++) {
		free_ran(&r);
		r = run("share create x --size 1G");
		ck_assert_int_eq(r.code, 13);
		ck_assert_str_eq(r.err, "sharesctl: uid 7 has no role\n");
	}
}
END_TEST

START_TEST(lost_answer_of_a_change)
{
	static const struct step steps[] = { STEP("create_share_instance", "", HOW_CLOSE, NULL),
					     STEP("allow_access", "", HOW_CLOSE, NULL),
					     STEP("set_metadata", "", HOW_CLOSE, NULL), END };
	_cleanup_ran_ struct ran r = { 0 }, access = { 0 }, metadata = { 0 };

	start(steps);
	r = run("share create photos --size 1G --request-id r1");
	ck_assert_int_eq(r.code, CTL_UNKNOWN);
	ck_assert_str_eq(
		r.err,
		"sharesctl: sharesd closed the connection before it answered, so whether it was done is unknown: look "
		"(sharesctl share list), or repeat it with --request-id r1, which never does it twice\n");
	access = run("access allow photos user ann");
	ck_assert_ptr_nonnull(strstr(access.err, "(sharesctl access list photos)"));
	metadata = run("metadata set photos a=1");
	ck_assert_ptr_nonnull(strstr(metadata.err, "(sharesctl calls)"));
	/* Each was sent four times; the id that is told is the one that was sent. */
	ck_assert_str_eq(jsonx_str(params(4), "request_id"), jsonx_str(params(7), "request_id"));
	ck_assert_ptr_nonnull(strstr(access.err, jsonx_str(params(4), "request_id")));
	ck_assert_uint_eq(json_array_size(server.requests), 12);
}
END_TEST

/* A restart: the old daemon refuses, or is gone before it answers, and the next takes who connects again. */
START_TEST(sent_again_through_a_restart)
{
	static const struct step steps[] = { STEP("create_share_instance", "", HOW_CLOSE, NULL),
					     ERROR_STEP("create_share_instance", "shutting_down"),
					     ERROR_STEP("create_share_instance", "shutting_down"),
					     ANSWER("create_share_instance", "{\"id\":\"1\",\"name\":\"photos\"}"),
					     STEP("list_shares", "", HOW_CLOSE, NULL),
					     ANSWER("list_shares", "{\"shares\":[],\"next\":null}"),
					     STEP("frob", "", HOW_CLOSE, NULL),
					     ERROR_STEP("extend_share", "shutting_down"),
					     END };
	_cleanup_ran_ struct ran r = { 0 }, list = { 0 }, any = { 0 }, never = { 0 };

	start(steps);
	r = run("share create photos --size 1G");
	ck_assert_int_eq(r.code, CTL_OK);
	list = run("share list");
	ck_assert_int_eq(list.code, CTL_OK);
	/* Nobody knows whether this one may be done twice. */
	any = run("call frob");
	ck_assert_int_eq(any.code, CTL_UNKNOWN);
	/* A daemon that never comes back from stopping. */
	never = run("share extend photos 2G");
	ck_assert_int_eq(never.code, 19);
	for (size_t i = 1; i < 4; i++)
		ck_assert(json_equal(params(0), params(i)));
	ck_assert_uint_eq(asked("create_share_instance"), 4);
	ck_assert_uint_eq(asked("list_shares"), 2);
	ck_assert_uint_eq(asked("frob"), 1);
	ck_assert_uint_eq(asked("extend_share"), 4);
}
END_TEST

START_TEST(lost_answer_of_a_read)
{
	static const struct step steps[] = { STEP("get_share", "", HOW_CLOSE, NULL), STEP("frob", "", HOW_CLOSE, NULL),
					     END };
	_cleanup_ran_ struct ran r = { 0 }, call = { 0 };

	start(steps);
	r = run("share show photos");
	ck_assert_int_eq(r.code, CTL_UNKNOWN);
	ck_assert_str_eq(r.err, "sharesctl: sharesd closed the connection before it answered\n");
	call = run("call frob");
	ck_assert_int_eq(call.code, CTL_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(call.err, "look (sharesctl calls)"));
}
END_TEST

START_TEST(time_limit)
{
	static const struct step steps[] = { STEP("extend_share", "", HOW_NOTHING, NULL), END };
	_cleanup_ran_ struct ran r = { 0 };
	double before = text_monotonic();

	start(steps);
	r = run("share extend photos 2G --timeout 0.2");
	ck_assert_int_eq(r.code, CTL_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(r.err, "did not answer in time, so whether it was done is unknown"));
	ck_assert(text_monotonic() - before >= 0.2);
	ck_assert(text_monotonic() - before < 5);
}
END_TEST

static const char *const nonsense[] = {
	"!HTTP/1.1 400 Bad Request", "![]", "!{}", "!7", "!{\"id\":4711,\"result\":1}", "!{\"id\":#}", "!",
};

START_TEST(not_sharesd)
{
	struct step steps[] = { ANSWER("get_share", nonsense[_i]), END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share show photos");
	ck_assert_int_eq(r.code, CTL_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(r.err, "does not speak like sharesd"));
	stop();
}
END_TEST

START_TEST(lists_go_through_all_pages)
{
	static const struct step steps[] = { ANSWER("list_shares",
						    "{\"shares\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"next\":\"c1\"}"),
					     ANSWER("list_shares", "{\"shares\":[{\"name\":\"c\"}],\"next\":\"c2\"}"),
					     ANSWER("list_shares", "{\"shares\":[],\"next\":null}"), END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share list --backend media --json");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "{\"shares\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}],\"next\":null}\n");
	ck_assert_ptr_null(jsonx_get(params(0), "after"));
	ck_assert_int_eq(jsonx_int(params(0), "limit"), 1000);
	ck_assert_str_eq(jsonx_str(params(1), "after"), "c1");
	ck_assert_str_eq(jsonx_str(params(2), "after"), "c2");
	ck_assert_str_eq(jsonx_str(params(2), "backend"), "media");
}
END_TEST

START_TEST(a_limit_ends_the_list)
{
	static const struct step steps[] = {
		ANSWER("list_shares", "{\"shares\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"next\":\"c1\"}"),
		ANSWER("list_shares", "{\"shares\":[{\"name\":\"c\"}],\"next\":\"c2\"}"), END
	};
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share list --limit 3 --json");
	ck_assert_str_eq(r.out, "{\"shares\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}],\"next\":\"c2\"}\n");
	ck_assert_int_eq(jsonx_int(params(0), "limit"), 3);
	ck_assert_int_eq(jsonx_int(params(1), "limit"), 1);
	ck_assert_uint_eq(json_array_size(server.requests), 2);
}
END_TEST

START_TEST(a_list_that_never_ends)
{
	static const struct step steps[] = { ANSWER("list_shares", "{\"shares\":[{\"name\":\"a\"}],\"next\":\"c1\"}"),
					     END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("share list");
	ck_assert_int_eq(r.code, CTL_INTERNAL);
	ck_assert_ptr_nonnull(strstr(r.err, "the same page again"));
}
END_TEST

START_TEST(an_empty_list)
{
	static const struct step steps[] = { ANSWER("list_shares", "{\"shares\":[],\"next\":null}"), END };
	struct terminal tty = { .out = true };
	_cleanup_ran_ struct ran r = { 0 }, people = { 0 };

	start(steps);
	r = run("share list");
	ck_assert_str_eq(r.out, "NAME  STATUS  SIZE  USED  BACKEND  PROTO  EXPORT\n");
	people = run_on(&tty, "share list");
	ck_assert_str_eq(people.out, "no shares\n");
}
END_TEST

START_TEST(colours_on_a_terminal_only)
{
	static const struct step steps[] = {
		ANSWER("list_shares", "{\"shares\":[{\"status\":\"error\"}],\"next\":null}"), END
	};
	struct terminal tty = { .out = true };
	_cleanup_ran_ struct ran plain = { 0 }, people = { 0 }, refused = { 0 };

	start(steps);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	plain = run("share list");
	ck_assert_ptr_null(strchr(plain.out, '\033'));
	people = run_on(&tty, "share list");
	ck_assert_ptr_nonnull(strstr(people.out, "\033[31merror\033[0m"));
	setenv("NO_COLOR", "1", 1);
	refused = run_on(&tty, "share list");
	ck_assert_ptr_null(strchr(refused.out, '\033'));
}
END_TEST

START_TEST(snapshots_have_their_share_s_name)
{
	static const struct step steps[] = {
		ANSWER("list_snapshots", "{\"snapshots\":[{\"id\":\"1\",\"share_id\":\"s1\",\"name\":\"mon\"},"
					 "{\"id\":\"2\",\"share_id\":\"s1\",\"name\":\"tue\"},"
					 "{\"id\":\"3\",\"share_id\":\"gone\",\"name\":\"x\"}],\"next\":null}"),
		ANSWER("get_share", "{\"name\":\"photos\"}"), ERROR_STEP("get_share", "not_found"), END
	};
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("snapshot list");
	ck_assert_int_eq(r.code, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "\nphotos@mon "));
	ck_assert_ptr_nonnull(strstr(r.out, "\nphotos@tue "));
	ck_assert_ptr_nonnull(strstr(r.out, "\ngone@x "));
	stop();
	ck_assert_uint_eq(asked("get_share"), 2);
}
END_TEST

static const struct question_case {
	const char *line, *input, *asks; /* asks NULL: nothing */
	bool terminal, deletes;
} question_cases[] = {
	{ "share delete photos", "y\n", "Delete share photos? [y/N] ", true, true },
	{ "share delete photos", "YES\n", "Delete share photos? [y/N] ", true, true },
	{ "share delete photos", "\n", "Delete share photos? [y/N] ", true, false },
	{ "share delete photos", "no\n", "Delete share photos? [y/N] ", true, false },
	{ "share delete photos", "yesterday\n", "Delete share photos? [y/N] ", true, false },
	{ "share delete photos", "", "Delete share photos? [y/N] ", true, false },
	{ "share delete photos --yes", "n\n", NULL, true, true },
	{ "share delete photos", "n\n", NULL, false, true },
	{ "snapshot delete photos@mon", "n\n", "Delete snapshot photos@mon? [y/N] ", true, false },
	{ "replica delete 77", "n\n", "Delete replica 77? [y/N] ", true, false },
	{ "server delete 78", "n\n", "Delete share server 78? [y/N] ", true, false },
	{ "share unmanage photos", "n\n", NULL, true, true },
};

START_TEST(questions)
{
	static const struct step steps[] = { ANSWER("delete_share_instance", "null"), ANSWER("unmanage_share", "null"),
					     END };
	const struct question_case *t = &question_cases[_i];
	struct terminal tty = { .in = t->terminal, .input = t->input };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run_on(&tty, t->line);
	ck_assert_int_eq(r.code, t->deletes ? 0 : CTL_DECLINED);
	if (t->asks)
		ck_assert_msg(strncmp(r.err, t->asks, strlen(t->asks)) == 0, "%s", r.err);
	else
		ck_assert_str_eq(r.err, "");
	if (!t->deletes)
		ck_assert_ptr_nonnull(strstr(r.err, "sharesctl: nothing was deleted\n"));
	stop();
	ck_assert_uint_eq(json_array_size(server.requests), t->deletes ? 1 : 0);
}
END_TEST

#define SERVICE ANSWER("get_service", "{\"version\":\"0.1.0\"}")

static const struct status_case {
	struct step steps[3];
	int code;
	const char *says, *json;
} status_cases[] = {
	{ { SERVICE, ANSWER("list_backends", "{\"backends\":[{\"name\":\"m\",\"status\":\"up\"}],\"next\":null}") },
	  0,
	  ": well\n",
	  "\"status\":\"well\"" },
	{ { SERVICE, ANSWER("list_backends",
			    "{\"backends\":[{\"name\":\"m\",\"status\":\"up\"},{\"name\":\"n\",\"status\":\"down\","
			    "\"status_reason\":\"no root\"}],\"next\":null}") },
	  1,
	  "n        down    no root\n",
	  "\"status\":\"degraded\"" },
	{ { SERVICE,
	    ANSWER("list_backends", "{\"backends\":[{\"name\":\"m\",\"status\":\"starting\"}],\"next\":null}") },
	  1,
	  ": degraded\n",
	  "\"status\":\"degraded\"" },
	{ { STEP("get_service", "", HOW_CLOSE, NULL) }, 2, "down: sharesd closed", "\"status\":\"down\"" },
	{ { SERVICE, STEP("list_backends", "", HOW_CLOSE, NULL) }, 2, "down: sharesd closed", "\"status\":\"down\"" },
};

START_TEST(status)
{
	const struct status_case *t = &status_cases[_i];
	_cleanup_ran_ struct ran r = { 0 }, json = { 0 };
	_cleanup_json_ json_t *parsed = NULL;

	start(t->steps);
	r = run("status");
	ck_assert_int_eq(r.code, t->code);
	ck_assert_msg(strstr(r.out, t->says), "%s", r.out);
	ck_assert_str_eq(r.err, "");
	json = run("status --json");
	ck_assert_int_eq(json.code, t->code);
	ck_assert_msg(strstr(json.out, t->json), "%s", json.out);
	parsed = json_loads(json.out, 0, NULL);
	ck_assert_ptr_nonnull(parsed);
	stop();
}
END_TEST

START_TEST(status_without_permission)
{
	static const struct step steps[] = { ERROR_STEP("get_service", "permission_denied"), END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("status");
	ck_assert_int_eq(r.code, 13);
	ck_assert_str_eq(r.out, "");
	ck_assert_str_eq(r.err, "sharesctl: it went wrong\n");
}
END_TEST

START_TEST(events_are_followed)
{
	static const struct step steps[] = {
		STEP("subscribe",
		     "!{\"id\":#,\"result\":{\"seq\":40}}\n"
		     "{\"method\":\"event\",\"params\":{\"seq\":41,\"time\":\"T1\",\"type\":\"share.available\","
		     "\"object\":{\"name\":\"p\"}}}\n"
		     "{\"method\":\"event\",\"params\":{\"seq\":43,\"time\":\"T2\",\"type\":\"share.error\","
		     "\"object\":{\"id\":\"i\",\"status_reason\":\"a\\nb\"}}}",
		     HOW_CLOSE_AFTER, NULL),
		END
	};
	_cleanup_ran_ struct ran r = { 0 }, json = { 0 };

	start(steps);
	r = run("events --type share.available --type share.error --since 7");
	ck_assert_str_eq(r.out, "T1  41  share.available  p\nT2  43  share.error  i: a\\nb\n");
	ck_assert_int_eq(r.code, CTL_NO_DAEMON);
	ck_assert_str_eq(r.err,
			 "sharesctl: sharesd closed the connection: follow on with sharesctl events --since 43\n");
	json = run("events --json");
	ck_assert_ptr_nonnull(strstr(json.out, "{\"seq\":41,\"time\":\"T1\","));
	ck_assert_ptr_nonnull(strstr(json.out, "}\n{\"seq\":43,"));
	ck_assert_uint_eq(json_array_size(jsonx_get(params(0), "types")), 2);
	ck_assert_int_eq(jsonx_int(params(0), "since"), 7);
	ck_assert_uint_eq(json_object_size(params(1)), 0);
}
END_TEST

START_TEST(events_of_a_daemon_that_has_none)
{
	static const struct step steps[] = { ERROR_STEP("subscribe", "method_not_found"), END };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run("events");
	ck_assert_int_eq(r.code, 21);
	ck_assert_str_eq(r.err, "sharesctl: it went wrong: this sharesd does not tell events\n");
}
END_TEST

START_TEST(hook_tests)
{
	static const struct step steps[] = { ANSWER("test_hook",
						    "{\"accepted\":true,\"returned\":{\"a\":1},\"duration_ms\":7}"),
					     ANSWER("test_hook", "{\"accepted\":false,\"returned\":null,\"error\":{"
								 "\"message\":\"no\",\"data\":{\"kind\":\"vetoed\"}}}"),
					     END };
	struct terminal with_input = { .input = "{\"args\":{\"size_bytes\":1},\"phase\":\"post\"}" };
	_cleanup_ran_ struct ran r = { 0 }, vetoed = { 0 };
	const json_t *event;

	start(steps);
	r = run_on(&with_input, "hook test media policy pre-create_share_instance -");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "accepted: yes\nreturned:\n  a: 1\nduration_ms: 7\n");
	vetoed = run("hook test media policy pre-create_share_instance");
	ck_assert_int_eq(vetoed.code, 17);
	event = jsonx_get(params(0), "event");
	ck_assert_str_eq(jsonx_str(event, "phase"), "pre");
	ck_assert_str_eq(jsonx_str(event, "func_name"), "create_share_instance");
	ck_assert_int_eq(jsonx_int(jsonx_get(event, "args"), "size_bytes"), 1);
	ck_assert_uint_eq(json_object_size(params(0)), 3);
}
END_TEST

START_TEST(calls_of_any_method)
{
	static const struct step steps[] = { ANSWER("rpc.discover", "{\"openrpc\":\"1.2.6\"}"), ANSWER("frob", "7"),
					     END };
	struct terminal with_input = { .input = "{\"a\":[1]}\n" };
	_cleanup_ran_ struct ran r = { 0 }, more = { 0 }, array = { 0 };

	start(steps);
	r = run("call rpc.discover");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "{\"openrpc\":\"1.2.6\"}\n");
	more = run_on(&with_input, "call frob - --request-id r --no-wait");
	ck_assert_str_eq(more.out, "7\n");
	array = run("call frob [1]");
	ck_assert_int_eq(array.code, CTL_USAGE);
	ck_assert_ptr_null(jsonx_get(request(0), "params"));
	ck_assert_uint_eq(json_array_size(jsonx_get(params(1), "a")), 1);
	ck_assert_str_eq(jsonx_str(params(1), "request_id"), "r");
	ck_assert(json_is_false(json_object_get(params(1), "wait")));
}
END_TEST

START_TEST(progress_is_drawn_and_wiped)
{
	static const struct step steps[] = {
		STEP("create_share_instance", "{\"name\":\"photos\"}", HOW_LATER, "get_share"),
		ERROR_STEP("get_share", "not_found"), /* not in the store yet */
		ANSWER("get_share",
		       "{\"status\":\"creating_from_snapshot\",\"progress\":{\"percent\":42,\"bytes\":1024}}"),
		END
	};
	struct terminal tty = { .err = true };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run_on(&tty, "share create photos --snapshot old@mon");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "name: photos\n");
	ck_assert_ptr_nonnull(
		strstr(r.err, "photos: creating_from_snapshot [############..................]  42% 1KiB"));
	ck_assert_str_eq(r.err + strlen(r.err) - 4, "\r\033[K");
	stop();
	ck_assert_uint_ge(asked("get_share"), 3);
	ck_assert_str_eq(jsonx_str(params(1), "share"), "photos");
}
END_TEST

/* Found among the share's replicas by its backend, or among all by its id, and then among those of its share. */
START_TEST(progress_of_a_replica)
{
#define REPLICAS                                                                                                       \
	"{\"replicas\":[{\"id\":\"1\",\"share_id\":\"S\",\"backend\":\"a\",\"status\":\"available\",\"progress\":"     \
	"null},"                                                                                                       \
	"{\"id\":\"2\",\"share_id\":\"S\",\"backend\":\"b\",\"status\":\"creating\","                                  \
	"\"progress\":{\"percent\":42,\"bytes\":1024}}],\"next\":null}"
	static const struct step steps[] = {
		STEP("create_share_replica", "{\"name\":\"photos\"}", HOW_LATER, "list_replicas"),
		STEP("update_share_replica", "{\"name\":\"photos\"}", HOW_LATER, "list_replicas"),
		ANSWER("list_replicas", "{\"replicas\":[],\"next\":null}"), ANSWER("list_replicas", REPLICAS), END
	};
	struct terminal tty = { .err = true };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run_on(&tty, _i ? "replica update 2" : "replica create photos --backend b");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "name: photos\n");
	ck_assert_ptr_nonnull(strstr(r.err, _i ? "replica on b: creating [####"
					       : "photos on b: creating [############..................]  42% 1KiB"));
	ck_assert_str_eq(r.err + strlen(r.err) - 4, "\r\033[K");
	stop();
	ck_assert_int_eq(jsonx_get(params(1), "share") == NULL, _i);
	ck_assert_str_eq(jsonx_str(params(3), "share"), _i ? "S" : "photos");
}
END_TEST

/* The second connection is a convenience: what happens to it is nothing to the call. */
START_TEST(progress_that_cannot_be_had)
{
	static const struct step steps[] = { STEP("revert_to_snapshot", "{\"name\":\"photos\"}", HOW_LATER,
						  "get_share"),
					     ERROR_STEP("get_share", "not_found"), END };
	struct terminal tty = { .err = true };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	r = run_on(&tty, "share revert photos@mon");
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "name: photos\n");
	ck_assert_str_eq(r.err, "");
	ck_assert_str_eq(jsonx_str(params(1), "share"), "photos");
}
END_TEST

START_TEST(socket_from_the_environment)
{
	static const struct step steps[] = { ANSWER("get_share", "{\"name\":\"a\"}"), END };
	const char *words[] = { "sharesctl", "share", "show", "a", NULL };
	_cleanup_ran_ struct ran r = { 0 };

	start(steps);
	setenv("SHARESD_SOCKET", server.path, 1);
	r = run_words((char **)words, 4, NULL);
	ck_assert_int_eq(r.code, 0);
}
END_TEST

START_TEST(output_that_cannot_be_written)
{
	static const struct step steps[] = { ANSWER("get_share", "{\"name\":\"a\"}"), END };
	char *argv[] = { (char *)"sharesctl", (char *)"--socket", server.path, (char *)"share",
			 (char *)"show",      (char *)"a",        NULL };
	_cleanup_free_ char *err = NULL;
	size_t size;
	struct ctl c = { .in = stdin, .out = fopen("/dev/full", "w"), .err = open_memstream(&err, &size) };

	start(steps);
	ck_assert_int_eq(program_run(&c, 6, argv), CTL_OUTPUT);
	fclose(c.out);
	fclose(c.err);
	ck_assert_str_eq(err, "sharesctl: the answer could not be written to standard output\n");
}
END_TEST

static TCase *group(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	suite_add_tcase(s, t);
	return t;
}

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

int main(void)
{
	Suite *s = suite_create("client_calls");
	TCase *answers = group(s, "answers"), *lists = group(s, "lists"), *commands = group(s, "commands");
	SRunner *runner = srunner_create(s);
	int failed;

	setlocale(LC_CTYPE, "C.UTF-8");
	unsetenv("SHARESD_SOCKET");
	tcase_add_test(answers, create_shows_the_share);
	tcase_add_test(answers, json_is_the_result);
	tcase_add_test(answers, own_request_id_and_common_options);
	tcase_add_test(answers, answers_in_pieces);
	tcase_add_test(answers, large_answers);
	tcase_add_test(answers, notifications_are_passed_over);
	tcase_add_test(answers, errors_have_their_exit_code);
	tcase_add_test(answers, error_text_is_escaped);
	tcase_add_test(answers, refused_at_the_door);
	tcase_add_test(answers, lost_answer_of_a_change);
	tcase_add_test(answers, sent_again_through_a_restart);
	tcase_add_test(answers, lost_answer_of_a_read);
	tcase_add_test(answers, time_limit);
	tcase_add_loop_test(answers, not_sharesd, 0, COUNT(nonsense));
	tcase_add_test(lists, lists_go_through_all_pages);
	tcase_add_test(lists, a_limit_ends_the_list);
	tcase_add_test(lists, a_list_that_never_ends);
	tcase_add_test(lists, an_empty_list);
	tcase_add_test(lists, colours_on_a_terminal_only);
	tcase_add_test(lists, snapshots_have_their_share_s_name);
	tcase_add_loop_test(commands, questions, 0, COUNT(question_cases));
	tcase_add_loop_test(commands, status, 0, COUNT(status_cases));
	tcase_add_test(commands, status_without_permission);
	tcase_add_test(commands, events_are_followed);
	tcase_add_test(commands, events_of_a_daemon_that_has_none);
	tcase_add_test(commands, hook_tests);
	tcase_add_test(commands, calls_of_any_method);
	tcase_add_test(commands, progress_is_drawn_and_wiped);
	tcase_add_loop_test(commands, progress_of_a_replica, 0, 2);
	tcase_add_test(commands, progress_that_cannot_be_had);
	tcase_add_test(commands, socket_from_the_environment);
	tcase_add_test(commands, output_that_cannot_be_written);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
