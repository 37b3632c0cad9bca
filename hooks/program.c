#include "hooks/program.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_PER_EVENT = 200 };

void hook_env_make(struct hook_env *env, const struct hook_setup *setup, const char *call_id)
{
	size_t n = 0;
	*env = (struct hook_env){ 0 };
	env->vars[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env->vars[n++] = env->socket = xasprintf("SHARESD_SOCKET=%s", setup->socket);
	if (call_id)
		env->vars[n++] = env->call_id = xasprintf("SHARESD_CALL_ID=%s", call_id);
}

void hook_env_clear(struct hook_env *env)
{
	free(env->socket);
	free(env->call_id);
}

int hook_program_check_argument(const struct hook_setup *setup, const char *module, struct error *e)
{
	if (setup->argument[0] == '/')
		return 0;
	return error_set(e, ERR_INVALID_PARAMS, EINVAL,
			 "\"%s\" needs the path of a program from \"/\": write %s:/path/program", setup->entry, module);
}

static void log_line(struct hook_stderr *s)
{
	size_t n = s->line_len;
	s->line_len = 0;
	while (n > 0 && (s->line[n - 1] == '\r' || s->line[n - 1] == ' '))
		n--;
	if (n == 0)
		return;
	if (s->logged == LINES_PER_EVENT) {
		s->dropped++;
		return;
	}
	s->logged++;
	log_kind(LOG_LEVEL_INFO, LOG_KIND_HOOK_OUTPUT, "%.*s", (int)n, s->line);
}

static void log_dropped(struct hook_stderr *s)
{
	if (s->dropped > 0)
		log_info("%u more lines of standard error are not shown", s->dropped);
	s->dropped = 0;
}

void hook_stderr_begin(struct hook_stderr *s)
{
	log_dropped(s);
	s->logged = 0;
	s->tail_len = 0;
}

void hook_stderr_end(struct hook_stderr *s)
{
	log_line(s);
	log_dropped(s);
}

static void keep_tail(struct hook_stderr *s, const char *data, size_t len)
{
	if (len > sizeof(s->tail)) {
		data += len - sizeof(s->tail);
		len = sizeof(s->tail);
	}
	size_t keep = sizeof(s->tail) - len < s->tail_len ? sizeof(s->tail) - len : s->tail_len;
	memmove(s->tail, s->tail + s->tail_len - keep, keep);
	memcpy(s->tail + keep, data, len);
	s->tail_len = keep + len;
}

void hook_stderr_feed(struct hook_stderr *s, const char *data, size_t len)
{
	keep_tail(s, data, len);
	for (size_t i = 0; i < len; i++) {
		/* A line that does not fit is logged in pieces. */
		if (data[i] == '\n' || s->line_len == sizeof(s->line))
			log_line(s);
		if (data[i] != '\n')
			s->line[s->line_len++] = data[i] ? data[i] : '?';
	}
}

char *hook_stderr_tail(const struct hook_stderr *s)
{
	size_t from = 0, to = s->tail_len;
	while (from < to && strchr(" \t\r\n", s->tail[from]))
		from++;
	while (to > from && strchr(" \t\r\n", s->tail[to - 1]))
		to--;
	return to > from ? xstrndup(s->tail + from, to - from) : NULL;
}

void hook_error_add_stderr(struct error *e, const char *text)
{
	if (!text || !*text)
		return;
	const char *last = strrchr(text, '\n');
	char *message = xasprintf("%s: %s", e->message, last ? last + 1 : text);
	free(e->message);
	e->message = message;
	error_add(e, "stderr", jsonx_string(text));
}
