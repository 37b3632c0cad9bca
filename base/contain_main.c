/* sharesd-contain: runs one program and answers for all that comes of it. As the subreaper of the tree it becomes the
 * parent of every process that loses its own, so no double fork and no new session leads out of its sight.
 * Only libc, one thread: it starts with every hook. */
#include "base/contain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_GROUPS   65536 /* the kernel's own limit */
#define MAX_PAUSE_MS 100

struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	int n_groups;
};

/* What runs below us. */
struct tree {
	pid_t program;
	bool ended;  /* the program, not the tree */
	bool group;  /* there is a control group for it */
	int signals; /* readable when a child has ended */
};

/* What the child tells the helper before it has become the program. */
struct failure {
	enum contain_word word;
	int err;
};

static void tell(enum contain_word word, int value)
{
	struct contain_message m = { .word = (int32_t)word, .value = value };

	/* Whether anybody still listens is seen at the other direction. */
	(void)send(CONTAIN_FD, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns 0 or an errno. */
static int find_groups(const char *name, struct identity *id)
{
	static gid_t groups[MAX_GROUPS]; /* costs nothing until it is written to */

	id->groups = groups;
	id->n_groups = MAX_GROUPS;
	return getgrouplist(name, id->gid, groups, &id->n_groups) < 0 ? E2BIG : 0;
}

/* A number that has no entry runs with the group of the same number, and no other. Returns 0 or an errno. */
static int find_user(const char *user, struct identity *id)
{
	unsigned long number;
	struct passwd *pw;
	char *end;

	errno = 0;
	number = strtoul(user, &end, 10);
	if (user[0] >= '0' && user[0] <= '9' && *end == '\0') {
		if (errno || number >= UINT32_MAX)
			return ENOENT;
		id->uid = (uid_t)number;
		id->gid = (gid_t)number;
		pw = getpwuid(id->uid);
	} else {
		pw = getpwnam(user);
		if (!pw)
			return ENOENT;
		id->uid = pw->pw_uid;
	}
	/* Without root there is no switching, but the own user may be named. */
	id->change = geteuid() != 0 ? id->uid != geteuid() : true;
	if (!pw)
		return 0;
	id->gid = pw->pw_gid;
	return find_groups(pw->pw_name, id);
}

/* What a daemon without root was given is for its own user alone; only root's goes by itself on a switch. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
		return errno;
	return 0;
}

static int switch_user(const struct identity *id)
{
	bool was_root = geteuid() == 0;

	if (!id->change)
		return 0;
	if (setgroups((size_t)id->n_groups, id->groups) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return errno;
	return was_root ? 0 : drop_capabilities();
}

static void default_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The daemon may be spared when memory runs out; what it runs is not. */
static void be_no_dearer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0 && text[0] == '-')
		(void)!pwrite(fd, "0", 1, 0);
	close(fd);
}

/* To a file of the control group. Returns 0 or an errno. */
static int write_group(const char *name, const char *text)
{
	int fd = openat(CONTAIN_GROUP_FD, name, O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno;
	err = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return err;
}

/* A fork whose child is born in the group: going there later makes the kernel wait for all processors, some 10 ms. A
 * filter of system calls may not let us; then `*ret_join` says that the child has to go there. */
static pid_t fork_into_group(bool *ret_join)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = CONTAIN_GROUP_FD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	*ret_join = pid < 0;
	return pid < 0 ? fork() : pid;
}

/* In the child: becomes the program, or says why not. */
static _Noreturn void become(const struct identity *id, char **argv, pid_t helper, bool join, int report)
{
	struct failure f = { .word = CONTAIN_NO_GROUP };

	setsid();
	be_no_dearer();
	f.err = join ? write_group("cgroup.procs", "0") : 0;
	if (f.err == 0) {
		f.word = CONTAIN_NO_SWITCH;
		f.err = switch_user(id);
	}
	if (f.err == 0) {
		/* Should the helper be killed, at least the program itself goes with it. After the switch: that
		 * clears it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != helper)
			_exit(127);
		default_signals();
		close_range(CONTAIN_FD, ~0U, CLOSE_RANGE_CLOEXEC);
		execv(argv[0], argv);
		f = (struct failure){ .word = CONTAIN_NO_EXEC, .err = errno };
	}
	(void)!write(report, &f, sizeof(f));
	_exit(127);
}

/* The program's process id; -1 where it did not come to be, which has been told. */
static pid_t start(const struct identity *id, bool group, char **argv)
{
	struct failure f;
	pid_t helper = getpid(), pid;
	bool join = false;
	int report[2];
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0 || (pid = group ? fork_into_group(&join) : fork()) < 0) {
		tell(CONTAIN_NO_EXEC, errno);
		return -1;
	}
	if (pid == 0)
		become(id, argv, helper, join, report[1]);
	close(report[1]);
	do
		n = read(report[0], &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == (ssize_t)sizeof(f)) {
		waitpid(pid, NULL, 0);
		tell(f.word, f.err);
		return -1;
	}
	tell(CONTAIN_STARTED, pid);
	return pid;
}

/* The program's ends of its pipes: kept, their readers would never see the end. */
static void let_go_of_pipes(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < CONTAIN_FD; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	if (null >= CONTAIN_FD)
		close(null);
}

/* Takes what has ended. Returns how many; -1 when no child is left. */
static int reap(struct tree *t)
{
	struct signalfd_siginfo info[8];
	int count = 0, status;
	pid_t pid;

	/* Only a bell: several ends may ring once. Emptied first, so that none after it is missed. */
	while (read(t->signals, info, sizeof(info)) > 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		count++;
		if (pid != t->program)
			continue;
		t->ended = true;
		tell(CONTAIN_ENDED, status);
	}
	return pid < 0 && errno == ECHILD ? -1 : count;
}

/* A child of ours that has ended keeps its number until we reap it, so no stranger is hit. */
static void kill_child(long pid)
{
	if (pid > 0)
		kill((pid_t)pid, SIGKILL);
}

static bool kill_children_listed(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	char *word = NULL;
	size_t size = 0;

	if (!f)
		return false;
	while (getdelim(&word, &size, ' ', f) > 0)
		kill_child(strtol(word, NULL, 10));
	free(word);
	fclose(f);
	return true;
}

static pid_t parent_of(const char *pid)
{
	char path[64], line[512];
	long parent = -1;
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	/* The name before it is in parentheses and may hold any character; one letter stands between. */
	line[fread(line, 1, sizeof(line) - 1, f)] = '\0';
	p = strrchr(line, ')');
	if (p && strlen(p) > 4)
		parent = strtol(p + 4, NULL, 10);
	fclose(f);
	return (pid_t)parent;
}

/* For kernels without the list of children. */
static bool kill_children_found(void)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;

	if (!d)
		return false;
	while ((entry = readdir(d)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == getpid())
			kill_child(strtol(entry->d_name, NULL, 10));
	closedir(d);
	return true;
}

/* Until the program ends or the order to kill comes. */
static void watch(struct tree *t)
{
	struct pollfd fds[] = { { .fd = CONTAIN_FD, .events = POLLIN }, { .fd = t->signals, .events = POLLIN } };

	while (!t->ended && fds[0].revents == 0) {
		if (poll(fds, 2, -1) < 0)
			continue;
		reap(t);
	}
}

/* Kills until no child is left: who dies leaves us its children. What cannot be killed (a set-user-ID program below a
 * daemon without root, a process stuck in the kernel) is waited for. */
static void end_all(struct tree *t)
{
	struct pollfd fd = { .fd = t->signals, .events = POLLIN };
	int pause = 1, n;

	/* Mostly nothing is left, and then there is no need to look for it. */
	if (reap(t) < 0)
		return;
	/* Ahead of a program that forks as fast as it can; only root may. */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	for (;;) {
		/* All in one blow, before they can fork. */
		if (t->group)
			(void)write_group("cgroup.kill", "1");
		if (!kill_children_listed() && !kill_children_found())
			kill(-t->program, SIGKILL);
		n = reap(t);
		if (n < 0)
			return;
		pause = n > 0 ? 1 : pause < MAX_PAUSE_MS ? pause * 2 : MAX_PAUSE_MS;
		poll(&fd, 1, pause);
	}
}

/* -1, or a descriptor that is readable when a child has ended. */
static int setup(bool group)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t child;

	for (int i = 1; i < NSIG; i++)
		if (i != SIGCHLD && i != SIGSEGV && i != SIGBUS && i != SIGILL && i != SIGFPE && i != SIGABRT)
			sigaction(i, &ignore, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	close_range(group ? CONTAIN_GROUP_FD + 1 : CONTAIN_FD + 1, ~0U, 0);
	umask(022);
	if (chdir("/") < 0 || fcntl(CONTAIN_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    (group && fcntl(CONTAIN_GROUP_FD, F_SETFD, FD_CLOEXEC) < 0) || sigprocmask(SIG_SETMASK, &child, NULL) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -1;
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	struct identity id = { .change = false };
	struct tree tree = { .program = -1 };
	int err;

	if (argc < 4 || fcntl(CONTAIN_FD, F_GETFD) < 0) {
		fprintf(stderr, "sharesd-contain runs hooks and helpers for sharesd, which starts it itself.\n");
		return 2;
	}
	tree.group = argv[2][0] != '\0';
	tree.signals = setup(tree.group);
	if (tree.signals < 0) {
		tell(CONTAIN_NO_EXEC, errno);
		return 1;
	}
	err = argv[1][0] != '\0' ? find_user(argv[1], &id) : 0;
	if (err)
		tell(CONTAIN_NO_USER, err);
	else
		tree.program = start(&id, tree.group, argv + 3);
	let_go_of_pipes();
	if (tree.program < 0)
		return 1;
	watch(&tree);
	end_all(&tree);
	return 0;
}
