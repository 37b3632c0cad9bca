/* Access rules of a share: who may search its gate.
 *
 * A share of protocol LOCAL: who has a rule. All others are reached through a server, which knows their rules: the gate
 * is shut (0700), unless that server enters as its user (CIFS, NFS_CIFS), who then must get through (0711). One that
 * was adopted in place has a gate only as LOCAL. */
#ifndef DRIVERS_LOCAL_LOCAL_GATE_H
#define DRIVERS_LOCAL_LOCAL_GATE_H

#include "drivers/local/local_object.h"

/* Makes the gate of a share equal to the rules, in one step, flushed. A rule that cannot be is left out; NULL is no
 * rules. `read_only`: nobody can change the data, and so says each rule. `*ret_results` (may be NULL): what
 * update_access answers of them, new reference. */
int local_gate_set(const struct local_root *r, const struct local_object *share, const struct driver_rules *rules,
		   bool read_only, json_t **ret_results, struct error *e);

/* Do rules open it? */
bool local_gate_takes_rules(const struct local_object *share);
/* Opens a gate that is shut as far as its share's protocol needs it. Flushes nothing. */
int local_gate_prepare(const struct local_object *share, struct error *e);

driver_slot local_update_access;

#endif
