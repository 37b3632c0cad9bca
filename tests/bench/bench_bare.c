#include "tests/bench/bench_bare.h"

#include "tests/bench/bench_place.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- programs ---- */

static void write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		/* A program need not read what it is given. */
		if (n < 0 && errno == EPIPE)
			return;
		if (n < 0)
			give_up("cannot write to a program: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
}

/* With pipes for its three descriptors, of which ours are `fds`. */
static pid_t spawn(const char *const *argv, int *fds)
{
	static char *const no_env[] = { NULL };
	posix_spawn_file_actions_t actions;
	int theirs[3];
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			give_up("cannot make a pipe: %s", strerror(errno));
		fds[i] = ends[i == 0];
		theirs[i] = ends[i != 0];
		posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
	}
	errno = posix_spawn(&pid, argv[0], &actions, NULL, (char **)argv, no_env);
	if (errno)
		give_up("cannot run %s: %s", argv[0], strerror(errno));
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 3; i++)
		close(theirs[i]);
	return pid;
}

void bare_run(const char *const *argv, const char *text, size_t len)
{
	char output[4096];
	int fds[3], status = -1;
	pid_t pid = spawn(argv, fds);

	write_all(fds[0], text, len);
	close(fds[0]);
	for (int i = 1; i < 3; i++) {
		while (read(fds[i], output, sizeof output) > 0)
			continue;
		close(fds[i]);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		give_up("%s ended with wait status %d", argv[0], status);
}

struct talk {
	int in, out;
	char buf[65536];
};

struct talk *talk_open(const char *const *argv)
{
	struct talk *t = calloc(1, sizeof *t);
	int fds[3];

	if (!t)
		give_up("out of memory");
	spawn(argv, fds);
	t->in = fds[0];
	t->out = fds[1];
	return t;
}

void talk_once(struct talk *t, const char *line, size_t len)
{
	size_t have = 0;

	write_all(t->in, line, len);
	while (have == 0 || t->buf[have - 1] != '\n') {
		ssize_t n = read(t->out, t->buf + have, sizeof t->buf - have);

		if (n <= 0)
			give_up("a program that answers lines has ended");
		have += (size_t)n;
	}
}

/* ---- requests ---- */

struct web {
	CURL *curl;
	struct curl_slist *headers;
};

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's type */
static size_t ignore_body(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

struct web *web_open(const char *url, const char *unix_socket)
{
	/* As many as a hook sends. */
	static const char *const headers[] = { "Expect:",
					       "Content-Type: application/json",
					       "X-Sharesd-Event: pre-update_access",
					       "X-Sharesd-Call-Id: 00000000-0000-0000-0000-000000000000",
					       "X-Sharesd-Host: host",
					       "X-Sharesd-Backend: bench" };
	struct web *w = calloc(1, sizeof *w);

	if (!w || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK || !(w->curl = curl_easy_init()))
		give_up("libcurl could not be set up");
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		w->headers = curl_slist_append(w->headers, headers[i]);
	curl_easy_setopt(w->curl, CURLOPT_URL, url);
	curl_easy_setopt(w->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(w->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, ignore_body);
	curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->headers);
	if (unix_socket)
		curl_easy_setopt(w->curl, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
	return w;
}

void web_post(struct web *w, const char *body, size_t len)
{
	CURLcode r;
	long status = 0;

	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	r = curl_easy_perform(w->curl);
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
	if (r != CURLE_OK || status != 200)
		give_up("a request was answered by status %ld: %s", status, curl_easy_strerror(r));
}

/* ---- datagrams ---- */

void bare_datagram(const char *path, const char *text, size_t len)
{
	static int fd = -1;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct iovec iov = { (void *)text, len };
	struct msghdr m = { .msg_name = &sa, .msg_namelen = sizeof sa, .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(sa.sun_path, path, sizeof sa.sun_path - 1);
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		give_up("cannot send to %s: %s", path, strerror(errno));
}
