#include "daemon/plugins.h"

#include "conf/conf.h"
#include "drivers/table.h"
#include "hooks/table.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(const char *path, struct error *e)
{
	struct stat st;

	if (path[0] != '/')
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "plugin %s: give its whole path, from /", path);
	if (stat(path, &st) < 0)
		return error_errno(e, errno, "plugin %s cannot be loaded", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(
			e, ERR_PERMISSION_DENIED, EPERM,
			"plugin %s may be written by others than root and the daemon's user: chown and chmod go-w it",
			path);
	return 0;
}

static int load(const char *path, struct error *e)
{
	const struct share_driver_ops *driver;
	const struct hook_ops *module;
	void *handle;
	int r = check_file(path, e);

	if (r < 0)
		return r;
	/* Never closed: its code and tables are used until the end. */
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return error_set(e, ERR_INVALID_PARAMS, ENOEXEC, "plugin %s cannot be loaded: %s", path, dlerror());
	driver = dlsym(handle, "share_driver");
	module = dlsym(handle, "hook_module");
	if (!driver && !module)
		return error_set(e, ERR_INVALID_PARAMS, ENOEXEC,
				 "plugin %s exports neither share_driver nor hook_module", path);
	if (driver && (r = driver_register(driver, path, e)) < 0)
		return r;
	return module ? hook_module_register(module, path, e) : 0;
}

int plugins_load(const char *conf_path, struct error *e)
{
	char **list = NULL;
	int r = conf_scan_plugins(conf_path, &list, e);

	for (char **p = list; r == 0 && p && *p; p++)
		r = load(*p, e);
	conf_free_list(list);
	return r;
}
