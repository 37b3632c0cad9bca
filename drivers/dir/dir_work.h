/* Long work of the `dir` driver: runs of the helper sharesd-tree. */
#ifndef DRIVERS_DIR_DIR_WORK_H
#define DRIVERS_DIR_DIR_WORK_H

#include "drivers/dir/dir_object.h"
#include "drivers/dir/dir_root.h"

typedef int dir_finish(void *backend, void *data, const struct driver_call *call, const json_t *output,
		       const struct error *failure, struct driver_result *ret, struct error *e);

/* Copies the data of `from` to .sharesd/staging/ID/data, ID being busy until the work is released. */
int dir_work_copy(const struct dir_root *r, const struct dir_object *from, const char *id, dir_finish *finish,
		  struct driver_result *ret, struct error *e);
/* Measures a directory below the root that has this inode. */
void dir_work_measure(const struct dir_root *r, const char *location, ino_t ino, dir_finish *finish,
		      struct driver_result *ret);
/* Empties the trash behind the call, if there is anything in it and no other work in `ret`. */
void dir_work_purge(const struct dir_root *r, struct driver_result *ret);

/* What the work says of its failure, as the slot's. */
int dir_work_failed(const struct error *failure, struct error *e);

#endif
