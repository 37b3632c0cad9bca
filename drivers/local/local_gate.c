#include "drivers/local/local_gate.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_object.h"
#include "drivers/local/local_replica.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct gate {
	const struct local_object *share;
	uid_t owner;
	gid_t group;
	struct local_acl_user *users;
	size_t n, room;
	json_t *results; /* rule id to state */
	bool read_only;  /* nobody can change the data: such are the rules, too */
};

static bool has_rule(const struct driver_rule *list, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].id, id) == 0)
			return true;
	return false;
}

static bool is_reported(const struct driver_rules *rules, const char *id)
{
	if (rules->n_add + rules->n_remove + rules->n_update == 0)
		return true;
	return has_rule(rules->add, rules->n_add, id) || has_rule(rules->update, rules->n_update, id);
}

/* ---- one rule ---- */

static int groups_of(uid_t uid, gid_t **ret, int *ret_n)
{
	_cleanup_free_ char *buf = xmalloc(64 << 10);
	struct passwd pw, *found = NULL;
	int n = 64, err = getpwuid_r(uid, &pw, buf, 64 << 10, &found);
	gid_t *groups;

	if (err && err != ENOENT && err != ESRCH)
		return -err;
	if (!found) { /* a number without a name is in no group */
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	groups = xmalloc((size_t)n * sizeof *groups);
	while (getgrouplist(pw.pw_name, pw.pw_gid, groups, &n) < 0)
		groups = xrealloc(groups, (size_t)n * sizeof *groups);
	*ret = groups;
	*ret_n = n;
	return 0;
}

/* An adopted directory is its own gate: who has a rule may there what he could before. */
static int perms_for(const struct gate *g, uid_t uid, unsigned *ret)
{
	const char *acl = jsonx_str(g->share->mark, "acl");
	_cleanup_free_ gid_t *groups = NULL;
	int n_groups = 0, n;

	*ret = LOCAL_ACL_SEARCH;
	if (!g->share->in_place || !acl)
		return 0;
	if ((n = groups_of(uid, &groups, &n_groups)) < 0)
		return n;
	if ((n = local_acl_perms(acl, g->owner, g->group, uid, groups, (size_t)n_groups, ret)) < 0)
		return n;
	*ret |= LOCAL_ACL_SEARCH;
	return 0;
}

static void let_in(struct gate *g, uid_t uid, unsigned perms)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->users[i].uid == uid)
			return;
	if (g->n == g->room) {
		g->room = g->room ? 2 * g->room : 16;
		g->users = xrealloc(g->users, g->room * sizeof *g->users);
	}
	g->users[g->n++] = (struct local_acl_user){ .uid = uid, .perms = perms };
}

/* Why a rule cannot be, or NULL. Owned by the caller. */
static char *refusal(const struct gate *g, const struct driver_rule *rule)
{
	if (strcmp(rule->access_type, "user") != 0)
		return xasprintf("rules of type %s are not for directories: use a rule of type user",
				 rule->access_type);
	if (g->read_only && strcmp(rule->access_level, "ro") != 0)
		return xasprintf("level %s is not for a replica that can only be read", rule->access_level);
	if (!g->read_only && strcmp(rule->access_level, "rw") != 0)
		return xasprintf("level %s is not for directories: use rw, and modes or ACLs inside the share",
				 rule->access_level);
	return NULL;
}

/* A rule that is wrong fails alone; where users cannot be looked up at all, nothing may change: who has access would
 * lose it. */
static int take_rule(struct gate *g, const struct driver_rule *rule, bool reported, struct error *e)
{
	_cleanup_free_ char *reason = refusal(g, rule);
	unsigned perms;
	uid_t uid;
	int r = reason ? -ENOENT : text_parse_user(rule->access_to, &uid, NULL);

	if (r == 0)
		r = perms_for(g, uid, &perms);
	if (r < 0 && r != -ENOENT)
		return error_errno(e, -r, "cannot look up the user %s; no access was changed", rule->access_to);
	if (r == 0)
		let_in(g, uid, perms);
	else if (!reason)
		reason = xasprintf("there is no user %s", rule->access_to);
	if (reported)
		json_object_set_new(g->results, rule->id,
				    reason ? jsonx_pack("{s:s,s:o}", "state", "error", "reason", jsonx_string(reason))
					   : jsonx_pack("{s:s}", "state", "active"));
	return 0;
}

static int take_rules(struct gate *g, const struct driver_rules *rules, struct error *e)
{
	const struct {
		const struct driver_rule *list;
		size_t n;
	} lists[] = { { rules->all, rules->n_all }, { rules->add, rules->n_add }, { rules->update, rules->n_update } };

	for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
		for (size_t i = 0; i < lists[l].n; i++) {
			const struct driver_rule *rule = &lists[l].list[i];
			int r;

			if (has_rule(rules->remove, rules->n_remove, rule->id) || json_object_get(g->results, rule->id))
				continue;
			if ((r = take_rule(g, rule, is_reported(rules, rule->id), e)) < 0)
				return r;
		}
	return 0;
}

/* ---- the whole ---- */

static int set_acl(const struct gate *g)
{
	/* Being adopted: those who stay get their rule before the others lose what the mode gave. */
	int r = local_object_is_available(g->share) ? 0 : local_acl_add(g->share->gate, g->users, g->n);

	return r == 0 ? local_acl_set(g->share->gate, g->users, g->n) : r;
}

static int apply(const struct gate *g, const struct local_root *root, struct error *e)
{
	_cleanup_free_ char *path = local_root_path(root->b, g->share->location);
	int r, n;

	crash_step("local: set a gate's ACL");
	r = set_acl(g);
	/* Data that are full have no room even for another ACL: the limit is lifted for it. */
	if (r == -EDQUOT && g->share->in_place && local_object_limit(root, g->share, 0, NULL) == 0) {
		uint64_t size = (uint64_t)jsonx_int(g->share->mark, "size_bytes");

		r = set_acl(g);
		if ((n = local_object_limit(root, g->share, size, e)) < 0)
			return n;
	}
	if (r == -ENOSPC || r == -E2BIG || r == -ERANGE)
		return error_set(e, ERR_NO_SPACE, -r,
				 "the ACL of %s has no room for %zu rules: remove some, or give a group access inside",
				 path, g->n);
	if (r < 0)
		return error_errno(e, -r, "cannot set the ACL of %s", path);
	crash_step("local: gate's ACL was set");
	return local_flush(root->b, g->share->gate, path, e);
}

int local_gate_set(const struct local_root *r, const struct local_object *share, const struct driver_rules *rules,
		   bool read_only, json_t **ret_results, struct error *e)
{
	static const struct driver_rules none;
	_cleanup_json_ json_t *results = json_object();
	struct gate g = { .share = share, .results = results, .read_only = read_only };
	struct stat st;
	int n;

	if (fstat(share->gate, &st) < 0)
		return error_errno(e, errno, "cannot look at the gate %s", share->location);
	g.owner = st.st_uid;
	g.group = st.st_gid;
	n = take_rules(&g, rules ? rules : &none, e);
	if (n == 0)
		n = apply(&g, r, e);
	free(g.users);
	if (n == 0 && ret_results)
		*ret_results = take_ptr(results);
	return n;
}

bool local_gate_takes_rules(const struct local_object *share)
{
	const char *proto = jsonx_str(share->mark, "proto");

	return !proto || strcmp(proto, "LOCAL") == 0;
}

int local_gate_prepare(const struct local_object *share, struct error *e)
{
	const char *proto = jsonx_str(share->mark, "proto");
	bool as_user = proto && (strcmp(proto, "CIFS") == 0 || strcmp(proto, "NFS_CIFS") == 0);

	if (share->in_place || !as_user || fchmod(share->gate, 0711) == 0)
		return 0;
	return error_errno(e, errno, "cannot set the mode of the gate %s", share->location);
}

static void add_active(json_t *results, const struct driver_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_object_set_new(results, rules[i].id, jsonx_pack("{s:s}", "state", "active"));
}

/* Nobody gets in, and that is as it should be: a replica that nothing holds read-only is there to be promoted. */
static int shut(const struct local_root *root, const struct local_object *share, const struct driver_rules *rules,
		json_t **ret_results, struct error *e)
{
	int r = local_gate_set(root, share, NULL, false, NULL, e);

	if (r < 0)
		return r;
	*ret_results = json_object();
	if (rules->n_add + rules->n_update + rules->n_remove == 0)
		add_active(*ret_results, rules->all, rules->n_all);
	add_active(*ret_results, rules->add, rules->n_add);
	add_active(*ret_results, rules->update, rules->n_update);
	return 0;
}

int local_update_access(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root root = LOCAL_ROOT_INIT;
	_cleanup_object_ struct local_object share = LOCAL_OBJECT_INIT;
	bool secondary = local_replica_is_secondary(call->share), held;
	json_t *results = NULL;
	int r;

	if ((r = local_root_open(backend, &root, e)) < 0 || (r = local_share_find(&root, call->share, &share, e)) < 0)
		return r;
	held = secondary && local_replica_can_hold(&root);
	/* What is its own gate could not be changed. */
	if (call->share->replica_state && (!held || share.in_place) &&
	    (r = local_replica_hold(&root, &share, false, e)) < 0)
		return r;
	if (!local_gate_takes_rules(&share))
		results = json_object();
	else if ((r = secondary && !held ? shut(&root, &share, call->rules, &results, e)
					 : local_gate_set(&root, &share, call->rules, held, &results, e)) < 0)
		return r;
	if (held && (r = local_replica_hold(&root, &share, true, e)) < 0) {
		json_decref(results);
		return r;
	}
	ret->values = jsonx_pack("{s:o}", "rules", results);
	return 0;
}
