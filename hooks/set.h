/* The inside of a hook set and of a run: shared by the files of the runner, not by modules. Call thread only. */
#ifndef HOOKS_SET_H
#define HOOKS_SET_H

#include "hooks/breaker.h"
#include "hooks/runner.h"

enum hook_on_error { HOOK_ON_ERROR_UNSET, HOOK_ON_ERROR_FAIL, HOOK_ON_ERROR_IGNORE };

struct hook_instance {
	const struct hook_ops *ops;
	struct hook_setup setup; /* what the module was made with; its strings are owned here */
	char *entry, *module, *argument, *name;
	struct settings *settings;
	const struct conf_section *section; /* of the conf file, or NULL */
	json_t *options;                    /* settings_all: the same object in every event */
	void *hook;
	bool made;                         /* create was through */
	bool runs_in[HOOK_PHASE_COUNT];    /* the section's phases that the module has a function for */
	bool enabled[HOOK_PHASE_COUNT];    /* of these, what the backend switched on */
	bool suppressed[HOOK_PHASE_COUNT]; /* a failure is only a warning */
	enum hook_on_error on_error;
	const char *const *methods; /* none: all */
	size_t n_methods;
	struct breaker breaker;
};

struct hook_set {
	struct conf *conf;
	char *backend, *host, *socket;
	size_t max_depth;
	size_t n;
	struct hook_instance hooks[];
};

/* By its name, else by its entry. -ENOENT says where names are shown. */
int hook_set_find(struct hook_set *set, const char *hook, struct hook_instance **ret, struct error *e);

/* Enabled, not filtered out, and wanted by the hook itself. */
bool hook_instance_wants(const struct hook_instance *h, enum hook_phase phase, const char *func_name);

/* Wanted by the hook itself, whatever switches and filters say. */
bool hook_module_wants(const struct hook_instance *h, enum hook_phase phase, const char *func_name);

/* Does "post-*", "pre-extend_share", "periodic" or "*" stand for this event? */
bool hook_pattern_matches(const char *pattern, enum hook_phase phase, const char *func_name);

#endif
