/* The table of what happens around a driver call for calls that no client asked for: init_host at the start and by the
 * timer that tries again, publish_service_capabilities by a timer, and the one that init_host makes; and the same
 * methods asked for by a client. Each of a few hundred backends has its own way through the table. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_halves.h"
#include "tests/e2e/harness_matrix.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIB 1125899906842624LL

/* The calls of one backend's life, each with ways of its own. */
enum role { INIT_START, INIT_RETRY, INIT_CLIENT, PUBLISH_NESTED, PUBLISH_CLIENT, PUBLISH_TIMER, ROLES };

static const struct {
	const struct method_words *words;
	const char *origin;
	bool tolerant;
} roles[ROLES] = {
	[INIT_START] = { &init_words, "start", true },          [INIT_RETRY] = { &init_words, "timer", true },
	[INIT_CLIENT] = { &init_words, "client", false },       [PUBLISH_NESTED] = { &publish_words, "call", true },
	[PUBLISH_CLIENT] = { &publish_words, "client", false }, [PUBLISH_TIMER] = { &publish_words, "timer", true },
};

/* Seconds: each backend's timer a little after the one before, since a timer finding a long queue leaves its turn out.
 */
#define STATS_INTERVAL 3.0
#define STATS_STEP     0.002

struct host {
	const struct config *config;
	struct model models[ROLES];
	struct model nested_for_client; /* the same hooks, but a client asked */
	unsigned turn;
	bool seen[ROLES];
};

struct hosts {
	struct lane l;
	struct host *list;
	size_t n;
	json_t *records, *events; /* by call id */
	size_t published;         /* by their timer */
};

static struct model_row role_row(const struct config *c, enum role role)
{
	struct model_row row = row_of(c);

	row.tolerant = roles[role].tolerant;
	row.driver_fails = role == INIT_START ? c->setup_fails : role >= PUBLISH_NESTED && c->stats_fail;
	return row;
}

static size_t count_ways(const struct model_row *row)
{
	struct model_walk w = { .n = 0 };
	struct model m;
	size_t n = 0;

	do {
		model_run(row, &w, &m);
		n++;
	} while (model_walk_next(&w));
	return n;
}

static void nth_way(const struct model_row *row, size_t n, struct model *ret)
{
	struct model_walk w = { .n = 0 };

	model_run(row, &w, ret);
	while (n-- > 0 && model_walk_next(&w))
		model_run(row, &w, ret);
}

static size_t hosts_of(const struct config *c)
{
	size_t most = 0;

	for (int role = 0; role < ROLES; role++) {
		struct model_row row = role_row(c, (enum role)role);
		size_t n = count_ways(&row);

		most = n > most ? n : most;
	}
	return most;
}

static void make_host(struct host *h, const struct config *c, size_t way, unsigned turn)
{
	struct model_row as_client = role_row(c, PUBLISH_NESTED);

	*h = (struct host){ .config = c, .turn = turn };
	for (int role = 0; role < ROLES; role++) {
		struct model_row row = role_row(c, (enum role)role);

		/* Another way of each role, so that they do not all go the same. */
		nth_way(&row, (way + (size_t)role) % count_ways(&row), &h->models[role]);
	}
	as_client.tolerant = false;
	model_run_as(&as_client, h->models[PUBLISH_NESTED].pre, h->models[PUBLISH_NESTED].post, &h->nested_for_client);
}

static json_t *host_script(const struct host *h)
{
	json_t *script = json_object();

	for (int role = 0; role < ROLES; role++)
		add_script(script, h->config, roles[role].words, roles[role].origin, &h->models[role], h->turn);
	return script;
}

static void take_host_record(void *data, const json_t *record)
{
	struct hosts *all = data;

	if (strcmp(str_at(record, "state"), "done") == 0)
		json_object_set(all->records, str_at(record, "id"), (json_t *)record);
}

/* Only the last thousand calls are kept, so they are fetched now and then. Events first: a record has all of its. */
static void fetch(struct hosts *all)
{
	_cleanup_json_ json_t *lines = NULL;
	json_t *line;
	size_t i;

	each_call(all->l.c, &all->l.seen, take_host_record, all);
	lines = recorder_events(all->l.r);
	json_array_foreach(lines, i, line) {
		const char *id = str_at(line, "event.context.call_id");

		if (!json_object_get(all->events, id))
			json_object_set_new(all->events, id, json_array());
		json_array_append(json_object_get(all->events, id), line);
	}
}

static enum role role_of(const json_t *record)
{
	for (int role = 0; role < ROLES; role++)
		if (strcmp(roles[role].words->name, str_at(record, "method")) == 0 &&
		    strcmp(roles[role].origin, str_at(record, "origin")) == 0)
			return (enum role)role;
	ck_abort_msg("a %s of origin %s", str_at(record, "method"), str_at(record, "origin"));
}

/* The record of who called; NULL: nobody, or a slow machine has let it slip. */
static const json_t *parent_of(const struct hosts *all, const json_t *record)
{
	const char *id = jsonx_str(record, "parent_call_id");

	return id ? json_object_get(all->records, id) : NULL;
}

static bool is_clients(const struct hosts *all, const json_t *record)
{
	const json_t *parent = parent_of(all, record);

	return parent && strcmp(str_at(parent, "origin"), "client") == 0;
}

static void check_host_call(struct hosts *all, const json_t *record)
{
	size_t number = strtoul(str_at(record, "backend") + 1, NULL, 10);
	struct host *h = &all->list[number];
	enum role role = role_of(record);
	struct expected x = {
		.config = h->config, .words = roles[role].words, .origin = roles[role].origin, .turn = h->turn
	};
	_cleanup_json_ json_t *none = json_array(), *want = NULL;
	const json_t *events = json_object_get(all->events, str_at(record, "id"));

	if (role == PUBLISH_NESTED && !parent_of(all, record))
		return;
	h->seen[role] = true;
	x.model = is_clients(all, record) ? &h->nested_for_client : &h->models[role];
	describe(&x, number);
	want = expected_record(&x);
	check_record(record, want);
	check_events(&x, events ? events : none);
	ck_assert(json_is_null(at(record, "uid")) ==
		  (x.origin[0] != 'c' || (role == PUBLISH_NESTED && !is_clients(all, record))));
	if (x.results && role >= PUBLISH_NESTED) {
		ck_assert_int_eq(int_at(x.results, "total_bytes"), PIB);
		ck_assert_int_eq(int_at(x.results, "free_bytes"), PIB);
	}
	json_decref(x.results);
}

/* A client's own calls, with the answer looked at. */
static void ask_host(struct hosts *all, size_t number, enum role role)
{
	const struct host *h = &all->list[number];
	struct expected x = { .config = h->config,
			      .words = roles[role].words,
			      .origin = "client",
			      .model = &h->models[role],
			      .turn = h->turn };
	char backend[32];
	_cleanup_json_ json_t *reply = NULL, *change = NULL;
	const json_t *error, *answer;
	const char *key;
	json_t *value;

	snprintf(backend, sizeof backend, "b%zu", number);
	describe(&x, number);
	reply = client_request(all->l.c, x.words->name, jsonx_pack("{s:s}", "backend", backend));
	error = json_object_get(reply, "error");
	ck_assert_msg(strcmp(error ? str_at(error, "data.kind") : "ok", outcome_words[x.model->end]) == 0, "%s: %s",
		      x.where, error ? str_at(error, "message") : "ok");
	if (x.model->end != END_OK && x.model->end != END_POST_FAILED)
		return;
	answer = error ? at(error, "data.result") : at(reply, "result");
	ck_assert_str_eq(str_at(answer, "name"), backend);
	ck_assert_str_eq(str_at(answer, "status"), "up");
	if (role != PUBLISH_CLIENT)
		return;
	change = json_object();
	value = with_changes(&x, change, x.model->changes);
	json_decref(change);
	change = value;
	json_object_foreach(change, key, value)
		same(&x, json_object_get(at(answer, "capabilities"), key), value, key);
}

static bool all_were_published(struct hosts *all)
{
	const char *id;
	json_t *record;
	size_t n = 0;

	json_object_foreach(all->records, id, record) {
		struct host *h = &all->list[strtoul(str_at(record, "backend") + 1, NULL, 10)];

		n += role_of(record) == PUBLISH_TIMER && !h->seen[PUBLISH_TIMER];
		h->seen[PUBLISH_TIMER] = h->seen[PUBLISH_TIMER] || role_of(record) == PUBLISH_TIMER;
	}
	all->published += n;
	return all->published == all->n;
}

static void wait_for_timers(struct hosts *all, double started)
{
	double until = now() + 60, left = started + STATS_INTERVAL + STATS_STEP * (double)all->n - now();

	if (left > 0)
		nap(left);
	fetch(all);
	while (!all_were_published(all)) {
		ck_assert_msg(now() < until, "not every backend has been published by its timer");
		nap(0.3);
		fetch(all);
	}
}

/* Backends whose first init_host fails come up by the timer's, a second later. */
static void wait_until_up(struct hosts *all)
{
	double until = now() + 60;

	for (size_t i = 0; i < all->n; i++) {
		bool up = false;

		while (!up) {
			char name[32];
			_cleanup_json_ json_t *b = NULL;

			snprintf(name, sizeof name, "b%zu", i);
			b = client_call(all->l.c, "get_backend", "{s:s}", "backend", name);
			up = strcmp(str_at(b, "status"), "up") == 0;
			ck_assert_msg(now() < until, "%s is %s", name, str_at(b, "status"));
			if (!up)
				nap(0.05);
		}
	}
}

static void run_hosts(struct hosts *all)
{
	double started;
	char *conf;
	size_t len;
	FILE *out = open_memstream(&conf, &len);
	const char *id;
	json_t *record;

	ck_assert_ptr_nonnull(out);
	fputs("log_level = \"error\"\n", out);
	write_hooks(out);
	for (size_t i = 0; i < all->n; i++)
		write_backend(out, all->list[i].config, i, STATS_INTERVAL + STATS_STEP * (double)i);
	fclose(out);
	open_lane(&all->l, conf);
	free(conf);
	all->records = json_object();
	all->events = json_object();
	for (size_t i = 0; i < all->n; i++) {
		char name[32];

		snprintf(name, sizeof name, "b%zu", i);
		recorder_script(all->l.r, name, host_script(&all->list[i]));
	}
	all->published = 0;
	started = now();
	fixture_start(all->l.f, NULL, (uid_t)-1);
	all->l.c = client_new(all->l.f);
	fetch(all);
	wait_until_up(all);
	for (size_t i = 0; i < all->n; i++) {
		ask_host(all, i, INIT_CLIENT);
		ask_host(all, i, PUBLISH_CLIENT);
		if (i % 10 == 0)
			fetch(all);
	}
	wait_for_timers(all, started);
	json_object_foreach(all->records, id, record)
		check_host_call(all, record);
	for (size_t i = 0; i < all->n; i++) {
		const struct host *h = &all->list[i];

		for (int role = 0; role < ROLES; role++)
			ck_assert_msg(h->seen[role] || (role == INIT_RETRY && !h->config->setup_fails),
				      "b%zu: there was no %s of origin %s", i, roles[role].words->name,
				      roles[role].origin);
	}
	json_decref(all->records);
	json_decref(all->events);
	close_lane(&all->l);
}

/* ---- what runs ---- */

enum {
	HOSTS = 120
}; /* backends of one daemon: twice as many calls as it keeps records of are in flight between fetches */

struct walk {
	struct configs configs;
	size_t every; /* of the ways of each backend only each so-many-th */
};

static void walk_hosts(size_t which, void *data)
{
	const struct walk *w = data;
	struct configs half = half_of(&w->configs, which);
	struct hosts all = { .list = calloc(HOSTS, sizeof *all.list) };
	unsigned total = 0;

	ck_assert_ptr_nonnull(all.list);
	for (size_t i = 0; i < half.n; i++)
		for (size_t way = i % w->every, n = hosts_of(&half.list[i]); way < n; way += w->every) {
			make_host(&all.list[all.n++], &half.list[i], way, ++total);
			if (all.n == HOSTS) {
				run_hosts(&all);
				all.n = 0;
			}
		}
	if (all.n)
		run_hosts(&all);
	free(all.list);
	free(half.list);
}

static void host_configs(struct configs *all, unsigned hooks, const char *const *mixtures, unsigned from_mask,
			 unsigned fails)
{
	for (unsigned mask = from_mask; mask < 8; mask++)
		for (unsigned suppress = 0; suppress < 4; suppress++)
			for (const char *const *v = mixtures; *v; v++)
				for (unsigned f = 0; f < fails; f++) {
					struct config c = { .n = hooks,
							    .enabled = mask,
							    .suppress = suppress,
							    .setup_fails = f,
							    .stats_fail = f };

					memcpy(c.variant, *v, hooks);
					add_config(all, c);
				}
}

START_TEST(test_hosts_of_one)
{
	static const char *const mixtures[] = { "u", "f", "i", NULL };
	struct walk w = { .every = 1 };

	host_configs(&w.configs, 1, mixtures, 0, 2);
	in_halves(walk_hosts, &w);
	free(w.configs.list);
}
END_TEST

START_TEST(test_hosts_of_more)
{
	static const char *const two[] = { "uu", NULL }, *const three[] = { "uuu", "fiu", NULL };
	struct walk w = { .every = 11 };

	host_configs(&w.configs, 2, two, 3, 1);
	host_configs(&w.configs, 3, three, 7, 1);
	in_halves(walk_hosts, &w);
	free(w.configs.list);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hook origins");
	TCase *tc = tcase_create("origins");
	SRunner *runner;
	int failed;

	/* A thousand flushes a second are not what is tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_hosts_of_one);
	tcase_add_test(tc, test_hosts_of_more);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
