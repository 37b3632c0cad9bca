#include "tests/soak/soak.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 60, BLOCK = 65536 };

static int dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Sends without end, and reads nothing. */
static void pour(int fd, const char *text, size_t len)
{
	for (int i = 0; i < 2000 && send(fd, text, len, MSG_NOSIGNAL) > 0; i++)
		;
}

static void garbage(int fd, unsigned seed)
{
	char block[BLOCK];

	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)rand_r(&seed);
	pour(fd, block, sizeof block);
}

static void endless_line(int fd, unsigned seed)
{
	char block[BLOCK];

	(void)seed;
	memset(block, '[', sizeof block);
	pour(fd, block, sizeof block);
}

static void never_reads(int fd, unsigned seed)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.discover\"}\n";

	(void)seed;
	pour(fd, line, sizeof line - 1);
}

static void half_a_line(int fd, unsigned seed)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list_";

	(void)seed;
	(void)!send(fd, line, sizeof line - 1, MSG_NOSIGNAL);
}

static void subscribes(int fd, unsigned seed)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{}}\n";

	(void)seed;
	(void)!send(fd, line, sizeof line - 1, MSG_NOSIGNAL);
}

static void (*const manners[])(int fd, unsigned seed) = { garbage, endless_line, never_reads, half_a_line, subscribes };

/* A reader: another user than the workers', whose connections it must not be able to use up. */
void soak_annoy(struct soak *s, unsigned seed)
{
	const struct passwd *nobody = getpwnam("nobody");
	int fds[CONNECTIONS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!nobody || setgroups(0, NULL) < 0 || setgid(nobody->pw_gid) < 0 || setuid(nobody->pw_uid) < 0)
		_exit(1);
	for (;;) {
		for (int i = 0; i < CONNECTIONS; i++) {
			fds[i] = dial(s->socket);
			if (fds[i] < 0)
				continue;
			manners[(unsigned)rand_r(&seed) % (sizeof manners / sizeof *manners)](fds[i],
											      (unsigned)rand_r(&seed));
			atomic_fetch_add(&s->hostile, 1);
		}
		usleep(200000);
		for (int i = 0; i < CONNECTIONS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		usleep(800000);
	}
}
