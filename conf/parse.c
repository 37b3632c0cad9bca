#include "conf/parse.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "conf/scan.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A name that no file can hold: it must arrive at the top level, or the end of the file was not reached there. */
#define END_MARK "\001end"

/* What libconfuse finds. */
struct parsing {
	cfg_t *root;
	struct raw *raw;
	size_t closed; /* sections that ended */
	bool ended;    /* the end mark came */
	int line;      /* of the error */
	char *error;
};

/* libconfuse hands no pointer through to its callbacks. Its lexer is global, so there is one parsing at a time anyway;
 * this is set only while it runs. */
static struct parsing *parsing;

/* Sections do not nest (the scan has seen to it), so the one that is open is the one after those that ended. */
static struct raw_section *current_section(const cfg_t *cfg)
{
	size_t i = cfg == parsing->root ? 0 : parsing->closed + 1;
	return i < parsing->raw->n ? &parsing->raw->sections[i] : NULL;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct raw_section *s = current_section(cfg);
	struct raw_option *o = s ? raw_find(s, opt->name) : NULL;
	*(const char **)result = value;
	if (strcmp(opt->name, END_MARK) == 0)
		parsing->ended = true;
	else if (o)
		raw_add_value(o, value);
	return 0;
}

static int on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)cfg;
	cfg_t *closed = cfg_opt_getnsec(opt, 0);
	struct raw_section *s = current_section(closed);
	if (s) {
		free(s->title);
		s->title = xstrdup(closed->title);
	}
	parsing->closed++;
	/* Or a later section with the same title would take the place of this one. */
	cfg_free_value(opt);
	return 0;
}

/* libconfuse's messages, where better words are to be had; each has one text to be put in, or none. */
static const struct {
	const char *fmt, *before, *after;
} messages[] = {
	{ "no such option '%s'", "`",
	  "' stands alone; an option is written NAME = VALUE, a section KEYWORD \"TITLE\" {..}" },
	{ "no sub-section title/index for '%s'", "`",
	  "' stands alone; an option is written NAME = VALUE, a section KEYWORD \"TITLE\" {..}" },
	{ "missing equal sign after option '%s'", "after option `", "' there is no `='; write NAME = VALUE" },
	{ "unexpected token '%s'", "`",
	  "' cannot stand here; a value is one word or one text in quotes, a list is written {\"one\", \"two\"}" },
	{ "missing title for section '%s'", "`",
	  "' begins a section elsewhere in this file and cannot be an option; write KEYWORD \"TITLE\" {..}" },
	{ "missing opening brace for section '%s'", "the section `", "' has no { after its title; add one" },
	{ "invalid octal number '%s'", "there is no character `", "'; write \\\\ to mean a backslash" },
	{ "bad escape sequence '%s'", "there is no character `", "'; write \\\\ to mean a backslash" },
};

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	if (parsing->error)
		return;
	parsing->line = cfg->line;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		if (strcmp(fmt, messages[i].fmt) == 0) {
			_cleanup_free_ char *shown = fault_shown(va_arg(ap, const char *));
			parsing->error = xasprintf("%s%s%s", messages[i].before, shown, messages[i].after);
			return;
		}
	}
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	parsing->error = fault_shown(text);
}

/* A table for libconfuse, which wants to know every name before it reads. */
struct names {
	cfg_opt_t opts[RAW_NAMES_MAX + RAW_OPTIONS_MAX + 2]; /* options, sections, end mark, end */
	size_t n;
};

static bool names_has(const struct names *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->opts[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Lists may be given without braces, so everything is declared as a list; whether it may be one is checked later. */
static void names_add(struct names *t, const char *name)
{
	if (!names_has(t, name))
		t->opts[t->n++] = (cfg_opt_t)CFG_STR_LIST_CB(name, NULL, CFGF_NODEFAULT, on_value);
}

static void names_add_section(struct names *t, const char *keyword, struct names *inner)
{
	if (names_has(t, keyword))
		return;
	cfg_opt_t *o = &t->opts[t->n++];
	*o = (cfg_opt_t)CFG_SEC(keyword, inner->opts, CFGF_MULTI | CFGF_TITLE);
	o->validcb = on_section_end;
}

/* false: there are too many names. */
static bool collect_names(const struct raw *raw, struct names *top, struct names *inner)
{
	for (size_t i = 1; i < raw->n; i++) {
		const struct raw_section *s = &raw->sections[i];
		names_add_section(top, s->keyword, inner);
		for (size_t j = 0; j < s->n; j++) {
			names_add(inner, s->options[j].name);
			if (inner->n > RAW_NAMES_MAX)
				return false;
		}
	}
	for (size_t j = 0; j < raw->sections[0].n; j++)
		names_add(top, raw->sections[0].options[j].name);
	names_add(top, END_MARK);
	return true;
}

/* Runs libconfuse over the text. Its messages are told apart by their words, so they must not be translated. */
static void run(struct parsing *p, const struct names *top, const char *text)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = uselocale(c);
	cfg_opt_t *opts = (cfg_opt_t *)top->opts; /* copied, not changed */
	p->root = cfg_init(opts, CFGF_NONE);
	if (!p->root)
		abort();
	cfg_set_error_function(p->root, on_error);
	parsing = p;
	if (cfg_parse_buf(p->root, text) != CFG_SUCCESS && !p->error) {
		p->line = p->root->line;
		p->error =
			xstrdup("this cannot be understood; write names without quotes, and values in double quotes");
	}
	parsing = NULL;
	cfg_free(p->root);
	uselocale(old);
	freelocale(c);
}

static void fill(struct raw *raw, struct names *top, const char *text, struct scan_stop *stop,
		 struct fault_list *faults)
{
	_cleanup_free_ char *marked = raw->broken ? xstrdup(text) : xasprintf("%s %s = 1", text, END_MARK);
	struct parsing p = { .raw = raw };
	run(&p, top, marked);
	if (p.error && (!raw->broken || p.line < stop->at)) {
		free(stop->text);
		*stop = (struct scan_stop){ .at = p.line, .line = p.line, .text = take_ptr(p.error) };
	} else if (!raw->broken && !p.ended) {
		*stop = (struct scan_stop){ .text = xstrdup("the file does not end outside of all sections; look for "
							    "a missing quote or }") };
	}
	free(p.error);
	raw->broken = stop->text != NULL;
	if (raw->broken)
		fault_add(faults, stop->line, NULL, NULL, "%s", stop->text);
}

void conf_parse_text(char *text, size_t len, struct raw *ret, struct fault_list *faults)
{
	struct scan_stop stop;
	_cleanup_free_ struct names *top = xcalloc(1, sizeof(*top)), *inner = xcalloc(1, sizeof(*inner));
	raw_init(ret);
	conf_scan(text, len, ret, faults, &stop);
	if (collect_names(ret, top, inner)) {
		fill(ret, top, text, &stop, faults);
	} else {
		ret->broken = true;
		fault_add(faults, 0, NULL, NULL, "there are more than %d different options; remove some",
			  RAW_NAMES_MAX);
	}
	free(stop.text);
}

/* May anybody but root and us write it? */
static int check_owner(const struct stat *st, struct fault_list *faults)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		fault_add(faults, 0, NULL, NULL,
			  "belongs to the user %u, who could change what the daemon does; chown it to root",
			  (unsigned)st->st_uid);
		return -EPERM;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		fault_add(faults, 0, NULL, NULL, "can be written by others (mode %04o); run chmod go-w on it",
			  (unsigned)(st->st_mode & 07777));
		return -EPERM;
	}
	return 0;
}

static int read_all(int fd, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *text = xmalloc(RAW_BYTES_MAX + 2);
	size_t len = 0;
	while (len <= RAW_BYTES_MAX) {
		ssize_t n = read(fd, text + len, RAW_BYTES_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > RAW_BYTES_MAX)
		return -EFBIG;
	text[len] = '\0';
	*ret = take_ptr(text);
	*ret_len = len;
	return 0;
}

static int cannot_read(int r, struct fault_list *faults)
{
	if (r == -EFBIG)
		fault_add(faults, 0, NULL, NULL, "is larger than %d bytes; is it a conf file at all?", RAW_BYTES_MAX);
	else if (r < 0)
		fault_add(faults, 0, NULL, NULL, "cannot be read: %s; check the path and its permissions",
			  strerror(-r));
	return r;
}

/* libconfuse's own reading ends the process when the file is a directory, and would wait for a FIFO. */
static int read_file(const char *path, char **ret, size_t *ret_len, struct fault_list *faults)
{
	struct stat st;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_read(-errno, faults);
	if (!S_ISREG(st.st_mode)) {
		fault_add(faults, 0, NULL, NULL, "is %s; name a conf file",
			  S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	int r = check_owner(&st, faults);
	return r < 0 ? r : cannot_read(read_all(fd, ret, ret_len), faults);
}

int conf_parse_file(const char *path, struct raw *ret, struct fault_list *faults)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = read_file(path, &text, &len, faults);
	if (r == 0)
		conf_parse_text(text, len, ret, faults);
	return r;
}
