#include "base/text.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define NAME_LENGTH 255
/* The letters of size suffixes: the power is the place + 1. */
static const char size_letters[] = "KMGTPE";

/* Locale-free, unlike ctype's. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_alpha(char c)
{
	c = to_upper(c);
	return c >= 'A' && c <= 'Z';
}

static bool is_hex(char c)
{
	c = to_upper(c);
	return is_digit(c) || (c >= 'A' && c <= 'F');
}

bool text_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What stands behind the number: "", "B", "K", "KiB", "KB", ... */
static int parse_unit(const char *s, uint64_t *ret)
{
	const char *letter;
	uint64_t unit = 1, base;
	ptrdiff_t power;

	if (*s == '\0' || (to_upper(s[0]) == 'B' && s[1] == '\0')) {
		*ret = 1;
		return 0;
	}
	letter = strchr(size_letters, to_upper(*s));
	if (!letter)
		return -EINVAL;
	s++;
	if (*s == '\0' || (to_upper(s[0]) == 'I' && to_upper(s[1]) == 'B' && s[2] == '\0'))
		base = 1024;
	else if (to_upper(s[0]) == 'B' && s[1] == '\0')
		base = 1000;
	else
		return -EINVAL;
	for (power = letter - size_letters; power >= 0; power--)
		unit *= base;
	*ret = unit;
	return 0;
}

/* Digits as a number, held at `max` from there on. Returns how many digits there were. */
static size_t parse_digits(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; is_digit(s[i]); i++) {
		uint64_t digit = (uint64_t)(s[i] - '0');

		n = n > (max - digit) / 10 ? max : n * 10 + digit;
	}
	*ret = n;
	return i;
}

int text_parse_size(const char *s, uint64_t *ret)
{
	uint64_t whole, unit, scale = 1, part = 0;
	unsigned __int128 bytes;
	bool fraction = false;
	size_t n;

	n = parse_digits(s, UINT64_MAX, &whole);
	if (n == 0)
		return -EINVAL;
	s += n;
	if (*s == '.') {
		fraction = true;
		if (!is_digit(*++s))
			return -EINVAL;
		/* 18 digits are more than 2^60 can tell apart; the rest is below a byte. */
		for (; is_digit(*s); s++) {
			if (scale >= 1000000000000000000)
				continue;
			part = part * 10 + (uint64_t)(*s - '0');
			scale *= 10;
		}
	}
	while (*s == ' ')
		s++;
	if (parse_unit(s, &unit) < 0 || (s[-1] == ' ' && *s == '\0') || (fraction && unit == 1))
		return -EINVAL;
	bytes = (unsigned __int128)whole * unit + (unsigned __int128)part * unit / scale;
	if (bytes > INT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)bytes;
	return 0;
}

char *text_format_size(uint64_t bytes, char ret[32])
{
	uint64_t unit = 1024, tenths;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(ret, 32, "%lluB", (unsigned long long)bytes);
		return ret;
	}
	/* What rounds up to 1024 of a unit is shown as 1 of the next. */
	for (;; i++, unit *= 1024) {
		tenths = (uint64_t)(((unsigned __int128)bytes * 10 + unit / 2) / unit);
		if (tenths < 10240 || size_letters[i + 1] == '\0')
			break;
	}
	if (tenths % 10)
		snprintf(ret, 32, "%llu.%llu%ciB", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
			 size_letters[i]);
	else
		snprintf(ret, 32, "%llu%ciB", (unsigned long long)(tenths / 10), size_letters[i]);
	return ret;
}

bool text_is_name(const char *s)
{
	size_t i;

	if (!s || *s == '.' || *s == '-')
		return false;
	for (i = 0; s[i] != '\0'; i++)
		if (i == NAME_LENGTH || !(is_alpha(s[i]) || is_digit(s[i]) || strchr("._-", s[i])))
			return false;
	return i > 0 && !text_is_uuid(s);
}

bool text_is_uuid(const char *s)
{
	size_t i;

	for (i = 0; s && s[i] != '\0'; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (i == 36 || (dash ? s[i] != '-' : !is_hex(s[i])))
			return false;
	}
	return i == 36;
}

void text_make_uuid(char ret[37])
{
	static const char digits[] = "0123456789abcdef";
	struct timespec ts;
	uint64_t ms;
	unsigned char b[16];
	char *p = ret;

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort(); /* cannot fail for so few bytes on any kernel that has the call */
	clock_gettime(CLOCK_REALTIME, &ts);
	ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	b[6] = (b[6] & 0x0f) | 0x70;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[b[i] >> 4];
		*p++ = digits[b[i] & 15];
	}
	*p = '\0';
}

void text_now(char ret[32])
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, 32 - n, ".%03dZ", (int)(ts.tv_nsec / 1000000));
}

double text_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int text_parse_mode(const char *s, mode_t *ret)
{
	mode_t mode = 0;

	if (*s == '\0')
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '7')
			return -EINVAL;
		mode = mode * 8 + (mode_t)(*s - '0');
		if (mode > 07777)
			return -EINVAL;
	}
	*ret = mode;
	return 0;
}

/* 1: a number that may be an id; 0: no number; negative: a number that no id can be. -1 means "no id" to the kernel. */
static int parse_id(const char *s, id_t *ret)
{
	uint64_t n;
	size_t digits = parse_digits(s, UINT64_MAX, &n);

	if (digits == 0 || s[digits] != '\0')
		return 0;
	if (n >= UINT32_MAX)
		return -ENOENT;
	*ret = (id_t)n;
	return 1;
}

/* One question to NSS: by `name`, or by `id` where it is NULL. Returns as the getpwnam_r family does. */
typedef int (*nss_ask)(const char *name, id_t id, char *buffer, size_t size, id_t *ret, char **ret_name);

static int ask_user(const char *name, id_t id, char *buffer, size_t size, id_t *ret, char **ret_name)
{
	struct passwd pw, *found = NULL;
	int r = name ? getpwnam_r(name, &pw, buffer, size, &found) : getpwuid_r(id, &pw, buffer, size, &found);

	if (r != 0 || !found)
		return r ? r : ENOENT;
	*ret = pw.pw_uid;
	*ret_name = xstrdup(pw.pw_name);
	return 0;
}

static int ask_group(const char *name, id_t id, char *buffer, size_t size, id_t *ret, char **ret_name)
{
	struct group gr, *found = NULL;
	int r = name ? getgrnam_r(name, &gr, buffer, size, &found) : getgrgid_r(id, &gr, buffer, size, &found);

	if (r != 0 || !found)
		return r ? r : ENOENT;
	*ret = gr.gr_gid;
	*ret_name = xstrdup(gr.gr_name);
	return 0;
}

/* An NSS module that found no descriptor to look with is passed over, and the next has never heard of the name. */
static int lack_of_descriptors(int otherwise)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), err = errno;

	if (fd >= 0)
		close(fd);
	return fd < 0 && (err == EMFILE || err == ENFILE) ? err : otherwise;
}

/* Returns 0 or an errno: ENOENT where there is none. */
static int nss_ask_fitting(nss_ask ask, const char *name, id_t id, id_t *ret, char **ret_name)
{
	_cleanup_free_ char *buffer = NULL;
	size_t size = 1024;
	int r;

	do {
		free(buffer);
		buffer = xmalloc(size *= 2);
		r = ask(name, id, buffer, size, ret, ret_name);
	} while (r == EINTR || (r == ERANGE && size < (64U << 20)));
	/* The words for "no such entry" differ between NSS modules. */
	return r == ESRCH || r == EBADF || r == EPERM ? ENOENT : r;
}

static int nss_find(nss_ask ask, const char *name, id_t id, id_t *ret, char **ret_name)
{
	int r = nss_ask_fitting(ask, name, id, ret, ret_name);

	/* A module that lacked memory is passed over too, or says so, where it is the last. By the second time there is
	 * some, or our own lacks it as well and that ends the process. */
	if (r == ENOENT || r == ENOMEM)
		r = nss_ask_fitting(ask, name, id, ret, ret_name);
	if (r == ENOENT)
		r = lack_of_descriptors(ENOENT);
	return -r;
}

static int parse_owner(nss_ask ask, const char *s, id_t *ret, char **ret_name)
{
	_cleanup_free_ char *name = NULL;
	id_t id = 0, found = 0;
	int number = parse_id(s, &id), r;

	if (number < 0 || *s == '\0')
		return -ENOENT;
	if (number == 0 || ret_name) {
		r = nss_find(ask, number ? NULL : s, id, &found, &name);
		if (number == 0 && r < 0)
			return r;
		if (number == 0)
			id = found;
	}
	if (ret_name)
		*ret_name = name ? take_ptr(name) : xasprintf("%u", id);
	*ret = id;
	return 0;
}

int text_parse_user(const char *s, uid_t *ret, char **ret_name)
{
	return parse_owner(ask_user, s, ret, ret_name);
}

int text_parse_group(const char *s, gid_t *ret, char **ret_name)
{
	return parse_owner(ask_group, s, ret, ret_name);
}

/* How many bytes follow the lead byte, and the bounds of the first of them (the table of the Unicode standard). */
static size_t utf8_shape(unsigned char lead, unsigned char *ret_low, unsigned char *ret_high)
{
	*ret_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*ret_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef)
		return 2;
	return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

size_t text_utf8_length(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low, high;
	size_t more, i;

	if (*p < 0x80)
		return *p ? 1 : 0;
	more = utf8_shape(*p, &low, &high);
	for (i = 1; i <= more; i++) {
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return more ? more + 1 : 0;
}

void text_fix_utf8(char *s)
{
	while (*s != '\0') {
		size_t n = text_utf8_length(s);

		if (n == 0)
			*s = '?';
		s += n ? n : 1;
	}
}
