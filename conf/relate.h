/* What one part of the conf file says of another: hooks that backends name. */
#ifndef CONF_RELATE_H
#define CONF_RELATE_H

#include "conf/fault.h"
#include "conf/tree.h"

/* A section whose options have been checked one by one. */
struct checked {
	const struct raw_section *raw;
	enum schema_scope scope;
	const struct option **tables;
	struct body *body;
};

/* A hook section with the name of a hook module would hide it. */
void check_hook_title(const struct raw_section *raw, const struct conf_schema *schema, struct fault_list *faults);

void conf_relate(const struct conf *c, const struct checked *sections, size_t n, struct fault_list *faults,
		 struct fault_list *warnings);

#endif
