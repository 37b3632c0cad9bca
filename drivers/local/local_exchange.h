/* Other data in the place of a share's, in one step. */
#ifndef DRIVERS_LOCAL_LOCAL_EXCHANGE_H
#define DRIVERS_LOCAL_LOCAL_EXCHANGE_H

#include "drivers/local/local_object.h"

/* What stands in staging/ID and the share's data change places; the new ones are held to the size. The mark says before
 * what will be, so that whoever reads it knows whether it has come to pass; `share` is as it is afterwards. */
int local_exchange(const struct local_root *r, const char *call_id, const char *id, uint64_t size_bytes,
		   struct local_object *share, struct error *e);

#endif
