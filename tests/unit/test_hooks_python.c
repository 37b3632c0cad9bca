/* The module python with real processes: what hook classes see and answer, and all that can be wrong with them. */
#include "tests/unit/others.h"
#include "tests/unit/test_hooks.h"

static const char *const func_name = "create_share_instance";

/* The module m in the test's directory; "@DIR@" in it is replaced by the directory. */
static void write_module(const char *name, const char *source)
{
	_cleanup_free_ char *whole = xstrdup("");
	const char *mark;

	while ((mark = strstr(source, "@DIR@"))) {
		char *longer = xasprintf("%s%.*s%s", whole, (int)(mark - source), source, dir);

		free(whole);
		whole = longer;
		source = mark + strlen("@DIR@");
	}
	_cleanup_free_ char *all = xasprintf("%s%s", whole, source);
	write_file(name, all, 0644);
}

static struct hook_set *start_entry(const char *entry, const char *options)
{
	return one_hook(entry, text("python_path = {\"%s\"}\n%s", dir, options));
}

#define HEAD "import os, sys, json, time\nfrom sharesd.hook import HookBase, Veto\n\n\nclass H(HookBase):\n"
#define PRE  "    def _execute_pre_hook(self, context, func_name, *args, **kwargs):\n"
#define POST                                                                                                           \
	"    def _execute_post_hook(self, context, func_name, pre_hook_data, driver_action_results, *args, "           \
	"**kwargs):\n"
#define PERIODIC "    def _execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):\n"
#define ERROR    "    def _execute_error_hook(self, context, func_name, pre_hook_data, error, *args, **kwargs):\n"

/* The class m:H. */
static struct hook_set *start(const char *methods, const char *options)
{
	_cleanup_free_ char *source = xasprintf("%s%s", HEAD, methods);

	write_module("m.py", source);
	return start_entry("python:m:H", options);
}

static int pre(struct hook_set *set, struct error *e)
{
	error_clear(e);
	return run_phase(set, HOOK_PRE, func_name, NULL, NULL, e);
}

static json_t *described(struct hook_set *set)
{
	_cleanup_json_ json_t *list = hook_set_describe(set);

	return json_incref(json_array_get(list, 0));
}

static json_t *read_json(const char *name)
{
	_cleanup_free_ char *s = read_file(name);
	json_t *j = json_loads(s, JSON_DECODE_ANY, NULL);

	ck_assert_msg(j != NULL, "%s holds: %s", name, s);
	return j;
}

static void says(const struct error *e, const char *words)
{
	ck_assert_msg(e->message && strstr(e->message, words) != NULL, "it says: %s\nand not: %s",
		      e->message ? e->message : "nothing", words);
}

/* ---- what a hook sees ---- */

START_TEST(test_what_it_sees)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(
		"    def __init__(self, configuration, host):\n"
		"        super().__init__(configuration, host)\n"
		"        self.made = os.getpid()\n" PRE
		"        json.dump([func_name, kwargs, context.to_dict(), self.event, self.host, context.user,\n"
		"                   self.get_config_option('color'), self.configuration.color, "
		"self.pre_hooks_enabled,\n"
		"                   self.get_config_option('no_such'), dict(os.environ), self.made == os.getpid(),\n"
		"                   sys.stdin.read(), os.getcwd()],\n"
		"                  open('@DIR@/pre.json', 'w'))\n"
		"        return {'from': 'pre', 'n': (1, 2)}\n" POST
		"        json.dump([func_name, kwargs, pre_hook_data, driver_action_results, self.event['result']],\n"
		"                  open('@DIR@/post.json', 'w'))\n"
		"        return {'n': 5}\n" PERIODIC "        json.dump([periodic_hook_data, self.event['func_name']], "
		"open('@DIR@/periodic.json', 'w'))\n" ERROR
		"        json.dump([error, kwargs, pre_hook_data], open('@DIR@/error.json', 'w'))\n",
		"hook_options = {\"color=blue\"}\n");
	struct fake_call f;

	fake_call_init(&f, func_name);
	json_object_set_new(f.args, "id", json_string("new"));
	json_t *n = jsonx_pack("{s:i}", "n", 1), *changed = NULL;
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_pre(run, &e) == 0, "%s", e.message);
	ck_assert_msg(hook_run_post(run, n, &changed, &e) == 0, "%s", e.message);
	_cleanup_error_ struct error cause = ERROR_INIT;
	error_set(&cause, ERR_NO_SPACE, ENOSPC, "no space on media");
	hook_run_error(run, &cause);
	hook_run_free(run);
	run_phase(set, HOOK_PERIODIC, NULL, NULL, NULL, &e);
	ck_assert_int_eq(jsonx_int(n, "n"), 5);
	json_decref(n);
	json_decref(changed);
	fake_call_clear(&f);

	_cleanup_json_ json_t *seen = read_json("pre.json"), *post = read_json("post.json");
	_cleanup_json_ json_t *error = read_json("error.json"), *periodic = read_json("periodic.json");
	_cleanup_free_ char *kwargs = jsonx_canonical(json_array_get(seen, 1));
	ck_assert_str_eq(json_string_value(json_array_get(seen, 0)), func_name);
	ck_assert_str_eq(kwargs, "{\"id\":\"new\",\"name\":\"photos\",\"share_id\":\"new\",\"size_bytes\":4096,"
				 "\"snapshot_id\":null}");
	json_t *context = json_array_get(seen, 2), *event = json_array_get(seen, 3);
	ck_assert_str_eq(jsonx_str(context, "user_id"), "1000");
	ck_assert_str_eq(jsonx_str(context, "request_id"), "c-1");
	ck_assert_str_eq(jsonx_str(event, "phase"), "pre");
	ck_assert_int_eq(jsonx_int(event, "version"), 1);
	ck_assert_str_eq(json_string_value(json_array_get(seen, 4)), "nas1@media");
	ck_assert_str_eq(json_string_value(json_array_get(seen, 5)), "ann");
	ck_assert_str_eq(json_string_value(json_array_get(seen, 6)), "blue");
	ck_assert_str_eq(json_string_value(json_array_get(seen, 7)), "blue");
	ck_assert(json_is_true(json_array_get(seen, 8)));
	ck_assert(json_is_null(json_array_get(seen, 9)));
	ck_assert_str_eq(jsonx_str(json_array_get(seen, 10), "SHARESD_SOCKET"), socket_path);
	ck_assert_str_eq(jsonx_str(json_array_get(seen, 10), "SHARESD_CALL_ID"), "c-1");
	ck_assert_ptr_null(jsonx_str(json_array_get(seen, 10), "HOME"));
	ck_assert(json_is_true(json_array_get(seen, 11)));
	ck_assert_str_eq(json_string_value(json_array_get(seen, 12)), "");
	_cleanup_free_ char *data = jsonx_canonical(json_array_get(post, 2));
	_cleanup_free_ char *before = jsonx_canonical(json_array_get(post, 3));
	ck_assert_str_eq(data, "{\"from\":\"pre\",\"n\":[1,2]}");
	ck_assert_str_eq(before, "{\"n\":1}");
	ck_assert_str_eq(jsonx_str(json_array_get(post, 4), "name"), "photos");
	ck_assert_str_eq(jsonx_str(json_object_get(json_array_get(error, 0), "data"), "kind"), "no_space");
	ck_assert_str_eq(jsonx_str(json_array_get(error, 2), "from"), "pre");
	ck_assert(json_is_null(json_array_get(periodic, 1)));
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_str_eq(jsonx_str(shown, "module"), "python");
	ck_assert_str_eq(jsonx_str(shown, "state"), "running");
	ck_assert_str_eq(jsonx_str(shown, "containment"), "subreaper");
	ck_assert_int_eq(jsonx_int(shown, "starts"), 1);
	pid_t pid = (pid_t)jsonx_int(shown, "pid");
	hook_set_free(set);
	for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
		sleep_ms(10);
	ck_assert_int_lt(kill(pid, 0), 0);
}
END_TEST

/* A hook written for Manila, which imports nothing else. */
START_TEST(test_class_for_manila)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_module("notifier.py",
		     "import json\n\nfrom manila.share import hook\n\n\nclass Notifier(hook.HookBase):\n\n"
		     "    def _note(self, *what):\n"
		     "        with open('@DIR@/notes', 'a') as f:\n"
		     "            f.write(json.dumps(what) + '\\n')\n\n" PRE
		     "        self._note('pre', func_name, kwargs['share_id'], self.get_config_option('color'))\n"
		     "        return {'share': kwargs['share_id']}\n\n" POST
		     "        self._note('post', func_name, pre_hook_data, driver_action_results)\n\n" PERIODIC
		     "        self._note('periodic', len(periodic_hook_data))\n");
	struct hook_set *set = start_entry("python:notifier:Notifier", "hook_options = {\"color=blue\"}\n"
								       "suppress_pre_hooks_errors = true\n");
	struct fake_call f;
	json_t *results = jsonx_pack("{s:i}", "n", 1), *changed = NULL, *shares = jsonx_pack("[{},{}]");

	ck_assert_msg(hook_set_check(set, &e) == 0, "%s", e.message);
	ck_assert(!hook_set_wants(set, HOOK_ERROR, func_name));
	fake_call_init(&f, "extend_share");
	json_object_set_new(f.args, "share", json_string("s-1"));
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_pre(run, &e) == 0, "%s", e.message);
	ck_assert_msg(hook_run_post(run, results, &changed, &e) == 0, "%s", e.message);
	hook_run_periodic(run, shares);
	/* A suppressed failure is the daemon's to suppress: it sees it. */
	json_object_del(f.args, "share");
	ck_assert_int_eq(hook_run_pre(run, &e), 0);
	_cleanup_free_ char *outcomes = jsonx_dump(json_array_get(hook_run_outcomes(run), 3));
	ck_assert_msg(strstr(outcomes, "\"suppressed\"") && strstr(outcomes, "KeyError: 'share_id'"), "%s", outcomes);
	hook_run_free(run);
	fake_call_clear(&f);
	json_decref(results);
	json_decref(changed);
	json_decref(shares);
	hook_set_free(set);
	_cleanup_free_ char *notes = read_file("notes");
	ck_assert_str_eq(notes, "[\"pre\", \"extend_share\", \"s-1\", \"blue\"]\n"
				"[\"post\", \"extend_share\", {\"share\": \"s-1\"}, {\"n\": 1}]\n[\"periodic\", 2]\n");
}
END_TEST

/* ---- answers: whatever they are, the process stays ---- */

static const struct {
	enum hook_phase phase;
	const char *method;
	const char *message; /* NULL: it is taken */
	enum error_kind kind;
	int n; /* the results' "n" after post */
} answers[] = {
	{ HOOK_PRE, PRE "        pass\n", NULL, 0, 1 },
	{ HOOK_PRE, PRE "        return [1, 2.5, None, True, 'x', {'a': ()}]\n", NULL, 0, 1 },
	{ HOOK_PRE, PRE "        raise Veto('not today')\n", "not today", ERR_VETOED, 1 },
	{ HOOK_PRE, PRE "        raise Veto('caf\\u00e9 \\ud800')\n", "caf\xc3\xa9 ?", ERR_VETOED, 1 },
	{ HOOK_PRE, PRE "        raise Veto()\n", "the hook refused create_share_instance and gave no reason",
	  ERR_VETOED, 1 },
	{ HOOK_PRE, PRE "        raise ValueError('no ticket')\n",
	  "before create_share_instance: ValueError: no ticket", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        raise ValueError('two\\nlines')\n", ": ValueError: two lines", ERR_PRE_HOOK_FAILED,
	  1 },
	{ HOOK_PRE, PRE "        raise ValueError\n", ": ValueError", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE,
	  PRE "        class Odd(Exception):\n            def __str__(self):\n                raise KeyError(1)\n"
	      "        raise Odd()\n",
	  ": Odd: its text cannot be had", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        sys.exit(3)\n", ": SystemExit: 3", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        raise KeyboardInterrupt\n", ": KeyboardInterrupt", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return self._execute_pre_hook(context, func_name)\n",
	  ": RecursionError: maximum recursion depth exceeded", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return 'x' * 2000000\n", "the answer has 200", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return object()\n", "what the pre hook returned is an object, which JSON cannot hold",
	  ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return {'a': [1, {'b': {1, 2}}]}\n",
	  "what the pre hook returned[\"a\"][1][\"b\"] is a set, which", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return {1: 2}\n", "has a key that is an int, but keys are texts", ERR_PRE_HOOK_FAILED,
	  1 },
	{ HOOK_PRE, PRE "        return float('nan')\n", "is nan, which JSON cannot hold", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return 2 ** 63\n", "more than 64 bits", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return 2 ** 63 - 1\n", NULL, 0, 1 },
	{ HOOK_PRE, PRE "        return '\\ud800'\n", "characters that are no text", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return 'a\\0b'\n", "characters that are no text", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return {'\\ud800': 1}\n", "characters that are no text", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        a = []\n        a.append(a)\n        return a\n", "or holds itself",
	  ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_PRE, PRE "        return [[[[[[]]]]]]\n", NULL, 0, 1 },
	{ HOOK_PRE, PRE "        return [[[[[[[]]]]]]]\n", "is nested too deep", ERR_PRE_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        pass\n", NULL, 0, 1 },
	{ HOOK_POST, POST "        return {}\n", NULL, 0, 1 },
	{ HOOK_POST, POST "        return driver_action_results\n", NULL, 0, 1 },
	{ HOOK_POST, POST "        return {'n': 2}\n", NULL, 0, 2 },
	{ HOOK_POST, POST "        driver_action_results['n'] = 3\n", NULL, 0, 3 },
	{ HOOK_POST, POST "        driver_action_results['n'] = 3\n        return {'n': 4}\n", NULL, 0, 4 },
	{ HOOK_POST, POST "        driver_action_results['size'] = 1\n", "may not set it", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return {'n': True}\n", "\"n\": it must be a number", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return {'n': 1.0}\n", "\"n\": it must be a number", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return [1]\n", "the post hook returned a list, but it returns a dict or None",
	  ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        del driver_action_results['n']\n", "took \"n\" out of driver_action_results",
	  ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return {'n': object()}\n", "driver_action_results[\"n\"] is an object",
	  ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return {5: 1}\n", "has a key that is an int", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        return {'metadata': [[[[]]]]}\n", NULL, 0, 1 },
	{ HOOK_POST, POST "        return {'metadata': [[[[[]]]]]}\n", "nested too deep", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        raise Veto('late')\n", "only a pre hook may veto: late", ERR_POST_HOOK_FAILED, 1 },
	{ HOOK_POST, POST "        raise OSError(28, 'No space left on device')\n",
	  ": OSError: [Errno 28] No space left on device", ERR_POST_HOOK_FAILED, 1 },
	/* What it prints goes to the log, by whatever way. */
	{ HOOK_POST,
	  POST "        print('{\"id\": 1}')\n        os.write(1, b'garbage\\n')\n        os.system('echo more')\n"
	       "        sys.stdout.write('no end of line')\n        return {'n': 6}\n",
	  NULL, 0, 6 },
	{ HOOK_POST, POST "        sys.stdout.close()\n        sys.stderr.close()\n        return {'n': 7}\n", NULL, 0,
	  7 },
	{ HOOK_POST, POST "        sys.stdout = sys.stderr = None\n        return {'n': 8}\n", NULL, 0, 8 },
	{ HOOK_POST, POST "        input()\n", ": EOFError: EOF when reading a line", ERR_POST_HOOK_FAILED, 1 },
	/* A child that comes back out of the hook does not answer too. */
	{ HOOK_POST,
	  POST "        if os.fork() == 0:\n            return {'n': 99}\n        os.wait()\n        return {'n': 9}\n",
	  NULL, 0, 9 },
};

START_TEST(test_answers)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = NULL;

	max_depth = 6;
	struct hook_set *set = start(answers[_i].method, "");
	for (int twice = 0; twice < 2; twice++) {
		json_decref(results);
		error_clear(&e);
		int r = run_phase(set, answers[_i].phase, func_name, &results, NULL, &e);
		ck_assert_int_eq(jsonx_int(results, "n"), answers[_i].n);
		if (!answers[_i].message) {
			ck_assert_msg(r == 0, "%s", e.message);
		} else {
			ck_assert_int_lt(r, 0);
			says(&e, answers[_i].message);
			ck_assert_int_eq(e.kind, answers[_i].kind);
		}
	}
	_cleanup_json_ json_t *shown = described(set);
	ck_assert_str_eq(jsonx_str(shown, "state"), "running");
	ck_assert_int_eq(jsonx_int(shown, "starts"), 1);
	hook_set_free(set);
}
END_TEST

/* The traceback is the hook's alone, in the log and beside the error. */
START_TEST(test_traceback)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	int fd = open(in_dir("log"), O_CREAT | O_WRONLY | O_APPEND, 0600), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	struct hook_set *set = start(PRE "        self.helper()\n\n    def helper(self):\n        {}['ticket']\n", "");
	ck_assert_int_lt(pre(set, &e), 0);
	hook_set_free(set);
	dup2(saved, STDERR_FILENO);
	close(fd);
	close(saved);
	says(&e, "hook \"python:m:H\" failed before create_share_instance: KeyError: 'ticket'");
	const char *errors = jsonx_str(e.data, "stderr");
	_cleanup_free_ char *log = read_file("log");
	const char *const lines[] = { "Traceback (most recent call last):", text("File \"%s/m.py\", line 7, in ", dir),
				      text("File \"%s/m.py\", line 10, in helper", dir), "KeyError: 'ticket'" };
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		ck_assert_msg(strstr(errors, lines[i]) != NULL, "no \"%s\" in: %s", lines[i], errors);
		ck_assert_msg(strstr(log, lines[i]) != NULL, "no \"%s\" in: %s", lines[i], log);
	}
	ck_assert_ptr_null(strstr(log, "runner.py"));
}
END_TEST

/* ---- what ends the process ---- */

/* Only what is to run into it has a short time limit. */
static const char *limit_for(const char *message)
{
	return strstr(message, "no answer") ? "python_timeout = 1.5\n" : "";
}

static const struct {
	const char *body; /* in the first process only */
	const char *message;
} broken[] = {
	{ "os._exit(3)", "it ended (exit status 3)" },
	{ "os.kill(os.getpid(), 9)", "it ended (signal 9 (Killed))" },
	{ "print('bye', file=sys.stderr); os._exit(1)", "it ended (exit status 1): bye" },
	{ "while True: pass", "no answer within 1.5 s and killed" },
	{ "time.sleep(60)", "no answer within 1.5 s and killed" },
	{ "os.system('setsid sleep 60 & echo $! >@DIR@/child'); time.sleep(60)", "no answer within 1.5 s and killed" },
	{ "os.closerange(0, 100)", "it ended (exit status " },
	{ "os.write(os.dup(max(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n)"
	  " and os.readlink('/proc/self/fd/' + n) == os.readlink('/proc/self/fd/4'))), b'not an answer\\n')",
	  "it wrote a line that is no answer" },
};

START_TEST(test_broken)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(text(PRE "        if not os.path.exists('@DIR@/seen'):\n"
					      "            open('@DIR@/seen', 'w').close()\n            %s\n",
					  broken[_i].body),
				     limit_for(broken[_i].message));

	/* So that its start is not in the time of the event. */
	for (int i = 0; i < 40 && hook_set_check(set, &e) < 0; i++)
		error_clear(&e);
	ck_assert_int_lt(pre(set, &e), 0);
	ck_assert_int_eq(e.kind, ERR_PRE_HOOK_FAILED);
	says(&e, broken[_i].message);
	if (strstr(broken[_i].body, "child")) {
		pid_t child = (pid_t)number_in("child");

		ck_assert_int_gt(child, 1);
		ck_assert_int_lt(kill(child, 0), 0);
	}
	for (int i = 0; i < 40 && hook_set_check(set, &e) < 0; i++)
		error_clear(&e);
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	hook_set_free(set);
}
END_TEST

/* ---- what cannot be made ---- */

static const struct {
	const char *entry;
	const char *source; /* of m.py; NULL: none */
	const char *message;
} unfit[] = {
	{ "m:H", NULL, "there is no Python module m: neither in python_path (" },
	{ "no.such:H", HEAD "    pass\n", "there is no Python module no: neither" },
	{ "m.sub:H", HEAD "    pass\n", "there is no Python module m.sub: neither" },
	{ "m:G", HEAD "    pass\n", "m.py) has no class G" },
	{ "m:H", "H = 5\n", "is no subclass of HookBase, neither of sharesd.hook's nor of manila.share.hook's" },
	{ "m:H", "def H(configuration, host):\n    pass\n", "is no subclass of HookBase" },
	{ "m:H", "class H:\n    pass\n", "H in " },
	{ "sys:H", NULL, "the Python module sys (built in) has no class H" },
	{ "m:H", "class H(\n", "SyntaxError: '(' was never closed (m.py, line 1)" },
	{ "m:H", "import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'" },
	{ "m:H", "1 / 0\n", "ZeroDivisionError: division by zero" },
	{ "m:H", "import sys\nsys.exit('no licence')\n", "SystemExit: no licence" },
	{ "m:H", "import os\nos._exit(4)\n", "it ended (exit status 4)" },
	{ "m:H", "while True:\n    pass\n", "no answer within 1.5 s and killed" },
	{ "m:H", HEAD "    def __init__(self, configuration, host):\n        raise RuntimeError('no ticket server')\n",
	  "RuntimeError: no ticket server" },
	{ "m:H", HEAD "    def __init__(self):\n        pass\n", "TypeError: H.__init__() got an unexpected keyword" },
	{ "m:H", HEAD "    wants = 'pre'\n", "attribute wants must be a list of texts" },
	{ "m:H", HEAD "    wants = [5]\n", "attribute wants must be a list of texts" },
};

/* The backend is down with the reason, and up once it is mended. */
START_TEST(test_unfit)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (unfit[_i].source)
		write_module("m.py", unfit[_i].source);
	struct hook_set *set = start_entry(text("python:%s", unfit[_i].entry), limit_for(unfit[_i].message));
	ck_assert_int_lt(hook_set_check(set, &e), 0);
	says(&e, unfit[_i].message);
	says(&e, text("hook \"python:%s\": ", unfit[_i].entry));
	/* A call that comes all the same fails too. */
	ck_assert_int_lt(pre(set, &e), 0);
	says(&e, unfit[_i].message);
	if (strcmp(unfit[_i].entry, "m:H") == 0) {
		write_module("m.py", HEAD PRE "        return 1\n");
		for (int i = 0; i < 40 && hook_set_check(set, &e) < 0; i++)
			error_clear(&e);
		ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	}
	hook_set_free(set);
}
END_TEST

static const struct {
	const char *change; /* of the directory or the file, by the shell */
	const char *message;
} others[] = {
	{ "chmod o+w m.py", "/m.py is not used, for others may write it" },
	{ "chmod g+w m.py", "/m.py is not used, for others may write it" },
	{ "chmod o+w .", " is not used, for others may write it" },
	{ "chown 65534 m.py", "it belongs to another user than root and the daemon's" },
	{ "mkdir p && mv m.py p && touch p/__init__.py && chmod o+w p/__init__.py", "/p/__init__.py is not used" },
};

START_TEST(test_writable_by_others)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (strstr(others[_i].change, "chown") && geteuid() != 0) {
		printf("SKIP test_writable_by_others: needs root\n");
		return;
	}
	write_module("m.py", "open('@DIR@/ran', 'w')\n" HEAD "    pass\n");
	ck_assert_int_eq(system(text("cd '%s' && %s", dir, others[_i].change)), 0);
	bool package = strstr(others[_i].change, "mkdir");
	struct hook_set *set = start_entry(package ? "python:p.m:H" : "python:m:H", "");
	ck_assert_int_lt(hook_set_check(set, &e), 0);
	says(&e, others[_i].message);
	ck_assert_int_lt(access(in_dir("ran"), F_OK), 0);
	hook_set_free(set);
}
END_TEST

static const char *const bad_entries[] = { "python:m",    "python:m.H",    "python::H",       "python:m:",
					   "python:.m:H", "python:m..n:H", "python:m:H:I",    "python:m:H()",
					   "python:1:H",  "python:m:1H",   "python:/etc/m:H", "python:m .n: H" };

START_TEST(test_bad_entry)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;
	const char *entry = bad_entries[_i];

	ck_assert_int_lt(make_set("", text("hook_drivers = {\"%s\"}\n", entry), &set, &e), 0);
	says(&e, text("\"%s\" needs the name of a class: write python:package.module:Class", entry));
}
END_TEST

START_TEST(test_relative_path)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = NULL;

	ck_assert_int_lt(
		make_set("", "hook_drivers = {\"python:m:H\"}\npython_path = {\"/ok\", \"hooks\"}\n", &set, &e), 0);
	says(&e, "python_path: \"hooks\" must be a path from \"/\"");
}
END_TEST

/* ---- what it wants ---- */

static const struct {
	const char *methods;
	const char *wants;
} wanting[] = {
	{ "    pass\n", "[]" },
	{ PRE "        pass\n", "[\"pre-*\"]" },
	{ POST "        pass\n" ERROR "        pass\n", "[\"post-*\",\"error-*\"]" },
	{ PERIODIC "        pass\n", "[\"periodic\"]" },
	{ "    def execute_pre_hook(self, **kwargs):\n        return 5\n", "[\"pre-*\"]" },
	{ "    wants = ['pre-extend_share', 'periodic']\n" PRE "        pass\n",
	  "[\"pre-extend_share\",\"periodic\"]" },
	{ "    def __init__(self, configuration, host):\n        super().__init__(configuration, host)\n"
	  "        self.wants = ('post-' + self.get_config_option('method'),)\n" POST "        pass\n",
	  "[\"post-create_share_instance\"]" },
};

START_TEST(test_wants)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(wanting[_i].methods, "hook_options = {\"method=create_share_instance\"}\n");

	ck_assert_msg(hook_set_check(set, &e) == 0, "%s", e.message);
	_cleanup_json_ json_t *shown = described(set);
	_cleanup_free_ char *wants = jsonx_canonical(json_object_get(shown, "wants"));
	ck_assert_str_eq(wants, wanting[_i].wants);
	ck_assert(hook_set_wants(set, HOOK_PRE, "extend_share") ==
		  (strstr(wants, "pre-*") || strstr(wants, "pre-extend_share")));
	ck_assert(hook_set_wants(set, HOOK_PRE, func_name) == (strstr(wants, "pre-*") != NULL));
	ck_assert(hook_set_wants(set, HOOK_POST, func_name) == (strstr(wants, "post-") != NULL));
	ck_assert(hook_set_wants(set, HOOK_PERIODIC, NULL) == (strstr(wants, "periodic") != NULL));
	ck_assert(hook_set_wants(set, HOOK_ERROR, func_name) == (strstr(wants, "error-") != NULL));
	hook_set_free(set);
}
END_TEST

/* Asked before it said so: it need not answer what it does not want. */
START_TEST(test_unwanted_first_event)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct hook_set *set = start(POST "        return {'n': 2}\n", "");
	_cleanup_json_ json_t *results = NULL;

	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	ck_assert_msg(run_phase(set, HOOK_POST, func_name, &results, NULL, &e) == 0, "%s", e.message);
	ck_assert_int_eq(jsonx_int(results, "n"), 2);
	ck_assert_msg(pre(set, &e) == 0, "%s", e.message);
	hook_set_free(set);
}
END_TEST

/* ---- settings ---- */

START_TEST(test_user)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	if (geteuid() != 0) {
		printf("SKIP test_user: needs root\n");
		return;
	}
	if (!others_may_run("test_user", "sharesd-python"))
		return;
	ck_assert_int_eq(chmod(dir, 0755), 0);
	struct hook_set *set = start(PRE "        raise Veto(str(os.getuid()))\n", "python_user = \"nobody\"\n");
	ck_assert_int_lt(pre(set, &e), 0);
	says(&e, "65534");
	ck_assert_int_eq(e.kind, ERR_VETOED);
	hook_set_free(set);
}
END_TEST

/* Its section's time limit wins, and its options come first. */
START_TEST(test_section)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	write_module("m.py", HEAD PRE "        if self.get_config_option('wait'):\n            time.sleep(60)\n"
				      "        raise Veto(self.get_config_option('color'))\n");
	struct hook_set *set = new_set(
		text("hook \"slow\" { run = \"python:m:H\"\n timeout = 2.5\n options = {\"wait=1\"} }\n"
		     "hook \"fast\" { run = \"python:m:H\"\n options = {\"color=green\"}\n on_error = \"ignore\" }\n"),
		text("hook_drivers = {\"slow\", \"fast\"}\n enable_pre_hooks = true\n python_path = {\"%s\"}\n"
		     "suppress_pre_hooks_errors = true\nhook_options = {\"color=blue\"}\npython_timeout = 50\n",
		     dir));
	for (int i = 0; i < 40 && hook_set_check(set, &e) < 0; i++)
		error_clear(&e);
	_cleanup_json_ json_t *outcome = NULL;
	ck_assert_int_lt(run_phase(set, HOOK_PRE, func_name, NULL, &outcome, &e), 0);
	says(&e, "green");
	_cleanup_free_ char *first = jsonx_dump(outcome);
	ck_assert_msg(strstr(first, "no answer within 2.5 s and killed") && strstr(first, "timed_out"), "%s", first);
	hook_set_free(set);
}
END_TEST

/* Larger than a pipe, both ways; and a greeting that is. */
START_TEST(test_large)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_fake_call_ struct fake_call f;
	_cleanup_free_ char *big = xcalloc(1, 300001), *option = xcalloc(1, 100001);
	_cleanup_json_ json_t *results = jsonx_pack("{s:{}}", "metadata"), *changed = NULL;

	memset(big, 'x', 300000);
	memset(option, 'y', 100000);
	struct hook_set *set = start(POST "        assert len(self.get_config_option('long')) == 100000\n"
					  "        return {'metadata': {'big': kwargs['big']}}\n",
				     text("hook_options = {\"long=%s\"}\n", option));
	fake_call_init(&f, func_name);
	json_object_set_new(f.args, "big", json_string(big));
	struct hook_run *run = hook_run_new(set, &f.call);
	ck_assert_msg(hook_run_post(run, results, &changed, &e) == 0, "%s", e.message);
	ck_assert_str_eq(jsonx_str(json_object_get(results, "metadata"), "big"), big);
	hook_run_free(run);
	hook_set_free(set);
}
END_TEST

#define LOOP(tc, test, rows) tcase_add_loop_test(tc, test, 0, (int)(sizeof(rows) / sizeof(*(rows))))

int main(void)
{
	Suite *s = suite_create("hooks: python");
	TCase *tc = tcase_create("python");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_what_it_sees);
	tcase_add_test(tc, test_class_for_manila);
	LOOP(tc, test_answers, answers);
	tcase_add_test(tc, test_traceback);
	LOOP(tc, test_broken, broken);
	LOOP(tc, test_unfit, unfit);
	LOOP(tc, test_writable_by_others, others);
	LOOP(tc, test_bad_entry, bad_entries);
	tcase_add_test(tc, test_relative_path);
	LOOP(tc, test_wants, wanting);
	tcase_add_test(tc, test_unwanted_first_event);
	tcase_add_test(tc, test_user);
	tcase_add_test(tc, test_section);
	tcase_add_test(tc, test_large);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
