/* Events to those who subscribed. The store keeps them; each subscriber has a place in that list, so none is skipped
 * and none is kept in memory. Loop thread. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/service.h"

struct conn;
struct subscription;

/* Makes s->pump; its owner frees it. */
void events_begin(struct service *s);
void subscription_free(struct subscription *s); /* NULL is fine */
/* Sends what the subscriber has not got, as much as it takes now. May drop the connection. */
void events_pump(struct service *s, struct conn *c);
/* New events are in the store. */
void events_pump_all(struct service *s);

#endif
