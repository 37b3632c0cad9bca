#include "client/list.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <string.h>

#define PAGE_MAX 1000 /* what the daemon gives at once at most */

/* One page onto the end of `*all`. */
static int append_page(json_t **all, const char *member, json_t *page, struct failure *f)
{
	json_t *items = json_object_get(page, member), *whole;

	if (!json_is_array(items))
		return failure_set(f, CTL_INTERNAL, "the daemon's answer has no list \"%s\": is it of another version?",
				   member);
	if (!*all) {
		*all = json_incref(page);
		return 0;
	}
	whole = json_object_get(*all, member);
	json_array_extend(whole, items);
	json_object_set(*all, "next", json_object_get(page, "next"));
	return 0;
}

int list_fetch(struct ctl *c, const char *method, const char *member, const json_t *params, json_t **ret,
	       struct failure *f)
{
	_cleanup_json_ json_t *all = NULL, *ask = params ? json_copy((json_t *)params) : json_object();
	json_int_t limit = json_object_get(ask, "limit") ? jsonx_int(ask, "limit") : -1;

	for (;;) {
		_cleanup_json_ json_t *page = NULL;
		json_int_t have = (json_int_t)json_array_size(json_object_get(all, member));
		json_int_t want = limit < 0 || limit - have > PAGE_MAX ? PAGE_MAX : limit - have;
		json_t *next;
		int r;

		/* A limit out of bounds goes to the daemon as it is: it says what is allowed. */
		json_object_set_new(ask, "limit", json_integer(want));
		if ((r = ctl_call(c, method, ask, &page, f)) < 0 || (r = append_page(&all, member, page, f)) < 0)
			return r;
		next = jsonx_get(page, "next");
		if (next && json_equal(next, json_object_get(ask, "after")))
			return failure_set(f, CTL_INTERNAL, "%s gives the same page again and again", method);
		if (!next || (limit >= 0 && (json_int_t)json_array_size(json_object_get(all, member)) >= limit))
			break;
		json_object_set(ask, "after", next);
	}
	*ret = take_ptr(all);
	return 0;
}

/* The share's name, asked for once; its id where it is gone meanwhile. New reference. */
static json_t *share_name(struct ctl *c, json_t *known, const char *id)
{
	_cleanup_failure_ struct failure ignored = { 0 };
	_cleanup_json_ json_t *params = NULL, *share = NULL;
	json_t *name = json_object_get(known, id);

	if (name)
		return json_incref(name);
	params = jsonx_pack("{s:s}", "share", id);
	if (ctl_call(c, "get_share", params, &share, &ignored) == 0)
		name = jsonx_get(share, "name");
	name = name ? json_incref(name) : json_string(id);
	json_object_set(known, id, name);
	return name;
}

/* People know shares by name, and snapshots as SHARE@NAME, which commands take. */
static void add_names(struct ctl *c, json_t *items)
{
	_cleanup_json_ json_t *known = json_object();
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		const char *id = jsonx_str(item, "share_id"), *name = jsonx_str(item, "name");
		_cleanup_json_ json_t *share = id ? share_name(c, known, id) : json_string("-");
		_cleanup_free_ char *full = xasprintf("%s@%s", json_string_value(share), name ? name : "-");

		json_object_set(item, "share", share);
		json_object_set_new(item, "full_name", jsonx_string(full));
	}
}

/* All of them, and of these the last ones. */
static int fetch_newest(struct ctl *c, const struct invocation *inv, json_t **ret, struct failure *f)
{
	const char *member = inv->command->list->member;
	_cleanup_json_ json_t *params = json_copy(inv->params), *all = NULL, *newest = json_array();
	json_int_t limit = json_object_get(params, "limit") ? jsonx_int(params, "limit") : -1;
	json_t *items;
	int r;

	if (limit > 0)
		json_object_del(params, "limit");
	if ((r = list_fetch(c, inv->command->method, member, params, &all, f)) < 0)
		return r;
	items = json_object_get(all, member);
	for (size_t i = json_array_size(items); i-- > 0 && (json_int_t)json_array_size(newest) != limit;)
		json_array_append(newest, json_array_get(items, i));
	json_object_set(all, member, newest);
	*ret = take_ptr(all);
	return 0;
}

int list_run(struct ctl *c, const struct invocation *inv, struct failure *f)
{
	const struct list_view *view = inv->command->list;
	_cleanup_json_ json_t *all = NULL;
	json_t *items;
	int r = view->newest_first ? fetch_newest(c, inv, &all, f)
				   : list_fetch(c, inv->command->method, view->member, inv->params, &all, f);

	if (r < 0)
		return r;
	if (c->json) {
		ctl_print(c, all);
		return 0;
	}
	items = json_object_get(all, view->member);
	if (view->names_share)
		add_names(c, items);
	if (c->out_tty && json_array_size(items) == 0)
		fprintf(c->out, "%s\n", view->none);
	else
		view_print_list(view, items, ctl_colours(c), c->out);
	return 0;
}
