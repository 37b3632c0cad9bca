#include "base/address.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

static int bad(char **ret_reason, const char *reason)
{
	*ret_reason = xstrdup(reason);
	return -EINVAL;
}

/* Both must be in the network that the prefix makes of the first. */
static bool same_network(const struct address_range *r)
{
	for (unsigned bit = 0; bit < r->prefix; bit++)
		if ((r->first[bit / 8] ^ r->last[bit / 8]) & (0x80 >> (bit % 8)))
			return false;
	return true;
}

int address_range_parse(const char *text, struct address_range *ret, char **ret_reason)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *first = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	struct address_range r = { .family = strchr(first, ':') ? AF_INET6 : AF_INET };
	char *dash = strchr(first, '-'), *end;
	unsigned long prefix;

	if (dash)
		*dash = '\0';
	if (inet_pton(r.family, first, r.first) != 1 || inet_pton(r.family, dash ? dash + 1 : first, r.last) != 1)
		return bad(ret_reason, "is no address, and no range of two of the same kind");
	if (!slash || slash[1] < '0' || slash[1] > '9')
		return bad(ret_reason, "has no prefix length of its network, like /24");
	prefix = strtoul(slash + 1, &end, 10);
	if (*end || prefix == 0 || prefix > bytes_of(r.family) * 8)
		return bad(ret_reason, "has a prefix length that cannot be");
	r.prefix = (unsigned)prefix;
	if (memcmp(r.first, r.last, bytes_of(r.family)) > 0)
		return bad(ret_reason, "ends before it begins");
	if (!same_network(&r))
		return bad(ret_reason, "leads out of the network of its first address");
	*ret = r;
	return 0;
}

/* false: that was the last one there is. */
static bool next(unsigned char *address, size_t n)
{
	while (n-- > 0)
		if (++address[n])
			return true;
	return false;
}

char *address_range_pick(const struct address_range *r, bool (*is_taken)(const char *address, void *data), void *data)
{
	size_t n = bytes_of(r->family);
	unsigned char at[16];

	memcpy(at, r->first, sizeof at);
	do {
		char text[INET6_ADDRSTRLEN];
		_cleanup_free_ char *whole = NULL;

		inet_ntop(r->family, at, text, sizeof text);
		whole = xasprintf("%s/%u", text, r->prefix);
		if (!is_taken(whole, data))
			return take_ptr(whole);
	} while (memcmp(at, r->last, n) < 0 && next(at, n));
	return NULL;
}

bool address_is_valid(const char *text)
{
	unsigned char address[16];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}
