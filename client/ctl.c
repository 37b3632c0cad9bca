#include "client/ctl.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/progress.h"
#include "client/terminal.h"

#include <string.h>

#define PROGRESS_AFTER 1.0 /* seconds: what is quicker shows no bar */
#define PROGRESS_EVERY 0.5
/* Restarts in a row that one call outlives. */
#define TRIES 4

bool ctl_colours(const struct ctl *c)
{
	return c->out_tty && terminal_has_colours();
}

void ctl_print(struct ctl *c, const json_t *result)
{
	if (c->json)
		view_print_json(result, c->out_tty, c->out);
	else
		view_print_object(result, c->out);
}

/* A daemon that stops has done nothing of what it refuses; what it left without an answer is not done twice. */
static bool may_send_again(const struct connection *conn, const char *method, const json_t *params, int tries,
			   const struct failure *f)
{
	bool reads = text_starts_with(method, "get_") || text_starts_with(method, "list_");

	if (tries == TRIES)
		return false;
	return f->exit_code == failure_exit_code("shutting_down") ||
	       (connection_is_lost(conn) && (reads || jsonx_str(params, "request_id")));
}

/* Where the socket is systemd's the next daemon takes who waits there. */
static bool connect_again(struct ctl *c)
{
	_cleanup_failure_ struct failure nobody = { 0 };

	connection_close(c->conn);
	c->conn = NULL;
	return connection_open(c->socket, c->deadline, &c->conn, &nobody) >= 0;
}

static int call(struct ctl *c, const char *method, json_t *params, struct progress *progress, json_t **ret,
		struct failure *f)
{
	struct waiting w = {
		.deadline = c->deadline,
		.tick = progress ? progress_tick : NULL,
		.data = progress,
		.first_tick = PROGRESS_AFTER,
		.tick_every = PROGRESS_EVERY,
	};
	int r = c->conn ? 0 : connection_open(c->socket, c->deadline, &c->conn, f);

	for (int tries = 1; r >= 0; tries++) {
		struct failure why = { 0 };

		r = connection_call(c->conn, method, params, &w, ret, &why);
		if (r >= 0 || !may_send_again(c->conn, method, params, tries, &why) || !connect_again(c)) {
			failure_move(f, &why);
			break;
		}
		failure_clear(&why);
		r = 0;
	}
	return r;
}

int ctl_call(struct ctl *c, const char *method, json_t *params, json_t **ret, struct failure *f)
{
	return call(c, method, params, NULL, ret, f);
}

int ctl_call_watched(struct ctl *c, const struct invocation *inv, json_t **ret, struct failure *f)
{
	struct progress *progress = progress_new(c, inv);
	int r = call(c, inv->command->method, inv->params, progress, ret, f);

	progress_free(progress);
	return r;
}
