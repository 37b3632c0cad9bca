/* Hooks in shared objects: "/path/module.so:symbol". Call thread only. */
#ifndef HOOKS_SHARED_H
#define HOOKS_SHARED_H

#include "hooks/hook.h"

/* Loads, checks the file, the ABI number and the mandatory members. What was loaded stays for the process's life. */
int hook_shared_load(const char *entry, const struct hook_ops **ret, struct error *e);

#endif
