#include "daemon/timers.h"

#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "daemon/submit.h"
#include "daemon/view.h"

#include <string.h>

/* Seconds before init_host is tried again: the first, and the most. */
#define RETRY_FIRST 1.0
#define RETRY_MOST  300.0
/* A first measuring comes soon after the backend is up, not an hour later. */
#define USAGE_FIRST 30.0
/* Share servers without shares are looked for so often, or sooner where they are to go sooner. */
#define REAP_MOST 60.0

enum kind { TIMER_PERIODIC, TIMER_STATS, TIMER_USAGE, TIMER_REAP, TIMER_REPLICAS, TIMER_RETRY, TIMER_COUNT };

struct backend_timers {
	struct backend_timers *next;
	struct timers *all;
	char *name;
	const struct settings *settings;
	struct event *events[TIMER_COUNT];
	double retry;
	int64_t ticks;
	bool up, tick_running;
};

struct timers {
	struct service *service;
	struct backend_timers *backends;
};

static void start(struct backend_timers *b, enum kind kind, double seconds)
{
	struct timeval tv = { .tv_sec = (time_t)seconds,
			      .tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };

	event_add(b->events[kind], &tv);
}

static void tell(struct backend_timers *b, enum message_type type)
{
	struct message *m = message_new(type);

	m->name = xstrdup(b->name);
	queue_push(b->all->service->in, m);
}

/* One tick; each periodic_hooks_ticks-th runs the hooks, unless the last ones still do. */
static void on_periodic(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;

	(void)fd;
	(void)what;
	start(b, TIMER_PERIODIC, settings_seconds(b->settings, "periodic_hooks_interval"));
	if (!settings_bool(b->settings, "enable_periodic_hooks") ||
	    ++b->ticks < settings_int(b->settings, "periodic_hooks_ticks"))
		return;
	b->ticks = 0;
	if (b->tick_running) {
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_TICK_DROPPED,
			 "backend \"%s\": a tick of the periodic hooks is dropped, the last one still runs", b->name);
		view_count_dropped_tick(b->all->service->view, b->name);
		return;
	}
	b->tick_running = true;
	tell(b, MSG_PERIODIC);
}

static void on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;

	(void)fd;
	(void)what;
	start(b, TIMER_STATS, settings_seconds(b->settings, "stats_interval"));
	/* Behind a long queue one is enough. */
	if (queue_length(b->all->service->in) < 16)
		service_submit_own(b->all->service, "publish_service_capabilities", b->name);
}

static void on_usage(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;
	double interval = settings_seconds(b->settings, "usage_interval");

	(void)fd;
	(void)what;
	if (interval <= 0)
		return;
	start(b, TIMER_USAGE, interval);
	tell(b, MSG_USAGE);
}

static double reap_interval(const struct backend_timers *b)
{
	double most = settings_seconds(b->settings, "unused_share_server_cleanup_interval");

	if (most <= 0 || !settings_bool(b->settings, "driver_handles_share_servers"))
		return 0;
	return most < REAP_MOST ? most : REAP_MOST;
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;

	(void)fd;
	(void)what;
	if (reap_interval(b) <= 0)
		return;
	start(b, TIMER_REAP, reap_interval(b));
	tell(b, MSG_REAP);
}

static double replica_interval(const struct backend_timers *b)
{
	return *settings_string(b->settings, "replication_domain")
		       ? settings_seconds(b->settings, "replica_state_update_interval")
		       : 0;
}

static void on_replicas(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;

	(void)fd;
	(void)what;
	if (replica_interval(b) <= 0)
		return;
	start(b, TIMER_REPLICAS, replica_interval(b));
	tell(b, MSG_REPLICAS);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct backend_timers *b = arg;

	(void)fd;
	(void)what;
	b->retry = b->retry * 2 < RETRY_MOST ? b->retry * 2 : RETRY_MOST;
	if (!service_submit_own(b->all->service, "init_host", b->name))
		start(b, TIMER_RETRY, b->retry);
}

static struct backend_timers *find(struct timers *t, const char *name)
{
	for (struct backend_timers *b = t->backends; b; b = b->next)
		if (strcmp(b->name, name) == 0)
			return b;
	return NULL;
}

static void free_one(struct backend_timers *b)
{
	for (int k = 0; k < TIMER_COUNT; k++)
		event_free(b->events[k]);
	free(b->name);
	free(b);
}

static struct backend_timers *add(struct timers *t, const char *name)
{
	static const event_callback_fn functions[TIMER_COUNT] = { on_periodic, on_stats,    on_usage,
								  on_reap,     on_replicas, on_retry };
	struct backend_timers *b = xcalloc(1, sizeof *b);

	b->all = t;
	b->name = xstrdup(name);
	b->retry = RETRY_FIRST;
	for (int k = 0; k < TIMER_COUNT; k++)
		b->events[k] = evtimer_new(t->service->base, functions[k], b);
	b->next = t->backends;
	t->backends = b;
	return b;
}

static void drop_gone(struct timers *t)
{
	struct backend_timers **p = &t->backends;

	while (*p) {
		struct backend_timers *b = *p;

		if (conf_backend(t->service->conf, b->name)) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		free_one(b);
	}
}

static void arm_up(struct backend_timers *b)
{
	double usage = settings_seconds(b->settings, "usage_interval");

	start(b, TIMER_STATS, settings_seconds(b->settings, "stats_interval"));
	if (usage > 0)
		start(b, TIMER_USAGE, usage < USAGE_FIRST ? usage : USAGE_FIRST);
	if (reap_interval(b) > 0)
		start(b, TIMER_REAP, reap_interval(b));
	if (replica_interval(b) > 0)
		start(b, TIMER_REPLICAS, replica_interval(b));
}

void timers_reload(struct timers *t)
{
	size_t n;
	const struct conf_section *s = conf_backends(t->service->conf, &n);

	drop_gone(t);
	for (size_t i = 0; i < n; i++) {
		struct backend_timers *b = find(t, s[i].title);
		bool is_new = !b;
		double was = is_new ? 0 : settings_seconds(b->settings, "periodic_hooks_interval");

		if (is_new)
			b = add(t, s[i].title);
		b->settings = s[i].settings;
		/* A reload that changes something else does not put the next tick off. */
		if (is_new || was < settings_seconds(b->settings, "periodic_hooks_interval") ||
		    was > settings_seconds(b->settings, "periodic_hooks_interval"))
			start(b, TIMER_PERIODIC, settings_seconds(b->settings, "periodic_hooks_interval"));
		if (b->up)
			arm_up(b);
	}
}

void timers_backend(struct timers *t, const char *name, const char *status)
{
	struct backend_timers *b = find(t, name);
	bool up = strcmp(status, "up") == 0;

	if (!b)
		return;
	if (up && !b->up) {
		b->retry = RETRY_FIRST;
		event_del(b->events[TIMER_RETRY]);
		arm_up(b);
	}
	if (strcmp(status, "down") == 0) {
		event_del(b->events[TIMER_STATS]);
		event_del(b->events[TIMER_USAGE]);
		event_del(b->events[TIMER_REAP]);
		event_del(b->events[TIMER_REPLICAS]);
		start(b, TIMER_RETRY, b->retry);
	}
	b->up = up;
}

void timers_ticked(struct timers *t, const char *name)
{
	struct backend_timers *b = find(t, name);

	if (b)
		b->tick_running = false;
}

struct timers *timers_new(struct service *s)
{
	struct timers *t = xcalloc(1, sizeof *t);

	t->service = s;
	timers_reload(t);
	return t;
}

void timers_free(struct timers *t)
{
	if (!t)
		return;
	while (t->backends) {
		struct backend_timers *b = t->backends;

		t->backends = b->next;
		free_one(b);
	}
	free(t);
}
