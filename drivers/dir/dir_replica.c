#include "drivers/dir/dir_replica.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

/* Absolute. Owned by the caller. */
static char *data_path(const struct local_root *r, const struct local_object *o)
{
	_cleanup_free_ char *location = local_object_data_location(o);

	return local_root_path(r->b, location);
}

static char *staged_path(const struct local_transfer *t)
{
	_cleanup_free_ char *location = xasprintf(LOCAL_META "/staging/%s/data", t->id);

	return local_root_path(t->to->b, location);
}

/* A snapshot gets no links to files that somebody may write to later. */
static char **whole(const struct local_transfer *t, uintmax_t inode)
{
	char **argv = xcalloc(8, sizeof *argv);

	argv[0] = process_beside_helper("sharesd-tree");
	argv[1] = xstrdup("copy");
	argv[2] = xasprintf("--inode=%ju", inode);
	argv[3] = xstrdup("--");
	argv[4] = data_path(t->from, t->source);
	argv[5] = staged_path(t);
	return argv;
}

/* How much it comes to nobody knows before. */
static char **difference(const struct local_transfer *t, uintmax_t inode)
{
	_cleanup_free_ char *base = data_path(t->to, t->replica);
	char **argv = xcalloc(9, sizeof *argv);

	argv[0] = process_beside_helper("sharesd-transfer");
	argv[1] = xstrdup("rsync");
	argv[2] = xasprintf("--base=%s", base);
	argv[3] = xasprintf("--inode=%ju", inode);
	argv[4] = xstrdup("--");
	argv[5] = data_path(t->from, t->source);
	argv[6] = staged_path(t);
	argv[7] = xstrdup("0");
	return argv;
}

static int prepare(const struct local_transfer *t, char ***ret_argv, struct error *e)
{
	_cleanup_close_ int data = local_object_open_data(t->source, e);
	struct stat st;

	if (data < 0)
		return data;
	if (fstat(data, &st) < 0)
		return error_errno(e, errno, "cannot look at the data of %s", t->source->location);
	*ret_argv = t->replica && !t->snapshot ? difference(t, st.st_ino) : whole(t, st.st_ino);
	return 0;
}

const struct local_replication dir_replication = {
	.prepare = prepare,
};
