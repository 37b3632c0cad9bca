/* Programs that outlive us: servers, which go on through our stop, crash and upgrade, and are found again by who takes
 * over (drivers/export/server.h). Not below sharesd-contain, which would end them with us. The program gets a session
 * of its own, "/" as its directory, no signal blocked or ignored, only the environment given, descriptors 0 (nothing),
 * 1 and 2 and no other. Any thread. */
#ifndef BASE_PROCESS_LAUNCH_H
#define BASE_PROCESS_LAUNCH_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct process_launch {
	pid_t pid;
	int pidfd;   /* readable when it has ended */
	int channel; /* to what waits to become the program; -1 once it has */
};

#define PROCESS_LAUNCH_INIT ((struct process_launch){ .pidfd = -1, .channel = -1 })

/* The process is there and has its number, but is not the program yet: the caller writes down which one it is. When we
 * die before process_launch_go, it ends by itself. `output` is a descriptor for its standard output and error; argv[0]
 * is an absolute path. */
int process_launch_hold(const char *const *argv, const char *const *env, int output, struct process_launch *ret,
			struct error *e);
/* The same in another network: `netns` is a descriptor of its namespace; -1: in ours. */
int process_launch_hold_in(int netns, const char *const *argv, const char *const *env, int output,
			   struct process_launch *ret, struct error *e);
/* It becomes the program; on failure (ENOENT, EACCES, ..) there is none, and it was reaped. */
int process_launch_go(struct process_launch *l, const char *program, struct error *e);
/* Ends what was not let go; closes. The program goes on. */
void process_launch_clear(struct process_launch *l);

/* Has it ended? A zombie has. One that we started is reaped. */
bool process_has_ended(int pidfd);
/* What tells a process from others that had or will have its number: the time of its start, in ticks since boot.
 * -ESRCH: there is none, or only what is left of it. */
int process_start_time(pid_t pid, unsigned long long *ret);

#endif
