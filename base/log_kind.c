#include "base/log_kind.h"

static const struct {
	const char *name, *id, *help;
} kinds[LOG_KIND_COUNT] = {
	[LOG_KIND_STARTED] = { "started", "859455f83a1c47c0814013eec3c60166", "The daemon listens." },
	[LOG_KIND_START_FAILED] = { "start_failed", "14aba496dc094fe1a4efbd450fa225f9", "The daemon cannot start." },
	[LOG_KIND_STOPPING] = { "stopping", "dc00911880954ef1915be57703954360",
				"The daemon was told to stop, and finishes the running call first." },
	[LOG_KIND_STOPPED] = { "stopped", "13a03e0e23ad4310b79f58ca9d1da9ca", "The daemon ends." },
	[LOG_KIND_CONF_TAKEN] = { "conf_taken", "df7e7fe2be4f482aaabf689c9bd1e197",
				  "A conf file that was read anew is in force." },
	[LOG_KIND_CONF_REFUSED] = { "conf_refused", "b93ff4b1976f47e1b7a333c43ed2dfed",
				    "A conf file that was read anew is refused, and the old one stays in force." },
	[LOG_KIND_BACKEND_UP] = { "backend_up", "8b4a29db832440ef871c87f740e21ea7", "A backend serves." },
	[LOG_KIND_BACKEND_DOWN] = { "backend_down", "f32c83c7d39941b493ccba91863d67dc",
				    "A backend does not serve; the message says why." },
	[LOG_KIND_BACKEND_STUCK] = { "backend_stuck", "5e3e8da0398e431a92f847d5f40c3c49",
				     "A driver has not come back in driver_timeout seconds; changes wait for it." },
	[LOG_KIND_CALL_DONE] = { "call_done", "c9cd6aab38e34916b2588e5ab8933eba",
				 "A call that may change something is done." },
	[LOG_KIND_CALL_FAILED] = { "call_failed", "3a26052677054f0cb2c0f46d51337012",
				   "A call failed, was refused or vetoed; the message ends with its error." },
	[LOG_KIND_CALL_RECOVERED] = { "call_recovered", "ce693c1300bd426385c9baaf91e5d83d",
				      "A call that the end of the last daemon cut off was finished, undone or given "
				      "up." },
	[LOG_KIND_HOOKS_SKIPPED] = { "hooks_skipped", "b43f9e06e55745429bfb892c6094a39b",
				     "Root had a call run without its hooks." },
	[LOG_KIND_HOOK_VETOED] = { "hook_vetoed", "1dbd09e6cb7940edaabfe47562e2f61a", "A pre hook said no." },
	[LOG_KIND_HOOK_FAILED] = { "hook_failed", "de561052f507491f84d6db8570666c7c",
				   "A hook failed, whether or not that ended its call." },
	[LOG_KIND_HOOK_OUTPUT] = { "hook_output", "0b4e42917a0f4fdd83a67a19b30a7454",
				   "A line that a hook program wrote to its standard error." },
	[LOG_KIND_HOOK_EVENT] = { "hook_event", "5c1b8a0f3d9a4e6db7f2c4a96e0d1b38",
				  "What the hook module journal records: SHARESD_EVENT is the whole event." },
	[LOG_KIND_TICK_DROPPED] = { "tick_dropped", "e2fbb6c7083e48edb9a0695700b4fdd3",
				    "A tick of the periodic hooks is left out, for the last one still runs." },
	[LOG_KIND_RULES_FAILED] = { "rules_failed", "d66b403892f443bd9aeab4412d0ef1e9",
				    "Access rules could not be put in force at the start of a backend." },
	[LOG_KIND_ORPHAN_LEFT] = { "orphan_left", "af15032f63544c988326ce010b3c33bf",
				   "A delete by force left something behind on a backend; list_orphans shows it." },
	[LOG_KIND_STORE_FAILED] = { "store_failed", "dd553ba7018b4e1a9aa656665271db4d",
				    "The database could not be written or read." },
	[LOG_KIND_CLIENT_REFUSED] = { "client_refused", "dacff64a08c44de9ab591308af5fb99c",
				      "Somebody connected who is in no group of admin_groups or reader_groups." },
	[LOG_KIND_CLIENT_DROPPED] = { "client_dropped", "4f2d9e8e4a5a45378cb87dc4e3da1da5",
				      "A connection was closed, for its client did not read." },
	[LOG_KIND_HOOK_LEFT_OUT] = { "hook_left_out", "f711c38de0854ba681b6e0fa1e5457c6",
				     "A hook did not answer in time again and again, and is left out for a while." },
	[LOG_KIND_HOOK_BACK] = { "hook_back", "8d62af152ac4497db64887d9f91d3909",
				 "A hook that was left out answers again." },
};

const char *log_kind_id(enum log_kind kind)
{
	return kinds[kind].id;
}

const char *log_kind_name(enum log_kind kind)
{
	return kinds[kind].name;
}

const char *log_kind_help(enum log_kind kind)
{
	return kinds[kind].help;
}
