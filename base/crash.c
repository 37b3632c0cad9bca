#include "base/crash.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long crash_at; /* 0: never; set before any thread */
static atomic_ulong steps;

void crash_setup(void)
{
	const char *s = getenv("SHARESD_CRASH_AT");

	crash_at = s ? strtoul(s, NULL, 10) : 0;
	atomic_store(&steps, 0);
}

void crash_step(const char *what)
{
	unsigned long step;

	if (!crash_at)
		return;
	step = atomic_fetch_add(&steps, 1) + 1;
	if (step != crash_at)
		return;
	dprintf(STDERR_FILENO, "crash at step %lu: %s\n", step, what);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
