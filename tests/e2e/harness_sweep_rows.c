/* The rows of the table: what is there before each call, and after it. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_sweep.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576

/* ---- what is there before the call, and after it ---- */

static void prepare_nothing(struct sweep *s)
{
	(void)s;
}

void sweep_put_file(const struct sweep *s, const char *share, const char *text)
{
	ck_assert_int_eq(shell(NULL, "echo %s >%s/root/%s/data/file", text, s->f->dir, share), 0);
}

static void assert_file(const struct sweep *s, const char *place, const char *text)
{
	_cleanup_free_ char *got = read_text(fixture_path(s->f, "root/%s/file", place));

	ck_assert_msg(got && strncmp(got, text, strlen(text)) == 0, "%s: %s/file holds %s", s->where, place,
		      got ? got : "nothing");
}

static const char *proto_of(const struct sweep *s)
{
	return s->driver->proto ? s->driver->proto : "LOCAL";
}

static void prepare_share(struct sweep *s)
{
	json_decref(call(s->f, "create_share_instance", "{s:s,s:i,s:s,s:s}", "name", s->share, "size_bytes", 10 * MIB,
			 "mode", "0755", "share_proto", proto_of(s)));
	sweep_put_file(s, s->share, "one");
}

/* {"access_type", "access_to"}: users of directories; for what is exported one user, and addresses. */
static json_t *rule_for(const struct sweep *s, const char *user)
{
	if (!s->driver->proto)
		return jsonx_pack("{s:s,s:s}", "access_type", "user", "access_to", user);
	if (strcmp(user, "daemon") == 0)
		return jsonx_pack("{s:s,s:s}", "access_type", "user", "access_to", "games");
	return jsonx_pack("{s:s,s:s}", "access_type", "ip", "access_to",
			  strcmp(user, "nobody") == 0 ? "192.0.2.1" : "2001:db8::/32");
}

static json_t *rule_of(const struct sweep *s, const char *user)
{
	json_t *params = rule_for(s, user);

	json_object_set_new(params, "share", json_string(s->share));
	return params;
}

static void allow(struct sweep *s, const char *user)
{
	struct client *c = client_new(s->f);
	_cleanup_json_ json_t *reply = client_request(c, "allow_access", rule_of(s, user));

	ck_assert_ptr_null(json_object_get(reply, "error"));
	client_free(c);
}

static void prepare_rule(struct sweep *s)
{
	prepare_share(s);
	allow(s, "nobody");
	allow(s, "daemon");
}

static void prepare_snapshot(struct sweep *s)
{
	prepare_rule(s);
	json_decref(call(s->f, "create_snapshot", "{s:s,s:s}", "share", s->share, "name", "snap"));
	sweep_put_file(s, s->share, "two");
}

static void prepare_foreign(struct sweep *s)
{
	const char *make = s->driver->foreign ? s->driver->foreign : "mkdir";

	ck_assert_int_eq(shell(NULL, "cd %s/root && %s %s && echo mine >%s/file && chmod 0751 %s", s->f->dir, make,
			       s->other, s->other, s->other),
			 0);
}

static json_t *manage_params(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:s,s:s,s:s,s:[o]}", "name", s->share, "backend", "b", "provider_location", s->other,
			  "share_proto", proto_of(s), "access_rules", rule_for(s, "nobody"));
}

static void prepare_adopted(struct sweep *s)
{
	struct client *c = client_new(s->f);
	_cleanup_json_ json_t *reply = NULL;

	prepare_foreign(s);
	reply = client_request(c, "manage_share", manage_params(s));
	ck_assert_ptr_null(json_object_get(reply, "error"));
	client_free(c);
}

static json_t *share_of(const struct sweep *s, const char *name)
{
	json_t *share = call(s->f, "get_share", "{s:s}", "share", name);

	ck_assert_msg(strcmp(str_at(share, "status"), "available") == 0, "%s: %s is %s", s->where, name,
		      str_at(share, "status"));
	return share;
}

static void expect_created(struct sweep *s)
{
	_cleanup_json_ json_t *share = share_of(s, s->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 10 * MIB);
	ck_assert_str_eq(str_at(share, "metadata.a"), "b");
}

static void expect_copied(struct sweep *s)
{
	char place[64];

	json_decref(share_of(s, s->other));
	snprintf(place, sizeof place, "%s/data", s->other);
	assert_file(s, place, "one");
	snprintf(place, sizeof place, "%s/data", s->share);
	assert_file(s, place, "two");
}

static void expect_gone(struct sweep *s)
{
	json_decref(call_error(s->f, "not_found", "get_share", "{s:s}", "share", s->share));
	ck_assert_msg(!exists(fixture_path(s->f, "root/%s", s->share)), "%s: its directory is still there", s->where);
}

static void expect_extended(struct sweep *s)
{
	_cleanup_json_ json_t *share = share_of(s, s->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 20 * MIB);
}

static void expect_shrunk(struct sweep *s)
{
	_cleanup_json_ json_t *share = share_of(s, s->share);

	ck_assert_int_eq(int_at(share, "size_bytes"), 5 * MIB);
}

static void expect_adopted(struct sweep *s)
{
	json_decref(share_of(s, s->share));
	assert_file(s, s->other, "mine");
}

/* Its owner's directory again, as it was. */
static void expect_given_back(struct sweep *s)
{
	_cleanup_free_ char *mode = NULL;

	json_decref(call_error(s->f, "not_found", "get_share", "{s:s}", "share", s->share));
	assert_file(s, s->other, "mine");
	ck_assert_int_eq(shell(&mode, "stat -c %%a %s/root/%s; getfacl -cp %s/root/%s | grep -c ^user:[^:]", s->f->dir,
			       s->other, s->f->dir, s->other),
			 1);
	ck_assert_str_eq(mode, "751\n0\n");
}

static void expect_forgotten(struct sweep *s)
{
	char place[64];

	json_decref(call_error(s->f, "not_found", "get_share", "{s:s}", "share", s->share));
	snprintf(place, sizeof place, "%s/data", s->share);
	assert_file(s, place, "one");
}

static size_t count_rules(const struct sweep *s)
{
	_cleanup_json_ json_t *rules = list_all(s->f, "list_access_rules", "access_rules");

	return json_array_size(rules);
}

static void expect_three_rules(struct sweep *s)
{
	ck_assert_msg(count_rules(s) == 3, "%s: %zu rules", s->where, count_rules(s));
}

static void expect_two_rules(struct sweep *s)
{
	ck_assert_msg(count_rules(s) == 2, "%s: %zu rules", s->where, count_rules(s));
}

static void expect_one_rule(struct sweep *s)
{
	ck_assert_msg(count_rules(s) == 1, "%s: %zu rules", s->where, count_rules(s));
}

static json_t *snapshot_of(const struct sweep *s)
{
	char ref[64];

	snprintf(ref, sizeof ref, "%s@snap", s->share);
	return call(s->f, "get_snapshot", "{s:s}", "snapshot", ref);
}

static void expect_snapshot(struct sweep *s)
{
	_cleanup_json_ json_t *snapshot = snapshot_of(s);

	ck_assert_str_eq(str_at(snapshot, "status"), "available");
	ck_assert_int_eq(shell(NULL, "grep -rq one %s/root/%s", s->f->dir, str_at(snapshot, "provider_location")), 0);
}

static void expect_no_snapshot(struct sweep *s)
{
	_cleanup_json_ json_t *all = list_all(s->f, "list_snapshots", "snapshots");

	ck_assert_msg(json_array_size(all) == 0, "%s: there is a snapshot", s->where);
	json_decref(share_of(s, s->share));
}

static void expect_reverted(struct sweep *s)
{
	char place[64];

	json_decref(share_of(s, s->share));
	json_decref(snapshot_of(s));
	snprintf(place, sizeof place, "%s/data", s->share);
	assert_file(s, place, "one");
}

static void expect_metadata(struct sweep *s)
{
	_cleanup_json_ json_t *share = share_of(s, s->share);

	ck_assert_str_eq(str_at(share, "metadata.colour"), "red");
}

static void expect_status(struct sweep *s)
{
	_cleanup_json_ json_t *share = call(s->f, "get_share", "{s:s}", "share", s->share);

	ck_assert_str_eq(str_at(share, "status"), "extending_error");
}

static void expect_up(struct sweep *s)
{
	_cleanup_json_ json_t *backend = call(s->f, "get_backend", "{s:s}", "backend", "b");

	ck_assert_str_eq(str_at(backend, "status"), "up");
}

/* A snapshot that was given back: its place is in s->other. */
static void prepare_left_snapshot(struct sweep *s)
{
	_cleanup_json_ json_t *snapshot = NULL;

	prepare_snapshot(s);
	snapshot = snapshot_of(s);
	snprintf(s->other, sizeof s->other, "%.8s", str_at(snapshot, "instances.0.id"));
	ck_assert_int_eq(shell(NULL, "echo %s >%s/place", str_at(snapshot, "provider_location"), s->f->dir), 0);
	json_decref(call(s->f, "unmanage_snapshot", "{s:s}", "snapshot", str_at(snapshot, "id")));
}

/* ---- the calls ---- */

static json_t *create_params(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:i,s:s,s:s,s:{s:s}}", "name", s->share, "size_bytes", 10 * MIB, "backend", "b",
			  "share_proto", proto_of(s), "metadata", "a", "b");
}

static json_t *by_share(const struct sweep *s)
{
	return jsonx_pack("{s:s}", "share", s->share);
}

static json_t *by_snapshot(const struct sweep *s)
{
	char ref[64];

	snprintf(ref, sizeof ref, "%s@snap", s->share);
	return jsonx_pack("{s:s}", "snapshot", ref);
}

static json_t *copy_params(const struct sweep *s)
{
	json_t *params = by_snapshot(s);

	json_object_set_new(params, "name", json_string(s->other));
	json_object_set_new(params, "share_proto", json_string(proto_of(s)));
	return params;
}

static json_t *larger(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:i}", "share", s->share, "size_bytes", 20 * MIB);
}

static json_t *smaller(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:i}", "share", s->share, "size_bytes", 5 * MIB);
}

static json_t *rule_params(const struct sweep *s)
{
	return rule_of(s, "bin");
}

static json_t *deny_params(const struct sweep *s)
{
	return rule_of(s, "nobody");
}

static json_t *new_snapshot(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:s}", "share", s->share, "name", "snap");
}

static json_t *left_snapshot(const struct sweep *s)
{
	_cleanup_free_ char *place = read_text(fixture_path(s->f, "place"));

	ck_assert_ptr_nonnull(place);
	place[strcspn(place, "\n")] = '\0';
	return jsonx_pack("{s:s,s:s,s:s}", "share", s->share, "name", "snap", "provider_location", place);
}

static json_t *metadata_params(const struct sweep *s)
{
	return jsonx_pack("{s:s,s:{s:s}}", "share", s->share, "metadata", "colour", "red");
}

static json_t *status_params(const struct sweep *s)
{
	/* One that the next start leaves as it is. */
	return jsonx_pack("{s:s,s:s}", "share", s->share, "status", "extending_error");
}

static json_t *backend_params(const struct sweep *s)
{
	(void)s;
	return jsonx_pack("{s:s}", "backend", "b");
}

const struct sweep_row sweep_rows[] = {
	{ "create_share_instance", prepare_nothing, create_params, expect_created, false },
	{ "create_share_instance", prepare_snapshot, copy_params, expect_copied, false },
	{ "delete_share_instance", prepare_rule, by_share, expect_gone, false },
	{ "delete_share_instance", prepare_adopted, by_share, expect_gone, false },
	{ "extend_share", prepare_rule, larger, expect_extended, false },
	{ "shrink_share", prepare_rule, smaller, expect_shrunk, false },
	{ "manage_share", prepare_foreign, manage_params, expect_adopted, false },
	{ "unmanage_share", prepare_adopted, by_share, expect_given_back, false },
	{ "unmanage_share", prepare_rule, by_share, expect_forgotten, false },
	{ "allow_access", prepare_rule, rule_params, expect_three_rules, true },
	{ "deny_access", prepare_rule, deny_params, expect_one_rule, true },
	{ "update_access", prepare_rule, by_share, expect_two_rules, true },
	{ "create_snapshot", prepare_rule, new_snapshot, expect_snapshot, false },
	{ "delete_snapshot", prepare_snapshot, by_snapshot, expect_no_snapshot, false },
	{ "revert_to_snapshot", prepare_snapshot, by_snapshot, expect_reverted, false },
	{ "manage_snapshot", prepare_left_snapshot, left_snapshot, expect_snapshot, false },
	{ "unmanage_snapshot", prepare_snapshot, by_snapshot, expect_no_snapshot, false },
	{ "set_metadata", prepare_share, metadata_params, expect_metadata, true },
	{ "reset_status", prepare_share, status_params, expect_status, true },
	{ "init_host", prepare_rule, backend_params, expect_two_rules, true },
	{ "publish_service_capabilities", prepare_nothing, backend_params, expect_up, true },
	{ NULL, NULL, NULL, NULL, false },
};
