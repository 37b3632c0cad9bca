/* What a hook costs, by module, beside the least that has to be done for the same: a program started and waited for, a
 * line to a process and one back, an HTTP request, a datagram, an indirect call.
 *
 *	bench_hooks DIRECTORY [ROUNDS [TURNS]]      where the programs are; the files lie below it while it runs
 *
 * One daemon, with a backend for each module, phase and number of hooks, and one without hooks. The call is
 *update_access on a share without rules: every part of a call, and next to nothing to do. The store lies in memory, so
 *that no disk drowns the hooks. The bare work and the same call of the backends are timed in turns, a few at a time,
 *for what a call leaves to be done meets the next one. What a hook costs is the median of its calls, less that of the
 *calls without hooks, by the number of hooks. The daemon's own figures of hooks are whole milliseconds, too coarse for
 *this. */
#include "tests/bench/bench_bare.h"
#include "tests/bench/bench_place.h"

#include "hooks/hook.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define METHOD  "update_access"
#define JOURNAL "/run/systemd/journal/socket"

enum { ROUNDS_MAX = 99, TURNS_MAX = 10000, FEW = 1, MANY = 3, AT_A_TIME = 4, INDIRECT_CALLS = 1000, EVENT_MAX = 65536 };
enum { PRE, POST, PHASES };
static const char *const phase_names[PHASES] = { "pre", "post" };
static const unsigned counts[] = { FEW, MANY };
enum { COUNTS = sizeof counts / sizeof *counts };

/* An event as a hook gets it, and as a line for a process that answers lines. */
static struct {
	char text[EVENT_MAX], line[EVENT_MAX + 16];
	size_t len, line_len;
} events[PHASES];

struct work {
	const char *name; /* of its backends, which are NAME-PHASE-COUNT */
	const char *title, *bare;
	size_t turns; /* in a round */
	size_t times; /* that the bare work is done in a turn; 0: AT_A_TIME */
	void (*do_bare)(int phase);
	char entry[8192];
	bool left_out;
	/* Seconds, by round. */
	double floor[PHASES][ROUNDS_MAX], cost[PHASES][COUNTS][ROUNDS_MAX];
};

static const char *build;
static size_t rounds = 9, turns;
static struct wire *wire;
static struct talk *program, *python;
static struct web *tcp, *local;
static const struct hook_ops *noop;

/* ---- the bare works ---- */

static void run_program(int phase)
{
	const char *argv[] = { place_path("bench_program"), phase_names[phase], METHOD, NULL };

	bare_run(argv, events[phase].text, events[phase].len);
}

static void ask_program(int phase)
{
	talk_once(program, events[phase].line, events[phase].line_len);
}

static void ask_python(int phase)
{
	talk_once(python, events[phase].line, events[phase].line_len);
}

static void post_tcp(int phase)
{
	web_post(tcp, events[phase].text, events[phase].len);
}

static void post_unix(int phase)
{
	web_post(local, events[phase].text, events[phase].len);
}

static void send_datagram(int phase)
{
	bare_datagram(JOURNAL, events[phase].text, events[phase].len);
}

static void call_indirectly(int phase)
{
	static const struct hook_event event;
	json_t *returned = NULL;
	int (*volatile call)(void *, const struct hook_event *, json_t **, struct error *) =
		phase == PRE ? noop->execute_pre_hook : noop->execute_post_hook;

	call(NULL, &event, &returned, NULL);
}

static struct work works[] = {
	{ .name = "so",
	  .title = "shared object",
	  .bare = "an indirect call",
	  .turns = 200,
	  .times = INDIRECT_CALLS,
	  .do_bare = call_indirectly },
	{ .name = "journal", .title = "journal", .bare = "a datagram", .turns = 100, .do_bare = send_datagram },
	{ .name = "coproc", .title = "coproc", .bare = "a line there and back", .turns = 50, .do_bare = ask_program },
	{ .name = "python",
	  .title = "python",
	  .bare = "the same, a loop in Python",
	  .turns = 50,
	  .do_bare = ask_python },
	{ .name = "unix", .title = "webhook, Unix socket", .bare = "a request", .turns = 50, .do_bare = post_unix },
	{ .name = "tcp", .title = "webhook, TCP", .bare = "a request", .turns = 50, .do_bare = post_tcp },
	{ .name = "exec",
	  .title = "exec, a program",
	  .bare = "spawn, pipes, wait",
	  .turns = 8,
	  .do_bare = run_program },
	{ .name = "dir",
	  .title = "exec, a directory",
	  .bare = "spawn, pipes, wait",
	  .turns = 8,
	  .do_bare = run_program },
};
enum { WORKS = sizeof works / sizeof *works };

static struct work *work(const char *name)
{
	for (size_t i = 0; i < WORKS; i++)
		if (strcmp(works[i].name, name) == 0)
			return &works[i];
	give_up("there is no work \"%s\"", name);
}

/* ---- sockets that hooks send to ---- */

static int bind_unix(const char *path, int type)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	if (strlen(path) >= sizeof sa.sun_path)
		give_up("the path %s is too long for a socket: run it in a directory with a shorter path", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0))
		give_up("cannot make the socket %s: %s", path, strerror(errno));
	return fd;
}

static int bind_tcp(unsigned *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		give_up("cannot listen on 127.0.0.1: %s", strerror(errno));
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* In a /run of our own: the machine's journal would get ten thousand records, and its speed is not what is asked. */
static int bind_journal(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0)
		return -1;
	return bind_unix(JOURNAL, SOCK_DGRAM);
}

static void start_server(void)
{
	char path[4096], number[3][16], url[64];
	const char *argv[] = { path, number[0], number[1], number[2], NULL };
	unsigned port;
	int fds[] = { bind_tcp(&port), bind_unix(place_path("http.sock"), SOCK_STREAM), bind_journal() };

	if (fds[2] < 0) {
		work("journal")->left_out = true;
		argv[3] = NULL;
	}
	for (size_t i = 0; i < 3; i++)
		snprintf(number[i], sizeof number[i], "%d", fds[i]);
	snprintf(path, sizeof path, "%s/tests/bench/bench_server", build);
	start("server", argv);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
	snprintf(work("tcp")->entry, sizeof works->entry, "webhook:%s", url);
	snprintf(work("unix")->entry, sizeof works->entry, "webhook:unix:%s:/", place_path("http.sock"));
	tcp = web_open(url, NULL);
	local = web_open("http://localhost/", place_path("http.sock"));
}

/* ---- programs ---- */

static void make_executable(const char *name, const char *text)
{
	place_write(name, text);
	if (chmod(place_path("%s", name), 0755) < 0)
		give_up("cannot make %s executable: %s", place_path("%s", name), strerror(errno));
}

static void make_directory(const char *name)
{
	if (mkdir(place_path("%s", name), 0755) < 0)
		give_up("cannot make %s: %s", place_path("%s", name), strerror(errno));
}

static const char *built(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/tests/bench/%s", build, name);
	return path;
}

static void make_programs(void)
{
	static const char hook[] =
		"from sharesd.hook import HookBase\n\n\n"
		"class Noop(HookBase):\n"
		"    def _execute_pre_hook(self, context, func_name, *args, **kwargs):\n"
		"        return None\n\n"
		"    def _execute_post_hook(self, context, func_name, pre_hook_data, results, *args, "
		"**kwargs):\n"
		"        return None\n";
	static const char loop[] = "import json, sys\n"
				   "for line in sys.stdin:\n"
				   "    print(json.dumps({'id': json.loads(line)['id']}), flush=True)\n";
	char capture[8192];

	place_copy(built("bench_program"));
	place_copy(built("bench_hook.so"));
	place_write("noop.py", hook);
	place_write("loop.py", loop);
	make_directory("dir");
	make_directory("capture");
	snprintf(capture, sizeof capture, "#!/bin/sh\nexec cat >%s-$1\n", place_path("event"));
	for (int phase = 0; phase < PHASES; phase++) {
		char name[64];

		snprintf(name, sizeof name, "dir/%s-" METHOD, phase_names[phase]);
		if (link(place_path("bench_program"), place_path("%s", name)) < 0)
			give_up("cannot make %s: %s", place_path("%s", name), strerror(errno));
		snprintf(name, sizeof name, "capture/%s-" METHOD, phase_names[phase]);
		make_executable(name, capture);
	}
	snprintf(work("so")->entry, sizeof works->entry, "%s:noop", place_path("bench_hook.so"));
	snprintf(work("journal")->entry, sizeof works->entry, "journal");
	snprintf(work("coproc")->entry, sizeof works->entry, "coproc:%s", place_path("bench_program"));
	snprintf(work("python")->entry, sizeof works->entry, "python:noop:Noop");
	snprintf(work("exec")->entry, sizeof works->entry, "exec:%s", place_path("bench_program"));
	snprintf(work("dir")->entry, sizeof works->entry, "exec:%s", place_path("dir"));
}

static void open_bare(void)
{
	const char *coproc_argv[] = { place_path("bench_program"), NULL };
	const char *python_argv[] = { "/usr/bin/python3", place_path("loop.py"), NULL };
	void *handle = dlopen(place_path("bench_hook.so"), RTLD_NOW);

	noop = handle ? dlsym(handle, "noop") : NULL;
	if (!noop)
		give_up("%s", dlerror());
	program = talk_open(coproc_argv);
	python = talk_open(python_argv);
}

/* ---- the daemon ---- */

static void write_backend(FILE *f, const char *name, const char *entry, unsigned count, bool pre, bool post)
{
	fprintf(f,
		"sim \"%s\" {\n\tstats_interval = 86400\n\tenable_pre_hooks = %s\n\tenable_post_hooks = %s\n"
		"\thook_drivers = {",
		name, pre ? "true" : "false", post ? "true" : "false");
	for (unsigned i = 0; i < count; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", entry);
	fprintf(f, "}\n}\n");
}

static void write_conf(void)
{
	char entry[8192], name[64], *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "state_dir = \"%s\"\nsocket = \"%s\"\nlog_level = \"warning\"\nadmin_groups = {}\n",
		place_in_memory(), place_path("sock"));
	fprintf(f, "python_path = {\"%s\"}\n", place_path("."));
	snprintf(entry, sizeof entry, "exec:%s", place_path("capture"));
	write_backend(f, "capture", entry, 1, true, true);
	write_backend(f, "none", "", 0, false, false);
	for (size_t i = 0; i < WORKS; i++)
		for (int phase = 0; phase < PHASES; phase++)
			for (size_t c = 0; c < COUNTS; c++) {
				snprintf(name, sizeof name, "%s-%s-%u", works[i].name, phase_names[phase], counts[c]);
				write_backend(f, name, works[i].entry, counts[c], phase == PRE, phase == POST);
			}
	fclose(f);
	place_write("conf", text);
	free(text);
}

/* Its share is called as the backend. */
static void call(const char *backend)
{
	char line[512];
	int n = snprintf(line, sizeof line,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" METHOD "\",\"params\":{\"share\":\"%s\"}}\n",
			 backend);

	wire_ask(wire, line, (size_t)n);
}

static const char *ask_backend(const char *name)
{
	char line[512];
	int n = snprintf(line, sizeof line,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get_backend\",\"params\":{\"backend\":\"%s\"}}\n",
			 name);

	return wire_ask(wire, line, (size_t)n);
}

static void make_share(const char *backend)
{
	char line[512];
	int n = snprintf(line, sizeof line,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create_share_instance\",\"params\":{\"backend\":"
			 "\"%s\",\"name\":\"%s\",\"size_bytes\":1073741824}}\n",
			 backend, backend);

	wire_ask(wire, line, (size_t)n);
}

static void prepare(const char *name)
{
	double end = seconds() + 120;
	const char *answer;

	while (!strstr(answer = ask_backend(name), "\"status\":\"up\"")) {
		if (seconds() > end || strstr(answer, "\"status\":\"down\""))
			give_up("the backend \"%s\" does not come up: %s", name, answer);
		usleep(10000);
	}
	make_share(name);
}

static void start_daemon(void)
{
	char path[4096], conf[8192], name[64];
	const char *argv[] = { path, "--config", conf, NULL };

	write_conf();
	snprintf(path, sizeof path, "%s/sharesd", build);
	snprintf(conf, sizeof conf, "%s", place_path("conf"));
	start("daemon", argv);
	wire = wire_open(place_path("sock"));
	prepare("none");
	prepare("capture");
	for (size_t i = 0; i < WORKS; i++)
		for (int phase = 0; phase < PHASES; phase++)
			for (size_t c = 0; c < COUNTS; c++) {
				snprintf(name, sizeof name, "%s-%s-%u", works[i].name, phase_names[phase], counts[c]);
				prepare(name);
			}
}

/* The bare works handle what the hooks of this daemon get. */
static void capture_events(void)
{
	call("capture");
	for (int phase = 0; phase < PHASES; phase++) {
		FILE *f = fopen(place_path("event-%s", phase_names[phase]), "re");
		size_t n = f ? fread(events[phase].text, 1, EVENT_MAX - 1, f) : 0;

		if (n < 2 || events[phase].text[n - 1] != '\n')
			give_up("no event of phase %s was captured", phase_names[phase]);
		fclose(f);
		events[phase].len = n;
		events[phase].line_len = (size_t)snprintf(events[phase].line, sizeof events[phase].line, "{\"id\":1,%s",
							  events[phase].text + 1);
	}
}

/* ---- what is measured ---- */

static double time_bare(const struct work *w, int phase)
{
	size_t times = w->times ? w->times : AT_A_TIME;
	double begin = seconds();

	for (size_t i = 0; i < times; i++)
		w->do_bare(phase);
	return (seconds() - begin) / (double)times;
}

static double time_calls(const char *backend)
{
	double begin = seconds();

	for (size_t i = 0; i < AT_A_TIME; i++)
		call(backend);
	return (seconds() - begin) / AT_A_TIME;
}

static void measure(struct work *w, int phase, size_t round)
{
	static double bare[TURNS_MAX], none[TURNS_MAX], with[COUNTS][TURNS_MAX];
	size_t n = turns ? turns : w->turns;
	char names[COUNTS][64];

	for (size_t c = 0; c < COUNTS; c++)
		snprintf(names[c], sizeof names[c], "%s-%s-%u", w->name, phase_names[phase], counts[c]);
	for (size_t i = 0; i < n; i++) {
		bare[i] = time_bare(w, phase);
		none[i] = time_calls("none");
		for (size_t c = 0; c < COUNTS; c++)
			with[c][i] = time_calls(names[c]);
	}
	w->floor[phase][round] = median(bare, n);
	for (size_t c = 0; c < COUNTS; c++)
		w->cost[phase][c][round] = (median(with[c], n) - median(none, n)) / counts[c];
}

/* ---- the table ---- */

static void print_time(double value)
{
	double us = value * 1e6;

	printf("%9.*f", us < 1 ? 4 : us < 100 ? 1 : 0, us);
}

static void print_ratio(double ratio)
{
	printf("%8.*f", ratio < 100 ? 2 : 0, ratio);
}

static void print_costs(const struct work *w, double ratios[PHASES][COUNTS][ROUNDS_MAX])
{
	double floors = 0;

	for (int phase = 0; phase < PHASES; phase++)
		floors += median(w->floor[phase], rounds) / PHASES;
	printf("%-22s", w->title);
	print_time(floors);
	for (int phase = 0; phase < PHASES; phase++)
		for (size_t c = 0; c < COUNTS; c++) {
			print_time(median(w->cost[phase][c], rounds));
			print_ratio(median(ratios[phase][c], rounds));
		}
	printf("\n");
}

static void print_bounds(const struct work *w, double ratios[PHASES][COUNTS][ROUNDS_MAX])
{
	printf("  %-29s", w->bare);
	for (int phase = 0; phase < PHASES; phase++)
		for (size_t c = 0; c < COUNTS; c++) {
			double lowest = ratios[phase][c][0], highest = lowest;
			char text[64];

			for (size_t i = 1; i < rounds; i++) {
				lowest = ratios[phase][c][i] < lowest ? ratios[phase][c][i] : lowest;
				highest = ratios[phase][c][i] > highest ? ratios[phase][c][i] : highest;
			}
			snprintf(text, sizeof text, "%.*f..%.*f", highest < 100 ? 2 : 0, lowest, highest < 100 ? 2 : 0,
				 highest);
			printf("%17s", text);
		}
	printf("\n");
}

static void print_work(const struct work *w)
{
	double ratios[PHASES][COUNTS][ROUNDS_MAX];

	if (w->left_out) {
		printf("%-22s not measured: a journal of our own in /run takes root and a mount namespace\n", w->title);
		return;
	}
	for (int phase = 0; phase < PHASES; phase++)
		for (size_t c = 0; c < COUNTS; c++)
			for (size_t i = 0; i < rounds; i++)
				ratios[phase][c][i] = w->cost[phase][c][i] / w->floor[phase][i];
	print_costs(w, ratios);
	print_bounds(w, ratios);
}

static void print_table(double none)
{
	printf("\nWhat one hook adds to a call, in microseconds, and as a multiple of the bare work below its name.\n"
	       "Medians of %zu rounds; below the multiples, their bounds. The call without hooks takes %.0f us.\n\n",
	       rounds, none * 1e6);
	printf("%-22s%9s%17s%17s%17s%17s\n", "", "bare", "1 pre hook", "each of 3", "1 post hook", "each of 3");
	printf("%-22s%9s", "", "us");
	for (int i = 0; i < PHASES * COUNTS; i++)
		printf("%9s%8s", "us", "ratio");
	printf("\n");
	for (size_t i = 0; i < WORKS; i++)
		print_work(&works[i]);
}

static size_t number(const char *text, size_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < 1 || n > max)
		give_up("\"%s\" is no number from 1 to %zu", text, max);
	return n;
}

int main(int argc, char **argv)
{
	double none[100];

	if (argc < 2 || argc > 4)
		give_up("usage: bench_hooks DIRECTORY [ROUNDS [TURNS]]");
	build = argv[1];
	rounds = argc > 2 ? number(argv[2], ROUNDS_MAX) : rounds;
	turns = argc > 3 ? number(argv[3], TURNS_MAX) : 0;
	signal(SIGPIPE, SIG_IGN);
	place_open(build);
	make_programs();
	start_server();
	start_daemon();
	capture_events();
	open_bare();
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		none[i] = time_calls("none");
	/* To be warm, what is round 0 is measured twice. */
	for (size_t round = 0; round <= rounds; round++)
		for (size_t i = 0; i < WORKS; i++)
			for (int phase = 0; phase < PHASES && !works[i].left_out; phase++)
				measure(&works[i], phase, round > 0 ? round - 1 : 0);
	print_table(median(none, sizeof none / sizeof *none));
	return EXIT_SUCCESS;
}
