#include "drivers/export/ganesha.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "drivers/export/ganesha_block.h"
#include "drivers/export/ganesha_bus.h"
#include "drivers/export/ganesha_rules.h"
#include "drivers/export/ganesha_server.h"
#include "drivers/export/mount.h"
#include "drivers/export/server.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define _cleanup_shown_   cleanup(ganesha_shown_clear)
#define _cleanup_clients_ cleanup(ganesha_clients_clear)

struct ganesha {
	const struct settings *settings;
	char *dir;                     /* RUNTIME/ganesha */
	char *places;                  /* RUNTIME/exports: what lies below is ours */
	char *address;                 /* of a share server, or NULL */
	char *protocols;               /* as blocks have them */
	struct ganesha_server *server; /* NULL: the system's */
	struct ganesha_bus *bus;       /* NULL: not connected */
};

/* What is to be in force for one export, and what is. */
struct task {
	struct ganesha *g;
	const struct export *x;
	char *place;
	struct ganesha_clients clients;
	bool shown; /* Ganesha has an export of this number, which is ours */
};

/* ---- options ---- */

static const char *const modes[] = { "supervised", "system", NULL };
static const char *const versions[] = { "3", "4", NULL };

static const struct option options[] = {
	{ .name = "ganesha_mode",
	  .type = OPTION_CHOICE,
	  .fallback = "supervised",
	  .choices = modes,
	  .flags = OPTION_FIXED,
	  .help = "Which NFS-Ganesha exports: supervised, one that the daemon starts, keeps running, and leaves "
		  "running when it "
		  "ends; or system, the distribution's service, on the system's bus." },
	{ .name = "ganesha_port",
	  .type = OPTION_INT,
	  .fallback = "2049",
	  .min = 1,
	  .max = 65535,
	  .flags = OPTION_FIXED,
	  .help = "TCP port of the supervised NFS-Ganesha." },
	{ .name = "ganesha_protocols",
	  .type = OPTION_LIST,
	  .fallback = "4",
	  .choices = versions,
	  .flags = OPTION_FIXED,
	  .help = "Versions of NFS that are served. Version 3 needs rpcbind, and has no locks here: clients mount it "
		  "with "
		  "nolock." },
	{ .name = "ganesha_grace_period",
	  .type = OPTION_INT,
	  .fallback = "30",
	  .min = 0,
	  .max = 180,
	  .flags = OPTION_FIXED,
	  .help = "Seconds in which, after a start of the supervised NFS-Ganesha, clients that had files open or "
		  "locked may "
		  "claim them again before anybody gets new ones; it ends as soon as all have. 0: nobody waits, and "
		  "locks "
		  "are lost." },
	{ .name = NULL },
};

/* ---- the object ---- */

static char *join_protocols(const struct settings *settings, const struct export_place *place)
{
	size_t n;
	const char *const *all = settings_list(settings, "ganesha_protocols", &n);
	bool three = false, four = n == 0;

	for (size_t i = 0; i < n; i++) {
		three = three || strcmp(all[i], "3") == 0;
		four = four || strcmp(all[i], "4") == 0;
	}
	/* Version 3 is announced by rpcbind, which is this host's and not in a share server's network. */
	if (place)
		return four ? xstrdup("4") : NULL;
	return xstrdup(three && four ? "3, 4" : three ? "3" : "4");
}

static void destroy(void *exporter)
{
	struct ganesha *g = exporter;

	if (!g)
		return;
	ganesha_bus_close(g->bus);
	ganesha_server_free(g->server);
	free(g->dir);
	free(g->places);
	free(g->address);
	free(g->protocols);
	free(g);
}

static int create(const struct settings *settings, const struct export_place *place, void **ret_exporter,
		  struct error *e)
{
	struct export_place at = export_place_of(settings, place);
	_cleanup_free_ char *protocols = join_protocols(settings, place);
	struct ganesha *g;
	int r;

	if (*at.runtime_dir == '\0')
		at.runtime_dir = "/run/sharesd";
	if (!protocols)
		return error_set(e, ERR_BACKEND_DOWN, EINVAL,
				 "share servers serve version 4 of NFS only: add \"4\" to ganesha_protocols");
	r = ganesha_block_check_path(at.runtime_dir, e);
	if (r == 0)
		r = ganesha_block_check_path(at.state_dir, e);
	if (r < 0)
		return r;
	g = xcalloc(1, sizeof(*g));
	g->settings = settings;
	g->dir = xasprintf("%s/ganesha", at.runtime_dir);
	g->places = xasprintf("%s/exports", at.runtime_dir);
	g->address = xstrdup(at.address);
	g->protocols = take_ptr(protocols);
	if (place || strcmp(settings_string(settings, "ganesha_mode"), "system") != 0)
		g->server = ganesha_server_new(settings, &at, g->protocols);
	*ret_exporter = g;
	return 0;
}

static int start_system(struct ganesha *g, struct error *e)
{
	_cleanup_free_ char *blocks = xasprintf("%s/exports.d", g->dir);
	int r = export_server_make_directory(blocks, e);

	if (r == 0)
		r = export_server_make_directory(g->places, e);
	return r == 0 ? ganesha_bus_open(NULL, &g->bus, e) : r;
}

static bool is_lost(void *exporter)
{
	struct ganesha *g = exporter;

	return !g->bus || (g->server && !ganesha_server_is_alive(g->server)) || !ganesha_bus_is_alive(g->bus);
}

static int start(void *exporter, struct error *e)
{
	struct ganesha *g = exporter;

	if (!is_lost(g))
		return 0;
	ganesha_bus_close(take_ptr(g->bus));
	return g->server ? ganesha_server_start(g->server, &g->bus, e) : start_system(g, e);
}

static int need_server(struct ganesha *g, struct error *e)
{
	if (!is_lost(g))
		return 0;
	return error_set(
		e, ERR_BACKEND_DOWN, ENOTCONN,
		g->server ? "NFS-Ganesha does not run: it is being started again"
			  : "the system's NFS-Ganesha is not on its bus: start it (systemctl start nfs-ganesha)");
}

/* ---- one export ---- */

static struct task begin(struct ganesha *g, const struct export *x)
{
	return (struct task){ .g = g, .x = x, .place = mount_place(g->places, x->backend, x->id) };
}

static void end(struct task *t)
{
	free(t->place);
	ganesha_clients_clear(&t->clients);
}

/* Nobody reaches it any more. */
static int unexport(struct task *t, unsigned number, struct error *e)
{
	int r;

	ganesha_block_drop(t->g->dir, number);
	crash_step("before an export is removed from NFS-Ganesha");
	r = ganesha_bus_remove(t->g->bus, number, e);
	crash_step("after an export was removed from NFS-Ganesha");
	return r == -ENOENT ? 0 : r;
}

static bool is_ours(const struct ganesha *g, const struct ganesha_shown *shown)
{
	size_t n = strlen(g->places);

	return strncmp(shown->path, g->places, n) == 0 && shown->path[n] == '/';
}

/* Looks at what Ganesha has under the number. One of ours that is not quite this is taken away first: the number or the
 * name were another share's. */
static int look(struct task *t, struct error *e)
{
	_cleanup_shown_ struct ganesha_shown shown = { 0 };
	_cleanup_free_ char *pseudo = ganesha_block_pseudo(t->x);
	_cleanup_error_ struct error error = ERROR_INIT;
	int r = ganesha_bus_show(t->g->bus, t->x->number, &shown, &error);

	t->shown = false;
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		error_move(e, &error);
		return r;
	}
	if (!is_ours(t->g, &shown))
		return error_set(e, ERR_DRIVER_FAILED, EEXIST,
				 "NFS-Ganesha has an export with Export_Id %u that is not ours, of %s at %s: give that "
				 "one another "
				 "number",
				 t->x->number, shown.path, shown.pseudo);
	t->shown = strcmp(shown.path, t->place) == 0 && strcmp(shown.pseudo, pseudo) == 0;
	return t->shown ? 0 : unexport(t, t->x->number, e);
}

/* The share's directory, as it is now, is mounted at its place. */
static int mount_now(struct task *t, struct error *e)
{
	const struct export *x = t->x;
	enum mount_state state;
	int r = mount_look(t->g->places, x->backend, x->id, x->path, &state, e);

	if (r < 0 || state == MOUNT_CURRENT)
		return r;
	if (t->shown) {
		r = unexport(t, x->number, e);
		t->shown = false;
	}
	if (r == 0 && state == MOUNT_OTHER)
		r = mount_remove(t->g->places, x->backend, x->id, e);
	return r == 0 ? mount_bind(t->g->places, x->backend, x->id, x->path, e) : r;
}

/* One in another mount namespace would export the empty directory below our mount. */
static int check_sight(const struct task *t, struct error *e)
{
	_cleanup_free_ char *its = xasprintf("/proc/%d/root%s", (int)ganesha_bus_pid(t->g->bus), t->place);
	struct stat a, b;

	if (stat(t->place, &a) == 0 && stat(its, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return 0;
	return error_set(
		e, ERR_BACKEND_DOWN, ESTALE,
		"NFS-Ganesha does not see what is mounted at %s: run it and sharesd in the same mount namespace, with "
		"no ProtectSystem=, PrivateTmp= or the like in their units",
		t->place);
}

/* Ganesha takes an export whose files it cannot open, and then says no to every client. */
static int check_handles(const struct task *t, struct error *e)
{
	int r = mount_check_handles(t->place);

	if (r == -EOPNOTSUPP)
		return error_set(e, ERR_NOT_SUPPORTED, EOPNOTSUPP,
				 "%s cannot be exported over NFS, for its file system has no file handles", t->x->path);
	if (r == -EPERM && t->g->server)
		return error_set(e, ERR_BACKEND_DOWN, EPERM,
				 "NFS-Ganesha may not open files by handle: it and sharesd, which starts it, need "
				 "CAP_DAC_READ_SEARCH "
				 "and the system call open_by_handle_at");
	return 0;
}

/* Ganesha has the block: does it also have what the block says? */
static int verify(const struct task *t, struct error *e)
{
	_cleanup_shown_ struct ganesha_shown shown = { 0 };
	_cleanup_free_ char *pseudo = ganesha_block_pseudo(t->x);
	int r = ganesha_bus_show(t->g->bus, t->x->number, &shown, e);

	if (r < 0)
		return r;
	if (strcmp(shown.path, t->place) == 0 && strcmp(shown.pseudo, pseudo) == 0 &&
	    ganesha_clients_are(&t->clients, (const char *const *)shown.clients, shown.n))
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, EPROTO, "NFS-Ganesha exports \"%s\" otherwise than it was told",
			 t->x->name);
}

/* Why it refused a new export, where it does not say so itself. */
static void explain_refusal(const struct task *t, struct error *e)
{
	_cleanup_free_ char *pseudo = ganesha_block_pseudo(t->x);
	_cleanup_free_ unsigned *numbers = NULL;
	size_t n = 0;

	if (e && e->message && strstr(e->message, "Failed to load FSAL"))
		error_set(e, ERR_BACKEND_DOWN, ENOENT,
			  "NFS-Ganesha cannot export directories without its module VFS: apt-get install "
			  "nfs-ganesha-vfs");
	if (ganesha_bus_list(t->g->bus, &numbers, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		_cleanup_shown_ struct ganesha_shown shown = { 0 };

		if (ganesha_bus_show(t->g->bus, numbers[i], &shown, NULL) == 0 && strcmp(shown.pseudo, pseudo) == 0)
			error_set(e, ERR_ALREADY_EXISTS, EEXIST,
				  "NFS-Ganesha exports %s at %s already, as number %u: that name cannot be had twice",
				  shown.path, pseudo, numbers[i]);
	}
}

static int tell(struct task *t, struct error *e)
{
	_cleanup_free_ char *file = NULL;
	struct ganesha *g = t->g;
	unsigned number = t->x->number;
	int r = ganesha_block_write(g->dir, t->x, t->place, &t->clients, g->protocols, &file, e);

	if (r < 0)
		return r;
	crash_step("before NFS-Ganesha is told of an export");
	if (t->shown)
		r = ganesha_bus_update(g->bus, file, number, e);
	else
		r = ganesha_bus_add(g->bus, file, number, e);
	crash_step("after NFS-Ganesha was told of an export");
	if (r < 0 && !t->shown)
		explain_refusal(t, e);
	if (r == 0)
		r = verify(t, e);
	return r == 0 ? ganesha_block_keep(g->dir, number, e) : r;
}

static int put_task(struct task *t, struct error *e)
{
	int r = look(t, e);

	if (r == 0)
		r = mount_now(t, e);
	if (r < 0)
		return r;
	r = check_sight(t, e);
	if (r == 0)
		r = check_handles(t, e);
	if (r == 0)
		r = tell(t, e);
	if (r == 0)
		return 0;
	/* It may have taken a part: then nothing is open. */
	(void)unexport(t, t->x->number, NULL);
	(void)mount_remove(t->g->places, t->x->backend, t->x->id, NULL);
	return r;
}

static int check_export(const struct export *x, struct error *e)
{
	if (x->number < 1 || x->number > UINT16_MAX || *x->name == '\0' ||
	    strspn(x->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@") != strlen(x->name))
		return error_set(e, ERR_INTERNAL, EINVAL, "\"%s\", number %u, cannot be exported by NFS-Ganesha",
				 x->name, x->number);
	if (strlen(x->name) > NAME_MAX)
		return error_set(e, ERR_NOT_SUPPORTED, ENAMETOOLONG,
				 "%s cannot be exported over NFS: the name of a share and of its replica's backend "
				 "have %d characters at most together",
				 x->name, NAME_MAX - 1);
	return 0;
}

static int put(void *exporter, const struct export *x, const struct driver_rule *rules, size_t n, json_t *results,
	       struct error *e)
{
	struct ganesha *g = exporter;
	_cleanup_json_ json_t *mine = json_object();
	struct task t cleanup(end) = begin(g, x);
	int r = check_export(x, e);

	if (r == 0)
		r = need_server(g, e);
	if (r < 0)
		return r;
	ganesha_rules_read(rules, n, x->read_only, mine, &t.clients);
	r = put_task(&t, e);
	if (r == 0)
		jsonx_merge(results, mine);
	return r;
}

/* ---- all exports ---- */

/* A server of our own that does not run exports nothing; the system's may be there although we do not reach it. */
static bool exports_nothing(struct ganesha *g)
{
	return g->server && ganesha_server_is_dead(g->server);
}

typedef int visitor(struct ganesha *g, unsigned number, const struct ganesha_shown *shown, void *data, struct error *e);

static int visit_all(struct ganesha *g, visitor *visit, void *data, struct error *e)
{
	_cleanup_free_ unsigned *numbers = NULL;
	size_t n = 0;
	int r = ganesha_bus_list(g->bus, &numbers, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_shown_ struct ganesha_shown shown = { 0 };
		_cleanup_error_ struct error error = ERROR_INIT;

		r = ganesha_bus_show(g->bus, numbers[i], &shown, &error);
		if (r == 0)
			r = visit(g, numbers[i], &shown, data, &error);
		if (r == -ENOENT) /* gone meanwhile */
			r = 0;
		else if (r < 0)
			error_move(e, &error);
	}
	return r;
}

static int unexport_place(struct ganesha *g, unsigned number, const struct ganesha_shown *shown, void *data,
			  struct error *e)
{
	struct task *t = data;

	(void)g;
	return strcmp(shown->path, t->place) == 0 ? unexport(t, number, e) : 0;
}

static int remove_export(void *exporter, const struct export *x, struct error *e)
{
	struct ganesha *g = exporter;
	struct task t cleanup(end) = begin(g, x);
	_cleanup_shown_ struct ganesha_shown shown = { 0 };
	int r = 0;

	if (exports_nothing(g)) {
		ganesha_block_drop(g->dir, x->number);
		return mount_remove(g->places, x->backend, x->id, e);
	}
	r = need_server(g, e);
	if (r < 0)
		return r;
	/* It is mounted only while it is exported; usually under its number, else all are looked at. */
	if (x->number > 0 && ganesha_bus_show(g->bus, x->number, &shown, NULL) == 0 && strcmp(shown.path, t.place) == 0)
		r = unexport(&t, x->number, e);
	else if (mount_is_there(t.place))
		r = visit_all(g, unexport_place, &t, e);
	return r == 0 ? mount_remove(g->places, x->backend, x->id, e) : r;
}

static int list_one(struct ganesha *g, unsigned number, const struct ganesha_shown *shown, void *data, struct error *e)
{
	json_t *all = data, *one;
	size_t i;

	(void)e;
	if (!is_ours(g, shown) || *shown->pseudo != '/')
		return 0;
	json_array_foreach(all, i, one) {
		_cleanup_free_ char *place = mount_place(g->places, jsonx_str(one, "backend"), jsonx_str(one, "id"));

		if (strcmp(place, shown->path) != 0)
			continue;
		json_object_set_new(one, "name", jsonx_string(shown->pseudo + 1));
		json_object_set_new(one, "number", json_integer(number));
	}
	return 0;
}

/* By the mounts: also what is left of an export that Ganesha does not have any more, without name and number then. */
static int list(void *exporter, json_t **ret, struct error *e)
{
	struct ganesha *g = exporter;
	_cleanup_json_ json_t *all = NULL;
	json_t *one;
	size_t i;
	int r = mount_list(g->places, &all, e);

	if (r < 0)
		return r;
	json_array_foreach(all, i, one) {
		json_object_set_new(one, "name", json_string(""));
		json_object_set_new(one, "number", json_integer(0));
	}
	if (!exports_nothing(g)) {
		r = need_server(g, e);
		if (r == 0)
			r = visit_all(g, list_one, all, e);
	}
	if (r == 0)
		*ret = take_ptr(all);
	return r;
}

/* ---- the end of a share server ---- */

static int stop(void *exporter, struct error *e)
{
	struct ganesha *g = exporter;
	_cleanup_json_ json_t *all = NULL;
	json_t *one;
	size_t i;
	int r;

	ganesha_bus_close(take_ptr(g->bus));
	r = ganesha_server_stop(g->server, e);
	if (r == 0)
		r = mount_list(g->places, &all, e);
	if (r < 0)
		return r;
	json_array_foreach(all, i, one)
		if ((r = mount_remove(g->places, jsonx_str(one, "backend"), jsonx_str(one, "id"), e)) < 0)
			return r;
	return 0;
}

/* ---- what others export ---- */

static bool is_within(const char *path, const char *above)
{
	size_t n = strlen(above);

	if (strcmp(above, "/") == 0)
		return true;
	return strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

struct search {
	const char *path; /* without links */
	char *found;
};

static int compare_foreign(struct ganesha *g, unsigned number, const struct ganesha_shown *shown, void *data,
			   struct error *e)
{
	struct search *s = data;
	_cleanup_free_ char *real = NULL;

	(void)e;
	if (s->found || is_ours(g, shown))
		return 0;
	real = realpath(shown->path, NULL);
	if (real && (is_within(real, s->path) || is_within(s->path, real)))
		s->found = xasprintf("the export %s of NFS-Ganesha (Export_Id %u, of %s)", shown->pseudo, number,
				     shown->path);
	return 0;
}

static int find_foreign(void *exporter, const char *path, char **ret, struct error *e)
{
	struct ganesha *g = exporter;
	_cleanup_free_ char *real = realpath(path, NULL);
	struct search s = { .path = real };
	int r;

	if (!real)
		return error_errno(e, errno, "cannot look at %s", path);
	*ret = NULL;
	/* Our own server has what we told it, and nothing else. */
	if (g->server)
		return 0;
	r = need_server(g, e);
	if (r == 0)
		r = visit_all(g, compare_foreign, &s, e);
	if (r == 0)
		*ret = take_ptr(s.found);
	free(s.found);
	return r;
}

/* ---- where clients find it ---- */

static json_t *locations(void *exporter, const struct export *x)
{
	const struct ganesha *g = exporter;

	return export_place_locations(g->settings, g->address, "", ":/", x->name);
}

static const char *const access_types[] = { "ip", NULL };
static const char *const access_levels[] = { "rw", "ro", NULL };

const struct exporter_ops ganesha_exporter = {
	.name = "ganesha",
	.proto = "NFS",
	.access_types = access_types,
	.access_levels = access_levels,
	.options = options,
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.is_lost = is_lost,
	.put = put,
	.remove = remove_export,
	.list = list,
	.find_foreign = find_foreign,
	.locations = locations,
};
