/* The daemon's loop and its call thread, run in turn in the one thread of a fuzz target: the code is the daemon's own,
 * from the socket to the store and back, and an input always takes the same way. */
#ifndef TESTS_FUZZ_ONE_THREAD_H
#define TESTS_FUZZ_ONE_THREAD_H

#include "daemon/service.h"
#include "tests/fuzz/fuzz.h"

struct one_thread;

/* Starts a daemon on a conf file whose state_dir is `directory`/state. Negative where the store refuses. */
int one_thread_start(const char *conf_path, const char *directory, struct one_thread **ret, struct error *e);
void one_thread_stop(struct one_thread *d); /* NULL is fine */
struct store *one_thread_store(struct one_thread *d);
/* Calls that were handed to the call thread so far, the start's own left out. */
size_t one_thread_calls(const struct one_thread *d);

/* One connection that sends `text` in the pieces that `r` gives (NULL: whole), then shuts its side down, and all that
 * comes back until the daemon closes it (where it subscribed: until nothing more comes). Owned by the caller. */
char *one_thread_talk(struct one_thread *d, const char *text, size_t len, struct fuzz_random *r, size_t *ret_len);
/* One request that must be answered; NULL params are fine (else taken). New reference to the answer. */
json_t *one_thread_call(struct one_thread *d, const char *method, json_t *params);

/* Are these answers (what one_thread_talk gave) those that JSON-RPC demands for these requests? Fails otherwise. */
void one_thread_check_answers(const struct one_thread *d, const char *text, size_t len, const char *answers,
			      size_t answers_len);

#endif
