/* Where a directory that is to be adopted lies, and whether it may be. */
#ifndef DRIVERS_LOCAL_LOCAL_PLACE_H
#define DRIVERS_LOCAL_LOCAL_PLACE_H

#include "drivers/local/local_object.h"

enum local_place_kind {
	LOCAL_PLACE_ADOPT, /* a directory of no object: `object` has gate and location */
	LOCAL_PLACE_GIVEN, /* was given back before: is taken as it was; `object` with its old mark */
	LOCAL_PLACE_OURS,  /* is this object already */
};

struct local_place {
	enum local_place_kind what;
	struct local_object object;
};

/* `kind` and `id` of the object that is to be; `text` as the client wrote it. Error kinds: invalid_params with param
 * provider_location, not_found, already_exists, not_supported. */
int local_place_find(const struct local_root *r, const char *kind, const char *id, const char *text,
		     struct local_place *ret, struct error *e);

#endif
