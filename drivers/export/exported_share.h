/* A backend whose shares are exported, and what is done with the exports of one share. Private to exported*.c. Call
 * thread. */
#ifndef DRIVERS_EXPORT_EXPORTED_SHARE_H
#define DRIVERS_EXPORT_EXPORTED_SHARE_H

#include "drivers/export/share_server.h"
#include "drivers/export/table.h"

struct exported {
	struct share_driver_ops ops; /* first: what this backend offers */
	const struct share_driver_ops *driver;
	void *state; /* the driver's */
	char *name;
	struct conf *conf;
	const struct exporter_ops **kinds; /* that `export` names */
	size_t n;
	/* One of each kind, shared with other backends, and the generation that our exports were put on. NULL where
	 * shares have servers of their own: */
	struct exporter **exporters;
	unsigned *generations;
	bool makes_servers;
	struct share_server *share_servers;
};

/* Is it for clients of a server, not a directory of this host alone? */
bool exported_is_on(const struct driver_share *s);
/* The exporters that this share is for, one of each kind. -ENOTSUP: the backend exports it nowhere. */
int exported_find(const struct exported *x, const struct driver_share *s, struct exporter *const **ret,
		  struct error *e);
/* On every server that speaks the share's protocol: exactly these rules. NULL: none. Adds to `results` as an exporter's
 * `put` does. */
int exported_put(const struct exported *x, const struct driver_call *call, const struct driver_share *s,
		 const struct driver_rules *rules, json_t *results, struct error *e);
/* Nobody reaches it any more. */
int exported_remove(const struct exported *x, const struct driver_share *s, struct error *e);
/* New reference; empty where it is exported nowhere. */
json_t *exported_locations(const struct exported *x, const struct driver_share *s);
/* An entry of what an exporter's `list` says, which it borrows from. */
struct export exported_of_list(const json_t *one);

#endif
