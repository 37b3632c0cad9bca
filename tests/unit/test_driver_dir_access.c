/* drivers/dir: who gets in. Seen as the users see it, so most of it needs root. */
#include "tests/unit/test_driver_dir.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define OTHER 4242

static struct driver_share open_share(const char *id, const char *name)
{
	struct driver_share s = share_named(id, name);

	s.mode = 0777;
	DO(&b, create_share, .id = CALL_1, .share = &s);
	s.provider_location = name;
	return s;
}

static int enter(uid_t uid, const char *path)
{
	return as_user(uid, try_enter, path);
}

static const char *state_of(const struct outcome *o, const char *rule)
{
	const char *state = jsonx_str(json_object_get(json_object_get(o->values, "rules"), rule), "state");

	return state ? state : "none";
}

START_TEST(only_who_has_a_rule_gets_in)
{
	const char *data = in_root("one/data");
	struct driver_share s;

	if (skip_unless_root("only_who_has_a_rule_gets_in"))
		return;
	no_user_xattrs = _i;
	s = open_share(SHARE_1, "one");
	ck_assert_int_eq(enter(NOBODY, data), EACCES);
	let_in(&s, (const char *[]){ "nobody" }, 1);
	ck_assert_int_eq(enter(NOBODY, data), 0);
	ck_assert_int_eq(enter(OTHER, data), EACCES);
	/* Not even its name can be read, nor the gate changed. */
	ck_assert_int_ne(as_user(NOBODY, try_enter, in_root(".sharesd")), 0);
	let_in(&s, (const char *[]){ "nobody", "4242" }, 2);
	ck_assert_int_eq(enter(OTHER, data), 0);
	let_in(&s, NULL, 0);
	ck_assert_int_eq(enter(NOBODY, data), EACCES);
	ck_assert_int_eq(enter(OTHER, data), EACCES);
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, 0700);
}
END_TEST

static int list_gate(const void *path)
{
	DIR *d = opendir(path);

	if (d)
		closedir(d);
	return d ? 0 : errno;
}

static int make_in_gate(const void *path)
{
	return mkdir(path, 0700) == 0 ? 0 : errno;
}

START_TEST(a_rule_is_search_only)
{
	struct driver_share s = open_share(SHARE_1, "one");

	if (skip_unless_root("a_rule_is_search_only"))
		return;
	let_in(&s, (const char *[]){ "nobody" }, 1);
	ck_assert_int_eq(as_user(NOBODY, list_gate, in_root("one")), EACCES);
	ck_assert_int_eq(as_user(NOBODY, make_in_gate, in_root("one/new")), EACCES);
	ck_assert_int_eq(as_user(NOBODY, make_in_gate, in_root("one/data/new")), 0);
}
END_TEST

START_TEST(a_wrong_rule_fails_alone)
{
	struct driver_share s = open_share(SHARE_1, "one");
	struct driver_rule list[] = { rule_for("good", "65534"), rule_for("unknown", "no-such-user-here"),
				      rule_for("ip", "192.0.2.1"), rule_for("ro", "65534") };
	struct driver_rules rules = { .all = list, .n_all = 4 };
	struct outcome o;

	list[2].access_type = "ip";
	list[3].access_level = "ro";
	o = WELL(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	ck_assert_str_eq(state_of(&o, "good"), "active");
	for (size_t i = 1; i < 4; i++) {
		ck_assert_str_eq(state_of(&o, list[i].id), "error");
		ck_assert_ptr_nonnull(
			jsonx_str(json_object_get(json_object_get(o.values, "rules"), list[i].id), "reason"));
	}
	ck_assert_ptr_nonnull(
		strstr(jsonx_str(json_object_get(json_object_get(o.values, "rules"), "unknown"), "reason"),
		       "no-such-user-here"));
	outcome_clear(&o);
	shell("getfacl -pn '%s' | grep -q '^user:65534:--x$'", in_root("one"));
	shell("test $(getfacl -pn '%s' | grep -c '^user:') = 2", in_root("one"));
}
END_TEST

START_TEST(differences_are_answered_for)
{
	struct driver_share s = open_share(SHARE_1, "one");
	struct driver_rule one = rule_for("1", "4241"), two = rule_for("2", "4242"), three = rule_for("3", "4243");
	struct driver_rule all[] = { one, two };
	struct driver_rules rules = { .all = all, .n_all = 2, .add = &two, .n_add = 1 };
	struct outcome o = WELL(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);

	ck_assert_str_eq(state_of(&o, "1"), "none");
	ck_assert_str_eq(state_of(&o, "2"), "active");
	outcome_clear(&o);
	shell("test $(getfacl -pn '%s' | grep -c '^user:424[12]:--x$') = 2", in_root("one"));
	/* A denied rule that still stands among all, and one that was never applied. */
	rules = (struct driver_rules){ .all = all, .n_all = 2, .remove = &one, .n_remove = 1 };
	o = WELL(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	ck_assert_uint_eq(json_object_size(json_object_get(o.values, "rules")), 0);
	outcome_clear(&o);
	shell("getfacl -pn '%s' | grep -q '^user:4242:' && ! getfacl -pn '%s' | grep -q '^user:4241:'", in_root("one"),
	      in_root("one"));
	rules = (struct driver_rules){ .all = &two, .n_all = 1, .remove = &three, .n_remove = 1 };
	DO(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	shell("getfacl -pn '%s' | grep -q '^user:4242:'", in_root("one"));
}
END_TEST

START_TEST(users_with_two_rules)
{
	struct driver_share s = open_share(SHARE_1, "one");

	let_in(&s, (const char *[]){ "65534", "nobody", "0" }, 3);
	shell("test $(getfacl -pn '%s' | grep -c '^user:65534:--x$') = 1", in_root("one"));
	let_in(&s, (const char *[]){ "nobody" }, 1);
	shell("test $(getfacl -pn '%s' | grep -c '^user:65534:--x$') = 1", in_root("one"));
}
END_TEST

START_TEST(equal_rules_change_nothing)
{
	struct driver_share s = open_share(SHARE_1, "one");
	struct stat before, after;

	let_in(&s, (const char *[]){ "4242", "4241" }, 2);
	before = stat_of(in_root("one"));
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	let_in(&s, (const char *[]){ "4241", "4242" }, 2);
	after = stat_of(in_root("one"));
	ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	ck_assert_int_eq(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
}
END_TEST

/* As nobody, goes into the directory over and over; ends with 1 if it could not once. */
static pid_t start_entering(const char *path, const atomic_bool *stop)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(2);
	while (!*stop)
		if (chdir(path) < 0)
			_exit(1);
	_exit(0);
}

static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Who has a rule never stands before a closed gate while others' rules change. */
START_TEST(changes_have_no_gap)
{
	struct driver_share s = open_share(SHARE_1, "one");
	atomic_bool *stop = mmap(NULL, sizeof *stop, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (skip_unless_root("changes_have_no_gap"))
		return;
	let_in(&s, (const char *[]){ "65534" }, 1);
	pid = start_entering(in_root("one/data"), stop);
	for (int i = 0; i < 200; i++)
		let_in(&s, (const char *[]){ "65534", text("%d", 5000 + i) }, 1 + i % 2);
	*stop = true;
	ck_assert_int_eq(end_of(pid), 0);
}
END_TEST

START_TEST(more_rules_than_fit)
{
	enum { MANY = 9000 };
	struct driver_share s = open_share(SHARE_1, "one");
	struct driver_rule *list = xcalloc(MANY, sizeof *list);
	struct driver_rules rules = { .all = list, .n_all = MANY };
	char(*names)[2][16] = xcalloc(MANY, sizeof *names);

	for (int i = 0; i < MANY; i++) {
		snprintf(names[i][0], 16, "r%d", i);
		snprintf(names[i][1], 16, "%d", 10000 + i);
		list[i] = rule_for(names[i][0], names[i][1]);
	}
	let_in(&s, (const char *[]){ "4242" }, 1);
	FAILS(&b, ERR_NO_SPACE, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	shell("getfacl -pn '%s' | grep -q '^user:4242:--x$'", in_root("one"));
	rules.n_all = 100;
	DO(&b, update_access, .id = CALL_1, .share = &s, .rules = &rules);
	shell("test $(getfacl -pn '%s' | grep -c '^user:1....:--x$') = 100", in_root("one"));
	free(list);
	free(names);
}
END_TEST

START_TEST(missing_shares)
{
	struct driver_share s = share_at(SHARE_1, "one", "one");
	struct driver_rules rules = { 0 };

	FAILS(&b, ERR_NOT_FOUND, update_access, .id = CALL_1, .share = &s, .rules = &rules);
}
END_TEST

/* ---- a directory that is its own gate ---- */

static struct driver_share adopted(const char *location)
{
	struct driver_share s = share_at(SHARE_1, "adopted", location);

	DO(&b, manage_existing, .id = CALL_1, .share = &s);
	return s;
}

static void make_theirs(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	ck_assert_int_eq(mkdir(in_root(name), 0755), 0);
	ck_assert_int_eq(chown(in_root(name), uid, gid), 0);
	ck_assert_int_eq(chmod(in_root(name), mode), 0);
}

START_TEST(an_adopted_directory_is_its_own_gate)
{
	struct driver_share s;

	if (skip_unless_root("an_adopted_directory_is_its_own_gate"))
		return;
	make_theirs("home", OTHER, OTHER, 0757);
	ck_assert_int_eq(as_user(NOBODY, list_gate, in_root("home")), 0);
	s = adopted("home");
	ck_assert_int_eq(as_user(NOBODY, list_gate, in_root("home")), EACCES);
	ck_assert_int_eq(as_user(OTHER, list_gate, in_root("home")), 0);
	/* With a rule, what its mode gave before: all, as to everybody. */
	let_in(&s, (const char *[]){ "65534" }, 1);
	ck_assert_int_eq(as_user(NOBODY, make_in_gate, in_root("home/new")), 0);
	ck_assert_int_eq(as_user(4000, list_gate, in_root("home")), EACCES);
	let_in(&s, NULL, 0);
	ck_assert_int_eq(as_user(NOBODY, list_gate, in_root("home")), EACCES);
}
END_TEST

START_TEST(rules_give_what_was_had_before)
{
	struct driver_share s;

	if (skip_unless_root("rules_give_what_was_had_before"))
		return;
	/* 65534 is of group nogroup: r-x, within the mask r--. 4000 is named. 4001 is anybody. */
	make_theirs("home", OTHER, 65534, 0750);
	shell("setfacl -m u:4000:rwx,m::r--,o::-w- '%s'", in_root("home"));
	s = adopted("home");
	let_in(&s, (const char *[]){ "65534", "4000", "4001", "4242" }, 4);
	shell("getfacl -pn '%s' > '%s/acl'", in_root("home"), dir);
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "user::rwx\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "user:65534:r-x\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "user:4000:r-x\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "user:4001:-wx\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "group::---\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "other::---\n"));
	ck_assert_ptr_nonnull(strstr(read_text(text("%s/acl", dir)), "mask::rwx\n"));
}
END_TEST

/* Who used the directory before and has a rule does not notice that it is adopted. */
START_TEST(adopting_spares_who_has_a_rule)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "home");
	struct driver_rule rule = rule_for("r", "65534");
	struct driver_rules rules = { .all = &rule, .n_all = 1 };
	atomic_bool *stop = mmap(NULL, sizeof *stop, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (skip_unless_root("adopting_spares_who_has_a_rule"))
		return;
	make_theirs("home", OTHER, OTHER, 0755);
	pid_t pid = start_entering(in_root("home"), stop);
	DO(&b, manage_existing, .id = CALL_1, .share = &s, .rules = &rules);
	let_in(&s, (const char *[]){ "65534" }, 1);
	*stop = true;
	ck_assert_int_eq(end_of(pid), 0);
	ck_assert_int_eq(as_user(4000, list_gate, in_root("home")), EACCES);
}
END_TEST

/* Rules of other protocols are a server's: the driver only lets the server through, which enters as root or as its
 * user. */
START_TEST(gates_of_other_protocols)
{
	static const struct {
		const char *proto;
		mode_t gate;
	} protos[] = { { "LOCAL", 0700 }, { "NFS", 0700 }, { "CIFS", 0711 }, { "NFS_CIFS", 0711 } };
	struct driver_share s = share_named(SHARE_1, "one");
	struct driver_rule rule = rule_for("r", "65534");
	struct driver_rules rules = { .all = &rule, .n_all = 1 };
	struct outcome o;

	no_user_xattrs = _i % 2;
	s.share_proto = protos[_i / 2].proto;
	DO(&b, create_share, .id = CALL_1, .share = &s);
	s.provider_location = "one";
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, protos[_i / 2].gate);
	ck_assert_uint_eq(stat_of(in_root("one/data")).st_mode & 07777, 0750);
	o = WELL(&b, update_access, .id = CALL_2, .share = &s, .rules = &rules);
	ck_assert_str_eq(state_of(&o, "r"), _i / 2 ? "none" : "active");
	outcome_clear(&o);
	if (_i / 2)
		ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, protos[_i / 2].gate);
	o = WELL(&b, locate_share, .id = CALL_2, .share = &s);
	ck_assert_str_eq(jsonx_str(o.values, "path"), in_root("one/data"));
	outcome_clear(&o);

	/* Given back, nobody gets through; taken again, who should. */
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, 0700);
	s.id = SHARE_2;
	s.share_proto = "CIFS";
	DO(&b, manage_existing, .id = CALL_3, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("one")).st_mode & 07777, 0711);
	DO(&b, delete_share, .id = CALL_3, .share = &s);
	FAILS(&b, ERR_NOT_FOUND, locate_share, .id = CALL_3, .share = &s);
}
END_TEST

START_TEST(an_adopted_directory_of_another_protocol_is_left_alone)
{
	struct driver_share s = share_at(SHARE_1, "adopted", "home");
	struct driver_rule rule = rule_for("r", "65534");
	struct driver_rules rules = { .all = &rule, .n_all = 1 };
	struct stat before, after;

	if (skip_unless_root("an_adopted_directory_of_another_protocol_is_left_alone"))
		return;
	s.share_proto = _i ? "NFS" : "CIFS";
	make_theirs("home", OTHER, OTHER, 0755);
	shell("setfacl -m u:4000:rwx '%s'", in_root("home"));
	before = stat_of(in_root("home"));
	DO(&b, manage_existing, .id = CALL_1, .share = &s, .rules = &rules);
	DO(&b, update_access, .id = CALL_2, .share = &s, .rules = &rules);
	after = stat_of(in_root("home"));
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_uid, before.st_uid);
	/* What its owner changes meanwhile is his. */
	ck_assert_int_eq(chmod(in_root("home"), 0775), 0);
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_uint_eq(stat_of(in_root("home")).st_mode & 07777, 0775);
	ck_assert_int_eq(as_user(4000, make_in_gate, in_root("home/new")), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_dir_access");
	TCase *t = tcase_create("access");

	tcase_add_checked_fixture(t, setup_dir, teardown_dir);
	tcase_set_timeout(t, 60);
	ADD_BOTH(t, only_who_has_a_rule_gets_in);
	tcase_add_test(t, a_rule_is_search_only);
	tcase_add_test(t, a_wrong_rule_fails_alone);
	tcase_add_test(t, differences_are_answered_for);
	tcase_add_test(t, users_with_two_rules);
	tcase_add_test(t, equal_rules_change_nothing);
	tcase_add_test(t, changes_have_no_gap);
	tcase_add_test(t, more_rules_than_fit);
	tcase_add_test(t, missing_shares);
	tcase_add_test(t, an_adopted_directory_is_its_own_gate);
	tcase_add_test(t, rules_give_what_was_had_before);
	tcase_add_test(t, adopting_spares_who_has_a_rule);
	tcase_add_loop_test(t, gates_of_other_protocols, 0, 8);
	tcase_add_loop_test(t, an_adopted_directory_of_another_protocol_is_left_alone, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
