/* A driver whose shares are exported: around the slots of the driver below it, which keeps the data, it asks that where
 * a share lies (locate_share) and tells the exporters. Shares of protocol LOCAL pass untouched. Call thread.
 *
 * create_share puts an export that nobody may reach; update_access goes to the exporters alone; what removes a share,
 * gives it back or replaces its directory removes its export first; ensure_shares removes what is exported of this
 * backend and known to nobody. */
#ifndef DRIVERS_EXPORT_EXPORTED_H
#define DRIVERS_EXPORT_EXPORTED_H

#include "conf/conf.h"
#include "drivers/driver.h"

/* The backend's state, and the ops that go with it. Where the section names nothing in `export`, that is the driver's
 * own; else `*ret_ops` lives as long as the state does. */
int exported_create(const struct share_driver_ops *driver, const struct driver_setup *setup, struct conf *conf,
		    const struct share_driver_ops **ret_ops, void **ret_backend, struct error *e);

/* Was an export server lost since the backend's do_setup, or the network of a share server? Then text for people that
 * says so and is owned by the caller ("the server of exporter ganesha ended or does not answer"), else NULL. Cheap. For
 * any driver's state. */
char *exported_is_lost(const struct share_driver_ops *ops, void *backend);

#endif
