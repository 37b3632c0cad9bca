/* Shared objects that add drivers and hook modules. Called once, before the conf file is parsed. */
#ifndef DAEMON_PLUGINS_H
#define DAEMON_PLUGINS_H

#include "base/error.h"

/* Loads what the `plugins` option of the conf file lists. Each exports `const struct share_driver_ops share_driver`,
 * `const struct hook_ops hook_module`, or both. */
int plugins_load(const char *conf_path, struct error *e);

#endif
