/* What admins do by hand: metadata, statuses, trying hooks, setting backends up again. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKENDS "dir \"d\" { root = \"@DIR@/d\" }\nsim \"s\" { }\n"

START_TEST(metadata)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	char long_key[300], long_value[4100];
	struct client *c, *events;
	json_t *j, *rule, *many;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "share.metadata"));
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:{s:s,s:s}}", "name", "a", "size_bytes", 1,
				"metadata", "one", "1", "two", "2"));
	j = client_call(c, "set_metadata", "{s:s,s:{s:s,s:n,s:n,s:s}}", "share", "a", "metadata", "one", "uno", "two",
			"none", "three", "");
	ck_assert_uint_eq(json_object_size(at(j, "metadata")), 2);
	ck_assert_str_eq(str_at(j, "metadata.one"), "uno");
	ck_assert_str_eq(str_at(j, "metadata.three"), "");
	json_decref(j);
	j = client_read(events);
	ck_assert_str_eq(str_at(j, "params.object.metadata.one"), "uno");
	json_decref(j);
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	j = client_call(c, "set_metadata", "{s:s,s:{s:s}}", "snapshot", "a@s", "metadata", "k", "v");
	ck_assert_str_eq(str_at(j, "metadata.k"), "v");
	json_decref(j);
	rule = client_call(c, "allow_access", "{s:s,s:s,s:s}", "share", "a", "access_type", "ip", "access_to", "::1");
	j = client_call(c, "set_metadata", "{s:s,s:{s:s}}", "access", str_at(rule, "id"), "metadata", "k", "v");
	ck_assert_str_eq(str_at(j, "id"), str_at(rule, "id"));
	ck_assert_str_eq(str_at(j, "metadata.k"), "v");
	json_decref(j);
	json_decref(rule);
	/* How much fits. */
	memset(long_key, 'k', 255);
	long_key[255] = '\0';
	memset(long_value, 'v', 4095);
	long_value[4095] = '\0';
	json_decref(client_call(c, "set_metadata", "{s:s,s:{s:s}}", "share", "a", "metadata", long_key, long_value));
	strcat(long_value, "v");
	json_decref(client_error(c, "invalid_params", "set_metadata", "{s:s,s:{s:s}}", "share", "a", "metadata",
				 long_key, long_value));
	strcat(long_key, "k");
	json_decref(client_error(c, "invalid_params", "set_metadata", "{s:s,s:{s:s}}", "share", "a", "metadata",
				 long_key, "v"));
	many = json_object();
	for (int i = 0; i < 257; i++) {
		char key[16];

		snprintf(key, sizeof key, "m%d", i);
		json_object_set_new(many, key, json_string("x"));
	}
	j = client_error(c, "invalid_params", "set_metadata", "{s:s,s:O}", "share", "a", "metadata", many);
	ck_assert_str_eq(str_at(j, "data.param"), "metadata");
	json_decref(j);
	j = client_call(c, "get_share", "{s:s}", "share", "a");
	ck_assert_uint_eq(json_object_size(at(j, "metadata")), 3);
	json_decref(j);
	j = client_error(c, "invalid_params", "create_share_instance", "{s:s,s:i,s:O}", "name", "b", "size_bytes", 1,
			 "metadata", many);
	ck_assert_str_eq(str_at(j, "data.param"), "metadata");
	json_decref(j);
	json_decref(many);
	client_free(c);
	client_free(events);
	fixture_free(f);
}
END_TEST

START_TEST(statuses_can_be_reset)
{
	static const char *const words[] = { "error",           "error_deleting", "extending_error", "shrinking_error",
					     "reverting_error", "manage_error",   "unmanage_error",  "available" };
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	json_decref(client_call(c, "create_snapshot", "{s:s,s:s}", "share", "a", "name", "s"));
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		bool fine = strcmp(words[i], "available") == 0;

		j = client_call(c, "reset_status", "{s:s,s:s}", "share", "a", "status", words[i]);
		ck_assert_str_eq(str_at(j, "status"), words[i]);
		ck_assert(json_is_null(at(j, "status_reason")) == fine);
		json_decref(j);
		j = client_call(c, "list_shares", "{s:s}", "status", words[i]);
		ck_assert_uint_eq(json_array_size(at(j, "shares")), 1);
		json_decref(j);
	}
	j = client_call(c, "reset_status", "{s:s,s:s}", "snapshot", "a@s", "status", "error");
	ck_assert_str_eq(str_at(j, "status"), "error");
	json_decref(j);
	json_decref(client_error(c, "invalid_state", "revert_to_snapshot", "{s:s}", "snapshot", "a@s"));
	json_decref(client_call(c, "reset_status", "{s:s,s:s}", "snapshot", "a@s", "status", "available"));
	json_decref(client_call(c, "revert_to_snapshot", "{s:s}", "snapshot", "a@s"));
	client_free(c);
	fixture_free(f);
}
END_TEST

static json_t *try_hook(struct client *c, const char *hook, const char *phase, const char *func_name)
{
	return client_call(c, "test_hook", "{s:s,s:s,s:{s:s,s:s,s:{s:s}}}", "backend", "s", "hook", hook, "event",
			   "phase", phase, "func_name", func_name, "driver_action_results", "k", "v");
}

START_TEST(hooks_can_be_tried)
{
	struct fixture *f = fixture_new("hook \"policy\" { run = \"exec:@DIR@/hook\" }\n"
					"sim \"s\" { hook_drivers = {\"policy\"} enable_pre_hooks = true }\n");
	struct client *c;
	json_t *j;

	fixture_program(f, "hook",
			"#!/bin/sh\ncat >> @DIR@/seen\n"
			"case $1-$2 in\n"
			"pre-extend_share) echo '{\"seen\":1}';;\n"
			"pre-shrink_share) echo no >&2; exit 10;;\n"
			"post-extend_share) echo '{\"driver_action_results\":{\"metadata\":{\"a\":\"b\"}}}';;\n"
			"post-shrink_share) echo '{\"driver_action_results\":{\"size_bytes\":1}}';;\n"
			"*) exit 3;;\nesac\n");
	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "list_orphans", NULL)); /* behind what the start still does */
	unlink(fixture_path(f, "seen"));
	j = try_hook(c, "policy", "pre", "extend_share");
	ck_assert(json_is_true(at(j, "accepted")));
	ck_assert_int_eq(int_at(j, "returned.seen"), 1);
	at(j, "duration_ms");
	json_decref(j);
	j = try_hook(c, "policy", "pre", "shrink_share");
	ck_assert(json_is_false(at(j, "accepted")));
	ck_assert_str_eq(str_at(j, "error.data.kind"), "vetoed");
	ck_assert_ptr_nonnull(strstr(str_at(j, "error.message"), "no"));
	json_decref(j);
	j = try_hook(c, "policy", "post", "extend_share");
	ck_assert(json_is_true(at(j, "accepted")));
	json_decref(j);
	j = try_hook(c, "policy", "post", "shrink_share");
	ck_assert(json_is_false(at(j, "accepted")));
	ck_assert_ptr_nonnull(strstr(str_at(j, "error.message"), "size_bytes"));
	json_decref(j);
	j = try_hook(c, "policy", "pre", "delete_share_instance");
	ck_assert(json_is_false(at(j, "accepted")));
	json_decref(j);
	ck_assert_int_eq(
		shell(NULL, "[ $(wc -l < %s/seen) = 5 ] && grep -q driver_action_results %s/seen", f->dir, f->dir), 0);
	j = client_call(c, "list_shares", NULL);
	ck_assert_uint_eq(json_array_size(at(j, "shares")), 0);
	json_decref(j);
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(hosts_are_set_up_again)
{
	struct fixture *f = fixture_new(BACKENDS);
	struct client *c;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1000, "backend",
				"d"));
	j = client_call(c, "init_host", "{s:s}", "backend", "d");
	ck_assert_str_eq(str_at(j, "status"), "up");
	/* A publication follows, and is in the answer. */
	ck_assert_int_eq(int_at(j, "capabilities.allocated_bytes"), 1000);
	json_decref(j);
	/* What is missing is said, and comes back. */
	ck_assert_int_eq(shell(NULL, "mv %s/d/a %s/d/elsewhere", f->dir, f->dir), 0);
	json_decref(client_call(c, "init_host", "{s:s}", "backend", "d"));
	j = client_call(c, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(j, "status"), "error");
	at(j, "status_reason");
	json_decref(j);
	ck_assert_int_eq(shell(NULL, "mv %s/d/elsewhere %s/d/a", f->dir, f->dir), 0);
	json_decref(client_call(c, "init_host", "{s:s}", "backend", "d"));
	j = client_call(c, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(j, "status"), "available");
	ck_assert(json_is_null(at(j, "status_reason")));
	json_decref(j);
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("methods_admin");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, metadata);
	tcase_add_test(t, statuses_can_be_reset);
	tcase_add_test(t, hooks_can_be_tried);
	tcase_add_test(t, hosts_are_set_up_again);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
