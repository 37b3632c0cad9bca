#include "drivers/table.h"

#include "drivers/slots.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* The drivers of this program: a new one is a line here, and a name in the list. */
extern const struct share_driver_ops btrfs_driver;
extern const struct share_driver_ops btrfs_ssh_driver;
extern const struct share_driver_ops dir_driver;
extern const struct share_driver_ops sim_driver;

enum { MAX_DRIVERS = 64 };

/* NULL ends it: what is after the built-in ones comes from plugins. */
static const struct share_driver_ops *drivers[MAX_DRIVERS + 1] = { &dir_driver, &btrfs_driver, &btrfs_ssh_driver,
								   &sim_driver };

const struct share_driver_ops *const *driver_table(void)
{
	return drivers;
}

const struct share_driver_ops *driver_find(const char *name)
{
	for (size_t i = 0; drivers[i]; i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

/* A driver's name is a keyword of the conf file. */
static bool is_keyword(const char *name)
{
	if (!name || !islower((unsigned char)*name))
		return false;
	for (const char *c = name; *c; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
			return false;
	return true;
}

static int check(const struct share_driver_ops *ops, const char *origin, struct error *e)
{
	if (ops->abi != SHARE_DRIVER_ABI)
		return error_set(e, ERR_NOT_SUPPORTED, ENOEXEC,
				 "%s: its driver is made for ABI %u, this sharesd has ABI %u: rebuild it", origin,
				 ops->abi, SHARE_DRIVER_ABI);
	if (!is_keyword(ops->name))
		return error_set(
			e, ERR_NOT_SUPPORTED, EINVAL,
			"%s: its driver has no name of lower-case letters, digits and _ beginning with a letter",
			origin);
	if (!ops->create || !ops->destroy)
		return error_set(e, ERR_NOT_SUPPORTED, EINVAL, "%s: driver %s lacks create or destroy", origin,
				 ops->name);
	if (driver_find(ops->name))
		return error_set(e, ERR_ALREADY_EXISTS, EEXIST, "%s: there is a driver %s already", origin, ops->name);
	return 0;
}

int driver_register(const struct share_driver_ops *ops, const char *origin, struct error *e)
{
	size_t n = 0;
	int r = check(ops, origin, e);

	if (r < 0)
		return r;
	while (drivers[n])
		n++;
	if (n == MAX_DRIVERS)
		return error_set(e, ERR_LIMIT, ENOSPC, "%s: there are %d drivers already, and no room for more", origin,
				 MAX_DRIVERS);
	drivers[n] = ops;
	return 0;
}

/* ---- slots ---- */

#define NAME(slot) #slot,
static const char *const slot_names[] = { DRIVER_SLOTS(NAME) NULL };
#undef NAME

driver_slot *driver_slot_by_name(const struct share_driver_ops *ops, const char *slot)
{
#define MATCH(member)                                                                                                  \
	if (strcmp(slot, #member) == 0)                                                                                \
		return ops->member;
	DRIVER_SLOTS(MATCH)
#undef MATCH
	return NULL;
}

const char *const *driver_slot_names(void)
{
	return slot_names;
}
