/* What a terminal may safely be sent, and how wide it shows. Text that came from the daemon may hold what any client
 * or program wrote into it: it goes to people only through here. */
#ifndef CLIENT_TERMINAL_H
#define CLIENT_TERMINAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A copy in which control characters (and those that turn the direction of text) stand as "\n", "\x1b", "\u202e".
 * `s` is UTF-8; what is not is shown as "\xNN". Owned by the caller. */
char *terminal_escape(const char *s);
/* JSON text of any value, on one line or `pretty` on several; such characters stand as \uXXXX in it. Owned by the
 * caller. */
char *terminal_json(const json_t *value, bool pretty);
/* Columns that UTF-8 text takes on the screen. */
size_t terminal_width(const char *s);
/* Columns of the terminal behind fd; 80 where it does not say. */
size_t terminal_columns(int fd);
/* The escape sequence that paints a status word, or "" where there is nothing to point out. */
const char *terminal_status_colour(const char *status);
#define TERMINAL_PLAIN "\033[0m"
#define TERMINAL_BOLD  "\033[1m"
/* False with NO_COLOR set or a terminal that cannot. */
bool terminal_has_colours(void);

#endif
