/* The two shapes of an answer. All are new references. Any thread. */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "base/error.h"

/* `id` NULL: null, the id of what could not be read. */
json_t *reply_error(const json_t *id, const struct error *e);
/* Takes `result`; NULL: null. */
json_t *reply_result(const json_t *id, json_t *result);

#endif
