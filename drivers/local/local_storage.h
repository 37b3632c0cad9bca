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

/* Data on their way from the active replica, or from its instance of a snapshot, to another root of this host. */
struct local_transfer {
	const struct driver_call *call;         /* about the replica that gets them */
	const struct local_root *from, *to;     /* `to` is NULL where `far` is not */
	const struct local_object *source;      /* on `from` */
	const char *source_id;                  /* instance id of the active replica */
	const struct local_object *replica;     /* on `to`, or NULL while it is being made */
	const struct driver_snapshot *snapshot; /* they become this one's instance on `to`; NULL: the replica's data */
	const char *id;                         /* of what they become: they come to "data" in .sharesd/staging/ID */
	const struct btrfs_far *far;            /* they go to another host (btrfs_replica.h); else NULL */
};

/* What a storage that can be replicated does. */
struct local_replication {
	/* All that is before the transfer itself, which is long work. The staging directory is there. `*ret_argv`:
	 * the program, as in driver_work. 1: the replica has it all already. */
	int (*prepare)(const struct local_transfer *t, char ***ret_argv, struct error *e);
	/* Forgets what is kept at the active replica's root for replicas that are gone. `call` is as it began: one that
	 * has waited for work does not know of the replicas that were made since. NULL: nothing is kept. */
	void (*tidy)(const struct local_root *r, const struct driver_call *call);
	/* The transfer came to its end: makes sure that it is whole, and keeps of it what the next one needs. What it
	 * does not keep stays in staging. */
	int (*keep)(const struct local_transfer *t, struct error *e);
	/* It did not: nothing of it is left at the source. */
	void (*abandon)(const struct local_transfer *t);
	/* Puts a writable copy of what was kept last as "data" into staging/ID of the replica. NULL: what came over is
	 * there, and nothing is where nothing was new. */
	int (*stage)(const struct local_root *r, const struct driver_share *replica, struct error *e);
	/* Do a replica's data show what was kept last, and nothing else? NULL: they do. */
	bool (*is_shown)(const struct local_root *r, const struct driver_share *replica, const struct local_object *o);
	/* Holds data so that nobody can change them, or lets that go. NULL: nothing does. */
	int (*hold)(const struct local_root *r, int data, bool read_only, struct error *e);
	/* Forgets what is kept for a replica; `id` NULL: for all replicas of the share. */
	void (*forget)(const struct local_root *r, const char *share_id, const char *id, const char *call_id);
};

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
	/* NULL: its shares cannot be replicated. */
	const struct local_replication *replication;
	/* Adds to a share's periodic data. */
	void (*describe)(const struct local_root *r, const struct local_object *o, json_t *values);
};

#endif
