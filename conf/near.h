/* "did you mean": names that are nearly the one that was written. */
#ifndef CONF_NEAR_H
#define CONF_NEAR_H

#include <stddef.h>

/* How many letters must be changed, left out, put in, or swapped with the next; more than `max`: max + 1. */
size_t near_distance(const char *a, const char *b, size_t max);

/* Adds `name` to the candidates for `word`, if it is near; the nearest win. */
struct near {
	const char *word;
	size_t distance; /* of those in `names` */
	char *names;     /* "`root'" or "`root' or `roof'"; NULL: none; owned by the caller */
};
void near_add(struct near *n, const char *name);

#endif
