/* The names of all slots of struct share_driver_ops, in its order: a new slot is a line here, too. */
#ifndef DRIVERS_SLOTS_H
#define DRIVERS_SLOTS_H

#define DRIVER_SLOTS(X)                                                                                                \
	X(do_setup)                                                                                                    \
	X(check_for_setup_error)                                                                                       \
	X(get_share_stats)                                                                                             \
	X(ensure_shares)                                                                                               \
	X(create_share)                                                                                                \
	X(create_share_from_snapshot)                                                                                  \
	X(delete_share)                                                                                                \
	X(extend_share)                                                                                                \
	X(shrink_share)                                                                                                \
	X(manage_existing)                                                                                             \
	X(unmanage)                                                                                                    \
	X(update_access)                                                                                               \
	X(create_snapshot)                                                                                             \
	X(delete_snapshot)                                                                                             \
	X(revert_to_snapshot)                                                                                          \
	X(manage_existing_snapshot)                                                                                    \
	X(unmanage_snapshot)                                                                                           \
	X(create_replica)                                                                                              \
	X(delete_replica)                                                                                              \
	X(promote_replica)                                                                                             \
	X(update_replica_state)                                                                                        \
	X(create_replicated_snapshot)                                                                                  \
	X(delete_replicated_snapshot)                                                                                  \
	X(update_replicated_snapshot)                                                                                  \
	X(setup_server)                                                                                                \
	X(teardown_server)                                                                                             \
	X(get_periodic_hook_data)                                                                                      \
	X(get_share_status)                                                                                            \
	X(get_share_usage)                                                                                             \
	X(list_objects)                                                                                                \
	X(check_backend)                                                                                               \
	X(locate_share)

#endif
