/* Checked settings: what a driver, a hook or the daemon reads from the conf file. Public. Immutable once made, so any
 * thread may read. All getters take an option's name that its owner declared; asking for another is a fault of ours and
 * ends the process. Strings and lists live as long as the settings. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct settings;

const char *settings_string(const struct settings *s, const char *name); /* never NULL: "" when unset */
bool settings_bool(const struct settings *s, const char *name);
int64_t settings_int(const struct settings *s, const char *name);
double settings_seconds(const struct settings *s, const char *name);
uint64_t settings_size(const struct settings *s, const char *name);
mode_t settings_mode(const struct settings *s, const char *name);
const char *const *settings_list(const struct settings *s, const char *name, size_t *ret_n);
/* Was it written in the file (here or where it is inherited from)? */
bool settings_is_set(const struct settings *s, const char *name);

/* What `get_config_option(key)` finds: declared options as typed JSON, then the free "key=value" texts. New reference
 * or NULL. For a hook the order is: its own section, the backend's section, the top level, the default; then `options`,
 * `hook_options` of the backend, `hook_options` of the top level. */
json_t *settings_lookup(const struct settings *s, const char *key);
/* All that settings_lookup would find for a hook, as one object: new reference. Without the driver's own options and
 * those that are secret. */
json_t *settings_all(const struct settings *s);

#endif
