/* The loop thread: what it owns. Everything that takes a `struct service` runs there. */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "conf/conf.h"
#include "daemon/methods.h"
#include "daemon/peer.h"
#include "daemon/queue.h"
#include "daemon/store.h"

#include <event2/event.h>

struct conn;
struct server;
struct view;
struct timers;

struct service {
	struct event_base *base;
	struct conf *conf;
	const char *conf_path;
	struct store *st; /* reads only */
	struct queue *in, *out; /* to and from the call thread */
	struct server *server;
	struct view *view;
	struct timers *timers;
	struct roles roles;
	char started_at[32];
	struct event *pump;
	bool stopping;
};

/* Runs the daemon until it is told to stop. 0 or a negative errno, with what was wrong in the log. `fds`: n sockets that
 * listen already (systemd), or none. */
int service_run(const char *conf_path, struct conf *conf, const int *fds, int n_fds);

/* Hands a call to the call thread. ERR_BUSY when the queue is full, ERR_SHUTTING_DOWN at the end; takes the call only
 * on success. */
int service_submit(struct service *s, struct call *c, struct error *e);
/* A call of the daemon's own about one backend. */
void service_submit_own(struct service *s, const char *method, const char *backend);
/* Subscribers get what is there for them in the next turn of the loop. */
void service_pump_soon(struct service *s);
/* An event that arises in the loop. Takes the object. */
void service_event(struct service *s, const char *type, json_t *object);

/* Who reads: for read functions. */
struct reader {
	struct service *service;
	struct conn *conn;
	enum role role;
};

#endif
