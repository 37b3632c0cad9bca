#include "daemon/status.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* Backends that are not up and find room in the line. */
#define NAMED_MAX 8
/* Of each reason. */
#define REASON_MAX 160

struct status {
	char *shown;
	bool refused, stopping;
};

struct status *status_new(void)
{
	return xcalloc(1, sizeof(struct status));
}

void status_free(struct status *st)
{
	if (!st)
		return;
	free(st->shown);
	free(st);
}

static const char *status_of(const json_t *backend)
{
	const char *word = jsonx_str(backend, "status");

	return word ? word : "starting";
}

__attribute__((format(printf, 2, 3))) static void add(char **text, const char *fmt, ...)
{
	_cleanup_free_ char *before = *text, *more = NULL;
	va_list ap;

	va_start(ap, fmt);
	more = xvasprintf(fmt, ap);
	va_end(ap);
	*text = xasprintf("%s%s", before, more);
}

/* "; down: media (why), films (why)" */
static void add_those(char **text, const json_t *backends, const char *status)
{
	const char *name;
	size_t n = 0;
	json_t *b;

	json_object_foreach((json_t *)backends, name, b) {
		const char *reason = jsonx_str(b, "status_reason");

		if (strcmp(status_of(b), status) != 0 || ++n > NAMED_MAX)
			continue;
		if (n == 1)
			add(text, "; %s: %s", status, name);
		else
			add(text, ", %s", name);
		if (reason)
			add(text, " (%.*s%s)", REASON_MAX, reason, strlen(reason) > REASON_MAX ? ".." : "");
	}
	if (n > NAMED_MAX)
		add(text, " and %zu more", n - NAMED_MAX);
}

char *status_text(const json_t *backends, bool refused)
{
	size_t n = json_object_size(backends), up = 0;
	const char *name;
	char *text;
	json_t *b;

	json_object_foreach((json_t *)backends, name, b)
		up += strcmp(status_of(b), "up") == 0;
	text = n == 0 ? xstrdup("no backends") : xasprintf("%zu of %zu backend%s up", up, n, n == 1 ? "" : "s");
	add_those(&text, backends, "down");
	add_those(&text, backends, "starting");
	if (refused)
		add(&text, "; the conf file that was read last is refused, see the journal");
	/* It is one line of the protocol, and a reason may be cut within a character. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	text_fix_utf8(text);
	return text;
}

static void tell(struct status *st, const struct view *v, const char *state)
{
	_cleanup_free_ char *text = status_text(view_backends(v), st->refused);

	if (!*state && st->shown && strcmp(st->shown, text) == 0)
		return;
	sd_notifyf(0, "%sSTATUS=%s", state, text);
	free(st->shown);
	st->shown = take_ptr(text);
}

void status_ready(struct status *st, const struct view *v)
{
	if (!st->stopping)
		tell(st, v, "READY=1\n");
}

void status_show(struct status *st, const struct view *v)
{
	if (!st->stopping)
		tell(st, v, "");
}

void status_reloading(struct status *st)
{
	struct timespec now;

	if (st->stopping)
		return;
	/* With the time newer service managers know that it is the answer to their own wish. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the conf file",
		   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void status_refused(struct status *st, bool refused)
{
	st->refused = refused;
}

void status_stopping(struct status *st)
{
	st->stopping = true;
	sd_notify(0, "STOPPING=1\nSTATUS=stopping: the running call is finished first");
}
