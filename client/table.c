#include "client/table.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "client/terminal.h"

#include <assert.h>
#include <stdlib.h>

struct table {
	const struct table_column *columns;
	size_t column_count;
	char **cells; /* escaped; whole rows once all are added */
	size_t cell_count, cell_space;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *t = xcalloc(1, sizeof *t);

	assert(count > 0);
	t->columns = columns;
	t->column_count = count;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cell_count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void table_add(struct table *t, const char *text)
{
	if (t->cell_count == t->cell_space) {
		t->cell_space = t->cell_space ? t->cell_space * 2 : 64;
		t->cells = xrealloc(t->cells, t->cell_space * sizeof *t->cells);
	}
	t->cells[t->cell_count++] = terminal_escape(text && *text ? text : "-");
}

static void print_cell(const struct table *t, size_t column, const char *text, size_t width, const char *colour,
		       FILE *to)
{
	size_t blanks = width - terminal_width(text);
	bool last = column + 1 == t->column_count;

	if (t->columns[column].right)
		fprintf(to, "%*s", (int)blanks, "");
	fprintf(to, "%s%s%s", colour, text, *colour ? TERMINAL_PLAIN : "");
	/* No blanks at the end of a line: they would wrap on a narrow terminal. */
	if (!t->columns[column].right && !last)
		fprintf(to, "%*s", (int)blanks, "");
	fputs(last ? "\n" : "  ", to);
}

void table_print(const struct table *t, bool colours, FILE *to)
{
	_cleanup_free_ size_t *widths = xcalloc(t->column_count, sizeof *widths);
	size_t rows = t->cell_count / t->column_count;

	for (size_t c = 0; c < t->column_count; c++)
		widths[c] = terminal_width(t->columns[c].title);
	for (size_t i = 0; i < t->cell_count; i++) {
		size_t width = terminal_width(t->cells[i]), *widest = &widths[i % t->column_count];

		*widest = width > *widest ? width : *widest;
	}
	for (size_t c = 0; c < t->column_count; c++)
		print_cell(t, c, t->columns[c].title, widths[c], colours ? TERMINAL_BOLD : "", to);
	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < t->column_count; c++) {
			const char *text = t->cells[r * t->column_count + c];
			bool paint = colours && t->columns[c].status;

			print_cell(t, c, text, widths[c], paint ? terminal_status_colour(text) : "", to);
		}
	}
}
