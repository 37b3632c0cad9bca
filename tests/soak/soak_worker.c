#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/soak/soak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MIB ((int64_t)1024 * 1024)

const char *const soak_users[USERS] = { "nobody", "daemon", "bin" };

struct worker {
	struct soak *soak;
	struct link *link;
	struct slot *slots;
	unsigned number, seed, made;
	const char *method; /* of the last call */
};

static unsigned chance(struct worker *w, unsigned n)
{
	return (unsigned)rand_r(&w->seed) % n;
}

static void surprise(struct worker *w, const json_t *about, const char *what)
{
	_cleanup_free_ char *text = about ? json_dumps(about, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (atomic_fetch_add(&w->soak->surprises, 1) < 20)
		fprintf(stderr, "surprise: %s: %s: %s\n", w->method, what, text ? text : "no answer");
}

static void note_time(struct worker *w, const struct slot *slot, double ms)
{
	struct latencies *l = &w->soak->latencies[slot->hooked];
	size_t i = atomic_fetch_add(&l->n, 1);

	if (i < LATENCIES)
		l->ms[i] = (float)ms;
}

/* The result, new reference; or NULL with `*ret_kind` ("" without an answer). Takes params. */
static json_t *ask(struct worker *w, struct slot *slot, const char *method, json_t *params, char *ret_kind)
{
	char id[64];
	unsigned again;
	double begin = text_monotonic();
	json_t *reply, *result;

	w->method = method;
	if (slot) {
		snprintf(id, sizeof id, "%u-%u-%d", w->number, ++w->made, (int)getpid());
		json_object_set_new(params, "request_id", json_string(id));
	}
	reply = link_ask(w->link, method, params, &again);
	atomic_fetch_add(&w->soak->calls, 1);
	atomic_fetch_add(&w->soak->again, again);
	if (slot && again == 0)
		note_time(w, slot, (text_monotonic() - begin) * 1000);
	result = json_incref(json_object_get(reply, "result"));
	if (!result)
		snprintf(ret_kind, 64, "%s",
			 reply ? json_string_value(json_object_get(
					 json_object_get(json_object_get(reply, "error"), "data"), "kind"))
			       : "");
	if (!result && !slot)
		surprise(w, reply, "a read failed");
	json_decref(reply);
	json_decref(params);
	return result;
}

/* Does the object say that it is in error? Then it is made good again, and that was no surprise: a call that was cut
 * off may leave that. */
static bool mend(struct worker *w, struct slot *slot)
{
	char kind[64];
	json_t *share = ask(w, NULL, "get_share", json_pack("{s:s}", "share", slot->name), kind);
	const char *status = json_string_value(json_object_get(share, "status"));
	bool wrong = status && strstr(status, "error");

	if (wrong) {
		atomic_fetch_add(&w->soak->left_in_error, 1);
		json_decref(ask(w, slot, slot->exists ? "reset_status" : "delete_share_instance",
				slot->exists ? json_pack("{s:s,s:s}", "share", slot->name, "status", "available")
					     : json_pack("{s:s}", "share", slot->name),
				kind));
		slot->size = json_integer_value(json_object_get(share, "size_bytes"));
	}
	json_decref(share);
	return wrong;
}

static void after_failure(struct worker *w, struct slot *slot, const char *kind)
{
	const char *failed = w->method;

	if (slot->exists && mend(w, slot))
		return;
	w->method = failed;
	surprise(w, NULL, kind);
}

/* Called for its effect. */
static bool change(struct worker *w, struct slot *slot, const char *method, json_t *params)
{
	char kind[64];
	json_t *result = ask(w, slot, method, params, kind);

	if (!result)
		after_failure(w, slot, kind);
	json_decref(result);
	return result != NULL;
}

/* ---- files in shares ---- */

static void write_mark(struct slot *slot, const json_t *share, unsigned mark)
{
	_cleanup_free_ char *place = share_place(share);
	_cleanup_free_ char *path = xasprintf("%s/mark", place);
	FILE *f = fopen(path, "w");

	if (f) {
		fprintf(f, "%u\n", mark);
		slot->mark = mark;
		fclose(f);
	}
}

static unsigned read_mark(const json_t *share)
{
	_cleanup_free_ char *place = share_place(share);
	_cleanup_free_ char *path = xasprintf("%s/mark", place);
	FILE *f = fopen(path, "r");
	char text[32] = "";

	if (f) {
		if (!fgets(text, sizeof text, f))
			text[0] = '\0';
		fclose(f);
	}
	return (unsigned)strtoul(text, NULL, 10);
}

/* ---- calls ---- */

static void create(struct worker *w, struct slot *slot)
{
	struct slot *from = &w->slots[chance(w, SLOTS)];
	char kind[64], ref[96];
	struct slot fresh = { .hooked = chance(w, 2), .size = (1 + chance(w, 100)) * MIB };
	json_t *params, *share;
	bool copies = from->exists && from->snapshots > 0 && chance(w, 3) == 0;

	snprintf(fresh.name, sizeof fresh.name, "w%u-%u", w->number, ++w->made);
	params = json_pack("{s:s}", "name", fresh.name);
	if (copies) {
		snprintf(ref, sizeof ref, "%s@s%u", from->name, from->snapshot[from->snapshots - 1].number);
		fresh.hooked = from->hooked;
		fresh.size = from->snapshot[from->snapshots - 1].size;
		fresh.mark = from->snapshot[from->snapshots - 1].mark;
		json_object_set_new(params, "snapshot", json_string(ref));
	} else {
		json_object_set_new(params, "size_bytes", json_integer(fresh.size));
	}
	json_object_set_new(params, "backend", json_string(fresh.hooked ? "hooked" : "plain"));
	*slot = fresh;
	share = ask(w, slot, "create_share_instance", params, kind);
	if (share) {
		slot->exists = true;
		if (!copies)
			write_mark(slot, share, 1 + chance(w, 1000));
	} else {
		after_failure(w, slot, kind);
	}
	json_decref(share);
}

static void look(struct worker *w, struct slot *slot)
{
	char kind[64];
	json_t *share = ask(w, NULL, "get_share", json_pack("{s:s}", "share", slot->name), kind);

	if (!share)
		return;
	if (json_integer_value(json_object_get(share, "size_bytes")) != slot->size ||
	    strcmp(json_string_value(json_object_get(share, "status")), "available") != 0 ||
	    read_mark(share) != slot->mark)
		surprise(w, share, "a share is not as it must be");
	if (chance(w, 3) == 0)
		write_mark(slot, share, 1 + chance(w, 1000));
	json_decref(share);
}

static void list(struct worker *w, struct slot *slot)
{
	char kind[64];
	json_t *rules = ask(w, NULL, "list_access_rules", json_pack("{s:s}", "share", slot->name), kind);
	size_t n = json_array_size(json_object_get(rules, "access_rules"));

	if (rules && n != (size_t)__builtin_popcount(slot->rules))
		surprise(w, rules, "not the rules that must be there");
	json_decref(rules);
	json_decref(ask(w, NULL, "list_shares", json_pack("{s:i}", "limit", 20), kind));
}

static void resize(struct worker *w, struct slot *slot)
{
	bool more = slot->size < 10 * MIB || chance(w, 2);
	int64_t size = more ? slot->size + MIB : slot->size - MIB;

	if (change(w, slot, more ? "extend_share" : "shrink_share",
		   json_pack("{s:s,s:I}", "share", slot->name, "size_bytes", (json_int_t)size)))
		slot->size = size;
}

static void snapshot(struct worker *w, struct slot *slot)
{
	unsigned number = ++w->made;
	_cleanup_free_ char *name = xasprintf("s%u", number);

	if (slot->snapshots == SNAPSHOTS)
		return;
	if (!change(w, slot, "create_snapshot", json_pack("{s:s,s:s}", "share", slot->name, "name", name)))
		return;
	slot->snapshot[slot->snapshots].number = number;
	slot->snapshot[slot->snapshots].mark = slot->mark;
	slot->snapshot[slot->snapshots].size = slot->size;
	slot->snapshots++;
}

static void drop_or_revert(struct worker *w, struct slot *slot)
{
	bool revert = chance(w, 3) == 0;
	size_t last = slot->snapshots - 1;
	_cleanup_free_ char *ref = NULL;

	if (slot->snapshots == 0)
		return;
	ref = xasprintf("%s@s%u", slot->name, slot->snapshot[last].number);
	if (!change(w, slot, revert ? "revert_to_snapshot" : "delete_snapshot", json_pack("{s:s}", "snapshot", ref)))
		return;
	if (revert) {
		slot->mark = slot->snapshot[last].mark;
		slot->size = slot->snapshot[last].size;
	} else {
		slot->snapshots--;
	}
}

static void guard(struct worker *w, struct slot *slot)
{
	unsigned user = chance(w, USERS), bit = 1u << user;

	if (change(w, slot, slot->rules & bit ? "deny_access" : "allow_access",
		   json_pack("{s:s,s:s,s:s}", "share", slot->name, "access_type", "user", "access_to",
			     soak_users[user])))
		slot->rules ^= bit;
}

static void label(struct worker *w, struct slot *slot)
{
	change(w, slot, "set_metadata",
	       json_pack("{s:s,s:{s:s}}", "share", slot->name, "metadata", "by", chance(w, 2) ? "ann" : "bob"));
}

static void refused(struct worker *w, struct slot *slot)
{
	char kind[64];
	json_t *share = ask(w, slot, "create_share_instance",
			    json_pack("{s:s,s:i,s:s}", "name", slot->name, "size_bytes", 1, "backend", "plain"), kind);

	if (share || strcmp(kind, "already_exists") != 0)
		surprise(w, share, "a second share of one name");
	json_decref(share);
}

static void delete_share(struct worker *w, struct slot *slot)
{
	if (slot->snapshots == 0 && change(w, slot, "delete_share_instance", json_pack("{s:s}", "share", slot->name)))
		slot->exists = false;
}

static const struct {
	unsigned weight;
	void (*function)(struct worker *w, struct slot *slot);
} mix[] = { { 25, look },  { 8, list },  { 12, resize }, { 10, snapshot },    { 12, drop_or_revert },
	    { 15, guard }, { 5, label }, { 3, refused }, { 10, delete_share } };

static void step(struct worker *w)
{
	struct slot *slot = &w->slots[chance(w, SLOTS)];
	unsigned n = chance(w, 100);

	if (!slot->exists) {
		create(w, slot);
		return;
	}
	for (size_t i = 0; i < sizeof mix / sizeof *mix; i++) {
		if (n < mix[i].weight) {
			mix[i].function(w, slot);
			return;
		}
		n -= mix[i].weight;
	}
}

void soak_work(struct soak *s, unsigned number, unsigned seed)
{
	struct worker w = {
		.soak = s, .slots = s->slots[number], .number = number, .seed = seed, .made = atomic_load(&s->calls)
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	w.link = link_new(s->socket);
	while (atomic_load(&s->calls) < s->wanted)
		step(&w);
	link_free(w.link);
	_exit(0);
}
