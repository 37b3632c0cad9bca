#include "conf/raw.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more; it doubles whenever `n` has reached a power of two. */
static void *grow(void *p, size_t n, size_t size)
{
	return n & (n - 1) ? p : xrealloc(p, (n ? 2 * n : 1) * size);
}

void raw_init(struct raw *r)
{
	*r = (struct raw){ 0 };
	raw_add_section(r, 1);
	r->sections[0].closed = true;
}

static void clear_option(struct raw_option *o)
{
	for (size_t i = 0; i < o->n; i++)
		free(o->values[i]);
	free(o->values);
	free(o->name);
}

void raw_clear(struct raw *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct raw_section *s = &r->sections[i];
		for (size_t j = 0; j < s->n; j++)
			clear_option(&s->options[j]);
		free(s->options);
		free(s->keyword);
		free(s->title);
	}
	free(r->sections);
	*r = (struct raw){ 0 };
}

struct raw_section *raw_add_section(struct raw *r, int line)
{
	r->sections = grow(r->sections, r->n, sizeof(*r->sections));
	r->sections[r->n] = (struct raw_section){ .line = line };
	return &r->sections[r->n++];
}

struct raw_option *raw_find(const struct raw_section *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->options[i].name, name) == 0)
			return &s->options[i];
	}
	return NULL;
}

struct raw_option *raw_add_option(struct raw_section *s, const char *name, size_t len, int line)
{
	s->options = grow(s->options, s->n, sizeof(*s->options));
	s->options[s->n] = (struct raw_option){ .name = xstrndup(name, len), .line = line };
	return &s->options[s->n++];
}

void raw_add_value(struct raw_option *o, const char *value)
{
	o->values = grow(o->values, o->n, sizeof(*o->values));
	o->values[o->n++] = xstrdup(value);
}
