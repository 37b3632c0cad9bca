/* A supervised server: a program of somebody else's that we start, that outlives us, and that whoever comes after us
 * finds again. Its directory is private (root's, 0700) and holds NAME.pid, by which it is found, and NAME.log, what it
 * printed. A pid file names the process by number, time of start and boot, so another with its number is not taken for
 * it; it is written before the program runs, so none runs that nobody knows. Where systemd runs it gets a unit of its
 * own (server_scope.h). One thread at a time. */
#ifndef DRIVERS_EXPORT_SERVER_H
#define DRIVERS_EXPORT_SERVER_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct export_server;

/* Makes `path` and what is missing above it, which others may enter; `path` itself nobody but us. Refused where others
 * could change it. */
int export_server_make_directory(const char *path, struct error *e);

/* Starts nothing and looks at nothing. */
struct export_server *export_server_new(const char *directory, const char *name);
/* The server goes on running. NULL is fine. */
void export_server_free(struct export_server *s);

/* It is to live in this network namespace: the path of a file that holds it. Before it is started. */
void export_server_live_in(struct export_server *s, const char *netns);

/* A program of the system's, not from our own PATH: owned by the caller. ERR_BACKEND_DOWN: it is not installed. */
int export_server_find_program(const char *name, const char *packages, char **ret, struct error *e);

/* The one that the pid file names is ours from now on. -ESRCH: there is none. */
int export_server_take_over(struct export_server *s);
/* argv[0] is an absolute path; `env` is the whole environment. 0: it runs, which says nothing of how it fares. -EEXIST
 * when one runs that was taken over or started before. */
int export_server_start(struct export_server *s, const char *const *argv, const char *const *env, struct error *e);
/* Cheap: a poll. */
bool export_server_is_alive(struct export_server *s);
pid_t export_server_pid(const struct export_server *s); /* 0: none */
/* Does it see the mounts that we make, and live in the network that it is to live in? False for one that a daemon in
 * another mount namespace started, and for one whose network was made anew. */
bool export_server_is_in_place(const struct export_server *s);
/* SIGTERM, and after the seconds SIGKILL to its process group. True when none runs any more. */
bool export_server_stop(struct export_server *s, double seconds);
/* The last line of the log that has `word` in it, or (NULL) its last line: owned by the caller, NULL when there is
 * none. Of the last 64 KiB. */
char *export_server_log_line(const struct export_server *s, const char *word);

#endif
