/* Share servers of one backend: each a network of its own (netns.h) with exporters of its own in it, whose directories
 * are RUNTIME/servers/ID and STATE/servers/ID. All of it outlives us and is taken over by setup. Call thread. */
#ifndef DRIVERS_EXPORT_SHARE_SERVER_H
#define DRIVERS_EXPORT_SHARE_SERVER_H

#include "drivers/export/netns.h"
#include "drivers/export/table.h"

#include <stddef.h>

struct share_server {
	struct share_server *next;
	char *id, *bridge;
	struct exporter **exporters; /* one of each kind of the backend's */
	size_t n;
};

/* The one of this id, or NULL. */
struct share_server *share_server_of(struct share_server *list, const char *id);

/* Its network is there, and its servers run in it: made, begun again, or found. Adds it to `list` where it is not among
 * them. On failure it is not among them, and where it was made by this call nothing of it is left. */
int share_server_setup(struct share_server **list, const struct netns_spec *spec, struct conf *conf,
		       const struct exporter_ops *const *kinds, size_t n, struct error *e);
/* Its servers have ended, and its network and directories are gone. Takes it out of `list`; one that is not among them
 * is removed all the same, and none is success. */
int share_server_teardown(struct share_server **list, const char *id, struct conf *conf,
			  const struct exporter_ops *const *kinds, size_t n, struct error *e);
/* Forgets them; they go on. */
void share_servers_free(struct share_server *list);

#endif
