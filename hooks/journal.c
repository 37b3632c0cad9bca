/* "journal": one structured record an event. Written to the journal whatever log_level says: it is a record of what
 * happened, not a message about it. Where no journal runs it is a line of the log. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/log_kind.h"
#include "base/mem.h"
#include "hooks/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { FIELDS_MAX = 12 };
/* syslog's words for priorities */
enum { PRIORITY_WARNING = 4, PRIORITY_INFO = 6 };

struct record {
	char *fields[FIELDS_MAX]; /* "NAME=value" */
	size_t n;
};

static void record_clear(struct record *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->fields[i]);
}

static void add(struct record *r, const char *name, const char *value)
{
	if (value)
		r->fields[r->n++] = xasprintf("%s=%s", name, value);
}

static char *message_for(const struct hook_setup *setup, const struct hook_event *ev, const json_t *context)
{
	const char *func_name = ev->func_name ? ev->func_name : "";
	const char *user = jsonx_str(context, "user"), *origin = jsonx_str(context, "origin");
	return xasprintf("%s%s%s on backend %s%s%s", hook_phase_name(ev->phase), *func_name ? " " : "", func_name,
			 setup->backend, user || origin ? " by " : "",
			 user     ? user
			 : origin ? origin
				  : "");
}

static int send_record(struct record *rec, struct error *e)
{
	struct iovec iov[FIELDS_MAX];
	for (size_t i = 0; i < rec->n; i++)
		iov[i] = (struct iovec){ .iov_base = rec->fields[i], .iov_len = strlen(rec->fields[i]) };
	int r = sd_journal_sendv(iov, (int)rec->n);
	return r < 0 ? error_errno(e, -r, "the journal did not take the record") : 0;
}

static int journal_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	(void)ret;
	const struct hook_setup *setup = hook;
	const json_t *context = jsonx_get(hook_event_json(ev), "context");
	const json_t *uid = jsonx_get(context, "uid");
	_cleanup_free_ char *message = message_for(setup, ev, context);
	_cleanup_free_ char *uid_text = uid ? jsonx_dump(uid) : NULL;
	__attribute__((__cleanup__(record_clear))) struct record rec = { 0 };
	add(&rec, "SHARESD_PHASE", hook_phase_name(ev->phase));
	add(&rec, "SHARESD_FUNC_NAME", ev->func_name);
	add(&rec, "SHARESD_CALL", ev->call_id);
	add(&rec, "SHARESD_BACKEND", setup->backend);
	add(&rec, "SHARESD_HOOK", setup->name);
	add(&rec, "SHARESD_UID", uid_text);
	add(&rec, "SHARESD_EVENT", hook_event_text(ev, NULL));
	if (access(JOURNAL_SOCKET, F_OK) < 0) {
		log_kind(LOG_LEVEL_INFO, LOG_KIND_HOOK_EVENT, "%s", message);
		return 0;
	}
	add(&rec, "MESSAGE", message);
	add(&rec, "MESSAGE_ID", log_kind_id(LOG_KIND_HOOK_EVENT));
	add(&rec, "SYSLOG_IDENTIFIER", "sharesd");
	_cleanup_free_ char *priority = xasprintf("%d", ev->phase == HOOK_ERROR ? PRIORITY_WARNING : PRIORITY_INFO);
	add(&rec, "PRIORITY", priority);
	return send_record(&rec, e);
}

static int journal_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	return journal_event(hook, ev, NULL, e);
}

static int journal_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	if (*setup->argument)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL,
				 "\"%s\": the module journal takes no argument, write journal", setup->entry);
	*ret = (void *)setup;
	return 0;
}

static void journal_destroy(void *hook)
{
	(void)hook; /* it is the setup, which is the set's */
}

const struct hook_ops hook_journal = {
	.abi = HOOK_ABI,
	.name = "journal",
	.create = journal_create,
	.destroy = journal_destroy,
	.execute_pre_hook = journal_event,
	.execute_post_hook = journal_event,
	.execute_periodic_hook = journal_tell,
	.execute_error_hook = journal_tell,
};
