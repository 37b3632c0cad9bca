/* What single commands make of their words beyond what their row says. */
#include "client/arguments.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "client/ctl.h"

#include <string.h>

/* "SHARE NAME", or "SHARE@NAME" in one word. */
int prepare_snapshot_name(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *share = invocation_word(inv, 0), *name = invocation_word(inv, 1), *at = strchr(share, '@');

	(void)c;
	if (at && name)
		return failure_set(f, CTL_USAGE, "\"%s\" takes SHARE NAME or SHARE@NAME, not both",
				   inv->command->words);
	if (!at && !name)
		return failure_set(f, CTL_USAGE, "\"%s\" needs the snapshot's name: %s NAME, or %s@NAME",
				   inv->command->words, share, share);
	json_object_set_new(inv->params, "name", jsonx_string(at ? at + 1 : name));
	if (at) {
		_cleanup_free_ char *before = xstrndup(share, (size_t)(at - share));

		json_object_set_new(inv->params, "share", jsonx_string(before));
	} else {
		json_object_set_new(inv->params, "share", jsonx_string(share));
	}
	return 0;
}

/* "SHARE ID" or "SHARE TYPE TO". */
int prepare_deny(struct ctl *c, struct invocation *inv, struct failure *f)
{
	static const char *const types[] = { "ip", "user", "cephx" };
	const char *rule = invocation_word(inv, 1), *to = invocation_word(inv, 2);

	(void)c;
	if (to) {
		json_object_set_new(inv->params, "access_type", jsonx_string(rule));
		json_object_set_new(inv->params, "access_to", jsonx_string(to));
		return 0;
	}
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(rule, types[i]) == 0)
			return failure_set(f, CTL_USAGE,
					   "\"access deny\" needs to whom after \"%s\", or the id of a rule", rule);
	json_object_set_new(inv->params, "access", jsonx_string(rule));
	return 0;
}

int prepare_metadata(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *object = invocation_word(inv, 0);
	_cleanup_free_ char *kind = xstrdup(jsonx_str(inv->params, "kind"));

	(void)c;
	json_object_del(inv->params, "kind");
	if (!kind)
		kind = xstrdup(strchr(object, '@') ? "snapshot" : "share");
	if (strcmp(kind, "share") != 0 && strcmp(kind, "snapshot") != 0 && strcmp(kind, "access") != 0)
		return failure_set(f, CTL_USAGE, "--kind is share, snapshot or access, not \"%s\"", kind);
	json_object_set_new(inv->params, kind, jsonx_string(object));
	return 0;
}

int prepare_reset(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *kind = invocation_word(inv, 0);

	(void)c;
	if (strcmp(kind, "share") != 0 && strcmp(kind, "snapshot") != 0)
		return failure_set(f, CTL_USAGE, "\"reset-status\" is for a share or a snapshot, not for \"%s\"", kind);
	json_object_set_new(inv->params, kind, jsonx_string(invocation_word(inv, 1)));
	return 0;
}

/* "pre-create_share_instance" into phase and func_name; a periodic event has none. */
static int set_phase(json_t *event, const char *word, struct failure *f)
{
	static const char *const phases[] = { "pre", "post", "error" };
	size_t len = strcspn(word, "-");

	if (strcmp(word, "periodic") == 0) {
		json_object_set_new(event, "phase", json_string(word));
		json_object_set_new(event, "func_name", json_null());
		return 0;
	}
	for (size_t i = 0; word[len] && word[len + 1] && i < sizeof phases / sizeof phases[0]; i++) {
		if (strlen(phases[i]) != len || strncmp(word, phases[i], len) != 0)
			continue;
		json_object_set_new(event, "phase", json_string(phases[i]));
		json_object_set_new(event, "func_name", jsonx_string(word + len + 1));
		return 0;
	}
	return failure_set(f, CTL_USAGE,
			   "\"%s\" is no event: write it like pre-create_share_instance, "
			   "post-allow_access, error-extend_share or periodic",
			   word);
}

int prepare_hook_test(struct ctl *c, struct invocation *inv, struct failure *f)
{
	const char *more = invocation_word(inv, 3);
	_cleanup_json_ json_t *event = NULL;
	int r;

	if (more && (r = arguments_read_json(more, c->in, "the event", &event, f)) < 0)
		return r;
	if (event && !json_is_object(event))
		return failure_set(f, CTL_USAGE, "the event must be a JSON object, like {\"args\":{..}}");
	if (!event)
		event = json_object();
	if ((r = set_phase(event, invocation_word(inv, 2), f)) < 0)
		return r;
	json_object_set(inv->params, "event", event);
	return 0;
}
