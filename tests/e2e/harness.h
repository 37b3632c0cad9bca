/* What end-to-end tests share: a real sharesd in a temporary place, and a client that speaks JSON lines. Each test
 * program (Check) starts as many daemons as it likes; all is gone after fixture_free. One thread. */
#ifndef TESTS_E2E_HARNESS_H
#define TESTS_E2E_HARNESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- a place and a daemon ---- */

struct fixture {
	char dir[128];    /* temporary, mode 0755: conf, state, roots, hook programs lie below it */
	char conf[192];   /* DIR/sharesd.conf */
	char socket[192]; /* DIR/sock */
	char log[192];    /* DIR/log: the daemon's standard error */
	pid_t pid;        /* of the daemon, or 0 */
	int status;       /* wait status of the last end */
};

/* A temporary directory with state_dir, socket and log set in a conf head; `body` is appended: backends, options.
 * "@DIR@" in it is replaced by the directory. Directories named in `root = "@DIR@/x"` are made (by fixture_conf too).
 */
struct fixture *fixture_new(const char *body);
void fixture_conf(struct fixture *f, const char *body); /* writes the conf file anew */
/* Starts the daemon and waits until the socket answers and no backend is "starting" (fails the test after 20 s).
 * `env`: "NAME=value" .. NULL-terminated, in addition; or NULL. `uid`: run as that user (root only;
 * then all below DIR is given to it, and the programs lie in DIR/bin), or (uid_t)-1. */
void fixture_start(struct fixture *f, const char *const *env, uid_t uid);
/* Starts it without waiting. */
void fixture_spawn(struct fixture *f, const char *const *env, uid_t uid);
void fixture_wait_started(struct fixture *f); /* the second half of fixture_start */
/* SIGTERM, and waits for a clean end (exit status 0, else fails the test; also on a sanitizer's report in the log). */
void fixture_stop(struct fixture *f);
void fixture_kill(struct fixture *f); /* SIGKILL, and waits */
/* Waits until the daemon has ended by itself; false after the seconds. */
bool fixture_wait_end(struct fixture *f, double seconds);
void fixture_hup(struct fixture *f);
/* Stops what runs, fails the test on a sanitizer's report, removes all. Prints the log when the test failed before. */
void fixture_free(struct fixture *f);
/* Long work (copying, measuring and purging trees) begins, reports 1000 bytes, and does not get on until it is
 * released. The first time before the daemon is started. */
void fixture_hold_work(struct fixture *f);
void fixture_release_work(struct fixture *f);
/* An executable file DIR/name with this text ("@DIR@" replaced); returns its path (valid until the next call). */
const char *fixture_program(struct fixture *f, const char *name, const char *text);
/* A path below DIR, by printf format; valid for the next 8 calls. */
const char *fixture_path(const struct fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *fixture_log(const struct fixture *f); /* the whole log; free it */
bool fixture_log_has(const struct fixture *f, const char *text);
/* Path of what was built with the test: "sharesd", "sharesctl", "openrpc.json" .. */
const char *program_path(const char *name);

/* ---- a client ---- */

struct client;
/* Connects (fails the test when it cannot). As another user: root only. */
struct client *client_new(const struct fixture *f);
struct client *client_new_as(const struct fixture *f, uid_t uid, gid_t gid);
/* With supplementary groups: root only. */
struct client *client_new_groups(const struct fixture *f, uid_t uid, gid_t gid, const gid_t *groups, size_t n);
struct client *client_try(const struct fixture *f); /* NULL when it cannot connect */
void client_free(struct client *c);
int client_fd(const struct client *c);
void client_send_text(struct client *c, const char *text); /* as it is: no end of line added */
void client_send(struct client *c, const char *data, size_t len);
/* A line by printf format, and its end; "'" is sent as '"'. */
void client_line(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, and the next line that comes. NULL at the end of the stream. New reference. */
json_t *client_ask(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void client_shutdown(struct client *c); /* no more sending */
/* The next line as JSON; NULL at the end of the stream. Fails the test after 30 s. New reference. */
json_t *client_read(struct client *c);
/* For one that is dropped, or whose daemon is killed: the stream may end within a line, which is not shown then. */
void client_may_be_cut(struct client *c);

/* Nothing comes for so long. */
bool client_quiet(struct client *c, double seconds);

/* The two halves of client_request. What comes meanwhile is kept for client_read. */
json_int_t client_send_request(struct client *c, const char *method, json_t *params);
json_t *client_reply(struct client *c, json_int_t id);
/* A request and its answer: `params` is taken (NULL: none). The whole reply; new reference. */
json_t *client_request(struct client *c, const char *method, json_t *params);
/* The same with json_pack's format for params ("{s:s}", ..); the result (never NULL: json null). Fails the test on an
 * error, printing it. */
json_t *client_call(struct client *c, const char *method, const char *fmt, ...);
/* The error object of a call that must fail with this kind. New reference; fails the test otherwise. */
json_t *client_error(struct client *c, const char *kind, const char *method, const char *fmt, ...);

/* The daemon starts and gets the call, whose params are taken. true: it came through, and the daemon was stopped; else
 * the daemon died at this step. */
bool fixture_crash_at(struct fixture *f, unsigned step, const char *method, json_t *params);

/* Without a client of one's own: one connection each. */
json_t *call(const struct fixture *f, const char *method, const char *fmt, ...);
json_t *call_error(const struct fixture *f, const char *kind, const char *method, const char *fmt, ...);

/* ---- small things ---- */

/* A member along a path "instances.0.status"; borrowed; fails the test when it is not there. */
json_t *at(const json_t *j, const char *path);
const char *str_at(const json_t *j, const char *path);
long long int_at(const json_t *j, const char *path);
/* Runs a shell command (printf format); returns its exit status. `*ret_out` (may be NULL): standard output, free it. */
int shell(char **ret_out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void write_file(const char *path, const char *text);
char *read_text(const char *path); /* NULL when it is not there; free it */
bool exists(const char *path);
double now(void); /* seconds, monotonic */
void nap(double seconds);
/* Waits until get_share (or snapshot) shows the status; fails the test after 20 s. */
void wait_share(const struct fixture *f, const char *share, const char *status);
void wait_backend(const struct fixture *f, const char *backend, const char *status);
/* true: this is root and the test may go on. Else prints "SKIP name: needs root", and fails when $CI is set. */
bool need_root(const char *test_name);

/* Is this a build under a sanitizer? */
bool is_sanitized(void);

#endif
