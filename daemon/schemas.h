/* JSON schemas of what is answered, as texts. Immutable. */
#ifndef DAEMON_SCHEMAS_H
#define DAEMON_SCHEMAS_H

struct schema {
	const char *name; /* "share"; NULL ends */
	const char *text; /* JSON; other schemas by {"$ref":"#/components/schemas/NAME"} */
};
const struct schema *schema_table(void);

/* Pages: the member and what it is a list of; name NULL ends. */
struct page_schema {
	const char *name, *of;
};
const struct page_schema *schema_pages(void);

#endif
