/* drivers/btrfs: what a subvolume in the place of a directory changes, on a real btrfs. What lies in drivers/local is
 * tested with `dir`. */
#include "tests/unit/test_driver_btrfs.h"

#define TEST(name)                                                                                                     \
	START_TEST(name)                                                                                               \
	{                                                                                                              \
		if (mounted)                                                                                           \
			name##_();                                                                                     \
	}                                                                                                              \
	END_TEST

static struct driver_share small_share(const char *id, const char *name, uint64_t size)
{
	struct driver_share s = share_named(id, name);

	s.size_bytes = size;
	DO(&b, create_share, .id = CALL_1, .share = &s);
	s.provider_location = name;
	return s;
}

static bool is_volume(const char *path)
{
	return stat_of(in_root(path)).st_ino == 256;
}

static uint64_t used_by(const struct driver_share *s)
{
	struct outcome o = WELL(&b, get_share_usage, .id = CALL_3, .share = s);
	uint64_t used = (uint64_t)jsonx_int(o.values, "used_bytes");

	ck_assert_uint_eq(o.works, 0);
	outcome_clear(&o);
	return used;
}

/* ---- making ---- */

static void shares_are_held_to_their_size_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 16 * MIB);
	struct stat st = stat_of(in_root("one/data"));
	size_t n;

	ck_assert(is_volume("one/data"));
	ck_assert(!is_volume("one"));
	ck_assert_uint_eq(st.st_mode & 07777, 0750);
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, 0700);
	n = fill(in_root("one/data/big"), 64 * MIB);
	ck_assert_uint_gt(n, 15 * MIB);
	ck_assert_uint_le(n, 16 * MIB);
	ck_assert_uint_gt(used_by(&s), 15 * MIB);
	ck_assert_uint_le(used_by(&s), 16 * MIB);
	nothing_is_left();
	/* Again, as after a crash: it is there. */
	DO(&b, create_share, .id = CALL_1, .share = &s);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);
}
TEST(shares_are_held_to_their_size)

static void snapshots_and_clones_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 16 * MIB), two = share_named(SHARE_2, "two");
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct outcome o;

	write_text(in_root("one/data/f"), "old");
	fill(in_root("one/data/big"), 8 * MIB);
	o = WELL(&b, create_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	ck_assert_str_eq(jsonx_str(o.values, "provider_location"), ".sharesd/snapshots/" SNAP_1);
	ck_assert_ptr_null(json_object_get(o.values, "metadata"));
	ck_assert_uint_eq(o.works, 0);
	outcome_clear(&o);
	ck_assert(is_volume(".sharesd/snapshots/" SNAP_1 "/data"));
	write_text(in_root("one/data/f"), "new");
	ck_assert_str_eq(read_text(in_root(".sharesd/snapshots/" SNAP_1 "/data/f")), "old");
	ck_assert_int_eq(open(in_root(".sharesd/snapshots/" SNAP_1 "/data/g"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600),
			 -1);
	ck_assert_int_eq(errno, EROFS);
	ck_assert_str_eq(status_of(NULL, &snap), "available " CALL_2);

	/* The clone has its own size, larger than that of its source. */
	two.size_bytes = 32 * MIB;
	two.mode = 0711;
	o = WELL(&b, create_share_from_snapshot, .id = CALL_3, .share = &two, .snapshot = &snap);
	ck_assert_uint_eq(o.works, 0);
	outcome_clear(&o);
	ck_assert_str_eq(read_text(in_root("two/data/f")), "old");
	ck_assert_uint_eq(stat_of(in_root("two/data")).st_mode & 07777, 0711);
	ck_assert_uint_gt(fill(in_root("two/data/more"), 64 * MIB), 22 * MIB);
	ck_assert_uint_le(used_by(&two), 32 * MIB);
	/* Nothing of it is the source's or the snapshot's. */
	ck_assert(!exists(in_root("one/data/more")));

	DO(&b, delete_snapshot, .id = CALL_3, .snapshot = &snap);
	DO(&b, delete_snapshot, .id = CALL_3, .snapshot = &snap);
	ck_assert_str_eq(status_of(NULL, &snap), "absent -");
	ck_assert_str_eq(read_text(in_root("two/data/f")), "old");
	nothing_is_left();
}
TEST(snapshots_and_clones)

static void reverts_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 16 * MIB);
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct outcome o;
	struct stat before, after;

	snap.size_bytes = 16 * MIB;
	write_text(in_root("one/data/f"), "old");
	DO(&b, create_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	DO(&b, extend_share, .id = CALL_2, .share = &s, .new_size_bytes = 64 * MIB);
	write_text(in_root("one/data/f"), "new");
	before = stat_of(in_root("one/data"));
	for (int i = 0; i < 2; i++) { /* the second time: as after a crash */
		o = WELL(&b, revert_to_snapshot, .id = CALL_3, .share = &s, .snapshot = &snap);
		ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), 16 * MIB);
		ck_assert_uint_eq(o.works, 0);
		outcome_clear(&o);
		ck_assert_str_eq(read_text(in_root("one/data/f")), "old");
		if (i == 0)
			write_text(in_root("one/data/mine"), "mine");
	}
	ck_assert_str_eq(read_text(in_root("one/data/mine")), "mine");
	after = stat_of(in_root("one/data"));
	ck_assert(before.st_dev != after.st_dev);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_3);
	/* Its size is the snapshot's again, and it can be written. */
	ck_assert_uint_le(fill(in_root("one/data/big"), 64 * MIB), 16 * MIB);
	/* The snapshot is what it was. */
	ck_assert_str_eq(read_text(in_root(".sharesd/snapshots/" SNAP_1 "/data/f")), "old");
	nothing_is_left();
}
TEST(reverts)

/* ---- sizes ---- */

static void resizing_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 8 * MIB);
	struct outcome o;

	ck_assert_uint_lt(fill(in_root("one/data/big"), 20 * MIB), 8 * MIB);
	DO(&b, extend_share, .id = CALL_2, .share = &s, .new_size_bytes = 32 * MIB);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_2);
	ck_assert_uint_ge(fill(in_root("one/data/big"), 20 * MIB), 20 * MIB);

	/* What is only written counts too, and nothing is changed. */
	o = RUN(&b, shrink_share, .id = CALL_3, .share = &s, .new_size_bytes = 16 * MIB);
	ck_assert_int_eq(o.e.kind, ERR_DATA_LOSS);
	ck_assert_msg(strstr(o.e.message, "16MiB") && strstr(o.e.message, "MiB ("), "%s", o.e.message);
	outcome_clear(&o);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_2);

	ck_assert_int_eq(unlink(in_root("one/data/big")), 0);
	DO(&b, shrink_share, .id = CALL_3, .share = &s, .new_size_bytes = 16 * MIB);
	ck_assert_uint_lt(fill(in_root("one/data/big"), 64 * MIB), 16 * MIB);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_3);
}
TEST(resizing)

/* A restart finds limits that are not those of the store. */
static void ensuring_sets_limits_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 8 * MIB);
	struct outcome o;

	shell("btrfs qgroup limit none '%s'", in_root("one/data"));
	o = WELL(&b, ensure_shares, .id = CALL_2, .shares = &s, .n_shares = 1);
	outcome_clear(&o);
	ck_assert_uint_lt(fill(in_root("one/data/big"), 20 * MIB), 8 * MIB);
}
TEST(ensuring_sets_limits)

static void figures_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 32 * MIB);
	struct outcome o;
	json_t *data;

	fill(in_root("one/data/big"), 8 * MIB);
	shell("btrfs subvolume create '%s' >/dev/null", in_root("one/data/mine"));
	fill(in_root("one/data/mine/more"), 4 * MIB);
	btrfs_sync();
	ck_assert_uint_ge(used_by(&s), 12 * MIB);
	ck_assert_uint_lt(used_by(&s), 13 * MIB);
	o = WELL(&b, get_periodic_hook_data, .id = CALL_2, .shares = &s, .n_shares = 1);
	data = json_object_get(json_object_get(o.values, "shares"), SHARE_1);
	ck_assert_int_ge(jsonx_int(data, "used_bytes"), 8 * MIB);
	ck_assert_int_lt(jsonx_int(data, "used_bytes"), 9 * MIB);
	ck_assert_int_ge(jsonx_int(data, "exclusive_bytes"), 8 * MIB);
	ck_assert_int_eq(jsonx_int(data, "limit_bytes"), 32 * MIB);
	ck_assert_int_eq(jsonx_int(data, "nested_subvolumes"), 1);
	outcome_clear(&o);
	o = WELL(&b, get_share_stats, .id = CALL_2);
	ck_assert(jsonx_bool(o.values, "size_enforced") && jsonx_bool(o.values, "snapshot_consistent") &&
		  jsonx_bool(o.values, "reflink"));
	ck_assert_int_eq(jsonx_int(o.values, "total_bytes"), 512 * MIB);
	ck_assert_int_lt(jsonx_int(o.values, "free_bytes"), 512 * MIB);
	outcome_clear(&o);
}
TEST(figures)

/* ---- what is held, and what users put inside ---- */

static void what_is_mounted_stays_(void)
{
	struct driver_share s = small_share(SHARE_1, "o ne", 32 * MIB);
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct outcome o;

	write_text(in_root("o ne/data/f"), "old");
	DO(&b, create_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	snap.provider_location = ".sharesd/snapshots/" SNAP_1;
	ck_assert_int_eq(mkdir(in_root("o ne/data/sub"), 0755), 0);
	ck_assert_int_eq(mkdir(text("%s/m n", dir), 0755), 0);

	shell("mount --bind '%s' '%s/m n'", in_root("o ne/data/sub"), dir);
	o = RUN(&b, delete_share, .id = CALL_2, .share = &s);
	ck_assert_int_eq(o.e.kind, ERR_INVALID_STATE);
	ck_assert_msg(strstr(o.e.message, "m n") && strstr(o.e.message, "unmount"), "%s", o.e.message);
	outcome_clear(&o);
	FAILS(&b, ERR_INVALID_STATE, revert_to_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	shell("umount '%s/m n'", dir);

	shell("mount -t tmpfs none '%s'", in_root("o ne/data/sub"));
	FAILS(&b, ERR_INVALID_STATE, delete_share, .id = CALL_2, .share = &s);
	shell("umount '%s'", in_root("o ne/data/sub"));

	shell("mount --bind '%s' '%s/m n'", in_root(".sharesd/snapshots/" SNAP_1 "/data"), dir);
	FAILS(&b, ERR_INVALID_STATE, delete_snapshot, .id = CALL_2, .snapshot = &snap);
	ck_assert_str_eq(read_text(text("%s/m n/f", dir)), "old");
	/* Another subvolume is held by nobody. */
	DO(&b, revert_to_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	DO(&b, delete_share, .id = CALL_2, .share = &s);
	shell("umount '%s/m n'", dir);
	DO(&b, delete_snapshot, .id = CALL_2, .snapshot = &snap);
	nothing_is_left();
	ck_assert(!exists(in_root("o ne")));
}
TEST(what_is_mounted_stays)

static void subvolumes_of_users_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", 32 * MIB);
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	struct outcome o;

	shell("cd '%s' && mkdir d && for v in a d/b d/b/c; do btrfs subvolume create $v >/dev/null && echo x >$v/f; "
	      "done && "
	      "btrfs subvolume snapshot -r a d/ro >/dev/null",
	      in_root("one/data"));
	o = WELL(&b, create_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	ck_assert_ptr_nonnull(strstr(jsonx_str(json_object_get(o.values, "metadata"), "left_out"), "d/b/c"));
	outcome_clear(&o);
	/* Again: the same answer. */
	o = WELL(&b, create_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(o.values, "metadata"), "left_out"));
	outcome_clear(&o);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/snapshots/" SNAP_1 "/data/a")), 0);

	o = RUN(&b, revert_to_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	ck_assert_int_eq(o.e.kind, ERR_INVALID_STATE);
	ck_assert_msg(strstr(o.e.message, "d/b"), "%s", o.e.message);
	outcome_clear(&o);
	ck_assert(exists(in_root("one/data/d/b/c/f")));
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);

	DO(&b, delete_share, .id = CALL_2, .share = &s);
	nothing_is_left();
	DO(&b, delete_snapshot, .id = CALL_2, .snapshot = &snap);
	btrfs_sync();
	shell("test -z \"$(btrfs subvolume list '%s')\"", in_root(""));
}
TEST(subvolumes_of_users)

/* ---- adopting ---- */

static void adopting_(void)
{
	struct driver_share s = share_at(SHARE_1, "home", "homes/ann");
	struct driver_share copy = share_at(SHARE_2, "copy", "two");
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, "old/ann");
	struct outcome o;

	s.size_bytes = 1; /* nobody said */
	s.share_proto = "NFS";
	shell("cd '%s' && mkdir homes old plain && btrfs subvolume create homes/ann >/dev/null && chmod 0705 homes/ann",
	      in_root(""));
	fill(in_root("homes/ann/big"), 8 * MIB);
	write_text(in_root("homes/ann/f"), "old");
	shell("btrfs subvolume snapshot -r '%s' '%s' >/dev/null", in_root("homes/ann"), in_root("old/ann"));
	write_text(in_root("homes/ann/f"), "new");

	copy.provider_location = "plain";
	o = RUN(&b, manage_existing, .id = CALL_2, .share = &copy);
	ck_assert_int_eq(o.e.kind, ERR_INVALID_PARAMS);
	ck_assert_msg(strstr(o.e.message, "btrfs subvolume create"), "%s", o.e.message);
	outcome_clear(&o);
	copy.provider_location = "old/ann";
	FAILS(&b, ERR_INVALID_PARAMS, manage_existing, .id = CALL_2, .share = &copy);
	copy.provider_location = "homes/ann";
	copy.size_bytes = 4 * MIB;
	FAILS(&b, ERR_DATA_LOSS, manage_existing, .id = CALL_2, .share = &copy);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), 0);

	for (int dry = 1; dry >= 0; dry--) {
		o = WELL(&b, manage_existing, .id = CALL_2, .share = &s, .dry_run = dry);
		ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), GIB);
		outcome_clear(&o);
		ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), !dry);
	}
	ck_assert_uint_eq(stat_of(in_root("homes/ann")).st_mode & 07777, 0705);
	snap.provider_location = "homes/ann";
	FAILS(&b, ERR_ALREADY_EXISTS, manage_existing_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	snap.provider_location = "old/ann";
	DO(&b, manage_existing_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	DO(&b, shrink_share, .id = CALL_3, .share = &s, .new_size_bytes = 16 * MIB);

	/* In its place there is another subvolume then, which is the share all the same. */
	snap.size_bytes = 16 * MIB;
	DO(&b, revert_to_snapshot, .id = CALL_1, .share = &s, .snapshot = &snap);
	ck_assert_str_eq(read_text(in_root("homes/ann/f")), "old");
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);
	ck_assert_uint_lt(fill(in_root("homes/ann/more"), 64 * MIB), 9 * MIB);

	copy.provider_location = NULL;
	DO(&b, create_share_from_snapshot, .id = CALL_2, .share = &copy, .snapshot = &snap);
	ck_assert_str_eq(read_text(in_root("copy/data/f")), "old");

	/* A read-only subvolume cannot be moved, and goes all the same. */
	DO(&b, delete_snapshot, .id = CALL_2, .snapshot = &snap);
	ck_assert(!exists(in_root("old/ann")));
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_str_eq(read_text(in_root("homes/ann/f")), "old");
	DO(&b, manage_existing, .id = CALL_2, .share = &s);
	DO(&b, delete_share, .id = CALL_2, .share = &s);
	ck_assert(!exists(in_root("homes/ann")));
	nothing_is_left();
}
TEST(adopting)

/* The limit that the admin gave it is its size. */
static void adopting_with_a_limit_(void)
{
	struct driver_share s = share_at(SHARE_1, "home", "home");
	struct outcome o;

	s.size_bytes = 1;
	shell("cd '%s' && btrfs subvolume create home >/dev/null && btrfs qgroup limit 24M home", in_root(""));
	o = WELL(&b, manage_existing, .id = CALL_2, .share = &s);
	ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), 24 * MIB);
	outcome_clear(&o);
	/* Given back and taken again from its gate, which holds a subvolume. */
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	s = small_share(SHARE_2, "two", 8 * MIB);
	write_text(in_root("two/data/f"), "mine");
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	s.id = SHARE_1;
	s.size_bytes = 1;
	o = WELL(&b, manage_existing, .id = CALL_3, .share = &s);
	ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), 8 * MIB);
	outcome_clear(&o);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_3);
}
TEST(adopting_with_a_limit)

/* Its gate is in it, and there is no room for a rule; but taking access away must not depend on that. */
static void a_full_share_as_its_own_gate_(void)
{
	struct driver_share s = share_at(SHARE_1, "home", "home");

	s.size_bytes = 8 * MIB;
	shell("btrfs subvolume create '%s' >/dev/null && chmod 0755 '%s'", in_root("home"), in_root("home"));
	DO(&b, manage_existing, .id = CALL_2, .share = &s);
	let_in(&s, (const char *[]){ "nobody" }, 1);
	ck_assert_uint_lt(fill(in_root("home/big"), 16 * MIB), 8 * MIB);
	shell("i=0; while [ $i -lt 2000 ] && echo x >'%s'/$i; do i=$((i+1)); done 2>/dev/null || true",
	      in_root("home"));
	btrfs_sync();
	let_in(&s, (const char *[]){ "daemon" }, 1);
	ck_assert_int_eq(as_user(NOBODY, try_enter, in_root("home")), EACCES);
	ck_assert_uint_lt(fill(in_root("home/big"), 16 * MIB), 1 * MIB);
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0755);
}
TEST(a_full_share_as_its_own_gate)

/* ---- what a file system must be ---- */

static void wrong(const char *options, const char *reason)
{
	struct backend other = backend_new("btrfs", "d", BACKEND_1, text("root = \"%s/root\"\n%s", dir, options));
	struct outcome o = RUN(&other, do_setup, .id = CALL_1, .root_is_empty = true);

	if (o.r == 0) {
		outcome_clear(&o);
		o = RUN(&other, check_for_setup_error, .id = CALL_1);
	}
	ck_assert_int_eq(o.e.kind, ERR_BACKEND_DOWN);
	ck_assert_msg(strstr(o.e.message, reason), "%s", o.e.message);
	outcome_clear(&o);
	backend_free(&other);
}

START_TEST(not_btrfs)
{
	ck_assert_int_eq(mkdir(in_root(""), 0755), 0);
	wrong("", "is not on btrfs");
	ck_assert_uint_eq(count_entries(in_root("")), 0);
}
END_TEST

START_TEST(quota_is_off)
{
	struct driver_share s = share_named(SHARE_1, "one");
	struct outcome o;

	mounted = btrfs_can();
	if (!mounted)
		return;
	btrfs_new("256M", false);
	wrong("", "quota is off");
	/* Without: no size is enforced, and it says so. */
	btrfs_begin("quota = \"off\"");
	o = WELL(&b, get_share_stats, .id = CALL_2);
	ck_assert(!jsonx_bool(o.values, "size_enforced") && jsonx_bool(o.values, "snapshot_consistent"));
	outcome_clear(&o);
	s.size_bytes = 4 * MIB;
	DO(&b, create_share, .id = CALL_1, .share = &s);
	s.provider_location = "one";
	ck_assert_uint_ge(fill(in_root("one/data/big"), 8 * MIB), 8 * MIB);
	btrfs_sync();
	o = WELL(&b, get_share_usage, .id = CALL_3, .share = &s);
	ck_assert_uint_eq(o.works, 1);
	ck_assert_int_ge(jsonx_int(o.values, "used_bytes"), 8 * MIB);
	outcome_clear(&o);
	FAILS(&b, ERR_DATA_LOSS, shrink_share, .id = CALL_2, .share = &s, .new_size_bytes = 4 * MIB);
	DO(&b, delete_share, .id = CALL_3, .share = &s);
	backend_free(&b);

	/* A subvolume that goes while quota counts spoils the figures, and sizes are not enforced until the next count.
	 */
	shell("until [ -z \"$(btrfs subvolume list -d '%s')\" ]; do btrfs filesystem sync '%s'; done", in_root(""),
	      in_root(""));
	btrfs_begin("quota = \"enable\"");
	o = WELL(&b, get_share_stats, .id = CALL_2);
	ck_assert(jsonx_bool(o.values, "size_enforced"));
	outcome_clear(&o);
	s.provider_location = NULL;
	DO(&b, create_share, .id = CALL_1, .share = &s);
	ck_assert_uint_lt(fill(in_root("one/data/big"), 8 * MIB), 4 * MIB);
	/* Somebody switches it off under us. */
	s.provider_location = "one";
	shell("btrfs quota disable '%s'", in_root(""));
	FAILS(&b, ERR_BACKEND_DOWN, extend_share, .id = CALL_2, .share = &s, .new_size_bytes = 8 * MIB);
	FAILS(&b, ERR_BACKEND_DOWN, get_share_usage, .id = CALL_2, .share = &s);
	backend_free(&b);
	shell("umount '%s'", in_root(""));
	mounted = false;
}
END_TEST

static int check_as_somebody(const void *unused)
{
	(void)unused;
	wrong("", "CAP_SYS_ADMIN");
	return 0;
}

static void not_privileged_(void)
{
	backend_free(&b);
	shell("rm -rf '%s' && chown 4242 '%s' '%s'", in_root(".sharesd"), in_root(""), dir);
	shell("rm '%s/d.conf'", dir);
	ck_assert_int_eq(as_user(4242, check_as_somebody, NULL), 0);
}
TEST(not_privileged)

/* ---- no space ---- */

static void a_full_pool_(void)
{
	struct driver_share s = small_share(SHARE_1, "one", GIB), two = share_named(SHARE_2, "two");
	struct driver_snapshot snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	int made = 0;
	struct outcome o;

	shell("dd if=/dev/zero of='%s' bs=1M >/dev/null 2>&1 || true", in_root("one/data/big"));
	shell("dd if=/dev/zero of='%s' bs=4k >/dev/null 2>&1 || true; sync -f '%s'", in_root("one/data/rest"),
	      in_root(""));
	/* Metadata may have room: what cannot be made is refused and leaves nothing, and what is asked can be removed.
	 */
	o = RUN(&b, create_share, .id = CALL_2, .share = &two);
	made = o.r == 0;
	ck_assert_msg(made || o.e.kind == ERR_NO_SPACE, "%s", o.e.message);
	outcome_clear(&o);
	ck_assert_int_eq(exists(in_root("two")), made);
	o = RUN(&b, create_snapshot, .id = CALL_2, .share = &s, .snapshot = &snap);
	ck_assert_msg(o.r == 0 || o.e.kind == ERR_NO_SPACE, "%s", o.e.message);
	outcome_clear(&o);
	two.provider_location = made ? "two" : NULL;
	DO(&b, delete_snapshot, .id = CALL_2, .snapshot = &snap);
	DO(&b, delete_share, .id = CALL_2, .share = &two);
	DO(&b, delete_share, .id = CALL_2, .share = &s);
	nothing_is_left();
}
TEST(a_full_pool)

int main(void)
{
	Suite *s = suite_create("driver_btrfs");
	TCase *t = tcase_create("btrfs"), *plain = tcase_create("setup");

	tcase_add_checked_fixture(t, setup_btrfs, teardown_btrfs);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, shares_are_held_to_their_size);
	tcase_add_test(t, snapshots_and_clones);
	tcase_add_test(t, reverts);
	tcase_add_test(t, resizing);
	tcase_add_test(t, ensuring_sets_limits);
	tcase_add_test(t, figures);
	tcase_add_test(t, what_is_mounted_stays);
	tcase_add_test(t, subvolumes_of_users);
	tcase_add_test(t, adopting);
	tcase_add_test(t, adopting_with_a_limit);
	tcase_add_test(t, a_full_share_as_its_own_gate);
	tcase_add_test(t, not_privileged);
	tcase_add_test(t, a_full_pool);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(plain, setup, teardown);
	tcase_set_timeout(plain, 60);
	tcase_add_test(plain, not_btrfs);
	tcase_add_test(plain, quota_is_off);
	suite_add_tcase(s, plain);
	return run_suite(s);
}
