/* Text: sizes, names, ids, times. Any thread. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "10GiB", "512 MiB", "1.5T", "4096": bytes. Suffixes K M G T P E, with or without "iB" (always powers of 1024);
 * "KB" .. "EB" powers of 1000; "B". -EINVAL: no size; -ERANGE: over 2^63-1. */
int text_parse_size(const char *s, uint64_t *ret);
/* "10GiB", "1.5GiB", "17B": at most one decimal; ret needs 32 bytes. Returns ret. */
char *text_format_size(uint64_t bytes, char ret[32]);

/* 1..255 of A-Z a-z 0-9 . _ -, not starting with . or -, not a UUID. */
bool text_is_name(const char *s);
bool text_is_uuid(const char *s);
/* A new random UUID, lower case, 36 characters and NUL. */
void text_make_uuid(char ret[37]);

/* RFC 3339 UTC with milliseconds: "2026-11-22T15:37:02.123Z". */
void text_now(char ret[32]);
/* Seconds of a clock that never goes back, for durations and deadlines. */
double text_monotonic(void);

/* -EINVAL unless the whole of s is an octal mode 0..07777, with or without leading 0. */
int text_parse_mode(const char *s, mode_t *ret);
/* Number or name. -ENOENT: no such user or group. `ret_name` (may be NULL) gets the name, or the digits where the
 * number has no name: owned by the caller. Asks NSS: may block. */
int text_parse_user(const char *s, uid_t *ret, char **ret_name);
int text_parse_group(const char *s, gid_t *ret, char **ret_name);

bool text_starts_with(const char *s, const char *prefix);

/* Bytes of the UTF-8 character at `s`; 0: the end, or none that is valid. */
size_t text_utf8_length(const char *s);
/* Replaces each byte that is not UTF-8 by "?". */
void text_fix_utf8(char *s);

#endif
