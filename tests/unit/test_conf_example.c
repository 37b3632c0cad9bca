/* The commented example that is installed: every option of the program is in it, with its default. */
#include "tests/unit/test_conf.h"

#include "daemon/options.h"

#define EXAMPLE "conf/sharesd.conf"

/* The example with its options in force: "#name", "#}" and "#    .." lose their #. */
static char *read_example(void)
{
	char *text = NULL;
	size_t len = 0;
	char line[512];
	_cleanup_fclose_ FILE *in = fopen(EXAMPLE, "r");
	ck_assert_msg(in != NULL, "%s is not there: run tests from the top of the source tree", EXAMPLE);
	FILE *out = open_memstream(&text, &len);
	while (fgets(line, sizeof(line), in)) {
		ck_assert_uint_lt(strlen(line), 122);
		bool option = (line[1] >= 'a' && line[1] <= 'z') || line[1] == '}' || strncmp(line + 1, "    ", 4) == 0;
		fputs(line[0] == '#' && option ? line + 1 : line, out);
	}
	fclose(out);
	return text;
}

static struct conf *load_real(const char *text)
{
	struct conf *c = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	write_bytes(text, strlen(text));
	if (conf_load(path, daemon_schema(), &c, &faults, &warnings, &e) < 0)
		show_faults(&faults);
	ck_assert_ptr_nonnull(c);
	return c;
}

START_TEST(tables_of_the_program)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = conf_schema_check(daemon_schema(), &e);
	ck_assert_msg(r == 0, "%s", e.message);
}
END_TEST

START_TEST(example_as_it_is)
{
	size_t n;
	_cleanup_free_ char *copy = NULL;
	_cleanup_fclose_ FILE *in = fopen(EXAMPLE, "r");
	ck_assert_ptr_nonnull(in);
	size_t size = 0;
	ck_assert_int_gt(getdelim(&copy, &size, '\0', in), 0);
	struct conf *c = load_real(copy);
	ck_assert_uint_eq(warnings.n, 0);
	conf_backends(c, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert(!settings_is_set(conf_top(c), "state_dir"));
	conf_unref(c);
}
END_TEST

static void check_defaults(const struct option *table, const struct settings *written, const struct settings *defaults)
{
	for (const struct option *o = table; o && o->name; o++) {
		_cleanup_json_ json_t *a = settings_lookup(written, o->name), *b = settings_lookup(defaults, o->name);
		ck_assert_msg(settings_is_set(written, o->name), "%s is not in %s", o->name, EXAMPLE);
		ck_assert_msg(json_equal(a, b), "%s does not stand with its default in %s", o->name, EXAMPLE);
	}
}

static void check_written(const struct option *table, const struct settings *s)
{
	for (const struct option *o = table; o && o->name; o++)
		ck_assert_msg(settings_is_set(s, o->name), "%s is not in %s", o->name, EXAMPLE);
}

START_TEST(example_has_every_option)
{
	const struct conf_schema *real = daemon_schema();
	_cleanup_free_ char *text = read_example();
	struct conf *defaults = load_real(""), *c = load_real(text);
	ck_assert_uint_eq(warnings.n, 0);
	check_defaults(real->top, conf_top(c), conf_top(defaults));
	check_defaults(real->backend, conf_top(c), conf_top(defaults));
	for (const struct option *const *t = real->modules; *t; t++)
		check_defaults(*t, conf_top(c), conf_top(defaults));
	size_t n;
	const struct conf_section *backends = conf_backends(c, &n);
	for (const struct conf_driver *d = real->drivers; d->keyword; d++) {
		size_t i = 0;
		while (i < n && strcmp(backends[i].keyword, d->keyword) != 0)
			i++;
		ck_assert_msg(i < n, "the driver %s is not in %s", d->keyword, EXAMPLE);
		check_written(d->options, backends[i].settings);
	}
	ck_assert_ptr_nonnull(conf_hook(c, "policy"));
	check_written(conf_hook_options, conf_hook(c, "policy")->settings);
	ck_assert_ptr_nonnull(conf_network(c, "blue"));
	check_written(conf_network_options, conf_network(c, "blue")->settings);
	conf_unref(defaults);
	conf_unref(c);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { tables_of_the_program, example_as_it_is, example_has_every_option };
	return run_suite("conf_example", tests, sizeof(tests) / sizeof(*tests));
}
