/* "coproc:/path/program": one long-lived process, see hooks/resident.h for how it is spoken to. */
#include "base/mem.h"
#include "base/process.h"
#include "hooks/program.h"
#include "hooks/resident.h"
#include "hooks/table.h"

#include <stdlib.h>
#include <unistd.h>

struct coproc {
	struct resident_spec spec;
	struct resident *resident;
};

static const struct option coproc_options[] = {
	{ .name = "coproc_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .min = 0,
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN,
	  .help = "Seconds that a process of the module coproc has for each event before it is killed with all its "
		  "children." },
	{ .name = "coproc_user",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .flags = OPTION_USER,
	  .help = "User that processes of the module coproc run as; the daemon's own without it." },
	{ 0 },
};

/* Whether it runs is told by events; here, whether it could. */
static int coproc_check(void *hook, struct error *e)
{
	const struct coproc *c = hook;
	return process_check_program(c->spec.program, geteuid(), e);
}

static int coproc_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	int r = hook_program_check_argument(setup, "coproc", e);
	if (r < 0)
		return r;
	struct coproc *c = xcalloc(1, sizeof(*c));
	const char *user = settings_string(setup->settings, "coproc_user");
	double timeout = setup->timeout > 0 ? setup->timeout : settings_seconds(setup->settings, "coproc_timeout");
	c->spec = (struct resident_spec){ .setup = setup,
					  .program = setup->argument,
					  .name = setup->argument,
					  .user = *user ? user : NULL,
					  .timeout = timeout };
	c->resident = resident_new(&c->spec);
	*ret = c;
	return 0;
}

static void coproc_destroy(void *hook)
{
	struct coproc *c = hook;
	if (!c)
		return;
	resident_free(c->resident);
	free(c);
}

static bool coproc_wanted(void *hook, enum hook_phase phase, const char *func_name)
{
	return resident_wanted(((struct coproc *)hook)->resident, phase, func_name);
}

static int coproc_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	return resident_event(((struct coproc *)hook)->resident, ev, ret, e);
}

static int coproc_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	return resident_tell(((struct coproc *)hook)->resident, ev, e);
}

static void coproc_describe(void *hook, json_t *object)
{
	resident_describe(((struct coproc *)hook)->resident, object);
}

const struct hook_ops hook_coproc = {
	.abi = HOOK_ABI,
	.name = "coproc",
	.options = coproc_options,
	.create = coproc_create,
	.destroy = coproc_destroy,
	.check_for_setup_error = coproc_check,
	.wanted = coproc_wanted,
	.execute_pre_hook = coproc_event,
	.execute_post_hook = coproc_event,
	.execute_periodic_hook = coproc_tell,
	.execute_error_hook = coproc_tell,
	.describe = coproc_describe,
};
