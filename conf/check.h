/* Words of the conf file to checked values. */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/fault.h"
#include "conf/tree.h"

/* Fills `c`, made with room for all sections of `raw`. It may be used only when no fault was added. */
void conf_check(const struct raw *raw, struct conf *c, struct fault_list *faults, struct fault_list *warnings);

#endif
