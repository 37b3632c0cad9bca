/* A network to try NFS in: this program's own (so that every program has port 2049 to itself), with two clients A and B
 * in others, and a mount namespace whose mounts end with the program. Root only. */
#ifndef TESTS_UNIT_NFS_LAB_H
#define TESTS_UNIT_NFS_LAB_H

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Client A is 10.99.1.2 and fd99:1::2, and sees the server as 10.99.1.1 and six1; B has 2 for the middle 1. */
enum { A, B, LAB_CLIENTS };

static pid_t lab_client[LAB_CLIENTS];
/* Where each of them looks for shares. */
static const char *lab_server[LAB_CLIENTS] = { "10.99.1.1", "10.99.2.1" };

/* Exit status of a command line. */
__attribute__((format(printf, 1, 2))) static inline int lab_shell(const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	command = xvasprintf(fmt, ap);
	va_end(ap);
	/* NOLINTNEXTLINE(cert-env33-c): a test's own text */
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Runs where the network is the client's. */
static inline pid_t lab_start_client(void)
{
	int fds[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(fds[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

/* Before any thread and any fork of the program. */
static inline void lab_open(void)
{
	ck_assert_msg(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "unshare: %s", strerror(errno));
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(lab_shell("ip link set lo up"), 0);
	for (int i = 0; i < LAB_CLIENTS; i++) {
		int n = i + 1;

		lab_client[i] = lab_start_client();
		ck_assert_int_eq(lab_shell("set -e; ip link add s%d type veth peer name c netns %d; "
					   "ip addr add 10.99.%d.1/24 dev s%d; "
					   "ip addr add fd99:%d::1/64 dev s%d nodad; ip link set s%d up; "
					   "nsenter -t %d -n sh -ec 'ip link set lo up; "
					   "ip addr add 10.99.%d.2/24 dev c; "
					   "ip addr add fd99:%d::2/64 dev c nodad; ip link set c up'",
					   n, (int)lab_client[i], n, n, n, n, n, (int)lab_client[i], n, n),
				 0);
	}
	/* The tools do not read IPv6 addresses. */
	ck_assert_int_eq(
		lab_shell("f=$(mktemp); printf '127.0.0.1 localhost\\nfd99:1::1 six1\\nfd99:2::1 six2\\n' >$f; "
			  "mount --bind $f /etc/hosts; rm $f"),
		0);
}

/* Is it one of the export servers, and in this program's mount namespace, where nobody else's are? */
static inline bool lab_is_server(const char *pid)
{
	static const char *const names[] = { "ganesha.nfsd\n", "dbus-daemon\n", "smbd\n", NULL };
	_cleanup_free_ char *comm = xasprintf("/proc/%s/comm", pid), *mnt = xasprintf("/proc/%s/ns/mnt", pid);
	struct stat ours, its;
	char name[32] = "";
	FILE *f;

	if (stat("/proc/self/ns/mnt", &ours) < 0 || stat(mnt, &its) < 0 || ours.st_ino != its.st_ino)
		return false;
	f = fopen(comm, "re");
	if (f && !fgets(name, sizeof(name), f))
		name[0] = '\0';
	if (f)
		fclose(f);
	for (const char *const *one = names; *one; one++)
		if (strcmp(*one, name) == 0)
			return true;
	return false;
}

/* Servers outlive whoever started them, a test that failed too. None of them runs any more. */
static inline void lab_end_servers(void)
{
	DIR *d = opendir("/proc");

	for (const struct dirent *one = readdir(d); one; one = readdir(d)) {
		pid_t pid = (pid_t)strtol(one->d_name, NULL, 10);
		int pidfd = pid > 0 && lab_is_server(one->d_name) ? pidfd_open(pid, 0) : -1;
		struct pollfd end = { .fd = pidfd, .events = POLLIN };

		if (pidfd < 0)
			continue;
		(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		(void)poll(&end, 1, 20000);
		close(pidfd);
	}
	closedir(d);
}

static inline void lab_close(void)
{
	lab_end_servers();
	for (int i = 0; i < LAB_CLIENTS; i++)
		if (lab_client[i] > 0) {
			kill(lab_client[i], SIGKILL);
			waitpid(lab_client[i], NULL, 0);
			lab_client[i] = 0;
		}
}

/* ---- what a client can do ---- */

/* Exit status of a command as a client; what it prints is not shown. */
__attribute__((format(printf, 2, 3))) static inline int lab_run(int client, const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	command = xvasprintf(fmt, ap);
	va_end(ap);
	return lab_shell("nsenter -t %d -n timeout 60 %s >/dev/null 2>&1", (int)lab_client[client], command);
}

static inline bool can_list(int client, const char *name)
{
	return lab_run(client, "nfs-ls 'nfs://%s/%s?version=4'", lab_server[client], name) == 0;
}

static inline bool can_list_six(int client, const char *name)
{
	return lab_run(client, "nfs-ls 'nfs://six%d/%s?version=4'", client + 1, name) == 0;
}

/* Is this what the file holds? */
static inline bool can_read(int client, const char *name, const char *file, const char *content)
{
	return lab_run(client, "sh -c '[ \"$(nfs-cat \"nfs://%s/%s/%s?version=4\")\" = \"%s\" ]'", lab_server[client],
		       name, file, content) == 0;
}

static inline bool can_write(int client, const char *name, const char *file)
{
	return lab_run(client, "nfs-cp /etc/hosts 'nfs://%s/%s/%s?version=4'", lab_server[client], name, file) == 0;
}

/* ---- a client that reads all the time, in one session ---- */

struct lab_reader {
	pid_t pid;
	struct lab_reads {
		atomic_ulong good, failed;
		atomic_bool stop;
	} * reads;
};

struct lab_libnfs {
	void *(*init)(void);
	int (*set_version)(void *nfs, int version);
	void (*set_timeout)(void *nfs, int ms);
	int (*mount)(void *nfs, const char *server, const char *path);
	int (*open)(void *nfs, const char *path, int flags, void **fh);
	int (*pread)(void *nfs, void *fh, uint64_t offset, uint64_t count, void *buffer);
	int (*pwrite)(void *nfs, void *fh, uint64_t offset, uint64_t count, const void *buffer);
};

static inline bool lab_load(struct lab_libnfs *n)
{
	void *lib = dlopen("libnfs.so.13", RTLD_NOW);

	if (!lib)
		return false;
	*(void **)&n->init = dlsym(lib, "nfs_init_context");
	*(void **)&n->set_version = dlsym(lib, "nfs_set_version");
	*(void **)&n->set_timeout = dlsym(lib, "nfs_set_timeout");
	*(void **)&n->mount = dlsym(lib, "nfs_mount");
	*(void **)&n->open = dlsym(lib, "nfs_open");
	*(void **)&n->pread = dlsym(lib, "nfs_pread");
	*(void **)&n->pwrite = dlsym(lib, "nfs_pwrite");
	return n->init && n->set_version && n->set_timeout && n->mount && n->open && n->pread && n->pwrite;
}

/* In a process of its own: becomes the client, and has the file open. Ends the process where that cannot be. */
static inline void *lab_open_file(struct lab_libnfs *n, int client, const char *name, const char *file, int flags,
				  void **ret_fh)
{
	_cleanup_free_ char *path = xasprintf("/%s", name);
	_cleanup_free_ char *wanted = xasprintf("/%s", file),
			    *ns = xasprintf("/proc/%d/ns/net", (int)lab_client[client]);
	int fd = open(ns, O_RDONLY | O_CLOEXEC);
	void *nfs = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0 || !lab_load(n) || !(nfs = n->init()))
		_exit(2);
	n->set_version(nfs, 4);
	n->set_timeout(nfs, 30000);
	if (n->mount(nfs, lab_server[client], path) != 0 || n->open(nfs, wanted, flags, ret_fh) != 0)
		_exit(3);
	return nfs;
}

static inline void lab_read_on(int client, const char *name, const char *file, struct lab_reads *reads)
{
	struct lab_libnfs n;
	void *fh, *nfs = lab_open_file(&n, client, name, file, O_RDONLY, &fh);
	char buffer[64];

	while (!atomic_load(&reads->stop)) {
		if (n.pread(nfs, fh, 0, sizeof(buffer), buffer) > 0)
			atomic_fetch_add(&reads->good, 1);
		else
			atomic_fetch_add(&reads->failed, 1);
		poll(NULL, 0, 1);
	}
	_exit(0);
}

static inline void lab_await_reads(const struct lab_reader *r, unsigned long more)
{
	unsigned long wanted = atomic_load(&r->reads->good) + more;
	double deadline = text_monotonic() + 60;

	while (atomic_load(&r->reads->good) < wanted) {
		ck_assert_int_eq(waitpid(r->pid, NULL, WNOHANG), 0);
		ck_assert_msg(text_monotonic() < deadline, "reading does not go on");
		poll(NULL, 0, 2);
	}
}

/* Returns when it has read the file some times. */
static inline struct lab_reader lab_reader_start(int client, const char *name, const char *file)
{
	struct lab_reader r;

	r.reads = mmap(NULL, sizeof(*r.reads), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(r.reads, MAP_FAILED);
	r.pid = fork();
	if (r.pid == 0)
		lab_read_on(client, name, file, r.reads);
	lab_await_reads(&r, 5);
	return r;
}

static inline unsigned long lab_reader_failures(const struct lab_reader *r)
{
	return atomic_load(&r->reads->failed);
}

static inline void lab_reader_stop(struct lab_reader *r)
{
	int status;

	atomic_store(&r->reads->stop, true);
	ck_assert_int_eq(waitpid(r->pid, &status, 0), r->pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	munmap(r->reads, sizeof(*r->reads));
}

/* Bytes that the client could write into a file that is there, until it was refused more. */
static inline uint64_t lab_fill(int client, const char *name, const char *file)
{
	/* What the library can send in one message. */
	enum { PIECE = 3072 };
	uint64_t *written = mmap(NULL, sizeof(*written), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	uint64_t n_bytes;
	int status;

	if (pid == 0) {
		static char piece[PIECE];
		struct lab_libnfs n;
		void *fh, *nfs = lab_open_file(&n, client, name, file, O_WRONLY, &fh);
		int len;

		while ((len = n.pwrite(nfs, fh, *written, PIECE, piece)) > 0)
			*written += (uint64_t)len;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %x", (unsigned)status);
	n_bytes = *written;
	munmap(written, sizeof(*written));
	return n_bytes;
}

#endif
