/* The conf file as text: sections, options and their words, not yet checked against any table. */
#ifndef CONF_RAW_H
#define CONF_RAW_H

#include <stdbool.h>
#include <stddef.h>

/* More of any of these is a fault: no real file has them, and what they cost grows with their square. */
enum { RAW_SECTIONS_MAX = 512, RAW_OPTIONS_MAX = 512, RAW_NAMES_MAX = 512, RAW_BYTES_MAX = 1 << 20 };

struct raw_option {
	char *name;
	int line;
	bool braces; /* written as a list, {..} */
	bool bad;    /* a fault was found already: not to be checked further */
	char **values;
	size_t n;
};

struct raw_section {
	char *keyword; /* NULL: the top level */
	char *title;   /* NULL: the top level */
	int line;
	bool closed;
	struct raw_option *options;
	size_t n;
};

struct raw {
	struct raw_section *sections; /* in the order of the file, the top level is the first */
	size_t n;
	bool broken; /* a syntax error: what comes after it is missing */
};

/* With the top level in it. */
void raw_init(struct raw *r);
void raw_clear(struct raw *r);

/* Keyword and title are the caller's to fill in. */
struct raw_section *raw_add_section(struct raw *r, int line);
struct raw_option *raw_find(const struct raw_section *s, const char *name);
struct raw_option *raw_add_option(struct raw_section *s, const char *name, size_t len, int line);
void raw_add_value(struct raw_option *o, const char *value);

#endif
