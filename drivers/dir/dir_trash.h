/* Staging, where things are made, and trash, where they go: both below ROOT/.sharesd. */
#ifndef DRIVERS_DIR_DIR_TRASH_H
#define DRIVERS_DIR_DIR_TRASH_H

#include "drivers/dir/dir_root.h"

/* A new empty staging directory of that id, after what was left there is gone. */
int dir_staging_make(const struct dir_root *r, const char *id, int *ret_fd, struct error *e);
/* Removes it if that is quick, else moves it to the trash. Nothing there is fine. */
int dir_staging_discard(const struct dir_root *r, const char *id, struct error *e);
/* Moves `name` in `dirfd` into the trash, both directories flushed. -ENOENT as it is. `ino`: which directory it must
 * be, or 0; -ESTALE when it was another, which is put back. */
int dir_trash(const struct dir_root *r, int dirfd, const char *name, ino_t ino, const char *id, const char *call_id,
	      struct error *e);
/* All staging directories that no running work needs. */
int dir_staging_discard_left(const struct dir_root *r, struct error *e);
#endif
