/* drivers/export/exported: what an exporter is told around each slot of a driver, and what is undone when it fails. The
 * exporter here keeps a list instead of a server, and can be told to fail; the driver is `dir` on a real directory. */
#include "tests/unit/test_driver.h"

#include "drivers/export/exported.h"
#include "drivers/export/table.h"

/* ---- the exporter ---- */

static json_t *there;     /* number as text to {"backend","id","name","number","path","rules":{id: access_to}} */
static const char *fails; /* "put", "remove", .. */
static bool lost;
static unsigned starts;

static bool is_to_fail(const char *what, struct error *e)
{
	if (!fails || strcmp(fails, what) != 0)
		return false;
	error_set(e, ERR_DRIVER_FAILED, EIO, "the test lets %s fail", what);
	return true;
}

static int x_create(const struct settings *settings, const struct export_place *place, void **ret, struct error *e)
{
	(void)settings, (void)place, (void)e;
	*ret = &there;
	return 0;
}

static void x_destroy(void *x)
{
	(void)x;
}

static int x_start(void *x, struct error *e)
{
	(void)x;
	if (is_to_fail("start", e))
		return -EIO;
	starts++;
	lost = false;
	return 0;
}

static bool x_is_lost(void *x)
{
	(void)x;
	return lost;
}

static int x_put(void *x, const struct export *ex, const struct driver_rule *rules, size_t n, json_t *results,
		 struct error *e)
{
	json_t *set, *one;
	const char *key;

	(void)x;
	if (is_to_fail("put", e))
		return -EIO;
	json_object_foreach(there, key, one)
		if (strcmp(jsonx_str(one, "name"), ex->name) == 0 && strcmp(key, text("%u", ex->number)) != 0)
			return error_set(e, ERR_ALREADY_EXISTS, EEXIST, "%s is there", ex->name);
	set = json_object();
	for (size_t i = 0; i < n; i++) {
		json_object_set_new(set, rules[i].id, json_string(rules[i].access_to));
		json_object_set_new(results, rules[i].id, jsonx_pack("{s:s}", "state", "active"));
	}
	json_object_set_new(there, text("%u", ex->number),
			    jsonx_pack("{s:s,s:s,s:s,s:I,s:s,s:o}", "backend", ex->backend, "id", ex->id, "name",
				       ex->name, "number", (json_int_t)ex->number, "path", ex->path, "rules", set));
	return 0;
}

static int x_remove(void *x, const struct export *ex, struct error *e)
{
	(void)x;
	if (is_to_fail("remove", e))
		return -EIO;
	json_object_del(there, text("%u", ex->number));
	return 0;
}

static int x_list(void *x, json_t **ret, struct error *e)
{
	const char *key;
	json_t *one;

	(void)x, (void)e;
	*ret = json_array();
	json_object_foreach(there, key, one)
		json_array_append(*ret, one);
	return 0;
}

static int x_find_foreign(void *x, const char *path, char **ret, struct error *e)
{
	(void)x, (void)e;
	if (strstr(path, "foreign"))
		*ret = xstrdup("the export of another");
	return 0;
}

static json_t *x_locations(void *x, const struct export *ex)
{
	(void)x;
	return jsonx_pack("[{s:o}]", "path", json_sprintf("nas:/%s", ex->name));
}

static const char *const ip[] = { "ip", NULL }, *const ro_rw[] = { "rw", "ro", NULL };
static const struct option no_options[] = { { 0 } };
static const struct exporter_ops test_exporter = {
	.name = "test",
	.proto = "NFS",
	.access_types = ip,
	.access_levels = ro_rw,
	.options = no_options,
	.create = x_create,
	.destroy = x_destroy,
	.start = x_start,
	.is_lost = x_is_lost,
	.put = x_put,
	.remove = x_remove,
	.list = x_list,
	.find_foreign = x_find_foreign,
	.locations = x_locations,
};

/* ---- fixture ---- */

static struct backend b;

static void open_backend(const char *export)
{
	b = backend_new("dir", "b", BACKEND_1, text("root = \"%s/root\"\n%s", dir, export));
	DO(&b, do_setup, .id = CALL_1, .root_is_empty = true);
}

static void begin(void)
{
	setup();
	exporter_register(&test_exporter);
	there = json_object();
	fails = NULL;
	lost = false;
	starts = 0;
	shell("mkdir '%s/root'", dir);
	open_backend("export = {\"test\"}");
	DO(&b, do_setup, .id = CALL_1);
}

static void end(void)
{
	backend_free(&b);
	json_decref(there);
	teardown();
}

static const struct driver_share nfs = { .id = SHARE_1,
					 .share_id = SHARE_1,
					 .name = "one",
					 .backend = "b",
					 .share_proto = "NFS",
					 .export_number = 7,
					 .size_bytes = GIB,
					 .mode = 0770 };
static const struct driver_share local = { .id = SHARE_2,
					   .share_id = SHARE_2,
					   .name = "two",
					   .backend = "b",
					   .share_proto = "LOCAL",
					   .size_bytes = GIB,
					   .mode = 0770 };
static const struct driver_rule some[] = {
	{ .id = "r1", .access_type = "ip", .access_to = "192.0.2.1", .access_level = "rw" },
	{ .id = "r2", .access_type = "user", .access_to = "root", .access_level = "rw" },
};
static const struct driver_rules two_rules = { .all = some, .n_all = 2 };

static json_t *seventh(void)
{
	return json_object_get(there, "7");
}

static const char *path_of_share(void)
{
	return text("%s/root/one/data", dir);
}

static const char *first_location(const struct outcome *o)
{
	return jsonx_str(json_array_get(json_object_get(o->values, "export_locations"), 0), "path");
}

/* ---- making and removing ---- */

START_TEST(a_new_share_is_exported_to_nobody)
{
	_cleanup_outcome_ struct outcome o = WELL(&b, create_share, .id = CALL_1, .share = &nfs);

	ck_assert_str_eq(first_location(&o), "nas:/one");
	ck_assert_str_eq(jsonx_str(seventh(), "path"), path_of_share());
	ck_assert_uint_eq(json_object_size(json_object_get(seventh(), "rules")), 0);
	DO(&b, delete_share, .id = CALL_2, .share = &nfs);
	ck_assert_uint_eq(json_object_size(there), 0);
	ck_assert(!exists(path_of_share()));
}
END_TEST

START_TEST(what_cannot_be_exported_is_not_made)
{
	fails = "put";
	FAILS(&b, ERR_DRIVER_FAILED, create_share, .id = CALL_1, .share = &nfs);
	ck_assert(!exists(text("%s/root/one", dir)));
	fails = NULL;
	DO(&b, create_share, .id = CALL_1, .share = &nfs);
}
END_TEST

START_TEST(a_protocol_without_exporter)
{
	struct driver_share cifs = nfs;

	cifs.share_proto = "CIFS";
	FAILS(&b, ERR_NOT_SUPPORTED, create_share, .id = CALL_1, .share = &cifs);
	cifs.share_proto = "NFS_CIFS";
	FAILS(&b, ERR_NOT_SUPPORTED, create_share, .id = CALL_1, .share = &cifs);
	ck_assert(!exists(text("%s/root/one", dir)));
}
END_TEST

START_TEST(what_is_still_exported_is_not_removed)
{
	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	fails = "remove";
	FAILS(&b, ERR_DRIVER_FAILED, delete_share, .id = CALL_2, .share = &nfs);
	FAILS(&b, ERR_DRIVER_FAILED, unmanage, .id = CALL_2, .share = &nfs);
	ck_assert(exists(path_of_share()));
}
END_TEST

START_TEST(local_shares_pass)
{
	_cleanup_outcome_ struct outcome o = WELL(&b, create_share, .id = CALL_1, .share = &local);
	_cleanup_outcome_ struct outcome rules =
		WELL(&b, update_access, .id = CALL_2, .share = &local,
		     .rules = &(struct driver_rules){ .all = &some[1], .n_all = 1, .add = &some[1], .n_add = 1 });

	fails = "put";
	ck_assert_str_eq(first_location(&o), text("%s/root/two/data", dir));
	ck_assert_str_eq(jsonx_str(json_object_get(json_object_get(rules.values, "rules"), "r2"), "state"), "active");
	ck_assert_uint_eq(json_object_size(there), 0);
	/* Long work of a share that passes finds its driver, too. */
	DO(&b, shrink_share, .id = CALL_3, .share = &local, .new_size_bytes = 4096);
}
END_TEST

/* ---- rules ---- */

START_TEST(rules_go_to_who_takes_them)
{
	_cleanup_outcome_ struct outcome o = { 0 };
	json_t *rules;

	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	o = WELL(&b, update_access, .id = CALL_2, .share = &nfs, .rules = &two_rules);
	rules = json_object_get(o.values, "rules");
	ck_assert_str_eq(jsonx_str(json_object_get(rules, "r1"), "state"), "active");
	ck_assert_str_eq(jsonx_str(json_object_get(rules, "r2"), "state"), "error");
	ck_assert_str_eq(jsonx_str(json_object_get(rules, "r2"), "reason"), "NFS shares have no rules of type user");
	ck_assert_uint_eq(json_object_size(json_object_get(seventh(), "rules")), 1);
}
END_TEST

/* ---- revert: the directory is another one afterwards, and nobody holds the old one ---- */

static struct driver_snapshot snapshot = { .id = SNAP_1, .snapshot_id = SNAP_1, .share_instance_id = SHARE_1 };

START_TEST(revert_lets_go_and_exports_again)
{
	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	DO(&b, create_snapshot, .id = CALL_1, .share = &nfs, .snapshot = &snapshot);
	write_text(text("%s/later", path_of_share()), "x");
	DO(&b, revert_to_snapshot, .id = CALL_2, .share = &nfs, .snapshot = &snapshot, .rules = &two_rules);
	ck_assert(!exists(text("%s/later", path_of_share())));
	ck_assert_uint_eq(json_object_size(json_object_get(seventh(), "rules")), 1);
}
END_TEST

START_TEST(a_revert_that_cannot_let_go_changes_nothing)
{
	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	DO(&b, create_snapshot, .id = CALL_1, .share = &nfs, .snapshot = &snapshot);
	write_text(text("%s/later", path_of_share()), "x");
	fails = "remove";
	FAILS(&b, ERR_DRIVER_FAILED, revert_to_snapshot, .id = CALL_2, .share = &nfs, .snapshot = &snapshot,
	      .rules = &two_rules);
	ck_assert(exists(text("%s/later", path_of_share())));
	ck_assert_ptr_nonnull(seventh());
	ck_assert_uint_eq(count_entries(text("%s/root/.sharesd/staging", dir)), 0);
}
END_TEST

START_TEST(a_copy_is_exported_at_its_end)
{
	struct driver_share copy = nfs;

	copy.id = copy.share_id = SHARE_2;
	copy.name = "copy";
	copy.export_number = 8;
	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	DO(&b, create_snapshot, .id = CALL_1, .share = &nfs, .snapshot = &snapshot);
	DO(&b, create_share_from_snapshot, .id = CALL_2, .share = &copy, .snapshot = &snapshot);
	ck_assert_str_eq(jsonx_str(json_object_get(there, "8"), "path"), text("%s/root/copy/data", dir));
	fails = "put";
	copy.id = copy.share_id = SNAP_2;
	copy.name = "more";
	FAILS(&b, ERR_DRIVER_FAILED, create_share_from_snapshot, .id = CALL_3, .share = &copy, .snapshot = &snapshot);
	ck_assert(!exists(text("%s/root/more", dir)));
}
END_TEST

/* ---- replicas ---- */

static const char *name_of(const char *number)
{
	return jsonx_str(json_object_get(there, number), "name");
}

START_TEST(the_name_is_the_active_replicas)
{
	struct driver_share one = nfs, two = nfs;
	struct backend other;
	_cleanup_outcome_ struct outcome o = { 0 };

	shell("mkdir '%s/second'", dir);
	other = backend_new("dir", "c", BACKEND_2, text("root = \"%s/second\"\nexport = {\"test\"}", dir));
	DO(&other, do_setup, .id = CALL_1, .root_is_empty = true);
	one.replica_state = "active";
	two.id = SHARE_2;
	two.backend = "c";
	two.export_number = 8;
	two.replica_state = "in_sync";
	DO(&b, create_share, .id = CALL_1, .share = &one);
	o = WELL(&other, create_share, .id = CALL_2, .share = &two);
	ck_assert_str_eq(name_of("7"), "one");
	ck_assert_str_eq(name_of("8"), "one@c");
	ck_assert_str_eq(first_location(&o), "nas:/one@c");
	/* The other was the active one, and could not be told that it is not any more. */
	two.replica_state = "active";
	DO(&other, update_access, .id = CALL_3, .share = &two, .rules = &two_rules);
	ck_assert_str_eq(name_of("8"), "one");
	ck_assert_ptr_null(seventh());
	one.replica_state = "out_of_sync";
	DO(&b, update_access, .id = CALL_2, .share = &one, .rules = &two_rules);
	ck_assert_str_eq(name_of("7"), "one@b");
	/* Another share's name is not taken away. */
	two.replica_state = NULL;
	one.replica_state = NULL;
	FAILS(&b, ERR_ALREADY_EXISTS, update_access, .id = CALL_2, .share = &one, .rules = &two_rules);
	ck_assert_str_eq(name_of("8"), "one");
	backend_free(&other);
}
END_TEST

/* ---- adopting ---- */

START_TEST(what_another_exports_is_not_adopted)
{
	struct driver_share s = nfs;

	shell("mkdir -m 751 '%s/root/foreign' '%s/root/mine'", dir, dir);
	s.provider_location = "foreign";
	FAILS(&b, ERR_ALREADY_EXISTS, manage_existing, .id = CALL_1, .share = &s, .rules = &two_rules, .dry_run = true);
	FAILS(&b, ERR_ALREADY_EXISTS, manage_existing, .id = CALL_1, .share = &s, .rules = &two_rules);
	ck_assert_uint_eq(stat_of(text("%s/root/foreign", dir)).st_mode & 07777, 0751);
	ck_assert_uint_eq(count_entries(text("%s/root/.sharesd/objects", dir)), 0);
	s.provider_location = "mine";
	DO(&b, manage_existing, .id = CALL_1, .share = &s, .rules = &two_rules);
	DO(&b, unmanage, .id = CALL_2, .share = &s);
	ck_assert_uint_eq(stat_of(text("%s/root/mine", dir)).st_mode & 07777, 0751);
}
END_TEST

/* ---- start ---- */

START_TEST(start_puts_locations_and_removes_orphans)
{
	_cleanup_json_ json_t *known = jsonx_pack("{s:b}", SHARE_1, 1);
	_cleanup_outcome_ struct outcome o = { 0 };
	json_t *one;

	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	json_object_set_new(there, "9",
			    jsonx_pack("{s:s,s:s,s:s,s:i}", "backend", "b", "id", SNAP_1, "name", "gone", "number", 9));
	json_object_set_new(
		there, "10",
		jsonx_pack("{s:s,s:s,s:s,s:i}", "backend", "other", "id", SNAP_1, "name", "others", "number", 10));
	o = WELL(&b, ensure_shares, .id = CALL_2, .shares = &nfs, .n_shares = 1, .known = known);
	one = json_object_get(json_object_get(o.values, "shares"), SHARE_1);
	ck_assert_str_eq(jsonx_str(json_array_get(json_object_get(one, "export_locations"), 0), "path"), "nas:/one");
	ck_assert_ptr_nonnull(seventh());
	ck_assert_ptr_null(json_object_get(there, "9"));
	ck_assert_ptr_nonnull(json_object_get(there, "10"));
}
END_TEST

/* Its directory is gone: nobody reaches what may come in its place. */
START_TEST(what_is_gone_is_not_exported)
{
	_cleanup_json_ json_t *known = jsonx_pack("{s:b}", SHARE_1, 1);

	DO(&b, create_share, .id = CALL_1, .share = &nfs);
	shell("mv '%s/root/one' '%s/away'", dir, dir);
	FAILS(&b, ERR_NOT_FOUND, update_access, .id = CALL_2, .share = &nfs, .rules = &two_rules);
	ck_assert_ptr_null(seventh());
	shell("mv '%s/away' '%s/root/one'", dir, dir);
	DO(&b, update_access, .id = CALL_2, .share = &nfs, .rules = &two_rules);
	ck_assert_ptr_nonnull(seventh());
	shell("mv '%s/root/one' '%s/away'", dir, dir);
	DO(&b, ensure_shares, .id = CALL_3, .shares = &nfs, .n_shares = 1, .known = known);
	ck_assert_ptr_null(seventh());
}
END_TEST

START_TEST(stats_tell_of_both)
{
	_cleanup_outcome_ struct outcome o = WELL(&b, get_share_stats, .id = CALL_1);
	_cleanup_json_ json_t *protos = jsonx_pack("[s,s]", "LOCAL", "NFS"), *types = jsonx_pack("[s,s]", "user", "ip"),
			      *levels = jsonx_pack("[s,s]", "rw", "ro");

	ck_assert(json_equal(json_object_get(o.values, "share_protos"), protos));
	ck_assert(json_equal(json_object_get(o.values, "access_types"), types));
	ck_assert(json_equal(json_object_get(o.values, "access_levels"), levels));
}
END_TEST

/* Two backends, one server: who is set up first starts it, and the other one's exports are lost all the same. */
static void expect_lost(const struct backend *from)
{
	_cleanup_free_ char *text = exported_is_lost(from->ops, from->state);

	ck_assert_str_eq(text, "the server of exporter test ended or does not answer");
}

START_TEST(a_lost_server_is_lost_for_all)
{
	struct backend other;

	shell("mkdir '%s/other'", dir);
	other = backend_new("dir", "o", BACKEND_2, text("root = \"%s/other\"\nexport = {\"test\"}", dir));
	DO(&other, do_setup, .id = CALL_1, .root_is_empty = true);
	ck_assert_ptr_null(exported_is_lost(b.ops, b.state));
	ck_assert_ptr_null(exported_is_lost(other.ops, other.state));
	lost = true;
	expect_lost(&b);
	DO(&b, do_setup, .id = CALL_2);
	ck_assert_ptr_null(exported_is_lost(b.ops, b.state));
	expect_lost(&other);
	DO(&other, do_setup, .id = CALL_2);
	ck_assert_ptr_null(exported_is_lost(other.ops, other.state));
	backend_free(&other);
	ck_assert_ptr_null(exported_is_lost(b.ops, b.state));
}
END_TEST

START_TEST(a_server_that_does_not_start)
{
	fails = "start";
	FAILS(&b, ERR_DRIVER_FAILED, do_setup, .id = CALL_1);
}
END_TEST

START_TEST(without_exporters_the_driver_stands_alone)
{
	backend_free(&b);
	open_backend("");
	ck_assert_ptr_eq(b.ops, driver_find("dir"));
	ck_assert_ptr_null(exported_is_lost(b.ops, b.state));
}
END_TEST

int main(void)
{
	const TTest *tests[] = { a_new_share_is_exported_to_nobody,
				 what_cannot_be_exported_is_not_made,
				 a_protocol_without_exporter,
				 what_is_still_exported_is_not_removed,
				 local_shares_pass,
				 rules_go_to_who_takes_them,
				 revert_lets_go_and_exports_again,
				 a_revert_that_cannot_let_go_changes_nothing,
				 a_copy_is_exported_at_its_end,
				 the_name_is_the_active_replicas,
				 what_another_exports_is_not_adopted,
				 start_puts_locations_and_removes_orphans,
				 what_is_gone_is_not_exported,
				 stats_tell_of_both,
				 a_lost_server_is_lost_for_all,
				 a_server_that_does_not_start,
				 without_exporters_the_driver_stands_alone };
	Suite *s = suite_create("exported");
	TCase *c = tcase_create("exported");

	tcase_add_checked_fixture(c, begin, end);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	return run_suite(s);
}
