/* What a driver slot gets, built from the store's rows: it keeps the rows alive as long as it lives. Call thread. */
#ifndef DAEMON_INPUT_H
#define DAEMON_INPUT_H

#include "daemon/store.h"
#include "drivers/driver.h"

struct input;

struct input *input_new(const char *call_id, const char *func_name);
void input_free(struct input *in); /* NULL is fine */
struct driver_call *input_call(struct input *in);

/* Each fills one member; rows are kept by reference. */
void input_share(struct input *in, const json_t *share_row, const json_t *instance_row);
/* The share server of that share; NULL: none. */
void input_server(struct input *in, const json_t *server_row);
/* Adds to `shares`; input_call shows it after the last. */
void input_add_share(struct input *in, const json_t *share_row, const json_t *instance_row);
/* The share server of the one added last. */
void input_add_server(struct input *in, const json_t *server_row);
/* Where the one added last lies on this host: a string, or NULL. */
void input_add_place(struct input *in, json_t *path);
void input_snapshot(struct input *in, const json_t *snapshot_row, const json_t *instance_row);
/* Adds to `snapshots`. */
void input_add_snapshot(struct input *in, const json_t *snapshot_row, const json_t *instance_row);
/* Keeps JSON alive, for members set through input_call. Borrowed back. */
json_t *input_keep(struct input *in, json_t *j);

enum input_rules { RULES_ALL, RULES_ADD, RULES_REMOVE, RULES_UPDATE, RULES_KIND_COUNT };
void input_rule(struct input *in, enum input_rules kind, const json_t *access_row);
/* An empty set is different from no rules: makes `rules` non-NULL. */
void input_rules_begin(struct input *in);

#endif
