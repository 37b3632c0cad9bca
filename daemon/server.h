/* The socket: listens, knows who calls, cuts the stream into lines, sends lines. Loop thread. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "daemon/service.h"

struct conn;
struct pending;
struct subscription;

/* Who works with what comes in; the server knows none of them. */
struct server_users {
	/* One line without its end. */
	void (*line)(struct service *s, struct conn *c, const char *line, size_t len);
	/* All output was taken by a connection with a subscription. */
	void (*drained)(struct service *s, struct conn *c);
	/* The connection ends: what hangs on it is to be freed. */
	void (*gone)(struct conn *c);
};

struct server;
/* Takes over `fds`, or binds the conf's socket. `users` outlives the server. Negative errno with `e`. */
int server_new(struct service *s, const struct server_users *users, const int *fds, int n_fds, struct server **ret,
	       struct error *e);
/* No new connections any more; those that are there go on. */
void server_stop_listening(struct server *sv);
/* Closes all; what is not sent is lost. NULL is fine. */
void server_free(struct server *sv);
/* Nothing is left to send? */
bool server_is_flushed(const struct server *sv);
/* Limits may have changed. */
void server_reload(struct server *sv);
size_t server_connections(const struct server *sv);

struct conn *server_find(struct server *sv, uint64_t id);

/* One JSON text as a line. May close the connection when its client does not read. */
void conn_send(struct conn *c, const json_t *j);
uint64_t conn_id(const struct conn *c);
const struct requester *conn_who(const struct conn *c);
enum role conn_role(const struct conn *c);
/* The client is a hook, or below one. */
bool conn_is_below_us(const struct conn *c);
/* Events that this connection wants, or NULL: events.c's own. Freed with the connection. */
struct subscription **conn_subscription(struct conn *c);
/* May more be sent now, or is the client slow to read? */
bool conn_takes_more(const struct conn *c);
/* Seconds since the client last took something while output waits; 0 when none waits. */
double conn_stuck_seconds(const struct conn *c);
/* Ends the connection at once, with a line in the log and an event. */
void conn_drop_slow(struct conn *c, const char *why);
/* Ends the connection of a half-closed client that has closed the other half too. True: it is ended. */
bool conn_drop_if_gone(struct conn *c);
/* The next connection after `c` (NULL: the first). */
struct conn *server_next(struct server *sv, struct conn *c);
/* Calls whose answers this connection waits for: rpc.c's own list. */
struct pending **conn_pending(struct conn *c);
/* Between these the connection stays, even if it is dropped; conn_leave may free it. */
void conn_enter(struct conn *c);
void conn_leave(struct conn *c);
/* A pending call was answered: a half-closed connection with nothing left ends. */
void conn_answered(struct conn *c);

#endif
