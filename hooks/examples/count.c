/* A hook in C: counts events, and shows the counts in "sharesctl hook show BACKEND count". Built by make in its
 *directory, copied to where only root may write, and listed as
 *
 *	hook_drivers = {"/etc/sharesd/hooks/count.so:count"}
 *
 * It runs in the daemon itself: nothing is cheaper, and nothing is more dangerous. */
#include <hooks/hook.h>

#include <errno.h>
#include <stdlib.h>

struct count {
	json_int_t events[HOOK_PHASE_COUNT];
};

static int count_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	(void)setup;
	*ret = calloc(1, sizeof(struct count));
	return *ret ? 0 : error_set(e, ERR_INTERNAL, ENOMEM, "no memory");
}

static int count_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	struct count *c = hook;
	(void)ret; /* stays NULL: nothing is changed */
	(void)e;
	c->events[ev->phase]++;
	return 0;
}

static int count_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	return count_event(hook, ev, NULL, e);
}

static void count_describe(void *hook, json_t *object)
{
	const struct count *c = hook;
	json_t *events = json_object();
	for (int p = 0; p < HOOK_PHASE_COUNT; p++)
		json_object_set_new(events, hook_phase_name((enum hook_phase)p), json_integer(c->events[p]));
	json_object_set_new(object, "events", events);
}

const struct hook_ops count = {
	.abi = HOOK_ABI,
	.name = "count",
	.create = count_create,
	.destroy = free,
	.execute_pre_hook = count_event,
	.execute_post_hook = count_event,
	.execute_periodic_hook = count_tell,
	.execute_error_hook = count_tell,
	.describe = count_describe,
};
