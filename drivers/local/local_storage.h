/* How the data of shares and snapshots are kept, for drivers with the layout of local_root.h. The layout, its marks and
 * its gates are the same for all of them; a storage makes, copies, measures and removes what is called "data" there.
 *
 * Functions return 0 or a negative errno with `e` filled. Those that are NULL have nothing to do. */
#ifndef DRIVERS_LOCAL_LOCAL_STORAGE_H
#define DRIVERS_LOCAL_LOCAL_STORAGE_H

#include "drivers/local/local_object.h"

/* The second half of what may take long. `output` of a measuring: {"used_bytes"}. */
typedef int local_finish(void *backend, void *data, const struct driver_call *call, const json_t *output,
			 const struct error *failure, struct driver_result *ret, struct error *e);

struct local_storage {
	const char *driver; /* its name, for the mark of a root */
	bool consistent;    /* its snapshots are of one moment */
	/* Is it the right kind of file system, before anything is made there? NULL: any is. */
	int (*fits)(const struct local_backend *b, int root, struct error *e);
	/* Can the root's file system do it? `probe`: an empty directory to try in, emptied and removed afterwards.
	 * Sets what the backend says of itself (size_enforced, reflink). ERR_BACKEND_DOWN: what is missing. */
	int (*check)(struct local_backend *b, int probe, struct error *e);
	/* Before what was done is answered: it is on the disk, with all that was done before it. NULL: each directory
	 * is flushed for itself. */
	int (*commit)(int fd);

	/* Makes an empty root of a share's data, "data" in `dirfd`. */
	int (*make)(int dirfd, struct error *e);
	/* Copies the data of `from` to "data" in .sharesd/staging/ID, without a limit. Either `ret` has the work that
	 * does so, or it is done and `finish` was called. `read_only`: it is to be a snapshot. */
	int (*copy)(const struct local_root *r, const struct local_object *from, const char *id, bool read_only,
		    const struct driver_call *call, local_finish *finish, struct driver_result *ret, struct error *e);
	/* Measures the data of `o`; the same. */
	int (*measure)(const struct local_root *r, const struct local_object *o, const struct driver_call *call,
		       local_finish *finish, struct driver_result *ret, struct error *e);
	/* What the data may come to. */
	int (*limit)(const struct local_root *r, int data, uint64_t size_bytes, struct error *e);
	/* The limit that a directory has; 0: none. */
	uint64_t (*find_limit)(const struct local_root *r, int data);
	/* Whether a directory may be adopted in place, as a share or a snapshot. Says why not. */
	int (*may_adopt)(const struct local_root *r, const char *kind, int fd, const char *location, struct error *e);
	/* Before data leave their place, to be removed or (not `for_good`) to be replaced by older ones: nobody but us
	 * holds them, nothing is lost that was not asked for, and they can be moved. */
	int (*let_go)(const struct local_root *r, const struct local_object *o, bool for_good, struct error *e);
	/* What a snapshot of a share leaves out, for people: owned by the caller; NULL: nothing. */
	char *(*left_out)(const struct local_root *r, const struct local_object *share);
	/* Removes what is in the trash, or gives `ret` the work that does, where it has none. */
	void (*purge)(const struct local_root *r, struct driver_result *ret);
	/* Adds to a share's periodic data. */
	void (*describe)(const struct local_root *r, const struct local_object *o, json_t *values);
};

#endif
