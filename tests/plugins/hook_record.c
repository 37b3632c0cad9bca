/* A hook that does what the test says: the test finds `hook_record_script` in this object and sets it. Without a script
 * it is a hook that does nothing, for measuring. */
#include "hooks/hook.h"

#include "tests/plugins/hook_record.h"

#include <stddef.h>

struct hook_record_script hook_record_script;

static int record_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	(void)e;
	*ret = (void *)setup;
	hook_record_script.alive++;
	return 0;
}

static void record_destroy(void *hook)
{
	(void)hook;
	hook_record_script.alive--;
}

static bool record_wanted(void *hook, enum hook_phase phase, const char *func_name)
{
	const struct hook_setup *setup = hook;

	if (!hook_record_script.wanted)
		return true;
	return hook_record_script.wanted(hook_record_script.data, setup->name, phase, func_name);
}

static int record_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	const struct hook_setup *setup = hook;

	return hook_record_script.event ? hook_record_script.event(hook_record_script.data, setup, ev, ret, e) : 0;
}

static int record_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	json_t *returned = NULL;
	int r = record_event(hook, ev, &returned, e);

	json_decref(returned);
	return r;
}

/* clang-format off */
#define RECORD                                                                                                         \
	.abi = HOOK_ABI, .name = "record", .create = record_create, .destroy = record_destroy, .wanted = record_wanted, \
	.execute_pre_hook = record_event, .execute_post_hook = record_event, .execute_periodic_hook = record_tell,      \
	.execute_error_hook = record_tell
/* clang-format on */

const struct hook_ops hook_record = { RECORD };

static const char *const create_events[] = { "pre-create_share_instance", "post-*", "periodic", NULL };
const struct hook_ops hook_record_create = { RECORD, .wants = create_events };

const struct hook_ops hook_record_only_post = { .abi = HOOK_ABI,
						.name = "record",
						.create = record_create,
						.destroy = record_destroy,
						.execute_post_hook = record_event };

/* What must be refused. */
static const struct option own_options[] = { { .name = "record_path", .type = OPTION_STRING, .fallback = "" }, { 0 } };
const struct hook_ops hook_record_options = { RECORD, .options = own_options };
const struct hook_ops hook_record_old = { .abi = HOOK_ABI + 1, .name = "record" };
const struct hook_ops hook_record_nameless = { .abi = HOOK_ABI, .create = record_create, .destroy = record_destroy };
const struct hook_ops hook_record_idle = {
	.abi = HOOK_ABI, .name = "record", .create = record_create, .destroy = record_destroy
};
const struct hook_ops hook_record_uncreated = { .abi = HOOK_ABI, .name = "record", .execute_pre_hook = record_event };
