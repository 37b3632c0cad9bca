#include "drivers/local/local_place.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/privilege.h"
#include "base/text.h"
#include "drivers/local/local_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define PARAM "provider_location"

struct search {
	const struct local_root *r;
	const char *kind, *id;
	const char *location; /* canonical */
	int fd;               /* of the directory; owned */
	uint64_t which;       /* it is: local_identify */
};

/* ---- the text ---- */

/* "a//b/./c/" is "a/b/c"; a path from "/" may lead into the root. NULL with `e`; owned by the caller. */
static char *canonical(const struct local_backend *b, const char *text, struct error *e)
{
	_cleanup_free_ char *out = xcalloc(1, strlen(text) + 1);
	_cleanup_free_ char *inside = local_root_path(b, "");
	const char *p = text;
	size_t n = 0;

	if (*p == '/' && strcmp(p, b->root) != 0) {
		if (!text_starts_with(p, inside)) {
			error_param(e, PARAM, "%s is not below the root %s of backend \"%s\"", text, b->root, b->name);
			return NULL;
		}
		p += strlen(inside);
	} else if (*p == '/') {
		p = "";
	}
	while (*p) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			error_param(e, PARAM, "%s leads out through \"..\": give a path below the root %s", text,
				    b->root);
			return NULL;
		}
		if (len > 0 && !(len == 1 && *p == '.')) {
			if (n)
				out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len + (p[len] == '/');
	}
	if (n > 0 && n < PATH_MAX)
		return take_ptr(out);
	if (n == 0)
		error_param(e, PARAM, "\"%s\" is the root itself: give a directory below %s", text, b->root);
	else
		error_param(e, PARAM, "the path is longer than %d bytes", PATH_MAX - 1);
	return NULL;
}

/* ---- what it must not be ---- */

static bool is_below(const char *path, const char *above)
{
	size_t n = strlen(above);

	return strncmp(path, above, n) == 0 && path[n] == '/';
}

static int taken(const struct search *s, const json_t *mark, struct error *e)
{
	const char *name = jsonx_str(mark, "name");

	error_set(e, ERR_ALREADY_EXISTS, EEXIST,
		  "%s is the %s %s (%s) of this backend already; where list_orphans shows it, remove its mark first "
		  "(setfattr -x "
		  "user.sharesd, or " LOCAL_META "/objects/%s)",
		  s->location, jsonx_str(mark, "kind"), name ? name : "?", jsonx_str(mark, "id"),
		  jsonx_str(mark, "id"));
	error_add(e, "param", json_string(PARAM));
	return -EEXIST;
}

static int open_directory(struct search *s, struct error *e)
{
	int n;

	s->fd = path_open(s->r->fd, s->location, O_RDONLY | O_DIRECTORY, 0);
	if (s->fd == -ENOENT) {
		error_set(e, ERR_NOT_FOUND, ENOENT, "there is no directory %s in %s", s->location, s->r->b->root);
		error_add(e, "param", json_string(PARAM));
		return -ENOENT;
	}
	if (s->fd == -ENOTDIR)
		return error_param(e, PARAM, "%s is not a directory", s->location);
	if (s->fd == -ELOOP)
		return error_param(e, PARAM,
				   "%s is or leads through a symbolic link: give the path of the directory itself",
				   s->location);
	if (s->fd < 0 && s->fd != -EXDEV)
		return error_errno(e, -s->fd, "cannot open %s in %s", s->location, s->r->b->root);
	if (s->fd == -EXDEV)
		return error_param(e, PARAM,
				   "%s lies on another file system than the root %s: make it a backend of its own",
				   s->location, s->r->b->root);
	n = local_identify(s->fd, ".", &s->which);
	return n < 0 ? error_errno(e, -n, "cannot look at %s in %s", s->location, s->r->b->root) : 0;
}

static int check_directory(const struct search *s, struct error *e)
{
	struct stat st;

	if (fstatat(s->fd, LOCAL_META, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_param(e, PARAM, "%s is the root of a backend", s->location);
	if (fstat(s->fd, &st) < 0)
		return error_errno(e, errno, "cannot look at %s in %s", s->location, s->r->b->root);
	if (privilege_files() || st.st_uid == geteuid())
		return s->r->b->storage->may_adopt(s->r, s->kind, s->fd, s->location, e);
	error_set(e, ERR_NOT_SUPPORTED, EPERM,
		  "%s belongs to user %u, and the daemon runs as user %u: only root can manage directories of others",
		  s->location, (unsigned)st.st_uid, (unsigned)geteuid());
	error_add(e, "param", json_string(PARAM));
	return -EPERM;
}

/* ---- what is there ---- */

static void take(struct search *s, enum local_place_kind what, json_t *mark, bool by_file, struct local_place *ret)
{
	*ret = (struct local_place){ .what = what,
				     .object = { .mark = json_incref(mark),
						 .location = xstrdup(s->location),
						 .gate = take_fd(s->fd),
						 .in_place = by_file && jsonx_bool(mark, "in_place"),
						 .by_file = by_file } };
}

static int inside_given(const struct search *s, const char *place, struct error *e)
{
	return error_param(e, PARAM, "%s is inside %s, the directory of a share that was given back: manage that one",
			   s->location, place);
}

/* Against one mark in objects/. 1: `ret` is filled. */
static int against_file(struct search *s, json_t *mark, struct local_place *ret, struct error *e)
{
	const char *location = jsonx_str(mark, "location");
	bool same = strcmp(location, s->location) == 0;
	bool there = same && (json_int_t)s->which == jsonx_int(mark, "inode") &&
		     strcmp(jsonx_str(mark, "kind"), s->kind) == 0;

	if (strcmp(jsonx_str(mark, "id"), s->id) == 0) {
		if (!there)
			return taken(s, mark, e);
		take(s, LOCAL_PLACE_OURS, mark, true, ret);
		return 1;
	}
	if (strcmp(jsonx_str(mark, "state"), "unmanaged") == 0) {
		if (is_below(s->location, location) && local_object_file_holds(s->r, mark))
			return inside_given(s, location, e);
		if (!there)
			return 0;
		take(s, LOCAL_PLACE_GIVEN, mark, true, ret);
		return 1;
	}
	if (same)
		return taken(s, mark, e);
	if (is_below(s->location, location))
		return error_param(e, PARAM, "%s is inside %s, which is the %s %s already", s->location, location,
				   jsonx_str(mark, "kind"), jsonx_str(mark, "name"));
	if (is_below(location, s->location))
		return error_param(e, PARAM, "%s contains %s, which is the %s %s already", s->location, location,
				   jsonx_str(mark, "kind"), jsonx_str(mark, "name"));
	return 0;
}

static int against_files(struct search *s, struct local_place *ret, struct error *e)
{
	_cleanup_json_ json_t *marks = NULL;
	json_t *mark;
	size_t i;
	int n = local_object_files(s->r, &marks, e);

	if (n < 0)
		return n;
	json_array_foreach(marks, i, mark)
		if ((n = against_file(s, mark, ret, e)) != 0)
			return n;
	return 0;
}

/* Against the mark of a gate, which is `place` itself or above it. 1: `ret` is filled. */
static int against_gate(struct search *s, const char *place, struct local_place *ret, struct error *e)
{
	_cleanup_object_ struct local_object gate = LOCAL_OBJECT_INIT;
	const char *kind;
	bool ours, given;

	if (local_object_at(s->r, place, &gate) < 0)
		return 0;
	given = strcmp(local_object_state(&gate), "unmanaged") == 0;
	ours = strcmp(jsonx_str(gate.mark, "id"), s->id) == 0;
	kind = jsonx_str(gate.mark, "kind");
	if (strcmp(place, s->location) != 0 && given)
		return inside_given(s, place, e);
	if (strcmp(place, s->location) != 0)
		return error_param(e, PARAM, "%s is inside %s, the directory of a share", s->location, place);
	if ((!given && !ours) || !kind || strcmp(kind, s->kind) != 0)
		return taken(s, gate.mark, e);
	take(s, given ? LOCAL_PLACE_GIVEN : LOCAL_PLACE_OURS, gate.mark, false, ret);
	return 1;
}

static int look(struct search *s, struct local_place *ret, struct error *e)
{
	_cleanup_free_ char *first = xstrndup(s->location, strcspn(s->location, "/"));
	bool meta = strcmp(first, LOCAL_META) == 0;
	int n = open_directory(s, e);

	if (n < 0 || (n = against_files(s, ret, e)) != 0)
		return n;
	/* In our own directory only snapshots that were given back can be had. */
	if (meta) {
		n = strcmp(s->kind, "snapshot") == 0 ? against_gate(s, s->location, ret, e) : 0;
		return n ? n : error_param(e, PARAM, "%s belongs to sharesd itself", s->location);
	}
	if ((n = against_gate(s, first, ret, e)) != 0 || (n = check_directory(s, e)) < 0)
		return n;
	take(s, LOCAL_PLACE_ADOPT, NULL, true, ret);
	ret->object.in_place = true;
	return 1;
}

int local_place_find(const struct local_root *r, const char *kind, const char *id, const char *text,
		     struct local_place *ret, struct error *e)
{
	_cleanup_free_ char *location = canonical(r->b, text ? text : "", e);
	struct search s = { .r = r, .kind = kind, .id = id, .location = location, .fd = -1 };
	int n;

	if (!location)
		return -EINVAL;
	n = look(&s, ret, e);
	if (s.fd >= 0)
		close(s.fd);
	return n < 0 ? n : 0;
}
