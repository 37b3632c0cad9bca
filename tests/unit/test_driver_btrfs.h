/* What the tests of the `btrfs` driver share: a btrfs of its own on DIR/root, and a backend there. Needs root and a
 * loop device. */
#ifndef TESTS_UNIT_TEST_DRIVER_BTRFS_H
#define TESTS_UNIT_TEST_DRIVER_BTRFS_H

#include "tests/unit/test_driver_dir.h"

#include <sched.h>
#include <sys/mount.h>

#define MIB (1ull << 20)

static bool mounted; /* false: the test is skipped */

/* Only said once a program: the fixture runs for each test. */
static inline bool cannot(const char *why)
{
	const char *ci = getenv("CI");

	printf("SKIP btrfs: %s\n", why);
	ck_assert_msg(!ci || !*ci, "%s, and CI must not skip it", why);
	return false;
}

static inline bool btrfs_can(void)
{
	if (geteuid() != 0)
		return cannot("needs root");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return cannot("needs to mount file systems");
	if (shell_status("losetup -f >/dev/null 2>&1") != 0)
		return cannot("needs loop devices");
	return true;
}

/* A new one; `size` as truncate takes it. */
static inline void btrfs_new(const char *size, bool quota)
{
	shell("cd '%s' && mkdir -p root && truncate -s %s disk.img && mkfs.btrfs -q disk.img >/dev/null 2>&1 && mount "
	      "-o loop disk.img "
	      "root",
	      dir, size);
	if (quota)
		shell("btrfs quota enable '%s'", in_root(""));
}

static inline void btrfs_begin(const char *options)
{
	b = backend_new("btrfs", "d", BACKEND_1, text("root = \"%s/root\"\n%s", dir, options));
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = true);
	DO(&b, check_for_setup_error, .id = CALL_1);
}

static inline void setup_btrfs(void)
{
	setup();
	no_user_xattrs = false;
	mounted = btrfs_can();
	if (!mounted)
		return;
	btrfs_new("512M", true);
	btrfs_begin("");
}

static inline void teardown_btrfs(void)
{
	if (mounted) {
		backend_free(&b);
		shell("umount -R '%s'", in_root(""));
	}
	teardown();
}

/* Figures of quota are those of the last transaction. */
static inline void btrfs_sync(void)
{
	shell("btrfs filesystem sync '%s'", in_root(""));
}

/* Number of bytes that went in before the share was full (or `most`). */
static inline size_t fill(const char *path, size_t most)
{
	static char block[64 << 10];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	size_t n = 0;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	memset(block, 'x', sizeof block);
	while (n < most) {
		ssize_t one = write(fd, block, sizeof block);

		if (one < 0)
			ck_assert_msg(errno == EDQUOT, "%s: %s", path, strerror(errno));
		if (one <= 0)
			break;
		n += (size_t)one;
	}
	close(fd);
	return n;
}

#endif
