/* What the methods about shares have in common (call_create.c, call_share.c, call_manage.c). Call thread. */
#ifndef DAEMON_SHARES_H
#define DAEMON_SHARES_H

#include "daemon/backend.h"

/* A share of the asked name exists: the answer with if_absent and the same parameters, else ERR_ALREADY_EXISTS. */
int answer_existing_share(struct engine *en, struct call *c, json_t *row,
			  int (*same)(struct engine *, struct call *, const json_t *, struct error *), struct error *e);
/* Does the object's metadata hold all that was asked for? */
bool has_metadata(const json_t *object, const json_t *asked);
/* The number that export servers know the new instance by, where it is exported. */
int number_export(struct engine *en, const struct backend *b, const json_t *share, json_t *instance, struct error *e);
/* Deletes the share with its instance and rules from the store. */
int drop_share_rows(struct engine *en, const struct call *c, struct error *e);

#endif
