/* The installed units under a real systemd: started by their socket, watched, reloaded, restarted under load, confined.
 */
#include "tests/e2e/harness_machine.h"

#include "base/log_kind.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONF_FILE "/etc/sharesd/sharesd.conf"
#define MEDIA     "dir \"media\" { root = \"/srv/media\" }\n"
#define TRY_OUT   "/srv/out"

static struct machine machine;
static const struct machine *m = &machine;

static void boot(void)
{
	machine_prepare(&machine);
	machine_boot(&machine);
}

static void end(void)
{
	machine_end(&machine);
}

/* ---- small things ---- */

static void run(const char *script)
{
	free(machine_run(m, "%s", script));
}

/* A script says this, and nothing else. */
static void expect(const char *script, const char *expected)
{
	char *out = machine_run(m, "%s", script);

	ck_assert_msg(strcmp(out, expected) == 0, "%s\nsays: %s\nnot:  %s", script, out, expected);
	free(out);
}

static long main_pid(void)
{
	char *out = machine_run(m, "systemctl show -P MainPID sharesd");
	long pid = strtol(out, NULL, 10);

	free(out);
	ck_assert_int_gt(pid, 0);
	return pid;
}

static void wait_status_line(const char *text)
{
	machine_wait(m, "systemctl show -P StatusText sharesd | grep -qF '%s'", text);
}

static void write_program(const char *path, const char *text)
{
	write_file(machine_path(m, path), text);
	ck_assert_int_eq(chmod(machine_path(m, path), 0755), 0);
}

/* Each test begins with a service of this conf file that runs, its socket, and no drop-in. */
static void start_anew(const char *conf)
{
	run("systemctl stop 'sharesd@*.socket' 'sharesd@*.service' sharesd.socket sharesd.service 2>/dev/null; "
	    "rm -rf /etc/systemd/system/sharesd.service.d /run/systemd/system/sharesd.service.d /var/lib/sharesd* "
	    "/srv; systemctl reset-failed; systemctl daemon-reload; mkdir -p /srv/media");
	write_file(machine_path(m, CONF_FILE), conf);
	run("systemctl start sharesd");
	machine_wait(m, "sharesctl share list");
}

static void drop_in(const char *text)
{
	run("mkdir -p /run/systemd/system/sharesd.service.d");
	write_file(machine_path(m, "/run/systemd/system/sharesd.service.d/test.conf"), text);
	run("systemctl daemon-reload");
}

/* A record of this kind that a further match finds, as journalctl prints it in JSON. New reference. */
static json_t *find_record(enum log_kind kind, const char *match)
{
	const char *id = log_kind_id(kind);
	json_t *record;
	char *out;

	machine_wait(m, "journalctl --sync; journalctl -q -o json -n 1 MESSAGE_ID=%s %s | grep -q .", id, match);
	out = machine_run(m, "journalctl -q -o json -n 1 MESSAGE_ID=%s %s", id, match);
	record = json_loads(out, 0, NULL);
	ck_assert_msg(record != NULL, "no record: %s", out);
	free(out);
	return record;
}

static void must_be_recorded(enum log_kind kind, const char *match)
{
	json_decref(find_record(kind, match));
}

/* ---- tests ---- */

START_TEST(installed_twice)
{
	char *out, dir[] = "/tmp/sharesd-install-XXXXXX";
	const char *program = program_path("sharesd");
	int len = (int)(strlen(program) - strlen("/sharesd"));

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(shell(&out, "make -s O=%.*s install-built DESTDIR=%s 2>&1", len, program, dir), 0);
		free(out);
		ck_assert_int_eq(shell(NULL, "cmp -s conf/sharesd.conf %s/etc/sharesd/sharesd.conf", dir), i);
		ck_assert_int_eq(shell(NULL, "echo '# mine' >>%s/etc/sharesd/sharesd.conf", dir), 0);
	}
	ck_assert_int_eq(shell(NULL, "[ $(grep -c mine %s/etc/sharesd/sharesd.conf) = 2 ]", dir), 0);
	ck_assert_int_eq(
		shell(&out,
		      "cd %s/usr && ls sbin/sharesd bin/sharesctl libexec/sharesd/* lib/systemd/system/sharesd.service "
		      "lib/systemd/system/sharesd@.socket lib/sysusers.d/sharesd.conf share/man/man8/sharesd.8 "
		      "share/man/man1/sharesctl.1 share/man/man5/sharesd.conf.5 share/man/man7/sharesd-rpc.7 "
		      "share/bash-completion/completions/sharesctl include/sharesd/hooks/hook.h "
		      "include/sharesd/drivers/driver.h share/pkgconfig/sharesd.pc share/sharesd/systemd/run-as.conf "
		      "share/doc/sharesd/examples/hooks/policy share/doc/sharesd/examples/sharesd.conf 2>&1",
		      dir),
		0);
	free(out);
	/* What people made stays. */
	ck_assert_int_eq(shell(NULL, "make -s O=%.*s uninstall DESTDIR=%s >/dev/null 2>&1", len, program, dir), 0);
	ck_assert_int_eq(shell(&out, "cd %s && find . -type f", dir), 0);
	ck_assert_str_eq(out, "./etc/sharesd/sharesd.conf\n");
	free(out);
	shell(NULL, "rm -rf %s", dir);
}
END_TEST

START_TEST(first_connection_starts_it)
{
	json_t *j;

	if (!machine_is_there(m, "first_connection_starts_it"))
		return;
	run("systemd-analyze verify --man=no sharesd.service sharesd@other.service sharesd.socket");
	start_anew(MEDIA "dir \"gone\" { root = \"/srv/gone\" }\n");
	run("systemctl stop sharesd.service 2>/dev/null");
	expect("systemctl is-active sharesd.service || true", "inactive");
	/* Who connects waits for the start. */
	j = call(&m->there, "get_service", NULL);
	json_decref(j);
	expect("systemctl is-active sharesd.service", "active");
	expect("ps -o user= -p $(systemctl show -P MainPID sharesd)", "sharesd");
	expect("getent passwd sharesd | cut -d: -f1,6,7", "sharesd:/var/lib/sharesd:/usr/sbin/nologin");
	expect("stat -c '%U %a' /var/lib/sharesd /run/sharesd /run/sharesd/sharesd.sock",
	       "sharesd 700\nsharesd 755\nsharesd 666");
	wait_status_line("1 of 2 backends up; down: gone (root /srv/gone");
	must_be_recorded(LOG_KIND_STARTED, "");
	must_be_recorded(LOG_KIND_BACKEND_UP, "PRIORITY=5");
	must_be_recorded(LOG_KIND_BACKEND_DOWN, "PRIORITY=4");
	run("mkdir /srv/gone");
	wait_status_line("2 of 2 backends up");
	/* Where the unit lets nothing be written, the reason says what to do. */
	run("mkdir -p /data/shares && sed -i s,/srv/gone,/data/shares, " CONF_FILE " && systemctl restart sharesd");
	machine_wait(m, "sharesctl backend show gone | grep -q 'read-only.*ReadWritePaths='");
	drop_in("[Service]\nReadWritePaths=/data/shares\n");
	run("systemctl restart sharesd");
	wait_status_line("2 of 2 backends up");
	run("systemctl stop sharesd.service 2>/dev/null");
	must_be_recorded(LOG_KIND_STOPPED, "");
	expect("systemctl show -P Result sharesd", "success");
}
END_TEST

/* All that the dir driver does with files of others, without being root. */
START_TEST(shares_of_users)
{
	if (!machine_is_there(m, "shares_of_users"))
		return;
	start_anew(MEDIA);
	run("sharesctl share create photos --backend media --size 10MiB --uid games --gid games --mode 2775");
	expect("stat -c '%U %G %a' /srv/media/photos /srv/media/photos/data", "sharesd sharesd 700\ngames games 2775");
	write_program("/srv/as",
		      "#!/bin/sh\nu=$1; shift; exec setpriv --reuid=$u --regid=$u --clear-groups -- \"$@\"\n");
	run("! /srv/as games ls /srv/media/photos/data");
	run("sharesctl access allow photos user games; /srv/as games sh -c 'cd /srv/media/photos/data && echo one >f "
	    "&& "
	    "chmod 4750 f && mkdir d && mkfifo p && ln -s f l && echo two >d/g && setfacl -m u:mail:r d/g'");
	run("! /srv/as mail cat /srv/media/photos/data/d/g");
	run("sharesctl access allow photos user mail");
	expect("/srv/as mail cat /srv/media/photos/data/d/g", "two");
	run("! /srv/as mail cat /srv/media/photos/data/f");
	run("sharesctl access deny photos user mail");
	run("! /srv/as mail cat /srv/media/photos/data/d/g");
	/* A copy keeps what only root could give. */
	run("cp /bin/true /srv/media/photos/data/ping && setcap cap_net_raw+ep /srv/media/photos/data/ping");
	run("sharesctl snapshot create photos@one && sharesctl share create copy --snapshot photos@one "
	    "--uid games --gid games --mode 2775");
	expect("cd /srv/media/copy/data && stat -c '%U %G %a %F' . f d p l", "games games 2775 directory\n"
									     "games games 4750 regular file\n"
									     "games games 2755 directory\n"
									     "games games 644 fifo\n"
									     "games games 777 symbolic link");
	run("cd /srv/media/copy/data && getfacl -c d/g | grep -q user:mail:r && getcap ping | grep -q net_raw && "
	    "rm -rf /srv/media/photos/data/d && sharesctl share revert photos@one --yes && "
	    "[ -e /srv/media/photos/data/d/g ]");
	run("sharesctl share delete copy --yes && [ ! -e /srv/media/copy ]");
	/* What belonged to somebody before. */
	run("mkdir -p /srv/media/old/docs && chown games /srv/media/old/docs && chmod 700 /srv/media/old/docs && "
	    "sharesctl share manage docs --backend media --location old/docs && sharesctl access allow docs user mail "
	    "&& "
	    "sharesctl share unmanage docs --yes");
	expect("stat -c '%U %a' /srv/media/old/docs", "games 700");
}
END_TEST

#define PROBE                                                                                                          \
	"#!/bin/sh\nexec >" TRY_OUT " 2>/dev/null\n"                                                                   \
	"try() { if \"$@\" >/dev/null 2>&1; then echo \"can: $*\"; else echo \"cannot: $*\"; fi; }\n"                  \
	"try touch /srv/here\ntry touch /var/lib/sharesd/here\ntry touch /etc/sharesd/here\ntry touch /usr/here\n"     \
	"try ls /home/ann\ntry cat /root/secret\ntry mknod /srv/null c 1 3\ntry mount -t tmpfs x /srv\ntry unshare "   \
	"-m "                                                                                                          \
	"true\n"                                                                                                       \
	"try chown 7:7 " TRY_OUT "\ntry kill -0 1\ntry setpriv --reuid=7 true\ntry ls /proc/1\n"                       \
	"try sharesctl share list\nsharesctl share create inner --backend media --size 1MiB >&2\n"                     \
	"echo would_deadlock: $?\n"

START_TEST(hardening_is_in_force)
{
	char *out;

	if (!machine_is_there(m, "hardening_is_in_force"))
		return;
	write_program("/etc/sharesd/hooks/probe", PROBE);
	run("mkdir -p /home/ann; echo x >/root/secret");
	start_anew("dir \"media\" { root = \"/srv/media\" hook_drivers = {\"exec:/etc/sharesd/hooks/probe\"} "
		   "enable_pre_hooks = true }\n");
	out = machine_run(m, "grep -E '^(NoNewPrivs|CapEff|CapBnd|Seccomp):' /proc/%ld/status | tr -s '\\t' ' '",
			  main_pid());
	/* chown, dac_override, fowner, fsetid, setfcap */
	ck_assert_str_eq(out, "CapEff: 000000008000001b\nCapBnd: 000000008000001b\nNoNewPrivs: 1\nSeccomp: 2");
	free(out);
	out = machine_run(m,
			  "[ $(readlink /proc/%ld/ns/net) != $(readlink /proc/1/ns/net) ] && cat /proc/%ld/limits | "
			  "grep 'open files'",
			  main_pid(), main_pid());
	ck_assert_ptr_nonnull(strstr(out, "8192"));
	free(out);
	/* Hooks live in the same profile. */
	run("sharesctl share create outer --backend media --size 1MiB");
	expect("cat " TRY_OUT,
	       "can: touch /srv/here\ncan: touch /var/lib/sharesd/here\ncannot: touch /etc/sharesd/here\n"
	       "cannot: touch /usr/here\ncannot: ls /home/ann\ncannot: cat /root/secret\ncannot: mknod /srv/null c 1 "
	       "3\n"
	       "cannot: mount -t tmpfs x /srv\ncannot: unshare -m true\ncan: chown 7:7 " TRY_OUT
	       "\ncannot: kill -0 1\ncannot: setpriv --reuid=7 true\ncannot: ls /proc/1\ncan: sharesctl share list\n"
	       "would_deadlock: 18");
	/* One in Python too, from the shipped examples. */
	run("cp /usr/share/doc/sharesd/examples/hooks/naming_quota.py /etc/sharesd/hooks/");
	write_file(machine_path(m, CONF_FILE),
		   "hook \"names\" { run = \"python:naming_quota:NamingQuota\" options = {\"name_pattern=[a-z]+\"} }\n"
		   "dir \"media\" { root = \"/srv/media\" hook_drivers = {\"names\"} enable_pre_hooks = true }\n");
	run("systemctl reload sharesd && sharesctl share create good --backend media --size 1MiB");
	ck_assert_int_eq(machine_try(m, NULL, "sharesctl share create bad-1 --backend media --size 1MiB"), 17);
	out = machine_run(m, "systemd-analyze security --no-pager --threshold=15 sharesd.service | tail -n 1");
	printf("systemd-analyze security:%s\n", strchr(out, ' '));
	free(out);
	run("systemd-analyze security --no-pager --threshold=15 sharesd.service >/dev/null");
}
END_TEST

/* Two forks and a session away, without its environment, and the helper is dead. */
#define ESCAPE                                                                                                         \
	"#!/bin/sh\ncd /srv\n[ $2 = extend_share ] || exit 0\ncat /proc/self/cgroup >groups\n"                         \
	"mkdir $(dirname $(ls -d /sys/fs/cgroup/system.slice/sharesd.service "                                         \
	"/sys/fs/cgroup/unified/system.slice/sharesd.service 2>/dev/null | tail -n 1))/mine 2>/dev/null && "           \
	"touch not-read-only\necho $PPID >helper\n(env -i setsid /bin/sh -c "                                          \
	"'/bin/sh -c \"echo \\$\\$ >escaped; kill -9 \\$(cat helper); exec sleep 100\" &' &)\nsleep 100\n"

#define CONTAINMENT "sharesctl hook list --json | jq -r '.hooks[].containment'"

START_TEST(hooks_have_groups)
{
	long pid;

	if (!machine_is_there(m, "hooks_have_groups"))
		return;
	write_program("/etc/sharesd/hooks/escape", ESCAPE);
	start_anew("dir \"media\" { root = \"/srv/media\" hook_drivers = {\"exec:/etc/sharesd/hooks/escape\"} "
		   "enable_pre_hooks = true }\n");
	expect(CONTAINMENT, "cgroup");
	pid = main_pid();
	run("sharesctl share create photos --backend media --size 1MiB");
	ck_assert_int_ne(machine_try(m, NULL, "sharesctl share extend photos 2MiB"), 0);
	expect("grep -c '^0::/.*sharesd[.]service/sharesd-hooks[.][0-9]*/[0-9]*$' /srv/groups", "1");
	machine_wait(m, "! grep -q '^State:.[^Z]' /proc/$(cat /srv/escaped)/status");
	/* All other groups are read-only. */
	expect("ls /srv", "escaped\ngroups\nhelper\nmedia");
	/* One daemon after another. */
	free(machine_run(m, "kill -9 %ld", pid));
	machine_wait(m, "sharesctl status && [ $(systemctl show -P MainPID sharesd) -ne %ld ]", pid);
	expect("find /sys/fs/cgroup -path '*/sharesd.service/sharesd-hooks.*' -prune -print | wc -l", "1");
	expect(CONTAINMENT, "cgroup");
	drop_in("[Service]\nDelegate=no\n");
	run("systemctl restart sharesd");
	expect(CONTAINMENT, "subreaper");
}
END_TEST

START_TEST(journal_has_fields)
{
	json_t *j;

	if (!machine_is_there(m, "journal_has_fields"))
		return;
	write_program("/etc/sharesd/hooks/no",
		      "#!/bin/sh\n[ $2 != extend_share ] || { echo not so large >&2; exit 10; }\n");
	start_anew("dir \"media\" { root = \"/srv/media\" hook_drivers = {\"exec:/etc/sharesd/hooks/no\", \"journal\"} "
		   "enable_pre_hooks = true }\n");
	run("sharesctl share create photos --backend media --size 1MiB");
	j = find_record(LOG_KIND_CALL_DONE, "SHARESD_METHOD=create_share_instance");
	ck_assert_str_eq(str_at(j, "SHARESD_BACKEND"), "media");
	ck_assert_str_eq(str_at(j, "SHARESD_OUTCOME"), "ok");
	ck_assert_str_eq(str_at(j, "SHARESD_UID"), "0");
	ck_assert_str_eq(str_at(j, "PRIORITY"), "6");
	ck_assert_str_eq(str_at(j, "_SYSTEMD_UNIT"), "sharesd.service");
	ck_assert_uint_eq(strlen(str_at(j, "SHARESD_CALL")), 36);
	ck_assert_uint_eq(strlen(str_at(j, "SHARESD_OBJECT")), 36);
	ck_assert(strtod(str_at(j, "SHARESD_DURATION_MS"), NULL) > 0);
	json_decref(j);
	ck_assert_int_eq(machine_try(m, NULL, "sharesctl share extend photos 2MiB"), 17);
	j = find_record(LOG_KIND_CALL_FAILED, "SHARESD_METHOD=extend_share");
	ck_assert_str_eq(str_at(j, "SHARESD_OUTCOME"), "vetoed");
	json_decref(j);
	j = find_record(LOG_KIND_HOOK_OUTPUT, "");
	ck_assert_str_eq(str_at(j, "MESSAGE"), "not so large");
	ck_assert_ptr_nonnull(strstr(str_at(j, "SHARESD_HOOK"), "hooks/no"));
	json_decref(j);
	must_be_recorded(LOG_KIND_HOOK_VETOED, "PRIORITY=5");
	j = find_record(LOG_KIND_HOOK_EVENT, "SHARESD_FUNC_NAME=create_share_instance");
	json_decref(json_loads(str_at(j, "SHARESD_EVENT"), 0, NULL));
	json_decref(j);
	ck_assert_int_eq(machine_try(m, NULL, "setpriv --reuid=7 --clear-groups sharesctl share list"), 13);
	must_be_recorded(LOG_KIND_CLIENT_REFUSED, "");
}
END_TEST

START_TEST(reload_good_and_bad)
{
	long pid;

	if (!machine_is_there(m, "reload_good_and_bad"))
		return;
	start_anew(MEDIA);
	pid = main_pid();
	write_file(machine_path(m, CONF_FILE), MEDIA "sim \"try\" {}\n");
	run("systemctl reload sharesd");
	machine_wait(m, "sharesctl backend show try");
	wait_status_line("2 of 2 backends up");
	must_be_recorded(LOG_KIND_CONF_TAKEN, "");
	/* A bad file fails the reload, by name. */
	write_file(machine_path(m, CONF_FILE), MEDIA "rot = 13\n");
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q \"sharesd.conf:2: option .rot'\"");
	expect("systemctl is-active sharesd; sharesctl backend list --json | jq -r '.backends[].name' | "
	       "sort",
	       "active\nmedia\ntry");
	/* One that is good by itself, but not in place of the other. */
	write_file(machine_path(m, CONF_FILE), MEDIA "state_dir = \"/var/lib/elsewhere\"\n");
	run("systemctl reload sharesd");
	wait_status_line("2 of 2 backends up; the conf file that was read last is refused");
	must_be_recorded(LOG_KIND_CONF_REFUSED, "PRIORITY=3");
	write_file(machine_path(m, CONF_FILE), MEDIA);
	run("systemctl reload sharesd");
	wait_status_line("1 of 1 backend up");
	machine_wait(m, "! systemctl show -P StatusText sharesd | grep -q refused");
	expect("systemctl is-active sharesd", "active");
	ck_assert_int_eq(main_pid(), pid);
}
END_TEST

/* ---- restarts under load ---- */

enum { CLIENTS = 4, RESTARTS = 6 };

/* Until its answer is there. Every connection must be taken; what an old daemon refused, or left without an answer, is
 * sent again. Returns how often. */
static int create_for_sure(const char *name)
{
	for (int again = 0;; again++) {
		struct client *c = client_new(&m->there);
		json_t *j = client_ask(c,
				       "{'jsonrpc':'2.0','id':1,'method':'create_share_instance','params':{'name':'%s',"
				       "'size_bytes':1000,'backend':'media','request_id':'%s'}}",
				       name, name);
		const json_t *error = json_object_get(j, "error");
		const char *kind = json_string_value(json_object_get(json_object_get(error, "data"), "kind"));
		bool done = j && !error;

		ck_assert_msg(!j || done || (kind && strcmp(kind, "shutting_down") == 0), "%s: %s", name, kind);
		json_decref(j);
		client_free(c);
		if (done)
			return again;
	}
}

/* Makes shares until told to stop; writes how many, and how many requests were sent again. */
static _Noreturn void keep_creating(int id, const char *dir)
{
	char path[128], name[32], counts[64];
	int made = 0, again = 0;

	snprintf(path, sizeof path, "%s/stop", dir);
	while (!exists(path)) {
		snprintf(name, sizeof name, "c%d-%d", id, made);
		again += create_for_sure(name);
		made++;
	}
	snprintf(path, sizeof path, "%s/%d", dir, id);
	snprintf(counts, sizeof counts, "%d %d", made, again);
	write_file(path, counts);
	_exit(0);
}

static void start_clients(pid_t pids[CLIENTS], const char *dir)
{
	fflush(NULL);
	for (int i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0)
			keep_creating(i, dir);
	}
}

/* How many shares they were told of. */
static int end_clients(const pid_t pids[CLIENTS], const char *dir)
{
	int made = 0, again = 0, status;

	shell(NULL, "touch %s/stop", dir);
	for (int i = 0; i < CLIENTS; i++) {
		char path[128], *counts, *rest;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(status == 0, "client %d lost a request (wait status %d)", i, status);
		snprintf(path, sizeof path, "%s/%d", dir, i);
		counts = read_text(path);
		ck_assert_ptr_nonnull(counts);
		made += (int)strtol(counts, &rest, 10);
		again += (int)strtol(rest, NULL, 10);
		free(counts);
	}
	printf("restarts under load: %d requests, %d sent again\n", made, again);
	return made;
}

/* The command line sends again by itself, so a script does not notice. */
static void start_script(void)
{
	write_program("/run/script", "#!/bin/sh\nn=0\nwhile [ ! -e /run/stop ]; do\n\tsharesctl share create s-$n "
				     "--backend media --size 1MiB "
				     ">/dev/null 2>/run/lost || exit 1\n\tn=$((n + 1))\ndone\necho $n >/run/made\n");
	run("rm -f /run/stop /run/made; systemd-run -q -u script /run/script");
}

static int end_script(void)
{
	char *out;
	int made;

	run("touch /run/stop");
	machine_wait(m, "! systemctl is-active -q script");
	out = machine_run(m, "cat /run/made || cat /run/lost");
	made = (int)strtol(out, NULL, 10);
	ck_assert_msg(made > 0, "the command line lost a request: %s", out);
	free(out);
	printf("restarts under load: %d calls of sharesctl\n", made);
	return made;
}

static int lines_of(const char *script)
{
	char *out = machine_run(m, "%s | wc -l", script);
	int n = (int)strtol(out, NULL, 10);

	free(out);
	return n;
}

START_TEST(restarts_lose_nothing)
{
	char dir[] = "/tmp/sharesd-load-XXXXXX", *out;
	pid_t pids[CLIENTS];
	int made;

	if (!machine_is_there(m, "restarts_lose_nothing"))
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	start_anew(MEDIA);
	start_script();
	start_clients(pids, dir);
	for (int i = 0; i < RESTARTS; i++) {
		long pid = main_pid();

		/* With work under way. */
		machine_wait(m, "[ $(ls /srv/media | wc -l) -gt %d ]", (i + 1) * 2 * CLIENTS);
		run("systemctl restart sharesd");
		ck_assert_int_ne(main_pid(), pid);
	}
	made = end_clients(pids, dir) + end_script();
	ck_assert_int_gt(made, RESTARTS * CLIENTS);
	ck_assert_int_eq(lines_of("ls /srv/media"), made);
	out = machine_run(m,
			  "sharesctl share list --json | jq -r '.shares[] | select(.status == \"available\") | .name' "
			  "| sort -u | wc -l");
	ck_assert_int_eq(strtol(out, NULL, 10), made);
	free(out);
	shell(NULL, "rm -rf %s", dir);
}
END_TEST

/* ---- the watchdog ---- */

START_TEST(watchdog_watches_the_loop)
{
	long pid;
	json_t *j;

	if (!machine_is_there(m, "watchdog_watches_the_loop"))
		return;
	write_program("/etc/sharesd/hooks/slow", "#!/bin/sh\n[ $2 != create_share_instance ] || sleep 6\n");
	start_anew("dir \"media\" { root = \"/srv/media\" hook_drivers = {\"exec:/etc/sharesd/hooks/slow\"} "
		   "enable_pre_hooks = true }\nsim \"try\" {}\n");
	drop_in("[Service]\nWatchdogSec=4\nRestartSec=100ms\n");
	run("systemctl restart sharesd");
	machine_wait(m, "sharesctl status");
	pid = main_pid();
	/* The call thread is held for longer than the watchdog waits; the loop lives. */
	run("sharesctl share create photos --backend media --size 1MiB");
	ck_assert_int_eq(main_pid(), pid);
	expect("systemctl show -P NRestarts sharesd", "0");
	/* The loop hangs: who connects then is answered by the next daemon. */
	free(machine_run(m, "kill -STOP %ld", pid));
	j = call(&m->there, "get_share", "{s:s}", "share", "photos");
	ck_assert_str_eq(str_at(j, "status"), "available");
	json_decref(j);
	ck_assert_int_ne(main_pid(), pid);
	expect("systemctl show -P NRestarts sharesd", "1");
	run("journalctl --sync; journalctl -u sharesd | grep -q 'Watchdog timeout'");
}
END_TEST

/* ---- further daemons, profiles ---- */

START_TEST(second_daemon_beside_the_first)
{
	json_t *j;

	if (!machine_is_there(m, "second_daemon_beside_the_first"))
		return;
	start_anew(MEDIA);
	write_file(machine_path(m, "/etc/sharesd/second.conf"),
		   "state_dir = \"/var/lib/sharesd-second\"\nsocket = \"/run/sharesd-second/sharesd.sock\"\n"
		   "sim \"other\" { hook_drivers = {\"exec:/bin/true\"} }\n");
	run("systemctl start sharesd@second.socket && sharesctl --socket /run/sharesd-second/sharesd.sock share create "
	    "there --size 1MiB");
	expect("sharesctl --socket /run/sharesd-second/sharesd.sock hook list --json | jq -r '.hooks[].containment'",
	       "cgroup");
	run("sharesctl share create here --size 1MiB");
	run("! sharesctl share show there && systemctl restart sharesd && sharesctl --socket "
	    "/run/sharesd-second/sharesd.sock share show there");
	expect("systemctl is-active sharesd@second sharesd", "active\nactive");
	expect("stat -c %U:%a /var/lib/sharesd-second", "sharesd:700");
	/* A conf file that names another socket than the unit. */
	write_file(machine_path(m, "/etc/sharesd/third.conf"), "state_dir = \"/var/lib/sharesd-third\"\n");
	ck_assert_int_ne(machine_try(m, NULL, "systemctl start sharesd@third"), 0);
	run("systemctl stop sharesd@third.socket sharesd@third 2>/dev/null");
	j = find_record(LOG_KIND_START_FAILED, "");
	ck_assert_ptr_nonnull(strstr(str_at(j, "MESSAGE"), "does not listen on /run/sharesd/sharesd.sock"));
	json_decref(j);
}
END_TEST

static void link_profile(const char *name)
{
	free(machine_run(
		m,
		"mkdir -p /etc/systemd/system/sharesd.service.d && ln -s /usr/share/sharesd/systemd/%s.conf "
		"/etc/systemd/system/sharesd.service.d/ && systemctl daemon-reload && systemctl restart sharesd",
		name));
}

#define AS_GAMES                                                                                                       \
	"dir \"media\" { root = \"/srv/media\" hook_drivers = {\"exec:/etc/sharesd/hooks/who\"} enable_pre_hooks = "   \
	"true exec_user = \"games\" }\n"

#define WEBHOOK(url) "dir \"media\" { root = \"/srv/media\" hook_drivers = {\"webhook:" url "\"} }\n"

START_TEST(profiles_give_more)
{
	if (!machine_is_there(m, "profiles_give_more"))
		return;
	write_program(
		"/etc/sharesd/hooks/who",
		"#!/bin/sh\nexec >" TRY_OUT "\nid -un\ngrep -E 'CapEff|CapAmb' /proc/self/status | tr -s '\\t' ' '\n"
		"sharesctl share create inner --backend media --size 1MiB 2>/dev/null\necho would_deadlock: $?\n");
	start_anew(MEDIA);
	run("install -m 666 /dev/null " TRY_OUT);
	write_file(machine_path(m, CONF_FILE), "admin_groups = {\"sharesd\", \"games\"}\n" AS_GAMES);
	/* Refused with the name of what is missing. */
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q 'drop-in run-as'");
	link_profile("run-as");
	machine_wait(m, "sharesctl status");
	run("sharesctl share create outer --backend media --size 1MiB");
	expect(CONTAINMENT, "cgroup");
	expect("cat " TRY_OUT, "games\nCapEff: 0000000000000000\nCapAmb: 0000000000000000\nwould_deadlock: 18");
	/* So are webhooks, but for those on a Unix socket. */
	write_file(machine_path(m, CONF_FILE), WEBHOOK("unix:/run/x.sock:/"));
	run("systemctl reload sharesd");
	write_file(machine_path(m, CONF_FILE), WEBHOOK("http://127.0.0.1:1/"));
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q 'drop-in network'");
	link_profile("network");
	machine_wait(m,
		     "[ $(readlink /proc/$(systemctl show -P MainPID sharesd)/ns/net) = $(readlink /proc/1/ns/net) ]");
}
END_TEST

/* ---- what mounts, and servers of other protocols ---- */

#define POOL   "btrfs \"pool\" { root = \"/pool\" quota = \"off\" export = {\"ganesha\"} }\n"
#define SERVER "$(head -n 1 /run/sharesd/ganesha/ganesha.pid | cut -d ' ' -f 1)"

static void expect_listed(void)
{
	machine_wait(m, "nfs-ls 'nfs://127.0.0.1/photos?version=4' | grep -q kept");
}

/* NFS goes on through restarts and stops of the service, and a new daemon goes on with the server. */
START_TEST(servers_outlive_the_service)
{
	char *pid, *security;

	if (!machine_is_there(m, "servers_outlive_the_service"))
		return;
	start_anew(MEDIA);
	write_file(machine_path(m, CONF_FILE), POOL);
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q 'drop-in mount'");
	link_profile("mount");
	machine_wait(m, "sharesctl backend list --json | jq -e '.backends[0].status == \"up\"'");
	run("sharesctl share create photos --backend pool --proto NFS --size 10MiB && "
	    "touch /pool/photos/data/kept && sharesctl access allow photos ip 127.0.0.1 --option "
	    "squash=no_root_squash");
	expect_listed();
	pid = machine_run(m, "echo " SERVER);
	run("grep -q sharesd-ganesha- /proc/" SERVER "/cgroup");
	run("systemctl restart sharesd");
	expect_listed();
	/* Made by the new daemon, seen by the old server. */
	run("sharesctl share create more --backend pool --proto NFS --size 10MiB && "
	    "touch /pool/more/data/new && sharesctl access allow more ip 127.0.0.1 --option squash=no_root_squash");
	machine_wait(m, "nfs-ls 'nfs://127.0.0.1/more?version=4' | grep -q new");
	run("systemctl stop sharesd");
	expect_listed();
	run("systemctl start sharesd");
	run("sharesctl share delete more");
	expect("echo " SERVER, pid);
	expect_listed();
	security = machine_run(m, "systemd-analyze security --no-pager sharesd.service | tail -n 1");
	printf("profile mount: %s\n", security);
	run("sharesctl share delete photos; systemctl stop sharesd; systemctl kill -s KILL 'sharesd-*.scope' || :");
	free(security);
	free(pid);
}
END_TEST

#define TENANT                                                                                                         \
	"share_network \"blue\" { bridge = \"br-blue\" addresses = {\"192.0.2.10/24\"} }\n"                            \
	"dir \"tenants\" { root = \"/pool/tenants\" export = {\"ganesha\"} driver_handles_share_servers = true }\n"
#define TENANT_SERVER "$(head -n 1 /run/sharesd/servers/*/ganesha/ganesha.pid | cut -d ' ' -f 1)"

static void expect_tenant_listed(void)
{
	machine_wait(m, "nfs-ls 'nfs://192.0.2.10/photos?version=4' | grep -q kept");
}

/* Networks are made with no more rights than the profiles give, and go on without the service. */
START_TEST(share_servers_of_the_service)
{
	char *pid;

	if (!machine_is_there(m, "share_servers_of_the_service"))
		return;
	start_anew(MEDIA);
	run("mkdir /pool/tenants && ip link add br-blue type bridge && ip address add 192.0.2.2/24 dev br-blue && ip "
	    "link set br-blue up");
	link_profile("mount");
	write_file(machine_path(m, CONF_FILE), TENANT);
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q 'drop-in network'");
	link_profile("network");
	machine_wait(m, "sharesctl backend list --json | jq -e '.backends[0].status == \"up\"'");
	run("sharesctl share create photos --backend tenants --proto NFS --size 10MiB --share-network blue && "
	    "touch /pool/tenants/photos/data/kept && sharesctl access allow photos ip 192.0.2.2 --option "
	    "squash=no_root_squash");
	expect_tenant_listed();
	pid = machine_run(m, "echo " TENANT_SERVER);
	run("systemctl restart sharesd");
	machine_wait(m, "sharesctl backend list --json | jq -e '.backends[0].status == \"up\"'");
	expect("echo " TENANT_SERVER, pid);
	run("systemctl stop sharesd");
	expect_tenant_listed();
	run("kill -9 " TENANT_SERVER "; systemctl start sharesd");
	expect_tenant_listed();
	run("sharesctl share delete photos && "
	    "sharesctl server delete $(sharesctl server list --json | jq -r '.share_servers[0].id')");
	expect("ip netns list; ip -o link | grep shs || :", "");
	run("systemctl stop sharesd; ip link delete br-blue; rm -r /pool/tenants");
	free(pid);
}
END_TEST

#define SENT                                                                                                           \
	"btrfs \"pool\" { root = \"/pool/near\" quota = \"off\" replication_domain = \"d\" }\n"                        \
	"btrfs_ssh \"second\" { replication_domain = \"d\" "                                                           \
	"replica_transport = \"ssh://root@127.0.0.1:2222\" }\n"

/* The daemon's own key, where sharesd(8) has it, and no more rights than the profile gives. */
START_TEST(replicas_on_another_host)
{
	if (!machine_is_there(m, "replicas_on_another_host"))
		return;
	start_anew(MEDIA);
	run("mkdir /pool/near /pool/far /run/sshd && mkdir -m 700 -p /root/.ssh && cd /root/.ssh && rm -f * && "
	    "ssh-keygen -q -t ed25519 -N '' -f id_ed25519 && ssh-keygen -q -t ed25519 -N '' -f /etc/far_key && "
	    "echo \"[127.0.0.1]:2222 $(cut -d ' ' -f 1,2 /etc/far_key.pub)\" >known_hosts && "
	    "echo \"restrict,command=\\\"/usr/libexec/sharesd/sharesd-receive /pool/far\\\" $(cat id_ed25519.pub)\" "
	    ">authorized_keys && printf 'ListenAddress 127.0.0.1\\nPort 2222\\nHostKey /etc/far_key\\nUsePAM no\\n"
	    "PermitRootLogin forced-commands-only\\n' >/etc/far_sshd && systemd-run -q --unit far-sshd "
	    "/usr/sbin/sshd -D -f /etc/far_sshd");
	write_file(machine_path(m, CONF_FILE), SENT);
	ck_assert_int_ne(machine_try(m, NULL, "systemctl reload sharesd"), 0);
	machine_wait(m, "journalctl --sync; journalctl -u sharesd -n 20 | grep -q 'drop-in mount'");
	link_profile("mount");
	machine_wait(m, "sharesctl backend list --json | jq -e 'all(.backends[]; .status == \"up\")'");
	run("sharesctl share create photos --backend pool --size 10MiB && echo one >/pool/near/photos/data/f && "
	    "sharesctl replica create photos --backend second");
	expect("cat /pool/far/*/shares/*/data/f", "one");
	run("echo two >/pool/near/photos/data/f && systemctl restart sharesd");
	machine_wait(m, "sharesctl backend list --json | jq -e 'all(.backends[]; .status == \"up\")'");
	run("sharesctl replica update photos@second");
	expect("cat /pool/far/*/shares/*/data/f", "two");
	run("sharesctl replica delete photos@second && sharesctl share delete photos");
	expect("ls /pool/far/*/shares", "");
	run("systemctl stop sharesd far-sshd; rm -r /root/.ssh /pool/near /pool/far");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("systemd");
	TCase *t = tcase_create("units");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_unchecked_fixture(t, boot, end);
	tcase_add_test(t, installed_twice);
	tcase_add_test(t, first_connection_starts_it);
	tcase_add_test(t, shares_of_users);
	tcase_add_test(t, hardening_is_in_force);
	tcase_add_test(t, hooks_have_groups);
	tcase_add_test(t, journal_has_fields);
	tcase_add_test(t, reload_good_and_bad);
	tcase_add_test(t, restarts_lose_nothing);
	tcase_add_test(t, watchdog_watches_the_loop);
	tcase_add_test(t, second_daemon_beside_the_first);
	tcase_add_test(t, profiles_give_more);
	tcase_add_test(t, servers_outlive_the_service);
	tcase_add_test(t, share_servers_of_the_service);
	tcase_add_test(t, replicas_on_another_host);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
