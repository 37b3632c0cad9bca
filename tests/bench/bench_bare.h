/* The least that has to be done for what a hook module does, without a daemon: one of each for bench_hooks. Whatever
 * fails ends the process. */
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include <stddef.h>

/* Starts a program with this text on its standard input, as `argv` says; takes what it writes and waits for its end. */
void bare_run(const char *const *argv, const char *text, size_t len);

/* A program that answers each line by one. */
struct talk;
struct talk *talk_open(const char *const *argv);
void talk_once(struct talk *t, const char *line, size_t len);

/* A kept connection to a server; `unix_socket` may be NULL. */
struct web;
struct web *web_open(const char *url, const char *unix_socket);
void web_post(struct web *w, const char *body, size_t len);

/* A datagram to this path. */
void bare_datagram(const char *path, const char *text, size_t len);

#endif
