#include "tests/e2e/harness_mount.h"

#include "base/cleanup.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* The kernel's headers have it in no file that programs may include. */
#define SHUT_DOWN     _IOR('X', 125, __u32)
#define SHUT_DOWN_NOW 1U

#define FROZEN_SECONDS 60

const struct loss losses[] = {
	{ "unmounted", "umount root", "mount -o loop disk.img root", "does not carry this backend's mark", false,
	  false },
	{ "unmounted by force", "umount -l root", "mount -o loop disk.img root", "does not carry this backend's mark",
	  false, false },
	{ "another file system over it",
	  "truncate -s 8M other.img && mkfs.ext4 -q other.img && mount -o loop other.img root", "umount root",
	  "does not carry this backend's mark", false, false },
	{ "an empty directory over it", "mkdir -p empty && mount --bind empty root", "umount root",
	  "does not carry this backend's mark", false, false },
	{ "another backend's disk over it",
	  "mkdir -p foreign && cp -a other/.sharesd foreign/ && mount --bind foreign root", "umount root",
	  "belongs to another backend", false, false },
	{ "read-only", "mount -o remount,ro root", "mount -o remount,rw root", "read-only", true, false },
	{ "unplugged", NULL, "umount -l root && mount -o loop disk.img root", "root", true, true },
};
const int n_losses = sizeof losses / sizeof *losses;

static bool skip(const char *test_name, const char *why)
{
	const char *ci = getenv("CI");

	printf("SKIP %s: %s\n", test_name, why);
	ck_assert_msg(!ci || !*ci, "%s: %s, and CI must not skip it", test_name, why);
	return false;
}

bool mounts_begin(const char *test_name)
{
	if (!need_root(test_name))
		return false;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return skip(test_name, "needs to mount file systems");
	if (shell(NULL, "losetup -f >/dev/null 2>&1") != 0)
		return skip(test_name, "needs loop devices");
	return true;
}

static void in_dir(const struct fixture *f, const char *command)
{
	_cleanup_free_ char *said = NULL;

	ck_assert_msg(shell(&said, "cd %s && { %s; } 2>&1", f->dir, command) == 0, "%s: %s", command, said);
}

void disk_mount(const struct fixture *f)
{
	in_dir(f, "mount -o loop disk.img root");
}

void disk_new(const struct fixture *f)
{
	in_dir(f, "mkdir -p root under && mount --bind root under && truncate -s 24M disk.img && "
		  "mkfs.ext4 -q disk.img");
	disk_mount(f);
}

void disk_fixture_free(struct fixture *f)
{
	if (f->pid)
		fixture_stop(f);
	in_dir(f, "while mountpoint -q root; do umount -l root; done; umount -l under");
	fixture_free(f);
}

static void shut_down(const struct fixture *f)
{
	__u32 how = SHUT_DOWN_NOW;
	_cleanup_close_ int fd = open(fixture_path(f, "root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_msg(ioctl(fd, SHUT_DOWN, &how) == 0, "%s", strerror(errno));
}

/* A helper of the daemon may stand in the way for a moment. */
static void try_for_a_while(const struct fixture *f, const char *command)
{
	double until = now() + 30;

	while (shell(NULL, "cd %s && { %s; } 2>/dev/null", f->dir, command) != 0) {
		ck_assert_msg(now() < until, "%s cannot be done", command);
		nap(0.002);
	}
}

void disk_lose(const struct fixture *f, const struct loss *l)
{
	if (l->shut_down)
		shut_down(f);
	else
		try_for_a_while(f, l->away);
}

void disk_return(const struct fixture *f, const struct loss *l)
{
	in_dir(f, l->back);
}

char *disk_places(const struct fixture *f, const struct loss *l)
{
	char *text = NULL;

	/* The disk itself is not compared while it can be seen: what was under way may have ended there. */
	ck_assert_int_eq(shell(&text, "cd %s && find under %s | sort", f->dir, l->stays_visible ? "" : "root"), 0);
	return text;
}

/* ---- frozen ---- */

static struct {
	pid_t pid;
	int fd;
} thaw = { 0, -1 };

/* A process of its own, so that nothing stays frozen whatever happens to the test. */
static _Noreturn void wait_to_thaw(int root, int tell)
{
	struct pollfd p = { .fd = tell, .events = POLLIN };

	setsid();
	signal(SIGTERM, SIG_IGN);
	poll(&p, 1, FROZEN_SECONDS * 1000);
	_exit(ioctl(root, FITHAW, 0) == 0 ? 0 : 1);
}

void disk_freeze(const struct fixture *f)
{
	_cleanup_close_ int root = open(fixture_path(f, "root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fds[2];

	ck_assert_int_ge(root, 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	thaw.pid = fork();
	ck_assert_int_ge(thaw.pid, 0);
	if (thaw.pid == 0) {
		close(fds[1]);
		wait_to_thaw(root, fds[0]);
	}
	close(fds[0]);
	thaw.fd = fds[1];
	ck_assert_msg(ioctl(root, FIFREEZE, 0) == 0, "%s", strerror(errno));
}

void disk_thaw(void)
{
	int status;

	close(take_fd(thaw.fd));
	ck_assert_int_eq(waitpid(thaw.pid, &status, 0), thaw.pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
