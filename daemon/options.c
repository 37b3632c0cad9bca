#include "daemon/options.h"

#include "base/mem.h"
#include "daemon/methods.h"
#include "drivers/export/table.h"
#include "drivers/table.h"
#include "hooks/table.h"

#include <stddef.h>
#include <string.h>

static const char *const levels[] = { "error", "warning", "notice", "info", "debug", NULL };

const struct option daemon_options[] = {
	{ .name = "state_dir",
	  .type = OPTION_STRING,
	  .fallback = "/var/lib/sharesd",
	  .flags = OPTION_FIXED | OPTION_ABSOLUTE,
	  .help = "Directory of the database, private to the daemon." },
	{ .name = "socket",
	  .type = OPTION_STRING,
	  .fallback = "/run/sharesd/sharesd.sock",
	  .flags = OPTION_FIXED | OPTION_ABSOLUTE,
	  .help = "Path of the socket." },
	{ .name = "socket_mode",
	  .type = OPTION_MODE,
	  .fallback = "0666",
	  .help = "Mode of the socket; who may do what is decided by who they are." },
	{ .name = "admin_groups",
	  .type = OPTION_LIST,
	  .fallback = "sharesd",
	  .help = "Groups whose members may call everything; root and the daemon's own user always may." },
	{ .name = "reader_groups", .type = OPTION_LIST, .help = "Groups whose members may call what changes nothing." },
	{ .name = "plugins",
	  .type = OPTION_LIST,
	  .flags = OPTION_FIXED,
	  .help = "Shared objects that add drivers or hooks." },
	{ .name = "export_addresses",
	  .type = OPTION_LIST,
	  .flags = OPTION_FIXED,
	  .help = "Addresses or names of this host that clients put before a share's path, one export location each; "
		  "none: the host's name." },
	{ .name = "runtime_dir",
	  .type = OPTION_STRING,
	  .fallback = "/run/sharesd",
	  .flags = OPTION_FIXED | OPTION_ABSOLUTE,
	  .help = "Directory of the sockets, mounts and configuration of the export servers that the daemon runs; made "
		  "when missing." },
	{ .name = "log_level",
	  .type = OPTION_CHOICE,
	  .fallback = "info",
	  .choices = levels,
	  .help = "The least important records that are logged." },
	{ .name = "max_request_bytes",
	  .type = OPTION_SIZE,
	  .fallback = "1MiB",
	  .min = 1024,
	  .max = 64.0 * 1024 * 1024,
	  .help = "Longest request line." },
	{ .name = "max_request_depth",
	  .type = OPTION_INT,
	  .fallback = "32",
	  .min = 4,
	  .max = 512,
	  .help = "Deepest nesting of a request." },
	{ .name = "max_batch_entries",
	  .type = OPTION_INT,
	  .fallback = "64",
	  .min = 1,
	  .max = 10000,
	  .help = "Most entries of a batch." },
	{ .name = "max_connections",
	  .type = OPTION_INT,
	  .fallback = "256",
	  .min = 1,
	  .max = 10000,
	  .help = "Most connections." },
	{ .name = "max_connections_per_user",
	  .type = OPTION_INT,
	  .fallback = "64",
	  .min = 1,
	  .max = 10000,
	  .help = "Most connections of one user." },
	{ .name = "max_unsent_bytes",
	  .type = OPTION_SIZE,
	  .fallback = "8MiB",
	  .min = 65536,
	  .max = 1024.0 * 1024 * 1024,
	  .help = "Most unread output of a connection, before it is closed." },
	{ .name = "request_line_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30",
	  .min = 0.1,
	  .max = 86400,
	  .help = "Seconds that an unfinished request line may take." },
	{ .name = "max_queued_calls",
	  .type = OPTION_INT,
	  .fallback = "1024",
	  .min = 1,
	  .max = 1000000,
	  .help = "Most calls that wait." },
	{ .name = NULL },
};

static const char *const *hooked_methods(void)
{
	const struct method *m = method_table();
	const char **names;
	size_t n = 0;

	for (; m->name; m++)
		n += m->kind == METHOD_HOOKED;
	names = xcalloc(n + 1, sizeof *names);
	for (m = method_table(), n = 0; m->name; m++)
		if (m->kind == METHOD_HOOKED)
			names[n++] = m->name;
	return names;
}

static size_t count(const struct option *o)
{
	size_t n = 0;

	while (o && o[n].name)
		n++;
	return n;
}

/* The daemon's own, and those of all exporters. */
static const struct option *top_options(void)
{
	const struct exporter_ops *const *x = exporter_table();
	size_t n = count(daemon_options), room = n + 1;
	struct option *all;

	for (size_t i = 0; x[i]; i++)
		room += count(x[i]->options);
	all = xcalloc(room, sizeof *all);
	memcpy(all, daemon_options, n * sizeof *all);
	for (size_t i = 0; x[i]; i++) {
		memcpy(all + n, x[i]->options, count(x[i]->options) * sizeof *all);
		n += count(x[i]->options);
	}
	return all;
}

/* Those of every backend, with the exporters that there are. */
static const struct option *backend_options(void)
{
	const struct exporter_ops *const *x = exporter_table();
	size_t n = count(conf_backend_options), n_names = 0;
	struct option *all = xcalloc(n + 1, sizeof *all);
	const char **names;

	while (x[n_names])
		n_names++;
	names = xcalloc(n_names + 1, sizeof *names);
	for (size_t i = 0; i < n_names; i++)
		names[i] = x[i]->name;
	memcpy(all, conf_backend_options, n * sizeof *all);
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].name, "export") == 0)
			all[i].choices = names;
	return all;
}

const struct conf_schema *daemon_schema(void)
{
	static struct conf_schema schema;
	const struct share_driver_ops *const *table = driver_table();
	const struct hook_ops *const *modules = hook_module_table();
	struct conf_driver *drivers;
	const char **names;
	size_t n = 0;

	/* Every conf that was loaded with it points to it. */
	if (schema.top)
		return &schema;
	while (table[n])
		n++;
	drivers = xcalloc(n + 1, sizeof *drivers);
	for (size_t i = 0; i < n; i++)
		drivers[i] = (struct conf_driver){ .keyword = table[i]->name, .options = table[i]->options };
	for (n = 0; modules[n]; n++)
		;
	names = xcalloc(n + 1, sizeof *names);
	for (size_t i = 0; i < n; i++)
		names[i] = modules[i]->name;
	schema = (struct conf_schema){ .top = top_options(),
				       .backend = backend_options(),
				       .modules = hook_module_options(),
				       .drivers = drivers,
				       .module_names = names,
				       .method_names = hooked_methods() };
	return &schema;
}
