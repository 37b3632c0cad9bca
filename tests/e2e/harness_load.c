#include "tests/e2e/harness_load.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness_disk.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576

/* ---- what is asked for ---- */

static const char *const op_methods[LOAD_OPS] = { "",
						  "create_share_instance",
						  "create_share_instance",
						  "delete_share_instance",
						  "extend_share",
						  "shrink_share",
						  "allow_access",
						  "deny_access",
						  "create_snapshot",
						  "delete_snapshot",
						  "revert_to_snapshot" };

static bool can(const struct load_item *items, struct load_item *it, enum load_op op, unsigned dice)
{
	switch (op) {
	case LOAD_CREATE:
		return !it->present;
	case LOAD_COPY:
		it->from = (int)(dice % LOAD_ITEMS);
		return !it->present && items[it->from].snap;
	case LOAD_DELETE:
		return it->present && !it->snap && dice % 2;
	case LOAD_EXTEND:
		return it->present;
	case LOAD_SHRINK:
		return it->present && it->size > 2 * MIB;
	case LOAD_ALLOW:
		return it->present && !it->rule;
	case LOAD_DENY:
		return it->rule;
	case LOAD_SNAP:
		return it->present && !it->snap;
	case LOAD_UNSNAP:
	case LOAD_REVERT:
		return it->snap;
	case LOAD_NO_OP:
	case LOAD_OPS:
		break;
	}
	return false;
}

static json_t *op_params(const struct load_item *items, const struct load_item *it)
{
	json_t *p = json_object();
	char text[64];

	snprintf(text, sizeof text, "%s-%u", it->name, it->serial);
	json_object_set_new(p, "request_id", json_string(text));
	snprintf(text, sizeof text, "%s@snap", it->pending == LOAD_COPY ? items[it->from].name : it->name);
	if (it->pending == LOAD_CREATE || it->pending == LOAD_COPY)
		json_object_set_new(p, "name", json_string(it->name));
	else if (it->pending != LOAD_UNSNAP && it->pending != LOAD_REVERT)
		json_object_set_new(p, "share", json_string(it->name));
	if (it->pending == LOAD_COPY || it->pending == LOAD_UNSNAP || it->pending == LOAD_REVERT)
		json_object_set_new(p, "snapshot", json_string(text));
	if (it->pending == LOAD_CREATE)
		json_object_set_new(p, "size_bytes", json_integer(2 * MIB));
	if (it->pending == LOAD_EXTEND || it->pending == LOAD_SHRINK)
		json_object_set_new(p, "size_bytes",
				    json_integer(it->size + (it->pending == LOAD_EXTEND ? MIB : -MIB)));
	if (it->pending == LOAD_ALLOW || it->pending == LOAD_DENY) {
		json_object_set_new(p, "access_type", json_string("user"));
		json_object_set_new(p, "access_to", json_string("nobody"));
	}
	if (it->pending == LOAD_SNAP)
		json_object_set_new(p, "name", json_string("snap"));
	return p;
}

/* What a share is when the pending call has been done. */
static struct load_item done(const struct load_item *items, const struct load_item *it)
{
	struct load_item after = *it;
	bool keeps = it->pending != LOAD_CREATE && it->pending != LOAD_COPY && it->pending != LOAD_DELETE;

	if (!keeps) {
		after.present = it->pending != LOAD_DELETE;
		after.rule = after.snap = false;
		after.size = it->pending == LOAD_COPY ? items[it->from].size : 2 * MIB;
		memset(after.content, 0, sizeof after.content);
	}
	if (it->pending == LOAD_COPY)
		memcpy(after.content, items[it->from].snap_content, sizeof after.content);
	if (it->pending == LOAD_EXTEND || it->pending == LOAD_SHRINK)
		after.size += it->pending == LOAD_EXTEND ? MIB : -MIB;
	if (it->pending == LOAD_ALLOW || it->pending == LOAD_DENY)
		after.rule = it->pending == LOAD_ALLOW;
	if (it->pending == LOAD_SNAP || it->pending == LOAD_UNSNAP)
		after.snap = it->pending == LOAD_SNAP;
	if (it->pending == LOAD_SNAP)
		memcpy(after.snap_content, it->content, sizeof after.content);
	if (it->pending == LOAD_REVERT)
		memcpy(after.content, it->snap_content, sizeof after.content);
	after.pending = LOAD_NO_OP;
	return after;
}

static void flush(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && fsync(fd) == 0, "cannot flush %s", path);
	close(fd);
}

/* Flushed, as a client does that wants to find it again. */
static void write_content(const struct fixture *f, struct load_item *it)
{
	char text[32];

	if (!it->present || it->content[0])
		return;
	snprintf(text, sizeof text, "%s.%u", it->name, it->serial);
	write_file(fixture_path(f, "root/%s/data/file", it->name), text);
	flush(fixture_path(f, "root/%s/data/file", it->name));
	flush(fixture_path(f, "root/%s/data", it->name));
	memcpy(it->content, text, sizeof text);
}

static void note(const struct load *l, unsigned client, unsigned item)
{
	if (l->note)
		l->note(l->data, client, item, &l->items[client][item]);
}

/* `result`: the answer. Of the size that the source had when its snapshot was made: the store knows it. */
static void apply(const struct fixture *f, struct load *l, unsigned client, unsigned item, const json_t *result)
{
	struct load_item *it = &l->items[client][item], after = done(l->items[client], it);

	if (it->pending == LOAD_COPY || it->pending == LOAD_REVERT)
		after.size = int_at(result, "size_bytes");
	*it = after;
	note(l, client, item);
	write_content(f, it);
	note(l, client, item);
}

/* ---- clients ---- */

static unsigned roll(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

/* Until the daemon is gone. An error is a failure: nothing that is asked for is wrong. */
static _Noreturn void be_client(const struct fixture *f, struct load *l, unsigned client, unsigned seed)
{
	struct client *c = client_new(f);
	struct load_item *items = l->items[client];

	for (;;) {
		unsigned i = roll(&seed) % LOAD_ITEMS;
		enum load_op op = (enum load_op)(1 + roll(&seed) % (LOAD_OPS - 1));
		json_t *reply;

		if (!can(items, &items[i], op, seed >> 20))
			continue;
		items[i].serial++;
		items[i].pending = op;
		note(l, client, i);
		client_send_request(c, op_methods[op], op_params(items, &items[i]));
		reply = client_read(c);
		if (!reply)
			_exit(0);
		if (!json_object_get(reply, "result")) {
			fprintf(stderr, "%s of %s: %s\n", op_methods[op], items[i].name,
				str_at(reply, "error.message"));
			_exit(3);
		}
		apply(f, l, client, i, json_object_get(reply, "result"));
		json_decref(reply);
	}
}

void load_start(const struct fixture *f, struct load *l, unsigned seed, pid_t pids[LOAD_CLIENTS])
{
	for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
		fflush(NULL);
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0)
			be_client(f, l, i, seed * 77 + i);
	}
}

void load_wait(const pid_t pids[LOAD_CLIENTS])
{
	for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(status == 0, "client %u ended with wait status %d", i, status);
	}
}

/* ---- afterwards ---- */

static json_t *find(const struct fixture *f, const char *name)
{
	struct client *c = client_new(f);
	json_t *reply = client_request(c, "get_share", jsonx_pack("{s:s}", "share", name)),
	       *share = json_object_get(reply, "result");

	json_incref(share);
	json_decref(reply);
	client_free(c);
	return share;
}

static size_t count(const struct fixture *f, const char *method, const char *member, const char *share)
{
	_cleanup_json_ json_t *page = call(f, method, "{s:s}", "share", share);

	return json_array_size(at(page, member));
}

/* Why the share is not as it should be, or NULL. */
static const char *differs(const struct fixture *f, const struct load_item *it)
{
	_cleanup_json_ json_t *share = find(f, it->name);
	_cleanup_free_ char *content = NULL;

	if (!share)
		return it->present ? "it is gone" : NULL;
	if (!it->present)
		return "it is there";
	if (strcmp(str_at(share, "status"), "available") != 0)
		return "it is not available";
	if (int_at(share, "size_bytes") != it->size)
		return "its size";
	if (count(f, "list_access_rules", "access_rules", it->name) != it->rule)
		return "its rules";
	if (count(f, "list_snapshots", "snapshots", it->name) != it->snap)
		return "its snapshots";
	content = read_text(fixture_path(f, "root/%s/data/file", it->name));
	if (it->content[0] && (!content || strcmp(content, it->content) != 0))
		return "its contents";
	return NULL;
}

static void check_item(const struct fixture *f, struct load *l, unsigned client, unsigned item, const char *where)
{
	struct load_item *it = &l->items[client][item], after = done(l->items[client], it);
	struct client *c;
	json_t *reply;
	const char *why;

	if (it->pending == LOAD_NO_OP) {
		why = differs(f, it);
		ck_assert_msg(!why, "%s: %s: %s", where, it->name, why);
		return;
	}
	c = client_new(f);
	why = it->pending == LOAD_COPY || it->pending == LOAD_REVERT ? NULL : differs(f, it);
	if (why)
		ck_assert_msg(!differs(f, &after),
			      "%s: %s, in the middle of a %s: neither as before nor as after: %s, %s", where, it->name,
			      op_methods[it->pending], why, differs(f, &after));
	reply = client_request(c, op_methods[it->pending], op_params(l->items[client], it));
	ck_assert_msg(json_object_get(reply, "result") != NULL, "%s: %s of %s again: %s", where,
		      op_methods[it->pending], it->name,
		      json_object_get(reply, "error") ? str_at(reply, "error.message") : "");
	apply(f, l, client, item, json_object_get(reply, "result"));
	json_decref(reply);
	client_free(c);
	why = differs(f, it);
	ck_assert_msg(!why, "%s: %s after its call was made again: %s", where, it->name, why);
}

void load_check(const struct fixture *f, struct load *l, const char *where)
{
	check_disk(f, where);
	for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
		/* A copy's source is looked at as it was. */
		for (int pass = 0; pass < 2; pass++)
			for (unsigned k = 0; k < LOAD_ITEMS; k++)
				if ((l->items[i][k].pending != LOAD_NO_OP) == (pass == 0))
					check_item(f, l, i, k, where);
	}
	check_disk(f, where);
}

struct load *load_new(void)
{
	struct load *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(l, MAP_FAILED);
	for (unsigned i = 0; i < LOAD_CLIENTS; i++)
		for (unsigned k = 0; k < LOAD_ITEMS; k++)
			snprintf(l->items[i][k].name, sizeof l->items[i][k].name, "c%u-%u", i, k);
	return l;
}

void load_free(struct load *l)
{
	munmap(l, sizeof *l);
}
