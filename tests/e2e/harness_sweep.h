/* Every method that changes something, as rows of one table: what is there before, what is asked for, what is there
 * after. Tests that cut calls off in some way (kills, full disks, no memory) go through all rows, and check afterwards
 * what must hold however the call ended. A new method is a row in harness_sweep_rows.c, a new driver one in
 * harness_sweep.c. */
#ifndef TESTS_E2E_HARNESS_SWEEP_H
#define TESTS_E2E_HARNESS_SWEEP_H

#include "tests/e2e/harness_disk.h"

struct sweep_row;

/* A driver that can be swept. */
struct sweep_driver {
	const char *name;
	const char *proto;            /* of its shares; NULL: LOCAL */
	const char *const *methods;   /* only these rows; NULL: all */
	const struct sweep_row *rows; /* of its own; NULL: sweep_rows */
	const char *top;              /* more of the conf file's top level, or NULL */
	/* Options of its section in the conf file; "@DIR@" is the fixture's directory. Its root is DIR/root, with a
	 * share's data in NAME/data. */
	const char *options;
	/* Shell commands in the fixture's directory, or NULL: before the first start; after the last end. Then the test
	 * needs to mount (harness_mount.h). */
	const char *begin, *end;
	const char *foreign; /* makes a directory of somebody's in the root, its name follows; NULL: mkdir */
	const char *clear;   /* in the root: before everything in it is removed by its names */
	bool slow;           /* not at every step */
	/* The store and what lies on the backend "b" say the same, and nothing is in a transitional status. */
	void (*check)(const struct fixture *f, const char *where);
};
extern const struct sweep_driver sweep_drivers[]; /* name NULL ends */
/* One whose shares are exported, by real servers with ports of their own: for a network of the test's own. */
extern const struct sweep_driver sweep_exported;
/* Shares with a replica on another backend, on btrfs and on `dir`. */
extern const struct sweep_driver sweep_replicated, sweep_replicated_dir;

/* One place, in which each try has objects of its own. */
struct sweep {
	const struct sweep_driver *driver;
	struct fixture *f;
	struct recorder *recorder;
	unsigned try;
	char share[32], other[32], request[32];
	json_t *events; /* what the hook was told in this try */
	struct cursor checked;
	char where[160];
};

struct sweep_row {
	const char *method;
	void (*prepare)(struct sweep *s);
	json_t *(*params)(const struct sweep *s);
	void (*expect)(struct sweep *s); /* after it has been done */
	bool no_data; /* changes no data: of drivers with one layout, enough to be tried with the first */
};
extern const struct sweep_row sweep_rows[], sweep_replica_rows[]; /* method NULL ends */
size_t sweep_count(void);
/* Those of a driver. */
const struct sweep_row *sweep_rows_of(const struct sweep_driver *d);
/* Fails the test where a method that changes something, and that the driver can do, has no row. */
void sweep_check_rows(const struct sweep_driver *d);

/* ---- a place ---- */

/* Not started. `options`: more of the conf file's top level. */
void sweep_open(struct sweep *s, const struct sweep_driver *d, const char *options);
void sweep_close(struct sweep *s); /* stops what runs */

/* ---- one try ---- */

/* Names and preparation, by a running daemon. `how`: how it is cut off, for people, by printf format. */
void sweep_begin(struct sweep *s, const struct sweep_row *row, const char *how, ...)
	__attribute__((format(printf, 3, 4)));
/* The row's params with the try's request_id. New reference. */
json_t *sweep_params(const struct sweep *s, const struct sweep_row *row);
/* The call, on a connection of its own. NULL: the daemon was gone before it answered. New reference. */
json_t *sweep_call(struct sweep *s, const struct sweep_row *row);
/* The same on this connection. */
json_t *sweep_call_on(struct sweep *s, const struct sweep_row *row, struct client *c);
/* Was any hook told of the try's call? Call sweep_take_events first. */
bool sweep_was_begun(const struct sweep *s, const struct sweep_row *row);
void sweep_take_events(struct sweep *s);
/* By a running daemon that lacks nothing any more: what is there is whole; what was answered (`reply`, or NULL) stands;
 * the call is made once more with the same request_id, and then it has been done, once, and no hook was told twice.
 * A call that failed for good (its answer is an error, and stays one) must be decided, and is done by a new one. */
void sweep_settle(struct sweep *s, const struct sweep_row *row, const json_t *reply);
/* Removes all objects, whatever their status is. */
void sweep_clear(struct sweep *s);

/* What rows are made of. */
void sweep_put_file(const struct sweep *s, const char *share, const char *text);

#endif
