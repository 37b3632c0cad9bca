/* The conf file in a daemon's life: checked, refused, read again. */
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CONFIG 78

/* ---- before it runs ---- */

/* --check-config: the exit status; standard output and error, to be freed. */
static int check_config(const struct fixture *f, char **ret_out, char **ret_err)
{
	int status = shell(ret_out, "'%s' --config '%s' --check-config 2> '%s/err'", program_path("sharesd"), f->conf,
			   f->dir);

	*ret_err = read_text(fixture_path(f, "err"));
	return status;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

START_TEST(good_file)
{
	struct fixture *f = fixture_new(
		"# nothing but\n"
		"max_request_bytes = 2MiB\n"
		"exec_timeout = 5\n"
		"hook \"policy\" { run = \"exec:/bin/true\" on_error = \"fail\" methods = {\"create_share_instance\"} "
		"}\n"
		"dir \"media\" { root = \"@DIR@/media\" hook_drivers = {\"policy\"} enable_pre_hooks = true }\n"
		"sim \"s\" { fail = {\"extend_share:ENOSPC\"} }\n");
	char *out, *err;

	ck_assert_int_eq(check_config(f, &out, &err), 0);
	ck_assert_ptr_nonnull(strstr(out, "no faults"));
	ck_assert_str_eq(err, "");
	free(out);
	free(err);
	/* It only looked. */
	ck_assert(!exists(fixture_path(f, "state")));
	ck_assert(!exists(f->socket));
	ck_assert(!exists(fixture_path(f, "media/.sharesd")));
	/* What might be meant is said, and is no fault. */
	fixture_conf(f, "dir \"media\" { root = \"@DIR@/media\" hook_drivers = {\"journal\"} }\n");
	ck_assert_int_eq(check_config(f, &out, &err), 0);
	ck_assert_int_eq(strncmp(err, "warning: ", 9), 0);
	ck_assert_ptr_nonnull(strstr(err, "enable_pre_hooks"));
	ck_assert_uint_eq(count_lines(err), 1);
	free(out);
	free(err);
	fixture_free(f);
}
END_TEST

/* One line a fault, in the order of the file; each says where and which option. Lines 1 and 2 are the harness's. */
static const char faulty[] = "colour = \"red\"\n"
			     "max_batch_entries = 0\n"
			     "request_line_timeout = nan\n"
			     "log_level = \"loud\"\n"
			     "dir \"a\" { }\n"
			     "dir \"b\" { root = \"/x\" periodic_hooks_interval = 0 }\n"
			     "sim \"b\" { latency = \"long\" }\n"
			     "nfs \"c\" { }\n"
			     "hook \"exec\" { run = \"journal\" }\n"
			     "sim \"d\" { hook_drivers = {\"nobody\"} enable_pre_hooks = true }\n";
static const struct {
	int line;
	const char *words[2];
} faults[] = {
	{ 3, { "`colour'", "no such option" } },
	{ 4, { "`max_batch_entries'", "between 1 and" } },
	{ 5, { "`request_line_timeout'", "nan" } },
	{ 6, { "`log_level'", "info" } },
	{ 7, { "`root'", "missing" } },
	{ 8, { "`periodic_hooks_interval'", "dir \"b\"" } },
	{ 9, { "line 8", "sim \"b\"" } },
	{ 9, { "`latency'", "long" } },
	{ 10, { "nfs", "sim" } },
	{ 11, { "hook \"exec\"", "another" } },
	{ 12, { "`hook_drivers'", "nobody" } },
};

static void check_faults(const struct fixture *f, const char *text)
{
	char *copy = strdup(text), *save = NULL, *line = strtok_r(copy, "\n", &save);
	bool seen[sizeof faults / sizeof *faults] = { false };
	size_t n = 0;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "error: ", 7) != 0)
			continue;
		n++;
		for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
			char where[256];

			snprintf(where, sizeof where, "error: %s:%d: ", f->conf, faults[i].line);
			if (strncmp(line, where, strlen(where)) == 0 && strstr(line, faults[i].words[0]) &&
			    strstr(line, faults[i].words[1]))
				seen[i] = true;
		}
	}
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		ck_assert_msg(seen[i], "no line tells of %s in line %d:\n%s", faults[i].words[0], faults[i].line, text);
	ck_assert_msg(n == sizeof faults / sizeof *faults, "%zu lines for %zu faults:\n%s", n,
		      sizeof faults / sizeof *faults, text);
	free(copy);
}

START_TEST(bad_file)
{
	struct fixture *f = fixture_new(faulty);
	char *out, *err, *log;

	ck_assert_int_eq(check_config(f, &out, &err), EXIT_CONFIG);
	ck_assert_str_eq(out, "");
	check_faults(f, err);
	free(out);
	free(err);
	/* The start is refused for the same. */
	fixture_spawn(f, NULL, (uid_t)-1);
	ck_assert(fixture_wait_end(f, 10));
	ck_assert(WIFEXITED(f->status));
	ck_assert_int_eq(WEXITSTATUS(f->status), EXIT_CONFIG);
	log = fixture_log(f);
	check_faults(f, log);
	free(log);
	ck_assert(!exists(fixture_path(f, "state")));
	ck_assert(!exists(f->socket));
	fixture_free(f);
}
END_TEST

static void check_refused_file(struct fixture *f, const char *word)
{
	char *out, *err;

	ck_assert_int_eq(check_config(f, &out, &err), EXIT_CONFIG);
	ck_assert_str_eq(out, "");
	ck_assert_msg(strstr(err, word) != NULL, "no word of \"%s\" in: %s", word, err);
	free(out);
	free(err);
}

START_TEST(files_that_cannot_be)
{
	struct fixture *f = fixture_new("dir \"a\" { root = \"/x\"\n");

	check_refused_file(f, "not closed");
	fixture_conf(f, "state_dir = \"again\n");
	check_refused_file(f, ":3: ");
	fixture_conf(f, "plugins = {\"@DIR@/none.so\"}\n");
	check_refused_file(f, "none.so");
	fixture_conf(f, "plugins = {\"@DIR@/log\"}\n");
	write_file(f->log, "this is no shared object\n");
	check_refused_file(f, f->log);
	ck_assert_int_eq(chmod(f->log, 0666), 0);
	check_refused_file(f, f->log);
	ck_assert_int_eq(unlink(f->log), 0);
	fixture_conf(f, "");
	ck_assert_int_eq(chmod(f->conf, 0666), 0);
	check_refused_file(f, "0666");
	ck_assert_int_eq(chmod(f->conf, 0664), 0);
	check_refused_file(f, "0664");
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(f->conf, 0644), 0);
		ck_assert_int_eq(chown(f->conf, 4711, 0), 0);
		check_refused_file(f, f->conf);
	}
	ck_assert_int_eq(unlink(f->conf), 0);
	check_refused_file(f, "No such file");
	fixture_free(f);
}
END_TEST

/* ---- starts ---- */

static void check_start_refused(struct fixture *f, const char *word)
{
	fixture_spawn(f, NULL, (uid_t)-1);
	ck_assert(fixture_wait_end(f, 10));
	ck_assert(WIFEXITED(f->status));
	ck_assert_int_ne(WEXITSTATUS(f->status), 0);
	ck_assert_msg(fixture_log_has(f, word), "the log says nothing of \"%s\"", word);
}

static void write_conf(struct fixture *f, const char *state, const char *socket)
{
	char *text;

	ck_assert_int_gt(asprintf(&text, "state_dir = \"%s\"\nsocket = \"%s\"\n", state, socket), 0);
	write_file(f->conf, text);
	free(text);
}

START_TEST(starts_that_are_refused)
{
	struct fixture *f = fixture_new("sim \"s\" { }\n"), *g = fixture_new("");

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "a", "size_bytes", 1));
	/* The same state, the same socket. */
	write_conf(g, fixture_path(f, "state"), g->socket);
	check_start_refused(g, "another sharesd");
	write_conf(g, fixture_path(g, "state"), f->socket);
	check_start_refused(g, "another sharesd serves");
	json_decref(call(f, "get_share", "{s:s}", "share", "a"));
	/* Places that are not there. */
	write_conf(g, fixture_path(g, "none/state"), g->socket);
	check_start_refused(g, "none/state");
	write_conf(g, fixture_path(g, "state"), fixture_path(g, "none/sock"));
	check_start_refused(g, "none/sock");
	write_conf(g, fixture_path(g, "state"), fixture_path(g, "%0150d", 0));
	check_start_refused(g, "longer than");
	/* A directory that is not private. */
	ck_assert_int_eq(mkdir(fixture_path(g, "open"), 0777), 0);
	ck_assert_int_eq(chmod(fixture_path(g, "open"), 0777), 0);
	write_conf(g, fixture_path(g, "open"), g->socket);
	check_start_refused(g, "0777");
	fixture_free(g);
	/* What a killed daemon leaves is in nobody's way. */
	fixture_kill(f);
	ck_assert(exists(f->socket));
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "get_share", "{s:s}", "share", "a"));
	fixture_stop(f);
	ck_assert(!exists(f->socket));
	fixture_free(f);
}
END_TEST

static void check_backend(const struct fixture *f, const char *name, const char *status, const char *reason)
{
	json_t *b = call(f, "get_backend", "{s:s}", "backend", name);

	ck_assert_str_eq(str_at(b, "status"), status);
	if (reason)
		ck_assert_msg(strstr(str_at(b, "status_reason"), reason) != NULL,
			      "the reason says nothing of \"%s\": %s", reason, str_at(b, "status_reason"));
	else
		ck_assert(json_is_null(at(b, "status_reason")));
	json_decref(b);
}

static void wait_reason(const struct fixture *f, const char *backend, const char *reason)
{
	double until = now() + 60;
	bool told = false;

	while (!told) {
		json_t *b = call(f, "get_backend", "{s:s}", "backend", backend);
		const char *text = json_string_value(at(b, "status_reason"));

		told = text && strstr(text, reason);
		ck_assert_msg(told || now() < until, "the reason says nothing of \"%s\": %s", reason, text);
		json_decref(b);
		nap(0.02);
	}
}

START_TEST(what_it_points_at)
{
	struct fixture *f =
		fixture_new("dir \"lost\" { root = '@DIR@/lost' }\n"
			    "dir \"fine\" { root = \"@DIR@/fine\" }\n"
			    "sim \"hooked\" { hook_drivers = {\"exec:@DIR@/hook\"} enable_pre_hooks = true }\n");
	json_t *e;

	fixture_start(f, NULL, (uid_t)-1);
	check_backend(f, "lost", "down", "lost");
	check_backend(f, "fine", "up", NULL);
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "a", "size_bytes", 1, "backend", "fine"));
	e = call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1,
		       "backend", "lost");
	ck_assert_str_eq(str_at(e, "data.backend"), "lost");
	ck_assert(json_is_true(at(e, "data.retryable")));
	json_decref(e);
	/* It is tried again. */
	ck_assert_int_eq(mkdir(fixture_path(f, "lost"), 0755), 0);
	wait_backend(f, "lost", "up");
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "b", "size_bytes", 1, "backend", "lost"));
	/* A hook program that is not there, or that others may write: no change gets past it. */
	for (int i = 0; i < 2; i++) {
		wait_reason(f, "hooked", i ? "others may write it" : "No such file");
		e = call_error(f, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "c", "size_bytes",
			       1, "backend", "hooked");
		ck_assert_ptr_nonnull(strstr(str_at(e, "message"), fixture_path(f, "hook")));
		json_decref(e);
		fixture_program(f, "hook", "#!/bin/sh\nexit 0\n");
		ck_assert_int_eq(chmod(fixture_path(f, "hook"), 0777), 0);
	}
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "c"));
	ck_assert_int_eq(chmod(fixture_path(f, "hook"), 0755), 0);
	wait_backend(f, "hooked", "up");
	json_decref(
		call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "c", "size_bytes", 1, "backend", "hooked"));
	fixture_free(f);
}
END_TEST

/* ---- reloads ---- */

static int count_in_log(const struct fixture *f, const char *text)
{
	char *log = fixture_log(f);
	int n = 0;

	for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
		n++;
	free(log);
	return n;
}

static void hup_and_wait(struct fixture *f, const char *text)
{
	int before = count_in_log(f, text);
	double until = now() + 10;

	fixture_hup(f);
	while (count_in_log(f, text) == before) {
		ck_assert_msg(now() < until, "no \"%s\" in the log after a reload", text);
		nap(0.01);
	}
}

/* Taken by both threads. */
static void reload(struct fixture *f, const char *body)
{
	fixture_conf(f, body);
	hup_and_wait(f, "is in force");
	json_decref(call(f, "list_orphans", NULL));
}

static void reload_refused(struct fixture *f, const char *body, const char *word)
{
	int before = count_in_log(f, word);

	fixture_conf(f, body);
	hup_and_wait(f, "is not taken, the old one stays in force");
	ck_assert_msg(count_in_log(f, word) > before, "the log says nothing of \"%s\"", word);
}

#define A "dir \"a\" { root = \"@DIR@/a\" }\n"
#define B "sim \"b\" { }\n"

START_TEST(backends_come_and_go)
{
	struct fixture *f = fixture_new(A B);
	struct client *c;
	json_t *share;

	fixture_start(f, NULL, (uid_t)-1);
	c = client_new(f);
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes", 1000, "backend",
				"a"));
	reload(f, A B "dir \"new\" { root = \"@DIR@/new\" }\n");
	wait_backend(f, "new", "up");
	json_decref(client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "y", "size_bytes", 1000, "backend",
				"new"));
	/* One that is empty is forgotten. */
	reload(f, A "dir \"new\" { root = \"@DIR@/new\" }\n");
	json_decref(client_error(c, "not_found", "get_backend", "{s:s}", "backend", "b"));
	json_decref(client_error(c, "not_found", "create_share_instance", "{s:s,s:i,s:s}", "name", "z", "size_bytes", 1,
				 "backend", "b"));
	json_decref(client_error(c, "not_found", "init_host", "{s:s}", "backend", "b"));
	/* One with shares stays, and says why nothing can be done there. */
	reload(f, A);
	check_backend(f, "new", "down", "not in the conf file");
	share = client_call(c, "get_share", "{s:s}", "share", "y");
	ck_assert_str_eq(str_at(share, "status"), "available");
	json_decref(share);
	share = client_error(c, "backend_down", "extend_share", "{s:s,s:i}", "share", "y", "size_bytes", 2000);
	ck_assert_ptr_nonnull(strstr(str_at(share, "message"), "conf file"));
	json_decref(share);
	json_decref(client_error(c, "backend_down", "create_share_instance", "{s:s,s:i,s:s}", "name", "z", "size_bytes",
				 1, "backend", "new"));
	json_decref(client_error(c, "backend_down", "init_host", "{s:s}", "backend", "new"));
	/* What the store alone knows can still be changed. */
	json_decref(client_call(c, "set_metadata", "{s:s,s:{s:s}}", "share", "y", "metadata", "k", "v"));
	/* Over a restart the same. */
	client_free(c);
	fixture_stop(f);
	fixture_start(f, NULL, (uid_t)-1);
	check_backend(f, "new", "down", "not in the conf file");
	json_decref(call_error(f, "backend_down", "delete_share_instance", "{s:s}", "share", "y"));
	/* And back again. */
	reload(f, A B "dir \"new\" { root = \"@DIR@/new\" }\n");
	wait_backend(f, "new", "up");
	wait_backend(f, "b", "up");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "y", "size_bytes", 2000));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "y"));
	json_decref(call(f, "create_share_instance", "{s:s,s:i,s:s}", "name", "z", "size_bytes", 1, "backend", "b"));
	/* What lies on a backend that does not come back can be forgotten. */
	reload(f, A);
	json_decref(call_error(f, "backend_down", "delete_share_instance", "{s:s}", "share", "z"));
	json_decref(call(f, "delete_share_instance", "{s:s,s:b}", "share", "z", "force", 1));
	json_decref(call_error(f, "not_found", "get_share", "{s:s}", "share", "z"));
	json_decref(call(f, "get_share", "{s:s}", "share", "x"));
	fixture_free(f);
}
END_TEST

#define HOOKED(entry, more) "sim \"b\" { hook_drivers = {\"" entry "\"} " more " }\n"

START_TEST(hooks_change)
{
	struct fixture *f = fixture_new(HOOKED("exec:@DIR@/one", "enable_pre_hooks = true"));
	json_t *hooks, *e;

	fixture_program(f, "one", "#!/bin/sh\necho one >> @DIR@/ran\nexit 10\n");
	fixture_program(f, "two", "#!/bin/sh\necho $1 two >> @DIR@/ran\n");
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call_error(f, "vetoed", "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1));
	ck_assert_int_eq(unlink(fixture_path(f, "ran")), 0);
	reload(f, HOOKED("exec:@DIR@/two", "enable_pre_hooks = true enable_post_hooks = true"));
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1));
	hooks = call(f, "list_hooks", NULL);
	ck_assert_uint_eq(json_array_size(at(hooks, "hooks")), 1);
	ck_assert_ptr_nonnull(strstr(str_at(hooks, "hooks.0.entry"), "/two"));
	json_decref(hooks);
	ck_assert_int_eq(shell(NULL, "printf 'pre two\\npost two\\n' | cmp - %s/ran", f->dir), 0);
	/* Only the phases. */
	reload(f, HOOKED("exec:@DIR@/one", "enable_post_hooks = true"));
	e = call_error(f, "post_hook_failed", "extend_share", "{s:s,s:i}", "share", "x", "size_bytes", 2);
	ck_assert_int_eq(int_at(e, "data.result.size_bytes"), 2);
	json_decref(e);
	reload(f, HOOKED("exec:@DIR@/one", "enable_post_hooks = true suppress_post_hooks_errors = true"));
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "x", "size_bytes", 3));
	reload(f, B);
	hooks = call(f, "list_hooks", NULL);
	ck_assert_uint_eq(json_array_size(at(hooks, "hooks")), 0);
	json_decref(hooks);
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "x", "size_bytes", 4));
	/* Their timer. */
	ck_assert_int_eq(unlink(fixture_path(f, "ran")), 0);
	reload(f, HOOKED("exec:@DIR@/two", "enable_periodic_hooks = true periodic_hooks_interval = 0.2"));
	for (double until = now() + 20; shell(NULL, "grep -qsx 'periodic two' %s/ran", f->dir) != 0; nap(0.02))
		ck_assert_msg(now() < until, "no periodic hook ran");
	fixture_free(f);
}
END_TEST

/* A call under way keeps the hooks that it began with. */
START_TEST(hooks_change_under_a_call)
{
	struct fixture *f = fixture_new(
		"dir \"a\" { root = \"@DIR@/a\" hook_drivers = {\"exec:@DIR@/one\"} enable_pre_hooks = true "
		"enable_post_hooks = true }\n");
	struct client *c;
	json_t *reply;

	fixture_program(f, "one", "#!/bin/sh\necho $1 $2 one >> @DIR@/ran\n");
	fixture_program(f, "two", "#!/bin/sh\necho $1 $2 two >> @DIR@/ran\n");
	fixture_hold_work(f);
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1));
	ck_assert_int_eq(unlink(fixture_path(f, "ran")), 0);
	c = client_new(f);
	client_line(c, "{'jsonrpc':'2.0','id':1,'method':'create_snapshot','params':{'share':'x','name':'s'}}");
	json_decref(client_call(c, "list_shares", NULL)); /* it is in the queue, before the reload */
	reload(f, "dir \"a\" { root = \"@DIR@/a\" hook_drivers = {\"exec:@DIR@/two\"} enable_pre_hooks = true "
		  "enable_post_hooks = true }\n");
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "x", "size_bytes", 5));
	fixture_release_work(f);
	reply = client_read(c);
	ck_assert_str_eq(str_at(reply, "result.status"), "available");
	json_decref(reply);
	client_free(c);
	ck_assert_int_eq(
		shell(NULL,
		      "printf '%%s\\n' 'post create_snapshot one' 'post extend_share two' 'pre create_snapshot one' "
		      "'pre extend_share two' > %s/want; LC_ALL=C sort %s/ran | cmp - %s/want",
		      f->dir, f->dir, f->dir),
		0);
	fixture_free(f);
}
END_TEST

START_TEST(bad_files_change_nothing)
{
	struct fixture *f = fixture_new("max_batch_entries = 5\n" A);
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1));
	reload_refused(f, "max_batch_entries = 6\ncolour = 1\n" A B, "`colour'");
	reload_refused(f, "max_batch_entries = 6\n" A B "dir \"z\" {\n", "not closed");
	reload_refused(f, "max_batch_entries = 6\ndir \"a\" { root = \"@DIR@/elsewhere\" }\n" B,
		       "backend \"a\": option `root'");
	reload_refused(f, "max_batch_entries = 6\nsim \"a\" { }\n" B, "backend \"a\": driver");
	reload_refused(f, "max_batch_entries = 6\nplugins = {\"/x.so\"}\n" A B, "`plugins'");
	j = call(f, "get_service", NULL);
	ck_assert_int_eq(int_at(j, "limits.max_batch_entries"), 5);
	json_decref(j);
	json_decref(call_error(f, "not_found", "get_backend", "{s:s}", "backend", "b"));
	check_backend(f, "a", "up", NULL);
	/* Where the daemon itself lives. */
	write_conf(f, fixture_path(f, "state2"), f->socket);
	hup_and_wait(f, "is not taken");
	ck_assert(fixture_log_has(f, "`state_dir'"));
	write_conf(f, fixture_path(f, "state"), fixture_path(f, "sock2"));
	hup_and_wait(f, "is not taken");
	ck_assert(fixture_log_has(f, "`socket'"));
	ck_assert_int_eq(unlink(f->conf), 0);
	hup_and_wait(f, "is not taken");
	fixture_conf(f, A);
	ck_assert_int_eq(chmod(f->conf, 0666), 0);
	hup_and_wait(f, "is not taken");
	ck_assert_int_eq(chmod(f->conf, 0600), 0);
	hup_and_wait(f, "is in force");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "x"));
	fixture_free(f);
}
END_TEST

START_TEST(options_change)
{
	struct fixture *f = fixture_new("max_batch_entries = 5\nsocket_mode = \"0600\"\n" A B);
	struct client *c;
	struct stat st;
	json_t *j;

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert_int_eq(stat(f->socket, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	c = client_new(f);
	json_decref(
		client_call(c, "create_share_instance", "{s:s,s:i,s:s}", "name", "x", "size_bytes", 1, "backend", "b"));
	reload(f,
	       "max_batch_entries = 1\nmax_request_bytes = 1024\nmax_request_depth = 5\nmax_connections_per_user = 2\n"
	       "request_line_timeout = 0.2\nsocket_mode = \"0666\"\nadmin_groups = {\"sys\"}\n"
	       "dir \"a\" { root = \"@DIR@/a\" default_mode = \"0700\" reserved_percentage = 100 }\n"
	       "sim \"b\" { latency = 0.3 fail = {\"extend_share:ENOSPC\"} }\n");
	/* Connections outlive it, and live by the new limits. */
	j = client_call(c, "get_service", NULL);
	ck_assert_int_eq(int_at(j, "limits.max_batch_entries"), 1);
	ck_assert_int_eq(int_at(j, "limits.max_request_bytes"), 1024);
	json_decref(j);
	ck_assert_int_eq(stat(f->socket, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0666);
	j = client_ask(
		c, "[{'jsonrpc':'2.0','method':'list_shares','id':1},{'jsonrpc':'2.0','method':'list_shares','id':2}]");
	ck_assert_int_eq(int_at(j, "error.data.limit"), 1);
	json_decref(j);
	j = client_ask(c, "{'jsonrpc':'2.0','method':'list_shares','id':1,'params':{'limit':[[[[1]]]]}}");
	ck_assert_int_eq(int_at(j, "error.code"), -32600);
	json_decref(j);
	/* A driver's options too. */
	wait_backend(f, "b", "up");
	j = client_error(c, "no_space", "extend_share", "{s:s,s:i}", "share", "x", "size_bytes", 2);
	ck_assert_str_eq(str_at(j, "data.errno"), "ENOSPC");
	json_decref(j);
	json_decref(client_error(c, "no_space", "create_share_instance", "{s:s,s:i,s:s}", "name", "y", "size_bytes", 1,
				 "backend", "a"));
	client_send_text(c, "{");
	ck_assert_ptr_null(client_read(c));
	client_free(c);
	if (geteuid() == 0) {
		c = client_new_as(f, 4711, 3);
		json_decref(client_call(c, "list_shares", NULL));
		client_free(c);
		reload(f, A B);
		c = client_new_as(f, 4711, 3);
		j = client_read(c);
		ck_assert_str_eq(str_at(j, "error.data.kind"), "permission_denied");
		json_decref(j);
		client_free(c);
	}
	fixture_free(f);
}
END_TEST

/* What hooks may answer is as deep as what clients may ask, after a reload too. */
START_TEST(depth_of_hooks_answers)
{
	struct fixture *f = fixture_new("max_request_depth = 5\n" HOOKED("exec:@DIR@/deep", "enable_pre_hooks = true"));
	json_t *e;

	fixture_program(f, "deep", "#!/bin/sh\necho '{\"a\":[[[[[[1]]]]]]}'\n");
	fixture_start(f, NULL, (uid_t)-1);
	e = call_error(f, "pre_hook_failed", "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1);
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "deep"));
	json_decref(e);
	reload(f, HOOKED("exec:@DIR@/deep", "enable_pre_hooks = true"));
	json_decref(call(f, "create_share_instance", "{s:s,s:i}", "name", "x", "size_bytes", 1));
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_e2e");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, good_file);
	tcase_add_test(t, bad_file);
	tcase_add_test(t, files_that_cannot_be);
	tcase_add_test(t, starts_that_are_refused);
	tcase_add_test(t, what_it_points_at);
	tcase_add_test(t, backends_come_and_go);
	tcase_add_test(t, hooks_change);
	tcase_add_test(t, hooks_change_under_a_call);
	tcase_add_test(t, bad_files_change_nothing);
	tcase_add_test(t, options_change);
	tcase_add_test(t, depth_of_hooks_answers);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
