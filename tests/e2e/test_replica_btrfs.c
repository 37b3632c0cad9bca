/* Replicas on btrfs, each on a real one of its own: sent whole first and the difference after, held read-only, promoted
 * and brought back, with their snapshots; what is cut off leaves nothing, and the next goes on from what both have. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/e2e/harness_mount.h"
#include "tests/e2e/harness_replica.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB    (1 << 20)
#define DOMAIN "replication_domain = \"d\"\n"

/* Nothing happens by itself. */
static const char conf[] = "stats_interval = 86400\nusage_interval = 0\nreplica_state_update_interval = 86400\n"
			   "btrfs \"a\" { root = \"@DIR@/a\"\n" DOMAIN "}\nbtrfs \"b\" { root = \"@DIR@/b\"\n" DOMAIN
			   "}\nbtrfs \"c\" { root = \"@DIR@/c\"\n" DOMAIN "}\n";

/* Says in DIR/transfers what it was asked and how it ended. With DIR/cut a part only arrives, and it fails; with
 * DIR/hold it waits, and with DIR/hold_share where it is not about a snapshot. */
static const char recording[] =
	"#!/bin/bash\necho \"$@\" >>@DIR@/transfers\n"
	"case $2 in *.next/data) while [ -e @DIR@/hold_share ]; do sleep 0.01; done;; esac\n"
	"if [ -e @DIR@/cut ]; then\n"
	" p=(); [ \"$3\" = - ] || p=(-p \"$3\")\n"
	" btrfs send -q \"${p[@]}\" \"$2\" 2>/dev/null | head -c 3000000 | btrfs receive -q \"$4\" 2>/dev/null\n"
	" echo '{\"bytes\":3000000,\"percent\":10.0}'\n"
	" while [ -e @DIR@/hold ]; do sleep 0.01; done\n exit 1\nfi\n"
	"while [ -e @DIR@/hold ]; do sleep 0.01; done\n"
	"set -o pipefail; @DIR@/bin/sharesd-transfer.held \"$@\" | tee -a @DIR@/transfers\n";

static void mount_disk(const struct fixture *f, const char *name)
{
	_cleanup_free_ char *command = xasprintf("mount -o loop %s.img %s", name, name);

	in_dir(f, command);
}

/* Each on a disk of its own. */
static const char disks[] = "for x in a b c; do truncate -s 256M $x.img && mkfs.btrfs -q $x.img && "
			    "mount -o loop $x.img $x && btrfs quota enable $x || exit 1; done";
/* All on one: as a whole, as a subvolume, as a directory. */
static const char one_disk[] =
	"truncate -s 512M a.img && mkfs.btrfs -q a.img && mount -o loop a.img a && btrfs quota enable a && "
	"btrfs subvolume create a/sub && mkdir a/plain && mount --bind a/plain c && "
	"mount -o subvol=sub $(losetup -n -O NAME -j a.img | head -1) b";

/* NULL: this machine cannot. */
static struct fixture *start_on(const char *test, const char *make, const char *body)
{
	struct fixture *f;

	if (!mounts_begin(test))
		return NULL;
	f = fixture_new(body);
	in_dir(f, make);
	fixture_hold_work(f);
	fixture_program(f, "bin/sharesd-transfer", recording);
	fixture_release_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	return f;
}

static struct fixture *start(const char *test)
{
	return start_on(test, disks, conf);
}

static void finish(struct fixture *f)
{
	if (f->pid)
		fixture_stop(f);
	in_dir(f, "umount b c && umount a");
	fixture_free(f);
}

/* ---- what is asked ---- */

static json_t *create(const struct fixture *f, const char *name)
{
	return call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", name, "backend", "a", "size_bytes", 64 * MIB);
}

/* ---- what is there ---- */

static bool can_write(const struct fixture *f, const char *path)
{
	return shell(NULL, "{ echo x >%s/%s/probe; } 2>/dev/null && rm %s/%s/probe", f->dir, path, f->dir, path) == 0;
}

static bool fits(const struct fixture *f, const char *path, int mib)
{
	return shell(NULL,
		     "cd %s/%s && dd if=/dev/zero of=filler bs=1M count=%d 2>/dev/null && sync -f filler; r=$?; rm -f "
		     "filler; exit $r",
		     f->dir, path, mib) == 0;
}

static int subvolumes(const struct fixture *f, const char *backend)
{
	_cleanup_free_ char *command = xasprintf("btrfs subvolume list %s | wc -l", backend);

	return (int)number_of(f, command);
}

/* How many bytes went over since it was asked last; -1: there was no transfer. `ret_whole`: the last one was whole. */
static long sent(const struct fixture *f, bool *ret_whole)
{
	static const char transfers[] = "transfers";
	_cleanup_free_ char *text = read_text(fixture_path(f, transfers));
	long n = -1;

	for (const char *p = text; p && (p = strstr(p, "\"sent_bytes\":")); p++)
		n = (n < 0 ? 0 : n) + strtol(p + strlen("\"sent_bytes\":"), NULL, 10);
	if (ret_whole)
		*ret_whole = text && strstr(text, "data - ") != NULL;
	unlink(fixture_path(f, transfers));
	return n;
}

static void no_rest(const struct fixture *f)
{
	_cleanup_json_ json_t *orphans = call(f, "list_orphans", NULL);

	ck_assert_uint_eq(json_array_size(at(orphans, "orphans")), 0);
	in_dir(f, "for x in a b c; do ! [ -d $x/.sharesd ] || [ -z \"$(ls $x/.sharesd/staging $x/.sharesd/trash | "
		  "grep -v :$)\" ]; done");
}

/* ---- the data ---- */

START_TEST(whole_first_then_the_difference)
{
	struct fixture *f = start("whole_first_then_the_difference");
	bool whole;
	long n;

	if (!f)
		return;
	json_decref(create(f, "s"));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "user", "access_to", "nobody"));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big && mkdir a/s/data/d && chown nobody a/s/data && chmod 750 "
		  "a/s/data && setfattr -n user.x -v y a/s/data/big");
	put(f, "a/s/data/d/f", "one");
	replicate(f, "b");
	expect(f, "b", "available", "in_sync");
	ck_assert_int_gt(sent(f, &whole), 10 * MIB);
	ck_assert(whole);
	in_dir(f, "cmp a/s/data/big b/s/data/big && getfattr -n user.x b/s/data/big >/dev/null && "
		  "[ \"$(stat -c %U%a b/s/data)\" = nobody750 ]");
	has(f, "b/s/data/d/f", "one");
	/* It is there to be read, by those who have a rule; nobody changes it. */
	ck_assert_int_eq(shell(NULL, "setpriv --reuid=nobody --clear-groups cat %s/b/s/data/d/f >/dev/null", f->dir),
			 0);
	ck_assert_int_ne(shell(NULL, "setpriv --reuid=games --clear-groups cat %s/b/s/data/d/f 2>/dev/null", f->dir),
			 0);
	ck_assert(!can_write(f, "b/s/data"));
	/* Nothing is new but that it was read. */
	update(f, "b");
	sent(f, NULL);
	update(f, "b");
	ck_assert_int_eq(sent(f, NULL), -1);
	no_rest(f);
	put(f, "a/s/data/d/f", "two");
	in_dir(f, "head -c 100k /dev/urandom | dd of=a/s/data/big conv=notrunc bs=100k seek=20 2>/dev/null && "
		  "mv a/s/data/d a/s/data/e");
	update(f, "b");
	n = sent(f, &whole);
	ck_assert(!whole);
	ck_assert_int_ge(n, 100 << 10);
	ck_assert_int_lt(n, 200 << 10);
	in_dir(f, "cmp a/s/data/big b/s/data/big && ! [ -e b/s/data/d ]");
	has(f, "b/s/data/e/f", "two");
	ck_assert(!can_write(f, "b/s/data"));
	/* On each side one is kept for the next time. */
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	no_rest(f);
	drop(f, "b");
	ck_assert_int_eq(subvolumes(f, "a"), 1);
	ck_assert_int_eq(subvolumes(f, "b"), 0);
	in_dir(f, "! [ -e b/s ]");
	no_rest(f);
	finish(f);
}
END_TEST

/* What btrfs receive could not take as a difference comes over as a whole. */
START_TEST(on_one_disk)
{
	struct fixture *f = start_on("on_one_disk", one_disk, conf);
	bool whole;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 3M /dev/urandom >a/s/data/big");
	replicate(f, "b");
	replicate(f, "c");
	put(f, "a/s/data/f", "one");
	sent(f, NULL);
	update(f, "b");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	update(f, "c");
	ck_assert_int_gt(sent(f, &whole), 3 * MIB);
	ck_assert(whole);
	has(f, "b/s/data/f", "one");
	has(f, "c/s/data/f", "one");
	promote(f, "b");
	put(f, "b/s/data/f", "two");
	update(f, "a");
	has(f, "a/s/data/f", "two");
	in_dir(f, "cmp a/s/data/big b/s/data/big && cmp a/s/data/big c/s/data/big");
	put(f, "b/s/data/f", "three");
	sent(f, NULL);
	update(f, "a");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	has(f, "a/s/data/f", "three");
	no_rest(f);
	finish(f);
}
END_TEST

static void run_through(struct fixture *f, const char *work, json_t *params)
{
	struct client *c = client_new(f);
	json_t *reply;
	json_int_t id;

	fixture_hold_work(f);
	id = client_send_request(c, work, params);
	while (number_of(f, "ls b/.sharesd/staging | wc -l") == 0)
		nap(0.01);
	json_decref(create(f, "other"));
	put(f, "a/s/data/f", "meanwhile");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "other"));
	fixture_release_work(f);
	reply = client_reply(c, id);
	ck_assert_ptr_nonnull(json_object_get(reply, "result"));
	json_decref(reply);
	client_free(c);
}

/* Nobody waits for a transfer; what is written meanwhile comes with the next. With "dr" nobody gets in. */
START_TEST(other_calls_go_on)
{
	static const char dr[] = "stats_interval = 86400\nusage_interval = 0\nreplica_state_update_interval = 86400\n"
				 "btrfs \"a\" { root = \"@DIR@/a\"\n" DOMAIN "replication_type = dr }\n"
				 "btrfs \"b\" { root = \"@DIR@/b\"\n" DOMAIN "replication_type = dr }\n"
				 "btrfs \"c\" { root = \"@DIR@/c\" }\n";
	struct fixture *f = start_on("other_calls_go_on", disks, dr);
	_cleanup_free_ char *b = NULL;

	if (!f)
		return;
	json_decref(create(f, "s"));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "user", "access_to", "nobody"));
	put(f, "a/s/data/f", "one");
	run_through(f, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "b"));
	expect(f, "b", "available", "in_sync");
	has(f, "b/s/data/f", "one");
	in_dir(f, "! getfacl -cp b/s | grep nobody");
	put(f, "a/s/data/f", "two");
	b = id_on(f, "b");
	run_through(f, "update_share_replica", jsonx_pack("{s:s}", "replica", b));
	has(f, "b/s/data/f", "two");
	update(f, "b");
	has(f, "b/s/data/f", "meanwhile");
	promote(f, "b");
	in_dir(f, "getfacl -cp b/s | grep -q user:nobody && ! getfacl -cp a/s | grep nobody");
	no_rest(f);
	finish(f);
}
END_TEST

START_TEST(what_is_cut_off)
{
	struct fixture *f = start("what_is_cut_off");
	_cleanup_free_ char *b = NULL;
	bool whole;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big");
	put(f, "cut", "");
	json_decref(call_error(f, "driver_failed", "create_share_replica", "{s:s,s:s}", "share", "s", "backend", "b"));
	ck_assert_int_eq(subvolumes(f, "a"), 1);
	ck_assert_int_eq(subvolumes(f, "b"), 0);
	no_rest(f);
	drop(f, "b");
	unlink(fixture_path(f, "cut"));
	replicate(f, "b");
	b = id_on(f, "b");
	sent(f, NULL);
	/* A difference that breaks off leaves the replica as it was. */
	in_dir(f, "head -c 8M /dev/urandom >a/s/data/more");
	put(f, "cut", "");
	json_decref(call_error(f, "driver_failed", "update_share_replica", "{s:s}", "replica", b));
	expect(f, "b", "error", "error");
	in_dir(f, "cmp a/s/data/big b/s/data/big && ! [ -e b/s/data/more ]");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	no_rest(f);
	/* The daemon goes down in the middle of another. */
	put(f, "hold", "");
	{
		struct client *c = client_new(f);

		client_send_request(c, "update_share_replica", jsonx_pack("{s:s}", "replica", b));
		while (number_of(f, "ls -d b/.sharesd/staging/*/data 2>/dev/null | wc -l") == 0)
			nap(0.01);
		client_may_be_cut(c);
		/* Just then what had come over was being flushed. */
		in_dir(f, "x=$(echo b/.sharesd/staging/*/data) && btrfs subvolume snapshot -r $x $x.flush >/dev/null");
		fixture_kill(f);
		client_free(c);
	}
	unlink(fixture_path(f, "hold"));
	unlink(fixture_path(f, "cut"));
	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	sent(f, NULL);
	update(f, "b");
	ck_assert_int_ge(sent(f, &whole), 8 * MIB);
	ck_assert(!whole);
	in_dir(f, "cmp a/s/data/more b/s/data/more");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	no_rest(f);
	/* Without a pair all goes over again. */
	in_dir(f, "btrfs property set $(echo a/.sharesd/replicas/*/*/data) ro false && "
		  "btrfs subvolume delete a/.sharesd/replicas/*/*/data >/dev/null");
	update(f, "b");
	ck_assert_int_ge(sent(f, &whole), 18 * MIB);
	ck_assert(whole);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	no_rest(f);
	finish(f);
}
END_TEST

/* ---- promotion ---- */

START_TEST(there_and_back)
{
	struct fixture *f = start("there_and_back");
	bool whole;

	if (!f)
		return;
	json_decref(create(f, "s"));
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "user", "access_to", "nobody"));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big");
	replicate(f, "b");
	/* What was written since goes over first. */
	put(f, "a/s/data/f", "last");
	sent(f, NULL);
	promote(f, "b");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	expect(f, "a", "available", "out_of_sync");
	has(f, "b/s/data/f", "last");
	ck_assert(can_write(f, "b/s/data"));
	ck_assert(!can_write(f, "a/s/data"));
	/* It is held to its size. */
	ck_assert(fits(f, "b/s/data", 40));
	ck_assert(!fits(f, "b/s/data", 60));
	put(f, "b/s/data/f", "new");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 96 * MIB));
	ck_assert(fits(f, "b/s/data", 60));
	update(f, "a");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	has(f, "a/s/data/f", "new");
	ck_assert(!can_write(f, "a/s/data"));
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	promote(f, "a");
	sent(f, NULL);
	has(f, "a/s/data/f", "new");
	ck_assert(can_write(f, "a/s/data"));
	ck_assert(fits(f, "a/s/data", 60));
	update(f, "b");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	in_dir(f, "cmp a/s/data/big b/s/data/big");
	/* A third one, which has nothing in common with the second. */
	replicate(f, "c");
	promote(f, "c");
	update(f, "b");
	update(f, "a");
	in_dir(f, "cmp c/s/data/big b/s/data/big && cmp c/s/data/big a/s/data/big");
	no_rest(f);
	drop(f, "a");
	drop(f, "b");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "s"));
	for (const char *const *name = (const char *const[]){ "a", "b", "c", NULL }; *name; name++)
		ck_assert_int_eq(subvolumes(f, *name), 0);
	no_rest(f);
	finish(f);
}
END_TEST

/* While what is missing comes over nobody can write, here or there; the share is where it was, and nothing else happens
 * to it. */
START_TEST(while_it_is_promoted)
{
	struct fixture *f = start("while_it_is_promoted");
	_cleanup_free_ char *a = NULL, *b = NULL;
	_cleanup_json_ json_t *s = NULL, *reply = NULL;
	struct client *c;
	json_int_t id;

	if (!f)
		return;
	json_decref(create(f, "s"));
	replicate(f, "b");
	a = id_on(f, "a");
	b = id_on(f, "b");
	put(f, "a/s/data/f", "last");
	fixture_hold_work(f);
	c = client_new(f);
	id = client_send_request(c, "promote_share_replica", jsonx_pack("{s:s}", "replica", b));
	while (number_of(f, "ls b/.sharesd/staging | wc -l") == 0)
		nap(0.01);
	s = call(f, "get_share", "{s:s}", "share", "s");
	ck_assert_str_eq(str_at(s, "status"), "replication_change");
	ck_assert_str_eq(str_at(s, "backend"), "a");
	expect(f, "a", "replication_change", "active");
	expect(f, "b", "replication_change", "in_sync");
	ck_assert(!can_write(f, "a/s/data") && !can_write(f, "b/s/data"));
	json_decref(call_error(f, "busy", "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 96 * MIB));
	json_decref(call_error(f, "busy", "create_snapshot", "{s:s,s:s}", "share", "s", "name", "x"));
	json_decref(call_error(f, "busy", "promote_share_replica", "{s:s}", "replica", b));
	json_decref(call_error(f, "busy", "update_share_replica", "{s:s}", "replica", b));
	json_decref(call_error(f, "busy", "delete_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	json_decref(call_error(f, "busy", "delete_share_replica", "{s:s,s:b}", "replica", a, "force", 1));
	fixture_release_work(f);
	reply = client_reply(c, id);
	ck_assert_str_eq(str_at(reply, "result.backend"), "b");
	client_free(c);
	has(f, "b/s/data/f", "last");
	ck_assert(!can_write(f, "a/s/data") && can_write(f, "b/s/data"));
	expect(f, "a", "available", "out_of_sync");
	no_rest(f);
	finish(f);
}
END_TEST

START_TEST(the_disk_goes_away)
{
	struct fixture *f = start("the_disk_goes_away");
	bool whole;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big");
	put(f, "a/s/data/f", "one");
	replicate(f, "b");
	put(f, "a/s/data/f", "never sent");
	in_dir(f, "umount -l a");
	promote(f, "b");
	expect(f, "a", "available", "out_of_sync");
	has(f, "b/s/data/f", "one");
	put(f, "b/s/data/f", "two");
	ck_assert(can_write(f, "b/s/data"));
	mount_disk(f, "a");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	sent(f, NULL);
	/* What only it had is thrown away; only the difference to the common state comes back. */
	update(f, "a");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	has(f, "a/s/data/f", "two");
	in_dir(f, "cmp a/s/data/big b/s/data/big");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	no_rest(f);
	finish(f);
}
END_TEST

/* With the old active replica there, a promotion that would lose what only that has fails; by force it goes on. */
START_TEST(what_does_not_come_over)
{
	struct fixture *f = start("what_does_not_come_over");
	_cleanup_free_ char *b = NULL;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 5M /dev/urandom >a/s/data/big");
	replicate(f, "b");
	b = id_on(f, "b");
	in_dir(f, "head -c 5M /dev/urandom >a/s/data/more");
	put(f, "cut", "");
	json_decref(call_error(f, "driver_failed", "promote_share_replica", "{s:s}", "replica", b));
	expect(f, "a", "available", "active");
	expect(f, "b", "available", "in_sync");
	ck_assert(can_write(f, "a/s/data"));
	ck_assert(!can_write(f, "b/s/data"));
	no_rest(f);
	json_decref(call(f, "promote_share_replica", "{s:s,s:b}", "replica", b, "force", 1));
	expect(f, "b", "available", "active");
	in_dir(f, "cmp a/s/data/big b/s/data/big && ! [ -e b/s/data/more ]");
	ck_assert(can_write(f, "b/s/data"));
	unlink(fixture_path(f, "cut"));
	update(f, "a");
	in_dir(f, "! [ -e a/s/data/more ]");
	no_rest(f);
	finish(f);
}
END_TEST

/* An adopted share is its own gate, and stays in its place. */
START_TEST(an_adopted_share)
{
	struct fixture *f = start("an_adopted_share");

	if (!f)
		return;
	in_dir(f, "btrfs subvolume create a/mine >/dev/null && chown nobody a/mine && chmod 2751 a/mine && "
		  "setfacl -m u:mail:rx a/mine");
	put(f, "a/mine/f", "one");
	json_decref(call(f, "manage_share", "{s:s,s:s,s:s,s:i,s:[{s:s,s:s}]}", "name", "s", "backend", "a",
			 "provider_location", "mine", "size_bytes", 64 * MIB, "access_rules", "access_type", "user",
			 "access_to", "games"));
	replicate(f, "b");
	in_dir(f, "[ \"$(stat -c %U%a b/s/data)\" = nobody2751 ] && getfacl -cp b/s/data | grep -q user:mail:r-x && "
		  "! getfacl -cp b/s/data | grep games && getfacl -cp b/s | grep -q user:games");
	promote(f, "b");
	put(f, "b/s/data/f", "two");
	ck_assert(!can_write(f, "a/mine"));
	update(f, "a");
	has(f, "a/mine/f", "two");
	ck_assert(!can_write(f, "a/mine"));
	in_dir(f, "! [ -e a/s ] && getfacl -cp a/mine | grep -q user:games");
	promote(f, "a");
	ck_assert(can_write(f, "a/mine"));
	in_dir(f, "getfacl -cp a/mine | grep -q user:games");
	put(f, "a/mine/f", "three");
	update(f, "b");
	has(f, "b/s/data/f", "three");
	in_dir(f, "[ \"$(stat -c %U%a b/s/data)\" = nobody2751 ] && ! getfacl -cp b/s/data | grep games");
	/* As it was shown last, also where nobody can be asked. */
	in_dir(f, "umount -l a");
	promote(f, "b");
	in_dir(f, "[ \"$(stat -c %U%a b/s/data)\" = nobody2751 ] && ! getfacl -cp b/s/data | grep games");
	mount_disk(f, "a");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	drop(f, "a");
	in_dir(f, "! [ -e a/mine ]");
	no_rest(f);
	finish(f);
}
END_TEST

/* ---- snapshots ---- */

static void snapshot(const struct fixture *f, const char *name)
{
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", name));
}

static void expect_snapshot(const struct fixture *f, const char *ref, size_t instance, const char *status)
{
	_cleanup_json_ json_t *s = call(f, "get_snapshot", "{s:s}", "snapshot", ref);

	ck_assert_str_eq(str_at(json_array_get(at(s, "instances"), instance), "status"), status);
}

START_TEST(snapshots_of_all)
{
	struct fixture *f = start("snapshots_of_all");
	_cleanup_json_ json_t *s = NULL;
	bool whole;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big");
	put(f, "a/s/data/f", "one");
	snapshot(f, "first");
	put(f, "a/s/data/f", "two");
	/* What is there comes over with a new replica, and blocks are shared there too. */
	replicate(f, "b");
	ck_assert_int_lt(sent(f, NULL), 11 * MIB);
	has(f, place_of(f, "s@first", "b", "f"), "one");
	has(f, "b/s/data/f", "two");
	snapshot(f, "second");
	put(f, "a/s/data/f", "three");
	s = call(f, "get_snapshot", "{s:s}", "snapshot", "s@second");
	ck_assert_str_eq(str_at(s, "status"), "available");
	ck_assert_str_eq(str_at(s, "instances.1.status"), "creating");
	/* Not yet there. */
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@second"));
	update(f, "b");
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	expect_snapshot(f, "s@second", 1, "available");
	has(f, place_of(f, "s@second", "b", "f"), "two");
	has(f, "b/s/data/f", "three");
	no_rest(f);
	/* After a promotion they are those of the share, also one that came over with it. */
	snapshot(f, "third");
	promote(f, "b");
	expect_snapshot(f, "s@third", 1, "available");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@third"));
	json_decref(call(f, "revert_to_snapshot", "{s:s}", "snapshot", "s@second"));
	has(f, "b/s/data/f", "two");
	json_decref(call(f, "create_share_instance", "{s:s,s:s}", "name", "copy", "snapshot", "s@first"));
	has(f, "b/copy/data/f", "one");
	ck_assert(can_write(f, "b/copy/data"));
	update(f, "a");
	has(f, "a/s/data/f", "two");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@second"));
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "s@second"));
	/* One that cannot be reached is asked later. */
	in_dir(f, "umount -l a");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@first"));
	ck_assert_int_eq(subvolumes(f, "b"), 3);
	mount_disk(f, "a");
	json_decref(call(f, "init_host", "{s:s}", "backend", "a"));
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@first"));
	json_decref(call_error(f, "not_found", "get_snapshot", "{s:s}", "snapshot", "s@first"));
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	no_rest(f);
	finish(f);
}
END_TEST

/* Until so many transfers of this kind have begun. */
static void await_transfers(const struct fixture *f, const char *kind, int n)
{
	_cleanup_free_ char *count = xasprintf("grep -sc '%s' transfers; true", kind);

	for (double until = now() + 60; number_of(f, count) < n; nap(0.01))
		ck_assert_msg(now() < until, "there are no %d transfers of %s", n, kind);
}

static json_int_t ask(const struct fixture *f, struct client **ret, const char *method, json_t *params)
{
	*ret = client_new(f);
	return client_send_request(*ret, method, params);
}

static void succeeds(struct client *c, json_int_t id)
{
	_cleanup_json_ json_t *reply = client_reply(c, id);

	ck_assert_ptr_nonnull(json_object_get(reply, "result"));
	client_free(c);
}

/* Snapshots are deleted while they come over, and while the difference to them does. */
START_TEST(snapshots_go_meanwhile)
{
	struct fixture *f = start("snapshots_go_meanwhile");
	_cleanup_free_ char *b = NULL;
	struct client *c;
	json_int_t id;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 3M /dev/urandom >a/s/data/big");
	snapshot(f, "first");
	snapshot(f, "second");
	put(f, "hold", "");
	id = ask(f, &c, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "b"));
	await_transfers(f, "snapshots/.*/data", 1);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@first"));
	unlink(fixture_path(f, "hold"));
	succeeds(c, id);
	expect(f, "b", "available", "in_sync");
	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@second"));
	expect_snapshot(f, "s@second", 1, "available");
	snapshot(f, "third");
	put(f, "a/s/data/f", "new");
	b = id_on(f, "b");
	sent(f, NULL);
	put(f, "hold_share", "");
	id = ask(f, &c, "update_share_replica", jsonx_pack("{s:s}", "replica", b));
	await_transfers(f, "next/data", 1);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@third"));
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@second"));
	unlink(fixture_path(f, "hold_share"));
	succeeds(c, id);
	expect(f, "b", "available", "in_sync");
	in_dir(f, "cmp a/s/data/big b/s/data/big");
	has(f, "b/s/data/f", "new");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "b"), 2);
	no_rest(f);
	finish(f);
}
END_TEST

/* A replica is made while another one is brought up to date, which does not know of it. */
START_TEST(two_at_once)
{
	struct fixture *f = start("two_at_once");
	_cleanup_free_ char *b = NULL;
	struct client *updates, *creates;
	json_int_t update_id, create_id;

	if (!f)
		return;
	json_decref(create(f, "s"));
	in_dir(f, "head -c 3M /dev/urandom >a/s/data/big");
	replicate(f, "b");
	b = id_on(f, "b");
	snapshot(f, "first");
	put(f, "a/s/data/f", "new");
	sent(f, NULL);
	put(f, "hold", "");
	put(f, "hold_share", "");
	update_id = ask(f, &updates, "update_share_replica", jsonx_pack("{s:s}", "replica", b));
	await_transfers(f, "snapshots/.*/data", 1);
	create_id = ask(f, &creates, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "c"));
	await_transfers(f, "snapshots/.*/data", 2);
	unlink(fixture_path(f, "hold"));
	await_transfers(f, "next/data", 2);
	unlink(fixture_path(f, "hold_share"));
	succeeds(updates, update_id);
	succeeds(creates, create_id);
	expect(f, "b", "available", "in_sync");
	expect(f, "c", "available", "in_sync");
	has(f, "b/s/data/f", "new");
	has(f, "c/s/data/f", "new");
	no_rest(f);
	finish(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replica_btrfs");
	TCase *tc = tcase_create("replicas");
	SRunner *runner;
	int failed;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, whole_first_then_the_difference);
	tcase_add_test(tc, on_one_disk);
	tcase_add_test(tc, other_calls_go_on);
	tcase_add_test(tc, what_is_cut_off);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, while_it_is_promoted);
	tcase_add_test(tc, the_disk_goes_away);
	tcase_add_test(tc, what_does_not_come_over);
	tcase_add_test(tc, an_adopted_share);
	tcase_add_test(tc, snapshots_of_all);
	tcase_add_test(tc, snapshots_go_meanwhile);
	tcase_add_test(tc, two_at_once);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
