/* IP addresses, as numbers and never as text: hosts and networks, as access rules name them, and ranges, as the conf
 * file gives them. Any thread. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>

struct address {
	int family;              /* AF_INET or AF_INET6 */
	unsigned prefix;         /* bits that count: 32 or 128 is one host */
	unsigned char bytes[16]; /* the rest is 0 */
};

enum { ADDRESS_TEXT = 64 };

/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32": -EINVAL for what is neither. What is below the prefix is cut off; IPv4
 * written as IPv6 ("::ffff:192.0.2.7") is IPv4. */
int address_parse(const char *text, struct address *ret);
/* The same; -ERANGE where something would be cut off. */
int address_parse_exact(const char *text, struct address *ret);
/* "192.0.2.7", "192.0.2.0/24": a host without prefix. Returns ret. */
const char *address_format(const struct address *a, char ret[ADDRESS_TEXT]);
/* Is it one host? */
bool address_is_host(const struct address *a);
/* Is all of `a` in `net`? */
bool address_holds(const struct address *net, const struct address *a);
/* For sorting: the narrower first, so that of all that hold an address the first is the most specific one. 0: equal. */
int address_compare(const struct address *a, const struct address *b);

/* "192.0.2.10-192.0.2.50/24", "192.0.2.10/24", "2001:db8::5/64": addresses, and the prefix length of the network that
 * they are in. */
struct address_range {
	struct address first, last; /* hosts */
	unsigned prefix;
};

/* -EINVAL with a reason, owned by the caller: "is no address", .. */
int address_range_parse(const char *text, struct address_range *ret, char **ret_reason);
/* The first address of the range that is not taken, as "192.0.2.10/24", owned by the caller; NULL: all are. */
char *address_range_pick(const struct address_range *r, bool (*is_taken)(const char *address, void *data), void *data);

#endif
