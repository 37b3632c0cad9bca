#include "drivers/export/ganesha_server.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "drivers/export/ganesha_block.h"
#include "drivers/export/server.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Seconds. Each takes a fraction of one; together below what `start` may take. */
#define BUS_LIMIT    5.0
#define NFSD_LIMIT   20.0
#define STOP_LIMIT   3.0
#define BUS_TRIES    3
#define CONF_MAX     (256 << 20)
#define PROGRAM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct ganesha_server {
	const struct settings *settings;
	char *dir;     /* RUNTIME/ganesha */
	char *places;  /* RUNTIME/exports */
	char *state;   /* STATE/ganesha */
	char *id;      /* of the share server, or NULL */
	char *address; /* of the bus */
	char *protocols;
	struct export_server *bus, *nfsd;
};

/* As D-Bus writes what has a meaning in its addresses. Owned by the caller. */
static char *bus_address(const char *dir)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	fputs("unix:path=", to);
	for (const unsigned char *p = (const unsigned char *)dir; *p; p++)
		if (isalnum(*p) || strchr("-_/.", *p))
			fputc(*p, to);
		else
			fprintf(to, "%%%02x", *p);
	fputs("/bus", to);
	fclose(to);
	return text;
}

struct ganesha_server *ganesha_server_new(const struct settings *settings, const struct export_place *place,
					  const char *protocols)
{
	struct ganesha_server *s = xcalloc(1, sizeof(*s));

	s->settings = settings;
	s->protocols = xstrdup(protocols);
	s->dir = xasprintf("%s/ganesha", place->runtime_dir);
	s->places = xasprintf("%s/exports", place->runtime_dir);
	s->state = xasprintf("%s/ganesha", place->state_dir);
	s->id = xstrdup(place->server_id);
	s->address = bus_address(s->dir);
	s->bus = export_server_new(s->dir, "dbus");
	s->nfsd = export_server_new(s->dir, "ganesha");
	/* The bus is a socket in our directory, which is the same in all networks. */
	if (place->netns)
		export_server_live_in(s->nfsd, place->netns);
	return s;
}

void ganesha_server_free(struct ganesha_server *s)
{
	if (!s)
		return;
	export_server_free(s->bus);
	export_server_free(s->nfsd);
	free(s->dir);
	free(s->places);
	free(s->state);
	free(s->id);
	free(s->protocols);
	free(s->address);
	free(s);
}

bool ganesha_server_is_alive(struct ganesha_server *s)
{
	return export_server_is_alive(s->nfsd) && export_server_is_alive(s->bus);
}

bool ganesha_server_is_dead(struct ganesha_server *s)
{
	return !export_server_is_alive(s->nfsd) && export_server_take_over(s->nfsd) < 0;
}

/* ---- configuration ---- */

/* How long clients of a server that was started anew have to claim what they had open, while nobody gets anything new.
 * A lease must end within it. */
static void write_grace(const struct ganesha_server *s, FILE *to)
{
	int64_t grace = settings_int(s->settings, "ganesha_grace_period");

	if (grace == 0)
		fprintf(to, "Graceless = true;");
	else
		fprintf(to, "Grace_Period = %" PRId64 "; Lease_Lifetime = %" PRId64 ";", grace,
			grace > 2 ? grace * 2 / 3 : 1);
}

/* Owned by the caller. No RQUOTA, NLM or UDP: what is not served needs no port. */
static char *make_conf(const struct ganesha_server *s)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	fprintf(to,
		"# Written by sharesd at each start of this server.\n"
		"NFS_CORE_PARAM { NFS_Port = %" PRId64 "; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; "
		"mount_path_pseudo = true; Protocols = %s; }\n",
		settings_int(s->settings, "ganesha_port"), s->protocols);
	fprintf(to, "NFSv4 { RecoveryBackend = fs; RecoveryRoot = \"%s\"; Only_Numeric_Owners = true; ", s->state);
	/* Else a client takes all servers of this host for one. */
	if (s->id)
		fprintf(to, "Server_Scope = \"%s\"; Server_Owner = \"%s\"; ", s->id, s->id);
	write_grace(s, to);
	fprintf(to,
		" }\nEXPORT_DEFAULTS { Access_Type = None; Squash = root_squash; SecType = sys; Transports = TCP; "
		"Protocols = %s; }\n",
		s->protocols);
	fclose(to);
	return text;
}

/* The directory keeps others out. The address has no character that XML knows. */
static const char bus_conf[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig>\n<type>system</type>\n<listen>%s</listen>\n<auth>EXTERNAL</auth>\n"
	"<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\n"
	"<allow send_destination=\"*\" eavesdrop=\"true\"/><allow receive_sender=\"*\"/></policy>\n</busconfig>\n";

static int write_text(const struct ganesha_server *s, const char *name, const char *text, struct error *e)
{
	_cleanup_close_ int dirfd = path_open_root(s->dir);
	int r = dirfd < 0 ? dirfd : path_write_file(dirfd, name, text, strlen(text), 0600);

	return r < 0 ? error_errno(e, -r, "cannot write %s/%s", s->dir, name) : 0;
}

/* Was the one that runs started with what we would start it with? The exports follow that. */
static bool is_configured(const struct ganesha_server *s, const char *conf)
{
	_cleanup_close_ int dirfd = path_open_root(s->dir);
	_cleanup_free_ char *is = NULL;

	return dirfd >= 0 && path_read_file(dirfd, "ganesha.conf", CONF_MAX, &is, NULL) == 0 &&
	       text_starts_with(is, conf);
}

static int make_directories(const struct ganesha_server *s, struct error *e)
{
	_cleanup_free_ char *blocks = xasprintf("%s/exports.d", s->dir);
	int r = export_server_make_directory(s->dir, e);

	if (r == 0)
		r = export_server_make_directory(blocks, e);
	if (r == 0)
		r = export_server_make_directory(s->places, e);
	return r == 0 ? export_server_make_directory(s->state, e) : r;
}

/* ---- the bus ---- */

static bool answers(const struct ganesha_server *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/bus", s->dir);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0;
}

static int failed_start(const struct export_server *server, const char *what, const char *log, bool ended,
			struct error *e)
{
	_cleanup_free_ char *line = export_server_log_line(server, NULL);

	return error_set(e, ERR_BACKEND_DOWN, ended ? ECHILD : ETIMEDOUT, "%s %s: %s (see %s)", what,
			 ended ? "ended when it was started" : "does not answer after it was started",
			 line ? line : "it said nothing", log);
}

static int await_bus(struct ganesha_server *s, struct error *e)
{
	_cleanup_free_ char *log = xasprintf("%s/dbus.log", s->dir);
	double deadline = text_monotonic() + BUS_LIMIT;
	bool ended = false;

	while (!ended && text_monotonic() < deadline) {
		if (answers(s))
			return 0;
		ended = !export_server_is_alive(s->bus);
		poll(NULL, 0, 2);
	}
	(void)export_server_stop(s->bus, STOP_LIMIT);
	return failed_start(s->bus, "dbus-daemon", log, ended, e);
}

static int start_bus(struct ganesha_server *s, struct error *e)
{
	_cleanup_free_ char *program = NULL, *conf = xasprintf("--config-file=%s/dbus.conf", s->dir);
	_cleanup_free_ char *text = xasprintf(bus_conf, s->address), *socket_path = xasprintf("%s/bus", s->dir);
	const char *const env[] = { PROGRAM_PATH, NULL };
	int r;

	if (export_server_take_over(s->bus) == 0 && answers(s))
		return 0;
	(void)export_server_stop(s->bus, STOP_LIMIT);
	r = export_server_find_program("dbus-daemon", "dbus", &program, e);
	if (r == 0)
		r = write_text(s, "dbus.conf", text, e);
	if (r < 0)
		return r;
	/* What a killed one left. */
	(void)unlink(socket_path);
	r = export_server_start(
		s->bus, (const char *const[]){ program, conf, "--nofork", "--nopidfile", "--nosyslog", NULL }, env, e);
	return r < 0 ? r : await_bus(s, e);
}

/* ---- Ganesha ---- */

/* What its log says in words that help nobody. */
static int explain_end(const struct ganesha_server *s, struct error *e)
{
	_cleanup_free_ char *log = xasprintf("%s/ganesha.log", s->dir);
	_cleanup_free_ char *in_use = export_server_log_line(s->nfsd, "Address already in use");
	_cleanup_free_ char *rpcbind = export_server_log_line(s->nfsd, "Cannot register NFS V3");
	_cleanup_free_ char *fatal = export_server_log_line(s->nfsd, ":FATAL :");

	if (in_use)
		return error_set(
			e, ERR_BACKEND_DOWN, EADDRINUSE,
			"NFS-Ganesha cannot listen on port %" PRId64
			", for another program does (the kernel's NFS server, or another Ganesha): stop that one, or "
			"set ganesha_port",
			settings_int(s->settings, "ganesha_port"));
	if (rpcbind)
		return error_set(
			e, ERR_BACKEND_DOWN, ENOTCONN,
			"NFS-Ganesha cannot serve NFSv3 without rpcbind: apt-get install rpcbind and start it, or "
			"set ganesha_protocols = {\"4\"}");
	if (fatal)
		return error_set(e, ERR_BACKEND_DOWN, ECHILD, "NFS-Ganesha ended when it was started: %s (see %s)",
				 strstr(fatal, ":FATAL :") + strlen(":FATAL :"), log);
	return failed_start(s->nfsd, "NFS-Ganesha", log, true, e);
}

/* Ganesha listens on its port before it is on the bus. -EAGAIN: the bus has ended meanwhile. */
static int await_nfsd(struct ganesha_server *s, struct ganesha_bus **ret, struct error *e)
{
	_cleanup_free_ char *log = xasprintf("%s/ganesha.log", s->dir);
	double deadline = text_monotonic() + NFSD_LIMIT;

	while (text_monotonic() < deadline) {
		_cleanup_free_ unsigned *numbers = NULL;
		struct ganesha_bus *bus;
		size_t n;

		if (!export_server_is_alive(s->bus))
			return error_set(e, ERR_BACKEND_DOWN, EAGAIN, "the bus of NFS-Ganesha ended (see %s/dbus.log)",
					 s->dir);
		if (!export_server_is_alive(s->nfsd))
			return explain_end(s, e);
		if (ganesha_bus_open(s->address, &bus, NULL) == 0) {
			if (ganesha_bus_list(bus, &numbers, &n, NULL) == 0) {
				*ret = bus;
				return 0;
			}
			ganesha_bus_close(bus);
		}
		poll(NULL, 0, 5);
	}
	return failed_start(s->nfsd, "NFS-Ganesha", log, false, e);
}

static int launch_nfsd(struct ganesha_server *s, const char *program, const char *conf, bool with_exports,
		       struct ganesha_bus **ret, struct error *e)
{
	_cleanup_free_ char *path = xasprintf("%s/ganesha.conf", s->dir);
	_cleanup_free_ char *pid_file = xasprintf("%s/ganesha.nfsd.pid", s->dir);
	_cleanup_free_ char *bus = xasprintf("DBUS_SYSTEM_BUS_ADDRESS=%s", s->address);
	_cleanup_free_ char *blocks = with_exports ? ganesha_blocks_read(s->dir) : xstrdup("");
	_cleanup_free_ char *text = xasprintf("%s%s", conf, blocks);
	const char *const env[] = { PROGRAM_PATH, bus, NULL };
	int r = write_text(s, "ganesha.conf", text, e);

	if (r == 0)
		r = export_server_start(s->nfsd,
					(const char *const[]){ program, "-F", "-f", path, "-p", pid_file, "-L",
							       "STDERR", "-N", "NIV_EVENT", NULL },
					env, e);
	if (r == 0)
		r = await_nfsd(s, ret, e);
	if (r < 0)
		(void)export_server_stop(s->nfsd, STOP_LIMIT);
	return r;
}

static int start_nfsd(struct ganesha_server *s, const char *conf, struct ganesha_bus **ret, struct error *e)
{
	_cleanup_free_ char *program = NULL;
	int r = export_server_find_program("ganesha.nfsd", "nfs-ganesha nfs-ganesha-vfs", &program, e);

	if (r == 0)
		r = launch_nfsd(s, program, conf, true, ret, e);
	/* One export that it does not take keeps it from starting: then all come from those who put them. */
	if (r == -ECHILD)
		r = launch_nfsd(s, program, conf, false, ret, e);
	return r;
}

/* The one that runs, if it can be gone on with: it answers, is configured as we would, and sees our mounts. */
static int take_over(struct ganesha_server *s, const char *conf, struct ganesha_bus **ret)
{
	_cleanup_free_ unsigned *numbers = NULL;
	struct ganesha_bus *bus;
	size_t n;

	if (export_server_take_over(s->nfsd) < 0 || export_server_take_over(s->bus) < 0 || !answers(s) ||
	    !is_configured(s, conf) || !export_server_is_in_place(s->nfsd))
		return -ESRCH;
	if (ganesha_bus_open(s->address, &bus, NULL) < 0)
		return -ESRCH;
	if (ganesha_bus_list(bus, &numbers, &n, NULL) < 0) {
		ganesha_bus_close(bus);
		return -ESRCH;
	}
	*ret = bus;
	return 0;
}

int ganesha_server_start(struct ganesha_server *s, struct ganesha_bus **ret_bus, struct error *e)
{
	_cleanup_free_ char *conf = make_conf(s);
	int r;

	if (strlen(s->dir) + strlen("/bus") >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(e, ERR_BACKEND_DOWN, ENAMETOOLONG,
				 "%s/bus is too long for the path of a socket: set a shorter runtime_dir", s->dir);
	r = make_directories(s, e);
	if (r < 0)
		return r;
	if (take_over(s, conf, ret_bus) == 0)
		return 0;
	if (!export_server_stop(s->nfsd, STOP_LIMIT))
		return error_set(e, ERR_BACKEND_DOWN, EBUSY, "NFS-Ganesha (process %d) does not end: see what holds it",
				 (int)export_server_pid(s->nfsd));
	/* A bus that is being killed may look well for some moments. */
	r = -EAGAIN;
	for (int i = 0; i < BUS_TRIES && r == -EAGAIN; i++) {
		r = start_bus(s, e);
		if (r == 0)
			r = start_nfsd(s, conf, ret_bus, e);
	}
	return r;
}

int ganesha_server_stop(struct ganesha_server *s, struct error *e)
{
	struct export_server *const both[] = { s->nfsd, s->bus };

	for (size_t i = 0; i < sizeof(both) / sizeof(*both); i++) {
		(void)export_server_take_over(both[i]);
		if (!export_server_stop(both[i], STOP_LIMIT))
			return error_set(e, ERR_DRIVER_FAILED, EBUSY, "%s (process %d) does not end: see what holds it",
					 i == 0 ? "NFS-Ganesha" : "the bus of NFS-Ganesha",
					 (int)export_server_pid(both[i]));
	}
	return 0;
}
