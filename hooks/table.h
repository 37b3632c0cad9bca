/* The one list of hook modules: "exec", "coproc", "python", "webhook", "journal"; shared objects come by path and are
 * not in it.
 */
#ifndef HOOKS_TABLE_H
#define HOOKS_TABLE_H

#include "hooks/hook.h"

const struct hook_ops *const *hook_module_table(void); /* NULL-terminated */
const struct hook_ops *hook_module_find(const char *name);
/* Option tables of all modules, NULL-terminated, for struct conf_schema. */
const struct option *const *hook_module_options(void);
/* A plugin's module (a shared object named in `plugins` exports it as `hook_module`): checks ABI number, mandatory
 * members and that no module of that name exists. Call before the conf file is read and before any hook exists. */
int hook_module_register(const struct hook_ops *ops, const char *origin, struct error *e);

extern const struct hook_ops hook_exec, hook_coproc, hook_python, hook_webhook, hook_journal;

#endif
