/* Many mixed calls, while the daemon is killed and reloaded and rude clients press in, and what came of them: nothing
 * that was answered may be lost, nothing may be there that nobody asked for, nothing may be stuck.
 *
 *	soak DIRECTORY CALLS [SEED]      where the programs are; root, since there are rude clients of another user
 *
 * Part one is killed now and then; part two is not, so that what one process needs over time shows. */
#include "tests/soak/soak.h"
#include "tests/bench/bench_place.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct soak *soak;
static const char *build;
static unsigned seed, kills, reloads;
static pid_t daemon_pid;

/* What one process of the daemon needs. */
struct needs {
	long resident, descriptors, database; /* KiB, number, KiB */
};

static unsigned chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void write_conf(unsigned variant)
{
	char text[8192];

	snprintf(text, sizeof text,
		 "state_dir = \"%s\"\nsocket = \"%s\"\nlog_level = \"warning\"\nreader_groups = {\"nogroup\"}\n"
		 "stats_interval = %u.0\nrequest_line_timeout = 5.0\n"
		 "dir \"plain\" { root = \"%s\" }\n"
		 "dir \"hooked\" {\n root = \"%s\"\n hook_drivers = {\"%s:noop\"}\n enable_pre_hooks = true\n"
		 " enable_post_hooks = true\n}\n",
		 place_path("state"), soak->socket, 20 + variant, place_path("plain"), place_path("hooked"),
		 place_path("bench_hook.so"));
	place_write("soak.conf", text);
}

static void start_daemon(void)
{
	char program[4096], conf[4096];
	const char *argv[] = { program, "--config", conf, NULL };

	snprintf(program, sizeof program, "%s/sharesd", build);
	snprintf(conf, sizeof conf, "%s", place_path("soak.conf"));
	daemon_pid = start("sharesd", argv);
}

static void kill_daemon(void)
{
	end_at_once(daemon_pid);
	kills++;
	start_daemon();
}

static long count_entries(const char *path)
{
	DIR *d = opendir(path);
	long n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static struct needs look_at_needs(void)
{
	char path[64];
	struct stat st = { 0 };
	struct needs n = { .resident = memory_of(daemon_pid, "VmRSS") };

	snprintf(path, sizeof path, "/proc/%d/fd", (int)daemon_pid);
	n.descriptors = count_entries(path);
	stat(place_path("state/sharesd.db"), &st);
	n.database = (long)(st.st_size / 1024);
	return n;
}

/* Where the rude ones are not: what they make the daemon hold for a moment is not growth. */
static struct needs calm_needs(pid_t rude)
{
	struct needs n;

	kill(rude, SIGSTOP);
	sleep(7); /* their unfinished lines are over by then */
	n = look_at_needs();
	kill(rude, SIGCONT);
	return n;
}

static void fork_workers(pid_t *pids)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		unsigned of_child = chance(1u << 30);

		pids[i] = fork();
		if (pids[i] == 0)
			soak_work(soak, i, of_child);
	}
}

static size_t running(pid_t *pids)
{
	size_t n = 0;

	for (size_t i = 0; i < WORKERS; i++) {
		int status;

		if (pids[i] > 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			pids[i] = 0;
			if (status != 0)
				give_up("a worker ended with status %d", status);
		}
		n += pids[i] > 0;
	}
	return n;
}

/* Until `calls` have been made. */
static void part(size_t calls, bool with_kills)
{
	pid_t pids[WORKERS];
	double next_kill = seconds() + 1, next_reload = seconds() + 2;

	soak->wanted = calls;
	fork_workers(pids);
	while (running(pids) > 0) {
		if (with_kills && seconds() > next_kill) {
			kill_daemon();
			next_kill = seconds() + 0.5 + chance(3000) / 1000.0;
		}
		if (seconds() > next_reload) {
			write_conf(++reloads % 10);
			kill(daemon_pid, SIGHUP);
			next_reload = seconds() + 2 + chance(3000) / 1000.0;
		}
		if (waitpid(daemon_pid, NULL, WNOHANG) == daemon_pid)
			give_up("the daemon ended by itself: see %s", place_path("sharesd.log"));
		usleep(20000);
	}
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void print_latencies(const char *title, struct latencies *l)
{
	size_t n = atomic_load(&l->n);

	n = n < LATENCIES ? n : LATENCIES;
	qsort(l->ms, n, sizeof *l->ms, compare);
	if (n > 0)
		printf("%-28s p50 %.2f ms, p99 %.2f ms (%zu calls, %d clients at a time)\n", title,
		       (double)l->ms[n / 2], (double)l->ms[n * 99 / 100], n, WORKERS);
}

static void print_growth(const char *title, long from, long to, const char *unit)
{
	printf("%-28s %+ld%s (from %ld to %ld)\n", title, to - from, unit, from, to);
}

static int report(struct verdict v, struct needs from, struct needs to)
{
	size_t surprises = atomic_load(&soak->surprises);

	printf("calls                        %zu (asked anew after a kill or a busy answer: %zu)\n",
	       atomic_load(&soak->calls), atomic_load(&soak->again));
	printf("kills, reloads               %u, %u\n", kills, reloads);
	printf("connections of rude clients  %zu\n", atomic_load(&soak->hostile));
	printf("left in error, and mended    %zu\n", atomic_load(&soak->left_in_error));
	printf("lost, invented, stuck        %zu, %zu, %zu\n", v.lost, v.invented, v.stuck);
	printf("answers that surprised       %zu\n", surprises);
	print_growth("resident memory", from.resident, to.resident, " KiB");
	print_growth("descriptors", from.descriptors, to.descriptors, "");
	print_growth("database", from.database, to.database, " KiB");
	print_latencies("changes, hooks off", &soak->latencies[0]);
	print_latencies("changes, hooks on", &soak->latencies[1]);
	return v.lost + v.invented + v.stuck + surprises > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	char path[4096];
	struct needs from, to;
	struct verdict v;
	size_t calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	pid_t rude;

	if (argc < 3 || calls == 0)
		give_up("usage: soak DIRECTORY CALLS [SEED]");
	if (geteuid() != 0)
		give_up("the soak test needs root: its rude clients are another user");
	build = argv[1];
	seed = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)getpid();
	printf("seed %u\n", seed);
	soak = mmap(NULL, sizeof *soak, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (soak == MAP_FAILED)
		give_up("no memory");
	place_open(build);
	snprintf(path, sizeof path, "%s/tests/bench/bench_hook.so", build);
	place_copy(path);
	if (snprintf(soak->socket, sizeof soak->socket, "%s", place_path("sock")) >= (int)sizeof soak->socket)
		give_up("%s is too long for a socket: build in a directory with a shorter path", place_path("sock"));
	if (chmod(place_path("%s", ""), 0711) < 0 || mkdir(place_path("plain"), 0755) < 0 ||
	    mkdir(place_path("hooked"), 0755) < 0)
		give_up("the places cannot be made");
	write_conf(0);
	start_daemon();
	fflush(stdout);
	rude = fork();
	if (rude == 0)
		soak_annoy(soak, chance(1u << 30));
	part(calls * 6 / 10, true);
	part(calls * 7 / 10, false);
	from = calm_needs(rude);
	part(calls, false);
	to = calm_needs(rude);
	kill(rude, SIGKILL);
	waitpid(rude, NULL, 0);
	kill_daemon();
	v = soak_compare(soak);
	stop(daemon_pid);
	return report(v, from, to);
}
