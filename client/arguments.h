/* From the words of the command line to a command and its params. */
#ifndef CLIENT_ARGUMENTS_H
#define CLIENT_ARGUMENTS_H

#include "client/command.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct invocation {
	const struct command *command; /* NULL: help was asked for without a whole command */
	json_t *params;                /* object; owned */
	const char **words;            /* the positional arguments; the array is owned, its texts are argv's */
	size_t word_count;
	/* Of sharesctl's own. */
	const char *socket; /* argv's, or NULL */
	double timeout;     /* seconds; 0: none */
	bool json, yes, help;
};

/* `in` is what "-" stands for. On failure too `json` is right, wherever it stands among the arguments. Clear it always.
 */
int arguments_parse(int argc, char **argv, FILE *in, struct invocation *ret, struct failure *f);
void invocation_clear(struct invocation *inv);
/* The i-th positional argument, or NULL. */
const char *invocation_word(const struct invocation *inv, size_t i);

/* JSON text, or with "-" all of `in`: one whole value. `what` names it in the failure. */
int arguments_read_json(const char *text, FILE *in, const char *what, json_t **ret, struct failure *f);
/* One value into params[param]. `what` names it in the failure ("--size", "SIZE"). */
int arguments_set(json_t *params, const char *param, enum value_type type, const char *what, const char *value,
		  FILE *in, struct failure *f);

#endif
