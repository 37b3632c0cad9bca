#include "tests/e2e/harness_disk.h"

#include "base/cleanup.h"
#include "base/jsonx.h"

#include <acl/libacl.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* What is compared. */
struct look {
	const struct fixture *f;
	const char *where;
	json_t *shares, *snapshots, *rules;
	json_t *known; /* instance ids of shares and snapshots */
};

json_t *list_all(const struct fixture *f, const char *method, const char *member)
{
	_cleanup_json_ json_t *after = NULL;
	json_t *all = json_array();

	do {
		_cleanup_json_ json_t *page = after ? call(f, method, "{s:i,s:O}", "limit", 1000, "after", after)
						    : call(f, method, "{s:i}", "limit", 1000);

		json_array_extend(all, at(page, member));
		json_decref(after);
		after = json_incref(at(page, "next"));
	} while (json_is_string(after));
	return all;
}

void each_call(struct client *c, struct cursor *from, void (*take)(void *data, const json_t *record), void *data)
{
	enum { PAGE = 100 };
	_cleanup_json_ json_t *after = json_string(from->before);

	do {
		_cleanup_json_ json_t *page =
			*json_string_value(after)
				? client_call(c, "list_calls", "{s:i,s:O}", "limit", PAGE, "after", after)
				: client_call(c, "list_calls", "{s:i}", "limit", PAGE);
		size_t i;
		json_t *record;

		json_array_foreach(at(page, "calls"), i, record)
			take(data, record);
		json_decref(after);
		after = json_incref(at(page, "next"));
		if (json_is_string(after) && strncmp(json_string_value(after), "live", 4) != 0) {
			memcpy(from->before, from->last, sizeof from->last);
			snprintf(from->last, sizeof from->last, "%s", json_string_value(after));
		}
	} while (json_is_string(after));
}

/* ---- rest ---- */

static void check_rest(const struct look *l, const json_t *objects, const char *member)
{
	static const char *const resting[] = { "available",       "error",           "error_deleting",
					       "extending_error", "shrinking_error", "reverting_error",
					       "manage_error",    "unmanage_error",  "active" };
	json_t *o;
	size_t i;

	json_array_foreach(objects, i, o) {
		const char *status = str_at(o, member);
		bool rests = false;

		for (size_t k = 0; k < sizeof resting / sizeof *resting; k++)
			rests = rests || strcmp(status, resting[k]) == 0;
		ck_assert_msg(rests, "%s: %s is %s", l->where, str_at(o, "id"), status);
	}
}

static const json_t *find_share(const struct look *l, const char *id)
{
	json_t *share;
	size_t i;

	json_array_foreach(l->shares, i, share)
		if (strcmp(str_at(share, "id"), id) == 0)
			return share;
	return NULL;
}

/* What could not be denied waits for another deny_access, or for its share to be deleted at last; it says why. */
static bool waits(const struct look *l, const json_t *rule)
{
	const json_t *share = find_share(l, str_at(rule, "share_id"));

	return strcmp(str_at(rule, "state"), "queued_to_deny") == 0 &&
	       (jsonx_str(rule, "status_reason") || strcmp(str_at(share, "status"), "error_deleting") == 0 ||
		strcmp(str_at(share, "status"), "unmanage_error") == 0);
}

static void check_rules_rest(const struct look *l)
{
	_cleanup_json_ json_t *others = json_array();
	json_t *rule;
	size_t i;

	json_array_foreach(l->rules, i, rule)
		if (!waits(l, rule))
			json_array_append(others, rule);
	check_rest(l, others, "state");
}

/* ---- marks ---- */

static json_t *mark_of(const char *path)
{
	char text[65536];
	ssize_t n = lgetxattr(path, "user.sharesd", text, sizeof text - 1);

	return n < 0 ? NULL : json_loadb(text, (size_t)n, 0, NULL);
}

static json_t *mark_file(const struct look *l, const char *id)
{
	return json_load_file(fixture_path(l->f, "root/.sharesd/objects/%s", id), 0, NULL);
}

static void check_mark(const struct look *l, const json_t *mark, const json_t *instance, const char *kind)
{
	ck_assert_msg(mark != NULL, "%s: %s %s has no mark", l->where, kind, str_at(instance, "id"));
	ck_assert_msg(strcmp(str_at(mark, "id"), str_at(instance, "id")) == 0 &&
			      strcmp(str_at(mark, "kind"), kind) == 0 &&
			      strcmp(str_at(mark, "state"), "available") == 0,
		      "%s: the mark of %s %s is another's", l->where, kind, str_at(instance, "id"));
}

/* ---- access ---- */

static bool wants(const struct look *l, const char *share_id, uid_t uid)
{
	json_t *rule;
	size_t i;

	json_array_foreach(l->rules, i, rule) {
		const struct passwd *pw = getpwnam(str_at(rule, "access_to"));

		if (strcmp(str_at(rule, "share_id"), share_id) == 0 && pw && pw->pw_uid == uid)
			return true;
	}
	return false;
}

/* `state` NULL: in any. */
static size_t count_rules(const struct look *l, const char *share_id, const char *state)
{
	json_t *rule;
	size_t i, n = 0;

	json_array_foreach(l->rules, i, rule)
		n += strcmp(str_at(rule, "share_id"), share_id) == 0 &&
		     (!state || strcmp(str_at(rule, "state"), state) == 0);
	return n;
}

static void check_acl(const struct look *l, const json_t *share, const char *path)
{
	acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);
	acl_entry_t entry;
	size_t users = 0;

	ck_assert_msg(acl != NULL, "%s: %s: %s", l->where, path, strerror(errno));
	for (int more = acl_get_entry(acl, ACL_FIRST_ENTRY, &entry); more == 1;
	     more = acl_get_entry(acl, ACL_NEXT_ENTRY, &entry)) {
		acl_tag_t tag;
		acl_permset_t perms;
		const uid_t *uid;
		bool enters;

		acl_get_tag_type(entry, &tag);
		acl_get_permset(entry, &perms);
		enters = acl_get_perm(perms, ACL_EXECUTE) == 1;
		ck_assert_msg((tag != ACL_OTHER && tag != ACL_GROUP_OBJ) || !enters, "%s: everybody enters %s",
			      l->where, path);
		if (tag != ACL_USER)
			continue;
		uid = acl_get_qualifier(entry);
		users++;
		ck_assert_msg(enters && wants(l, str_at(share, "id"), *uid),
			      "%s: uid %u has access to %s without a rule", l->where, (unsigned)*uid, path);
		acl_free((void *)uid);
	}
	acl_free(acl);
	/* Of a rule in error nobody knows. */
	ck_assert_msg(users >= count_rules(l, str_at(share, "id"), "active") &&
			      users <= count_rules(l, str_at(share, "id"), NULL),
		      "%s: %zu users have access to %s, and %zu rules say so", l->where, users, path,
		      count_rules(l, str_at(share, "id"), "active"));
}

/* ---- objects ---- */

static void check_share(const struct look *l, const json_t *share)
{
	const json_t *instance = at(share, "instances.0");
	const char *location = jsonx_str(instance, "provider_location");
	_cleanup_json_ json_t *mark = NULL;
	const char *path;

	json_object_set_new(l->known, str_at(instance, "id"), json_true());
	if (strcmp(str_at(share, "status"), "available") != 0)
		return;
	ck_assert_msg(location != NULL, "%s: share %s has no place", l->where, str_at(share, "name"));
	path = fixture_path(l->f, "root/%s", location);
	ck_assert_msg(exists(path), "%s: share %s has no directory", l->where, str_at(share, "name"));
	mark = mark_file(l, str_at(instance, "id"));
	/* An adopted directory is its own gate. */
	if (!mark) {
		mark = mark_of(path);
		ck_assert_msg(exists(fixture_path(l->f, "root/%s/data", location)), "%s: share %s has no data",
			      l->where, str_at(share, "name"));
	}
	check_mark(l, mark, instance, "share");
	/* What is exported has its rules elsewhere. */
	if (strcmp(str_at(share, "share_proto"), "LOCAL") == 0)
		check_acl(l, share, path);
}

static void check_snapshot(const struct look *l, const json_t *snapshot)
{
	const json_t *instance = at(snapshot, "instances.0");
	const char *location = jsonx_str(instance, "provider_location");
	_cleanup_json_ json_t *mark = NULL;

	json_object_set_new(l->known, str_at(instance, "id"), json_true());
	if (strcmp(str_at(snapshot, "status"), "available") != 0)
		return;
	ck_assert_msg(location && exists(fixture_path(l->f, "root/%s", location)), "%s: snapshot %s has no directory",
		      l->where, str_at(snapshot, "name"));
	mark = mark_file(l, str_at(instance, "id"));
	if (!mark)
		mark = mark_of(fixture_path(l->f, "root/%s", location));
	check_mark(l, mark, instance, "snapshot");
}

/* ---- what else is there ---- */

static void must_be_known(const struct look *l, const json_t *mark, const char *path)
{
	const char *state = str_at(mark, "state");

	if (strcmp(state, "unmanaged") == 0)
		return;
	ck_assert_msg(strcmp(state, "available") == 0 && json_object_get(l->known, str_at(mark, "id")),
		      "%s: %s is left behind (%s, %s)", l->where, path, state, str_at(mark, "id"));
}

/* `marked`: whatever is in that directory must carry a mark. */
static void check_directory(const struct look *l, const char *dir, bool marked)
{
	_cleanup_closedir_ DIR *d = opendir(fixture_path(l->f, "%s", dir));
	const struct dirent *e;

	ck_assert_msg(d != NULL, "%s: %s: %s", l->where, dir, strerror(errno));
	while ((e = readdir(d))) {
		const char *path = fixture_path(l->f, "%s/%s", dir, e->d_name);
		_cleanup_json_ json_t *mark = NULL;

		if (e->d_name[0] == '.')
			continue;
		mark = strstr(dir, "objects") ? mark_file(l, e->d_name) : mark_of(path);
		ck_assert_msg(mark || !marked, "%s: %s is left behind without a mark", l->where, path);
		if (mark)
			must_be_known(l, mark, path);
	}
}

static void check_staging(const struct look *l)
{
	_cleanup_closedir_ DIR *d = opendir(fixture_path(l->f, "root/.sharesd/staging"));
	const struct dirent *e;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		ck_assert_msg(e->d_name[0] == '.', "%s: staging/%s is left behind", l->where, e->d_name);
}

void check_disk(const struct fixture *f, const char *where)
{
	/* First: it waits its turn behind all that goes on. */
	_cleanup_json_ json_t *orphans = list_all(f, "list_orphans", "orphans");
	_cleanup_json_ json_t *shares = list_all(f, "list_shares", "shares"),
			      *snapshots = list_all(f, "list_snapshots", "snapshots");
	_cleanup_json_ json_t *rules = list_all(f, "list_access_rules", "access_rules"), *known = json_object();
	struct look l = {
		.f = f, .where = where, .shares = shares, .snapshots = snapshots, .rules = rules, .known = known
	};
	json_t *o;
	size_t i;

	check_rest(&l, shares, "status");
	check_rest(&l, snapshots, "status");
	check_rules_rest(&l);
	json_array_foreach(shares, i, o)
		check_share(&l, o);
	json_array_foreach(snapshots, i, o)
		check_snapshot(&l, o);
	ck_assert_msg(json_array_size(orphans) == 0, "%s: %s is an orphan", where,
		      str_at(json_array_get(orphans, 0), "provider_location"));
	check_directory(&l, "root", false);
	check_directory(&l, "root/.sharesd/snapshots", true);
	check_directory(&l, "root/.sharesd/objects", true);
	check_staging(&l);
}
