/* Parameters against their row: types, bounds, what is missing, what is unknown. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/text.h"
#include "daemon/methods.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int check_text(const struct param *p, const json_t *v, struct error *e)
{
	size_t n;

	if (!json_is_string(v))
		return error_param(e, p->name, "%s must be a string", p->name);
	n = json_string_length(v);
	if (p->max && ((int64_t)n < p->min || (int64_t)n > p->max))
		return error_param(e, p->name, "%s must have %" PRId64 " to %" PRId64 " characters", p->name, p->min,
				   p->max);
	return 0;
}

static int check_name(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_string(v) || !text_is_name(json_string_value(v)))
		return error_param(e, p->name, "%s must be %s", p->name, p->help);
	return 0;
}

static int check_ref(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) > 600)
		return error_param(e, p->name, "%s must be the id or name of an object", p->name);
	return 0;
}

static int check_int(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_integer(v))
		return error_param(e, p->name, "%s must be a whole number", p->name);
	if (json_integer_value(v) < p->min || json_integer_value(v) > p->max)
		return error_param(e, p->name, "%s must be %" PRId64 " to %" PRId64, p->name, p->min, p->max);
	return 0;
}

static int check_size(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 1)
		return error_param(e, p->name, "%s must be a whole number of bytes, 1 to 9223372036854775807", p->name);
	return 0;
}

static int check_bool(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_boolean(v))
		return error_param(e, p->name, "%s must be true or false", p->name);
	return 0;
}

static int check_choice(const struct param *p, const json_t *v, struct error *e)
{
	char list[256] = "";
	size_t len = 0;

	for (const char *const *c = p->choices; *c; c++) {
		if (json_is_string(v) && strcmp(json_string_value(v), *c) == 0)
			return 0;
		len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", *c);
		if (len >= sizeof list)
			len = sizeof list - 1;
	}
	return error_param(e, p->name, "%s must be one of %s", p->name, list);
}

static int check_mode(const struct param *p, const json_t *v, struct error *e)
{
	mode_t mode;

	if (!json_is_string(v) || text_parse_mode(json_string_value(v), &mode) < 0)
		return error_param(e, p->name, "%s must be an octal mode as a string, like \"0770\"", p->name);
	return 0;
}

static int check_owner(const struct param *p, const json_t *v, struct error *e)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < UINT32_MAX)
		return 0;
	if (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) <= 255)
		return 0;
	return error_param(e, p->name, "%s must be a number or a name", p->name);
}

static int check_texts(const struct param *p, const json_t *v, struct error *e)
{
	const char *key;
	json_t *text;

	if (!json_is_object(v))
		return error_param(e, p->name, "%s must be an object of strings", p->name);
	if (json_object_size(v) > METADATA_MAX)
		return error_param(e, p->name, "%s: an object may have %d texts at most", p->name, METADATA_MAX);
	json_object_foreach((json_t *)v, key, text) {
		if (strlen(key) < 1 || strlen(key) > 255)
			return error_param(e, p->name, "%s: a key must have 1 to 255 characters", p->name);
		if (p->type == PARAM_PATCH && json_is_null(text))
			continue;
		if (!json_is_string(text) || json_string_length(text) > 4095)
			return error_param(e, p->name,
					   "%s: the value of \"%s\" must be a string of at most 4095 characters",
					   p->name, key);
	}
	return 0;
}

static int check_object(const struct param *p, const json_t *v, struct error *e)
{
	if (!json_is_object(v))
		return error_param(e, p->name, "%s must be an object", p->name);
	return 0;
}

static int check_rules(const struct param *p, const json_t *v, struct error *e)
{
	static const char *const known[] = { "access_type", "access_to", "access_level", "options", NULL };
	size_t i;
	json_t *rule, *member;
	const char *key;

	if (!json_is_array(v))
		return error_param(e, p->name, "%s must be an array of rules", p->name);
	json_array_foreach(v, i, rule) {
		if (!jsonx_str(rule, "access_type") || !jsonx_str(rule, "access_to"))
			return error_param(e, p->name, "%s: rule %zu needs access_type and access_to", p->name, i + 1);
		json_object_foreach(rule, key, member) {
			const char *const *k = known;

			while (*k && strcmp(*k, key) != 0)
				k++;
			if (!*k)
				return error_param(e, p->name, "%s: rule %zu has an unknown member \"%s\"", p->name,
						   i + 1, key);
		}
		member = json_object_get(rule, "access_level");
		if (member && (!json_is_string(member) || (strcmp(json_string_value(member), "rw") != 0 &&
							   strcmp(json_string_value(member), "ro") != 0)))
			return error_param(e, p->name, "%s: access_level of rule %zu must be rw or ro", p->name, i + 1);
		member = json_object_get(rule, "options");
		if (member && !json_is_object(member))
			return error_param(e, p->name, "%s: options of rule %zu must be an object", p->name, i + 1);
	}
	return 0;
}

static int check_strings(const struct param *p, const json_t *v, struct error *e)
{
	size_t i;
	json_t *text;

	if (!json_is_array(v))
		return error_param(e, p->name, "%s must be an array of strings", p->name);
	json_array_foreach(v, i, text)
		if (!json_is_string(text))
			return error_param(e, p->name, "%s must be an array of strings", p->name);
	return 0;
}

static int check_value(const struct param *p, const json_t *v, struct error *e)
{
	switch (p->type) {
	case PARAM_STRING:
		return check_text(p, v, e);
	case PARAM_NAME:
		return check_name(p, v, e);
	case PARAM_REF:
		return check_ref(p, v, e);
	case PARAM_SIZE:
		return check_size(p, v, e);
	case PARAM_INT:
		return check_int(p, v, e);
	case PARAM_BOOL:
		return check_bool(p, v, e);
	case PARAM_CHOICE:
		return check_choice(p, v, e);
	case PARAM_MODE:
		return check_mode(p, v, e);
	case PARAM_OWNER:
		return check_owner(p, v, e);
	case PARAM_METADATA:
	case PARAM_PATCH:
		return check_texts(p, v, e);
	case PARAM_OBJECT:
		return check_object(p, v, e);
	case PARAM_RULES:
		return check_rules(p, v, e);
	case PARAM_STRINGS:
		return check_strings(p, v, e);
	}
	return error_set(e, ERR_INTERNAL, EINVAL, "parameter %s has no type", p->name);
}

static const struct param *find_param(const struct method *m, const char *name)
{
	for (const struct param *p = m->params; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	for (const struct param *p = method_common_params(); p->name; p++)
		if (strcmp(p->name, name) == 0 && method_takes(m, name))
			return p;
	return NULL;
}

static int fill(const struct param *p, json_t *params, struct error *e)
{
	json_t *v = json_object_get(params, p->name);

	/* A member that is null counts as left out, but for the checks of those that must be there. */
	if (json_is_null(v) && !p->required) {
		json_object_del(params, p->name);
		v = NULL;
	}
	if (!v && p->required)
		return error_param(e, p->name, "%s is missing: it is %s", p->name, p->help);
	if (v)
		return check_value(p, v, e);
	if (p->fallback)
		json_object_set_new(params, p->name, json_loads(p->fallback, JSON_DECODE_ANY, NULL));
	return 0;
}

int params_check(const struct method *m, const json_t *params, json_t **ret, struct error *e)
{
	_cleanup_json_ json_t *full = json_object();
	const char *key;
	json_t *v;
	int r;

	if (params && !json_is_object(params))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "params must be an object: parameters go by name");
	if (params) {
		json_object_foreach((json_t *)params, key, v)
			if (!find_param(m, key))
				return error_param(e, key, "%s has no parameter \"%s\"", m->name, key);
		json_decref(full);
		full = json_deep_copy(params);
	}
	for (const struct param *p = m->params; p && p->name; p++)
		if ((r = fill(p, full, e)) < 0)
			return r;
	for (const struct param *p = method_common_params(); p->name; p++)
		if (method_takes(m, p->name) && (r = fill(p, full, e)) < 0)
			return r;
	*ret = take_ptr(full);
	return 0;
}

static json_t *text_schema(const struct param *p)
{
	json_t *s = json_pack("{s:s}", "type", "string");

	if (p->max) {
		json_object_set_new(s, "minLength", json_integer(p->min));
		json_object_set_new(s, "maxLength", json_integer(p->max));
	}
	return s;
}

static json_t *choice_schema(const struct param *p)
{
	json_t *values = json_array();

	for (const char *const *c = p->choices; *c; c++)
		json_array_append_new(values, json_string(*c));
	return json_pack("{s:s,s:o}", "type", "string", "enum", values);
}

static json_t *bare_schema(const struct param *p)
{
	switch (p->type) {
	case PARAM_STRING:
		return text_schema(p);
	case PARAM_NAME:
		return json_pack("{s:s,s:s,s:i,s:i}", "type", "string", "pattern", "^[A-Za-z0-9_][A-Za-z0-9._-]*$",
				 "minLength", 1, "maxLength", 255);
	case PARAM_REF:
		return json_pack("{s:s,s:i,s:i}", "type", "string", "minLength", 1, "maxLength", 600);
	case PARAM_SIZE:
		return json_pack("{s:s,s:i,s:I}", "type", "integer", "minimum", 1, "maximum", (json_int_t)INT64_MAX);
	case PARAM_INT:
		return json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum", (json_int_t)p->min, "maximum",
				 (json_int_t)p->max);
	case PARAM_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case PARAM_CHOICE:
		return choice_schema(p);
	case PARAM_MODE:
		return json_pack("{s:s,s:s}", "type", "string", "pattern", "^0?[0-7]{1,4}$");
	case PARAM_OWNER:
		return json_pack("{s:[s,s]}", "type", "integer", "string");
	case PARAM_METADATA:
		return json_pack("{s:s,s:i,s:{s:s,s:i}}", "type", "object", "maxProperties", METADATA_MAX,
				 "additionalProperties", "type", "string", "maxLength", 4095);
	case PARAM_PATCH:
		return json_pack("{s:s,s:i,s:{s:[s,s],s:i}}", "type", "object", "maxProperties", METADATA_MAX,
				 "additionalProperties", "type", "string", "null", "maxLength", 4095);
	case PARAM_OBJECT:
		return json_pack("{s:s}", "type", "object");
	case PARAM_RULES:
		return json_pack("{s:s,s:{s:s,s:[s,s],s:{s:{s:s},s:{s:s},s:{s:[s,s]},s:{s:s}},s:b}}", "type", "array",
				 "items", "type", "object", "required", "access_type", "access_to", "properties",
				 "access_type", "type", "string", "access_to", "type", "string", "access_level", "enum",
				 "rw", "ro", "options", "type", "object", "additionalProperties", 0);
	case PARAM_STRINGS:
		return json_pack("{s:s,s:{s:s}}", "type", "array", "items", "type", "string");
	}
	return json_object();
}

json_t *param_schema(const struct param *p)
{
	json_t *s = bare_schema(p);

	if (p->fallback)
		json_object_set_new(s, "default", json_loads(p->fallback, JSON_DECODE_ANY, NULL));
	return s;
}
