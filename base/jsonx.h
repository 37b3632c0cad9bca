/* JSON helpers over jansson. Any thread, each value in one thread at a time. */
#ifndef BASE_JSONX_H
#define BASE_JSONX_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Depth of nesting outside strings, from the outermost bracket; stops counting past `max` (returns max + 1). */
size_t jsonx_depth(const char *text, size_t len, size_t max);

/* One JSON text: the whole of `text`, duplicate keys refused. Error kinds: parse_error; invalid_request past
 * `max_depth`. */
int jsonx_parse(const char *text, size_t len, size_t max_depth, json_t **ret, struct error *e);

/* Members of an object: NULL, 0, false where they are missing, null or of another type. Borrowed. */
const char *jsonx_str(const json_t *o, const char *key);
int64_t jsonx_int(const json_t *o, const char *key);
bool jsonx_bool(const json_t *o, const char *key);
/* The member, or NULL when missing or null. Borrowed. */
json_t *jsonx_get(const json_t *o, const char *key);

/* A string, or null for NULL: new reference. Bytes that are not UTF-8 are replaced by "?". */
json_t *jsonx_string(const char *s);
/* About how long its text is: what is escaped in it counts as one. */
size_t jsonx_size(const json_t *j);
/* Compact text on one line; owned by the caller. Slashes are not escaped. */
char *jsonx_dump(const json_t *j);
/* The same with sorted keys: equal values give equal texts. */
char *jsonx_canonical(const json_t *j);
/* Sets all members of `from` in `to` (shared references). */
void jsonx_merge(json_t *to, const json_t *from);
/* json_pack that never returns NULL: a fault in the format is a fault of ours and ends the process. */
json_t *jsonx_pack(const char *fmt, ...);

#endif
