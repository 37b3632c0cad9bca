/* What others answer: hook programs, drivers, and to sharesctl the daemon. Each input begins with a letter:
 *	e   a program of the module exec: '0' to '9' its exit status, 'v' a veto, 'k' killed; then what it prints, and
 *	    behind a line "!!" what it prints to standard error
 *	c   a process of the module coproc: its lines; at a line "~" it waits for an event
 *	d   a driver: a line with the slot, then the JSON text
 *	m   the daemon: a letter for the command, one for how it is shown, then all that the daemon sends
 *	r   a mark on a backend of the driver dir: the text; behind a "b", the root's own
 * Hooks must keep to what they may say, and what is taken of them and of drivers holds the shape that others rely on;
 * sharesctl prints what no terminal can be harmed by. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "client/program.h"
#include "daemon/answers.h"
#include "drivers/table.h"
#include "hooks/runner.h"
#include "hooks/table.h"
#include "tests/fuzz/marks.h"
#include "tests/fuzz/stand_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- hooks ---- */

static const char conf_text[] = "enable_pre_hooks = true\n"
				"enable_post_hooks = true\n"
				"enable_error_hooks = true\n"
				"enable_periodic_hooks = true\n"
				"sim \"e\" { hook_drivers = {\"exec:/bin/true\"} }\n"
				"sim \"c\" { hook_drivers = {\"coproc:/bin/true\"} }\n"
				"sim \"s\" {\n"
				"  hook_drivers = {\"exec:/bin/true\"}\n"
				"  suppress_pre_hooks_errors = true\n"
				"  suppress_post_hooks_errors = true\n"
				"}\n"
				"dir \"d\" { root = \"%s/root\" }\n";

static const struct option no_options[] = { { 0 } };
static struct conf_driver drivers[] = { { "sim", no_options }, { "dir", NULL }, { 0 } };
static struct conf_schema schema = { .top = no_options, .backend = conf_backend_options, .drivers = drivers };
static struct conf *conf;

void fuzz_setup(void)
{
	_cleanup_free_ char *file = xasprintf("%s/conf", fuzz_directory()),
			    *text = xasprintf(conf_text, fuzz_directory());
	_cleanup_error_ struct error e = ERROR_INIT;

	drivers[1].options = driver_find("dir")->options;
	schema.modules = hook_module_options();
	fuzz_write_file(file, text, strlen(text));
	FUZZ_CHECK(conf_load(file, &schema, &conf, NULL, NULL, &e) == 0, "%s", e.message);
	marks_setup(settings_string(conf_backend(conf, "d")->settings, "root"), conf_backend(conf, "d")->settings);
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
}

static int check_key(void *data, const char *key, const json_t *value, struct error *e)
{
	static const struct result_key keys[] = {
		{ .name = "export_locations", .shape = SHAPE_LOCATIONS },
		{ .name = "metadata", .shape = SHAPE_METADATA },
		{ .name = "shares", .shape = SHAPE_LOCATIONS_BY_ID },
		{ .name = "free_bytes", .shape = SHAPE_STATS },
	};

	(void)data;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(keys[i].name, key) == 0)
			return answer_check_shape(&keys[i], key, value, e);
	return error_set(e, ERR_POST_HOOK_FAILED, EINVAL, "no key of this call");
}

static void check_outcomes(const struct hook_run *run)
{
	static const char *const known[] = { "ok", "failed", "suppressed", "vetoed", "tolerated" };
	json_t *o;
	size_t i;

	json_array_foreach(hook_run_outcomes(run), i, o) {
		const char *outcome = jsonx_str(o, "outcome");
		bool found = false;

		for (size_t k = 0; outcome && k < sizeof known / sizeof *known; k++)
			found |= strcmp(known[k], outcome) == 0;
		FUZZ_CHECK(found && jsonx_str(o, "hook") && jsonx_str(o, "phase"), "outcome %s",
			   outcome ? outcome : "missing");
		FUZZ_CHECK(json_is_number(json_object_get(o, "duration_ms")), "no duration");
	}
}

static void run_post(struct hook_run *run)
{
	_cleanup_json_ json_t *results =
		jsonx_pack("{s:[],s:s,s:{s:s}}", "export_locations", "provider_location", "p", "metadata", "k", "v");
	_cleanup_json_ json_t *changed = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *key;
	json_t *v;

	if (hook_run_post(run, results, &changed, &e) < 0) {
		fuzz_check_error(&e);
		FUZZ_CHECK(e.kind == ERR_POST_HOOK_FAILED, "%s: %s", error_kind_name(e.kind), e.message);
	}
	json_object_foreach(changed, key, v) {
		FUZZ_CHECK(check_key(NULL, key, v, NULL) == 0, "\"%s\" was taken", key);
		FUZZ_CHECK(json_equal(json_object_get(results, key), v), "\"%s\" is another in the results", key);
	}
	FUZZ_CHECK(strcmp(jsonx_str(results, "provider_location"), "p") == 0, "what no hook may set was set");
}

static void run_hooks(const char *backend)
{
	struct hook_set_setup hs = { .conf = conf,
				     .backend = conf_backend(conf, backend),
				     .host = "host",
				     .socket = "/socket",
				     .max_depth = 8 };
	_cleanup_json_ json_t *context = json_object(), *args = jsonx_pack("{s:s}", "name", "x"),
			      *data = jsonx_pack("[{s:s}]", "id", "x");
	struct hook_call call = { .func_name = "create_share_instance",
				  .call_id = "00000000-0000-0000-0000-000000000000",
				  .context = context,
				  .backend = context,
				  .args = args,
				  .check = check_key };
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;
	struct hook_run *run;

	FUZZ_CHECK(hook_set_new(&hs, &set, &e) == 0, "%s", e.message);
	run = hook_run_new(set, &call);
	if (hook_run_pre(run, &e) < 0) {
		fuzz_check_error(&e);
		FUZZ_CHECK(e.kind == ERR_VETOED || e.kind == ERR_PRE_HOOK_FAILED, "%s", error_kind_name(e.kind));
		hook_run_error(run, &e);
	} else {
		run_post(run);
	}
	check_outcomes(run);
	hook_run_free(run);
	call.func_name = NULL;
	call.args = NULL;
	run = hook_run_new(set, &call);
	hook_run_periodic(run, data);
	check_outcomes(run);
	hook_run_free(run);
	json_decref(hook_set_describe(set));
	hook_set_free(set);
	stand_in_clear();
}

static void run_exec(const char *text, size_t len)
{
	char how = len ? *text : '0';
	int status = how == 'k' ? 9 : how == 'v' ? 10 << 8 : how >= '0' && how <= '9' ? (how - '0') << 8 : 0;
	const char *mark;

	text += len ? 1 : 0;
	len -= len ? 1 : 0;
	mark = memmem(text, len, "!!\n", 3);
	if (mark)
		stand_in_program(text, (size_t)(mark - text), mark + 3, len - (size_t)(mark - text) - 3, status);
	else
		stand_in_program(text, len, "", 0, status);
	run_hooks(status % 2 ? "s" : "e");
}

/* ---- drivers ---- */

static void check_location(const json_t *l)
{
	const char *path = jsonx_str(l, "path"), *key;
	json_t *v;

	FUZZ_CHECK(path && *path, "an export location without a path");
	json_object_foreach(json_object_get(l, "metadata"), key, v)
		FUZZ_CHECK(json_is_string(v), "an export location whose %s is no text", key);
}

static void check_value(const char *name, const json_t *v)
{
	const char *key;
	json_t *one;
	size_t i;

	if (strcmp(name, "export_locations") == 0) {
		FUZZ_CHECK(json_is_array(v), "%s", name);
		json_array_foreach(v, i, one)
			check_location(one);
	} else if (strcmp(name, "metadata") == 0) {
		FUZZ_CHECK(json_is_object(v), "%s", name);
		json_object_foreach((json_t *)v, key, one)
			FUZZ_CHECK(json_is_string(one), "%s.%s", name, key);
	} else if (strcmp(name, "size_bytes") == 0) {
		FUZZ_CHECK(json_is_integer(v) && json_integer_value(v) > 0, "%s", name);
	} else if (strcmp(name, "used_bytes") == 0 || strcmp(name, "free_bytes") == 0) {
		FUZZ_CHECK(json_is_integer(v) && json_integer_value(v) >= 0, "%s", name);
	} else if (strcmp(name, "provider_location") == 0 || strcmp(name, "replica_state") == 0 ||
		   strcmp(name, "identifier") == 0) {
		FUZZ_CHECK(json_is_string(v) && json_string_length(v) > 0, "%s", name);
	} else if (strcmp(name, "rules") == 0 || strcmp(name, "instances") == 0 || strcmp(name, "replicas") == 0) {
		FUZZ_CHECK(json_is_object(v), "%s", name);
	}
}

static void run_driver(const char *text, size_t len)
{
	const char *line, *key;
	_cleanup_free_ char *slot = NULL;
	_cleanup_json_ json_t *values = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	size_t n;
	json_t *v;

	if (!fuzz_line(&text, &len, &line, &n) || !(values = json_loadb(text, len, JSON_DECODE_ANY, NULL)))
		return;
	slot = xstrndup(line, n);
	if (answer_check(slot, values, &e) < 0) {
		fuzz_check_error(&e);
		FUZZ_CHECK(e.kind == ERR_DRIVER_FAILED, "%s", error_kind_name(e.kind));
		return;
	}
	FUZZ_CHECK(json_is_object(values), "%s: no object", slot);
	json_object_foreach(values, key, v)
		check_value(key, v);
}

/* ---- sharesctl ---- */

static const char *const commands[][6] = {
	{ "share", "list" },
	{ "share", "show", "x" },
	{ "share", "create", "x", "1GiB" },
	{ "share", "delete", "x" },
	{ "snapshot", "list" },
	{ "snapshot", "create", "x", "y" },
	{ "access", "list", "x" },
	{ "access", "allow", "x", "ip", "10.0.0.1" },
	{ "replica", "list" },
	{ "server", "list" },
	{ "backend", "list" },
	{ "backend", "show", "a" },
	{ "hook", "list" },
	{ "orphan", "list" },
	{ "calls" },
	{ "events" },
	{ "status" },
	{ "call", "rpc.discover" },
	{ "call", "get_service", "{}" },
};

static const char *sent; /* by the daemon */
static size_t sent_len;
static int peer = -1;

/* In the place of libc's: at the other end all is said already, to whoever comes first. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	int ends[2];

	(void)address;
	(void)len;
	if (peer >= 0) {
		errno = ECONNREFUSED;
		return -1;
	}
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair: %m");
	FUZZ_CHECK(send(ends[1], sent, sent_len, MSG_DONTWAIT) == (ssize_t)sent_len, "too much for a socket");
	shutdown(ends[1], SHUT_WR);
	FUZZ_CHECK(dup2(ends[0], fd) == fd, "dup2: %m");
	close(ends[0]);
	peer = ends[1];
	return 0;
}

/* Neither escape sequences (but the program's own colours) nor what turns the direction of text. */
static void check_printed(const char *text, bool colours, bool pretty)
{
	FUZZ_CHECK(!*text || fuzz_is_readable(text, colours ? "\n\033" : pretty ? "\n\t" : "\n"), "printed: %s", text);
	for (const char *p = text; *p; p++) {
		FUZZ_CHECK(memcmp(p, "\xc2", 1) != 0 || (unsigned char)p[1] >= 0xa0, "printed: %s", text);
		FUZZ_CHECK(strncmp(p, "\u202e", 3) != 0 && strncmp(p, "\u2066", 3) != 0, "printed: %s", text);
		FUZZ_CHECK(*p != '\033' || p[1] == '[', "printed: %s", text);
	}
}

static void run_client(const char *text, size_t len)
{
	const char *const *command = commands[(len ? (unsigned char)*text : 0) % (sizeof commands / sizeof *commands)];
	char how = len > 1 ? text[1] : '0';
	const char *argv[10] = { "sharesctl", "--socket", "/socket" };
	_cleanup_free_ char *out = NULL, *err = NULL;
	size_t out_len, err_len;
	int argc = 3, code;
	struct ctl c = { .in = fopen("/dev/null", "re"),
			 .out = open_memstream(&out, &out_len),
			 .err = open_memstream(&err, &err_len) };

	if (how & 1)
		argv[argc++] = "--json";
	c.out_tty = how & 2;
	for (size_t i = 0; i < 6 && command[i]; i++)
		argv[argc++] = command[i];
	sent = text + (len < 2 ? len : 2);
	sent_len = len < 2 ? 0 : len - 2;
	code = program_run(&c, argc, (char **)argv);
	if (peer >= 0)
		close(peer);
	peer = -1;
	fclose(c.in);
	fclose(c.out);
	fclose(c.err);
	FUZZ_CHECK(code >= 0 && code < 80, "exit code %d", code);
	FUZZ_CHECK(code == CTL_OK || code == CTL_DEGRADED || code == CTL_DOWN || *err, "exit code %d without a word",
		   code);
	check_printed(out, c.out_tty && !(how & 1), c.out_tty);
	check_printed(err, false, false);
	/* One value a line, or one value in all. */
	if ((how & 1) && *out && !c.out_tty && strchr(out, '\n') == out + out_len - 1) {
		_cleanup_json_ json_t *j = json_loads(out, JSON_DECODE_ANY, NULL);

		FUZZ_CHECK(j, "printed: %s", out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + (size ? 1 : 0);
	size_t len = size ? size - 1 : 0;

	switch (size ? *data : 'e') {
	case 'e':
		run_exec(text, len);
		break;
	case 'c':
		stand_in_coproc(text, len, fuzz_random_of(data, size));
		run_hooks("c");
		break;
	case 'd':
		run_driver(text, len);
		break;
	case 'm':
		run_client(text, len);
		break;
	case 'r':
		marks_run(text, len);
		break;
	default:
		break;
	}
	return 0;
}
