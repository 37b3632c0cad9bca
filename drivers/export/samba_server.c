#include "drivers/export/samba_server.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "drivers/export/netns.h"
#include "drivers/export/samba_tools.h"
#include "drivers/export/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Seconds until it answers; it takes a fraction of one. */
#define LIMIT      25.0
#define STOP_LIMIT 5.0
#define PORT_LIMIT 2.0
#define CONF_MAX   65536
/* What the kernel gives at most. */
#define PID_MOST 4194304
/* Where Debian's Samba keeps who may come in. */
#define SYSTEM_CONF "/etc/samba/smb.conf"

struct samba_server {
	const struct settings *settings;
	char *run;   /* RUNTIME/samba */
	char *state; /* STATE/samba */
	char *conf;
	char *netns; /* NULL: ours */
	struct export_server *smbd;
};

struct samba_server *samba_server_new(const struct settings *settings, const struct export_place *place)
{
	struct samba_server *s = xcalloc(1, sizeof *s);

	s->settings = settings;
	s->run = xasprintf("%s/samba", place->runtime_dir);
	s->state = xasprintf("%s/samba", place->state_dir);
	s->conf = xasprintf("%s/smb.conf", s->run);
	s->netns = xstrdup(place->netns);
	s->smbd = export_server_new(s->run, "smbd");
	if (s->netns)
		export_server_live_in(s->smbd, s->netns);
	return s;
}

void samba_server_free(struct samba_server *s)
{
	if (!s)
		return;
	export_server_free(s->smbd);
	free(s->run);
	free(s->state);
	free(s->conf);
	free(s->netns);
	free(s);
}

bool samba_server_is_alive(struct samba_server *s)
{
	return export_server_is_alive(s->smbd);
}

const char *samba_server_conf(const struct samba_server *s)
{
	return s->conf;
}

const char *samba_server_dir(const struct samba_server *s)
{
	return s->run;
}

/* ---- its place ---- */

static int check_text(const char *path, struct error *e)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || strchr("%\"\\", *c))
			return error_set(e, ERR_BACKEND_DOWN, EINVAL,
					 "%s cannot be written in Samba's configuration: choose a directory without "
					 "%%, \", \\ and control characters",
					 path);
	return 0;
}

/* smbd has a socket for each of its processes there. */
static int check_length(const struct samba_server *s, struct error *e)
{
	_cleanup_free_ char *longest = xasprintf("%s/private/msg.sock/%d", s->state, PID_MOST);

	if (strlen(longest) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return 0;
	return error_set(e, ERR_BACKEND_DOWN, ENAMETOOLONG,
			 "%s is too long for the path of a socket: set a shorter state_dir", longest);
}

static int make_directories(const struct samba_server *s, struct error *e)
{
	static const char *const run[] = { "lock", "cache", "pid", "ncalrpc", "log" }, *const state[] = { "private",
													  "state" };
	int r;

	if ((r = check_text(s->run, e)) < 0 || (r = check_text(s->state, e)) < 0 || (r = check_length(s, e)) < 0 ||
	    (r = export_server_make_directory(s->run, e)) < 0 || (r = export_server_make_directory(s->state, e)) < 0)
		return r;
	for (size_t i = 0; r == 0 && i < sizeof run / sizeof *run; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", s->run, run[i]);

		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			r = error_errno(e, errno, "cannot make %s", path);
	}
	for (size_t i = 0; r == 0 && i < sizeof state / sizeof *state; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", s->state, state[i]);

		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			r = error_errno(e, errno, "cannot make %s", path);
	}
	return r;
}

/* What samba_passdb says, else what the distribution's Samba uses. Owned by the caller. */
static int find_passdb(const struct samba_server *s, char **ret, struct error *e)
{
	const char *path = settings_string(s->settings, "samba_passdb");
	_cleanup_free_ char *backend = NULL, *private = NULL;
	int r;

	if (*path) {
		*ret = xasprintf("tdbsam:%s", path);
		return check_text(path, e);
	}
	if (access(SYSTEM_CONF, R_OK) < 0) {
		*ret = xstrdup("tdbsam:/var/lib/samba/private/passdb.tdb");
		return 0;
	}
	if ((r = samba_parameter(SYSTEM_CONF, "passdb backend", &backend, e)) < 0 ||
	    (r = samba_parameter(SYSTEM_CONF, "private dir", &private, e)) < 0)
		return r;
	*ret = strcmp(backend, "tdbsam") == 0 ? xasprintf("tdbsam:%s/passdb.tdb", private) : take_ptr(backend);
	return 0;
}

/* Owned by the caller. */
static int make_conf(const struct samba_server *s, char **ret, struct error *e)
{
	_cleanup_free_ char *passdb = NULL;
	int r = find_passdb(s, &passdb, e);

	if (r < 0)
		return r;
	*ret = xasprintf(
		"# Made anew by sharesd at each start of its smbd.\n[global]\n"
		"\tserver role = standalone server\n\tsmb ports = %lld\n\tdisable netbios = yes\n"
		"\tlock directory = %s/lock\n\tcache directory = %s/cache\n\tpid directory = %s/pid\n"
		"\tncalrpc dir = %s/ncalrpc\n\tstate directory = %s/state\n\tprivate dir = %s/private\n"
		"\tpassdb backend = %s\n\tlog file = %s/log/smbd.log\n\tmax log size = 10000\n"
		"\tload printers = no\n\tprinting = bsd\n\tprintcap name = /dev/null\n\tdisable spoolss = yes\n"
		"\tmap to guest = never\n\trestrict anonymous = 2\n\taccess based share enum = yes\n"
		"\tallow insecure wide links = no\n\tunix extensions = no\n"
		"\tinclude = registry\n\tregistry shares = yes\n",
		(long long)settings_int(s->settings, "samba_port"), s->run, s->run, s->run, s->run, s->state, s->state,
		passdb, s->run);
	return 0;
}

static bool conf_is(const struct samba_server *s, const char *text)
{
	_cleanup_close_ int dir = path_open_root(s->run);
	_cleanup_free_ char *there = NULL;

	return dir >= 0 && path_read_file(dir, "smb.conf", CONF_MAX, &there, NULL) == 0 && strcmp(there, text) == 0;
}

static int write_conf(const struct samba_server *s, const char *text, struct error *e)
{
	_cleanup_close_ int dir = path_open_root(s->run);
	int r = dir < 0 ? dir : path_write_file(dir, "smb.conf", text, strlen(text), 0600);

	return r < 0 ? error_errno(e, -r, "cannot write %s", s->conf) : 0;
}

/* ---- its start ---- */

static int port_of(const struct samba_server *s)
{
	return (int)settings_int(s->settings, "samba_port");
}

/* In its network. */
static int open_socket(const struct samba_server *s, int family)
{
	return netns_socket(s->netns, family, SOCK_STREAM | SOCK_CLOEXEC);
}

/* Does somebody listen there already? */
static bool is_taken(const struct samba_server *s, int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	_cleanup_close_ int six = open_socket(s, AF_INET6);
	_cleanup_close_ int four = open_socket(s, AF_INET);
	int yes = 1;

	if (four >= 0)
		(void)setsockopt(four, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (six >= 0) {
		(void)setsockopt(six, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
		(void)setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	}
	return (four >= 0 && bind(four, (struct sockaddr *)&any4, sizeof any4) < 0 && errno == EADDRINUSE) ||
	       (six >= 0 && bind(six, (struct sockaddr *)&any, sizeof any) < 0 && errno == EADDRINUSE);
}

/* What is left of a server that was killed may have it for a moment. */
static bool await_port(const struct samba_server *s, int port)
{
	double until = text_monotonic() + PORT_LIMIT;

	while (is_taken(s, port)) {
		if (text_monotonic() > until)
			return false;
		poll(NULL, 0, 20);
	}
	return true;
}

static bool answers(const struct samba_server *s, int port)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	_cleanup_close_ int fd = open_socket(s, AF_INET);

	return fd >= 0 && connect(fd, (struct sockaddr *)&here, sizeof here) == 0;
}

static int wait_for_answer(struct samba_server *s, struct error *e)
{
	double until = text_monotonic() + LIMIT;

	while (text_monotonic() < until) {
		if (!export_server_is_alive(s->smbd)) {
			_cleanup_free_ char *line = export_server_log_line(s->smbd, NULL);

			return error_set(e, ERR_BACKEND_DOWN, ECHILD,
					 "smbd ended at its start: %s (see %s/smbd.log and "
					 "%s/log)",
					 line ? line : "it said nothing", s->run, s->run);
		}
		if (answers(s, port_of(s)))
			return 0;
		poll(NULL, 0, 20);
	}
	return error_set(e, ERR_BACKEND_DOWN, ETIMEDOUT, "smbd does not answer on port %d: see %s/smbd.log", port_of(s),
			 s->run);
}

static int launch(struct samba_server *s, struct error *e)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL };
	_cleanup_free_ char *program = NULL, *log = xasprintf("%s/log", s->run);
	int r = samba_find_program("smbd", &program, e);

	if (r < 0)
		return r;
	if (!await_port(s, port_of(s)))
		return error_set(
			e, ERR_BACKEND_DOWN, EADDRINUSE,
			"port %d is another program's, so smbd cannot be started: stop that, or set samba_port, "
			"or samba_mode = \"system\" where it is the distribution's smbd",
			port_of(s));
	/* In the foreground, and alone in its session: at its end it signals its whole process group. */
	const char *const argv[] = { program, "-F", "--no-process-group", "-s", s->conf, "-l", log, NULL };

	crash_step("samba: start smbd");
	if ((r = export_server_start(s->smbd, argv, env, e)) < 0)
		return r;
	crash_step("samba: started smbd");
	if ((r = wait_for_answer(s, e)) < 0)
		(void)export_server_stop(s->smbd, 2);
	return r;
}

int samba_server_start(struct samba_server *s, struct error *e)
{
	_cleanup_free_ char *program = NULL, *conf = NULL;
	bool running;
	int r;

	/* Before anything is made: all of it is in one package. */
	if ((r = samba_find_program("net", &program, e)) < 0 || (r = make_directories(s, e)) < 0)
		return r;
	if ((r = make_conf(s, &conf, e)) < 0)
		return r;
	running = export_server_take_over(s->smbd) == 0;
	/* Its port, its passdb or its network may be another now. */
	if (running && conf_is(s, conf) && (!s->netns || export_server_is_in_place(s->smbd))) {
		r = wait_for_answer(s, e);
		if (r == 0 || export_server_is_alive(s->smbd))
			return r;
		/* It was about to end when it was taken over. */
		error_clear(e);
		running = false;
	}
	if (running && !export_server_stop(s->smbd, STOP_LIMIT))
		return error_set(e, ERR_BACKEND_DOWN, EBUSY, "smbd, process %d, does not end: see what holds it",
				 (int)export_server_pid(s->smbd));
	return (r = write_conf(s, conf, e)) < 0 ? r : launch(s, e);
}

int samba_server_stop(struct samba_server *s, struct error *e)
{
	(void)export_server_take_over(s->smbd);
	if (export_server_stop(s->smbd, STOP_LIMIT))
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, EBUSY, "smbd (process %d) does not end: see what holds it",
			 (int)export_server_pid(s->smbd));
}
