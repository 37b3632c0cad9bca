/* sharesd-transfer: trees carried whole, by difference, cut off, to a full disk; nothing left, nothing outside. */
#include "drivers/btrfs/btrfs_changed.h"
#include "drivers/transfer_confine.h"
#include "tests/unit/test_driver_btrfs.h"

#include <btrfsutil.h>
#include <linux/landlock.h>
#include <sys/syscall.h>

/* ---- running the program ---- */

struct report {
	json_t *result; /* or NULL */
	struct error e;
	size_t n_progress;
	bool without_percent;
};

static void report_clear(struct report *r)
{
	json_decref(r->result);
	error_clear(&r->e);
}
#define _cleanup_report_ __attribute__((__cleanup__(report_clear)))

static const char *in(const char *name)
{
	return text("%s/%s", dir, name);
}

static pid_t begin(const char *path, const char *const argv[9])
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int out = open(in("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (out < 0 || dup2(out, 1) < 0 || setenv("PATH", path, 1) < 0)
			_exit(99);
		execv(argv[0], (char *const *)argv);
		_exit(98);
	}
	return pid;
}

static int finish(pid_t pid, struct report *ret)
{
	_cleanup_free_ char *output = NULL;
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	output = xstrdup(read_text(in("out")));
	*ret = (struct report){ .without_percent = strstr(output, "\"percent\":null") };
	for (const char *s = output; (s = strstr(s, "\"bytes\"")); s++)
		ret->n_progress++;
	ck_assert_ptr_null(strstr(output, "\"percent\":100"));
	read_lines(output, &ret->result, &ret->e);
	return status;
}

static struct report run_in(const char *path, const char *const argv[9])
{
	struct report ret;
	int status = finish(begin(path, argv), &ret);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (ret.result ? 0 : 1), "status %x", status);
	ck_assert(ret.result || ret.e.message);
	return ret;
}

#define PATHS "/usr/sbin:/usr/bin:/sbin:/bin"
#define TRANSFER(...)                                                                                                  \
	(const char *const[9])                                                                                         \
	{                                                                                                              \
		in("sharesd-transfer"), __VA_ARGS__                                                                    \
	}

static struct report btrfs(const char *source, const char *parent, const char *to, const char *total)
{
	return run_in(PATHS, TRANSFER("btrfs", in(source), *parent == '-' ? parent : in(parent), in(to), total));
}

static struct report rsync(const char *source, const char *to, const char *total)
{
	return run_in(PATHS, TRANSFER("rsync", in(source), in(to), total));
}

static int64_t sent(const struct report *r)
{
	ck_assert_msg(r->result != NULL, "%s", r->e.message);
	return jsonx_int(r->result, "sent_bytes");
}

static void fails_with(struct report r, int err, const char *message)
{
	ck_assert_ptr_null(r.result);
	ck_assert_msg(r.e.err == err, "%d: %s", r.e.err, r.e.message);
	ck_assert_msg(strstr(r.e.message, message) != NULL, "%s", r.e.message);
	report_clear(&r);
}

/* ---- processes ---- */

/* All below `pid`, as a list that ends with 0. */
static void find_below(pid_t pid, pid_t list[16])
{
	size_t n = 0;

	for (pid_t at = pid; at; at = n > 0 && list[n - 1] != at ? list[n - 1] : 0) {
		char *next = (char *)read_text(text("/proc/%d/task/%d/children", at, at)), *end;

		for (pid_t one; (one = (pid_t)strtol(next, &end, 10)) > 0 && n < 15; next = end)
			list[n++] = one;
	}
	list[n] = 0;
}

static bool runs(pid_t pid)
{
	const char *path = text("/proc/%d/stat", pid);
	char *state = exists(path) ? strrchr(read_text(path), ')') : NULL;

	return state && state[2] != 'Z' && state[2] != 'X';
}

static void wait_until_gone(const pid_t *list)
{
	for (; *list; list++)
		for (int i = 0; runs(*list); i++) {
			ck_assert_msg(i < 3000, "process %d is left", *list);
			usleep(10000);
		}
}

static void wait_for_file(const char *path)
{
	for (int i = 0; !exists(path); i++) {
		ck_assert_msg(i < 6000, "no %s", path);
		usleep(10000);
	}
}

/* ---- btrfs ---- */

static void btrfs_tree(void)
{
	shell("cd '%s/root' && mkdir to && btrfs -q subvolume create v >/dev/null && head -c 3000000 /dev/urandom "
	      ">v/big "
	      "&& btrfs -q subvolume snapshot -r v s1 >/dev/null && echo new >v/small && rm -f v/none && "
	      "btrfs -q subvolume snapshot -r v s2 >/dev/null",
	      dir);
}

START_TEST(sends_whole_and_by_difference)
{
	_cleanup_report_ struct report all = { 0 }, difference = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	all = btrfs("root/s1", "-", "root/to", "3000000");
	ck_assert_int_gt(sent(&all), 3000000);
	ck_assert_uint_ge(all.n_progress, 1);
	ck_assert(!all.without_percent);
	difference = btrfs("root/s2", "root/s1", "root/to", "0");
	ck_assert_int_gt(sent(&difference), 0);
	ck_assert_int_lt(sent(&difference), 100000);
	ck_assert_uint_ge(difference.n_progress, 1);
	ck_assert(!difference.without_percent);
	ck_assert_uint_eq(count_entries(in("root/to")), 2);
	shell("cd '%s/root' && cmp s1/big to/s1/big && cmp s2/big to/s2/big && test ! -e to/s1/small", dir);
	ck_assert_str_eq(read_text(in("root/to/s2/small")), "new\n");
}
END_TEST

static uint64_t changed(const char *path, const char *base)
{
	_cleanup_free_ char *now = xasprintf("%s/root/%s", dir, path), *then = xasprintf("%s/root/%s", dir, base);

	return btrfs_changed_bytes(now, then);
}

/* What was written since, on either side; not what lies there, was made a hole, or only has another name. */
START_TEST(knows_how_much_is_new)
{
	_cleanup_report_ struct report difference = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	shell("cd '%s/root' && dd if=/dev/urandom of=v/big bs=100k seek=3 count=5 conv=notrunc 2>/dev/null && "
	      "fallocate -p -o 2M -l 512k v/big && mv v/small v/other && "
	      "btrfs -q subvolume snapshot -r v s3 >/dev/null",
	      dir);
	ck_assert_uint_eq(changed("s2", "s2"), 0);
	ck_assert_uint_eq(changed("s2", "s1"), 4);
	ck_assert_uint_ge(changed("s3", "s2"), 500 << 10);
	ck_assert_uint_le(changed("s3", "s2"), 520 << 10);
	ck_assert_uint_eq(changed("s3", "s1"), changed("s3", "s2") + 4);
	{
		_cleanup_report_ struct report all = btrfs("root/s1", "-", "root/to", "0");

		ck_assert_ptr_nonnull(all.result);
	}
	difference = btrfs("root/s3", "root/s1", "root/to", "0");
	/* The hole goes over as zeros. */
	ck_assert_int_gt(sent(&difference), 500 << 10);
	ck_assert_int_lt(sent(&difference), 1100 << 10);
	ck_assert_uint_ge(changed("to/s3", "to/s1"), 500 << 10);
	ck_assert_uint_le(changed("to/s3", "to/s1"), 1100 << 10);
	ck_assert_uint_eq(changed("s3", "none"), 0);
	ck_assert_uint_eq(changed("none", "s1"), 0);
}
END_TEST

START_TEST(leaves_what_is_there_already)
{
	_cleanup_report_ struct report r = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	shell("mkdir '%s/root/to/s1'", dir);
	r = btrfs("root/s1", "-", "root/to", "0");
	ck_assert_ptr_null(r.result);
	ck_assert_int_eq(r.e.err, EEXIST);
	ck_assert(exists(in("root/to/s1")));
}
END_TEST

START_TEST(says_what_cannot_be_sent)
{
	_cleanup_report_ struct report r = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	r = btrfs("root/v", "-", "root/to", "0");
	ck_assert_ptr_null(r.result);
	ck_assert_msg(strstr(r.e.message, "btrfs send: ") && strstr(r.e.message, "not read-only"), "%s", r.e.message);
	ck_assert_uint_eq(count_entries(in("root/to")), 0);
}
END_TEST

/* A `btrfs` whose send gives all but the last bytes, and then does something else. 10 are its last command. */
static void short_send(int without, const char *then)
{
	shell("mkdir -p '%s/bin'", dir);
	write_text(in("bin/btrfs"),
		   text("#!/bin/sh\nPATH=" PATHS "\n[ $1 = send ] || exec btrfs \"$@\"\nbtrfs \"$@\" >'%s/stream'\n"
			"head -c -%d '%s/stream'\n%s\n",
			dir, without, dir, then));
	ck_assert_int_eq(chmod(in("bin/btrfs"), 0755), 0);
}

static bool is_received(const char *path)
{
	struct btrfs_util_subvolume_info info;

	ck_assert_int_eq(btrfs_util_subvolume_info(path, 0, &info), BTRFS_UTIL_OK);
	for (size_t i = 0; i < sizeof info.received_uuid; i++)
		if (info.received_uuid[i])
			return true;
	return false;
}

/* A stream that breaks off between two commands looks whole to who receives it. */
START_TEST(takes_no_part_for_the_whole)
{
	_cleanup_report_ struct report r = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	short_send(10, "echo lost it >&2; exit 3");
	r = run_in(in("bin"), TRANSFER("btrfs", in("root/s1"), "-", in("root/to"), "0"));
	ck_assert_ptr_null(r.result);
	ck_assert_str_eq(r.e.message, "btrfs send: lost it");
	ck_assert_uint_eq(count_entries(in("root/to")), 0);
}
END_TEST

START_TEST(leaves_nothing_when_it_is_ended)
{
	static const struct {
		int sig, without;
	} all[] = { { SIGTERM, 1000000 }, { SIGKILL, 1000000 }, { SIGKILL, 10 } };
	_cleanup_report_ struct report r = { 0 }, again = { 0 };
	pid_t pid, below[16];

	if (!mounted)
		return;
	btrfs_tree();
	short_send(all[_i].without, text(": >'%s/stalled'; exec sleep 600", dir));
	pid = begin(in("bin"), TRANSFER("btrfs", in("root/s1"), "-", in("root/to"), "3000000"));
	wait_for_file(in("stalled"));
	wait_for_file(in("root/to/s1/big"));
	find_below(pid, below);
	ck_assert(below[0] && below[1] && !below[2]);
	ck_assert_int_eq(kill(pid, all[_i].sig), 0);
	finish(pid, &r);
	wait_until_gone(below);
	ck_assert_ptr_null(r.result);
	if (all[_i].sig == SIGTERM) {
		ck_assert_int_eq(r.e.err, ECANCELED);
		ck_assert_uint_eq(count_entries(in("root/to")), 0);
	} else {
		ck_assert(!is_received(in("root/to/s1")));
		shell("btrfs -q subvolume delete '%s/root/to/s1' >/dev/null", dir);
	}
	again = btrfs("root/s1", "-", "root/to", "0");
	ck_assert_int_gt(sent(&again), 3000000);
	shell("cd '%s/root' && cmp s1/big to/s1/big", dir);
}
END_TEST

START_TEST(says_that_the_target_is_full)
{
	_cleanup_report_ struct report r = { 0 };

	if (!mounted)
		return;
	btrfs_tree();
	shell("cd '%s' && mkdir small && truncate -s 110M small.img && mkfs.btrfs -q small.img >/dev/null 2>&1 && "
	      "mount -o loop small.img small && btrfs -q subvolume create root/w >/dev/null && "
	      "head -c 150M /dev/zero >root/w/zeros && btrfs -q subvolume snapshot -r root/w root/w1 >/dev/null",
	      dir);
	r = btrfs("root/w1", "-", "small", "150000000");
	ck_assert_ptr_null(r.result);
	ck_assert_int_eq(r.e.err, ENOSPC);
	ck_assert_msg(strstr(r.e.message, "btrfs receive: ") && strstr(r.e.message, "No space left"), "%s",
		      r.e.message);
	ck_assert_uint_eq(count_entries(in("small")), 0);
	shell("umount '%s/small'", dir);
}
END_TEST

/* ---- rsync ---- */

static void tree_make(void)
{
	shell("cd '%s' && mkdir -p src/sub/deep && echo one >src/one && ln src/one src/sub/two && "
	      "ln -s '%s/secret' src/link && ln -s '%s' src/up && echo s >secret && truncate -s 10M src/sparse && "
	      "mkfifo src/fifo && setfacl -m u:4242:r src/one && setfacl -d -m u:4242:rx src/sub && "
	      "head -c 2000000 /dev/urandom >src/sub/deep/big && touch -d @1000000000 src/sub/deep && chmod 0750 src",
	      dir, dir, dir);
	shell("setfattr -n user.colour -v red '%s/src/sub/deep/big' 2>/dev/null || true", dir);
}

/* What stat, getfacl, getfattr and the data say of it. */
static char *tree_text(const char *name)
{
	shell("cd '%s' && (find . -printf '%%p %%y %%m %%U %%G %%n %%T@ %%l %%s\\n' | grep -v '^[^ ]* d' ; "
	      "find . -type d -printf '%%p %%m %%U %%G %%T@\\n'; getfacl -Rn .; getfattr -Rd .; "
	      "find . -type f -exec sha256sum {} +) | sort >'%s/text'",
	      in(name), dir);
	return xstrdup(read_text(in("text")));
}

static void same_trees(const char *from, const char *to)
{
	_cleanup_free_ char *x = tree_text(from);
	_cleanup_free_ char *y = tree_text(to);

	ck_assert_str_eq(x, y);
}

static ino_t inode_of(const char *name)
{
	return stat_of(in(name)).st_ino;
}

START_TEST(copies_a_tree_with_all_that_is_its)
{
	_cleanup_report_ struct report r = { 0 };

	tree_make();
	r = rsync("src", "to", "2000000");
	ck_assert_int_gt(sent(&r), 2000000);
	ck_assert_uint_ge(r.n_progress, 1);
	ck_assert(!r.without_percent);
	same_trees("src", "to");
	ck_assert_int_lt(stat_of(in("to/sparse")).st_blocks, 1000);
	ck_assert_int_eq(inode_of("to/one"), inode_of("to/sub/two"));
	ck_assert(S_ISLNK(stat_of(in("to/up")).st_mode));
}
END_TEST

/* Same size, same second: only the nanoseconds tell. */
static void change_unseen(const char *name)
{
	struct stat st = stat_of(in(name));
	int fd = open(in(name), O_WRONLY);

	ck_assert_int_eq(pwrite(fd, "ONE", 3, 0), 3);
	st.st_mtim.tv_nsec = st.st_mtim.tv_nsec > 500000000 ? 1 : 900000000;
	ck_assert_int_eq(futimens(fd, (struct timespec[2]){ st.st_atim, st.st_mtim }), 0);
	close(fd);
}

START_TEST(copies_what_differs)
{
	_cleanup_report_ struct report first = { 0 }, second = { 0 };
	ino_t big;

	tree_make();
	first = rsync("src", "to", "0");
	ck_assert_int_gt(sent(&first), 2000000);
	ck_assert(first.without_percent);
	big = inode_of("to/sub/deep/big");
	change_unseen("src/one");
	shell("cd '%s/src' && rm fifo && mkdir more && echo x >more/x", dir);
	second = rsync("src", "to", "0");
	ck_assert_int_lt(sent(&second), 100000);
	same_trees("src", "to");
	ck_assert_int_eq(inode_of("to/sub/deep/big"), big);
	ck_assert(!exists(in("to/fifo")));
}
END_TEST

START_TEST(links_what_is_the_same)
{
	_cleanup_report_ struct report first = { 0 }, second = { 0 };

	tree_make();
	first = rsync("src", "old", "0");
	ck_assert_int_gt(sent(&first), 2000000);
	change_unseen("src/one");
	shell("rm '%s/src/fifo'", dir);
	second = run_in(PATHS, TRANSFER("rsync", text("--base=%s/old", dir), in("src"), in("new"), "0"));
	ck_assert_int_lt(sent(&second), 100000);
	ck_assert_int_eq(inode_of("old/sub/deep/big"), inode_of("new/sub/deep/big"));
	ck_assert_int_ne(inode_of("old/one"), inode_of("new/one"));
	ck_assert_str_eq(read_text(in("old/one")), "one\n");
	ck_assert_str_eq(read_text(in("new/sub/two")), "ONE\n");
	ck_assert(exists(in("old/fifo")));
	shell("rm -r '%s/old'", dir);
	same_trees("src", "new");
}
END_TEST

START_TEST(makes_nothing_where_nothing_differs)
{
	_cleanup_report_ struct report first = { 0 }, same = { 0 };
	const char *base, *inode;

	tree_make();
	first = rsync("src", "old", "0");
	ck_assert_int_gt(sent(&first), 2000000);
	ck_assert(!jsonx_bool(first.result, "same"));
	base = text("--base=%s/old", dir);
	inode = text("--inode=%ju", (uintmax_t)inode_of("src"));
	same = run_in(PATHS, TRANSFER("rsync", base, inode, in("src"), in("new"), "0"));
	ck_assert_int_eq(sent(&same), 0);
	ck_assert(jsonx_bool(same.result, "same"));
	ck_assert(!exists(in("new")));
	shell("mv '%s/src' '%s/moved' && mkdir '%s/src'", dir, dir, dir);
	fails_with(run_in(PATHS, TRANSFER("rsync", base, inode, in("src"), in("new"), "0")), ESTALE, in("src"));
	ck_assert(!exists(in("new")));
}
END_TEST

/* An `rsync` that finds that a file has become shorter while it read it: always, or where the target is empty yet. It
 * may write in the target alone, and be where programs are. */
static void short_reads(const char *when)
{
	write_text(in("rsync"),
		   text("#!/bin/bash\nto=${!#}\n%s && exec /usr/bin/rsync-ssl \"$@\"\n"
			"/usr/bin/rsync-ssl --exclude=/sub \"$@\"\n"
			"echo 'rsync: [sender] read errors mapping \"/x\": No data available (61)' >&2\nexit 23\n",
			when));
	ck_assert_int_eq(chmod(in("rsync"), 0755), 0);
}

START_TEST(looks_again_at_what_shrinks)
{
	_cleanup_report_ struct report r = { 0 };

	if (!mounted)
		return;
	tree_make();
	short_reads("[ -e $to/one ]");
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	shell("mount --make-rprivate / && mount --bind /usr/bin/rsync /usr/bin/rsync-ssl && "
	      "mount --bind '%s/rsync' /usr/bin/rsync",
	      dir);
	r = rsync("src", "to", "0");
	ck_assert_int_gt(sent(&r), 2000000);
	same_trees("src", "to");
	short_reads("false");
	fails_with(rsync("src", "to", "0"), EIO, "read errors mapping");
}
END_TEST

/* Holes take no room, but long to read. */
START_TEST(ends_rsync_with_itself)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	_cleanup_report_ struct report r = { 0 }, again = { 0 };
	pid_t pid, below[16];

	tree_make();
	shell("truncate -s 4T '%s/src/huge'", dir);
	pid = begin(PATHS, TRANSFER("rsync", in("src"), in("to"), "2000000"));
	for (int i = 0; !exists(in("out")) || !strstr(read_text(in("out")), "bytes"); i++) {
		ck_assert_msg(i < 6000, "no progress");
		usleep(10000);
	}
	find_below(pid, below);
	ck_assert(below[0] != 0);
	ck_assert_int_eq(kill(pid, signals[_i]), 0);
	finish(pid, &r);
	wait_until_gone(below);
	ck_assert_ptr_null(r.result);
	if (signals[_i] == SIGTERM)
		ck_assert_int_eq(r.e.err, ECANCELED);
	shell("rm '%s/src/huge'", dir);
	again = rsync("src", "to", "0");
	ck_assert_int_gt(sent(&again), 0);
	same_trees("src", "to");
}
END_TEST

START_TEST(says_that_a_tree_does_not_fit)
{
	_cleanup_report_ struct report r = { 0 };

	if (skip_unless_root("says_that_a_tree_does_not_fit"))
		return;
	ck_assert(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	tree_make();
	shell("mkdir '%s/to' && mount -t tmpfs -o size=1M none '%s/to'", dir, dir);
	r = rsync("src", "to", "0");
	ck_assert_ptr_null(r.result);
	ck_assert_int_eq(r.e.err, ENOSPC);
	ck_assert_msg(strstr(r.e.message, "rsync: ") && strstr(r.e.message, "No space left"), "%s", r.e.message);
	shell("umount '%s/to'", dir);
}
END_TEST

START_TEST(names_what_is_missing)
{
	shell("mkdir '%s/src' '%s/to'", dir, dir);
	fails_with(run_in(in("src"), TRANSFER("rsync", in("src"), in("to"), "0")), ENOENT,
		   "the program rsync is not there: install the package rsync");
	fails_with(run_in(in("src"), TRANSFER("btrfs", in("src"), "-", in("to"), "0")), ENOENT,
		   "the program btrfs is not there: install the package btrfs-progs");
	fails_with(rsync("nowhere", "to", "0"), ENOENT, in("nowhere"));
}
END_TEST

/* ---- what the program can reach ---- */

static int try_open(const char *name, int flags)
{
	int fd = open(in(name), flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int look_around(const void *data)
{
	const char *link = in("to/l");

	if (transfer_confine(data) < 0)
		return 1;
	if (try_open("src/one", O_RDONLY) != 0 || try_open("src/one", O_WRONLY) != EACCES ||
	    try_open("src/new", O_WRONLY | O_CREAT) != EACCES)
		return 2;
	/* A way out of it, as a link that was put there at the wrong moment. */
	if (try_open("src/up/secret", O_RDONLY) != EACCES || try_open("src/link", O_RDONLY) != EACCES ||
	    try_open("src/up/new", O_WRONLY | O_CREAT) != EACCES)
		return 3;
	if (try_open("to/new", O_WRONLY | O_CREAT) != 0 || try_open("secret", O_RDONLY) != EACCES)
		return 4;
	return syscall(SYS_linkat, AT_FDCWD, in("old/one"), AT_FDCWD, link, 0) == 0 ? 0 : 5;
}

START_TEST(reaches_the_two_trees_only)
{
	const char *source = in("src"), *target = in("to"), *base = in("old");
	const struct transfer_tree trees[] = {
		{ -1, source, false }, { -1, target, true }, { -1, base, true }, { -1, NULL, false }
	};
	pid_t pid;
	int status;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2) {
		const char *ci = getenv("CI");

		printf("SKIP reaches_the_two_trees_only: needs a kernel with Landlock\n");
		ck_assert_msg(!ci || !*ci, "CI must not skip it");
		return;
	}
	tree_make();
	shell("cd '%s' && mkdir to old && echo 1 >old/one && chmod -R a+rwX .", dir);
	pid = fork();
	if (pid == 0)
		_exit(look_around(trees));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "status %x", status);
	ck_assert(exists(in("to/l")) && !exists(in("new")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sharesd-transfer");
	TCase *volumes = tcase_create("btrfs"), *trees = tcase_create("rsync");

	mem_setup();
	tcase_add_checked_fixture(volumes, setup_btrfs, teardown_btrfs);
	tcase_add_checked_fixture(trees, setup, teardown);
	tcase_set_timeout(volumes, 120);
	tcase_set_timeout(trees, 120);
	tcase_add_test(volumes, sends_whole_and_by_difference);
	tcase_add_test(volumes, knows_how_much_is_new);
	tcase_add_test(volumes, leaves_what_is_there_already);
	tcase_add_test(volumes, says_what_cannot_be_sent);
	tcase_add_test(volumes, takes_no_part_for_the_whole);
	tcase_add_loop_test(volumes, leaves_nothing_when_it_is_ended, 0, 3);
	tcase_add_test(volumes, says_that_the_target_is_full);
	tcase_add_test(trees, copies_a_tree_with_all_that_is_its);
	tcase_add_test(trees, copies_what_differs);
	tcase_add_test(trees, links_what_is_the_same);
	tcase_add_test(trees, makes_nothing_where_nothing_differs);
	tcase_add_test(trees, looks_again_at_what_shrinks);
	tcase_add_loop_test(trees, ends_rsync_with_itself, 0, 2);
	tcase_add_test(trees, says_that_a_tree_does_not_fit);
	tcase_add_test(trees, names_what_is_missing);
	tcase_add_test(trees, reaches_the_two_trees_only);
	suite_add_tcase(s, volumes);
	suite_add_tcase(s, trees);
	return run_suite(s);
}
