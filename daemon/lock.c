#include "daemon/lock.h"

#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LEFT_OVER_SECONDS 5.0

static int owner_of(int fd)
{
	char text[24] = "";

	(void)!pread(fd, text, sizeof text - 1, 0);
	return (int)strtol(text, NULL, 10);
}

static bool is_gone(int pid)
{
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* A program that a killed daemon was just starting has a copy of its descriptors until it is executed. */
static int take(int fd)
{
	double until = text_monotonic() + LEFT_OVER_SECONDS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (!is_gone(owner_of(fd)) || text_monotonic() > until)
			return -EWOULDBLOCK;
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	return 0;
}

int lock_take(int fd, int *ret_owner)
{
	int r = take(fd);

	if (r == -EWOULDBLOCK)
		*ret_owner = owner_of(fd);
	/* Who finds it locked reads it: on a full disk the lock holds without. */
	if (r == 0 && ftruncate(fd, 0) == 0)
		dprintf(fd, "%d\n", (int)getpid());
	return r;
}
