#include "drivers/export/share_server.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/export/server.h"
#include "drivers/tree.h"

#include <errno.h>
#include <string.h>

/* Its places, as they are named while it is set up or torn down. */
struct plan {
	char *runtime_dir, *state_dir, *netns, *address;
};

static void clear_plan(struct plan *p)
{
	free(p->runtime_dir);
	free(p->state_dir);
	free(p->netns);
	free(p->address);
}

#define _cleanup_plan_ cleanup(clear_plan)

/* `address` is "192.0.2.10/24" or NULL. */
static struct plan make_plan(struct conf *conf, const char *id, const char *address)
{
	struct export_place whole = export_place_of(conf_top(conf), NULL);

	return (struct plan){
		.runtime_dir = xasprintf("%s/servers/%s", whole.runtime_dir, id),
		.state_dir = xasprintf("%s/servers/%s", whole.state_dir, id),
		.netns = netns_path(id),
		.address = address ? xstrndup(address, strcspn(address, "/")) : NULL,
	};
}

static void forget(struct share_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		exporter_close(s->exporters[i]);
	free(s->exporters);
	free(s->id);
	free(s->bridge);
	free(s);
}

static void forget_one(struct share_server **s)
{
	forget(*s);
}

#define _cleanup_share_server_ cleanup(forget_one)

void share_servers_free(struct share_server *list)
{
	while (list) {
		struct share_server *next = list->next;

		forget(list);
		list = next;
	}
}

struct share_server *share_server_of(struct share_server *list, const char *id)
{
	while (list && strcmp(list->id, id) != 0)
		list = list->next;
	return list;
}

/* Out of the list, and the caller's; NULL when it is not among them. */
static struct share_server *take_out(struct share_server **list, const char *id)
{
	struct share_server *s;

	while (*list && strcmp((*list)->id, id) != 0)
		list = &(*list)->next;
	s = *list;
	if (s) {
		*list = s->next;
		s->next = NULL;
	}
	return s;
}

/* Starts nothing. */
static int open_exporters(const char *id, const struct plan *p, struct conf *conf,
			  const struct exporter_ops *const *kinds, size_t n, struct share_server **ret, struct error *e)
{
	_cleanup_share_server_ struct share_server *s = xcalloc(1, sizeof(*s));
	struct export_place place = { .runtime_dir = p->runtime_dir,
				      .state_dir = p->state_dir,
				      .server_id = id,
				      .netns = p->netns,
				      .address = p->address };

	s->id = xstrdup(id);
	s->exporters = xcalloc(n + 1, sizeof(struct exporter *));
	for (; s->n < n; s->n++) {
		int r = exporter_open_at(kinds[s->n], conf, &place, &s->exporters[s->n], e);

		if (r < 0)
			return r;
	}
	*ret = take_ptr(s);
	return 0;
}

/* ---- setup ---- */

static int start_all(struct share_server *s, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		crash_step("before a server of a share server is started");
		r = exporter_start(s->exporters[i], e);
	}
	return r;
}

int share_server_setup(struct share_server **list, const struct netns_spec *spec, struct conf *conf,
		       const struct exporter_ops *const *kinds, size_t n, struct error *e)
{
	_cleanup_plan_ struct plan p = make_plan(conf, spec->id, spec->address);
	_cleanup_share_server_ struct share_server *s = take_out(list, spec->id);
	_cleanup_error_ struct error undone = ERROR_INIT;
	bool made = false;
	int r = netns_setup(spec, &made, e);

	if (r == 0 && !s)
		r = open_exporters(spec->id, &p, conf, kinds, n, &s, e);
	if (r == 0)
		r = start_all(s, e);
	if (r == 0) {
		free(s->bridge);
		s->bridge = xstrdup(spec->bridge);
		s->next = *list;
		*list = take_ptr(s);
		return 0;
	}
	if (made && share_server_teardown(&s, spec->id, conf, kinds, n, &undone) < 0)
		log_warning("share server %s could not be set up, and what was made of it not be removed: %s", spec->id,
			    undone.message);
	return r;
}

/* ---- teardown ---- */

/* Nothing is mounted in there any more, or it is left as it is. */
static int remove_directory(const char *path, struct error *e)
{
	_cleanup_free_ char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	_cleanup_close_ int dirfd = -1;

	*slash = '\0';
	dirfd = path_open_root(parent);
	if (dirfd == -ENOENT)
		return 0;
	if (dirfd < 0)
		return error_errno(e, -dirfd, "cannot open %s", parent);
	return tree_remove(dirfd, slash + 1, e);
}

int share_server_teardown(struct share_server **list, const char *id, struct conf *conf,
			  const struct exporter_ops *const *kinds, size_t n, struct error *e)
{
	_cleanup_plan_ struct plan p = make_plan(conf, id, NULL);
	_cleanup_share_server_ struct share_server *s = take_out(list, id);
	int r = s ? 0 : open_exporters(id, &p, conf, kinds, n, &s, e);

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		crash_step("before a server of a share server is ended");
		r = s->exporters[i]->ops->stop(s->exporters[i]->object, e);
	}
	if (r == 0)
		r = netns_remove(id, e);
	if (r == 0)
		r = remove_directory(p.runtime_dir, e);
	return r == 0 ? remove_directory(p.state_dir, e) : r;
}
