/* What the module webhook needs of HTTP. It lies in a shared object of its own (sharesd-http.so), loaded with the first
 * webhook: libcurl and what it brings would cost every daemon several MiB. Call thread only. */
#ifndef HOOKS_HTTP_HTTP_H
#define HOOKS_HTTP_HTTP_H

#include "base/error.h"

#include <stddef.h>

#define HTTP_ABI    1
#define HTTP_SYMBOL "http_library"

/* Where to. All is copied; NULL: not used. */
struct http_setup {
	const char *url;         /* http: or https: */
	const char *unix_socket; /* the way to it, in place of the network */
	const char *proxy;       /* NULL: none, whatever the environment says */
	const char *ca_file;     /* PEM: these authorities and no others; NULL: the system's */
	const char *client_cert; /* PEM: certificate and key */
	size_t max_answer;       /* bytes of headers and body together */
};

struct http_request {
	const char *const *headers; /* "Name: value" .. NULL */
	const char *body;
	size_t body_len;
	const void *secret; /* NULL: not signed */
	size_t secret_len;
	double timeout; /* seconds, for all of it: name, connection, TLS, request, answer */
};

struct http_answer {
	long status; /* 0: there was none. Set also where the answer broke off behind it */
	char *body;  /* NUL-terminated; what there is of it */
	size_t body_len;
	char *location; /* where a redirection points; NULL: nowhere */
};

struct http_client;

struct http_library {
	unsigned abi;
	int (*open)(const struct http_setup *setup, struct http_client **ret, struct error *e);
	void (*close)(struct http_client *c); /* NULL is fine */
	/* Can the CA file and the client's certificate be used? */
	int (*check)(const struct http_client *c, struct error *e);
	/* POST, without following redirections. 0 for any whole answer. -ETIMEDOUT, -EFBIG, others: no whole answer;
	 * `ret` holds what came. Free it with clear. The connection is kept for the next. */
	int (*post)(struct http_client *c, const struct http_request *rq, struct http_answer *ret, struct error *e);
	void (*clear)(struct http_answer *a);
};

#endif
