/* A hook: what runs around every driver call. Public.
 *
 * A hook module is one `const struct hook_ops` with designated initialisers, listed in hooks/table.c, or exported by a
 * shared object and named in the conf file as "/path/module.so:symbol".
 *
 * Thread: all functions run in the call thread, one after another, while the driver call waits. Nothing here may call
 * the daemon through its socket to change something: it is refused (would_deadlock). */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include "base/error.h"
#include "base/option.h"
#include "conf/settings.h"

#include <stdbool.h>

#define HOOK_ABI 1

enum hook_phase { HOOK_PRE, HOOK_POST, HOOK_PERIODIC, HOOK_ERROR, HOOK_PHASE_COUNT };

/* One event. All is borrowed and lives for the call of the function. */
struct hook_event {
	enum hook_phase phase;
	const char *func_name; /* the wrapped method; NULL in phase periodic */
	const char *call_id;
	const json_t *args;                  /* pre, post, error: the call's parameters, checked */
	const json_t *pre_hook_data;         /* post, error: what this hook's own pre hook returned; NULL: nothing */
	const json_t *driver_action_results; /* post: as the hooks before left it */
	const json_t *periodic_hook_data;    /* periodic: array of shares with their access_rules */
	const struct hook_run *run;          /* for hook_event_json */
	const struct hook_instance *self;
};

/* The whole event as the manual shows it; made on first use, so a hook that does not ask does not pay.
 * Borrowed. */
const json_t *hook_event_json(const struct hook_event *ev);
/* The same as one line of text, without the end of line. Borrowed. */
const char *hook_event_text(const struct hook_event *ev, size_t *ret_len);

/* What a hook is made with; it and all in it live as long as the hook. */
struct hook_setup {
	const char *entry;               /* as it stands in hook_drivers, or the `run` of a hook section */
	const char *argument;            /* what follows "module:" */
	const char *name;                /* how the hook is called in logs and lists */
	const char *backend;             /* the backend's name */
	const char *host;                /* this host's name */
	const char *socket;              /* path of the daemon's socket, for SHARESD_SOCKET */
	double timeout;                  /* of the hook's section, or 0: the module's own option decides */
	size_t max_depth;                /* nesting that an answer may have */
	const struct settings *settings; /* get_config_option: settings_lookup() */
};

/* 0, or a negative errno with `e` filled. A veto is ERR_VETOED with the text for the caller as message: from a pre hook
 * only. A time-out sets e->err to ETIMEDOUT. `*ret` (may stay NULL: nothing) becomes the caller's. */
struct hook_ops {
	unsigned abi; /* HOOK_ABI */
	const char *name;
	/* Named after the module: "exec_timeout"; or NULL. A shared object's are known to the conf file only where its
	 * file stands in `plugins` and exports it as `hook_module`; others use settings_lookup() for what hook_options
	 * has. */
	const struct option *options;
	/* What it wants: "pre-create_share_instance", "post-*", "periodic", "error-extend_share"; NULL: everything.
	 * What is not wanted is not called. */
	const char *const *wants;

	int (*create)(const struct hook_setup *setup, void **ret_hook,
		      struct error *e); /* once per entry and backend */
	void (*destroy)(void *hook);
	/* Is what it points at there, and fit to be run? Asked by init_host: the backend is down until it is. May be
	 * NULL. */
	int (*check_for_setup_error)(void *hook, struct error *e);
	/* Asked before each event, after `wants`; may be NULL. func_name is NULL in phase periodic. */
	bool (*wanted)(void *hook, enum hook_phase phase, const char *func_name);

	/* Each may be NULL: the hook has nothing to do in that phase; but not all four. */
	int (*execute_pre_hook)(void *hook, const struct hook_event *ev, json_t **ret_pre_hook_data, struct error *e);
	/* `*ret`: an object with the keys of driver_action_results to replace. */
	int (*execute_post_hook)(void *hook, const struct hook_event *ev, json_t **ret_results, struct error *e);
	int (*execute_periodic_hook)(void *hook, const struct hook_event *ev, struct error *e);
	int (*execute_error_hook)(void *hook, const struct hook_event *ev, struct error *e);

	/* Adds to what list_hooks shows ("state", "pid", "containment"); may be NULL. */
	void (*describe)(void *hook, json_t *object);
};

const char *hook_phase_name(enum hook_phase phase);

#endif
