/* Lines, JSON-RPC 2.0 and the limits of the socket, byte by byte. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING "{'jsonrpc':'2.0','method':'list_shares','id':%d}"

static void check_ping(struct client *c)
{
	json_t *result = client_call(c, "list_shares", NULL);

	at(result, "shares");
	json_decref(result);
}

/* An error reply of the right shape; takes it. */
static void check_error(json_t *reply, long long code, const char *kind)
{
	ck_assert_ptr_nonnull(reply);
	ck_assert_uint_eq(json_object_size(reply), 3);
	ck_assert_str_eq(str_at(reply, "jsonrpc"), "2.0");
	at(reply, "id");
	ck_assert_int_eq(int_at(reply, "error.code"), code);
	ck_assert_uint_gt(strlen(str_at(reply, "error.message")), 0);
	ck_assert_str_eq(str_at(reply, "error.data.kind"), kind);
	json_decref(reply);
}

/* ---- lines ---- */

static const char stream[] =
	"{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":\"one\"}\n"
	"\n \t \r\n\r\n"
	"{ \"id\" : \"\xc3\xa4\xe2\x82\xac\" , \"method\":\"list_shares\",\"jsonrpc\":\"2.0\" }\r\n"
	"{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":3}\n"
	"  [{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":4}]  \n";

static void check_stream(struct client *c, size_t piece)
{
	static const char *const ids[] = { "one", "\xc3\xa4\xe2\x82\xac" };
	json_t *reply;

	for (size_t i = 0; i < sizeof stream - 1; i += piece) {
		size_t left = sizeof stream - 1 - i;

		client_send(c, stream + i, left < piece ? left : piece);
	}
	for (int i = 0; i < 2; i++) {
		reply = client_read(c);
		ck_assert_str_eq(str_at(reply, "id"), ids[i]);
		json_decref(reply);
	}
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "id"), 3);
	json_decref(reply);
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "0.id"), 4);
	json_decref(reply);
}

START_TEST(lines_in_pieces)
{
	struct fixture *f = fixture_new("");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (size_t piece = 1; piece <= 16; piece++)
		check_stream(c, piece);
	check_stream(c, 100);
	check_stream(c, sizeof stream);
	ck_assert(client_quiet(c, 0.05));
	client_free(c);
	/* As a slow client sends: each byte arrives alone. */
	c = client_new(f);
	for (const char *p = "{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":9}\r\n"; *p; p++) {
		client_send(c, p, 1);
		nap(0.002);
	}
	json_decref(client_read(c));
	client_free(c);
	fixture_free(f);
}
END_TEST

/* "'" stands for '"'. */
static void send_quoted(struct client *c, const char *text)
{
	char *copy = strdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	client_send_text(c, copy);
	client_send_text(c, "\n");
	free(copy);
}

START_TEST(bad_lines)
{
	static const struct {
		const char *line;
		long long code;
	} cases[] = {
		{ "{", -32700 },
		{ "nonsense", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1}}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1}{'jsonrpc':'2.0','method':'list_shares','id':2}",
		  -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1,}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':01}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':9223372036854775808}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':-9223372036854775809}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1,'params':{'limit':99999999999999999999999}}",
		  -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1e999}", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':1,'id':2}", -32700 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a','share':'b'},'id':1}", -32700 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a\\u0000b'},'id':1}", -32700 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':{'share':'\\ud800'},'id':1}", -32700 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':{'share':'\xff\xfe'},'id':1}", -32700 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a\tb'},'id':1}", -32700 },
		{ "[{'jsonrpc':'2.0','method':'list_shares','id':1},", -32700 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':NaN}", -32700 },
		{ "7", -32600 },
		{ "'text'", -32600 },
		{ "null", -32600 },
		{ "true", -32600 },
		{ "{}", -32600 },
		{ "[]", -32600 },
		{ "{'method':'list_shares','id':1}", -32600 },
		{ "{'jsonrpc':'1.0','method':'list_shares','id':1}", -32600 },
		{ "{'jsonrpc':2.0,'method':'list_shares','id':1}", -32600 },
		{ "{'jsonrpc':'2.0','id':1}", -32600 },
		{ "{'jsonrpc':'2.0'}", -32600 },
		{ "{'jsonrpc':'2.0','method':7,'id':1}", -32600 },
		{ "{'jsonrpc':'2.0','method':null,'id':1}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_shares','params':'x','id':1}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_shares','params':7,'id':1}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':{}}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':[1]}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_shares','id':true}", -32600 },
		{ "{'jsonrpc':'2.0','method':'list_share','id':1}", -32601 },
		{ "{'jsonrpc':'2.0','method':'','id':1}", -32601 },
		{ "{'jsonrpc':'2.0','method':'rpc.list','id':1}", -32601 },
		{ "{'jsonrpc':'2.0','method':'LIST_SHARES','id':1}", -32601 },
		{ "{'jsonrpc':'2.0','method':'list_shares','params':[],'id':1}", -32602 },
		{ "{'jsonrpc':'2.0','method':'get_share','params':['a'],'id':1}", -32602 },
		{ "{'jsonrpc':'2.0','method':'get_share','id':1}", -32602 },
		{ "{'jsonrpc':'2.0','method':'get_service','params':{'x':null},'id':1}", -32602 },
	};
	static const char with_nul[] = "{\"jsonrpc\":\"2.0\",\0\"method\":\"list_shares\",\"id\":1}\n";
	struct fixture *f = fixture_new("");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		long long code = cases[i].code;
		json_t *reply;

		send_quoted(c, cases[i].line);
		reply = client_read(c);
		if (code == -32700)
			ck_assert(json_is_null(at(reply, "id")));
		check_error(reply, code,
			    code == -32700   ? "parse_error"
			    : code == -32600 ? "invalid_request"
			    : code == -32601 ? "method_not_found"
					     : "invalid_params");
		check_ping(c);
	}
	/* A NUL within the line is no end of it. */
	client_send(c, with_nul, sizeof with_nul - 1);
	check_error(client_read(c), -32700, "parse_error");
	check_ping(c);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- JSON-RPC ---- */

START_TEST(ids)
{
	static const char *const texts[] = { "0",
					     "-7",
					     "9223372036854775807",
					     "-9223372036854775808",
					     "1.5",
					     "-2e-3",
					     "null",
					     "\"\"",
					     "\"a\"",
					     "\"\\u00e4\\\"\\\\\"",
					     "\"1\"" };
	struct fixture *f = fixture_new("");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		json_t *want = json_loads(texts[i], JSON_DECODE_ANY, NULL);
		json_t *reply = client_ask(c, "{'jsonrpc':'2.0','method':'list_shares','id':%s}", texts[i]);
		json_t *error = client_ask(c, "{'jsonrpc':'2.0','method':'nothing','id':%s}", texts[i]);

		ck_assert_uint_eq(json_object_size(reply), 3);
		ck_assert_str_eq(str_at(reply, "jsonrpc"), "2.0");
		at(reply, "result");
		ck_assert(json_equal(at(reply, "id"), want));
		ck_assert(json_equal(at(error, "id"), want));
		check_error(error, -32601, "method_not_found");
		json_decref(reply);
		json_decref(want);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(notifications)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	client_line(c, "{'jsonrpc':'2.0','method':'list_shares'}");
	client_line(c, "{'jsonrpc':'2.0','method':'nothing'}");
	client_line(c, "{'jsonrpc':'2.0','method':'list_shares','params':[1]}");
	client_line(c, "{'jsonrpc':'2.0','method':'get_share','params':{'share':'none'}}");
	client_line(c, "{'jsonrpc':'2.0','method':'create_share_instance','params':{'name':'a','size_bytes':1}}");
	client_line(c, "{'jsonrpc':'2.0','method':'create_share_instance','params':{'name':'a','size_bytes':1}}");
	client_line(c, "[{'jsonrpc':'2.0','method':'list_shares'},{'jsonrpc':'2.0','method':'nothing'}]");
	/* It was done all the same, and before what came after it. */
	json_decref(client_call(c, "extend_share", "{s:s,s:i}", "share", "a", "size_bytes", 2));
	check_ping(c);
	ck_assert(client_quiet(c, 0.1));
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(batches)
{
	struct fixture *f = fixture_new("sim \"s\" { latency = 0.2 }\n");
	struct client *c;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	check_error(client_ask(c, "[]"), -32600, "invalid_request");
	/* In order, each sees those before it; what fails stops nobody. */
	reply = client_ask(
		c, "[{'jsonrpc':'2.0','method':'get_share','params':{'share':'a'},'id':1},"
		   "{'jsonrpc':'2.0','method':'create_share_instance','params':{'name':'a','size_bytes':5},'id':2},"
		   "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a'},'id':'three'},"
		   "{'jsonrpc':'2.0','method':'extend_share','params':{'share':'a','size_bytes':9}},"
		   "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a'},'id':2},"
		   "{'jsonrpc':'2.0','method':'nothing'},"
		   "7,[],{'jsonrpc':'2.0','method':'delete_share_instance','params':{'share':'a'},'id':null},"
		   "{'jsonrpc':'2.0','method':'get_share','params':{'share':'a'},'id':6}]");
	ck_assert_uint_eq(json_array_size(reply), 8);
	check_error(json_incref(at(reply, "0")), 1, "not_found");
	ck_assert_int_eq(int_at(reply, "0.id"), 1);
	ck_assert_int_eq(int_at(reply, "1.id"), 2);
	ck_assert_str_eq(str_at(reply, "1.result.status"), "available");
	ck_assert_str_eq(str_at(reply, "2.id"), "three");
	ck_assert_int_eq(int_at(reply, "2.result.size_bytes"), 5);
	ck_assert_int_eq(int_at(reply, "3.id"), 2);
	/* The notification before it was sent first; a change whose answer nobody waits for is done in its turn. */
	ck_assert_int_eq(int_at(reply, "3.result.size_bytes"), 9);
	check_error(json_incref(at(reply, "4")), -32600, "invalid_request");
	check_error(json_incref(at(reply, "5")), -32600, "invalid_request");
	ck_assert(json_is_null(at(reply, "6.id")) && json_is_null(at(reply, "6.result")));
	check_error(json_incref(at(reply, "7")), 1, "not_found");
	json_decref(reply);
	/* While a batch works, another line is answered. */
	client_line(c, "[{'jsonrpc':'2.0','method':'create_share_instance','params':{'name':'b','size_bytes':5},'id':'"
		       "slow'}]");
	client_line(c, "{'jsonrpc':'2.0','method':'list_shares','id':'quick'}");
	reply = client_read(c);
	ck_assert_str_eq(str_at(reply, "id"), "quick");
	json_decref(reply);
	reply = client_read(c);
	ck_assert_str_eq(str_at(reply, "0.id"), "slow");
	json_decref(reply);
	ck_assert(client_quiet(c, 0.05));
	client_free(c);
	fixture_free(f);
}
END_TEST

START_TEST(unknown_params_are_named)
{
	static const char *const methods[] = { "create_share_instance", "get_share",    "list_calls",
					       "get_service",           "rpc.discover", "subscribe",
					       "set_metadata",          "init_host",    "list_orphans" };
	struct fixture *f = fixture_new("");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		json_t *error = client_error(c, "invalid_params", methods[i], "{s:s}", "colour", "red");

		ck_assert_str_eq(str_at(error, "data.param"), "colour");
		ck_assert_ptr_nonnull(strstr(str_at(error, "message"), "colour"));
		ck_assert(json_is_false(at(error, "data.retryable")));
		json_decref(error);
	}
	client_free(c);
	fixture_free(f);
}
END_TEST

/* ---- limits ---- */

#define SMALL_SIZES                                                                                                    \
	"max_request_bytes = 2048\n"                                                                                   \
	"max_request_depth = 6\n"                                                                                      \
	"max_batch_entries = 3\n"                                                                                      \
	"max_connections = 5\n"                                                                                        \
	"max_connections_per_user = 4\n"                                                                               \
	"max_unsent_bytes = 65536\n"                                                                                   \
	"max_queued_calls = 2\n"
#define SMALL_LIMITS SMALL_SIZES "request_line_timeout = 0.4\n"

START_TEST(limits_are_reported)
{
	static const struct {
		const char *name;
		double small, usual;
	} limits[] = {
		{ "max_request_bytes", 2048, 1 << 20 }, { "max_request_depth", 6, 32 },
		{ "max_batch_entries", 3, 64 },         { "max_connections", 5, 256 },
		{ "max_connections_per_user", 4, 64 },  { "max_unsent_bytes", 65536, 8 << 20 },
		{ "request_line_timeout", 0.4, 30 },    { "max_queued_calls", 2, 1024 },
	};
	for (int small = 0; small < 2; small++) {
		struct fixture *f = fixture_new(small ? SMALL_LIMITS : "");
		json_t *service;

		fixture_start(f, NULL, (uid_t)-1);
		service = call(f, "get_service", NULL);
		for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
			ck_assert_double_eq_tol(
				json_number_value(json_object_get(at(service, "limits"), limits[i].name)),
				small ? limits[i].small : limits[i].usual, 1e-9);
		json_decref(service);
		fixture_free(f);
	}
}
END_TEST

/* A valid request of so many bytes, without its end of line. */
static void send_long(struct client *c, size_t len)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":5", tail[] = "}";
	char *blanks = malloc(len);

	memset(blanks, ' ', len);
	client_send(c, head, sizeof head - 1);
	client_send(c, blanks, len - (sizeof head - 1) - (sizeof tail - 1));
	client_send(c, tail, sizeof tail - 1);
	free(blanks);
}

static void check_limit(json_t *reply, long long limit, const char *name)
{
	ck_assert_int_eq(int_at(reply, "error.data.limit"), limit);
	ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), name));
	check_error(reply, -32600, "invalid_request");
}

START_TEST(long_lines)
{
	struct fixture *f = fixture_new(SMALL_SIZES);
	struct client *c;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	for (int cr = 0; cr < 2; cr++) {
		send_long(c, 2048);
		client_send_text(c, cr ? "\r\n" : "\n");
		reply = client_read(c);
		ck_assert_int_eq(int_at(reply, "id"), 5);
		at(reply, "result");
		json_decref(reply);
		send_long(c, 2049);
		client_send_text(c, cr ? "\r\n" : "\n");
		check_limit(client_read(c), 2048, "max_request_bytes");
	}
	/* One answer, however long it goes on; what is in it is not looked at. */
	for (int i = 0; i < 300; i++)
		send_long(c, 10000);
	check_limit(client_read(c), 2048, "max_request_bytes");
	ck_assert(client_quiet(c, 0.05));
	client_send_text(c, "\n");
	check_ping(c);
	/* Longer than anything that is read at once. */
	send_long(c, 8 << 20);
	client_send_text(c, "\n{\"jsonrpc\":\"2.0\",\"method\":\"list_shares\",\"id\":5}\n");
	check_limit(client_read(c), 2048, "max_request_bytes");
	reply = client_read(c);
	ck_assert_int_eq(int_at(reply, "id"), 5);
	json_decref(reply);
	client_free(c);
	fixture_free(f);
}
END_TEST

static char *nested(int depth, const char *inner)
{
	char *text = calloc(1, (size_t)depth * 2 + strlen(inner) + 1);

	memset(text, '[', (size_t)depth);
	strcat(text, inner);
	memset(text + strlen(text), ']', (size_t)depth);
	return text;
}

static void check_depth(struct client *c, int most)
{
	char *fits = nested(most - 2, ""), *deep = nested(most - 1, ""), *brackets = nested(200, "\\\"{"),
	     *endless = nested(100000, "");

	/* The request is the first level, params the second. */
	check_error(client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'list_shares','params':{'limit':%s}}", fits),
		    -32602, "invalid_params");
	check_error(client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'list_shares','params':{'limit':%s}}", deep),
		    -32600, "invalid_request");
	check_error(client_ask(c, "{'jsonrpc':'2.0','id':1,'method':'get_share','params':{'share':'%s'}}", brackets), 1,
		    "not_found");
	check_error(client_ask(c, "%s", endless), -32600, "invalid_request");
	check_ping(c);
	free(fits);
	free(deep);
	free(brackets);
	free(endless);
}

START_TEST(deep_nesting)
{
	struct fixture *f = fixture_new(""), *small = fixture_new("max_request_depth = 6\n");
	struct client *c;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	check_depth(c, 32);
	client_free(c);
	fixture_free(f);
	fixture_start(small, NULL, (uid_t)-1);
	c = client_new(small);
	check_depth(c, 6);
	client_free(c);
	fixture_free(small);
}
END_TEST

START_TEST(large_batches)
{
	struct fixture *f = fixture_new(SMALL_LIMITS);
	struct client *c;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	reply = client_ask(c, "[" PING "," PING "," PING "]", 1, 2, 3);
	ck_assert_uint_eq(json_array_size(reply), 3);
	json_decref(reply);
	reply = client_ask(c, "[" PING "," PING "," PING "," PING "]", 1, 2, 3, 4);
	ck_assert(json_is_null(at(reply, "id")));
	check_limit(reply, 3, "max_batch_entries");
	check_ping(c);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* All the answers of a batch leave together, so they have a bound too. */
START_TEST(large_answers)
{
	struct fixture *f = fixture_new("max_unsent_bytes = 65536\n");
	struct client *c;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	reply = client_ask(c,
			   "[{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":1}," PING ","
			   "{\"jsonrpc\":\"2.0\",\"method\":\"get_service\"},5]",
			   2);
	ck_assert_uint_eq(json_array_size(reply), 3);
	ck_assert_ptr_nonnull(at(json_array_get(reply, 0), "result.openrpc"));
	ck_assert_int_eq(int_at(json_array_get(reply, 1), "id"), 2);
	ck_assert_int_eq(int_at(json_array_get(reply, 1), "error.data.limit"), 65536);
	check_error(json_incref(json_array_get(reply, 1)), 12, "limit");
	ck_assert(json_is_null(at(json_array_get(reply, 2), "id")));
	json_decref(reply);
	/* One answer alone may be as large as it is. */
	reply = client_ask(c, "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":%d}", 3);
	ck_assert_ptr_nonnull(at(reply, "result.openrpc"));
	json_decref(reply);
	client_free(c);
	fixture_free(f);
}
END_TEST

/* Some milliseconds of work in one batch: others have their turn in between, the order stays. */
START_TEST(long_batches)
{
	enum { ENTRIES = 40 };
	struct fixture *f = fixture_new("");
	struct client *c, *other;
	json_t *reply;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	other = client_new(f);
	for (int i = 0; i < ENTRIES; i++) {
		char entry[128];

		snprintf(entry, sizeof entry, "%s{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":%d}",
			 i ? "," : "[", i);
		client_send_text(c, entry);
	}
	client_send_text(c, "]\n");
	check_ping(other);
	reply = client_read(c);
	ck_assert_uint_eq(json_array_size(reply), ENTRIES);
	for (int i = 0; i < ENTRIES; i++)
		ck_assert_int_eq(int_at(json_array_get(reply, (size_t)i), "id"), i);
	json_decref(reply);
	client_free(c);
	client_free(other);
	fixture_free(f);
}
END_TEST

/* One line that says why, then the end. */
static void check_turned_away(struct client *c, const char *name)
{
	json_t *reply = client_read(c);

	ck_assert_ptr_nonnull(reply);
	ck_assert_ptr_nonnull(strstr(str_at(reply, "error.message"), name));
	check_error(reply, 12, "limit");
	ck_assert_ptr_null(client_read(c));
	client_free(c);
}

static struct client *connect_as(const struct fixture *f, uid_t uid)
{
	return geteuid() == 0 ? client_new_as(f, uid, uid) : client_new(f);
}

static void check_all_live(struct client **c, int n)
{
	for (int i = 0; i < n; i++)
		check_ping(c[i]);
}

START_TEST(too_many_connections)
{
	struct fixture *f =
		fixture_new("max_connections = 5\nmax_connections_per_user = 3\nadmin_groups = {\"daemon\"}\n");
	bool root = geteuid() == 0;
	struct client *c[8];
	int n = 0;

	fixture_start(f, NULL, (uid_t)-1);
	while (n < 3) {
		c[n] = client_new(f);
		check_ping(c[n++]);
	}
	check_turned_away(client_new(f), "max_connections_per_user");
	check_all_live(c, n);
	if (root) {
		/* Others are not in their way, until all places are taken. */
		while (n < 5)
			c[n++] = client_new_as(f, 1, 1);
		check_all_live(c, n);
		check_turned_away(client_new_as(f, 1, 1), "max_connections");
		check_turned_away(client_new(f), "max_connections");
	}
	client_free(c[--n]);
	nap(0.1);
	c[n] = connect_as(f, 1);
	check_all_live(c, ++n);
	while (n > 0)
		client_free(c[--n]);
	fixture_free(f);
}
END_TEST

START_TEST(unfinished_lines)
{
	struct fixture *f = fixture_new(SMALL_LIMITS "sim \"s\" { latency = 1.2 }\n");
	struct client *half, *drip, *idle, *skipping;
	double begin;

	fixture_start(f, NULL, (uid_t)-1);
	half = client_new(f);
	drip = client_new(f);
	idle = client_new(f);
	skipping = client_new(f);
	begin = now();
	check_ping(half);
	client_send_text(half, "{\"jsonrpc\"");
	send_long(skipping, 3000);
	check_limit(client_read(skipping), 2048, "max_request_bytes");
	/* Sending a little now and then does not help. */
	while (client_quiet(drip, 0.05) && now() < begin + 5)
		client_send_text(drip, "{");
	ck_assert_ptr_null(client_read(drip));
	ck_assert_ptr_null(client_read(half));
	ck_assert_ptr_null(client_read(skipping));
	ck_assert_double_ge(now() - begin, 0.3);
	ck_assert_double_le(now() - begin, 4);
	client_free(half);
	client_free(drip);
	client_free(skipping);
	/* Who waits for an answer, or for something to ask, has time. */
	json_decref(client_call(idle, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	nap(0.6);
	check_ping(idle);
	client_free(idle);
	fixture_free(f);
}
END_TEST

/* Sends without ever reading. Returns the bytes that were taken; sets *closed. */
static size_t flood(struct client *c, const char *line, size_t most, bool *closed)
{
	size_t sent = 0, len = strlen(line), stalls = 0;

	*closed = false;
	while (sent < most && stalls < 50) {
		ssize_t n = send(client_fd(c), line, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN) {
			*closed = true;
			break;
		}
		if (n > 0)
			sent += (size_t)n;
		/* Half a line taken: begin at its rest. */
		if (n > 0 && (size_t)n < len) {
			line += n;
			len -= (size_t)n;
		}
		stalls = n < 0 ? stalls + 1 : 0;
		if (n < 0)
			nap(0.01);
	}
	return sent;
}

START_TEST(answers_not_read)
{
	struct fixture *f = fixture_new("max_unsent_bytes = 65536\n");
	struct client *events, *greedy, *other;
	json_t *event;
	bool closed = false;
	double until = now() + 10;

	fixture_start(f, NULL, (uid_t)-1);
	events = client_new(f);
	json_decref(client_call(events, "subscribe", "{s:[s]}", "types", "client.*"));
	greedy = client_new(f);
	other = client_new(f);
	while (!closed && now() < until) {
		/* 40 answers of some hundred kB each. */
		flood(greedy, "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\",\"id\":1}\n", 40 * 50, &closed);
		check_ping(other);
	}
	ck_assert(closed);
	event = client_read(events);
	ck_assert_str_eq(str_at(event, "params.type"), "client.dropped");
	ck_assert_int_eq(int_at(event, "params.object.uid"), geteuid());
	ck_assert_ptr_nonnull(strstr(str_at(event, "params.object.reason"), "max_unsent_bytes"));
	json_decref(event);
	check_ping(other);
	client_free(events);
	client_free(greedy);
	client_free(other);
	fixture_free(f);
}
END_TEST

START_TEST(subscribers_that_leave)
{
	struct fixture *f = fixture_new("");
	struct client *leaver, *listener;
	json_t *service;

	fixture_start(f, NULL, (uid_t)-1);
	leaver = client_new(f);
	json_decref(client_call(leaver, "subscribe", NULL));
	/* Only half of it is closed: it still listens. */
	client_shutdown(leaver);
	listener = client_new(f);
	json_decref(client_call(listener, "subscribe", NULL));
	service = client_call(listener, "get_service", NULL);
	ck_assert_int_eq(int_at(service, "counts.connections"), 2);
	json_decref(service);
	client_free(leaver);
	/* No event is due, so nothing is sent that would fail. */
	for (double until = now() + 60; now() < until; nap(0.05)) {
		json_int_t n;

		json_decref(client_call(listener, "subscribe", NULL));
		service = client_call(listener, "get_service", NULL);
		n = int_at(service, "counts.connections");
		json_decref(service);
		if (n == 1)
			break;
	}
	service = client_call(listener, "get_service", NULL);
	ck_assert_int_eq(int_at(service, "counts.connections"), 1);
	json_decref(service);
	client_free(listener);
	fixture_free(f);
}
END_TEST

START_TEST(reading_waits_for_readers)
{
	struct fixture *f = fixture_new("");
	struct client *lazy, *other;
	bool closed;
	json_t *reply;
	size_t n = 0, sent;
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"get_service\",\"id\":1}\n";

	fixture_start(f, NULL, (uid_t)-1);
	lazy = client_new(f);
	other = client_new(f);
	/* Far more than fits: the daemon stops taking requests, and drops nobody. */
	sent = flood(lazy, line, 64 << 20, &closed);
	ck_assert(!closed);
	ck_assert_uint_lt(sent, 64 << 20);
	check_ping(other);
	for (n = 0; n < sent / (sizeof line - 1); n++) {
		reply = client_read(lazy);
		ck_assert_ptr_nonnull(reply);
		ck_assert_int_eq(int_at(reply, "id"), 1);
		at(reply, "result.version");
		json_decref(reply);
	}
	client_free(lazy);
	client_free(other);
	fixture_free(f);
}
END_TEST

START_TEST(full_queue)
{
	struct fixture *f = fixture_new(SMALL_LIMITS "sim \"s\" { latency = 0.5 }\n");
	json_t *reply;
	struct client *c;
	int done = 0, busy = 0;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	client_line(c,
		    "{'jsonrpc':'2.0','id':0,'method':'create_share_instance','params':{'name':'s0','size_bytes':1}}");
	nap(0.2); /* it runs, and is in the queue no more */
	for (int i = 1; i < 6; i++)
		client_line(c,
			    "{'jsonrpc':'2.0','id':%d,'method':'create_share_instance','params':{'name':'s%d','size_"
			    "bytes':1}}",
			    i, i);
	check_ping(c);
	for (int i = 0; i < 6; i++) {
		reply = client_read(c);
		if (json_object_get(reply, "error")) {
			ck_assert(json_is_true(at(reply, "error.data.retryable")));
			ck_assert_int_eq(int_at(reply, "error.data.limit"), 2);
			ck_assert_int_gt(int_at(reply, "id"), 2);
			check_error(json_incref(reply), 11, "busy");
			busy++;
		} else {
			ck_assert_int_eq(int_at(reply, "id"), done);
			done++;
		}
		json_decref(reply);
	}
	ck_assert_int_eq(done, 3);
	ck_assert_int_eq(busy, 3);
	reply = client_call(c, "list_shares", NULL);
	ck_assert_uint_eq(json_array_size(at(reply, "shares")), 3);
	json_decref(reply);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i}", "name", "s9", "size_bytes", 1));
	client_free(c);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socket");
	TCase *lines = tcase_create("lines"), *rpc = tcase_create("rpc"), *limits = tcase_create("limits");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(lines, 120);
	tcase_add_test(lines, lines_in_pieces);
	tcase_add_test(lines, bad_lines);
	suite_add_tcase(s, lines);
	tcase_set_timeout(rpc, 120);
	tcase_add_test(rpc, ids);
	tcase_add_test(rpc, notifications);
	tcase_add_test(rpc, batches);
	tcase_add_test(rpc, unknown_params_are_named);
	suite_add_tcase(s, rpc);
	tcase_set_timeout(limits, 120);
	tcase_add_test(limits, limits_are_reported);
	tcase_add_test(limits, long_lines);
	tcase_add_test(limits, deep_nesting);
	tcase_add_test(limits, large_batches);
	tcase_add_test(limits, large_answers);
	tcase_add_test(limits, long_batches);
	tcase_add_test(limits, too_many_connections);
	tcase_add_test(limits, unfinished_lines);
	tcase_add_test(limits, answers_not_read);
	tcase_add_test(limits, subscribers_that_leave);
	tcase_add_test(limits, reading_waits_for_readers);
	tcase_add_test(limits, full_queue);
	suite_add_tcase(s, limits);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
