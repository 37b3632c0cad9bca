#include "hooks/set.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hooks/shared.h"
#include "hooks/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The switches of every backend, by phase. */
static const struct {
	const char *enable, *suppress;
} switches[HOOK_PHASE_COUNT] = {
	[HOOK_PRE] = { "enable_pre_hooks", "suppress_pre_hooks_errors" },
	[HOOK_POST] = { "enable_post_hooks", "suppress_post_hooks_errors" },
	[HOOK_PERIODIC] = { "enable_periodic_hooks", NULL },
	[HOOK_ERROR] = { "enable_error_hooks", NULL },
};

static const char *const on_error_words[] = {
	[HOOK_ON_ERROR_UNSET] = "",
	[HOOK_ON_ERROR_FAIL] = "fail",
	[HOOK_ON_ERROR_IGNORE] = "ignore",
};

const char *hook_origin_name(enum hook_origin origin)
{
	static const char *const names[] = {
		[HOOK_ORIGIN_CLIENT] = "client",
		[HOOK_ORIGIN_START] = "start",
		[HOOK_ORIGIN_TIMER] = "timer",
		[HOOK_ORIGIN_CALL] = "call",
	};
	return names[origin];
}

static bool in_list(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], word) == 0)
			return true;
	}
	return false;
}

static int bad_entry(const struct hook_instance *h, struct error *e, const char *why)
{
	error_set(e, ERR_INVALID_PARAMS, EINVAL, "hook_drivers of backend \"%s\": %s\"%s\": %s", h->setup.backend,
		  h->section ? "run of hook " : "", h->section ? h->section->title : h->entry, why);
	error_add(e, "hook", jsonx_string(h->name));
	return -EINVAL;
}

static int no_such_module(const struct hook_instance *h, struct error *e)
{
	_cleanup_free_ char *known = xstrdup("");
	for (const struct hook_ops *const *m = hook_module_table(); *m; m++) {
		char *longer = xasprintf("%s%s%s", known, *known ? ", " : "", (*m)->name);
		free(known);
		known = longer;
	}
	_cleanup_free_ char *why = xasprintf(
		"there is no hook module \"%s\" (known: %s) and no hook section of that name", h->module, known);
	return bad_entry(h, e, why);
}

/* "module:argument", "module", or "/path/module.so:symbol". */
static int find_module(struct hook_instance *h, struct error *e)
{
	if (h->entry[0] == '/') {
		h->module = xstrdup("shared");
		h->argument = xstrdup(h->entry);
		int r = hook_shared_load(h->entry, &h->ops, e);
		if (r < 0)
			error_prefix(e, "hook_drivers of backend \"%s\"", h->setup.backend);
		return r;
	}
	const char *colon = strchr(h->entry, ':');
	h->module = colon ? xstrndup(h->entry, (size_t)(colon - h->entry)) : xstrdup(h->entry);
	h->argument = xstrdup(colon ? colon + 1 : "");
	h->ops = hook_module_find(h->module);
	return h->ops ? 0 : no_such_module(h, e);
}

static int read_on_error(struct hook_instance *h, struct error *e)
{
	const char *word = settings_string(h->section->settings, "on_error");
	for (size_t i = 0; i < sizeof(on_error_words) / sizeof(*on_error_words); i++) {
		if (strcmp(word, on_error_words[i]) == 0) {
			h->on_error = (enum hook_on_error)i;
			return 0;
		}
	}
	return bad_entry(h, e, "on_error must be \"fail\" or \"ignore\"");
}

static int check_phases(const struct hook_instance *h, const char *const *phases, size_t n, struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		int p = 0;
		while (p < HOOK_PHASE_COUNT && strcmp(phases[i], hook_phase_name((enum hook_phase)p)) != 0)
			p++;
		if (p == HOOK_PHASE_COUNT)
			return bad_entry(h, e, "phases must be of \"pre\", \"post\", \"periodic\", \"error\"");
	}
	return 0;
}

/* A section that lists phases runs in these alone. One that lists methods but no phases means calls of those methods:
 * a tick of the timer is none of them. */
static int read_section(struct hook_instance *h, struct error *e)
{
	size_t n;
	const char *const *phases = settings_list(h->section->settings, "phases", &n);
	int r = check_phases(h, phases, n, e);
	if (r == 0)
		r = read_on_error(h, e);
	if (r < 0)
		return r;
	h->methods = settings_list(h->section->settings, "methods", &h->n_methods);
	h->setup.timeout = settings_seconds(h->section->settings, "timeout");
	for (int p = 0; p < HOOK_PHASE_COUNT; p++) {
		if (n > 0)
			h->runs_in[p] = in_list(phases, n, hook_phase_name((enum hook_phase)p));
		else
			h->runs_in[p] = p != HOOK_PERIODIC || h->n_methods == 0;
	}
	return 0;
}

static bool has_function(const struct hook_ops *ops, enum hook_phase phase)
{
	switch (phase) {
	case HOOK_PRE:
		return ops->execute_pre_hook;
	case HOOK_POST:
		return ops->execute_post_hook;
	case HOOK_PERIODIC:
		return ops->execute_periodic_hook;
	case HOOK_ERROR:
		return ops->execute_error_hook;
	case HOOK_PHASE_COUNT:
		break;
	}
	return false;
}

static void read_switches(struct hook_instance *h, const struct settings *backend)
{
	for (int p = 0; p < HOOK_PHASE_COUNT; p++) {
		h->runs_in[p] = h->runs_in[p] && has_function(h->ops, (enum hook_phase)p);
		h->enabled[p] = h->runs_in[p] && settings_bool(backend, switches[p].enable);
		h->suppressed[p] = h->on_error == HOOK_ON_ERROR_IGNORE ||
				   (h->on_error == HOOK_ON_ERROR_UNSET && switches[p].suppress &&
				    settings_bool(backend, switches[p].suppress));
	}
}

static int make_instance(struct hook_set *set, struct hook_instance *h, const struct hook_set_setup *setup,
			 const char *entry, struct error *e)
{
	h->section = conf_hook(setup->conf, entry);
	h->name = xstrdup(entry);
	h->entry = xstrdup(h->section ? settings_string(h->section->settings, "run") : entry);
	h->setup = (struct hook_setup){ .entry = h->entry,
					.name = h->name,
					.backend = set->backend,
					.host = set->host,
					.socket = set->socket,
					.max_depth = set->max_depth };
	for (int p = 0; p < HOOK_PHASE_COUNT; p++)
		h->runs_in[p] = true;
	int r = find_module(h, e);
	if (r == 0 && h->section)
		r = read_section(h, e);
	if (r < 0)
		return r;
	read_switches(h, setup->backend->settings);
	h->breaker.limit = (unsigned)settings_int(setup->backend->settings, "hook_breaker_timeouts");
	h->breaker.pause = settings_seconds(setup->backend->settings, "hook_breaker_pause");
	h->settings = settings_new_hook(setup->conf, h->section, setup->backend);
	h->options = settings_all(h->settings);
	h->setup.settings = h->settings;
	h->setup.argument = h->argument;
	r = h->ops->create(&h->setup, &h->hook, e);
	if (r < 0) {
		error_prefix(e, "hook_drivers of backend \"%s\": \"%s\"", set->backend, h->name);
		return r;
	}
	h->made = true;
	return 0;
}

int hook_set_new(const struct hook_set_setup *setup, struct hook_set **ret, struct error *e)
{
	size_t n;
	const char *const *entries = settings_list(setup->backend->settings, "hook_drivers", &n);
	struct hook_set *set = xcalloc(1, sizeof(*set) + n * sizeof(set->hooks[0]));
	set->conf = conf_ref(setup->conf);
	set->backend = xstrdup(setup->backend->title);
	set->host = xstrdup(setup->host);
	set->socket = xstrdup(setup->socket);
	set->max_depth = setup->max_depth;
	for (; set->n < n; set->n++) {
		int r = make_instance(set, &set->hooks[set->n], setup, entries[set->n], e);
		if (r < 0) {
			if (e)
				e->kind = ERR_INVALID_PARAMS;
			set->n++; /* the half-built one is freed too */
			hook_set_free(set);
			return r;
		}
	}
	*ret = set;
	return 0;
}

void hook_set_free(struct hook_set *set)
{
	if (!set)
		return;
	for (size_t i = set->n; i-- > 0;) {
		struct hook_instance *h = &set->hooks[i];
		log_context(LOG_HOOK, h->name);
		if (h->made)
			h->ops->destroy(h->hook);
		log_context(LOG_HOOK, NULL);
		json_decref(h->options);
		settings_free(h->settings);
		free(h->entry);
		free(h->module);
		free(h->argument);
		free(h->name);
	}
	free(set->backend);
	free(set->host);
	free(set->socket);
	conf_unref(set->conf);
	free(set);
}

size_t hook_set_size(const struct hook_set *set)
{
	return set ? set->n : 0;
}

bool hook_pattern_matches(const char *pattern, enum hook_phase phase, const char *func_name)
{
	const char *name = hook_phase_name(phase);
	size_t n = strlen(name);
	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, name, n) != 0)
		return false;
	if (phase == HOOK_PERIODIC)
		return pattern[n] == '\0';
	if (pattern[n] != '-')
		return false;
	return strcmp(pattern + n + 1, "*") == 0 || (func_name && strcmp(pattern + n + 1, func_name) == 0);
}

bool hook_module_wants(const struct hook_instance *h, enum hook_phase phase, const char *func_name)
{
	const struct hook_ops *ops = h->ops;
	bool listed = !ops->wants;
	for (const char *const *w = ops->wants; w && *w && !listed; w++)
		listed = hook_pattern_matches(*w, phase, func_name);
	return listed && has_function(ops, phase) && (!ops->wanted || ops->wanted(h->hook, phase, func_name));
}

bool hook_instance_wants(const struct hook_instance *h, enum hook_phase phase, const char *func_name)
{
	if (!h->enabled[phase])
		return false;
	if (phase != HOOK_PERIODIC && h->n_methods > 0 && !in_list(h->methods, h->n_methods, func_name))
		return false;
	return hook_module_wants(h, phase, func_name);
}

bool hook_set_wants(struct hook_set *set, enum hook_phase phase, const char *func_name)
{
	bool wants = false;
	for (size_t i = 0; set && i < set->n && !wants; i++) {
		log_context(LOG_HOOK, set->hooks[i].name);
		wants = hook_instance_wants(&set->hooks[i], phase, func_name);
		log_context(LOG_HOOK, NULL);
	}
	return wants;
}

static bool is_enabled(const struct hook_instance *h)
{
	for (int p = 0; p < HOOK_PHASE_COUNT; p++) {
		if (h->enabled[p])
			return true;
	}
	return false;
}

int hook_set_check(struct hook_set *set, struct error *e)
{
	for (size_t i = 0; set && i < set->n; i++) {
		struct hook_instance *h = &set->hooks[i];
		if (!h->ops->check_for_setup_error || !is_enabled(h))
			continue;
		log_context(LOG_HOOK, h->name);
		int r = h->ops->check_for_setup_error(h->hook, e);
		log_context(LOG_HOOK, NULL);
		if (r < 0) {
			error_prefix(e, "hook \"%s\"", h->name);
			error_add(e, "hook", jsonx_string(h->name));
			return r;
		}
	}
	return 0;
}

bool hook_set_has_phase(const struct hook_set *set, enum hook_phase phase)
{
	for (size_t i = 0; set && i < set->n; i++) {
		if (set->hooks[i].enabled[phase])
			return true;
	}
	return false;
}

int hook_set_find(struct hook_set *set, const char *hook, struct hook_instance **ret, struct error *e)
{
	for (size_t i = 0; set && i < set->n; i++) {
		if (strcmp(set->hooks[i].name, hook) == 0) {
			*ret = &set->hooks[i];
			return 0;
		}
	}
	for (size_t i = 0; set && i < set->n; i++) {
		if (strcmp(set->hooks[i].entry, hook) == 0) {
			*ret = &set->hooks[i];
			return 0;
		}
	}
	error_set(e, ERR_NOT_FOUND, ENOENT,
		  "this backend has no hook \"%s\": see its hook_drivers, or sharesctl hook list", hook);
	error_add(e, "param", json_string("hook"));
	return -ENOENT;
}

int hook_set_options(struct hook_set *set, const char *hook, const json_t **ret, struct error *e)
{
	struct hook_instance *h;
	int r = hook_set_find(set, hook, &h, e);
	if (r == 0)
		*ret = h->options;
	return r;
}

int hook_set_enable(struct hook_set *set, const char *hook, struct error *e)
{
	struct hook_instance *h;
	int r = hook_set_find(set, hook, &h, e);
	if (r == 0)
		breaker_reset(&h->breaker);
	return r;
}

static void describe_state(const struct hook_instance *h, json_t *o)
{
	if (h->breaker.open)
		json_object_set_new(o, "state", json_string("left_out"));
	else if (!json_object_get(o, "state"))
		json_object_set_new(o, "state", json_string("ready"));
	json_object_set_new(o, "timeouts_in_row", json_integer(h->breaker.timeouts));
	json_object_set_new(o, "left_out_until", jsonx_string(h->breaker.open ? h->breaker.shown : NULL));
}

static json_t *describe(const struct hook_set *set, const struct hook_instance *h)
{
	json_t *phases = json_array(), *enabled = json_object(), *methods = json_array();
	for (int p = 0; p < HOOK_PHASE_COUNT; p++) {
		const char *phase = hook_phase_name((enum hook_phase)p);
		json_object_set_new(enabled, phase, json_boolean(h->enabled[p]));
		if (h->runs_in[p])
			json_array_append_new(phases, json_string(phase));
	}
	for (size_t i = 0; i < h->n_methods; i++)
		json_array_append_new(methods, json_string(h->methods[i]));
	json_t *o = json_object();
	json_object_set_new(o, "backend", jsonx_string(set->backend));
	json_object_set_new(o, "name", jsonx_string(h->name));
	json_object_set_new(o, "entry", jsonx_string(h->entry));
	json_object_set_new(o, "module", jsonx_string(h->module));
	json_object_set_new(o, "phases", phases);
	json_object_set_new(o, "enabled", enabled);
	json_object_set_new(o, "methods", methods);
	json_object_set_new(o, "on_error", jsonx_string(h->on_error ? on_error_words[h->on_error] : NULL));
	json_object_set_new(o, "timeout", h->setup.timeout > 0 ? json_real(h->setup.timeout) : json_null());
	if (h->ops->describe)
		h->ops->describe(h->hook, o);
	describe_state(h, o);
	return o;
}

json_t *hook_set_describe(struct hook_set *set)
{
	json_t *list = json_array();
	for (size_t i = 0; set && i < set->n; i++)
		json_array_append_new(list, describe(set, &set->hooks[i]));
	return list;
}

bool hook_set_changes(const struct hook_set *set)
{
	for (size_t i = 0; set && i < set->n; i++) {
		if (set->hooks[i].ops->describe)
			return true;
	}
	return false;
}
