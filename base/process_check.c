#include "base/cleanup.h"
#include "base/process.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static int refuse(struct error *e, const char *path, const char *why)
{
	return error_set(e, ERR_DRIVER_FAILED, EPERM, "%s is not used, for %s", path, why);
}

int process_check_program(const char *path, uid_t uid, struct error *e)
{
	_cleanup_free_ char *real = NULL;
	struct stat st, dir;

	real = realpath(path, NULL);
	if (!real || stat(real, &st) < 0)
		return error_errno(e, errno, "cannot use %s", path);
	if (!S_ISREG(st.st_mode))
		return refuse(e, path, "it is no regular file");
	if (st.st_uid != 0 && st.st_uid != uid)
		return refuse(e, path,
			      "it belongs to another user than root and the daemon's: change its owner with chown");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(e, path, "others may write it: take that away with chmod go-w");
	if (!(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return refuse(e, path, "it is not executable: make it so with chmod +x");
	if (stat(dirname(real), &dir) < 0)
		return error_errno(e, errno, "cannot look at the directory of %s", path);
	/* Who may write there may put another file in its place, but for directories like /tmp. */
	if ((dir.st_mode & S_IWOTH) && !(dir.st_mode & S_ISVTX))
		return refuse(e, path, "everybody may write its directory: take that away with chmod o-w");
	return 0;
}
