/* A table for people: columns as wide as what is in them, a header line, two blanks between columns. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

struct table_column {
	const char *title;
	bool right;  /* numbers */
	bool status; /* painted after what it says, where there are colours */
};

/* The columns are borrowed and must outlive the table. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *t); /* NULL is fine */
/* The next cell, row after row, left to right. The text is escaped here; NULL and "" show as "-". */
void table_add(struct table *t, const char *text);
void table_print(const struct table *t, bool colours, FILE *to);

#endif
