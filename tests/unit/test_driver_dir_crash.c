/* drivers/dir: the daemon dies at every single step of every slot that changes something. After each death the next
 * start sets the backend up, finds the state one can name, and brings the call to its end by calling again. */
#include "tests/unit/test_driver_dir.h"

static struct driver_share one, two, home;
static struct driver_snapshot snap;

static void restart(void)
{
	backend_free(&b);
	b = backend_new("dir", "d", BACKEND_1, text("root = \"%s/root\"", dir));
}

static void clear_root(void)
{
	_cleanup_close_ int parent = path_open_root(dir);
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(tree_remove(parent, "root", &e) == 0, "%s", e.message);
	ck_assert_int_eq(mkdir(in_root(""), 0755), 0);
}

/* Share "one" whose file says "new", its snapshot where it says "old", and a directory "home" of somebody's. */
static void furnish(void)
{
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = true);
	make_share(SHARE_1, "one");
	write_text(in_root("one/data/f"), "old");
	DO(&b, create_snapshot, .id = CALL_1, .share = &one, .snapshot = &snap);
	write_text(in_root("one/data/f"), "new");
	ck_assert_int_eq(mkdir(in_root("home"), 0755), 0);
	write_text(in_root("home/f"), "new");
	ck_assert_int_eq(chmod(in_root("home"), 0755), 0);
}

static void furnish_adopted(void)
{
	furnish();
	DO(&b, manage_existing, .id = CALL_1, .share = &home);
}

static void nothing(void)
{
}

static bool is(const char *path, const char *content)
{
	return exists(in_root(path)) && strcmp(read_text(in_root(path)), content) == 0;
}

static bool status_is(const struct driver_share *s, const struct driver_snapshot *of, const char *status)
{
	return strcmp(status_of(s, of), status) == 0;
}

/* ---- what is done, and what one may find after a death in the middle of it ---- */

static void create(void)
{
	DO(&b, create_share, .id = CALL_3, .share = &two);
}

static void create_found(void)
{
	ck_assert(status_is(&two, NULL, "absent -") || status_is(&two, NULL, "available " CALL_3));
	ck_assert_int_eq(exists(in_root("two")), status_is(&two, NULL, "available " CALL_3));
}

static void create_done(void)
{
	ck_assert(status_is(&two, NULL, "available " CALL_3));
	ck_assert_uint_eq(stat_of(in_root("two/data")).st_mode & 07777, 0750);
}

static void create_undo(void)
{
	DO(&b, delete_share, .id = CALL_3, .share = &two);
	ck_assert(!exists(in_root("two")));
}

static void create_from(void)
{
	DO(&b, create_share_from_snapshot, .id = CALL_3, .share = &two, .snapshot = &snap);
}

static void create_from_done(void)
{
	create_done();
	ck_assert(is("two/data/f", "old"));
}

static const struct driver_snapshot second = {
	.id = SNAP_2, .name = "second", .share_instance_id = SHARE_1, .size_bytes = GIB
};

static void snapshot(void)
{
	DO(&b, create_snapshot, .id = CALL_3, .share = &one, .snapshot = &second);
}

static void snapshot_found(void)
{
	ck_assert(status_is(NULL, &second, "absent -") || status_is(NULL, &second, "available " CALL_3));
}

static void snapshot_done(void)
{
	ck_assert(status_is(NULL, &second, "available " CALL_3));
	ck_assert(is(".sharesd/snapshots/" SNAP_2 "/data/f", "new"));
}

static void snapshot_undo(void)
{
	DO(&b, delete_snapshot, .id = CALL_3, .share = &one, .snapshot = &second);
	ck_assert(!exists(in_root(".sharesd/snapshots/" SNAP_2)));
}

static void revert(void)
{
	DO(&b, revert_to_snapshot, .id = CALL_3, .share = &one, .snapshot = &snap);
}

/* The call is the last that took effect exactly when the data are the snapshot's. */
static void revert_found(void)
{
	ck_assert(is("one/data/f", "old") || is("one/data/f", "new"));
	ck_assert_str_eq(status_of(&one, NULL), is("one/data/f", "old") ? "available " CALL_3 : "available " CALL_1);
}

static void revert_done(void)
{
	ck_assert(is("one/data/f", "old"));
	ck_assert(status_is(&one, NULL, "available " CALL_3));
}

static void revert_adopted(void)
{
	DO(&b, revert_to_snapshot, .id = CALL_3, .share = &home, .snapshot = &snap);
}

static void revert_adopted_found(void)
{
	ck_assert(is("home/f", "old") || is("home/f", "new"));
	ck_assert_str_eq(status_of(&home, NULL), is("home/f", "old") ? "available " CALL_3 : "available " CALL_1);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 0777, 0700);
}

static void revert_adopted_done(void)
{
	ck_assert(is("home/f", "old"));
	ck_assert(status_is(&home, NULL, "available " CALL_3));
}

static void delete (void)
{
	DO(&b, delete_share, .id = CALL_3, .share = &one);
}

static void delete_found(void)
{
	ck_assert(status_is(&one, NULL, "absent -") || status_is(&one, NULL, "available " CALL_1));
	ck_assert_int_eq(is("one/data/f", "new"), status_is(&one, NULL, "available " CALL_1));
}

static void delete_done(void)
{
	ck_assert(status_is(&one, NULL, "absent -"));
	ck_assert(!exists(in_root("one")));
}

static void delete_adopted(void)
{
	DO(&b, delete_share, .id = CALL_3, .share = &home);
}

static void delete_adopted_found(void)
{
	ck_assert(status_is(&home, NULL, "absent -") || status_is(&home, NULL, "available " CALL_1));
}

static void delete_adopted_done(void)
{
	ck_assert(status_is(&home, NULL, "absent -"));
	ck_assert(!exists(in_root("home")));
	ck_assert(!exists(in_root(text(".sharesd/objects/%s", home.id))));
}

static void delete_snap(void)
{
	DO(&b, delete_snapshot, .id = CALL_3, .share = &one, .snapshot = &snap);
}

static void delete_snap_done(void)
{
	ck_assert(status_is(NULL, &snap, "absent -"));
	ck_assert_uint_eq(count_entries(in_root(".sharesd/snapshots")), 0);
}

static void extend(void)
{
	DO(&b, extend_share, .id = CALL_3, .share = &one, .new_size_bytes = 2 * GIB);
}

static void shrink(void)
{
	DO(&b, shrink_share, .id = CALL_3, .share = &one, .new_size_bytes = GIB / 2);
}

static void resize_found(void)
{
	ck_assert(status_is(&one, NULL, "available " CALL_1) || status_is(&one, NULL, "available " CALL_3));
}

static void resize_done(void)
{
	ck_assert(status_is(&one, NULL, "available " CALL_3));
}

static void manage(void)
{
	DO(&b, manage_existing, .id = CALL_3, .share = &home);
}

/* Either it is as it was, or it is ours and closed. */
static void manage_found(void)
{
	unsigned mode = stat_of(in_root("home")).st_mode & 07777;

	ck_assert_str_eq(status_of(&home, NULL), mode == 0755 ? "absent -" : "available " CALL_3);
	ck_assert(mode == 0755 || mode == 0700);
}

static void manage_done(void)
{
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0700);
	ck_assert(status_is(&home, NULL, "available " CALL_3));
}

static void manage_undo(void)
{
	DO(&b, unmanage, .id = CALL_3, .share = &home);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0755);
	ck_assert(status_is(&home, NULL, "absent -"));
	ck_assert(is("home/f", "new"));
}

static void unmanage_found(void)
{
	ck_assert(status_is(&home, NULL, "absent -") || status_is(&home, NULL, "available " CALL_1));
}

static void unmanage_gated(void)
{
	DO(&b, unmanage, .id = CALL_3, .share = &one);
}

static void unmanage_gated_found(void)
{
	ck_assert(status_is(&one, NULL, "absent " CALL_3) || status_is(&one, NULL, "available " CALL_1));
}

static void unmanage_gated_done(void)
{
	ck_assert(status_is(&one, NULL, "absent " CALL_3));
	ck_assert(is("one/data/f", "new"));
}

static void furnish_given(void)
{
	furnish();
	DO(&b, unmanage, .id = CALL_1, .share = &one);
}

static void take_again(void)
{
	struct driver_share s = share_at(SHARE_2, "again", "one");

	DO(&b, manage_existing, .id = CALL_3, .share = &s);
}

static void take_again_found(void)
{
	struct driver_share s = share_at(SHARE_2, "again", "one");

	ck_assert(!status_is(&s, NULL, "available " CALL_1));
	ck_assert(is("one/data/f", "new"));
}

static void take_again_done(void)
{
	struct driver_share s = share_at(SHARE_2, "again", "one");

	ck_assert(status_is(&s, NULL, "available " CALL_3));
	ck_assert(!exists(in_root(".sharesd/objects/" SHARE_1)));
}

static const struct driver_snapshot theirs = {
	.id = SNAP_2, .name = "theirs", .share_instance_id = SHARE_1, .size_bytes = GIB, .provider_location = "home"
};

static void manage_snapshot(void)
{
	DO(&b, manage_existing_snapshot, .id = CALL_3, .share = &one, .snapshot = &theirs);
}

static void manage_snapshot_found(void)
{
	ck_assert(status_is(NULL, &theirs, "absent -") || status_is(NULL, &theirs, "available " CALL_3));
}

static void manage_snapshot_done(void)
{
	ck_assert(status_is(NULL, &theirs, "available " CALL_3));
}

static void manage_snapshot_undo(void)
{
	DO(&b, unmanage_snapshot, .id = CALL_3, .share = &one, .snapshot = &theirs);
	ck_assert(status_is(NULL, &theirs, "absent -"));
	ck_assert(is("home/f", "new"));
}

static void rules(void)
{
	let_in(&one, (const char *[]){ "4242" }, 1);
}

static void rules_found(void)
{
	ck_assert(status_is(&one, NULL, "available " CALL_1));
}

static void rules_done(void)
{
	shell("getfacl -pn '%s' | grep -q '^user:4242:--x$'", in_root("one"));
}

static void first_setup(void)
{
	DO(&b, do_setup, .id = CALL_3, .root_is_empty = true);
	DO(&b, check_for_setup_error, .id = CALL_3);
}

static void first_setup_done(void)
{
	ck_assert(exists(in_root(".sharesd/backend")));
	ck_assert(exists(in_root(".sharesd/objects")));
}

static const struct scenario {
	const char *name;
	void (*before)(void);
	void (*act)(void);
	void (*found)(void); /* after the death and the next setup */
	void (*done)(void);  /* after it was called again */
	void (*undo)(void);  /* or after this instead; NULL: is never undone */
	unsigned least;      /* steps that it has at least */
} scenarios[] = {
	{ "create_share", furnish, create, create_found, create_done, create_undo, 8 },
	{ "create_share_from_snapshot", furnish, create_from, create_found, create_from_done, create_undo, 6 },
	{ "create_snapshot", furnish, snapshot, snapshot_found, snapshot_done, snapshot_undo, 6 },
	{ "revert_to_snapshot", furnish, revert, revert_found, revert_done, NULL, 8 },
	{ "revert_to_snapshot, adopted", furnish_adopted, revert_adopted, revert_adopted_found, revert_adopted_done,
	  NULL, 8 },
	{ "delete_share", furnish, delete, delete_found, delete_done, NULL, 2 },
	{ "delete_share, adopted", furnish_adopted, delete_adopted, delete_adopted_found, delete_adopted_done, NULL,
	  4 },
	{ "delete_snapshot", furnish, delete_snap, nothing, delete_snap_done, NULL, 2 },
	{ "extend_share", furnish, extend, resize_found, resize_done, NULL, 2 },
	{ "shrink_share", furnish, shrink, resize_found, resize_done, NULL, 2 },
	{ "manage_existing", furnish, manage, manage_found, manage_done, manage_undo, 6 },
	{ "unmanage", furnish_adopted, manage_undo, unmanage_found, manage_undo, NULL, 4 },
	{ "unmanage, own", furnish, unmanage_gated, unmanage_gated_found, unmanage_gated_done, NULL, 4 },
	{ "manage_existing, given back", furnish_given, take_again, take_again_found, take_again_done, NULL, 2 },
	{ "manage_existing_snapshot", furnish, manage_snapshot, manage_snapshot_found, manage_snapshot_done,
	  manage_snapshot_undo, 2 },
	{ "update_access", furnish, rules, rules_found, rules_done, NULL, 2 },
	{ "do_setup", nothing, first_setup, nothing, first_setup_done, NULL, 8 },
};

/* Under a sanitizer every second step, the others where file systems keep no attributes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 2 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { STRIDE = 2 };
#else
enum { STRIDE = 1 };
#endif
#else
enum { STRIDE = 1 };
#endif

/* true: it died at that step. */
static bool die_at(const struct scenario *s, unsigned step)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		setenv("SHARESD_CRASH_AT", text("%u", step), 1);
		crash_setup();
		s->act();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		ck_assert_msg(WEXITSTATUS(status) == 0, "%s: failed before step %u", s->name, step);
		return false;
	}
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	return true;
}

/* true: it died at that step, and all came well. */
static bool one_death(const struct scenario *s, unsigned step, bool undo)
{
	bool died;

	clear_root();
	restart();
	s->before();
	died = die_at(s, step);
	restart();
	DO(&b, do_setup, .id = CALL_2, .root_is_empty = s->before == nothing);
	s->found();
	if (undo) {
		s->undo();
	} else {
		s->act();
		s->done();
	}
	nothing_is_left();
	return died;
}

START_TEST(every_step)
{
	const struct scenario *s = &scenarios[_i / 2];
	unsigned step = 1 + (unsigned)_i % STRIDE;

	no_user_xattrs = _i % 2;
	one = share_at(SHARE_1, "one", "one");
	two = share_named(SHARE_2, "two");
	home = share_at(SNAP_2, "home", "home");
	snap = snapshot_of(SNAP_1, SHARE_1, NULL);
	while (one_death(s, step, false)) {
		if (s->undo)
			one_death(s, step, true);
		step += STRIDE;
	}
	ck_assert_msg(step > s->least, "%s: only %u steps", s->name, step - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_dir_crash");
	TCase *t = tcase_create("crash");

	tcase_add_checked_fixture(t, setup_dir, teardown_dir);
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, every_step, 0, 2 * COUNT(scenarios));
	suite_add_tcase(s, t);
	return run_suite(s);
}
