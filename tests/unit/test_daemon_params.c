/* Parameters against their rows, driver answers against their slots, addresses in canonical form. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/access.h"
#include "daemon/answers.h"
#include "daemon/event_types.h"
#include "daemon/methods.h"
#include "daemon/schemas.h"

#include <check.h>
#include <errno.h>
#include <string.h>

/* ---- parameters ---- */

static const struct {
	const char *method, *params; /* with ' for " */
	const char *wrong;           /* the parameter that is refused; NULL: taken; "": without a name */
} cases[] = {
	{ "get_share", "{'share':'photos'}", NULL },
	{ "get_share", "{}", "share" },
	{ "get_share", "{'share':''}", "share" },
	{ "get_share", "{'share':7}", "share" },
	{ "get_share", "{'share':null}", "share" },
	{ "get_share", "{'share':'a','colour':1}", "colour" },
	{ "get_share", "['photos']", "" },
	{ "create_share_instance", "{'name':'a','size_bytes':1}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':9223372036854775807}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':0}", "size_bytes" },
	{ "create_share_instance", "{'name':'a','size_bytes':-1}", "size_bytes" },
	{ "create_share_instance", "{'name':'a','size_bytes':1.0}", "size_bytes" },
	{ "create_share_instance", "{'name':'a','size_bytes':'1'}", "size_bytes" },
	{ "create_share_instance", "{'name':'a b','size_bytes':1}", "name" },
	{ "create_share_instance", "{'name':'.a','size_bytes':1}", "name" },
	{ "create_share_instance", "{'name':'-a','size_bytes':1}", "name" },
	{ "create_share_instance", "{'name':'../x','size_bytes':1}", "name" },
	{ "create_share_instance", "{'name':'2d36e33d-c904-43ae-b6ed-8746ad90b41c','size_bytes':1}", "name" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'mode':'0770'}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'mode':'0888'}", "mode" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'mode':770}", "mode" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'uid':1000,'gid':'staff'}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'uid':-1}", "uid" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'uid':4294967295}", "uid" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'share_proto':'AFP'}", "share_proto" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'metadata':{'k':'v'}}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'metadata':{'k':1}}", "metadata" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'metadata':{'k':null}}", "metadata" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'metadata':[]}", "metadata" },
	{ "create_share_instance",
	  "{'name':'a','size_bytes':1,'request_id':'r1','wait':false,'if_absent':true,'skip_hooks':true}", NULL },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'request_id':''}", "request_id" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'if_present':true}", "if_present" },
	{ "create_share_instance", "{'name':'a','size_bytes':1,'wait':'no'}", "wait" },
	{ "get_share", "{'share':'a','request_id':'x'}", "request_id" },
	{ "set_metadata", "{'share':'a','metadata':{'k':null}}", NULL },
	{ "set_metadata", "{'share':'a','metadata':{'k':1}}", "metadata" },
	{ "set_metadata", "{'share':'a','metadata':{},'skip_hooks':true}", "skip_hooks" },
	{ "list_shares", "{'limit':1000}", NULL },
	{ "list_shares", "{'limit':0}", "limit" },
	{ "list_shares", "{'limit':1001}", "limit" },
	{ "list_shares", "{'limit':'10'}", "limit" },
	{ "manage_share",
	  "{'backend':'b','name':'n','provider_location':'x','access_rules':[{'access_type':'user','access_to':'ann'}]"
	  "}",
	  NULL },
	{ "manage_share", "{'backend':'b','name':'n','provider_location':'x','access_rules':[{'access_type':'user'}]}",
	  "access_rules" },
	{ "manage_share",
	  "{'backend':'b','name':'n','provider_location':'x','access_rules':[{'access_type':'user','access_to':'a','x':"
	  "1}]}",
	  "access_rules" },
	{ "manage_share",
	  "{'backend':'b','name':'n','provider_location':'x','access_rules':[{'access_type':'user','access_to':'a','"
	  "access_level':'w'}]}",
	  "access_rules" },
	{ "manage_share", "{'backend':'b','name':'n','provider_location':''}", "provider_location" },
	{ "subscribe", "{'types':['share.*'],'since':0}", NULL },
	{ "subscribe", "{'types':[1]}", "types" },
	{ "subscribe", "{'since':-1}", "since" },
};

static json_t *from(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	json_t *j;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(copy, JSON_DECODE_ANY, NULL);
	ck_assert_msg(j != NULL, "no JSON: %s", copy);
	return j;
}

START_TEST(params_are_checked)
{
	_cleanup_json_ json_t *given = from(cases[_i].params), *full = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	const struct method *m = method_find(cases[_i].method);
	int r = params_check(m, given, &full, &e);

	if (!cases[_i].wrong) {
		ck_assert_msg(r == 0, "%s: %s", cases[_i].params, e.message);
		return;
	}
	ck_assert_msg(r < 0, "%s was taken", cases[_i].params);
	ck_assert_int_eq(e.kind, ERR_INVALID_PARAMS);
	ck_assert_ptr_null(full);
	if (*cases[_i].wrong)
		ck_assert_str_eq(jsonx_str(e.data, "param"), cases[_i].wrong);
}
END_TEST

START_TEST(defaults_are_filled_in)
{
	_cleanup_json_ json_t *given = from("{'name':'a','size_bytes':5}"), *full = NULL;

	ck_assert_int_eq(params_check(method_find("create_share_instance"), given, &full, NULL), 0);
	ck_assert_str_eq(jsonx_str(full, "share_proto"), "LOCAL");
	ck_assert(json_is_object(json_object_get(full, "metadata")));
	ck_assert(json_is_true(json_object_get(full, "wait")));
	ck_assert_uint_eq(json_object_size(given), 2);
}
END_TEST

/* Every row can be dispatched and described. */
START_TEST(rows_are_whole)
{
	for (const struct method *m = method_table(); m->name; m++) {
		ck_assert_msg(m->help && *m->help && m->result, "%s has no help or result", m->name);
		ck_assert_msg((m->kind == METHOD_READ) == (m->read != NULL), "%s: read function", m->name);
		ck_assert_msg((m->kind != METHOD_READ) == (m->ops != NULL), "%s: call_ops", m->name);
		ck_assert_msg(method_find(m->name) == m, "%s stands twice", m->name);
		if (m->kind == METHOD_HOOKED && !(m->flags & METHOD_NO_INTENT))
			ck_assert_msg(m->ops->intend && m->ops->settle && m->ops->fail && m->ops->recover &&
					      m->ops->undo,
				      "%s lacks a step", m->name);
		for (const struct param *p = m->params; p && p->name; p++) {
			_cleanup_json_ json_t *s = param_schema(p);

			ck_assert_msg(p->help && json_is_object(s), "%s: %s", m->name, p->name);
		}
	}
}
END_TEST

/* All that is referred to is there, in every depth. */
static void check_references(const json_t *schemas, const json_t *j)
{
	static const char prefix[] = "#/components/schemas/";
	const char *ref = jsonx_str(j, "$ref"), *key;
	json_t *member;
	size_t i;

	if (ref) {
		ck_assert_int_eq(strncmp(ref, prefix, sizeof prefix - 1), 0);
		ck_assert_msg(json_object_get(schemas, ref + sizeof prefix - 1) != NULL, "%s is not there", ref);
	}
	json_object_foreach((json_t *)j, key, member)
		check_references(schemas, member);
	json_array_foreach(j, i, member)
		check_references(schemas, member);
}

START_TEST(schemas_are_whole)
{
	_cleanup_json_ json_t *schemas = schemas_json();
	const char *name;
	json_t *s;

	json_object_foreach(schemas, name, s)
		check_references(schemas, s);
	for (const struct method *m = method_table(); m->name; m++) {
		_cleanup_json_ json_t *result = schema_of_result(m->result);

		check_references(schemas, result);
	}
	for (const struct event_type *t = event_type_table(); t->name; t++) {
		_cleanup_json_ json_t *object = schema_of_result(t->object);

		check_references(schemas, object);
		ck_assert_uint_gt(strlen(t->help), 10);
	}
}
END_TEST

START_TEST(event_types)
{
	ck_assert(event_type_is_known("share.available"));
	ck_assert(event_type_is_known("share.*"));
	ck_assert(event_type_is_known("share.e*"));
	ck_assert(event_type_is_known("*"));
	ck_assert(!event_type_is_known("share.availabl"));
	ck_assert(!event_type_is_known("share.available."));
	ck_assert(!event_type_is_known("share"));
	ck_assert(!event_type_is_known("shares.*"));
	ck_assert(!event_type_is_known(""));
	ck_assert(event_type_fits("share.*", "share.error"));
	ck_assert(!event_type_fits("share.*", "snapshot.error"));
	ck_assert(!event_type_fits("", "share.error"));
}
END_TEST

/* ---- driver answers ---- */

static const struct {
	const char *slot, *values;
	bool fine;
} answers[] = {
	{ "create_share", "{'export_locations':[{'path':'/a'}],'provider_location':'a'}", true },
	{ "create_share", "{'export_locations':[]}", true },
	{ "create_share", "{}", false },
	{ "create_share", "{'export_locations':[{'path':''}]}", false },
	{ "create_share", "{'export_locations':[{'path':1}]}", false },
	{ "create_share", "{'export_locations':['/a']}", false },
	{ "create_share", "{'export_locations':[{'path':'/a','colour':1}]}", false },
	{ "create_share", "{'export_locations':[{'path':'/a','preferred':1}]}", false },
	{ "create_share", "{'export_locations':[{'path':'/a','metadata':{'k':1}}]}", false },
	{ "create_share", "{'export_locations':'/a'}", false },
	{ "create_share", "{'export_locations':[],'status':'available'}", false },
	{ "create_share", "{'export_locations':[],'provider_location':''}", false },
	{ "create_share", "{'export_locations':[],'metadata':{'k':1}}", false },
	{ "delete_share", "{}", true },
	{ "delete_share", "{'x':1}", false },
	{ "delete_share", "[]", false },
	{ "delete_share", "5", false },
	{ "manage_existing", "{'size_bytes':1}", true },
	{ "manage_existing", "{'size_bytes':0}", false },
	{ "manage_existing", "{'size_bytes':1.5}", false },
	{ "get_share_usage", "{'used_bytes':0}", true },
	{ "get_share_usage", "{'used_bytes':-1}", false },
	{ "get_share_stats", "{'share_protos':['LOCAL'],'total_bytes':1,'snapshots':true}", true },
	{ "get_share_stats", "{'share_protos':[1]}", false },
	{ "get_share_stats", "{'share_protos':[],'total_bytes':-1}", false },
	{ "get_share_stats", "{'share_protos':[],'snapshots':1}", false },
	{ "get_share_stats", "{'share_protos':[],'dedupe':true}", false },
	{ "ensure_shares", "{'shares':{'id':{'export_locations':[],'status':'error','status_reason':'gone'}}}", true },
	{ "ensure_shares", "{'shares':{'id':{'colour':1}}}", false },
	{ "ensure_shares", "{'shares':{'id':{'status':1}}}", false },
	{ "ensure_shares", "{'shares':[]}", false },
};

START_TEST(answers_are_checked)
{
	_cleanup_json_ json_t *values = from(answers[_i].values);
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = answer_check(answers[_i].slot, values, &e);

	ck_assert_msg((r == 0) == answers[_i].fine, "%s %s: %d %s", answers[_i].slot, answers[_i].values, r,
		      e.message ? e.message : "");
	if (r < 0)
		ck_assert_int_eq(e.kind, ERR_DRIVER_FAILED);
}
END_TEST

/* ---- options of rules ---- */

START_TEST(options_need_nfs)
{
	_cleanup_json_ json_t *options = from("{'squash':'none'}"), *none = json_object();
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(access_check_options("NFS", options, &e), 0);
	ck_assert_int_eq(access_check_options("LOCAL", options, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "LOCAL"));
	/* A row that somebody else wrote. */
	ck_assert_int_eq(access_check_options(NULL, options, &e), -EINVAL);
	ck_assert_int_eq(access_check_options(NULL, none, &e), 0);
}
END_TEST

/* ---- addresses ---- */

static const struct {
	const char *to, *canonical; /* NULL: none */
} addresses[] = {
	{ "192.0.2.1", "192.0.2.1" },
	{ "192.0.2.1/32", "192.0.2.1" },
	{ "192.0.2.0/24", "192.0.2.0/24" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "192.0.2.1/24", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.0/33", NULL },
	{ "192.0.2.0/", NULL },
	{ "192.0.2.0/+4", NULL },
	{ "192.0.2.0/24/8", NULL },
	{ "", NULL },
	{ "host.example", NULL },
	{ "2001:db8::1", "2001:db8::1" },
	{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
	{ "2001:db8::1/128", "2001:db8::1" },
	{ "2001:db8::/32", "2001:db8::/32" },
	{ "2001:db8::1/64", NULL },
	{ "2001:db8::/129", NULL },
	{ "fe80::1%eth0", NULL },
	{ "::", "::" },
};

START_TEST(addresses_have_one_form)
{
	_cleanup_free_ char *canonical = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = access_canonical("ip", addresses[_i].to, &canonical, &e);

	if (!addresses[_i].canonical) {
		ck_assert_msg(r < 0, "%s became %s", addresses[_i].to, canonical);
		ck_assert_int_eq(e.kind, ERR_INVALID_PARAMS);
		ck_assert_str_eq(jsonx_str(e.data, "param"), "access_to");
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(canonical, addresses[_i].canonical);
}
END_TEST

START_TEST(users_are_known_by_name)
{
	_cleanup_free_ char *canonical = NULL;

	ck_assert_int_eq(access_canonical("user", "0", &canonical, NULL), 0);
	ck_assert_str_eq(canonical, "root");
	ck_assert_int_lt(access_canonical("user", "no-such-user-here", &canonical, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_params");
	TCase *t = tcase_create("tables");
	SRunner *runner;
	int failed;

	mem_setup();
	tcase_add_loop_test(t, params_are_checked, 0, sizeof cases / sizeof *cases);
	tcase_add_test(t, defaults_are_filled_in);
	tcase_add_test(t, rows_are_whole);
	tcase_add_test(t, schemas_are_whole);
	tcase_add_test(t, event_types);
	tcase_add_loop_test(t, answers_are_checked, 0, sizeof answers / sizeof *answers);
	tcase_add_test(t, options_need_nfs);
	tcase_add_loop_test(t, addresses_have_one_form, 0, sizeof addresses / sizeof *addresses);
	tcase_add_test(t, users_are_known_by_name);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
