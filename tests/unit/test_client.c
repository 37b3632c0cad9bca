/* sharesctl without a daemon: the table of commands, parsing, what is printed, exit codes. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "client/arguments.h"
#include "client/help.h"
#include "client/program.h"
#include "client/progress.h"
#include "client/table.h"
#include "client/terminal.h"

#include <check.h>
#include <locale.h>
#include <string.h>

#define ARGV_MAX 32

/* Splits at blanks; "_" inside of a word is never touched. */
static int make_argv(char *line, char **argv)
{
	int argc = 0;
	char *save = NULL;

	argv[argc++] = (char *)"sharesctl";
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		ck_assert_int_lt(argc, ARGV_MAX - 1);
		argv[argc++] = w;
	}
	argv[argc] = NULL;
	return argc;
}

/* Parses as ctl_run does, up to the params. */
static int parse(char *line, const char *input, struct invocation *inv, struct failure *f)
{
	char *argv[ARGV_MAX];
	int argc = make_argv(line, argv), r;
	_cleanup_fclose_ FILE *in = input ? fmemopen((char *)input, strlen(input), "r") : fopen("/dev/null", "r");
	struct ctl c = { .in = in };

	r = arguments_parse(argc, argv, in, inv, f);
	if (r == 0 && inv->command && inv->command->prepare && !inv->help)
		r = inv->command->prepare(&c, inv, f);
	return r;
}

static const struct parse_case {
	const char *line, *words, *params;
} parse_cases[] = {
	{ "share create photos --size 10GiB", "share create", "{'name':'photos','size_bytes':10737418240}" },
	{ "--size=1.5K share --backend media create photos --proto NFS", "share create",
	  "{'name':'photos','size_bytes':1536,'backend':'media','share_proto':'NFS'}" },
	{ "share create p --snapshot photos@monday --share-network n --metadata a=1 --metadata b=x=y", "share create",
	  "{'name':'p','snapshot':'photos@monday','share_network':'n','metadata':{'a':'1','b':'x=y'}}" },
	{ "share create p --uid 1000 --gid staff --mode 0770 --no-wait --if-absent --skip-hooks --request-id r1",
	  "share create",
	  "{'name':'p','uid':1000,'gid':'staff','mode':'0770','wait':false,'if_absent':true,'skip_hooks':true,"
	  "'request_id':'r1'}" },
	{ "share list --backend media --status error --limit 5", "share list",
	  "{'backend':'media','status':'error','limit':5}" },
	{ "share list --all", "share list", "{}" },
	{ "share show photos", "share show", "{'share':'photos'}" },
	{ "share delete photos --force --if-present --yes", "share delete",
	  "{'share':'photos','force':true,'if_present':true}" },
	{ "share extend photos 2T", "share extend", "{'share':'photos','size_bytes':2199023255552}" },
	{ "share shrink photos 4096", "share shrink", "{'share':'photos','size_bytes':4096}" },
	{ "share manage old --backend b --location a/b --access-rules "
	  "[{\"access_type\":\"user\",\"access_to\":\"ann\"}] "
	  "--driver-options n=1 --dry-run",
	  "share manage",
	  "{'name':'old','backend':'b','provider_location':'a/"
	  "b','access_rules':[{'access_type':'user','access_to':'ann'}],"
	  "'driver_options':{'n':'1'},'dry_run':true}" },
	{ "share unmanage photos", "share unmanage", "{'share':'photos'}" },
	{ "share revert photos@monday", "share revert", "{'snapshot':'photos@monday'}" },
	{ "snapshot create photos monday", "snapshot create", "{'name':'monday','share':'photos'}" },
	{ "snapshot create photos@monday", "snapshot create", "{'name':'monday','share':'photos'}" },
	{ "snapshot list", "snapshot list", "{}" },
	{ "snapshot list photos", "snapshot list", "{'share':'photos'}" },
	{ "snapshot show photos@monday", "snapshot show", "{'snapshot':'photos@monday'}" },
	{ "snapshot delete photos@monday", "snapshot delete", "{'snapshot':'photos@monday'}" },
	{ "snapshot manage photos old --location .snap/old", "snapshot manage",
	  "{'provider_location':'.snap/old','name':'old','share':'photos'}" },
	{ "snapshot unmanage photos@monday", "snapshot unmanage", "{'snapshot':'photos@monday'}" },
	{ "access allow photos ip 10.0.0.0/8 --level ro --option squash=none --option anonuid=65534", "access allow",
	  "{'share':'photos','access_type':'ip','access_to':'10.0.0.0/8','access_level':'ro',"
	  "'options':{'squash':'none','anonuid':65534}}" },
	{ "access deny photos 3d0f", "access deny", "{'share':'photos','access':'3d0f'}" },
	{ "access deny photos user ann", "access deny", "{'share':'photos','access_type':'user','access_to':'ann'}" },
	{ "access update photos", "access update", "{'share':'photos'}" },
	{ "access update photos 3d0f --level rw", "access update",
	  "{'share':'photos','access':'3d0f','access_level':'rw'}" },
	{ "access list photos", "access list", "{'share':'photos'}" },
	{ "replica create photos --backend b", "replica create", "{'share':'photos','backend':'b'}" },
	{ "replica promote 77 --force", "replica promote", "{'replica':'77','force':true}" },
	{ "server create --backend b --share-network n", "server create", "{'backend':'b','share_network':'n'}" },
	{ "server delete s1", "server delete", "{'share_server':'s1'}" },
	{ "backend init media", "backend init", "{'backend':'media'}" },
	{ "hook show media policy", "hook show", "{'backend':'media','hook':'policy'}" },
	{ "hook test media policy pre-create_share_instance {\"args\":{\"a\":1}}", "hook test",
	  "{'backend':'media','hook':'policy','event':{'args':{'a':1},'phase':'pre','func_name':'create_share_instance'"
	  "}}" },
	{ "hook test media policy periodic", "hook test",
	  "{'backend':'media','hook':'policy','event':{'phase':'periodic','func_name':null}}" },
	{ "orphan list", "orphan list", "{}" },
	{ "metadata set photos a=1 b- c=", "metadata set", "{'metadata':{'a':'1','b':null,'c':''},'share':'photos'}" },
	{ "metadata set photos@monday a=1-", "metadata set", "{'metadata':{'a':'1-'},'snapshot':'photos@monday'}" },
	{ "metadata set 3d0f a=1 --kind access", "metadata set", "{'metadata':{'a':'1'},'access':'3d0f'}" },
	{ "reset-status snapshot photos@monday error", "reset-status",
	  "{'status':'error','snapshot':'photos@monday'}" },
	{ "calls --limit 3", "calls", "{'limit':3}" },
	{ "events --type share.available --type share.deleted --since 7", "events",
	  "{'types':['share.available','share.deleted'],'since':7}" },
	{ "call get_share {\"share\":\"x\"}", "call", "{}" },
	{ "share show -- --json", "share show", "{'share':'--json'}" },
};

static json_t *from_quoted(const char *text)
{
	_cleanup_free_ char *copy = xstrdup(text);
	json_t *j;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(copy, JSON_DECODE_ANY, NULL);
	ck_assert_msg(j, "the test's own JSON is wrong: %s", text);
	return j;
}

START_TEST(parses)
{
	const struct parse_case *t = &parse_cases[_i];
	_cleanup_free_ char *line = xstrdup(t->line);
	_cleanup_failure_ struct failure f = { 0 };
	_cleanup_json_ json_t *want = from_quoted(t->params);
	struct invocation inv;

	ck_assert_msg(parse(line, NULL, &inv, &f) == 0, "%s: %s", t->line, failure_message(&f));
	ck_assert_str_eq(inv.command->words, t->words);
	if (!json_equal(inv.params, want)) {
		_cleanup_free_ char *got = jsonx_dump(inv.params);

		ck_abort_msg("%s: params are %s", t->line, got);
	}
	invocation_clear(&inv);
}
END_TEST

static const struct fault_case {
	const char *line, *says;
} fault_cases[] = {
	{ "", "say what to do" },
	{ "share", "create, list, show" },
	{ "share crate", "\"share\" has no command \"crate\"" },
	{ "frob", "no command \"frob\"" },
	{ "share show", "\"share show\" needs SHARE" },
	{ "share show a b", "no use for \"b\"" },
	{ "share extend photos", "needs SIZE" },
	{ "share extend photos big", "\"big\" is no size" },
	{ "share create x --size 9000000T", "more than a share can have" },
	{ "share create x --size", "--size needs a value" },
	{ "share create x --json=1", "--json takes no value" },
	{ "share create x --frob", "no option --frob" },
	{ "share create x -q", "no option -q" },
	{ "share list --size 3", "\"share list\" does not take --size" },
	{ "share list --no-wait", "does not take --no-wait" },
	{ "share show x --if-absent", "does not take --if-absent" },
	{ "share create x --metadata a", "\"a\" is not KEY=VALUE" },
	{ "share create x --metadata =a", "\"=a\" is not KEY=VALUE" },
	{ "share list --limit many", "\"many\" is no whole number" },
	{ "share list --limit 99999999999999999999", "is no whole number" },
	{ "share list --timeout 0", "no number of seconds above 0" },
	{ "share list --timeout nan", "no number of seconds above 0" },
	{ "share list --timeout inf", "no number of seconds above 0" },
	{ "share manage x --backend b", "needs --location PATH" },
	{ "share manage x --location b", "needs --backend BACKEND" },
	{ "share manage x --backend b --location p --access-rules {", "--access-rules is not JSON" },
	{ "snapshot create photos", "photos NAME, or photos@NAME" },
	{ "snapshot create photos@a b", "not both" },
	{ "access deny photos", "needs ID|TYPE" },
	{ "access deny photos user", "needs to whom after \"user\"" },
	{ "access deny photos user ann bob", "no use for \"bob\"" },
	{ "hook test b h before-create", "is no event" },
	{ "hook test b h pre-", "is no event" },
	{ "hook test b h pre-x [1]", "must be a JSON object" },
	{ "metadata set photos", "needs KEY=VALUE|KEY-" },
	{ "metadata set photos a", "nor KEY- to remove" },
	{ "metadata set photos -- -", "nor KEY- to remove" },
	{ "metadata set photos a=1 --kind thing", "--kind is share, snapshot or access" },
	{ "reset-status server x error", "a share or a snapshot" },
};

START_TEST(refuses)
{
	const struct fault_case *t = &fault_cases[_i];
	_cleanup_free_ char *line = xstrdup(t->line);
	_cleanup_failure_ struct failure f = { 0 };
	struct invocation inv;

	ck_assert_msg(parse(line, NULL, &inv, &f) < 0, "%s is taken", t->line);
	ck_assert_int_eq(f.exit_code, CTL_USAGE);
	ck_assert_msg(strstr(failure_message(&f), t->says), "%s: %s", t->line, failure_message(&f));
	invocation_clear(&inv);
}
END_TEST

START_TEST(own_options)
{
	char line[] = "--timeout 2.5 share list --socket /s --json --yes";
	char wrong[] = "share list --frob --json";
	_cleanup_failure_ struct failure f = { 0 };
	struct invocation inv;

	ck_assert_int_eq(parse(line, NULL, &inv, &f), 0);
	ck_assert(inv.json && inv.yes && !inv.help);
	ck_assert_str_eq(inv.socket, "/s");
	ck_assert(inv.timeout > 2.49 && inv.timeout < 2.51);
	ck_assert_uint_eq(json_object_size(inv.params), 0);
	invocation_clear(&inv);

	/* --json after the fault still decides how the fault is told. */
	ck_assert_int_lt(parse(wrong, NULL, &inv, &f), 0);
	ck_assert(inv.json);
	invocation_clear(&inv);
}
END_TEST

START_TEST(json_from_input)
{
	char line[] = "hook test b h pre-x -";
	_cleanup_failure_ struct failure f = { 0 };
	struct invocation inv;

	ck_assert_int_eq(parse(line, "{\"args\":\n{}}\n", &inv, &f), 0);
	ck_assert(json_is_object(json_object_get(json_object_get(inv.params, "event"), "args")));
	invocation_clear(&inv);
}
END_TEST

static bool has_value(const struct argument *o)
{
	return o->type != VALUE_FLAG && o->type != VALUE_NOT;
}

/* Options may stand before the command, so a name must mean the same everywhere as far as its value goes. */
static void check_option(const struct command *c, const struct argument *o)
{
	for (const struct argument *k = command_common_options(); k->name; k++)
		ck_assert_msg(strcmp(k->name, o->name) != 0, "%s: --%s is a common option", c->words, o->name);
	for (const struct command *d = command_table(); d->words; d++)
		for (const struct argument *k = d->options; k && k->name; k++)
			if (strcmp(k->name, o->name) == 0)
				ck_assert_msg(has_value(k) == has_value(o), "--%s of \"%s\" and \"%s\"", o->name,
					      c->words, d->words);
	ck_assert_msg(!has_value(o) || o->value, "%s: --%s has no word for its value", c->words, o->name);
	ck_assert_msg(!o->required || o->param, "%s: --%s could not be missed", c->words, o->name);
}

START_TEST(table_is_sound)
{
	for (const struct command *c = command_table(); c->words; c++) {
		const char *words[] = { c->words, NULL };
		_cleanup_free_ char *first = xstrndup(c->words, strcspn(c->words, " "));
		const char *space = strchr(c->words, ' ');
		size_t used;

		words[0] = first;
		words[1] = space ? space + 1 : "";
		ck_assert_ptr_eq(command_find(words, space ? 2 : 1, &used), c);
		ck_assert_uint_eq(used, space ? 2 : 1);
		ck_assert_msg(c->method || c->run, "%s does nothing", c->words);
		ck_assert_msg(c->help && c->help[strlen(c->help) - 1] != '.', "%s: help", c->words);
		ck_assert_msg(!c->question || c->positionals, "%s asks about nothing", c->words);
		for (const struct argument *o = c->options; o && o->name; o++)
			check_option(c, o);
		for (const struct argument *p = c->positionals; p && p->name; p++) {
			ck_assert_msg(p->help, "%s: %s has no help", c->words, p->name);
			ck_assert_msg(!p->repeated || !p[1].name, "%s: %s is not the last", c->words, p->name);
			ck_assert_msg(!p->optional || !p[1].name || p[1].optional, "%s: %s", c->words, p->name);
		}
	}
}
END_TEST

START_TEST(exit_codes)
{
	static const int fixed[][2] = { { ERR_NOT_FOUND, 3 },
					{ ERR_ALREADY_EXISTS, 4 },
					{ ERR_INVALID_PARAMS, 5 },
					{ ERR_INVALID_STATE, 6 },
					{ ERR_NOT_SUPPORTED, 7 },
					{ ERR_NO_SPACE, 8 },
					{ ERR_DATA_LOSS, 9 },
					{ ERR_DRIVER_FAILED, 10 },
					{ ERR_PRE_HOOK_FAILED, 11 },
					{ ERR_POST_HOOK_FAILED, 12 },
					{ ERR_PERMISSION_DENIED, 13 },
					{ ERR_BUSY, 14 },
					{ ERR_LIMIT, 15 },
					{ ERR_BACKEND_DOWN, 16 },
					{ ERR_VETOED, 17 },
					{ ERR_WOULD_DEADLOCK, 18 },
					{ ERR_SHUTTING_DOWN, 19 },
					{ ERR_INTERNAL, 20 },
					{ ERR_METHOD_NOT_FOUND, 21 },
					{ ERR_PARSE_ERROR, 20 },
					{ ERR_INVALID_REQUEST, 20 } };

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		ck_assert_int_eq(failure_exit_code(error_kind_name((enum error_kind)fixed[i][0])), fixed[i][1]);
	/* Every kind but ERR_NONE stands above. */
	ck_assert_uint_eq(sizeof fixed / sizeof fixed[0], ERR_KIND_COUNT - 1);
	ck_assert_int_eq(failure_exit_code("frob"), CTL_INTERNAL);
	ck_assert_int_eq(failure_exit_code(NULL), CTL_INTERNAL);
}
END_TEST

START_TEST(first_failure_stays)
{
	_cleanup_failure_ struct failure f = { 0 };
	_cleanup_json_ json_t *error = from_quoted("{'code':5,'message':'full','data':{'kind':'no_space'}}");
	_cleanup_free_ char *before = jsonx_dump(error);
	_cleanup_free_ char *after = NULL;

	failure_set_error(&f, error);
	failure_set(&f, CTL_USAGE, "something else");
	failure_append(&f, ", so %s", "free some");
	ck_assert_int_eq(f.exit_code, 8);
	ck_assert_str_eq(failure_message(&f), "full, so free some");
	after = jsonx_dump(error);
	ck_assert_str_eq(before, after);
}
END_TEST

static const struct escape_case {
	const char *text, *shown;
} escape_cases[] = {
	{ "plain text, Grüße 写真", "plain text, Grüße 写真" },
	{ "a\nb\tc\rd\ae", "a\\nb\\tc\\rd\\ae" },
	{ "\033[31mred\177", "\\x1b[31mred\\x7f" },
	{ "\xc2\x9b"
	  "31m",
	  "\\x9b31m" }, /* a C1 control sequence introducer */
	{ "x\xe2\x80\xaegpj.exe", "x\\u202egpj.exe" },
	{ "bad \xff\xc3", "bad \\xff\\xc3" },
	{ "", "" },
};

START_TEST(escapes)
{
	_cleanup_free_ char *shown = terminal_escape(escape_cases[_i].text);

	ck_assert_str_eq(shown, escape_cases[_i].shown);
}
END_TEST

START_TEST(json_is_safe_and_the_same)
{
	_cleanup_json_ json_t *value = jsonx_pack("{s:s,s:[i,n]}", "k", "a\033\xc2\x9b\xe2\x80\xaeü", "l", 1);
	_cleanup_free_ char *compact = terminal_json(value, false), *pretty = terminal_json(value, true);
	_cleanup_json_ json_t *back = json_loads(compact, 0, NULL), *back_pretty = json_loads(pretty, 0, NULL);

	ck_assert_str_eq(compact, "{\"k\":\"a\\u001B\\u009b\\u202eü\",\"l\":[1,null]}");
	ck_assert(strchr(pretty, '\n') != NULL);
	ck_assert(json_equal(back, value));
	ck_assert(json_equal(back_pretty, value));
}
END_TEST

/* The text that `print` writes. */
#define CAPTURE(ret, ...)                                                                                              \
	do {                                                                                                           \
		size_t size_;                                                                                          \
		FILE *to = open_memstream(&(ret), &size_);                                                             \
		__VA_ARGS__;                                                                                           \
		fclose(to);                                                                                            \
	} while (0)

START_TEST(tables)
{
	static const struct table_column columns[] = { { .title = "NAME" },
						       { .title = "SIZE", .right = true },
						       { .title = "STATUS", .status = true } };
	static const char *const cells[] = { "photos", "10GiB", "available", "写真", NULL, "error", "a\nb", "1B", "" };
	struct table *t = table_new(columns, 3);
	_cleanup_free_ char *plain = NULL, *painted = NULL;

	for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
		table_add(t, cells[i]);
	CAPTURE(plain, table_print(t, false, to));
	CAPTURE(painted, table_print(t, true, to));
	table_free(t);
	ck_assert_str_eq(plain, "NAME     SIZE  STATUS\n"
				"photos  10GiB  available\n"
				"写真        -  error\n"
				"a\\nb       1B  -\n");
	ck_assert_ptr_nonnull(strstr(painted, "\033[31merror\033[0m\n"));
	ck_assert_ptr_nonnull(strstr(painted, "\033[32mavailable\033[0m\n"));
	ck_assert_ptr_null(strchr(plain, '\033'));
}
END_TEST

START_TEST(share_list)
{
	_cleanup_json_ json_t *items = from_quoted(
		"[{'name':'photos','status':'available','size_bytes':1610612736,'used_bytes':null,'backend':'media',"
		"'share_proto':'NFS','export_locations':[{'path':'/admin','is_admin_only':true,'preferred':true},"
		"{'path':'10.0.0.1:/photos'},{'path':'10.0.0.2:/photos','preferred':true}]},"
		"{'name':'x','status':'error','size_bytes':17,'used_bytes':0,'backend':'media','share_proto':'LOCAL',"
		"'export_locations':[]}]");
	_cleanup_free_ char *text = NULL;

	CAPTURE(text, view_print_list(&view_shares, items, false, to));
	ck_assert_str_eq(text, "NAME    STATUS       SIZE  USED  BACKEND  PROTO  EXPORT\n"
			       "photos  available  1.5GiB     -  media    NFS    10.0.0.2:/photos\n"
			       "x       error         17B    0B  media    LOCAL  -\n");
}
END_TEST

START_TEST(list_columns)
{
	_cleanup_json_ json_t *backends = from_quoted(
		"[{'name':'m','driver':'dir','status':'up','hooks':['a','b'],'capabilities':{'total_bytes':1024}},"
		"{'name':'n','driver':'dir','status':'down','hooks':[],'status_reason':'no "
		"root','capabilities':null}]");
	_cleanup_json_ json_t *calls = from_quoted(
		"[{'id':'c1','queued_at':'t','method':'m','state':'done','outcome':'vetoed','user':'ann','backend':'b',"
		"'duration_ms':1500.5,'error':{'message':'no'}},"
		"{'id':'c2','queued_at':'t','method':'m','state':'driver','user':null,'origin':'timer'}]");
	_cleanup_json_ json_t *rules =
		from_quoted("[{'id':'r','access_type':'ip','access_to':'::1','access_level':'ro',"
			    "'state':'active','options':{'squash':'none','anonuid':7}}]");
	_cleanup_free_ char *one = NULL, *two = NULL, *three = NULL;

	CAPTURE(one, view_print_list(&view_backends, backends, false, to));
	ck_assert_str_eq(one, "NAME  DRIVER  STATUS  TOTAL  FREE  ALLOCATED  HOOKS  REASON\n"
			      "m     dir     up       1KiB     -          -      2  -\n"
			      "n     dir     down        -     -          -      0  no root\n");
	CAPTURE(two, view_print_list(&view_calls, calls, false, to));
	ck_assert_str_eq(two, "QUEUED  METHOD  BACKEND  STATE   BY     SECONDS  CALL  ERROR\n"
			      "t       m       b        vetoed  ann      1.500  c1    no\n"
			      "t       m       -        driver  timer        -  c2    -\n");
	CAPTURE(three, view_print_list(&view_access_rules, rules, false, to));
	ck_assert_str_eq(three, "ID  TYPE  TO   LEVEL  STATE   OPTIONS                REASON\n"
				"r   ip    ::1  ro     active  squash=none,anonuid=7  -\n");
}
END_TEST

START_TEST(object_lines)
{
	_cleanup_json_ json_t *o =
		from_quoted("{'name':'photos','size_bytes':10737418240,'used_bytes':1610612737,'ok':true,"
			    "'metadata':{},'reason':null,'progress':{'percent':42.5,'bytes':1024},"
			    "'export_locations':[{'path':'/a','preferred':true},{'path':'/b'}],"
			    "'warnings':['size is not enforced','x\\u001by']}");
	_cleanup_json_ json_t *nothing = json_null(), *number = json_integer(7);
	_cleanup_free_ char *text = NULL, *empty = NULL, *bare = NULL;

	CAPTURE(text, view_print_object(o, to));
	ck_assert_str_eq(text, "name: photos\n"
			       "size_bytes: 10GiB\n"
			       "used_bytes: 1.5GiB (1610612737 bytes)\n"
			       "ok: yes\n"
			       "metadata: -\n"
			       "reason: -\n"
			       "progress:\n"
			       "  percent: 42.5\n"
			       "  bytes: 1KiB\n"
			       "export_locations:\n"
			       "  - path: /a\n"
			       "    preferred: yes\n"
			       "  - path: /b\n"
			       "warnings:\n"
			       "  - size is not enforced\n"
			       "  - x\\x1by\n");
	CAPTURE(empty, view_print_object(nothing, to));
	ck_assert_str_eq(empty, "");
	CAPTURE(bare, view_print_object(number, to));
	ck_assert_str_eq(bare, "7\n");
}
END_TEST

START_TEST(progress_lines)
{
	_cleanup_json_ json_t *half = from_quoted("{'status':'creating','progress':{'percent':50,'bytes':1073741824}}");
	_cleanup_json_ json_t *unknown = from_quoted("{'status':'creating','progress':{'percent':null,'bytes':2048}}");
	_cleanup_json_ json_t *beyond = from_quoted("{'status':'creating','progress':{'percent':1e9,'bytes':null}}");
	_cleanup_json_ json_t *at_rest = from_quoted("{'status':'available','progress':null}");
	_cleanup_free_ char *a = progress_line("photos", half, 200), *b = progress_line("photos", unknown, 200),
			    *c = progress_line("photos", half, 20), *d = progress_line("p", beyond, 200);

	ck_assert_str_eq(a, "photos: creating [###############...............]  50% 1GiB");
	ck_assert_str_eq(b, "photos: creating 2KiB");
	ck_assert_uint_eq(strlen(c), 19);
	ck_assert_str_eq(d, "p: creating [##############################] 100%");
	ck_assert_ptr_null(progress_line("photos", at_rest, 200));
}
END_TEST

/* sharesctl as a whole, where no daemon is asked. */
static int run_line(const char *line, char **ret_out, char **ret_err)
{
	_cleanup_free_ char *copy = xstrdup(line);
	char *argv[ARGV_MAX];
	size_t out_size, err_size;
	struct ctl c = { .in = fopen("/dev/null", "r"),
			 .out = open_memstream(ret_out, &out_size),
			 .err = open_memstream(ret_err, &err_size) };
	int code = program_run(&c, make_argv(copy, argv), argv);

	fclose(c.in);
	fclose(c.out);
	fclose(c.err);
	return code;
}

START_TEST(help_of_everything)
{
	_cleanup_free_ char *all = NULL, *err = NULL, *words = NULL, *err2 = NULL;

	ck_assert_int_eq(run_line("help", &all, &err), 0);
	ck_assert_int_eq(run_line("help --words", &words, &err2), 0);
	for (const struct command *c = command_table(); c->words; c++) {
		_cleanup_free_ char *line = xasprintf("help %s", c->words), *option = xasprintf("%s --help", c->words);
		_cleanup_free_ char *one = NULL, *two = NULL, *e1 = NULL, *e2 = NULL;

		ck_assert_int_eq(run_line(line, &one, &e1), 0);
		ck_assert_int_eq(run_line(option, &two, &e2), 0);
		ck_assert_str_eq(one, two);
		ck_assert_msg(strstr(one, c->help) && strstr(all, c->help) && strstr(words, c->words), "%s", c->words);
	}
	ck_assert_ptr_nonnull(strstr(all, "  16  the backend is down\n"));
	ck_assert_ptr_nonnull(strstr(words, "share extend\tSHARE SIZE\t"));
	ck_assert_ptr_nonnull(strstr(words, "snapshot create\tSHARE NAME\t --metadata= --socket= --json"));
	ck_assert_ptr_null(strstr(all, "--words"));
}
END_TEST

START_TEST(help_of_a_group_and_of_nothing)
{
	_cleanup_free_ char *out = NULL, *err = NULL, *out2 = NULL, *err2 = NULL, *out3 = NULL, *err3 = NULL;

	ck_assert_int_eq(run_line("snapshot --help", &out, &err), 0);
	ck_assert_ptr_nonnull(strstr(out, "snapshot unmanage"));
	ck_assert_ptr_null(strstr(out, "share create"));
	ck_assert_int_eq(run_line("help frob", &out2, &err2), CTL_USAGE);
	ck_assert_str_eq(err2, "sharesctl: sharesctl has no command \"frob\" (sharesctl help)\n");
	ck_assert_int_eq(run_line("frob --help", &out3, &err3), CTL_USAGE);
}
END_TEST

START_TEST(version)
{
	_cleanup_free_ char *out = NULL, *err = NULL, *json = NULL, *err2 = NULL;

	ck_assert_int_eq(run_line("version", &out, &err), 0);
	ck_assert_str_eq(out, "sharesctl " SHARESD_VERSION "\n");
	ck_assert_int_eq(run_line("version --json", &json, &err2), 0);
	ck_assert_str_eq(json, "{\"version\":\"" SHARESD_VERSION "\"}\n");
}
END_TEST

START_TEST(nobody_answers)
{
	_cleanup_free_ char *out = NULL, *err = NULL, *out2 = NULL, *err2 = NULL, *out3 = NULL, *err3 = NULL;
	char line[256] = "share list --socket /nowhere/";

	ck_assert_int_eq(run_line("share list --socket /nowhere/s", &out, &err), CTL_NO_DAEMON);
	ck_assert_str_eq(err, "sharesctl: no sharesd answers on /nowhere/s: is the service running? "
			      "(systemctl status sharesd)\n");
	ck_assert_int_eq(run_line("status --socket /nowhere/s", &out2, &err2), CTL_DOWN);
	ck_assert_ptr_nonnull(strstr(out2, "down: no sharesd answers on /nowhere/s"));
	ck_assert_str_eq(err2, "");
	memset(line + strlen(line), 'x', 150);
	ck_assert_int_eq(run_line(line, &out3, &err3), CTL_USAGE);
	ck_assert_ptr_nonnull(strstr(err3, "1 to 107 characters"));
}
END_TEST

START_TEST(usage_as_json)
{
	_cleanup_free_ char *out = NULL, *err = NULL;
	_cleanup_json_ json_t *error = NULL;

	ck_assert_int_eq(run_line("share show --json", &out, &err), CTL_USAGE);
	error = json_loads(err, 0, NULL);
	ck_assert_str_eq(jsonx_str(jsonx_get(error, "data"), "kind"), "usage");
	ck_assert_ptr_nonnull(strstr(jsonx_str(error, "message"), "needs SHARE"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client");
	TCase *arguments = tcase_create("arguments"), *views = tcase_create("views"), *whole = tcase_create("whole");
	SRunner *runner = srunner_create(s);
	int failed;

	/* Widths of characters beyond ASCII. */
	setlocale(LC_CTYPE, "C.UTF-8");
	unsetenv("SHARESD_SOCKET");
	tcase_add_loop_test(arguments, parses, 0, sizeof parse_cases / sizeof parse_cases[0]);
	tcase_add_loop_test(arguments, refuses, 0, sizeof fault_cases / sizeof fault_cases[0]);
	tcase_add_test(arguments, own_options);
	tcase_add_test(arguments, json_from_input);
	tcase_add_test(arguments, table_is_sound);
	tcase_add_test(views, exit_codes);
	tcase_add_test(views, first_failure_stays);
	tcase_add_loop_test(views, escapes, 0, sizeof escape_cases / sizeof escape_cases[0]);
	tcase_add_test(views, json_is_safe_and_the_same);
	tcase_add_test(views, tables);
	tcase_add_test(views, share_list);
	tcase_add_test(views, list_columns);
	tcase_add_test(views, object_lines);
	tcase_add_test(views, progress_lines);
	tcase_add_test(whole, help_of_everything);
	tcase_add_test(whole, help_of_a_group_and_of_nothing);
	tcase_add_test(whole, version);
	tcase_add_test(whole, nobody_answers);
	tcase_add_test(whole, usage_as_json);
	suite_add_tcase(s, arguments);
	suite_add_tcase(s, views);
	suite_add_tcase(s, whole);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
