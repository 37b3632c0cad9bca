/* What the daemon has on a backend: shares and snapshots, each with its mark.
 *
 * A mark is JSON: {"version":1, "kind":"share"|"snapshot", "id", "share_id", "name", "backend_id", "call_id",
 * "size_bytes", "proto" (of shares), "state":"available"|"managing"|"unmanaged", ..}. "managing": half adopted. It lies
 * in the xattr user.sharesd of the gate; or in .sharesd/objects/ID, then with "location" and "inode", where the file
 * system has no user xattrs, and where the directory was adopted in place ("in_place"): its owner could change xattrs.
 *
 * "inode": see local_identify. "next":{"call_id","size_bytes","inode"} is a revert about to happen: it has happened
 * when the data are that directory.
 */
#ifndef DRIVERS_LOCAL_LOCAL_OBJECT_H
#define DRIVERS_LOCAL_LOCAL_OBJECT_H

#include "drivers/local/local_root.h"

struct local_object {
	json_t *mark;   /* as it is now: a "next" that happened is folded in */
	char *location; /* of the gate, relative to the root */
	int gate;
	bool in_place; /* the gate is the data */
	bool by_file;  /* the mark lies in objects/ */
};
#define LOCAL_OBJECT_INIT ((struct local_object){ .gate = -1 })
#define _cleanup_object_  __attribute__((__cleanup__(local_object_clear)))

void local_object_clear(struct local_object *o);

/* -ENOENT (not_found): it is not there, or not any more the daemon's. -ESTALE (invalid_state): something else is there
 * instead. */
int local_share_find(const struct local_root *r, const struct driver_share *s, struct local_object *ret,
		     struct error *e);
int local_snapshot_find(const struct local_root *r, const struct driver_snapshot *s, struct local_object *ret,
			struct error *e);
/* The same in any state: see local_object_state. */
int local_share_load(const struct local_root *r, const struct driver_share *s, struct local_object *ret,
		     struct error *e);
int local_snapshot_load(const struct local_root *r, const struct driver_snapshot *s, struct local_object *ret,
			struct error *e);
/* What is marked at a location, whoever's it is on this backend; -ENOENT: nothing is. Looks at the xattr only. */
int local_object_at(const struct local_root *r, const char *location, struct local_object *ret);

const char *local_object_state(const struct local_object *o);
bool local_object_is_available(const struct local_object *o);

/* New marks, in state "available". New references. */
json_t *local_share_mark(const struct local_backend *b, const struct driver_share *s, const char *call_id);
json_t *local_snapshot_mark(const struct local_backend *b, const struct driver_snapshot *s, const char *call_id);

/* Writes the mark, before what comes next: where it lies, or where it can lie when it is new. */
int local_object_write(const struct local_root *r, struct local_object *o, struct error *e);
/* The same, and it is on the disk. */
int local_object_save(const struct local_root *r, struct local_object *o, struct error *e);
/* Removes what lies in objects/; nothing there is fine. */
int local_object_forget(const struct local_root *r, const char *id, struct error *e);
/* Moves the whole object to the trash and forgets its mark. */
int local_object_trash(const struct local_root *r, const struct local_object *o, const char *call_id, struct error *e);
/* All marks in objects/: new reference to an array. */
int local_object_files(const struct local_root *r, json_t **ret, struct error *e);
/* Does a mark in objects/ still tell of the directory that is there? */
bool local_object_file_holds(const struct local_root *r, const json_t *mark);

/* The data: for reading; which directory they are (local_identify); relative path, owned by the caller. */
int local_object_open_data(const struct local_object *o, struct error *e);
int local_object_data_id(const struct local_object *o, uint64_t *ret);
char *local_object_data_location(const struct local_object *o);
/* What they may come to, where the storage can say so; 0: anything. */
int local_object_limit(const struct local_root *r, const struct local_object *o, uint64_t size_bytes, struct error *e);

driver_slot local_list_objects;

#endif
