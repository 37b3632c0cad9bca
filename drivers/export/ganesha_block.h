/* Blocks EXPORT of NFS-Ganesha's configuration, one file each: DIR/exports.d/NUMBER.conf holds what is in force, or is
 * not there. One thread. */
#ifndef DRIVERS_EXPORT_GANESHA_BLOCK_H
#define DRIVERS_EXPORT_GANESHA_BLOCK_H

#include "drivers/export/export.h"
#include "drivers/export/ganesha_rules.h"

/* Can this path stand in a block? Else ERR_INVALID_PARAMS. */
int ganesha_block_check_path(const char *path, struct error *e);
/* Where the share's clients find it: "/photos". Owned by the caller. */
char *ganesha_block_pseudo(const struct export *x);

/* The file that Ganesha is told to read; what was in force is forgotten: until ganesha_block_keep a Ganesha that is
 * started anew has no such export. Owned by the caller. */
int ganesha_block_write(const char *dir, const struct export *x, const char *place,
			const struct ganesha_clients *clients, const char *protocols, char **ret, struct error *e);
/* Ganesha has taken it. */
int ganesha_block_keep(const char *dir, unsigned number, struct error *e);
void ganesha_block_drop(const char *dir, unsigned number);
/* All of those whose directory is mounted, as one text: owned by the caller. */
char *ganesha_blocks_read(const char *dir);

#endif
