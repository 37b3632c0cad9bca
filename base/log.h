/* The log: to the journal where stderr is connected to it, else to stderr with the level's name. Library rooms log at
 * debug only. Each thread has its own context, whose fields every record carries (journal: SHARESD_CALL, _BACKEND,
 * _OBJECT, _HOOK; stderr: in brackets). Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

/* -EINVAL for a word that is no level: "error", "warning", "notice", "info", "debug". */
int log_level_from_name(const char *name, enum log_level *ret);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Chooses journal or stderr. Without it: stderr. */
void log_open(void);
/* To be called by a process that ends right after a record that matters: for a moment it stays, since the journal looks
 * whose record it was only when it takes it. Without a journal it does nothing. */
void log_linger(void);

enum log_field { LOG_CALL, LOG_BACKEND, LOG_OBJECT, LOG_HOOK, LOG_FIELD_COUNT };
/* The thread's context: the text is copied; NULL clears. */
void log_context(enum log_field field, const char *value);
void log_context_clear(void);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* With a journal MESSAGE_ID (32 hex digits) and further journal fields "NAME=value", NULL-terminated (or NULL). */
void log_record(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
