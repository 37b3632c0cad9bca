/* A private smbd that outlives us, with its configuration: runtime_dir/samba holds its sockets, locks and log, and
 * state_dir/samba what it must know again after a reboot. One thread. */
#ifndef DRIVERS_EXPORT_SAMBA_SERVER_H
#define DRIVERS_EXPORT_SAMBA_SERVER_H

#include "base/error.h"
#include "conf/settings.h"
#include "drivers/export/place.h"

struct samba_server;

/* Starts nothing. */
struct samba_server *samba_server_new(const struct settings *settings, const struct export_place *place);
/* It goes on running. NULL is fine. */
void samba_server_free(struct samba_server *s);
/* Takes it over, or starts it. */
int samba_server_start(struct samba_server *s, struct error *e);
/* Ends it, one that another daemon started too. None there is success. */
int samba_server_stop(struct samba_server *s, struct error *e);
/* Cheap. */
bool samba_server_is_alive(struct samba_server *s);
const char *samba_server_conf(const struct samba_server *s); /* path of its conf file */
const char *samba_server_dir(const struct samba_server *s);  /* private */

#endif
