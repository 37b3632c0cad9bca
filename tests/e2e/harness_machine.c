#include "tests/e2e/harness_machine.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOT_SECONDS 120
#define WAIT_SECONDS 30
#define SCRIPT_MAX   6000

/* ---- where it lives ---- */

static double times(void)
{
	const char *text = getenv("TIMES");
	double n = text ? strtod(text, NULL) : 1;

	return n >= 1 ? n : 1;
}

__attribute__((format(printf, 2, 3))) static void no_machine(struct machine *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->reason, sizeof m->reason, fmt, ap);
	va_end(ap);
	m->reason[strcspn(m->reason, "\n")] = '\0';
}

/* The mounts are those of this process alone, and go with it, whatever its end. */
static int make_files(struct machine *m)
{
	char *out;
	int status;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		no_machine(m, "no mount namespace of its own: %s", strerror(errno));
		return -1;
	}
	snprintf(m->dir, sizeof m->dir, "/tmp/sharesd-machine-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(m->dir));
	snprintf(m->root, sizeof m->root, "%s/root", m->dir);
	status = shell(
		&out,
		"cd %s && mkdir upper root && mount -t tmpfs -o size=1G tmpfs upper 2>&1 && mkdir upper/u upper/w "
		"&& mount -t overlay -o lowerdir=/,upperdir=upper/u,workdir=upper/w overlay root 2>&1 && "
		"truncate -s 300M upper/pool.img && mkfs.btrfs -q upper/pool.img 2>&1 && mkdir pool && "
		"mount -o loop upper/pool.img pool 2>&1 && "
		"mkdir -p root/etc/systemd/system && rm -f root/etc/fstab root/etc/machine-id "
		"root/root/.bashrc root/root/.zshenv && "
		"systemd-machine-id-setup --root=root 2>&1",
		m->dir);
	if (status != 0)
		no_machine(m, "no overlay of this machine's files: %s", out);
	free(out);
	return status ? -1 : 0;
}

/* What the target needs is all that is started: the installed units are the tests' own matter. */
static void write_target(const struct machine *m)
{
	char path[128];

	snprintf(path, sizeof path, "%s/etc/systemd/system/test.target", m->root);
	write_file(path, "[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n");
}

void machine_prepare(struct machine *m)
{
	char *out;

	*m = (struct machine){ .init = 0 };
	if (geteuid() != 0)
		no_machine(m, "needs root");
	else if (shell(NULL, "command -v systemd-nspawn >/dev/null") != 0)
		no_machine(m, "needs systemd-nspawn (package systemd-container)");
	if (m->reason[0] || make_files(m) < 0)
		return;
	write_target(m);
	/* The programs beside this test, as they are. */
	ck_assert_msg(shell(&out, "make -s O=%.*s install-built DESTDIR=%s 2>&1",
			    (int)(strlen(program_path("sharesd")) - strlen("/sharesd")), program_path("sharesd"),
			    m->root) == 0,
		      "make install failed: %s", out);
	free(out);
}

/* ---- its control groups ---- */

/* nspawn gives its machines no names here, so two at a time need groups of their own. */
#define EACH_GROUP "for c in systemd unified; do g=/sys/fs/cgroup/$c/sharesd-test-%d; "

static void make_groups(pid_t pid)
{
	shell(NULL,
	      EACH_GROUP
	      "[ -e /sys/fs/cgroup/$c/cgroup.procs ] && mkdir $g && echo %d >$g/cgroup.procs; done 2>/dev/null",
	      (int)pid, (int)pid);
}

static void remove_groups(pid_t pid)
{
	/* What was killed may need a moment to go. */
	shell(NULL,
	      EACH_GROUP
	      "for i in $(seq 100); do [ -d $g ] || break; find $g -depth -type d -exec rmdir {} \\; ; sleep "
	      "0.05; done; done 2>/dev/null",
	      (int)pid);
}

/* ---- start and end ---- */

static _Noreturn void become_nspawn(const struct machine *m)
{
	char log[96], pool[128];
	int out, null = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_groups(getpid());
	snprintf(log, sizeof log, "%s/console", m->dir);
	out = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	snprintf(pool, sizeof pool, "--bind=%s/pool:/pool", m->dir);
	setsid();
	/* A server of NFS opens files by their handles, and transfers are confined. */
	execlp("systemd-nspawn", "systemd-nspawn", "-q", "-D", m->root, pool,
	       "--system-call-filter=open_by_handle_at landlock_create_ruleset landlock_add_rule "
	       "landlock_restrict_self",
	       "--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--console=pipe", "-b", "--",
	       "--unit=test.target", (char *)NULL);
	_exit(127);
}

static pid_t find_init(const struct machine *m)
{
	char *out;
	pid_t pid;

	shell(&out, "pgrep -P %d -x systemd", (int)m->nspawn);
	pid = (pid_t)strtol(out, NULL, 10);
	free(out);
	return pid;
}

static bool is_up(struct machine *m)
{
	if (m->init == 0)
		m->init = find_init(m);
	return m->init > 0 && machine_try(m, NULL, "systemctl is-active -q test.target") == 0;
}

void machine_boot(struct machine *m)
{
	double until = now() + BOOT_SECONDS * times();
	char path[96], *said;

	if (m->reason[0])
		return;
	fflush(NULL);
	m->nspawn = fork();
	ck_assert_int_ge(m->nspawn, 0);
	if (m->nspawn == 0)
		become_nspawn(m);
	while (!is_up(m)) {
		if (waitpid(m->nspawn, NULL, WNOHANG) == 0 && now() < until) {
			nap(0.05);
			continue;
		}
		snprintf(path, sizeof path, "%s/console", m->dir);
		said = read_text(path);
		no_machine(m, "systemd does not boot in a container here: %s", said ? said : "");
		free(said);
		return;
	}
	snprintf(m->there.socket, sizeof m->there.socket, "/proc/%d/root/run/sharesd/sharesd.sock", (int)m->init);
}

void machine_end(struct machine *m)
{
	if (m->init > 0)
		kill(m->init, SIGKILL);
	else if (m->nspawn > 0)
		kill(m->nspawn, SIGKILL);
	if (m->nspawn > 0) {
		waitpid(m->nspawn, NULL, 0);
		remove_groups(m->nspawn);
	}
	if (m->dir[0])
		shell(NULL, "cd / && umount -l %s/root %s/pool %s/upper; rm -rf --one-file-system %s", m->dir, m->dir,
		      m->dir, m->dir);
}

bool machine_is_there(const struct machine *m, const char *test_name)
{
	const char *ci = getenv("CI");

	if (!m->reason[0])
		return true;
	printf("SKIP %s: %s\n", test_name, m->reason);
	if (ci && *ci)
		ck_abort_msg("%s must not be skipped by CI: %s", test_name, m->reason);
	return false;
}

/* ---- what happens in it ---- */

const char *machine_path(const struct machine *m, const char *path)
{
	static char paths[4][512];
	static unsigned next;
	char *out = paths[next++ % 4];

	snprintf(out, sizeof paths[0], "/proc/%d/root%s", (int)m->init, path);
	return out;
}

/* In the environment no quoting is needed. */
static int run_script(const struct machine *m, char **ret_out, const char *script)
{
	setenv("MACHINE_SCRIPT", script, 1);
	return shell(ret_out, "exec 2>&1; exec nsenter -t %d -a sh -c \"cd /; $MACHINE_SCRIPT\"", (int)m->init);
}

__attribute__((format(printf, 2, 0))) static void print_script(char script[SCRIPT_MAX], const char *fmt, va_list ap)
{
	ck_assert_int_lt(vsnprintf(script, SCRIPT_MAX, fmt, ap), SCRIPT_MAX);
}

int machine_try(const struct machine *m, char **ret_out, const char *fmt, ...)
{
	char script[SCRIPT_MAX];
	va_list ap;

	va_start(ap, fmt);
	print_script(script, fmt, ap);
	va_end(ap);
	return run_script(m, ret_out, script);
}

/* What the units said lately, for a test that fails. */
static _Noreturn void give_up(const struct machine *m, const char *script, const char *out)
{
	char *log;

	run_script(m, &log, "systemctl --no-pager status 'sharesd*'; journalctl --no-pager -n 60 -o short-monotonic");
	fprintf(stderr, "---- the machine ----\n%s\n----\n", log);
	ck_abort_msg("in the machine: %s\n%s", script, out);
}

char *machine_run(const struct machine *m, const char *fmt, ...)
{
	char script[SCRIPT_MAX], *out;
	va_list ap;

	va_start(ap, fmt);
	print_script(script, fmt, ap);
	va_end(ap);
	if (run_script(m, &out, script) != 0)
		give_up(m, script, out);
	if (*out && out[strlen(out) - 1] == '\n')
		out[strlen(out) - 1] = '\0';
	return out;
}

void machine_wait(const struct machine *m, const char *fmt, ...)
{
	double until = now() + WAIT_SECONDS * times();
	char script[SCRIPT_MAX], *out;
	va_list ap;

	va_start(ap, fmt);
	print_script(script, fmt, ap);
	va_end(ap);
	while (run_script(m, &out, script) != 0) {
		if (now() > until)
			give_up(m, script, out);
		free(out);
		nap(0.05);
	}
	free(out);
}
