/* From the loop to the call thread. Loop thread. */
#ifndef DAEMON_SUBMIT_H
#define DAEMON_SUBMIT_H

#include "daemon/service.h"

/* Hands a call to the call thread. ERR_BUSY when the queue is full, ERR_SHUTTING_DOWN at the end; takes the call only
 * on success. */
int service_submit(struct service *s, struct call *c, struct error *e);
/* A call of the daemon's own about one backend. */
/* False: the queue is full, or the daemon stops. */
bool service_submit_own(struct service *s, const char *method, const char *backend);
/* An event that arises in the loop. Takes the object. */
void service_event(struct service *s, const char *type, json_t *object);

#endif
