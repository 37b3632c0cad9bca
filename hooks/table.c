#include "hooks/table.h"

#include "base/mem.h"
#include "hooks/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Ours, then those of plugins; a place is left for each, and for the end. */
enum { MODULES_MAX = 64 };
static const struct hook_ops *modules[MODULES_MAX + 1] = { &hook_exec, &hook_coproc, &hook_python, &hook_webhook,
							   &hook_journal };
static const struct option *options[MODULES_MAX + 1];

const struct hook_ops *const *hook_module_table(void)
{
	return modules;
}

const struct hook_ops *hook_module_find(const char *name)
{
	for (size_t i = 0; modules[i]; i++) {
		if (strcmp(modules[i]->name, name) == 0)
			return modules[i];
	}
	return NULL;
}

const struct option *const *hook_module_options(void)
{
	size_t n = 0;
	for (size_t i = 0; modules[i]; i++) {
		if (modules[i]->options)
			options[n++] = modules[i]->options;
	}
	options[n] = NULL;
	return options;
}

int hook_module_register(const struct hook_ops *ops, const char *origin, struct error *e)
{
	int r = hook_ops_check(ops, origin, e);
	if (r < 0)
		return r;
	if (hook_module_find(ops->name))
		return error_set(e, ERR_INVALID_PARAMS, EEXIST,
				 "plugin \"%s\": there is a hook module \"%s\" already, give it another name", origin,
				 ops->name);
	size_t n = 0;
	while (modules[n])
		n++;
	if (n == MODULES_MAX)
		return error_set(e, ERR_LIMIT, ENOSPC, "plugin \"%s\": there are %d hook modules already", origin,
				 MODULES_MAX);
	modules[n] = ops;
	return 0;
}
