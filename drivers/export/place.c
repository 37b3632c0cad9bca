#include "drivers/export/place.h"

#include "base/jsonx.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

struct export_place export_place_of(const struct settings *settings, const struct export_place *place)
{
	if (place)
		return *place;
	return (struct export_place){ .runtime_dir = settings_string(settings, "runtime_dir"),
				      .state_dir = settings_string(settings, "state_dir") };
}

json_t *export_place_locations(const struct settings *settings, const char *address, const char *before,
			       const char *between, const char *name)
{
	char name_of_host[HOST_NAME_MAX + 1] = "localhost";
	const char *const one[] = { address ? address : name_of_host };
	json_t *places = json_array();
	const char *const *all = NULL;
	size_t n = 0;

	if (!address)
		all = settings_list(settings, "export_addresses", &n);
	if (n == 0) {
		(void)gethostname(name_of_host, sizeof(name_of_host) - 1);
		all = one;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		bool bare = strchr(all[i], ':') && *all[i] != '[';

		json_array_append_new(places, jsonx_pack("{s:o}", "path",
							 json_sprintf("%s%s%s%s%s%s", before, bare ? "[" : "", all[i],
								      bare ? "]" : "", between, name)));
	}
	return places;
}
