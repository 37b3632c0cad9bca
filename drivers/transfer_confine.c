#include "drivers/transfer_confine.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READ_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define OF_FILES   (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE)
#define ALL_BUT_RUN                                                                                                    \
	(READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                    \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                 \
	 LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

enum { ABI_WITH_REFER = 2 }; /* before it no file can be linked or moved from one directory to another */

static int allow_fd(int rules, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr attr = { .parent_fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	attr.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno : 0;
}

static int allow(int rules, const char *path, uint64_t access)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : allow_fd(rules, fd, access);
}

/* Programs and what they need: it is everybody's to read. */
static int allow_programs(int rules)
{
	static const char *const paths[] = { "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom" };
	int r;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		r = allow(rules, paths[i], LANDLOCK_ACCESS_FS_EXECUTE | READ_FILES);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

/* A file can only be linked to where no more may be done with it than where it is: so both trees are writable. */
static int allow_trees(int rules, const struct transfer_tree *t)
{
	int r = 0;

	for (; r == 0 && (t->fd >= 0 || t->path); t++) {
		uint64_t access = t->writable ? ALL_BUT_RUN : READ_FILES;

		r = t->fd >= 0 ? allow_fd(rules, t->fd, access) : allow(rules, t->path, access);
	}
	return r;
}

int transfer_confine(const void *data)
{
	static const struct landlock_ruleset_attr attr = { .handled_access_fs =
								   ALL_BUT_RUN | LANDLOCK_ACCESS_FS_EXECUTE };
	_cleanup_close_ int rules = -1;
	int r = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (r < ABI_WITH_REFER)
		return r >= 0 || errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (rules < 0)
		return -errno;
	if ((r = allow_programs(rules)) < 0 || (r = allow_trees(rules, data)) < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return -errno;
	return 0;
}
