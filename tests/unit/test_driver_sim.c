/* drivers/sim and drivers/table: scripted delays and failures, answers for every slot. */
#include "tests/unit/test_driver.h"

static const struct driver_share shares[] = {
	{ .id = SHARE_1, .name = "one", .size_bytes = GIB, .replica_state = "active" },
	{ .id = SHARE_2, .name = "one", .size_bytes = GIB, .replica_state = "in_sync" },
};
static const struct driver_snapshot snapshots[] = {
	{ .id = SNAP_1, .name = "s", .share_instance_id = SHARE_1, .size_bytes = GIB, .status = "creating" },
	{ .id = SNAP_2, .name = "s", .share_instance_id = SHARE_2, .size_bytes = GIB, .status = "deleting" },
};
static const struct driver_rule rule_list[] = {
	{ .id = "r1", .access_type = "ip", .access_to = "192.0.2.1", .access_level = "ro" },
	{ .id = "r2", .access_type = "cephx", .access_to = "ann", .access_level = "rw" },
};
static const struct driver_rules rules = { .all = rule_list, .n_all = 2 };

static struct driver_call whole_call(void)
{
	return (struct driver_call){ .id = CALL_1,
				     .share = &shares[0],
				     .snapshot = &snapshots[0],
				     .shares = shares,
				     .n_shares = 2,
				     .snapshots = snapshots,
				     .n_snapshots = 2,
				     .rules = &rules,
				     .new_size_bytes = 2 * GIB };
}

START_TEST(every_slot_answers)
{
	struct backend b = backend_new("sim", "s", BACKEND_1, "");
	struct driver_call call = whole_call();

	for (const char *const *name = driver_slot_names(); *name; name++) {
		driver_slot *slot = driver_slot_by_name(b.ops, *name);
		_cleanup_outcome_ struct outcome o = { 0 };

		ck_assert_msg(slot != NULL, "%s", *name);
		o = run_slot(&b, slot, &call);
		ck_assert_msg(o.r == 0, "%s: %s", *name, o.e.message);
		ck_assert(json_is_object(o.values));
	}
	backend_free(&b);
}
END_TEST

static const char *at(const json_t *j, const char *a, size_t i, const char *key)
{
	return jsonx_str(json_array_get(json_object_get(j, a), i), key);
}

START_TEST(answers_are_plausible)
{
	struct backend b = backend_new("sim", "s", BACKEND_1, "capacity = \"5GiB\"");
	struct outcome o = WELL(&b, create_share, .id = CALL_1, .share = &shares[0]);

	ck_assert_str_eq(at(o.values, "export_locations", 0, "path"), "/sim/s/one");
	outcome_clear(&o);
	o = WELL(&b, get_share_stats, .id = CALL_1);
	ck_assert_int_eq(jsonx_int(o.values, "total_bytes"), 5 * (int64_t)GIB);
	ck_assert(jsonx_bool(o.values, "revert"));
	outcome_clear(&o);
	o = WELL(&b, promote_replica, .id = CALL_1, .share = &shares[1], .shares = shares, .n_shares = 2);
	json_t *replicas = json_object_get(o.values, "replicas");
	ck_assert_str_eq(jsonx_str(json_object_get(replicas, SHARE_2), "replica_state"), "active");
	ck_assert_str_eq(jsonx_str(json_object_get(replicas, SHARE_1), "replica_state"), "in_sync");
	outcome_clear(&o);
	o = WELL(&b, update_replicated_snapshot, .id = CALL_1, .snapshots = snapshots, .n_snapshots = 2);
	json_t *instances = json_object_get(o.values, "instances");
	ck_assert_str_eq(jsonx_str(json_object_get(instances, SNAP_1), "status"), "available");
	ck_assert_str_eq(jsonx_str(json_object_get(instances, SNAP_2), "status"), "deleted");
	outcome_clear(&o);
	backend_free(&b);
}
END_TEST

START_TEST(access_keys)
{
	struct backend b = backend_new("sim", "s", BACKEND_1, "");
	struct outcome o = WELL(&b, update_access, .id = CALL_1, .share = &shares[0], .rules = &rules);
	json_t *states = json_object_get(o.values, "rules");

	ck_assert_uint_eq(json_object_size(states), 2);
	ck_assert_ptr_null(jsonx_str(json_object_get(states, "r1"), "access_key"));
	ck_assert_ptr_nonnull(jsonx_str(json_object_get(states, "r2"), "access_key"));
	outcome_clear(&o);

	/* With a difference only that is answered for. */
	struct driver_rules more = { .all = rule_list, .n_all = 2, .add = rule_list, .n_add = 1 };
	o = WELL(&b, update_access, .id = CALL_1, .share = &shares[0], .rules = &more);
	ck_assert_uint_eq(json_object_size(json_object_get(o.values, "rules")), 1);
	outcome_clear(&o);
	backend_free(&b);
}
END_TEST

START_TEST(scripted_failures)
{
	struct backend b =
		backend_new("sim", "s", BACKEND_1,
			    "fail = {\"extend_share:ENOSPC\", \"create_share:EIO@2\", \"shrink_share:ENOTEMPTY\", "
			    "\"delete_share:ENOENT\", \"unmanage:EOPNOTSUPP\", \"create_snapshot:ENOTEMPTY\"}");
	struct driver_call call = whole_call();
	struct outcome o;

	for (int i = 0; i < 3; i++)
		FAILS(&b, ERR_NO_SPACE, extend_share, .id = CALL_1, .share = &shares[0]);
	DO(&b, create_share, .id = CALL_1, .share = &shares[0]);
	o = run_slot(&b, b.ops->create_share, &call);
	ck_assert_int_eq(o.r, -EIO);
	ck_assert_int_eq(o.e.err, EIO);
	ck_assert_int_eq(o.e.kind, ERR_DRIVER_FAILED);
	outcome_clear(&o);
	DO(&b, create_share, .id = CALL_1, .share = &shares[0]);
	FAILS(&b, ERR_DATA_LOSS, shrink_share, .id = CALL_1, .share = &shares[0]);
	FAILS(&b, ERR_NOT_FOUND, delete_share, .id = CALL_1, .share = &shares[0]);
	FAILS(&b, ERR_NOT_SUPPORTED, unmanage, .id = CALL_1, .share = &shares[0]);
	FAILS(&b, ERR_DRIVER_FAILED, create_snapshot, .id = CALL_1, .share = &shares[0], .snapshot = &snapshots[0]);
	backend_free(&b);
}
END_TEST

static const char *const bad[] = { "create_share",      "create_share:",       "create_share:EFOO",
				   "no_such:EIO",       "create_share:EIO@0",  "create_share:EIO@x",
				   "create_share:EIO@", "create_share:EIO@-1", "create:EIO" };

START_TEST(bad_scripts)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct backend b;

	ck_assert_int_eq(
		backend_try("sim", "s", BACKEND_1, text("fail = {\"delete_share:EIO\", \"%s\"}", bad[_i]), &b, &e),
		-EINVAL);
	ck_assert_int_eq(e.kind, ERR_INVALID_PARAMS);
	ck_assert_ptr_nonnull(strstr(e.message, text("\"%s\"", bad[_i])));
}
END_TEST

static double time_of(struct backend *b, driver_slot *slot)
{
	struct driver_call call = whole_call();
	double begin = text_monotonic();
	struct outcome o = run_slot(b, slot, &call);

	ck_assert_int_eq(o.r, 0);
	outcome_clear(&o);
	return text_monotonic() - begin;
}

START_TEST(latency)
{
	struct backend b = backend_new("sim", "s", BACKEND_1, "latency = 0.2");

	ck_assert_double_ge(time_of(&b, b.ops->create_share), 0.2);
	ck_assert_double_ge(time_of(&b, b.ops->get_share_status), 0.2);
	/* Timed against each other: four pauses would take 0.8 s. */
	double quick = time_of(&b, b.ops->do_setup) + time_of(&b, b.ops->check_for_setup_error) +
		       time_of(&b, b.ops->ensure_shares) + time_of(&b, b.ops->get_share_stats);
	ck_assert_double_lt(quick, 0.2);
	backend_free(&b);
}
END_TEST

/* ---- the table ---- */

static int no_create(const struct driver_setup *s, void **ret, struct error *e)
{
	(void)s, (void)ret;
	return error_set(e, ERR_DRIVER_FAILED, EIO, "no");
}

static void no_destroy(void *backend)
{
	(void)backend;
}

START_TEST(registering)
{
	static const struct share_driver_ops mine = {
		.abi = SHARE_DRIVER_ABI, .name = "mine", .create = no_create, .destroy = no_destroy
	};
	static const struct share_driver_ops other = {
		.abi = SHARE_DRIVER_ABI, .name = "other_2", .create = no_create, .destroy = no_destroy
	};
	_cleanup_error_ struct error e = ERROR_INIT;
	size_t n = 0, built_in = 0;

	while (driver_table()[built_in])
		built_in++;
	ck_assert_ptr_nonnull(driver_find("dir"));
	ck_assert_ptr_nonnull(driver_find("btrfs"));
	ck_assert_ptr_nonnull(driver_find("sim"));
	ck_assert_ptr_null(driver_find("mine"));
	ck_assert_int_eq(driver_register(&mine, "x.so", &e), 0);
	ck_assert_ptr_eq(driver_find("mine"), &mine);
	ck_assert_int_eq(driver_register(&mine, "x.so", &e), -EEXIST);
	ck_assert_int_eq(driver_register(&other, "x.so", &e), 0);
	while (driver_table()[n])
		n++;
	ck_assert_uint_eq(n, built_in + 2);
}
END_TEST

START_TEST(registering_refuses)
{
	static const struct share_driver_ops wrong[] = {
		{ .abi = SHARE_DRIVER_ABI + 1, .name = "mine", .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = NULL, .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "", .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "no-word", .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "1st", .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "sim", .create = no_create, .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "mine", .destroy = no_destroy },
		{ .abi = SHARE_DRIVER_ABI, .name = "mine", .create = no_create },
	};
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_lt(driver_register(&wrong[_i], "/usr/lib/x.so", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "/usr/lib/x.so"));
	ck_assert_ptr_null(driver_find("mine"));
}
END_TEST

START_TEST(slots_by_name)
{
	const struct share_driver_ops *d = driver_find("dir");
	size_t n = 0;

	ck_assert(driver_slot_by_name(d, "create_share") == d->create_share);
	ck_assert(driver_slot_by_name(d, "list_objects") == d->list_objects);
	ck_assert(driver_slot_by_name(d, "create_replica") == d->create_replica);
	ck_assert(driver_slot_by_name(d, "setup_server") == NULL);
	ck_assert(driver_slot_by_name(d, "create") == NULL);
	ck_assert(driver_slot_by_name(d, "") == NULL);
	while (driver_slot_names()[n])
		n++;
	/* Every slot of the struct has a name: they fill it from the first to its end. */
	ck_assert_uint_eq(n * sizeof(driver_slot *),
			  sizeof(struct share_driver_ops) - offsetof(struct share_driver_ops, do_setup));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("driver_sim");
	TCase *t = tcase_create("sim");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_slot_answers);
	tcase_add_test(t, answers_are_plausible);
	tcase_add_test(t, access_keys);
	tcase_add_test(t, scripted_failures);
	tcase_add_loop_test(t, bad_scripts, 0, COUNT(bad));
	tcase_add_test(t, latency);
	tcase_add_loop_test(t, registering_refuses, 0, 8);
	tcase_add_test(t, slots_by_name);
	tcase_add_test(t, registering); /* last: what is registered stays */
	suite_add_tcase(s, t);
	return run_suite(s);
}
