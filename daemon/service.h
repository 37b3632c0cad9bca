/* What the loop thread owns. Everything that takes a `struct service` runs there. */
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
struct status;

struct service {
	struct event_base *base;
	struct conf *conf;
	const char *conf_path;
	struct store *st;       /* reads only */
	struct queue *in, *out; /* to and from the call thread */
	struct server *server;
	struct view *view;
	struct timers *timers;
	struct status *status;
	struct roles roles;
	char started_at[32];
	struct event *pump;
	int64_t told; /* events up to this seq may be told: they are durable */
	bool stopping;
};

/* Who reads: for read functions. */
struct reader {
	struct service *service;
	struct conn *conn;
	enum role role;
};

#endif
