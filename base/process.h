/* The one place that starts programs (those that outlive us: base/process_launch.h). Each runs below a small helper
 * (sharesd-contain) which is the subreaper of its tree: at the program's end, at the time limit, on process_kill and
 * when the daemon dies, everything below is killed until no child is left, whatever session or group it moved to. The
 * program gets a session of its own, an empty signal mask, only the environment given and SHARESD_RUN, and descriptors
 * 0, 1, 2. With `group` all of it is killed by its control group too. SHARESD_RUN is of this run alone: should the
 * helper be killed, all who have it are. Any thread; one process object in one thread at a time. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process_spec {
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *env;  /* "NAME=value" .. NULL: the whole environment, but for SHARESD_RUN */
	const char *user;        /* name or number to run as, or NULL */
	bool group;              /* in a control group of its own, where there are any (base/cgroup.h) */
	const void *input;       /* process_run: written to standard input, then closed; the program need not read it */
	size_t input_len;
	size_t max_output; /* bytes of standard output kept; more is `too_much` and ends the program */
	double timeout;    /* seconds, finite, above 0 */
};

struct process_result {
	int exit_code; /* -1 when it was ended by a signal */
	int signal;
	bool timed_out;
	bool too_much;
	char *output; /* standard output, NUL-terminated */
	size_t output_len;
	char *errors; /* the end of standard error, at most 4 KiB, NUL-terminated, white space trimmed at the end */
	double seconds;
};

/* Where sharesd-contain lies. Set once at start; default: beside the running program, else the libexec directory. */
void process_set_helper(const char *path);
const char *process_helper(void);
/* Another program of ours, which lies beside it: owned by the caller. */
char *process_beside_helper(const char *name);

/* What holds a program with `group` and its children together, as it is told to users: "cgroup" (and the subreaper) or
 * "subreaper". */
const char *process_containment(void);

/* Runs to the end. 0 whatever the program's own fate; negative when it could not be started (ENOENT, EACCES, ..), with
 * `e` saying what and where. `ret` is filled on 0 and freed by the caller. */
int process_run(const struct process_spec *spec, struct process_result *ret, struct error *e);
void process_result_clear(struct process_result *r);
/* The same, waited for a while at a time; what it says meanwhile waits in its pipes. The spec and what it points at
 * must live until the end. */
struct process_run;
int process_run_begin(const struct process_spec *spec, struct process_run **ret, struct error *e);
bool process_run_wait(struct process_run *run, double seconds); /* is it over, or has to be? */
/* Kills what runs, fills `ret` (may be NULL) and frees. NULL is fine. */
void process_run_end(struct process_run *run, struct process_result *ret);
/* "exit status 3", "signal 9 (Killed)", "no end within 5.0 s and killed", "more than 1 MiB of output and killed". Owned
 * by the caller. */
char *process_result_text(const struct process_result *r, const struct process_spec *spec);

/* A program that goes on: pipes to and from it, non-blocking. `input`, `max_output` and `timeout` are not used. */
struct process;
int process_start(const struct process_spec *spec, struct process **ret, struct error *e);
int process_stdin(const struct process *p);  /* -1 once closed */
int process_stdout(const struct process *p); /* readable; EOF when the tree is gone */
int process_stderr(const struct process *p);
int process_pidfd(const struct process *p); /* readable when all of it has ended */
pid_t process_pid(const struct process *p); /* of the program itself */
void process_close_stdin(struct process *p);
/* -EAGAIN while it runs; 0 fills exit_code and signal. */
int process_poll(struct process *p, struct process_result *ret);
/* Kills the whole tree and waits for its end. Safe twice. */
void process_kill(struct process *p);
/* Kills if needed and frees. NULL is fine. */
void process_free(struct process *p);

/* A hook program, a plugin or a conf file that others may write is refused: root, `uid` and nobody else may (-EPERM
 * with the reason). Looks at the file itself (links followed), and whether everybody may put another into its
 * directory. It need not be executable: where that matters, running it says so. */
int process_check_program(const char *path, uid_t uid, struct error *e);

#endif
