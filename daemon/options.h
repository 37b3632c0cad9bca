/* The daemon's own options, at the top level of the conf file. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/option.h"
#include "conf/conf.h"

extern const struct option daemon_options[];

/* The schema of the whole file: the daemon's options, those of every backend, of hook modules and drivers. Plugins must
 * be registered before. Made once; lives for ever. */
const struct conf_schema *daemon_schema(void);

#endif
