/* What sharesd costs, beside the floor under any daemon of its kind: a bare echo of JSON lines over the same kind of
 * socket, and bare durable commits on the same disk. All are measured in turns, round by round; figures are medians
 * over the rounds, ratios are taken within a round. Machines and their moods differ: read the ratios.
 *
 *	bench DIRECTORY      where the programs are; the files lie below it while it runs */
#include "tests/bench/bench_place.h"

#include "base/cleanup.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 9, ECHOES = 1000, COMMITS = 200, READS = 1000, SHARES = 10000, WINDOW = 64 };

#define CREATE_RATIO 1.5
#define MEMORY_MIB   16

/* One daemon to compare, and what its rounds gave: seconds for one call. */
struct contestant {
	const char *title;
	const char *name;
	const char *module; /* of its hooks; NULL: none */
	size_t hooks;
	size_t creates; /* calls a round: fewer where each starts programs */
	struct wire *wire;
	unsigned made;
	double read[ROUNDS], create[ROUNDS];
};

static struct contestant contestants[] = {
	{ "no hooks", "none", NULL, 0, 200, NULL, 0, { 0 }, { 0 } },
	{ "2 shared objects", "so2", "so", 2, 200, NULL, 0, { 0 }, { 0 } },
	{ "8 shared objects", "so8", "so", 8, 200, NULL, 0, { 0 }, { 0 } },
	{ "2 coproc", "coproc2", "coproc", 2, 100, NULL, 0, { 0 }, { 0 } },
	{ "2 exec", "exec2", "exec", 2, 30, NULL, 0, { 0 }, { 0 } },
};
enum { CONTESTANTS = sizeof contestants / sizeof *contestants, WITH_TWO = 1 };

static const char *build;
static double echo[ROUNDS], commit[ROUNDS];

/* ---- daemons ---- */

static const char *hook_entry(const char *module)
{
	static char entry[8192];

	if (strcmp(module, "so") == 0)
		snprintf(entry, sizeof entry, "%s:noop", place_path("bench_hook.so"));
	else
		snprintf(entry, sizeof entry, "%s:%s", module, place_path("bench_program"));
	return entry;
}

static void write_conf(const char *name, const char *module, size_t hooks)
{
	char text[65536];
	int n = snprintf(text, sizeof text,
			 "state_dir = \"%s\"\nsocket = \"%s\"\nlog_level = \"warning\"\nadmin_groups = {}\n"
			 "sim \"bench\" {\n\tstats_interval = 86400\n\tenable_pre_hooks = %s\n\tenable_post_hooks = "
			 "%s\n\thook_drivers = {",
			 place_path("%s", name), place_path("%s.sock", name), hooks ? "true" : "false",
			 hooks ? "true" : "false");

	for (size_t i = 0; i < hooks; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\"", i ? ", " : "", hook_entry(module));
	snprintf(text + n, sizeof text - (size_t)n, "}\n}\n");
	place_write(place_path("%s.conf", name) + strlen(place_path("%s", "")), text);
}

static pid_t start_daemon(const char *name, struct wire **ret)
{
	static const char get[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get_backend\",\"params\":{\"backend\":"
				  "\"bench\"}}\n";
	char program[4096], conf[8192];
	const char *argv[] = { program, "--config", conf, NULL };
	double end = seconds() + 30;
	pid_t pid;

	snprintf(program, sizeof program, "%s/sharesd", build);
	snprintf(conf, sizeof conf, "%s", place_path("%s.conf", name));
	pid = start(name, argv);
	*ret = wire_open(place_path("%s.sock", name));
	while (!strstr(wire_ask(*ret, get, sizeof get - 1), "\"status\":\"up\""))
		if (seconds() > end)
			give_up("the backend of the daemon \"%s\" does not come up", name);
	return pid;
}

static int create_line(char *line, size_t size, unsigned n)
{
	return snprintf(line, size,
			"{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create_share_instance\",\"params\":{\"backend\":"
			"\"bench\",\"name\":\"share-%u\",\"size_bytes\":1073741824}}\n",
			n, n);
}

/* ---- what is measured: seconds for one ---- */

static double measure_creates(struct contestant *c)
{
	char line[512];
	double begin = seconds();

	for (size_t i = 0; i < c->creates; i++)
		wire_ask(c->wire, line, (size_t)create_line(line, sizeof line, c->made++));
	return (seconds() - begin) / (double)c->creates;
}

static double measure_reads(struct wire *w)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get_share\",\"params\":{\"share\":"
				   "\"share-0\"}}\n";
	double begin = seconds();

	for (size_t i = 0; i < READS; i++)
		wire_ask(w, line, sizeof line - 1);
	return (seconds() - begin) / READS;
}

/* About 500 bytes there and back, as a share has. */
static double measure_echoes(struct wire *w)
{
	char line[1024], padding[401];
	int len;
	double begin;

	memset(padding, 'x', sizeof padding - 1);
	padding[sizeof padding - 1] = '\0';
	len = snprintf(line, sizeof line,
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"name\":\"share-0\",\"size_bytes\":1073741824,"
		       "\"metadata\":{\"padding\":\"%s\"}}}\n",
		       padding);
	begin = seconds();
	for (size_t i = 0; i < ECHOES; i++)
		wire_ask(w, line, (size_t)len);
	return (seconds() - begin) / ECHOES;
}

static sqlite3_stmt *open_database(void)
{
	sqlite3 *db;
	sqlite3_stmt *insert;

	if (sqlite3_open(place_path("bare.db"), &db) != SQLITE_OK ||
	    sqlite3_exec(db,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "CREATE TABLE t (id INTEGER PRIMARY KEY, document TEXT NOT NULL)",
			 NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO t (document) VALUES (?)", -1, &insert, NULL) != SQLITE_OK)
		give_up("sqlite: %s", sqlite3_errmsg(db));
	return insert;
}

static double measure_commits(sqlite3_stmt *insert)
{
	char document[401];
	double begin = seconds();

	memset(document, 'x', sizeof document - 1);
	document[sizeof document - 1] = '\0';
	for (size_t i = 0; i < COMMITS; i++) {
		sqlite3_bind_text(insert, 1, document, -1, SQLITE_STATIC);
		if (sqlite3_step(insert) != SQLITE_DONE)
			give_up("sqlite: %s", sqlite3_errmsg(sqlite3_db_handle(insert)));
		sqlite3_reset(insert);
	}
	return (seconds() - begin) / COMMITS;
}

/* ---- the table ---- */

/* A row: microseconds, per second, and the ratio to `floor` with its bounds over the rounds. Returns the ratio. */
static double print_row(const char *title, const double *values, const double *floor)
{
	double ratios[ROUNDS], us = median(values, ROUNDS) * 1e6, lowest = 1e9, highest = 0;

	printf("  %-34s %9.0f %10.0f", title, us, 1e6 / us);
	for (size_t i = 0; floor && i < ROUNDS; i++) {
		ratios[i] = values[i] / floor[i];
		lowest = ratios[i] < lowest ? ratios[i] : lowest;
		highest = ratios[i] > highest ? ratios[i] : highest;
	}
	if (floor)
		printf("   %6.2f   [%.2f .. %.2f]", median(ratios, ROUNDS), lowest, highest);
	printf("\n");
	return floor ? median(ratios, ROUNDS) : 0;
}

static void verdict(const char *what, double value, double limit, const char *unit)
{
	printf("%s: %.2f%s, at most %.2f%s: %s\n", what, value, unit, limit, unit,
	       value <= limit ? "kept" : "EXCEEDED");
}

static void print_speed(void)
{
	double floor[ROUNDS], two = 0;

	for (size_t i = 0; i < ROUNDS; i++)
		floor[i] = echo[i] + 2 * commit[i];
	printf("\n  %-34s %9s %10s   %6s\n", "one client, one call at a time", "us", "per s", "ratio");
	print_row("echo (libevent and jansson)", echo, NULL);
	print_row("durable commit (SQLite, WAL, FULL)", commit, NULL);
	printf("\nreads (get_share), beside one echo\n");
	for (size_t i = 0; i < CONTESTANTS; i++)
		print_row(contestants[i].title, contestants[i].read, echo);
	printf("\nsim creates (durable), beside one echo and two commits\n");
	for (size_t i = 0; i < CONTESTANTS; i++) {
		double ratio = print_row(contestants[i].title, contestants[i].create, floor);

		two = i == WITH_TWO ? ratio : two;
	}
	printf("\n");
	verdict("a durable create with 2 no-op hooks, beside one echo and two commits", two, CREATE_RATIO, "");
	fflush(stdout);
}

static void measure_speed(void)
{
	char program[4096], path[8192];
	const char *argv[] = { program, path, NULL };
	sqlite3_stmt *insert = open_database();
	struct wire *w;

	snprintf(program, sizeof program, "%s/tests/bench/bench_echo", build);
	snprintf(path, sizeof path, "%s", place_path("echo.sock"));
	start("echo", argv);
	w = wire_open(path);
	for (size_t i = 0; i < CONTESTANTS; i++) {
		write_conf(contestants[i].name, contestants[i].module, contestants[i].hooks);
		start_daemon(contestants[i].name, &contestants[i].wire);
		/* To be warm. */
		measure_creates(&contestants[i]);
	}
	measure_commits(insert);
	for (size_t round = 0; round < ROUNDS; round++) {
		echo[round] = measure_echoes(w);
		commit[round] = measure_commits(insert);
		for (size_t i = 0; i < CONTESTANTS; i++) {
			contestants[i].create[round] = measure_creates(&contestants[i]);
			contestants[i].read[round] = measure_reads(contestants[i].wire);
		}
	}
}

/* ---- memory ---- */

/* Many at a time: the answers come in order. */
static double make_shares(struct wire *w)
{
	char line[512];
	double begin = seconds();

	for (unsigned sent = 0, got = 0; got < SHARES; got++) {
		const char *answer;

		for (; sent < SHARES && sent < got + WINDOW; sent++)
			wire_send(w, line, (size_t)create_line(line, sizeof line, sent));
		answer = wire_receive(w);
		if (!strstr(answer, "\"result\":"))
			give_up("a create was answered by %s", answer);
	}
	return seconds() - begin;
}

/* Through the queue behind init_host: what that needed is given back by then. */
static void settle(struct wire *w)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"publish_service_capabilities\","
				   "\"params\":{\"backend\":\"bench\"}}\n";

	for (int i = 0; i < 2; i++)
		wire_ask(w, line, sizeof line - 1);
}

static double print_memory(const char *title, pid_t pid)
{
	double all = (double)memory_of(pid, "VmRSS") / 1024, own = (double)memory_of(pid, "RssAnon") / 1024;

	printf("  %-34s %9.1f %10.1f\n", title, all, own);
	return all;
}

static void measure_memory(void)
{
	struct wire *w;
	pid_t pid;
	double took, most, after;

	write_conf("many", "so", 2);
	pid = start_daemon("many", &w);
	printf("\n  %-34s %9s %10s\n", "memory in MiB, 2 shared objects", "resident", "anonymous");
	print_memory("empty", pid);
	took = make_shares(w);
	most = print_memory("after creating 10,000 shares", pid);
	wire_close(w);
	stop(pid);
	pid = start_daemon("many", &w);
	settle(w);
	after = print_memory("with 10,000 shares, after a restart", pid);
	most = after > most ? after : most;
	wire_close(w);
	stop(pid);
	printf("  (%d at a time they were made at %.0f per s)\n\n", WINDOW, SHARES / took);
	verdict("memory with 10,000 shares", most, MEMORY_MIB, " MiB");
}

int main(int argc, char **argv)
{
	char path[4096];

	if (argc != 2)
		give_up("usage: bench DIRECTORY");
	build = argv[1];
	place_open(build);
	snprintf(path, sizeof path, "%s/tests/bench/bench_hook.so", build);
	place_copy(path);
	snprintf(path, sizeof path, "%s/tests/bench/bench_program", build);
	place_copy(path);
	measure_speed();
	print_speed();
	measure_memory();
	return EXIT_SUCCESS;
}
