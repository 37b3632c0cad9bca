#include "hooks/ops.h"

#include <errno.h>

static int refuse(struct error *e, const char *origin, const char *why)
{
	return error_set(e, ERR_INVALID_PARAMS, EINVAL, "hook \"%s\": %s", origin, why);
}

int hook_ops_check(const struct hook_ops *ops, const char *origin, struct error *e)
{
	if (ops->abi != HOOK_ABI)
		return error_set(
			e, ERR_INVALID_PARAMS, EINVAL,
			"hook \"%s\" was built for hook ABI %u, but this daemon has %u: build it anew with this "
			"daemon's hook.h",
			origin, ops->abi, HOOK_ABI);
	if (!ops->name || !*ops->name)
		return refuse(e, origin, "its hook_ops have no name");
	if (!ops->create || !ops->destroy)
		return refuse(e, origin, "its hook_ops have no create or no destroy");
	if (!ops->execute_pre_hook && !ops->execute_post_hook && !ops->execute_periodic_hook &&
	    !ops->execute_error_hook)
		return refuse(e, origin, "its hook_ops have no execute function");
	return 0;
}
