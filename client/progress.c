#include "client/progress.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/terminal.h"

#include <string.h>

#define ASK_SECONDS 0.5 /* the answer to the call itself may wait that long behind a question */

struct progress {
	struct ctl *ctl;
	const char *method;
	char *name;
	json_t *params;
	const char *member, *value; /* of the one of a list that is watched; NULL: the answer is the object */
	struct connection *conn;
	bool given_up, drawn;
};

/* What the daemon calls the object, as far as the params tell; NULL: they do not. Owned by the caller. */
static char *watched_name(const struct invocation *inv)
{
	const char *share = jsonx_str(inv->params, "share"), *name = jsonx_str(inv->params, "name"),
		   *snapshot = jsonx_str(inv->params, "snapshot"), *backend = jsonx_str(inv->params, "backend");

	switch (inv->command->watch) {
	case WATCH_NONE:
		return NULL;
	case WATCH_SHARE:
		if (share || name)
			return xstrdup(share ? share : name);
		/* Revert: the share is what stands before the @. */
		return snapshot && strchr(snapshot, '@') ? xstrndup(snapshot, strcspn(snapshot, "@")) : NULL;
	case WATCH_SNAPSHOT:
		return snapshot ? xstrdup(snapshot) : share && name ? xasprintf("%s@%s", share, name) : NULL;
	case WATCH_REPLICA:
		return share ? xasprintf("%s on %s", share, backend ? backend : "")
			     : xstrdup(jsonx_str(inv->params, "replica"));
	}
	return NULL;
}

static void watch(struct progress *p, const struct invocation *inv)
{
	const char *share = jsonx_str(inv->params, "share"), *replica = jsonx_str(inv->params, "replica"),
		   *at = replica ? strchr(replica, '@') : NULL;

	switch (inv->command->watch) {
	case WATCH_NONE:
	case WATCH_SHARE:
		p->method = "get_share";
		p->params = jsonx_pack("{s:s}", "share", p->name);
		break;
	case WATCH_SNAPSHOT:
		p->method = "get_snapshot";
		p->params = jsonx_pack("{s:s}", "snapshot", p->name);
		break;
	case WATCH_REPLICA:
		p->method = "list_replicas";
		p->params = share ? jsonx_pack("{s:s}", "share", share)
			    : at  ? jsonx_pack("{s:s%}", "share", replica, (size_t)(at - replica))
				  : jsonx_pack("{s:i}", "limit", 1000);
		p->member = share || at ? "backend" : "id";
		p->value = share ? jsonx_str(inv->params, "backend") : at ? at + 1 : replica;
	}
}

/* From now on those of its share are enough; and a UUID would leave no room for the bar. */
static void know_share(struct progress *p, const json_t *replica)
{
	const char *share = jsonx_str(replica, "share_id"), *backend = jsonx_str(replica, "backend");

	if (!share || jsonx_get(p->params, "share"))
		return;
	json_object_clear(p->params);
	json_object_set_new(p->params, "share", json_string(share));
	free(p->name);
	p->name = xasprintf("replica on %s", backend ? backend : "");
}

/* The one of the answer; NULL: it is not there. Borrowed. */
static const json_t *watched(struct progress *p, const json_t *answer)
{
	json_t *one;
	size_t i;

	if (!p->member)
		return answer;
	json_array_foreach(json_object_get(answer, "replicas"), i, one) {
		const char *value = jsonx_str(one, p->member);

		if (!value || strcmp(value, p->value) != 0)
			continue;
		know_share(p, one);
		return one;
	}
	return NULL;
}

struct progress *progress_new(struct ctl *c, const struct invocation *inv)
{
	bool waits = (inv->command->flags & COMMAND_WAITS) && !json_is_false(json_object_get(inv->params, "wait"));
	char *name = c->err_tty && waits ? watched_name(inv) : NULL;
	struct progress *p;

	if (!name)
		return NULL;
	p = xcalloc(1, sizeof *p);
	p->ctl = c;
	p->name = name;
	watch(p, inv);
	return p;
}

static void wipe(struct progress *p)
{
	if (!p->drawn)
		return;
	fputs("\r\033[K", p->ctl->err);
	fflush(p->ctl->err);
	p->drawn = false;
}

char *progress_line(const char *name, const json_t *object, size_t columns)
{
	enum { BAR = 30 };
	const json_t *progress = jsonx_get(object, "progress");
	const json_t *percent = jsonx_get(progress, "percent"), *bytes = jsonx_get(progress, "bytes");
	const char *status = jsonx_str(object, "status");
	_cleanup_free_ char *safe_name = terminal_escape(name), *safe_status = terminal_escape(status ? status : "");
	char bar[BAR + 1] = "", size[32] = "", *line;
	double done = json_is_number(percent) ? json_number_value(percent) : -1;

	if (!json_is_object(progress) || (done < 0 && !json_is_integer(bytes)))
		return NULL;
	done = done > 100 ? 100 : done;
	for (int i = 0; done >= 0 && i < BAR; i++)
		bar[i] = i < (int)(done * BAR / 100) ? '#' : '.';
	if (json_is_integer(bytes) && json_integer_value(bytes) >= 0)
		text_format_size((uint64_t)json_integer_value(bytes), size);
	line = done < 0 ? xasprintf("%s: %s %s", safe_name, safe_status, size)
			: xasprintf("%s: %s [%s] %3d%%%s%s", safe_name, safe_status, bar, (int)done, *size ? " " : "",
				    size);
	/* A line that wraps could not be wiped away. Names and status words are ASCII, so bytes are columns. */
	if (strlen(line) >= columns)
		line[columns > 0 ? columns - 1 : 0] = '\0';
	return line;
}

void progress_tick(void *progress)
{
	struct progress *p = progress;
	_cleanup_failure_ struct failure ignored = { 0 };
	_cleanup_json_ json_t *object = NULL;
	_cleanup_free_ char *line = NULL;
	struct waiting w = { .deadline = text_monotonic() + ASK_SECONDS };
	const json_t *one;

	if (p->given_up)
		return;
	if (!p->conn && connection_open(p->ctl->socket, w.deadline, &p->conn, &ignored) < 0) {
		p->given_up = true;
		return;
	}
	if (connection_call(p->conn, p->method, p->params, &w, &object, &ignored) < 0) {
		/* The object may not be there yet; but after a lost answer the next one could not be told from it. */
		p->given_up = ignored.exit_code == CTL_UNKNOWN || ignored.exit_code == CTL_NO_DAEMON;
		wipe(p);
		return;
	}
	wipe(p);
	one = watched(p, object);
	line = progress_line(p->name, one, terminal_columns(fileno(p->ctl->err)));
	if (!line)
		return;
	fprintf(p->ctl->err, "%s", line);
	fflush(p->ctl->err);
	p->drawn = true;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	wipe(p);
	connection_close(p->conn);
	json_decref(p->params);
	free(p->name);
	free(p);
}
