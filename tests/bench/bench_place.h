/* What the benchmark needs around it: a place on the disk, daemons, connections. Whatever fails ends the process, and
 * the place and the processes with it. */
#ifndef TESTS_BENCH_PLACE_H
#define TESTS_BENCH_PLACE_H

#include <stddef.h>
#include <sys/types.h>

/* A directory for all files, below `parent`; removed at exit. */
void place_open(const char *parent);
/* A path in it, by printf format; valid for the next 8 calls. */
const char *place_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One more directory, which lies in memory and runs no programs; removed at exit. */
const char *place_in_memory(void);
void place_write(const char *name, const char *text);
/* A program or shared object that only its owner may write, whatever the umask was: its path in the place. */
const char *place_copy(const char *from);

double seconds(void);
_Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Starts a program whose output goes into the file NAME.log of the place; ends with this process. */
pid_t start(const char *name, const char *const *argv);
void stop(pid_t pid);        /* SIGTERM, and waits for an exit status of 0 */
void end_at_once(pid_t pid); /* SIGKILL, and waits */
/* Kilobytes of this process, from /proc: "VmRSS" or "RssAnon". */
long memory_of(pid_t pid, const char *what);

/* A connection, tried for 20 s until somebody listens. */
struct wire;
struct wire *wire_open(const char *path);
void wire_close(struct wire *w);
void wire_send(struct wire *w, const char *line, size_t len);
/* The next line, without its end; valid until the next call. */
const char *wire_receive(struct wire *w);
/* One request and its answer, which must be a result. */
const char *wire_ask(struct wire *w, const char *line, size_t len);

double median(const double *values, size_t n);

#endif
