/* What the daemon has on a backend: shares and snapshots, each with its mark.
 *
 * A mark is JSON: {"version":1, "kind":"share"|"snapshot", "id", "share_id", "name", "backend_id", "call_id",
 * "size_bytes", "state":"available"|"managing"|"unmanaged", ..}. "managing": half adopted. It lies in the xattr
 * user.sharesd of the gate; or in .sharesd/objects/ID, then with "location" and "inode", where the file system has no
 * user xattrs, and where the directory was adopted in place ("in_place"): its owner could change xattrs.
 *
 * "next":{"call_id","size_bytes","inode"} is a revert about to happen: it has happened when the data have that inode.
 */
#ifndef DRIVERS_DIR_DIR_OBJECT_H
#define DRIVERS_DIR_DIR_OBJECT_H

#include "drivers/dir/dir_root.h"

#include <sys/stat.h>

struct dir_object {
	json_t *mark;   /* as it is now: a "next" that happened is folded in */
	char *location; /* of the gate, relative to the root */
	int gate;
	bool in_place; /* the gate is the data */
	bool by_file;  /* the mark lies in objects/ */
};
#define DIR_OBJECT_INIT  ((struct dir_object){ .gate = -1 })
#define _cleanup_object_ __attribute__((__cleanup__(dir_object_clear)))

void dir_object_clear(struct dir_object *o);

/* -ENOENT (not_found): it is not there, or not any more the daemon's. -ESTALE (invalid_state): something else is there
 * instead. */
int dir_share_find(const struct dir_root *r, const struct driver_share *s, struct dir_object *ret, struct error *e);
int dir_snapshot_find(const struct dir_root *r, const struct driver_snapshot *s, struct dir_object *ret,
		      struct error *e);
/* The same in any state: see dir_object_state. */
int dir_share_load(const struct dir_root *r, const struct driver_share *s, struct dir_object *ret, struct error *e);
int dir_snapshot_load(const struct dir_root *r, const struct driver_snapshot *s, struct dir_object *ret,
		      struct error *e);
/* What is marked at a location, whoever's it is on this backend; -ENOENT: nothing is. Looks at the xattr only. */
int dir_object_at(const struct dir_root *r, const char *location, struct dir_object *ret);

const char *dir_object_state(const struct dir_object *o);
bool dir_object_is_available(const struct dir_object *o);

/* New marks, in state "available". New references. */
json_t *dir_share_mark(const struct dir_backend *b, const struct driver_share *s, const char *call_id);
json_t *dir_snapshot_mark(const struct dir_backend *b, const struct driver_snapshot *s, const char *call_id);

/* Writes the mark, flushed: where it lies, or where it can lie when it is new. */
int dir_object_save(const struct dir_root *r, struct dir_object *o, struct error *e);
/* Removes what lies in objects/; nothing there is fine. */
int dir_object_forget(const struct dir_root *r, const char *id, struct error *e);
/* Moves the whole object to the trash and forgets its mark. */
int dir_object_trash(const struct dir_root *r, const struct dir_object *o, const char *call_id, struct error *e);
/* All marks in objects/: new reference to an array. */
int dir_object_files(const struct dir_root *r, json_t **ret, struct error *e);
/* Does a mark in objects/ still tell of the directory that is there? */
bool dir_object_file_holds(const struct dir_root *r, const json_t *mark);

/* The data: for reading; relative path, owned by the caller. */
int dir_object_open_data(const struct dir_object *o, struct error *e);
int dir_object_stat_data(const struct dir_object *o, struct stat *ret);
char *dir_object_data_location(const struct dir_object *o);

driver_slot dir_list_objects;

#endif
