/* The one way between the two threads: messages, handed over whole. What is in a message belongs to who takes it out.
 */
#ifndef DAEMON_QUEUE_H
#define DAEMON_QUEUE_H

#include "conf/conf.h"
#include "daemon/call.h"

#include <stddef.h>

enum message_type {
	/* loop to call thread */
	MSG_CALL,     /* call */
	MSG_PERIODIC, /* name: the backend whose tick it is */
	MSG_USAGE,    /* name: the backend whose shares are to be measured */
	MSG_REAP,     /* name: the backend whose share servers are looked at */
	MSG_REPLICAS, /* name: the backend whose replicas are to be brought up to date */
	MSG_CONF,     /* conf: take it into use */
	MSG_STOP,     /* refuse what is queued, end long work, return */
	/* call thread to loop */
	/* call: done, with its answer; at its end also name and json, the backend and what its hooks did */
	MSG_ANSWER,
	MSG_BEGAN,  /* shown: a call that the loop has not made; json: what list_calls shows of it */
	MSG_ENDED,  /* call: one of the daemon's own, which has no answer */
	MSG_PARKED, /* name: id of a call whose long work goes on */
	MSG_EVENT,  /* told: the seq up to which events may be told. To the call thread: name and json, one to be stored
		     */
	MSG_BACKEND,  /* name, json: how it looks now; json NULL: gone */
	MSG_PROGRESS, /* name: object id; json: {"percent","bytes"} or NULL at the end */
	MSG_TICKED,   /* name: the backend's periodic hooks have run; json: hook outcomes */
	MSG_STOPPED,
};

struct message {
	struct message *next;
	enum message_type type;
	char *name;
	json_t *json;
	struct call *call;
	const struct call *shown; /* not the message's */
	struct conf *conf;
	int64_t told; /* events may be told up to this one; in MSG_ANSWER before the answer, or 0: there are no new ones
		       */
};

struct queue;

struct queue *queue_new(void);
void queue_free(struct queue *q); /* frees what is still in it */
/* Readable while messages wait. */
int queue_fd(const struct queue *q);
/* Takes the message and what is in it. */
void queue_push(struct queue *q, struct message *m);
/* Before all others: for init_host. */
void queue_push_front(struct queue *q, struct message *m);
/* NULL when empty; never waits. */
struct message *queue_pop(struct queue *q);
size_t queue_length(struct queue *q);

struct message *message_new(enum message_type type);
/* Frees the message and what was not taken out of it. NULL is fine. */
void message_free(struct message *m);

#endif
