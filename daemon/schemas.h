/* JSON schemas of what is answered and told. Immutable but for what is made: new references. */
#ifndef DAEMON_SCHEMAS_H
#define DAEMON_SCHEMAS_H

#include <jansson.h>

/* All of them: {"share":{..},..}, which refer to each other by {"$ref":"#/components/schemas/NAME"}. */
json_t *schemas_json(void);
/* What a method answers, by its row: "share", "null", "share|snapshot", or the name of a page ("shares"). */
json_t *schema_of_result(const char *result);

#endif
