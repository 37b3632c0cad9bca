/* The breaker of a hook: one that does not answer in time again and again is left out for a while, so that not every
 * call waits for it. Call thread only. */
#ifndef HOOKS_BREAKER_H
#define HOOKS_BREAKER_H

#include "base/error.h"

#include <stdbool.h>

struct breaker {
	unsigned limit; /* time-outs in a row that open it; 0: never */
	double pause;   /* seconds that it stays open */
	unsigned timeouts;
	bool open;
	double until;   /* as text_monotonic; after that the next event is a try */
	char shown[32]; /* the same as a time of day */
};

/* -EAGAIN while it is open: the hook is not to be called. */
int breaker_admit(const struct breaker *b, struct error *e);
/* The hook was called. True where it opened now, or again. Failures that are no time-outs neither count nor clear. */
bool breaker_note(struct breaker *b, bool timed_out, bool answered);
/* As if it had never failed. */
void breaker_reset(struct breaker *b);

#endif
