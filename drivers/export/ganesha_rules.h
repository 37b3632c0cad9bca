/* Access rules as NFS-Ganesha's CLIENT blocks. Of Ganesha's blocks the first that holds an address counts, so the
 * narrower ones come first. Nothing of a client's text gets in: addresses, words of ours and numbers only. */
#ifndef DRIVERS_EXPORT_GANESHA_RULES_H
#define DRIVERS_EXPORT_GANESHA_RULES_H

#include "base/address.h"
#include "drivers/driver.h"

#include <stdio.h>

struct ganesha_client {
	struct address address;
	bool writes;
	const char *squash; /* as the blocks have it */
	char *sec;          /* the same: "sys, krb5" */
	uint32_t anonuid, anongid;
};

struct ganesha_clients {
	struct ganesha_client *all; /* the first that holds an address counts */
	size_t n;
};

/* Adds each rule's id to `results`: active, or error with its reason; those that are active are in `ret`, cleared by
 * the caller. */
void ganesha_rules_read(const struct driver_rule *rules, size_t n, bool read_only, json_t *results,
			struct ganesha_clients *ret);
void ganesha_clients_clear(struct ganesha_clients *c);
void ganesha_clients_write(const struct ganesha_clients *c, FILE *to);
/* Are these, as Ganesha shows them, the addresses of the blocks that were written? */
bool ganesha_clients_are(const struct ganesha_clients *c, const char *const *shown, size_t n);

#endif
