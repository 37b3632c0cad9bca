#include "drivers/btrfs_ssh/far.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit statuses: of ssh itself, of a shell that finds no such program, and of sharesd-receive. */
enum { SSH_FAILED = 255, NOT_FOUND = 127, NOT_THERE = 3 };
enum { MAX_ANSWER = 64 << 20 };
#define SECONDS 45.0

int far_check_transport(const char *transport, struct error *e)
{
	const char *p = transport;

	if (text_starts_with(p, "ssh://") && isalnum((unsigned char)p[6])) {
		for (p += 6; isalnum((unsigned char)*p) || (*p && strchr("._-@:[]", *p)); p++)
			;
		if (!*p)
			return 0;
	}
	return error_set(e, ERR_INVALID_PARAMS, EINVAL,
			 "replica_transport = \"%s\" is not understood: write \"ssh://user@host\" or "
			 "\"ssh://user@host:port\"",
			 transport);
}

char **far_argv(const struct far *f, const char *request, size_t n)
{
	static const char *const fixed[] = {
		"/usr/bin/ssh",           "-T", "-oBatchMode=yes", "-oConnectTimeout=5", "-oServerAliveInterval=10",
		"-oServerAliveCountMax=3"
	};
	size_t count = sizeof fixed / sizeof *fixed;
	char **argv = xcalloc(n + count + 6, sizeof *argv);

	for (size_t i = 0; i < count; i++)
		argv[n++] = xstrdup(fixed[i]);
	if (*f->config) {
		argv[n++] = xstrdup("-F");
		argv[n++] = xstrdup(f->config);
	}
	argv[n++] = xstrdup("--");
	argv[n++] = xstrdup(f->transport);
	argv[n++] = xasprintf("%s %s", f->id, request);
	return argv;
}

void far_argv_free(char **argv)
{
	for (char **p = argv; p && *p; p++)
		free(*p);
	free(argv);
}

/* ssh ends its lines as a terminal wants them. */
static char *one_line(const char *text)
{
	char *line = xmalloc(2 * strlen(text) + 1), *to = line;

	for (const char *p = text; *p; p++)
		if (*p == '\n') {
			*to++ = ';';
			*to++ = ' ';
		} else if (*p != '\r') {
			*to++ = *p;
		}
	*to = '\0';
	return line;
}

static const char *advice(const struct process_result *r)
{
	if (r->exit_code == NOT_FOUND)
		return ": the key there must have sharesd-receive as its command, see sharesd(8)";
	if (r->exit_code == SSH_FAILED && r->errors &&
	    (strstr(r->errors, "verification failed") || strstr(r->errors, "denied")))
		return ": as the daemon's user, try ssh to it by hand first, see REPLICAS in sharesd(8)";
	return "";
}

/* ssh and sharesd-receive say why. */
static int failed(const struct far *f, const struct process_result *r, const struct process_spec *spec, struct error *e)
{
	_cleanup_free_ char *text = r->errors && *r->errors ? one_line(r->errors) : process_result_text(r, spec);
	bool down =
		r->exit_code == SSH_FAILED || r->exit_code == NOT_THERE || r->exit_code == NOT_FOUND || r->timed_out;

	return error_set(e, down ? ERR_BACKEND_DOWN : ERR_DRIVER_FAILED, down ? ENOTCONN : EIO,
			 "backend \"%s\" at %s: %s%s", f->name, f->transport, text, advice(r));
}

struct process_spec far_spec(char **argv)
{
	return (struct process_spec){ .argv = (const char *const *)argv, .max_output = MAX_ANSWER, .timeout = SECONDS };
}

/* Nothing was asked: `e` says why. */
int far_not_asked(const struct far *f, struct error *e)
{
	if (e->err != ENOENT)
		return -e->err;
	error_clear(e);
	return error_set(e, ERR_BACKEND_DOWN, ENOENT,
			 "backend \"%s\" needs the program ssh: install the package openssh-client", f->name);
}

int far_answer(const struct far *f, struct process_result *r, const struct process_spec *spec, json_t **ret,
	       struct error *e)
{
	int n = r->exit_code != 0 ? failed(f, r, spec, e) : 0;

	if (n == 0 && ret && !(*ret = json_loads(r->output, 0, NULL)))
		n = error_set(e, ERR_BACKEND_DOWN, EBADMSG,
			      "backend \"%s\" at %s: what answers there is not sharesd-receive alone: make it the "
			      "command of the key, and let the shell there print nothing, see sharesd(8)",
			      f->name, f->transport);
	process_result_clear(r);
	return n;
}

int far_ask(const struct far *f, const char *request, json_t **ret, struct error *e)
{
	char **argv = far_argv(f, request, 0);
	struct process_spec spec = far_spec(argv);
	struct process_result r = { 0 };
	int n = process_run(&spec, &r, e) < 0 ? far_not_asked(f, e) : far_answer(f, &r, &spec, ret, e);

	far_argv_free(argv);
	return n;
}

const json_t *far_held(const json_t *state, const char *kind, const char *id)
{
	const json_t *held;
	size_t i;

	json_array_foreach(json_object_get(state, "held"), i, held) {
		const char *its_kind = jsonx_str(held, "kind"), *its_id = jsonx_str(held, "id");

		if (its_kind && its_id && strcmp(its_kind, kind) == 0 && strcmp(its_id, id) == 0)
			return held;
	}
	return NULL;
}

static void unhex(const char *s, unsigned char *ret)
{
	for (int i = 0; i < 16 && s && isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1]); i++, s += 2) {
		const char byte[] = { s[0], s[1], '\0' };

		ret[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
}

void far_volume(const json_t *held, struct btrfs_volume_info *ret)
{
	*ret = (struct btrfs_volume_info){ .read_only = true };
	unhex(jsonx_str(held, "uuid"), ret->uuid);
	unhex(jsonx_str(held, "received"), ret->received);
}
