/* An exporter: makes shares reachable over one protocol. A driver says where a share lies, an exporter makes it
 * reachable; neither knows the other's business. drivers/export/exported.h brings them together.
 *
 * An exporter is one `const struct exporter_ops` with designated initialisers, listed in drivers/export/table.c. There
 * is one object of it in a daemon, made when the first backend that names it in `export` is set up, and shared by all
 * backends; and one more for each share server, with a place and a network of its own.
 *
 * Thread: the call thread. Everything may be asked for again after a crash or a lost server: it finishes, or finds its
 * work done. What others configured on the same server is left alone. */
#ifndef DRIVERS_EXPORT_EXPORT_H
#define DRIVERS_EXPORT_EXPORT_H

#include "drivers/driver.h"
#include "drivers/export/place.h"

/* All is borrowed: it lives for the call. */
struct export
{
	const char *backend; /* name of the backend that it belongs to */
	const char *id;      /* of the share instance */
	/* What clients ask for, unique in the daemon: the share's name, 1..255 of A-Z a-z 0-9 . _ -, of a replica that
	 * is not active followed by @ and its backend's name. It is another one after a promotion. */
	const char *name;
	unsigned number;  /* 1..65535, unique in the daemon, for life */
	const char *path; /* absolute path of the root of the share's data, as the driver says it now */
	bool read_only;   /* whatever the rules say */
};

struct exporter_ops {
	const char *name;  /* "ganesha": what the conf file calls it */
	const char *proto; /* "NFS" */
	/* What rules it can put in force, NULL-terminated. */
	const char *const *access_types, *const *access_levels;
	const struct option *options; /* top-level options of its own */

	/* From the top level of the conf file, which lives as long as the exporter. `place` NULL: the one that all
	 * backends share, see export_place_of; else that of a share server, which always has a server of its own, and
	 * is borrowed for this call. Starts nothing. */
	int (*create)(const struct settings *settings, const struct export_place *place, void **ret_exporter,
		      struct error *e);
	/* The server goes on running. NULL is fine. */
	void (*destroy)(void *exporter);

	/* Its server runs and answers: it is taken over, or started, within 30 s. ERR_BACKEND_DOWN: what is missing,
	 * and what to do. */
	int (*start)(void *exporter, struct error *e);
	/* Of a share server, for good: its server has ended, and nothing is mounted in its place any more. */
	int (*stop)(void *exporter, struct error *e);
	/* Asked each second; takes no more than some milliseconds. True: the server is not the one any more that
	 * `start` saw, or does not answer: it must be started, and all exports be put again. */
	bool (*is_lost)(void *exporter);

	/* Makes the server export `x` with exactly these rules (those of its access_types), whatever it had before; a
	 * client whose rule stays notices nothing, one whose access is taken away loses it now. Where x->path is
	 * another directory than before (after a revert), the new one is exported. Adds to `results`, for each rule:
	 * id to {"state": "active" or "error", "reason"?}; a rule that cannot be is left out, poisons no other and
	 * opens nothing. On failure what was in force before stays, or nothing is open. */
	int (*put)(void *exporter, const struct export *x, const struct driver_rule *rules, size_t n, json_t *results,
		   struct error *e);
	/* Nobody reaches it any more, and nothing holds its directory. What is not exported is success; x->path may be
	 * NULL. */
	int (*remove)(void *exporter, const struct export *x, struct error *e);
	/* Ours, all that is there: new reference to [{"backend","id","name","number"}]. */
	int (*list)(void *exporter, json_t **ret, struct error *e);
	/* Does somebody else export this directory, or one above or below it? Text for people that names it ("the
	 * export /srv of NFS-Ganesha"), owned by the caller, or NULL. */
	int (*find_foreign)(void *exporter, const char *path, char **ret, struct error *e);
	/* What a client gives to its mount: new reference to [{"path": "nas1:/photos", ..}], one for each of
	 * export_addresses; or the share server's address. */
	json_t *(*locations)(void *exporter, const struct export *x);
};

#endif
