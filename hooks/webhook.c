/* "webhook:URL": the event POSTed as JSON. What HTTP needs is loaded with the first of them (hooks/http/http.h). */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"
#include "hooks/answer.h"
#include "hooks/headers.h"
#include "hooks/http/http.h"
#include "hooks/program.h"
#include "hooks/secret.h"
#include "hooks/table.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HTTP_FILE "sharesd-http.so"

enum { STATUS_VETO = 409, TEXT_MAX = 4096, SHOWN = 200 };

struct webhook {
	const struct hook_setup *setup;
	double timeout;
	const struct http_library *http;
	struct http_client *client;
	/* As the conf file has them; NULL: none. */
	const char *ca_file, *client_cert, *secret_file;
	const char *const *headers;
	size_t n_headers;
	long last_status; /* 0: no answer yet */
};

static const struct option webhook_options[] = {
	{ .name = "webhook_timeout",
	  .type = OPTION_SECONDS,
	  .fallback = "30.0",
	  .min = 0,
	  .max = 604800,
	  .flags = OPTION_ABOVE_MIN,
	  .help = "Seconds that a request of the module webhook may take, from the server's name to the end of the "
		  "answer." },
	{ .name = "webhook_headers",
	  .type = OPTION_LIST,
	  .flags = OPTION_SECRET,
	  .help = "Further headers of the requests, each \"Name: value\"; \"@/path\" or \"@CREDENTIAL\" reads them "
		  "from "
		  "a file that others may not read, line by line and anew for each request." },
	{ .name = "webhook_ca_file",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "Certificates in PEM of the authorities that https servers are checked against: a path, or the name "
		  "of a credential. The system's without it." },
	{ .name = "webhook_client_cert",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "Certificate and key in one PEM file, shown to https servers that ask for one: a path, or the name "
		  "of a credential. Others may not read it." },
	{ .name = "webhook_secret_file",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "File with the secret that requests are signed with (HMAC-SHA256): a path, or the name of a "
		  "credential. Others may not read it; it is read anew for each request." },
	{ .name = "webhook_proxy",
	  .type = OPTION_STRING,
	  .fallback = "",
	  .help = "URL of a proxy for the requests; none without it, whatever the environment says." },
	{ 0 },
};

/* ---- making one ---- */

static int load_library(const struct http_library **ret, struct error *e)
{
	_cleanup_free_ char *helper = xstrdup(process_helper());
	_cleanup_free_ char *path = xasprintf("%s/%s", dirname(helper), HTTP_FILE);
	/* Never closed: OpenSSL has handlers that run at the process's end. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return error_set(e, ERR_NOT_SUPPORTED, ENOENT, "the part of sharesd that speaks HTTP is missing: %s",
				 dlerror());
	const struct http_library *library = dlsym(handle, HTTP_SYMBOL);
	if (!library || library->abi != HTTP_ABI)
		return error_set(e, ERR_NOT_SUPPORTED, EINVAL, "%s is of another version of sharesd: install it anew",
				 path);
	*ret = library;
	return 0;
}

static int bad_url(const struct hook_setup *setup, struct error *e, const char *why)
{
	return error_set(e, ERR_INVALID_PARAMS, EINVAL, "\"%s\": %s", setup->entry, why);
}

/* "unix:/run/x.sock:/path", or "unix:/run/x.sock" for the path "/". */
static int parse_unix(const struct hook_setup *setup, const char *rest, char **ret_url, char **ret_socket,
		      struct error *e)
{
	const char *path = strstr(rest, ":/");
	size_t n = path ? (size_t)(path - rest) : strlen(rest);
	if (rest[0] != '/' || n >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return bad_url(setup, e,
			       "write webhook:unix:/path/of/socket:/path, the socket's with 107 characters at most");
	*ret_socket = xstrndup(rest, n);
	*ret_url = xasprintf("http://localhost%s", path ? path + 1 : "/");
	return 0;
}

static int parse_argument(const struct hook_setup *setup, char **ret_url, char **ret_socket, struct error *e)
{
	const char *s = setup->argument, *host = strstr(s, "://");
	for (const char *c = s; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return bad_url(setup, e, "a URL has no spaces and no control characters: write them as %20");
	}
	if (text_starts_with(s, "unix:"))
		return parse_unix(setup, s + strlen("unix:"), ret_url, ret_socket, e);
	if (!text_starts_with(s, "http://") && !text_starts_with(s, "https://"))
		return bad_url(setup, e,
			       "write webhook:https://host/path, webhook:http://host/path or "
			       "webhook:unix:/path/of/socket:/path");
	/* The entry is shown in logs and lists. */
	host += strlen("://");
	if (memchr(host, '@', strcspn(host, "/?#")))
		return bad_url(setup, e,
			       "a URL is shown in logs and lists, so it may have no password: put an Authorization "
			       "header into a file that webhook_headers names");
	*ret_url = xstrdup(s);
	return 0;
}

static int open_client(struct webhook *w, struct error *e)
{
	_cleanup_free_ char *url = NULL, *socket = NULL, *ca_file = NULL, *client_cert = NULL;
	const char *proxy = settings_string(w->setup->settings, "webhook_proxy");
	int r = parse_argument(w->setup, &url, &socket, e);
	if (r == 0 && w->ca_file)
		r = secret_path("webhook_ca_file", w->ca_file, &ca_file, e);
	if (r == 0 && w->client_cert)
		r = secret_path("webhook_client_cert", w->client_cert, &client_cert, e);
	if (r == 0)
		r = load_library(&w->http, e);
	if (r < 0)
		return r;
	struct http_setup setup = { .url = url,
				    .unix_socket = socket,
				    .proxy = *proxy ? proxy : NULL,
				    .ca_file = ca_file,
				    .client_cert = client_cert,
				    .max_answer = HOOK_OUTPUT_MAX };
	r = w->http->open(&setup, &w->client, e);
	if (r < 0)
		error_prefix(e, "\"%s\"", w->setup->entry);
	return r;
}

static const char *text_or_null(const struct settings *s, const char *name)
{
	const char *value = settings_string(s, name);
	return *value ? value : NULL;
}

static int add_headers(const struct webhook *w, bool files, struct headers *h, struct error *e)
{
	int r = 0;
	for (size_t i = 0; i < w->n_headers && r == 0; i++) {
		const char *row = w->headers[i];
		char *text;
		size_t len;
		if (row[0] != '@') {
			r = headers_add_line(h, row, e);
		} else if (files) {
			r = secret_read("webhook_headers", row + 1, &text, &len, e);
			if (r < 0)
				return r;
			r = headers_add_lines(h, text, e);
			secret_free(text, len);
		}
	}
	return r;
}

static void webhook_destroy(void *hook)
{
	struct webhook *w = hook;
	if (!w)
		return;
	if (w->client)
		w->http->close(w->client);
	free(w);
}

static int webhook_create(const struct hook_setup *setup, void **ret, struct error *e)
{
	const struct settings *s = setup->settings;
	_cleanup_headers_ struct headers headers = { 0 };
	struct webhook *w = xcalloc(1, sizeof(*w));
	w->setup = setup;
	w->timeout = setup->timeout > 0 ? setup->timeout : settings_seconds(s, "webhook_timeout");
	w->ca_file = text_or_null(s, "webhook_ca_file");
	w->client_cert = text_or_null(s, "webhook_client_cert");
	w->secret_file = text_or_null(s, "webhook_secret_file");
	w->headers = settings_list(s, "webhook_headers", &w->n_headers);
	int r = add_headers(w, false, &headers, e);
	if (r == 0)
		r = open_client(w, e);
	if (r < 0) {
		webhook_destroy(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* A daemon that was shut off from the network finds out now, not at the first event. */
static int check_network(const struct webhook *w, struct error *e)
{
	if (text_starts_with(w->setup->argument, "unix:"))
		return 0;
	_cleanup_close_ int v4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int v6 = v4 < 0 ? socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	if (v4 >= 0 || v6 >= 0)
		return 0;
	error_set(e, ERR_PERMISSION_DENIED, errno,
		  "the daemon has no network (%s): under systemd its unit needs the drop-in network", strerror(errno));
	return -EACCES;
}

/* The files; whether the server is there is told by events. */
static int webhook_check(void *hook, struct error *e)
{
	const struct webhook *w = hook;
	_cleanup_headers_ struct headers headers = { 0 };
	int r = check_network(w, e);
	if (r == 0)
		r = add_headers(w, true, &headers, e);
	if (r == 0 && w->ca_file)
		r = secret_check("webhook_ca_file", w->ca_file, false, e);
	if (r == 0 && w->client_cert)
		r = secret_check("webhook_client_cert", w->client_cert, true, e);
	if (r == 0 && w->secret_file) {
		char *secret;
		size_t len;
		r = secret_read("webhook_secret_file", w->secret_file, &secret, &len, e);
		if (r == 0)
			secret_free(secret, len);
	}
	return r < 0 ? r : w->http->check(w->client, e);
}

/* ---- an event ---- */

static void add_own_headers(const struct webhook *w, const struct hook_event *ev, struct headers *h)
{
	const char *phase = hook_phase_name(ev->phase);
	_cleanup_free_ char *name =
		xasprintf("%s%s%s", phase, ev->func_name ? "-" : "", ev->func_name ? ev->func_name : "");
	headers_add(h, "Content-Type", "application/json");
	headers_add(h, "X-Sharesd-Event", name);
	headers_add(h, "X-Sharesd-Call-Id", ev->call_id);
	headers_add(h, "X-Sharesd-Host", w->setup->host);
	headers_add(h, "X-Sharesd-Backend", w->setup->backend);
}

static int post(struct webhook *w, const struct hook_event *ev, struct http_answer *ret, struct error *e)
{
	_cleanup_headers_ struct headers headers = { 0 };
	char *secret = NULL;
	size_t len, secret_len = 0;
	const char *body = hook_event_text(ev, &len);
	add_own_headers(w, ev, &headers);
	int r = add_headers(w, true, &headers, e);
	if (r == 0 && w->secret_file)
		r = secret_read("webhook_secret_file", w->secret_file, &secret, &secret_len, e);
	if (r < 0)
		return r;
	struct http_request request = { .headers = (const char *const *)headers.lines,
					.body = body,
					.body_len = len,
					.secret = secret,
					.secret_len = secret_len,
					.timeout = w->timeout };
	r = w->http->post(w->client, &request, ret, e);
	secret_free(secret, secret_len);
	if (ret->status > 0)
		w->last_status = ret->status;
	return r;
}

/* The text without white space around it: at most `max` bytes. Owned by the caller. */
static char *trimmed(const char *body, size_t max)
{
	body += strspn(body, " \t\r\n");
	char *text = xstrndup(body, max);
	size_t n = strlen(text);
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	text_fix_utf8(text);
	return text;
}

static int veto(const struct hook_event *ev, const char *body, struct error *e)
{
	_cleanup_free_ char *text = trimmed(body, TEXT_MAX);
	if (*text)
		return error_set(e, ERR_VETOED, EPERM, "%s", text);
	return error_set(e, ERR_VETOED, EPERM, "the hook refused %s and gave no reason", ev->func_name);
}

static int bad_status(const struct http_answer *answer, struct error *e)
{
	_cleanup_free_ char *text = trimmed(answer->body, SHOWN);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
	if (answer->location)
		return error_set(e, ERR_INTERNAL, EPROTO,
				 "status %ld points to %s, but redirections are not followed: write that URL",
				 answer->status, answer->location);
	return error_set(e, ERR_INTERNAL, EPROTO, "status %ld%s%s", answer->status, *text ? ": " : "", text);
}

static int judge(const struct webhook *w, const struct hook_event *ev, const struct http_answer *answer, json_t **ret,
		 struct error *e)
{
	if (answer->status < 200 || answer->status > 299)
		return bad_status(answer, e);
	return hook_answer_parse(ev->phase, "the body of the answer", answer->body, answer->body_len,
				 w->setup->max_depth, ret, e);
}

static int webhook_event(void *hook, const struct hook_event *ev, json_t **ret, struct error *e)
{
	struct webhook *w = hook;
	struct http_answer answer = { 0 };
	int r = post(w, ev, &answer, e);
	/* A veto stands, also where its text broke off. */
	if (ev->phase == HOOK_PRE && answer.status == STATUS_VETO)
		r = veto(ev, answer.body, e);
	else if (r == 0)
		r = judge(w, ev, &answer, ret, e);
	if (r < 0 && e->kind != ERR_VETOED)
		error_prefix(e, "%s", w->setup->argument);
	w->http->clear(&answer);
	return r;
}

static int webhook_tell(void *hook, const struct hook_event *ev, struct error *e)
{
	json_t *nothing = NULL;
	return webhook_event(hook, ev, &nothing, e);
}

static void webhook_describe(void *hook, json_t *object)
{
	const struct webhook *w = hook;
	json_object_set_new(object, "timeout", json_real(w->timeout));
	json_object_set_new(object, "signed", json_boolean(w->secret_file));
	json_object_set_new(object, "last_status", w->last_status ? json_integer(w->last_status) : json_null());
}

const struct hook_ops hook_webhook = {
	.abi = HOOK_ABI,
	.name = "webhook",
	.options = webhook_options,
	.create = webhook_create,
	.destroy = webhook_destroy,
	.check_for_setup_error = webhook_check,
	.execute_pre_hook = webhook_event,
	.execute_post_hook = webhook_event,
	.execute_periodic_hook = webhook_tell,
	.execute_error_hook = webhook_tell,
	.describe = webhook_describe,
};
