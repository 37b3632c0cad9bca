#include "base/jsonx.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t jsonx_depth(const char *text, size_t len, size_t max)
{
	size_t depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > deepest)
				deepest = depth;
			if (deepest > max)
				break;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return deepest;
}

static int too_deep(size_t max, struct error *e)
{
	return error_set(e, ERR_INVALID_REQUEST, 0,
			 "the JSON text is nested deeper than %zu levels: send a flatter one", max);
}

static int parse_failure(const json_error_t *err, struct error *e)
{
	enum json_error_code code = json_error_code(err);
	const char *what = err->text, *hint = "";

	if (code == json_error_stack_overflow)
		return too_deep(JSON_PARSER_MAX_DEPTH, e);
	if (code == json_error_invalid_utf8)
		what = "the text is not UTF-8";
	if (code == json_error_null_character || code == json_error_null_byte_in_key || code == json_error_null_value)
		what = "a text with the character NUL (\\u0000) in it, which is taken nowhere";
	if (code == json_error_premature_end_of_input) {
		what = "the text ends too early";
		hint = " (one JSON text per line, without line breaks in it)";
	}
	if (code == json_error_end_of_input_expected)
		hint = " (one JSON text per line)";
	return error_set(e, ERR_PARSE_ERROR, 0, "not valid JSON at line %d, column %d: %s%s", err->line, err->column,
			 what, hint);
}

int jsonx_parse(const char *text, size_t len, size_t max_depth, json_t **ret, struct error *e)
{
	json_error_t err;
	json_t *j;

	if (jsonx_depth(text, len, max_depth) > max_depth)
		return too_deep(max_depth, e);
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
	if (!j)
		return parse_failure(&err, e);
	*ret = j;
	return 0;
}

json_t *jsonx_get(const json_t *o, const char *key)
{
	json_t *j = json_object_get(o, key);

	return json_is_null(j) ? NULL : j;
}

const char *jsonx_str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

int64_t jsonx_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool jsonx_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

json_t *jsonx_string(const char *s)
{
	_cleanup_free_ char *fixed = NULL;
	json_t *j;

	if (!s)
		return json_null();
	j = json_string(s);
	if (j)
		return j;
	fixed = xstrdup(s);
	text_fix_utf8(fixed);
	return json_string(fixed);
}

size_t jsonx_size(const json_t *j)
{
	enum { EACH = 8 }; /* of a number or word, with the signs around it */
	size_t size = EACH + (json_is_string(j) ? json_string_length(j) : 0), i;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)j, key, v)
		size += strlen(key) + jsonx_size(v);
	json_array_foreach(j, i, v)
		size += jsonx_size(v);
	return size;
}

char *jsonx_canonical(const json_t *j)
{
	char *text = json_dumps(j ? j : json_null(), JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text) {
		/* A value that holds itself, or text that is not UTF-8 put in past every check. */
		fputs("error: a JSON value that cannot be written\n", stderr);
		abort();
	}
	return text;
}

void jsonx_merge(json_t *to, const json_t *from)
{
	if (from)
		json_object_update(to, (json_t *)from);
}

json_t *jsonx_pack(const char *fmt, ...)
{
	json_error_t err;
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	j = json_vpack_ex(&err, 0, fmt, ap);
	va_end(ap);
	if (!j) {
		fprintf(stderr, "error: jsonx_pack(\"%s\"): %s at column %d\n", fmt, err.text, err.column);
		abort();
	}
	return j;
}
