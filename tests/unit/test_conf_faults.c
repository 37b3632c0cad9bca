/* conf: every fault is told, with its line, and all of them in one run. */
#include "tests/unit/test_conf.h"

#include <time.h>

struct bad {
	const char *text;
	const char *expected[8];
};

/* Each in a run of its own. */
static void refuse_all(const struct bad *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refuse(cases[i].text, cases[i].expected);
}
#define REFUSE_ALL(...)                                                                                                \
	do {                                                                                                           \
		const struct bad cases_[] = { __VA_ARGS__ };                                                           \
		refuse_all(cases_, sizeof(cases_) / sizeof(*cases_));                                                  \
	} while (0)

START_TEST(unknown_options)
{
	REFUSE_ALL({ "\nnonsense = 5\n",
		     { "2: option `nonsense': there is no such option; remove it, or look up its right name in the "
		       "manual" } },
		   { "dir \"media\" {\n\n  rot = \"/srv\"\n}",
		     { "1: dir \"media\": option `root': is missing; add root = \"/PATH\" to this section",
		       "3: dir \"media\": option `rot': there is no such option; did you mean `root'?" } },
		   { "max_dpeth = 5", { "1: option `max_dpeth': there is no such option; did you mean `max_depth'?" } },
		   { "exec_timeuot = 5\nexec_timeou = 5\n",
		     { "1: option `exec_timeuot': there is no such option; did you mean `exec_timeout'?",
		       "2: option `exec_timeou': there is no such option; did you mean `exec_timeout'?" } },
		   { "enable_pos_hooks = true",
		     { "1: option `enable_pos_hooks': there is no such option; did you mean `enable_post_hooks'?" } },
		   { "exec_user_timeout = true\nany_s = 5\n",
		     { "1: option `exec_user_timeout': there is no such option; remove it",
		       "2: option `any_s': there is no such option; remove it" } },
		   { "ecec_timeout = 5",
		     { "1: option `ecec_timeout': there is no such option; did you mean `exec_timeout'?" } },
		   /* A word of two letters is near to everything. */
		   { "fa = 1", { "1: option `fa': there is no such option; remove it" } },
		   { "nonsense = {\"a\", \"b\"}", { "1: option `nonsense': there is no such option; remove it" } });
}
END_TEST

START_TEST(options_in_the_wrong_place)
{
	REFUSE_ALL({ "root = \"/srv\"",
		     { "1: option `root': is an option of the driver dir; it may stand in dir sections only" } },
		   { "sim \"a\" {\n  root = \"/srv\"\n}",
		     { "2: sim \"a\": option `root': is an option of the driver dir; it may stand in dir sections "
		       "only" } },
		   { "sim \"a\" {\n  state_dir = \"/srv\"\n}",
		     { "2: sim \"a\": option `state_dir': may stand at the top level only; move it out of this "
		       "section" } },
		   { "sim \"a\" {\n  on_error = \"fail\"\n}",
		     { "2: sim \"a\": option `on_error': may stand in a hook section only; move it there" } },
		   { "hook \"h\" {\n  run = \"journal\"\n  stats_interval = 5\n}",
		     { "3: hook \"h\": option `stats_interval': is an option of backends, not of a hook; move it" } },
		   { "hook \"h\" {\n  run = \"journal\"\n  root = \"/x\"\n}",
		     { "3: hook \"h\": option `root': is an option of the driver dir" } });
}
END_TEST

#define NETWORK(body) "share_network \"n\" {\n  bridge = \"br0\"\n  " body "\n}"
#define ADDRESSES(text, says)                                                                                          \
	{                                                                                                              \
		NETWORK("addresses = \"" text "\""),                                                                   \
		{                                                                                                      \
			"3: share_network \"n\": option `addresses': \"" text "\" " says                               \
		}                                                                                                      \
	}

START_TEST(networks)
{
	REFUSE_ALL(
		{ "share_network \"n\" { }",
		  { "1: share_network \"n\": option `addresses': is missing",
		    "1: share_network \"n\": option `bridge': is missing" } },
		ADDRESSES("192.0.2.1", "has no prefix length of its network, like /24; write"),
		ADDRESSES("192.0.2.9-192.0.2.1/24", "ends before it begins"),
		ADDRESSES("192.0.2.9-192.0.3.1/24", "leads out of the network of its first address"),
		ADDRESSES("192.0.2.9-2001:db8::1/24", "is no address, and no range of two of the same kind"),
		ADDRESSES("192.0.2.9/33", "has a prefix length that cannot be"),
		ADDRESSES("192.0.2.9/24x", "has a prefix length that cannot be"),
		ADDRESSES("192.0.2.9/0", "has a prefix length that cannot be"),
		{ NETWORK("addresses = \"192.0.2.9/24\"\n  gateway = \"here\""),
		  { "4: share_network \"n\": option `gateway': \"here\" is no address; write one, or leave it out" } },
		{ NETWORK("addresses = \"192.0.2.9/24\"\n  stats_interval = 5"),
		  { "4: share_network \"n\": option `stats_interval': is an option of backends, not of a network" } },
		{ "bridge = \"br0\"", { "1: option `bridge': may stand in a share_network section only" } },
		{ NETWORK("addresses = \"192.0.2.9/24\"") "\n" NETWORK("addresses = \"192.0.2.9/24\""),
		  { "5: share_network \"n\": there is a network of this name on line 1 already" } });
}
END_TEST

START_TEST(wrong_types)
{
	REFUSE_ALL({ "enable_pre_hooks = 1",
		     { "1: option `enable_pre_hooks': \"1\" is neither true nor false; write one of the two" } },
		   { "enable_pre_hooks = \"\"", { "1: option `enable_pre_hooks': \"\" is neither true nor false" } },
		   { "max_depth = \"many\"",
		     { "1: option `max_depth': \"many\" is no whole number; write digits such as 5" } },
		   { "max_depth = 5.0", { "1: option `max_depth': \"5.0\" is no whole number" } },
		   { "max_depth = \"5 \"", { "1: option `max_depth': \"5 \" is no whole number" } },
		   { "max_depth = \"\"", { "1: option `max_depth': \"\" is no whole number" } },
		   { "max_depth = \"-\"", { "1: option `max_depth': \"-\" is no whole number" } },
		   { "max_depth = 010",
		     { "1: option `max_depth': \"010\" begins with a zero; write the number without it" } },
		   { "max_depth = 0x20", { "1: option `max_depth': \"0x20\" is no whole number" } },
		   { "stats_interval = soon",
		     { "1: option `stats_interval': \"soon\" is no number of seconds; write one such as" } },
		   { "stats_interval = 5s", { "1: option `stats_interval': \"5s\" is no number of seconds" } },
		   { "stats_interval = 1.2.3", { "1: option `stats_interval': \"1.2.3\" is no number of seconds" } },
		   { "stats_interval = .", { "1: option `stats_interval': \".\" is no number of seconds" } },
		   { "stats_interval = \"1,5\"", { "1: option `stats_interval': \"1,5\" is no number of seconds" } },
		   { "stats_interval = 1e3", { "1: option `stats_interval': \"1e3\" is no number of seconds" } },
		   { "stats_interval = 0x10", { "1: option `stats_interval': \"0x10\" is no number of seconds" } },
		   { "max_bytes = much",
		     { "1: option `max_bytes': \"much\" is no size; write one such as 512MiB or 10GiB" } },
		   { "max_bytes = -5", { "1: option `max_bytes': \"-5\" is no size" } },
		   { "socket_mode = 0999",
		     { "1: option `socket_mode': \"0999\" is no mode; write octal digits such as" } },
		   { "socket_mode = rw", { "1: option `socket_mode': \"rw\" is no mode" } },
		   { "socket_mode = \"\"", { "1: option `socket_mode': \"\" is no mode" } },
		   { "replication_type = writable",
		     { "1: option `replication_type': \"writable\" is no choice; choose one of: readable, dr" } },
		   { "hook \"h\" {\n run = \"journal\"\n phases = {\"pre\", \"after\"}\n}",
		     { "3: hook \"h\": option `phases': \"after\" is no choice; choose one of: pre, post, periodic, "
		       "error" } },
		   { "max_depth = {\"5\"}",
		     { "1: option `max_depth': takes one value, not a list; write it without braces" } },
		   { "dir \"a\" {\n root = {\"/a\", \"/b\"}\n}",
		     { "2: dir \"a\": option `root': takes one value, not a list; write it without braces" } },
		   { "dir \"a\" {\n root = {}\n}", { "2: dir \"a\": option `root': takes one value, not a list" } },
		   { "admin_groups = {\"a\", \"\"}", { "1: option `admin_groups': has an empty entry; remove it" } },
		   { "admin_groups = \"\"", { "1: option `admin_groups': has an empty entry; remove it" } });
}
END_TEST

START_TEST(no_finite_numbers)
{
	static const char *const words[] = { "nan", "NaN", "-nan", "inf", "-inf", "INFINITY", "nan(1)" };
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		_cleanup_free_ char *text = xasprintf("\nperiodic_hooks_interval = \"%s\"\n", words[i]);
		_cleanup_free_ char *line = xasprintf("2: option `periodic_hooks_interval': \"%s\" is no number of "
						      "seconds; write one such as 30 or 2.5",
						      words[i]);
		refuse(text, LINES(line));
	}
}
END_TEST

START_TEST(out_of_range)
{
	REFUSE_ALL(
		{ "max_depth = 3", { "1: option `max_depth': 3 is out of range; it must be between 4 and 512" } },
		{ "max_depth = 513", { "1: option `max_depth': 513 is out of range; it must be between 4 and 512" } },
		{ "max_depth = -5", { "1: option `max_depth': -5 is out of range" } },
		{ "max_depth = 99999999999999999999999",
		  { "1: option `max_depth': 99999999999999999999999 is out of range; it must be between 4 and 512" } },
		{ "any_number = 99999999999999999999999",
		  { "1: option `any_number': 99999999999999999999999 is out of range" } },
		{ "any_number = -99999999999999999999999",
		  { "1: option `any_number': -99999999999999999999999 is out of" } },
		{ "from_two = 1", { "1: option `from_two': 1 is out of range; it must be between 2 and 1e+18" } },
		{ "periodic_hooks_ticks = 0",
		  { "1: option `periodic_hooks_ticks': 0 is out of range; it must be between 1 and 1000000" } },
		{ "periodic_hooks_interval = 0",
		  { "1: option `periodic_hooks_interval': 0 is out of range; it must be above 0 and at most 31622400 "
		    "seconds" } },
		{ "periodic_hooks_interval = 0.0", { "1: option `periodic_hooks_interval': 0.0 is out of range" } },
		{ "driver_timeout = -1", { "1: option `driver_timeout': -1 is out of range" } },
		{ "driver_timeout = 31622400.1", { "1: option `driver_timeout': 31622400.1 is out of range" } },
		{ "usage_interval = -0.5",
		  { "1: option `usage_interval': -0.5 is out of range; it must be between 0 and" } },
		{ "any_seconds = 31622401",
		  { "1: option `any_seconds': 31622401 is out of range; it must be between 0 and 31622400 seconds" } },
		{ "any_seconds = -1", { "1: option `any_seconds': -1 is out of range" } },
		{ "reserved_percentage = 101",
		  { "1: option `reserved_percentage': 101 is out of range; it must be between 0 and 100" } },
		{ "max_bytes = 1023",
		  { "1: option `max_bytes': 1023 is out of range; it must be between 1KiB and 8MiB" } },
		{ "max_bytes = 9MiB",
		  { "1: option `max_bytes': 9MiB is out of range; it must be between 1KiB and 8MiB" } },
		{ "any_size = 8EiB", { "1: option `any_size': \"8EiB\" is too large" } },
		{ "sim \"a\" {\n latency = 4000\n}", { "2: sim \"a\": option `latency': 4000 is out of range" } },
		{ "hook \"a\" {\n run=\"journal\"\n timeout = 0\n}",
		  { "3: hook \"a\": option `timeout': 0 is out of range" } });
	/* More digits than any number has. */
	_cleanup_free_ char *digits = xcalloc(1, 1001);
	memset(digits, '9', 1000);
	_cleanup_free_ char *text = xasprintf("any_seconds = %s", digits);
	refuse(text, LINES("1: option `any_seconds': 9999"));
	ck_assert_uint_lt(strlen(faults.lines[0]), 400);
}
END_TEST

START_TEST(texts)
{
	REFUSE_ALL(
		{ "dir \"a\" {\n root = \"srv\"\n}",
		  { "2: dir \"a\": option `root': \"srv\" is no absolute path; write it from / on" } },
		{ "dir \"a\" {\n root = \"\"\n}", { "2: dir \"a\": option `root': is empty; write a value" } },
		{ "plugins = {\"/a\", \"b\"}", { "1: option `plugins': \"b\" is no absolute path" } },
		{ "exec_user = \"a\\nb\"", { "1: option `exec_user': \"a?b\" holds a control character; remove it" } },
		{ "exec_user = \"\x7f\"", { "1: option `exec_user': \"?\" holds a control character; remove it" } },
		{ "exec_user = \"\xff\"", { "1: option `exec_user': \"?\" is not UTF-8; write it in that encoding" } },
		{ "exec_user = \"\\xff\"", { "1: option `exec_user': \"?\" is not UTF-8" } },
		{ "exec_user = \"\xc3\"", { "1: option `exec_user': \"?\" is not UTF-8" } },
		{ "exec_user = \"\xed\xa0\x80\"", { "1: option `exec_user': \"???\" is not UTF-8" } },
		{ "admin_groups = {\"a\", \"\xff\"}", { "1: option `admin_groups': \"?\" is not UTF-8" } });
	_cleanup_free_ char *deep = xcalloc(1, PATH_MAX + 1);
	memset(deep, '/', PATH_MAX);
	_cleanup_free_ char *text = xasprintf("state_dir = \"%s\"", deep);
	refuse(text, LINES("1: option `state_dir': the path is longer than 4095 bytes; shorten it"));
}
END_TEST

START_TEST(titles)
{
	REFUSE_ALL({ "\nsim \"\" {}", { "2: sim \"\": this cannot be the name of a backend; use 1 to 255 of A-Z" } },
		   { "sim \"a b\" {}", { "1: sim \"a b\": this cannot be the name of a backend" } },
		   { "sim \".a\" {}", { "1: sim \".a\": this cannot be the name of a backend" } },
		   { "sim \"a/b\" {}", { "1: sim \"a/b\": this cannot be the name of a backend" } },
		   { "sim \"a\\nb\" {}", { "1: sim \"a?b\": this cannot be the name of a backend" } },
		   { "sim \"3b7d9a4e-9a5c-4a0e-8f65-2c1f7f4a9d10\" {}",
		     { "1: sim \"3b7d9a4e-9a5c-4a0e-8f65-2c1f7f4a9d10\": this" } },
		   { "hook \"\" {\nrun = \"journal\"\n}", { "1: hook \"\": this cannot be the name of a hook" } },
		   { "sim \"a\" {}\nsim \"b\" {}\nsim \"a\" {}",
		     { "3: sim \"a\": there is a backend of this name on line 1 already; choose another name" } },
		   { "sim \"a\" {}\n\ndir \"a\" {\nroot = \"/a\"\n}",
		     { "3: dir \"a\": there is a backend of this name on line 1 already; choose another name" } },
		   { "hook \"a\" {\nrun=\"journal\"\n}\nhook \"a\" {\nrun=\"journal\"\n}",
		     { "4: hook \"a\": there is a hook of this name on line 1 already; choose another name" } },
		   { "hook \"exec\" {\nrun=\"journal\"\n}",
		     { "1: hook \"exec\": a hook module has this name; choose another" } },
		   { "hook \"journal\" {\nrun=\"journal\"\n}", { "1: hook \"journal\": a hook module has this name" } },
		   { "hook \"coproc\" {\nrun=\"journal\"\n}", { "1: hook \"coproc\": a hook module has this name" } },
		   /* The manual's modules, whether they are built in or not, and those of plugins. */
		   { "hook \"python\" {\nrun=\"journal\"\n}", { "1: hook \"python\": a hook module has this name" } },
		   { "hook \"webhook\" {\nrun=\"journal\"\n}", { "1: hook \"webhook\": a hook module has this name" } },
		   { "hook \"audit\" {\nrun=\"journal\"\n}", { "1: hook \"audit\": a hook module has this name" } });
}
END_TEST

START_TEST(given_twice)
{
	REFUSE_ALL({ "max_depth = 5\nmax_depth = 6",
		     { "2: option `max_depth': is given on line 1 already; keep one of the two" } },
		   { "sim \"a\" {\n latency = 1\n\n latency = 1\n}",
		     { "4: sim \"a\": option `latency': is given on line 2 already; keep one of the two" } },
		   { "admin_groups = {}\nadmin_groups = {\"a\"}",
		     { "2: option `admin_groups': is given on line 1 already" } },
		   { "admin_groups = {\"a\"}\nadmin_groups = {}\nadmin_groups = {}",
		     { "2: option `admin_groups': is given on line 1 already",
		       "3: option `admin_groups': is given on line 1 already" } },
		   { "hook_options = {\"a=1\", \"b=2\", \"a=3\"}",
		     { "1: option `hook_options': gives the key \"a\" twice; keep one" } },
		   { "admin_groups += {\"a\"}",
		     { "1: option `admin_groups': `+=' cannot be used; write the whole list with `='" } },
		   { "max_depth += 5", { "1: option `max_depth': `+=' cannot be used" } });
}
END_TEST

START_TEST(unknown_drivers)
{
	REFUSE_ALL({ "zfs \"tank\" {\n  pool = \"tank\"\n  list = {\"a\"}\n}",
		     { "1: zfs \"tank\": there is no driver named zfs; there are: dir, sim" } },
		   { "hooks \"h\" {\n  run = \"journal\"\n}",
		     { "1: hooks \"h\": there is no driver named hooks; there are: dir, sim; a hook's section begins "
		       "with the "
		       "word hook" } },
		   { "zfs \"a\" {}\nsim \"a\" {}\nxfs \"b\" {\n}",
		     { "1: zfs \"a\": there is no driver named zfs", "3: xfs \"b\": there is no driver named xfs" } });
}
END_TEST

START_TEST(missing_options)
{
	REFUSE_ALL({ "\n\ndir \"media\" {\n}",
		     { "3: dir \"media\": option `root': is missing; add root = \"/PATH\" to this section" } },
		   { "hook \"h\" {}", { "1: hook \"h\": option `run': is missing; add run = VALUE to this section" } });
}
END_TEST

START_TEST(hook_entries)
{
	REFUSE_ALL({ "hook_drivers = {\"polcy\"}",
		     { "1: option `hook_drivers': \"polcy\" is neither a hook section of this file nor journal; name "
		       "one, or write "
		       "module:argument (modules: exec, coproc, journal, audit) or /path/module.so:symbol" } },
		   { "\nsim \"a\" {\n\n  hook_drivers = {\n    \"journal\",\n    \"exce:/x\",\n    \"exec:\"\n  }\n}",
		     { "4: sim \"a\": option `hook_drivers': \"exce:/x\": there is no hook module exce; there are: "
		       "exec, coproc",
		       "4: sim \"a\": option `hook_drivers': \"exec:\" has no argument; write exec:ARGUMENT, such as "
		       "exec:/path" } },
		   { "hook_drivers = \"exec\"",
		     { "1: option `hook_drivers': \"exec\" has no argument; write exec:ARGUMENT" } },
		   { "hook_drivers = {\"python:a.b:C\"}",
		     { "1: option `hook_drivers': \"python:a.b:C\": there is no hook module python" } },
		   { "hook_drivers = {\":x\"}", { "1: option `hook_drivers': \":x\": there is no hook module ;" } },
		   { "hook_drivers = {\"/a/b.so\"}",
		     { "1: option `hook_drivers': \"/a/b.so\" names no symbol; write /path/module.so:symbol, or "
		       "exec:/path for a" } },
		   { "hook_drivers = {\"/a/b.so:\"}", { "1: option `hook_drivers': \"/a/b.so:\" names no symbol" } },
		   { "hook_drivers = {\"/a:b/c\"}", { "1: option `hook_drivers': \"/a:b/c\" names no symbol" } },
		   { "hook_drivers = {\"/a.so:7\"}", { "1: option `hook_drivers': \"/a.so:7\" names no symbol" } },
		   { "hook_drivers = {\"a b\"}", { "1: option `hook_drivers': \"a b\" is neither a hook section" } },
		   /* A hook section runs a module, no other section. */
		   { "hook \"one\" {\n run=\"journal\"\n}\nhook \"two\" {\n run=\"one\"\n}",
		     { "5: hook \"two\": option `run': \"one\" is neither a hook section of this file nor journal" } },
		   { "hook \"one\" {\n run=\"coproc\"\n}",
		     { "2: hook \"one\": option `run': \"coproc\" has no argument" } },
		   { "hook \"one\" {\n run=\"\"\n}", { "2: hook \"one\": option `run': is empty; write a value" } });
}
END_TEST

START_TEST(free_options)
{
	REFUSE_ALL({ "hook_options = {\"a=1\", \"b\"}",
		     { "1: option `hook_options': \"b\" is not key=value; begin it with a key of A-Z a-z 0-9 _ and a "
		       "`='" } },
		   { "hook_options = {\"=1\"}", { "1: option `hook_options': \"=1\" is not key=value" } },
		   { "hook_options = {\"1a=1\"}", { "1: option `hook_options': \"1a=1\" is not key=value" } },
		   { "hook_options = {\"a-b=1\"}", { "1: option `hook_options': \"a-b=1\" is not key=value" } },
		   { "hook_options = {\" a=1\"}", { "1: option `hook_options': \" a=1\" is not key=value" } },
		   { "hook \"h\" {\n run = \"journal\"\n options = {\"max\"}\n}",
		     { "3: hook \"h\": option `options': \"max\" is not key=value" } });
}
END_TEST

/* One run, in the order of the file, and nothing that only follows from another fault. */
START_TEST(all_in_one_run)
{
	refuse("max_depth = 1000\n"
	       "# a comment\n"
	       "sokcet_mode = \"0666\"\n"
	       "hook \"policy\" {\n"
	       "    on_error = \"explode\"\n"
	       "}\n"
	       "/* another\n"
	       "   comment */\n"
	       "dir \"media\" {\n"
	       "    rooot = \"/srv\"\n"
	       "    hook_drivers = {\"policy\", \"nothing\"}\n"
	       "    stats_interval = nan\n"
	       "}\n"
	       "zfs \"tank\" { pool = 1 }\n"
	       "sim \"media\" { latency = -1 }\n",
	       LINES("1: option `max_depth': 1000 is out of range",
		     "3: option `sokcet_mode': there is no such option; did you mean `socket_mode'?",
		     "4: hook \"policy\": option `run': is missing",
		     "5: hook \"policy\": option `on_error': \"explode\" is no choice; choose one of: fail, ignore",
		     "9: dir \"media\": option `root': is missing",
		     "10: dir \"media\": option `rooot': there is no such option; did you mean `root'?",
		     "11: dir \"media\": option `hook_drivers': \"nothing\" is neither a hook section",
		     "12: dir \"media\": option `stats_interval': \"nan\" is no number of seconds",
		     "14: zfs \"tank\": there is no driver named zfs",
		     "15: sim \"media\": option `latency': -1 is out of range",
		     "15: sim \"media\": there is a backend of this name on line 9 already"));
}
END_TEST

START_TEST(long_texts_are_cut)
{
	_cleanup_free_ char *word = xcalloc(1, 5001);
	memset(word, 'x', 5000);
	_cleanup_free_ char *text = xasprintf("%s = 1\nmax_depth = %s\nhook_drivers = {%s}\nk%s \"%s\" {\n}\n", word,
					      word, word, word, word);
	refuse(text,
	       LINES("1: option `xxx", "2: option `max_depth': \"xxx", "3: option `hook_drivers': \"xxx", "4: kxxx"));
	for (size_t i = 0; i < faults.n; i++)
		ck_assert_uint_lt(strlen(faults.lines[i]), strlen(path) + 500);
}
END_TEST

/* What stands in for a name may be anything; it is told in readable letters. */
START_TEST(names_of_odd_bytes)
{
	REFUSE_ALL({ "a\xea \"x\" {\n b \"y\" {",
		     { "1: a? \"x\": there is no driver named a?",
		       "2: the section `b' begins inside the section `a?' of line 1; add a } before it" } },
		   { "a\xea \"x\" {\n",
		     { "1: a? \"x\": there is no driver named a?",
		       "1: the section `a?' that begins here is not closed; add a }" } },
		   { "a\xea = {1 {",
		     { "1: option `a?': there is no such option; remove it",
		       "1: there is a { inside the list of option `a?'; end the list with a } first" } },
		   { "a\xea = {1",
		     { "1: option `a?': there is no such option; remove it",
		       "1: the list of option `a?' is not closed; add a }" } },
		   { "a\xea = {1 b = 2",
		     { "1: option `a?': there is no such option; remove it",
		       "1: the list of option `a?' is not closed; add a }" } },
		   { "a\xea =", { "1: option `a?' has no value; write one after the `='" } });
}
END_TEST

/* ---- the file ---- */

START_TEST(files_that_cannot_be_read)
{
	struct conf *c = NULL;
	ck_assert_int_eq(load_file(&c), -ENOENT);
	check_lines(&faults, LINES(" cannot be read: No such file or directory; check the path and its permissions"));
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(load_file(&c), -EISDIR);
	check_lines(&faults, LINES(" is a directory; name a conf file"));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	ck_assert_int_eq(load_file(&c), -EINVAL);
	check_lines(&faults, LINES(" is no regular file; name a conf file"));
}
END_TEST

START_TEST(files_that_are_too_large)
{
	size_t max = 1 << 20;
	_cleanup_free_ char *text = xmalloc(max + 1);
	struct conf *c = NULL;
	memset(text, '\n', max + 1);
	write_bytes(text, max + 1);
	ck_assert_int_eq(load_file(&c), -EFBIG);
	check_lines(&faults, LINES(" is larger than 1048576 bytes"));
	write_bytes(text, max);
	ck_assert_int_eq(load_file(&c), 0);
	conf_unref(c);
}
END_TEST

START_TEST(files_that_others_may_write)
{
	static const mode_t open_modes[] = { 0664, 0646, 0622, 0777 }, closed_modes[] = { 0600, 0644, 0755, 0444 };
	struct conf *c = NULL;
	write_bytes("max_depth = 5\n", 14);
	for (size_t i = 0; i < sizeof(open_modes) / sizeof(*open_modes); i++) {
		char **list = NULL;
		_cleanup_error_ struct error e = ERROR_INIT;
		ck_assert_int_eq(chmod(path, open_modes[i]), 0);
		ck_assert_int_eq(load_file(&c), -EPERM);
		check_lines(&faults, LINES(" can be written by others (mode 0"));
		ck_assert_int_eq(conf_scan_plugins(path, &list, &e), -EPERM);
		ck_assert_int_eq(e.kind, ERR_PERMISSION_DENIED);
		ck_assert_ptr_null(list);
	}
	for (size_t i = 0; i < sizeof(closed_modes) / sizeof(*closed_modes); i++) {
		ck_assert_int_eq(chmod(path, closed_modes[i]), 0);
		ck_assert_int_eq(load_file(&c), 0);
		conf_unref(c);
	}
}
END_TEST

START_TEST(files_of_others)
{
	struct conf *c = NULL;
	if (geteuid() != 0) {
		printf("SKIP files_of_others: needs root\n");
		return;
	}
	write_bytes("max_depth = 5\n", 14);
	ck_assert_int_eq(chown(path, 12345, 0), 0);
	ck_assert_int_eq(load_file(&c), -EPERM);
	check_lines(&faults,
		    LINES(" belongs to the user 12345, who could change what the daemon does; chown it to root"));
	/* The daemon's own user may. */
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(seteuid(12345), 0);
	int r = load_file(&c);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(r, 0);
	conf_unref(c);
}
END_TEST

/* ---- bounds ---- */

static char *repeat(const char *fmt, int n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *number = xasprintf("%d", i);
		for (const char *p = fmt; *p; p++) {
			if (*p == '@')
				fputs(number, f);
			else
				fputc(*p, f);
		}
	}
	fclose(f);
	return text;
}

static void quickly(void (*f)(const char *text), const char *fmt, int n)
{
	_cleanup_free_ char *text = repeat(fmt, n);
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	f(text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	/* Far above what it takes, under a sanitizer and on a slow machine too; a square of the size is far above that.
	 */
	ck_assert_int_lt(b.tv_sec - a.tv_sec, 4);
}

static void too_many_sections(const char *text)
{
	refuse(text, LINES("513: there are more than 512 sections; remove some"));
}

static void too_many_options(const char *text)
{
	struct conf *c = NULL;
	write_bytes(text, strlen(text));
	ck_assert_int_eq(load_file(&c), -EINVAL);
	/* Those before are told too. */
	ck_assert_uint_eq(faults.n, 513);
	ck_assert(strstr(faults.lines[512], ":513: there are more than 512 options in one section; remove some") !=
		  NULL);
}

static void too_many_names(const char *text)
{
	struct conf *c = NULL;
	write_bytes(text, strlen(text));
	ck_assert_int_eq(load_file(&c), -EINVAL);
	ck_assert(strstr(faults.lines[0], "conf: there are more than 512 different options; remove some") != NULL);
}

static void too_many_entries(const char *text)
{
	refuse(text, LINES("1: option `hook_drivers': has more than 1024 entries; remove some"));
}

static void too_deep(const char *text)
{
	refuse(text, LINES("1: the section `sim' begins inside the section `sim' of line 1; add a } before it"));
}

static void braces(const char *text)
{
	refuse(text, LINES("1: there is a { that belongs to nothing"));
}

static void list_braces(const char *text)
{
	refuse(text, LINES("1: there is a { inside the list of option `hook_drivers'"));
}

static void many_good_sections(const char *text)
{
	size_t n;
	struct conf *c = load(text);
	ck_assert_uint_eq(conf_backends(c, &n)[n - 1].line, 512);
	ck_assert_uint_eq(n, 512);
	conf_unref(c);
}

START_TEST(large_files)
{
	quickly(many_good_sections, "sim \"s@\" { latency = 1 hook_drivers = {} }\n", 512);
	quickly(too_many_sections, "sim \"s@\" { latency = 1 }\n", 10000);
	quickly(too_many_options, "option_@ = 1\n", 10000);
	quickly(too_many_names, "sim \"s@\" {\n a@ = 1 b@ = 1 c@ = 1\n}\n", 500);
	quickly(too_deep, "sim \"b\" {", 100000);
	quickly(braces, "{", 100000);
	_cleanup_free_ char *entries = repeat("\"exec:/@\",\n", 5000);
	_cleanup_free_ char *list = xasprintf("hook_drivers = {\n%s}", entries);
	too_many_entries(list);
	_cleanup_free_ char *open_braces = repeat("{", 100000);
	_cleanup_free_ char *nested = xasprintf("hook_drivers = %s", open_braces);
	list_braces(nested);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { unknown_options,
				 options_in_the_wrong_place,
				 networks,
				 wrong_types,
				 no_finite_numbers,
				 out_of_range,
				 texts,
				 titles,
				 given_twice,
				 unknown_drivers,
				 missing_options,
				 hook_entries,
				 free_options,
				 all_in_one_run,
				 long_texts_are_cut,
				 names_of_odd_bytes,
				 files_that_cannot_be_read,
				 files_that_are_too_large,
				 files_that_others_may_write,
				 files_of_others,
				 large_files };
	return run_suite("conf_faults", tests, sizeof(tests) / sizeof(*tests));
}
