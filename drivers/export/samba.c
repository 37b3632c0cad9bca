#include "drivers/export/samba.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/jsonx.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "drivers/export/samba_server.h"
#include "drivers/export/samba_share.h"
#include "drivers/export/samba_tools.h"
#include "drivers/export/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

struct samba {
	const struct settings *settings;
	struct samba_server *server; /* supervised, or NULL: the system's */
	char *address;               /* of a share server, or NULL */
	char *dir;                   /* private: where sections lie while they are imported */
	int pidfd;                   /* of the system's smbd, or -1 */
	json_t *shares;              /* what the registry holds: ours and others'; NULL: not looked at yet */
};

static const char *const modes[] = { "supervised", "system", NULL };

static const struct option options[] = {
	{ .name = "samba_mode",
	  .type = OPTION_CHOICE,
	  .fallback = "supervised",
	  .choices = modes,
	  .flags = OPTION_FIXED,
	  .help = "Which smbd exports: supervised, one that the daemon starts, keeps running, and leaves running when "
		  "it "
		  "ends; or system, the distribution's service, whose smb.conf must say registry shares = yes." },
	{ .name = "samba_port",
	  .type = OPTION_INT,
	  .fallback = "445",
	  .min = 1,
	  .max = 65535,
	  .flags = OPTION_FIXED,
	  .help = "TCP port of the supervised smbd." },
	{ .name = "samba_passdb",
	  .type = OPTION_STRING,
	  .flags = OPTION_FIXED,
	  .help = "A passdb.tdb with the users of the supervised smbd; empty: those of the distribution's Samba "
		  "(smbpasswd -a)." },
	{ .name = NULL },
};

/* ---- the object ---- */

static void destroy(void *exporter)
{
	struct samba *s = exporter;

	if (!s)
		return;
	samba_server_free(s->server);
	if (s->pidfd >= 0)
		close(s->pidfd);
	json_decref(s->shares);
	free(s->address);
	free(s->dir);
	free(s);
}

static int create(const struct settings *settings, const struct export_place *place, void **ret_exporter,
		  struct error *e)
{
	struct export_place at = export_place_of(settings, place);
	struct samba *s = xcalloc(1, sizeof *s);

	(void)e;
	s->settings = settings;
	s->pidfd = -1;
	s->address = xstrdup(at.address);
	s->dir = xasprintf("%s/samba", at.runtime_dir);
	if (place || strcmp(settings_string(settings, "samba_mode"), "supervised") == 0)
		s->server = samba_server_new(settings, &at);
	*ret_exporter = s;
	return 0;
}

static const char *conf_of(const struct samba *s)
{
	return s->server ? samba_server_conf(s->server) : NULL;
}

/* ---- the system's smbd ---- */

static int read_pid(const char *dir, pid_t *ret)
{
	_cleanup_close_ int fd = path_open_root(dir);
	_cleanup_free_ char *text = NULL;
	size_t len;
	long pid;
	int r;

	if (fd < 0)
		return fd;
	if ((r = path_read_file(fd, "smbd.pid", 64, &text, &len)) < 0)
		return r;
	pid = strtol(text, NULL, 10);
	*ret = (pid_t)pid;
	return pid > 1 ? 0 : -EINVAL;
}

static int find_system(struct samba *s, struct error *e)
{
	_cleanup_free_ char *registry = NULL, *dir = NULL;
	pid_t pid = 0;
	int r;

	if ((r = samba_parameter(NULL, "registry shares", &registry, e)) < 0 ||
	    (r = samba_parameter(NULL, "pid directory", &dir, e)) < 0)
		return r;
	if (strcasecmp(registry, "yes") != 0)
		return error_set(
			e, ERR_BACKEND_DOWN, ENOTSUP,
			"the distribution's Samba does not look into its registry: add `registry shares = yes` "
			"to [global] of smb.conf and restart smbd, or set samba_mode = \"supervised\"");
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = read_pid(dir, &pid) == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (s->pidfd < 0)
		return error_set(e, ERR_BACKEND_DOWN, ESRCH,
				 "the distribution's smbd does not run: systemctl start smbd, or set samba_mode = "
				 "\"supervised\"");
	return export_server_make_directory(s->dir, e);
}

static bool system_is_lost(const struct samba *s)
{
	struct pollfd end = { .fd = s->pidfd, .events = POLLIN };

	return s->pidfd < 0 || poll(&end, 1, 0) > 0;
}

static int look(struct samba *s, struct error *e)
{
	json_t *shares = NULL;
	int r = samba_registry_list(conf_of(s), &shares, e);

	if (r < 0)
		return r;
	json_decref(s->shares);
	s->shares = shares;
	return 0;
}

/* The registry of the system's Samba is everybody's: it may have changed since. */
static int look_where_due(struct samba *s, struct error *e)
{
	return s->server && s->shares ? 0 : look(s, e);
}

static bool is_lost(void *exporter)
{
	struct samba *s = exporter;

	return s->server ? !samba_server_is_alive(s->server) : system_is_lost(s);
}

/* ---- shares in the registry ---- */

/* Of this name, as Samba compares names. `*ret_name` is as it stands there. */
static json_t *find(const struct samba *s, const char *name, const char **ret_name)
{
	const char *key;
	json_t *share;

	json_object_foreach(s->shares, key, share)
		if (strcasecmp(key, name) == 0) {
			*ret_name = key;
			return share;
		}
	return NULL;
}

/* Of this instance, whatever its name is. */
static json_t *find_id(const struct samba *s, const char *id, const char **ret_name)
{
	const char *key;
	json_t *share;

	json_object_foreach(s->shares, key, share) {
		const char *is = samba_share_id(share);

		if (is && strcmp(is, id) == 0) {
			*ret_name = key;
			return share;
		}
	}
	return NULL;
}

static int refuse_name(const struct export *x, const char *there, const char *place, struct error *e)
{
	error_set(e, ERR_ALREADY_EXISTS, EEXIST,
		  place ? "\"%s\": %s has a share \"%s\" of somebody else's: choose another name"
			: "\"%s\"%s and the share \"%s\" are one name over SMB, which does not tell small letters from "
			  "capital ones: choose another",
		  x->name, place ? place : "", there);
	error_add(e, "param", json_string("name"));
	return -EEXIST;
}

/* What the system's conf file says wins over its registry. */
static int need_name_in_file(const struct export *x, struct error *e)
{
	_cleanup_json_ json_t *shares = NULL;
	const char *name;
	json_t *share;
	int r = samba_shares(NULL, &shares, e);

	if (r < 0)
		return r;
	json_object_foreach(shares, name, share)
		if (strcasecmp(name, x->name) == 0)
			return refuse_name(x, name, "Samba's conf file", e);
	return 0;
}

static int need_name(const struct samba *s, const struct export *x, struct error *e)
{
	const char *name, *id;
	json_t *there = find(s, x->name, &name);

	if (!there)
		return s->server ? 0 : need_name_in_file(x, e);
	id = samba_share_id(there);
	if (id && strcmp(id, x->id) == 0)
		return 0;
	return refuse_name(x, name, id ? NULL : "Samba's registry", e);
}

/* ---- live sessions ---- */

/* A server that is gone took its sessions along. */
static int control(struct samba *s, const char *process, const char *what, const char *name, struct error *e)
{
	int r = samba_control(conf_of(s), process, what, name, e);

	if (r == 0 || !is_lost(s))
		return r;
	error_clear(e);
	return 0;
}

/* Of a client that has left meanwhile nothing is to be closed. */
static int close_session(struct samba *s, const char *pid, const char *name, struct error *e)
{
	int r = control(s, pid, "close-share", name, e);

	if (r == 0 || kill((pid_t)strtol(pid, NULL, 10), 0) == 0 || errno != ESRCH)
		return r;
	error_clear(e);
	return 0;
}

/* Samba looks again at its users when told to, but not at addresses, and not at files that are open for writing: those
 * whom that concerns are cut off one by one, and come again with what they may. */
static int cut_off_some(struct samba *s, const char *name, const json_t *was, const json_t *now, struct error *e)
{
	_cleanup_json_ json_t *sessions = NULL;
	json_t *one;
	size_t i;
	int r;

	if ((r = control(s, "smbd", "close-denied-share", name, e)) < 0 ||
	    (r = samba_sessions(conf_of(s), name, &sessions, e)) < 0)
		return r;
	json_array_foreach(sessions, i, one) {
		const char *pid = jsonx_str(one, "pid");

		if (pid && samba_share_takes_from(was, now, jsonx_str(one, "user"), jsonx_str(one, "machine")) &&
		    (r = close_session(s, pid, name, e)) < 0)
			return r;
	}
	return 0;
}

static int cut_off(struct samba *s, const char *name, const json_t *was, const json_t *now, struct error *e)
{
	switch (samba_share_loss(was, now)) {
	case LOSS_ALL:
		return control(s, "smbd", "close-share", name, e);
	case LOSS_SOME:
		return cut_off_some(s, name, was, now, e);
	case LOSS_NONE:
		break;
	}
	return 0;
}

/* Who loses access is cut off after the registry has changed; a mark remembers it, should we die in between. */
static char *mark_of(const struct samba *s, const char *name)
{
	return xasprintf("%s/cut.%s", s->dir, name);
}

static int mark(const struct samba *s, const char *name, struct error *e)
{
	_cleanup_free_ char *path = mark_of(s, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? error_errno(e, errno, "cannot make %s", path) : 0;
}

static void unmark(const struct samba *s, const char *name)
{
	_cleanup_free_ char *path = mark_of(s, name);

	(void)unlink(path);
}

/* What was left of cutting off is done for all who are on the share. */
static int cut_off_marked(struct samba *s, struct error *e)
{
	_cleanup_closedir_ DIR *d = opendir(s->dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		int r;

		if (!text_starts_with(entry->d_name, "cut."))
			continue;
		if ((r = control(s, "smbd", "close-share", entry->d_name + 4, e)) < 0)
			return r;
		unmark(s, entry->d_name + 4);
	}
	return 0;
}

static int cut_off_and_unmark(struct samba *s, const char *name, const json_t *was, const json_t *now, struct error *e)
{
	int r = cut_off(s, name, was, now, e);

	if (r == 0)
		unmark(s, name);
	return r;
}

static int start(void *exporter, struct error *e)
{
	struct samba *s = exporter;
	int r = s->server ? samba_server_start(s->server, e) : find_system(s, e);

	if (r == 0 && ((r = look(s, e)) < 0 || (r = cut_off_marked(s, e)) < 0))
		e->kind = ERR_BACKEND_DOWN;
	return r;
}

static int stop(void *exporter, struct error *e)
{
	struct samba *s = exporter;

	return samba_server_stop(s->server, e);
}

/* ---- put and remove ---- */

static int import(struct samba *s, const struct export *x, json_t *share, struct error *e)
{
	_cleanup_free_ char *text = samba_share_text(x->name, share), *file = xasprintf("%s/import.conf", s->dir);
	_cleanup_json_ json_t *was = NULL;
	const char *name;
	int r;

	was = json_incref(find_id(s, x->id, &name));
	if (was && (r = mark(s, x->name, e)) < 0)
		return r;
	crash_step("samba: import a share");
	r = samba_registry_import(conf_of(s), file, x->name, text, e);
	if (r < 0) {
		/* What stands there now is not known: nobody gets in before it is. */
		json_decref(s->shares);
		s->shares = NULL;
		return r;
	}
	crash_step("samba: imported a share");
	json_object_set(s->shares, x->name, share);
	return was ? cut_off_and_unmark(s, x->name, was, share, e) : 0;
}

static bool has_user_rule(const struct driver_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rules[i].access_type, "user") == 0)
			return true;
	return false;
}

static int remove_export(void *exporter, const struct export *x, struct error *e)
{
	struct samba *s = exporter;
	_cleanup_free_ char *name = NULL;
	const char *found;
	int r;

	if ((r = look_where_due(s, e)) < 0)
		return r;
	if (!find_id(s, x->id, &found))
		return 0;
	name = xstrdup(found);
	if ((r = mark(s, name, e)) < 0)
		return r;
	crash_step("samba: remove a share");
	if ((r = samba_registry_remove(conf_of(s), name, e)) < 0)
		return r;
	crash_step("samba: removed a share");
	json_object_del(s->shares, name);
	if ((r = control(s, "smbd", "close-share", name, e)) == 0)
		unmark(s, name);
	return r;
}

static int put(void *exporter, const struct export *x, const struct driver_rule *rules, size_t n, json_t *results,
	       struct error *e)
{
	struct samba *s = exporter;
	_cleanup_json_ json_t *users = NULL, *share = NULL;
	const char *name;
	json_t *there;
	int r;

	if ((r = samba_share_check(x, n > 0, e)) < 0 || (r = look_where_due(s, e)) < 0 || (r = need_name(s, x, e)) < 0)
		return r;
	if (find_id(s, x->id, &name) && strcmp(name, x->name) != 0 && (r = remove_export(s, x, e)) < 0)
		return r;
	if (has_user_rule(rules, n) && (r = samba_users(conf_of(s), &users, e)) < 0)
		return r;
	there = find_id(s, x->id, &name);
	share = samba_share_make(x, rules, n, users, there, results);
	return there && json_equal(there, share) ? 0 : import(s, x, share, e);
}

/* ---- what is there ---- */

static int list(void *exporter, json_t **ret, struct error *e)
{
	struct samba *s = exporter;
	const char *name;
	json_t *share;
	int r = look(s, e);

	if (r < 0)
		return r;
	*ret = json_array();
	json_object_foreach(s->shares, name, share) {
		const char *id = samba_share_id(share), *backend = jsonx_str(share, "sharesd:backend"),
			   *number = jsonx_str(share, "sharesd:number");

		if (id && backend)
			json_array_append_new(*ret, jsonx_pack("{s:s,s:s,s:s,s:I}", "backend", backend, "id", id,
							       "name", name, "number",
							       (json_int_t)(number ? strtol(number, NULL, 10) : 0)));
	}
	return 0;
}

static bool is_below(const char *path, const char *above)
{
	size_t n = strlen(above);

	return strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0' || (n == 1 && *above == '/'));
}

/* The one of these shares, which is not ours, that has to do with this directory: text for people, or NULL. */
static char *find_path(json_t *shares, const char *real)
{
	const char *name;
	json_t *share;

	json_object_foreach(shares, name, share) {
		const char *at = jsonx_str(share, "path"), *printable = jsonx_str(share, "printable");
		_cleanup_free_ char *there = at && *at == '/' ? realpath(at, NULL) : NULL;

		if (!there || samba_share_id(share) || (printable && strcasecmp(printable, "yes") == 0))
			continue;
		if (is_below(real, there) || is_below(there, real))
			return xasprintf("the share [%s] of Samba, which is %s", name, there);
	}
	return NULL;
}

/* Whatever smbd serves it: the distribution's conf file is looked at in both modes. */
static int find_foreign(void *exporter, const char *path, char **ret, struct error *e)
{
	struct samba *s = exporter;
	_cleanup_free_ char *real = realpath(path, NULL), *found = NULL;
	_cleanup_json_ json_t *shares = NULL;
	int r;

	if (!real)
		return error_errno(e, errno, "cannot look at %s", path);
	if ((r = look(s, e)) < 0)
		return r;
	found = find_path(s->shares, real);
	if (!found && access("/etc/samba/smb.conf", R_OK) == 0) {
		if ((r = samba_shares(NULL, &shares, e)) < 0)
			return r;
		found = find_path(shares, real);
	}
	if (found)
		*ret = take_ptr(found);
	return 0;
}

static json_t *locations(void *exporter, const struct export *x)
{
	const struct samba *s = exporter;

	return export_place_locations(s->settings, s->address, "\\\\", "\\", x->name);
}

static const char *const access_types[] = { "user", "ip", NULL };
static const char *const access_levels[] = { "rw", "ro", NULL };

const struct exporter_ops samba_exporter = {
	.name = "samba",
	.proto = "CIFS",
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
