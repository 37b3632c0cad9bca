#include "drivers/local/local_trash.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TRASH_NAMES = 10000 };

static int check_moved(const struct local_root *r, int dirfd, const char *name, const char *to, uint64_t which,
		       struct error *e)
{
	uint64_t id;

	if (which == 0 || local_identify(r->trash, to, &id) < 0 || id == which)
		return 0;
	(void)renameat2(r->trash, to, dirfd, name, RENAME_NOREPLACE);
	return error_set(e, ERR_INVALID_STATE, ESTALE,
			 "%s in %s was replaced while it was being removed: look who did, and try again", name,
			 r->b->root);
}

int local_trash(const struct local_root *r, int dirfd, const char *name, uint64_t which, const char *id,
		const char *call_id, struct error *e)
{
	int n;

	for (unsigned i = 0; i < TRASH_NAMES; i++) {
		_cleanup_free_ char *to = i ? xasprintf("%s.%s.%u", id, call_id, i) : xasprintf("%s.%s", id, call_id);

		crash_step("local: move to the trash");
		if (renameat2(dirfd, name, r->trash, to, RENAME_NOREPLACE) < 0) {
			if (errno == EEXIST)
				continue;
			if (errno == ENOENT)
				return -ENOENT;
			return error_errno(e, errno, "cannot move %s to the trash of %s", name, r->b->root);
		}
		crash_step("local: moved to the trash");
		if ((n = check_moved(r, dirfd, name, to, which, e)) < 0)
			return n;
		if ((n = local_order(r->b, dirfd, "the directory that lost an entry", e)) < 0)
			return n;
		return local_flush(r->b, r->trash, "the trash", e);
	}
	return error_set(e, ERR_DRIVER_FAILED, EEXIST, "the trash of %s is full of %s: empty %s/" LOCAL_META "/trash",
			 r->b->root, id, r->b->root);
}

int local_staging_discard(const struct local_root *r, const char *id, struct error *e)
{
	_cleanup_close_ int fd = path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	int n;

	if (fd == -ENOENT)
		return 0;
	if (fd >= 0)
		(void)unlinkat(fd, "data", AT_REMOVEDIR);
	crash_step("local: discard a staging directory");
	if (unlinkat(r->staging, id, AT_REMOVEDIR) == 0)
		n = local_order(r->b, r->staging, "the staging directory", e);
	else
		n = local_trash(r, r->staging, id, 0, id, "staging", e);
	crash_step("local: discarded a staging directory");
	return n == -ENOENT ? 0 : n;
}

int local_staging_make(const struct local_root *r, const char *id, int *ret_fd, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int n = local_staging_discard(r, id, e);

	if (n < 0)
		return n;
	crash_step("local: make a staging directory");
	if (mkdirat(r->staging, id, 0700) < 0)
		return error_errno(e, errno, "cannot make a staging directory in %s/" LOCAL_META, r->b->root);
	crash_step("local: made a staging directory");
	fd = path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	n = fd < 0 ? fd : local_acl_shut(fd);
	if (n < 0) {
		(void)unlinkat(r->staging, id, AT_REMOVEDIR);
		return error_errno(e, -n, "cannot prepare a staging directory in %s/" LOCAL_META, r->b->root);
	}
	*ret_fd = take_fd(fd);
	return 0;
}

int local_staging_discard_left(const struct local_root *r, struct error *e)
{
	_cleanup_closedir_ DIR *d = local_list(r->staging);
	const struct dirent *entry;

	if (!d)
		return error_errno(e, errno, "cannot read %s/" LOCAL_META "/staging", r->b->root);
	while (errno = 0, (entry = readdir(d))) {
		int n;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    json_object_get(r->b->busy, entry->d_name))
			continue;
		if ((n = local_staging_discard(r, entry->d_name, e)) < 0)
			return n;
	}
	return errno ? error_errno(e, errno, "cannot read %s/" LOCAL_META "/staging", r->b->root) : 0;
}
