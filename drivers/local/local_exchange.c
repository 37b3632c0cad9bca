#include "drivers/local/local_exchange.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/local/local_acl.h"
#include "drivers/local/local_gate.h"
#include "drivers/local/local_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool is_still(int dirfd, const char *name, uint64_t which)
{
	uint64_t id;

	return local_identify(dirfd, name, &id) == 0 && id == which;
}

/* The live data and the staged ones change places in one step. Of an adopted share somebody else may own the directory
 * above: so it is looked at again afterwards. */
static int exchange(const struct local_root *r, const struct local_object *share, int staging, uint64_t now,
		    uint64_t staged, struct error *e)
{
	_cleanup_free_ char *location = local_object_data_location(share);
	const char *name;
	_cleanup_close_ int parent = path_open_parent(r->fd, location, &name);
	int n;

	if (parent < 0)
		return error_errno(e, -parent, "cannot open the directory of %s in %s", location, r->b->root);
	crash_step("local: exchange the data");
	if (!is_still(parent, name, now))
		return error_set(e, ERR_INVALID_STATE, ESTALE, "%s in %s was replaced meanwhile: try again", location,
				 r->b->root);
	if (renameat2(staging, "data", parent, name, RENAME_EXCHANGE) < 0)
		return error_errno(e, errno, "cannot put the new data in the place of %s in %s", location, r->b->root);
	if (!is_still(parent, name, staged) || !is_still(staging, "data", now)) {
		(void)renameat2(staging, "data", parent, name, RENAME_EXCHANGE);
		return error_set(e, ERR_INVALID_STATE, ESTALE, "%s in %s was replaced meanwhile: try again", location,
				 r->b->root);
	}
	crash_step("local: the data are exchanged");
	n = local_order(r->b, parent, "the directory of the share's data", e);
	if (n == 0)
		n = local_flush(r->b, staging, "the staging directory", e);
	if (n < 0)
		(void)renameat2(staging, "data", parent, name, RENAME_EXCHANGE);
	return n;
}

/* The mark says before what will be: whoever reads it sees by the data's inode whether it has come to pass. */
static int announce(const struct local_root *r, const char *call_id, uint64_t size_bytes, struct local_object *share,
		    uint64_t staged, struct error *e)
{
	json_object_set_new(share->mark, "next",
			    jsonx_pack("{s:s,s:I,s:I}", "call_id", call_id, "size_bytes", (json_int_t)size_bytes,
				       "inode", (json_int_t)staged));
	return local_object_write(r, share, e);
}

static int reload(const struct local_root *r, struct local_object *share, struct error *e)
{
	_cleanup_free_ char *id = xstrdup(jsonx_str(share->mark, "id")), *location = xstrdup(share->location);
	const char *name = jsonx_str(share->mark, "name");
	_cleanup_free_ char *called = xstrdup(name ? name : id);

	local_object_clear(share);
	return local_share_find(r, &(struct driver_share){ .id = id, .name = called, .provider_location = location },
				share, e);
}

int local_exchange(const struct local_root *r, const char *call_id, const char *id, uint64_t size_bytes,
		   struct local_object *share, struct error *e)
{
	_cleanup_close_ int staging = path_open(r->staging, id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_close_ int data = staging < 0 ? staging : path_open(staging, "data", O_RDONLY | O_DIRECTORY, 0);
	uint64_t now, staged;
	int n = data < 0 ? data : local_identify(data, ".", &staged);

	if (n < 0)
		return error_errno(e, -n, "cannot open the copy for %s", share->location);
	if ((n = local_object_data_id(share, &now)) < 0)
		return error_errno(e, -n, "cannot look at the data of %s", share->location);
	if (share->in_place && local_gate_takes_rules(share) && (n = local_acl_copy(share->gate, data)) < 0)
		return error_errno(e, -n, "cannot keep the access of %s", share->location);
	if (r->b->storage->limit && (n = r->b->storage->limit(r, data, size_bytes, e)) < 0)
		return n;
	if ((n = local_order(r->b, data, "the copied data", e)) < 0 ||
	    (n = announce(r, call_id, size_bytes, share, staged, e)) < 0 ||
	    (n = exchange(r, share, staging, now, staged, e)) < 0)
		return n;
	return reload(r, share, e);
}
