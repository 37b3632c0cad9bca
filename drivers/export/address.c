#include "drivers/export/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static unsigned bits_of(int family)
{
	return family == AF_INET ? 32 : 128;
}

/* 1 to 3 digits and nothing else. */
static int parse_prefix(const char *text, unsigned max, unsigned *ret)
{
	size_t n = strspn(text, "0123456789");

	if (n < 1 || n > 3 || text[n] != '\0')
		return -EINVAL;
	*ret = (unsigned)strtoul(text, NULL, 10);
	return *ret <= max ? 0 : -EINVAL;
}

static void cut(struct address *a)
{
	for (unsigned bit = a->prefix; bit < 128; bit++)
		a->bytes[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
}

int address_parse(const char *text, struct address *ret)
{
	struct address a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	a.prefix = bits_of(a.family);
	if (inet_pton(a.family, host, a.bytes) != 1 || (slash && parse_prefix(slash + 1, a.prefix, &a.prefix) < 0))
		return -EINVAL;
	if (a.family == AF_INET6 && a.prefix >= 96 && memcmp(a.bytes, mapped, sizeof(mapped)) == 0) {
		memmove(a.bytes, a.bytes + 12, 4);
		a.family = AF_INET;
		a.prefix -= 96;
	}
	cut(&a);
	*ret = a;
	return 0;
}

bool address_is_host(const struct address *a)
{
	return a->prefix == bits_of(a->family);
}

const char *address_format(const struct address *a, char ret[ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(a->family, a->bytes, host, sizeof(host));
	if (address_is_host(a))
		snprintf(ret, ADDRESS_TEXT, "%s", host);
	else
		snprintf(ret, ADDRESS_TEXT, "%s/%u", host, a->prefix);
	return ret;
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix > b->prefix ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}
