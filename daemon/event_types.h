/* The one table of events: what subscribe takes, rpc.discover lists and the manual shows. Immutable; any thread. */
#ifndef DAEMON_EVENT_TYPES_H
#define DAEMON_EVENT_TYPES_H

#include <stdbool.h>

struct event_type {
	const char *name;   /* "share.available"; NULL ends */
	const char *object; /* the schema of the event's object */
	const char *help;   /* one sentence: when it comes */
};
const struct event_type *event_type_table(void);

/* Does `pattern` name the type: "share.available", or all of a kind: "share.*"? */
bool event_type_fits(const char *pattern, const char *type);
/* Does it name any? */
bool event_type_is_known(const char *pattern);

#endif
