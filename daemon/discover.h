/* rpc.discover: an OpenRPC document out of the tables that dispatch. Any thread. */
#ifndef DAEMON_DISCOVER_H
#define DAEMON_DISCOVER_H

#include <jansson.h>

/* New reference. */
json_t *discover_document(void);

#endif
