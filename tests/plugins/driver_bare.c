/* A driver that can do nearly nothing: what it does not claim must be refused before anything happens. */
#include "base/jsonx.h"
#include "drivers/driver.h"

#include <stdlib.h>

extern const struct share_driver_ops share_driver;

static int create(const struct driver_setup *setup, void **ret_backend, struct error *e)
{
	(void)setup, (void)e;
	*ret_backend = malloc(1);
	return *ret_backend ? 0 : error_errno(e, 12, "no memory");
}

static int nothing(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)backend, (void)call, (void)ret, (void)e;
	return 0;
}

static int get_share_stats(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)backend, (void)call, (void)e;
	ret->values = jsonx_pack("{s:I,s:I,s:b,s:[s],s:[],s:[],s:b,s:b,s:b,s:b,s:b,s:b,s:n,s:b}", "total_bytes",
				 (json_int_t)1 << 40, "free_bytes", (json_int_t)1 << 40, "size_enforced", 0,
				 "share_protos", "LOCAL", "access_types", "access_levels", "snapshots", 0,
				 "snapshot_consistent", 0, "create_from_snapshot", 0, "revert", 0, "shrink", 0,
				 "manage", 0, "replication_type", "reflink", 0);
	return 0;
}

static json_t *locations(const struct driver_share *s)
{
	return jsonx_pack("[{s:s,s:b,s:b,s:{}}]", "path", s->name, "preferred", 1, "is_admin_only", 0, "metadata");
}

static int ensure_shares(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	json_t *shares = json_object();

	(void)backend, (void)e;
	for (size_t i = 0; i < call->n_shares; i++)
		json_object_set_new(shares, call->shares[i].id,
				    jsonx_pack("{s:o}", "export_locations", locations(&call->shares[i])));
	ret->values = jsonx_pack("{s:o}", "shares", shares);
	return 0;
}

static int create_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)backend, (void)e;
	ret->values = jsonx_pack("{s:o,s:s}", "export_locations", locations(call->share), "provider_location",
				 call->share->id);
	return 0;
}

static const struct option options[] = { { .name = NULL } };

const struct share_driver_ops share_driver = {
	.abi = SHARE_DRIVER_ABI,
	.name = "bare",
	.summary = "makes and removes shares of nothing",
	.options = options,
	.create = create,
	.destroy = free,
	.do_setup = nothing,
	.check_for_setup_error = nothing,
	.get_share_stats = get_share_stats,
	.ensure_shares = ensure_shares,
	.create_share = create_share,
	.delete_share = nothing,
};
