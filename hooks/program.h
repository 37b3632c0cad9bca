/* What the hooks that run programs share: environment, standard error. Call thread only. */
#ifndef HOOKS_PROGRAM_H
#define HOOKS_PROGRAM_H

#include "hooks/hook.h"

#include <stddef.h>

/* More than a program may print in one answer. */
#define HOOK_OUTPUT_MAX ((size_t)1024 * 1024)

/* PATH, SHARESD_SOCKET and, unless NULL, SHARESD_CALL_ID. */
struct hook_env {
	const char *vars[4];
	char *socket, *call_id;
};
void hook_env_make(struct hook_env *env, const struct hook_setup *setup, const char *call_id);
void hook_env_clear(struct hook_env *env);
#define _cleanup_hook_env_ __attribute__((__cleanup__(hook_env_clear)))

/* Options of programs hold a path from "/": -EINVAL for another argument. */
int hook_program_check_argument(const struct hook_setup *setup, const char *module, struct error *e);

/* A program's standard error: line by line into the log, and the end of it for error messages. Flooding costs the
 * program its lines, not the log its room. */
struct hook_stderr {
	char line[1024];
	size_t line_len;
	unsigned logged, dropped; /* lines since hook_stderr_begin */
	char tail[4096];
	size_t tail_len;
};
void hook_stderr_begin(struct hook_stderr *s); /* of one event: forgets the end, counts anew */
void hook_stderr_feed(struct hook_stderr *s, const char *data, size_t len);
void hook_stderr_end(struct hook_stderr *s); /* of the program: logs an unfinished line */
/* The end, white space trimmed: owned by the caller, NULL when there is none. */
char *hook_stderr_tail(const struct hook_stderr *s);

/* Adds data.stderr, and the last line of it to the message. `text` may be NULL or empty. */
void hook_error_add_stderr(struct error *e, const char *text);

#endif
