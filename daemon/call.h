/* One call that goes to the call thread: a client's, the start's, a timer's, or another call's. Made by the loop,
 * handed over whole through the queue, and back with its answer. Only the atomics are read by the loop in between. */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include "base/error.h"
#include "hooks/runner.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct method;
struct backend;
struct work;
struct engine;

enum call_phase {
	CALL_QUEUED,
	CALL_CHECK,
	CALL_PRE_HOOK,
	CALL_STORE,
	CALL_DRIVER,
	CALL_WORK,
	CALL_POST_HOOK,
	CALL_PERIODIC, /* the hooks of a tick */
	CALL_DONE
};
const char *call_phase_name(enum call_phase phase);

/* Who asks. Not `known` for start and timer. */
struct requester {
	bool known;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t *gids; /* supplementary groups */
	size_t n_gids;
	char *user;     /* name, or the number as text; found in the call thread (NSS may block) */
	json_t *groups; /* names, likewise */
};
void requester_copy(struct requester *to, const struct requester *from);
/* Fills user and groups. */
void requester_find_names(struct requester *r);
/* At the end of the thread: what was kept of the last look-up. */
void requester_forget_names(void);
void requester_clear(struct requester *r);
/* The names that requester_find_names remembers, at the end of the thread. */
void requester_forget(void);

struct call {
	/* Set by who makes it. */
	char id[37];
	char parent[37];             /* "" without one */
	const struct method *method; /* NULL: one of the daemon's own, called `what` */
	const char *what;
	enum hook_origin origin;
	struct requester who;
	json_t *params; /* checked against the row, defaults filled in, without the common ones below */
	char *request_id;
	bool wait, skip_hooks, if_absent, if_present;
	uint64_t conn, token; /* where the answer goes; 0: nowhere */
	char queued_at[32];
	double queued, started; /* seconds of text_monotonic */
	/* Set by release: who sees it past CALL_QUEUED may read when the call began and for whom, past CALL_CHECK also
	 * its backend and object. */
	_Atomic int phase;
	/* While a driver is called: its backend's name, which lives as long as the daemon, and since when (milliseconds
	 * of text_monotonic; 0: not now). */
	const char *_Atomic driver_of;
	_Atomic int64_t driver_since;

	/* Set in the call thread. */
	bool tolerant;           /* a failing pre hook only warns */
	struct backend *backend; /* whose driver and hooks */
	struct call *part_of;    /* the one that is shown while this one, a part of it, calls a driver; or NULL */
	char *object_kind, *object_id;
	json_t *share, *instance, *snapshot, *snapshot_instance, *access; /* as they were before the call */
	json_t *server;                   /* the share server of the share, or what the call is about */
	json_t *source, *source_instance; /* create_share_from_snapshot: the snapshot's share */
	json_t *args, *intent, *results, *extra, *more;
	json_t *objects; /* for hooks: what the call names, whole, as it was before; NULL when no hook wants it */
	json_t *shown;   /* the share or snapshot as it was last read for an event: also the answer, until it changes */
	json_t *events;  /* to be committed with the result: [{"type","object"}] */
	int64_t seq;     /* of its row in the store; 0: there is none */
	struct hook_set *hook_set; /* of the backend when the call began: a reload keeps it until the call has ended */
	struct hook_run *hooks;
	json_t *hook_context, *hook_backend;
	json_t *record; /* for list_calls, beside what its row holds */
	/* Last of all, before the call goes back: what the daemon does for itself with the result. */
	void (*after)(struct engine *en, struct call *c);
	void *after_data;
	struct work *work;
	const char *slot; /* whose long work it is */
	bool committed;   /* the intent is durable */
	bool undecided;   /* its backend went away in the middle: its intent stays, for the next init_host */
	bool dry_run;     /* pre hooks and the driver's look, nothing else */
	bool answered;    /* `answer` (or `err`) holds: nothing more to do */
	bool recovering;
	bool moot;       /* recovery: its object is gone, no step may run */
	bool forgotten;  /* nothing was changed: its request_id is free for another try */
	bool ends_later; /* the store learns its end with the next transaction */
	bool replayed;   /* the answer is that of an earlier call */
	char started_at[32], ended_at[32];
	double ended;

	/* The outcome. */
	json_t *answer; /* NULL: null */
	struct error err;
	int result; /* 0, or negative: `err` is the answer */

	struct call *next; /* parked calls; twins that wait */
	struct call *twins;
};

struct call *call_new(const struct method *method, enum hook_origin origin);
void call_free(struct call *c); /* NULL is fine */

/* What follows is for the call thread. */

/* An event to be committed with the result; `object` is taken. */
void call_event(struct call *c, const char *type, json_t *object);
/* What list_calls shows of it from the first: new reference. */
json_t *call_shown_json(const struct call *c);
/* A call that was not made by the loop is shown from now on; until it goes there at its end, by its answer or this. */
void call_announce(struct engine *en, const struct call *c);
void call_end_own(struct engine *en, struct call *c);

/* The `context` that hooks see: new reference. */
json_t *call_context_json(const struct call *c);
/* The rows were changed again: what is shown is read anew. */
void call_forget_shown(struct call *c);

#endif
