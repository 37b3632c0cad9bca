/* Shared objects that add drivers. Called once, before the conf file is parsed. */
#ifndef DAEMON_PLUGINS_H
#define DAEMON_PLUGINS_H

#include "base/error.h"

/* Loads what the `plugins` option of the conf file lists. Each exports `const struct share_driver_ops share_driver`. */
int plugins_load(const char *conf_path, struct error *e);

#endif
