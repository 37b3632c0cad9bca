#include "drivers/local/local_object.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_storage.h"
#include "drivers/local/local_trash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define XATTR "user.sharesd"

enum { MARK_MAX = 16 << 10, MARK_DEPTH = 8 };

struct wanted {
	const char *kind, *id, *name;
	const char *location; /* where the driver said it is, or NULL */
	const char *usual;    /* where it would be if the driver had come to say so */
};

void local_object_clear(struct local_object *o)
{
	json_decref(o->mark);
	free(o->location);
	cleanup_close(&o->gate);
	*o = LOCAL_OBJECT_INIT;
}

/* ---- reading marks ---- */

/* -EUCLEAN: no mark of this backend's. */
static int parse_mark(const struct local_root *r, const char *text, size_t len, json_t **ret)
{
	_cleanup_json_ json_t *mark = NULL;
	const char *backend;

	if (jsonx_parse(text, len, MARK_DEPTH, &mark, NULL) < 0)
		return -EUCLEAN;
	backend = jsonx_str(mark, "backend_id");
	if (jsonx_int(mark, "version") != 1 || !jsonx_str(mark, "id") || !jsonx_str(mark, "kind") ||
	    !jsonx_str(mark, "state") || !backend || strcmp(backend, r->b->id) != 0)
		return -EUCLEAN;
	*ret = take_ptr(mark);
	return 0;
}

/* -ENODATA: no mark there. */
static int read_xattr(const struct local_root *r, int fd, json_t **ret)
{
	char text[MARK_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* On a directory of somebody else's it would be his word. */
	if (st.st_uid != geteuid())
		return -ENODATA;
	n = fgetxattr(fd, XATTR, text, sizeof text);
	if (n < 0)
		return errno == EOPNOTSUPP ? -ENODATA : errno == ERANGE ? -EUCLEAN : -errno;
	return parse_mark(r, text, (size_t)n, ret);
}

static int read_file(const struct local_root *r, const char *id, json_t **ret)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *mark = NULL;
	size_t len;
	int n = path_read_file(r->objects, id, MARK_MAX, &text, &len);

	if (n < 0)
		return n;
	if (parse_mark(r, text, len, &mark) < 0 || !jsonx_str(mark, "location") ||
	    strcmp(jsonx_str(mark, "id"), id) != 0)
		return -EUCLEAN;
	*ret = take_ptr(mark);
	return 0;
}

int local_object_files(const struct local_root *r, json_t **ret, struct error *e)
{
	_cleanup_closedir_ DIR *d = local_list(r->objects);
	_cleanup_json_ json_t *marks = json_array();
	const struct dirent *entry;

	if (!d)
		return error_errno(e, errno, "cannot read %s/" LOCAL_META "/objects", r->b->root);
	while (errno = 0, (entry = readdir(d))) {
		json_t *mark = NULL;

		/* Dots: what a crash left of a mark that was being written. */
		if (*entry->d_name != '.' && read_file(r, entry->d_name, &mark) == 0)
			json_array_append_new(marks, mark);
	}
	if (errno)
		return error_errno(e, errno, "cannot read %s/" LOCAL_META "/objects", r->b->root);
	*ret = take_ptr(marks);
	return 0;
}

bool local_object_file_holds(const struct local_root *r, const json_t *mark)
{
	_cleanup_close_ int fd = path_open(r->fd, jsonx_str(mark, "location"), O_PATH | O_DIRECTORY, 0);
	uint64_t id;

	return fd >= 0 && local_identify(fd, ".", &id) == 0 && (json_int_t)id == jsonx_int(mark, "inode");
}

/* ---- finding objects ---- */

static int missing(const struct local_root *r, const struct wanted *w, const char *location, struct error *e)
{
	_cleanup_free_ char *path = local_root_path(r->b, location);

	return error_set(e, ERR_NOT_FOUND, ENOENT, "the %s %s is missing: there is no directory %s of it", w->kind,
			 w->name, path);
}

static int stale(const struct local_root *r, const struct wanted *w, const char *location, struct error *e)
{
	_cleanup_free_ char *path = local_root_path(r->b, location);

	return error_set(e, ERR_INVALID_STATE, ESTALE,
			 "%s is not the %s %s: its mark is missing or another's; put the right directory back, or "
			 "unmanage the %s",
			 path, w->kind, w->name, w->kind);
}

/* `known`: a mark in objects/ says that it was there. Else a link or a file in that place was never a share. */
static int open_place(const struct local_root *r, const struct wanted *w, const char *location, bool known, int *ret,
		      struct error *e)
{
	int fd = path_check_relative(location);

	if (fd == 0)
		fd = path_open(r->fd, location, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT || fd == -EINVAL || (!known && (fd == -ENOTDIR || fd == -ELOOP)))
		return missing(r, w, location, e);
	if (fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return stale(r, w, location, e);
	if (fd < 0)
		return error_errno(e, -fd, "cannot open %s in %s", location, r->b->root);
	*ret = fd;
	return 0;
}

/* A revert that happened although nobody came to write so. */
static void fold_next(struct local_object *o)
{
	json_t *next = jsonx_get(o->mark, "next");
	uint64_t id;

	if (next && local_object_data_id(o, &id) == 0 && (json_int_t)id == jsonx_int(next, "inode")) {
		json_object_set(o->mark, "call_id", json_object_get(next, "call_id"));
		json_object_set(o->mark, "size_bytes", json_object_get(next, "size_bytes"));
		if (o->in_place)
			json_object_set(o->mark, "inode", json_object_get(next, "inode"));
	}
	json_object_del(o->mark, "next");
}

static int load_by_file(const struct local_root *r, const struct wanted *w, struct local_object *o, struct error *e)
{
	uint64_t id;
	int n;

	o->by_file = true;
	o->in_place = jsonx_bool(o->mark, "in_place");
	o->location = xstrdup(jsonx_str(o->mark, "location"));
	if ((n = open_place(r, w, o->location, true, &o->gate, e)) < 0)
		return n;
	fold_next(o);
	if ((n = local_identify(o->gate, ".", &id)) < 0)
		return error_errno(e, -n, "cannot look at %s in %s", o->location, r->b->root);
	if ((json_int_t)id != jsonx_int(o->mark, "inode") || strcmp(jsonx_str(o->mark, "kind"), w->kind) != 0)
		return stale(r, w, o->location, e);
	return 0;
}

/* A gate that lost its mark, on the way through a backup perhaps, rather than something that never was ours. */
static bool looks_like_gate(int fd)
{
	struct stat st, data;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & S_IRWXO) == 0 &&
	       fstatat(fd, "data", &data, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(data.st_mode);
}

static int load_by_xattr(const struct local_root *r, const struct wanted *w, struct local_object *o, struct error *e)
{
	int n;

	o->location = xstrdup(w->location ? w->location : w->usual);
	n = open_place(r, w, o->location, false, &o->gate, e);
	if (n == 0) {
		n = read_xattr(r, o->gate, &o->mark);
		if (n < 0 && n != -ENODATA && n != -EUCLEAN)
			return error_errno(e, -n, "cannot read the mark of %s in %s", o->location, r->b->root);
		if (n == -ENODATA && !looks_like_gate(o->gate))
			n = missing(r, w, o->location, e);
		else if (n < 0 || strcmp(jsonx_str(o->mark, "id"), w->id) != 0 ||
			 strcmp(jsonx_str(o->mark, "kind"), w->kind) != 0)
			n = stale(r, w, o->location, e);
	}
	/* What the driver never answered for, or was given back, is not this object's, whatever stands there. */
	if (n == -ESTALE && (!w->location || (o->mark && strcmp(local_object_state(o), "unmanaged") == 0)))
		n = missing(r, w, o->location, e);
	if (n == 0)
		fold_next(o);
	return n;
}

static int load(const struct local_root *r, const struct wanted *w, struct local_object *ret, struct error *e)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n = read_file(r, w->id, &o.mark);

	if (n == 0)
		n = load_by_file(r, w, &o, e);
	else if (n == -ENOENT)
		n = load_by_xattr(r, w, &o, e);
	else if (n == -EUCLEAN)
		return error_set(e, ERR_INVALID_STATE, EUCLEAN,
				 "the mark %s/" LOCAL_META
				 "/objects/%s of the %s %s is damaged: put it back from a backup, or remove it",
				 r->b->root, w->id, w->kind, w->name);
	else
		return error_errno(e, -n, "cannot read %s/" LOCAL_META "/objects/%s", r->b->root, w->id);
	if (n < 0)
		return n;
	*ret = o;
	o = LOCAL_OBJECT_INIT;
	return 0;
}

int local_share_load(const struct local_root *r, const struct driver_share *s, struct local_object *ret,
		     struct error *e)
{
	struct wanted w = { "share", s->id, s->name, s->provider_location, s->name };

	return load(r, &w, ret, e);
}

int local_snapshot_load(const struct local_root *r, const struct driver_snapshot *s, struct local_object *ret,
			struct error *e)
{
	_cleanup_free_ char *usual = xasprintf(LOCAL_META "/snapshots/%s", s->id);
	struct wanted w = { "snapshot", s->id, s->name ? s->name : s->id, s->provider_location, usual };

	return load(r, &w, ret, e);
}

static int need_available(const struct local_root *r, const char *kind, const char *name, struct local_object *o,
			  struct error *e)
{
	_cleanup_free_ char *path = NULL;

	if (local_object_is_available(o))
		return 0;
	path = local_root_path(r->b, o->location);
	error_set(e, ERR_NOT_FOUND, ENOENT, "%s is not the %s %s any more: it was unmanaged", path, kind, name);
	local_object_clear(o);
	return -ENOENT;
}

int local_share_find(const struct local_root *r, const struct driver_share *s, struct local_object *ret,
		     struct error *e)
{
	int n = local_share_load(r, s, ret, e);

	return n < 0 ? n : need_available(r, "share", s->name, ret, e);
}

int local_snapshot_find(const struct local_root *r, const struct driver_snapshot *s, struct local_object *ret,
			struct error *e)
{
	int n = local_snapshot_load(r, s, ret, e);

	return n < 0 ? n : need_available(r, "snapshot", s->name, ret, e);
}

int local_object_at(const struct local_root *r, const char *location, struct local_object *ret)
{
	_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
	int n;

	o.gate = path_open(r->fd, location, O_RDONLY | O_DIRECTORY, 0);
	if (o.gate < 0)
		return -ENOENT;
	n = read_xattr(r, o.gate, &o.mark);
	if (n < 0)
		return -ENOENT;
	o.location = xstrdup(location);
	fold_next(&o);
	*ret = o;
	o = LOCAL_OBJECT_INIT;
	return 0;
}

const char *local_object_state(const struct local_object *o)
{
	return jsonx_str(o->mark, "state");
}

bool local_object_is_available(const struct local_object *o)
{
	return strcmp(local_object_state(o), "available") == 0;
}

/* ---- writing marks ---- */

json_t *local_share_mark(const struct local_backend *b, const struct driver_share *s, const char *call_id)
{
	return jsonx_pack("{s:i,s:s,s:s,s:s?,s:s?,s:s?,s:s,s:s,s:I,s:s}", "version", 1, "kind", "share", "id", s->id,
			  "share_id", s->share_id, "name", s->name, "proto", s->share_proto, "backend_id", b->id,
			  "call_id", call_id, "size_bytes", (json_int_t)s->size_bytes, "state", "available");
}

json_t *local_snapshot_mark(const struct local_backend *b, const struct driver_snapshot *s, const char *call_id)
{
	return jsonx_pack("{s:i,s:s,s:s,s:s?,s:s?,s:s?,s:s,s:s,s:I,s:s}", "version", 1, "kind", "snapshot", "id", s->id,
			  "snapshot_id", s->snapshot_id, "share_instance_id", s->share_instance_id, "name", s->name,
			  "backend_id", b->id, "call_id", call_id, "size_bytes", (json_int_t)s->size_bytes, "state",
			  "available");
}

static int write_xattr(const struct local_root *r, struct local_object *o)
{
	_cleanup_free_ char *text = jsonx_dump(o->mark);

	if (fsetxattr(o->gate, XATTR, text, strlen(text), 0) < 0)
		return -errno;
	crash_step("local: wrote a mark");
	return local_order(r->b, o->gate, o->location, NULL);
}

static int write_file(const struct local_root *r, struct local_object *o)
{
	_cleanup_free_ char *text = NULL;
	uint64_t id;
	int n = local_identify(o->gate, ".", &id);

	if (n < 0)
		return n;
	json_object_set_new(o->mark, "location", json_string(o->location));
	json_object_set_new(o->mark, "in_place", json_boolean(o->in_place));
	json_object_set_new(o->mark, "inode", json_integer((json_int_t)id));
	text = jsonx_dump(o->mark);
	n = path_write_file(r->objects, jsonx_str(o->mark, "id"), text, strlen(text), 0600);
	crash_step("local: wrote a mark");
	return n;
}

int local_object_write(const struct local_root *r, struct local_object *o, struct error *e)
{
	int n = -EOPNOTSUPP;

	crash_step("local: write a mark");
	if (!o->by_file && !o->in_place)
		n = write_xattr(r, o);
	if (n == -EOPNOTSUPP) {
		o->by_file = true;
		n = write_file(r, o);
	}
	return n < 0 ? error_errno(e, -n, "cannot write the mark of %s in %s", o->location, r->b->root) : 0;
}

int local_object_save(const struct local_root *r, struct local_object *o, struct error *e)
{
	int n = local_object_write(r, o, e);

	return n == 0 && r->b->storage->commit ? local_flush(r->b, o->gate, "a mark", e) : n;
}

int local_object_forget(const struct local_root *r, const char *id, struct error *e)
{
	crash_step("local: remove a mark");
	if (unlinkat(r->objects, id, 0) < 0)
		return errno == ENOENT
			       ? 0
			       : error_errno(e, errno, "cannot remove %s/" LOCAL_META "/objects/%s", r->b->root, id);
	crash_step("local: removed a mark");
	return local_flush(r->b, r->objects, "the directory of marks", e);
}

int local_object_trash(const struct local_root *r, const struct local_object *o, const char *call_id, struct error *e)
{
	const char *name, *id = jsonx_str(o->mark, "id");
	_cleanup_close_ int parent = path_open_parent(r->fd, o->location, &name);
	uint64_t which;
	int n = parent < 0 ? parent : local_identify(o->gate, ".", &which);

	if (n < 0)
		return error_errno(e, -n, "cannot open the directory of %s in %s", o->location, r->b->root);
	if (r->b->storage->let_go && (n = r->b->storage->let_go(r, o, true, e)) < 0)
		return n;
	n = local_trash(r, parent, name, which, id, call_id, e);
	if (n < 0 && n != -ENOENT)
		return n;
	return local_object_forget(r, id, e);
}

/* ---- data ---- */

int local_object_open_data(const struct local_object *o, struct error *e)
{
	int fd = path_open(o->gate, o->in_place ? "." : "data", O_RDONLY | O_DIRECTORY, 0);

	return fd < 0 ? error_errno(e, -fd, "cannot open the data of %s", o->location) : fd;
}

int local_object_data_id(const struct local_object *o, uint64_t *ret)
{
	return local_identify(o->gate, o->in_place ? "." : "data", ret);
}

char *local_object_data_location(const struct local_object *o)
{
	return o->in_place ? xstrdup(o->location) : xasprintf("%s/data", o->location);
}

int local_object_limit(const struct local_root *r, const struct local_object *o, uint64_t size_bytes, struct error *e)
{
	_cleanup_close_ int data = -1;

	if (!r->b->storage->limit)
		return 0;
	data = local_object_open_data(o, e);
	return data < 0 ? data : r->b->storage->limit(r, data, size_bytes, e);
}
