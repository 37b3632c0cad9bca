#include "daemon/event_types.h"

#include <stddef.h>
#include <string.h>

static const struct event_type table[] = {
	{ "share.available", "share", "A share was made, changed or adopted, or is well again." },
	{ "share.error", "share", "A share could not be made, or its backend says that it is broken." },
	{ "share.error_deleting", "share", "A share could not be deleted." },
	{ "share.extending_error", "share", "A share could not be made larger." },
	{ "share.shrinking_error", "share", "A share could not be made smaller." },
	{ "share.reverting_error", "share", "A share could not be given the contents of a snapshot." },
	{ "share.manage_error", "share", "A share could not be adopted." },
	{ "share.unmanage_error", "share", "A share could not be forgotten." },
	{ "share.deleted", "share", "A share is gone, with the object as it was." },
	{ "share.unmanaged", "share", "A share is forgotten, and its data stay, with the object as it was." },
	{ "share.metadata", "share", "The metadata of a share were set." },
	{ "snapshot.available", "snapshot", "A snapshot was made or adopted, or is well again." },
	{ "snapshot.error", "snapshot", "A snapshot could not be made." },
	{ "snapshot.error_deleting", "snapshot", "A snapshot could not be deleted." },
	{ "snapshot.manage_error", "snapshot", "A snapshot could not be adopted." },
	{ "snapshot.unmanage_error", "snapshot", "A snapshot could not be forgotten." },
	{ "snapshot.deleted", "snapshot", "A snapshot is gone, with the object as it was." },
	{ "snapshot.unmanaged", "snapshot", "A snapshot is forgotten, and its data stay, with the object as it was." },
	{ "snapshot.metadata", "snapshot", "The metadata of a snapshot were set." },
	{ "access.active", "access_rule", "An access rule is in force." },
	{ "access.error", "access_rule", "An access rule could not be put in force." },
	{ "access.queued_to_deny", "access_rule", "An access rule could not be taken away: that is tried again." },
	{ "access.denied", "access_rule", "An access rule was taken away, with the object as it was." },
	{ "access.metadata", "access_rule", "The metadata of an access rule were set." },
	{ "share_replica.active", "instance", "A replica was promoted." },
	{ "share_replica.in_sync", "instance", "A replica has all that the active one has, or had a moment ago." },
	{ "share_replica.out_of_sync", "instance", "A replica was made, or was active before, and lacks data." },
	{ "share_replica.error", "instance", "A replica is broken, or could not be made or brought up to date." },
	{ "share_replica.error_deleting", "instance", "A replica could not be deleted." },
	{ "share_replica.deleted", "instance", "A replica is gone, with the object as it was." },
	{ "share_server.active", "share_server", "A share server was made." },
	{ "share_server.error", "share_server", "A share server could not be made or deleted." },
	{ "share_server.deleted", "share_server", "A share server is gone, with the object as it was." },
	{ "backend.up", "event_backend", "A backend can be used." },
	{ "backend.down", "event_backend", "A backend cannot be used, for the reason given." },
	{ "backend.stuck", "event_stuck", "A driver call does not come back." },
	{ "backend.purge_failed", "event_backend",
	  "What was deleted cannot be removed from the disk: it lies in the backend's trash, and is tried again." },
	{ "call.vetoed", "event_call", "A pre hook forbade a call." },
	{ "call.pre_hook_failed", "event_call", "A pre hook failed, and with it the call." },
	{ "hooks.skipped", "event_skipped", "Root ran a call without hooks." },
	{ "hook.left_out", "event_hook",
	  "A hook does not answer in time again and again, and is left out for a while." },
	{ "hook.back", "event_hook", "A hook that was left out is called again." },
	{ "client.dropped", "event_client", "A connection was closed, since its client does not read." },
	{ NULL, NULL, NULL },
};

const struct event_type *event_type_table(void)
{
	return table;
}

bool event_type_fits(const char *pattern, const char *type)
{
	size_t n = strlen(pattern);

	return strcmp(pattern, type) == 0 || (n && pattern[n - 1] == '*' && strncmp(pattern, type, n - 1) == 0);
}

bool event_type_is_known(const char *pattern)
{
	for (const struct event_type *t = table; t->name; t++)
		if (event_type_fits(pattern, t->name))
			return true;
	return false;
}
