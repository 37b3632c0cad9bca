#include "client/view.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "client/table.h"
#include "client/terminal.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS(...) ((const struct view_column[]){ __VA_ARGS__, { .title = NULL } })

const struct list_view view_shares = {
	.member = "shares",
	.columns = COLUMNS({ "NAME", "name", CELL_TEXT }, { "STATUS", "status", CELL_STATUS },
			   { "SIZE", "size_bytes", CELL_SIZE }, { "USED", "used_bytes", CELL_SIZE },
			   { "BACKEND", "backend", CELL_TEXT }, { "PROTO", "share_proto", CELL_TEXT },
			   { "EXPORT", "export_locations", CELL_EXPORT }),
	.none = "no shares",
};

const struct list_view view_snapshots = {
	.member = "snapshots",
	.columns = COLUMNS({ "SNAPSHOT", "full_name", CELL_TEXT }, { "STATUS", "status", CELL_STATUS },
			   { "SIZE", "size_bytes", CELL_SIZE }, { "CREATED", "created_at", CELL_TEXT },
			   { "ID", "id", CELL_TEXT }),
	.names_share = true,
	.none = "no snapshots",
};

const struct list_view view_access_rules = {
	.member = "access_rules",
	.columns = COLUMNS({ "ID", "id", CELL_TEXT }, { "TYPE", "access_type", CELL_TEXT },
			   { "TO", "access_to", CELL_TEXT }, { "LEVEL", "access_level", CELL_TEXT },
			   { "STATE", "state", CELL_STATUS }, { "OPTIONS", "options", CELL_LIST },
			   { "REASON", "status_reason", CELL_TEXT }),
	.none = "no access rules: nobody has access",
};

const struct list_view view_replicas = {
	.member = "replicas",
	.columns = COLUMNS({ "ID", "id", CELL_TEXT }, { "SHARE", "share", CELL_TEXT },
			   { "BACKEND", "backend", CELL_TEXT }, { "STATUS", "status", CELL_STATUS },
			   { "REPLICA", "replica_state", CELL_STATUS }, { "SENT", "progress.bytes", CELL_SIZE }),
	.names_share = true,
	.none = "no replicas",
};

const struct list_view view_share_servers = {
	.member = "share_servers",
	.columns = COLUMNS({ "ID", "id", CELL_TEXT }, { "BACKEND", "backend", CELL_TEXT },
			   { "NETWORK", "share_network", CELL_TEXT }, { "ADDRESS", "address", CELL_TEXT },
			   { "STATUS", "status", CELL_STATUS }, { "REASON", "status_reason", CELL_TEXT }),
	.none = "no share servers",
};

const struct list_view view_share_networks = {
	.member = "share_networks",
	.columns = COLUMNS({ "NAME", "name", CELL_TEXT }, { "BRIDGE", "bridge", CELL_TEXT },
			   { "ADDRESSES", "addresses", CELL_LIST }, { "GATEWAY", "gateway", CELL_TEXT }),
	.none = "no share networks",
};

const struct list_view view_backends = {
	.member = "backends",
	.columns = COLUMNS({ "NAME", "name", CELL_TEXT }, { "DRIVER", "driver", CELL_TEXT },
			   { "STATUS", "status", CELL_STATUS }, { "TOTAL", "capabilities.total_bytes", CELL_SIZE },
			   { "FREE", "capabilities.free_bytes", CELL_SIZE },
			   { "ALLOCATED", "capabilities.allocated_bytes", CELL_SIZE }, { "HOOKS", "hooks", CELL_COUNT },
			   { "REASON", "status_reason", CELL_TEXT }),
	.none = "no backends",
};

const struct list_view view_hooks = {
	.member = "hooks",
	.columns =
		COLUMNS({ "BACKEND", "backend", CELL_TEXT }, { "HOOK", "name", CELL_TEXT },
			{ "STATE", "state", CELL_STATUS }, { "PHASES", "phases", CELL_LIST },
			{ "CALLS", "calls", CELL_NUMBER }, { "FAILED", "failures", CELL_NUMBER },
			{ "SUPPRESSED", "suppressed_failures", CELL_NUMBER }, { "TIMEOUTS", "timeouts", CELL_NUMBER },
			{ "MEDIAN", "duration_ms.median", CELL_SECONDS }, { "P99", "duration_ms.p99", CELL_SECONDS },
			{ "MAX", "duration_ms.max", CELL_SECONDS }, { "LAST ERROR", "last_error", CELL_TEXT }),
	.none = "no hooks",
};

const struct list_view view_orphans = {
	.member = "orphans",
	.columns = COLUMNS({ "BACKEND", "backend", CELL_TEXT }, { "KIND", "kind", CELL_TEXT },
			   { "NAME", "name", CELL_TEXT }, { "LOCATION", "provider_location", CELL_TEXT },
			   { "ID", "id", CELL_TEXT }),
	.none = "no orphans",
};

const struct list_view view_calls = {
	.member = "calls",
	.newest_first = true,
	.columns = COLUMNS({ "QUEUED", "queued_at|started_at", CELL_TEXT }, { "METHOD", "method", CELL_TEXT },
			   { "BACKEND", "backend", CELL_TEXT },
			   /* A call that has ended is "done" whatever came of it; the outcome says more. */
			   { "STATE", "outcome|state", CELL_STATUS }, { "BY", "user|origin", CELL_TEXT },
			   { "SECONDS", "duration_ms", CELL_SECONDS }, { "CALL", "id", CELL_TEXT },
			   { "ERROR", "error.message", CELL_TEXT }),
	.none = "no calls",
};

const struct list_view view_health = {
	.member = "backends",
	.columns = COLUMNS({ "BACKEND", "name", CELL_TEXT }, { "STATUS", "status", CELL_STATUS },
			   { "REASON", "status_reason", CELL_TEXT }),
	.none = "no backends",
};

/* One of the alternatives of a path: "capabilities.free_bytes" in `path` up to `len`. Borrowed; NULL for null. */
static json_t *follow(const json_t *o, const char *path, size_t len)
{
	while (o) {
		size_t n = 0;

		while (n < len && path[n] != '.')
			n++;
		o = json_object_getn(o, path, n);
		if (n == len)
			break;
		path += n + 1;
		len -= n + 1;
	}
	return json_is_null(o) ? NULL : (json_t *)o;
}

static json_t *find(const json_t *o, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "|");
		json_t *v = follow(o, path, len);

		if (v || !path[len])
			return v;
		path += len + 1;
	}
}

/* A value on one line; NULL for what there is nothing to show of. Owned by the caller. */
static char *one_line(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_NULL:
		return NULL;
	case JSON_STRING:
		return xstrdup(json_string_value(v));
	case JSON_TRUE:
		return xstrdup("yes");
	case JSON_FALSE:
		return xstrdup("no");
	case JSON_INTEGER:
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	case JSON_REAL:
		return xasprintf("%.15g", json_real_value(v));
	case JSON_ARRAY:
	case JSON_OBJECT:
		return jsonx_dump(v);
	}
	return NULL;
}

static char *append_item(char *list, const char *key, const json_t *value)
{
	_cleanup_free_ char *text = one_line(value), *before = list;

	return xasprintf("%s%s%s%s%s", before ? before : "", before ? "," : "", key ? key : "", key ? "=" : "",
			 text ? text : "");
}

static char *list_text(const json_t *v)
{
	char *list = NULL;
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
			list = append_item(list, NULL, item);
	} else if (json_is_object(v)) {
		json_object_foreach((json_t *)v, key, item)
			list = append_item(list, key, item);
	} else {
		list = one_line(v);
	}
	return list;
}

static char *export_text(const json_t *locations)
{
	json_t *l, *best = NULL;
	size_t i;

	json_array_foreach(locations, i, l) {
		if (jsonx_bool(l, "is_admin_only"))
			continue;
		if (!best || (jsonx_bool(l, "preferred") && !jsonx_bool(best, "preferred")))
			best = l;
	}
	return xstrdup(jsonx_str(best, "path"));
}

static char *cell_text(const struct view_column *column, const json_t *item)
{
	json_t *v = find(item, column->path);
	char size[32];

	if (!v)
		return NULL;
	switch (column->cell) {
	case CELL_TEXT:
	case CELL_STATUS:
	case CELL_NUMBER:
		return one_line(v);
	case CELL_SIZE:
		return json_is_integer(v) ? xstrdup(text_format_size((uint64_t)json_integer_value(v), size))
					  : one_line(v);
	case CELL_SECONDS:
		return json_is_number(v) ? xasprintf("%.3f", json_number_value(v) / 1000.0) : one_line(v);
	case CELL_COUNT:
		return xasprintf("%zu", json_is_object(v) ? json_object_size(v) : json_array_size(v));
	case CELL_LIST:
		return list_text(v);
	case CELL_EXPORT:
		return export_text(v);
	}
	return NULL;
}

void view_print_list(const struct list_view *view, const json_t *items, bool colours, FILE *to)
{
	struct table_column columns[16];
	struct table *t;
	size_t count = 0, i;
	json_t *item;

	for (const struct view_column *c = view->columns; c->title && count < 16; c++)
		columns[count++] = (struct table_column){
			.title = c->title,
			.right = c->cell == CELL_SIZE || c->cell == CELL_SECONDS || c->cell == CELL_COUNT ||
				 c->cell == CELL_NUMBER,
			.status = c->cell == CELL_STATUS,
		};
	t = table_new(columns, count);
	json_array_foreach(items, i, item) {
		for (size_t c = 0; c < count; c++) {
			_cleanup_free_ char *text = cell_text(&view->columns[c], item);

			table_add(t, text);
		}
	}
	table_print(t, colours, to);
	table_free(t);
}

char *view_exact_size(json_int_t bytes)
{
	char text[32];
	uint64_t back;

	if (bytes < 0)
		return xasprintf("%" JSON_INTEGER_FORMAT, bytes);
	text_format_size((uint64_t)bytes, text);
	if (text_parse_size(text, &back) == 0 && back == (uint64_t)bytes)
		return xstrdup(text);
	return xasprintf("%s (%" JSON_INTEGER_FORMAT " bytes)", text, bytes);
}

static bool is_size(const char *key, const json_t *v)
{
	size_t n = strlen(key);

	return json_is_integer(v) && (strcmp(key, "bytes") == 0 || (n > 6 && strcmp(key + n - 6, "_bytes") == 0));
}

static bool is_empty(const json_t *v)
{
	return json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

static void print_scalar(const char *key, const json_t *v, FILE *to)
{
	_cleanup_free_ char *plain = is_size(key, v) ? view_exact_size(json_integer_value(v)) : one_line(v);
	_cleanup_free_ char *text = terminal_escape(plain && *plain ? plain : "-");

	fprintf(to, "%s\n", text);
}

static void print_members(const json_t *o, int indent, bool first_is_indented, FILE *to);

/* Items of an array, each behind a "- ". Answers are no deeper than the daemon lets requests be, so recursion ends. */
static void print_items(const json_t *list, int indent, FILE *to)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		fprintf(to, "%*s- ", indent, "");
		if (json_is_object(item) && !is_empty(item))
			print_members(item, indent + 2, true, to);
		else
			print_scalar("", item, to);
	}
}

static void print_members(const json_t *o, int indent, bool first_is_indented, FILE *to)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		_cleanup_free_ char *shown = terminal_escape(key);

		fprintf(to, "%*s%s:", first_is_indented ? 0 : indent, "", shown);
		first_is_indented = false;
		if (is_empty(v)) {
			fputs(" -\n", to);
		} else if (json_is_object(v)) {
			fputc('\n', to);
			print_members(v, indent + 2, false, to);
		} else if (json_is_array(v)) {
			fputc('\n', to);
			print_items(v, indent + 2, to);
		} else {
			fputc(' ', to);
			print_scalar(key, v, to);
		}
	}
}

void view_print_object(const json_t *o, FILE *to)
{
	if (!o || json_is_null(o))
		return;
	if (json_is_object(o))
		print_members(o, 0, false, to);
	else if (json_is_array(o))
		print_items(o, 0, to);
	else
		print_scalar("", o, to);
}

void view_print_json(const json_t *value, bool pretty, FILE *to)
{
	_cleanup_free_ char *text = terminal_json(value, pretty);

	fprintf(to, "%s\n", text);
}
