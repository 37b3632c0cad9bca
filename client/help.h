/* What the table of commands says of itself. */
#ifndef CLIENT_HELP_H
#define CLIENT_HELP_H

#include "client/command.h"

#include <stddef.h>
#include <stdio.h>

/* About all (no words), a group ("share") or a command ("share create"). CTL_USAGE for what is none. */
int help_print(const char *const *words, size_t count, FILE *to, struct failure *f);
void help_print_command(const struct command *c, FILE *to);
/* For the shell's completion, a command a line: its words, its positional arguments, its options (with = where they
 * take a value), these three parted by tabs. */
void help_print_words(FILE *to);

#endif
