/* sharesd: arguments, the conf file, then the service. */
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/arguments.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "daemon/plugins.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

/* EX_CONFIG: a unit does not restart on it. */
#define EXIT_CONFIG 78

static void print_lines(const char *kind, struct conf_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		fprintf(stderr, "%s: %s\n", kind, f->lines[i]);
	conf_faults_clear(f);
}

static int load_conf(const char *path, struct conf **ret)
{
	struct conf_faults faults = { 0 }, warnings = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;
	const struct conf_schema *schema;
	bool told = false;
	int r = plugins_load(path, &e);

	/* A conf file that cannot be scanned is refused by the parser below, with all its faults. */
	if (r < 0 && e.message && e.kind == ERR_INTERNAL)
		r = 0;
	schema = daemon_schema();
	if (r == 0)
		r = conf_schema_check(schema, &e);
	if (r == 0) {
		r = conf_load(path, schema, ret, &faults, &warnings, &e);
		told = faults.n > 0;
		print_lines("warning", &warnings);
		print_lines("error", &faults);
	}
	if (r < 0 && !told)
		fprintf(stderr, "error: %s\n", e.message);
	return r;
}

/* Groups that are not delegated to us are nothing to speak of: list_hooks shows what holds a hook. */
static void set_up_groups(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (cgroup_setup(&e) < 0 && e.message)
		log_notice("hooks get no control groups, and are held together by their helpers alone: %s", e.message);
}

int main(int argc, char **argv)
{
	struct arguments args;
	struct conf *conf = NULL;
	enum log_level level;
	int r, n_fds;
	int fds[16]; /* one more than are served is enough to refuse them */

	mem_setup();
	/* libevent's too: of a connection without its buffers nothing good can come. */
	event_set_mem_functions(xmalloc, xrealloc, free);
	json_object_seed(0);
	signal(SIGPIPE, SIG_IGN);
	umask(0077);
	r = arguments_parse(argc, argv, &args);
	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (load_conf(args.conf, &conf) < 0)
		return EXIT_CONFIG;
	if (args.check_only) {
		printf("%s: no faults\n", args.conf);
		conf_unref(conf);
		return EXIT_SUCCESS;
	}
	log_open();
	if (log_level_from_name(settings_string(conf_top(conf), "log_level"), &level) == 0)
		log_set_level(level);
	crash_setup();
	n_fds = sd_listen_fds(1);
	for (int i = 0; i < n_fds && i < 16; i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	set_up_groups();
	r = loop_run(args.conf, conf, fds, n_fds > 16 ? 16 : n_fds);
	cgroup_setup_end();
	conf_unref(conf);
	if (r < 0)
		log_linger();
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
