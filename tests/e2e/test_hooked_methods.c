/* Each of the twenty methods that hooks are promised for is there, and runs them: refused by a pre hook it changes
 * nothing, with the error told; done, pre and post hooks are told, with what the driver answered. Who asks does not
 * matter: what the start and the timers ask for is told likewise. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOKED                                                                                                         \
	"hook_drivers = {\"one\"}\nenable_pre_hooks = true\nenable_post_hooks = true\nenable_error_hooks = true\n"

static const char conf[] = "%s%shook \"one\" { run = \"%s\" }\n"
			   "share_network \"n\" { bridge = \"br0\"\n addresses = {\"192.0.2.10/24\"} }\n"
			   "sim \"a\" { " HOOKED "replication_domain = \"d\" }\n"
			   "sim \"b\" { " HOOKED "replication_domain = \"d\" replicas_lag = true }\n"
			   "sim \"p\" { " HOOKED "}\n"
			   "sim \"s\" { " HOOKED "driver_handles_share_servers = true }\n";

/* In this order; "@ID@" is the id that the row before it left behind. */
static const struct seed {
	const char *method, *params, *keys; /* of driver_action_results, at least */
	const char *prepare, *prepare_params;
	const char *id; /* what the next row needs, in its answer */
} seeds[] = {
	{ "init_host", "{'backend':'p'}", "shares failed recovered", NULL, NULL, NULL },
	{ "publish_service_capabilities", "{'backend':'p'}", "share_protos", NULL, NULL, NULL },
	{ "create_share_instance", "{'name':'x','backend':'p','size_bytes':100}",
	  "export_locations provider_location metadata", NULL, NULL, NULL },
	{ "extend_share", "{'share':'x','size_bytes':200}", "size_bytes metadata", NULL, NULL, NULL },
	{ "shrink_share", "{'share':'x','size_bytes':50}", "size_bytes metadata", NULL, NULL, NULL },
	{ "allow_access", "{'share':'x','access_type':'user','access_to':'daemon'}", "state metadata", NULL, NULL,
	  NULL },
	{ "deny_access", "{'share':'x','access_type':'user','access_to':'daemon'}", "", NULL, NULL, NULL },
	{ "create_snapshot", "{'share':'x','name':'y'}", "provider_location size_bytes metadata", NULL, NULL, NULL },
	{ "delete_snapshot", "{'snapshot':'x@y'}", "", NULL, NULL, NULL },
	{ "unmanage_share", "{'share':'x'}", "", NULL, NULL, NULL },
	{ "manage_share", "{'name':'m','backend':'p','provider_location':'m'}", "size_bytes export_locations metadata",
	  NULL, NULL, NULL },
	{ "delete_share_instance", "{'share':'m'}", "", NULL, NULL, NULL },
	{ "create_share_replica", "{'share':'r','backend':'b'}", "replica_state export_locations",
	  "create_share_instance", "{'name':'r','backend':'a','size_bytes':100}", "instances.1.id" },
	{ "update_share_replica", "{'replica':'@ID@'}", "replica_state", NULL, NULL, "instances.1.id" },
	{ "create_replicated_snapshot", "{'share':'r','name':'y'}", "instances metadata", NULL, NULL, NULL },
	{ "update_replicated_snapshot", "{'snapshot':'r@y'}", "instances", NULL, NULL, NULL },
	{ "delete_replicated_snapshot", "{'snapshot':'r@y'}", "", NULL, NULL, NULL },
	{ "promote_share_replica", "{'replica':'@ID@'}", "replicas export_locations", NULL, NULL, "instances.0.id" },
	{ "delete_share_replica", "{'replica':'@ID@'}", "", NULL, NULL, NULL },
	{ "delete_share_server", "{'share_server':'@ID@'}", "", "create_share_server",
	  "{'backend':'s','share_network':'n'}", NULL },
};
enum { SEEDS = sizeof seeds / sizeof *seeds };

static json_t *read_params(const char *text, const char *id)
{
	char all[512], *p;
	const char *mark = strstr(text, "@ID@");
	json_t *j;

	snprintf(all, sizeof all, "%.*s%s%s", (int)(mark ? mark - text : (long)strlen(text)), text, mark ? id : "",
		 mark ? mark + 4 : "");
	for (p = all; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(all, 0, NULL);
	ck_assert_msg(j != NULL, "the test has no JSON: %s", all);
	return j;
}

static void start(struct fixture *f, const char *top)
{
	char body[4096];

	ck_assert_uint_lt((size_t)snprintf(body, sizeof body, conf, recorder_options, top, recorder_entry()),
			  sizeof body);
	fixture_conf(f, body);
	fixture_start(f, NULL, (uid_t)-1);
}

static void script_all(struct recorder *r, const char *method)
{
	static const char *const backends[] = { "a", "b", "p", "s" };
	char key[80];

	snprintf(key, sizeof key, "one pre %s client", method ? method : "");
	for (size_t i = 0; i < 4; i++)
		recorder_script(r, backends[i], method ? json_pack("{s:[{s:s}]}", key, "veto", "not today") : NULL);
}

/* The event of this method and phase that a client's call made; borrowed. */
static const json_t *find(const json_t *lines, const char *method, const char *phase, const char *origin)
{
	size_t i;
	json_t *line;

	json_array_foreach(lines, i, line) {
		const json_t *e = at(line, "event");

		if (strcmp(str_at(e, "func_name"), method) == 0 && strcmp(str_at(e, "phase"), phase) == 0 &&
		    strcmp(str_at(e, "context.origin"), origin) == 0)
			return e;
	}
	return NULL;
}

static void check_refused(struct client *c, struct recorder *r, const struct seed *s, const char *id)
{
	_cleanup_json_ json_t *reply = NULL, *lines = NULL;
	const json_t *told;

	script_all(r, s->method);
	reply = client_request(c, s->method, read_params(s->params, id));
	script_all(r, NULL);
	ck_assert_msg(json_object_get(reply, "error") != NULL, "%s: it went well", s->method);
	ck_assert_msg(strcmp(str_at(reply, "error.data.kind"), "vetoed") == 0, "%s: %s", s->method,
		      str_at(reply, "error.message"));
	lines = recorder_events(r);
	ck_assert_msg(find(lines, s->method, "pre", "client") != NULL, "%s: no pre hook", s->method);
	ck_assert_msg(find(lines, s->method, "post", "client") == NULL, "%s: a post hook", s->method);
	told = find(lines, s->method, "error", "client");
	ck_assert_msg(told != NULL, "%s: no error hook", s->method);
	ck_assert_str_eq(str_at(told, "error.data.kind"), "vetoed");
}

static void check_keys(const struct seed *s, const json_t *results)
{
	const char *rest = s->keys;
	char key[64];
	int used;

	for (; sscanf(rest, " %63s%n", key, &used) == 1; rest += used)
		ck_assert_msg(json_object_get(results, key) != NULL, "%s: driver_action_results has no %s", s->method,
			      key);
	ck_assert_msg(*s->keys || json_object_size(results) == 0, "%s: driver_action_results is not empty", s->method);
}

static void check_done(struct client *c, struct recorder *r, const struct seed *s, char id[40])
{
	_cleanup_json_ json_t *reply = client_request(c, s->method, read_params(s->params, id)), *lines = NULL;
	const json_t *pre, *post;

	if (!json_object_get(reply, "result"))
		ck_abort_msg("%s: %s", s->method, str_at(reply, "error.message"));
	lines = recorder_events(r);
	pre = find(lines, s->method, "pre", "client");
	post = find(lines, s->method, "post", "client");
	ck_assert_msg(pre && post, "%s: no pre or no post hook", s->method);
	ck_assert_msg(find(lines, s->method, "error", "client") == NULL, "%s: an error hook", s->method);
	ck_assert_str_eq(str_at(pre, "context.call_id"), str_at(post, "context.call_id"));
	check_keys(s, at(post, "driver_action_results"));
	if (s->id)
		snprintf(id, 40, "%s", str_at(at(reply, "result"), s->id));
}

START_TEST(all_twenty)
{
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	struct client *c;
	char id[40] = "";
	json_t *doc;

	ck_assert_int_eq(SEEDS, 20);
	start(f, "stats_interval = 86400\nreplica_state_update_interval = 86400\n");
	c = client_new(f);
	doc = client_call(c, "rpc.discover", NULL);
	for (size_t i = 0; i < SEEDS; i++) {
		const struct seed *s = &seeds[i];
		bool listed = false;

		for (size_t k = 0; k < json_array_size(at(doc, "methods")); k++) {
			const json_t *m = json_array_get(at(doc, "methods"), k);

			listed = listed || (strcmp(str_at(m, "name"), s->method) == 0 &&
					    strcmp(str_at(m, "x-kind"), "hooked") == 0);
		}
		ck_assert_msg(listed, "%s is not listed as a method with hooks", s->method);
		if (s->prepare) {
			_cleanup_json_ json_t *reply =
				client_request(c, s->prepare, read_params(s->prepare_params, id));

			snprintf(id, sizeof id, "%s", str_at(reply, "result.id"));
		}
		json_decref(recorder_events(r));
		check_refused(c, r, s, id);
		check_done(c, r, s, id);
	}
	json_decref(doc);
	client_free(c);
	recorder_free(r);
	fixture_free(f);
}
END_TEST

/* What nobody asked for: the start, the timers, a call of a call. */
START_TEST(other_origins)
{
	static const struct {
		const char *method, *origin;
	} wanted[] = {
		{ "init_host", "start" },
		{ "publish_service_capabilities", "call" },
		{ "publish_service_capabilities", "timer" },
		{ "update_share_replica", "timer" },
		{ "update_replicated_snapshot", "timer" },
		{ "create_share_server", "call" },
		{ "delete_share_server", "timer" },
	};
	enum { WANTED = sizeof wanted / sizeof *wanted };
	struct fixture *f = fixture_new("");
	struct recorder *r = recorder_new(f);
	bool pre[WANTED] = { false }, post[WANTED] = { false };
	double until = now() + 30;
	size_t left = WANTED;

	start(f, "stats_interval = 0.2\nreplica_state_update_interval = 0.1\n"
		 "unused_share_server_cleanup_interval = 0.1\n");
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "r", "backend", "a", "size_bytes", 100));
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "r", "name", "y"));
	json_decref(call(f, "create_share_replica", "{s:s,s:s}", "share", "r", "backend", "b"));
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:i,s:s}", "name", "s", "backend", "s", "size_bytes",
			 100, "share_network", "n"));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "s"));
	while (left) {
		_cleanup_json_ json_t *lines = recorder_events(r);

		left = 0;
		for (size_t i = 0; i < WANTED; i++) {
			pre[i] = pre[i] || find(lines, wanted[i].method, "pre", wanted[i].origin);
			post[i] = post[i] || find(lines, wanted[i].method, "post", wanted[i].origin);
			left += !pre[i] || !post[i];
			ck_assert_msg((pre[i] && post[i]) || now() < until, "no hooks of %s by %s", wanted[i].method,
				      wanted[i].origin);
		}
		nap(0.02);
	}
	recorder_free(r);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooked_methods");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, all_twenty);
	tcase_add_test(t, other_origins);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
