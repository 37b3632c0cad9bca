/* base/jsonx. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static size_t depth(const char *text)
{
	return jsonx_depth(text, strlen(text), 32);
}

static int parse(const char *text, size_t max_depth, json_t **ret, struct error *e)
{
	return jsonx_parse(text, strlen(text), max_depth, ret, e);
}

START_TEST(depth_counts_brackets_outside_strings)
{
	ck_assert_uint_eq(depth(""), 0);
	ck_assert_uint_eq(depth("1"), 0);
	ck_assert_uint_eq(depth("{}"), 1);
	ck_assert_uint_eq(depth("[[],[[]],{}]"), 3);
	ck_assert_uint_eq(depth("[{\"a\":[]}]"), 3);
	ck_assert_uint_eq(depth("\"[[[[\""), 0);
	ck_assert_uint_eq(depth("[\"]\",\"[[[\"]"), 1);
	ck_assert_uint_eq(depth("[\"\\\"[[[\"]"), 1);
	ck_assert_uint_eq(depth("[\"\\\\\",[]]"), 2);    /* the string ends at the third quote */
	ck_assert_uint_eq(depth("[\"\\\\\\\"[[\"]"), 1); /* a backslash, a quote, and on */
	ck_assert_uint_eq(depth("{\"[\":{\"{\":1}}"), 2);
	ck_assert_uint_eq(depth("]]]][[]]"), 2);
	ck_assert_uint_eq(depth("[\"unfinished [[["), 1);
	ck_assert_uint_eq(depth("[\"\\"), 1);
	ck_assert_uint_eq(jsonx_depth("[[[[", 2, 32), 2);
	ck_assert_uint_eq(jsonx_depth("[[[[[[[[", 8, 3), 4);
	ck_assert_uint_eq(jsonx_depth("[", 1, 0), 1);
}
END_TEST

START_TEST(parse_any_value)
{
	static const char *const texts[] = {
		"1", "-1.5", "null", "true", "\"x\"", "[]", "{}", " {\"a\": [1, 2]} \r\n"
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		_cleanup_json_ json_t *j = NULL;

		ck_assert_msg(parse(texts[i], 32, &j, NULL) == 0, "%s", texts[i]);
		ck_assert_ptr_nonnull(j);
	}
}
END_TEST

START_TEST(parse_takes_the_length_not_a_terminator)
{
	_cleanup_json_ json_t *j = NULL;

	ck_assert_int_eq(jsonx_parse("[1]garbage", 3, 32, &j, NULL), 0);
	ck_assert_uint_eq(json_array_size(j), 1);
}
END_TEST

START_TEST(parse_refuses)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "ends too early" },
		{ "{", "ends too early (one JSON text per line" },
		{ "{\"a\":", "ends too early" },
		{ "[1,2", "line 1" },
		{ "{} {}", "one JSON text per line" },
		{ "{\"a\":1,\"a\":2}", "duplicate" },
		{ "9223372036854775808", "too big integer" },
		{ "-9223372036854775809", "too big" },
		{ "[1e999]", "real number overflow" },
		{ "nope", "invalid token" },
		{ "[1,]", "line 1, column 4" },
		{ "\n\n x", "line 3, column 2" },
		{ "\"\xff\"", "UTF-8" },
		{ "\"a\tb\"", "control character" },
		{ "\"\\u0000\"", "\\u0000" },
		{ "{\"\\u0000\":1}", "NUL" },
		{ "NaN", "" },
		{ "'a'", "" },
		{ "01", "" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		_cleanup_error_ struct error e = ERROR_INIT;
		json_t *j = NULL;

		ck_assert_msg(parse(rows[i].text, 32, &j, &e) == -EINVAL, "%s", rows[i].text);
		ck_assert_int_eq(e.kind, ERR_PARSE_ERROR);
		ck_assert_ptr_null(j);
		ck_assert_msg(strstr(e.message, rows[i].says), "%s: %s", rows[i].text, e.message);
		ck_assert_ptr_null(strchr(e.message, '\n'));
	}
}
END_TEST

START_TEST(parse_keeps_64_bits)
{
	_cleanup_json_ json_t *j = NULL;

	ck_assert_int_eq(parse("[9223372036854775807,-9223372036854775808]", 32, &j, NULL), 0);
	ck_assert(json_integer_value(json_array_get(j, 0)) == INT64_MAX);
	ck_assert(json_integer_value(json_array_get(j, 1)) == INT64_MIN);
}
END_TEST

START_TEST(parse_nul_byte)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	json_t *j = NULL;

	ck_assert_int_eq(jsonx_parse("{}\0{}", 5, 32, &j, &e), -EINVAL);
	ck_assert_int_eq(jsonx_parse("\"a\0b\"", 5, 32, &j, &e), -EINVAL);
	ck_assert_ptr_null(j);
}
END_TEST

START_TEST(parse_depth)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *j = NULL;

	ck_assert_int_eq(parse("[[[]]]", 3, &j, &e), 0);
	json_decref(take_ptr(j));
	ck_assert_int_eq(parse("[[[]]]", 2, &j, &e), -EINVAL);
	ck_assert_int_eq(e.kind, ERR_INVALID_REQUEST);
	ck_assert_ptr_nonnull(strstr(e.message, "2 levels"));
	/* Deeper than the parser itself goes, and allowed by the caller: refused the same way, no crash. */
	text = xmalloc(10001);
	memset(text, '[', 5000);
	memset(text + 5000, ']', 5000);
	text[10000] = '\0';
	error_clear(&e);
	ck_assert_int_eq(parse(text, 100000, &j, &e), -EINVAL);
	ck_assert_int_eq(e.kind, ERR_INVALID_REQUEST);
	ck_assert_ptr_null(j);
}
END_TEST

START_TEST(members)
{
	_cleanup_json_ json_t *o =
		json_loads("{\"s\":\"x\",\"i\":9007199254740993,\"t\":true,\"n\":null,\"r\":1.5,\"o\":{}}", 0, NULL);

	ck_assert_str_eq(jsonx_str(o, "s"), "x");
	ck_assert_ptr_null(jsonx_str(o, "i"));
	ck_assert_ptr_null(jsonx_str(o, "n"));
	ck_assert_ptr_null(jsonx_str(o, "none"));
	ck_assert_ptr_null(jsonx_str(NULL, "s"));
	ck_assert(jsonx_int(o, "i") == 9007199254740993);
	ck_assert(jsonx_int(o, "s") == 0);
	ck_assert(jsonx_int(o, "r") == 0);
	ck_assert(jsonx_int(NULL, "i") == 0);
	ck_assert(jsonx_bool(o, "t"));
	ck_assert(!jsonx_bool(o, "i"));
	ck_assert(!jsonx_bool(o, "none"));
	ck_assert_ptr_null(jsonx_get(o, "n"));
	ck_assert_ptr_null(jsonx_get(o, "none"));
	ck_assert_ptr_null(jsonx_get(NULL, "o"));
	ck_assert(json_is_object(jsonx_get(o, "o")));
}
END_TEST

START_TEST(strings)
{
	_cleanup_json_ json_t *a = jsonx_string("\xc3\xa4"),
			      *b = jsonx_string("\xff"
						"a\xc3"),
			      *n = jsonx_string(NULL);

	ck_assert_str_eq(json_string_value(a), "\xc3\xa4");
	ck_assert_str_eq(json_string_value(b), "?a?");
	ck_assert(json_is_null(n));
}
END_TEST

START_TEST(dumps)
{
	_cleanup_json_ json_t *j = json_loads("{\"b\":\"/a\\n\\u0001\\u2028\",\"a\":[1,2.5,null]}", 0, NULL);
	_cleanup_json_ json_t *k = json_loads("{\"a\":[1,2.5,null],\"b\":\"/a\\n\\u0001\\u2028\"}", 0, NULL);
	_cleanup_json_ json_t *scalar = json_integer(5);
	_cleanup_free_ char *text = jsonx_dump(j), *one = jsonx_canonical(j), *two = jsonx_canonical(k);
	_cleanup_free_ char *five = jsonx_dump(scalar), *null = jsonx_dump(NULL);

	ck_assert_str_eq(text, "{\"b\":\"/a\\n\\u0001\xe2\x80\xa8\",\"a\":[1,2.5,null]}");
	ck_assert_str_eq(one, two);
	ck_assert_str_eq(five, "5");
	ck_assert_str_eq(null, "null");
}
END_TEST

static json_t *any_value(unsigned *seed, unsigned depth)
{
	static const char *const texts[] = {
		"", "plain", "\"", "\\", "a\nb\tc\r\b\f", "/\x7f", "\xc3\xa4\xf0\x9f\x98\x80"
	};
	json_t *j;

	switch (rand_r(seed) % (depth ? 9 : 7)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(rand_r(seed) % 2);
	case 2:
		return json_integer(rand_r(seed) % 2 ? INT64_MIN : rand_r(seed));
	case 3:
		return json_real((double)rand_r(seed) / (1 + rand_r(seed) % 1000));
	case 4:
		return json_real(rand_r(seed) % 2 ? 1e300 : -1);
	case 5:
		return json_string(texts[(size_t)rand_r(seed) % (sizeof texts / sizeof *texts)]);
	case 6:
		j = json_array();
		for (int n = rand_r(seed) % 4; n > 0 && depth; n--)
			json_array_append_new(j, any_value(seed, depth - 1));
		return j;
	default:
		j = json_object();
		for (int n = rand_r(seed) % 6; n > 0; n--) {
			char key[32];

			snprintf(key, sizeof key, "%s%d", texts[(size_t)rand_r(seed) % (sizeof texts / sizeof *texts)],
				 n);
			json_object_set_new(j, key, any_value(seed, depth - 1));
		}
		return j;
	}
}

static void dumps_like_jansson(const json_t *j)
{
	_cleanup_free_ char *text = jsonx_dump(j), *want = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	ck_assert_str_eq(text, want);
}

START_TEST(dumps_are_those_of_jansson)
{
	unsigned seed = 7;
	_cleanup_json_ json_t *bytes = NULL, *lengths = json_array();
	char all[128];

	for (int i = 0; i < 128; i++)
		all[i] = (char)i;
	bytes = json_stringn(all, sizeof all);
	dumps_like_jansson(bytes);
	/* Around each size that the buffer takes. */
	for (size_t n = 0; n < 5000; n++) {
		_cleanup_free_ char *text = jsonx_dump(lengths);

		ck_assert_uint_eq(strlen(text), n ? 2 * n + 1 : 2);
		json_array_append_new(lengths, json_integer(1));
	}
	for (int i = 0; i < 2000; i++) {
		_cleanup_json_ json_t *j = any_value(&seed, 5);

		dumps_like_jansson(j);
	}
}
END_TEST

START_TEST(dump_of_a_loop_aborts)
{
	json_t *a = json_array(), *b = json_array();

	json_array_append(a, b);
	json_array_append(b, a);
	if (!freopen("/dev/null", "w", stderr))
		return;
	free(jsonx_dump(a));
}
END_TEST

START_TEST(merge)
{
	_cleanup_json_ json_t *to = json_pack("{s:i, s:i}", "a", 1, "b", 2);
	_cleanup_json_ json_t *from = json_pack("{s:i, s:n}", "b", 3, "c");
	_cleanup_free_ char *text = NULL;

	jsonx_merge(to, from);
	jsonx_merge(to, NULL);
	text = jsonx_canonical(to);
	ck_assert_str_eq(text, "{\"a\":1,\"b\":3,\"c\":null}");
}
END_TEST

START_TEST(pack)
{
	_cleanup_json_ json_t *j =
		jsonx_pack("{s:s, s:[i, b], s:o, s:s?}", "a", "x", "b", 1, 1, "c", jsonx_string(NULL), "d", NULL);
	_cleanup_free_ char *text = jsonx_canonical(j);

	ck_assert_str_eq(text, "{\"a\":\"x\",\"b\":[1,true],\"c\":null,\"d\":null}");
}
END_TEST

START_TEST(pack_with_a_fault_aborts)
{
	if (!freopen("/dev/null", "w", stderr))
		return;
	json_decref(jsonx_pack("{s:q}", "a"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_jsonx");
	TCase *t = tcase_create("jsonx");
	SRunner *runner;
	int failed;

	mem_setup();
	tcase_add_test(t, depth_counts_brackets_outside_strings);
	tcase_add_test(t, parse_any_value);
	tcase_add_test(t, parse_takes_the_length_not_a_terminator);
	tcase_add_test(t, parse_refuses);
	tcase_add_test(t, parse_keeps_64_bits);
	tcase_add_test(t, parse_nul_byte);
	tcase_add_test(t, parse_depth);
	tcase_add_test(t, members);
	tcase_add_test(t, strings);
	tcase_add_test(t, dumps);
	tcase_add_test(t, dumps_are_those_of_jansson);
	tcase_add_test_raise_signal(t, dump_of_a_loop_aborts, SIGABRT);
	tcase_add_test(t, merge);
	tcase_add_test(t, pack);
	tcase_add_test_raise_signal(t, pack_with_a_fault_aborts, SIGABRT);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
