#include "conf/fault.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a value that a message repeats. */
#define SHOWN_BYTES 100

char *fault_shown(const char *text)
{
	size_t n = strlen(text);
	bool cut = n > SHOWN_BYTES;
	char *s = xasprintf("%.*s%s", cut ? SHOWN_BYTES : (int)n, text, cut ? "..." : "");
	text_fix_utf8(s);
	for (char *p = s; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return s;
}

/* "dir "media": option `x': ", or less. */
static char *label(const struct raw_section *s, const char *option)
{
	_cleanup_free_ char *keyword = s && s->keyword ? fault_shown(s->keyword) : NULL;
	_cleanup_free_ char *title = s && s->title ? fault_shown(s->title) : NULL;
	_cleanup_free_ char *name = option ? fault_shown(option) : NULL;
	return xasprintf("%s%s%s%s%s%s%s%s", keyword ? keyword : "", title ? " \"" : "", title ? title : "",
			 title ? "\"" : "", keyword ? ": " : "", name ? "option `" : "", name ? name : "",
			 name ? "': " : "");
}

void fault_add(struct fault_list *f, int line, const struct raw_section *s, const char *option, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_free_ char *reason = xvasprintf(fmt, ap);
	va_end(ap);
	_cleanup_free_ char *where = label(s, option);
	_cleanup_free_ char *place = line ? xasprintf("%s:%d", f->path, line) : xstrdup(f->path);
	f->faults = xrealloc(f->faults, (f->n + 1) * sizeof(*f->faults));
	f->faults[f->n++] = (struct fault){ .line = line, .text = xasprintf("%s: %s%s", place, where, reason) };
}

static int by_line(const void *a, const void *b)
{
	const struct fault *x = a, *y = b;
	int lines = (x->line > y->line) - (x->line < y->line);
	return lines ? lines : strcmp(x->text, y->text);
}

void fault_sort(struct fault_list *f)
{
	if (f->n > 0)
		qsort(f->faults, f->n, sizeof(*f->faults), by_line);
}

void fault_finish(struct fault_list *f, struct conf_faults *ret)
{
	fault_sort(f);
	if (ret)
		*ret = (struct conf_faults){ 0 };
	if (ret && f->n > 0) {
		*ret = (struct conf_faults){ .lines = xcalloc(f->n + 1, sizeof(char *)), .n = f->n };
		for (size_t i = 0; i < f->n; i++)
			ret->lines[i] = take_ptr(f->faults[i].text);
	}
	fault_clear(f);
}

void fault_clear(struct fault_list *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->faults[i].text);
	free(f->faults);
	f->faults = NULL;
	f->n = 0;
}

void conf_faults_clear(struct conf_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->lines[i]);
	free(f->lines);
	*f = (struct conf_faults){ 0 };
}
