/* drivers/dir: snapshots, shares made of them, reverts. */
#include "tests/unit/test_driver_dir.h"

#include <sys/mount.h>

static struct driver_share one;
static struct driver_snapshot snap;

/* Share "one" with a file that says "old", and a snapshot of it. */
static void make_snapshot(int kind)
{
	no_user_xattrs = kind;
	make_share(SHARE_1, "one");
	one = share_at(SHARE_1, "one", "one");
	write_text(in_root("one/data/f"), "old");
	snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	DO(&b, create_snapshot, .id = CALL_2, .share = &one, .snapshot = &snap);
	snap.provider_location = ".sharesd/snapshots/" SNAP_1;
}

static const char *in_snapshot(const char *path)
{
	return text("%s/%s", in_root(".sharesd/snapshots/" SNAP_1 "/data"), path);
}

START_TEST(a_snapshot_is_a_copy)
{
	struct outcome o;

	make_snapshot(_i);
	write_text(in_root("one/data/f"), "new");
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	ck_assert_uint_eq(stat_of(in_snapshot(".")).st_mode & 07777, 0750);
	ck_assert_uint_eq(stat_of(in_root(".sharesd/snapshots/" SNAP_1)).st_mode & 07777, 0700);
	ck_assert_str_eq(status_of(NULL, &snap), "available " CALL_2);
	nothing_is_left();
	/* Again: nothing is copied, the answer is the same. */
	o = WELL(&b, create_snapshot, .id = CALL_2, .share = &one, .snapshot = &snap);
	ck_assert_uint_eq(o.works, 0);
	ck_assert_str_eq(jsonx_str(o.values, "provider_location"), snap.provider_location);
	ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), (int64_t)GIB);
	outcome_clear(&o);
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	o = WELL(&b, list_objects, .id = CALL_1);
	ck_assert_uint_eq(json_array_size(json_object_get(o.values, "objects")), 2);
	outcome_clear(&o);
}
END_TEST

START_TEST(snapshots_are_deleted)
{
	make_snapshot(_i);
	for (int i = 0; i < 2; i++) {
		DO(&b, delete_snapshot, .id = CALL_3, .share = &one, .snapshot = &snap);
		ck_assert_str_eq(status_of(NULL, &snap), "absent -");
	}
	nothing_is_left();
	ck_assert_uint_eq(count_entries(in_root(".sharesd/snapshots")), 0);
	ck_assert_str_eq(status_of(&one, NULL), "available " CALL_1);
}
END_TEST

START_TEST(a_snapshot_outlives_its_share)
{
	make_snapshot(_i);
	DO(&b, delete_share, .id = CALL_3, .share = &one);
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
}
END_TEST

START_TEST(a_failed_copy_leaves_nothing)
{
	struct outcome o;

	if (skip_unless_root("a_failed_copy_leaves_nothing"))
		return;
	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	one = share_at(SHARE_1, "one", "one");
	snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	ck_assert_int_eq(mkdir(in_root("one/data/mounted"), 0755), 0);
	write_text(in_root("one/data/f"), "x");
	ck_assert_int_eq(mount("none", in_root("one/data/mounted"), "tmpfs", 0, NULL), 0);
	o = RUN(&b, create_snapshot, .id = CALL_2, .share = &one, .snapshot = &snap);
	umount2(in_root("one/data/mounted"), MNT_DETACH);
	ck_assert_int_eq(o.r, -EXDEV);
	ck_assert_ptr_nonnull(strstr(o.e.message, "mounted"));
	outcome_clear(&o);
	ck_assert_str_eq(status_of(NULL, &snap), "absent -");
	nothing_is_left();
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), (size_t)_i);
}
END_TEST

START_TEST(shares_from_snapshots)
{
	struct driver_share two = share_named(SHARE_2, "two");
	struct outcome o;

	make_snapshot(_i);
	two.mode = 0701;
	if (geteuid() == 0)
		two.uid = 4242;
	for (int i = 0; i < 2; i++) {
		o = WELL(&b, create_share_from_snapshot, .id = CALL_3, .share = &two, .snapshot = &snap);
		ck_assert_uint_eq(o.works, i == 0);
		ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "two");
		outcome_clear(&o);
	}
	ck_assert_str_eq(read_text(in_root("two/data/f")), "old");
	ck_assert_uint_eq(stat_of(in_root("two/data")).st_mode & 07777, 0701);
	ck_assert_uint_eq(stat_of(in_root("two/data")).st_uid, two.uid);
	ck_assert_uint_eq(stat_of(in_root("two")).st_mode & 07777, 0700);
	ck_assert_str_eq(status_of(&two, NULL), "available " CALL_3);
	write_text(in_root("two/data/f"), "changed");
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	nothing_is_left();
}
END_TEST

START_TEST(a_name_that_appears_during_the_copy)
{
	struct driver_share two = share_named(SHARE_2, "two");
	struct driver_call call = { .id = CALL_3, .share = &two, .snapshot = &snap };
	struct driver_result res = { 0 };
	struct outcome o = { 0 };

	make_snapshot(_i);
	ck_assert_int_eq(b.ops->create_share_from_snapshot(b.state, &call, &res, NULL), 0);
	ck_assert_int_eq(mkdir(in_root("two"), 0755), 0);
	work_step(&b, &call, &res, &o);
	ck_assert_int_eq(o.e.kind, ERR_ALREADY_EXISTS);
	outcome_clear(&o);
	ck_assert_uint_eq(count_entries(in_root("two")), 0);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/staging")), 0);
	/* What is in the trash goes with the next setup. */
	DO(&b, do_setup, .id = CALL_1);
	nothing_is_left();
}
END_TEST

START_TEST(reverts)
{
	struct outcome o;
	struct stat gate;

	make_snapshot(_i);
	write_text(in_root("one/data/f"), "new");
	write_text(in_root("one/data/later"), "x");
	ck_assert_int_eq(chmod(in_root("one/data"), 0777), 0);
	let_in(&one, (const char *[]){ "4242" }, 1);
	gate = stat_of(in_root("one"));
	DO(&b, extend_share, .id = CALL_1, .share = &one, .new_size_bytes = 5 * GIB);
	for (int i = 0; i < 2; i++) {
		o = WELL(&b, revert_to_snapshot, .id = CALL_3, .share = &one, .snapshot = &snap);
		ck_assert_uint_eq(o.works, i == 0);
		ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), (int64_t)GIB);
		ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(o.values, "export_locations"), 0), "path"),
				 in_root("one/data"));
		outcome_clear(&o);
	}
	ck_assert_str_eq(read_text(in_root("one/data/f")), "old");
	ck_assert(!exists(in_root("one/data/later")));
	ck_assert_uint_eq(stat_of(in_root("one/data")).st_mode & 07777, 0750);
	ck_assert_str_eq(status_of(&one, NULL), "available " CALL_3);
	ck_assert_uint_eq(stat_of(in_root("one")).st_ino, gate.st_ino);
	shell("getfacl -pn '%s' | grep -q '^user:4242:--x$'", in_root("one"));
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	nothing_is_left();
	/* A later change of the mark holds. */
	DO(&b, extend_share, .id = CALL_2, .share = &one, .new_size_bytes = 5 * GIB);
	ck_assert_str_eq(status_of(&one, NULL), "available " CALL_2);
}
END_TEST

START_TEST(reverts_what_was_adopted)
{
	struct driver_share s = share_at(SHARE_2, "adopted", "home");
	struct driver_snapshot of = snapshot_of(SNAP_2, SHARE_2, NULL);

	no_user_xattrs = _i;
	ck_assert_int_eq(mkdir(in_root("home"), 0755), 0);
	write_text(in_root("home/f"), "old");
	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	DO(&b, create_snapshot, .id = CALL_2, .share = &s, .snapshot = &of);
	write_text(in_root("home/f"), "new");
	let_in(&s, (const char *[]){ "4242" }, 1);
	DO(&b, revert_to_snapshot, .id = CALL_3, .share = &s, .snapshot = &of);
	ck_assert_str_eq(read_text(in_root("home/f")), "old");
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_3);
	shell("getfacl -pn '%s' | grep -q '^user:4242:r-x$'", in_root("home"));
	let_in(&s, NULL, 0);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0700);
	DO(&b, unmanage, .id = CALL_1, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0755);
	nothing_is_left();
}
END_TEST

/* The rules of an adopted share lie on its data: they do not come with a share made of its snapshot. */
START_TEST(rules_do_not_come_along)
{
	struct driver_share s = share_at(SHARE_2, "adopted", "home"), made = share_named(SHARE_1, "made");
	struct driver_snapshot of = snapshot_of(SNAP_2, SHARE_2, NULL);

	ck_assert_int_eq(mkdir(in_root("home"), 0755), 0);
	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	let_in(&s, (const char *[]){ "4242" }, 1);
	DO(&b, create_snapshot, .id = CALL_2, .share = &s, .snapshot = &of);
	DO(&b, create_share_from_snapshot, .id = CALL_3, .share = &made, .snapshot = &of);
	ck_assert_uint_eq(stat_of(in_root("made/data")).st_mode & 07777, 0750);
	ck_assert_int_lt(lgetxattr(in_root("made/data"), "system.posix_acl_access", NULL, 0), 0);
	/* An ACL that users set in a share behind a gate is data, and does. */
	shell("setfacl -m u:4242:rx '%s'", in_root("made/data"));
	of.id = SNAP_1;
	made.provider_location = "made";
	DO(&b, create_snapshot, .id = CALL_2, .share = &made, .snapshot = &of);
	s = share_named(SNAP_2, "again");
	DO(&b, create_share_from_snapshot, .id = CALL_3, .share = &s, .snapshot = &of);
	shell("getfacl -pn '%s' | grep -q '^user:4242:r-x'", in_root("again/data"));
}
END_TEST

START_TEST(a_revert_wants_its_snapshot)
{
	make_snapshot(_i);
	ck_assert_int_eq(rename(in_root(".sharesd/snapshots/" SNAP_1), in_root(".sharesd/snapshots/x")), 0);
	FAILS(&b, ERR_NOT_FOUND, revert_to_snapshot, .id = CALL_3, .share = &one, .snapshot = &snap);
	ck_assert_str_eq(read_text(in_root("one/data/f")), "old");
	ck_assert_str_eq(status_of(&one, NULL), "available " CALL_1);
	nothing_is_left();
}
END_TEST

/* ---- snapshots that others made ---- */

START_TEST(manages_snapshots)
{
	struct driver_snapshot s = snapshot_of(SNAP_2, SHARE_1, "backups//monday/");
	struct outcome o;

	make_snapshot(_i);
	shell("mkdir -p '%s' && echo -n monday > '%s'", in_root("backups/monday"), in_root("backups/monday/f"));
	for (int i = 0; i < 2; i++) {
		o = WELL(&b, manage_existing_snapshot, .id = CALL_3, .share = &one, .snapshot = &s);
		ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "backups/monday");
		ck_assert_int_eq(jsonx_int(o.values, "size_bytes"), (int64_t)GIB);
		outcome_clear(&o);
	}
	s.provider_location = "backups/monday";
	ck_assert_uint_eq(stat_of(in_root("backups/monday")).st_mode & 07777, 0755);
	ck_assert_str_eq(status_of(NULL, &s), "available " CALL_3);
	DO(&b, revert_to_snapshot, .id = CALL_2, .share = &one, .snapshot = &s);
	ck_assert_str_eq(read_text(in_root("one/data/f")), "monday");
	DO(&b, unmanage_snapshot, .id = CALL_2, .share = &one, .snapshot = &s);
	DO(&b, unmanage_snapshot, .id = CALL_2, .share = &one, .snapshot = &s);
	ck_assert_str_eq(status_of(NULL, &s), "absent -");
	ck_assert_str_eq(read_text(in_root("backups/monday/f")), "monday");
	DO(&b, manage_existing_snapshot, .id = CALL_3, .share = &one, .snapshot = &s);
	DO(&b, delete_snapshot, .id = CALL_3, .share = &one, .snapshot = &s);
	ck_assert(!exists(in_root("backups/monday")));
	nothing_is_left();
}
END_TEST

START_TEST(gives_back_and_takes_its_own_snapshots)
{
	struct driver_snapshot again = snapshot_of(SNAP_2, SHARE_1, ".sharesd/snapshots/" SNAP_1);

	make_snapshot(_i);
	FAILS(&b, ERR_ALREADY_EXISTS, manage_existing_snapshot, .id = CALL_3, .share = &one, .snapshot = &again);
	DO(&b, unmanage_snapshot, .id = CALL_2, .share = &one, .snapshot = &snap);
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	/* No longer the daemon's: a delete leaves it alone. */
	DO(&b, delete_snapshot, .id = CALL_2, .share = &one, .snapshot = &snap);
	ck_assert_str_eq(read_text(in_snapshot("f")), "old");
	DO(&b, manage_existing_snapshot, .id = CALL_3, .share = &one, .snapshot = &again);
	ck_assert_str_eq(status_of(NULL, &again), "available " CALL_3);
	DO(&b, delete_snapshot, .id = CALL_2, .share = &one, .snapshot = &again);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/snapshots")), 0);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), (size_t)_i);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_dir_snapshot");
	TCase *t = tcase_create("snapshot");

	tcase_add_checked_fixture(t, setup_dir, teardown_dir);
	tcase_set_timeout(t, 60);
	ADD_BOTH(t, a_snapshot_is_a_copy);
	ADD_BOTH(t, snapshots_are_deleted);
	ADD_BOTH(t, a_snapshot_outlives_its_share);
	ADD_BOTH(t, a_failed_copy_leaves_nothing);
	ADD_BOTH(t, shares_from_snapshots);
	ADD_BOTH(t, a_name_that_appears_during_the_copy);
	ADD_BOTH(t, reverts);
	ADD_BOTH(t, reverts_what_was_adopted);
	tcase_add_test(t, rules_do_not_come_along);
	ADD_BOTH(t, a_revert_wants_its_snapshot);
	ADD_BOTH(t, manages_snapshots);
	ADD_BOTH(t, gives_back_and_takes_its_own_snapshots);
	suite_add_tcase(s, t);
	return run_suite(s);
}
