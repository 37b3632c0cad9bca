#include "daemon/discover.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/event_types.h"
#include "daemon/methods.h"
#include "daemon/schemas.h"
#include "daemon/service.h"

#include <string.h>

static json_t *param_json(const struct param *p)
{
	return jsonx_pack("{s:s,s:s,s:b,s:o}", "name", p->name, "description", p->help, "required", p->required,
			  "schema", param_schema(p));
}

static json_t *params_json(const struct method *m)
{
	json_t *list = json_array();

	for (const struct param *p = m->params; p && p->name; p++)
		json_array_append_new(list, param_json(p));
	for (const struct param *p = method_common_params(); p->name; p++)
		if (method_takes(m, p->name))
			json_array_append_new(list, param_json(p));
	return list;
}

/* Any method may fail in any of the ways. */
static json_t *error_references(void)
{
	json_t *list = json_array();

	for (int k = ERR_NONE + 1; k < ERR_KIND_COUNT; k++) {
		_cleanup_free_ char *path = xasprintf("#/components/errors/%s", error_kind_name((enum error_kind)k));

		json_array_append_new(list, jsonx_pack("{s:s}", "$ref", path));
	}
	return list;
}

static json_t *errors_json(void)
{
	json_t *all = json_object();

	for (int k = ERR_NONE + 1; k < ERR_KIND_COUNT; k++) {
		const char *name = error_kind_name((enum error_kind)k);

		json_object_set_new(
			all, name,
			jsonx_pack("{s:i,s:s}", "code", error_kind_code((enum error_kind)k), "message", name));
	}
	return all;
}

static json_t *method_json(const struct method *m)
{
	static const char *const kinds[] = { "read", "queued-read", "write", "hooked" };
	bool reads = m->kind == METHOD_READ || m->kind == METHOD_QUEUED_READ;
	json_t *o = jsonx_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:o},s:s,s:s}", "name", m->name, "summary", m->help,
			       "paramStructure", "by-name", "params", params_json(m), "result", "name", m->result,
			       "schema", schema_of_result(m->result), "x-kind", kinds[m->kind], "x-role",
			       reads && !(m->flags & METHOD_ADMIN) ? "reader" : "admin");
	json_t *results = json_object();

	json_object_set_new(o, "errors", error_references());
	for (const struct result_key *k = m->results; k && k->name; k++)
		json_object_set_new(results, k->name, jsonx_pack("{s:b}", "changeable", k->changeable));
	if (m->kind == METHOD_HOOKED)
		json_object_set_new(o, "x-driver-action-results", results);
	else
		json_decref(results);
	return o;
}

static json_t *events_json(void)
{
	json_t *list = json_array();

	for (const struct event_type *t = event_type_table(); t->name; t++)
		json_array_append_new(list, jsonx_pack("{s:s,s:s,s:o}", "name", t->name, "summary", t->help, "object",
						       schema_of_result(t->object)));
	return list;
}

json_t *discover_document(void)
{
	json_t *methods = json_array();

	for (const struct method *m = method_table(); m->name; m++)
		json_array_append_new(methods, method_json(m));
	return jsonx_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:{s:o,s:o},s:o}", "openrpc", "1.2.6", "info", "title", "sharesd",
			  "version", SHARESD_VERSION, "description",
			  "Share service for one host, with hooks around every driver call", "methods", methods,
			  "components", "schemas", schemas_json(), "errors", errors_json(), "x-events", events_json());
}

/* Made once, by the first who asks: it is large, and stays the same as long as the process. */
int read_discover(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	static json_t *document;

	(void)rd;
	(void)params;
	(void)e;
	if (!document)
		document = discover_document();
	*ret = json_incref(document);
	return 0;
}
