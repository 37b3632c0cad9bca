#include "client/command.h"

#include <string.h>

/* Rows read like the help; a new command is a row here. The order is that of the help. */

#define ARGUMENTS(...) ((const struct argument[]){ __VA_ARGS__, { .name = NULL } })

#define A_SHARE                                                                                                        \
	{                                                                                                              \
		.name = "SHARE", .param = "share", .help = "id or name of a share"                                     \
	}
#define A_SNAPSHOT                                                                                                     \
	{                                                                                                              \
		.name = "SNAPSHOT", .param = "snapshot", .help = "SHARE@NAME, or the id of a snapshot"                 \
	}
#define A_REPLICA                                                                                                      \
	{                                                                                                              \
		.name = "REPLICA", .param = "replica", .help = "SHARE@BACKEND, or the id of a replica"                 \
	}
#define A_BACKEND                                                                                                      \
	{                                                                                                              \
		.name = "BACKEND", .param = "backend", .help = "name of a backend"                                     \
	}
#define A_SIZE                                                                                                         \
	{                                                                                                              \
		.name = "SIZE", .param = "size_bytes", .type = VALUE_SIZE, .help = "the new size, like 10GiB"          \
	}
/* "SHARE NAME" and "SHARE@NAME" are the same: prepare_snapshot_name. */
#define A_NEW_SNAPSHOT                                                                                                 \
	{ .name = "SHARE", .help = "id or name of the share, or SHARE@NAME" },                                         \
	{                                                                                                              \
		.name = "NAME", .optional = true, .help = "name of the snapshot in its share"                          \
	}

#define O_LIMIT                                                                                                        \
	{                                                                                                              \
		.name = "limit", .param = "limit", .type = VALUE_NUMBER, .value = "N",                                 \
		.help = "no more than N of them"                                                                       \
	}
#define O_ALL                                                                                                          \
	{                                                                                                              \
		.name = "all", .type = VALUE_FLAG, .help = "all of them (as without --limit)"                          \
	}
#define O_METADATA                                                                                                     \
	{                                                                                                              \
		.name = "metadata", .param = "metadata", .type = VALUE_PAIR, .value = "KEY=VALUE",                     \
		.help = "a text of your own; again for more of them"                                                   \
	}
#define O_FORCE                                                                                                        \
	{                                                                                                              \
		.name = "force", .param = "force", .type = VALUE_FLAG,                                                 \
		.help = "go on past errors of the driver; what stays behind becomes an orphan"                         \
	}
#define O_PROTO                                                                                                        \
	{                                                                                                              \
		.name = "proto", .param = "share_proto", .value = "PROTO",                                             \
		.help = "LOCAL (the default), NFS, CIFS, NFS_CIFS or CEPHFS"                                           \
	}
#define O_LOCATION                                                                                                     \
	{                                                                                                              \
		.name = "location", .param = "provider_location", .required = true, .value = "PATH",                   \
		.help = "where it lies on the backend"                                                                 \
	}
#define O_DRIVER_OPTIONS                                                                                               \
	{                                                                                                              \
		.name = "driver-options", .param = "driver_options", .type = VALUE_PAIR, .value = "KEY=VALUE",         \
		.help = "for the driver; again for more of them"                                                       \
	}
#define O_BACKEND(text)                                                                                                \
	{                                                                                                              \
		.name = "backend", .param = "backend", .value = "BACKEND", .help = (text)                              \
	}
#define O_ON_BACKEND                                                                                                   \
	{                                                                                                              \
		.name = "backend", .param = "backend", .required = true, .value = "BACKEND",                           \
		.help = "name of the backend"                                                                          \
	}
#define O_LEVEL                                                                                                        \
	{                                                                                                              \
		.name = "level", .param = "access_level", .value = "LEVEL", .help = "rw or ro"                         \
	}
#define O_OPTION                                                                                                       \
	{                                                                                                              \
		.name = "option", .param = "options", .type = VALUE_SETTING, .value = "KEY=VALUE",                     \
		.help = "of the protocol: squash, sec, anonuid, anongid; again for more of them"                       \
	}

#define MAKES   (COMMAND_CHANGES | COMMAND_HOOKED | COMMAND_MAKES)
#define REMOVES (COMMAND_CHANGES | COMMAND_HOOKED | COMMAND_REMOVES)
#define ALTERS  (COMMAND_CHANGES | COMMAND_HOOKED)

static const struct command table[] = {
	{ .words = "share create",
	  .method = "create_share_instance",
	  .flags = MAKES | COMMAND_WAITS,
	  .positionals = ARGUMENTS({ .name = "NAME", .param = "name", .help = "name of the new share" }),
	  .options =
		  ARGUMENTS({ .name = "size",
			      .param = "size_bytes",
			      .type = VALUE_SIZE,
			      .value = "SIZE",
			      .help = "like 10GiB; with --snapshot its size where it is left out" },
			    O_BACKEND("on this one, not on the one with the most free space"), O_PROTO,
			    { .name = "snapshot",
			      .param = "snapshot",
			      .value = "SNAPSHOT",
			      .help = "with the contents of SHARE@NAME, or a snapshot's id" },
			    { .name = "share-network",
			      .param = "share_network",
			      .value = "NETWORK",
			      .help = "where the backend uses share servers" },
			    O_METADATA,
			    { .name = "uid",
			      .param = "uid",
			      .type = VALUE_OWNER,
			      .value = "USER",
			      .help = "who owns its root: number or name" },
			    { .name = "gid",
			      .param = "gid",
			      .type = VALUE_OWNER,
			      .value = "GROUP",
			      .help = "the group of its root: number or name" },
			    { .name = "mode", .param = "mode", .value = "MODE", .help = "of its root, octal: 0770" }),
	  .watch = WATCH_SHARE,
	  .help = "Creates a share, empty or from a snapshot" },
	{ .words = "share list",
	  .method = "list_shares",
	  .options = ARGUMENTS(O_BACKEND("only those on this backend"),
			       { .name = "status",
				 .param = "status",
				 .value = "STATUS",
				 .help = "only those of this status, like error" },
			       O_LIMIT, O_ALL),
	  .list = &view_shares,
	  .help = "Lists the shares" },
	{ .words = "share show", .method = "get_share", .positionals = ARGUMENTS(A_SHARE), .help = "Shows a share" },
	{ .words = "share delete",
	  .method = "delete_share_instance",
	  .flags = REMOVES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_SHARE),
	  .options = ARGUMENTS(O_FORCE),
	  .question = "share",
	  .watch = WATCH_SHARE,
	  .help = "Denies all access to a share and deletes it with its data" },
	{ .words = "share extend",
	  .method = "extend_share",
	  .flags = ALTERS | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_SHARE, A_SIZE),
	  .watch = WATCH_SHARE,
	  .help = "Makes a share larger" },
	{ .words = "share shrink",
	  .method = "shrink_share",
	  .flags = ALTERS | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_SHARE, A_SIZE),
	  .watch = WATCH_SHARE,
	  .help = "Makes a share smaller; refused where its data would not fit" },
	{ .words = "share manage",
	  .method = "manage_share",
	  .flags = MAKES | COMMAND_WAITS,
	  .positionals = ARGUMENTS({ .name = "NAME", .param = "name", .help = "name of the new share" }),
	  .options = ARGUMENTS(
		  O_ON_BACKEND, O_LOCATION, O_PROTO,
		  { .name = "size",
		    .param = "size_bytes",
		    .type = VALUE_SIZE,
		    .value = "SIZE",
		    .help = "like 10GiB; what is used where it is left out" },
		  { .name = "access-rules",
		    .param = "access_rules",
		    .type = VALUE_JSON,
		    .value = "JSON",
		    .help = "[{\"access_type\":..,\"access_to\":..}], in force from the start; - reads them" },
		  O_DRIVER_OPTIONS, O_METADATA,
		  { .name = "dry-run",
		    .param = "dry_run",
		    .type = VALUE_FLAG,
		    .help = "look, and show what it would become; change nothing" }),
	  .watch = WATCH_SHARE,
	  .help = "Adopts what lies on a backend as a share; owner, place and contents stay" },
	{ .words = "share unmanage",
	  .method = "unmanage_share",
	  .flags = REMOVES,
	  .positionals = ARGUMENTS(A_SHARE),
	  .options = ARGUMENTS(O_FORCE),
	  .help = "Forgets a share and its access rules; its data stay" },
	{ .words = "share revert",
	  .method = "revert_to_snapshot",
	  .flags = ALTERS | COMMAND_WAITS,
	  .positionals =
		  ARGUMENTS({ .name = "SHARE@NAME", .param = "snapshot", .help = "the share's latest snapshot" }),
	  .watch = WATCH_SHARE,
	  .help = "Gives a share the contents of its latest snapshot; what came after is lost" },

	{ .words = "snapshot create",
	  .method = "create_snapshot",
	  .flags = MAKES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_NEW_SNAPSHOT),
	  .options = ARGUMENTS(O_METADATA),
	  .watch = WATCH_SNAPSHOT,
	  .prepare = prepare_snapshot_name,
	  .help = "Makes a snapshot of a share" },
	{ .words = "snapshot list",
	  .method = "list_snapshots",
	  .positionals = ARGUMENTS(
		  { .name = "SHARE", .param = "share", .optional = true, .help = "only those of this share" }),
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_snapshots,
	  .help = "Lists the snapshots" },
	{ .words = "snapshot show",
	  .method = "get_snapshot",
	  .positionals = ARGUMENTS(A_SNAPSHOT),
	  .help = "Shows a snapshot" },
	{ .words = "snapshot delete",
	  .method = "delete_snapshot",
	  .flags = REMOVES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_SNAPSHOT),
	  .options = ARGUMENTS(O_FORCE),
	  .question = "snapshot",
	  .watch = WATCH_SNAPSHOT,
	  .help = "Deletes a snapshot" },
	{ .words = "snapshot manage",
	  .method = "manage_snapshot",
	  .flags = MAKES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_NEW_SNAPSHOT),
	  .options = ARGUMENTS(O_LOCATION, O_DRIVER_OPTIONS, O_METADATA),
	  .watch = WATCH_SNAPSHOT,
	  .prepare = prepare_snapshot_name,
	  .help = "Adopts what lies on a backend as a snapshot of a share" },
	{ .words = "snapshot unmanage",
	  .method = "unmanage_snapshot",
	  .flags = REMOVES,
	  .positionals = ARGUMENTS(A_SNAPSHOT),
	  .help = "Forgets a snapshot; its data stay" },

	{ .words = "access allow",
	  .method = "allow_access",
	  .flags = MAKES,
	  .positionals = ARGUMENTS(A_SHARE, { .name = "TYPE", .param = "access_type", .help = "ip, user or cephx" },
				   { .name = "TO", .param = "access_to", .help = "address, network, user or id" }),
	  .options = ARGUMENTS(O_LEVEL, O_OPTION, O_METADATA),
	  .help = "Lets somebody in: adds an access rule and puts it in force" },
	{ .words = "access deny",
	  .method = "deny_access",
	  .flags = REMOVES,
	  .positionals =
		  ARGUMENTS(A_SHARE, { .name = "ID|TYPE", .help = "id of the rule, or its type: ip, user, cephx" },
			    { .name = "TO", .optional = true, .help = "after a type: address, network, user or id" }),
	  .prepare = prepare_deny,
	  .help = "Takes an access rule away" },
	{ .words = "access update",
	  .method = "update_access",
	  .flags = ALTERS,
	  .positionals = ARGUMENTS(A_SHARE,
				   { .name = "ID", .param = "access", .optional = true, .help = "the rule to change" }),
	  .options = ARGUMENTS(O_LEVEL, O_OPTION),
	  .help = "Changes an access rule; without ID makes what is in force equal to the wanted rules" },
	{ .words = "access list",
	  .method = "list_access_rules",
	  .positionals = ARGUMENTS(A_SHARE),
	  .options = ARGUMENTS({ .name = "to", .param = "access_to", .value = "TO", .help = "only those for this one" },
			       O_LIMIT, O_ALL),
	  .list = &view_access_rules,
	  .help = "Lists the access rules of a share" },

	{ .words = "replica create",
	  .method = "create_share_replica",
	  .flags = MAKES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_SHARE),
	  .options = ARGUMENTS(O_ON_BACKEND),
	  .watch = WATCH_REPLICA,
	  .help = "Makes a replica of a share on another backend" },
	{ .words = "replica list",
	  .method = "list_replicas",
	  .positionals = ARGUMENTS(
		  { .name = "SHARE", .param = "share", .optional = true, .help = "only those of this share" }),
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_replicas,
	  .help = "Lists the replicas of replicated shares" },
	{ .words = "replica delete",
	  .method = "delete_share_replica",
	  .flags = REMOVES | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_REPLICA),
	  .options = ARGUMENTS(O_FORCE),
	  .question = "replica",
	  .help = "Deletes a replica" },
	{ .words = "replica promote",
	  .method = "promote_share_replica",
	  .flags = ALTERS | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_REPLICA),
	  .options = ARGUMENTS(O_FORCE),
	  .watch = WATCH_REPLICA,
	  .help = "Makes a replica the active one" },
	{ .words = "replica update",
	  .method = "update_share_replica",
	  .flags = ALTERS | COMMAND_WAITS,
	  .positionals = ARGUMENTS(A_REPLICA),
	  .watch = WATCH_REPLICA,
	  .help = "Brings a replica up to date" },

	{ .words = "server create",
	  .method = "create_share_server",
	  .flags = MAKES | COMMAND_WAITS,
	  .options = ARGUMENTS(O_ON_BACKEND, { .name = "share-network",
					       .param = "share_network",
					       .required = true,
					       .value = "NETWORK",
					       .help = "the network that it serves" }),
	  .help = "Makes a share server" },
	{ .words = "network list",
	  .method = "list_share_networks",
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_share_networks,
	  .help = "Lists the networks that share servers can be made for" },
	{ .words = "server list",
	  .method = "list_share_servers",
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_share_servers,
	  .help = "Lists the share servers" },
	{ .words = "server delete",
	  .method = "delete_share_server",
	  .flags = REMOVES | COMMAND_WAITS,
	  .positionals = ARGUMENTS({ .name = "SERVER", .param = "share_server", .help = "id of a share server" }),
	  .question = "share server",
	  .help = "Deletes a share server" },

	{ .words = "backend list",
	  .method = "list_backends",
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_backends,
	  .help = "Lists the backends" },
	{ .words = "backend show",
	  .method = "get_backend",
	  .positionals = ARGUMENTS(A_BACKEND),
	  .help = "Shows a backend" },
	{ .words = "backend init",
	  .method = "init_host",
	  .flags = ALTERS,
	  .positionals = ARGUMENTS(A_BACKEND),
	  .help = "Sets a backend up anew, after what it lacked was put right" },
	{ .words = "backend publish",
	  .method = "publish_service_capabilities",
	  .flags = ALTERS,
	  .positionals = ARGUMENTS(A_BACKEND),
	  .help = "Asks a backend for its capacity and capabilities and publishes them" },

	{ .words = "hook list",
	  .method = "list_hooks",
	  .positionals = ARGUMENTS(
		  { .name = "BACKEND", .param = "backend", .optional = true, .help = "only those of this backend" }),
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_hooks,
	  .help = "Lists the hooks of the backends" },
	{ .words = "hook show",
	  .method = "get_hook",
	  .positionals = ARGUMENTS(A_BACKEND, { .name = "HOOK", .param = "hook", .help = "name or entry of the hook" }),
	  .help = "Shows a hook" },
	{ .words = "hook enable",
	  .method = "enable_hook",
	  .flags = COMMAND_CHANGES,
	  .positionals = ARGUMENTS(A_BACKEND, { .name = "HOOK", .param = "hook", .help = "name or entry of the hook" }),
	  .help = "Calls a hook again that is left out since it did not answer in time" },
	{ .words = "hook test",
	  .method = "test_hook",
	  .positionals = ARGUMENTS(A_BACKEND, { .name = "HOOK", .param = "hook", .help = "name or entry of the hook" },
				   { .name = "PHASE-FUNC_NAME",
				     .help = "like pre-create_share_instance, error-extend_share or periodic" },
				   { .name = "JSON",
				     .optional = true,
				     .help = "what is to differ from a sample, like {\"args\":{..}}; - reads it" }),
	  .prepare = prepare_hook_test,
	  .run = run_hook_test,
	  .help = "Runs one hook on an event and shows what it answered; changes nothing" },

	{ .words = "orphan list",
	  .method = "list_orphans",
	  .positionals = ARGUMENTS(
		  { .name = "BACKEND", .param = "backend", .optional = true, .help = "only those on this backend" }),
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_orphans,
	  .help = "Lists what lies on the backends as ours and belongs to no object" },

	{ .words = "metadata set",
	  .method = "set_metadata",
	  .flags = COMMAND_CHANGES,
	  .positionals =
		  ARGUMENTS({ .name = "OBJECT", .help = "SHARE, SHARE@NAME for a snapshot, or an id with --kind" },
			    { .name = "KEY=VALUE|KEY-",
			      .param = "metadata",
			      .type = VALUE_PATCH,
			      .repeated = true,
			      .help = "sets a key, or removes it" }),
	  .options = ARGUMENTS({ .name = "kind",
				 .param = "kind",
				 .value = "KIND",
				 .help = "what OBJECT is: share, snapshot or access" }),
	  .prepare = prepare_metadata,
	  .help = "Changes the metadata of a share, a snapshot or an access rule; other keys stay" },
	{ .words = "reset-status",
	  .method = "reset_status",
	  .flags = COMMAND_CHANGES,
	  .positionals = ARGUMENTS({ .name = "KIND", .help = "share or snapshot" },
				   { .name = "OBJECT", .help = "its id or name" },
				   { .name = "STATUS", .param = "status", .help = "like available or error" }),
	  .prepare = prepare_reset,
	  .help = "Writes the status of an object, looking at nothing: for when you know better" },

	{ .words = "calls",
	  .method = "list_calls",
	  .options = ARGUMENTS(O_LIMIT, O_ALL),
	  .list = &view_calls,
	  .help = "Lists the calls that wait, run or ended, the newest first" },
	{ .words = "events",
	  .method = "subscribe",
	  .options = ARGUMENTS({ .name = "type",
				 .param = "types",
				 .type = VALUE_WORDS,
				 .value = "TYPE",
				 .help = "only these, like share.available; again for more of them" },
			       { .name = "since",
				 .param = "since",
				 .type = VALUE_NUMBER,
				 .value = "SEQ",
				 .help = "first those that came after this one" }),
	  .run = run_events,
	  .help = "Shows what happens as it happens, until interrupted" },
	{ .words = "status",
	  .run = run_status,
	  .help = "Says whether sharesd is well, degraded or down: exit code 0, 1 or 2" },
	{ .words = "call",
	  .flags = COMMAND_ANY,
	  .positionals = ARGUMENTS({ .name = "METHOD", .help = "name of the method, like get_share or rpc.discover" },
				   { .name = "JSON", .optional = true, .help = "its params, an object; - reads them" }),
	  .run = run_call,
	  .help = "Calls any method and prints its result as JSON" },
	{ .words = "version", .run = run_version, .help = "Prints the version of sharesctl" },
	{ .words = "help",
	  .positionals =
		  ARGUMENTS({ .name = "COMMAND", .optional = true, .repeated = true, .help = "like share create" }),
	  .options = ARGUMENTS({ .name = "words", .param = "words", .type = VALUE_FLAG },
			       { .name = "choices", .param = "choices", .type = VALUE_FLAG }),
	  .run = run_help,
	  .help = "Explains a command" },
	{ .words = NULL },
};

static const struct argument common[] = {
	{ .name = "socket",
	  .value = "PATH",
	  .help = "where sharesd listens (else $SHARESD_SOCKET, else " CTL_SOCKET ")" },
	{ .name = "json", .type = VALUE_FLAG, .help = "print JSON, errors too" },
	{ .name = "yes", .type = VALUE_FLAG, .help = "ask nothing before a delete" },
	{ .name = "timeout", .type = VALUE_SECONDS, .value = "SECONDS", .help = "wait no longer for the answer" },
	{ .name = "help", .type = VALUE_FLAG, .help = "explain the command" },
	{ .name = "request-id",
	  .param = "request_id",
	  .value = "ID",
	  .help = "for a day, a change with the same ID is done once and answered the same" },
	{ .name = "no-wait", .param = "wait", .type = VALUE_NOT, .help = "do not wait for the end of long work" },
	{ .name = "if-absent", .param = "if_absent", .type = VALUE_FLAG, .help = "what is there and equal is success" },
	{ .name = "if-present", .param = "if_present", .type = VALUE_FLAG, .help = "nothing there is success" },
	{ .name = "skip-hooks", .param = "skip_hooks", .type = VALUE_FLAG, .help = "run no hook (root only)" },
	{ .name = NULL },
};

const struct command *command_table(void)
{
	return table;
}

const struct argument *command_common_options(void)
{
	return common;
}

bool command_takes_common(const struct command *c, const struct argument *o)
{
	static const struct {
		const char *param;
		unsigned flags;
	} need[] = { { "request_id", COMMAND_CHANGES | COMMAND_ANY },
		     { "wait", COMMAND_WAITS | COMMAND_ANY },
		     { "if_absent", COMMAND_MAKES | COMMAND_ANY },
		     { "if_present", COMMAND_REMOVES | COMMAND_ANY },
		     { "skip_hooks", COMMAND_HOOKED | COMMAND_ANY } };

	for (size_t i = 0; o->param && i < sizeof need / sizeof need[0]; i++)
		if (strcmp(need[i].param, o->param) == 0)
			return c->flags & need[i].flags;
	return true;
}

const struct argument *command_option(const struct command *c, const char *name)
{
	for (const struct argument *o = c->options; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	for (const struct argument *o = common; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return command_takes_common(c, o) ? o : NULL;
	return NULL;
}

const struct command *command_find(const char *const *words, size_t count, size_t *ret_used)
{
	for (const struct command *c = table; count > 0 && c->words; c++) {
		const char *space = strchr(c->words, ' ');
		size_t first = space ? (size_t)(space - c->words) : strlen(c->words);

		if (strlen(words[0]) != first || strncmp(c->words, words[0], first) != 0)
			continue;
		if (space && (count < 2 || strcmp(space + 1, words[1]) != 0))
			continue;
		*ret_used = space ? 2 : 1;
		return c;
	}
	return NULL;
}

bool command_is_group(const char *word)
{
	size_t n = strlen(word);

	for (const struct command *c = table; c->words; c++)
		if (strncmp(c->words, word, n) == 0 && c->words[n] == ' ')
			return true;
	return false;
}
