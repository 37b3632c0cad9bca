/* The hook modules that bench_hooks looks at: for each an entry of hook_drivers, and the bare work beside it. Whatever
 * fails ends the process. */
#ifndef TESTS_BENCH_WORKS_H
#define TESTS_BENCH_WORKS_H

#include <stdbool.h>
#include <stddef.h>

/* The call that has the hooks. */
#define METHOD "update_access"

enum { ROUNDS_MAX = 99, COUNTS = 2 };
enum { PRE, POST, PHASES };
extern const char *const phase_names[PHASES];

struct work {
	const char *name; /* of its backends, which are NAME-PHASE-COUNT */
	const char *title, *bare;
	size_t turns; /* in a round */
	size_t times; /* that the bare work is done in a turn; 0: as often as the call */
	void (*do_bare)(int phase);
	char entry[8192];
	bool left_out;
	/* Seconds, by round. */
	double floor[PHASES][ROUNDS_MAX], cost[PHASES][COUNTS][ROUNDS_MAX];
};

enum { WORKS = 8 };
extern struct work works[WORKS];

/* Makes what the entries point at, in the place: programs, and a server. */
void works_make(const char *build);
/* The entry of a hook that keeps the events, for works_open: the bare works handle what hooks get. */
const char *works_capture(void);
void works_open(void);

#endif
