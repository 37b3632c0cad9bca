/* Drivers whose shares are directories below a root: the slots, and the backend's state. A driver is its own option
 * table and storage (local_storage.h) with these slots. */
#ifndef DRIVERS_LOCAL_LOCAL_H
#define DRIVERS_LOCAL_LOCAL_H

#include "drivers/local/local_gate.h"
#include "drivers/local/local_manage.h"
#include "drivers/local/local_replica.h"
#include "drivers/local/local_replicated_snapshot.h"
#include "drivers/local/local_setup.h"
#include "drivers/local/local_share.h"
#include "drivers/local/local_snapshot.h"
#include "drivers/local/local_storage.h"

/* Fills what is the layout's of a backend's state, from the option `root`. */
int local_init(struct local_backend *b, const struct local_storage *storage, const struct driver_setup *setup,
	       struct error *e);
void local_clear(struct local_backend *b);

#define LOCAL_OPTION_ROOT(help_)                                                                                       \
	{                                                                                                              \
		.name = "root", .type = OPTION_STRING, .flags = OPTION_REQUIRED | OPTION_FIXED | OPTION_ABSOLUTE,      \
		.help = (help_),                                                                                       \
	}

driver_slot local_get_share_stats;
driver_slot local_ensure_shares;
driver_slot local_get_periodic_hook_data;
driver_slot local_get_share_status;
driver_slot local_get_share_usage;
driver_slot local_locate_share;

/* All slots of the layout, for a driver's table. */
#define LOCAL_SLOTS                                                                                                    \
	.do_setup = local_do_setup, .check_for_setup_error = local_check_for_setup_error,                              \
	.get_share_stats = local_get_share_stats, .ensure_shares = local_ensure_shares,                                \
	.create_share = local_create_share, .create_share_from_snapshot = local_create_share_from_snapshot,            \
	.delete_share = local_delete_share, .extend_share = local_extend_share, .shrink_share = local_shrink_share,    \
	.manage_existing = local_manage_existing, .unmanage = local_unmanage, .update_access = local_update_access,    \
	.create_snapshot = local_create_snapshot, .delete_snapshot = local_delete_snapshot,                            \
	.revert_to_snapshot = local_revert_to_snapshot, .manage_existing_snapshot = local_manage_existing_snapshot,    \
	.unmanage_snapshot = local_unmanage_snapshot, .get_periodic_hook_data = local_get_periodic_hook_data,          \
	.get_share_status = local_get_share_status, .get_share_usage = local_get_share_usage,                          \
	.list_objects = local_list_objects, .check_backend = local_check_backend, .locate_share = local_locate_share

/* The same of a storage that has a `replication`. */
#define LOCAL_REPLICA_SLOTS                                                                                            \
	.create_replica = local_create_replica, .delete_replica = local_delete_replica,                                \
	.promote_replica = local_promote_replica, .update_replica_state = local_update_replica_state,                  \
	.create_replicated_snapshot = local_create_replicated_snapshot,                                                \
	.delete_replicated_snapshot = local_delete_replicated_snapshot,                                                \
	.update_replicated_snapshot = local_update_replicated_snapshot

#endif
