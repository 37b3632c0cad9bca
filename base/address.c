#include "base/address.h"

#include "base/cleanup.h"
#include "base/mem.h"

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

static int parse(const char *text, bool exact, struct address *ret)
{
	struct address a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET }, whole;
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
		memset(a.bytes + 4, 0, sizeof(a.bytes) - 4);
		a.family = AF_INET;
		a.prefix -= 96;
	}
	whole = a;
	cut(&a);
	if (exact && address_compare(&a, &whole) != 0)
		return -ERANGE;
	*ret = a;
	return 0;
}

int address_parse(const char *text, struct address *ret)
{
	return parse(text, false, ret);
}

int address_parse_exact(const char *text, struct address *ret)
{
	return parse(text, true, ret);
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

bool address_holds(const struct address *net, const struct address *a)
{
	struct address part = *a;

	if (net->family != a->family || net->prefix > a->prefix)
		return false;
	part.prefix = net->prefix;
	cut(&part);
	return memcmp(part.bytes, net->bytes, sizeof(part.bytes)) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix > b->prefix ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* ---- ranges ---- */

static int bad(char **ret_reason, const char *reason)
{
	*ret_reason = xstrdup(reason);
	return -EINVAL;
}

/* One host, "192.0.2.10". */
static bool parse_host(const char *text, struct address *ret)
{
	return !strchr(text, '/') && address_parse(text, ret) == 0;
}

static bool same_network(const struct address_range *r)
{
	struct address a = r->first, b = r->last;

	a.prefix = b.prefix = r->prefix;
	cut(&a);
	cut(&b);
	return address_compare(&a, &b) == 0;
}

int address_range_parse(const char *text, struct address_range *ret, char **ret_reason)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *first = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	char *dash = strchr(first, '-');
	struct address_range r;

	if (dash)
		*dash = '\0';
	if (!parse_host(first, &r.first) || !parse_host(dash ? dash + 1 : first, &r.last) ||
	    r.first.family != r.last.family)
		return bad(ret_reason, "is no address, and no range of two of the same kind");
	if (!slash)
		return bad(ret_reason, "has no prefix length of its network, like /24");
	if (parse_prefix(slash + 1, bits_of(r.first.family), &r.prefix) < 0 || r.prefix == 0)
		return bad(ret_reason, "has a prefix length that cannot be");
	if (address_compare(&r.first, &r.last) > 0)
		return bad(ret_reason, "ends before it begins");
	if (!same_network(&r))
		return bad(ret_reason, "leads out of the network of its first address");
	*ret = r;
	return 0;
}

/* false: that was the last one there is. */
static bool next(struct address *a)
{
	for (unsigned n = bits_of(a->family) / 8; n-- > 0;)
		if (++a->bytes[n])
			return true;
	return false;
}

char *address_range_pick(const struct address_range *r, bool (*is_taken)(const char *address, void *data), void *data)
{
	struct address at = r->first;

	do {
		char text[ADDRESS_TEXT];
		_cleanup_free_ char *whole = xasprintf("%s/%u", address_format(&at, text), r->prefix);

		if (!is_taken(whole, data))
			return take_ptr(whole);
	} while (address_compare(&at, &r->last) < 0 && next(&at));
	return NULL;
}
