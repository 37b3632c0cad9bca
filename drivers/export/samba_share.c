#include "drivers/export/samba_share.h"

#include "base/address.h"
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* Of a share's name, by the protocol. */
enum { NAME_MAX_LENGTH = 80 };

/* ---- what Samba cannot have ---- */

static int check_name(const char *name, struct error *e)
{
	static const char *const reserved[] = { "global", "homes", "printers", "profiles", "netlogon",
						"sysvol", "ipc",   "admin",    "print",    NULL };

	for (const char *const *word = reserved; *word; word++)
		if (strcasecmp(name, *word) == 0)
			return error_param(e, "name",
					   "\"%s\" has a meaning of its own in Samba: choose another name for a share "
					   "over SMB",
					   name);
	if (strlen(name) > NAME_MAX_LENGTH)
		return error_param(e, "name", "the name of a share over SMB has %d characters at most",
				   NAME_MAX_LENGTH);
	return 0;
}

static int check_path(const char *path, struct error *e)
{
	size_t n = strlen(path);

	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || strchr("%\"\\", *c))
			return error_set(e, ERR_NOT_SUPPORTED, EINVAL,
					 "%s cannot be exported by Samba: its path has a %%, \", \\ or control "
					 "character",
					 path);
	if (path[n - 1] == ' ')
		return error_set(e, ERR_NOT_SUPPORTED, EINVAL,
				 "%s cannot be exported by Samba: its path ends with a blank", path);
	return 0;
}

/* May some users pass who are not root: by others' bits, by its group's, or by an ACL? */
static bool lets_users_pass(const char *path, const struct stat *st)
{
	if (st->st_mode & S_IXOTH)
		return true;
	return (st->st_mode & S_IXGRP) && (st->st_gid != 0 || getxattr(path, "system.posix_acl_access", NULL, 0) > 0);
}

/* Samba comes to the share as the user. */
static int check_way(const char *path, struct error *e)
{
	for (const char *c = path + 1; (c = strchr(c, '/')); c++) {
		_cleanup_free_ char *above = xstrndup(path, (size_t)(c - path));
		struct stat st;

		if (stat(above, &st) < 0)
			return error_errno(e, errno, "cannot look at %s on the way to %s", above, path);
		if (!lets_users_pass(above, &st))
			return error_set(e, ERR_INVALID_STATE, EACCES,
					 "users cannot come to %s: %s is closed to them (mode %04o); run chmod o+x %s",
					 path, above, (unsigned)st.st_mode & 07777, above);
	}
	return 0;
}

int samba_share_check(const struct export *x, bool for_users, struct error *e)
{
	int r;

	if ((r = check_name(x->name, e)) < 0 || (r = check_path(x->path, e)) < 0)
		return r;
	return for_users ? check_way(x->path, e) : 0;
}

/* ---- rules ---- */

struct lists {
	json_t *users, *writers, *hosts;
	bool by_user, by_host;  /* there are rules of this type, even if none of them can be */
	const char *host_level; /* of all rules of type ip */
};

static const char *level_of_hosts(const struct driver_rule *rules, size_t n, const json_t *was)
{
	const char *level = jsonx_str(was, "sharesd:level"), *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(rules[i].access_type, "ip") != 0)
			continue;
		if (level && strcmp(rules[i].access_level, level) == 0)
			return level;
		if (!first)
			first = rules[i].access_level;
	}
	return first;
}

static char *refuse_user(const char *user, const json_t *known)
{
	size_t n = strlen(user);

	if (n == 0 || strpbrk(user, "\"%,;\t\r\n") || strchr("@+&-", *user) || user[n - 1] == '\\')
		return xasprintf("\"%s\" cannot be written in Samba's configuration", user);
	if (!json_object_get(known, user))
		return xasprintf("%s is not in Samba's passdb: add the user with smbpasswd -a %s, then update_access",
				 user, user);
	return NULL;
}

/* Why the rule cannot be, owned by the caller; NULL: it is in the lists now. */
static char *take(struct lists *l, const struct driver_rule *rule, const json_t *known)
{
	bool write = strcmp(rule->access_level, "rw") == 0;
	char *reason;

	if (rule->options && json_object_size(rule->options) > 0)
		return xstrdup("rules of SMB shares have no options");
	if (strcmp(rule->access_type, "user") == 0) {
		l->by_user = true;
		if ((reason = refuse_user(rule->access_to, known)))
			return reason;
		json_array_append_new(l->users, jsonx_string(rule->access_to));
		if (write)
			json_array_append_new(l->writers, jsonx_string(rule->access_to));
		return NULL;
	}
	l->by_host = true;
	if (!l->host_level || strcmp(l->host_level, rule->access_level) != 0)
		return xasprintf("Samba cannot let some addresses write and others only read: all rules of type ip of "
				 "a share over SMB have one level, and those in force have %s",
				 l->host_level);
	json_array_append_new(l->hosts, jsonx_string(rule->access_to));
	return NULL;
}

/* "one", "two words": owned by the caller. */
static char *join(const json_t *list)
{
	char *all = NULL;
	size_t i, len;
	json_t *v;
	FILE *to = open_memstream(&all, &len);

	if (!to)
		abort();
	json_array_foreach(list, i, v) {
		const char *word = json_string_value(v);

		fprintf(to, strchr(word, ' ') ? "%s\"%s\"" : "%s%s", i ? " " : "", word);
	}
	fclose(to);
	return all;
}

static void set_list(json_t *share, const char *parameter, const json_t *list)
{
	_cleanup_free_ char *text = join(list);

	if (*text)
		json_object_set_new(share, parameter, jsonx_string(text));
}

/* Deny by default: what no rule opens is not even there. */
static void set_access(json_t *share, const struct lists *l, bool read_only)
{
	bool users = json_array_size(l->users) > 0, hosts = json_array_size(l->hosts) > 0;
	bool open = (users || hosts) && users == l->by_user && hosts == l->by_host;
	bool write = open && !read_only && !(l->host_level && strcmp(l->host_level, "ro") == 0);

	json_object_set_new(share, "available", json_string(open ? "yes" : "no"));
	json_object_set_new(share, "guest ok", json_string("no"));
	json_object_set_new(share, "read only", json_string(write && !users ? "no" : "yes"));
	set_list(share, "valid users", l->users);
	if (write)
		set_list(share, "write list", l->writers);
	set_list(share, "hosts allow", l->hosts);
	if (hosts)
		json_object_set_new(share, "sharesd:level", json_string(l->host_level));
	if (hosts || !open)
		json_object_set_new(share, "hosts deny", json_string("ALL"));
}

json_t *samba_share_make(const struct export *x, const struct driver_rule *rules, size_t n, const json_t *users,
			 const json_t *was, json_t *results)
{
	_cleanup_json_ json_t *names = json_array(), *writers = json_array(), *hosts = json_array();
	struct lists l = {
		.users = names, .writers = writers, .hosts = hosts, .host_level = level_of_hosts(rules, n, was)
	};
	json_t *share = jsonx_pack("{s:o,s:s,s:s,s:o,s:s}", "path", jsonx_string(x->path), "sharesd:instance", x->id,
				   "sharesd:backend", x->backend, "sharesd:number", json_sprintf("%u", x->number),
				   "comment", "a share of sharesd");

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *reason = take(&l, &rules[i], users);

		json_object_set_new(results, rules[i].id,
				    reason ? jsonx_pack("{s:s,s:o}", "state", "error", "reason", jsonx_string(reason))
					   : jsonx_pack("{s:s}", "state", "active"));
	}
	set_access(share, &l, x->read_only);
	return share;
}

char *samba_share_text(const char *name, const json_t *share)
{
	char *text = NULL;
	const char *key;
	size_t len;
	json_t *v;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	fprintf(to, "[%s]\n", name);
	json_object_foreach((json_t *)share, key, v)
		fprintf(to, "\t%s = %s\n", key, json_string_value(v));
	fclose(to);
	return text;
}

const char *samba_share_id(const json_t *share)
{
	return jsonx_str(share, "sharesd:instance");
}

/* ---- what a change takes away ---- */

static bool same(const json_t *was, const json_t *now, const char *parameter)
{
	const char *a = jsonx_str(was, parameter), *b = jsonx_str(now, parameter);

	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is(const json_t *share, const char *parameter, const char *value)
{
	const char *v = jsonx_str(share, parameter);

	return v && strcasecmp(v, value) == 0;
}

/* As a word of a list that `join` made. */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p && *p;) {
		bool quoted = *p == '"';
		const char *end = p + quoted + strcspn(p + quoted, quoted ? "\"" : " ");

		p += quoted;
		if ((size_t)(end - p) == n && strncmp(p, word, n) == 0)
			return true;
		p = end + (quoted && *end);
		p += strspn(p, " ");
	}
	return false;
}

enum samba_loss samba_share_loss(const json_t *was, const json_t *now)
{
	if (!was || is(was, "available", "no"))
		return LOSS_NONE;
	if (!now || is(now, "available", "no") || !same(was, now, "path"))
		return LOSS_ALL;
	/* Everybody wrote, whose names stand nowhere. */
	if (is(was, "read only", "no") && !is(now, "read only", "no"))
		return LOSS_ALL;
	return same(was, now, "valid users") && same(was, now, "write list") && same(was, now, "hosts allow")
		       ? LOSS_NONE
		       : LOSS_SOME;
}

static bool admits(const json_t *share, const char *machine)
{
	const char *list = jsonx_str(share, "hosts allow");
	_cleanup_free_ char *words = xstrdup(list);
	struct address net, host;
	char *next = words;

	if (!list)
		return true;
	if (!machine || address_parse(machine, &host) < 0)
		return false;
	for (const char *word = strsep(&next, " "); word; word = strsep(&next, " "))
		if (address_parse(word, &net) == 0 && address_holds(&net, &host))
			return true;
	return false;
}

bool samba_share_takes_from(const json_t *was, const json_t *now, const char *user, const char *machine)
{
	const char *wrote = jsonx_str(was, "write list");

	if (!admits(now, machine))
		return true;
	return wrote && !is(now, "read only", "no") &&
	       (!user || (has_word(wrote, user) && !has_word(jsonx_str(now, "write list"), user)));
}
