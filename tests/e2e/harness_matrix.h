/* The matrix of hooks, phases, switches and outcomes: backends for every combination, what their hooks do, and the
 * comparison of what came with what tests/e2e/harness_model.c says. The daemon is driven by the tests that use it. */
#ifndef TESTS_E2E_HARNESS_MATRIX_H
#define TESTS_E2E_HARNESS_MATRIX_H

#include "tests/e2e/harness_disk.h"
#include "tests/e2e/harness_model.h"
#include "tests/e2e/harness_recorder.h"

#include <stdio.h>

/* A sanitizer looks at the daemon's memory, not at every row again. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { THIN = 5 };
#else
enum { THIN = 1 };
#endif

enum { BACKENDS = 480 }; /* a conf file holds 512 sections, some are hooks */

/* ---- backends: one for each combination of what the conf file says ---- */

/* Hook sections by letter: without on_error, "fail", "ignore"; in phase pre, post, error only. */
extern const char variants[];

struct config {
	unsigned n;
	unsigned enabled;  /* bit by phase */
	unsigned suppress; /* bit by phase */
	char variant[MODEL_HOOKS];
	bool driver_fails, setup_fails, stats_fail;
};

struct configs {
	struct config *list;
	size_t n;
};

void add_config(struct configs *all, struct config c);
/* Of the backends every second one (fewer under a sanitizer), for one of two daemons. */
struct configs half_of(const struct configs *all, size_t which);
struct model_row row_of(const struct config *c);
void hook_name(char text[8], size_t hook, char variant);
void write_hooks(FILE *out);
void write_backend(FILE *out, const struct config *c, size_t number, double stats_interval);

/* ---- what hooks do ---- */

struct method_words {
	const char *name;
	const char *changes[3]; /* driver_action_results, "%zu" is the hook's number */
	const char *refused[3]; /* what a post hook must not answer */
};

extern const struct method_words create_words, publish_words, init_words;
/* What a pre hook gives, or NULL. */
json_t *data_of(size_t hook, unsigned turn);
/* The steps for the recorder. `origin` NULL: whatever the origin. */
void add_script(json_t *script, const struct config *c, const struct method_words *w, const char *origin,
		const struct model *m, unsigned turn);

/* ---- comparing: each fails the test with x->where in its words ---- */

/* One call as it must have been. */
struct expected {
	const struct config *config;
	const struct method_words *words;
	const char *origin;
	const struct model *model;
	unsigned turn;
	json_t *results; /* driver_action_results of the driver alone; NULL: whatever the first post hook saw */
	json_t *answer;  /* the object in the answer, to compare `result` with; NULL: not known */
	char where[200];
};

extern const char *const outcome_words[]; /* by model_end */
/* Fills `where`. */
void describe(struct expected *x, size_t backend);
void same(const struct expected *x, const json_t *got, const json_t *want, const char *what);
json_t *with_changes(const struct expected *x, const json_t *base, unsigned changes);
void check_events(struct expected *x, const json_t *lines);
/* What list_calls must show of the call: {"outcome","hooks":["h1u pre ok",..]}. */
json_t *expected_record(const struct expected *x);
void check_record(const json_t *record, const json_t *want);

/* ---- a daemon ---- */

struct lane {
	struct fixture *f;
	struct client *c;
	struct recorder *r;
	struct cursor seen;
	json_t *records; /* request_id to expected record, not compared yet */
	unsigned turn;
};
/* Not started yet; l->c is the caller's to make. */
void open_lane(struct lane *l, const char *conf);
void close_lane(struct lane *l);

#endif
