/* Kinds of log records, each with a MESSAGE_ID of its own: what watches the journal looks for these, not for words. A
 * number never comes to mean another kind. Any thread. */
#ifndef BASE_LOG_KIND_H
#define BASE_LOG_KIND_H

#include "base/log.h"

enum log_kind {
	LOG_KIND_STARTED,
	LOG_KIND_START_FAILED,
	LOG_KIND_STOPPING,
	LOG_KIND_STOPPED,
	LOG_KIND_CONF_TAKEN,
	LOG_KIND_CONF_REFUSED,
	LOG_KIND_BACKEND_UP,
	LOG_KIND_BACKEND_DOWN,
	LOG_KIND_BACKEND_STUCK,
	LOG_KIND_CALL_DONE,
	LOG_KIND_CALL_FAILED,
	LOG_KIND_CALL_RECOVERED,
	LOG_KIND_HOOKS_SKIPPED,
	LOG_KIND_HOOK_VETOED,
	LOG_KIND_HOOK_FAILED,
	LOG_KIND_HOOK_OUTPUT,
	LOG_KIND_HOOK_EVENT,
	LOG_KIND_TICK_DROPPED,
	LOG_KIND_RULES_FAILED,
	LOG_KIND_ORPHAN_LEFT,
	LOG_KIND_STORE_FAILED,
	LOG_KIND_CLIENT_REFUSED,
	LOG_KIND_CLIENT_DROPPED,
	LOG_KIND_HOOK_LEFT_OUT,
	LOG_KIND_HOOK_BACK,
	LOG_KIND_COUNT
};

/* 32 hex digits. */
const char *log_kind_id(enum log_kind kind);
/* A word and one sentence, for the manual. */
const char *log_kind_name(enum log_kind kind);
const char *log_kind_help(enum log_kind kind);

#define log_kind(level, kind, ...) log_record(level, log_kind_id(kind), NULL, __VA_ARGS__)

#endif
