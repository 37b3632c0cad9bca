#include "base/error.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

/* Past every errno that Linux has. */
#define ERRNO_END 4096

struct kind {
	const char *name;
	int code;
	bool retryable; /* the same call may succeed later as it is */
};

static const struct kind kinds[ERR_KIND_COUNT] = {
	[ERR_NONE] = { "none", 0, false },
	[ERR_PARSE_ERROR] = { "parse_error", -32700, false },
	[ERR_INVALID_REQUEST] = { "invalid_request", -32600, false },
	[ERR_METHOD_NOT_FOUND] = { "method_not_found", -32601, false },
	[ERR_INVALID_PARAMS] = { "invalid_params", -32602, false },
	[ERR_INTERNAL] = { "internal", -32603, false },
	[ERR_NOT_FOUND] = { "not_found", 1, false },
	[ERR_ALREADY_EXISTS] = { "already_exists", 2, false },
	[ERR_INVALID_STATE] = { "invalid_state", 3, false },
	[ERR_NOT_SUPPORTED] = { "not_supported", 4, false },
	[ERR_NO_SPACE] = { "no_space", 5, false },
	[ERR_DATA_LOSS] = { "data_loss", 6, false },
	[ERR_DRIVER_FAILED] = { "driver_failed", 7, false },
	[ERR_PRE_HOOK_FAILED] = { "pre_hook_failed", 8, false },
	[ERR_POST_HOOK_FAILED] = { "post_hook_failed", 9, false },
	[ERR_PERMISSION_DENIED] = { "permission_denied", 10, false },
	[ERR_BUSY] = { "busy", 11, true },
	[ERR_LIMIT] = { "limit", 12, false },
	[ERR_BACKEND_DOWN] = { "backend_down", 13, true },
	[ERR_VETOED] = { "vetoed", 14, false },
	[ERR_WOULD_DEADLOCK] = { "would_deadlock", 15, false },
	[ERR_SHUTTING_DOWN] = { "shutting_down", 16, true },
};

const char *error_kind_name(enum error_kind kind)
{
	return kinds[kind].name;
}

int error_kind_code(enum error_kind kind)
{
	return kinds[kind].code;
}

bool error_kind_retryable(enum error_kind kind)
{
	return kinds[kind].retryable;
}

enum error_kind error_kind_from_name(const char *name)
{
	enum error_kind k;

	for (k = ERR_NONE + 1; name && k < ERR_KIND_COUNT; k++)
		if (strcmp(kinds[k].name, name) == 0)
			return k;
	return ERR_KIND_COUNT;
}

void error_clear(struct error *e)
{
	if (!e)
		return;
	free(e->message);
	json_decref(e->data);
	*e = ERROR_INIT;
}

/* Takes the message. The old content goes last: the new message may have been made from it. */
static int replace(struct error *e, enum error_kind kind, int err, char *message)
{
	err = abs(err);
	text_fix_utf8(message);
	if (e) {
		error_clear(e);
		*e = (struct error){ .kind = kind, .err = err, .message = message };
	} else {
		free(message);
	}
	return err ? -err : -EINVAL;
}

int error_setv(struct error *e, enum error_kind kind, int err, const char *fmt, va_list ap)
{
	return replace(e, kind, err, xvasprintf(fmt, ap));
}

int error_set(struct error *e, enum error_kind kind, int err, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_setv(e, kind, err, fmt, ap);
	va_end(ap);
	return r;
}

int error_errno(struct error *e, int err, const char *fmt, ...)
{
	_cleanup_free_ char *what = NULL;
	enum error_kind kind;
	va_list ap;

	err = abs(err);
	kind = err == ENOSPC || err == EDQUOT ? ERR_NO_SPACE : ERR_DRIVER_FAILED;
	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	return replace(e, kind, err, xasprintf("%s: %s", what, strerror(err)));
}

void error_add(struct error *e, const char *key, json_t *value)
{
	if (!e) {
		json_decref(value);
		return;
	}
	if (!e->data)
		e->data = json_object();
	json_object_set_new(e->data, key, value);
}

int error_param(struct error *e, const char *param, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_setv(e, ERR_INVALID_PARAMS, 0, fmt, ap);
	va_end(ap);
	error_add(e, "param", json_string(param));
	return -EINVAL;
}

void error_prefix(struct error *e, const char *fmt, ...)
{
	_cleanup_free_ char *prefix = NULL, *old = NULL;
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	prefix = xvasprintf(fmt, ap);
	va_end(ap);
	text_fix_utf8(prefix);
	old = e->message;
	e->message = old ? xasprintf("%s: %s", prefix, old) : take_ptr(prefix);
}

void error_move(struct error *to, struct error *from)
{
	if (to == from)
		return;
	if (!to) {
		error_clear(from);
		return;
	}
	error_clear(to);
	*to = *from;
	*from = ERROR_INIT;
}

static json_t *errno_to_json(int err)
{
	const char *name = strerrorname_np(err);

	return name ? json_string(name) : json_sprintf("%d", err);
}

static int errno_from_name(const char *name)
{
	for (int err = 1; name && err < ERRNO_END; err++) {
		const char *n = strerrorname_np(err);

		if (n && strcmp(n, name) == 0)
			return err;
	}
	return name ? (int)strtol(name, NULL, 10) : 0;
}

json_t *error_to_json(const struct error *e)
{
	json_t *data = json_object(), *ret = json_object();

	json_object_set_new(data, "kind", json_string(kinds[e->kind].name));
	json_object_set_new(data, "retryable", json_boolean(kinds[e->kind].retryable));
	if (e->err)
		json_object_set_new(data, "errno", errno_to_json(e->err));
	if (e->data) {
		/* A copy: the answer goes to another thread than the error. */
		_cleanup_json_ json_t *more = json_deep_copy(e->data);

		json_object_update(data, more);
	}
	json_object_set_new(ret, "code", json_integer(kinds[e->kind].code));
	json_object_set_new(ret, "message", json_string(e->message ? e->message : kinds[e->kind].name));
	json_object_set_new(ret, "data", data);
	return ret;
}

int error_from_json(const json_t *j, struct error *ret)
{
	const char *message = json_string_value(json_object_get(j, "message"));
	_cleanup_json_ json_t *data = json_deep_copy(json_object_get(j, "data"));
	enum error_kind kind = error_kind_from_name(json_string_value(json_object_get(data, "kind")));
	json_t *retryable = json_object_get(data, "retryable");
	int err = errno_from_name(json_string_value(json_object_get(data, "errno")));

	if (!message || kind == ERR_KIND_COUNT)
		return -EINVAL;
	json_object_del(data, "kind");
	json_object_del(data, "errno");
	if (json_is_true(retryable) == kinds[kind].retryable)
		json_object_del(data, "retryable");
	*ret = (struct error){ .kind = kind, .err = err, .message = xstrdup(message) };
	if (json_object_size(data))
		ret->data = take_ptr(data);
	return 0;
}
