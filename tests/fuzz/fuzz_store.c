/* What the daemon finds rather than is asked: rows that somebody wrote into the database, a database file that was
 * damaged, drivers that answer nonsense. It starts or says plainly why not; every request is answered, and what an
 * answer shows has the shape that clients rely on.
 *
 * The input is lines, or "!" and bytes:
 *	TABLE COLUMN ROW VALUE    row number ROW (0: all) gets VALUE: -, #number, ="text"'s text, ~blob
 *	driver SLOT JSON          the driver's slot answers so
 *	!OOOLBB..                 from offset OOO (three bytes) on there are L bytes others, and so on */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "daemon/store_schema.h"
#include "drivers/table.h"
#include "tests/fuzz/one_thread.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct one_thread *daemon_here;
static char *conf_file, *db_path;
static char *template; /* the database, of tables that take anything */
static size_t template_len;

static const char conf_text[] = "state_dir = \"%s/state\"\n"
				"socket = \"%s/socket\"\n"
				"sim \"a\" { capacity = 1TiB }\n"
				"sim \"b\" { capacity = 10GiB }\n";

/* ---- drivers ---- */

static json_t *script; /* slot to answer */
static driver_slot *real_slot;
static const char *slot_name;

static int scripted_slot(void *backend, const struct driver_call *call, struct driver_result *ret, struct error *e)
{
	json_t *answer = json_object_get(script, slot_name);
	int r = real_slot(backend, call, ret, e);

	if (r == 0 && answer) {
		json_decref(ret->values);
		ret->values = json_deep_copy(answer);
	}
	return r;
}

/* In the place of drivers/table.c's (--wrap, see the Makefile). */
driver_slot *__real_driver_slot_by_name(const struct share_driver_ops *ops, const char *slot);
driver_slot *__wrap_driver_slot_by_name(const struct share_driver_ops *ops, const char *slot);
driver_slot *__wrap_driver_slot_by_name(const struct share_driver_ops *ops, const char *slot)
{
	real_slot = __real_driver_slot_by_name(ops, slot);
	slot_name = slot;
	return real_slot ? scripted_slot : NULL;
}

static void set_answer(const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	_cleanup_free_ char *slot = xstrndup(line, space ? (size_t)(space - line) : len);
	json_t *answer = space ? json_loadb(space, len - strlen(slot), JSON_DECODE_ANY, NULL) : NULL;

	if (answer)
		json_object_set_new_nocheck(script, slot, answer);
}

/* ---- rows ---- */

static sqlite3 *open_db(void)
{
	sqlite3 *db = NULL;

	FUZZ_CHECK(sqlite3_open(db_path, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	return db;
}

static void execute(sqlite3 *db, const char *sql)
{
	FUZZ_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

static const struct store_schema *find_table(const char *name)
{
	for (int i = 0; i < STORE_TABLE_COUNT; i++)
		if (strcmp(store_schemas[i].name, name) == 0)
			return &store_schemas[i];
	return NULL;
}

static const char *find_column(const struct store_schema *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(s->columns[i].name, name) == 0)
			return s->columns[i].name;
	return NULL;
}

static void bind_value(sqlite3_stmt *s, const char *value, size_t len)
{
	char kind = len ? *value : '-';

	value += len ? 1 : 0;
	len -= len ? 1 : 0;
	if (kind == '#') {
		_cleanup_free_ char *digits = xstrndup(value, len); /* the line ends without a NUL */

		sqlite3_bind_int64(s, 1, strtoll(digits, NULL, 10));
	} else if (kind == '=')
		sqlite3_bind_text(s, 1, value, (int)len, SQLITE_TRANSIENT);
	else if (kind == '~')
		sqlite3_bind_blob(s, 1, value, (int)len, SQLITE_TRANSIENT);
}

/* The next word, which `*text` moves behind. Owned by the caller. */
static char *take_word(const char **text)
{
	const char *begin = *text;
	size_t n = strcspn(begin, " ");

	*text += n + (begin[n] ? 1 : 0);
	return xstrndup(begin, n);
}

static void set_row(sqlite3 *db, const char *line, size_t len)
{
	_cleanup_free_ char *copy = xstrndup(line, len), *sql = NULL;
	const char *rest = copy;
	_cleanup_free_ char *table = take_word(&rest), *column = take_word(&rest), *row = take_word(&rest);
	const struct store_schema *schema = find_table(table);
	const char *known = schema ? find_column(schema, column) : NULL;
	sqlite3_stmt *s;

	if (!known || strcmp(known, "seq") == 0)
		return;
	sql = xasprintf("UPDATE OR IGNORE %s SET %s = ?1 WHERE ?2 IN (0, seq)", schema->name, known);
	FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	/* From the line itself: what follows may hold a NUL. */
	bind_value(s, line + (rest - copy), len - (size_t)(rest - copy));
	sqlite3_bind_int64(s, 2, strtol(row, NULL, 10));
	sqlite3_step(s);
	sqlite3_finalize(s);
}

static void take_lines(const char *text, size_t len)
{
	sqlite3 *db = open_db();
	const char *line;
	size_t n;

	execute(db, "BEGIN");
	while (fuzz_line(&text, &len, &line, &n))
		if (n > 7 && memcmp(line, "driver ", 7) == 0)
			set_answer(line + 7, n - 7);
		else
			set_row(db, line, n);
	execute(db, "COMMIT");
	sqlite3_close(db);
}

static void damage(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = xmalloc(template_len);

	memcpy(copy, template, template_len);
	while (size > 4) {
		size_t at = (((size_t)data[0] << 16) + ((size_t)data[1] << 8) + data[2]) % template_len, n = data[3];

		data += 4;
		size -= 4;
		n = n > size ? size : n;
		n = n > template_len - at ? template_len - at : n;
		memcpy(copy + at, data, n);
		data += n;
		size -= n;
	}
	fuzz_write_file(db_path, copy, template_len);
}

/* ---- the daemon on it ---- */

static const char *const first_calls[] = {
	"create_share_instance",
	"{\"name\":\"one\",\"size_bytes\":1073741824,\"backend\":\"a\",\"share_proto\":\"NFS\"}",
	"create_share_instance",
	"{\"name\":\"two\",\"size_bytes\":1048576,\"backend\":\"b\",\"metadata\":{\"k\":\"v\"}}",
	"create_snapshot",
	"{\"share\":\"one\",\"name\":\"monday\",\"request_id\":\"r1\"}",
	"create_snapshot",
	"{\"share\":\"two\",\"name\":\"monday\"}",
	"allow_access",
	"{\"share\":\"one\",\"access_type\":\"ip\",\"access_to\":\"10.0.0.0/8\"}",
	"allow_access",
	"{\"share\":\"two\",\"access_type\":\"cephx\",\"access_to\":\"alice\"}",
	NULL,
};

/* Events, reads, changes of each kind, reads again; of the changes each input gets a third. */
static const char *const requests[] = {
	"subscribe {\"since\":0}",
	"list_shares {}",
	"list_shares {\"backend\":\"a\"}",
	"get_share {\"share\":\"one\"}",
	"list_snapshots {}",
	"get_snapshot {\"snapshot\":\"two@monday\"}",
	"list_access_rules {}",
	"list_replicas {}",
	"list_share_servers {}",
	"list_calls {}",
	"list_backends {}",
	"get_service {}",
	"list_orphans {}",
	"create_snapshot {\"share\":\"one\",\"name\":\"monday\",\"request_id\":\"r1\"}",
	"set_metadata {\"share\":\"one\",\"metadata\":{\"a\":\"b\"}}",
	"set_metadata {\"snapshot\":\"one@monday\",\"metadata\":{\"a\":\"b\"}}",
	"extend_share {\"share\":\"one\",\"size_bytes\":4611686018427387904}",
	"shrink_share {\"share\":\"two\",\"size_bytes\":1024}",
	"allow_access {\"share\":\"two\",\"access_type\":\"user\",\"access_to\":\"root\"}",
	"update_access {\"share\":\"one\"}",
	"deny_access {\"share\":\"one\",\"access_type\":\"ip\",\"access_to\":\"10.0.0.0/8\"}",
	"create_snapshot {\"share\":\"two\",\"name\":\"tuesday\"}",
	"create_share_instance {\"name\":\"three\",\"snapshot\":\"one@monday\"}",
	"create_share_instance {\"name\":\"four\",\"size_bytes\":1,\"if_absent\":true}",
	"manage_share {\"backend\":\"a\",\"name\":\"five\",\"provider_location\":\"x\"}",
	"manage_snapshot {\"share\":\"one\",\"name\":\"old\",\"provider_location\":\"y\"}",
	"revert_to_snapshot {\"snapshot\":\"two@tuesday\"}",
	"publish_service_capabilities {\"backend\":\"a\"}",
	"init_host {\"backend\":\"b\"}",
	"list_shares {}",
	"reset_status {\"share\":\"one\",\"status\":\"available\"}",
	"delete_snapshot {\"snapshot\":\"one@monday\"}",
	"unmanage_snapshot {\"snapshot\":\"two@monday\"}",
	"delete_share_instance {\"share\":\"one\",\"force\":true}",
	"unmanage_share {\"share\":\"five\"}",
	"list_calls {}",
	"list_shares {}",
	NULL,
};

static void start(struct error *e)
{
	int r = one_thread_start(conf_file, fuzz_directory(), &daemon_here, e);

	FUZZ_CHECK((r == 0) == (daemon_here != NULL), "%d", r);
}

static void stop(void)
{
	one_thread_stop(daemon_here);
	daemon_here = NULL;
}

/* A file that others made need not keep to our rules. */
static void loosen(void)
{
	sqlite3 *db = open_db();

	execute(db, "PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON;"
		    "UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT', ')'), 'TEXT NOT NULL', 'TEXT');");
	/* Unfinished business, so that starts have something to decide. */
	execute(db, "UPDATE calls SET state = 'intent' WHERE method = 'create_snapshot';"
		    "UPDATE calls SET state = 'post_hooks' WHERE method = 'allow_access';");
	sqlite3_close(db);
}

static void keep_database(void)
{
	int fd = open(db_path, O_RDONLY | O_CLOEXEC);

	template_len = (size_t)lseek(fd, 0, SEEK_END);
	template = xmalloc(template_len);
	FUZZ_CHECK(pread(fd, template, template_len, 0) == (ssize_t)template_len, "cannot read %s", db_path);
	close(fd);
}

static bool is_read(const char *request)
{
	return strncmp(request, "list_", 5) == 0 || strncmp(request, "get_", 4) == 0 ||
	       strncmp(request, "subscribe", 9) == 0;
}

/* As lines, owned by the caller. */
static char *choose_requests(struct fuzz_random *r, bool damaged)
{
	char *text = xstrdup("");

	for (size_t i = 0; requests[i]; i++) {
		int n = (int)strcspn(requests[i], " ");
		char *longer;

		if ((!is_read(requests[i]) && fuzz_random_next(r, 3) != 0) || (damaged && i == 0))
			continue;
		longer = xasprintf("%s{\"jsonrpc\":\"2.0\",\"id\":%zu,\"method\":\"%.*s\",\"params\":%s}\n", text, i, n,
				   requests[i], requests[i] + n);
		free(text);
		text = longer;
	}
	return text;
}

void fuzz_setup(void)
{
	const char *dir = fuzz_directory();
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *text = xasprintf(conf_text, dir, dir);

	conf_file = xasprintf("%s/conf", dir);
	db_path = xasprintf("%s/state/sharesd.db", dir);
	fuzz_write_file(conf_file, text, strlen(text));
	start(&e);
	for (const char *const *c = first_calls; *c; c += 2) {
		_cleanup_json_ json_t *answer = one_thread_call(daemon_here, c[0], json_loads(c[1], 0, NULL));

		FUZZ_CHECK(!json_object_get(answer, "error"), "%s", jsonx_dump(answer));
	}
	stop();
	loosen();
	keep_database();
}

/* What everybody relies on in what is shown. */
static void check_shown(const json_t *answer)
{
	json_t *shares = json_object_get(json_object_get(answer, "result"), "shares"), *share, *location;
	size_t i, k;

	json_array_foreach(shares, i, share) {
		FUZZ_CHECK(jsonx_str(share, "id") && jsonx_str(share, "name") && jsonx_str(share, "status") &&
				   jsonx_str(share, "backend"),
			   "%s", jsonx_dump(share));
		FUZZ_CHECK(json_is_object(json_object_get(share, "metadata")), "%s", jsonx_dump(share));
		FUZZ_CHECK(json_array_size(json_object_get(share, "instances")) > 0, "%s", jsonx_dump(share));
		json_array_foreach(json_object_get(share, "export_locations"), k, location)
			FUZZ_CHECK(jsonx_str(location, "path"), "%s", jsonx_dump(share));
	}
}

/* Who follows events that are not all in the file any more is cut off. */
static void follow(const char *request)
{
	size_t len = strlen(request), answers_len, n;
	_cleanup_free_ char *answers = one_thread_talk(daemon_here, request, len, NULL, &answers_len);
	const char *p = answers, *line;

	while (fuzz_line(&p, &answers_len, &line, &n)) {
		_cleanup_json_ json_t *j = json_loadb(line, n, JSON_ALLOW_NUL, NULL);

		FUZZ_CHECK(json_is_object(j), "%.*s", (int)n, line);
	}
}

static void ask(struct fuzz_random r, bool damaged)
{
	_cleanup_free_ char *text = choose_requests(&r, damaged), *answers = NULL;
	size_t len = strlen(text), answers_len, n;
	const char *p, *line;

	if (damaged)
		follow("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"since\":0}}\n");
	p = answers = one_thread_talk(daemon_here, text, len, NULL, &answers_len);
	one_thread_check_answers(daemon_here, text, len, answers, answers_len);
	while (fuzz_line(&p, &answers_len, &line, &n)) {
		_cleanup_json_ json_t *answer = json_loadb(line, n, JSON_ALLOW_NUL, NULL);

		check_shown(answer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	script = json_object();
	if (size > 0 && *data == '!') {
		damage(data + 1, size - 1);
	} else {
		fuzz_write_file(db_path, template, template_len);
		take_lines((const char *)data, size);
	}
	start(&e);
	if (daemon_here)
		ask(fuzz_random_of(data, size), size > 0 && *data == '!');
	else
		fuzz_check_error(&e);
	stop();
	json_decref(script);
	return 0;
}
