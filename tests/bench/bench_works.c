#include "tests/bench/bench_works.h"

#include "tests/bench/bench_bare.h"
#include "tests/bench/bench_place.h"

#include "hooks/hook.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL "/run/systemd/journal/socket"

enum { INDIRECT_CALLS = 1000, EVENT_MAX = 65536 };

const char *const phase_names[PHASES] = { "pre", "post" };

/* An event as a hook gets it, and as a line for a process that answers lines. */
static struct {
	char text[EVENT_MAX], line[EVENT_MAX + 16];
	size_t len, line_len;
} events[PHASES];

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

struct work works[WORKS] = {
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

static struct work *work(const char *name)
{
	for (size_t i = 0; i < WORKS; i++)
		if (strcmp(works[i].name, name) == 0)
			return &works[i];
	give_up("there is no work \"%s\"", name);
}

/* ---- sockets that hooks send to ---- */

static const char *built(const char *build, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/tests/bench/%s", build, name);
	return path;
}

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

static void start_server(const char *build)
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
	snprintf(path, sizeof path, "%s", built(build, "bench_server"));
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

static void make_programs(const char *build)
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

	place_copy(built(build, "bench_program"));
	place_copy(built(build, "bench_hook.so"));
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

static void read_events(void)
{
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

void works_make(const char *build)
{
	make_programs(build);
	start_server(build);
}

const char *works_capture(void)
{
	static char entry[8192];

	snprintf(entry, sizeof entry, "exec:%s", place_path("capture"));
	return entry;
}

void works_open(void)
{
	read_events();
	open_bare();
}
