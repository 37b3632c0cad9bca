/* Values as text. Each call has its share written several times, to the store and to its client, so this is as short a
 * way as there is: Jansson's own looks for loops with a table and hands over every bracket by itself. */
#include "base/jsonx.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than anything that can be read: a value that holds itself. */
#define DEPTH_MAX 4096

struct text {
	char *bytes;
	size_t n, size;
};

static void make_room(struct text *t, size_t n)
{
	if (t->size - t->n <= n) {
		t->size = (t->size + n) * 2;
		t->bytes = xrealloc(t->bytes, t->size);
	}
}

static inline void put(struct text *t, const char *bytes, size_t n)
{
	make_room(t, n);
	memcpy(t->bytes + t->n, bytes, n);
	t->n += n;
}

static void put_escaped(struct text *t, unsigned char c)
{
	static const char letters[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'
	};
	char escaped[8];

	put(t, escaped,
	    (size_t)(c < sizeof letters && letters[c] ? snprintf(escaped, sizeof escaped, "\\%c", letters[c])
						      : snprintf(escaped, sizeof escaped, "\\u%04X", c)));
}

static void put_string(struct text *t, const char *s, size_t n)
{
	size_t done = 0;

	put(t, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(t, s + done, i - done);
		put_escaped(t, c);
		done = i + 1;
	}
	put(t, s + done, n - done);
	put(t, "\"", 1);
}

static void put_number(struct text *t, const json_t *j)
{
	char number[64];

	put(t, number, json_dumpb(j, number, sizeof number, JSON_ENCODE_ANY));
}

static void put_value(struct text *t, const json_t *j, unsigned depth);

static void put_array(struct text *t, const json_t *j, unsigned depth)
{
	put(t, "[", 1);
	for (size_t i = 0; i < json_array_size(j); i++) {
		if (i)
			put(t, ",", 1);
		put_value(t, json_array_get(j, i), depth);
	}
	put(t, "]", 1);
}

static void put_object(struct text *t, const json_t *j, unsigned depth)
{
	void *first = json_object_iter((json_t *)j);

	put(t, "{", 1);
	for (void *at = first; at; at = json_object_iter_next((json_t *)j, at)) {
		if (at != first)
			put(t, ",", 1);
		put_string(t, json_object_iter_key(at), json_object_iter_key_len(at));
		put(t, ":", 1);
		put_value(t, json_object_iter_value(at), depth);
	}
	put(t, "}", 1);
}

static void put_value(struct text *t, const json_t *j, unsigned depth)
{
	if (depth == DEPTH_MAX) {
		fputs("error: a JSON value that holds itself\n", stderr);
		abort();
	}
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		put_object(t, j, depth + 1);
		break;
	case JSON_ARRAY:
		put_array(t, j, depth + 1);
		break;
	case JSON_STRING:
		put_string(t, json_string_value(j), json_string_length(j));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		put_number(t, j);
		break;
	case JSON_TRUE:
		put(t, "true", 4);
		break;
	case JSON_FALSE:
		put(t, "false", 5);
		break;
	case JSON_NULL:
		put(t, "null", 4);
		break;
	}
}

char *jsonx_dump(const json_t *j)
{
	struct text t = { .bytes = xmalloc(1024), .size = 1024 };

	put_value(&t, j ? j : json_null(), 0);
	t.bytes[t.n] = '\0';
	return t.bytes;
}
