/* The header lines of a webhook's request. Call thread only. */
#ifndef HOOKS_HEADERS_H
#define HOOKS_HEADERS_H

#include "base/error.h"

#include <stddef.h>

struct headers {
	char **lines; /* NULL-terminated, as the HTTP library takes them */
	size_t n;
};

/* Left out where the value has characters that no header may have. NULL values too. */
void headers_add(struct headers *h, const char *name, const char *value);
/* One row of webhook_headers: "Name: value". -EINVAL names it, without its value: it may be a secret. */
int headers_add_line(struct headers *h, const char *line, struct error *e);
/* Each line of the text; blank ones and those that begin with "#" are left out. */
int headers_add_lines(struct headers *h, const char *text, struct error *e);
/* Wipes them. */
void headers_clear(struct headers *h);
#define _cleanup_headers_ __attribute__((__cleanup__(headers_clear)))

#endif
