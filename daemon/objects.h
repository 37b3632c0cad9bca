/* The objects that users see (shares, snapshots, access rules, servers), made of the store's rows. Either thread, each
 * with its own store. All `ret` are new references. */
#ifndef DAEMON_OBJECTS_H
#define DAEMON_OBJECTS_H

#include "daemon/store.h"

#include <jansson.h>

/* Rows by id or name. ERR_NOT_FOUND with data.param. A snapshot's name is SHARE@SNAPSHOT. */
int object_find_share(struct store *st, const char *ref, const char *param, json_t **ret_row, struct error *e);
int object_find_snapshot(struct store *st, const char *ref, const char *param, json_t **ret_row, struct error *e);
int object_find_access(struct store *st, const char *id, const char *param, json_t **ret_row, struct error *e);
/* The instance that stands for the share: the active replica, else the first. */
int object_instance_of(struct store *st, const char *share_id, json_t **ret_row, struct error *e);
/* The snapshot's instance on that share instance, else its first. */
int object_snapshot_instance_of(struct store *st, const char *snapshot_id, const char *instance_id, json_t **ret_row,
				struct error *e);

/* From rows to what is answered. */
int object_share(struct store *st, const json_t *row, json_t **ret, struct error *e);
/* The same of a share just made, which has no rules and no other instance: nothing is read. */
json_t *object_new_share(const json_t *row, const json_t *instance);
int object_snapshot(struct store *st, const json_t *row, json_t **ret, struct error *e);
int object_access(struct store *st, const json_t *row, json_t **ret, struct error *e);
json_t *object_instance(const json_t *row);
json_t *object_share_server(const json_t *row);
/* A call's row as list_calls shows it. */
json_t *object_call(const json_t *row);
int object_share_by_id(struct store *st, const char *id, json_t **ret, struct error *e);

/* What is in force: a hook's value where there is one, else the driver's. Borrowed. */
json_t *object_locations(const json_t *instance_row);
/* All rules of a share as rows: new reference to an array. */
int object_rules(struct store *st, const char *share_id, json_t **ret, struct error *e);

#endif
