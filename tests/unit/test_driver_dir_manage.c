/* drivers/dir: adopting directories in place, and giving them back. */
#include "tests/unit/test_driver_dir.h"

#include <sys/mount.h>

static void make_home(const char *name)
{
	ck_assert_int_eq(mkdir(in_root(name), 0755), 0);
	write_text(text("%s/f", in_root(name)), "theirs");
}

START_TEST(adopts_in_place)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "home");
	struct stat before, after;
	struct outcome o;

	no_user_xattrs = _i;
	make_home("home");
	ck_assert_int_eq(chmod(in_root("home"), 03757), 0);
	shell("setfacl -m u:4242:rwx -m m::r-x -d -m u:4243:rx '%s' && getfacl -pn '%s' > '%s/before'", in_root("home"),
	      in_root("home"), dir);
	before = stat_of(in_root("home"));
	o = WELL(&b, manage_existing, .id = CALL_1, .share = &s, .dry_run = true);
	ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "home");
	outcome_clear(&o);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode, before.st_mode);
	ck_assert_str_eq(status_of(&s, NULL), "absent -");
	for (int i = 0; i < 2; i++) {
		o = WELL(&b, manage_existing, .id = CALL_1, .share = &s);
		ck_assert_int_ge(jsonx_int(o.values, "size_bytes"), 1);
		ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(o.values, "export_locations"), 0), "path"),
				 in_root("home"));
		outcome_clear(&o);
	}
	after = stat_of(in_root("home"));
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_uint_eq(after.st_mode & 07777, 03700);
	ck_assert_str_eq(status_of(&s, NULL), "available " CALL_1);
	ck_assert_str_eq(read_text(in_root("home/f")), "theirs");
	for (int i = 0; i < 2; i++) {
		DO(&b, unmanage, .id = CALL_2, .share = &s);
		ck_assert_uint_eq(stat_of(in_root("home")).st_mode, before.st_mode);
		shell("getfacl -pn '%s' | cmp - '%s/before'", in_root("home"), dir);
		ck_assert_str_eq(status_of(&s, NULL), "absent -");
	}
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), 0);
	ck_assert_str_eq(read_text(in_root("home/f")), "theirs");
	nothing_is_left();
}
END_TEST

static const struct {
	const char *location;
	enum error_kind kind;
} refused[] = {
	{ "", ERR_INVALID_PARAMS },
	{ ".", ERR_INVALID_PARAMS },
	{ "/", ERR_INVALID_PARAMS },
	{ "./.", ERR_INVALID_PARAMS },
	{ "..", ERR_INVALID_PARAMS },
	{ "../victim", ERR_INVALID_PARAMS },
	{ "home/../../victim", ERR_INVALID_PARAMS },
	{ "home/..", ERR_INVALID_PARAMS },
	{ "/etc", ERR_INVALID_PARAMS },
	{ "none", ERR_NOT_FOUND },
	{ "home/none", ERR_NOT_FOUND },
	{ "home/f", ERR_INVALID_PARAMS },
	{ "home/f/x", ERR_INVALID_PARAMS },
	{ "link", ERR_INVALID_PARAMS },
	{ "link/sub", ERR_INVALID_PARAMS },
	{ "inside", ERR_INVALID_PARAMS },
	{ ".sharesd", ERR_INVALID_PARAMS },
	{ ".sharesd/trash", ERR_INVALID_PARAMS },
	{ "./.sharesd/objects", ERR_INVALID_PARAMS },
	{ "share", ERR_ALREADY_EXISTS },
	{ "share/data", ERR_INVALID_PARAMS },
	{ "share/data/sub", ERR_INVALID_PARAMS },
	{ "tree/adopted", ERR_ALREADY_EXISTS },
	{ "tree//adopted/.", ERR_ALREADY_EXISTS },
	{ "tree", ERR_INVALID_PARAMS },
	{ "tree/adopted/sub", ERR_INVALID_PARAMS },
	{ "backend", ERR_INVALID_PARAMS },
};

START_TEST(locations_that_may_not_be)
{
	struct driver_share other = share_at(SHARE_2, "other", "tree/adopted");
	struct driver_share s = share_at(SHARE_1, "adopted", refused[_i / 2].location);
	struct outcome o;

	no_user_xattrs = _i % 2;
	make_home("home");
	make_share(CALL_3, "share");
	shell("mkdir -p '%s/victim/sub' '%s' '%s' '%s'", dir, in_root("share/data/sub"), in_root("tree/adopted/sub"),
	      in_root("backend/.sharesd"));
	shell("ln -s ../victim '%s' && ln -s home '%s'", in_root("link"), in_root("inside"));
	DO(&b, manage_existing, .id = CALL_1, .share = &other);
	shell("find '%s' -printf '%%p %%m\\n' | sort > '%s/before'", in_root(""), dir);
	o = RUN(&b, manage_existing, .id = CALL_2, .share = &s);
	ck_assert_msg(o.e.kind == refused[_i / 2].kind, "\"%s\": %s: %s", refused[_i / 2].location,
		      error_kind_name(o.e.kind), o.e.message ? o.e.message : "done");
	ck_assert_str_eq(jsonx_str(o.e.data, "param"), "provider_location");
	outcome_clear(&o);
	shell("find '%s' -printf '%%p %%m\\n' | sort | cmp - '%s/before'", in_root(""), dir);
}
END_TEST

START_TEST(canonical_locations)
{
	static const char *const ways[] = { "a/b", "/a/b/", "./a//b/.", "a/b/" };
	struct driver_share s = share_at(SHARE_1, "adopted", NULL);
	struct outcome o;

	shell("mkdir -p '%s'", in_root("a/b"));
	for (size_t i = 0; i < COUNT(ways); i++) {
		s.provider_location = i == 1 ? text("%s/root%s", dir, ways[i]) : ways[i];
		o = WELL(&b, manage_existing, .id = CALL_1, .share = &s, .dry_run = true);
		ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "a/b");
		outcome_clear(&o);
	}
	s.provider_location = in_root("");
	FAILS(&b, ERR_INVALID_PARAMS, manage_existing, .id = CALL_1, .share = &s);
	s.provider_location = text("%s/root", dir);
	FAILS(&b, ERR_INVALID_PARAMS, manage_existing, .id = CALL_1, .share = &s);
	s.provider_location = text("%s/rootless", dir);
	FAILS(&b, ERR_INVALID_PARAMS, manage_existing, .id = CALL_1, .share = &s);
}
END_TEST

START_TEST(other_file_systems)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "mounted");

	if (skip_unless_root("other_file_systems"))
		return;
	ck_assert_int_eq(mkdir(in_root("mounted"), 0755), 0);
	ck_assert_int_eq(mount("none", in_root("mounted"), "tmpfs", 0, NULL), 0);
	struct outcome o = RUN(&b, manage_existing, .id = CALL_1, .share = &s);
	umount2(in_root("mounted"), MNT_DETACH);
	ck_assert_int_eq(o.e.kind, ERR_INVALID_PARAMS);
	outcome_clear(&o);
}
END_TEST

START_TEST(deletes_what_was_adopted)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "a/home");

	ck_assert_int_eq(mkdir(in_root("a"), 0755), 0);
	make_home("a/home");
	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	DO(&b, delete_share, .id = CALL_2, .share = &s);
	ck_assert(!exists(in_root("a/home")));
	ck_assert(exists(in_root("a")));
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), 0);
	nothing_is_left();
}
END_TEST

/* Its owner put something else in its place. */
START_TEST(what_was_adopted_and_replaced)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "a/home");
	struct driver_rules rules = { 0 };

	ck_assert_int_eq(mkdir(in_root("a"), 0755), 0);
	make_home("a/home");
	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	ck_assert_int_eq(rename(in_root("a/home"), in_root("a/away")), 0);
	ck_assert_str_eq(status_of(&s, NULL), "absent -");
	shell("mkdir '%s' && touch '%s'", in_root("a/home"), in_root("a/home/precious"));
	ck_assert_str_eq(status_of(&s, NULL), "error -");
	FAILS(&b, ERR_INVALID_STATE, delete_share, .id = CALL_2, .share = &s);
	FAILS(&b, ERR_INVALID_STATE, update_access, .id = CALL_2, .share = &s, .rules = &rules);
	shell("rm -r '%s' && mkdir -p '%s/victim' && touch '%s/victim/precious' && ln -s '%s/victim' '%s'",
	      in_root("a/home"), dir, dir, dir, in_root("a/home"));
	FAILS(&b, ERR_INVALID_STATE, delete_share, .id = CALL_2, .share = &s);
	ck_assert(exists(text("%s/victim/precious", dir)));
	/* It can be forgotten, and nothing is touched. */
	DO(&b, unmanage, .id = CALL_3, .share = &s);
	ck_assert_uint_eq(stat_of(text("%s/victim", dir)).st_mode & 07777, 0755);
	ck_assert_str_eq(status_of(&s, NULL), "absent -");
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), 0);
}
END_TEST

/* A share that could not be managed is deleted: what it was to be stays. */
START_TEST(deleting_what_was_never_adopted)
{
	static const char *const locations[] = { "home", "../victim", "none", "home/f", "/etc", "link" };

	make_home("home");
	shell("mkdir '%s/victim' && ln -s '%s/victim' '%s'", dir, dir, in_root("link"));
	for (size_t i = 0; i < COUNT(locations); i++) {
		struct driver_share s = share_at(SHARE_1, "x", locations[i]);

		DO(&b, delete_share, .id = CALL_2, .share = &s);
		DO(&b, unmanage, .id = CALL_2, .share = &s);
	}
	ck_assert_str_eq(read_text(in_root("home/f")), "theirs");
	ck_assert(exists(text("%s/victim", dir)));
}
END_TEST

START_TEST(gives_back_and_takes_its_own_shares)
{
	struct driver_share s = share_at(SHARE_1, "one", "one"), again = share_at(SHARE_2, "again", "one");
	struct driver_share inside = again, other = share_named(CALL_3, "one");
	struct outcome o;

	no_user_xattrs = _i;
	make_share(SHARE_1, "one");
	write_text(in_root("one/data/f"), "kept");
	let_in(&s, (const char *[]){ "4242" }, 1);
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, 0700);
	ck_assert_int_lt(lgetxattr(in_root("one"), "system.posix_acl_access", NULL, 0), 0);
	ck_assert_str_eq(status_of(&s, NULL), "absent " CALL_2);
	DO(&b, delete_share, .id = CALL_2, .share = &s);
	ck_assert_str_eq(read_text(in_root("one/data/f")), "kept");
	o = WELL(&b, list_objects, .id = CALL_1);
	ck_assert_uint_eq(json_array_size(json_object_get(o.values, "objects")), 0);
	outcome_clear(&o);
	FAILS(&b, ERR_ALREADY_EXISTS, create_share, .id = CALL_1, .share = &other);

	inside.provider_location = "one/data";
	FAILS(&b, ERR_INVALID_PARAMS, manage_existing, .id = CALL_3, .share = &inside);
	o = WELL(&b, manage_existing, .id = CALL_3, .share = &again);
	ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(o.values, "export_locations"), 0), "path"),
			 in_root("one/data"));
	ck_assert_str_eq(jsonx_str(o.values, "provider_location"), "one");
	outcome_clear(&o);
	ck_assert_str_eq(status_of(&again, NULL), "available " CALL_3);
	ck_assert_str_eq(read_text(in_root("one/data/f")), "kept");
	ck_assert_uint_eq(count_entries(in_root(".sharesd/objects")), (size_t)_i);
	DO(&b, delete_share, .id = CALL_2, .share = &again);
	ck_assert(!exists(in_root("one")));
}
END_TEST

START_TEST(adopted_shares_are_listed)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "a/home");
	struct outcome o;
	json_t *object;

	ck_assert_int_eq(mkdir(in_root("a"), 0755), 0);
	make_home("a/home");
	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	o = WELL(&b, list_objects, .id = CALL_1);
	object = json_array_get(json_object_get(o.values, "objects"), 0);
	ck_assert_str_eq(jsonx_str(object, "id"), SHARE_1);
	ck_assert_str_eq(jsonx_str(object, "provider_location"), "a/home");
	outcome_clear(&o);
	o = WELL(&b, ensure_shares, .id = CALL_1, .shares = &s, .n_shares = 1);
	object = json_object_get(json_object_get(o.values, "shares"), SHARE_1);
	ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(object, "export_locations"), 0), "path"),
			 in_root("a/home"));
	outcome_clear(&o);
	ck_assert_uint_eq(stat_of(in_root("a/home")).st_mode & 07777, 0700);
}
END_TEST

static int manage_others(const void *arg)
{
	struct backend mine = backend_new("dir", "mine", BACKEND_2, text("root = \"%s/own\"", dir));
	struct driver_share s = share_at(SHARE_1, "x", "theirs"), own = share_at(SHARE_2, "y", "own");

	(void)arg;
	DO(&mine, do_setup, .id = CALL_1, .root_is_empty = true);
	FAILS(&mine, ERR_NOT_SUPPORTED, manage_existing, .id = CALL_1, .share = &s);
	DO(&mine, manage_existing, .id = CALL_1, .share = &own);
	DO(&mine, unmanage, .id = CALL_1, .share = &own);
	backend_free(&mine);
	return 0;
}

START_TEST(others_directories_need_root)
{
	if (skip_unless_root("others_directories_need_root"))
		return;
	shell("mkdir -p '%s/own/theirs' '%s/own/own' && chown %d '%s/own' '%s/own/own' && chmod 777 '%s'", dir, dir,
	      NOBODY, dir, dir, dir);
	ck_assert_int_eq(as_user(NOBODY, manage_others, NULL), 0);
	ck_assert_uint_eq(stat_of(text("%s/own/own", dir)).st_mode & 07777, 0755);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_dir_manage");
	TCase *t = tcase_create("manage");

	tcase_add_checked_fixture(t, setup_dir, teardown_dir);
	tcase_set_timeout(t, 60);
	ADD_BOTH(t, adopts_in_place);
	tcase_add_loop_test(t, locations_that_may_not_be, 0, 2 * COUNT(refused));
	tcase_add_test(t, canonical_locations);
	tcase_add_test(t, other_file_systems);
	tcase_add_test(t, deletes_what_was_adopted);
	tcase_add_test(t, what_was_adopted_and_replaced);
	tcase_add_test(t, deleting_what_was_never_adopted);
	ADD_BOTH(t, gives_back_and_takes_its_own_shares);
	tcase_add_test(t, adopted_shares_are_listed);
	tcase_add_test(t, others_directories_need_root);
	suite_add_tcase(s, t);
	return run_suite(s);
}
