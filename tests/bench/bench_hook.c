/* Hooks that do nothing, in a shared object: what is measured with them is the runner. */
#include "hooks/hook.h"

static int create(const struct hook_setup *setup, void **ret, struct error *e)
{
	static int any;

	(void)setup;
	(void)e;
	*ret = &any;
	return 0;
}

static void destroy(void *hook)
{
	(void)hook;
}

static int execute(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	(void)hook;
	(void)ev;
	(void)ret;
	(void)e;
	return 0;
}

extern const struct hook_ops noop;
const struct hook_ops noop = {
	.abi = HOOK_ABI,
	.name = "noop",
	.create = create,
	.destroy = destroy,
	.execute_pre_hook = execute,
	.execute_post_hook = execute,
};
