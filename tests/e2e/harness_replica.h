/* What the tests of replicas share: a share "s" whose replicas lie on backends below DIR. */
#ifndef TESTS_E2E_HARNESS_REPLICA_H
#define TESTS_E2E_HARNESS_REPLICA_H

#include "tests/e2e/harness.h"

/* A command line in DIR, which succeeds. */
void in_dir(const struct fixture *f, const char *command);
/* What one prints. */
long number_of(const struct fixture *f, const char *command);
/* Files below DIR. */
void put(const struct fixture *f, const char *path, const char *text);
void has(const struct fixture *f, const char *path, const char *text);
void replicate(const struct fixture *f, const char *backend);
/* Borrowed of `share`, as get_share shows it. */
const json_t *on(const json_t *share, const char *backend);
void expect(const struct fixture *f, const char *backend, const char *status, const char *state);
/* Until its first copy, which went on by itself, is there. */
void await_first_copy(const struct fixture *f, const char *backend);
/* Free it. */
char *id_on(const struct fixture *f, const char *backend);
/* They are what the call promises afterwards. */
void update(const struct fixture *f, const char *backend);
void promote(const struct fixture *f, const char *backend);
void drop(const struct fixture *f, const char *backend);
/* The place of a file in a snapshot's instance on a backend, relative to DIR. Static storage; eight of them live. */
const char *place_of(const struct fixture *f, const char *ref, const char *backend, const char *file);

#endif
