#include "tests/e2e/harness_schema.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wrong(const json_t *value, const char *where, const char *why)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

	ck_abort_msg("%s: %s: %s", where, why, text ? text : "nothing");
}

static bool is_type(const json_t *value, const char *type)
{
	if (strcmp(type, "number") == 0)
		return json_is_number(value);
	if (strcmp(type, "integer") == 0)
		return json_is_integer(value);
	if (strcmp(type, "string") == 0)
		return json_is_string(value);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(value);
	if (strcmp(type, "object") == 0)
		return json_is_object(value);
	if (strcmp(type, "array") == 0)
		return json_is_array(value);
	ck_assert_str_eq(type, "null");
	return json_is_null(value);
}

static bool has_type(const json_t *types, const json_t *value)
{
	if (json_is_string(types))
		return is_type(value, json_string_value(types));
	for (size_t i = 0; i < json_array_size(types); i++)
		if (is_type(value, json_string_value(json_array_get(types, i))))
			return true;
	return false;
}

static bool is_one_of(const json_t *list, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), value))
			return true;
	return false;
}

static const json_t *follow(const json_t *doc, const json_t *schema)
{
	static const char prefix[] = "#/components/schemas/";
	const char *ref = json_string_value(json_object_get(schema, "$ref"));

	if (!ref)
		return schema;
	schema = strncmp(ref, prefix, sizeof prefix - 1) == 0
			 ? json_object_get(json_object_get(json_object_get(doc, "components"), "schemas"),
					   ref + sizeof prefix - 1)
			 : NULL;
	if (!schema)
		ck_abort_msg("%s is described nowhere", ref);
	return schema;
}

/* The first of the required members that is not there, or NULL. */
static const char *missing(const json_t *schema, const json_t *value)
{
	const json_t *required = json_object_get(schema, "required");

	for (size_t i = 0; i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));

		if (!json_object_get(value, name))
			return name;
	}
	return NULL;
}

__attribute__((format(printf, 3, 4))) static char *fault(const json_t *value, const char *where, const char *fmt, ...)
{
	char *why = NULL, *all = NULL, *text = json_dumps(value, JSON_ENCODE_ANY);
	bool made;
	va_list ap;

	va_start(ap, fmt);
	made = vasprintf(&why, fmt, ap) >= 0 && asprintf(&all, "%s: %s: %.1000s", where, why, text) >= 0;
	va_end(ap);
	if (!made)
		ck_abort_msg("no memory for what is wrong with %s", where);
	free(why);
	free(text);
	return all;
}

static char *members_fault(const json_t *doc, const json_t *schema, const json_t *value, const char *where)
{
	json_t *properties = json_object_get(schema, "properties"),
	       *more = json_object_get(schema, "additionalProperties"), *member;
	const char *key;

	if (missing(schema, value))
		return fault(value, where, "it has no %s", missing(schema, value));
	json_object_foreach((json_t *)value, key, member) {
		const json_t *known = json_object_get(properties, key);
		char path[1024], *why = NULL;

		snprintf(path, sizeof path, "%.900s.%.100s", where, key);
		if (known || json_is_object(more))
			why = schema_fault(doc, known ? known : more, member, path);
		else if (json_is_false(more))
			why = fault(value, path, "a member that is not described");
		if (why)
			return why;
	}
	return NULL;
}

static char *items_fault(const json_t *doc, const json_t *items, const json_t *value, const char *where)
{
	for (size_t i = 0; items && i < json_array_size(value); i++) {
		char *why = schema_fault(doc, items, json_array_get(value, i), where);

		if (why)
			return why;
	}
	return NULL;
}

static char *choices_fault(const json_t *doc, const json_t *any, const json_t *value, const char *where)
{
	char *first = NULL;

	for (size_t i = 0; i < json_array_size(any); i++) {
		char *why = schema_fault(doc, json_array_get(any, i), value, where);

		if (!why) {
			free(first);
			return NULL;
		}
		if (first)
			free(why);
		else
			first = why;
	}
	return first;
}

char *schema_fault(const json_t *doc, const json_t *schema, const json_t *value, const char *where)
{
	const json_t *s = follow(doc, schema), *types = json_object_get(s, "type"),
		     *choices = json_object_get(s, "enum"), *least = json_object_get(s, "minimum"),
		     *most = json_object_get(s, "maximum"), *any = json_object_get(s, "anyOf");

	if (types && !has_type(types, value))
		return fault(value, where, "another type than described");
	if (choices && !is_one_of(choices, value))
		return fault(value, where, "none of the values described");
	if (json_is_integer(value) && ((least && json_integer_value(value) < json_integer_value(least)) ||
				       (most && json_integer_value(value) > json_integer_value(most))))
		return fault(value, where, "out of the range described");
	if (any)
		return choices_fault(doc, any, value, where);
	if (json_is_object(value))
		return members_fault(doc, s, value, where);
	return items_fault(doc, json_object_get(s, "items"), value, where);
}

void check_schema(const json_t *doc, const json_t *schema, const json_t *value, const char *where)
{
	char *why = schema_fault(doc, schema, value, where);

	if (why)
		ck_abort_msg("not as described: %s", why);
}

static json_t *find_named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(str_at(json_array_get(list, i), "name"), name) == 0)
			return json_array_get(list, i);
	return NULL;
}

json_t *described_method(const json_t *doc, const char *method)
{
	json_t *m = find_named(at(doc, "methods"), method);

	if (m)
		return m;
	ck_abort_msg("rpc.discover does not describe %s", method);
	return NULL;
}

void check_result(const json_t *doc, const char *method, const json_t *result)
{
	check_schema(doc, at(described_method(doc, method), "result.schema"), result, method);
}

/* ---- what comes from the daemon ---- */

/* What this checker does not know it must not pass over. The last ones are of parameters only, and the daemon's own
 * checks of those have tests of their own. */
static void check_keywords(const json_t *schema)
{
	static const char *const known[] = { "type",     "enum",         "minimum",   "maximum",
					     "required", "properties",   "items",     "additionalProperties",
					     "anyOf",    "default",      "minLength", "maxLength",
					     "pattern",  "maxProperties" };
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)schema, key, v) {
		bool found = false;

		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			found = found || strcmp(known[i], key) == 0;
		ck_assert_msg(found, "a schema has the keyword %s, which these tests do not check", key);
	}
}

static void check_all_keywords(const json_t *doc)
{
	const char *name, *member;
	json_t *schema, *s;

	json_object_foreach(at(doc, "components.schemas"), name, schema) {
		check_keywords(schema);
		json_object_foreach(json_object_get(schema, "properties"), member, s)
			if (!json_object_get(s, "$ref"))
				check_keywords(s);
	}
}

const json_t *described(void)
{
	static json_t *doc;
	json_error_t e;

	if (doc)
		return doc;
	doc = json_load_file(program_path("openrpc.json"), 0, &e);
	ck_assert_msg(doc != NULL, "the description of the interface cannot be read: %s", e.text);
	check_all_keywords(doc);
	return doc;
}

static const json_t *described_schema(const char *name)
{
	return json_object_get(at(described(), "components.schemas"), name);
}

static void check_error(const json_t *error)
{
	const json_t *known;

	check_schema(described(), described_schema("error"), error, "error");
	known = json_object_get(at(described(), "components.errors"), str_at(error, "data.kind"));
	ck_assert_msg(known && int_at(known, "code") == int_at(error, "code"), "code and kind do not go together: %s",
		      str_at(error, "message"));
	ck_assert_uint_gt(strlen(str_at(error, "message")), 0);
}

static void check_event(const json_t *notification)
{
	const json_t *event = at(notification, "params");
	const json_t *type;

	ck_assert_str_eq(str_at(notification, "method"), "event");
	ck_assert_uint_eq(json_object_size(notification), 3);
	check_schema(described(), described_schema("event"), event, "event");
	type = find_named(at(described(), "x-events"), str_at(event, "type"));
	check_schema(described(), at(type, "object"), at(event, "object"), str_at(event, "type"));
}

/* Methods with an id that were asked and not answered yet; where two of them have the same id nobody knows whose the
 * answer is. */
static const char *take_asked(json_t *asked, const json_t *reply)
{
	char *id = json_dumps(at(reply, "id"), JSON_ENCODE_ANY | JSON_COMPACT);
	json_t *methods = json_object_get(asked, id);
	const char *method = NULL;

	if (json_array_size(methods) == 1) {
		const json_t *m = find_named(at(described(), "methods"), json_string_value(json_array_get(methods, 0)));

		method = m ? str_at(m, "name") : NULL;
		json_object_del(asked, id);
	}
	free(id);
	return method;
}

void check_line(json_t *asked, const json_t *line)
{
	const json_t *result = json_object_get(line, "result");
	const char *method;

	if (json_is_array(line)) {
		ck_assert_uint_gt(json_array_size(line), 0);
		for (size_t i = 0; i < json_array_size(line); i++)
			check_line(asked, json_array_get(line, i));
		return;
	}
	ck_assert_str_eq(str_at(line, "jsonrpc"), "2.0");
	if (json_object_get(line, "method")) {
		check_event(line);
		return;
	}
	ck_assert_uint_eq(json_object_size(line), 3);
	method = take_asked(asked, line);
	if (!result)
		check_error(at(line, "error"));
	else if (method)
		check_result(described(), method, result);
}

static void note_request(json_t *asked, const json_t *request)
{
	const json_t *id = json_object_get(request, "id"), *method = json_object_get(request, "method");
	json_t *methods;
	char *key;

	if (!id || !json_is_string(method))
		return;
	key = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
	methods = json_object_get(asked, key);
	if (!methods)
		json_object_set_new(asked, key, methods = json_array());
	json_array_append(methods, (json_t *)method);
	free(key);
}

void note_line(json_t *asked, const char *line, size_t len)
{
	json_t *j = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

	if (json_is_array(j))
		for (size_t i = 0; i < json_array_size(j); i++)
			note_request(asked, json_array_get(j, i));
	else if (j)
		note_request(asked, j);
	json_decref(j);
}

static void check_params(const json_t *doc, const char *method, const json_t *params)
{
	json_t *described = at(described_method(doc, method), "params"), *value;
	const char *name;

	json_object_foreach((json_t *)params, name, value) {
		const json_t *p = find_named(described, name);

		ck_assert_msg(p != NULL, "%s takes a parameter %s that is not described", method, name);
		check_schema(doc, at(p, "schema"), value, name);
	}
}

json_t *checked_call(struct client *c, const json_t *doc, const char *method, json_t *params)
{
	json_t *reply, *result;

	if (params)
		check_params(doc, method, params);
	reply = client_request(c, method, params);
	result = json_object_get(reply, "result");
	if (!result)
		wrong(reply, method, "it failed");
	check_result(doc, method, result);
	json_incref(result);
	json_decref(reply);
	return result;
}

static bool is_letter(const json_t *j, char letter)
{
	switch (letter) {
	case 's':
		return json_is_string(j);
	case 'i':
		return json_is_integer(j);
	case 'n':
		return json_is_number(j);
	case 'b':
		return json_is_boolean(j);
	case 'o':
		return json_is_object(j);
	default:
		ck_assert_int_eq(letter, 'a');
		return json_is_array(j);
	}
}

void check_shape(const json_t *j, const char *shape)
{
	char name[64], type[4];
	size_t n = 0;
	int used;

	for (; sscanf(shape, " %63[^:]:%3s%n", name, type, &used) == 2; shape += used, n++) {
		const json_t *member = json_object_get(j, name);

		if (!member || !(is_letter(member, type[0]) || (type[1] == '?' && json_is_null(member))))
			wrong(j, name, "missing, or of another type");
	}
	if (json_object_size(j) != n)
		wrong(j, "a member too many", "not as documented");
}
