#include "conf/conf.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/check.h"
#include "conf/fault.h"
#include "conf/parse.h"
#include "conf/tree.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fills `faults`. NULL without faults cannot be. */
static struct conf *check_raw(const struct raw *raw, const struct conf_schema *schema, struct fault_list *faults,
			      struct fault_list *warnings)
{
	_cleanup_free_ char *reason = NULL;
	struct conf *c = conf_new(faults->path, schema, raw->n, &reason);
	if (!c) {
		fault_add(faults, 0, NULL, NULL, "%s", reason);
		return NULL;
	}
	conf_check(raw, c, faults, warnings);
	if (faults->n == 0)
		return c;
	conf_unref(c);
	return NULL;
}

static int report(struct error *e, int r, const struct fault_list *faults)
{
	return error_set(e, r == -EPERM ? ERR_PERMISSION_DENIED : ERR_INVALID_PARAMS, -r, "%s", faults->faults[0].text);
}

int conf_load(const char *path, const struct conf_schema *schema, struct conf **ret, struct conf_faults *ret_faults,
	      struct conf_faults *ret_warnings, struct error *e)
{
	struct fault_list faults = { .path = path }, warnings = { .path = path };
	struct raw raw = { 0 };
	struct conf *c = NULL;
	int r = conf_parse_file(path, &raw, &faults);
	if (r == 0) {
		c = check_raw(&raw, schema, &faults, &warnings);
		raw_clear(&raw);
		r = c ? 0 : -EINVAL;
	}
	fault_sort(&faults);
	if (r < 0)
		report(e, r, &faults);
	else
		*ret = c;
	fault_finish(&faults, ret_faults);
	fault_finish(&warnings, ret_warnings);
	return r;
}

int conf_scan_plugins(const char *path, char ***ret, struct error *e)
{
	struct fault_list faults = { .path = path };
	struct raw raw = { 0 };
	int r = conf_parse_file(path, &raw, &faults);
	if (r < 0) {
		r = report(e, r, &faults);
		fault_clear(&faults);
		return r;
	}
	/* Its own faults are left for conf_load, which finds all the others too. */
	const struct raw_option *o = raw_find(&raw.sections[0], "plugins");
	size_t n = o && !o->bad ? o->n : 0;
	char **list = xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++)
		list[i] = xstrdup(o->values[i]);
	raw_clear(&raw);
	fault_clear(&faults);
	*ret = list;
	return 0;
}

void conf_free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}
