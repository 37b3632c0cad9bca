/* Staging, where things are made, and trash, where they go: both below ROOT/.sharesd. */
#ifndef DRIVERS_LOCAL_LOCAL_TRASH_H
#define DRIVERS_LOCAL_LOCAL_TRASH_H

#include "drivers/local/local_root.h"

/* A new empty staging directory of that id, after what was left there is gone. */
int local_staging_make(const struct local_root *r, const char *id, int *ret_fd, struct error *e);
/* Removes it if that is quick, else moves it to the trash. Nothing there is fine. */
int local_staging_discard(const struct local_root *r, const char *id, struct error *e);
/* Moves `name` in `dirfd` into the trash, both directories flushed. -ENOENT as it is. `which` directory it must be
 * (local_identify), or 0; -ESTALE when it was another, which is put back. */
int local_trash(const struct local_root *r, int dirfd, const char *name, uint64_t which, const char *id,
		const char *call_id, struct error *e);
/* All staging directories that no running work needs. */
int local_staging_discard_left(const struct local_root *r, struct error *e);
#endif
