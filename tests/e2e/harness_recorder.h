/* The hook of tests/plugins/e2e_recorder.c as tests see it: what it is to do, and what it was told. */
#ifndef TESTS_E2E_HARNESS_RECORDER_H
#define TESTS_E2E_HARNESS_RECORDER_H

#include "tests/e2e/harness.h"

struct recorder;

/* Below the fixture's directory. */
struct recorder *recorder_new(const struct fixture *f);
void recorder_free(struct recorder *r);
/* "/path/e2e_recorder.so:e2e_recorder", for hook_drivers and `run`. Valid for the process. */
const char *recorder_entry(void);
/* The line `hook_options = {..}` that the hook needs, for a conf file's top level. Names "@DIR@". */
extern const char recorder_options[];
/* From now on the hooks of this backend do this: an object as the plugin describes it; taken. NULL: nothing. */
void recorder_script(struct recorder *r, const char *backend, json_t *script);
/* What came since the last time: [{"hook","event"}], new reference. */
json_t *recorder_events(struct recorder *r);

#endif
