/* rpc.discover: an OpenRPC document out of the table that dispatches. Loop thread. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/methods.h"
#include "daemon/schemas.h"
#include "daemon/service.h"

#include <string.h>

static json_t *reference(const char *name)
{
	_cleanup_free_ char *path = xasprintf("#/components/schemas/%s", name);

	return jsonx_pack("{s:s}", "$ref", path);
}

static json_t *page_schema(const char *member, const char *of)
{
	return jsonx_pack("{s:s,s:[s,s],s:{s:{s:s,s:o},s:{s:[s,s]}},s:b}", "type", "object", "required", member, "next",
			  "properties", member, "type", "array", "items", reference(of), "next", "type", "string",
			  "null", "additionalProperties", 0);
}

/* "share", "null", "share|snapshot", or the name of a page. */
static json_t *result_schema(const char *result)
{
	_cleanup_free_ char *names = xstrdup(result);
	json_t *any;
	char *rest = names, *name;

	for (const struct page_schema *p = schema_pages(); p->name; p++)
		if (strcmp(p->name, result) == 0)
			return page_schema(p->name, p->of);
	if (strcmp(result, "null") == 0)
		return jsonx_pack("{s:s}", "type", "null");
	if (!strchr(result, '|'))
		return reference(result);
	any = json_array();
	while ((name = strsep(&rest, "|")))
		json_array_append_new(any, reference(name));
	return jsonx_pack("{s:o}", "anyOf", any);
}

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

static json_t *errors_json(void)
{
	json_t *list = json_array();

	for (int k = ERR_NONE + 1; k < ERR_KIND_COUNT; k++)
		json_array_append_new(list, jsonx_pack("{s:i,s:s}", "code", error_kind_code((enum error_kind)k),
						       "message", error_kind_name((enum error_kind)k)));
	return list;
}

static json_t *method_json(const struct method *m)
{
	static const char *const kinds[] = { "read", "queued-read", "write", "hooked" };
	bool reads = m->kind == METHOD_READ || m->kind == METHOD_QUEUED_READ;
	json_t *o = jsonx_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:o},s:s,s:s}", "name", m->name, "summary", m->help,
			       "paramStructure", "by-name", "params", params_json(m), "result", "name", m->result,
			       "schema", result_schema(m->result), "x-kind", kinds[m->kind], "x-role",
			       reads && !(m->flags & METHOD_ADMIN) ? "reader" : "admin");
	json_t *results = json_object();

	json_object_set_new(o, "errors", errors_json());
	for (const struct result_key *k = m->results; k && k->name; k++)
		json_object_set_new(results, k->name, jsonx_pack("{s:b}", "changeable", k->changeable));
	if (m->kind == METHOD_HOOKED)
		json_object_set_new(o, "x-driver-action-results", results);
	else
		json_decref(results);
	return o;
}

int read_discover(struct reader *rd, const json_t *params, json_t **ret, struct error *e)
{
	json_t *methods = json_array(), *schemas = json_object();

	(void)rd;
	(void)params;
	(void)e;
	for (const struct method *m = method_table(); m->name; m++)
		json_array_append_new(methods, method_json(m));
	for (const struct schema *s = schema_table(); s->name; s++)
		json_object_set_new(schemas, s->name, json_loads(s->text, 0, NULL));
	*ret = jsonx_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:{s:o}}", "openrpc", "1.2.6", "info", "title", "sharesd",
			  "version", SHARESD_VERSION, "description",
			  "Share service for one host, with hooks around every driver call", "methods", methods,
			  "components", "schemas", schemas);
	return 0;
}
