/* A long-lived process spoken to in lines: one out, one back. Its standard error goes to the log. Nothing here blocks
 * past its deadline. Writing to a process that has gone needs SIGPIPE ignored. Call thread only. */
#ifndef HOOKS_PEER_H
#define HOOKS_PEER_H

#include "base/process.h"
#include "hooks/program.h"

struct peer;

/* One line from the process, without its end; blank ones are left out. 1: that is what was waited for. 0: go on.
 * Negative with `e`: the process does not keep to the protocol. */
typedef int peer_line(void *data, const char *line, size_t len, struct error *e);

int peer_start(const struct process_spec *spec, struct peer **ret, struct error *e);
/* Closes its input, gives it a moment to end by itself, then kills all that is left. NULL is fine. */
void peer_stop(struct peer *p);
/* Kills at once. NULL is fine. */
void peer_kill(struct peer *p);

/* What it has said since, without waiting. 0, or negative when it has ended or `on_line` said so. */
int peer_drain(struct peer *p, peer_line *on_line, void *data, struct error *e);
/* Sends `text` (with its end of line) and takes lines until `on_line` says 1. -ETIMEDOUT after `timeout` seconds; other
 * negatives when it has ended or `on_line` said so. After a failure only peer_kill is left. */
int peer_exchange(struct peer *p, const char *text, size_t len, double timeout, peer_line *on_line, void *data,
		  struct error *e);

pid_t peer_pid(const struct peer *p);
struct hook_stderr *peer_stderr(struct peer *p);

#endif
