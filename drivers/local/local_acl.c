#include "drivers/local/local_acl.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <acl/libacl.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static void cleanup_acl(acl_t *acl)
{
	if (*acl)
		acl_free(*acl);
}
#define _cleanup_acl_ cleanup(cleanup_acl)

static int drop_xattr(int fd, const char *name)
{
	return fremovexattr(fd, name) < 0 && errno != ENODATA && errno != EOPNOTSUPP ? -errno : 0;
}

int local_acl_shut(int fd)
{
	int r;

	if ((r = drop_xattr(fd, "system.posix_acl_default")) < 0 || (r = drop_xattr(fd, "system.posix_acl_access")) < 0)
		return r;
	return fchmod(fd, 0700) < 0 ? -errno : 0;
}

static int set_perms(acl_entry_t entry, unsigned perms)
{
	acl_permset_t set;

	if (acl_get_permset(entry, &set) < 0 || acl_clear_perms(set) < 0)
		return -errno;
	if ((perms & LOCAL_ACL_READ && acl_add_perm(set, ACL_READ) < 0) ||
	    (perms & LOCAL_ACL_WRITE && acl_add_perm(set, ACL_WRITE) < 0) ||
	    (perms & LOCAL_ACL_SEARCH && acl_add_perm(set, ACL_EXECUTE) < 0))
		return -errno;
	return 0;
}

static int get_perms(acl_entry_t entry, unsigned *ret)
{
	acl_permset_t set;

	if (acl_get_permset(entry, &set) < 0)
		return -errno;
	*ret = (acl_get_perm(set, ACL_READ) > 0 ? LOCAL_ACL_READ : 0u) |
	       (acl_get_perm(set, ACL_WRITE) > 0 ? LOCAL_ACL_WRITE : 0u) |
	       (acl_get_perm(set, ACL_EXECUTE) > 0 ? LOCAL_ACL_SEARCH : 0u);
	return 0;
}

static int add_entry(acl_t *acl, acl_tag_t tag, const id_t *id, unsigned perms)
{
	acl_entry_t entry;

	if (acl_create_entry(acl, &entry) < 0 || acl_set_tag_type(entry, tag) < 0)
		return -errno;
	if (id && acl_set_qualifier(entry, id) < 0)
		return -errno;
	return set_perms(entry, perms);
}

static int build(mode_t mode, const struct local_acl_user *users, size_t n, acl_t *ret)
{
	_cleanup_acl_ acl_t acl = acl_init((int)n + 4);
	unsigned mask = 0;
	int r;

	if (!acl)
		return -errno;
	if ((r = add_entry(&acl, ACL_USER_OBJ, NULL, (mode >> 6) & 7)) < 0 ||
	    (r = add_entry(&acl, ACL_GROUP_OBJ, NULL, 0)) < 0 || (r = add_entry(&acl, ACL_OTHER, NULL, 0)) < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		mask |= users[i].perms;
		if ((r = add_entry(&acl, ACL_USER, &users[i].uid, users[i].perms)) < 0)
			return r;
	}
	if (n > 0 && (r = add_entry(&acl, ACL_MASK, NULL, mask)) < 0)
		return r;
	*ret = take_ptr(acl);
	return 0;
}

int local_acl_set(int fd, const struct local_acl_user *users, size_t n)
{
	_cleanup_acl_ acl_t wanted = NULL;
	_cleanup_acl_ acl_t now = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((r = build(st.st_mode, users, n, &wanted)) < 0)
		return r;
	now = acl_get_fd(fd);
	if (now && acl_cmp(now, wanted) == 0)
		return 0;
	return acl_set_fd(fd, wanted) < 0 ? -errno : 0;
}

/* What must not be added twice. `perms_of_group` gets those of the owning group. */
static int look_through(acl_t acl, const struct local_acl_user *users, size_t n, bool *named, bool *ret_mask,
			unsigned *perms_of_group)
{
	acl_entry_t entry;
	acl_tag_t tag;
	int r;

	for (r = acl_get_entry(acl, ACL_FIRST_ENTRY, &entry); r == 1; r = acl_get_entry(acl, ACL_NEXT_ENTRY, &entry)) {
		id_t *id;

		if (acl_get_tag_type(entry, &tag) < 0 || (tag == ACL_GROUP_OBJ && get_perms(entry, perms_of_group) < 0))
			return -errno;
		*ret_mask |= tag == ACL_MASK;
		if (tag != ACL_USER)
			continue;
		id = acl_get_qualifier(entry);
		if (!id)
			return -errno;
		for (size_t i = 0; i < n; i++)
			named[i] |= users[i].uid == *id;
		acl_free(id);
	}
	return r < 0 ? -errno : 0;
}

int local_acl_add(int fd, const struct local_acl_user *users, size_t n)
{
	_cleanup_acl_ acl_t acl = acl_get_fd(fd);
	_cleanup_free_ bool *named = xcalloc(n + 1, sizeof *named);
	unsigned group = 0;
	bool mask = false;
	int r;

	if (!acl)
		return -errno;
	if (n == 0)
		return 0;
	if ((r = look_through(acl, users, n, named, &mask, &group)) < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!named[i] && (r = add_entry(&acl, ACL_USER, &users[i].uid, users[i].perms)) < 0)
			return r;
	if (!mask && (r = add_entry(&acl, ACL_MASK, NULL, group)) < 0)
		return r;
	return acl_set_fd(fd, acl) < 0 ? -errno : 0;
}

int local_acl_text(int fd, char **ret)
{
	_cleanup_acl_ acl_t acl = acl_get_fd(fd);
	char *text = acl ? acl_to_any_text(acl, NULL, ',', TEXT_NUMERIC_IDS) : NULL;

	if (!text)
		return -errno;
	*ret = xstrdup(text);
	acl_free(text);
	return 0;
}

int local_acl_restore(int fd, const char *text, mode_t mode)
{
	_cleanup_acl_ acl_t acl = acl_from_text(text);

	if (!acl || acl_set_fd(fd, acl) < 0)
		return -errno;
	return fchmod(fd, mode & 07777) < 0 ? -errno : 0;
}

int local_acl_copy(int from, int to)
{
	_cleanup_acl_ acl_t acl = NULL;
	struct stat st, now;

	if (fstat(from, &st) < 0 || fstat(to, &now) < 0)
		return -errno;
	if ((st.st_uid != now.st_uid || st.st_gid != now.st_gid) && fchown(to, st.st_uid, st.st_gid) < 0)
		return -errno;
	acl = acl_get_fd(from);
	if (!acl || acl_set_fd(to, acl) < 0)
		return -errno;
	return fchmod(to, st.st_mode & 07777) < 0 ? -errno : 0;
}

/* ---- what an ACL gives ---- */

struct verdict {
	unsigned owner, other, user, groups, mask;
	bool has_user, has_group;
};

static bool in_groups(gid_t gid, const gid_t *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

static int take_named(acl_entry_t entry, acl_tag_t tag, unsigned perms, uid_t uid, const gid_t *groups, size_t n_groups,
		      struct verdict *v)
{
	id_t *id = acl_get_qualifier(entry);

	if (!id)
		return -errno;
	if (tag == ACL_USER && *id == uid) {
		v->has_user = true;
		v->user = perms;
	} else if (tag == ACL_GROUP && in_groups(*id, groups, n_groups)) {
		v->has_group = true;
		v->groups |= perms;
	}
	acl_free(id);
	return 0;
}

static int take_entry(acl_entry_t entry, gid_t group, uid_t uid, const gid_t *groups, size_t n_groups,
		      struct verdict *v)
{
	acl_tag_t tag;
	unsigned perms = 0;
	int r;

	if (acl_get_tag_type(entry, &tag) < 0)
		return -errno;
	if ((r = get_perms(entry, &perms)) < 0)
		return r;
	if (tag == ACL_USER || tag == ACL_GROUP)
		return take_named(entry, tag, perms, uid, groups, n_groups, v);
	if (tag == ACL_USER_OBJ)
		v->owner = perms;
	else if (tag == ACL_OTHER)
		v->other = perms;
	else if (tag == ACL_MASK)
		v->mask = perms;
	else if (tag == ACL_GROUP_OBJ && in_groups(group, groups, n_groups)) {
		v->has_group = true;
		v->groups |= perms;
	}
	return 0;
}

int local_acl_perms(const char *text, uid_t owner, gid_t group, uid_t uid, const gid_t *groups, size_t n_groups,
		    unsigned *ret)
{
	_cleanup_acl_ acl_t acl = acl_from_text(text);
	struct verdict v = { .mask = 7 };
	acl_entry_t entry;
	int r;

	if (!acl)
		return -errno;
	for (r = acl_get_entry(acl, ACL_FIRST_ENTRY, &entry); r == 1; r = acl_get_entry(acl, ACL_NEXT_ENTRY, &entry)) {
		int n = take_entry(entry, group, uid, groups, n_groups, &v);

		if (n < 0)
			return n;
	}
	if (uid == owner)
		*ret = v.owner;
	else if (v.has_user)
		*ret = v.user & v.mask;
	else if (v.has_group)
		*ret = v.groups & v.mask;
	else
		*ret = v.other;
	return 0;
}
