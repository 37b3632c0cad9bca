#include "client/terminal.h"

#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

/* The character at s and how many bytes it has; 0 bytes at the end. A byte that starts no whole character is given back
 * as -1 and one byte. */
static int32_t next_character(const char *s, size_t *ret_bytes)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = *u < 0x80                 ? 1
		   : *u >= 0xf0 && *u < 0xf8 ? 4
		   : *u >= 0xe0 && *u < 0xf0 ? 3
		   : *u >= 0xc2 && *u < 0xe0 ? 2
					     : 0;
	int32_t c = n == 1 ? *u : n ? *u & (0x7f >> n) : -1;

	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			n = 0;
			c = -1;
			break;
		}
		c = c << 6 | (u[i] & 0x3f);
	}
	*ret_bytes = n ? n : 1;
	if (!*u)
		*ret_bytes = 0;
	return c;
}

/* Controls (C0, DEL, C1), line and paragraph separators, and what changes the direction of the text around it. */
static bool is_unsafe(int32_t c)
{
	return (c >= 0 && c < 0x20) || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void print_escaped(FILE *to, int32_t c)
{
	static const char short_form[] = "\a\b\t\n\v\f\r", letters[] = "abtnvfr";
	const char *known = c > 0 && c < 0x80 ? strchr(short_form, c) : NULL;

	if (known)
		fprintf(to, "\\%c", letters[known - short_form]);
	else if (c < 0x100)
		fprintf(to, "\\x%02x", (unsigned)c);
	else
		fprintf(to, "\\u%04x", (unsigned)c);
}

char *terminal_escape(const char *s)
{
	char *text = NULL;
	size_t size, bytes;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		abort();
	for (;; s += bytes) {
		int32_t c = next_character(s, &bytes);

		if (!bytes)
			break;
		if (c < 0)
			print_escaped(to, (unsigned char)*s);
		else if (is_unsafe(c))
			print_escaped(to, c);
		else
			fwrite(s, 1, bytes, to);
	}
	fclose(to);
	return text;
}

char *terminal_json(const json_t *value, bool pretty)
{
	char *plain = pretty ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
			     : jsonx_dump(value);
	char *text = NULL;
	size_t size, bytes;
	FILE *to;

	/* Below 0x20 there are only the line ends that we asked for: jansson escapes those inside of strings. */
	to = open_memstream(&text, &size);
	if (!to || !plain)
		abort();
	for (const char *s = plain;; s += bytes) {
		int32_t c = next_character(s, &bytes);

		if (!bytes)
			break;
		if (c >= 0x20 && is_unsafe(c))
			fprintf(to, "\\u%04x", (unsigned)c);
		else
			fwrite(s, 1, bytes, to);
	}
	fclose(to);
	free(plain);
	return text;
}

size_t terminal_width(const char *s)
{
	size_t width = 0, bytes;

	for (;; s += bytes) {
		int32_t c = next_character(s, &bytes);
		int w;

		if (!bytes)
			return width;
		w = c < 0 ? 1 : wcwidth((wchar_t)c);
		width += w < 0 ? 1 : (size_t)w;
	}
}

size_t terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

const char *terminal_status_colour(const char *status)
{
	static const char *const well[] = { "available", "active", "up",    "in_sync", "well",
					    "done",      "ok",     "ready", "running", NULL };

	if (strstr(status, "error") || strcmp(status, "down") == 0 || strcmp(status, "failed") == 0)
		return "\033[31m";
	for (const char *const *w = well; *w; w++)
		if (strcmp(status, *w) == 0)
			return "\033[32m";
	return strcmp(status, "-") == 0 ? "" : "\033[33m";
}

bool terminal_has_colours(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}
