/* base/path: nothing leads out of the directory. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static char base[PATH_MAX]; /* base/root is the root, base/secret lies outside */
static int root = -1;

static void make_file(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX + 16];
	_cleanup_close_ int fd = -1;

	snprintf(base, sizeof(base), "%s/sharesd-path-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(base));
	fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(fd, "secret", "s");
	ck_assert_int_eq(mkdirat(fd, "root", 0700), 0);
	snprintf(path, sizeof(path), "%s/root", base);
	root = path_open_root(path);
	ck_assert_int_ge(root, 0);
	ck_assert_int_eq(mkdirat(root, "d", 0700), 0);
	make_file(root, "d/f", "content");
	ck_assert_int_eq(symlinkat("/etc/passwd", root, "absolute"), 0);
	ck_assert_int_eq(symlinkat("../secret", root, "outside"), 0);
	ck_assert_int_eq(symlinkat("d", root, "inside"), 0);
	ck_assert_int_eq(symlinkat("..", root, "up"), 0);
	ck_assert_int_eq(symlinkat("/proc/self/root", root, "magic"), 0);
	ck_assert_int_eq(mkfifoat(root, "fifo", 0600), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	close(root);
	ck_assert_int_eq(nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int try_open(const char *path)
{
	int fd = path_open(root, path, O_RDONLY, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

START_TEST(open_stays_beneath)
{
	ck_assert_int_eq(try_open("d/f"), 0);
	ck_assert_int_eq(try_open("."), 0);
	ck_assert_int_eq(try_open("d/../d/f"), 0);
	ck_assert_int_eq(try_open(".."), -EXDEV);
	ck_assert_int_eq(try_open("../secret"), -EXDEV);
	ck_assert_int_eq(try_open("d/../../secret"), -EXDEV);
	ck_assert_int_eq(try_open("d/../../root/d/f"), -EXDEV);
	ck_assert_int_eq(try_open("/etc/passwd"), -EXDEV);
	ck_assert_int_eq(try_open("/"), -EXDEV);
	ck_assert_int_eq(try_open("none"), -ENOENT);
	ck_assert_int_eq(try_open(""), -ENOENT);
	ck_assert_int_eq(try_open("d/f/x"), -ENOTDIR);
}
END_TEST

START_TEST(open_follows_no_link)
{
	static const char *const links[] = { "absolute", "outside",   "inside", "inside/f",
					     "up",       "up/secret", "magic",  "magic/etc" };

	for (size_t i = 0; i < COUNT(links); i++)
		ck_assert_msg(try_open(links[i]) == -ELOOP, "%s", links[i]);
	/* The link itself may be had. */
	{
		_cleanup_close_ int fd = path_open(root, "outside", O_PATH | O_NOFOLLOW, 0);

		ck_assert_int_ge(fd, 0);
	}
	ck_assert_int_eq(path_open(root, "outside", O_WRONLY | O_CREAT, 0600), -ELOOP);
}
END_TEST

START_TEST(open_creates_with_mode)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	umask(0);
	fd = path_open(root, "new", O_WRONLY | O_CREAT | O_EXCL, 0640);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(path_open(root, "new", O_WRONLY | O_CREAT | O_EXCL, 0640), -EEXIST);
	/* A mode where none belongs is no error. */
	close(take_fd(fd));
	fd = path_open(root, "new", O_RDONLY, 0640);
	ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(open_crosses_no_mount)
{
	char path[PATH_MAX + 16];

	if (geteuid() != 0) {
		printf("SKIP open_crosses_no_mount: needs root\n");
		return;
	}
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	/* Again: the descriptor still stood in the old namespace. */
	close(root);
	snprintf(path, sizeof(path), "%s/root", base);
	root = path_open_root(path);
	snprintf(path, sizeof(path), "%s/root/d", base);
	ck_assert_int_eq(mount("/etc", path, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(try_open("d/passwd"), -EXDEV);
	ck_assert_int_eq(try_open("d"), -EXDEV);
	ck_assert_int_eq(umount(path), 0);
	/* The same filesystem bound into itself is another mount all the same. */
	ck_assert_int_eq(mount(base, path, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(try_open("d/secret"), -EXDEV);
	ck_assert_int_eq(umount(path), 0);
}
END_TEST

static atomic_bool stop_renaming;

static void *rename_back_and_forth(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop_renaming)) {
		renameat(root, "d", root, "e");
		renameat(root, "e", root, "d");
	}
	return NULL;
}

START_TEST(open_bears_renames)
{
	pthread_t thread;

	ck_assert_int_eq(mkdirat(root, "x", 0700), 0);
	ck_assert_int_eq(mkdirat(root, "x/y", 0700), 0);
	pthread_create(&thread, NULL, rename_back_and_forth, NULL);
	for (int i = 0; i < 2000; i++)
		ck_assert_int_eq(try_open("x/y/../../x/y"), 0);
	atomic_store(&stop_renaming, true);
	pthread_join(thread, NULL);
}
END_TEST

static void *move_in_and_out(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop_renaming)) {
		renameat(root, "d", root, "x/d");
		renameat(root, "x/d", root, "d");
	}
	return NULL;
}

/* What is moved out of the directory while it is opened is not there, rather than on another file system. */
START_TEST(open_bears_moves)
{
	_cleanup_close_ int x = -1;
	pthread_t thread;
	int seen[2] = { 0 };

	ck_assert_int_eq(mkdirat(root, "x", 0700), 0);
	x = path_open(root, "x", O_RDONLY | O_DIRECTORY, 0);
	pthread_create(&thread, NULL, move_in_and_out, NULL);
	for (int i = 0; i < 50000 || !seen[0] || !seen[1]; i++) {
		int fd = path_open(x, "d", O_RDONLY, 0);

		ck_assert_msg(fd >= 0 || fd == -ENOENT, "%s", strerror(-fd));
		seen[fd >= 0]++;
		if (fd >= 0)
			close(fd);
	}
	atomic_store(&stop_renaming, true);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(parents)
{
	static const char *const bad[] = { "", ".", "..", "d/", "d/.", "d/..", "/", "/a", "/etc/passwd" };
	const char *name = NULL, *path = "d/new";
	_cleanup_close_ int fd = -1;
	struct stat a, b;
	char longest[PATH_MAX + 10];

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(path_open_parent(root, bad[i], &name) == -EINVAL, "%s", bad[i]);
	ck_assert_ptr_null(name);
	fd = path_open_parent(root, path, &name);
	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_eq(name, path + 2);
	fstat(fd, &a);
	fstatat(root, "d", &b, 0);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	close(take_fd(fd));
	fd = path_open_parent(root, "f", &name);
	fstat(fd, &a);
	fstat(root, &b);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	ck_assert_str_eq(name, "f");
	ck_assert_int_eq(path_open_parent(root, "../x", &name), -EXDEV);
	ck_assert_int_eq(path_open_parent(root, "inside/x", &name), -ELOOP);
	ck_assert_int_eq(path_open_parent(root, "d/f/x", &name), -ENOTDIR);
	ck_assert_int_eq(path_open_parent(root, "none/x", &name), -ENOENT);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 3] = '/';
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(path_open_parent(root, longest, &name), -ENAMETOOLONG);
}
END_TEST

START_TEST(roots)
{
	char path[PATH_MAX + 16];
	_cleanup_close_ int fd = -1;

	ck_assert_int_eq(path_open_root("relative"), -EINVAL);
	ck_assert_int_eq(path_open_root(""), -EINVAL);
	ck_assert_int_eq(path_open_root("/nonexistent-root"), -ENOENT);
	snprintf(path, sizeof(path), "%s/secret", base);
	ck_assert_int_eq(path_open_root(path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/root/inside", base);
	fd = path_open_root(path);
	ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(relative_paths)
{
	static const char *const bad[] = { "",     "/",     "/a",   ".",  "..",  "a/..",
					   "../a", "a/./b", "a//b", "a/", "./a", "a/../b" };
	static const char *const good[] = { "a", "a/b", "...", "..a/b..", ".a", "a b/\xff" };
	char longest[PATH_MAX + 1];

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(path_check_relative(bad[i]) == -EINVAL, "%s", bad[i]);
	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(path_check_relative(good[i]) == 0, "%s", good[i]);
	memset(longest, 'a', sizeof(longest));
	longest[PATH_MAX - 1] = '\0';
	ck_assert_int_eq(path_check_relative(longest), 0);
	longest[PATH_MAX - 1] = 'a';
	longest[PATH_MAX] = '\0';
	ck_assert_int_eq(path_check_relative(longest), -EINVAL);
}
END_TEST

START_TEST(read_files)
{
	_cleanup_free_ char *text = NULL, *empty = NULL, *proc = NULL;
	_cleanup_close_ int proc_fd = -1;
	char *none = NULL;
	size_t len = 99;

	ck_assert_int_eq(path_read_file(root, "d/f", 7, &text, &len), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert_str_eq(text, "content");
	ck_assert_int_eq(path_read_file(root, "d/f", 6, &none, &len), -EFBIG);
	make_file(root, "empty", "");
	ck_assert_int_eq(path_read_file(root, "empty", 0, &empty, NULL), 0);
	ck_assert_str_eq(empty, "");
	ck_assert_int_eq(path_read_file(root, "d", 100, &none, &len), -EISDIR);
	ck_assert_int_eq(path_read_file(root, "fifo", 100, &none, &len), -EINVAL);
	ck_assert_int_eq(path_read_file(root, "none", 100, &none, &len), -ENOENT);
	ck_assert_int_eq(path_read_file(root, "absolute", 100, &none, &len), -ELOOP);
	ck_assert_int_eq(path_read_file(root, "../secret", 100, &none, &len), -EXDEV);
	/* Files whose size is not known before. */
	proc_fd = path_open_root("/proc");
	ck_assert_int_eq(path_read_file(proc_fd, "version", 4096, &proc, &len), 0);
	ck_assert_uint_gt(len, 5);
	ck_assert_int_eq(path_read_file(proc_fd, "version", 5, &none, &len), -EFBIG);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(write_files)
{
	_cleanup_free_ char *text = NULL, *large = NULL, *back = NULL;
	char name[256];
	struct stat st;
	size_t len;

	umask(077);
	ck_assert_int_eq(path_write_file(root, "d/new", "abc", 3, 0644), 0);
	ck_assert_int_eq(fstatat(root, "d/new", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	large = xmalloc(1 << 20);
	memset(large, 'x', 1 << 20);
	ck_assert_int_eq(path_write_file(root, "d/new", large, 1 << 20, 0600), 0);
	ck_assert_int_eq(path_read_file(root, "d/new", 1 << 20, &back, &len), 0);
	ck_assert_uint_eq(len, 1 << 20);
	ck_assert_int_eq(fstatat(root, "d/new", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* What a crash left in the way. */
	make_file(root, ".f.new", "half");
	ck_assert_int_eq(path_write_file(root, "f", "whole", 5, 0600), 0);
	ck_assert_int_eq(path_read_file(root, "f", 10, &text, NULL), 0);
	ck_assert_str_eq(text, "whole");
	ck_assert_int_eq(try_open(".f.new"), -ENOENT);
	/* A link planted at the target is replaced, not followed. */
	ck_assert_int_eq(path_write_file(root, "outside", "x", 1, 0600), 0);
	ck_assert_int_eq(fstatat(root, "../secret", &st, 0), 0);
	ck_assert_int_eq(st.st_size, 1);
	memset(name, 'n', 255);
	name[255] = '\0';
	ck_assert_int_eq(path_write_file(root, name, "x", 1, 0600), 0);
	ck_assert_int_eq(try_open(name), 0);
	ck_assert_int_eq(path_write_file(root, "d", "x", 1, 0600), -EISDIR);
	ck_assert_int_eq(try_open(".d.new"), -ENOENT);
	ck_assert_int_eq(path_write_file(root, "..", "x", 1, 0600), -EINVAL);
	ck_assert_int_eq(path_write_file(root, "inside/f", "x", 1, 0600), -ELOOP);
}
END_TEST

START_TEST(a_failed_write_leaves_the_old)
{
	_cleanup_free_ char *text = NULL, *large = NULL;

	ck_assert_int_eq(path_write_file(root, "f", "old", 3, 0600), 0);
	large = xcalloc(1, 1 << 16);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, 4096 }), 0);
	ck_assert_int_eq(path_write_file(root, "f", large, 1 << 16, 0600), -EFBIG);
	ck_assert_int_eq(path_read_file(root, "f", 10, &text, NULL), 0);
	ck_assert_str_eq(text, "old");
	ck_assert_int_eq(try_open(".f.new"), -ENOENT);
}
END_TEST

static void *write_often(void *data)
{
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(path_write_file(root, "shared", data, 4096, 0600), 0);
	return NULL;
}

START_TEST(writers_do_not_mix)
{
	static char contents[2][4096];
	_cleanup_free_ char *text = NULL;
	pthread_t threads[2];
	size_t len;

	for (int i = 0; i < 2; i++) {
		memset(contents[i], 'a' + i, sizeof(contents[i]));
		pthread_create(&threads[i], NULL, write_often, contents[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(path_read_file(root, "shared", 4096, &text, &len), 0);
	ck_assert(memcmp(text, contents[text[0] - 'a'], 4096) == 0);
}
END_TEST

START_TEST(fsync_tells)
{
	int fds[2];

	ck_assert_int_eq(path_fsync(root), 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(path_fsync(fds[0]), -EINVAL);
	ck_assert_int_eq(path_fsync(-1), -EBADF);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_path");
	TCase *t = tcase_create("path");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, open_stays_beneath);
	tcase_add_test(t, open_follows_no_link);
	tcase_add_test(t, open_creates_with_mode);
	tcase_add_test(t, open_crosses_no_mount);
	tcase_add_test(t, open_bears_renames);
	tcase_add_test(t, open_bears_moves);
	tcase_add_test(t, parents);
	tcase_add_test(t, roots);
	tcase_add_test(t, relative_paths);
	tcase_add_test(t, read_files);
	tcase_add_test(t, write_files);
	tcase_add_test(t, a_failed_write_leaves_the_old);
	tcase_add_test(t, writers_do_not_mix);
	tcase_add_test(t, fsync_tells);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
