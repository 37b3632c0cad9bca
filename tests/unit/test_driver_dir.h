/* What the tests of the `dir` driver share: a backend on a root of its own, with and without user xattrs. */
#ifndef TESTS_UNIT_TEST_DRIVER_DIR_H
#define TESTS_UNIT_TEST_DRIVER_DIR_H

#include "tests/unit/test_driver.h"

#include <sys/syscall.h>

/* Stand before libc's: a file system with ACLs but without user xattrs, as tmpfs was before Linux 6.6. */
static bool no_user_xattrs;

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	if (no_user_xattrs && text_starts_with(name, "user.")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	if (no_user_xattrs && text_starts_with(name, "user.")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return syscall(SYS_fgetxattr, fd, name, value, size);
}

/* A test that runs with _i 0 and 1: marks in xattrs, and in files. */
#define ADD_BOTH(t, test) tcase_add_loop_test(t, test, 0, 2)

static struct backend b;

static inline const char *in_root(const char *path)
{
	return text("%s/root/%s", dir, path);
}

static inline void setup_dir(void)
{
	setup();
	no_user_xattrs = false;
	ck_assert_int_eq(mkdir(in_root(""), 0755), 0);
	b = backend_new("dir", "d", BACKEND_1, text("root = \"%s/root\"", dir));
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = true);
	DO(&b, check_for_setup_error, .id = CALL_1);
}

static inline void teardown_dir(void)
{
	backend_free(&b);
	teardown();
}

static inline struct driver_share share_named(const char *id, const char *name)
{
	return (struct driver_share){ .id = id,
				      .share_id = "00000000-0000-4000-8000-00000000005a",
				      .name = name,
				      .share_proto = "LOCAL",
				      .size_bytes = GIB,
				      .uid = geteuid(),
				      .gid = getegid(),
				      .mode = 0750 };
}

/* As the daemon knows it later. */
static inline struct driver_share share_at(const char *id, const char *name, const char *location)
{
	struct driver_share s = share_named(id, name);

	s.provider_location = location;
	return s;
}

static inline struct driver_snapshot snapshot_of(const char *id, const char *share_id, const char *location)
{
	return (struct driver_snapshot){ .id = id,
					 .snapshot_id = "00000000-0000-4000-8000-00000000005b",
					 .name = "snap",
					 .share_instance_id = share_id,
					 .size_bytes = GIB,
					 .provider_location = location };
}

static inline void make_share(const char *id, const char *name)
{
	struct driver_share s = share_named(id, name);

	DO(&b, create_share, .id = CALL_1, .share = &s);
}

/* "STATUS CALL" or "STATUS -": static storage. */
static inline const char *status_of(const struct driver_share *s, const struct driver_snapshot *snapshot)
{
	struct outcome o = WELL(&b, get_share_status, .id = CALL_3, .share = s, .snapshot = snapshot);
	const char *call = jsonx_str(o.values, "call_id");
	const char *ret = text("%s %s", jsonx_str(o.values, "status"), call ? call : "-");

	outcome_clear(&o);
	return ret;
}

static inline void nothing_is_left(void)
{
	ck_assert_uint_eq(count_entries(in_root(".sharesd/staging")), 0);
	ck_assert_uint_eq(count_entries(in_root(".sharesd/trash")), 0);
}

static inline struct driver_rule rule_for(const char *id, const char *user)
{
	return (struct driver_rule){ .id = id, .access_type = "user", .access_to = user, .access_level = "rw" };
}

/* Makes the gate equal to a rule for each of the users. */
static inline void let_in(const struct driver_share *s, const char *const *users, size_t n)
{
	struct driver_rule list[8];
	struct driver_rules rules = { .all = list, .n_all = n };

	for (size_t i = 0; i < n; i++)
		list[i] = rule_for(text("r%zu", i), users[i]);
	DO(&b, update_access, .id = CALL_1, .share = s, .rules = &rules);
}

#endif
