/* Limits at their edges, and rude clients in crowds: others go on being served, and memory comes back. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define MIB (1024 * 1024)

static void ping(struct client *c)
{
	json_decref(client_call(c, "list_shares", NULL));
}

/* ---- edges ---- */

/* One below, at, and one above: the answer of the last one has this limit in its words and its data. */
static void check_edge(json_t *reply, int past, long long limit, const char *name)
{
	ck_assert_ptr_nonnull(reply);
	if (past <= 0) {
		at(reply, "result");
	} else {
		ck_assert_int_eq(int_at(reply, "error.code"), -32600);
		ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), name));
		if (json_object_get(at(reply, "error.data"), "limit"))
			ck_assert_int_eq(int_at(reply, "error.data.limit"), limit);
	}
	json_decref(reply);
}

START_TEST(lines_at_the_edge)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":1";
	struct fixture *f = fixture_new("max_request_bytes = \"4KiB\"\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int past = -1; past <= 1; past++) {
		int len = 4096 + past, blanks = len - (int)sizeof head;

		client_send_text(c, head);
		for (int i = 0; i < blanks; i++)
			client_send(c, " ", 1);
		client_send_text(c, "}\n");
		check_edge(client_read(c), past, 4096, "max_request_bytes");
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(depth_at_the_edge)
{
	struct fixture *f = fixture_new("max_request_depth = 8\nsim \"s\" { }\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int past = -1; past <= 1; past++) {
		char opens[16] = "", closes[16] = "", name[16];
		json_t *reply;

		/* The request, its params and the options are three levels. */
		for (int i = 0; i < 5 + past; i++) {
			strcat(opens, "[");
			strcat(closes, "]");
		}
		snprintf(name, sizeof name, "s%d", past + 1);
		reply = client_ask(
			c,
			"{'jsonrpc':'2.0','id':1,'method':'manage_share','params':{'backend':'s','name':'%s',"
			"'provider_location':'%s','size_bytes':1,'driver_options':{'x':%s%s}}}",
			name, name, opens, closes);
		check_edge(reply, past, 8, "nested deeper than 8");
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(batches_at_the_edge)
{
	struct fixture *f = fixture_new("max_batch_entries = 5\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int past = -1; past <= 1; past++) {
		json_t *reply;

		client_send_text(c, "[");
		for (int i = 0; i < 5 + past; i++) {
			client_send_text(c, i ? "," : "");
			client_send_text(c, "{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":1}");
		}
		reply = client_ask(c, "]");
		if (past <= 0)
			ck_assert_uint_eq(json_array_size(reply), (size_t)(5 + past));
		check_edge(past <= 0 ? json_incref(json_array_get(reply, 0)) : json_incref(reply), past, 5,
			   "max_batch_entries");
		json_decref(reply);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

static void check_turned_away(const struct fixture *f, const char *name)
{
	struct client *c = client_new(f);
	json_t *reply = client_read(c);

	ck_assert_ptr_nonnull(reply);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), "limit");
	ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), name));
	ck_assert_ptr_null(client_read(c));
	json_decref(reply);
	client_free(c);
}

START_TEST(connections_at_the_edge)
{
	static const char *const confs[] = { "max_connections = 4\nmax_connections_per_user = 9\n",
					     "max_connections = 9\nmax_connections_per_user = 4\n" };
	static const char *const names[] = { "max_connections)", "max_connections_per_user" };

	for (int k = 0; k < 2; k++) {
		struct fixture *f = fixture_new(confs[k]);
		struct client *c[4];

		fixture_start(f, NULL, (uid_t)-1);
		for (int i = 0; i < 4; i++) {
			/* The one that asked whether the daemon has started may not be gone yet. */
			c[i] = client_new(f);
			if (i < 3)
				ping(c[i]);
		}
		client_free(c[3]);
		for (double until = now() + 20; now() < until; nap(0.01)) {
			json_t *service = client_call(c[0], "get_service", NULL);
			bool alone = int_at(service, "counts.connections") == 3;

			json_decref(service);
			if (alone)
				break;
		}
		c[3] = client_new(f);
		for (int i = 0; i < 4; i++)
			ping(c[i]);
		check_turned_away(f, names[k]);
		check_turned_away(f, names[k]);
		for (int i = 0; i < 4; i++) {
			ping(c[i]);
			client_free(c[i]);
		}
		fixture_free(f);
	}
}
END_TEST

/* Left unread below the limit: nothing happens. What is above it closes the connection (test_socket). */
START_TEST(unread_below_the_edge)
{
	struct fixture *f = fixture_new("max_unsent_bytes = \"1MiB\"\n");
	struct client *c, *other;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	other = client_new(f);
	for (int i = 0; i < 6; i++)
		client_line(c, "{'jsonrpc':'2.0','method':'rpc.discover','id':%d}", i);
	for (int i = 0; i < 50; i++)
		ping(other);
	for (int i = 0; i < 6; i++) {
		json_t *reply = client_read(c);

		ck_assert_ptr_nonnull(reply);
		ck_assert_int_eq(int_at(reply, "id"), i);
		json_decref(reply);
	}
	client_free(c);
	client_free(other);
	fixture_free(f);
}
END_TEST

/* A line that takes long, but not too long; and one that does. */
START_TEST(slow_lines_at_the_edge)
{
	struct fixture *f = fixture_new("request_line_timeout = 4\n");
	struct client *fine, *late;
	double begin;

	fixture_start(f, NULL, (uid_t)-1);
	fine = client_new(f);
	late = client_new(f);
	begin = now();
	client_send_text(late, "{");
	client_send_text(fine, "{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",");
	nap(1);
	json_decref(client_ask(fine, "'id':1}"));
	ck_assert_ptr_null(client_read(late));
	ck_assert_double_ge(now() - begin, 3.9);
	ping(fine);
	client_free(fine);
	client_free(late);
	fixture_free(f);
}
END_TEST

/* ---- pages ---- */

#define LARGE_TEXTS 240

static json_t *large_metadata(void)
{
	json_t *o = json_object();
	char key[8], value[4001] = "";

	memset(value, 'v', sizeof value - 1);
	for (int i = 0; i < LARGE_TEXTS; i++) {
		snprintf(key, sizeof key, "k%d", i);
		json_object_set_new(o, key, json_string(value));
	}
	return o;
}

/* Entries of nearly 1 MiB each: a page ends early, and none is left out or comes twice. */
START_TEST(large_pages)
{
	enum { N = 9 };
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	json_t *metadata = large_metadata(), *after = NULL;
	struct client *c;
	int seen = 0, pages = 0;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int i = 0; i < N; i++) {
		char name[8];

		snprintf(name, sizeof name, "s%d", i);
		json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:O}", "name", name, "size_bytes", 1,
					"metadata", metadata));
	}
	do {
		json_t *page = after ? client_call(c, "list_shares", "{s:i,s:O}", "limit", 1000, "after", after)
				     : client_call(c, "list_shares", "{s:i}", "limit", 1000);
		size_t n = json_array_size(at(page, "shares"));

		ck_assert_uint_ge(n, 1);
		ck_assert_uint_le(n, 2);
		for (size_t i = 0; i < n; i++) {
			const char *name = str_at(json_array_get(at(page, "shares"), i), "name");

			ck_assert_int_eq(strtol(name + 1, NULL, 10), seen++);
		}
		json_decref(after);
		after = json_is_null(at(page, "next")) ? NULL : json_incref(at(page, "next"));
		json_decref(page);
		pages++;
	} while (after);
	ck_assert_int_eq(seen, N);
	ck_assert_int_ge(pages, N / 2);
	/* Small ones are not cut. */
	for (int i = 0; i < N; i++) {
		char name[8];

		snprintf(name, sizeof name, "s%d", i);
		json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", name, "name", "n"));
	}
	after = client_call(c, "list_snapshots", NULL);
	ck_assert_uint_eq(json_array_size(at(after, "snapshots")), N);
	json_decref(after);
	json_decref(metadata);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- crowds ---- */

static long rss_kib(const struct fixture *f)
{
	char path[64], *text, *line;
	long kib = -1;

	snprintf(path, sizeof path, "/proc/%d/status", (int)f->pid);
	text = read_text(path);
	line = text ? strstr(text, "VmRSS:") : NULL;
	if (line)
		kib = strtol(line + 6, NULL, 10);
	free(text);
	ck_assert_int_gt(kib, 0);
	return kib;
}

static int count_fds(const struct fixture *f)
{
	char *out;
	int n;

	ck_assert_int_eq(shell(&out, "ls /proc/%d/fd | wc -l", (int)f->pid), 0);
	n = (int)strtol(out, NULL, 10);
	free(out);
	return n;
}

static double patience(void)
{
	const char *times = getenv("CK_TIMEOUT_MULTIPLIER");

	return times ? strtod(times, NULL) : 1;
}

/* Somebody is rude in a process of their own; meanwhile others are served. Afterwards nothing of it is left. */
static void suffer(const char *conf, void (*be_rude)(const struct fixture *f), long most_kib)
{
	struct fixture *f = fixture_new(conf);
	struct client *c;
	double slowest = 0;
	long before, highest = 0;
	int fds, status = 0, pings = 0;
	pid_t pid;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int i = 0; i < 50; i++)
		ping(c);
	before = rss_kib(f);
	fds = count_fds(f);
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		be_rude(f);
		_exit(0);
	}
	do {
		double begin = now(), took;
		long kib;

		ping(c);
		took = now() - begin;
		pings++;
		kib = rss_kib(f);
		slowest = took > slowest ? took : slowest;
		highest = kib > highest ? kib : highest;
		nap(0.005);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	ck_assert_int_eq(status, 0);
	/* All are gone when the daemon has seen it. */
	for (double until = now() + 20; count_fds(f) > fds && now() < until;)
		nap(0.02);
	ck_assert_int_le(count_fds(f), fds);
	for (int i = 0; i < 400 && !SANITIZED && rss_kib(f) > before + 16384; i++) {
		nap(0.05);
		ping(c);
	}
	printf("%d pings, the slowest took %.3f s; VmRSS %ld KiB before, %ld at most, %ld after\n", pings, slowest,
	       before, highest, rss_kib(f));
	ck_assert_msg(slowest < 15 * patience(), "another client waited for %g s", slowest);
	if (!SANITIZED) {
		ck_assert_msg(highest < before + most_kib, "VmRSS grew from %ld to %ld KiB", before, highest);
		ck_assert_msg(rss_kib(f) <= before + 16384, "VmRSS is %ld KiB after %ld", rss_kib(f), before);
	}
	client_free(c);
	fixture_free(f);
}

static int dial(const struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, f->socket);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
		return fd;
	_exit(2);
}

/* Comes and goes: at once, after half a line, half closed, and with answers unread. */
static void come_and_go(const struct fixture *f)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"get_service\",\"id\":1}\n";

	for (int i = 0; i < 3000; i++) {
		int fd = dial(f);

		if (i % 4 == 1)
			(void)!send(fd, ask, 20, MSG_NOSIGNAL);
		if (i % 4 >= 2)
			(void)!send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL);
		if (i % 4 == 3)
			shutdown(fd, SHUT_WR);
		close(fd);
	}
}

/* 0: something can be read or it has ended; what it said first. */
static int first_words(int fd, char *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 20000) > 0 ? recv(fd, buf, size - 1, 0) : -1;

	if (n < 0)
		return -1;
	buf[n] = '\0';
	return 0;
}

/* Far more than may be connected; all stay. Who is past the limit is told so, and the others hold half a line. */
static void crowd_in(const struct fixture *f)
{
	enum { N = 900 };
	int fds[N], told = 0;
	char buf[1024];

	for (int i = 0; i < N; i++) {
		fds[i] = dial(f);
		(void)!send(fds[i], "{\"json", 6, MSG_NOSIGNAL);
		if (i % 3 == 0)
			shutdown(fds[i], SHUT_WR);
	}
	for (int i = 0; i < N; i++) {
		if (first_words(fds[i], buf, sizeof buf) < 0)
			_exit(3);
		told += strstr(buf, "max_connections_per_user") != NULL;
	}
	/* At least those that came while all places were taken. */
	if (told < N / 2)
		_exit(4);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

/* Each asks for much, and reads nothing. */
static void never_read(const struct fixture *f)
{
	enum { N = 40 };
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":1}\n";
	int fds[N];

	for (int i = 0; i < N; i++)
		fds[i] = dial(f);
	for (int round = 0; round < 400; round++) {
		for (int i = 0; i < N; i++)
			(void)!send(fds[i], ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (round % 40 == 0)
			nap(0.02);
	}
	nap(0.3);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

static void read_line_end(int fd)
{
	char buf[65536];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof buf, 0);
	while (n > 0 && buf[n - 1] != '\n');
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(5);
		data += n;
		len -= (size_t)n;
	}
}

/* As many entries as a batch may have, of what costs most. */
static void worst_batches(const struct fixture *f)
{
	static const char *const calls[] = {
		"\"rpc.discover\"", "\"list_calls\",\"params\":{\"limit\":1000}",
		"\"list_shares\",\"params\":{\"limit\":1000}", "\"subscribe\",\"params\":{\"since\":0}",
		"\"test_hook\",\"params\":{\"backend\":\"s\",\"hook\":\"x\",\"event\":{}}"
	};
	enum { N = 4 };
	int fds[N];

	for (int i = 0; i < N; i++)
		fds[i] = dial(f);
	for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
		char batch[16384] = "[", entry[256];

		for (int i = 0; i < 64; i++) {
			snprintf(entry, sizeof entry, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":%s}", i ? "," : "",
				 i, calls[k]);
			strcat(batch, entry);
		}
		strcat(batch, "]\n");
		for (int i = 0; i < N; i++)
			send_all(fds[i], batch, strlen(batch));
		for (int i = 0; i < N; i++)
			read_line_end(fds[i]);
	}
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

/* Lines as long as may be, of what parsers like least; and as long again without an end. */
static void send_rubbish(const struct fixture *f)
{
	static const char *const units[] = { " ",    "[",       "{\"a\":", "\\u0000", "9",        "\xff",  "\"",
					     "[[],", "\\ud800", "-",       "1e9",     "\xf0\x9f", "null,", "\r" };
	char *line = malloc(2 * MIB + 16);
	int fd = dial(f);

	for (size_t k = 0; k < 2 * sizeof units / sizeof *units; k++) {
		const char *unit = units[k / 2];
		size_t n = 0, most = k % 2 ? 2 * MIB : MIB - 8;

		/* Also within a text. */
		if (k % 2 == 0)
			n = (size_t)sprintf(line, "[\"");
		while (n + strlen(unit) < most)
			n = (size_t)(stpcpy(line + n, unit) - line);
		memset(line + n / 3, '\0', k % 5 == 0 ? 100 : 0);
		line[n++] = '\n';
		send_all(fd, line, n);
		if (strcmp(unit, " ") != 0 || k % 2)
			read_line_end(fd);
	}
	close(fd);
	free(line);
}

START_TEST(thousands_of_connects)
{
	suffer("", come_and_go, 32 * 1024);
}
END_TEST

START_TEST(more_than_may_connect)
{
	suffer("request_line_timeout = 2\n", crowd_in, 32 * 1024);
}
END_TEST

/* Each may leave what one answer is, what is sent ahead, and what the daemon has read of its questions. */
START_TEST(nobody_reads)
{
	suffer("", never_read, 40 * 1024);
}
END_TEST

START_TEST(batches_of_the_worst)
{
	suffer("sim \"s\" { }\n", worst_batches, 256 * 1024);
}
END_TEST

START_TEST(rubbish)
{
	suffer("", send_rubbish, 64 * 1024);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limits");
	TCase *edges = tcase_create("edges"), *crowds = tcase_create("crowds");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(edges, 120);
	tcase_add_test(edges, lines_at_the_edge);
	tcase_add_test(edges, depth_at_the_edge);
	tcase_add_test(edges, batches_at_the_edge);
	tcase_add_test(edges, connections_at_the_edge);
	tcase_add_test(edges, unread_below_the_edge);
	tcase_add_test(edges, slow_lines_at_the_edge);
	tcase_add_test(edges, large_pages);
	suite_add_tcase(s, edges);
	tcase_set_timeout(crowds, 120);
	tcase_add_test(crowds, thousands_of_connects);
	tcase_add_test(crowds, more_than_may_connect);
	tcase_add_test(crowds, nobody_reads);
	tcase_add_test(crowds, batches_of_the_worst);
	tcase_add_test(crowds, rubbish);
	suite_add_tcase(s, crowds);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
