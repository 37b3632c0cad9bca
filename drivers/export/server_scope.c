#include "drivers/export/server_scope.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

/* Of systemd itself: it needs no bus, and lets in root alone. */
#define SYSTEMD "unix:path=/run/systemd/private"
/* Seconds. */
#define CALL_LIMIT 5
#define MOVE_LIMIT 5.0

static void close_bus(sd_bus **bus)
{
	sd_bus_close(*bus);
	sd_bus_unref(*bus);
}

static void clear_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_bus_     cleanup(close_bus)
#define _cleanup_message_ cleanup(clear_message)

static int start_scope(const char *unit, const char *name, pid_t pid)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *what = xasprintf("Export server %s of sharesd", name);
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, SYSTEMD);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &m, NULL, "/org/freedesktop/systemd1",
						   "org.freedesktop.systemd1.Manager", "StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(m, "ssa(sv)a(sa(sv))", unit, "fail", 3, "Description", "s", what,
					  "CollectMode", "s", "inactive-or-failed", "PIDs", "au", 1, (uint32_t)pid, 0);
	if (r >= 0)
		r = sd_bus_call(bus, m, CALL_LIMIT * UINT64_C(1000000), NULL, &reply);
	return r < 0 ? r : 0;
}

static bool is_in(const char *unit, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int)pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char text[4096];
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	return strstr(text, unit) != NULL;
}

int export_server_scope(const char *name, pid_t pid)
{
	_cleanup_free_ char *unit = xasprintf("sharesd-%s-%d.scope", name, (int)pid);
	double deadline = text_monotonic() + MOVE_LIMIT;
	int r = sd_booted() > 0 ? start_scope(unit, name, pid) : 0;

	if (r < 0 || sd_booted() <= 0)
		return r;
	/* The answer came when the move was put into systemd's queue. */
	while (!is_in(unit, pid)) {
		if (text_monotonic() > deadline)
			return -ETIMEDOUT;
		poll(NULL, 0, 2);
	}
	return 0;
}
