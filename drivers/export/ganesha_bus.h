/* The words of NFS-Ganesha's D-Bus interface. Every call has a finite time limit; what Ganesha says is an error comes
 * back as one in our words, with its text. ERR_BACKEND_DOWN: it does not answer, and what became of the call is not
 * known. One thread. */
#ifndef DRIVERS_EXPORT_GANESHA_BUS_H
#define DRIVERS_EXPORT_GANESHA_BUS_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

struct ganesha_bus;

/* Connects to the bus at this D-Bus address, or (NULL) to the system's, and asks who answers for Ganesha there. */
int ganesha_bus_open(const char *address, struct ganesha_bus **ret, struct error *e);
void ganesha_bus_close(struct ganesha_bus *b); /* NULL is fine */

pid_t ganesha_bus_pid(const struct ganesha_bus *b); /* of Ganesha */

/* Cheap, waits for nothing. False once the bus or the Ganesha that was there at first is gone, or has not answered for
 * a minute. */
bool ganesha_bus_is_alive(struct ganesha_bus *b);

/* The block EXPORT of `file` that has this number. */
int ganesha_bus_add(struct ganesha_bus *b, const char *file, unsigned number, struct error *e);
int ganesha_bus_update(struct ganesha_bus *b, const char *file, unsigned number, struct error *e);
/* -ENOENT: it has none of that number. */
int ganesha_bus_remove(struct ganesha_bus *b, unsigned number, struct error *e);

/* An export as Ganesha has it. */
struct ganesha_shown {
	char *path, *pseudo;
	char **clients; /* addresses and networks, in the order in which they count */
	size_t n;
};

/* -ENOENT: it has none of that number. */
int ganesha_bus_show(struct ganesha_bus *b, unsigned number, struct ganesha_shown *ret, struct error *e);
void ganesha_shown_clear(struct ganesha_shown *s);
/* The numbers of all exports that there are, but for the root of its name space. Freed by the caller. */
int ganesha_bus_list(struct ganesha_bus *b, unsigned **ret, size_t *ret_n, struct error *e);

#endif
