/* A subscriber that takes nothing for half a minute is disconnected. A program of its own, for it waits that long. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far more than a socket holds. */
static void make_events(struct client *c)
{
	char text[4001] = "";
	json_t *metadata = json_object();

	memset(text, 'v', sizeof text - 1);
	for (int i = 0; i < 20; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%d", i);
		json_object_set_new(metadata, key, json_string(text));
	}
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	for (int i = 0; i < 40; i++)
		json_decref(client_call(c, "set_metadata", "{s:s,s:O}", "share", "a", "metadata", metadata));
	json_decref(metadata);
}

START_TEST(a_subscriber_that_does_not_read)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c, *stuck, *idle;
	struct pollfd p = { .events = POLLIN };
	json_t *event, *service;
	double begin, took;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	stuck = client_new(f);
	idle = client_new(f);
	json_decref(client_call(c, "subscribe", "{s:[s]}", "types", "client.dropped"));
	/* One for whom there is nothing waits as long as it likes. */
	json_decref(client_call(idle, "subscribe", "{s:[s]}", "types", "share.deleted"));
	json_decref(client_call(stuck, "subscribe", NULL));
	begin = now();
	make_events(c);
	p.fd = client_fd(c);
	ck_assert_int_eq(poll(&p, 1, 100 * 1000), 1);
	event = client_read(c);
	took = now() - begin;
	ck_assert_str_eq(str_at(event, "params.type"), "client.dropped");
	ck_assert_ptr_nonnull(strstr(str_at(event, "params.object.reason"), "does not read"));
	ck_assert_double_ge(took, 29);
	service = client_call(c, "get_service", NULL);
	ck_assert_int_eq(int_at(service, "counts.connections"), 2);
	json_decref(service);
	json_decref(event);
	json_decref(client_call(c, "delete_share_instance", "{s:s}", "share", "a"));
	event = client_read(idle);
	ck_assert_str_eq(str_at(event, "params.type"), "share.deleted");
	json_decref(event);
	client_free(c);
	client_free(stuck);
	client_free(idle);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events_stuck");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 180);
	tcase_add_test(t, a_subscriber_that_does_not_read);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
