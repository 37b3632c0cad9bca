#include "hooks/answer.h"

#include "base/cleanup.h"
#include "base/jsonx.h"

#include <errno.h>
#include <string.h>

static const char results_key[] = "driver_action_results";

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "unknown";
}

static int take_post(json_t *value, json_t **ret, struct error *e)
{
	if (!json_is_object(value))
		return error_set(e, ERR_POST_HOOK_FAILED, EINVAL,
				 "the answer is %s, but a post hook answers {\"%s\": {..}} or nothing",
				 type_name(value), results_key);
	const char *key;
	json_t *member, *results = NULL;
	json_object_foreach(value, key, member) {
		if (strcmp(key, results_key) != 0)
			return error_set(
				e, ERR_POST_HOOK_FAILED, EINVAL,
				"the answer has a member \"%s\", but a post hook answers {\"%s\": {..}} or nothing",
				key, results_key);
		results = member;
	}
	if (!results || json_is_null(results))
		return 0;
	if (!json_is_object(results))
		return error_set(e, ERR_POST_HOOK_FAILED, EINVAL,
				 "\"%s\" of the answer is %s, but it must be an object", results_key,
				 type_name(results));
	*ret = json_incref(results);
	return 0;
}

int hook_answer_take(enum hook_phase phase, json_t *value, json_t **ret, struct error *e)
{
	if (!value || json_is_null(value) || phase == HOOK_PERIODIC || phase == HOOK_ERROR)
		return 0;
	if (phase == HOOK_POST)
		return take_post(value, ret, e);
	*ret = json_incref(value);
	return 0;
}

int hook_answer_parse(enum hook_phase phase, const char *what, const char *text, size_t len, size_t max_depth,
		      json_t **ret, struct error *e)
{
	if (phase == HOOK_PERIODIC || phase == HOOK_ERROR)
		return 0;
	while (len > 0 && strchr(" \t\r\n", *text) && *text) {
		text++;
		len--;
	}
	if (len == 0)
		return 0;
	_cleanup_json_ json_t *value = NULL;
	int r = jsonx_parse(text, len, max_depth, &value, e);
	if (r < 0) {
		error_prefix(e, "%s is neither empty nor one JSON value of at most %zu levels", what, max_depth);
		return r;
	}
	return hook_answer_take(phase, value, ret, e);
}

int hook_answer_check(const json_t *returned,
		      int (*check)(void *data, const char *key, const json_t *value, struct error *e), void *data,
		      struct error *e)
{
	if (!returned || json_is_null(returned))
		return 0;
	if (!json_is_object(returned))
		return error_set(e, ERR_POST_HOOK_FAILED, EINVAL,
				 "it returned %s, but a post hook returns an object or nothing", type_name(returned));
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)returned, key, value) {
		if (!check)
			return error_set(e, ERR_POST_HOOK_FAILED, EINVAL,
					 "it returned \"%s\", but this call's results may not be changed", key);
		int r = check(data, key, value, e);
		if (r < 0) {
			error_prefix(e, "it returned \"%s\"", key);
			return r;
		}
	}
	return 0;
}
