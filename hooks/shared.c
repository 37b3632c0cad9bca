#include "hooks/shared.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"
#include "hooks/ops.h"
#include "hooks/table.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static int refuse(struct error *e, const char *origin, const char *why)
{
	return error_set(e, ERR_INVALID_PARAMS, EINVAL, "hook \"%s\": %s", origin, why);
}

/* Options that the conf file's schema does not hold cannot be asked for. */
static bool options_known(const struct hook_ops *ops)
{
	if (!ops->options)
		return true;
	for (const struct hook_ops *const *m = hook_module_table(); *m; m++) {
		if ((*m)->options == ops->options)
			return true;
	}
	return false;
}

int hook_shared_load(const char *entry, const struct hook_ops **ret, struct error *e)
{
	const char *colon = strrchr(entry, ':');
	if (!colon || !colon[1] || strchr(colon, '/'))
		return refuse(e, entry, "the symbol is missing, write /path/module.so:symbol");
	_cleanup_free_ char *path = xstrndup(entry, (size_t)(colon - entry));
	int r = process_check_program(path, geteuid(), e);
	if (r < 0) {
		error_prefix(e, "hook \"%s\"", entry);
		return r;
	}
	/* Never closed: threads, destructors or callbacks of what was loaded may outlive the hook. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return refuse(e, entry, dlerror());
	const struct hook_ops *ops = dlsym(handle, colon + 1);
	if (!ops)
		return error_set(e, ERR_INVALID_PARAMS, ENOENT, "hook \"%s\": %s has no symbol \"%s\"", entry, path,
				 colon + 1);
	r = hook_ops_check(ops, entry, e);
	if (r < 0)
		return r;
	if (!options_known(ops))
		return refuse(e, entry,
			      "it declares options, so its file must stand in `plugins` and export it as hook_module");
	*ret = ops;
	return 0;
}
