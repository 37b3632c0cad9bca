#include "daemon/owner.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/privilege.h"
#include "base/text.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

static int parse_user(const char *param, const char *text, uid_t *ret, struct error *e)
{
	int r = text_parse_user(text, ret, NULL);

	if (r < 0 && r != -ENOENT)
		return error_set(e, ERR_INTERNAL, -r, "cannot look up the user \"%s\": %s", text, strerror(-r));
	if (r < 0)
		return error_param(e, param, "there is no user \"%s\" on this host", text);
	return 0;
}

static int parse_group(const char *param, const char *text, gid_t *ret, struct error *e)
{
	int r = text_parse_group(text, ret, NULL);

	if (r < 0 && r != -ENOENT)
		return error_set(e, ERR_INTERNAL, -r, "cannot look up the group \"%s\": %s", text, strerror(-r));
	if (r < 0)
		return error_param(e, param, "there is no group \"%s\" on this host", text);
	return 0;
}

static int find_uid(const struct backend *b, const struct call *c, uid_t *ret, struct error *e)
{
	const json_t *v = json_object_get(c->params, "uid");
	const char *fallback = settings_string(b->settings, "default_uid");

	if (json_is_integer(v))
		*ret = (uid_t)json_integer_value(v);
	else if (json_is_string(v))
		return parse_user("uid", json_string_value(v), ret, e);
	else if (*fallback)
		return parse_user("default_uid", fallback, ret, e);
	else
		*ret = c->who.known && privilege_files() ? c->who.uid : geteuid();
	return 0;
}

static int find_gid(const struct backend *b, const struct call *c, gid_t *ret, struct error *e)
{
	const json_t *v = json_object_get(c->params, "gid");
	const char *fallback = settings_string(b->settings, "default_gid");

	if (json_is_integer(v))
		*ret = (gid_t)json_integer_value(v);
	else if (json_is_string(v))
		return parse_group("gid", json_string_value(v), ret, e);
	else if (*fallback)
		return parse_group("default_gid", fallback, ret, e);
	else
		*ret = c->who.known && privilege_files() ? c->who.gid : getegid();
	return 0;
}

static int refuse(struct error *e, const char *param, unsigned want)
{
	error_set(e, ERR_PERMISSION_DENIED, EPERM,
		  "sharesd does not run as root and cannot give a share to %s %u: leave it out, or run the daemon as "
		  "root",
		  param, want);
	error_add(e, "param", json_string(param));
	return -EPERM;
}

int owner_of_new(const struct backend *b, const struct call *c, struct owner *ret, struct error *e)
{
	const char *mode = jsonx_str(c->params, "mode");
	struct owner o;
	int r;

	if ((r = find_uid(b, c, &o.uid, e)) < 0 || (r = find_gid(b, c, &o.gid, e)) < 0)
		return r;
	if (!privilege_files() && o.uid != geteuid())
		return refuse(e, "uid", o.uid);
	if (!privilege_files() && o.gid != getegid() && !group_member(o.gid))
		return refuse(e, "gid", o.gid);
	o.mode = settings_mode(b->settings, "default_mode");
	if (mode)
		text_parse_mode(mode, &o.mode);
	*ret = o;
	return 0;
}
