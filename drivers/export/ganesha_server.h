/* A private NFS-Ganesha and the private bus on which it is told what to do: both outlive us. DIR/ganesha holds their
 * configuration, pid files and logs, DIR/exports the mounts. The blocks of exports lie in DIR/ganesha/exports.d: a
 * Ganesha that is started anew has from its first moment what was in force at last, so that clients which come back
 * find their files; whoever started it makes it equal to the wanted. One thread. */
#ifndef DRIVERS_EXPORT_GANESHA_SERVER_H
#define DRIVERS_EXPORT_GANESHA_SERVER_H

#include "conf/settings.h"
#include "drivers/export/ganesha_bus.h"
#include "drivers/export/place.h"

struct ganesha_server;

/* `protocols` is what its configuration says: "3, 4". Starts nothing. */
struct ganesha_server *ganesha_server_new(const struct settings *settings, const struct export_place *place,
					  const char *protocols);
/* Both go on running. NULL is fine. */
void ganesha_server_free(struct ganesha_server *s);
/* Takes both over, or starts what is missing, and connects. */
int ganesha_server_start(struct ganesha_server *s, struct ganesha_bus **ret_bus, struct error *e);
/* Ends both, those that another daemon started too. None there is success. */
int ganesha_server_stop(struct ganesha_server *s, struct error *e);
/* Cheap. */
bool ganesha_server_is_alive(struct ganesha_server *s);
/* Does none of ours run? Then nothing is exported. */
bool ganesha_server_is_dead(struct ganesha_server *s);

#endif
