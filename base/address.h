/* Ranges of IP addresses as the conf file gives them: "192.0.2.10-192.0.2.50/24", "192.0.2.10/24", "2001:db8::5/64".
 * The number is the prefix length of the network that the addresses are in. Any thread. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>

struct address_range {
	int family; /* AF_INET, AF_INET6 */
	unsigned char first[16], last[16];
	unsigned prefix;
};

/* -EINVAL with a reason, owned by the caller: "is no address", .. */
int address_range_parse(const char *text, struct address_range *ret, char **ret_reason);
/* The first address of the range that is not taken, as "192.0.2.10/24", owned by the caller; NULL: all are. */
char *address_range_pick(const struct address_range *r, bool (*is_taken)(const char *address, void *data), void *data);
/* One address, without a prefix length. */
bool address_is_valid(const char *text);

#endif
