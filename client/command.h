/* The table of commands: parsing, help, completion and what is printed come from it. Immutable. */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include "client/failure.h"
#include "client/view.h"

#include <stdbool.h>
#include <stddef.h>

struct ctl;
struct invocation;

/* The default socket. */
#define CTL_SOCKET "/run/sharesd/sharesd.sock"

enum value_type {
	VALUE_TEXT,
	VALUE_SIZE,    /* "10GiB": bytes */
	VALUE_NUMBER,  /* a whole number, not negative */
	VALUE_SECONDS, /* a number above 0 */
	VALUE_OWNER,   /* number or name */
	VALUE_FLAG,    /* an option without a value: true */
	VALUE_NOT,     /* an option without a value: false */
	VALUE_PAIR,    /* key=value, again and again: an object of strings */
	VALUE_SETTING, /* the same, but what looks like a whole number becomes one */
	VALUE_PATCH,   /* key=value, or key- for null */
	VALUE_WORDS,   /* again and again: an array of strings */
	VALUE_JSON,    /* JSON text, or - for standard input */
};

/* A positional argument ("SHARE") or an option ("size" for --size). */
struct argument {
	const char *name;
	const char *param; /* the member of params that it fills; NULL: the command's `prepare` or `run` looks at it */
	enum value_type type;
	bool optional;     /* positional: may be left out */
	bool required;     /* option: may not */
	bool repeated;     /* positional, the last one: takes all that follow */
	const char *value; /* option: what --help calls its value */
	const char *help;  /* NULL: not shown */
};

enum command_flag {
	COMMAND_CHANGES = 1 << 0, /* takes --request-id */
	COMMAND_WAITS = 1 << 1,   /* takes --no-wait */
	COMMAND_MAKES = 1 << 2,   /* takes --if-absent */
	COMMAND_REMOVES = 1 << 3, /* takes --if-present */
	COMMAND_HOOKED = 1 << 4,  /* takes --skip-hooks */
	COMMAND_ANY = 1 << 5,     /* takes all of these, but is not known to change anything */
};

/* Whose progress is shown while a call takes long. */
enum watch { WATCH_NONE, WATCH_SHARE, WATCH_SNAPSHOT, WATCH_REPLICA };

struct command {
	const char *words;  /* "share create" */
	const char *method; /* NULL: `run` knows */
	unsigned flags;
	enum watch watch;
	const struct argument *positionals; /* name NULL ends; NULL: none */
	const struct argument *options;     /* the same, beside the common ones */
	const struct list_view *list;       /* the answer is a page of a list; NULL: it is one object, or null */
	const char *question;               /* "share": "Delete share photos?" is asked, after the first positional */
	/* Makes of `inv` what the rows above cannot say: changes inv->params. */
	int (*prepare)(struct ctl *c, struct invocation *inv, struct failure *f);
	/* Instead of the usual way (question, call, print). Returns the exit code, or fills `f`. */
	int (*run)(struct ctl *c, struct invocation *inv, struct failure *f);
	const char *help; /* one sentence */
};

/* words NULL ends. */
const struct command *command_table(void);
/* Options that every command takes, or those with one of the flags; name NULL ends. */
const struct argument *command_common_options(void);
bool command_takes_common(const struct command *c, const struct argument *common);
/* The option of that name that the command takes, or NULL. */
const struct argument *command_option(const struct command *c, const char *name);
/* The command that the first of the words name, and how many they are; NULL: none. */
const struct command *command_find(const char *const *words, size_t count, size_t *ret_used);
/* Do the words begin a command ("share")? */
bool command_is_group(const char *word);

/* prepare.c */
int prepare_snapshot_name(struct ctl *c, struct invocation *inv, struct failure *f);
int prepare_deny(struct ctl *c, struct invocation *inv, struct failure *f);
int prepare_metadata(struct ctl *c, struct invocation *inv, struct failure *f);
int prepare_reset(struct ctl *c, struct invocation *inv, struct failure *f);
int prepare_hook_test(struct ctl *c, struct invocation *inv, struct failure *f);
/* run.c */
int run_hook_test(struct ctl *c, struct invocation *inv, struct failure *f);
int run_status(struct ctl *c, struct invocation *inv, struct failure *f);
int run_events(struct ctl *c, struct invocation *inv, struct failure *f);
int run_call(struct ctl *c, struct invocation *inv, struct failure *f);
int run_version(struct ctl *c, struct invocation *inv, struct failure *f);
int run_help(struct ctl *c, struct invocation *inv, struct failure *f);

#endif
