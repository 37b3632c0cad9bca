/* The soak test: workers that make mixed calls and know what must come of them, rude clients beside them, and a parent
 * that kills the daemon and reloads its conf meanwhile. What they share lies in memory mapped before the fork. */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKERS = 4, SLOTS = 12, SNAPSHOTS = 2, USERS = 3, LATENCIES = 1 << 20 };

/* What a share must be like. */
struct slot {
	bool exists, hooked;
	char name[40];
	int64_t size;
	unsigned mark;  /* the number in its file, 0: none */
	unsigned rules; /* bit by user */
	size_t snapshots;
	struct {
		unsigned number, mark;
		int64_t size;
	} snapshot[SNAPSHOTS]; /* the latest is the last */
};

struct latencies {
	atomic_size_t n;
	float ms[LATENCIES];
};

struct soak {
	char socket[108]; /* as long as an address may be */
	size_t wanted;    /* calls in this part */
	atomic_size_t calls, again, left_in_error, surprises, hostile;
	struct latencies latencies[2]; /* of calls that change something; [1]: with hooks */
	struct slot slots[WORKERS][SLOTS];
};

extern const char *const soak_users[USERS];

/* A connection that does not mind losing the daemon. */
struct link;
struct link *link_new(const char *socket);
void link_free(struct link *l);
/* The reply, from whichever daemon gives it; NULL after two minutes without. `params` is borrowed. `*ret_again`: how
 * often it was asked anew. */
json_t *link_ask(struct link *l, const char *method, json_t *params, unsigned *ret_again);

/* The path where the share's files lie: for the caller to free. */
char *share_place(const json_t *share);

/* These do not return. */
_Noreturn void soak_work(struct soak *s, unsigned worker, unsigned seed);
_Noreturn void soak_annoy(struct soak *s, unsigned seed);

/* Compares what is there with what must be. Prints each difference. */
struct verdict {
	size_t lost, invented, stuck;
};
struct verdict soak_compare(struct soak *s);

#endif
