/* The conf file. What is refused has its faults told, in the order of the file, each in one readable line; what is
 * accepted and written down again is accepted again, means the same, and may be reloaded. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/tree.h"
#include "daemon/options.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *file;

void fuzz_setup(void)
{
	/* All that "${NAME}" may find. */
	clearenv();
	setenv("SET", "set", 1);
	setenv("ODD", "}\"\\\n{", 1);
	file = xasprintf("%s/conf", fuzz_directory());
}

/* ---- what is told ---- */

static long line_of(const char *fault)
{
	size_t n = strlen(file);

	FUZZ_CHECK(strncmp(fault, file, n) == 0 && fault[n] == ':', "a fault without its file: %s", fault);
	return strtol(fault + n + 1, NULL, 10);
}

static void check_faults(const struct conf_faults *f)
{
	long last = 0;

	for (size_t i = 0; i < f->n; i++) {
		long line = line_of(f->lines[i]);

		FUZZ_CHECK(fuzz_is_readable(f->lines[i], ""), "a fault that is not one readable line");
		FUZZ_CHECK(line >= last, "a fault behind one of a later line: %s", f->lines[i]);
		last = line;
	}
}

static struct conf *load(const char *text, size_t len)
{
	struct conf_faults faults = { 0 }, warnings = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *c = NULL;
	int r;

	fuzz_write_file(file, text, len);
	r = conf_load(file, daemon_schema(), &c, &faults, &warnings, &e);
	FUZZ_CHECK((r == 0) == (c != NULL) && (r == 0) == (faults.n == 0), "%d with %zu faults", r, faults.n);
	if (r < 0) {
		fuzz_check_error(&e);
		FUZZ_CHECK(strcmp(e.message, faults.lines[0]) == 0, "another first fault: %s", e.message);
	}
	check_faults(&faults);
	check_faults(&warnings);
	conf_faults_clear(&faults);
	conf_faults_clear(&warnings);
	return c;
}

/* ---- written down again ---- */

static void put_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		if (strchr("\"\\$", *text))
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

static void put_list(FILE *to, const struct value *v)
{
	fputc('{', to);
	for (size_t i = 0; i < v->n; i++) {
		fputs(i ? ", " : "", to);
		put_text(to, v->list[i]);
	}
	fputc('}', to);
}

static void put_value(FILE *to, const struct value *v)
{
	fprintf(to, "%s = ", v->option->name);
	switch (v->option->type) {
	case OPTION_BOOL:
		fputs(v->flag ? "yes" : "no", to);
		break;
	case OPTION_INT:
		fprintf(to, "%lld", (long long)v->number);
		break;
	case OPTION_SECONDS:
		fprintf(to, "%.9f", v->seconds);
		break;
	case OPTION_SIZE:
		fprintf(to, "%llu", (unsigned long long)v->size);
		break;
	case OPTION_MODE:
	case OPTION_STRING:
	case OPTION_CHOICE:
		put_text(to, v->text);
		break;
	case OPTION_LIST:
		put_list(to, v);
		break;
	}
	fputc('\n', to);
}

static void put_sections(FILE *to, const struct conf_section *sections, const struct body *bodies, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fprintf(to, "%s \"%s\" {\n", sections[i].keyword, sections[i].title);
		for (size_t k = 0; k < bodies[i].own.n; k++)
			put_value(to, &bodies[i].own.values[k]);
		fputs("}\n", to);
	}
}

/* Owned by the caller. */
static char *write_again(const struct conf *c, size_t *ret_len)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, ret_len);

	for (size_t i = 0; i < c->top.own.n; i++)
		put_value(to, &c->top.own.values[i]);
	put_sections(to, c->hooks, c->hook_bodies, c->n_hooks);
	put_sections(to, c->backends, c->backend_bodies, c->n_backends);
	fclose(to);
	return text;
}

/* ---- the same again ---- */

static bool is_same(const struct value *a, const struct value *b)
{
	_cleanup_json_ json_t *x = value_json(a), *y = value_json(b);

	if (a->option->type == OPTION_SECONDS)
		return fabs(a->seconds - b->seconds) < 1e-6;
	return json_equal(x, y);
}

static void check_layers(const struct layer *a, const struct layer *b, const char *title)
{
	FUZZ_CHECK(a->n == b->n, "%s: %zu options became %zu", title, a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		const char *name = a->values[i].option->name;
		const struct value *v = layer_find(b, name);

		FUZZ_CHECK(v && is_same(&a->values[i], v), "%s: %s became another", title, name);
	}
}

/* What a hook gets at once is what it gets one by one. */
static void check_lookup(const struct settings *s)
{
	_cleanup_json_ json_t *all = settings_all(s);
	const char *key;
	json_t *v;

	json_object_foreach(all, key, v) {
		_cleanup_json_ json_t *one = settings_lookup(s, key);

		FUZZ_CHECK(json_equal(v, one), "%s is looked up as another", key);
	}
}

static void check_sections(const struct conf_section *a, const struct body *x, size_t n, const struct conf_section *b,
			   const struct body *y, size_t m)
{
	FUZZ_CHECK(n == m, "%zu sections became %zu", n, m);
	for (size_t i = 0; i < n; i++) {
		FUZZ_CHECK(strcmp(a[i].title, b[i].title) == 0 && strcmp(a[i].keyword, b[i].keyword) == 0,
			   "%s \"%s\" became another", a[i].keyword, a[i].title);
		check_layers(&x[i].own, &y[i].own, a[i].title);
		check_lookup(a[i].settings);
	}
}

static void check_again(struct conf *c)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	size_t len;
	_cleanup_free_ char *text = write_again(c, &len);
	struct conf *again = load(text, len);

	FUZZ_CHECK(again, "refused when written again:\n%s", text);
	check_layers(&c->top.own, &again->top.own, "top level");
	check_sections(c->hooks, c->hook_bodies, c->n_hooks, again->hooks, again->hook_bodies, again->n_hooks);
	check_sections(c->backends, c->backend_bodies, c->n_backends, again->backends, again->backend_bodies,
		       again->n_backends);
	FUZZ_CHECK(conf_check_reload(c, again, &e) == 0, "%s", e.message);
	conf_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *c = load((const char *)data, size);
	char **plugins = NULL;

	FUZZ_CHECK(conf_scan_plugins(file, &plugins, &e) == 0, "%s", e.message);
	conf_free_list(plugins);
	if (c)
		check_again(c);
	conf_unref(c);
	return 0;
}
