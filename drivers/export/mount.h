/* Bind mounts of exported directories. A server that identifies file systems by their mounts (NFS-Ganesha) exports what
 * lies at DIR/BACKEND/ID, which is the very directory that the share's data are in, and nothing that is mounted below
 * it. DIR is ours and private. Needs CAP_SYS_ADMIN. One thread. */
#ifndef DRIVERS_EXPORT_MOUNT_H
#define DRIVERS_EXPORT_MOUNT_H

#include "base/error.h"

#include <stdbool.h>

enum mount_state {
	MOUNT_NONE,
	MOUNT_CURRENT, /* it shows what `path` is now */
	MOUNT_OTHER,   /* another directory, or one that was removed */
};

/* Opens a directory (O_PATH) from "/". Links on the way are followed where root or we made them: no user leads us to
 * another's directory. */
int mount_open_source(const char *path);

/* Owned by the caller. */
char *mount_place(const char *dir, const char *backend, const char *id);
/* What is mounted there. `path` NULL: anything is MOUNT_OTHER. */
int mount_look(const char *dir, const char *backend, const char *id, const char *path, enum mount_state *ret,
	       struct error *e);
/* Is anything mounted at this path? */
bool mount_is_there(const char *place);
/* Mounts `path` there, where nothing is mounted. */
int mount_bind(const char *dir, const char *backend, const char *id, const char *path, struct error *e);
/* Can files there be opened by handle, as an NFS server does? -EOPNOTSUPP: the file system has none (overlayfs, FUSE);
 * -EPERM: we may not, nor what we start. */
int mount_check_handles(const char *place);
/* Nothing is mounted there any more, and the place is gone. Nothing there is success. Who still uses it keeps what he
 * has open: others do not come in. */
int mount_remove(const char *dir, const char *backend, const char *id, struct error *e);
/* All places, mounted or not: new reference to [{"backend", "id"}]. No DIR: none. */
int mount_list(const char *dir, json_t **ret, struct error *e);

#endif
