/* list_objects: all that carries a mark of this backend. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/local/local_object.h"

#include <errno.h>
#include <string.h>

struct list {
	const struct local_root *r;
	json_t *objects;
	json_t *seen; /* ids */
};

static void add(struct list *l, const struct local_object *o)
{
	const char *id = jsonx_str(o->mark, "id");

	if (!local_object_is_available(o) || json_object_get(l->seen, id))
		return;
	json_object_set_new(l->seen, id, json_true());
	json_array_append_new(l->objects, jsonx_pack("{s:O,s:s,s:o,s:o}", "kind", json_object_get(o->mark, "kind"),
						     "id", id, "name", jsonx_string(jsonx_str(o->mark, "name")),
						     "provider_location", jsonx_string(o->location)));
}

/* Those whose mark is an xattr, in one directory. `prefix` is its location with a slash, or empty. */
static int list_gates(struct list *l, int dirfd, const char *prefix, struct error *e)
{
	_cleanup_closedir_ DIR *d = local_list(dirfd);
	const struct dirent *entry;

	if (!d)
		return error_errno(e, errno, "cannot read %s/%s", l->r->b->root, prefix);
	while (errno = 0, (entry = readdir(d))) {
		_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
		_cleanup_free_ char *location = xasprintf("%s%s", prefix, entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strcmp(entry->d_name, LOCAL_META) == 0)
			continue;
		if (local_object_at(l->r, location, &o) == 0)
			add(l, &o);
	}
	return errno ? error_errno(e, errno, "cannot read %s/%s", l->r->b->root, prefix) : 0;
}

/* Those whose mark is a file, as far as they are there. */
static int list_files(struct list *l, struct error *e)
{
	_cleanup_json_ json_t *marks = NULL;
	json_t *mark;
	size_t i;
	int n = local_object_files(l->r, &marks, e);

	if (n < 0)
		return n;
	json_array_foreach(marks, i, mark) {
		_cleanup_object_ struct local_object o = LOCAL_OBJECT_INIT;
		const char *id = jsonx_str(mark, "id"), *name = jsonx_str(mark, "name");

		if (strcmp(jsonx_str(mark, "kind"), "share") == 0)
			n = local_share_load(l->r, &(struct driver_share){ .id = id, .name = name }, &o, NULL);
		else
			n = local_snapshot_load(l->r, &(struct driver_snapshot){ .id = id, .name = name }, &o, NULL);
		if (n == 0)
			add(l, &o);
	}
	return 0;
}

int local_list_objects(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_root_ struct local_root r = LOCAL_ROOT_INIT;
	_cleanup_json_ json_t *objects = json_array();
	_cleanup_json_ json_t *seen = json_object();
	struct list l = { .r = &r, .objects = objects, .seen = seen };
	int n;

	(void)call;
	if ((n = local_root_open(backend, &r, e)) < 0 || (n = list_files(&l, e)) < 0 ||
	    (n = list_gates(&l, r.fd, "", e)) < 0 || (n = list_gates(&l, r.snapshots, LOCAL_META "/snapshots/", e)) < 0)
		return n;
	ret->values = jsonx_pack("{s:O}", "objects", objects);
	return 0;
}
