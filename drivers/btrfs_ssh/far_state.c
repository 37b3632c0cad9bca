#include "drivers/btrfs_ssh/far_state.h"

#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Seconds. Waited for at most by who is not patient; with every look after that; and how old `lately` is. */
#define PATIENCE 2.0
#define LOOK     0.1
#define LATELY   10.0

struct far_state {
	const struct far *far;
	/* On its way: NULL when nothing is. */
	struct process_run *run;
	struct process_spec spec;
	char **argv;
	double began; /* when what is on its way, or else `last`, was asked for */
	bool make;    /* .. as FAR_MAKE */
	bool looked;  /* somebody has waited for it already */
	json_t *last;
	char told[37]; /* the call that `last` was told to; "" where it must not be used again */
};

struct far_state *far_state_new(const struct far *f)
{
	struct far_state *s = xcalloc(1, sizeof *s);

	s->far = f;
	return s;
}

static void end(struct far_state *s, struct process_result *ret)
{
	process_run_end(s->run, ret);
	s->run = NULL;
}

static void forget(struct far_state *s)
{
	far_argv_free(s->argv);
	s->argv = NULL;
}

void far_state_free(struct far_state *s)
{
	if (!s)
		return;
	end(s, NULL);
	forget(s);
	json_decref(s->last);
	free(s);
}

json_t *far_state_last(const struct far_state *s)
{
	return s->last;
}

void far_state_changed(struct far_state *s)
{
	end(s, NULL);
	forget(s);
	s->told[0] = '\0';
}

static int begin(struct far_state *s, bool make, struct error *e)
{
	far_state_changed(s);
	s->argv = far_argv(s->far, make ? "make" : "state", 0);
	s->spec = far_spec(s->argv);
	s->began = text_monotonic();
	s->make = make;
	s->looked = false;
	return process_run_begin(&s->spec, &s->run, e) < 0 ? far_not_asked(s->far, e) : 0;
}

static int take(struct far_state *s, const char *call_id, struct error *e)
{
	struct process_result r = { 0 };
	json_t *state = NULL;
	int n;

	end(s, &r);
	n = far_answer(s->far, &r, &s->spec, &state, e);
	forget(s);
	if (n < 0)
		return n;
	json_decref(s->last);
	s->last = state;
	snprintf(s->told, sizeof s->told, "%s", call_id);
	return 0;
}

static int not_yet(const struct far_state *s, struct error *e)
{
	return error_set(e, ERR_BACKEND_DOWN, EAGAIN,
			 "backend \"%s\" at %s: no answer yet after %.0f s, it is still waited for", s->far->name,
			 s->far->transport, text_monotonic() - s->began);
}

int far_state_get(struct far_state *s, const char *call_id, int how, json_t **ret, struct error *e)
{
	bool make = how & FAR_MAKE, patient = how & FAR_PATIENT,
	     of_use = (s->make || !make) && (!patient || text_monotonic() - s->began < LATELY);
	int n;

	if (!of_use || strcmp(s->told, call_id) != 0) {
		if ((!of_use || !s->run) && (n = begin(s, make, e)) < 0)
			return n;
		while (!process_run_wait(s->run, s->looked ? LOOK : PATIENCE)) {
			s->looked = true;
			if (!patient)
				return not_yet(s, e);
		}
		if ((n = take(s, call_id, e)) < 0)
			return n;
	}
	*ret = json_incref(s->last);
	return 0;
}
