#include "drivers/btrfs_ssh/far_state.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Seconds. Waited for at most by who is patient; by who is not, first, and with every look after that; and how old
 * `lately` is. */
#define MUCH_PATIENCE 15.0
#define PATIENCE      2.0
#define LOOK          0.1
#define LATELY        10.0

/* One request on its way, or none. */
struct talk {
	struct process_run *run;
	struct process_spec spec;
	char **argv;
	double began; /* the last one, also where it is through */
	bool looked;  /* somebody has waited for it already */
};

struct far_state {
	const struct far *far;
	struct talk state, drop;
	bool make; /* of `state`: as FAR_MAKE */
	json_t *last;
	char told[37];     /* the call that `last` was told to; "" where it must not be used again */
	char dropping[37]; /* what `drop` is about */
};

struct far_state *far_state_new(const struct far *f)
{
	struct far_state *s = xcalloc(1, sizeof *s);

	s->far = f;
	return s;
}

/* ---- one request ---- */

static void talk_end(struct talk *t, struct process_result *ret)
{
	process_run_end(t->run, ret);
	t->run = NULL;
}

static void talk_forget(struct talk *t)
{
	talk_end(t, NULL);
	far_argv_free(t->argv);
	t->argv = NULL;
}

static int talk_begin(struct talk *t, const struct far *f, const char *request, struct error *e)
{
	talk_forget(t);
	t->argv = far_argv(f, request, 0);
	t->spec = far_spec(t->argv);
	t->began = text_monotonic();
	t->looked = false;
	return process_run_begin(&t->spec, &t->run, e) < 0 ? far_not_asked(f, e) : 0;
}

static int talk_wait(struct talk *t, const struct far *f, bool patient, struct error *e)
{
	if (process_run_wait(t->run, patient ? MUCH_PATIENCE : t->looked ? LOOK : PATIENCE))
		return 0;
	t->looked = true;
	return error_set(e, ERR_BACKEND_DOWN, EAGAIN,
			 "backend \"%s\" at %s: no answer yet after %.0f s, it is still waited for", f->name,
			 f->transport, text_monotonic() - t->began);
}

static int talk_take(struct talk *t, const struct far *f, json_t **ret, struct error *e)
{
	struct process_result r = { 0 };
	int n;

	talk_end(t, &r);
	n = far_answer(f, &r, &t->spec, ret, e);
	talk_forget(t);
	return n;
}

/* ---- what it has ---- */

void far_state_free(struct far_state *s)
{
	if (!s)
		return;
	talk_forget(&s->state);
	talk_forget(&s->drop);
	json_decref(s->last);
	free(s);
}

json_t *far_state_last(const struct far_state *s)
{
	return s->last;
}

void far_state_changed(struct far_state *s)
{
	talk_forget(&s->state);
	s->told[0] = '\0';
}

static int take(struct far_state *s, const char *call_id, struct error *e)
{
	json_t *state = NULL;
	int n = talk_take(&s->state, s->far, &state, e);

	if (n < 0)
		return n;
	json_decref(s->last);
	s->last = state;
	snprintf(s->told, sizeof s->told, "%s", call_id);
	return 0;
}

int far_state_get(struct far_state *s, const char *call_id, int how, json_t **ret, struct error *e)
{
	bool make = how & FAR_MAKE, patient = how & FAR_PATIENT,
	     of_use = (s->make || !make) && (s->state.run || !patient || text_monotonic() - s->state.began < LATELY);
	int n;

	if (!of_use || strcmp(s->told, call_id) != 0) {
		if (!of_use || !s->state.run) {
			far_state_changed(s);
			s->make = make;
			if ((n = talk_begin(&s->state, s->far, make ? "make" : "state", e)) < 0)
				return n;
		}
		if ((n = talk_wait(&s->state, s->far, patient, e)) < 0 || (n = take(s, call_id, e)) < 0)
			return n;
	}
	*ret = json_incref(s->last);
	return 0;
}

/* ---- what it need not have ---- */

static int begin_drop(struct far_state *s, const char *id, struct error *e)
{
	_cleanup_free_ char *request = xasprintf("delete snapshot %s", id);

	far_state_changed(s);
	snprintf(s->dropping, sizeof s->dropping, "%s", id);
	return talk_begin(&s->drop, s->far, request, e);
}

int far_state_drop(struct far_state *s, const char *id, struct error *e)
{
	_cleanup_error_ struct error other = ERROR_INIT;
	int n;

	/* What came of another one is heard of when that is asked for again. */
	if (s->drop.run && strcmp(s->dropping, id) != 0) {
		if ((n = talk_wait(&s->drop, s->far, false, e)) < 0)
			return n;
		(void)talk_take(&s->drop, s->far, NULL, &other);
	}
	if ((!s->drop.run && (n = begin_drop(s, id, e)) < 0) || (n = talk_wait(&s->drop, s->far, false, e)) < 0)
		return n;
	far_state_changed(s);
	return talk_take(&s->drop, s->far, NULL, e);
}
