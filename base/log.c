#include "base/log.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* "share@snapshot" with two names of full length fits. */
#define CONTEXT_SIZE 520

struct level {
	const char *name;
	const char *priority; /* syslog's */
};

static const struct level levels[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_ERROR] = { "error", "PRIORITY=3" },   [LOG_LEVEL_WARNING] = { "warning", "PRIORITY=4" },
	[LOG_LEVEL_NOTICE] = { "notice", "PRIORITY=5" }, [LOG_LEVEL_INFO] = { "info", "PRIORITY=6" },
	[LOG_LEVEL_DEBUG] = { "debug", "PRIORITY=7" },
};

static const char *const field_names[LOG_FIELD_COUNT] = {
	[LOG_CALL] = "SHARESD_CALL",
	[LOG_BACKEND] = "SHARESD_BACKEND",
	[LOG_OBJECT] = "SHARESD_OBJECT",
	[LOG_HOOK] = "SHARESD_HOOK",
};

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_bool to_journal;
static _Thread_local char context[LOG_FIELD_COUNT][CONTEXT_SIZE];

int log_level_from_name(const char *name, enum log_level *ret)
{
	for (int i = 0; name && i < LOG_LEVEL_COUNT; i++)
		if (strcmp(levels[i].name, name) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&current_level);
}

/* "DEVICE:INODE". A stderr that was redirected since the variable was set is no longer the journal. */
static bool is_journal(const char *stream)
{
	struct stat st;
	char *end;

	if (!stream || fstat(STDERR_FILENO, &st) < 0 || strtoull(stream, &end, 10) != st.st_dev || *end != ':')
		return false;
	return strtoull(end + 1, &end, 10) == st.st_ino && *end == '\0';
}

void log_open(void)
{
	atomic_store(&to_journal, is_journal(getenv("JOURNAL_STREAM")));
}

void log_linger(void)
{
	static const struct timespec moment = { .tv_nsec = 200000000 };

	if (atomic_load(&to_journal))
		nanosleep(&moment, NULL);
}

void log_context(enum log_field field, const char *value)
{
	snprintf(context[field], CONTEXT_SIZE, "%s", value ? value : "");
}

void log_context_clear(void)
{
	for (int i = 0; i < LOG_FIELD_COUNT; i++)
		context[i][0] = '\0';
}

static void add(struct iovec *iov, size_t *n, const char *text)
{
	iov[(*n)++] = (struct iovec){ .iov_base = (void *)text, .iov_len = strlen(text) };
}

static int send_to_journal(enum log_level level, const char *message_id, const char *const *fields, const char *text)
{
	_cleanup_free_ char *message = xasprintf("MESSAGE=%s", text), *id = NULL;
	char texts[LOG_FIELD_COUNT][CONTEXT_SIZE + 32];
	_cleanup_free_ struct iovec *iov = NULL;
	size_t n = 0, more = 0;

	text_fix_utf8(message);
	while (fields && fields[more])
		more++;
	iov = xcalloc(3 + LOG_FIELD_COUNT + more, sizeof(*iov));
	add(iov, &n, message);
	add(iov, &n, levels[level].priority);
	if (message_id) {
		id = xasprintf("MESSAGE_ID=%s", message_id);
		add(iov, &n, id);
	}
	for (int i = 0; i < LOG_FIELD_COUNT; i++) {
		if (context[i][0] == '\0')
			continue;
		stpcpy(stpcpy(stpcpy(texts[i], field_names[i]), "="), context[i]);
		text_fix_utf8(texts[i]); /* a long value may have been cut within a character */
		add(iov, &n, texts[i]);
	}
	for (size_t i = 0; i < more; i++)
		add(iov, &n, fields[i]);
	return sd_journal_sendv(iov, (int)n);
}

/* Control characters, C1's too: whoever made the text must not end the line or drive a terminal. */
static bool is_control(const char *s)
{
	unsigned char c = (unsigned char)*s;

	return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

/* Appends at `p`, four bytes at most for each of `s`; returns the end. */
static char *escape(char *p, const char *s)
{
	while (*s != '\0') {
		size_t n = text_utf8_length(s);

		if (n > 0 && !is_control(s)) {
			p = mempcpy(p, s, n);
			s += n;
		} else if (*s == '\n') {
			p = stpcpy(p, "\\n");
			s++;
		} else {
			p += sprintf(p, "\\x%02x", (unsigned char)*s++);
		}
	}
	return p;
}

static void write_to_stderr(enum log_level level, const char *text)
{
	_cleanup_free_ char *line = NULL;
	const char *before = "[";
	char *p;

	line = xmalloc(4 * (strlen(text) + sizeof(context)) + 64);
	p = stpcpy(stpcpy(line, levels[level].name), ": ");
	for (int i = 0; i < LOG_FIELD_COUNT; i++) {
		if (context[i][0] == '\0')
			continue;
		p = escape(stpcpy(p, before), context[i]);
		before = " ";
	}
	if (*before == ' ')
		p = stpcpy(p, "] ");
	p = escape(p, text);
	*p++ = '\n';
	/* One call, so that lines of several threads do not mix. Nobody can be told where it fails. */
	(void)!write(STDERR_FILENO, line, (size_t)(p - line));
}

static void emit(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void emit(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	int saved = errno;

	if ((int)level > atomic_load(&current_level))
		return;
	text = xvasprintf(fmt, ap);
	if (!atomic_load(&to_journal) || send_to_journal(level, message_id, fields, text) < 0)
		write_to_stderr(level, text);
	errno = saved;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, NULL, NULL, fmt, ap);
	va_end(ap);
}

void log_record(enum log_level level, const char *message_id, const char *const *fields, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, message_id, fields, fmt, ap);
	va_end(ap);
}
