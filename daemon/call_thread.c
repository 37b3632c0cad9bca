#include "daemon/call_thread.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/backend.h"
#include "daemon/call_run.h"
#include "daemon/methods.h"
#include "daemon/periodic.h"
#include "daemon/record.h"
#include "daemon/recover.h"
#include "daemon/replica_round.h"
#include "daemon/share_servers.h"
#include "daemon/work.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* How long the end of a call waits for another call whose transaction takes it along. */
#define SETTLE_MS      10
#define SETTLE_MOST_MS 60000 /* between two tries where the store takes nothing */
#define EXPORTS_MS     1000  /* between two looks at the export servers */

struct engine *engine_new(struct store *st, struct queue *in, struct queue *out, struct conf *conf)
{
	struct engine *en = xcalloc(1, sizeof *en);
	char host[HOST_NAME_MAX + 1] = "";

	gethostname(host, sizeof host - 1);
	en->st = st;
	en->in = in;
	en->out = out;
	en->conf = conf_ref(conf);
	en->host = xstrdup(host);
	en->socket = xstrdup(settings_string(conf_top(conf), "socket"));
	en->max_depth = (size_t)settings_int(conf_top(conf), "max_request_depth");
	en->settle_ms = SETTLE_MS;
	return en;
}

void engine_free(struct engine *en)
{
	if (!en)
		return;
	while (en->cut_off) {
		struct call *c = en->cut_off;

		en->cut_off = c->next;
		call_free(c);
	}
	backends_free_retired(en);
	backends_free(en->backends);
	work_free_all(en->background);
	store_close(en->st);
	conf_unref(en->conf);
	free(en->host);
	free(en->socket);
	free(en);
}

/* ---- long work ---- */

static void tell_progress(struct engine *en, const struct call *c)
{
	json_t *progress = work_progress(c->work);
	const char *share;
	struct message *m;

	if (!progress)
		return;
	if (!c->method || !c->object_id) {
		json_decref(progress);
		return;
	}
	/* A revert is about a snapshot, and works on the share. */
	share = jsonx_str(c->share, "id");
	if (strcmp(c->method->name, "revert_to_snapshot") == 0 && share) {
		m = message_new(MSG_PROGRESS);
		m->name = xstrdup(share);
		m->json = json_deep_copy(progress);
		queue_push(en->out, m);
	}
	m = message_new(MSG_PROGRESS);
	m->name = xstrdup(c->object_id);
	m->json = progress;
	queue_push(en->out, m);
}

/* Parked calls whose work has ended go on; the list may change while they do, so it is looked at anew each time. */
static void step_parked(struct engine *en)
{
	struct call **p = &en->parked;

	while (*p) {
		struct call *c = *p;

		if (!work_step(c->work)) {
			tell_progress(en, c);
			p = &c->next;
			continue;
		}
		*p = c->next;
		c->next = NULL;
		call_resume(en, c);
		p = &en->parked;
	}
	if (!en->parked)
		backends_free_retired(en);
}

/* What goes on behind finished calls. A failure that stays the same is told once: each call may try again. */
static void reap_background(struct engine *en)
{
	struct work *w;

	while ((w = work_take_ended(&en->background))) {
		struct backend *b = work_backend(w);
		const char *why = work_failure(w) ? work_failure(w)->message : NULL;

		if (why && (!b->purge_failure || strcmp(why, b->purge_failure) != 0)) {
			log_warning("backend \"%s\": its trash is not empty; mend that, and it is tried again: %s",
				    b->name, why);
			record_event(en, "backend.purge_failed",
				     jsonx_pack("{s:s,s:s,s:s}", "name", b->name, "driver", b->driver, "status_reason",
						why));
		}
		free(b->purge_failure);
		b->purge_failure = xstrdup(why);
		work_free(w);
	}
}

static size_t collect_fds(const struct engine *en, struct pollfd **fds)
{
	size_t n = 1, want = 1;

	for (const struct call *c = en->parked; c; c = c->next)
		want += 3;
	for (const struct work *w = en->background; w; w = work_next(w))
		want += 3;
	*fds = xcalloc(want, sizeof **fds);
	(*fds)[0] = (struct pollfd){ .fd = queue_fd(en->in), .events = POLLIN };
	for (const struct call *c = en->parked; c; c = c->next)
		n += work_poll_fds(c->work, *fds + n);
	for (const struct work *w = en->background; w; w = work_next(w))
		n += work_poll_fds(w, *fds + n);
	return n;
}

static void settle(struct engine *en)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (store_settle(en->st, &e) == 0)
		return;
	log_warning("the end of the last call could not be stored and waits for the next one: %s", e.message);
	en->settle_ms = en->settle_ms < SETTLE_MOST_MS / 2 ? en->settle_ms * 2 : SETTLE_MOST_MS;
}

static bool has_exports(const struct engine *en)
{
	for (const struct backend *b = en->backends; b; b = b->next)
		if (backend_is_exported(b))
			return true;
	return false;
}

static void look_at_exports(struct engine *en)
{
	double now = text_monotonic();

	if (now * 1000 < en->exports_ms || !has_exports(en))
		return;
	backend_check_exports(en);
	en->exports_ms = now * 1000 + EXPORTS_MS;
}

/* Milliseconds until something is to be done without being asked; -1: nothing is. */
static int patience(const struct engine *en)
{
	int ms = store_is_settled(en->st) ? -1 : en->settle_ms;

	return has_exports(en) && (ms < 0 || ms > EXPORTS_MS) ? EXPORTS_MS : ms;
}

static void wait_for_something(struct engine *en)
{
	_cleanup_free_ struct pollfd *fds = NULL;
	size_t n = collect_fds(en, &fds);
	bool ended = replica_round_is_due(en);

	if (store_is_settled(en->st))
		en->settle_ms = SETTLE_MS;
	/* Nothing to wait for; and work that has ended already has nothing to poll. */
	for (const struct call *c = en->parked; c; c = c->next) {
		struct pollfd none[3];

		ended = ended || work_poll_fds(c->work, none) == 0;
	}
	if (poll(fds, n, ended ? 0 : patience(en)) == 0 && !ended && !store_is_settled(en->st))
		settle(en);
}

/* ---- messages ---- */

static void take_conf(struct engine *en, struct conf *conf)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (backends_apply(en, conf, &e) < 0)
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_CONF_REFUSED, "the new conf file is not wholly in force: %s",
			 e.message);
	/* What was cut off comes to its end, so that init_host decides it. */
	step_parked(en);
	/* First of all in the queue: changes that wait there find their backends set up. */
	for (struct backend *b = en->backends; b; b = b->next) {
		struct call *c;

		if (!b->ops || b->status != BACKEND_STARTING)
			continue;
		c = call_new(method_find("init_host"), HOOK_ORIGIN_START);
		c->params = jsonx_pack("{s:s}", "backend", b->name);
		call_announce(en, c);
		call_run(en, c);
	}
}

static void refuse(struct engine *en, struct call *c)
{
	call_refuse(en, c, ERR_SHUTTING_DOWN, "sharesd is stopping: try again when it is back");
}

/* Cut off: the helpers are killed, and the next start finishes or undoes what they did. */
static void stop(struct engine *en)
{
	struct message *m;

	while ((m = queue_pop(en->in))) {
		if (m->type == MSG_CALL)
			refuse(en, take_ptr(m->call));
		message_free(m);
	}
	while (en->parked) {
		struct call *c = en->parked;

		en->parked = c->next;
		c->next = NULL;
		work_free(take_ptr(c->work));
		if (c->method)
			call_refuse(
				en, c, ERR_SHUTTING_DOWN,
				"sharesd is stopping: the call is finished, goes on or is undone at its next start");
		else
			call_end_own(en, c);
	}
	en->stopping = true;
}

static void handle(struct engine *en, struct message *m)
{
	switch (m->type) {
	case MSG_CALL:
		call_run(en, take_ptr(m->call));
		break;
	case MSG_PERIODIC:
		periodic_run(en, m->name);
		mem_give_back();
		break;
	case MSG_USAGE:
		usage_round(en, m->name);
		mem_give_back();
		break;
	case MSG_REAP:
		share_servers_reap(en, m->name);
		break;
	case MSG_REPLICAS:
		replica_round_begin(en, m->name);
		break;
	case MSG_EVENT:
		record_event(en, m->name, take_ptr(m->json));
		break;
	case MSG_CONF:
		take_conf(en, m->conf);
		break;
	case MSG_STOP:
		stop(en);
		break;
	case MSG_ANSWER:
	case MSG_BEGAN:
	case MSG_ENDED:
	case MSG_PARKED:
	case MSG_BACKEND:
	case MSG_PROGRESS:
	case MSG_TICKED:
	case MSG_STOPPED:
		break;
	}
}

static void begin(struct engine *en)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (record_mark_interrupted(en, &e) < 0)
		log_warning("calls that were cut off could not be marked: %s", e.message);
	error_clear(&e);
	if (recover_at_once(en, &e) < 0)
		log_warning("calls that were cut off could not be undone, and are with their backends: %s", e.message);
	error_clear(&e);
	if (store_prune(en->st, &e) < 0)
		log_warning("old records could not be removed: %s", e.message);
}

void *engine_main(void *engine)
{
	struct engine *en = engine;
	struct message *m;

	begin(en);
	while (!en->stopping) {
		m = queue_pop(en->in);
		if (m) {
			handle(en, m);
			message_free(m);
		} else {
			wait_for_something(en);
		}
		if (en->parked)
			step_parked(en);
		if (en->cut_off && !en->stopping)
			recover_step(en);
		if (!en->stopping)
			replica_round_step(en);
		if (en->background)
			reap_background(en);
		look_at_exports(en);
	}
	requester_forget();
	requester_forget_names();
	queue_push(en->out, message_new(MSG_STOPPED));
	return NULL;
}
