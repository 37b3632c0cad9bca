/* One option's value: words of the conf file to what the option's type says. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "base/option.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Entries of a list; more is a fault. */
enum { VALUE_ENTRIES_MAX = 1024 };

struct value {
	const struct option *option;
	int line;   /* of the option; 0: a default */
	char *text; /* OPTION_STRING, OPTION_CHOICE, OPTION_MODE */
	bool flag;
	int64_t number;
	double seconds;
	uint64_t size;
	mode_t mode;
	char **list; /* NULL-terminated */
	size_t n;
};

/* Values of one section, or the defaults of some tables. */
struct layer {
	struct value *values;
	size_t n;
};

/* -EINVAL with `*ret_reason` (what is wrong and what to write instead; owned by the caller) when the words do not fit.
 */
int value_parse(const struct option *o, char *const *words, size_t n, struct value *ret, char **ret_reason);
/* From the table's fallback. -EINVAL: it does not fit its own type. */
int value_default(const struct option *o, struct value *ret, char **ret_reason);
void value_clear(struct value *v);
/* New reference. */
json_t *value_json(const struct value *v);

/* The key's length in a free "key=value" text; 0: it is none. */
size_t value_key_length(const char *text);

const struct value *layer_find(const struct layer *l, const char *name);
/* Takes what `v` owns. */
void layer_add(struct layer *l, struct value *v);
void layer_clear(struct layer *l);

#endif
