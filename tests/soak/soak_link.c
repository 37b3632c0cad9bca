#include "base/cleanup.h"
#include "base/mem.h"
#include "tests/soak/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 120 };

struct link {
	const char *socket;
	FILE *stream; /* NULL: not connected */
	char *line;
	size_t room;
	json_int_t id;
};

struct link *link_new(const char *socket)
{
	struct link *l = xcalloc(1, sizeof *l);

	l->socket = socket;
	return l;
}

static void hang_up(struct link *l)
{
	if (l->stream)
		fclose(l->stream);
	l->stream = NULL;
}

void link_free(struct link *l)
{
	hang_up(l);
	free(l->line);
	free(l);
}

static bool dial(struct link *l)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", l->socket);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		l->stream = fdopen(fd, "r+");
	if (!l->stream && fd >= 0)
		close(fd);
	return l->stream;
}

/* NULL: the daemon is gone. */
static json_t *ask_once(struct link *l, const char *method, json_t *params)
{
	_cleanup_free_ char *text = NULL;
	json_t *request, *reply;

	if (!l->stream && !dial(l))
		return NULL;
	request = json_pack("{s:s,s:I,s:s,s:O}", "jsonrpc", "2.0", "id", ++l->id, "method", method, "params", params);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (dprintf(fileno(l->stream), "%s\n", text) < 0 || getline(&l->line, &l->room, l->stream) <= 0) {
		hang_up(l);
		return NULL;
	}
	reply = json_loads(l->line, 0, NULL);
	if (json_integer_value(json_object_get(reply, "id")) == l->id)
		return reply;
	/* A refusal of the connection itself has no id. */
	json_decref(reply);
	hang_up(l);
	return NULL;
}

static bool is_final(const json_t *reply)
{
	return reply &&
	       !json_is_true(json_object_get(json_object_get(json_object_get(reply, "error"), "data"), "retryable"));
}

json_t *link_ask(struct link *l, const char *method, json_t *params, unsigned *ret_again)
{
	time_t end = time(NULL) + PATIENCE_SECONDS;
	unsigned again = 0;
	json_t *reply;

	while (!is_final(reply = ask_once(l, method, params)) && time(NULL) < end) {
		json_decref(reply);
		again++;
		usleep(20000);
	}
	*ret_again = again;
	return reply;
}

char *share_place(const json_t *share)
{
	const json_t *locations = json_object_get(share, "export_locations");

	return xstrdup(json_string_value(json_object_get(json_array_get(locations, 0), "path")));
}
