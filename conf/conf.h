/* The conf file (libconfuse): text to checked settings. Parse in one thread only (the lexer has global state). */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/error.h"
#include "base/option.h"
#include "conf/settings.h"

/* What may stand in the file; assembled at run time from the tables of those who use the options. The schema and its
 * tables outlive every conf loaded with it. */
struct conf_schema {
	const struct option *top;            /* the daemon's own, top level only */
	const struct option *backend;        /* every backend section; inherited from the top level */
	const struct option *const *modules; /* of hook modules, in all sections; NULL-terminated */
	const struct conf_driver {
		const char *keyword;          /* section keyword: the driver's name */
		const struct option *options; /* its own; not inherited */
	} * drivers;                          /* keyword NULL ends */
	/* Names of the hook modules ("exec", "coproc", "journal"), for the check of hook_drivers; NULL-terminated.
	 * NULL: any word before a colon passes. "journal" needs no argument. */
	const char *const *module_names;
	/* Names of the methods that run hooks, for `methods` of a hook section; NULL-terminated. NULL: any word passes.
	 */
	const char *const *method_names;
};

struct conf; /* immutable, counted by atomic references */

/* One fault each, in the order of the file: "FILE:LINE: dir "media": option `root': reason; what to do". What concerns
 * the file as a whole has no line. */
struct conf_faults {
	char **lines;
	size_t n;
};
void conf_faults_clear(struct conf_faults *f);

/* Two tables that name one option differently, or an option and a keyword that clash: -EEXIST; a row that cannot be:
 * -EINVAL. Called once at start. */
int conf_schema_check(const struct conf_schema *schema, struct error *e);

/* Reads, parses and checks the whole file. All faults up to the first syntax error are collected in `ret_faults`;
 * `ret_warnings` gets what is odd but legal (hooks listed with all phases off). -EINVAL with faults; -EPERM for a file
 * that others than root and this user may write (a fault line too); other errnos as the file could not be read (a fault
 * line too). `e` has the first fault. Both lists are set in any case, each may be NULL. `*ret` has one reference on
 * success. */
int conf_load(const char *path, const struct conf_schema *schema, struct conf **ret, struct conf_faults *ret_faults,
	      struct conf_faults *ret_warnings, struct error *e);
/* The `plugins` list alone, before their options can be known: NULL-terminated, owned by the caller (conf_free_list).
 * Fails only where the file cannot be read or others may write it: faults in it are left for conf_load to tell. */
int conf_scan_plugins(const char *path, char ***ret, struct error *e);
void conf_free_list(char **list);

struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c); /* NULL is fine */

const char *conf_path(const struct conf *c);
const struct settings *conf_top(const struct conf *c);

struct conf_section {
	const char *keyword; /* "dir", "sim", "hook", "share_network" */
	const char *title;   /* the backend's, hook's or network's name */
	int line;
	const struct settings *settings; /* a backend's: own, then top level, then default */
};
/* In the order of the file; `hook` and `share_network` sections are not among them. */
const struct conf_section *conf_backends(const struct conf *c, size_t *ret_n);
const struct conf_section *conf_backend(const struct conf *c, const char *name); /* or NULL */
const struct conf_section *conf_hook(const struct conf *c, const char *name);    /* or NULL */
const struct conf_section *conf_networks(const struct conf *c, size_t *ret_n);
const struct conf_section *conf_network(const struct conf *c, const char *name); /* or NULL */

/* The settings of one hook on one backend; `hook` may be NULL. Owned by the caller; keeps a reference on `c`. */
struct settings *settings_new_hook(struct conf *c, const struct conf_section *hook, const struct conf_section *backend);
void settings_free(struct settings *s);

/* Options of the `hook` sections, fixed: run (required), on_error, timeout, phases, methods, options; and of the
 * `share_network` sections. Common options of every backend: */
extern const struct option conf_hook_options[], conf_network_options[];
extern const struct option conf_backend_options[];

/* Names of the options whose change a reload must refuse, "option `state_dir'", "backend \"media\": option `root'",
 * "backend \"media\": driver": -EBUSY with all of them in the message; 0 when `now` may replace `old`. */
int conf_check_reload(const struct conf *old, const struct conf *now, struct error *e);

#endif
