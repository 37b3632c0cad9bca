/* Access rules on the other replicas of a share: what was done at the active one is done there too. A replica that
 * cannot follow now does so at its backend's next init_host, and the rule's state says it. Call thread. */
#ifndef DAEMON_ACCESS_REPLICAS_H
#define DAEMON_ACCESS_REPLICAS_H

#include "daemon/access.h"

/* Inserts or writes the rule's state on all instances but the call's own. */
int access_insert_others(struct engine *en, const struct call *c, const char *access_id, const char *state,
			 struct error *e);
int access_set_others(struct engine *en, const struct call *c, const char *access_id, const char *state,
		      struct error *e);
/* As access_apply, on all other instances; what became of it stays in c->more for access_settle_others. */
int access_apply_others(struct engine *en, struct call *c, const json_t *add, const json_t *remove,
			const json_t *update, struct error *e);
/* `rule`: the one that was added or updated (NULL: all were put in force), or that was `removed`. */
int access_settle_others(struct engine *en, const struct call *c, const json_t *rule, bool removed, struct error *e);
/* Deletes the rule with all its states. */
int access_drop_everywhere(struct engine *en, const char *access_id, struct error *e);

#endif
