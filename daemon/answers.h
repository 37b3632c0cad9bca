/* What a driver or a hook says, checked before it is believed: keys, status words, sizes, locations. Any thread. */
#ifndef DAEMON_ANSWERS_H
#define DAEMON_ANSWERS_H

#include "base/error.h"
#include "daemon/methods.h"

/* The values of a driver slot (driver.h says which keys it has). ERR_DRIVER_FAILED names the key. */
int answer_check(const char *slot, const json_t *values, struct error *e);
/* One value of a result key by its shape. `*e` says what is wrong with it. */
int answer_check_shape(const struct result_key *key, const char *name, const json_t *value, struct error *e);

#endif
