/* What the daemon says of itself: as it is meant (tests/golden), as OpenRPC wants it, and whole. */
#include "tests/e2e/harness_schema.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- as it is meant ---- */

START_TEST(as_in_the_golden_copy)
{
	struct fixture *f = fixture_new("");
	json_t *doc, *golden = json_load_file(program_path("tests/golden.json"), 0, NULL);
	const char *is = fixture_path(f, "is.json");
	char *diff;

	ck_assert_ptr_nonnull(golden);
	fixture_start(f, NULL, (uid_t)-1);
	doc = call(f, "rpc.discover", NULL);
	if (!json_equal(doc, golden)) {
		ck_assert_int_eq(json_dump_file(doc, is, JSON_INDENT(1)), 0);
		shell(&diff, "diff -u --label meant --label now %s %s", program_path("tests/golden.json"), is);
		printf("%s\n", diff);
		free(diff);
		ck_abort_msg("the interface is another than in tests/golden/openrpc.json: if that is meant, run `make "
			     "golden` and commit the copy with the change");
	}
	/* The programs that were built beside it read the same. */
	ck_assert(json_equal(doc, described()));
	json_decref(doc);
	json_decref(golden);
	fixture_free(f);
}
END_TEST

/* ---- as OpenRPC 1.2.6 wants it ---- */

/* s: text, n: text that is not empty, b, i, o, a: of these types, ?: anything. */
static bool has_shape(const json_t *v, char letter)
{
	switch (letter) {
	case 's':
		return json_is_string(v);
	case 'n':
		return json_string_length(v) > 0;
	case 'b':
		return json_is_boolean(v);
	case 'i':
		return json_is_integer(v);
	case 'o':
		return json_is_object(v);
	case 'a':
		return json_is_array(v);
	default:
		ck_assert_int_eq(letter, '?');
		return true;
	}
}

/* The members that the specification gives this kind of object: "name:n! summary:s", "!" for those that must be there;
 * where it is `extensible` also "x-..". */
static void check_object(const json_t *o, const char *members, bool extensible, const char *where)
{
	char name[64], shape[4];
	json_t *rest = json_copy((json_t *)o), *v;
	const char *key;
	int used;

	ck_assert_msg(json_is_object(o), "%s is no object", where);
	for (; sscanf(members, " %63[^:]:%3s%n", name, shape, &used) == 2; members += used) {
		v = json_object_get(o, name);
		ck_assert_msg(v || shape[1] != '!', "%s lacks %s", where, name);
		ck_assert_msg(!v || has_shape(v, shape[0]), "%s: %s is of another type", where, name);
		json_object_del(rest, name);
	}
	json_object_foreach(rest, key, v)
		ck_assert_msg(extensible && strncmp(key, "x-", 2) == 0, "%s may not have %s", where, key);
	json_decref(rest);
}

/* The keywords of draft 7 that are used here, with the shapes of their values. */
static void check_json_schema(const json_t *doc, const json_t *s, const char *where)
{
	static const char *const types[] = { "string", "integer", "number", "boolean", "object", "array", "null" };
	const json_t *type = json_object_get(s, "type"), *ref = json_object_get(s, "$ref"), *list;
	const char *key;
	json_t *v;

	check_object(s,
		     "$ref:s type:? enum:a minimum:i maximum:i minLength:i maxLength:i maxProperties:i pattern:s "
		     "required:a properties:o additionalProperties:? items:o anyOf:a default:?",
		     false, where);
	if (ref) {
		/* Draft 7 does not look at what stands beside a reference. */
		ck_assert_msg(json_object_size(s) == 1, "%s: something beside a reference", where);
		ck_assert_int_eq(strncmp(json_string_value(ref), "#/components/schemas/", 21), 0);
		at(doc, "components.schemas");
		ck_assert_msg(json_object_get(at(doc, "components.schemas"), json_string_value(ref) + 21) != NULL,
			      "%s: %s is not there", where, json_string_value(ref));
		return;
	}
	for (size_t i = 0; i < (json_is_array(type) ? json_array_size(type) : type != NULL); i++) {
		const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
		size_t k = 0;

		while (name && k < sizeof types / sizeof *types && strcmp(types[k], name) != 0)
			k++;
		ck_assert_msg(name && k < sizeof types / sizeof *types, "%s: no type of JSON schemas", where);
	}
	list = json_object_get(s, "required");
	for (size_t i = 0; i < json_array_size(list); i++)
		ck_assert_msg(json_object_get(json_object_get(s, "properties"),
					      json_string_value(json_array_get(list, i))) != NULL,
			      "%s: what is required is not described", where);
	ck_assert_msg(!json_object_get(s, "enum") || json_array_size(json_object_get(s, "enum")) > 0, "%s: no value",
		      where);
	json_object_foreach(json_object_get(s, "properties"), key, v)
		check_json_schema(doc, v, key);
	v = json_object_get(s, "additionalProperties");
	if (v && !json_is_boolean(v))
		check_json_schema(doc, v, where);
	if (json_object_get(s, "items"))
		check_json_schema(doc, json_object_get(s, "items"), where);
	list = json_object_get(s, "anyOf");
	for (size_t i = 0; i < json_array_size(list); i++)
		check_json_schema(doc, json_array_get(list, i), where);
}

static void check_content(const json_t *doc, const json_t *c, const char *where)
{
	check_object(c, "name:n! schema:o! summary:s description:s required:b deprecated:b", true, where);
	check_json_schema(doc, at(c, "schema"), where);
}

static void check_error_reference(const json_t *doc, const json_t *e, const char *where)
{
	static const char prefix[] = "#/components/errors/";
	const char *ref;

	check_object(e, "$ref:s!", false, where);
	ref = str_at(e, "$ref");
	ck_assert_int_eq(strncmp(ref, prefix, sizeof prefix - 1), 0);
	ck_assert_msg(json_object_get(at(doc, "components.errors"), ref + sizeof prefix - 1) != NULL,
		      "%s: %s is not there", where, ref);
}

/* Each name once. */
static void check_names(const json_t *list, const char *where)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(strcmp(str_at(json_array_get(list, i), "name"),
					     str_at(json_array_get(list, k), "name")) != 0,
				      "%s: %s stands twice", where, str_at(json_array_get(list, i), "name"));
}

static void check_method(const json_t *doc, const json_t *m)
{
	const char *name = json_string_value(json_object_get(m, "name"));

	check_object(m,
		     "name:n! params:a! result:o! summary:s description:s tags:a errors:a links:a examples:a "
		     "paramStructure:n deprecated:b",
		     true, name ? name : "a method");
	ck_assert_str_eq(str_at(m, "paramStructure"), "by-name");
	for (size_t i = 0; i < json_array_size(at(m, "params")); i++)
		check_content(doc, json_array_get(at(m, "params"), i), name);
	check_names(at(m, "params"), name);
	check_content(doc, at(m, "result"), name);
	for (size_t i = 0; i < json_array_size(at(m, "errors")); i++)
		check_error_reference(doc, json_array_get(at(m, "errors"), i), name);
}

static void check_components(const json_t *doc)
{
	const json_t *components = at(doc, "components");
	const char *name;
	json_t *v;

	check_object(components, "schemas:o links:o errors:o examples:o examplePairings:o contentDescriptors:o tags:o",
		     false, "components");
	json_object_foreach(at(components, "schemas"), name, v)
		check_json_schema(doc, v, name);
	json_object_foreach(at(components, "errors"), name, v)
		check_object(v, "code:i! message:s! data:?", false, name);
}

START_TEST(as_openrpc_wants_it)
{
	const json_t *doc = described();

	check_object(doc, "openrpc:n! info:o! methods:a! servers:a components:o externalDocs:o", true, "the document");
	ck_assert_str_eq(str_at(doc, "openrpc"), "1.2.6");
	check_object(at(doc, "info"), "title:s! version:s! description:s termsOfService:s contact:o license:o", true,
		     "info");
	ck_assert_uint_gt(json_array_size(at(doc, "methods")), 30);
	for (size_t i = 0; i < json_array_size(at(doc, "methods")); i++)
		check_method(doc, json_array_get(at(doc, "methods"), i));
	check_names(at(doc, "methods"), "methods");
	check_components(doc);
	/* Ours: the events. */
	check_names(at(doc, "x-events"), "x-events");
	ck_assert_uint_eq(json_array_size(at(doc, "x-events")),
			  json_array_size(at(doc, "components.schemas.event_type.enum")));
	for (size_t i = 0; i < json_array_size(at(doc, "x-events")); i++) {
		const json_t *e = json_array_get(at(doc, "x-events"), i);

		check_object(e, "name:n! summary:n! object:o!", false, "an event");
		check_json_schema(doc, at(e, "object"), str_at(e, "name"));
	}
}
END_TEST

/* ---- the checker itself: what is not as described is found ---- */

START_TEST(faults_are_found)
{
	static const struct {
		const char *schema, *value;
		bool fits;
	} cases[] = {
		{ "subscription", "{\"seq\":1}", true },
		{ "subscription", "{\"seq\":1.5}", false },
		{ "subscription", "{}", false },
		{ "subscription", "{\"seq\":1,\"more\":2}", false },
		{ "subscription", "[]", false },
		{ "progress", "{\"percent\":1,\"bytes\":2}", true },
		{ "export_location",
		  "{\"path\":\"/\",\"preferred\":true,\"is_admin_only\":false,\"metadata\":{\"a\":\"b\"}}", true },
		{ "export_location",
		  "{\"path\":\"/\",\"preferred\":true,\"is_admin_only\":false,\"metadata\":{\"a\":1}}", false },
		{ "share_status", "\"available\"", true },
		{ "share_status", "\"well\"", false },
		{ "error", "{\"code\":1,\"message\":\"m\",\"data\":{\"kind\":\"not_found\",\"retryable\":false}}",
		  true },
		{ "error", "{\"code\":1,\"message\":\"m\",\"data\":{\"kind\":\"lost\",\"retryable\":false}}", false },
		{ "error", "{\"code\":1,\"message\":\"m\"}", false },
		{ "event",
		  "{\"seq\":1,\"time\":\"t\",\"type\":\"share.error\",\"object\":{},\"call_id\":null,\"uid\":null}",
		  true },
		{ "event",
		  "{\"seq\":1,\"time\":\"t\",\"type\":\"share.odd\",\"object\":{},\"call_id\":null,\"uid\":null}",
		  false },
		{ "event", "{\"seq\":1,\"time\":\"t\",\"type\":\"share.error\",\"object\":{},\"call_id\":null}",
		  false },
		{ "backend",
		  "{\"name\":\"b\",\"driver\":\"d\",\"status\":\"up\",\"status_reason\":null,\"hooks\":[],"
		  "\"capabilities\":null}",
		  true },
		{ "backend",
		  "{\"name\":\"b\",\"driver\":\"d\",\"status\":\"up\",\"status_reason\":null,\"hooks\":[{}],"
		  "\"capabilities\":null}",
		  false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const json_t *schema = json_object_get(at(described(), "components.schemas"), cases[i].schema);
		json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
		char *why;

		ck_assert_ptr_nonnull(value);
		why = schema_fault(described(), schema, value, cases[i].schema);
		ck_assert_msg((why == NULL) == cases[i].fits, "%s: %s", cases[i].value, why ? why : "taken");
		free(why);
		json_decref(value);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("discover");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, as_in_the_golden_copy);
	tcase_add_test(t, as_openrpc_wants_it);
	tcase_add_test(t, faults_are_found);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
