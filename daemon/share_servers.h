/* Share servers as shares need them: found or made for a new share, deleted when nobody needs them. Call thread. */
#ifndef DAEMON_SHARE_SERVERS_H
#define DAEMON_SHARE_SERVERS_H

#include "daemon/backend.h"

/* ERR_NOT_FOUND with the param when the conf file has no such network. */
int need_network(struct engine *en, const char *name, const struct conf_section **ret, struct error *e);
/* The row of the backend's server for the network; `*ret` stays NULL when there is none. */
int share_server_find(struct engine *en, const char *backend, const char *network, json_t **ret, struct error *e);
int share_server_count_shares(struct engine *en, const char *id, int64_t *ret, struct error *e);
/* For a new share, whose intent is committed: finds its network's server, makes one by a call of its own where there is
 * none, and writes it into the rows. */
int share_server_take(struct engine *en, struct call *c, struct error *e);
/* After a share left: deletes its server where the conf file says so. */
void share_server_leave(struct engine *en, struct call *c);
/* For init_host: all share servers of its backend that were made are there again. All are tried, so that one does not
 * keep the others away: then ERR_BACKEND_DOWN names the first that could not be had. */
int share_servers_put_back(struct engine *en, struct call *host, struct error *e);
/* A tick: deletes servers that had no share for unused_share_server_cleanup_interval. */
void share_servers_reap(struct engine *en, const char *backend);

#endif
