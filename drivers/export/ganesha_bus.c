#include "drivers/export/ganesha_bus.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define SERVICE   "org.ganesha.nfsd"
#define OBJECT    "/org/ganesha/nfsd/ExportMgr"
#define INTERFACE "org.ganesha.nfsd.exportmgr"

/* Seconds. A busy Ganesha takes milliseconds. */
#define CALL_LIMIT 5
#define PING_EACH  10
#define PING_LIMIT 60

struct ganesha_bus {
	sd_bus *bus;
	pid_t pid; /* of Ganesha */
	bool lost;
	sd_bus_slot *watch, *ping; /* ping: one is under way */
	double pinged;
};

static void clear_bus_error(sd_bus_error *e)
{
	sd_bus_error_free(e);
}

static void clear_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_bus_error_ cleanup(clear_bus_error)
#define _cleanup_message_   cleanup(clear_message)

/* ---- errors ---- */

/* On one line. Owned by the caller. */
static char *one_line(const char *text)
{
	char *copy = xstrdup(text ? text : "");

	for (char *p = copy; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	text_fix_utf8(copy);
	for (size_t n = strlen(copy); n > 0 && copy[n - 1] == ' '; n--)
		copy[n - 1] = '\0';
	return copy;
}

/* Nobody answered, as against an answer that says no. */
static bool is_gone(int r, const sd_bus_error *error)
{
	static const char *const names[] = { SD_BUS_ERROR_NO_REPLY,     SD_BUS_ERROR_SERVICE_UNKNOWN,
					     SD_BUS_ERROR_TIMEOUT,      SD_BUS_ERROR_NAME_HAS_NO_OWNER,
					     SD_BUS_ERROR_DISCONNECTED, NULL };

	for (const char *const *name = names; *name; name++)
		if (sd_bus_error_has_name(error, *name))
			return true;
	return !error->message || r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ETIMEDOUT;
}

static int fail(const char *method, int r, const sd_bus_error *error, struct error *e)
{
	_cleanup_free_ char *text = one_line(error->message ? error->message : strerror(-r));

	if (is_gone(r, error))
		return error_set(e, ERR_BACKEND_DOWN, -r, "NFS-Ganesha does not answer on D-Bus (%s: %s)", method,
				 text);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
		return error_set(e, ERR_BACKEND_DOWN, EACCES,
				 "the bus does not let us talk to NFS-Ganesha (%s): see its policy, " SERVICE ".conf",
				 text);
	return error_set(e, ERR_DRIVER_FAILED, -r, "NFS-Ganesha refused %s: %s", method, text);
}

/* ---- calls ---- */

static int call(struct ganesha_bus *b, const char *method, sd_bus_message *m, sd_bus_message **ret, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call(b->bus, m, CALL_LIMIT * UINT64_C(1000000), &error, ret);

	/* What came too late would be taken for the answer to nothing; and who did not answer is to be looked at. */
	if (r < 0 && is_gone(r, &error))
		b->lost = true;
	return r < 0 ? fail(method, r, &error, e) : 0;
}

static int new_call(struct ganesha_bus *b, const char *method, sd_bus_message **ret, struct error *e)
{
	int r = sd_bus_message_new_method_call(b->bus, ret, SERVICE, OBJECT, INTERFACE, method);

	return r < 0 ? fail(method, r, &SD_BUS_ERROR_NULL, e) : 0;
}

/* A call with one number. */
static int call_number(struct ganesha_bus *b, const char *method, unsigned number, sd_bus_message **ret,
		       struct error *e)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	int r = new_call(b, method, &m, e);

	if (r == 0)
		r = sd_bus_message_append(m, "q", (uint16_t)number);
	return r < 0 ? r : call(b, method, m, ret, e);
}

/* Its answer is a sentence, which also holds what it did not understand and left out: that would be a rule less, or one
 * with more rights than it should have. */
static int call_file(struct ganesha_bus *b, const char *method, const char *file, unsigned number, struct error *e)
{
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *which = xasprintf("EXPORT(Export_Id=%u)", number), *text = NULL;
	const char *said = "";
	int r = new_call(b, method, &m, e);

	if (r == 0)
		r = sd_bus_message_append(m, "ss", file, which);
	if (r >= 0)
		r = call(b, method, m, &reply, e);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "s", &said) < 0)
		said = "Errors: it gave no text";
	if (!strstr(said, "rror"))
		return 0;
	text = one_line(said);
	return error_set(e, ERR_DRIVER_FAILED, EINVAL, "NFS-Ganesha took only a part of an export (%s: %s)", method,
			 text);
}

int ganesha_bus_add(struct ganesha_bus *b, const char *file, unsigned number, struct error *e)
{
	return call_file(b, "AddExport", file, number, e);
}

int ganesha_bus_update(struct ganesha_bus *b, const char *file, unsigned number, struct error *e)
{
	return call_file(b, "UpdateExport", file, number, e);
}

/* Ganesha has one error name for all; this text is the same since its version 2. */
static int translate_missing(int r, struct error *e)
{
	return r < 0 && e->message && strstr(e->message, "Export id not found") ? -ENOENT : r;
}

int ganesha_bus_remove(struct ganesha_bus *b, unsigned number, struct error *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ struct error error = ERROR_INIT;
	int r = translate_missing(call_number(b, "RemoveExport", number, &reply, &error), &error);

	if (r < 0)
		error_move(e, &error);
	return r;
}

/* ---- what it shows ---- */

void ganesha_shown_clear(struct ganesha_shown *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->clients[i]);
	free(s->clients);
	free(s->path);
	free(s->pseudo);
	*s = (struct ganesha_shown){ 0 };
}

/* The answers end in an array of structs of which only the first members matter here: what follows them differs from
 * version to version. Enters the array and returns the members' types; owned by the caller. NULL: another shape. */
static char *enter_structs(sd_bus_message *m, const char *before)
{
	const char *all = sd_bus_message_get_signature(m, true);
	size_t n = strlen(before);
	char *members, *array;
	int r;

	if (!all || strncmp(all, before, n) != 0 || strncmp(all + n, "a(", 2) != 0 || all[strlen(all) - 1] != ')')
		return NULL;
	members = xstrndup(all + n + 2, strlen(all) - n - 3);
	array = xasprintf("(%s)", members);
	r = sd_bus_message_enter_container(m, 'a', array);
	free(array);
	if (r > 0)
		return members;
	free(members);
	return NULL;
}

static int bad_answer(const char *method, struct error *e)
{
	return error_set(e, ERR_DRIVER_FAILED, EBADMSG,
			 "NFS-Ganesha answers %s in a shape that is not known: this version of it cannot be used",
			 method);
}

static bool next_client(sd_bus_message *m, const char *members, struct ganesha_shown *s)
{
	const char *client;

	if (sd_bus_message_enter_container(m, 'r', members) <= 0 || sd_bus_message_read(m, "s", &client) <= 0 ||
	    (members[1] && sd_bus_message_skip(m, members + 1) < 0) || sd_bus_message_exit_container(m) < 0)
		return false;
	s->clients = xrealloc(s->clients, (s->n + 1) * sizeof(*s->clients));
	s->clients[s->n++] = xstrdup(client);
	return true;
}

static int read_shown(sd_bus_message *m, struct ganesha_shown *s)
{
	const char *path, *pseudo, *tag;
	_cleanup_free_ char *members = NULL;
	uint16_t number;

	if (sd_bus_message_read(m, "qsss", &number, &path, &pseudo, &tag) <= 0)
		return -EBADMSG;
	s->path = xstrdup(path);
	s->pseudo = xstrdup(pseudo);
	members = enter_structs(m, "qsss");
	if (!members || *members != 's')
		return -EBADMSG;
	while (sd_bus_message_at_end(m, false) == 0)
		if (!next_client(m, members, s))
			return -EBADMSG;
	return 0;
}

int ganesha_bus_show(struct ganesha_bus *b, unsigned number, struct ganesha_shown *ret, struct error *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ struct error error = ERROR_INIT;
	struct ganesha_shown s = { 0 };
	int r = translate_missing(call_number(b, "DisplayExport", number, &reply, &error), &error);

	if (r < 0) {
		error_move(e, &error);
		return r;
	}
	if (read_shown(reply, &s) < 0) {
		ganesha_shown_clear(&s);
		return bad_answer("DisplayExport", e);
	}
	*ret = s;
	return 0;
}

static int read_numbers(sd_bus_message *m, unsigned **all, size_t *n)
{
	_cleanup_free_ char *members = NULL;
	uint16_t number;

	if (sd_bus_message_skip(m, "(tt)") < 0)
		return -EBADMSG;
	members = enter_structs(m, "(tt)");
	if (!members || *members != 'q')
		return -EBADMSG;
	while (sd_bus_message_at_end(m, false) == 0) {
		if (sd_bus_message_enter_container(m, 'r', members) <= 0 || sd_bus_message_read(m, "q", &number) <= 0 ||
		    sd_bus_message_skip(m, members + 1) < 0 || sd_bus_message_exit_container(m) < 0)
			return -EBADMSG;
		if (number == 0)
			continue;
		*all = xrealloc(*all, (*n + 1) * sizeof(**all));
		(*all)[(*n)++] = number;
	}
	return 0;
}

int ganesha_bus_list(struct ganesha_bus *b, unsigned **ret, size_t *ret_n, struct error *e)
{
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ unsigned *all = NULL;
	size_t n = 0;
	int r = new_call(b, "ShowExports", &m, e);

	if (r == 0)
		r = call(b, "ShowExports", m, &reply, e);
	if (r < 0)
		return r;
	if (read_numbers(reply, &all, &n) < 0)
		return bad_answer("ShowExports", e);
	*ret = take_ptr(all);
	*ret_n = n;
	return 0;
}

/* ---- the connection ---- */

pid_t ganesha_bus_pid(const struct ganesha_bus *b)
{
	return b->pid;
}

static int on_owner_changed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct ganesha_bus *b = data;
	const char *name, *before, *after;

	(void)error;
	/* The first one to have the name may come while we connect. */
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || *before != '\0')
		b->lost = true;
	return 0;
}

static int on_pong(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct ganesha_bus *b = data;

	(void)error;
	b->ping = sd_bus_slot_unref(b->ping);
	/* Any answer of Ganesha's own will do. */
	if (sd_bus_message_is_method_error(m, NULL) && is_gone(-ETIMEDOUT, sd_bus_message_get_error(m)))
		b->lost = true;
	return 0;
}

static void ping(struct ganesha_bus *b)
{
	_cleanup_message_ sd_bus_message *m = NULL;

	b->pinged = text_monotonic();
	if (sd_bus_message_new_method_call(b->bus, &m, SERVICE, OBJECT, "org.freedesktop.DBus.Introspectable",
					   "Introspect") < 0 ||
	    sd_bus_call_async(b->bus, &b->ping, m, on_pong, b, PING_LIMIT * UINT64_C(1000000)) < 0)
		b->lost = true;
}

bool ganesha_bus_is_alive(struct ganesha_bus *b)
{
	int r;

	do
		r = sd_bus_process(b->bus, NULL);
	while (r > 0);
	if (r < 0 || sd_bus_is_open(b->bus) <= 0)
		b->lost = true;
	if (!b->lost && !b->ping && text_monotonic() - b->pinged > PING_EACH)
		ping(b);
	return !b->lost;
}

static int connect_bus(sd_bus *bus, const char *address)
{
	int r = sd_bus_set_address(bus, address);

	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, CALL_LIMIT * UINT64_C(1000000));
	return r < 0 ? r : sd_bus_start(bus);
}

/* That somebody has Ganesha's name; watched first, so that no change is missed. */
static int find_owner(struct ganesha_bus *b)
{
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	uint32_t pid;
	int r;

	r = sd_bus_add_match(b->bus, &b->watch,
			     "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
			     "member='NameOwnerChanged',arg0='" SERVICE "'",
			     on_owner_changed, b);
	if (r < 0)
		return r;
	r = sd_bus_call_method(b->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
			       "GetConnectionUnixProcessID", &error, &reply, "s", SERVICE);
	if (r >= 0)
		r = sd_bus_message_read(reply, "u", &pid);
	if (r >= 0)
		b->pid = (pid_t)pid;
	return r < 0 ? r : 0;
}

int ganesha_bus_open(const char *address, struct ganesha_bus **ret, struct error *e)
{
	struct ganesha_bus *b = xcalloc(1, sizeof(*b));
	int r;

	if (!address)
		address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	if (!address)
		address = "unix:path=/run/dbus/system_bus_socket";
	b->pinged = text_monotonic();
	r = sd_bus_new(&b->bus);
	if (r >= 0)
		r = connect_bus(b->bus, address);
	if (r < 0)
		error_set(e, ERR_BACKEND_DOWN, -r, "cannot connect to the bus at %s: %s", address, strerror(-r));
	else if ((r = find_owner(b)) < 0)
		error_set(e, ERR_BACKEND_DOWN, -r,
			  "NFS-Ganesha is not on the bus: start it (systemctl start nfs-ganesha), with D-Bus");
	if (r < 0) {
		ganesha_bus_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

void ganesha_bus_close(struct ganesha_bus *b)
{
	if (!b)
		return;
	sd_bus_slot_unref(b->ping);
	sd_bus_slot_unref(b->watch);
	sd_bus_close(b->bus);
	sd_bus_unref(b->bus);
	free(b);
}
