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

	return r < 0 ? r : connection_call(c->conn, method, params, &w, ret, f);
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
