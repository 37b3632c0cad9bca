#include "daemon/reply.h"

#include "base/jsonx.h"

json_t *reply_error(const json_t *id, const struct error *e)
{
	return jsonx_pack("{s:s,s:o,s:o}", "jsonrpc", "2.0", "id", id ? json_incref((json_t *)id) : json_null(),
			  "error", error_to_json(e));
}

json_t *reply_result(const json_t *id, json_t *result)
{
	return jsonx_pack("{s:s,s:O,s:o}", "jsonrpc", "2.0", "id", id, "result", result ? result : json_null());
}
