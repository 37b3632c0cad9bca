/* A share as Samba's registry has it: made of an export and its rules. Any thread.
 *
 * Rules of type user alone: these users, from anywhere. Of type ip alone: every user of the passdb, from there. Both:
 * these users, from there; where none of one type can be, nobody. A share is writable for all addresses or for none, so
 * rules of type ip have one level: the one that is in force, as long as a rule has it, else that of the first rule. The
 * others cannot be. Where it is ro, nobody writes. */
#ifndef DRIVERS_EXPORT_SAMBA_SHARE_H
#define DRIVERS_EXPORT_SAMBA_SHARE_H

#include "drivers/export/export.h"

/* ERR_INVALID_PARAMS: a name or path that Samba cannot have. `for_users`: or a directory that they cannot come to. */
int samba_share_check(const struct export *x, bool for_users, struct error *e);
/* New reference to {parameter: value}; for each rule its result is added to `results`. `users`: who is in the passdb;
 * `was`: the share as it is in force, or NULL. */
json_t *samba_share_make(const struct export *x, const struct driver_rule *rules, size_t n, const json_t *users,
			 const json_t *was, json_t *results);
/* As a section of a conf file. Owned by the caller. */
char *samba_share_text(const char *name, const json_t *share);

/* Whose share it is; NULL where it is none of ours. */
const char *samba_share_id(const json_t *share);

/* What a change takes away, from whom. */
enum samba_loss {
	LOSS_NONE,
	LOSS_SOME, /* users, or addresses, or a user's right to write */
	LOSS_ALL,  /* all access, or everybody's right to write; or another directory is exported */
};
enum samba_loss samba_share_loss(const json_t *was, const json_t *now);
/* Does somebody who is on it lose access or the right to write, by the address or the user? What is no address does. */
bool samba_share_takes_from(const json_t *was, const json_t *now, const char *user, const char *machine);

#endif
