#include "conf/relate.h"

#include "base/address.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/privilege.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* The modules that the manual names; those that are not built in now may come with a later version. */
static const char *const manual_modules[] = { "exec", "coproc", "python", "webhook", "journal", NULL };
static const char *const need_argument[] = { "exec", "coproc", "python", "webhook", NULL };
static const char *const phase_switches[][2] = {
	{ "pre", "enable_pre_hooks" },
	{ "post", "enable_post_hooks" },
	{ "periodic", "enable_periodic_hooks" },
	{ "error", "enable_error_hooks" },
};
#define N_PHASES (sizeof(phase_switches) / sizeof(*phase_switches))

static bool is_in(const char *const *list, const char *word)
{
	for (; list && *list; list++) {
		if (strcmp(*list, word) == 0)
			return true;
	}
	return false;
}

static bool is_module(const struct conf_schema *schema, const char *word)
{
	return !schema->module_names || is_in(schema->module_names, word);
}

void check_hook_title(const struct raw_section *raw, const struct conf_schema *schema, struct fault_list *faults)
{
	if (is_in(manual_modules, raw->title) || is_in(schema->module_names, raw->title))
		fault_add(faults, raw->line, raw, NULL, "a hook module has this name; choose another");
}

static char *join(const char *const *list)
{
	char *all = xstrdup("");
	for (; list && *list; list++) {
		char *longer = xasprintf("%s%s%s", all, *all ? ", " : "", *list);
		free(all);
		all = longer;
	}
	return all;
}

static char *no_module(const struct conf_schema *schema, const char *entry, const char *module)
{
	_cleanup_free_ char *known = join(schema->module_names), *shown = fault_shown(entry);
	_cleanup_free_ char *word = fault_shown(module);
	if (strcmp(entry, module) == 0)
		return xasprintf("\"%s\" is neither a hook section of this file nor journal; name one, or write "
				 "module:argument (modules: %s) or /path/module.so:symbol",
				 shown, known);
	return xasprintf("\"%s\": there is no hook module %s; there are: %s", shown, word, known);
}

static char *check_shared_object(const char *entry)
{
	const char *colon = strrchr(entry, ':');
	size_t n = colon ? strspn(colon + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;
	if (n > 0 && colon[1 + n] == '\0' && !(colon[1] >= '0' && colon[1] <= '9'))
		return NULL;
	_cleanup_free_ char *shown = fault_shown(entry);
	return xasprintf("\"%s\" names no symbol; write /path/module.so:symbol, or exec:/path for a program", shown);
}

/* An entry of hook_drivers, or `run` of a hook section. NULL: it has the right shape. Owned by the caller. */
static char *check_entry(const struct conf_schema *schema, const char *entry)
{
	if (*entry == '/')
		return check_shared_object(entry);
	const char *colon = strchr(entry, ':');
	_cleanup_free_ char *module = colon ? xstrndup(entry, (size_t)(colon - entry)) : xstrdup(entry);
	if (!*module || !is_module(schema, module) ||
	    (!colon && !schema->module_names && strcmp(entry, "journal") != 0))
		return no_module(schema, entry, module);
	if (strcmp(module, "webhook") == 0 && colon && !text_starts_with(colon + 1, "unix:") && !privilege_network())
		return xasprintf("\"%s\" needs the network, which the daemon may not use; under systemd its unit needs "
				 "the drop-in network (see sharesd(8))",
				 entry);
	if (is_in(need_argument, module) && (!colon || !colon[1]))
		return xasprintf("\"%s\" has no argument; write %s:ARGUMENT, such as exec:/path/program", entry,
				 module);
	return NULL;
}

static void check_entries(const struct conf *c, const struct checked *s, struct fault_list *faults)
{
	const struct value *v = layer_find(&s->body->own, s->scope == SCOPE_HOOK ? "run" : "hook_drivers");
	if (!v)
		return;
	char *const *entries = s->scope == SCOPE_HOOK ? &v->text : v->list;
	size_t n = s->scope == SCOPE_HOOK ? 1 : v->n;
	for (size_t i = 0; i < n; i++) {
		if (s->scope != SCOPE_HOOK && conf_hook(c, entries[i]))
			continue;
		_cleanup_free_ char *reason = check_entry(c->schema, entries[i]);
		if (reason)
			fault_add(faults, v->line, s->raw, v->option->name, "%s", reason);
	}
}

/* A misspelt method would mean a hook that never runs. */
static void check_methods(const struct conf *c, const struct checked *s, struct fault_list *faults)
{
	const struct value *v = layer_find(&s->body->own, "methods");
	for (size_t i = 0; c->schema->method_names && v && i < v->n; i++) {
		if (is_in(c->schema->method_names, v->list[i]))
			continue;
		_cleanup_free_ char *shown = fault_shown(v->list[i]);
		fault_add(faults, v->line, s->raw, v->option->name,
			  "\"%s\" is no method that runs hooks; sharesd-rpc(7) lists them", shown);
	}
}

/* A free text under the name of an option would never be found: the option is. */
static void warn_hidden_keys(const struct checked *s, struct fault_list *warnings)
{
	const struct value *v = layer_find(&s->body->own, s->scope == SCOPE_HOOK ? "options" : "hook_options");
	for (size_t i = 0; v && i < v->n; i++) {
		_cleanup_free_ char *key = xstrndup(v->list[i], value_key_length(v->list[i]));
		if (schema_find(s->tables, key))
			fault_add(warnings, v->line, s->raw, v->option->name,
				  "\"%s\" is an option of its own and has no effect here; write %s = VALUE instead",
				  key, key);
	}
}

static bool is_on(const struct settings *s, const char *name)
{
	const struct value *v = settings_find(s, name);
	return v && v->flag;
}

/* Does one of the phases that this hook runs in stand at a switch that is on? */
static bool can_run(const struct settings *backend, const struct conf_section *hook)
{
	const struct value *phases = hook ? settings_find(hook->settings, "phases") : NULL;
	for (size_t i = 0; i < N_PHASES; i++) {
		bool wanted =
			!phases || phases->n == 0 || is_in((const char *const *)phases->list, phase_switches[i][0]);
		if (wanted && is_on(backend, phase_switches[i][1]))
			return true;
	}
	return false;
}

static void warn_idle_hooks(const struct conf *c, const struct checked *s, struct fault_list *warnings)
{
	const struct settings *settings = &s->body->settings;
	const struct value *hooks = settings_find(settings, "hook_drivers");
	if (!hooks || hooks->n == 0)
		return;
	if (!can_run(settings, NULL)) {
		fault_add(warnings, s->raw->line, s->raw, NULL,
			  "hooks are listed but all phases are off, so none runs; set enable_pre_hooks, "
			  "enable_post_hooks, "
			  "enable_periodic_hooks or enable_error_hooks to true");
		return;
	}
	for (size_t i = 0; i < hooks->n; i++) {
		const struct conf_section *hook = conf_hook(c, hooks->list[i]);
		if (hook && !can_run(settings, hook))
			fault_add(warnings, s->raw->line, s->raw, NULL,
				  "the hook \"%s\" never runs here, because its phases are off; enable one of them",
				  hook->title);
	}
}

static bool is_used(const struct conf *c, const char *hook)
{
	for (size_t i = 0; i < c->n_backends; i++) {
		const struct value *v = settings_find(c->backends[i].settings, "hook_drivers");
		if (v && is_in((const char *const *)v->list, hook))
			return true;
	}
	return false;
}

/* What a share server could not be given. */
static void check_network(const struct checked *s, struct fault_list *faults)
{
	const struct value *v = layer_find(&s->body->own, "addresses"), *gateway = layer_find(&s->body->own, "gateway");
	struct address router;
	for (size_t i = 0; v && i < v->n; i++) {
		struct address_range range;
		_cleanup_free_ char *reason = NULL, *shown = fault_shown(v->list[i]);
		if (address_range_parse(v->list[i], &range, &reason) < 0)
			fault_add(faults, v->line, s->raw, "addresses",
				  "\"%s\" %s; write \"192.0.2.10-192.0.2.50/24\" or \"2001:db8::5/64\"", shown, reason);
	}
	if (gateway && *gateway->text && (strchr(gateway->text, '/') || address_parse(gateway->text, &router) < 0)) {
		_cleanup_free_ char *shown = fault_shown(gateway->text);
		fault_add(faults, gateway->line, s->raw, "gateway", "\"%s\" is no address; write one, or leave it out",
			  shown);
	}
}

static bool changes_file_systems(const struct checked *s)
{
	for (const struct option *const *table = s->tables; *table; table++)
		for (const struct option *o = *table; o->name; o++)
			if (o->flags & OPTION_MOUNTS)
				return true;
	return false;
}

/* Elsewhere the backend says what it lacks; a unit lacks it for good. */
static void check_mounts(const struct checked *s, struct fault_list *faults)
{
	const struct value *exporters = settings_find(&s->body->settings, "export");
	bool exports = exporters && exporters->n > 0;
	if ((exports || changes_file_systems(s)) && privilege_of_unit() && !privilege_mounts())
		fault_add(faults, s->raw->line, s->raw, exports ? "export" : NULL,
			  "%s file systems, which the daemon may not; under systemd its unit needs the drop-in mount "
			  "(see sharesd(8))",
			  exports ? "exporters mount" : "its driver changes");
}

static void check_share_servers(const struct checked *s, struct fault_list *faults)
{
	const struct value *exporters = settings_find(&s->body->settings, "export");
	if (is_on(&s->body->settings, "driver_handles_share_servers") && exporters && exporters->n > 0 &&
	    privilege_of_unit() && !privilege_networks())
		fault_add(faults, s->raw->line, s->raw, "driver_handles_share_servers",
			  "share servers have networks of their own, which the daemon may not make; under systemd its "
			  "unit needs the drop-in network (see sharesd(8))");
}

void conf_relate(const struct conf *c, const struct checked *sections, size_t n, struct fault_list *faults,
		 struct fault_list *warnings)
{
	for (size_t i = 0; i < n; i++) {
		const struct checked *s = &sections[i];
		if (s->scope == SCOPE_NETWORK) {
			check_network(s, faults);
			continue;
		}
		check_entries(c, s, faults);
		if (s->scope == SCOPE_HOOK)
			check_methods(c, s, faults);
		warn_hidden_keys(s, warnings);
		if (s->scope == SCOPE_BACKEND) {
			check_mounts(s, faults);
			check_share_servers(s, faults);
			warn_idle_hooks(c, s, warnings);
		} else if (s->scope == SCOPE_HOOK && !is_used(c, s->raw->title))
			fault_add(warnings, s->raw->line, s->raw, NULL,
				  "no backend lists this hook in hook_drivers, so it never runs; add it there");
	}
}
