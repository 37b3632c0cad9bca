#include "base/stray.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>

/* A process that is just becoming another program shows no environment for a moment, so one look is not enough. */
#define CLEAN_LOOKS 3
#define PAUSE_MS    5

int stray_mark(char ret[STRAY_MARK_SIZE])
{
	uint64_t n[2];

	if (getrandom(n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return -EIO;
	snprintf(ret, STRAY_MARK_SIZE, "SHARESD_RUN=%016" PRIx64 "%016" PRIx64, n[0], n[1]);
	return 0;
}

static bool has_mark(pid_t pid, const char *mark)
{
	_cleanup_free_ char *word = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	bool found = false;
	char path[32];
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	f = fopen(path, "re");
	while (f && !found && getdelim(&word, &size, '\0', f) > 0)
		found = strcmp(word, mark) == 0;
	return found;
}

/* Looked at again under the descriptor: its number may be another's by now. */
static void kill_marked(pid_t pid, const char *mark)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	if (fd >= 0 && has_mark(pid, mark))
		(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
}

static bool kill_all_marked(const char *mark)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (d && (entry = readdir(d))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 1 || !has_mark(pid, mark))
			continue;
		found = true;
		kill_marked(pid, mark);
	}
	return found;
}

void stray_kill(const char *mark, double seconds)
{
	double deadline = text_monotonic() + seconds;

	for (int clean = 0; clean < CLEAN_LOOKS && text_monotonic() < deadline;) {
		clean = kill_all_marked(mark) ? 0 : clean + 1;
		if (clean < CLEAN_LOOKS)
			(void)poll(NULL, 0, PAUSE_MS);
	}
}
