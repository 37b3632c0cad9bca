/* Ten thousand hook runs of mixed fates, and what is left of them: descriptors, processes, memory, files.
 *
 *	fates DIRECTORY RUNS
 *
 * A program run for every event and a long-lived one, each of which succeeds, fails, vetoes, hangs, floods, dies or
 * leaves children behind in turns, stand before and after each call. */
#include "base/cleanup.h"
#include "tests/bench/bench_place.h"
#include "tests/soak/soak.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char exec_text[] = "#!/bin/bash\n"
				"case $(($$ % 10)) in\n"
				"0) cat >/dev/null;;\n"
				"1) echo 'no luck' >&2; exit 1;;\n"
				"2) exit 10;;\n"
				"3) echo 'this is no JSON';;\n"
				"4) setsid sleep 600 & ;;\n"
				"5) sleep 600;;\n"
				"6) kill -SEGV $$;;\n"
				"7) head -c 1500000 /dev/zero;;\n"
				"8) exec 0<&-;;\n"
				"9) (setsid sleep 600 & (trap '' TERM; sleep 600) &) ;;\n"
				"esac\n";

static const char coproc_text[] = "#!/bin/bash\n"
				  "n=0\n"
				  "while read -r line; do\n"
				  "  id=${line#*'\"id\":'}; id=${id%%[,\\}]*}\n"
				  "  case $((n++ % 8)) in\n"
				  "  0|1|2) echo \"{\\\"id\\\":$id,\\\"result\\\":null}\";;\n"
				  "  3) echo \"{\\\"id\\\":$id,\\\"error\\\":\\\"no luck\\\"}\";;\n"
				  "  4) echo \"{\\\"id\\\":$id,\\\"veto\\\":\\\"not today\\\"}\";;\n"
				  "  5) echo garbage; setsid sleep 600 & ;;\n"
				  "  6) sleep 600 & wait;;\n"
				  "  7) exit 1;;\n"
				  "  esac\n"
				  "done\n";

static pid_t daemon_pid;
static struct link *client;

struct left {
	long resident, descriptors, processes, files;
};

static void write_program(const char *name, const char *text)
{
	place_write(name, text);
	if (chmod(place_path("%s", name), 0755) < 0)
		give_up("cannot make %s executable", place_path("%s", name));
}

static void write_conf(void)
{
	char text[8192];

	snprintf(text, sizeof text,
		 "state_dir = \"%s\"\nsocket = \"%s\"\nlog_level = \"error\"\n"
		 "exec_timeout = 0.2\ncoproc_timeout = 0.2\n"
		 "sim \"bench\" {\n hook_drivers = {\"exec:%s\", \"coproc:%s\"}\n enable_pre_hooks = true\n"
		 " enable_post_hooks = true\n enable_error_hooks = true\n suppress_pre_hooks_errors = true\n"
		 " suppress_post_hooks_errors = true\n}\n",
		 place_path("state"), place_path("sock"), place_path("program"), place_path("coproc"));
	place_write("fates.conf", text);
}

static json_t *ask(const char *method, json_t *params)
{
	unsigned again;
	json_t *reply = link_ask(client, method, params, &again);

	json_decref(params);
	if (!reply)
		give_up("no answer to %s", method);
	return reply;
}

static long runs_so_far(void)
{
	json_t *reply = ask("list_hooks", json_object()), *hook;
	long n = 0;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(reply, "result"), "hooks"), i, hook)
		n += (long)json_integer_value(json_object_get(hook, "calls"));
	json_decref(reply);
	return n;
}

/* Processes that were started by the daemon, or by those: all have its socket in their environment. */
static bool is_of_a_hook(const char *pid)
{
	char path[300], text[4096], mark[600];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	snprintf(mark, sizeof mark, "SHARESD_SOCKET=%s", place_path("sock"));
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, sizeof text, f);
		fclose(f);
	}
	return memmem(text, n, mark, strlen(mark));
}

static long count(const char *path, bool (*counts)(const char *name))
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	long n = 0;

	while (d && (entry = readdir(d)))
		n += !counts || counts(entry->d_name);
	if (d)
		closedir(d);
	return n;
}

static struct left look(void)
{
	char fds[64];

	snprintf(fds, sizeof fds, "/proc/%d/fd", (int)daemon_pid);
	return (struct left){ memory_of(daemon_pid, "VmRSS"), count(fds, NULL), count("/proc", is_of_a_hook),
			      count(place_path("%s", ""), NULL) + count(place_path("tmp"), NULL) };
}

static void run(long runs)
{
	for (long size = 2; runs_so_far() < runs;)
		for (int i = 0; i < 20; i++)
			json_decref(ask("extend_share",
					json_pack("{s:s,s:I}", "share", "a", "size_bytes", (json_int_t)(size += 1))));
}

static void print(const char *what, long from, long to)
{
	printf("%-12s %6ld before, %6ld after\n", what, from, to);
}

int main(int argc, char **argv)
{
	char program[4096], conf[4096];
	const char *daemon_argv[] = { program, "--config", conf, NULL };
	struct left from, to;
	long runs = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	if (runs < 1)
		give_up("usage: fates DIRECTORY RUNS");
	place_open(argv[1]);
	if (mkdir(place_path("tmp"), 0700) < 0 || setenv("TMPDIR", place_path("tmp"), 1) < 0)
		give_up("no place for temporary files");
	write_program("program", exec_text);
	write_program("coproc", coproc_text);
	write_conf();
	snprintf(program, sizeof program, "%s/sharesd", argv[1]);
	snprintf(conf, sizeof conf, "%s", place_path("fates.conf"));
	daemon_pid = start("sharesd", daemon_argv);
	client = link_new(place_path("sock"));
	json_decref(ask("create_share_instance",
			json_pack("{s:s,s:i,s:b}", "name", "a", "size_bytes", 1, "skip_hooks", 1)));
	run(runs / 10);
	from = look();
	run(runs);
	to = look();
	printf("hook runs    %ld\n", runs_so_far());
	print("descriptors", from.descriptors, to.descriptors);
	print("processes", from.processes, to.processes);
	print("resident KiB", from.resident, to.resident);
	print("files", from.files, to.files);
	link_free(client);
	stop(daemon_pid);
	if (count("/proc", is_of_a_hook) > 0)
		give_up("processes of hooks outlive the daemon");
	return to.descriptors > from.descriptors + 4 || to.processes > from.processes + 2 || to.files > from.files ||
			       to.resident > from.resident + 2048
		       ? EXIT_FAILURE
		       : EXIT_SUCCESS;
}
