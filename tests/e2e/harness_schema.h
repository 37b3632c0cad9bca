/* The daemon describes itself (rpc.discover); what it answers is held against that. */
#ifndef TESTS_E2E_HARNESS_SCHEMA_H
#define TESTS_E2E_HARNESS_SCHEMA_H

#include "tests/e2e/harness.h"

/* What is wrong with the value, or NULL; free it. `doc`: the OpenRPC document, for references. */
char *schema_fault(const json_t *doc, const json_t *schema, const json_t *value, const char *where);
/* Fails the test where `value` is not as the schema says. */
void check_schema(const json_t *doc, const json_t *schema, const json_t *value, const char *what);
/* A method of the document; fails the test when it is not there. Borrowed. */
json_t *described_method(const json_t *doc, const char *method);
/* The same against a method's described result. */
void check_result(const json_t *doc, const char *method, const json_t *result);
/* The description that was made with the daemon under test; borrowed. */
const json_t *described(void);
/* The client's: what it asks (a line without its end; `asked` is an object that only these two know), and each line
 * that comes, held against what is described: results, errors, events. */
void note_line(json_t *asked, const char *line, size_t len);
void check_line(json_t *asked, const json_t *line);
/* A successful call whose params and answer are as described; the result, new reference. `params` is taken. */
json_t *checked_call(struct client *c, const json_t *doc, const char *method, json_t *params);
/* Exactly these members, "name:s count:i size:i? list:a object:o flag:b number:n"; "?" allows null. */
void check_shape(const json_t *j, const char *shape);

#endif
