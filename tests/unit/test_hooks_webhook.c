/* The module webhook against real servers: plain, behind TLS, on a Unix socket; good, slow, large, wrong and gone. */
#include "tests/unit/test_hooks.h"

#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const char *const func_name = "create_share_instance";
static pid_t server; /* the test's own, or 0 */
static long port;
static char requests[PATH_MAX + 16];

/* The name server that does not answer: libcurl's call ends up here. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		(int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
													"getaddrinfo");

	if (node && strcmp(node, "slow.invalid") == 0)
		sleep(3600);
	return real(node, service, hints, ret);
}

/* A daemon whose unit leaves it no network. */
static bool no_network;

int socket(int domain, int type, int protocol)
{
	int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");

	if (no_network && (domain == AF_INET || domain == AF_INET6)) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return real(domain, type, protocol);
}

/* ---- a server ---- */

/* In directory `at`. Waits for it, generously: the machine may be busy. */
static pid_t spawn_server(const char *at, const char *options, long *ret_port)
{
	_cleanup_free_ char *command = xasprintf("exec /usr/bin/python3 tests/webhook_server.py %s %s", at, options);
	_cleanup_free_ char *file = xasprintf("%s/port", at);
	double end = now() + 60;
	FILE *f;

	unlink(file);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (!(f = fopen(file, "r"))) {
		if (now() > end || waitpid(pid, NULL, WNOHANG) != 0) {
			fprintf(stderr, "the server did not start\n");
			exit(EXIT_FAILURE);
		}
		sleep_ms(10);
	}
	char digits[16] = "";
	*ret_port = strtol(fgets(digits, sizeof(digits), f) ? digits : "", NULL, 10);
	fclose(f);
	return pid;
}

/* The one that most tests share: starting one takes longer than asking it. */
static char shared_dir[PATH_MAX];
static long shared_port;

static void use_server(void)
{
	port = shared_port;
	snprintf(requests, sizeof(requests), "%s/requests", shared_dir);
	unlink(requests);
}

/* One of the test's own. */
static void start_server(const char *options)
{
	server = spawn_server(dir, options, &port);
	snprintf(requests, sizeof(requests), "%s/requests", dir);
}

static void stop_server(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	server = 0;
}

static void teardown_server(void)
{
	stop_server();
	teardown();
}

/* All requests that it got: owned by the caller. */
static char *all_requests(void)
{
	FILE *f = fopen(requests, "r");
	char *s = xcalloc(1, 1 << 20);

	if (f) {
		s[fread(s, 1, (1 << 20) - 1, f)] = '\0';
		fclose(f);
	}
	return s;
}

/* The n-th request that it got: new reference. */
static json_t *request(size_t n)
{
	_cleanup_free_ char *all = all_requests();
	char *rest = all, *line = NULL;

	for (size_t i = 0; i <= n; i++) {
		line = strsep(&rest, "\n");
		ck_assert_msg(line && *line, "there is no request %zu", n);
	}
	json_t *o = json_loads(line, 0, NULL);
	ck_assert_ptr_nonnull(o);
	return o;
}

static const char *header(const json_t *seen, const char *name)
{
	return jsonx_str(json_object_get(seen, "headers"), name);
}

static int sh(const char *command)
{
	int status = system(command); /* NOLINT(cert-env33-c): the test's own text */

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* An authority "ca.pem", a server's "server.pem", a client's "client.pem"; "other.pem" is an authority nobody uses. */
static void make_certificates(void)
{
	ck_assert_int_eq(
		sh(text("cd %s && exec >openssl.log 2>&1 && umask 077 &&"
			"new() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; } &&"
			"for a in ca other; do new $a && openssl req -x509 -new -key $a.key -subj /CN=$a -days 2 "
			"-out $a.pem || exit 1; done &&"
			"for n in server client; do new $n && openssl req -new -key $n.key -subj /CN=$n -out $n.csr &&"
			"printf 'subjectAltName=IP:127.0.0.1\\n' >$n.ext &&"
			"openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile "
			"$n.ext -out $n.crt && cat $n.crt $n.key >$n.pem || exit 1; done",
			dir)),
		0);
}

/* ---- one event ---- */

/* A hook of this URL, with further lines for the backend; the pre event. */
static int event_to(const char *url, enum hook_phase phase, const char *options, json_t **ret_data,
		    json_t **ret_outcome, struct error *e)
{
	struct hook_set *set = one_hook(text("webhook:%s", url), options);
	int r = run_phase(set, phase, func_name, ret_data, ret_outcome, e);

	hook_set_free(set);
	return r;
}

static const char *http(const char *path)
{
	return text("http://127.0.0.1:%ld%s", port, path);
}

START_TEST(test_request)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *headers = "webhook_headers = {\"X-Site: nas 1\", \"X-Empty:\", \"Authorization: Bearer abc\"}\n";

	ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	use_server();
	ck_assert_msg(event_to(http("/status/200"), HOOK_PRE, headers, NULL, NULL, &e) == 0, "%s", e.message);
	_cleanup_json_ json_t *seen = request(0);
	_cleanup_json_ json_t *event = json_loads(jsonx_str(seen, "body"), 0, NULL);
	ck_assert_str_eq(jsonx_str(event, "func_name"), func_name);
	ck_assert_str_eq(jsonx_str(json_object_get(event, "args"), "name"), "photos");
	ck_assert_str_eq(header(seen, "content-type"), "application/json");
	ck_assert_str_eq(header(seen, "x-sharesd-event"), "pre-create_share_instance");
	ck_assert_str_eq(header(seen, "x-sharesd-call-id"), "c-1");
	ck_assert_str_eq(header(seen, "x-sharesd-host"), "nas1");
	ck_assert_str_eq(header(seen, "x-sharesd-backend"), "media");
	ck_assert_str_eq(header(seen, "x-site"), "nas 1");
	ck_assert_str_eq(header(seen, "x-empty"), "");
	ck_assert_str_eq(header(seen, "authorization"), "Bearer abc");
	ck_assert_ptr_null(header(seen, "x-sharesd-signature"));
	ck_assert_ptr_null(header(seen, "expect"));
	ck_assert_msg(text_starts_with(header(seen, "user-agent"), "sharesd/"), "%s", header(seen, "user-agent"));
	/* What may be a secret is in no event. */
	ck_assert_ptr_null(strstr(jsonx_str(seen, "body"), "Bearer"));
	ck_assert_ptr_null(json_object_get(json_object_get(event, "options"), "webhook_headers"));
	ck_assert_ptr_nonnull(json_object_get(json_object_get(event, "options"), "webhook_timeout"));
}
END_TEST

/* What the hook's own post hook is handed is what the answer to its pre event was. */
static const struct {
	const char *path;
	const char *data;    /* JSON; NULL: the hook fails */
	const char *message; /* part of the failure's */
} pre_rows[] = {
	{ "/status/200", "null", NULL },
	{ "/status/204", "null", NULL },
	{ "/status/202?%20%0d%0a", "null", NULL },
	{ "/status/200?null", "null", NULL },
	{ "/status/201?%7b%22ticket%22:4711%7d", "{\"ticket\":4711}", NULL },
	{ "/status/200?fine", NULL, "the body of the answer is neither empty nor one JSON value" },
	{ "/status/200?[[[[[[]]]]]]", NULL, "nested deeper than 5 levels" },
	{ "/status/500?%20no%20disk%0aat%20all%ff%20", NULL, "status 500: no disk at all?" },
	{ "/status/404", NULL, "status 404" },
	{ "/status/403?denied", NULL, "status 403: denied" },
	{ "/redirect", NULL, "/status/200?%22followed%22, but redirections are not followed: write that URL" },
	{ "/status/304", NULL, "status 304" },
	{ "/huge", NULL, "the answer is larger than 1024 KiB" },
	{ "/huge-headers", NULL, "large" },
	{ "/garbage", NULL, "HTTP/0.9" },
	{ "/nothing", NULL, "Empty reply" },
	{ "/cut/200?%7b%7d", NULL, "transfer closed" },
};

START_TEST(test_pre)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_json_ json_t *results = json_object(), *changed = NULL;

	max_depth = 5;
	use_server();
	struct hook_set *set = one_hook(text("webhook:%s", http(pre_rows[_i].path)), "");
	fake_call_init(&f, func_name);
	struct hook_run *run = hook_run_new(set, &f.call);
	int r = hook_run_pre(run, &e);
	if (pre_rows[_i].data) {
		ck_assert_msg(r == 0, "%s", e.message);
		/* The answer to the post event may be a failure: what it was handed is in the request. */
		hook_run_post(run, results, &changed, &e);
		_cleanup_json_ json_t *seen = request(1);
		_cleanup_json_ json_t *event = json_loads(jsonx_str(seen, "body"), 0, NULL);
		_cleanup_free_ char *data = jsonx_dump(json_object_get(event, "pre_hook_data"));
		ck_assert_str_eq(data, pre_rows[_i].data);
	} else {
		ck_assert_int_lt(r, 0);
		ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
		ck_assert_msg(strstr(e.message, pre_rows[_i].message) != NULL, "%s", e.message);
		ck_assert_msg(strstr(e.message, http(pre_rows[_i].path)) != NULL, "%s", e.message);
	}
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

static const struct {
	const char *path;
	int n; /* the result's "n", 1 before; 0: the hook fails */
	const char *message;
} post_rows[] = {
	{ "/status/204", 1, NULL },
	{ "/status/200?%7b%22driver_action_results%22:%7b%22n%22:2%7d%7d", 2, NULL },
	{ "/status/200?%7b%22n%22:2%7d", 0, "the answer has a member \"n\"" },
	{ "/status/200?%7b%22driver_action_results%22:%7b%22size_bytes%22:2%7d%7d", 0, "a post hook may not set it" },
	{ "/status/409?no", 0, "status 409: no" }, /* a veto belongs to pre */
};

START_TEST(test_post)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;

	use_server();
	int r = event_to(http(post_rows[_i].path), HOOK_POST, "", &results, NULL, &e);
	if (post_rows[_i].n > 0) {
		ck_assert_msg(r == 0, "%s", e.message);
		ck_assert_int_eq(jsonx_int(results, "n"), post_rows[_i].n);
		return;
	}
	ck_assert_int_lt(r, 0);
	ck_assert_int_eq(e.kind, ERR_POST_HOOK_FAILED);
	ck_assert_msg(strstr(e.message, post_rows[_i].message) != NULL, "%s", e.message);
}
END_TEST

START_TEST(test_periodic_and_error)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *good = NULL, *bad = NULL;
	enum hook_phase phase = _i ? HOOK_ERROR : HOOK_PERIODIC;

	use_server();
	event_to(http("/status/200?no%20JSON"), phase, "", NULL, &good, &e);
	ck_assert_str_eq(jsonx_str(good, "outcome"), "ok");
	event_to(http("/status/500?ouch"), phase, "", NULL, &bad, &e);
	ck_assert_str_eq(jsonx_str(bad, "outcome"), "failed");
	ck_assert_ptr_nonnull(strstr(jsonx_str(bad, "error"), "status 500: ouch"));
	_cleanup_json_ json_t *seen = request(0);
	ck_assert_str_eq(header(seen, "x-sharesd-event"), _i ? "error-create_share_instance" : "periodic");
}
END_TEST

static const struct {
	const char *path, *text;
} vetoes[] = {
	{ "/status/409?%20only%20500%20GiB%0aa%20share%20%0a", "only 500 GiB\na share" },
	{ "/status/409", "the hook refused create_share_instance and gave no reason" },
	{ "/cut/409?too%20lar", "too lar" },
};

/* Never swallowed, not even where its text breaks off. */
START_TEST(test_veto)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	use_server();
	ck_assert_int_lt(
		event_to(http(vetoes[_i].path), HOOK_PRE, "suppress_pre_hooks_errors = true\n", NULL, NULL, &e), 0);
	ck_assert_int_eq(e.kind, ERR_VETOED);
	ck_assert_str_eq(e.message, vetoes[_i].text);
}
END_TEST

START_TEST(test_large_answer)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	use_server();
	ck_assert_msg(event_to(http("/large"), HOOK_PRE, "", NULL, NULL, &e) == 0, "%s", e.message);
}
END_TEST

/* ---- time ---- */

/* The body of all of these would be fine, were there an end. */
static const char *const slow[] = { "/hang", "/drip", "/drip-headers" };

static void check_timed_out(const char *url)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *outcome = NULL;
	double start = now();

	ck_assert_int_lt(event_to(url, HOOK_PRE, "webhook_timeout = 0.3\n", NULL, &outcome, &e), 0);
	/* Not nearly as long as the server would go on. */
	ck_assert(now() - start < 60);
	ck_assert(now() - start >= 0.3);
	ck_assert_msg(strstr(e.message, "no whole answer within 0.3 s") != NULL, "%s", e.message);
	ck_assert(jsonx_bool(outcome, "timed_out"));
}

START_TEST(test_slow_server)
{
	use_server();
	check_timed_out(http(slow[_i]));
}
END_TEST

/* It takes connections, and nobody is there to read from them. */
START_TEST(test_dead_server)
{
	start_server("");
	ck_assert_int_eq(kill(server, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(server, NULL, WUNTRACED), server);
	check_timed_out(http("/status/200"));
	check_timed_out(text("https://127.0.0.1:%ld/", port));
}
END_TEST

START_TEST(test_slow_name_server)
{
	check_timed_out("http://slow.invalid/");
}
END_TEST

/* ---- connections ---- */

START_TEST(test_refused)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	start_server("");
	stop_server();
	ck_assert_int_lt(event_to(http("/status/200"), HOOK_PRE, "", NULL, NULL, &e), 0);
	ck_assert_msg(strstr(e.message, "Connection refused") || strstr(e.message, "Couldn't connect"), "%s",
		      e.message);
}
END_TEST

/* No program that is started meanwhile may inherit the connection that is kept. (libcurl has other sockets of its own;
 * base/process closes those.) */
static void check_sockets(void)
{
	DIR *d = opendir("/proc/self/fd");
	int sockets = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *entry = readdir(d); entry; entry = readdir(d)) { /* NOLINT(concurrency-mt-unsafe) */
		int fd = (int)strtol(entry->d_name, NULL, 10);
		struct sockaddr_storage a = { 0 };
		socklen_t len = sizeof(a);

		if (getsockname(fd, (struct sockaddr *)&a, &len) < 0 || a.ss_family != AF_INET)
			continue;
		sockets++;
		ck_assert_msg(fcntl(fd, F_GETFD) & FD_CLOEXEC, "descriptor %d would be inherited", fd);
	}
	closedir(d);
	ck_assert_int_gt(sockets, 0);
}

START_TEST(test_connection_is_kept)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	start_server("");
	struct hook_set *set = one_hook(text("webhook:%s", http("/status/204")), "");
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_int_eq(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	check_sockets();
	_cleanup_json_ json_t *one = request(0), *two = request(1);
	ck_assert_int_gt(jsonx_int(one, "connection"), 0);
	ck_assert_int_eq(jsonx_int(one, "connection"), jsonx_int(two, "connection"));
	/* A server that was started anew gets a new one. */
	stop_server();
	start_server(text("--port %ld", port));
	ck_assert_msg(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e) == 0, "%s", e.message);
	/* After a failure too. */
	stop_server();
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	start_server(text("--port %ld", port));
	ck_assert_msg(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e) == 0, "%s", e.message);
	hook_set_free(set);
}
END_TEST

START_TEST(test_unix_socket)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;

	ck_assert_int_lt(event_to(text("unix:%s/gone:/status/200", dir), HOOK_PRE, "", NULL, NULL, &e), 0);
	start_server(text("--unix %s/sock", dir));
	ck_assert_msg(
		event_to(
			text("unix:%s/sock:/status/200?%%7b%%22driver_action_results%%22:%%7b%%22n%%22:7%%7d%%7d", dir),
			HOOK_POST, "webhook_proxy = \"http://127.0.0.1:1\"\n", &results, NULL, &e) == 0,
		"%s", e.message);
	ck_assert_int_eq(jsonx_int(results, "n"), 7);
	_cleanup_json_ json_t *seen = request(0);
	ck_assert_str_eq(header(seen, "host"), "localhost");
}
END_TEST

START_TEST(test_proxy)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	use_server();
	ck_assert_msg(event_to("http://far.invalid/x", HOOK_PRE, text("webhook_proxy = \"%s\"\n", http("")), NULL, NULL,
			       &e) < 0,
		      "a server that knows no such path took the event");
	ck_assert_ptr_nonnull(strstr(e.message, "far.invalid"));
	_cleanup_json_ json_t *seen = request(0);
	ck_assert_str_eq(jsonx_str(seen, "path"), "http://far.invalid/x");
}
END_TEST

/* ---- TLS ---- */

static const char *https(const char *path)
{
	return text("https://127.0.0.1:%ld%s", port, path);
}

START_TEST(test_tls)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	make_certificates();
	start_server(text("--cert %s/server.pem", dir));
	ck_assert_msg(event_to(https("/status/200"), HOOK_PRE, text("webhook_ca_file = \"%s/ca.pem\"\n", dir), NULL,
			       NULL, &e) == 0,
		      "%s", e.message);
	/* Another authority, and the system's, do not know it. */
	ck_assert_int_lt(event_to(https("/status/200"), HOOK_PRE, text("webhook_ca_file = \"%s/other.pem\"\n", dir),
				  NULL, NULL, &e),
			 0);
	ck_assert_msg(strstr(e.message, "the server is not trusted") != NULL, "%s", e.message);
	ck_assert_int_lt(event_to(https("/status/200"), HOOK_PRE, "", NULL, NULL, &e), 0);
	ck_assert_msg(strstr(e.message, "the server is not trusted") != NULL, "%s", e.message);
	/* The right authority, the wrong name. */
	ck_assert_int_lt(event_to(text("https://localhost:%ld/status/200", port), HOOK_PRE,
				  text("webhook_ca_file = \"%s/ca.pem\"\n", dir), NULL, NULL, &e),
			 0);
	ck_assert_msg(strstr(e.message, "the server is not trusted") != NULL, "%s", e.message);
	_cleanup_json_ json_t *only = request(0);
	_cleanup_free_ char *all = all_requests();
	ck_assert_ptr_eq(strchr(all, '\n'), all + strlen(all) - 1);
	ck_assert(json_is_null(json_object_get(only, "client")));
}
END_TEST

START_TEST(test_client_certificate)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *ca;

	make_certificates();
	start_server(text("--cert %s/server.pem --client-ca %s/ca.pem", dir, dir));
	ca = text("webhook_ca_file = \"%s/ca.pem\"\n", dir);
	ck_assert_int_lt(event_to(https("/status/200"), HOOK_PRE, ca, NULL, NULL, &e), 0);
	ca = text("webhook_ca_file = \"%s/ca.pem\"\nwebhook_client_cert = \"%s/client.pem\"\n", dir, dir);
	ck_assert_msg(event_to(https("/status/200"), HOOK_PRE, ca, NULL, NULL, &e) == 0, "%s", e.message);
	_cleanup_json_ json_t *seen = request(0);
	ck_assert_str_eq(jsonx_str(seen, "client"), "client");
}
END_TEST

/* ---- secrets ---- */

static void write_secret(const char *name, const char *content)
{
	write_file(name, content, 0600);
}

START_TEST(test_signature)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_secret("secret", "correct horse\n");
	start_server(text("--secret %s/secret", dir));
	struct hook_set *set =
		one_hook(text("webhook:%s", http("/signed")), text("webhook_secret_file = \"%s/secret\"\n", dir));
	ck_assert_int_eq(hook_set_check(set, &e), 0);
	ck_assert_msg(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e) == 0, "%s", e.message);
	/* A new secret counts from the next request on. */
	write_secret("secret", "battery staple");
	ck_assert_msg(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e) == 0, "%s", e.message);
	_cleanup_json_ json_t *one = request(0), *two = request(1), *hooks = hook_set_describe(set);
	ck_assert_str_ne(header(one, "x-sharesd-signature"), header(two, "x-sharesd-signature"));
	_cleanup_free_ char *shown = jsonx_dump(hooks);
	ck_assert_ptr_null(strstr(shown, "horse"));
	ck_assert_ptr_null(strstr(shown, "staple"));
	ck_assert(jsonx_bool(json_array_get(hooks, 0), "signed"));
	/* Without it nothing is sent. */
	ck_assert_int_eq(unlink(in_dir("secret")), 0);
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, NULL, &e), 0);
	ck_assert_msg(strstr(e.message, "No such file") != NULL, "%s", e.message);
	hook_set_free(set);
	_cleanup_free_ char *all = all_requests();
	ck_assert_ptr_null(strstr(all, "horse"));
	ck_assert_ptr_null(strstr(all, "staple"));
}
END_TEST

START_TEST(test_credentials_and_header_files)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	start_server(text("--secret %s/secret", dir));
	write_secret("secret", "correct horse\n");
	write_secret("tokens", "# for the receiver\n\nAuthorization: Bearer xyz \r\nX-Two: 2");
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	ck_assert_msg(
		event_to(http("/signed"), HOOK_PRE,
			 text("webhook_secret_file = \"secret\"\nwebhook_headers = {\"@tokens\", \"@%s/tokens\"}\n",
			      dir),
			 NULL, NULL, &e) == 0,
		"%s", e.message);
	_cleanup_json_ json_t *seen = request(0);
	ck_assert_str_eq(header(seen, "authorization"), "Bearer xyz");
	ck_assert_str_eq(header(seen, "x-two"), "2");
}
END_TEST

/* ---- what makes the backend down ---- */

static const struct {
	const char *url, *options, *message;
} refused[] = {
	{ "ftp://host/", "", "write webhook:https://host/path" },
	{ "http://", "", "No host part" },
	{ "http://ho st/", "", "write them as %20" },
	{ "http://ann:pw@host/", "", "it may have no password" },
	{ "http://host:99999/", "", "ort number" },
	{ "unix:run/x", "", "write webhook:unix:/path/of/socket:/path" },
	{ "unix:/"
	  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjj1234567"
	  "8",
	  "", "107 characters at most" },
	{ "http://host/", "webhook_headers = {\"secret-token\"}\n", "a header is written" },
	{ "http://host/", "webhook_headers = {\"content-length: 3\"}\n", "is set by sharesd itself" },
	{ "http://host/", "webhook_headers = {\"X-Sharesd-Signature: x\"}\n", "is set by sharesd itself" },
	{ "http://host/", "webhook_headers = {\"X: a\\nY: b\"}\n", "control character" },
	{ "http://host/", "webhook_secret_file = \"a/b\"\n", "neither a path from \"/\" nor the name" },
	{ "http://host/", "webhook_secret_file = \"token\"\n", "add LoadCredential=token:/path" },
	{ "http://host/", "webhook_ca_file = \"token\"\n", "add LoadCredential=token:/path" },
	{ "http://host/", "webhook_secret_file = \"@/none\"\n", "/none cannot be read: No such file" },
	{ "http://host/", "webhook_headers = {\"@@/none\"}\n", "/none cannot be read: No such file" },
	{ "http://host/", "webhook_ca_file = \"@/none\"\n", "/none cannot be read: No such file" },
	{ "http://host/", "webhook_client_cert = \"@/none\"\n", "/none cannot be read: No such file" },
	{ "http://host/", "webhook_secret_file = \"@/open\"\n", "others may read it: take that away with chmod o-r" },
	{ "http://host/", "webhook_secret_file = \"@/writable\"\n", "others may write it" },
	{ "http://host/", "webhook_secret_file = \"@\"\n", "it is no regular file" },
	{ "http://host/", "webhook_secret_file = \"@/pipe\"\n", "it is no regular file" },
	{ "http://host/", "webhook_secret_file = \"@/empty\"\n", "is empty" },
	{ "http://host/", "webhook_secret_file = \"@/large\"\n", "File too large" },
	{ "http://host/", "webhook_client_cert = \"@/open\"\n", "others may read it" },
	{ "http://host/", "webhook_ca_file = \"@/writable\"\n", "others may write it" },
	{ "http://host/", "webhook_ca_file = \"@/garbage\"\n", "does not hold certificates of authorities in PEM" },
	{ "http://host/", "webhook_client_cert = \"@/garbage\"\n", "does not hold a certificate in PEM" },
	{ "http://host/", "webhook_client_cert = \"@/ca.pem\"\n", "the certificate's key in PEM without a passphrase" },
	{ "http://host/", "webhook_client_cert = \"@/locked.pem\"\n",
	  "the certificate's key in PEM without a passphrase" },
	{ "http://host/", "webhook_headers = {\"@@/garbage\"}\n", "a header is written" },
};

/* "@" stands for the directory. */
static char *with_dir(const char *s)
{
	char *out = xstrdup("");

	for (; *s; s++) {
		char *longer = *s == '@' && s[1] == '/'   ? xasprintf("%s%s", out, dir)
			       : *s == '@' && s[1] == '"' ? xasprintf("%s%s", out, dir)
							  : xasprintf("%s%c", out, *s);
		free(out);
		out = longer;
	}
	return out;
}

START_TEST(test_refused_setup)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *options = with_dir(refused[_i].options), *large = xcalloc(1, 70001);
	struct hook_set *set = NULL;

	unsetenv("CREDENTIALS_DIRECTORY");
	if (strstr(options, ".pem")) {
		make_certificates();
		ck_assert_int_eq(sh(text("cd %s && (cat client.crt; openssl ec -in client.key -aes128 -passout pass:x) "
					 ">locked.pem 2>/dev/null && chmod 0600 locked.pem",
					 dir)),
				 0);
	}
	memset(large, 'x', 70000);
	write_file("open", "secret", 0644);
	write_file("writable", "secret", 0620);
	write_secret("empty", "\n");
	write_secret("large", large);
	write_secret("garbage", "this is secret garbage\n");
	ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
	int r = make_set("", text("hook_drivers = {\"webhook:%s\"}\n%s%s", refused[_i].url, ALL_PHASES, options), &set,
			 &e);
	if (r == 0)
		r = hook_set_check(set, &e);
	hook_set_free(set);
	ck_assert_int_lt(r, 0);
	ck_assert_msg(strstr(e.message, refused[_i].message) != NULL, "%s", e.message);
	ck_assert_ptr_null(strstr(e.message, "secret garbage"));
}
END_TEST

START_TEST(test_no_network)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *far = one_hook("webhook:http://host/", ""), *near = one_hook("webhook:unix:/run/x", "");

	no_network = true;
	ck_assert_int_lt(hook_set_check(far, &e), 0);
	ck_assert_msg(strstr(e.message, "its unit needs the drop-in network") != NULL, "%s", e.message);
	ck_assert_int_eq(hook_set_check(near, &e), 0);
	no_network = false;
	ck_assert_int_eq(hook_set_check(far, &e), 0);
	hook_set_free(far);
	hook_set_free(near);
}
END_TEST

/* Dozens of requests of all fates leave no descriptor behind. */
START_TEST(test_no_leaks)
{
	static const char *const paths[] = { "/status/200?%7b%7d", "/status/409?no", "/cut/200?x", "/nothing",
					     "/garbage",           "/huge",          "/status/500" };
	size_t before = 0;

	use_server();
	for (int i = 0; i < 42; i++) {
		_cleanup_error_ struct error e = ERROR_INIT;
		DIR *d;
		size_t n = 0;

		event_to(http(paths[i % 7]), HOOK_PRE, "", NULL, NULL, &e);
		d = opendir("/proc/self/fd");
		ck_assert_ptr_nonnull(d);
		while (readdir(d)) /* NOLINT(concurrency-mt-unsafe) */
			n++;
		closedir(d);
		if (i == 6)
			before = n;
		if (i > 6)
			ck_assert_uint_eq(n, before);
	}
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

int main(void)
{
	Suite *s = suite_create("hooks: webhook");
	TCase *c = tcase_create("webhook");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown_server);
	tcase_add_test(c, test_request);
	tcase_add_loop_test(c, test_pre, 0, COUNT(pre_rows));
	tcase_add_loop_test(c, test_post, 0, COUNT(post_rows));
	tcase_add_loop_test(c, test_periodic_and_error, 0, 2);
	tcase_add_loop_test(c, test_veto, 0, COUNT(vetoes));
	tcase_add_test(c, test_large_answer);
	tcase_add_loop_test(c, test_slow_server, 0, COUNT(slow));
	tcase_add_test(c, test_dead_server);
	tcase_add_test(c, test_slow_name_server);
	tcase_add_test(c, test_refused);
	tcase_add_test(c, test_connection_is_kept);
	tcase_add_test(c, test_unix_socket);
	tcase_add_test(c, test_proxy);
	tcase_add_test(c, test_tls);
	tcase_add_test(c, test_client_certificate);
	tcase_add_test(c, test_signature);
	tcase_add_test(c, test_credentials_and_header_files);
	tcase_add_loop_test(c, test_refused_setup, 0, COUNT(refused));
	tcase_add_test(c, test_no_network);
	tcase_add_test(c, test_no_leaks);
	suite_add_tcase(s, c);

	const char *tmp = getenv("TMPDIR");
	snprintf(shared_dir, sizeof(shared_dir), "%s/webhook.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(shared_dir))
		return EXIT_FAILURE;
	pid_t shared = spawn_server(shared_dir, "", &shared_port);
	int failed = run_suite(s);
	kill(shared, SIGKILL);
	waitpid(shared, NULL, 0);
	nftw(shared_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed;
}
