/* What an access rule of type ip names: hosts and networks, IPv4 and IPv6, as numbers and never as text. Any thread. */
#ifndef DRIVERS_EXPORT_ADDRESS_H
#define DRIVERS_EXPORT_ADDRESS_H

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
/* "192.0.2.7", "192.0.2.0/24": a host without prefix. Returns ret. */
const char *address_format(const struct address *a, char ret[ADDRESS_TEXT]);
/* Is it one host? */
bool address_is_host(const struct address *a);
/* For sorting: the narrower first, so that of all that hold an address the first is the most specific one. 0: equal. */
int address_compare(const struct address *a, const struct address *b);

#endif
