/* conf: how the file is written: lines, quotes, comments, variables, and what ends the reading. */
#include "tests/unit/test_conf.h"

static void refuse_line(const char *text, const char *line)
{
	refuse(text, LINES(line));
}

static void check_string(const char *written, const char *expected)
{
	_cleanup_free_ char *text = xasprintf("exec_user = %s\n", written);
	struct conf *c = load(text);
	ck_assert_str_eq(settings_string(conf_top(c), "exec_user"), expected);
	conf_unref(c);
}

START_TEST(quotes)
{
	check_string("word", "word");
	check_string("\"two words\"", "two words");
	check_string("'two words'", "two words");
	check_string("\"\"", "");
	check_string("\"a\\\"b\\\\c\"", "a\"b\\c");
	check_string("'a\\'b'", "a'b");
	check_string("'a\\nb'", "a\\nb");
	check_string("\"\\x41\\102\\t.\"", "AB\t.");
	check_string("\"one \\\n  two\"", "one   two");
	check_string("\"# { } = , /* //\"", "# { } = , /* //");
	check_string("https://example.org/a//b", "https://example.org/a//b");
	check_string("/srv/a.b-c_d:e@f", "/srv/a.b-c_d:e@f");
	check_string("\"*;+()\"", "*;+()");
	check_string("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	check_string("\xc3\xa4", "\xc3\xa4");
	check_string("word # comment", "word");
	check_string("word#comment", "word");
	check_string("word // comment", "word");
	check_string("\"word\"/* comment */", "word");
}
END_TEST

START_TEST(lists)
{
	static const struct {
		const char *written;
		size_t n;
	} cases[] = { { "{}", 0 },
		      { "{\"a\"}", 1 },
		      { "{a, 'b', \"c\"}", 3 },
		      { "{\n  \"a\", # first\n  \"b\", /* last */\n}", 2 },
		      { "one", 1 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_free_ char *text = xasprintf("admin_groups = %s\n", cases[i].written);
		struct conf *c = load(text);
		size_t n;
		const char *const *list = settings_list(conf_top(c), "admin_groups", &n);
		ck_assert_uint_eq(n, cases[i].n);
		ck_assert_ptr_null(list[n]);
		ck_assert(settings_is_set(conf_top(c), "admin_groups"));
		conf_unref(c);
	}
}
END_TEST

START_TEST(layout)
{
	/* Nothing, comments only, a byte order mark, ends of line of Windows, no end of line at all. */
	conf_unref(load(""));
	conf_unref(load("\n\n"));
	conf_unref(load("# nothing"));
	conf_unref(load("/* nothing\n */"));
	struct conf *c = load("\xef\xbb\xbfmax_depth = 5\r\nsim \"a\" {\r\n\tlatency = 2\r\n}");
	ck_assert_int_eq(settings_int(conf_top(c), "max_depth"), 5);
	ck_assert_double_eq(settings_seconds(conf_backend(c, "a")->settings, "latency"), 2);
	conf_unref(c);
	c = load("sim a{latency=2}sim \"b\"{}sim\n'c'\n{\n}max_depth=5");
	size_t n;
	const struct conf_section *backends = conf_backends(c, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(backends[2].line, 1);
	conf_unref(c);
}
END_TEST

/* libconfuse counts lines wrongly after comments. */
START_TEST(lines_are_right)
{
	static const char *const before[] = { "# c\n",
					      "#\n",
					      "//x\n",
					      "// x\n//\n",
					      "/* c */\n",
					      "/* c\n\n */\n",
					      "/** a **/\n",
					      "\r\n",
					      "max_depth = 5 # c\n",
					      "exec_user = \"a\\\nb\"\n",
					      "hook_options = {\n\n}\n",
					      "##\n#\n#\n",
					      "sim \"z\" {\n# c\n}\n" };
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		int line = 1;
		for (const char *p = before[i]; *p; p++)
			line += *p == '\n';
		_cleanup_free_ char *option = xasprintf("%snonsense = 1\n", before[i]);
		_cleanup_free_ char *first = xasprintf("%d: option `nonsense'", line);
		refuse(option, LINES(first));
		_cleanup_free_ char *broken = xasprintf("%s}\n", before[i]);
		_cleanup_free_ char *second = xasprintf("%d: there is a } that closes nothing", line);
		refuse(broken, LINES(second));
		_cleanup_free_ char *lone = xasprintf("%sword\n# c\n# c\n", before[i]);
		_cleanup_free_ char *third = xasprintf("%d: `word' stands alone", line);
		refuse_line(lone, third);
		_cleanup_free_ char *section = xasprintf("%s\nsim \"a\" {\n}\n", before[i]);
		struct conf *c = load(section);
		ck_assert_int_eq(conf_backend(c, "a")->line, line + 1);
		conf_unref(c);
	}
}
END_TEST

START_TEST(syntax_errors)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "sim \"a\" {\n  latency = 1\n", "1: the section `sim' that begins here is not closed; add a }" },
		{ "sim \"a\" {\n  latency = 1\nsim \"b\" {\n}\n",
		  "3: the section `sim' begins inside the section `sim' of line 1; add a } before it" },
		{ "sim \"a\" {\n  inner \"b\" {\n  }\n}\n",
		  "2: the section `inner' begins inside the section `sim' of line 1" },
		{ "sim \"a\" {\n}\n}\n", "3: there is a } that closes nothing; remove it" },
		{ "sim {\n}\n",
		  "1: between `sim' and its { something is missing; a list is written sim = {..}, a section sim" },
		{ "admin_groups {\"a\"}\n", "1: between `admin_groups' and its { something is missing" },
		{ "{\n}\n", "1: there is a { that belongs to nothing" },
		{ "root \"a\" {\n}\n", "1: there is no section `root'; it is an option, write root = \"/PATH\"" },
		{ "sim \"a\"\nmax_depth = 5\n",
		  "1: `sim' stands alone; an option is written NAME = VALUE, a section KEYWORD" },
		{ "sim \"a\" {}\nsim = 5\n",
		  "2: `sim' begins a section elsewhere in this file and cannot be an option" },
		{ "sim \"a\" {}\nsim \"b\"\nmax_depth = 5", "3: the section `sim' has no { after its title; add one" },
		{ "max_depth 5\n", "1: `max_depth' stands alone" },
		{ "max_depth 5\n\nsim \"a\" {}\nmax_depth = 5\n", "1: after option `max_depth' there is no `='" },
		{ "max_depth =\n\n", "1: option `max_depth' has no value; write one after the `='" },
		{ "sim \"a\" {\n latency =\n}\n", "2: option `latency' has no value; write one after the `='" },
		{ "max_depth = = 5\n", "1: `=' cannot stand here; a value is one word or one text in quotes, a list" },
		{ "= 5\n", "1: `=' cannot stand here" },
		{ "max_depth = 5,\n", "1: `,' cannot stand here" },
		{ "max_depth = 5 6\n", "1: `6' stands alone" },
		{ "admin_groups = {\"a\" \"b\"}\n",
		  "1: `b' cannot stand here; a value is one word or one text in quotes, a list" },
		{ "admin_groups = {,}\n", "1: `,' cannot stand here" },
		{ "admin_groups = {\"a\",\n\"b\"\n", "1: the list of option `admin_groups' is not closed; add a }" },
		{ "admin_groups = {\"a\",\n\"b\",\nmax_depth = 5\n",
		  "1: the list of option `admin_groups' is not closed; add a }" },
		{ "admin_groups = {\"a\", {\"b\"}}\n",
		  "1: there is a { inside the list of option `admin_groups'; end the list" },
		{ "exec_user = \"ann\nmax_depth = 5\n",
		  "1: the text that begins here has no closing \" on its line; add it" },
		{ "exec_user = 'ann\nmax_depth = 5\n",
		  "1: the text that begins here has no closing ' on its line; add it" },
		{ "exec_user = \"ann", "1: the text that begins here has no closing \"" },
		{ "exec_user = \"ann\\", "1: the text that begins here has no closing \"" },
		{ "\nmax_depth = 5 /* all the rest\n\n",
		  "2: the comment that begins here is not closed; close it with */" },
		{ "max_depth = 5;\n", "1: `;' cannot stand outside quotes; an option or section ends without it" },
		{ "exec_user = a*\n",
		  "1: `*' cannot stand outside quotes; put the text that it belongs to in double quotes" },
		{ "exec_user = a+b\n", "1: `+' cannot stand outside quotes" },
		{ "max_depth = +5\n", "1: `+' cannot stand outside quotes" },
		{ "include(\"/etc/other\")\n", "1: `(' cannot stand outside quotes" },
		{ "exec_user = a/*b*/\n", "1: `*' cannot stand outside quotes" },
		{ "exec_user = a\x01z\n", "1: there is a control character outside quotes; remove it" },
		{ "exec_user = \x0c\n", "1: there is a control character outside quotes; remove it" },
		{ "exec_user = \"a\\0b\"\n", "1: a text holds an escaped NUL, which no value can have; remove it" },
		{ "exec_user = \"a\\x00\"\n", "1: a text holds an escaped NUL" },
		{ "exec_user = \"a\\x0g\"\n", "1: a text holds an escaped NUL" },
		{ "exec_user = \"\\000\"\n", "1: a text holds an escaped NUL" },
		{ "exec_user = \"\\400\"\n", "1: there is no character `\\400'; write \\\\ to mean a backslash" },
		{ "exec_user = \"\\9\"\n", "1: there is no character `\\9'; write \\\\ to mean a backslash" },
		{ "\"\" = 5\n", "1: this cannot be understood; write names without quotes" },
		{ "a|b = 5\n", "1: `a' stands alone" },
		{ "max_depth += 5 5\n", "1: `5' stands alone" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conf *c = NULL;
		write_bytes(cases[i].text, strlen(cases[i].text));
		ck_assert_int_eq(load_file(&c), -EINVAL);
		bool found = false;
		for (size_t j = 0; j < faults.n; j++) {
			const char *line = faults.lines[j] + strlen(path) + 1;
			found = found || strncmp(line, cases[i].line, strlen(cases[i].line)) == 0;
		}
		if (!found) {
			fprintf(stderr, "no \"%s\" for:\n%s\n", cases[i].line, cases[i].text);
			show_faults(&faults);
		}
		ck_assert(found);
	}
}
END_TEST

/* Those before are told; nothing that is missing only because of it. */
START_TEST(faults_up_to_the_syntax_error)
{
	refuse("max_depth = 1000\n"
	       "sim \"b\" {\n  hook_drivers = {\"policy\"}\n  latency = -1\n}\n"
	       "dir \"a\" {\n  stats_interval = nan\n  exec_user = \"ann\n}\n"
	       "hook \"policy\" {\n  run = 5\n  timeout = -5\n}\n",
	       LINES("1: option `max_depth': 1000 is out of range",
		     "4: sim \"b\": option `latency': -1 is out of range",
		     "7: dir \"a\": option `stats_interval': \"nan\" is no number of seconds",
		     "8: the text that begins here has no closing \""));
	/* The first of two ends the reading. */
	refuse_line("admin_groups = {a b}\nexec_user = \"ann\n", "1: `b' cannot stand here");
	refuse_line("exec_user = \"ann\nadmin_groups = {a b}\n", "1: the text that begins here");
	refuse_line("sim \"a\" {\nadmin_groups b = 5\n", "2: `admin_groups' stands alone");
	/* What was read of a list that goes wrong is not judged. */
	refuse_line("max_depth = {1, \"2\n", "1: the text that begins here");
}
END_TEST

START_TEST(nul_bytes)
{
	struct conf *c = NULL;
	write_bytes("max_depth = 5\n\0max_depth = 1000\n", 31);
	ck_assert_int_eq(load_file(&c), -EINVAL);
	check_lines(&faults, LINES("2: there is a NUL byte; the file must be plain text in UTF-8"));
	/* A file in UTF-16. */
	write_bytes("\xff\xfe#\0\n\0", 6);
	ck_assert_int_eq(load_file(&c), -EINVAL);
	check_lines(&faults, LINES("1: there is a NUL byte"));
}
END_TEST

START_TEST(environment)
{
	ck_assert_int_eq(setenv("CONF_SET", "/srv/x", 1), 0);
	ck_assert_int_eq(setenv("CONF_EMPTY", "", 1), 0);
	ck_assert_int_eq(unsetenv("CONF_UNSET"), 0);
	check_string("\"${CONF_SET}/media\"", "/srv/x/media");
	check_string("${CONF_SET}", "/srv/x");
	check_string("\"a${CONF_EMPTY}b\"", "ab");
	check_string("\"${CONF_UNSET:-none}\"", "none");
	check_string("\"${CONF_UNSET:-}\"", "");
	check_string("\"${CONF_SET:-none}\"", "/srv/x");
	/* Not a variable. */
	check_string("'${CONF_SET}'", "${CONF_SET}");
	check_string("\"\\${CONF_SET}\"", "${CONF_SET}");
	check_string("\"$CONF_SET\"", "$CONF_SET");
	check_string("$CONF_SET", "$CONF_SET");
	/* libconfuse would put nothing in its place. */
	refuse_line(
		"\nexec_user = \"a${CONF_UNSET}b\"\n",
		"2: option `exec_user': the environment variable CONF_UNSET is not set; set it, give a default as in "
		"${CONF_UNSET:-text}, or write the text in single quotes");
	refuse_line("dir \"a\" {\n root = ${CONF_UNSET}\n}\n",
		    "2: dir \"a\": option `root': the environment variable CONF_UNSET");
	refuse_line("admin_groups = {\"a\", \"${CONF_UNSET}\"}\n",
		    "1: option `admin_groups': the environment variable");
	refuse("max_depth = ${CONF_UNSET}\nstats_interval = nan\n",
	       LINES("1: option `max_depth': the environment variable",
		     "2: option `stats_interval': \"nan\" is no number"));
	/* libconfuse would take all up to the next } of the file for its name. */
	refuse_line("exec_user = \"a${b\"\nadmin_groups = {\"c\"}\n",
		    "1: `${' has no `}'; to mean the text itself write \\${ in");
	refuse_line("exec_user = \"a${b\nc}\"\n", "1: `${' has no `}'");
	refuse_line("exec_user = a${CONF_SET}\n", "1: `${' cannot stand inside a word without quotes");
	/* What comes out of a variable is checked like all the rest. */
	ck_assert_int_eq(setenv("CONF_SET", "a\nmax_depth = 5", 1), 0);
	refuse_line("exec_user = \"${CONF_SET}\"\n",
		    "1: option `exec_user': \"a?max_depth = 5\" holds a control character");
	ck_assert_int_eq(setenv("CONF_SET", "\xff", 1), 0);
	refuse_line("exec_user = \"${CONF_SET}\"\n", "1: option `exec_user': \"?\" is not UTF-8");
}
END_TEST

/* libconfuse's lexer and its messages are global: one reading must leave nothing for the next. */
START_TEST(readings_do_not_meet)
{
	static const char *const bad[] = { "exec_user = \"ann", "sim \"a\" {", "/* x",    "admin_groups = {\"a\"",
					   "sim \"b\" { x = '", "}",           "\"\" = 1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct conf *c = NULL;
		write_bytes(bad[i], strlen(bad[i]));
		ck_assert_int_eq(load_file(&c), -EINVAL);
		c = load("max_depth = 7\nsim \"a\" {\n}\n");
		ck_assert_int_eq(settings_int(conf_top(c), "max_depth"), 7);
		ck_assert_ptr_nonnull(conf_backend(c, "a"));
		conf_unref(c);
	}
}
END_TEST

START_TEST(plugin_scan)
{
	static const struct {
		const char *text;
		const char *list[3];
	} cases[] = {
		{ "", { NULL } },
		{ "plugins = {\"/a.so\", \"/b.so\"}\nunknown = {\"x\", \"y\"}\nzfs \"tank\" {\n a = {\"x\"} b = "
		  "{\"y\"}\n}\n",
		  { "/a.so", "/b.so" } },
		{ "plugins = /a.so\n", { "/a.so" } },
		/* Not the top level's. */
		{ "zfs \"tank\" {\n plugins = {\"/a.so\"}\n}\n", { NULL } },
		/* Faults are for conf_load to tell. */
		{ "plugins = {\"/a.so\"}\nsim \"a\" {\n", { "/a.so" } },
		{ "plugins = {\"/a.so\"}\nplugins = {\"/b.so\"}\n", { NULL } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_error_ struct error e = ERROR_INIT;
		char **list = NULL;
		size_t n = 0;
		write_bytes(cases[i].text, strlen(cases[i].text));
		ck_assert_int_eq(conf_scan_plugins(path, &list, &e), 0);
		for (; cases[i].list[n]; n++)
			ck_assert_pstr_eq(list[n], cases[i].list[n]);
		ck_assert_ptr_null(list[n]);
		conf_free_list(list);
	}
	char **list = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(conf_scan_plugins(path, &list, &e), -ENOENT);
	ck_assert_ptr_null(list);
	ck_assert(strstr(e.message, "cannot be read") != NULL);
	conf_free_list(NULL);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { quotes,          lists,         layout,
				 lines_are_right, syntax_errors, faults_up_to_the_syntax_error,
				 nul_bytes,       environment,   readings_do_not_meet,
				 plugin_scan };
	return run_suite("conf_syntax", tests, sizeof(tests) / sizeof(*tests));
}
