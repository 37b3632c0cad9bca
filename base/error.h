/* One error: filled once, where the cause is known best, and carried up untouched to the client.
 *
 * Functions return 0 or a negative errno, and fill `struct error` on failure; the caller owns it and frees it.
 * Public: driver and hook authors use it (drivers/driver.h, hooks/hook.h). Any thread. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>

/* The stable kinds; their words and JSON-RPC codes stand in one table in error.c. */
enum error_kind {
	ERR_NONE,
	ERR_PARSE_ERROR,
	ERR_INVALID_REQUEST,
	ERR_METHOD_NOT_FOUND,
	ERR_INVALID_PARAMS,
	ERR_INTERNAL,
	ERR_NOT_FOUND,
	ERR_ALREADY_EXISTS,
	ERR_INVALID_STATE,
	ERR_NOT_SUPPORTED,
	ERR_NO_SPACE,
	ERR_DATA_LOSS,
	ERR_DRIVER_FAILED,
	ERR_PRE_HOOK_FAILED,
	ERR_POST_HOOK_FAILED,
	ERR_PERMISSION_DENIED,
	ERR_BUSY,
	ERR_LIMIT,
	ERR_BACKEND_DOWN,
	ERR_VETOED,
	ERR_WOULD_DEADLOCK,
	ERR_SHUTTING_DOWN,
	ERR_KIND_COUNT,
};

struct error {
	enum error_kind kind;
	int err;       /* errno of the cause, positive; 0 where there is none */
	char *message; /* for people: what, where, what to do; owned */
	json_t *data;  /* more of contract section 8's members (param, object, stderr, ..), or NULL; owned */
};

#define ERROR_INIT      ((struct error){ 0 })
#define _cleanup_error_ __attribute__((__cleanup__(error_clear)))

/* Replaces what is there. `err` is a positive errno or 0. Returns -err, or -EINVAL for 0. `e` may be NULL. */
int error_set(struct error *e, enum error_kind kind, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int error_setv(struct error *e, enum error_kind kind, int err, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));
/* The usual case of a failed system call: "fmt: strerror(err)", with the kind that the errno stands for
 * (ENOSPC and EDQUOT: no_space; else driver_failed). Returns -err. */
int error_errno(struct error *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds one member to `data`; takes the reference. */
void error_add(struct error *e, const char *key, json_t *value);
/* -32602 with data.param: returns -EINVAL. */
int error_param(struct error *e, const char *param, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " before the message. */
void error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves `from` into `*to`, freeing what was there. */
void error_move(struct error *to, struct error *from);
void error_clear(struct error *e);

const char *error_kind_name(enum error_kind kind);
int error_kind_code(enum error_kind kind); /* JSON-RPC code */
bool error_kind_retryable(enum error_kind kind);
/* ERR_KIND_COUNT when there is none of that name. */
enum error_kind error_kind_from_name(const char *name);

/* The JSON-RPC error object {"code","message","data":{"kind",..}}: new reference. */
json_t *error_to_json(const struct error *e);
/* The other way, for replays of a kept outcome. */
int error_from_json(const json_t *j, struct error *ret);

#endif
