#include "conf/settings.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct value *settings_find(const struct settings *s, const char *name)
{
	const struct value *v = NULL;
	for (size_t i = 0; i < s->n && !v; i++)
		v = layer_find(s->layers[i], name);
	return v;
}

/* Who asks for what he did not declare, or by another type, has a fault in his code that no conf file can mend. */
static const struct value *get(const struct settings *s, const char *name, enum option_type type)
{
	const struct value *v = settings_find(s, name);
	if (!v || v->option->type != type) {
		fprintf(stderr, "sharesd: option `%s' was asked for, which is not declared%s\n", name,
			v ? " with that type" : "");
		abort();
	}
	return v;
}

const char *settings_string(const struct settings *s, const char *name)
{
	const struct value *v = settings_find(s, name);
	return get(s, name, v && v->option->type == OPTION_CHOICE ? OPTION_CHOICE : OPTION_STRING)->text;
}

bool settings_bool(const struct settings *s, const char *name)
{
	return get(s, name, OPTION_BOOL)->flag;
}

int64_t settings_int(const struct settings *s, const char *name)
{
	return get(s, name, OPTION_INT)->number;
}

double settings_seconds(const struct settings *s, const char *name)
{
	return get(s, name, OPTION_SECONDS)->seconds;
}

uint64_t settings_size(const struct settings *s, const char *name)
{
	return get(s, name, OPTION_SIZE)->size;
}

mode_t settings_mode(const struct settings *s, const char *name)
{
	return get(s, name, OPTION_MODE)->mode;
}

const char *const *settings_list(const struct settings *s, const char *name, size_t *ret_n)
{
	const struct value *v = get(s, name, OPTION_LIST);
	*ret_n = v->n;
	return (const char *const *)v->list;
}

bool settings_is_set(const struct settings *s, const char *name)
{
	const struct value *v = settings_find(s, name);
	return get(s, name, v ? v->option->type : OPTION_STRING)->line > 0;
}

/* The lists of free "key=value" texts, in the order they are looked through. */
static const char *const free_lists[] = { "options", "hook_options" };

/* Calls for each free text, nearest first. */
static void each_free_text(const struct settings *s, void (*f)(const char *text, size_t key_len, void *data),
			   void *data)
{
	for (size_t k = 0; k < sizeof(free_lists) / sizeof(*free_lists); k++) {
		for (size_t i = 0; i < s->n; i++) {
			const struct value *v = layer_find(s->layers[i], free_lists[k]);
			for (size_t j = 0; v && j < v->n; j++)
				f(v->list[j], value_key_length(v->list[j]), data);
		}
	}
}

struct free_search {
	const char *key;
	const char *found;
};

static void search_free_text(const char *text, size_t key_len, void *data)
{
	struct free_search *search = data;
	if (!search->found && strlen(search->key) == key_len && strncmp(text, search->key, key_len) == 0)
		search->found = text + key_len + 1;
}

json_t *settings_lookup(const struct settings *s, const char *key)
{
	const struct value *v = settings_find(s, key);
	if (v)
		return value_json(v);
	struct free_search search = { .key = key };
	each_free_text(s, search_free_text, &search);
	return search.found ? json_string(search.found) : NULL;
}

struct collecting {
	const struct settings *settings;
	json_t *all;
};

static void collect_free_text(const char *text, size_t key_len, void *data)
{
	struct collecting *c = data;
	_cleanup_free_ char *key = xstrndup(text, key_len);
	if (!settings_find(c->settings, key) && !json_object_get(c->all, key))
		json_object_set_new(c->all, key, json_string(text + key_len + 1));
}

json_t *settings_all(const struct settings *s)
{
	struct collecting c = { .settings = s, .all = json_object() };
	_cleanup_free_ const struct option **shared = schema_tables(s->schema, SCOPE_TOP, NULL);
	_cleanup_free_ const struct option **hook = schema_tables(s->schema, SCOPE_HOOK, NULL);
	for (const struct option *const *t = shared; *t; t++) {
		for (const struct option *o = *t; o->name; o++) {
			if (!(o->flags & OPTION_SECRET))
				json_object_set_new(c.all, o->name, value_json(settings_find(s, o->name)));
		}
	}
	for (const struct option *o = hook[0]; s->hook && o->name; o++)
		json_object_set_new(c.all, o->name, value_json(settings_find(s, o->name)));
	each_free_text(s, collect_free_text, &c);
	return c.all;
}
