/* sharesd-http.so: HTTP by libcurl, with the parts of OpenSSL that it brings. */
#include "hooks/http/http.h"

#include "base/mem.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HMAC_BYTES = 32 };

struct http_client {
	CURL *curl;
	char *ca_file, *client_cert;
	size_t max_answer;
	/* Of the request under way. */
	struct http_answer *answer;
	size_t taken;
	bool too_much;
	char why[CURL_ERROR_SIZE];
};

/* ---- what curl calls ---- */

/* libcurl's own socket would be inherited by hook programs. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)data;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool take(struct http_client *c, size_t n)
{
	c->taken += n;
	c->too_much = c->too_much || c->taken > c->max_answer;
	return !c->too_much;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's type */
static size_t on_header(char *data, size_t size, size_t n, void *client)
{
	(void)data;
	return take(client, size * n) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *client)
{
	struct http_client *c = client;
	struct http_answer *a = c->answer;
	n *= size;
	if (!take(c, n))
		return 0;
	a->body = xrealloc(a->body, a->body_len + n + 1);
	memcpy(a->body + a->body_len, data, n);
	a->body_len += n;
	a->body[a->body_len] = '\0';
	return n;
}

/* ---- a client ---- */

static void http_close(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c->ca_file);
	free(c->client_cert);
	free(c);
}

#define SET(option, value) (r = r ? r : curl_easy_setopt(c->curl, option, value))

static CURLcode set_up_tls(struct http_client *c)
{
	CURLcode r = CURLE_OK;
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (c->ca_file) {
		SET(CURLOPT_CAINFO, c->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (c->client_cert) {
		SET(CURLOPT_SSLCERT, c->client_cert);
		SET(CURLOPT_SSLKEY, c->client_cert);
		/* Else a key with a passphrase would make it ask the terminal. */
		SET(CURLOPT_KEYPASSWD, "");
	}
	return r;
}

static CURLcode set_up(struct http_client *c, const struct http_setup *setup)
{
	CURLcode r = CURLE_OK;
	SET(CURLOPT_ERRORBUFFER, c->why);
	SET(CURLOPT_URL, setup->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, setup->proxy ? setup->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	if (setup->unix_socket)
		SET(CURLOPT_UNIX_SOCKET_PATH, setup->unix_socket);
	SET(CURLOPT_USERAGENT, "sharesd/" SHARESD_VERSION);
	/* Time limits without signals, and without waiting for a name server that does not answer. */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, c);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, c);
	return r ? r : set_up_tls(c);
}

static int http_open(const struct http_setup *setup, struct http_client **ret, struct error *e)
{
	CURLU *url = curl_url();
	CURLUcode bad = curl_url_set(url, CURLUPART_URL, setup->url, 0);
	curl_url_cleanup(url);
	if (bad)
		return error_set(e, ERR_INVALID_PARAMS, EINVAL, "%s", curl_url_strerror(bad));
	struct http_client *c = xcalloc(1, sizeof(*c));
	c->ca_file = xstrdup(setup->ca_file);
	c->client_cert = xstrdup(setup->client_cert);
	c->max_answer = setup->max_answer;
	CURLcode r = curl_global_init(CURL_GLOBAL_ALL);
	if (!r)
		c->curl = curl_easy_init();
	if (!r)
		r = c->curl ? set_up(c, setup) : CURLE_FAILED_INIT;
	if (r) {
		http_close(c);
		return error_set(e, ERR_INTERNAL, EIO, "libcurl refuses it: %s", curl_easy_strerror(r));
	}
	*ret = c;
	return 0;
}

/* ---- are its files fit for use? ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's type */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)data;
	return 0;
}

static int bad_file(struct error *e, const char *path, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	error_set(e, ERR_INVALID_PARAMS, EINVAL, "%s does not hold %s%s%s", path, what, reason ? ": " : "",
		  reason ? reason : "");
	ERR_clear_error();
	return -EINVAL;
}

static int check_files(SSL_CTX *ctx, const struct http_client *c, struct error *e)
{
	if (c->ca_file && SSL_CTX_load_verify_file(ctx, c->ca_file) != 1)
		return bad_file(e, c->ca_file, "certificates of authorities in PEM");
	if (!c->client_cert)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, c->client_cert) != 1)
		return bad_file(e, c->client_cert, "a certificate in PEM");
	if (SSL_CTX_use_PrivateKey_file(ctx, c->client_cert, SSL_FILETYPE_PEM) != 1)
		return bad_file(e, c->client_cert, "the certificate's key in PEM without a passphrase");
	return 0;
}

static int http_check(const struct http_client *c, struct error *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		return error_set(e, ERR_INTERNAL, ENOMEM, "OpenSSL could not be set up");
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	ERR_clear_error();
	int r = check_files(ctx, c, e);
	SSL_CTX_free(ctx);
	return r;
}

/* ---- a request ---- */

static struct curl_slist *add(struct curl_slist *list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(list, header);
	if (!longer)
		abort(); /* out of memory */
	return longer;
}

static struct curl_slist *add_signature(struct curl_slist *list, const struct http_request *rq)
{
	static const char name[] = "X-Sharesd-Signature: sha256=";
	unsigned char mac[EVP_MAX_MD_SIZE];
	char header[sizeof(name) + 2 * HMAC_BYTES];
	char *to = stpcpy(header, name);
	if (!HMAC(EVP_sha256(), rq->secret, (int)rq->secret_len, (const unsigned char *)rq->body, rq->body_len, mac,
		  NULL))
		abort();
	for (size_t i = 0; i < HMAC_BYTES; i++, to += 2)
		snprintf(to, 3, "%02x", mac[i]);
	return add(list, header);
}

static struct curl_slist *make_headers(const struct http_request *rq)
{
	struct curl_slist *list = add(NULL, "Expect:"); /* no round trip to ask whether the body is welcome */
	for (const char *const *h = rq->headers; *h; h++)
		list = add(list, *h);
	return rq->secret ? add_signature(list, rq) : list;
}

static int failure(const struct http_client *c, const struct http_request *rq, CURLcode code, struct error *e)
{
	const char *why = c->why[0] ? c->why : curl_easy_strerror(code);
	if (c->too_much)
		return error_set(e, ERR_INTERNAL, EFBIG, "the answer is larger than %zu KiB", c->max_answer / 1024);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return error_set(e, ERR_INTERNAL, ETIMEDOUT, "no whole answer within %g s", rq->timeout);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return error_set(e, ERR_INTERNAL, EACCES, "the server is not trusted (webhook_ca_file says who is): %s",
				 why);
	return error_set(e, ERR_INTERNAL, EIO, "%s", why);
}

static void read_answer(const struct http_client *c, struct http_answer *ret)
{
	char *location = NULL;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_getinfo(c->curl, CURLINFO_REDIRECT_URL, &location);
	ret->location = xstrdup(location);
	if (!ret->body)
		ret->body = xstrdup("");
}

static int http_post(struct http_client *c, const struct http_request *rq, struct http_answer *ret, struct error *e)
{
	struct curl_slist *headers = make_headers(rq);
	long ms = lround(fmax(rq->timeout * 1000, 1));
	CURLcode r = CURLE_OK;
	*ret = (struct http_answer){ 0 };
	c->answer = ret;
	c->taken = 0;
	c->too_much = false;
	c->why[0] = '\0';
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, rq->body);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
	SET(CURLOPT_TIMEOUT_MS, ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, ms);
	if (!r)
		r = curl_easy_perform(c->curl);
	read_answer(c, ret);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
	c->answer = NULL;
	return r ? failure(c, rq, r, e) : 0;
}

static void http_clear(struct http_answer *a)
{
	free(a->body);
	free(a->location);
	*a = (struct http_answer){ 0 };
}

extern const struct http_library http_library;
const struct http_library http_library = {
	.abi = HTTP_ABI,
	.open = http_open,
	.close = http_close,
	.check = http_check,
	.post = http_post,
	.clear = http_clear,
};
