#include "drivers/export/samba_tools.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/process.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LIMIT      30.0 /* seconds that one program may take */
#define MOST       (64 << 20)
#define DEPTH      16
#define MOST_WORDS 12

int samba_find_program(const char *name, char **ret, struct error *e)
{
	static const char *const places[] = { "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", NULL };

	for (const char *const *place = places; *place; place++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", *place, name);

		if (access(path, X_OK) == 0) {
			*ret = take_ptr(path);
			return 0;
		}
	}
	return error_set(e, ERR_BACKEND_DOWN, ENOENT, "%s is not installed: apt-get install samba", name);
}

/* The last line that it printed, or how it ended. Owned by the caller. */
static char *complaint(const struct process_result *p, const struct process_spec *spec)
{
	const char *line = strrchr(p->errors, '\n');

	if (*p->errors && p->exit_code > 0)
		return xstrdup(line ? line + 1 : p->errors);
	return process_result_text(p, spec);
}

/* Runs PROGRAM -s CONF WORDS.. 0: it ended well. `*ret_output` may be NULL. */
static int run(const char *conf, const char *program, const char *const *words, char **ret_output, struct error *e)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL };
	const char *argv[MOST_WORDS + 4] = { NULL };
	_cleanup_free_ char *path = NULL, *why = NULL;
	struct process_spec spec = { .argv = argv, .env = env, .max_output = MOST, .timeout = LIMIT };
	struct process_result p;
	const char *first = words[0];
	size_t n = 1;
	int r = samba_find_program(program, &path, e);

	if (r < 0)
		return r;
	argv[0] = path;
	if (conf) {
		argv[n++] = "-s";
		argv[n++] = conf;
	}
	for (; *words; words++)
		argv[n++] = *words;
	if ((r = process_run(&spec, &p, e)) < 0)
		return r;
	if (p.exit_code != 0 || p.too_much) {
		why = complaint(&p, &spec);
		r = p.timed_out ? -ETIMEDOUT : -EIO;
		error_set(e, ERR_DRIVER_FAILED, -r, "%s %s of Samba failed: %s", program, first, why);
	} else if (ret_output) {
		*ret_output = xstrdup(p.output);
	}
	process_result_clear(&p);
	return r;
}

#define RUN(conf, program, ret, e, ...) run((conf), (program), (const char *const[]){ __VA_ARGS__, NULL }, (ret), (e))

/* ---- sections ---- */

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return s;
}

/* "[name]", then "parameter = value" lines, as Samba prints them. */
static json_t *parse_sections(char *text)
{
	json_t *all = json_object(), *section = NULL;
	char *next = NULL;

	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char *s = trim(line), *equals = strchr(s, '=');
		size_t n = strlen(s);

		if (*s == '[' && n > 2 && s[n - 1] == ']') {
			s[n - 1] = '\0';
			section = json_object();
			json_object_set_new(all, s + 1, section);
		} else if (section && equals && *s != '#' && *s != ';') {
			*equals = '\0';
			json_object_set_new(section, trim(s), jsonx_string(trim(equals + 1)));
		}
	}
	return all;
}

int samba_registry_list(const char *conf, json_t **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	int r = RUN(conf, "net", &text, e, "conf", "list");

	if (r < 0)
		return r;
	*ret = parse_sections(text);
	json_object_del(*ret, "global");
	return 0;
}

int samba_registry_import(const char *conf, const char *file, const char *name, const char *text, struct error *e)
{
	_cleanup_free_ char *dir = xstrdup(file);
	char *slash = strrchr(dir, '/');
	_cleanup_close_ int fd = -1;
	int r;

	*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(e, errno, "cannot open %s", dir);
	if ((r = path_write_file(fd, slash + 1, text, strlen(text), 0600)) < 0)
		return error_errno(e, -r, "cannot write %s", file);
	r = RUN(conf, "net", NULL, e, "conf", "import", file, name);
	(void)unlinkat(fd, slash + 1, 0);
	return r;
}

int samba_registry_remove(const char *conf, const char *name, struct error *e)
{
	_cleanup_json_ json_t *all = NULL;
	int r = samba_registry_list(conf, &all, e);

	if (r < 0 || !json_object_get(all, name))
		return r;
	return RUN(conf, "net", NULL, e, "conf", "delshare", name);
}

int samba_parameter(const char *conf, const char *name, char **ret, struct error *e)
{
	_cleanup_free_ char *option = xasprintf("--parameter-name=%s", name), *text = NULL;
	int r = conf ? run(NULL, "testparm", (const char *const[]){ "-s", option, conf, NULL }, &text, e)
		     : run(NULL, "testparm", (const char *const[]){ "-s", option, NULL }, &text, e);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	*ret = xstrdup(trim(text));
	return 0;
}

int samba_shares(const char *conf, json_t **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	int r = conf ? run(NULL, "testparm", (const char *const[]){ "-s", conf, NULL }, &text, e)
		     : run(NULL, "testparm", (const char *const[]){ "-s", NULL }, &text, e);

	if (r < 0)
		return r;
	*ret = parse_sections(text);
	json_object_del(*ret, "global");
	return 0;
}

/* "name:uid:full name" lines. */
int samba_users(const char *conf, json_t **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	char *next = NULL;
	int r = RUN(conf, "pdbedit", &text, e, "-L");

	if (r < 0)
		return r;
	*ret = json_object();
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		line[strcspn(line, ":")] = '\0';
		text_fix_utf8(line);
		json_object_set_new(*ret, line, json_true());
	}
	return 0;
}

/* ---- sessions ---- */

int samba_sessions(const char *conf, const char *share, json_t **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *status = NULL;
	const char *id;
	json_t *tcon;
	int r = RUN(conf, "smbstatus", &text, e, "--json");

	if (r < 0)
		return r;
	if (jsonx_parse(text, strlen(text), DEPTH, &status, NULL) < 0)
		return error_set(e, ERR_DRIVER_FAILED, EBADMSG, "smbstatus --json of Samba answered something else");
	*ret = json_array();
	json_object_foreach(json_object_get(status, "tcons"), id, tcon) {
		const char *service = jsonx_str(tcon, "service"), *in = jsonx_str(tcon, "session_id");
		json_t *session = in ? json_object_get(json_object_get(status, "sessions"), in) : NULL;

		if (!service || strcasecmp(service, share) != 0)
			continue;
		json_array_append_new(*ret,
				      jsonx_pack("{s:o,s:o,s:o}", "pid",
						 jsonx_string(jsonx_str(json_object_get(tcon, "server_id"), "pid")),
						 "user", jsonx_string(jsonx_str(session, "username")), "machine",
						 jsonx_string(jsonx_str(tcon, "machine"))));
	}
	return 0;
}

int samba_control(const char *conf, const char *process, const char *what, const char *share, struct error *e)
{
	return RUN(conf, "smbcontrol", NULL, e, process, what, share);
}
