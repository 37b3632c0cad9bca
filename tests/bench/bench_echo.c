/* The floor under a JSON service on a local socket: a loop, a parser and a printer, and nothing else. Each line is
 * parsed, printed anew and sent back. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void on_read(struct bufferevent *bev, void *arg)
{
	size_t len;
	char *line;

	(void)arg;
	while ((line = evbuffer_readln(bufferevent_get_input(bev), &len, EVBUFFER_EOL_LF))) {
		json_t *j = json_loadb(line, len, 0, NULL);
		char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

		if (text)
			evbuffer_add_printf(bufferevent_get_output(bev), "%s\n", text);
		free(text);
		json_decref(j);
		free(line);
	}
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct bufferevent *bev;

	(void)what;
	if (client < 0)
		return;
	bev = bufferevent_socket_new(arg, client, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(bev, on_read, NULL, on_end, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct event_base *base = event_base_new();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (argc != 2 || fd < 0 || !base)
		return EXIT_FAILURE;
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", argv[1]);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 16) < 0) {
		fprintf(stderr, "bench_echo: %s: %s\n", argv[1], strerror(errno));
		return EXIT_FAILURE;
	}
	event_add(event_new(base, fd, EV_READ | EV_PERSIST, on_accept, base), NULL);
	event_base_dispatch(base);
	return EXIT_SUCCESS;
}
