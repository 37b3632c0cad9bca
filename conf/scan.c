#include "conf/scan.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdarg.h>
#include <string.h>

struct word {
	const char *text; /* between the quotes */
	size_t len;
	int line;
};

struct scanner {
	char *text;
	size_t len, at;
	int line;
	struct raw *raw;
	struct fault_list *faults;
	struct scan_stop *stop;
	size_t section;                             /* the one that is open; 0: the top level */
	enum { IN_NAMES, IN_VALUE, IN_LIST } state; /* before `=`, after it, after its `{` */
	size_t option;                              /* of that section: whose value or list it is */
	struct word words[2];                       /* the last ones since the last option or section */
	size_t n_words;
};

static struct raw_section *section(const struct scanner *sc)
{
	return &sc->raw->sections[sc->section];
}

/* The option whose value is being read, or NULL. */
static struct raw_option *option(const struct scanner *sc)
{
	return sc->state == IN_NAMES ? NULL : &section(sc)->options[sc->option];
}

static char *word_shown(const struct word *w)
{
	_cleanup_free_ char *s = xstrndup(w->text, w->len);
	return fault_shown(s);
}

/* Ends the look: the text is cut at `begin`, `line` is reported. Returns -1. */
__attribute__((format(printf, 4, 5))) static int stop(struct scanner *sc, size_t begin, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	*sc->stop = (struct scan_stop){ .at = sc->line, .line = line, .text = xvasprintf(fmt, ap) };
	va_end(ap);
	sc->text[begin] = '\0';
	if (option(sc))
		option(sc)->bad = true;
	return -1;
}

static int list_not_closed(struct scanner *sc, size_t begin)
{
	_cleanup_free_ char *name = fault_shown(option(sc)->name);
	return stop(sc, begin, option(sc)->line, "the list of option `%s' is not closed; add a }", name);
}

static int no_value(struct scanner *sc, size_t begin)
{
	_cleanup_free_ char *name = fault_shown(option(sc)->name);
	return stop(sc, begin, option(sc)->line, "option `%s' has no value; write one after the `='", name);
}

static int brace_in_list(struct scanner *sc, size_t begin)
{
	_cleanup_free_ char *name = fault_shown(option(sc)->name);
	return stop(sc, begin, sc->line, "there is a { inside the list of option `%s'; end the list with a } first",
		    name);
}

static int inside_section(struct scanner *sc, size_t begin, int line, const char *keyword)
{
	_cleanup_free_ char *outer = fault_shown(section(sc)->keyword);
	return stop(sc, begin, line, "the section `%s' begins inside the section `%s' of line %d; add a } before it",
		    keyword, outer, section(sc)->line);
}

static int section_not_closed(struct scanner *sc)
{
	_cleanup_free_ char *keyword = fault_shown(section(sc)->keyword);
	return stop(sc, sc->at, section(sc)->line, "the section `%s' that begins here is not closed; add a }", keyword);
}

static void blank(struct scanner *sc, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++) {
		if (sc->text[i] != '\n')
			sc->text[i] = ' ';
	}
}

static int skip_comment(struct scanner *sc)
{
	size_t begin = sc->at;
	if (sc->text[begin] == '/' && sc->text[begin + 1] == '*') {
		const char *end = strstr(sc->text + begin + 2, "*/");
		if (!end)
			return stop(sc, begin, sc->line,
				    "the comment that begins here is not closed; close it with */");
		sc->at = (size_t)(end - sc->text) + 2;
		for (size_t i = begin; i < sc->at; i++)
			sc->line += sc->text[i] == '\n';
	} else {
		sc->at += strcspn(sc->text + begin, "\n");
	}
	blank(sc, begin, sc->at);
	return 0;
}

/* "${NAME}" or "${NAME:-text}", which libconfuse replaces outside single quotes. A name that is not set would become
 * nothing without a word: that is a fault. `token`: where the word begins that it stands in. */
static int scan_variable(struct scanner *sc, size_t token)
{
	size_t begin = sc->at + 2, n = strcspn(sc->text + begin, "}\"\n");
	if (sc->text[begin + n] != '}')
		return stop(
			sc, token, sc->line,
			"`${' has no `}'; to mean the text itself write \\${ in double quotes, or use single quotes");
	_cleanup_free_ char *name = xstrndup(sc->text + begin, n);
	sc->at = begin + n + 1;
	const char *colon = strchr(name, ':');
	if ((colon && colon[1] == '-') || getenv(name))
		return 0;
	_cleanup_free_ char *shown = fault_shown(name);
	struct raw_option *o = option(sc);
	fault_add(sc->faults, sc->line, section(sc), o ? o->name : NULL,
		  "the environment variable %s is not set; set it, give a default as in ${%s:-text}, or write the text "
		  "in "
		  "single quotes if no variable is meant",
		  shown, shown);
	if (o)
		o->bad = true;
	return 0;
}

/* Is the escape sequence at `s` (after the backslash) a NUL, which would end the value? */
static bool is_nul_escape(const char *s)
{
	bool hex = *s == 'x';
	size_t n = hex ? strspn(++s, "0123456789abcdefABCDEF") : strspn(s, "01234567");
	size_t most = hex ? 2 : 3;
	return n > 0 && strspn(s, "0") >= (n < most ? n : most);
}

static int scan_string(struct scanner *sc, struct word *ret)
{
	size_t begin = sc->at;
	char quote = sc->text[sc->at++];
	int line = sc->line;
	while (sc->text[sc->at] != quote) {
		char c = sc->text[sc->at], next = c ? sc->text[sc->at + 1] : '\0';
		if (c == '\0' || c == '\n' || (c == '\\' && next == '\0'))
			return stop(sc, begin, line,
				    "the text that begins here has no closing %c on its line; add it, or end the line "
				    "with a backslash to go on in the next one",
				    quote);
		if (c == '\\' && quote == '"' && is_nul_escape(sc->text + sc->at + 1))
			return stop(sc, begin, line, "a text holds an escaped NUL, which no value can have; remove it");
		if (c == '\\') {
			sc->line += next == '\n';
			sc->at += 2;
		} else if (quote == '"' && c == '$' && next == '{') {
			if (scan_variable(sc, begin) < 0)
				return -1;
		} else {
			sc->at++;
		}
	}
	sc->at++;
	*ret = (struct word){ .text = sc->text + begin + 1, .len = sc->at - begin - 2, .line = line };
	return 0;
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\0') || c == 0x7f;
}

/* A word without quotes. What libconfuse would drop from it or take apart without a word is a fault. */
static int scan_bare(struct scanner *sc, struct word *ret)
{
	size_t begin = sc->at, end = begin;
	if (sc->text[begin] == '$' && sc->text[begin + 1] == '{') {
		if (scan_variable(sc, begin) < 0)
			return -1;
		end = sc->at;
	} else {
		while (!is_control(sc->text[end]) && sc->text[end] && !strchr(" #\"'\t\n\r={}+,()*;", sc->text[end]))
			end++;
		char c = sc->text[end];
		if (is_control(c))
			return stop(sc, begin, sc->line, "there is a control character outside quotes; remove it");
		if ((c && strchr("()*;", c)) || (c == '+' && sc->text[end + 1] != '='))
			return stop(sc, begin, sc->line, "`%c' cannot stand outside quotes; %s", c,
				    c == ';' ? "an option or section ends without it"
					     : "put the text that it belongs to in double quotes");
		if (c == '{' && end > begin && sc->text[end - 1] == '$')
			return stop(sc, begin, sc->line,
				    "`${' cannot stand inside a word without quotes; put the text in double quotes");
		sc->at = end;
	}
	*ret = (struct word){ .text = sc->text + begin, .len = end - begin, .line = sc->line };
	return 0;
}

static int on_word(struct scanner *sc, bool quoted)
{
	struct word w;
	if ((quoted ? scan_string(sc, &w) : scan_bare(sc, &w)) < 0)
		return -1;
	if (sc->state == IN_VALUE) {
		sc->state = IN_NAMES;
		sc->n_words = 0;
	} else if (sc->state == IN_NAMES) {
		if (sc->n_words == 2)
			sc->words[0] = sc->words[--sc->n_words];
		sc->words[sc->n_words++] = w;
	}
	return 0;
}

/* Makes the option of that name the one whose value is awaited. */
static int open_option(struct scanner *sc, size_t at, const struct word *w)
{
	struct raw_section *s = section(sc);
	_cleanup_free_ char *name = xstrndup(w->text, w->len);
	struct raw_option *o = raw_find(s, name);
	if (o) {
		fault_add(sc->faults, w->line, s, name, "is given on line %d already; keep one of the two", o->line);
		o->bad = true;
	} else if (s->n == RAW_OPTIONS_MAX) {
		return stop(sc, at, w->line, "there are more than %d options in one section; remove some",
			    RAW_OPTIONS_MAX);
	} else {
		o = raw_add_option(s, w->text, w->len, w->line);
	}
	sc->option = (size_t)(o - s->options);
	sc->state = IN_VALUE;
	return 0;
}

/* `=` and `+=`. Where none may stand libconfuse says so. */
static int on_equals(struct scanner *sc, bool append)
{
	size_t begin = sc->at;
	sc->at += append ? 2 : 1;
	if (sc->state == IN_LIST)
		return list_not_closed(sc, begin);
	if (sc->state == IN_VALUE || sc->n_words == 0)
		return 0;
	if (open_option(sc, begin, &sc->words[sc->n_words - 1]) < 0)
		return -1;
	sc->n_words = 0;
	if (append && !option(sc)->bad) {
		fault_add(sc->faults, option(sc)->line, section(sc), option(sc)->name,
			  "`+=' cannot be used; write the whole list with `='");
		option(sc)->bad = true;
	}
	return 0;
}

static int open_section(struct scanner *sc, size_t begin)
{
	const struct word *w = &sc->words[0];
	if (sc->n_words == 0)
		return stop(sc, begin, sc->line,
			    "there is a { that belongs to nothing; a list is written NAME = {..}, a section KEYWORD "
			    "\"TITLE\" {..}");
	_cleanup_free_ char *keyword = word_shown(w);
	if (sc->n_words == 1)
		return stop(sc, begin, w->line,
			    "between `%s' and its { something is missing; a list is written %s = {..}, a section %s "
			    "\"TITLE\" {..}",
			    keyword, keyword, keyword);
	if (sc->section > 0)
		return inside_section(sc, begin, w->line, keyword);
	/* libconfuse takes the end of a section of that name for the end of everything. */
	if (strcmp(keyword, "root") == 0)
		return stop(sc, begin, w->line, "there is no section `root'; it is an option, write root = \"/PATH\"");
	if (sc->raw->n > RAW_SECTIONS_MAX)
		return stop(sc, begin, w->line, "there are more than %d sections; remove some", RAW_SECTIONS_MAX);
	struct raw_section *s = raw_add_section(sc->raw, w->line);
	s->keyword = xstrndup(w[0].text, w[0].len);
	s->title = xstrndup(w[1].text, w[1].len);
	sc->section = sc->raw->n - 1;
	sc->n_words = 0;
	return 0;
}

static int on_open(struct scanner *sc)
{
	size_t begin = sc->at++;
	switch (sc->state) {
	case IN_NAMES:
		return open_section(sc, begin);
	case IN_VALUE:
		option(sc)->braces = true;
		sc->state = IN_LIST;
		return 0;
	case IN_LIST:
		break;
	}
	return brace_in_list(sc, begin);
}

static int on_close(struct scanner *sc)
{
	size_t begin = sc->at++;
	if (sc->state == IN_VALUE)
		return no_value(sc, begin);
	sc->n_words = 0;
	if (sc->state == IN_LIST) {
		sc->state = IN_NAMES;
	} else if (sc->section > 0) {
		section(sc)->closed = true;
		sc->section = 0;
	} else {
		return stop(sc, begin, sc->line, "there is a } that closes nothing; remove it");
	}
	return 0;
}

static int on_end(struct scanner *sc)
{
	if (sc->state == IN_LIST)
		return list_not_closed(sc, sc->at);
	if (sc->state == IN_VALUE)
		return no_value(sc, sc->at);
	if (sc->section > 0)
		return section_not_closed(sc);
	return 0;
}

static int scan_token(struct scanner *sc)
{
	const char *p = sc->text + sc->at;
	switch (*p) {
	case '\n':
		sc->line++;
		sc->at++;
		return 0;
	case ' ':
	case '\t':
	case '\r':
	case ',':
		sc->at++;
		return 0;
	case '#':
		return skip_comment(sc);
	case '"':
	case '\'':
		return on_word(sc, true);
	case '=':
		return on_equals(sc, false);
	case '{':
		return on_open(sc);
	case '}':
		return on_close(sc);
	default:
		if (*p == '/' && (p[1] == '/' || p[1] == '*'))
			return skip_comment(sc);
		return *p == '+' && p[1] == '=' ? on_equals(sc, true) : on_word(sc, false);
	}
}

/* A NUL ends every text, so that what is behind it would not be seen: no conf file, but something else. */
static int check_nul(struct scanner *sc)
{
	size_t nul = strlen(sc->text);
	if (nul == sc->len)
		return 0;
	for (size_t i = 0; i < nul; i++)
		sc->line += sc->text[i] == '\n';
	return stop(sc, 0, sc->line, "there is a NUL byte; the file must be plain text in UTF-8");
}

void conf_scan(char *text, size_t len, struct raw *raw, struct fault_list *faults, struct scan_stop *ret_stop)
{
	*ret_stop = (struct scan_stop){ 0 };
	struct scanner sc = { .text = text, .len = len, .line = 1, .raw = raw, .faults = faults, .stop = ret_stop };
	int r = check_nul(&sc);
	/* Some editors begin a file with a byte order mark. */
	if (r == 0 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
		blank(&sc, 0, 3);
	while (r == 0 && text[sc.at])
		r = scan_token(&sc);
	if (r == 0)
		r = on_end(&sc);
	raw->broken = r < 0;
}
