/* Where an exporter's server lives: its directories, its network, and the addresses that clients find it at. Any
 * thread. */
#ifndef DRIVERS_EXPORT_PLACE_H
#define DRIVERS_EXPORT_PLACE_H

#include "conf/settings.h"

#include <jansson.h>

struct export_place {
	const char *runtime_dir, *state_dir;
	/* Of a share server, else NULL: */
	const char *server_id;
	const char *netns;   /* path of the network namespace that it lives in */
	const char *address; /* the only one that it has there */
};

/* This place; where it is NULL, what the top level of the conf file says. Borrows from both. */
struct export_place export_place_of(const struct settings *settings, const struct export_place *place);

/* For each host that clients know the server by (`address`, or where it is NULL each of export_addresses, or the name
 * of this host): BEFORE HOST BETWEEN NAME, with brackets around IPv6. New reference to [{"path"}]. */
json_t *export_place_locations(const struct settings *settings, const char *address, const char *before,
			       const char *between, const char *name);

#endif
