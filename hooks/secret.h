/* Files that the conf file names for secrets and certificates: a path from "/", or the name of a credential that the
 * service manager handed over. Any thread. */
#ifndef HOOKS_SECRET_H
#define HOOKS_SECRET_H

#include "base/error.h"

#include <stddef.h>

#define SECRET_MAX ((size_t)64 * 1024)

/* The path that `value` of the option means: owned by the caller. -EINVAL, -ENOENT: it means none. */
int secret_path(const char *option, const char *value, char **ret, struct error *e);
/* The whole file. Refused where others than root and the daemon's user may read or write it, where its group may write
 * it, and where it holds nothing. `*ret` is NUL-terminated, without the end of its last line; give it to secret_free.
 */
int secret_read(const char *option, const char *value, char **ret, size_t *ret_len, struct error *e);
/* Only whether it can be read; where not `private`, all may read it. */
int secret_check(const char *option, const char *value, bool private, struct error *e);
/* Wipes it. NULL is fine. */
void secret_free(char *secret, size_t len);

#endif
