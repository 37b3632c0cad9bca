/* Where a directory that is to be adopted lies, and whether it may be. */
#ifndef DRIVERS_DIR_DIR_PLACE_H
#define DRIVERS_DIR_DIR_PLACE_H

#include "drivers/dir/dir_object.h"

enum dir_place_kind {
	DIR_PLACE_ADOPT, /* a directory of no object: `object` has gate and location */
	DIR_PLACE_GIVEN, /* was given back before: is taken as it was; `object` with its old mark */
	DIR_PLACE_OURS,  /* is this object already */
};

struct dir_place {
	enum dir_place_kind what;
	struct dir_object object;
};

/* `kind` and `id` of the object that is to be; `text` as the client wrote it. Error kinds: invalid_params with param
 * provider_location, not_found, already_exists, not_supported. */
int dir_place_find(const struct dir_root *r, const char *kind, const char *id, const char *text, struct dir_place *ret,
		   struct error *e);

#endif
