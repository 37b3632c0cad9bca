/* drivers/tree and sharesd-tree: faithful copies, nothing outside the tree, trees of any depth. */
#include "tests/unit/test_driver.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* ---- running the program ---- */

struct report {
	int code;
	json_t *result; /* or NULL */
	struct error e;
	size_t n_progress;
	double seconds;
};

static void report_clear(struct report *r)
{
	json_decref(r->result);
	error_clear(&r->e);
}
#define _cleanup_report_ __attribute__((__cleanup__(report_clear)))

static struct report tree(const char *a, const char *b, const char *c, const char *d)
{
	const char *argv[] = { text("%s/sharesd-tree", dir), a, b, c, d, NULL };
	static const char *const env[] = { NULL };
	struct process_spec spec = { .argv = argv, .env = env, .max_output = 16 << 20, .timeout = 120 };
	struct process_result p;
	struct report ret = { 0 };

	ck_assert_msg(process_run(&spec, &p, &ret.e) == 0, "%s", ret.e.message);
	ck_assert_msg(!*p.errors, "%s", p.errors);
	ret.code = p.exit_code;
	ret.seconds = p.seconds;
	for (const char *s = p.output; (s = strstr(s, "\"percent\"")); s++)
		ret.n_progress++;
	read_lines(p.output, &ret.result, &ret.e);
	process_result_clear(&p);
	ck_assert_int_eq(ret.code, ret.result ? 0 : 1);
	return ret;
}

static const char *in(const char *name)
{
	return text("%s/%s", dir, name);
}

/* Copies dir/NAME to dir/TO. */
static void copy(const char *name, const char *to)
{
	_cleanup_report_ struct report r = tree("copy", in(name), in(to), NULL);

	ck_assert_msg(r.result != NULL, "%s", r.e.message);
	ck_assert(!exists(text("%s/%s.links", dir, to)));
}

static int64_t measured(const char *name)
{
	_cleanup_report_ struct report r = tree("measure", in(name), NULL, NULL);

	ck_assert_msg(r.result != NULL, "%s", r.e.message);
	return jsonx_int(r.result, "used_bytes");
}

static void make_dir(const char *name)
{
	ck_assert_msg(mkdir(in(name), 0755) == 0, "%s: %s", name, strerror(errno));
}

/* ---- fidelity ---- */

static void same_times(const char *a, const char *b)
{
	struct stat x = stat_of(a), y = stat_of(b);

	ck_assert_int_eq(x.st_mtim.tv_sec, y.st_mtim.tv_sec);
	ck_assert_int_eq(x.st_mtim.tv_nsec, y.st_mtim.tv_nsec);
	/* Reading a link is an access that nobody can avoid. */
	if (S_ISLNK(x.st_mode))
		return;
	ck_assert_int_eq(x.st_atim.tv_sec, y.st_atim.tv_sec);
	ck_assert_int_eq(x.st_atim.tv_nsec, y.st_atim.tv_nsec);
}

static void same_inode_data(const char *a, const char *b)
{
	struct stat x = stat_of(a), y = stat_of(b);

	ck_assert_msg(x.st_mode == y.st_mode, "%s: mode %o, not %o", b, y.st_mode, x.st_mode);
	ck_assert_uint_eq(x.st_uid, y.st_uid);
	ck_assert_uint_eq(x.st_gid, y.st_gid);
	ck_assert_uint_eq(x.st_rdev, y.st_rdev);
	if (!S_ISDIR(x.st_mode))
		ck_assert_int_eq(x.st_size, y.st_size);
	same_times(a, b);
}

static void same_xattr(const char *a, const char *b, const char *name)
{
	char x[256], y[256];
	ssize_t n = lgetxattr(a, name, x, sizeof x);

	ck_assert_msg(n > 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(lgetxattr(b, name, y, sizeof y), n);
	ck_assert_mem_eq(x, y, (size_t)n);
}

static void make_old(const char *name)
{
	static const struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };

	ck_assert_int_eq(utimensat(AT_FDCWD, in(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

START_TEST(copies_files_with_all_that_is_theirs)
{
	make_dir("a");
	write_text(in("a/plain"), "content\n");
	ck_assert_int_eq(setxattr(in("a/plain"), "user.colour", "red", 3, 0), 0);
	ck_assert_int_eq(chmod(in("a/plain"), 0444), 0);
	write_text(in("a/empty"), "");
	ck_assert_int_eq(symlink("/nowhere/at all", in("a/link")), 0);
	ck_assert_int_eq(mkfifo(in("a/fifo"), 0620), 0);
	make_dir("a/sub");
	shell("setfacl -d -m u:4242:rwx '%s' && setfacl -m u:4242:rx,g:4343:--- '%s'", in("a/sub"), in("a/sub"));
	shell("setfacl -m u:4242:rw '%s'", in("a/empty"));
	make_dir("a/closed");
	write_text(in("a/closed/file"), "x");
	ck_assert_int_eq(chmod(in("a/closed"), 0555), 0);
	for (size_t i = 0; i < 7; i++)
		make_old(((const char *[]){ "a/plain", "a/empty", "a/link", "a/fifo", "a/sub", "a/closed", "a" })[i]);
	copy("a", "b");
	for (size_t i = 0; i < 7; i++) {
		const char *name = ((const char *[]){ "plain", "empty", "link", "fifo", "sub", "closed", "." })[i];

		same_inode_data(text("%s/a/%s", dir, name), text("%s/b/%s", dir, name));
	}
	ck_assert_str_eq(read_text(in("b/plain")), "content\n");
	ck_assert_str_eq(read_text(in("b/closed/file")), "x");
	same_xattr(in("a/plain"), in("b/plain"), "user.colour");
	same_xattr(in("a/sub"), in("b/sub"), "system.posix_acl_access");
	same_xattr(in("a/sub"), in("b/sub"), "system.posix_acl_default");
	same_xattr(in("a/empty"), in("b/empty"), "system.posix_acl_access");
	ck_assert_int_lt(lgetxattr(in("b/plain"), "system.posix_acl_access", NULL, 0), 0);
}
END_TEST

START_TEST(copies_what_only_root_may)
{
	if (skip_unless_root("copies_what_only_root_may"))
		return;
	make_dir("a");
	write_text(in("a/suid"), "#!\n");
	ck_assert_int_eq(chown(in("a/suid"), 4242, 4343), 0);
	ck_assert_int_eq(chmod(in("a/suid"), 06755), 0);
	ck_assert_int_eq(mknod(in("a/null"), S_IFCHR | 0666, makedev(1, 3)), 0);
	ck_assert_int_eq(mknod(in("a/disk"), S_IFBLK | 0640, makedev(7, 200)), 0);
	ck_assert_int_eq(symlink("x", in("a/link")), 0);
	ck_assert_int_eq(lchown(in("a/link"), 4242, 4343), 0);
	ck_assert_int_eq(lsetxattr(in("a/link"), "trusted.t", "1", 1, 0), 0);
	ck_assert_int_eq(setxattr(in("a/suid"), "trusted.t", "2", 1, 0), 0);
	write_text(in("a/caps"), "");
	shell("/sbin/setcap cap_net_raw+p '%s'", in("a/caps"));
	make_dir("a/sticky");
	ck_assert_int_eq(chown(in("a/sticky"), 4242, 4343), 0);
	ck_assert_int_eq(chmod(in("a/sticky"), 03777), 0);
	copy("a", "b");
	for (size_t i = 0; i < 6; i++) {
		const char *name = ((const char *[]){ "suid", "null", "disk", "link", "caps", "sticky" })[i];

		same_inode_data(text("%s/a/%s", dir, name), text("%s/b/%s", dir, name));
	}
	same_xattr(in("a/link"), in("b/link"), "trusted.t");
	same_xattr(in("a/suid"), in("b/suid"), "trusted.t");
	same_xattr(in("a/caps"), in("b/caps"), "security.capability");
}
END_TEST

START_TEST(copies_sockets)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	make_dir("a");
	snprintf(addr.sun_path, sizeof addr.sun_path, "%.100s", in("a/s"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	copy("a", "b");
	ck_assert(S_ISSOCK(stat_of(in("b/s")).st_mode));
	close(fd);
}
END_TEST

START_TEST(keeps_hard_links)
{
	make_dir("a");
	make_dir("a/d");
	write_text(in("a/one"), "linked");
	ck_assert_int_eq(link(in("a/one"), in("a/d/two")), 0);
	ck_assert_int_eq(link(in("a/one"), in("outside")), 0);
	ck_assert_int_eq(symlink("s", in("a/l1")), 0);
	ck_assert_int_eq(linkat(AT_FDCWD, in("a/l1"), AT_FDCWD, in("a/l2"), 0), 0);
	copy("a", "b");
	struct stat one = stat_of(in("b/one")), two = stat_of(in("b/d/two"));
	ck_assert_uint_eq(one.st_ino, two.st_ino);
	/* Only its own two names, none in a directory of the work. */
	ck_assert_uint_eq(one.st_nlink, 2);
	ck_assert_uint_ne(one.st_ino, stat_of(in("a/one")).st_ino);
	ck_assert_uint_eq(stat_of(in("b/l1")).st_ino, stat_of(in("b/l2")).st_ino);
	ck_assert_str_eq(read_text(in("b/d/two")), "linked");
}
END_TEST

START_TEST(keeps_holes)
{
	int fd;

	make_dir("a");
	fd = open(in("a/sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	ck_assert_int_eq(pwrite(fd, "middle", 6, 64 << 20), 6);
	ck_assert_int_eq(ftruncate(fd, 256 << 20), 0);
	fsync(fd);
	close(fd);
	copy("a", "b");
	struct stat st = stat_of(in("b/sparse"));
	ck_assert_int_eq(st.st_size, 256 << 20);
	ck_assert_int_lt(st.st_blocks * 512, 1 << 20);
	shell("cmp '%s' '%s'", in("a/sparse"), in("b/sparse"));
}
END_TEST

static const char *const odd_names[] = { "new\nline", "\x01\x7f", "\xff\xfe no utf8", "-r", "--root", "a b", "*",
					 "'\"\\",     "..." };

START_TEST(copies_odd_names)
{
	char longest[256];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	make_dir("a");
	for (size_t i = 0; i < COUNT(odd_names); i++)
		write_text(text("%s/a/%s", dir, odd_names[i]), odd_names[i]);
	ck_assert_int_eq(mkdir(text("%s/a/%s", dir, longest), 0700), 0);
	write_text(text("%s/a/%s/%s", dir, longest, longest), "deep");
	copy("a", "b");
	for (size_t i = 0; i < COUNT(odd_names); i++)
		ck_assert_str_eq(read_text(text("%s/b/%s", dir, odd_names[i])), odd_names[i]);
	ck_assert_str_eq(read_text(text("%s/b/%s/%s", dir, longest, longest)), "deep");
}
END_TEST

START_TEST(errors_bear_odd_names)
{
	if (skip_unless_root("errors_bear_odd_names"))
		return;
	make_dir("a");
	ck_assert_int_eq(mkdir(in("a/\xff\n\""), 0700), 0);
	ck_assert_int_eq(mount("none", in("a/\xff\n\""), "tmpfs", 0, NULL), 0);
	_cleanup_report_ struct report r = tree("copy", in("a"), in("b"), NULL);
	umount2(in("a/\xff\n\""), MNT_DETACH);
	ck_assert_int_eq(r.code, 1);
	ck_assert_int_eq(r.e.err, EXDEV);
}
END_TEST

START_TEST(leaves_access_times_alone)
{
	make_dir("a");
	write_text(in("a/f"), "x");
	make_old("a/f");
	make_old("a");
	copy("a", "b");
	ck_assert_int_eq(stat_of(in("a/f")).st_atim.tv_sec, 1000000000);
	ck_assert_int_eq(stat_of(in("a")).st_atim.tv_sec, 1000000000);
}
END_TEST

START_TEST(many_files_and_progress)
{
	_cleanup_report_ struct report r = { 0 };

	make_dir("a");
	for (int i = 0; i < 300; i++)
		write_text(text("%s/a/%d", dir, i), text("%d", i));
	shell("dd if=/dev/zero of='%s' bs=1M count=64 status=none", in("a/large"));
	r = tree("copy", in("a"), in("b"), NULL);
	ck_assert_msg(r.result != NULL, "%s", r.e.message);
	ck_assert_int_eq(jsonx_int(r.result, "files"), 301);
	ck_assert_int_ge(jsonx_int(r.result, "bytes"), 64 << 20);
	ck_assert_uint_ge(r.n_progress, 1);
	ck_assert_double_le((double)r.n_progress, r.seconds * 5 + 1);
	for (int i = 0; i < 300; i++)
		ck_assert_str_eq(read_text(text("%s/b/%d", dir, i)), text("%d", i));
	shell("cmp '%s' '%s'", in("a/large"), in("b/large"));
}
END_TEST

/* ---- depth ---- */

enum { DEPTH = 10000 };

static void make_deep(const char *name)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i <= DEPTH; i++) {
		int below;

		ck_assert_int_eq(mkdirat(fd, i ? "d" : name, 0755), 0);
		below = openat(fd, i ? "d" : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(below, 0);
		close(fd);
		fd = below;
	}
	int file = openat(fd, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(file, "here", 4), 4);
	close(file);
}

static bool has_bottom(const char *name)
{
	_cleanup_close_ int fd = open(in(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < DEPTH; i++) {
		int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (below < 0)
			return false;
		close(fd);
		fd = below;
	}
	return faccessat(fd, "bottom", R_OK, 0) == 0;
}

START_TEST(trees_of_any_depth)
{
	struct rlimit few = { 320, 320 };

	/* Neither descriptors nor stack grow with the depth. */
	make_deep("a");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	_cleanup_report_ struct report m = tree("measure", in("a"), NULL, NULL);
	ck_assert_int_eq(jsonx_int(m.result, "files"), 1);
	copy("a", "b");
	ck_assert(has_bottom("b"));
	_cleanup_report_ struct report r = tree("remove", in("a"), NULL, NULL);
	ck_assert_msg(r.result != NULL, "%s", r.e.message);
	ck_assert(!exists(in("a")));
	ck_assert(exists(in("b")));
}
END_TEST

/* ---- bounds ---- */

START_TEST(follows_no_link)
{
	make_dir("a");
	make_dir("outside");
	write_text(in("outside/secret"), "secret");
	ck_assert_int_eq(symlink("../outside", in("a/out")), 0);
	ck_assert_int_eq(symlink("../outside/secret", in("a/file")), 0);
	copy("a", "b");
	ck_assert(S_ISLNK(stat_of(in("b/out")).st_mode));
	ck_assert(S_ISLNK(stat_of(in("b/file")).st_mode));
	ck_assert_int_lt(measured("a"), 64 << 10);
	_cleanup_report_ struct report r = tree("remove", in("a"), NULL, NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert(!exists(in("a")));
	ck_assert_str_eq(read_text(in("outside/secret")), "secret");
}
END_TEST

static struct report confined(const char *command, const char *source, const char *to)
{
	const char *argv[] = { text("%s/sharesd-tree", dir), command, "--root", in("root"), "--", source, to, NULL };
	static const char *const env[] = { NULL };
	struct process_spec spec = { .argv = argv, .env = env, .max_output = 1 << 20, .timeout = 60 };
	struct process_result p;
	struct report ret = { 0 };

	ck_assert_int_eq(process_run(&spec, &p, NULL), 0);
	ret.code = p.exit_code;
	read_lines(p.output, &ret.result, &ret.e);
	process_result_clear(&p);
	return ret;
}

static const char *const ways_out[] = { "../outside", "link", "through/sub", "d/../../outside", "/etc" };

START_TEST(a_root_confines)
{
	make_dir("root");
	make_dir("root/d");
	make_dir("outside");
	make_dir("outside/sub");
	ck_assert_int_eq(symlink("../outside", in("root/link")), 0);
	ck_assert_int_eq(symlink("../outside", in("root/through")), 0);
	_cleanup_report_ struct report r = confined("copy", ways_out[_i], "copied");
	ck_assert_int_eq(r.code, 1);
	ck_assert(!exists(in("root/copied")));
	_cleanup_report_ struct report r2 = confined("remove", ways_out[_i], NULL);
	ck_assert(exists(in("outside/sub")));
	ck_assert_int_eq(r2.code, 1);
	_cleanup_report_ struct report r3 = confined("measure", ways_out[_i], NULL);
	ck_assert_int_eq(r3.code, 1);
	_cleanup_report_ struct report r4 = confined("copy", "d", text("%s/new", ways_out[_i]));
	ck_assert_int_eq(r4.code, 1);
	ck_assert(!exists(in("outside/new")));
	_cleanup_report_ struct report good = confined("copy", "d", "copied");
	ck_assert_msg(good.code == 0, "%s", good.e.message);
}
END_TEST

START_TEST(crosses_no_mount)
{
	if (skip_unless_root("crosses_no_mount"))
		return;
	make_dir("a");
	make_dir("a/mounted");
	ck_assert_int_eq(mount("none", in("a/mounted"), "tmpfs", 0, "size=4m"), 0);
	write_text(in("a/mounted/file"), "of another file system");
	shell("dd if=/dev/zero of='%s' bs=1M count=2 status=none", in("a/mounted/large"));
	_cleanup_report_ struct report c = tree("copy", in("a"), in("b"), NULL);
	_cleanup_report_ struct report m = tree("measure", in("a"), NULL, NULL);
	_cleanup_report_ struct report r = tree("remove", in("a"), NULL, NULL);
	bool kept = exists(in("a/mounted/file"));
	umount2(in("a/mounted"), MNT_DETACH);
	ck_assert_int_eq(c.code, 1);
	ck_assert_ptr_nonnull(strstr(c.e.message, "mounted"));
	ck_assert(!exists(in("b")));
	ck_assert_int_lt(jsonx_int(m.result, "used_bytes"), 1 << 20);
	ck_assert_int_eq(r.code, 1);
	ck_assert_ptr_nonnull(strstr(r.e.message, "mounted"));
	ck_assert(kept);
}
END_TEST

START_TEST(wants_the_right_inode)
{
	make_dir("a");
	unsigned long ino = stat_of(in("a")).st_ino;
	_cleanup_report_ struct report good = tree("measure", "--inode", text("%lu", ino), in("a"));
	ck_assert_int_eq(good.code, 0);
	_cleanup_report_ struct report bad = tree("measure", "--inode", text("%lu", ino + 1), in("a"));
	ck_assert_int_eq(bad.code, 1);
	ck_assert_int_eq(bad.e.err, ESTALE);
}
END_TEST

/* ---- failures ---- */

START_TEST(never_overwrites)
{
	make_dir("a");
	write_text(in("a/f"), "new");
	make_dir("b");
	write_text(in("b/f"), "old");
	_cleanup_report_ struct report r = tree("copy", in("a"), in("b"), NULL);
	ck_assert_int_eq(r.e.err, EEXIST);
	ck_assert_str_eq(read_text(in("b/f")), "old");
}
END_TEST

START_TEST(a_full_disk_leaves_nothing)
{
	if (skip_unless_root("a_full_disk_leaves_nothing"))
		return;
	make_dir("small");
	ck_assert_int_eq(mount("none", in("small"), "tmpfs", 0, "size=1m"), 0);
	make_dir("a");
	for (int i = 0; i < 20; i++)
		shell("dd if=/dev/zero of='%s/a/%d' bs=100k count=1 status=none", dir, i);
	ck_assert_int_eq(link(in("a/0"), in("a/linked")), 0);
	_cleanup_report_ struct report r = tree("copy", in("a"), in("small/b"), NULL);
	size_t left = count_entries(in("small"));
	umount2(in("small"), MNT_DETACH);
	ck_assert_int_eq(r.e.err, ENOSPC);
	ck_assert_ptr_nonnull(strstr(r.e.message, "cannot copy "));
	ck_assert_uint_eq(left, 0);
}
END_TEST

static int copy_as_nobody(const void *arg)
{
	const char *argv[] = { in("sharesd-tree"), "copy", in("a"), in("to/b"), NULL };
	FILE *out = freopen(in("to/output"), "w", stdout);

	(void)arg;
	if (!out)
		return 98;
	execv(argv[0], (char *const *)argv);
	return 97;
}

START_TEST(owners_need_root)
{
	if (skip_unless_root("owners_need_root"))
		return;
	make_dir("a");
	make_dir("to");
	write_text(in("a/theirs"), "x");
	ck_assert_int_eq(chown(in("to"), NOBODY, NOBODY), 0);
	ck_assert_int_eq(chown(in("a"), NOBODY, NOBODY), 0);
	ck_assert_int_eq(as_user(NOBODY, copy_as_nobody, NULL), 1);
	ck_assert_ptr_nonnull(strstr(read_text(in("to/output")), "cannot keep the owner of theirs: run as root"));
	ck_assert(!exists(in("to/b")));
	/* Its own it can. */
	ck_assert_int_eq(chown(in("a/theirs"), NOBODY, NOBODY), 0);
	ck_assert_int_eq(chmod(in("a/theirs"), 0400), 0);
	ck_assert_int_eq(setxattr(in("a/theirs"), "user.x", "1", 1, 0), 0);
	ck_assert_int_eq(as_user(NOBODY, copy_as_nobody, NULL), 0);
	same_inode_data(in("a/theirs"), in("to/b/theirs"));
	same_xattr(in("a/theirs"), in("to/b/theirs"), "user.x");
}
END_TEST

START_TEST(usage_errors)
{
	static const char *const env[] = { NULL };
	const char *argv[] = { in("sharesd-tree"), "copy", in("a"), NULL };
	struct process_spec spec = { .argv = argv, .env = env, .max_output = 1 << 20, .timeout = 60 };
	struct process_result p;

	ck_assert_int_eq(process_run(&spec, &p, NULL), 0);
	ck_assert_int_eq(p.exit_code, 2);
	ck_assert_ptr_nonnull(strstr(p.errors, "usage"));
	process_result_clear(&p);
}
END_TEST

/* ---- measuring and removing ---- */

START_TEST(measures_links_once)
{
	make_dir("a");
	int64_t empty = measured("a");
	shell("dd if=/dev/zero of='%s' bs=64k count=1 status=none && sync '%s'", in("a/f"), in("a/f"));
	int64_t one = measured("a");
	ck_assert_int_ge(one - empty, 64 << 10);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(link(in("a/f"), text("%s/a/l%d", dir, i)), 0);
	ck_assert_int_eq(measured("a"), one);
	_cleanup_report_ struct report r = tree("measure", in("a"), NULL, NULL);
	ck_assert_int_eq(jsonx_int(r.result, "files"), 11);
}
END_TEST

static int remove_as_nobody(const void *arg)
{
	const char *argv[] = { in("sharesd-tree"), "remove", in("own/a"), NULL };

	(void)arg;
	if (!freopen("/dev/null", "w", stdout))
		return 98;
	execv(argv[0], (char *const *)argv);
	return 97;
}

START_TEST(removes_closed_directories)
{
	uid_t user = geteuid() == 0 ? NOBODY : geteuid();

	make_dir("own");
	make_dir("own/a");
	make_dir("own/a/x");
	make_dir("own/a/x/y");
	write_text(in("own/a/x/f"), "");
	write_text(in("own/a/x/y/f"), "");
	if (geteuid() == 0)
		shell("chown -R %u '%s'", user, in("own"));
	ck_assert_int_eq(chmod(in("own/a/x/y"), 0), 0);
	ck_assert_int_eq(chmod(in("own/a/x"), 0500), 0);
	ck_assert_int_eq(chmod(in("own/a"), 0), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(as_user(user, remove_as_nobody, NULL), 0);
	else
		shell("'%s' remove '%s' > /dev/null", in("sharesd-tree"), in("own/a"));
	ck_assert(!exists(in("own/a")));
}
END_TEST

START_TEST(empties)
{
	make_dir("a");
	make_dir("a/d");
	write_text(in("a/d/f"), "");
	write_text(in("a/f"), "");
	_cleanup_report_ struct report r = tree("empty", in("a"), NULL, NULL);
	ck_assert_msg(r.result != NULL, "%s", r.e.message);
	ck_assert_uint_eq(count_entries(in("a")), 0);
	_cleanup_report_ struct report again = tree("empty", in("a"), NULL, NULL);
	ck_assert_int_eq(again.code, 0);
	_cleanup_report_ struct report gone = tree("remove", in("never there"), NULL, NULL);
	ck_assert_int_eq(gone.code, 0);
}
END_TEST

/* ---- somebody is at it meanwhile ---- */

/* Swaps a directory in the tree with a link to the secrets, moves files about, makes and removes some, until killed. */
static void meddle(void)
{
	for (unsigned i = 0;; i++) {
		(void)renameat2(AT_FDCWD, in("a/swap"), AT_FDCWD, in("a/link"), RENAME_EXCHANGE);
		(void)renameat2(AT_FDCWD, in("a/f1"), AT_FDCWD, in("a/filelink"), RENAME_EXCHANGE);
		(void)rename(in("a/moving"), in("a/d/moving"));
		(void)rename(in("a/d/moving"), in("a/moving"));
		int fd = open(in("a/coming"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
		(void)unlink(in("a/coming"));
		(void)mkdir(in("a/d/coming"), 0755);
		(void)rmdir(in("a/d/coming"));
	}
}

static void make_prey(void)
{
	make_dir("secrets");
	write_text(in("secrets/secret"), "secret");
	make_dir("a");
	make_dir("a/swap");
	write_text(in("a/swap/harmless"), "x");
	ck_assert_int_eq(symlink("../secrets", in("a/link")), 0);
	write_text(in("a/f1"), "x");
	ck_assert_int_eq(symlink("../secrets/secret", in("a/filelink")), 0);
	make_dir("a/d");
	make_dir("a/moving");
	write_text(in("a/moving/f"), "x");
	for (int i = 0; i < 30; i++)
		write_text(text("%s/a/d/%d", dir, i), "x");
}

START_TEST(bears_meddling)
{
	pid_t pid;

	make_prey();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		meddle();
	for (int i = 0; i < 30; i++) {
		_cleanup_report_ struct report c = tree("copy", in("a"), in("b"), NULL);

		ck_assert_msg(c.code == 0, "%s", c.e.message);
		/* Whatever came over, it is not from outside. */
		shell("! grep -rqs secret '%s'", in("b"));
		_cleanup_report_ struct report r = tree("remove", in("b"), NULL, NULL);
		ck_assert_msg(r.code == 0, "%s", r.e.message);
		ck_assert_int_gt(measured("a"), 0);
	}
	/* Whether that can come to an end depends on who is faster; it may not lead out either way. */
	_cleanup_report_ struct report r = tree("empty", in("a"), NULL, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert(r.code == 0 || r.e.message);
	ck_assert_str_eq(read_text(in("secrets/secret")), "secret");
}
END_TEST

START_TEST(two_purges_at_once)
{
	make_dir("a");
	for (int i = 0; i < 20; i++)
		shell("mkdir -p '%s/%d/x/y/z' && touch '%s/%d/x/y/z/f' '%s/%d/x/f'", in("a"), i, in("a"), i, in("a"),
		      i);
	shell("for i in 1 2 3 4; do '%s' empty '%s' > '%s/out'$i & done; wait; cat '%s'/out? > '%s/all'",
	      in("sharesd-tree"), in("a"), dir, dir, dir);
	ck_assert_str_eq(read_text(in("all")), "{\"result\":{}}\n{\"result\":{}}\n{\"result\":{}}\n{\"result\":{}}\n");
	ck_assert_uint_eq(count_entries(in("a")), 0);
}
END_TEST

/* ---- file systems ---- */

START_TEST(shares_blocks_where_it_can)
{
	if (skip_unless_root("shares_blocks_where_it_can"))
		return;
	if (shell_status("command -v mkfs.btrfs > /dev/null") != 0) {
		printf("SKIP shares_blocks_where_it_can: needs mkfs.btrfs\n");
		return;
	}
	make_dir("m");
	shell("truncate -s 256M '%s' && mkfs.btrfs -q '%s' > /dev/null && mount -o loop '%s' '%s'", in("img"),
	      in("img"), in("img"), in("m"));
	make_dir("m/a");
	shell("dd if=/dev/urandom of='%s' bs=1M count=50 status=none && btrfs -q subvolume create '%s'",
	      in("m/a/large"), in("m/a/subvolume"));
	write_text(in("m/a/subvolume/f"), "in a subvolume");
	_cleanup_report_ struct report c = tree("copy", in("m/a"), in("m/b"), NULL);
	bool same = shell_status(text("cmp '%s' '%s'", in("m/a/large"), in("m/b/large"))) == 0 &&
		    shell_status(text("cmp '%s' '%s'", in("m/a/subvolume/f"), in("m/b/subvolume/f"))) == 0;
	_cleanup_report_ struct report r = tree("remove", in("m/a"), NULL, NULL);
	shell("umount -l '%s'", in("m"));
	ck_assert_msg(c.code == 0, "%s", c.e.message);
	ck_assert(jsonx_bool(c.result, "reflink"));
	ck_assert(same);
	ck_assert_msg(r.code == 0, "%s", r.e.message);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_tree");
	TCase *t = tcase_create("tree");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, copies_files_with_all_that_is_theirs);
	tcase_add_test(t, copies_what_only_root_may);
	tcase_add_test(t, copies_sockets);
	tcase_add_test(t, keeps_hard_links);
	tcase_add_test(t, keeps_holes);
	tcase_add_test(t, copies_odd_names);
	tcase_add_test(t, errors_bear_odd_names);
	tcase_add_test(t, leaves_access_times_alone);
	tcase_add_test(t, many_files_and_progress);
	tcase_add_test(t, trees_of_any_depth);
	tcase_add_test(t, follows_no_link);
	tcase_add_loop_test(t, a_root_confines, 0, COUNT(ways_out));
	tcase_add_test(t, crosses_no_mount);
	tcase_add_test(t, wants_the_right_inode);
	tcase_add_test(t, never_overwrites);
	tcase_add_test(t, a_full_disk_leaves_nothing);
	tcase_add_test(t, owners_need_root);
	tcase_add_test(t, usage_errors);
	tcase_add_test(t, measures_links_once);
	tcase_add_test(t, removes_closed_directories);
	tcase_add_test(t, empties);
	tcase_add_test(t, bears_meddling);
	tcase_add_test(t, two_purges_at_once);
	tcase_add_test(t, shares_blocks_where_it_can);
	suite_add_tcase(s, t);
	return run_suite(s);
}
