/* JSON-RPC 2.0 over lines: single requests, batches, notifications. Loop thread. */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include "daemon/server.h"

/* One line without its end. Answers through conn_send, now or when the call comes back. */
void rpc_line(struct service *s, struct conn *c, const char *line, size_t len);
/* A call that came back: its answer goes where it belongs, if that is still there. */
void rpc_answer(struct service *s, struct call *c);
/* The connection ends: forgets what it waited for. The calls go on. */
void rpc_forget(struct pending *list);

#endif
