#include "tests/e2e/harness_schema.h"

#include <check.h>
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
	ck_assert_int_eq(strncmp(ref, prefix, sizeof prefix - 1), 0);
	schema = json_object_get(at(doc, "components.schemas"), ref + sizeof prefix - 1);
	ck_assert_msg(schema != NULL, "%s is described nowhere", ref);
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

static void check_members(const json_t *doc, const json_t *schema, const json_t *value, const char *where)
{
	json_t *properties = json_object_get(schema, "properties"),
	       *more = json_object_get(schema, "additionalProperties"), *member;
	const char *key;
	char path[1024];

	if (missing(schema, value))
		wrong(value, where, missing(schema, value));
	json_object_foreach((json_t *)value, key, member)
	{
		const json_t *known = json_object_get(properties, key);

		snprintf(path, sizeof path, "%.900s.%s", where, key);
		if (known)
			check_schema(doc, known, member, path);
		else if (json_is_object(more))
			check_schema(doc, more, member, path);
		else if (json_is_false(more))
			wrong(value, path, "a member that is not described");
	}
}

void check_schema(const json_t *doc, const json_t *schema, const json_t *value, const char *where)
{
	const json_t *s = follow(doc, schema), *items = json_object_get(s, "items"),
		     *types = json_object_get(s, "type");
	const json_t *choices = json_object_get(s, "enum"), *least = json_object_get(s, "minimum"),
		     *most = json_object_get(s, "maximum");

	if (types && !has_type(types, value))
		wrong(value, where, "another type than described");
	if (choices && !is_one_of(choices, value))
		wrong(value, where, "none of the values described");
	if (json_is_integer(value) && ((least && json_integer_value(value) < json_integer_value(least)) ||
				       (most && json_integer_value(value) > json_integer_value(most))))
		wrong(value, where, "out of the range described");
	if (json_is_object(value))
		check_members(doc, s, value, where);
	for (size_t i = 0; items && i < json_array_size(value); i++)
		check_schema(doc, items, json_array_get(value, i), where);
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

/* Of "anyOf" the first that has the required members. */
static const json_t *choose(const json_t *doc, const json_t *schema, const json_t *result)
{
	const json_t *any = json_object_get(schema, "anyOf");

	for (size_t i = 0; i < json_array_size(any); i++) {
		const json_t *s = follow(doc, json_array_get(any, i));

		if (!missing(s, result))
			return s;
	}
	ck_assert_msg(any == NULL, "the result fits none of those described");
	return schema;
}

void check_result(const json_t *doc, const char *method, const json_t *result)
{
	const json_t *schema = at(described_method(doc, method), "result.schema");

	check_schema(doc, choose(doc, schema, result), result, method);
}

static void check_params(const json_t *doc, const char *method, const json_t *params)
{
	json_t *described = at(described_method(doc, method), "params"), *value;
	const char *name;

	json_object_foreach((json_t *)params, name, value)
	{
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
