/* What a hook costs, by module, beside the least that has to be done for the same: a program started and waited for, a
 * line to a process and one back, an HTTP request, a datagram, an indirect call.
 *
 *	bench_hooks DIRECTORY [ROUNDS [TURNS]]      where the programs are; the files lie below it while it runs
 *
 * One daemon, with a backend for each module, phase and number of hooks, and one without hooks. The call is the method
 * update_access on a share without rules: every part of a call, and next to nothing to do. The store lies in memory,
 * so that no disk drowns the hooks. The bare work and the same call of the backends are timed in turns, a few at a
 * time, for what a call leaves to be done meets the next one. What a hook costs is the median of its calls, less that
 * of the calls without hooks, by the number of hooks. The daemon's own figures of hooks are whole milliseconds, too
 * coarse for this. */
#include "tests/bench/bench_place.h"
#include "tests/bench/bench_works.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURNS_MAX = 10000, AT_A_TIME = 4 };
static const unsigned counts[COUNTS] = { 1, 3 };

static const char *build;
static size_t rounds = 9, turns;
static struct wire *wire;

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
	char name[64], *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "state_dir = \"%s\"\nsocket = \"%s\"\nlog_level = \"warning\"\nadmin_groups = {}\n",
		place_in_memory(), place_path("sock"));
	fprintf(f, "python_path = {\"%s\"}\n", place_path("."));
	write_backend(f, "capture", works_capture(), 1, true, true);
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
	double us = value * 1e6, size = fabs(us);

	printf(" %8.*f", size < 1 ? 4 : size < 100 ? 1 : 0, us);
}

static void print_ratio(double ratio)
{
	printf(" %7.*f", fabs(ratio) < 100 ? 2 : 0, ratio);
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
			int digits;
			char text[64];

			for (size_t i = 1; i < rounds; i++) {
				lowest = ratios[phase][c][i] < lowest ? ratios[phase][c][i] : lowest;
				highest = ratios[phase][c][i] > highest ? ratios[phase][c][i] : highest;
			}
			digits = highest < 100 ? 2 : 0;
			snprintf(text, sizeof text, "%.*f..%.*f", digits, lowest, digits, highest);
			printf(" %16s", text);
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
	works_make(build);
	start_daemon();
	call("capture");
	works_open();
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
