#include "daemon/store_value.h"

#include "base/jsonx.h"

#include <stdlib.h>
#include <string.h>

static bool is_texts(const json_t *v)
{
	const char *key;
	json_t *text;

	json_object_foreach((json_t *)v, key, text)
		if (!json_is_string(text))
			return false;
	return json_is_object(v);
}

static bool is_list(const json_t *v)
{
	size_t i;
	json_t *text;

	json_array_foreach(v, i, text)
		if (!json_is_string(text))
			return false;
	return json_is_array(v);
}

static bool is_location(const json_t *l)
{
	const json_t *metadata = json_object_get(l, "metadata"), *preferred = json_object_get(l, "preferred"),
		     *admin_only = json_object_get(l, "is_admin_only");

	return jsonx_str(l, "path") && (!metadata || is_texts(metadata)) &&
	       (!preferred || json_is_boolean(preferred)) && (!admin_only || json_is_boolean(admin_only));
}

static bool is_locations(const json_t *v)
{
	size_t i;
	json_t *l;

	json_array_foreach(v, i, l)
		if (!is_location(l))
			return false;
	return json_is_array(v);
}

bool store_value_fits(const struct store_column *c, const json_t *v)
{
	if (!v || json_is_null(v))
		return true;
	switch (c->type) {
	case STORE_TEXT:
		return json_is_string(v);
	case STORE_INTEGER:
		return json_is_integer(v);
	case STORE_JSON:
		return true;
	case STORE_OBJECT:
		return json_is_object(v);
	case STORE_TEXTS:
		return is_texts(v);
	case STORE_LIST:
		return is_list(v);
	case STORE_LOCATIONS:
		return is_locations(v);
	}
	return false;
}

int store_value_bind(sqlite3_stmt *s, int at, const struct store_column *c, const json_t *v)
{
	char *text;

	if (!store_value_fits(c, v))
		return SQLITE_MISMATCH;
	if (!v || json_is_null(v))
		return sqlite3_bind_null(s, at);
	if (c->type == STORE_TEXT)
		return sqlite3_bind_text64(s, at, json_string_value(v), json_string_length(v), SQLITE_STATIC,
					   SQLITE_UTF8);
	if (c->type == STORE_INTEGER)
		return sqlite3_bind_int64(s, at, json_integer_value(v));
	text = jsonx_dump(v);
	return sqlite3_bind_text64(s, at, text, strlen(text), free, SQLITE_UTF8);
}

static json_t *read_text(sqlite3_stmt *s, int at, bool is_json)
{
	const char *text = (const char *)sqlite3_column_text(s, at);
	size_t len = (size_t)sqlite3_column_bytes(s, at);

	return is_json ? json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : json_stringn(text, len);
}

json_t *store_value_read(sqlite3_stmt *s, int at, const struct store_column *c)
{
	int type = sqlite3_column_type(s, at);
	json_t *v;

	if (type == SQLITE_NULL)
		return c->needed ? NULL : json_null();
	if (type != (c->type == STORE_INTEGER ? SQLITE_INTEGER : SQLITE_TEXT))
		return NULL;
	if (type == SQLITE_INTEGER)
		return json_integer(sqlite3_column_int64(s, at));
	v = read_text(s, at, c->type != STORE_TEXT);
	if (!v || store_value_fits(c, v))
		return v;
	json_decref(v);
	return NULL;
}
