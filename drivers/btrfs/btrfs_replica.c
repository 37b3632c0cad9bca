#include "drivers/btrfs/btrfs_replica.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/process.h"
#include "drivers/btrfs/btrfs_quota.h"
#include "drivers/btrfs/btrfs_volume.h"
#include "drivers/local/local_trash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT LOCAL_META "/replicas"

/* ---- what is kept ---- */

static char *next_of(const char *id)
{
	return xasprintf("%s.next", id);
}

/* The data of what is kept under that name. */
static int open_kept(const struct local_root *r, const char *share_id, const char *name)
{
	_cleanup_free_ char *place = xasprintf("%s/%s/data", share_id, name);

	return path_open(r->replicas, place, O_RDONLY | O_DIRECTORY, 0);
}

static int look_at_kept(const struct local_root *r, const char *share_id, const char *name,
			struct btrfs_volume_info *ret)
{
	_cleanup_close_ int fd = open_kept(r, share_id, name);

	return fd < 0 ? fd : btrfs_volume_look(fd, name, ret, NULL);
}

static bool is_set(const unsigned char *uuid)
{
	static const unsigned char none[16];

	return memcmp(uuid, none, sizeof none) != 0;
}

static bool same(const unsigned char *a, const unsigned char *b)
{
	return memcmp(a, b, 16) == 0;
}

/* Does `there` hold what `here` does, as btrfs receive sees it? */
static bool is_pair(const struct btrfs_volume_info *here, const struct btrfs_volume_info *there)
{
	const unsigned char *as = is_set(here->received) ? here->received : here->uuid;

	return same(there->received, as) || same(there->uuid, as);
}

/* The replica's half of the pair, wherever it is. */
static int look_at_replica(const struct local_transfer *t, struct btrfs_volume_info *ret)
{
	if (!t->far)
		return look_at_kept(t->to, t->call->share->share_id, t->id, ret);
	if (!t->far->pair)
		return -ENOENT;
	*ret = *t->far->pair;
	return 0;
}

/* The directory of a share's pairs, made where it is missing. */
static int open_pairs(const struct local_root *r, const char *share_id, struct error *e)
{
	int fd;

	crash_step("btrfs: make the directory of a share's pairs");
	if (mkdirat(r->replicas, share_id, 0700) < 0 && errno != EEXIST)
		return error_errno(e, errno, "cannot make a directory in %s/" KEPT, r->b->root);
	crash_step("btrfs: made the directory of a share's pairs");
	fd = path_open(r->replicas, share_id, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? error_errno(e, -fd, "cannot open %s/" KEPT "/%s", r->b->root, share_id) : fd;
}

static void forget(const struct local_root *r, const char *share_id, const char *id, const char *call_id)
{
	_cleanup_close_ int pairs = path_open(r->replicas, share_id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_closedir_ DIR *d = pairs < 0 ? NULL : local_list(pairs);
	_cleanup_free_ char *next = id ? next_of(id) : NULL;
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    (id && strcmp(name, id) != 0 && strcmp(name, next) != 0))
			continue;
		(void)local_trash(r, pairs, name, 0, name, call_id, NULL);
	}
	if (d)
		(void)unlinkat(r->replicas, share_id, AT_REMOVEDIR);
}

static bool is_of_replica(const struct driver_call *call, const char *name)
{
	size_t len = strcspn(name, ".");

	for (size_t i = 0; i < call->n_shares; i++)
		if (strlen(call->shares[i].id) == len && strncmp(call->shares[i].id, name, len) == 0)
			return true;
	return false;
}

/* Some were deleted while this root could not be reached. */
static void tidy(const struct local_root *r, const struct driver_call *call)
{
	_cleanup_close_ int pairs = path_open(r->replicas, call->share->share_id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_closedir_ DIR *d = pairs < 0 ? NULL : local_list(pairs);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.' && !is_of_replica(call, entry->d_name))
			(void)local_trash(r, pairs, entry->d_name, 0, entry->d_name, call->id, NULL);
}

/* `from` in `dirfd` takes the place of NAME; what was there is found in `from` afterwards. 1: nothing was. */
static int take_place(int dirfd, const char *from, int pairs, const char *name, struct error *e)
{
	int n = 1;

	crash_step("btrfs: keep one half of a pair");
	if (renameat2(dirfd, from, pairs, name, RENAME_NOREPLACE) < 0) {
		if (errno != EEXIST || renameat2(dirfd, from, pairs, name, RENAME_EXCHANGE) < 0)
			return error_errno(e, errno, "cannot put %s in its place among the pairs", name);
		n = 0;
	}
	crash_step("btrfs: kept one half of a pair");
	return n;
}

/* ---- at the source ---- */

/* What was sent is what is kept from now on. */
static int keep_at_source(const struct local_transfer *t, struct error *e)
{
	_cleanup_close_ int pairs = open_pairs(t->from, t->call->share->share_id, e);
	_cleanup_free_ char *next = next_of(t->id);
	int n = pairs < 0 ? pairs : take_place(pairs, next, pairs, t->id, e);

	if (n < 0)
		return n;
	return n == 0 ? local_trash(t->from, pairs, next, 0, t->id, t->call->id, e)
		      : local_flush(t->from->b, pairs, "the directory of a share's pairs", e);
}

/* Left of a transfer that was cut off: either it had arrived, or it is of no use. */
static int settle_next(const struct local_transfer *t, int pairs, const char *next, struct error *e)
{
	const char *share_id = t->call->share->share_id;
	struct btrfs_volume_info sent, received;
	int n;

	if (look_at_kept(t->from, share_id, next, &sent) == 0 && look_at_replica(t, &received) == 0 &&
	    is_pair(&sent, &received))
		return keep_at_source(t, e);
	n = local_trash(t->from, pairs, next, 0, t->id, t->call->id, e);
	return n == -ENOENT ? 0 : n;
}

static int make_next(const struct local_transfer *t, struct error *e)
{
	_cleanup_close_ int pairs = open_pairs(t->from, t->call->share->share_id, e);
	_cleanup_close_ int data = pairs < 0 ? -1 : local_object_open_data(t->source, e);
	_cleanup_free_ char *next = next_of(t->id);
	_cleanup_close_ int dir = -1;
	int n;

	if (pairs < 0)
		return pairs;
	if (data < 0)
		return data;
	if ((n = settle_next(t, pairs, next, e)) < 0)
		return n;
	crash_step("btrfs: make a directory for what is sent");
	if (mkdirat(pairs, next, 0700) < 0)
		return error_errno(e, errno, "cannot make a directory in %s/" KEPT, t->from->b->root);
	crash_step("btrfs: made a directory for what is sent");
	dir = path_open(pairs, next, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return error_errno(e, -dir, "cannot open a directory in %s/" KEPT, t->from->b->root);
	return btrfs_volume_snapshot(data, dir, "data", true, t->source->location, e);
}

/* ---- the last common state ---- */

struct candidate {
	char *location; /* relative to the root; NULL on another host */
	struct btrfs_volume_info info;
};

struct candidates {
	struct candidate *all;
	size_t n;
};

static void candidates_clear(struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->all[i].location);
	free(c->all);
}

static void append(struct candidates *c, char *location, const struct btrfs_volume_info *info)
{
	c->all = xrealloc(c->all, (c->n + 1) * sizeof *c->all);
	c->all[c->n].location = location;
	c->all[c->n++].info = *info;
}

/* Takes the location. */
static void add_candidate(const struct local_root *r, struct candidates *c, char *location)
{
	_cleanup_close_ int fd = path_open(r->fd, location, O_RDONLY | O_DIRECTORY, 0);
	struct btrfs_volume_info info;

	if (fd < 0 || btrfs_volume_look(fd, location, &info, NULL) < 0 || !info.read_only) {
		free(location);
		return;
	}
	append(c, location, &info);
}

static void collect(const struct local_root *r, const struct driver_call *call, const char *instance_id,
		    struct candidates *ret)
{
	const char *share_id = call->share->share_id;
	_cleanup_close_ int pairs = path_open(r->replicas, share_id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_closedir_ DIR *d = pairs < 0 ? NULL : local_list(pairs);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.')
			add_candidate(r, ret, xasprintf(KEPT "/%s/%s/data", share_id, entry->d_name));
	for (size_t i = 0; i < call->n_snapshots; i++)
		if (strcmp(call->snapshots[i].share_instance_id, instance_id) == 0)
			add_candidate(r, ret, xasprintf(LOCAL_META "/snapshots/%s/data", call->snapshots[i].id));
}

/* A copy that begins with a limit would fail where it comes to more by now. */
static int unlimit(const struct local_root *r, const char *location, struct error *e)
{
	_cleanup_close_ int fd = path_open(r->fd, location, O_RDONLY | O_DIRECTORY, 0);

	return fd >= 0 && btrfs_quota_find_limit(fd) > 0 ? btrfs_quota_limit(fd, 0, location, e) : 0;
}

/* The newest state of what is sent that both sides have, or NULL; and what it is there. */
static const struct candidate *find_pair(const struct local_transfer *t, const char *sent,
					 const struct candidates *here, const struct candidates *there,
					 const struct candidate **ret_there)
{
	/* On one file system btrfs receive takes for the other half of a pair what is the source's own. */
	bool one = t->to && btrfs_volume_same_file_system(t->from->fd, t->to->fd);
	const struct candidate *best = NULL;

	for (size_t i = 0; i < here->n; i++) {
		const struct candidate *c = &here->all[i];

		if (strcmp(c->location, sent) == 0 || (one && is_set(c->info.received)) ||
		    (best && c->info.made <= best->info.made))
			continue;
		for (size_t k = 0; k < there->n; k++)
			if (is_pair(&c->info, &there->all[k].info)) {
				best = c;
				*ret_there = &there->all[k];
			}
	}
	return best;
}

/* Its path at the source, owned by the caller, or NULL. */
static int find_parent(const struct local_transfer *t, const char *sent, char **ret, struct error *e)
{
	cleanup(candidates_clear) struct candidates here = { 0 }, there = { 0 };
	const struct candidate *best, *its = NULL;
	int n;

	if (t->to && !btrfs_volume_is_wholly_mounted(t->to->fd))
		return 0;
	collect(t->from, t->call, t->source_id, &here);
	for (size_t i = 0; t->far && i < t->far->n; i++)
		append(&there, NULL, &t->far->all[i]);
	if (t->to)
		collect(t->to, t->call, t->call->share->id, &there);
	best = find_pair(t, sent, &here, &there, &its);
	if (!best)
		return 0;
	if (t->to && (n = unlimit(t->to, its->location, e)) < 0)
		return n;
	*ret = local_root_path(t->from->b, best->location);
	return 0;
}

/* ---- sending ---- */

/* Is what was sent last all that there is? To be asked after a snapshot, which alone brings what was written, and is in
 * memory yet, into the trees that are looked at. */
static bool is_unchanged(const struct local_transfer *t)
{
	const char *share_id = t->call->share->share_id;
	struct btrfs_volume_info sent, received, now;
	_cleanup_close_ int data = local_object_open_data(t->source, NULL);

	return data >= 0 && btrfs_volume_commit(data) == 0 && look_at_kept(t->from, share_id, t->id, &sent) == 0 &&
	       look_at_replica(t, &received) == 0 && is_pair(&sent, &received) &&
	       btrfs_volume_look(data, t->source->location, &now, NULL) == 0 && now.changed <= sent.made;
}

static int drop_next(const struct local_transfer *t, struct error *e)
{
	_cleanup_close_ int pairs = open_pairs(t->from, t->call->share->share_id, e);
	_cleanup_free_ char *next = next_of(t->id);

	return pairs < 0 ? pairs : local_trash(t->from, pairs, next, 0, t->id, t->call->id, e);
}

/* What the sent subvolume is at the source, relative to its root. */
static char *sent_location(const struct local_transfer *t)
{
	return t->snapshot ? local_object_data_location(t->source)
			   : xasprintf(KEPT "/%s/%s.next/data", t->call->share->share_id, t->id);
}

static uint64_t bytes_of(const struct local_root *r, const char *location)
{
	_cleanup_close_ int fd = path_open(r->fd, location, O_RDONLY | O_DIRECTORY, 0);
	uint64_t id, bytes;

	if (fd < 0 || btrfs_volume_id(fd, location, &id, NULL) < 0 || btrfs_quota_used(fd, id, &bytes, NULL, NULL) < 0)
		return 0;
	return bytes;
}

int btrfs_replica_prepare(const struct local_transfer *t, char **ret_sent, char **ret_parent, uint64_t *ret_bytes,
			  struct error *e)
{
	_cleanup_free_ char *sent = sent_location(t), *parent = NULL;
	int n;

	if (!t->snapshot && (n = make_next(t, e)) < 0)
		return n;
	if (!t->snapshot && is_unchanged(t))
		return (n = drop_next(t, e)) < 0 ? n : 1;
	if ((n = unlimit(t->from, sent, e)) < 0 || (n = find_parent(t, sent, &parent, e)) < 0)
		return n;
	*ret_sent = local_root_path(t->from->b, sent);
	/* How much a difference comes to the helper finds out. */
	*ret_bytes = parent ? 0 : bytes_of(t->from, sent);
	*ret_parent = take_ptr(parent);
	return 0;
}

static int prepare(const struct local_transfer *t, char ***ret_argv, struct error *e)
{
	_cleanup_free_ char *staging = xasprintf(LOCAL_META "/staging/%s", t->id);
	char *sent, *parent, **argv;
	uint64_t bytes;
	int n = btrfs_replica_prepare(t, &sent, &parent, &bytes, e);

	if (n != 0)
		return n;
	argv = xcalloc(7, sizeof *argv);
	argv[0] = process_beside_helper("sharesd-transfer");
	argv[1] = xstrdup("btrfs");
	argv[2] = sent;
	argv[3] = parent ? parent : xstrdup("-");
	argv[4] = local_root_path(t->to->b, staging);
	argv[5] = xasprintf("%" PRIu64, bytes);
	*ret_argv = argv;
	return 0;
}

/* ---- receiving ---- */

static int check_received(const struct local_transfer *t, int data, struct error *e)
{
	_cleanup_free_ char *sent = sent_location(t);
	_cleanup_close_ int source = path_open(t->from->fd, sent, O_RDONLY | O_DIRECTORY, 0);
	struct btrfs_volume_info there, here;
	int n;

	if (source < 0)
		return error_errno(e, -source, "cannot open what was sent, %s in %s", sent, t->from->b->root);
	if ((n = btrfs_volume_look(source, sent, &there, e)) < 0 || (n = btrfs_volume_look(data, t->id, &here, e)) < 0)
		return n;
	if (here.read_only && is_set(here.received) && is_pair(&there, &here))
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
			 "what was received of %s in %s is not whole: see what btrfs send and btrfs receive say", sent,
			 t->from->b->root);
}

int btrfs_replica_sent(const struct local_transfer *t, struct error *e)
{
	_cleanup_free_ char *sent = sent_location(t);
	_cleanup_close_ int source = path_open(t->from->fd, sent, O_RDONLY | O_DIRECTORY, 0);
	struct btrfs_volume_info here;
	int n;

	if (source < 0)
		return error_errno(e, -source, "cannot open what was sent, %s in %s", sent, t->from->b->root);
	if ((n = btrfs_volume_look(source, sent, &here, e)) < 0)
		return n;
	if (!t->far->pair || !is_pair(&here, t->far->pair))
		return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
				 "the other host does not hold what was sent of %s in %s", sent, t->from->b->root);
	return t->snapshot ? 0 : keep_at_source(t, e);
}

static int keep_at_replica(const struct local_transfer *t, struct error *e)
{
	_cleanup_close_ int pairs = open_pairs(t->to, t->call->share->share_id, e);
	int n = pairs < 0 ? pairs : take_place(t->to->staging, t->id, pairs, t->id, e);

	if (n < 0)
		return n;
	if (n == 0)
		return local_staging_discard(t->to, t->id, e);
	return local_flush(t->to->b, pairs, "the directory of a share's pairs", e);
}

/* Once something has come over, what went the other way before is not needed for a next time. */
static void drop_older(const struct local_transfer *t)
{
	const char *share_id = t->call->share->share_id;
	_cleanup_close_ int older = open_kept(t->to, share_id, t->source_id);

	if (older < 0)
		return;
	forget(t->to, share_id, t->source_id, t->call->id);
	forget(t->from, share_id, t->source_id, t->call->id);
}

static int keep(const struct local_transfer *t, struct error *e)
{
	_cleanup_free_ char *place = xasprintf("%s/data", t->id);
	_cleanup_close_ int data = path_open(t->to->staging, place, O_RDONLY | O_DIRECTORY, 0);
	int n;

	if (data < 0)
		return error_errno(e, -data, "cannot open what was received in %s", t->to->b->root);
	if ((n = check_received(t, data, e)) < 0 || t->snapshot)
		return n;
	if ((n = keep_at_replica(t, e)) < 0 || (n = keep_at_source(t, e)) < 0)
		return n;
	drop_older(t);
	return 0;
}

static void abandon(const struct local_transfer *t)
{
	_cleanup_close_ int pairs = path_open(t->from->replicas, t->call->share->share_id, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_free_ char *next = next_of(t->id);

	if (pairs >= 0)
		(void)settle_next(t, pairs, next, NULL);
}

/* ---- the replica's own data ---- */

static int stage(const struct local_root *r, const struct driver_share *replica, struct error *e)
{
	_cleanup_close_ int kept = open_kept(r, replica->share_id, replica->id);
	_cleanup_close_ int staging = path_open(r->staging, replica->id, O_RDONLY | O_DIRECTORY, 0);

	if (kept < 0 || staging < 0)
		return error_errno(e, kept < 0 ? -kept : -staging, "cannot open what was received of share %s",
				   replica->name);
	return btrfs_volume_snapshot(kept, staging, "data", false, replica->name, e);
}

static bool is_shown(const struct local_root *r, const struct driver_share *replica, const struct local_object *o)
{
	_cleanup_close_ int data = local_object_open_data(o, NULL);
	struct btrfs_volume_info kept, shown;

	return data >= 0 && look_at_kept(r, replica->share_id, replica->id, &kept) == 0 &&
	       btrfs_volume_look(data, replica->name, &shown, NULL) == 0 && shown.read_only &&
	       same(shown.parent, kept.uuid);
}

static int hold(const struct local_root *r, int data, bool read_only, struct error *e)
{
	(void)r;
	return btrfs_volume_is_read_only(data) == read_only
		       ? 0
		       : btrfs_volume_set_read_only(data, read_only, "a replica", e);
}

const struct local_replication btrfs_replication = {
	.prepare = prepare,
	.tidy = tidy,
	.keep = keep,
	.abandon = abandon,
	.stage = stage,
	.is_shown = is_shown,
	.hold = hold,
	.forget = forget,
};
