/* conf: what a good file says: values, inheritance, hooks' views, warnings, reloads, and tables that cannot be. */
#include "tests/unit/test_conf.h"

#include "conf/near.h"

#include <pthread.h>

static const char example[] =
	"state_dir = \"/srv/state\"\n"
	"exec_timeout = 12\n"
	"stats_interval = 30.5\n"
	"hook_options = {\"color=red\", \"site=home\"}\n"
	"hook \"policy\" {\n"
	"    run = \"exec:/etc/sharesd/hooks/policy\"\n"
	"    on_error = \"fail\"\n"
	"    timeout = 5.0\n"
	"    phases = {\"pre\"}\n"
	"    methods = {\"create_share_instance\"}\n"
	"    options = {\"max_size=500GiB\", \"color=blue\"}\n"
	"    coproc_timeout = 3\n"
	"}\n"
	"dir \"media\" {\n"
	"    root = \"/srv/media\"\n"
	"    hook_drivers = {\"policy\", \"exec:/etc/sharesd/hooks/audit\", \"journal\"}\n"
	"    hook_options = {\"ticket_url=https://tickets.example.org\", \"site=office\", \"max_size=1GiB\"}\n"
	"    enable_pre_hooks = true\n"
	"    enable_post_hooks = yes\n"
	"    exec_timeout = 10.0\n"
	"    default_mode = 750\n"
	"}\n"
	"sim \"try\" {\n"
	"    coproc_timeout = 4\n"
	"    hook_options = {}\n"
	"}\n";

START_TEST(defaults)
{
	struct conf *c = load("");
	const struct settings *top = conf_top(c);
	size_t n;
	ck_assert_str_eq(conf_path(c), path);
	ck_assert_str_eq(settings_string(top, "state_dir"), "/var/lib/sharesd");
	ck_assert(!settings_is_set(top, "state_dir"));
	ck_assert_uint_eq(settings_mode(top, "socket_mode"), 0666);
	ck_assert_uint_eq(settings_size(top, "max_bytes"), 1 << 20);
	ck_assert_int_eq(settings_int(top, "max_depth"), 32);
	ck_assert_double_eq(settings_seconds(top, "exec_timeout"), 30);
	ck_assert_str_eq(settings_string(top, "exec_user"), "");
	const char *const *groups = settings_list(top, "admin_groups", &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(groups[0], "sharesd");
	ck_assert_str_eq(groups[1], "wheel");
	/* Without a default in the table. */
	ck_assert_int_eq(settings_int(top, "any_number"), 0);
	ck_assert_uint_eq(settings_size(top, "any_size"), 0);
	settings_list(top, "plugins", &n);
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_null(conf_backend(c, "media"));
	ck_assert_ptr_null(conf_hook(c, "policy"));
	conf_unref(c);
}
END_TEST

/* The table of every backend, as the manual has it. */
START_TEST(backend_defaults)
{
	struct conf *c = load("sim \"a\" {}\n");
	const struct settings *s = conf_backend(c, "a")->settings;
	static const char *const off[] = { "enable_pre_hooks",
					   "enable_post_hooks",
					   "enable_periodic_hooks",
					   "enable_error_hooks",
					   "suppress_pre_hooks_errors",
					   "suppress_post_hooks_errors",
					   "driver_handles_share_servers",
					   "delete_share_server_with_last_share" };
	static const char *const empty[] = { "replication_domain", "default_uid", "default_gid" };
	static const char *const none[] = { "hook_drivers", "hook_options", "export" };
	static const struct {
		const char *name;
		double seconds;
	} times[] = { { "periodic_hooks_interval", 300 },
		      { "stats_interval", 60 },
		      { "usage_interval", 3600 },
		      { "replica_state_update_interval", 300 },
		      { "driver_timeout", 300 },
		      { "hook_breaker_pause", 60 },
		      { "unused_share_server_cleanup_interval", 600 } };
	size_t n;
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		ck_assert(!settings_bool(s, off[i]));
	for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++)
		ck_assert_str_eq(settings_string(s, empty[i]), "");
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		settings_list(s, none[i], &n);
		ck_assert_uint_eq(n, 0);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		ck_assert_double_eq(settings_seconds(s, times[i].name), times[i].seconds);
	ck_assert_int_eq(settings_int(s, "periodic_hooks_ticks"), 1);
	ck_assert_int_eq(settings_int(s, "reserved_percentage"), 0);
	ck_assert_int_eq(settings_int(s, "hook_breaker_timeouts"), 5);
	ck_assert_str_eq(settings_string(s, "replication_type"), "readable");
	ck_assert_uint_eq(settings_mode(s, "default_mode"), 0770);
	/* No row was left out above. */
	for (n = 0; conf_backend_options[n].name; n++)
		;
	ck_assert_uint_eq(n, sizeof(off) / sizeof(*off) + sizeof(empty) / sizeof(*empty) +
				     sizeof(none) / sizeof(*none) + sizeof(times) / sizeof(*times) + 5);
	conf_unref(c);
}
END_TEST

START_TEST(networks)
{
	struct conf *c = load("exec_timeout = 5.0\nshare_network \"blue\" {\n  bridge = \"br0\"\n"
			      "  addresses = {\"192.0.2.10-192.0.2.20/24\", \"2001:db8::5/64\"}\n}\n"
			      "share_network \"red\" { bridge = \"br1\"\n addresses = \"198.51.100.7/32\"\n"
			      "gateway = \"198.51.100.1\" }\n");
	size_t n;

	ck_assert_str_eq(conf_networks(c, &n)[1].title, "red");
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(settings_list(conf_network(c, "blue")->settings, "addresses", &n)[1], "2001:db8::5/64");
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(settings_string(conf_network(c, "blue")->settings, "gateway"), "");
	ck_assert_str_eq(settings_string(conf_network(c, "red")->settings, "gateway"), "198.51.100.1");
	ck_assert_ptr_null(conf_network(c, "green"));
	ck_assert_ptr_null(conf_backend(c, "blue"));
	conf_unref(c);
}
END_TEST

START_TEST(values)
{
	struct conf *c =
		load("socket_mode = 0600\nmax_bytes = \"1.5 MiB\"\nmax_depth = 4\nany_number = -7\n"
		     "any_size = 4096\nenable_pre_hooks = True\nenable_post_hooks = on\nenable_error_hooks = OFF\n"
		     "usage_interval = 0\nstats_interval = 0.1\ndriver_timeout = 31622400\nany_seconds = .5\n"
		     "periodic_hooks_interval = 7.\nreplication_type = dr\nplugins = {}\n");
	const struct settings *s = conf_top(c);
	ck_assert_uint_eq(settings_mode(s, "socket_mode"), 0600);
	ck_assert_uint_eq(settings_size(s, "max_bytes"), 3 << 19);
	ck_assert_int_eq(settings_int(s, "max_depth"), 4);
	ck_assert_int_eq(settings_int(s, "any_number"), -7);
	ck_assert_uint_eq(settings_size(s, "any_size"), 4096);
	ck_assert(settings_bool(s, "enable_pre_hooks"));
	ck_assert(settings_bool(s, "enable_post_hooks"));
	ck_assert(!settings_bool(s, "enable_error_hooks"));
	ck_assert(settings_is_set(s, "enable_error_hooks"));
	ck_assert(!settings_is_set(s, "enable_periodic_hooks"));
	ck_assert_double_eq(settings_seconds(s, "usage_interval"), 0);
	ck_assert_double_eq(settings_seconds(s, "stats_interval"), 0.1);
	ck_assert_double_eq(settings_seconds(s, "driver_timeout"), 31622400);
	ck_assert_double_eq(settings_seconds(s, "any_seconds"), 0.5);
	ck_assert_double_eq(settings_seconds(s, "periodic_hooks_interval"), 7);
	ck_assert_str_eq(settings_string(s, "replication_type"), "dr");
	ck_assert(settings_is_set(s, "plugins"));
	conf_unref(c);
}
END_TEST

START_TEST(sections)
{
	struct conf *c = load(example);
	size_t n;
	const struct conf_section *b = conf_backends(c, &n);
	ck_assert_uint_eq(warnings.n, 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(b[0].keyword, "dir");
	ck_assert_str_eq(b[0].title, "media");
	ck_assert_int_eq(b[0].line, 14);
	ck_assert_str_eq(b[1].keyword, "sim");
	ck_assert_str_eq(b[1].title, "try");
	ck_assert_int_eq(b[1].line, 23);
	ck_assert_ptr_eq(conf_backend(c, "try"), &b[1]);
	ck_assert_ptr_null(conf_backend(c, "policy"));
	ck_assert_ptr_null(conf_hook(c, "media"));
	const struct conf_section *h = conf_hook(c, "policy");
	ck_assert_str_eq(h->keyword, "hook");
	ck_assert_int_eq(h->line, 5);
	ck_assert_str_eq(settings_string(h->settings, "run"), "exec:/etc/sharesd/hooks/policy");
	ck_assert_str_eq(settings_string(h->settings, "on_error"), "fail");
	ck_assert_double_eq(settings_seconds(h->settings, "timeout"), 5);
	settings_list(h->settings, "phases", &n);
	ck_assert_uint_eq(n, 1);
	conf_unref(c);
}
END_TEST

START_TEST(inheritance)
{
	struct conf *c = load(example);
	const struct settings *media = conf_backend(c, "media")->settings, *try = conf_backend(c, "try")->settings;
	size_t n;
	/* Its own, the top level's, the default. */
	ck_assert_double_eq(settings_seconds(media, "exec_timeout"), 10);
	ck_assert_double_eq(settings_seconds(try, "exec_timeout"), 12);
	ck_assert_double_eq(settings_seconds(media, "stats_interval"), 30.5);
	ck_assert_double_eq(settings_seconds(media, "coproc_timeout"), 30);
	ck_assert_double_eq(settings_seconds(try, "coproc_timeout"), 4);
	ck_assert(settings_is_set(media, "stats_interval"));
	ck_assert(!settings_is_set(media, "driver_timeout"));
	ck_assert_str_eq(settings_string(media, "state_dir"), "/srv/state");
	/* An empty list is a value. */
	settings_list(try, "hook_options", &n);
	ck_assert_uint_eq(n, 0);
	settings_list(media, "hook_options", &n);
	ck_assert_uint_eq(n, 3);
	/* A driver's own. */
	ck_assert_str_eq(settings_string(media, "root"), "/srv/media");
	ck_assert_double_eq(settings_seconds(try, "latency"), 0);
	/* A hook section knows the top level, no backend. */
	ck_assert_double_eq(settings_seconds(conf_hook(c, "policy")->settings, "exec_timeout"), 12);
	ck_assert_double_eq(settings_seconds(conf_hook(c, "policy")->settings, "coproc_timeout"), 3);
	conf_unref(c);
}
END_TEST

static void check_json(json_t *value, const char *expected)
{
	_cleanup_free_ char *text =
		value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : xstrdup("NULL");
	json_decref(value);
	ck_assert_str_eq(text, expected);
}

static struct settings *hook_view(struct conf *c, const char *hook, const char *backend)
{
	return settings_new_hook(c, hook ? conf_hook(c, hook) : NULL, conf_backend(c, backend));
}

START_TEST(lookups_of_hooks)
{
	struct conf *c = load(example);
	struct settings *policy = hook_view(c, "policy", "media"), *plain = hook_view(c, NULL, "media");
	struct settings *quiet = hook_view(c, NULL, "try");
	/* They keep what they look at. */
	conf_unref(c);
	static const struct {
		const char *key, *policy, *plain, *quiet;
	} cases[] = {
		/* Declared, in the hook's section, the backend's, the top level, the default. */
		{ "coproc_timeout", "3.0", "30.0", "4.0" },
		{ "exec_timeout", "10.0", "10.0", "12.0" },
		{ "stats_interval", "30.5", "30.5", "30.5" },
		{ "driver_timeout", "300.0", "300.0", "300.0" },
		{ "enable_post_hooks", "true", "true", "false" },
		{ "periodic_hooks_ticks", "1", "1", "1" },
		{ "default_mode", "\"0750\"", "\"0750\"", "\"0770\"" },
		{ "max_bytes", "1048576", "1048576", "1048576" },
		{ "exec_user", "\"\"", "\"\"", "\"\"" },
		{ "state_dir", "\"/srv/state\"", "\"/srv/state\"", "\"/srv/state\"" },
		{ "admin_groups", "[\"sharesd\",\"wheel\"]", "[\"sharesd\",\"wheel\"]", "[\"sharesd\",\"wheel\"]" },
		{ "root", "\"/srv/media\"", "\"/srv/media\"", "NULL" },
		{ "latency", "NULL", "NULL", "0.0" },
		/* Of hook sections alone. */
		{ "timeout", "5.0", "NULL", "NULL" },
		{ "run", "\"exec:/etc/sharesd/hooks/policy\"", "NULL", "NULL" },
		{ "methods", "[\"create_share_instance\"]", "NULL", "NULL" },
		/* Free: the hook's, the backend's, the top level's. */
		{ "max_size", "\"500GiB\"", "\"1GiB\"", "NULL" },
		{ "color", "\"blue\"", "\"red\"", "\"red\"" },
		{ "site", "\"office\"", "\"office\"", "\"home\"" },
		{ "ticket_url", "\"https://tickets.example.org\"", "\"https://tickets.example.org\"", "NULL" },
		{ "colo", "NULL", "NULL", "NULL" },
		{ "color=red", "NULL", "NULL", "NULL" },
		{ "", "NULL", "NULL", "NULL" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check_json(settings_lookup(policy, cases[i].key), cases[i].policy);
		check_json(settings_lookup(plain, cases[i].key), cases[i].plain);
		check_json(settings_lookup(quiet, cases[i].key), cases[i].quiet);
	}
	settings_free(policy);
	settings_free(plain);
	settings_free(quiet);
	settings_free(NULL);
}
END_TEST

/* All that a lookup finds, but for the driver's own. */
START_TEST(all_of_hooks)
{
	struct conf *c = load(example);
	struct settings *policy = hook_view(c, "policy", "media"), *plain = hook_view(c, NULL, "media");
	for (int i = 0; i < 2; i++) {
		const struct settings *s = i ? plain : policy;
		_cleanup_json_ json_t *all = settings_all(s);
		const char *key;
		json_t *value;
		json_object_foreach(all, key, value) {
			_cleanup_json_ json_t *found = settings_lookup(s, key);
			ck_assert(json_equal(found, value));
		}
		ck_assert_ptr_null(json_object_get(all, "root"));
		ck_assert_ptr_null(json_object_get(all, "latency"));
		ck_assert_ptr_nonnull(json_object_get(all, "state_dir"));
		ck_assert_ptr_nonnull(json_object_get(all, "exec_timeout"));
		ck_assert_ptr_nonnull(json_object_get(all, "hook_drivers"));
		ck_assert_str_eq(json_string_value(json_object_get(all, "max_size")), i ? "1GiB" : "500GiB");
		ck_assert_str_eq(json_string_value(json_object_get(all, "color")), i ? "red" : "blue");
		ck_assert(!json_object_get(all, "run") == (i == 1));
	}
	settings_free(policy);
	settings_free(plain);
	conf_unref(c);
}
END_TEST

static void check_warnings(const char *text, const char *const *expected)
{
	conf_unref(load(text));
	check_lines(&warnings, expected);
}

START_TEST(warns)
{
	check_warnings(
		"\nsim \"a\" {\n hook_drivers = {\"journal\"}\n}\n",
		LINES("2: sim \"a\": hooks are listed but all phases are off, so none runs; set enable_pre_hooks"));
	/* Inherited hooks and switches count. */
	check_warnings("hook_drivers = {\"journal\"}\nsim \"a\" {\n}\nsim \"b\" {\n enable_error_hooks = true\n}\n",
		       LINES("2: sim \"a\": hooks are listed but all phases are off"));
	check_warnings("enable_periodic_hooks = true\nsim \"a\" {\n hook_drivers = {\"journal\"}\n}\n", LINES(NULL));
	check_warnings("hook_drivers = {\"journal\"}\nsim \"a\" {\n hook_drivers = {}\n}\n", LINES(NULL));
	check_warnings(
		"hook \"h\" {\n run = \"journal\"\n phases = {\"pre\", \"error\"}\n}\n"
		"sim \"a\" {\n hook_drivers = {\"h\", \"journal\"}\n enable_post_hooks = true\n}\n"
		"sim \"b\" {\n hook_drivers = {\"h\"}\n enable_error_hooks = true\n}\n",
		LINES("5: sim \"a\": the hook \"h\" never runs here, because its phases are off; enable one of them"));
	check_warnings(
		"hook \"h\" {\n run = \"journal\"\n}\n",
		LINES("1: hook \"h\": no backend lists this hook in hook_drivers, so it never runs; add it there"));
	check_warnings("hook_options = {\"exec_timeout=5\", \"other=6\"}\n",
		       LINES("1: option `hook_options': \"exec_timeout\" is an option of its own and has no effect "
			     "here; write "
			     "exec_timeout = VALUE instead"));
	/* None without a conf. */
	refuse("hook_options = {\"exec_timeout=5\"}\nmax_depth = 0\n", LINES("2: option `max_depth'"));
}
END_TEST

START_TEST(good_hook_entries)
{
	check_warnings(
		"enable_pre_hooks = true\nhook_drivers = {\"journal\", \"exec:/a b\", \"exec:a:b\", \"coproc:/x\", "
		"\"audit\", "
		"\"audit:x\", \"/usr/lib/a:b.so:my_hook2\", \"later\"}\nhook \"later\" {\n run = \"/a.so:_h\"\n}\n"
		"sim \"a\" {}\n",
		LINES(NULL));
	/* Without names of modules any word is one. */
	struct conf_schema any = schema;
	any.module_names = NULL;
	struct conf *c = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	static const char good[] = "hook_drivers = {\"python:a.b:C\", \"journal\"}\n",
			  bad[] = "hook_drivers = {\"other\"}\n";
	write_bytes(good, strlen(good));
	ck_assert_int_eq(conf_load(path, &any, &c, NULL, NULL, &e), 0);
	conf_unref(c);
	write_bytes(bad, strlen(bad));
	ck_assert_int_eq(conf_load(path, &any, &c, NULL, NULL, &e), -EINVAL);
	ck_assert(strstr(e.message, "\"other\" is neither a hook section") != NULL);
}
END_TEST

/* ---- reload ---- */

static int reload(const char *before, const char *after, struct error *e)
{
	struct conf *old = load(before), *now = load(after);
	int r = conf_check_reload(old, now, e);
	conf_unref(old);
	conf_unref(now);
	return r;
}

static void check_refused(const char *before, const char *after, const char *names)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *text =
		xasprintf("a reload cannot change %s; write the old values back, or restart the daemon", names);
	ck_assert_int_eq(reload(before, after, &e), -EBUSY);
	ck_assert_str_eq(e.message, text);
}

START_TEST(reloads)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	static const char base[] = "dir \"a\" {\n root = \"/a\"\n}\nsim \"b\" {}\n";
	/* The same in other words, and all that may change. */
	ck_assert_int_eq(reload(base, base, &e), 0);
	ck_assert_int_eq(reload(base, "state_dir = '/var/lib/sharesd'\nsim \"b\" {}\ndir \"a\" { root = /a }", &e), 0);
	ck_assert_int_eq(
		reload(base,
		       "max_depth = 7\nhook \"h\" { run = \"journal\" }\ndir \"a\" {\n root = \"/a\"\n hook_drivers = "
		       "{\"h\"}\n}\nsim \"b\" { latency = 3 }\nsim \"new\" {}\n",
		       &e),
		0);
	ck_assert_int_eq(reload(base, "", &e), 0);
	ck_assert_ptr_null(e.message);

	check_refused("", "state_dir = \"/x\"\n", "option `state_dir'");
	check_refused(base, "dir \"a\" {\n root = \"/b\"\n}\nsim \"b\" {}\n", "backend \"a\": option `root'");
	check_refused(base, "sim \"a\" {}\ndir \"b\" { root = \"/b\" }\n",
		      "backend \"a\": driver, backend \"b\": driver");
	check_refused("state_dir = \"/x\"\ndir \"a\" {\n root = \"/a\"\n}\n", "dir \"a\" {\n root = \"/b\"\n}\n",
		      "option `state_dir', backend \"a\": option `root'");
}
END_TEST

/* ---- who asks wrongly ---- */

START_TEST(asks_for_what_is_not_declared)
{
	settings_string(conf_top(load("")), "nonsense");
}
END_TEST

START_TEST(asks_for_another_type)
{
	settings_int(conf_top(load("")), "exec_timeout");
}
END_TEST

START_TEST(asks_for_another_drivers_option)
{
	settings_string(conf_backend(load("sim \"a\" {}"), "a")->settings, "root");
}
END_TEST

START_TEST(asks_for_a_list_as_text)
{
	settings_string(conf_top(load("")), "admin_groups");
}
END_TEST

START_TEST(asks_whether_nonsense_is_set)
{
	settings_is_set(conf_top(load("")), "nonsense");
}
END_TEST

/* ---- many hands ---- */

static void *hold(void *data)
{
	for (int i = 0; i < 20000; i++) {
		struct conf *c = conf_ref(data);
		struct settings *s = settings_new_hook(c, conf_hook(c, "policy"), conf_backend(c, "media"));
		conf_unref(c);
		ck_assert_double_eq(settings_seconds(s, "timeout"), 5);
		settings_free(s);
	}
	return NULL;
}

START_TEST(references)
{
	struct conf *c = load(example);
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hold, c), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_str_eq(settings_string(conf_backend(c, "media")->settings, "root"), "/srv/media");
	conf_unref(c);
	conf_unref(NULL);
}
END_TEST

/* ---- tables ---- */

static int check_schema(const struct conf_schema *s, const char *expected)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = conf_schema_check(s, &e);
	if (expected && (!e.message || !strstr(e.message, expected)))
		ck_abort_msg("\"%s\" does not say \"%s\"", e.message ? e.message : "(nothing)", expected);
	return r;
}

static int check_top(const struct option *top, const char *expected)
{
	struct conf_schema s = schema;
	s.top = top;
	return check_schema(&s, expected);
}

#define ONE(...) ((const struct option[]){ { __VA_ARGS__ }, { 0 } })

START_TEST(tables_that_cannot_be)
{
	struct conf_schema s = schema;
	ck_assert_int_eq(check_schema(&schema, NULL), 0);
	ck_assert_int_eq(check_top(ONE(.name = "a-b"), "\"a-b\" cannot be the name of an option"), -EINVAL);
	ck_assert_int_eq(check_top(ONE(.name = ""), "cannot be the name of an option"), -EINVAL);
	ck_assert_int_eq(check_top(ONE(.name = "Abc"), "cannot be the name of an option"), -EINVAL);
	ck_assert_int_eq(check_top(ONE(.name = "n", .type = OPTION_INT, .fallback = "x"),
				   "the default of option `n' does not fit"),
			 -EINVAL);
	ck_assert_int_eq(check_top(ONE(.name = "n", .type = OPTION_CHOICE), "is a choice without choices"), -EINVAL);
	const struct option twice[] = { { .name = "n" }, { .name = "n" }, { 0 } };
	ck_assert_int_eq(check_top(twice, "`n' is declared twice, in the same table"), -EEXIST);
	/* The same name with the same meaning is no clash. */
	const struct option *const agree[] = { exec_options, exec_options, NULL };
	s.modules = agree;
	ck_assert_int_eq(check_schema(&s, NULL), 0);
	const struct option *const differ[] = {
		exec_options, ONE(.name = "exec_timeout", .type = OPTION_SECONDS, .fallback = "5.0", .max = 604800),
		NULL
	};
	s.modules = differ;
	ck_assert_int_eq(check_schema(&s, "`exec_timeout' is declared twice, with different meanings"), -EEXIST);
	const struct option *const hides[] = { ONE(.name = "timeout", .type = OPTION_INT), NULL };
	s.modules = hides;
	ck_assert_int_eq(check_schema(&s, "`timeout' is declared twice"), -EEXIST);
}
END_TEST

START_TEST(drivers_that_cannot_be)
{
	static const struct {
		struct conf_driver drivers[3];
		int r;
		const char *expected;
	} cases[] = {
		{ { { "dir", dir_options }, { "other", dir_options } }, 0, NULL },
		{ { { "bare", NULL } }, 0, NULL },
		{ { { "hook", NULL } }, -EINVAL, "\"hook\" cannot be the name of a driver" },
		{ { { "root", NULL } }, -EINVAL, "\"root\" cannot be the name of a driver" },
		{ { { "a b", NULL } }, -EINVAL, "\"a b\" cannot be the name of a driver" },
		{ { { "dir", NULL }, { "dir", NULL } }, -EEXIST, "\"dir\" has the name of another driver" },
		{ { { "plugins", NULL } }, -EEXIST, "\"plugins\" has the name of another driver or of an option" },
		{ { { "run", NULL } }, -EEXIST, "\"run\" has the name" },
		{ { { "other", exec_options } }, -EEXIST, "`exec_timeout' is declared twice, by a driver and for all" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conf_schema s = schema;
		s.drivers = cases[i].drivers;
		ck_assert_int_eq(check_schema(&s, cases[i].expected), cases[i].r);
	}
	/* A table that does not fit is refused by loading too. */
	struct conf_schema s = schema;
	struct conf *c = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	s.top = ONE(.name = "n", .type = OPTION_INT, .fallback = "x");
	write_bytes("", 0);
	ck_assert_int_eq(conf_load(path, &s, &c, NULL, NULL, &e), -EINVAL);
	ck_assert(strstr(e.message, "the default of option `n' does not fit") != NULL);
	/* Nothing at all declared. */
	s = (struct conf_schema){ 0 };
	ck_assert_int_eq(check_schema(&s, NULL), 0);
	ck_assert_int_eq(conf_load(path, &s, &c, NULL, NULL, &e), 0);
	conf_unref(c);
}
END_TEST

START_TEST(distances)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} cases[] = { { "", "", 0 },         { "root", "root", 0 },    { "rot", "root", 1 },  { "roots", "root", 1 },
		      { "riot", "rooe", 2 }, { "orot", "root", 1 },    { "roto", "root", 1 }, { "", "ab", 2 },
		      { "abc", "", 3 },      { "abcdef", "ghijkl", 3 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_uint_eq(near_distance(cases[i].a, cases[i].b, 2), cases[i].distance);
		ck_assert_uint_eq(near_distance(cases[i].b, cases[i].a, 2), cases[i].distance);
	}
	struct near near = { .word = "latence" };
	near_add(&near, "laten");
	ck_assert_str_eq(near.names, "`laten'");
	near_add(&near, "latency");
	near_add(&near, "latenci");
	near_add(&near, "laten");
	ck_assert_str_eq(near.names, "`latency' or `latenci'");
	free(near.names);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { defaults,
				 backend_defaults,
				 networks,
				 values,
				 sections,
				 inheritance,
				 lookups_of_hooks,
				 all_of_hooks,
				 warns,
				 good_hook_entries,
				 reloads,
				 references,
				 tables_that_cannot_be,
				 drivers_that_cannot_be,
				 distances };
	const TTest *aborting[] = { asks_for_what_is_not_declared, asks_for_another_type,
				    asks_for_another_drivers_option, asks_for_a_list_as_text,
				    asks_whether_nonsense_is_set };
	return run_suites("conf", tests, sizeof(tests) / sizeof(*tests), aborting,
			  sizeof(aborting) / sizeof(*aborting));
}
