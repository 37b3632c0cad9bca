/* Takes what hooks send, at the least cost: HTTP requests on stream sockets, each answered by 200 and nothing else, and
 * datagrams, which are thrown away.
 *
 *	bench_server DESCRIPTOR..      listening sockets, and datagram sockets that are bound */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20 };

/* Bytes of the request at the start of `text`, its body included; 0: they are not all there. */
static size_t request_length(const char *text, size_t have)
{
	static const char length[] = "\r\nContent-Length:";
	const char *end = strstr(text, "\r\n\r\n"), *body = end ? strcasestr(text, length) : NULL;
	size_t need;

	if (!end)
		return 0;
	need = (size_t)(end - text) + 4;
	if (body && body < end)
		need += strtoul(body + sizeof length - 1, NULL, 10);
	return need <= have ? need : 0;
}

static void *serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	int fd = (int)(intptr_t)arg;
	char *buf = malloc(REQUEST_MAX + 1);
	size_t have = 0, used;
	ssize_t n;

	while (buf && (n = recv(fd, buf + have, REQUEST_MAX - have, 0)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		while ((used = request_length(buf, have)) > 0) {
			if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
				break;
			memmove(buf, buf + used, have - used + 1);
			have -= used;
		}
	}
	free(buf);
	close(fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	pthread_t thread;
	int client;

	while ((client = accept((int)(intptr_t)arg, NULL, NULL)) >= 0)
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) == 0)
			pthread_detach(thread);
	return NULL;
}

static void *throw_away(void *arg)
{
	char some[64];

	while (recv((int)(intptr_t)arg, some, sizeof some, 0) >= 0)
		continue;
	return NULL;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int fd = (int)strtol(argv[i], NULL, 10), type = 0;
		socklen_t len = sizeof type;
		pthread_t thread;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		    pthread_create(&thread, NULL, type == SOCK_STREAM ? accept_all : throw_away,
				   (void *)(intptr_t)fd) != 0)
			return EXIT_FAILURE;
	}
	for (;;)
		pause();
}
