#include "tests/e2e/harness_replica.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void in_dir(const struct fixture *f, const char *command)
{
	_cleanup_free_ char *said = NULL;

	ck_assert_msg(shell(&said, "cd %s && { %s; } 2>&1", f->dir, command) == 0, "%s: %s", command, said);
}

long number_of(const struct fixture *f, const char *command)
{
	_cleanup_free_ char *out = NULL;

	ck_assert_msg(shell(&out, "cd %s && %s", f->dir, command) == 0, "%s", command);
	return strtol(out, NULL, 10);
}

void put(const struct fixture *f, const char *path, const char *text)
{
	write_file(fixture_path(f, "%s", path), text);
}

void has(const struct fixture *f, const char *path, const char *text)
{
	_cleanup_free_ char *there = read_text(fixture_path(f, "%s", path));

	ck_assert_msg(there && strcmp(there, text) == 0, "%s holds %s, not %s", path, there ? there : "nothing", text);
}

void replicate(const struct fixture *f, const char *backend)
{
	json_decref(call(f, "create_share_replica", "{s:s,s:s}", "share", "s", "backend", backend));
}

const json_t *on(const json_t *share, const char *backend)
{
	size_t i;
	json_t *instance;

	json_array_foreach(at(share, "instances"), i, instance)
		if (strcmp(str_at(instance, "backend"), backend) == 0)
			return instance;
	ck_abort_msg("there is no replica on %s", backend);
}

void expect(const struct fixture *f, const char *backend, const char *status, const char *state)
{
	_cleanup_json_ json_t *s = call(f, "get_share", "{s:s}", "share", "s");
	const json_t *i = on(s, backend);

	ck_assert_msg(strcmp(str_at(i, "status"), status) == 0 && strcmp(str_at(i, "replica_state"), state) == 0,
		      "the replica on %s is %s, %s", backend, str_at(i, "status"), str_at(i, "replica_state"));
}

void await_first_copy(const struct fixture *f, const char *backend)
{
	for (double until = now() + 60;; nap(0.01)) {
		_cleanup_json_ json_t *s = call(f, "get_share", "{s:s}", "share", "s");

		if (strcmp(str_at(on(s, backend), "status"), "creating") != 0)
			break;
		ck_assert_msg(now() < until, "the first copy on %s does not go on", backend);
	}
	expect(f, backend, "available", "in_sync");
}

char *id_on(const struct fixture *f, const char *backend)
{
	_cleanup_json_ json_t *s = call(f, "get_share", "{s:s}", "share", "s");

	return xstrdup(str_at(on(s, backend), "id"));
}

void update(const struct fixture *f, const char *backend)
{
	_cleanup_free_ char *id = id_on(f, backend);

	json_decref(call(f, "update_share_replica", "{s:s}", "replica", id));
	expect(f, backend, "available", "in_sync");
}

void promote(const struct fixture *f, const char *backend)
{
	_cleanup_free_ char *id = id_on(f, backend);
	_cleanup_json_ json_t *s = call(f, "promote_share_replica", "{s:s}", "replica", id);

	ck_assert_str_eq(str_at(s, "backend"), backend);
	ck_assert_str_eq(str_at(s, "status"), "available");
	expect(f, backend, "available", "active");
}

void drop(const struct fixture *f, const char *backend)
{
	_cleanup_free_ char *id = id_on(f, backend);

	json_decref(call(f, "delete_share_replica", "{s:s}", "replica", id));
}

const char *place_of(const struct fixture *f, const char *ref, const char *backend, const char *file)
{
	static char place[8][256];
	static unsigned next;
	_cleanup_json_ json_t *s = NULL;
	_cleanup_free_ char *replica = id_on(f, backend);
	json_t *instance;
	size_t i;

	json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", ref));
	s = call(f, "get_snapshot", "{s:s}", "snapshot", ref);
	json_array_foreach(at(s, "instances"), i, instance)
		if (strcmp(str_at(instance, "instance_id"), replica) == 0) {
			ck_assert_str_eq(str_at(instance, "status"), "available");
			snprintf(place[++next % 8], 256, "%s/%s/data/%s", backend,
				 str_at(instance, "provider_location"), file);
			return place[next % 8];
		}
	ck_abort_msg("%s is not on %s", ref, backend);
}
