/* What every share driver must do, and what it must leave alone. Each case looks at what the backend claims: what it
 * claims is done and looked at, what it does not claim must be refused before anything changes. Runs on the drivers of
 * this repository; on one of your own by `make conformance DRIVER=.. CONF=..` (see CONTRIBUTING.md). */
#include "tests/conformance/conformance.h"

#include "base/cleanup.h"
#include "base/jsonx.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASE(name)                                                                                                     \
	static void name(struct site *s);                                                                              \
	START_TEST(test_##name)                                                                                        \
	{                                                                                                              \
		struct site s;                                                                                         \
                                                                                                                       \
		if (!site_open(&s, &candidates()[_i]))                                                                 \
			return;                                                                                        \
		name(&s);                                                                                              \
		site_close(&s);                                                                                        \
	}                                                                                                              \
	END_TEST                                                                                                       \
	static void name(struct site *s)

static json_t *by_share(const char *name)
{
	return jsonx_pack("{s:s}", "share", name);
}

static json_t *by_snapshot(const char *ref)
{
	return jsonx_pack("{s:s}", "snapshot", ref);
}

static void do_delete(const struct site *s, const char *name)
{
	json_decref(call(s->f, "delete_share_instance", "{s:s}", "share", name));
}

static void snapshot(const struct site *s, const char *share, const char *name)
{
	_cleanup_json_ json_t *o = call(s->f, "create_snapshot", "{s:s,s:s}", "share", share, "name", name);

	ck_assert_str_eq(str_at(o, "status"), "available");
}

static json_t *new_share(const struct site *s, const char *name, long long size)
{
	return jsonx_pack("{s:s,s:I,s:s}", "name", name, "size_bytes", (json_int_t)size, "backend", s->backend);
}

/* Writes until nothing more goes in. */
static long long write_until_full(const char *dir, long long most)
{
	_cleanup_free_ char *path = NULL;
	static char block[65536];
	long long n = 0;
	ssize_t one = 1;
	int fd;

	ck_assert_int_gt(asprintf(&path, "%s/big", dir), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	memset(block, 'x', sizeof block);
	while (fd >= 0 && n < most && (one = write(fd, block, sizeof block)) > 0)
		n += one;
	if (fd >= 0)
		close(fd);
	return n;
}

static void outside_is_intact(const struct site *s)
{
	ck_assert_int_eq(
		shell(NULL, "cd '%s/outside' && [ \"$(ls -A)\" = precious ] && grep -q precious precious", s->f->dir),
		0);
}

/* ---- what it says of itself ---- */

CASE(stats)
{
	static const char *const flags[] = {
		"size_enforced", "snapshots", "snapshot_consistent", "create_from_snapshot", "revert", "shrink",
		"manage",        "reflink"
	};
	static const char *const lists[] = { "share_protos", "access_types", "access_levels" };

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		ck_assert_msg(json_is_boolean(at(s->can, flags[i])), "%s is no boolean", flags[i]);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		ck_assert_msg(json_is_array(at(s->can, lists[i])), "%s is no list", lists[i]);
	ck_assert_uint_gt(json_array_size(at(s->can, "share_protos")), 0);
	ck_assert_int_ge(int_at(s->can, "total_bytes"), int_at(s->can, "free_bytes"));
	ck_assert_int_ge(int_at(s->can, "free_bytes"), 0);
	/* What is built on snapshots needs them. */
	ck_assert(claims(s, "snapshots") || (!claims(s, "create_from_snapshot") && !claims(s, "revert")));
}

/* ---- making and removing ---- */

CASE(names)
{
	char longest[256];
	const char *good[] = { "a", longest, "A.b_c-9", "0", "x..y", "con", "data", "_" };
	static const char *const bad[] = {
		"",     ".",   "..",  ".x",   "-x", "a/b", "a b",
		"a\nb", "a;b", "$(x", "a\\b", "ü",  "%n",  "00000000-0000-4000-8000-000000000000"
	};
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;

	memset(longest, 'n', 255);
	longest[255] = '\0';
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		make_share(s, good[i], 4 * MIB);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const char *files = files_of(s, good[i]);

		if (files)
			ck_assert_int_eq(shell(NULL, "cd '%s' && [ -z \"$(ls -A)\" ] && echo %zu >mine", files, i), 0);
	}
	before = known(s);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_error(s, "invalid_params", "create_share_instance", new_share(s, bad[i], 4 * MIB));
	after = known(s);
	ck_assert_str_eq(before, after);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const char *files = files_of(s, good[i]);

		if (files)
			ck_assert_int_eq(shell(NULL, "grep -qx %zu '%s/mine'", i, files), 0);
		do_delete(s, good[i]);
	}
	expect_order(s);
}

CASE(deleting)
{
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *other = NULL;

	make_share(s, "one", 20 * MIB);
	make_share(s, "two", 20 * MIB);
	fill_share(s, "one");
	fill_share(s, "two");
	tree = tree_of(s, "two");
	do_delete(s, "one");
	expect_error(s, "not_found", "delete_share_instance", by_share("one"));
	json_decref(call(s->f, "delete_share_instance", "{s:s,s:b}", "share", "one", "if_present", 1));
	expect_tree(s, "two", tree);
	/* Nothing of the first is in the second of its name. */
	make_share(s, "one", 20 * MIB);
	other = tree_of(s, "one");
	ck_assert_str_eq(other, "");
	expect_error(s, "already_exists", "create_share_instance", new_share(s, "one", 20 * MIB));
	expect_order(s);
}

CASE(a_kill)
{
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;

	make_share(s, "one", 20 * MIB);
	fill_share(s, "one");
	if (claims(s, "snapshots"))
		snapshot(s, "one", "snap");
	tree = tree_of(s, "one");
	before = known(s);
	fixture_kill(s->f);
	fixture_start(s->f, NULL, (uid_t)-1);
	after = known(s);
	ck_assert_str_eq(before, after);
	expect_tree(s, "one", tree);
}

/* ---- sizes ---- */

CASE(sizes)
{
	_cleanup_json_ json_t *share = NULL;
	_cleanup_free_ char *warnings = NULL;
	const char *files;
	long long n;

	make_share(s, "one", 16 * MIB);
	share = call(s->f, "get_share", "{s:s}", "share", "one");
	warnings = jsonx_dump(at(share, "warnings"));
	ck_assert_msg(!strstr(warnings, "size is not enforced") == claims(s, "size_enforced"), "%s", warnings);
	files = files_of(s, "one");
	if (files && claims(s, "size_enforced")) {
		n = write_until_full(files, 40 * MIB);
		ck_assert_msg(n > 14 * MIB && n <= 16 * MIB, "%s: %lld bytes go into 16 MiB", s->c->driver, n);
		json_decref(call(s->f, "extend_share", "{s:s,s:i}", "share", "one", "size_bytes", 24 * MIB));
		n += write_until_full(files, 40 * MIB);
		ck_assert_msg(n > 22 * MIB && n <= 24 * MIB, "%s: %lld bytes go into 24 MiB", s->c->driver, n);
	}
}

CASE(resizing)
{
	_cleanup_json_ json_t *larger = NULL;
	_cleanup_json_ json_t *smaller = NULL;
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;
	const char *files;

	make_share(s, "one", 16 * MIB);
	fill_share(s, "one");
	files = files_of(s, "one");
	if (files)
		ck_assert_int_eq(shell(NULL, "head -c 9000000 /dev/urandom >'%s/much'", files), 0);
	tree = tree_of(s, "one");
	larger = ask(s, "extend_share", jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)32 * MIB));
	if (kind_of(larger)) {
		ck_assert_str_eq(kind_of(larger), "not_supported");
		return;
	}
	ck_assert_int_eq(int_at(larger, "result.size_bytes"), 32 * MIB);
	before = known(s);
	if (!claims(s, "shrink")) {
		expect_error(s, "not_supported", "shrink_share",
			     jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)16 * MIB));
		after = known(s);
		ck_assert_str_eq(before, after);
		return;
	}
	if (files) {
		expect_error(s, "data_loss", "shrink_share",
			     jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)4 * MIB));
		smaller = call(s->f, "get_share", "{s:s}", "share", "one");
		ck_assert_str_eq(str_at(smaller, "status"), "available");
		ck_assert_int_eq(int_at(smaller, "size_bytes"), 32 * MIB);
		json_decref(smaller);
	}
	smaller = call(s->f, "shrink_share", "{s:s,s:i}", "share", "one", "size_bytes", 16 * MIB);
	ck_assert_int_eq(int_at(smaller, "size_bytes"), 16 * MIB);
	expect_tree(s, "one", tree);
}

/* ---- snapshots ---- */

CASE(snapshots)
{
	_cleanup_free_ char *then = NULL;
	_cleanup_free_ char *later = NULL;
	_cleanup_free_ char *copied = NULL;
	_cleanup_free_ char *reverted = NULL;
	const char *files;

	make_share(s, "one", 20 * MIB);
	if (!claims(s, "snapshots")) {
		expect_error(s, "not_supported", "create_snapshot",
			     jsonx_pack("{s:s,s:s}", "share", "one", "name", "snap"));
		return;
	}
	fill_share(s, "one");
	then = tree_of(s, "one");
	snapshot(s, "one", "snap");
	files = files_of(s, "one");
	if (files)
		ck_assert_int_eq(
			shell(NULL, "cd '%s' && echo more >>one && rm -rf sub && mkdir new && mv random new", files),
			0);
	later = tree_of(s, "one");
	if (claims(s, "create_from_snapshot")) {
		json_decref(call(s->f, "create_share_instance", "{s:s,s:s,s:I}", "name", "copy", "snapshot", "one@snap",
				 "size_bytes", (json_int_t)30 * MIB));
		expect_tree(s, "copy", then);
		expect_tree(s, "one", later);
		/* Each has its own files from now on. */
		files = files_of(s, "copy");
		if (files)
			ck_assert_int_eq(shell(NULL, "echo copy >>'%s/one'", files), 0);
		copied = tree_of(s, "copy");
		expect_tree(s, "one", later);
	} else {
		expect_error(s, "not_supported", "create_share_instance",
			     jsonx_pack("{s:s,s:s}", "name", "copy", "snapshot", "one@snap"));
	}
	if (claims(s, "revert")) {
		json_decref(call(s->f, "revert_to_snapshot", "{s:s}", "snapshot", "one@snap"));
		expect_tree(s, "one", then);
		if (copied)
			expect_tree(s, "copy", copied);
	} else {
		expect_error(s, "not_supported", "revert_to_snapshot", by_snapshot("one@snap"));
	}
	/* Not before its snapshots. */
	expect_error(s, "invalid_state", "delete_share_instance", by_share("one"));
	reverted = tree_of(s, "one");
	json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", "one@snap"));
	expect_error(s, "not_found", "delete_snapshot", by_snapshot("one@snap"));
	json_decref(call(s->f, "delete_snapshot", "{s:s,s:b}", "snapshot", "one@snap", "if_present", 1));
	expect_tree(s, "one", reverted);
	do_delete(s, "one");
	if (copied) {
		expect_tree(s, "copy", copied);
		do_delete(s, "copy");
	}
	expect_order(s);
}

/* ---- access ---- */

static const struct {
	const char *type, *to, *other;
} who[] = { { "user", "nobody", "daemon" }, { "ip", "192.0.2.7", "2001:db8::/64" }, { "cephx", "ann", "bob" } };

static bool nobody_enters(const char *files)
{
	return shell(NULL,
		     "cd / && setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'cd \"$1\" && ls' sh '%s' "
		     ">/dev/null "
		     "2>&1",
		     files) == 0;
}

static void one_rule(const struct site *s, const char *type, const char *to, const char *level)
{
	_cleanup_json_ json_t *rules = NULL;
	_cleanup_json_ json_t *rule = ask(s, "allow_access",
					  jsonx_pack("{s:s,s:s,s:s,s:s}", "share", "one", "access_type", type,
						     "access_to", to, "access_level", level));
	const char *files = files_of(s, "one");
	bool seen = files && geteuid() == 0 && strcmp(type, "user") == 0;

	if (!offers(s, "access_types", type) || !offers(s, "access_levels", level)) {
		ck_assert_msg(kind_of(rule) && strstr("not_supported invalid_params", kind_of(rule)),
			      "%s: a rule %s %s is not claimed, and is taken", s->c->driver, type, level);
	} else if (!kind_of(rule)) {
		/* Of a user or client that does not exist the rule may be in error, and says why. */
		ck_assert_msg(strcmp(str_at(rule, "result.state"), "active") == 0 ||
				      jsonx_str(at(rule, "result"), "status_reason"),
			      "%s: rule %s %s is neither in force nor says why", s->c->driver, type, level);
		if (seen && strcmp(str_at(rule, "result.state"), "active") == 0)
			ck_assert_msg(nobody_enters(files), "%s: who has a rule does not get in", s->c->driver);
		json_decref(call(s->f, "update_access", "{s:s}", "share", "one"));
		json_decref(call(s->f, "deny_access", "{s:s,s:s,s:s}", "share", "one", "access_type", type, "access_to",
				 to));
	}
	if (seen)
		ck_assert_msg(!nobody_enters(files), "%s: who has no rule gets in", s->c->driver);
	rules = call(s->f, "list_access_rules", "{s:s}", "share", "one");
	ck_assert_uint_eq(json_array_size(at(rules, "access_rules")), 0);
}

CASE(access_rules)
{
	static const char *const levels[] = { "rw", "ro" };

	make_share(s, "one", 4 * MIB);
	if (!offers(s, "share_protos", "LOCAL")) /* what is claimed is an exporter's */
		return;
	for (size_t i = 0; i < sizeof who / sizeof *who; i++)
		for (size_t l = 0; l < 2; l++)
			one_rule(s, who[i].type, who[i].to, levels[l]);
	expect_order(s);
}

/* One share of each protocol; what is not claimed is refused. */
CASE(protocols)
{
	static const char *const all[] = { "LOCAL", "NFS", "CIFS", "NFS_CIFS", "CEPHFS" };

	for (size_t p = 0; p < sizeof all / sizeof *all; p++) {
		json_t *params = new_share(s, "one", 4 * MIB);

		json_object_set_new(params, "share_proto", json_string(all[p]));
		if (offers(s, "share_protos", all[p])) {
			json_decref(ask(s, "create_share_instance", params));
			wait_share(s->f, "one", "available");
			do_delete(s, "one");
		} else {
			expect_error(s, "not_supported invalid_params", "create_share_instance", params);
		}
	}
	expect_order(s);
}

/* Rules of each kind, as many as are taken; each is in force, or says why not. */
static size_t allow_all(const struct site *s, const char *share)
{
	static const char *const levels[] = { "ro", "rw" };
	size_t n = 0;

	for (size_t i = 0; i < sizeof who / sizeof *who; i++)
		for (size_t l = 0; l < 2; l++) {
			_cleanup_json_ json_t *reply =
				ask(s, "allow_access",
				    jsonx_pack("{s:s,s:s,s:s,s:s}", "share", share, "access_type", who[i].type,
					       "access_to", l ? who[i].other : who[i].to, "access_level", levels[l]));
			const char *kind = kind_of(reply);

			/* What the server cannot do, or whom it does not know: the rule is there, in error. */
			ck_assert_msg(!kind || strstr("not_supported invalid_params", kind) ||
					      strstr(str_at(reply, "error.message"), "the rule is not in force"),
				      "%s: a rule %s %s: %s", s->c->driver, who[i].type, levels[l],
				      kind ? str_at(reply, "error.message") : "");
			n += !kind;
		}
	return n;
}

/* "state of each rule", sorted by who it is for. Free it. */
static char *states_of(const struct site *s, const char *share)
{
	_cleanup_json_ json_t *rules = call(s->f, "list_access_rules", "{s:s}", "share", share);
	_cleanup_json_ json_t *states = json_object();
	json_t *rule;
	size_t i;

	json_array_foreach(at(rules, "access_rules"), i, rule)
		json_object_set(states, str_at(rule, "access_to"), at(rule, "state"));
	return json_dumps(states, JSON_SORT_KEYS);
}

static void one_exported(const struct site *s, const char *proto)
{
	_cleanup_json_ json_t *share =
		call(s->f, "create_share_instance", "{s:s,s:I,s:s,s:s}", "name", "one", "size_bytes",
		     (json_int_t)20 * MIB, "backend", s->backend, "share_proto", proto);
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *states = NULL;
	_cleanup_free_ char *again = NULL;

	ck_assert_uint_gt(json_array_size(at(share, "export_locations")), 0);
	ck_assert_msg(files_of(s, "one"), "the place does not know the path of one");
	ck_assert_msg(!nobody_enters(files_of(s, "one")) || strstr(proto, "CIFS"), "%s: who is on this machine gets in",
		      proto);
	fill_share(s, "one");
	tree = tree_of(s, "one");
	ck_assert_uint_gt(allow_all(s, "one"), 0);
	states = states_of(s, "one");
	ck_assert_msg(strcmp(proto, "NFS") != 0 || strstr(states, "active"), "%s: %s", proto, states);
	if (claims(s, "revert")) {
		snapshot(s, "one", "snap");
		ck_assert_int_eq(shell(NULL, "echo more >>'%s/one'", files_of(s, "one")), 0);
		json_decref(call(s->f, "revert_to_snapshot", "{s:s}", "snapshot", "one@snap"));
		expect_tree(s, "one", tree);
		json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", "one@snap"));
	}
	fixture_kill(s->f);
	fixture_start(s->f, NULL, (uid_t)-1);
	wait_share(s->f, "one", "available");
	again = states_of(s, "one");
	ck_assert_str_eq(states, again);
	expect_tree(s, "one", tree);
	do_delete(s, "one");
	expect_order(s);
}

/* Of those in this repository, with the exporters. */
CASE(exports)
{
	static const char *const all[] = { "NFS", "CIFS", "NFS_CIFS" };

	for (size_t p = 0; p < sizeof all / sizeof *all; p++)
		if (s->c->exports)
			one_exported(s, all[p]);
}

/* ---- adopting ---- */

static json_t *manage_params(const struct site *s, const char *name, const char *location, bool dry_run)
{
	return jsonx_pack("{s:s,s:s,s:s,s:b}", "name", name, "backend", s->backend, "provider_location", location,
			  "dry_run", dry_run);
}

static void give_back_and_take(const struct site *s)
{
	_cleanup_json_ json_t *share = NULL;
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;
	const char *location;

	make_share(s, "one", 20 * MIB);
	fill_share(s, "one");
	tree = tree_of(s, "one");
	share = call(s->f, "get_share", "{s:s}", "share", "one");
	location = str_at(share, "instances.0.provider_location");
	json_decref(call(s->f, "unmanage_share", "{s:s}", "share", "one"));
	expect_error(s, "not_found", "get_share", by_share("one"));
	expect_order(s);
	before = known(s);
	json_decref(ask(s, "manage_share", manage_params(s, "again", location, true)));
	after = known(s);
	ck_assert_str_eq(before, after);
	json_decref(call(s->f, "manage_share", "{s:s,s:s,s:s}", "name", "again", "backend", s->backend,
			 "provider_location", location));
	expect_tree(s, "again", tree);
	expect_error(s, "already_exists", "manage_share", manage_params(s, "twice", location, false));
	do_delete(s, "again");
	expect_order(s);
}

CASE(adopting)
{
	_cleanup_free_ char *location = NULL;
	const char *files;

	if (!claims(s, "manage")) {
		expect_error(s, "not_supported", "manage_share", manage_params(s, "one", "somewhere", false));
		expect_order(s);
		return;
	}
	give_back_and_take(s);
	if (!place(s, &location, "foreign", "theirs"))
		return;
	expect_error(s, "not_found invalid_params", "manage_share", manage_params(s, "none", "nothing-there", false));
	expect_error(s, "invalid_params", "manage_share", manage_params(s, "none", "../outside", false));
	json_decref(call(s->f, "manage_share", "{s:s,s:s,s:s}", "name", "theirs", "backend", s->backend,
			 "provider_location", location));
	files = files_of(s, "theirs");
	ck_assert_ptr_nonnull(files);
	ck_assert_int_eq(shell(NULL, "grep -qx mine '%s/file'", files), 0);
	do_delete(s, "theirs");
	expect_order(s);
}

CASE(adopting_snapshots)
{
	_cleanup_json_ json_t *snap = NULL;
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *tree = NULL;

	if (!claims(s, "manage") || !claims(s, "snapshots"))
		return;
	make_share(s, "one", 20 * MIB);
	fill_share(s, "one");
	tree = tree_of(s, "one");
	snapshot(s, "one", "snap");
	snap = call(s->f, "get_snapshot", "{s:s}", "snapshot", "one@snap");
	reply = ask(s, "unmanage_snapshot", by_snapshot("one@snap"));
	if (kind_of(reply)) {
		ck_assert_str_eq(kind_of(reply), "not_supported");
		return;
	}
	json_decref(call(s->f, "manage_snapshot", "{s:s,s:s,s:s}", "share", "one", "name", "again", "provider_location",
			 str_at(snap, "instances.0.provider_location")));
	if (claims(s, "create_from_snapshot")) {
		json_decref(call(s->f, "create_share_instance", "{s:s,s:s}", "name", "copy", "snapshot", "one@again"));
		expect_tree(s, "copy", tree);
	}
	json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", "one@again"));
	do_delete(s, "one");
	expect_order(s);
}

/* ---- links ---- */

/* Nothing that users put into a share leads out of it. */
CASE(links_inside)
{
	const char *files;

	ck_assert_int_eq(shell(NULL, "cd '%s/outside' && echo precious >precious && chmod 0700 .", s->f->dir), 0);
	make_share(s, "one", 20 * MIB);
	fill_share(s, "one");
	files = files_of(s, "one");
	if (!files)
		return;
	ck_assert_int_eq(
		shell(NULL, "cd '%s' && ln -s ../../../outside up && ln -s / root && mkdir d && ln -s '%s/outside' d/x",
		      files, s->f->dir),
		0);
	if (claims(s, "snapshots")) {
		snapshot(s, "one", "snap");
		if (claims(s, "create_from_snapshot"))
			json_decref(call(s->f, "create_share_instance", "{s:s,s:s}", "name", "copy", "snapshot",
					 "one@snap"));
		if (claims(s, "revert"))
			json_decref(call(s->f, "revert_to_snapshot", "{s:s}", "snapshot", "one@snap"));
		outside_is_intact(s);
		json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", "one@snap"));
		if (claims(s, "create_from_snapshot"))
			do_delete(s, "copy");
	}
	do_delete(s, "one");
	expect_order(s);
	outside_is_intact(s);
}

/* Links in the place of shares: of one that is to be made, and of one that is there. */
CASE(links_in_the_way)
{
	_cleanup_json_ json_t *reply = NULL;

	ck_assert_int_eq(shell(NULL, "cd '%s/outside' && echo precious >precious", s->f->dir), 0);
	if (!place(s, NULL, "plant", "one"))
		return;
	reply = ask(s, "create_share_instance", new_share(s, "one", 4 * MIB));
	ck_assert_msg(!kind_of(reply) || strstr("already_exists invalid_state", kind_of(reply)), "%s", kind_of(reply));
	outside_is_intact(s);
	make_share(s, "two", 4 * MIB);
	if (!place(s, NULL, "lose", "two"))
		return;
	place(s, NULL, "plant", "two");
	json_decref(ask(s, "allow_access",
			jsonx_pack("{s:s,s:s,s:s}", "share", "two", "access_type", "user", "access_to", "nobody")));
	json_decref(ask(s, "extend_share", jsonx_pack("{s:s,s:I}", "share", "two", "size_bytes", (json_int_t)8 * MIB)));
	if (claims(s, "snapshots"))
		json_decref(ask(s, "create_snapshot", jsonx_pack("{s:s,s:s}", "share", "two", "name", "snap")));
	json_decref(ask(s, "unmanage_share", by_share("two")));
	json_decref(ask(s, "delete_share_instance", by_share("two")));
	outside_is_intact(s);
	ck_assert_int_eq(shell(NULL, "[ \"$(stat -c %%a '%s/outside')\" = 755 ]", s->f->dir), 0);
}

/* ---- what storage can come to ---- */

CASE(a_full_backend)
{
	static const char *const allowed = "no_space";
	_cleanup_free_ char *tree = NULL;
	_cleanup_json_ json_t *replies = json_array();
	json_t *reply;
	size_t i;

	make_share(s, "one", 4 * MIB);
	make_share(s, "two", 4 * MIB);
	fill_share(s, "one");
	tree = tree_of(s, "one");
	if (!place(s, NULL, "full", NULL))
		return;
	json_array_append_new(replies, ask(s, "create_share_instance", new_share(s, "three", 4 * MIB)));
	json_array_append_new(replies, ask(s, "extend_share",
					   jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)8 * MIB)));
	if (claims(s, "snapshots"))
		json_array_append_new(
			replies, ask(s, "create_snapshot", jsonx_pack("{s:s,s:s}", "share", "one", "name", "snap")));
	json_array_foreach(replies, i, reply)
		ck_assert_msg(!kind_of(reply) || strcmp(kind_of(reply), allowed) == 0, "%s: call %zu fails with %s: %s",
			      s->c->driver, i, kind_of(reply), str_at(reply, "error.message"));
	expect_tree(s, "one", tree);
	/* It can be emptied. */
	do_delete(s, "two");
	place(s, NULL, "room", NULL);
	json_decref(call(s->f, "init_host", "{s:s}", "backend", s->backend));
	expect_order(s);
	expect_tree(s, "one", tree);
	make_share(s, "two", 4 * MIB);
}

CASE(a_missing_share)
{
	_cleanup_json_ json_t *share = NULL;
	_cleanup_free_ char *tree = NULL;

	make_share(s, "one", 4 * MIB);
	make_share(s, "two", 4 * MIB);
	fill_share(s, "two");
	tree = tree_of(s, "two");
	if (!place(s, NULL, "lose", "one"))
		return;
	expect_error(s, "not_found invalid_state driver_failed", "extend_share",
		     jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)8 * MIB));
	json_decref(call(s->f, "init_host", "{s:s}", "backend", s->backend));
	share = call(s->f, "get_share", "{s:s}", "share", "one");
	ck_assert_msg(strstr(str_at(share, "status"), "error") && jsonx_str(share, "status_reason"), "%s: it is %s",
		      s->c->driver, str_at(share, "status"));
	expect_tree(s, "two", tree);
	do_delete(s, "one");
	make_share(s, "one", 4 * MIB);
	expect_order(s);
}

CASE(a_read_only_backend)
{
	_cleanup_free_ char *tree = NULL;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;

	make_share(s, "one", 20 * MIB);
	make_share(s, "other", 4 * MIB);
	fill_share(s, "one");
	if (claims(s, "snapshots"))
		snapshot(s, "one", "snap");
	tree = tree_of(s, "one");
	before = known(s);
	if (!place(s, NULL, "read-only", NULL))
		return;
	expect_error(s, "backend_down", "create_share_instance", new_share(s, "two", 4 * MIB));
	expect_error(s, "backend_down", "extend_share",
		     jsonx_pack("{s:s,s:I}", "share", "one", "size_bytes", (json_int_t)30 * MIB));
	expect_error(s, "backend_down", "delete_share_instance", by_share("other"));
	if (claims(s, "snapshots"))
		expect_error(s, "backend_down", "delete_snapshot", by_snapshot("one@snap"));
	expect_tree(s, "one", tree);
	place(s, NULL, "writable", NULL);
	json_decref(call(s->f, "init_host", "{s:s}", "backend", s->backend));
	after = known(s);
	ck_assert_str_eq(before, after);
	make_share(s, "two", 4 * MIB);
	expect_order(s);
}

/* ---- what is not claimed ---- */

CASE(unclaimed)
{
	static const struct {
		const char *capability, *method, *params;
	} all[] = {
		{ "snapshots", "create_snapshot", "{\"share\":\"one\",\"name\":\"s\"}" },
		{ "shrink", "shrink_share", "{\"share\":\"one\",\"size_bytes\":1048576}" },
		{ "manage", "manage_share", "{\"name\":\"m\",\"provider_location\":\"m\"}" },
	};
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;
	_cleanup_free_ char *tree = NULL;

	make_share(s, "one", 20 * MIB);
	fill_share(s, "one");
	tree = tree_of(s, "one");
	before = known(s);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		json_t *params = json_loads(all[i].params, 0, NULL);

		if (strcmp(all[i].capability, "manage") == 0)
			json_object_set_new(params, "backend", json_string(s->backend));
		if (claims(s, all[i].capability))
			json_decref(params);
		else
			expect_error(s, "not_supported", all[i].method, params);
	}
	if (json_array_size(at(s->can, "access_types")) == 0)
		expect_error(s, "not_supported", "allow_access",
			     jsonx_pack("{s:s,s:s,s:s}", "share", "one", "access_type", "user", "access_to", "nobody"));
	after = known(s);
	ck_assert_str_eq(before, after);
	expect_tree(s, "one", tree);
}

/* ---- replicas ---- */

/* Another backend of the driver, in the same domain; NULL: there is none. Free it. */
static char *find_peer(const struct site *s)
{
	_cleanup_json_ json_t *list = call(s->f, "list_backends", NULL);
	json_t *b;
	size_t i;

	json_array_foreach(at(list, "backends"), i, b)
		if (strcmp(str_at(b, "driver"), s->c->driver) == 0 && strcmp(str_at(b, "name"), s->backend) != 0)
			return strdup(str_at(b, "name"));
	printf("%s: not looked at, for there is one backend only: replicas\n", s->c->driver);
	return NULL;
}

/* New reference. */
static json_t *replica_on(const struct site *s, const char *share, const char *backend)
{
	_cleanup_json_ json_t *o = call(s->f, "get_share", "{s:s}", "share", share);
	json_t *instance;
	size_t i;

	json_array_foreach(at(o, "instances"), i, instance)
		if (strcmp(str_at(instance, "backend"), backend) == 0)
			return json_incref(instance);
	ck_abort_msg("%s: %s has no replica on %s", s->c->driver, share, backend);
}

/* It has what the active one has, for whoever looks there, and says so. */
static void expect_in_sync(const struct site *s, const char *share, const char *backend)
{
	_cleanup_json_ json_t *replica = replica_on(s, share, backend);
	_cleanup_free_ char *tree = tree_of(s, share), *there = NULL;
	const char *path = str_at(replica, "export_locations.0.path");

	ck_assert_str_eq(str_at(replica, "status"), "available");
	ck_assert_str_eq(str_at(replica, "replica_state"), "in_sync");
	if (!*tree || *path != '/')
		return;
	there = tree_in(path);
	ck_assert_msg(strcmp(tree, there) == 0, "%s: the files of %s are:\n%s\nand at its replica:\n%s", s->c->driver,
		      share, tree, there);
}

static void update_replica(const struct site *s, const char *share, const char *backend)
{
	_cleanup_json_ json_t *replica = replica_on(s, share, backend);

	json_decref(call(s->f, "update_share_replica", "{s:s}", "replica", str_at(replica, "id")));
	expect_in_sync(s, share, backend);
}

static void change_files(const struct site *s, const char *share, const char *name)
{
	const char *files = files_of(s, share);

	if (files)
		ck_assert_int_eq(shell(NULL,
				       "cd '%s' && echo %s >>one && mkdir %s && rm -f random && ln -sf %s dangling",
				       files, name, name, name),
				 0);
}

static void promote(const struct site *s, const char *share, const char *backend)
{
	_cleanup_json_ json_t *replica = replica_on(s, share, backend), *o = NULL;
	_cleanup_free_ char *tree = tree_of(s, share);

	o = call(s->f, "promote_share_replica", "{s:s}", "replica", str_at(replica, "id"));
	ck_assert_str_eq(str_at(o, "backend"), backend);
	ck_assert_str_eq(str_at(o, "status"), "available");
	expect_tree(s, share, tree);
}

/* A snapshot of all: as it was then, wherever the share is made of it. */
static void snapshot_all(const struct site *s, const char *peer)
{
	_cleanup_json_ json_t *o = NULL;
	_cleanup_free_ char *then = tree_of(s, "one");

	snapshot(s, "one", "snap");
	change_files(s, "one", "later");
	update_replica(s, "one", peer);
	o = call(s->f, "update_replicated_snapshot", "{s:s}", "snapshot", "one@snap");
	ck_assert_str_eq(str_at(o, "instances.0.status"), "available");
	ck_assert_str_eq(str_at(o, "instances.1.status"), "available");
	json_decref(call(s->f, "create_share_instance", "{s:s,s:s,s:s}", "name", "copy", "snapshot", "one@snap",
			 "backend", peer));
	expect_tree(s, "copy", then);
	do_delete(s, "copy");
	json_decref(call(s->f, "delete_snapshot", "{s:s}", "snapshot", "one@snap"));
	expect_error(s, "not_found", "get_snapshot", by_snapshot("one@snap"));
}

CASE(replicas)
{
	_cleanup_free_ char *peer = find_peer(s);
	_cleanup_json_ json_t *old = NULL;

	if (!peer)
		return;
	make_share(s, "one", 20 * MIB);
	if (json_is_null(at(s->can, "replication_type"))) {
		expect_error(s, "not_supported", "create_share_replica",
			     jsonx_pack("{s:s,s:s}", "share", "one", "backend", peer));
		return;
	}
	fill_share(s, "one");
	json_decref(call(s->f, "create_share_replica", "{s:s,s:s}", "share", "one", "backend", peer));
	expect_in_sync(s, "one", peer);
	change_files(s, "one", "first");
	update_replica(s, "one", peer);
	if (claims(s, "snapshots") && claims(s, "create_from_snapshot"))
		snapshot_all(s, peer);
	change_files(s, "one", "second");
	promote(s, "one", peer);
	change_files(s, "one", "third");
	update_replica(s, "one", s->backend);
	promote(s, "one", s->backend);
	update_replica(s, "one", peer);
	expect_error(s, "invalid_state", "delete_share_instance", by_share("one"));
	old = replica_on(s, "one", peer);
	json_decref(call(s->f, "delete_share_replica", "{s:s}", "replica", str_at(old, "id")));
	do_delete(s, "one");
	expect_order(s);
}

int main(void)
{
	Suite *s = suite_create("conformance");
	TCase *t = tcase_create("conformance");
	SRunner *runner;
	int failed, zero, n, from, all, first, last;

	candidate_range(CANDIDATES, &zero, &n);
	candidate_range(WITH_EXPORTS, &from, &all);
	candidate_range(WITH_REPLICAS, &first, &last);

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_stats, 0, n);
	tcase_add_loop_test(t, test_names, 0, n);
	tcase_add_loop_test(t, test_deleting, 0, n);
	tcase_add_loop_test(t, test_a_kill, 0, n);
	tcase_add_loop_test(t, test_sizes, 0, n);
	tcase_add_loop_test(t, test_resizing, 0, n);
	tcase_add_loop_test(t, test_snapshots, 0, n);
	tcase_add_loop_test(t, test_access_rules, 0, n);
	tcase_add_loop_test(t, test_protocols, 0, all);
	tcase_add_loop_test(t, test_exports, from == 0 ? n : from, all);
	tcase_add_loop_test(t, test_replicas, first, last);
	tcase_add_loop_test(t, test_adopting, 0, n);
	tcase_add_loop_test(t, test_adopting_snapshots, 0, n);
	tcase_add_loop_test(t, test_links_inside, 0, n);
	tcase_add_loop_test(t, test_links_in_the_way, 0, n);
	tcase_add_loop_test(t, test_a_full_backend, 0, n);
	tcase_add_loop_test(t, test_a_missing_share, 0, n);
	tcase_add_loop_test(t, test_a_read_only_backend, 0, n);
	tcase_add_loop_test(t, test_unclaimed, 0, n);
	suite_add_tcase(s, t);
	servers_begin();
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	servers_end();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
