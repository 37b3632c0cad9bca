/* A long-lived process spoken to in lines: one out, one back. Its standard error goes to the log. Nothing here blocks
 * past its deadline. Writing to a process that has gone needs SIGPIPE ignored. Call thread only. */
#ifndef HOOKS_DIALOG_H
#define HOOKS_DIALOG_H

#include "base/process.h"
#include "hooks/program.h"

struct dialog;

/* One line from the process, without its end; blank ones are left out. 1: that is what was waited for. 0: go on.
 * Negative with `e`: the process does not keep to the protocol. */
typedef int dialog_line(void *data, const char *line, size_t len, struct error *e);

int dialog_start(const struct process_spec *spec, struct dialog **ret, struct error *e);
/* Closes its input, gives it a moment to end by itself, then kills all that is left. NULL is fine. */
void dialog_stop(struct dialog *p);
/* Kills at once. NULL is fine. */
void dialog_kill(struct dialog *p);

/* What it has said since, without waiting. 0, or negative when it has ended or `on_line` said so. */
int dialog_drain(struct dialog *p, dialog_line *on_line, void *data, struct error *e);
/* Sends `text` (with its end of line) and takes lines until `on_line` says 1. -ETIMEDOUT after `timeout` seconds; other
 * negatives when it has ended or `on_line` said so. After a failure only dialog_kill is left. */
int dialog_exchange(struct dialog *p, const char *text, size_t len, double timeout, dialog_line *on_line, void *data,
		    struct error *e);

pid_t dialog_pid(const struct dialog *p);
/* What it wrote to standard error so far. */
struct hook_stderr *dialog_stderr(struct dialog *p);

#endif
