#include "daemon/submit.h"

#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/view.h"

#include <errno.h>

int service_submit(struct service *s, struct call *c, struct error *e)
{
	size_t most = (size_t)settings_int(conf_top(s->conf), "max_queued_calls");
	struct message *m;

	if (s->stopping)
		return error_set(e, ERR_SHUTTING_DOWN, ESHUTDOWN, "sharesd is stopping: try again when it is back");
	if (queue_length(s->in) >= most) {
		error_set(e, ERR_BUSY, EBUSY, "%zu calls are waiting already (max_queued_calls): try again later",
			  most);
		error_add(e, "limit", json_integer((json_int_t)most));
		return -EBUSY;
	}
	view_call_begins(s->view, c, call_shown_json(c));
	m = message_new(MSG_CALL);
	m->call = c;
	queue_push(s->in, m);
	return 0;
}

bool service_submit_own(struct service *s, const char *method, const char *backend)
{
	struct call *c = call_new(method_find(method), HOOK_ORIGIN_TIMER);
	_cleanup_error_ struct error e = ERROR_INIT;

	c->params = jsonx_pack("{s:s}", "backend", backend);
	if (service_submit(s, c, &e) < 0) {
		log_debug("%s of backend \"%s\" is left out: %s", method, backend, e.message);
		call_free(c);
		return false;
	}
	return true;
}

void service_event(struct service *s, const char *type, json_t *object)
{
	struct message *m = message_new(MSG_EVENT);

	m->name = xstrdup(type);
	m->json = object;
	queue_push(s->in, m);
}
