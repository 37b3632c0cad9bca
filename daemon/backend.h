/* A backend: a section of the conf file, its driver's state and its hooks. Call thread. The one place that calls
 * drivers. */
#ifndef DAEMON_BACKEND_H
#define DAEMON_BACKEND_H

#include "daemon/engine.h"
#include "daemon/input.h"
#include "drivers/driver.h"

enum backend_status { BACKEND_STARTING, BACKEND_UP, BACKEND_DOWN };

struct backend {
	struct backend *next;
	char *name, *id, *driver;
	const struct share_driver_ops *ops; /* NULL: not in the conf file any more */
	/* The driver's, and whose that is. Out of the conf file it is kept as long as work goes on that needs it. */
	void *state;
	const struct share_driver_ops *state_ops;    /* the state's: the driver's, or with exports around it */
	const struct share_driver_ops *state_driver; /* the driver's own */
	struct conf *conf;                           /* whose settings these are */
	struct conf *state_conf;                     /* whose settings the driver's state was made with */
	const struct settings *settings;
	struct hook_set *hooks;
	enum backend_status status;
	bool gone; /* not in the conf file, and nothing in the store: nobody sees it any more */
	char *reason;
	char *purge_failure;  /* why its trash could not be emptied, or NULL */
	json_t *to_measure;   /* ids of the instances that the round of usage has before it, or NULL */
	json_t *to_update;    /* what the round of replica updates has before it, or NULL */
	json_t *capabilities; /* the last stats published, or NULL */
	json_t *shown_hooks;  /* as the loop was told last, or NULL */
};

/* Makes the engine's backends those of the conf: keeps who stays (with its driver's state where its own options did not
 * change), makes the new ones, and leaves those that are gone as `down` while the store holds shares there. Every new
 * one is `starting`. Tells the loop. */
int backends_apply(struct engine *en, struct conf *conf, struct error *e);
void backends_free(struct backend *list);
/* Hook sets that no parked call can use any more. */
void backends_free_retired(struct engine *en);
struct backend *backend_find(struct engine *en, const char *name);
/* The same with ERR_NOT_FOUND. */
int backend_get(struct engine *en, const char *name, const char *param, struct backend **ret, struct error *e);
/* ERR_BACKEND_DOWN with the reason unless it is up. */
int backend_need_up(const struct backend *b, struct error *e);
/* The same unless its capabilities are known, too. */
int backend_need_known(const struct backend *b, struct error *e);
/* Not inside a transaction when the status changes: an event tells of it. */
void backend_set_status(struct engine *en, struct backend *b, enum backend_status status, const char *reason);
/* After hooks have run: tells the loop when one of them shows something else now, another process for one. */
void backend_show_hooks(struct engine *en, struct backend *b);
/* As get_backend answers: new reference. */
json_t *backend_json(const struct backend *b);
/* {"name","driver","capabilities"} for hook events: new reference. */
json_t *backend_event_json(const struct backend *b);

/* After a call: a backend that is out of the conf file loses what no work needs any more, and nobody sees it when the
 * store holds nothing there either. */
void backend_forget_unneeded(struct engine *en, struct backend *b);

/* Driver state and hooks, where they could not be made before; then whether what the hooks point at is there. */
int backend_prepare(struct engine *en, struct backend *b, struct error *e);
/* Does the store hold nothing there? */
int backend_is_empty(struct engine *en, const struct backend *b, bool *ret, struct error *e);

/* Does the conf file name exporters for it? */
bool backend_is_exported(const struct backend *b);
/* Backends whose export server was lost are down from here on, until their init_host, which comes soon, put all exports
 * back. */
void backend_check_exports(struct engine *en);

bool backend_has_slot(const struct backend *b, const char *slot);
/* Does the list of the capability hold the word? */
bool backend_offers(const struct backend *b, const char *capability, const char *word);

/* Calls one driver slot and checks what it answered. `in` is taken and may be NULL. 0: `*ret` is an object (new
 * reference, may be empty). 1: long work, in c->work; the answer comes through backend_finish. Negative: `e`, with
 * data.backend and phase. */
int backend_invoke(struct engine *en, struct backend *b, struct call *c, const char *slot, struct input *in,
		   json_t **ret, struct error *e);
/* The end of long work: as backend_invoke. */
int backend_finish(struct engine *en, struct backend *b, struct call *c, json_t **ret, struct error *e);

#endif
