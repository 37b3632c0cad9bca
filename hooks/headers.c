#include "hooks/headers.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static void append(struct headers *h, char *line)
{
	h->lines = xrealloc(h->lines, (h->n + 2) * sizeof(*h->lines));
	h->lines[h->n++] = line;
	h->lines[h->n] = NULL;
}

static bool is_value(const char *s)
{
	for (; *s; s++) {
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	}
	return true;
}

void headers_add(struct headers *h, const char *name, const char *value)
{
	if (value && is_value(value))
		append(h, xasprintf("%s: %s", name, value));
}

/* What the module sets itself, and what would change how the body is read. */
static bool is_reserved(const char *name, size_t n)
{
	static const char *const names[] = { "Content-Length", "Content-Type", "Transfer-Encoding", "Connection",
					     "Expect" };
	static const char ours[] = "X-Sharesd-";
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) == n && strncasecmp(name, names[i], n) == 0)
			return true;
	}
	return strncasecmp(name, ours, strlen(ours)) == 0;
}

int headers_add_line(struct headers *h, const char *line, struct error *e)
{
	size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~");
	const char *value = line + n + 1;
	if (n == 0 || line[n] != ':')
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "webhook_headers: a header is written \"Name: value\", this one begins with \"%.*s\"",
				 (int)n, line);
	if (is_reserved(line, n))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "webhook_headers: \"%.*s\" is set by sharesd itself",
				 (int)n, line);
	if (!is_value(value))
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "webhook_headers: the value of \"%.*s\" has a control character", (int)n, line);
	/* A semicolon is the library's way to write a header without a value. */
	append(h, value[strspn(value, " \t")] ? xstrdup(line) : xasprintf("%.*s;", (int)n, line));
	return 0;
}

int headers_add_lines(struct headers *h, const char *text, struct error *e)
{
	int r = 0;
	while (*text && r == 0) {
		size_t len = strcspn(text, "\n"), kept = len;
		while (kept > 0 && strchr(" \t\r", text[kept - 1]))
			kept--;
		if (kept > 0 && *text != '#') {
			char *line = xstrndup(text, kept);
			r = headers_add_line(h, line, e);
			explicit_bzero(line, kept);
			free(line);
		}
		text += len + (text[len] == '\n');
	}
	return r;
}

void headers_clear(struct headers *h)
{
	for (size_t i = 0; i < h->n; i++) {
		explicit_bzero(h->lines[i], strlen(h->lines[i]));
		free(h->lines[i]);
	}
	free(h->lines);
	*h = (struct headers){ 0 };
}
