/* Access rules of a share: who may search its gate. */
#ifndef DRIVERS_DIR_DIR_GATE_H
#define DRIVERS_DIR_DIR_GATE_H

#include "drivers/dir/dir_object.h"

/* Makes the gate of a share equal to the rules, in one step, flushed. A rule that cannot be is left out; NULL is no
 * rules. `*ret_results`
 * (may be NULL): what update_access answers of them, new reference. */
int dir_gate_set(const struct dir_root *r, const struct dir_object *share, const struct driver_rules *rules,
		 json_t **ret_results, struct error *e);

driver_slot dir_update_access;

#endif
