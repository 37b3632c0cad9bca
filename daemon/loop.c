#include "daemon/loop.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/call_thread.h"
#include "daemon/events.h"
#include "daemon/options.h"
#include "daemon/rpc.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/status.h"
#include "daemon/submit.h"
#include "daemon/timers.h"
#include "daemon/view.h"

#include <errno.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* At the end clients get this long to read their last answers. */
#define FLUSH_SECONDS 1.0

struct running {
	struct service s;
	pthread_t thread;
	struct engine *engine; /* the thread owns it until it has ended */
	struct event *from_engine, *flush, *watch;
	struct event *signals[3];
	double flush_until;
};

/* ---- from the call thread ---- */

static void tell_events(struct service *s, int64_t upto)
{
	if (upto == 0)
		return;
	s->told = upto;
	events_pump_all(s);
}

static void take_answer(struct service *s, struct message *m)
{
	tell_events(s, m->told);
	view_count_hooks(s->view, m->name, m->json);
	view_call_ends(s->view, m->call);
	rpc_answer(s, m->call);
}

static void take_backend(struct service *s, struct message *m)
{
	const char *status = m->json ? jsonx_str(m->json, "status") : "gone";

	timers_backend(s->timers, m->name, status);
	view_set_backend(s->view, m->name, take_ptr(m->json));
	status_show(s->status, s->view);
}

static void take_message(struct running *run, struct message *m)
{
	struct service *s = &run->s;

	switch (m->type) {
	case MSG_ANSWER:
		take_answer(s, m);
		break;
	case MSG_BEGAN:
		view_call_begins(s->view, m->shown, take_ptr(m->json));
		break;
	case MSG_ENDED:
		view_call_ends(s->view, m->call);
		break;
	case MSG_BACKEND:
		take_backend(s, m);
		break;
	case MSG_PROGRESS:
		view_set_progress(s->view, m->name, take_ptr(m->json));
		break;
	case MSG_TICKED:
		timers_ticked(s->timers, m->name);
		view_count_hooks(s->view, m->name, m->json);
		break;
	case MSG_STOPPED:
		run->flush_until = text_monotonic() + FLUSH_SECONDS;
		event_active(run->flush, EV_TIMEOUT, 0);
		break;
	case MSG_EVENT:
		tell_events(s, m->told);
		break;
	case MSG_PARKED:
	case MSG_CALL:
	case MSG_PERIODIC:
	case MSG_USAGE:
	case MSG_REAP:
	case MSG_REPLICAS:
	case MSG_CONF:
	case MSG_STOP:
		break;
	}
}

/* It carries something of each share of its backend. */
static bool is_large(const struct message *m)
{
	return m->type == MSG_ANSWER && strcmp(m->call->method->name, "init_host") == 0;
}

static void on_engine(evutil_socket_t fd, short what, void *arg)
{
	struct running *run = arg;
	struct message *m;

	(void)fd;
	(void)what;
	/* A bounded round, so that clients are served in between; the descriptor stays readable while more is there. */
	for (int i = 0; i < 64 && (m = queue_pop(run->s.out)); i++) {
		bool large = is_large(m);

		take_message(run, m);
		message_free(m);
		if (large)
			mem_give_back();
	}
}

/* ---- stop and reload ---- */

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct running *run = arg;
	struct timeval soon = { .tv_usec = 10000 };

	(void)fd;
	(void)what;
	if (server_is_flushed(run->s.server) || text_monotonic() > run->flush_until)
		event_base_loopexit(run->s.base, NULL);
	else
		event_add(run->flush, &soon);
}

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
	struct running *run = arg;

	(void)what;
	if (run->s.stopping)
		return;
	log_kind(LOG_LEVEL_NOTICE, LOG_KIND_STOPPING, "stopping (%s): the running call is finished first",
		 strsignal((int)signal));
	status_stopping(run->s.status);
	run->s.stopping = true;
	server_stop_listening(run->s.server);
	queue_push_front(run->s.in, message_new(MSG_STOP));
}

static void log_lines(enum log_level level, const struct conf_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		log_at(level, "%s", f->lines[i]);
}

static int load_again(struct service *s, struct conf **ret)
{
	struct conf_faults faults = { 0 }, warnings = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *conf = NULL;
	int r = conf_load(s->conf_path, daemon_schema(), &conf, &faults, &warnings, &e);

	log_lines(LOG_LEVEL_ERROR, &faults);
	log_lines(LOG_LEVEL_WARNING, &warnings);
	if (r == 0)
		r = conf_check_reload(s->conf, conf, &e);
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	if (r < 0) {
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_CONF_REFUSED, "%s is not taken, the old one stays in force: %s",
			 s->conf_path, e.message ? e.message : strerror(-r));
		conf_unref(conf);
		return r;
	}
	*ret = conf;
	return 0;
}

/* Until the call thread says more of them. */
static void show_new_backends(struct service *s)
{
	size_t n;
	const struct conf_section *sections = conf_backends(s->conf, &n);

	for (size_t i = 0; i < n; i++)
		if (!view_backend(s->view, sections[i].title))
			view_set_backend(s->view, sections[i].title,
					 jsonx_pack("{s:s,s:s,s:s,s:n,s:[],s:n}", "name", sections[i].title, "driver",
						    sections[i].keyword, "status", "starting", "status_reason", "hooks",
						    "capabilities"));
}

static void on_reload(evutil_socket_t signal, short what, void *arg)
{
	struct running *run = arg;
	struct service *s = &run->s;
	struct conf *conf, *old = s->conf;
	struct message *m;
	enum log_level level;
	int r;

	(void)signal;
	(void)what;
	if (s->stopping)
		return;
	status_reloading(s->status);
	r = load_again(s, &conf);
	status_refused(s->status, r < 0);
	if (r == 0) {
		s->conf = conf;
		if (log_level_from_name(settings_string(conf_top(conf), "log_level"), &level) == 0)
			log_set_level(level);
		roles_load(&s->roles, conf_top(conf));
		server_reload(s->server);
		timers_reload(s->timers);
		show_new_backends(s);
		m = message_new(MSG_CONF);
		m->conf = conf_ref(conf);
		queue_push(s->in, m);
		conf_unref(old);
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_CONF_TAKEN, "%s is in force", s->conf_path);
	}
	status_ready(s->status, s->view);
}

/* ---- start ---- */

static int start_engine(struct running *run, struct store *writer)
{
	struct engine *en = engine_new(writer, run->s.in, run->s.out, run->s.conf);
	struct message *m = message_new(MSG_CONF);
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };
	sigset_t all, old;
	int r;

	m->conf = conf_ref(run->s.conf);
	queue_push(run->s.in, m);
	/* Signals are the loop's. A fault of ours is reported where it happens. */
	sigfillset(&all);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&run->thread, NULL, engine_main, en);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	run->engine = en;
	return -r;
}

/* ---- drivers that do not come back ---- */

static double driver_timeout(void *data, const char *backend)
{
	const struct service *s = data;
	const struct conf_section *b = conf_backend(s->conf, backend);

	return settings_seconds(b ? b->settings : conf_top(s->conf), "driver_timeout");
}

/* The call thread is held; reads go on, and show the backend as down with the reason. */
static void report_stuck(void *data, const json_t *call, const char *backend, double took)
{
	struct service *s = data;
	const char *method = jsonx_str(call, "method");
	_cleanup_free_ char *reason = xasprintf(
		"its driver has not come back from %s for %.0f s (driver_timeout); changes wait for it", method, took);
	json_t *shown = view_backend(s->view, backend) ? json_copy(view_backend(s->view, backend)) : NULL;

	log_kind(LOG_LEVEL_ERROR, LOG_KIND_BACKEND_STUCK, "backend \"%s\" is down: %s", backend, reason);
	service_event(s, "backend.stuck",
		      jsonx_pack("{s:s,s:s,s:s}", "name", backend, "method", method, "status_reason", reason));
	if (!shown)
		return;
	json_object_set_new(shown, "status", json_string("down"));
	json_object_set_new(shown, "status_reason", json_string(reason));
	view_set_backend(s->view, backend, shown);
	status_show(s->status, s->view);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct running *run = arg;

	(void)fd;
	(void)what;
	view_find_stuck(run->s.view, driver_timeout, report_stuck, &run->s);
}

static void add_events(struct running *run)
{
	static const struct timeval each_second = { .tv_sec = 1 };
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };

	run->from_engine = event_new(run->s.base, queue_fd(run->s.out), EV_READ | EV_PERSIST, on_engine, run);
	event_add(run->from_engine, NULL);
	run->flush = evtimer_new(run->s.base, on_flush, run);
	events_begin(&run->s);
	run->watch = event_new(run->s.base, -1, EV_PERSIST, on_watch, run);
	event_add(run->watch, &each_second);
	for (size_t i = 0; i < 3; i++) {
		run->signals[i] =
			evsignal_new(run->s.base, numbers[i], numbers[i] == SIGHUP ? on_reload : on_stop, run);
		event_add(run->signals[i], NULL);
	}
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

static struct event *add_watchdog(struct running *run)
{
	uint64_t usec;
	struct event *ev;
	struct timeval tv;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return NULL;
	tv = (struct timeval){ .tv_sec = (time_t)(usec / 2000000), .tv_usec = (suseconds_t)(usec / 2 % 1000000) };
	ev = event_new(run->s.base, -1, EV_PERSIST, on_watchdog, NULL);
	event_add(ev, &tv);
	return ev;
}

static void tear_down(struct running *run)
{
	server_free(run->s.server);
	timers_free(run->s.timers);
	for (size_t i = 0; i < 3; i++)
		if (run->signals[i])
			event_free(run->signals[i]);
	if (run->from_engine)
		event_free(run->from_engine);
	if (run->flush)
		event_free(run->flush);
	if (run->watch)
		event_free(run->watch);
	if (run->s.pump)
		event_free(run->s.pump);
	/* The reader first: the last connection to close tidies the log of the store up. */
	store_close(run->s.st);
	engine_free(run->engine);
	queue_free(run->s.in);
	queue_free(run->s.out);
	view_free(run->s.view);
	status_free(run->s.status);
	roles_clear(&run->s.roles);
	conf_unref(run->s.conf);
	event_base_free(run->s.base);
}

static int open_stores(struct running *run, struct store **ret_writer, struct error *e)
{
	const char *dir = settings_string(conf_top(run->s.conf), "state_dir");
	int r = store_open(dir, true, ret_writer, e);

	if (r < 0)
		return r;
	run->s.told = store_durable_event(*ret_writer);
	return store_open(dir, false, &run->s.st, e);
}

static void forget(struct conn *c)
{
	rpc_forget(*conn_pending(c));
	subscription_free(*conn_subscription(c));
}

static int set_up(struct running *run, const int *fds, int n_fds, struct error *e)
{
	static const struct server_users users = { .line = rpc_line, .drained = events_pump, .gone = forget };
	struct store *writer = NULL;
	int r = open_stores(run, &writer, e);

	if (r < 0) {
		store_close(writer);
		return r;
	}
	roles_load(&run->s.roles, conf_top(run->s.conf));
	run->s.view = view_new();
	run->s.status = status_new();
	show_new_backends(&run->s);
	run->s.timers = timers_new(&run->s);
	add_events(run);
	/* The queue has its first message, the init_hosts, before the first client is heard. */
	r = start_engine(run, writer);
	if (r < 0)
		return error_errno(e, -r, "cannot start the call thread");
	r = server_new(&run->s, &users, fds, n_fds, &run->s.server, e);
	if (r < 0) {
		queue_push_front(run->s.in, message_new(MSG_STOP));
		pthread_join(run->thread, NULL);
	}
	return r;
}

int loop_run(const char *conf_path, struct conf *conf, const int *fds, int n_fds)
{
	struct running run = { .s = { .conf_path = conf_path, .conf = conf_ref(conf) } };
	_cleanup_error_ struct error e = ERROR_INIT;
	struct event *watchdog = NULL;
	int r;

	text_now(run.s.started_at);
	run.s.base = event_base_new();
	run.s.in = queue_new();
	run.s.out = queue_new();
	r = set_up(&run, fds, n_fds, &e);
	if (r < 0) {
		log_kind(LOG_LEVEL_ERROR, LOG_KIND_START_FAILED, "cannot start: %s", e.message);
	} else {
		watchdog = add_watchdog(&run);
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_STARTED, "sharesd " SHARESD_VERSION " listens on %s",
			 settings_string(conf_top(conf), "socket"));
		status_ready(run.s.status, run.s.view);
		event_base_dispatch(run.s.base);
		pthread_join(run.thread, NULL);
		log_kind(LOG_LEVEL_NOTICE, LOG_KIND_STOPPED, "stopped");
	}
	if (watchdog)
		event_free(watchdog);
	tear_down(&run);
	return r;
}
