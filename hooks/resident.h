/* A process that stays and answers one event after another: what the modules coproc and python share. Events go to it
 * as lines with an "id", answers come back as lines with the same "id". It may say with {"wants":[..]}, at any time and
 * best at first, what it wants to be asked, and with {"error":".."} that it cannot serve. Whatever breaks this protocol
 * ends the process; the next event starts it anew, after a pause that grows while it fails. Call thread only. */
#ifndef HOOKS_RESIDENT_H
#define HOOKS_RESIDENT_H

#include "hooks/hook.h"

struct resident_spec {
	const struct hook_setup *setup;
	const char *program; /* absolute */
	bool own;            /* it came with this daemon: who may write it is not looked at before each start */
	const char
		*name; /* put before what goes wrong with the process; NULL: nothing, where its hook's name says it */
	const char *user; /* NULL: the daemon's */
	double timeout;   /* seconds for each event, and for its first words */
	/* The first line to it, with its end; it says what it wants, or that it cannot serve, before it is asked. NULL:
	 * there is none, and it may be asked at once. */
	const char *greeting;
};

struct resident;

/* All in the spec is borrowed and lives as long as the resident. Begins to start it, so that it is ready early; a
 * failure shows when it is asked. */
struct resident *resident_new(const struct resident_spec *spec);
void resident_free(struct resident *r); /* NULL is fine */

/* Waits for the answer to the greeting; where it is not running it is started whatever its pause. */
int resident_greet(struct resident *r, struct error *e);
/* As hook_ops.wanted and the execute functions. */
bool resident_wanted(struct resident *r, enum hook_phase phase, const char *func_name);
int resident_event(struct resident *r, const struct hook_event *ev, json_t **ret, struct error *e);
int resident_tell(struct resident *r, const struct hook_event *ev, struct error *e);
void resident_describe(const struct resident *r, json_t *object);

#endif
