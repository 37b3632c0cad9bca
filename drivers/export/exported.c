#include "drivers/export/exported.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "drivers/export/exported_share.h"
#include "drivers/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop_result(struct driver_result *res)
{
	json_decref(res->values);
	driver_work_free(res->work);
	*res = (struct driver_result){ 0 };
}

/* ---- what follows a slot, now or at the end of its long work ---- */

typedef int follow_up(struct exported *x, const struct driver_call *call, struct driver_result *ret, struct error *e);

struct chain {
	follow_up *before, *after;
	int (*finish)(void *backend, void *data, const struct driver_call *call, const json_t *output,
		      const struct error *failure, struct driver_result *ret, struct error *e);
	void (*release)(void *data);
	void *data;
};

static int and_then(struct exported *x, const struct driver_call *call, int r, follow_up *before, follow_up *after,
		    struct driver_result *ret, struct error *e);

static int finish_chain(void *backend, void *data, const struct driver_call *call, const json_t *output,
			const struct error *failure, struct driver_result *ret, struct error *e)
{
	const struct chain *c = data;
	struct exported *x = backend;
	int r = !failure && c->before ? c->before(x, call, ret, e) : 0;

	if (r < 0) {
		_cleanup_error_ struct error undone = ERROR_INIT;

		/* The driver clears away what it has made so far. */
		(void)c->finish(x->state, c->data, call, NULL, e, ret, &undone);
		return r;
	}
	r = c->finish(x->state, c->data, call, output, failure, ret, e);
	return and_then(x, call, r, c->before, c->after, ret, e);
}

static void release_chain(void *data)
{
	struct chain *c = data;

	if (c->release)
		c->release(c->data);
	free(c);
}

static int and_then(struct exported *x, const struct driver_call *call, int r, follow_up *before, follow_up *after,
		    struct driver_result *ret, struct error *e)
{
	struct chain *c;

	if (r < 0)
		return r;
	if (!ret->work || ret->work->background) {
		r = after(x, call, ret, e);
		if (r < 0)
			drop_result(ret);
		return r;
	}
	c = xcalloc(1, sizeof *c);
	*c = (struct chain){ before, after, ret->work->finish, ret->work->release, ret->work->data };
	ret->work->finish = finish_chain;
	ret->work->release = release_chain;
	ret->work->data = c;
	return 0;
}

static int done(struct exported *x, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)x;
	(void)call;
	(void)ret;
	(void)e;
	return 0;
}

/* Long work must find the driver's state at its end, not ours. */
static int pass(struct exported *x, driver_slot *slot, const struct driver_call *call, struct driver_result *ret,
		struct error *e)
{
	return and_then(x, call, slot(x->state, call, ret, e), NULL, done, ret, e);
}

/* ---- host ---- */

static int do_setup(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	int r = x->driver->do_setup ? x->driver->do_setup(x->state, call, ret, e) : 0;

	if (r == 0 && x->makes_servers)
		return netns_check(e);
	for (size_t i = 0; r == 0 && i < x->n; i++) {
		r = exporter_start(x->exporters[i], e);
		if (r == 0)
			x->generations[i] = x->exporters[i]->generation;
	}
	return r;
}

static void add_words(json_t *list, const char *const *words)
{
	for (; *words; words++) {
		json_t *v;
		size_t i;

		json_array_foreach(list, i, v)
			if (strcmp(json_string_value(v), *words) == 0)
				break;
		if (i == json_array_size(list))
			json_array_append_new(list, json_string(*words));
	}
}

static json_t *list_in(json_t *stats, const char *name)
{
	json_t *list = json_object_get(stats, name);

	if (!list) {
		list = json_array();
		json_object_set_new(stats, name, list);
	}
	return list;
}

static int get_share_stats(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	const char *both[] = { "NFS_CIFS", NULL };
	bool nfs = false, cifs = false;
	int r = x->driver->get_share_stats(x->state, call, ret, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < x->n; i++) {
		const struct exporter_ops *ops = x->kinds[i];

		add_words(list_in(ret->values, "share_protos"), (const char *const[]){ ops->proto, NULL });
		add_words(list_in(ret->values, "access_types"), ops->access_types);
		add_words(list_in(ret->values, "access_levels"), ops->access_levels);
		nfs = nfs || strcmp(ops->proto, "NFS") == 0;
		cifs = cifs || strcmp(ops->proto, "CIFS") == 0;
	}
	if (nfs && cifs)
		add_words(list_in(ret->values, "share_protos"), both);
	return 0;
}

/* Exports of this backend whose share nobody knows any more: left by a crash, or by a store of another time. */
static int remove_orphans_on(const struct exported *x, struct exporter *const *exporters, const json_t *known,
			     struct error *e)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct exporter *on = exporters[i];
		_cleanup_json_ json_t *all = NULL;
		json_t *one;
		size_t k;
		int r = on->ops->list(on->object, &all, e);

		if (r < 0)
			return r;
		json_array_foreach(all, k, one) {
			struct export export = exported_of_list(one);

			if (strcmp(export.backend, x->name) != 0 || json_object_get(known, export.id))
				continue;
			if ((r = on->ops->remove(on->object, &export, e)) < 0)
				return r;
		}
	}
	return 0;
}

static int remove_orphans(const struct exported *x, const json_t *known, struct error *e)
{
	int r = x->exporters ? remove_orphans_on(x, x->exporters, known, e) : 0;

	for (const struct share_server *s = x->share_servers; s && r == 0; s = s->next)
		r = remove_orphans_on(x, s->exporters, known, e);
	return r;
}

/* Of a share that is there, or was. One whose server is not there says why, and is no matter of the others. */
static int ensure_one(const struct exported *x, const struct driver_share *s, json_t *found, struct error *e)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct exporter *const *on;

	if (exported_find(x, s, &on, &why) < 0) {
		json_object_del(found, "export_locations");
		json_object_set_new(found, "status", json_string("error"));
		json_object_set_new(found, "status_reason", json_string(why.message));
		return 0;
	}
	if (!jsonx_get(found, "export_locations")) /* what is not there is not to be reached either */
		return exported_remove(x, s, e);
	json_object_set_new(found, "export_locations", exported_locations(x, s));
	return 0;
}

static int ensure_shares(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	int r = x->driver->ensure_shares(x->state, call, ret, e);

	for (size_t i = 0; r == 0 && i < call->n_shares; i++) {
		const struct driver_share *s = &call->shares[i];

		if (exported_is_on(s))
			r = ensure_one(x, s, json_object_get(json_object_get(ret->values, "shares"), s->id), e);
	}
	if (r == 0 && call->known)
		r = remove_orphans(x, call->known, e);
	return r;
}

/* ---- shares ---- */

/* What cannot be exported is not kept. */
static int export_made(struct exported *x, driver_slot *unmake, const struct driver_call *call,
		       struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *nothing = json_object();
	_cleanup_error_ struct error undone = ERROR_INIT;
	struct driver_share s = *call->share;
	struct driver_call undo = *call;
	struct driver_result gone = { 0 };
	int r;

	if (!ret->values)
		ret->values = json_object();
	if (jsonx_str(ret->values, "provider_location"))
		s.provider_location = jsonx_str(ret->values, "provider_location");
	undo.share = &s;
	if ((r = exported_put(x, call, &s, NULL, nothing, e)) == 0) {
		json_object_set_new(ret->values, "export_locations", exported_locations(x, &s));
		return 0;
	}
	(void)exported_remove(x, &s, NULL);
	if (unmake(x->state, &undo, &gone, &undone) < 0)
		log_warning("share \"%s\" could not be exported, and what was made of it not be removed: %s", s.name,
			    undone.message);
	drop_result(&gone);
	return r;
}

static int export_new(struct exported *x, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	return export_made(x, x->driver->delete_share, call, ret, e);
}

static int create_with(struct exported *x, driver_slot *slot, const struct driver_call *call, struct driver_result *ret,
		       struct error *e)
{
	return and_then(x, call, slot(x->state, call, ret, e), NULL, exported_is_on(call->share) ? export_new : done,
			ret, e);
}

static int create_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;

	return create_with(x, x->driver->create_share, call, ret, e);
}

static int create_share_from_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret,
				      struct error *e)
{
	struct exported *x = backend;

	return create_with(x, x->driver->create_share_from_snapshot, call, ret, e);
}

static int delete_share(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	int r = exported_is_on(call->share) ? exported_remove(x, call->share, e) : 0;

	return r < 0 ? r : pass(x, x->driver->delete_share, call, ret, e);
}

static int unmanage(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	int r = exported_is_on(call->share) ? exported_remove(x, call->share, e) : 0;

	return r < 0 ? r : pass(x, x->driver->unmanage, call, ret, e);
}

/* What others export stays theirs. */
static int need_unexported(const struct exported *x, const char *path, struct error *e)
{
	for (size_t i = 0; x->exporters && i < x->n; i++) {
		const struct exporter *on = x->exporters[i];
		_cleanup_free_ char *what = NULL;
		int r = on->ops->find_foreign(on->object, path, &what, e);

		if (r < 0)
			return r;
		if (what) {
			error_set(e, ERR_ALREADY_EXISTS, EEXIST,
				  "%s is exported already, by %s: take that export away first", path, what);
			error_add(e, "param", json_string("provider_location"));
			return -EEXIST;
		}
	}
	return 0;
}

/* The rules follow in an update_access of the same call. */
static int export_managed(struct exported *x, const struct driver_call *call, struct driver_result *ret,
			  struct error *e)
{
	json_t *first = json_array_get(json_object_get(ret->values, "export_locations"), 0);
	_cleanup_error_ struct error undone = ERROR_INIT;
	struct driver_share s = *call->share;
	struct driver_call undo = *call;
	struct driver_result gone = { 0 };
	int r = first ? need_unexported(x, jsonx_str(first, "path"), e) : 0;

	if (r == 0) {
		if (exported_is_on(&s))
			json_object_set_new(ret->values, "export_locations", exported_locations(x, &s));
		return 0;
	}
	if (call->dry_run)
		return r;
	if (jsonx_str(ret->values, "provider_location"))
		s.provider_location = jsonx_str(ret->values, "provider_location");
	undo.share = &s;
	if (x->driver->unmanage(x->state, &undo, &gone, &undone) < 0)
		log_warning("share \"%s\" could not be adopted, and not be given back: %s", s.name, undone.message);
	drop_result(&gone);
	return r;
}

static int manage_existing(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;

	return and_then(x, call, x->driver->manage_existing(x->state, call, ret, e), NULL, export_managed, ret, e);
}

/* ---- rules ---- */

static int update_access(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	_cleanup_json_ json_t *results = json_object();
	int r;

	if (!exported_is_on(call->share)) {
		if (x->driver->update_access)
			return pass(x, x->driver->update_access, call, ret, e);
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP, "driver %s has no access rules of its own",
				 x->driver->name);
	}
	r = exported_put(x, call, call->share, call->rules, results, e);
	/* What is not there is not to be reached either. */
	if (r < 0 && e->kind == ERR_NOT_FOUND)
		(void)exported_remove(x, call->share, NULL);
	if (r == 0)
		ret->values = jsonx_pack("{s:O}", "rules", results);
	return r;
}

/* ---- revert: the share's directory is replaced, and must be held by nobody meanwhile ---- */

static int let_go(struct exported *x, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	(void)ret;
	return exported_remove(x, call->share, e);
}

static int export_again(struct exported *x, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	_cleanup_json_ json_t *results = json_object();
	int r = exported_put(x, call, call->share, call->rules, results, e);

	if (r == 0)
		json_object_del(ret->values, "export_locations");
	return r;
}

static int revert_to_snapshot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	_cleanup_error_ struct error again = ERROR_INIT;
	struct driver_result nothing = { 0 };
	int r;

	if (!exported_is_on(call->share))
		return pass(x, x->driver->revert_to_snapshot, call, ret, e);
	if (x->driver->revert_is_long)
		return and_then(x, call, x->driver->revert_to_snapshot(x->state, call, ret, e), let_go, export_again,
				ret, e);
	if ((r = let_go(x, call, ret, e)) < 0)
		return r;
	r = and_then(x, call, x->driver->revert_to_snapshot(x->state, call, ret, e), NULL, export_again, ret, e);
	if (r < 0 && export_again(x, call, &nothing, &again) < 0)
		log_warning("share \"%s\" could not be reverted, and not be exported again: %s", call->share->name,
			    again.message);
	return r;
}

/* ---- replicas ---- */

static int export_replica(struct exported *x, const struct driver_call *call, struct driver_result *ret,
			  struct error *e)
{
	return export_made(x, x->driver->delete_replica, call, ret, e);
}

static int create_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;

	return and_then(x, call, x->driver->create_replica(x->state, call, ret, e), NULL,
			exported_is_on(call->share) ? export_replica : done, ret, e);
}

static int delete_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	int r = exported_is_on(call->share) ? exported_remove(x, call->share, e) : 0;

	return r < 0 ? r : pass(x, x->driver->delete_replica, call, ret, e);
}

/* Its directory may be another one now. */
static int update_replica_state(void *backend, const struct driver_call *call, struct driver_result *ret,
				struct error *e)
{
	struct exported *x = backend;

	return and_then(x, call, x->driver->update_replica_state(x->state, call, ret, e), NULL,
			exported_is_on(call->share) ? export_again : done, ret, e);
}

/* Where each of them is to be found from now on. */
static void locate_replicas(const struct exported *x, const struct driver_call *call, struct driver_result *ret)
{
	json_t *all = json_object_get(ret->values, "replicas");

	if (!ret->values)
		ret->values = json_object();
	if (!all) {
		all = json_object();
		json_object_set_new(ret->values, "replicas", all);
	}
	for (size_t i = 0; i < call->n_shares; i++) {
		struct driver_share s = call->shares[i];
		json_t *one = json_object_get(all, s.id);

		s.replica_state = strcmp(s.id, call->share->id) == 0 ? "active" : "out_of_sync";
		if (!one) {
			one = jsonx_pack("{s:s}", "replica_state", s.replica_state);
			json_object_set_new(all, s.id, one);
		}
		json_object_set_new(one, "export_locations", exported_locations(x, &s));
	}
}

static int export_promoted(struct exported *x, const struct driver_call *call, struct driver_result *ret,
			   struct error *e)
{
	_cleanup_json_ json_t *results = json_object();
	struct driver_share s = *call->share;
	int r;

	s.replica_state = "active";
	if ((r = exported_put(x, call, &s, call->rules, results, e)) == 0)
		locate_replicas(x, call, ret);
	return r;
}

static int promote_replica(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;

	return and_then(x, call, x->driver->promote_replica(x->state, call, ret, e), NULL,
			exported_is_on(call->share) ? export_promoted : done, ret, e);
}

/* ---- share servers ---- */

static const char *from_network(const struct driver_call *call, const char *key)
{
	const char *now = jsonx_str(call->options, key);

	/* Of a network that is not in the conf file any more: what it was. */
	return now ? now : jsonx_str(jsonx_get(call->options, "backend_details"), key);
}

/* Trouble with one server is no reason to take the backend for gone. */
static int only_it(int r, struct error *e)
{
	if (r < 0 && e->kind == ERR_BACKEND_DOWN)
		e->kind = ERR_DRIVER_FAILED;
	return r;
}

static int setup_server(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;
	const char *gateway = from_network(call, "gateway");
	struct netns_spec spec = { .id = jsonx_str(call->options, "id"),
				   .address = jsonx_str(call->options, "address"),
				   .bridge = from_network(call, "bridge"),
				   .gateway = gateway ? gateway : "" };
	_cleanup_free_ char *name = netns_name(spec.id), *link = netns_link(spec.id);
	int r = only_it(share_server_setup(&x->share_servers, &spec, x->conf, x->kinds, x->n, e), e);

	if (r < 0)
		return r;
	ret->values = jsonx_pack("{s:s,s:{s:s,s:s,s:s,s:s,s:s,s:s}}", "identifier", name, "backend_details", "id",
				 spec.id, "namespace", name, "address", spec.address, "bridge", spec.bridge, "gateway",
				 spec.gateway, "interface", link);
	return 0;
}

static int teardown_server(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	struct exported *x = backend;

	(void)ret;
	return only_it(
		share_server_teardown(&x->share_servers, jsonx_str(call->options, "id"), x->conf, x->kinds, x->n, e),
		e);
}

/* ---- what passes untouched ---- */

#define PASS(slot)                                                                                                     \
	static int pass_##slot(void *backend, const struct driver_call *call, struct driver_result *ret,               \
			       struct error *e)                                                                        \
	{                                                                                                              \
		struct exported *x = backend;                                                                          \
                                                                                                                       \
		return pass(x, x->driver->slot, call, ret, e);                                                         \
	}
DRIVER_SLOTS(PASS)
#undef PASS

#define OURS(X)                                                                                                        \
	X(get_share_stats)                                                                                             \
	X(ensure_shares)                                                                                               \
	X(create_share)                                                                                                \
	X(create_share_from_snapshot)                                                                                  \
	X(delete_share)                                                                                                \
	X(manage_existing)                                                                                             \
	X(unmanage)                                                                                                    \
	X(revert_to_snapshot)                                                                                          \
	X(create_replica)                                                                                              \
	X(delete_replica)                                                                                              \
	X(update_replica_state)                                                                                        \
	X(promote_replica)

/* What the driver cannot do, it cannot do exported either. */
static void fill_ops(struct exported *x)
{
	x->ops = *x->driver;
#define TAKE(slot)                                                                                                     \
	if (x->driver->slot)                                                                                           \
		x->ops.slot = pass_##slot;
	DRIVER_SLOTS(TAKE)
#undef TAKE
#define TAKE(slot)                                                                                                     \
	if (x->driver->slot)                                                                                           \
		x->ops.slot = slot;
	OURS(TAKE)
#undef TAKE
	if (x->makes_servers) {
		x->ops.setup_server = setup_server;
		x->ops.teardown_server = teardown_server;
	}
	x->ops.do_setup = do_setup;
	x->ops.update_access = update_access;
}

/* ---- the backend ---- */

static void destroy(void *backend)
{
	struct exported *x = backend;

	if (!x)
		return;
	if (x->state)
		x->driver->destroy(x->state);
	for (size_t i = 0; x->exporters && i < x->n; i++)
		exporter_close(x->exporters[i]);
	share_servers_free(x->share_servers);
	free(x->exporters);
	free(x->generations);
	free(x->kinds);
	conf_unref(x->conf);
	free(x->name);
	free(x);
}

static int find_kinds(struct exported *x, const char *const *names, size_t n, struct error *e)
{
	x->kinds = xcalloc(n + 1, sizeof(const struct exporter_ops *));
	for (; x->n < n; x->n++) {
		const struct exporter_ops *ops = exporter_find(names[x->n]);

		if (!ops)
			return error_param(e, "export", "there is no exporter \"%s\"", names[x->n]);
		for (size_t k = 0; k < x->n; k++)
			if (strcmp(x->kinds[k]->proto, ops->proto) == 0)
				return error_param(e, "export", "two exporters for %s: leave one out", ops->proto);
		x->kinds[x->n] = ops;
	}
	return 0;
}

static int open_exporters(struct exported *x, struct error *e)
{
	int r = 0;

	if (x->makes_servers)
		return 0;
	x->exporters = xcalloc(x->n + 1, sizeof(struct exporter *));
	x->generations = xcalloc(x->n + 1, sizeof(*x->generations));
	for (size_t i = 0; r == 0 && i < x->n; i++)
		r = exporter_open(x->kinds[i], x->conf, &x->exporters[i], e);
	return r;
}

int exported_create(const struct share_driver_ops *driver, const struct driver_setup *setup, struct conf *conf,
		    const struct share_driver_ops **ret_ops, void **ret_backend, struct error *e)
{
	struct exported *x;
	size_t n;
	const char *const *names = settings_list(setup->settings, "export", &n);
	int r;

	if (n == 0) {
		r = driver->create(setup, ret_backend, e);
		if (r == 0)
			*ret_ops = driver;
		return r;
	}
	if (!driver->locate_share)
		return error_param(e, "export", "driver %s has nothing to export: leave `export` out", driver->name);
	x = xcalloc(1, sizeof *x);
	x->driver = driver;
	x->name = xstrdup(setup->name);
	x->conf = conf_ref(conf);
	x->makes_servers = !driver->setup_server && settings_bool(setup->settings, "driver_handles_share_servers");
	fill_ops(x);
	x->ops.destroy = destroy;
	if ((r = find_kinds(x, names, n, e)) < 0 || (r = open_exporters(x, e)) < 0 ||
	    (r = driver->create(setup, &x->state, e)) < 0) {
		destroy(x);
		return r;
	}
	*ret_ops = &x->ops;
	*ret_backend = x;
	return 0;
}

static char *lost_text(const struct exporter *x)
{
	return xasprintf("the server of exporter %s ended or does not answer", x->ops->name);
}

char *exported_is_lost(const struct share_driver_ops *ops, void *backend)
{
	struct exported *x = backend;

	if (ops->destroy != destroy)
		return NULL;
	for (size_t i = 0; x->exporters && i < x->n; i++) {
		const struct exporter *on = x->exporters[i];

		if (x->generations[i] != on->generation || on->ops->is_lost(on->object))
			return lost_text(on);
	}
	for (const struct share_server *s = x->share_servers; s; s = s->next) {
		if (!netns_is_whole(s->id, s->bridge))
			return xasprintf("share server %s is cut off from its bridge \"%s\"", s->id, s->bridge);
		for (size_t i = 0; i < s->n; i++)
			if (s->exporters[i]->ops->is_lost(s->exporters[i]->object))
				return lost_text(s->exporters[i]);
	}
	return NULL;
}
