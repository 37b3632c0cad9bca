/* A share as Samba's registry has it: made of an export and its rules. Any thread.
 *
 * Rules of type user alone: these users, from anywhere. Of type ip alone: every user of the passdb, from there. Both:
 * these users, from there. A share is writable for an address as a whole or not at all, so rules of type ip that differ
 * in level from the first one cannot be; where that is ro, nobody writes. */
#ifndef DRIVERS_EXPORT_SAMBA_SHARE_H
#define DRIVERS_EXPORT_SAMBA_SHARE_H

#include "drivers/export/export.h"

/* ERR_INVALID_PARAMS: a name or path that Samba cannot have, or a directory that users cannot come to. */
int samba_share_check(const struct export *x, struct error *e);
/* New reference to {parameter: value}; for each rule its result is added to `results`. `users`: who is in the passdb.
 */
json_t *samba_share_make(const struct export *x, const struct driver_rule *rules, size_t n, const json_t *users,
			 json_t *results);
/* As a section of a conf file. Owned by the caller. */
char *samba_share_text(const char *name, const json_t *share);

/* Whose share it is; NULL where it is none of ours. */
const char *samba_share_id(const json_t *share);

/* What a change takes away, from whom. */
enum samba_loss {
	LOSS_NONE,
	LOSS_SOME_DENIED, /* users or addresses: Samba finds out itself who */
	LOSS_ALL_LOWERED, /* nobody writes any more */
	LOSS_ALL_DENIED,  /* or another directory is exported */
};
enum samba_loss samba_share_loss(const json_t *was, const json_t *now);
/* Did this user write before, and not now? */
bool samba_share_lowers(const json_t *was, const json_t *now, const char *user);

#endif
