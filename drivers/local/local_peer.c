#include "drivers/local/local_peer.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "drivers/local/local_storage.h"

#include <errno.h>
#include <string.h>

void local_peer_close(struct local_peer *p)
{
	local_object_clear(&p->share);
	local_root_close(&p->r);
	free(p->b.name);
	free(p->b.id);
	free(p->b.root);
	*p = LOCAL_PEER_INIT;
}

const struct driver_share *local_peer_active(const struct driver_call *call)
{
	for (size_t i = 0; i < call->n_shares; i++) {
		const char *state = call->shares[i].replica_state;

		if (state && strcmp(state, "active") == 0)
			return &call->shares[i];
	}
	return NULL;
}

/* What is before LOCATION or LOCATION/data. Owned by the caller; NULL where it is another place. */
static char *root_of(const struct driver_share *s)
{
	static const char data[] = "/data";
	size_t len = strlen(s->path), tail;

	if (!s->provider_location)
		return NULL;
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *end = xasprintf("/%s%s", s->provider_location, i ? "" : data);

		tail = strlen(end);
		if (len > tail && strcmp(s->path + len - tail, end) == 0)
			return xasprintf("%.*s", (int)(len - tail), s->path);
	}
	return NULL;
}

static int check_mark(const struct local_backend *peer, const json_t *mark, struct error *e)
{
	const char *name = jsonx_str(mark, "name"), *driver = jsonx_str(mark, "driver");

	if (name && driver && strcmp(name, peer->name) == 0 && strcmp(driver, peer->storage->driver) == 0)
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, EXDEV,
			 "root %s is not of backend \"%s\", but of \"%s\" with driver %s: mount the right disk there",
			 peer->root, peer->name, name ? name : "?", driver ? driver : "?");
}

static int open_peer(const struct driver_share *s, struct local_peer *p, struct error *e)
{
	_cleanup_json_ json_t *mark = NULL;
	int n;

	if ((n = local_root_read_mark(&p->b, &mark, e)) < 0 || (n = check_mark(&p->b, mark, e)) < 0)
		return n;
	p->b.id = xstrdup(jsonx_str(mark, "backend_id"));
	if ((n = local_root_open(&p->b, &p->r, e)) < 0)
		return n;
	return local_share_find(&p->r, s, &p->share, e);
}

int local_peer_open(const struct local_backend *b, const struct driver_share *s, struct local_peer *ret,
		    struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	_cleanup_free_ char *root = s->path ? root_of(s) : NULL;
	int n;

	if (!root)
		return error_set(e, ERR_INVALID_STATE, ENODEV,
				 "the replica on backend \"%s\" cannot be reached: try again when that backend is up",
				 s->backend);
	*ret = LOCAL_PEER_INIT;
	ret->b.storage = b->storage;
	ret->b.name = xstrdup(s->backend);
	ret->b.root = take_ptr(root);
	if ((n = open_peer(s, ret, &why)) == 0)
		return 0;
	local_peer_close(ret);
	return error_set(e, why.kind == ERR_BACKEND_DOWN ? ERR_DRIVER_FAILED : why.kind, -n,
			 "the replica on backend \"%s\" cannot be reached: %s", s->backend, why.message);
}
