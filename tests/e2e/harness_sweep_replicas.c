/* The rows about replicas: a share on one root, its replica on another of the same driver. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB    1048576
#define DOMAIN "replication_domain = \"d\"\n"

/* ---- the place ---- */

static const char *root_of(const json_t *instance)
{
	return strcmp(str_at(instance, "backend"), "b") == 0 ? "root" : "root2";
}

static void check_instance(const struct fixture *f, const json_t *instance, const char *where)
{
	const char *status = str_at(instance, "status"), *location = jsonx_str(instance, "provider_location");

	ck_assert_msg(strcmp(status, "available") == 0 || strncmp(status, "error", 5) == 0, "%s: a replica is %s",
		      where, status);
	if (strcmp(status, "available") == 0)
		ck_assert_msg(exists(fixture_path(f, "%s/%s/data", root_of(instance), location)),
			      "%s: the replica on %s has no data", where, root_of(instance));
}

/* What is kept for the next transfer is kept of replicas only that there are. */
static void check_kept(const struct fixture *f, const json_t *shares, const char *where)
{
	_cleanup_free_ char *kept = NULL;
	char *next = NULL;

	shell(&kept, "cd %s && ls root/.sharesd/replicas root2/.sharesd/replicas | grep -v :", f->dir);
	for (char *id = strtok_r(kept, "\n", &next); id; id = strtok_r(NULL, "\n", &next)) {
		bool known = false;
		json_t *share;
		size_t i;

		json_array_foreach(shares, i, share)
			known = known ||
				(strcmp(str_at(share, "id"), id) == 0 && json_array_size(at(share, "instances")) > 1);
		ck_assert_msg(known, "%s: something is kept for share %s, which has no replicas", where, id);
	}
}

/* A first copy that was cut off goes on by itself. */
static void await_first_copies(const struct fixture *f, const char *where)
{
	for (double until = now() + 60;; nap(0.01)) {
		_cleanup_json_ json_t *replicas = list_all(f, "list_replicas", "replicas");
		bool creating = false;
		json_t *one;
		size_t i;

		json_array_foreach(replicas, i, one)
			creating = creating || strcmp(str_at(one, "status"), "creating") == 0;
		if (!creating)
			return;
		ck_assert_msg(now() < until, "%s: a first copy does not go on", where);
	}
}

static void check_replicas(const struct fixture *f, const char *where)
{
	_cleanup_json_ json_t *orphans = list_all(f, "list_orphans", "orphans");
	_cleanup_json_ json_t *shares = list_all(f, "list_shares", "shares");
	_cleanup_free_ char *left = NULL;
	json_t *share, *instance;
	size_t i, k;

	ck_assert_msg(json_array_size(orphans) == 0, "%s: %s is an orphan", where,
		      str_at(json_array_get(orphans, 0), "provider_location"));
	json_array_foreach(shares, i, share) {
		size_t active = 0;

		json_array_foreach(at(share, "instances"), k, instance) {
			check_instance(f, instance, where);
			active += strcmp(str_at(instance, "replica_state"), "active") == 0;
		}
		ck_assert_msg(active == 1, "%s: %zu replicas are active", where, active);
	}
	check_kept(f, shares, where);
	shell(&left, "cd %s && ls root/.sharesd/staging/* root2/.sharesd/staging/* 2>/dev/null", f->dir);
	ck_assert_msg(!*left, "%s: left in staging is %s", where, left);
}

static void check_when_quiet(const struct fixture *f, const char *where)
{
	await_first_copies(f, where);
	check_replicas(f, where);
}

const struct sweep_driver sweep_replicated = {
	.name = "btrfs",
	.rows = sweep_replica_rows,
	.top = "btrfs \"b2\" {\n root = \"@DIR@/root2\"\n " DOMAIN " hook_drivers = {\"h\"}\n enable_pre_hooks = true\n"
	       " enable_post_hooks = true\n enable_error_hooks = true\n}\n",
	.options = "root = \"@DIR@/root\"\n " DOMAIN,
	.begin = "for r in root root2; do truncate -s 256M $r.img && mkfs.btrfs -q $r.img >/dev/null 2>&1 && "
		 "mount -o loop $r.img $r && btrfs quota enable $r || exit 1; done",
	.end = "umount root root2",
	/* A share that was promoted is gone by its name there, too. */
	.clear = "rm -rf ../root2/[!.l]*",
	.slow = true,
	.check = check_when_quiet,
};

const struct sweep_driver sweep_replicated_dir = {
	.name = "dir",
	.rows = sweep_replica_rows,
	.top = "dir \"b2\" {\n root = \"@DIR@/root2\"\n " DOMAIN " hook_drivers = {\"h\"}\n enable_pre_hooks = true\n"
	       " enable_post_hooks = true\n enable_error_hooks = true\n}\n",
	.options = "root = \"@DIR@/root\"\n " DOMAIN,
	.begin = "mkdir -p root root2",
	.clear = "rm -rf ../root2/[!.l]*",
	.slow = true,
	.check = check_when_quiet,
};

/* Copies of data: of shares, of snapshots, and what is kept for the next transfer. */
static void has_copies(const struct sweep *s, const char *root, int n)
{
	ck_assert_msg(shell(NULL, "[ $(find %s/%s -name trash -prune -o -name data -print | wc -l) = %d ]", s->f->dir,
			    root, n) == 0,
		      "%s: there are not %d copies in %s", s->where, n, root);
}

/* ---- what is there before the call, and after it ---- */

static void put(const struct sweep *s, const char *root, const char *text)
{
	ck_assert_int_eq(shell(NULL, "echo %s >%s/%s/%s/data/file", text, s->f->dir, root, s->share), 0);
}

static void has(const struct sweep *s, const char *place, const char *text)
{
	_cleanup_free_ char *got = read_text(fixture_path(s->f, "%s/file", place));

	ck_assert_msg(got && strncmp(got, text, strlen(text)) == 0, "%s: %s/file holds %s", s->where, place,
		      got ? got : "nothing");
}

static void data_have(const struct sweep *s, const char *root, const char *text)
{
	_cleanup_free_ char *place = xasprintf("%s/%s/data", root, s->share);

	has(s, place, text);
}

static void prepare_share(struct sweep *s)
{
	json_decref(call(s->f, "create_share_instance", "{s:s,s:i,s:s}", "name", s->share, "size_bytes", 10 * MIB,
			 "backend", "b"));
	put(s, "root", "one");
	json_decref(call(s->f, "allow_access", "{s:s,s:s,s:s}", "share", s->share, "access_type", "user", "access_to",
			 "nobody"));
}

static void snapshot(const struct sweep *s)
{
	json_decref(call(s->f, "create_snapshot", "{s:s,s:s}", "share", s->share, "name", "snap"));
}

static void prepare_with_snapshot(struct sweep *s)
{
	prepare_share(s);
	snapshot(s);
	put(s, "root", "two");
}

static void replicate(struct sweep *s)
{
	_cleanup_json_ json_t *share =
		call(s->f, "create_share_replica", "{s:s,s:s}", "share", s->share, "backend", "b2");

	write_file(fixture_path(s->f, "replica"), str_at(share, "instances.1.id"));
}

static void prepare_replica(struct sweep *s)
{
	prepare_with_snapshot(s);
	replicate(s);
	put(s, "root", "three");
}

static void prepare_bare_replica(struct sweep *s)
{
	prepare_share(s);
	replicate(s);
}

static char *snapshot_ref(const struct sweep *s)
{
	return xasprintf("%s@snap", s->share);
}

static void prepare_new_snapshot(struct sweep *s)
{
	_cleanup_free_ char *replica = NULL;

	prepare_bare_replica(s);
	snapshot(s);
	replica = read_text(fixture_path(s->f, "replica"));
	json_decref(call(s->f, "update_share_replica", "{s:s}", "replica", replica));
}

static json_t *get_share(const struct sweep *s)
{
	return call(s->f, "get_share", "{s:s}", "share", s->share);
}

/* The snapshot comes over, too. */
static void expect_replica(struct sweep *s)
{
	_cleanup_json_ json_t *share = get_share(s), *snap = NULL;
	_cleanup_free_ char *ref = snapshot_ref(s), *place = NULL;

	ck_assert_uint_eq(json_array_size(at(share, "instances")), 2);
	ck_assert_str_eq(str_at(share, "instances.1.status"), "available");
	data_have(s, "root2", "two");
	snap = call(s->f, "update_replicated_snapshot", "{s:s}", "snapshot", ref);
	ck_assert_str_eq(str_at(snap, "instances.1.status"), "available");
	place = xasprintf("root2/%s/data", str_at(snap, "instances.1.provider_location"));
	has(s, place, "one");
}

static void expect_no_replica(struct sweep *s)
{
	_cleanup_json_ json_t *share = get_share(s);

	ck_assert_uint_eq(json_array_size(at(share, "instances")), 1);
	has_copies(s, "root2", 0);
	has_copies(s, "root", 2);
}

static json_t *updated_snapshot(const struct sweep *s)
{
	_cleanup_free_ char *ref = snapshot_ref(s);

	return call(s->f, "update_replicated_snapshot", "{s:s}", "snapshot", ref);
}

/* The other one follows it from now on. */
static void expect_promoted(struct sweep *s)
{
	_cleanup_json_ json_t *share = get_share(s), *snap = updated_snapshot(s);
	const char *old = str_at(share, "instances.0.id");

	ck_assert_str_eq(str_at(share, "backend"), "b2");
	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert_str_eq(str_at(snap, "status"), "available");
	data_have(s, "root2", "three");
	put(s, "root2", "four");
	json_decref(call(s->f, "update_share_replica", "{s:s}", "replica", old));
	data_have(s, "root", "four");
}

static void expect_updated(struct sweep *s)
{
	_cleanup_json_ json_t *share = get_share(s);

	ck_assert_str_eq(str_at(share, "instances.1.replica_state"), "in_sync");
	data_have(s, "root2", "three");
	/* On btrfs one is kept. */
	has_copies(s, "root2", strcmp(s->driver->name, "btrfs") == 0 ? 3 : 2);
}

static void expect_snapshot(struct sweep *s)
{
	_cleanup_json_ json_t *snap = updated_snapshot(s);
	_cleanup_free_ char *place = xasprintf("root/%s/data", str_at(snap, "instances.0.provider_location"));

	ck_assert_str_eq(str_at(snap, "instances.0.status"), "available");
	has(s, place, "one");
}

static void expect_both_snapshots(struct sweep *s)
{
	_cleanup_json_ json_t *snap = updated_snapshot(s);

	expect_snapshot(s);
	ck_assert_str_eq(str_at(snap, "instances.1.status"), "available");
}

/* A replica whose backend was not up is asked later. */
static void expect_no_snapshot(struct sweep *s)
{
	_cleanup_json_ json_t *before = list_all(s->f, "list_snapshots", "snapshots"), *all = NULL;

	if (json_array_size(before) > 0)
		json_decref(updated_snapshot(s));
	all = list_all(s->f, "list_snapshots", "snapshots");
	ck_assert_msg(json_array_size(all) == 0, "%s: there is a snapshot", s->where);
	ck_assert_int_eq(shell(NULL,
			       "[ -z \"$(cd %s && ls root/.sharesd/snapshots root2/.sharesd/snapshots | "
			       "grep -v :)\" ]",
			       s->f->dir),
			 0);
}

/* ---- the calls ---- */

static json_t *new_replica(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:s}", "share", s->share, "backend", "b2");
}

static json_t *by_replica(const struct sweep *s)
{
	_cleanup_free_ char *id = read_text(fixture_path(s->f, "replica"));

	return jsonx_pack("{s:s}", "replica", id);
}

static json_t *by_force(const struct sweep *s)
{
	json_t *params = by_replica(s);

	json_object_set_new(params, "force", json_true());
	return params;
}

static json_t *new_snapshot(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:s}", "share", s->share, "name", "snap");
}

static json_t *by_snapshot(const struct sweep *s)
{
	_cleanup_free_ char *ref = snapshot_ref(s);

	return jsonx_pack("{s:s}", "snapshot", ref);
}

const struct sweep_row sweep_replica_rows[] = {
	{ "create_share_replica", prepare_with_snapshot, new_replica, expect_replica, false },
	{ "promote_share_replica", prepare_replica, by_force, expect_promoted, false },
	{ "delete_share_replica", prepare_replica, by_replica, expect_no_replica, false },
	{ "update_share_replica", prepare_replica, by_replica, expect_updated, false },
	{ "create_replicated_snapshot", prepare_bare_replica, new_snapshot, expect_snapshot, false },
	{ "delete_replicated_snapshot", prepare_new_snapshot, by_snapshot, expect_no_snapshot, false },
	{ "update_replicated_snapshot", prepare_new_snapshot, by_snapshot, expect_both_snapshots, false },
	{ NULL, NULL, NULL, NULL, false },
};
