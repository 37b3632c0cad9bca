/* Another host that holds replicas: what is asked of its sharesd-receive (drivers/receive_main.c), by ssh. Functions
 * return 0 or a negative errno with `e` filled; ERR_BACKEND_DOWN where the host cannot be asked. */
#ifndef DRIVERS_BTRFS_SSH_FAR_H
#define DRIVERS_BTRFS_SSH_FAR_H

#include "drivers/btrfs/btrfs_volume.h"

#include "base/error.h"
#include "base/process.h"

#include <jansson.h>

struct far {
	char *name, *id; /* of the backend */
	char *transport; /* ssh://USER@HOST:PORT */
	char *config;    /* for ssh -F; "" is ssh's own */
};

/* Is it a transport? Says why not. */
int far_check_transport(const char *transport, struct error *e);

/* ssh with a request ("make", "delete share ID"), NULL-terminated; `n` arguments of one's own are left free before it.
 * Owned by the caller, with its strings. */
char **far_argv(const struct far *f, const char *request, size_t n);
void far_argv_free(char **argv);

/* How long it may take, and how much it may say. argv is what far_argv answered, and belongs to the caller. */
struct process_spec far_spec(char **argv);
/* ssh could not be started, `e` says why: now as a failure of the backend. */
int far_not_asked(const struct far *f, struct error *e);
/* What came of it; clears `r`. `ret` may be NULL where no answer is expected. */
int far_answer(const struct far *f, struct process_result *r, const struct process_spec *spec, json_t **ret,
	       struct error *e);
/* Both, waiting for the end. */
int far_ask(const struct far *f, const char *request, json_t **ret, struct error *e);

/* What sharesd-receive has under an id, or NULL; borrowed from `state`, its answer to "state". */
const json_t *far_held(const json_t *state, const char *kind, const char *id);
void far_volume(const json_t *held, struct btrfs_volume_info *ret);

#endif
