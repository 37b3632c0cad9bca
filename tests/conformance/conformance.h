/* Where the conformance suite runs: a daemon with one backend of the driver under test, and what is known of its
 * storage. */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include "tests/e2e/harness.h"

#define MIB 1048576LL

/* A driver, its conf file (without state_dir and socket; "@DIR@" and "@BUILD@" are replaced), and a program that knows
 * its storage, or NULL. */
struct candidate {
	const char *driver, *conf, *place;
	bool exports; /* only for the cases about exporting */
};
enum { CANDIDATES, WITH_EXPORTS, WITH_REPLICAS, CANDIDATE_KINDS };
/* Those of the environment (DRIVER, CONF, PLACE), or those of this repository. NULL in driver ends. */
const struct candidate *candidates(void); /* in a test */
/* Those of a kind: the first, and the one after the last. One of the environment is of every kind. */
void candidate_range(int kind, int *ret_first, int *ret_end);
/* To be called first and last: export servers outlive whoever started them. A network, and mounts, of this program's
 * own, where that can be. */
void servers_begin(void);
void servers_end(void);

struct site {
	const struct candidate *c;
	struct fixture *f;
	char backend[256];
	json_t *can; /* its capabilities */
};

/* A place and a running daemon. False: the place cannot be had, which was printed as SKIP. */
bool site_open(struct site *s, const struct candidate *c);
void site_close(struct site *s);
/* Does the backend claim it? */
bool claims(const struct site *s, const char *capability);
/* Is a word in a list of the backend's capabilities? */
bool offers(const struct site *s, const char *list, const char *word);
/* Asks the place's program: true: it is so now. False: it cannot, which is printed. `*ret_out` (may be NULL): what it
 * said, without the end of the line; free it. */
bool place(const struct site *s, char **ret_out, const char *verb, const char *arg);

/* ---- shares ---- */

/* Made with this size. */
void make_share(const struct site *s, const char *name, long long size);
/* Where its files are on this machine; NULL: a driver that keeps them elsewhere, or nowhere. Valid until next call. */
const char *files_of(const struct site *s, const char *share);
/* Many kinds of files, some with odd names, some links that lead out. Nothing where there are no files. */
void fill_share(const struct site *s, const char *share);
/* All that can be told of its files, as text: free it. "" where there are no files. */
char *tree_of(const struct site *s, const char *share);
char *tree_in(const char *files); /* the same of a directory; NULL: there is none */
void expect_tree(const struct site *s, const char *share, const char *was);
/* The call must fail, and with one of these kinds (blank between). */
void expect_error(const struct site *s, const char *kinds, const char *method, json_t *params);
/* The reply, whatever it is. New reference. */
json_t *ask(const struct site *s, const char *method, json_t *params);
/* NULL: it went well; else the kind of its error. Valid as long as the reply. */
const char *kind_of(const json_t *reply);
/* All that the daemon knows, as text: free it. */
char *known(const struct site *s);
/* Nothing is on the backend that is not in the store, and no object is in a transitional status. */
void expect_order(const struct site *s);

#endif
