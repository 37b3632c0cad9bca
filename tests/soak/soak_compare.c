#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/soak/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
	struct link *link;
	struct verdict verdict;
};

/* All pages of a list: an array, new reference. */
static json_t *whole_list(struct check *c, const char *method, const char *member)
{
	json_t *all = json_array(), *params = json_pack("{s:i}", "limit", 1000);
	bool more = true;

	while (more) {
		unsigned again;
		json_t *reply = link_ask(c->link, method, params, &again);
		json_t *page = json_object_get(reply, "result"), *next = json_object_get(page, "next");

		json_array_extend(all, json_object_get(page, member));
		more = json_is_string(next);
		if (more)
			json_object_set(params, "after", next);
		json_decref(reply);
	}
	json_decref(params);
	return all;
}

static json_t *by_name(const json_t *list, const char *name)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) {
		if (strcmp(jsonx_str(o, "name"), name) == 0)
			return o;
	}
	return NULL;
}

static void differs(size_t *count, const char *what, const char *name)
{
	++*count;
	fprintf(stderr, "%s: %s\n", what, name);
}

static size_t count_of(const json_t *list, const char *key, const json_t *value)
{
	size_t i, n = 0;
	json_t *o;

	json_array_foreach(list, i, o)
		n += json_equal(json_object_get(o, key), value);
	return n;
}

static void compare_number(struct check *c, size_t is, size_t must_be, const char *what, const char *name)
{
	if (is < must_be)
		differs(&c->verdict.lost, what, name);
	if (is > must_be)
		differs(&c->verdict.invented, what, name);
}

static void check_slot(struct check *c, const struct slot *slot, const json_t *shares, const json_t *snapshots,
		       const json_t *rules)
{
	json_t *share = by_name(shares, slot->name), *id = json_object_get(share, "id");
	_cleanup_free_ char *place = NULL, *path = NULL;
	char mark[32] = "";
	FILE *f;

	if (!share) {
		differs(&c->verdict.lost, "share", slot->name);
		return;
	}
	compare_number(c, count_of(snapshots, "share_id", id), slot->snapshots, "snapshots of share", slot->name);
	compare_number(c, count_of(rules, "share_id", id), (size_t)__builtin_popcount(slot->rules), "rules of share",
		       slot->name);
	if (json_integer_value(json_object_get(share, "size_bytes")) != slot->size)
		differs(&c->verdict.lost, "size of share", slot->name);
	place = share_place(share);
	path = xasprintf("%s/mark", place);
	if ((f = fopen(path, "r"))) {
		if (!fgets(mark, sizeof mark, f))
			mark[0] = '\0';
		fclose(f);
	}
	if (strtoul(mark, NULL, 10) != slot->mark)
		differs(&c->verdict.lost, "contents of share", slot->name);
}

static void check_statuses(struct check *c, const json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) {
		if (strcmp(jsonx_str(o, "status"), "available") != 0)
			differs(&c->verdict.stuck, jsonx_str(o, "status"), jsonx_str(o, "name"));
	}
}

static void check_calls(struct check *c)
{
	json_t *calls = whole_list(c, "list_calls", "calls"), *o;
	size_t i;

	json_array_foreach(calls, i, o) {
		const char *state = jsonx_str(o, "state");

		if (strcmp(state, "done") != 0 && strcmp(state, "interrupted") != 0 &&
		    strcmp(jsonx_str(o, "method"), "list_calls") != 0)
			differs(&c->verdict.stuck, state, jsonx_str(o, "method"));
	}
	json_decref(calls);
}

struct verdict soak_compare(struct soak *s)
{
	struct check c = { .link = link_new(s->socket) };
	json_t *shares = whole_list(&c, "list_shares", "shares");
	json_t *snapshots = whole_list(&c, "list_snapshots", "snapshots");
	json_t *rules = whole_list(&c, "list_access_rules", "access_rules");
	json_t *orphans = whole_list(&c, "list_orphans", "orphans"), *orphan;
	size_t i, must_be = 0;

	for (size_t w = 0; w < WORKERS; w++) {
		for (size_t n = 0; n < SLOTS; n++) {
			if (!s->slots[w][n].exists)
				continue;
			must_be++;
			check_slot(&c, &s->slots[w][n], shares, snapshots, rules);
		}
	}
	compare_number(&c, json_array_size(shares), must_be, "shares", "in all");
	json_array_foreach(orphans, i, orphan)
		differs(&c.verdict.invented, "orphan", jsonx_str(orphan, "provider_location"));
	check_statuses(&c, shares);
	check_statuses(&c, snapshots);
	check_calls(&c);
	json_decref(shares);
	json_decref(rules);
	json_decref(snapshots);
	json_decref(orphans);
	link_free(c.link);
	return c.verdict;
}
