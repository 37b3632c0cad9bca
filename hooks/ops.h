/* What every hook_ops must have, built in or loaded. Any thread. */
#ifndef HOOKS_OPS_H
#define HOOKS_OPS_H

#include "hooks/hook.h"

/* Is this a hook that this daemon can run? `origin` names it in the error. */
int hook_ops_check(const struct hook_ops *ops, const char *origin, struct error *e);

#endif
