/* The exporter ganesha on a real NFS-Ganesha, with clients that have addresses of their own. */
#include "tests/unit/nfs_lab.h"
#include "tests/unit/test_driver.h"

#include "drivers/export/ganesha.h"
#include "drivers/export/ganesha_rules.h"
#include "drivers/export/mount.h"

#include <netinet/in.h>

#define RULE_1 "00000000-0000-4000-8000-0000000000d1"
#define RULE_2 "00000000-0000-4000-8000-0000000000d2"
#define RULE_3 "00000000-0000-4000-8000-0000000000d3"
#define A_IS   "10.99.1.2"
#define B_IS   "10.99.2.2"
/* Characters that mean something to a shell, in XML, on D-Bus or to Ganesha. */
#define ODD_RUN "r u;#n$x%41&<"

static const struct exporter_ops *const ops = &ganesha_exporter;

struct nfs {
	struct conf *conf;
	void *x;
};

/* ---- exporters ---- */

static struct conf *read_conf(const char *run, const char *more)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf *conf;

	write_text(text("%s/sharesd.conf", dir),
		   text("state_dir = \"%s/state\"\nruntime_dir = \"%s/%s\"\nganesha_grace_period = 0\n%s\n", dir, dir,
			run, more));
	ck_assert_msg(conf_load(text("%s/sharesd.conf", dir), daemon_schema(), &conf, NULL, NULL, &e) == 0, "%s",
		      e.message);
	return conf;
}

static struct nfs nfs_with_run(const char *run, const char *more)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct nfs n = { .conf = read_conf(run, more) };

	ck_assert_msg(ops->create(conf_top(n.conf), NULL, &n.x, &e) == 0, "%s", e.message);
	return n;
}

static struct nfs nfs_new(const char *more)
{
	return nfs_with_run("run", more);
}

static void nfs_start(struct nfs *n)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(ops->start(n->x, &e) == 0, "%s", e.message);
	ck_assert(!ops->is_lost(n->x));
}

static struct nfs nfs_started(void)
{
	struct nfs n = nfs_new("");

	ck_assert(ops->is_lost(n.x));
	nfs_start(&n);
	return n;
}

static void nfs_free(struct nfs *n)
{
	ops->destroy(n->x);
	conf_unref(n->conf);
	*n = (struct nfs){ 0 };
}

#define _cleanup_nfs_ cleanup(nfs_free)

static struct export export_of(const char *name, unsigned number, const char *path)
{
	static char ids[8][37];
	static unsigned next;
	char *id = ids[next++ % COUNT(ids)];

	snprintf(id, sizeof(ids[0]), "00000000-0000-4000-8000-%012u", number);
	return (struct export){ .backend = "media", .id = id, .name = name, .number = number, .path = path };
}

/* A directory with a file `f` that holds `content`, which all may write. */
static const char *make_share(const char *name, const char *content)
{
	const char *path = text("%s/data/%s", dir, name);
	_cleanup_free_ char *part = xstrdup(path);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(part, 0755);
		*slash = '/';
	}
	ck_assert_int_eq(mkdir(path, 0777), 0);
	ck_assert_int_eq(chmod(path, 0777), 0);
	write_text(text("%s/f", path), content);
	return path;
}

/* `words` is "RULE ADDRESS LEVEL", one each; options as JSON or NULL. Static storage. */
static struct driver_rule rule_of(const char *id, const char *to, const char *level, const char *options)
{
	static json_t *all[64];
	static size_t next;
	json_t **slot = &all[next++ % COUNT(all)];

	json_decref(*slot);
	*slot = json_loads(options ? options : "{}", 0, NULL);
	ck_assert_ptr_nonnull(*slot);
	return (struct driver_rule){
		.id = id, .access_type = "ip", .access_to = to, .access_level = level, .options = *slot
	};
}

#define RULES(...) ((const struct driver_rule[]){ __VA_ARGS__ }), COUNT(((const struct driver_rule[]){ __VA_ARGS__ }))
#define NO_RULES   ((const struct driver_rule *)NULL), ((size_t)0)

/* All rules are in force, or the test fails. */
static void put(const struct nfs *n, const struct export *x, const struct driver_rule *rules, size_t n_rules)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = json_object();
	const char *id;
	json_t *one;

	ck_assert_msg(ops->put(n->x, x, rules, n_rules, results, &e) == 0, "%s", e.message);
	ck_assert_uint_eq(json_object_size(results), n_rules);
	json_object_foreach(results, id, one)
		ck_assert_msg(strcmp(jsonx_str(one, "state"), "active") == 0, "%s", jsonx_str(one, "reason"));
}

static void put_fails(const struct nfs *n, const struct export *x, enum error_kind kind, const char *part)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_json_ json_t *results = json_object();
	const struct driver_rule rule = rule_of(RULE_1, A_IS, "rw", NULL);

	ck_assert_int_lt(ops->put(n->x, x, &rule, 1, results, &e), 0);
	ck_assert_msg(e.kind == kind && strstr(e.message, part), "%s", e.message);
	ck_assert_uint_eq(json_object_size(results), 0);
}

static void take_away(const struct nfs *n, const struct export *x)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_msg(ops->remove(n->x, x, &e) == 0, "%s", e.message);
}

static const char *place_of(const struct export *x)
{
	return text("%s/run/exports/%s/%s", dir, x->backend, x->id);
}

static pid_t pid_of(const char *server)
{
	return (pid_t)strtol(read_text(text("%s/run/ganesha/%s.pid", dir, server)), NULL, 10);
}

/* Kills it, and waits until that is seen. */
static void kill_server(const struct nfs *n, const char *server)
{
	double deadline = text_monotonic() + 20;

	ck_assert_int_eq(kill(pid_of(server), SIGKILL), 0);
	while (!ops->is_lost(n->x)) {
		ck_assert(text_monotonic() < deadline);
		poll(NULL, 0, 2);
	}
}

/* Stops it: a signal is only on its way when kill has returned, and a thread may answer until it has arrived. */
static void stop_server(pid_t pid)
{
	double deadline = text_monotonic() + 20;

	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	/* All of its threads, in the state T. */
	while (shell_status(text("cat /proc/%d/task/*/stat | grep -qv '^[0-9]* (.*) T '", (int)pid)) == 0) {
		ck_assert(text_monotonic() < deadline);
		poll(NULL, 0, 2);
	}
}

static void setup_nfs(void)
{
	lab_end_servers();
	setup();
}

static void teardown_nfs(void)
{
	lab_end_servers();
	while (shell_status(text("grep -F '%s' /proc/self/mountinfo | cut -d' ' -f5 | tac | "
				 "while read -r m; do umount -l \"$(printf %%b \"$m\")\"; done; ! grep -qF '%s' "
				 "/proc/self/mountinfo",
				 dir, dir)))
		continue;
	teardown();
}

/* ---- rules, without a server ---- */

static const char *blocks_of(const struct driver_rule *rules, size_t n, bool read_only, json_t *results)
{
	static char *all;
	struct ganesha_clients clients;
	size_t len;
	FILE *to;

	free(take_ptr(all));
	to = open_memstream(&all, &len);
	ganesha_rules_read(rules, n, read_only, results, &clients);
	ganesha_clients_write(&clients, to);
	ganesha_clients_clear(&clients);
	fclose(to);
	return all;
}

START_TEST(narrow_before_wide)
{
	_cleanup_json_ json_t *results = json_object();
	const char *rest = "; Access_Type = RO; Squash = root_squash; SecType = sys; Anonymous_Uid = 65534; "
			   "Anonymous_Gid = 65534; }\n";

	ck_assert_str_eq(
		blocks_of(RULES(rule_of("1", "0.0.0.0/0", "ro", NULL), rule_of("2", "2001:db8::/32", "ro", NULL),
				rule_of("3", "10.0.0.0/8", "ro", NULL), rule_of("4", "10.1.2.3", "ro", NULL),
				rule_of("5", "2001:db8::1", "ro", NULL), rule_of("6", "::/0", "ro", NULL),
				rule_of("7", "10.1.0.0/16", "ro", NULL), rule_of("8", "9.1.2.3/32", "ro", NULL)),
			  false, results),
		text("\tCLIENT { Clients = 9.1.2.3%s\tCLIENT { Clients = 10.1.2.3%s\tCLIENT { Clients = "
		     "10.1.0.0/16%s"
		     "\tCLIENT { Clients = 10.0.0.0/8%s\tCLIENT { Clients = 0.0.0.0/1, 128.0.0.0/1%s"
		     "\tCLIENT { Clients = 2001:db8::1%s\tCLIENT { Clients = 2001:db8::/32%s"
		     "\tCLIENT { Clients = ::/1, 8000::/1%s",
		     rest, rest, rest, rest, rest, rest, rest, rest));
	ck_assert_uint_eq(json_object_size(results), 8);
}
END_TEST

START_TEST(options_of_rules)
{
	_cleanup_json_ json_t *results = json_object();
	const char *blocks;

	blocks = blocks_of(RULES(rule_of("1", "10.0.0.1", "rw",
					 "{\"squash\":\"all_squash\",\"sec\":\"krb5p:krb5i\",\"anonuid\":1000,"
					 "\"anongid\":\"100\"}"),
				 rule_of("2", "10.0.0.2", "rw", "{\"squash\":\"no_root_squash\",\"sec\":\"sys\"}")),
			   false, results);
	ck_assert_str_eq(blocks, "\tCLIENT { Clients = 10.0.0.1; Access_Type = RW; Squash = all_squash; "
				 "SecType = krb5p, krb5i; Anonymous_Uid = 1000; Anonymous_Gid = 100; }\n"
				 "\tCLIENT { Clients = 10.0.0.2; Access_Type = RW; Squash = no_root_squash; "
				 "SecType = sys; Anonymous_Uid = 65534; Anonymous_Gid = 65534; }\n");
	blocks = blocks_of(RULES(rule_of("1", "10.0.0.1", "rw", NULL)), true, results);
	ck_assert_ptr_nonnull(strstr(blocks, "Access_Type = RO;"));
}
END_TEST

/* A rule that cannot be is left out, with its reason, and is nowhere in what Ganesha reads. */
START_TEST(bad_rules)
{
	static const char *const options[] = {
		"{\"squash\":\"root\"}",
		"{\"squash\":\"all_squash; Access_Type = RW\"}",
		"{\"squash\":1}",
		"{\"squash\":\"\"}",
		"{\"sec\":\"\"}",
		"{\"sec\":\"sys:\"}",
		"{\"sec\":\"sys; }\"}",
		"{\"sec\":\"none\"}",
		"{\"sec\":[\"sys\"]}",
		"{\"anonuid\":-1}",
		"{\"anonuid\":4294967295}",
		"{\"anonuid\":\"0x10\"}",
		"{\"anongid\":\"nobody\"}",
		"{\"anongid\":\"\"}",
		"{\"anongid\":\"99999999999\"}",
		"{\"anongid\":1.5}",
	};
	static const char *const addresses[] = { "",           "host",        "10.0.0",    "10.0.0.0/33",
						 "10.0.0.0/",  "10.0.0.0/-1", "1::2::3",   "fd00::/100",
						 "fd00::/119", "::/129",      "10.0.0.1 ", "*",
						 "@netgroup",  "10.0.0.1; }", "010.0.0.1" };
	_cleanup_json_ json_t *results = json_object();

	for (size_t i = 0; i < COUNT(options); i++) {
		ck_assert_str_eq(blocks_of(RULES(rule_of("1", "10.0.0.1", "rw", options[i])), false, results), "");
		ck_assert_str_eq(jsonx_str(json_object_get(results, "1"), "state"), "error");
		ck_assert_msg(strstr(jsonx_str(json_object_get(results, "1"), "reason"), " is no"), "%s: %s",
			      options[i], jsonx_str(json_object_get(results, "1"), "reason"));
	}
	for (size_t i = 0; i < COUNT(addresses); i++) {
		ck_assert_str_eq(blocks_of(RULES(rule_of("1", addresses[i], "rw", NULL)), false, results), "");
		ck_assert_str_eq(jsonx_str(json_object_get(results, "1"), "state"), "error");
	}
	ck_assert_str_eq(blocks_of(RULES(rule_of("1", "10.0.0.1", "admin", NULL)), false, results), "");
	/* The same address twice, however it is written. */
	json_object_clear(results);
	ck_assert_ptr_null(strstr(
		blocks_of(RULES(rule_of("1", "10.0.0.1", "ro", NULL), rule_of("2", "::ffff:10.0.0.1/128", "rw", NULL)),
			  false, results),
		"RW"));
	ck_assert_str_eq(jsonx_str(json_object_get(results, "1"), "state"), "active");
	ck_assert_str_eq(jsonx_str(json_object_get(results, "2"), "state"), "error");
}
END_TEST

START_TEST(addresses_as_numbers)
{
	struct address a, b;
	char shown[ADDRESS_TEXT];

	ck_assert_int_eq(address_parse("10.1.2.3/8", &a), 0);
	ck_assert_str_eq(address_format(&a, shown), "10.0.0.0/8");
	ck_assert_int_eq(address_parse("2001:DB8:0:0::1", &a), 0);
	ck_assert_int_eq(address_parse("2001:db8::1/128", &b), 0);
	ck_assert_int_eq(address_compare(&a, &b), 0);
	ck_assert_int_eq(address_parse("::ffff:10.0.0.0/104", &a), 0);
	ck_assert_str_eq(address_format(&a, shown), "10.0.0.0/8");
	ck_assert_int_eq(address_parse("::ffff:0:0/95", &a), 0);
	ck_assert_int_eq(a.family, AF_INET6);
	ck_assert_int_eq(address_parse("255.255.255.255/0", &a), 0);
	ck_assert_str_eq(address_format(&a, shown), "0.0.0.0/0");
	ck_assert_int_eq(address_parse("2001:db8::/128", &a), 0);
	ck_assert_str_eq(address_format(&a, shown), "2001:db8::");
}
END_TEST

/* ---- access ---- */

START_TEST(levels)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));

	put(&n, &x, NO_RULES);
	ck_assert(!can_list(A, "photos") && !can_list(B, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_list(A, "photos") && can_read(A, "photos", "f", "one"));
	ck_assert(!can_write(A, "photos", "g"));
	ck_assert(!can_list(B, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_write(A, "photos", "g") && exists(text("%s/g", x.path)));
	ck_assert(!can_list(B, "photos"));
	/* Read-only, whatever the rules say. */
	x.read_only = true;
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "one") && !can_write(A, "photos", "h"));
	x.read_only = false;
	put(&n, &x, RULES(rule_of(RULE_2, B_IS, "rw", NULL)));
	ck_assert(!can_list(A, "photos") && can_write(B, "photos", "h"));
	/* What others change there is seen at once. */
	write_text(text("%s/f", x.path), "changed");
	ck_assert(can_read(B, "photos", "f", "changed"));
	put(&n, &x, NO_RULES);
	ck_assert(!can_list(A, "photos") && !can_list(B, "photos"));
}
END_TEST

START_TEST(most_specific_counts)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));

	put(&n, &x, RULES(rule_of(RULE_1, "10.99.0.0/16", "ro", NULL), rule_of(RULE_2, A_IS, "rw", NULL)));
	ck_assert(can_write(A, "photos", "a1") && can_list(B, "photos") && !can_write(B, "photos", "b1"));
	put(&n, &x, RULES(rule_of(RULE_1, "10.99.0.0/16", "rw", NULL), rule_of(RULE_2, A_IS, "ro", NULL)));
	ck_assert(!can_write(A, "photos", "a2") && can_list(A, "photos") && can_write(B, "photos", "b2"));
	put(&n, &x, RULES(rule_of(RULE_1, "0.0.0.0/0", "ro", NULL), rule_of(RULE_2, "10.99.2.0/24", "rw", NULL)));
	ck_assert(can_list(A, "photos") && !can_write(A, "photos", "a3") && can_write(B, "photos", "b3"));
	/* Of one family nothing follows for the other. */
	ck_assert(!can_list_six(A, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, "::/0", "ro", NULL)));
	ck_assert(can_list_six(A, "photos") && can_list_six(B, "photos") && !can_list(A, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, "fd99:1::/64", "ro", NULL)));
	ck_assert(can_list_six(A, "photos") && !can_list_six(B, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, "fd99:2::/120", "ro", NULL), rule_of(RULE_2, "fd99:1::2", "ro", NULL)));
	ck_assert(can_list_six(A, "photos") && can_list_six(B, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, "fd99:2::/99", "ro", NULL), rule_of(RULE_2, "fd99:1::/127", "ro", NULL)));
	ck_assert(!can_list_six(A, "photos") && can_list_six(B, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, "fd99:2::2", "ro", NULL)));
	ck_assert(!can_list_six(A, "photos") && can_list_six(B, "photos"));
}
END_TEST

START_TEST(options_in_force)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	_cleanup_json_ json_t *results = json_object();

	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", "{\"squash\":\"all_squash\",\"anonuid\":1234,\"anongid\":77}")));
	ck_assert(can_write(A, "photos", "squashed"));
	ck_assert_uint_eq(stat_of(text("%s/squashed", x.path)).st_uid, 1234);
	ck_assert_uint_eq(stat_of(text("%s/squashed", x.path)).st_gid, 77);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", "{\"squash\":\"no_root_squash\"}")));
	ck_assert(can_write(A, "photos", "root"));
	ck_assert_uint_eq(stat_of(text("%s/root", x.path)).st_uid, 0);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_write(A, "photos", "nobody"));
	ck_assert_uint_eq(stat_of(text("%s/nobody", x.path)).st_uid, 65534);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", "{\"sec\":\"krb5\"}")));
	ck_assert(!can_list(A, "photos"));
	/* One that cannot be poisons no other, and opens nothing. */
	ck_assert_int_eq(ops->put(n.x, &x,
				  RULES(rule_of(RULE_1, A_IS, "rw", "{\"squash\":\"perhaps\"}"),
					rule_of(RULE_2, B_IS, "ro", NULL)),
				  results, NULL),
			 0);
	ck_assert_str_eq(jsonx_str(json_object_get(results, RULE_1), "state"), "error");
	ck_assert_str_eq(jsonx_str(json_object_get(results, RULE_2), "state"), "active");
	ck_assert(!can_list(A, "photos") && can_list(B, "photos"));
}
END_TEST

/* Nobody whose rule stays notices anything; who loses his loses it at once, in the middle of a session. */
START_TEST(live_sessions)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	struct export other = export_of("other", 2, make_share("other", "two"));
	struct lab_reader r;

	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	r = lab_reader_start(A, "photos", "f");
	for (int i = 0; i < 20; i++) {
		put(&n, &x, RULES(rule_of(RULE_1, A_IS, i % 2 ? "ro" : "rw", NULL), rule_of(RULE_2, B_IS, "ro", NULL)));
		put(&n, &other, RULES(rule_of(RULE_3, A_IS, "rw", NULL)));
		lab_await_reads(&r, 1);
		put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
		take_away(&n, &other);
		lab_await_reads(&r, 1);
	}
	ck_assert_uint_eq(lab_reader_failures(&r), 0);
	put(&n, &x, RULES(rule_of(RULE_2, B_IS, "ro", NULL)));
	for (double deadline = text_monotonic() + 20; lab_reader_failures(&r) == 0; poll(NULL, 0, 2))
		ck_assert_msg(text_monotonic() < deadline, "A still reads");
	lab_reader_stop(&r);
}
END_TEST

/* ---- directories ---- */

START_TEST(another_directory)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));

	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "one"));
	/* What a revert does: the name is another directory's now, and the old one is removed. */
	shell("cd '%s/data' && mv photos old && mkdir -m 777 photos && printf two >photos/f", dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "two") && can_write(A, "photos", "g"));
	ck_assert(exists(text("%s/g", x.path)) && !exists(text("%s/data/old/g", dir)));
	shell("cd '%s/data' && rm -r old photos && mkdir -m 777 photos && printf three >photos/f", dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "three"));
	ck_assert_int_eq(shell_status(text("[ $(grep -cF '%s' /proc/self/mountinfo) = 1 ]", place_of(&x))), 0);
	/* No directory: nothing is open. */
	shell("rm -r '%s'", x.path);
	put_fails(&n, &x, ERR_DRIVER_FAILED, "photos");
	ck_assert(!can_list(A, "photos"));
	ck_assert(!exists(place_of(&x)) || !mount_is_there(place_of(&x)));
}
END_TEST

START_TEST(removed)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	struct export other = export_of("other", 2, make_share("other", "two"));
	_cleanup_json_ json_t *all = NULL, *rest = NULL;
	pid_t holder;

	take_away(&n, &x);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	put(&n, &other, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert_int_eq(ops->list(n.x, &all, NULL), 0);
	ck_assert_uint_eq(json_array_size(all), 2);
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(all, i);
		const struct export *is = jsonx_int(one, "number") == 1 ? &x : &other;

		ck_assert_str_eq(jsonx_str(one, "backend"), "media");
		ck_assert_str_eq(jsonx_str(one, "id"), is->id);
		ck_assert_str_eq(jsonx_str(one, "name"), is->name);
	}
	/* Somebody is in there. */
	holder = fork();
	if (holder == 0) {
		(void)!chdir(place_of(&x));
		for (;;)
			pause();
	}
	x.path = NULL;
	take_away(&n, &x);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	ck_assert(!can_list(A, "photos") && can_list(A, "other"));
	ck_assert(!exists(place_of(&x)));
	take_away(&n, &x);
	ck_assert_int_eq(ops->list(n.x, &rest, NULL), 0);
	ck_assert_uint_eq(json_array_size(rest), 1);
	/* As an orphan of which only the place is known. */
	other.number = 0;
	other.name = "";
	take_away(&n, &other);
	ck_assert(!can_list(A, "other") && !exists(place_of(&other)));
}
END_TEST

START_TEST(no_way_out)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	struct export secret = export_of("secret", 2, make_share("secret", "secret"));
	struct export below = export_of("below", 3, make_share("users/joe/share", "joe"));

	/* A user's link on the way is not followed, root's is. */
	shell("cd '%s/data' && chown -R 1000 users && mv users/joe/share users/joe/real && ln -s '%s' users/joe/share "
	      "&& "
	      "chown -h 1000 users/joe/share",
	      dir, secret.path);
	put_fails(&n, &below, ERR_DRIVER_FAILED, "a link on the way there belongs to a user");
	shell("cd '%s/data' && chown -h 0 users/joe/share", dir);
	put(&n, &below, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_read(A, "below", "f", "secret"));
	shell("cd '%s/data' && ln -s photos link && ln -s ../data/link link2", dir);
	x.path = text("%s/data/link2", dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_read(A, "photos", "f", "one"));
	/* What is mounted below it is not exported with it. */
	shell("cd '%s/data/photos' && mkdir sub && mount -t tmpfs t sub && printf other >sub/f", dir);
	take_away(&n, &x);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_read(A, "photos", "f", "one") && !can_read(A, "photos", "sub/f", "other"));
	shell("umount '%s/data/photos/sub'", dir);
	/* Where files cannot be opened by handle no client would get anything. */
	if (shell_status(text(
		    "cd '%s' && mkdir u w m && mount -t overlay o -o lowerdir=data,upperdir=u,workdir=w m 2>/dev/null",
		    dir)) != 0)
		return;
	x.path = text("%s/m/photos", dir);
	if (mount_check_handles(x.path) == -EOPNOTSUPP)
		put_fails(&n, &x, ERR_NOT_SUPPORTED, "has no file handles");
	shell("umount '%s/m'", dir);
}
END_TEST

START_TEST(odd_names)
{
	char longest[256];
	struct nfs n;
	struct export x;

	memset(longest, 'x', 255);
	longest[255] = '\0';
	n = nfs_with_run(ODD_RUN, "");
	nfs_start(&n);
	for (const char *const *name = (const char *const[]){ "a", "A", "a.b_c-d", "0", longest, NULL }; *name;
	     name++) {
		static unsigned number = 100;

		x = export_of(*name, ++number, make_share(*name, *name));
		put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
		ck_assert_msg(can_read(A, *name, "f", *name), "%s", *name);
	}
	x = export_of("odd", 7, make_share("odd", "odd"));
	ck_assert_int_eq(rename(x.path, text("%s/data/a b;#{c}'$x%%s&<!>", dir)), 0);
	x.path = text("%s/data/a b;#{c}'$x%%s&<!>", dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_read(A, "odd", "f", "odd"));
	take_away(&n, &x);
	nfs_free(&n);
}
END_TEST

START_TEST(subvolume)
{
	struct nfs n;
	struct export x;

	if (shell_status(text("truncate -s 256M '%s/pool.img' && mkfs.btrfs -q '%s/pool.img' && mkdir '%s/pool' && "
			      "mount -o loop '%s/pool.img' '%s/pool'",
			      dir, dir, dir, dir, dir)) != 0) {
		printf("SKIP subvolume: no btrfs on a loop device here\n");
		return;
	}
	shell("cd '%s/pool' && btrfs -q subvolume create s && printf one >s/f && chmod 777 s && "
	      "btrfs -q subvolume snapshot -r s snap && printf two >s/f",
	      dir);
	n = nfs_started();
	x = export_of("photos", 1, text("%s/pool/s", dir));
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "two"));
	/* A revert: the same inode number, another subvolume. */
	take_away(&n, &x);
	shell("cd '%s/pool' && btrfs -q subvolume snapshot snap new && mv s old && mv new s && btrfs -q subvolume "
	      "delete old",
	      dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "one") && can_write(A, "photos", "g"));
	/* The same without a word before it. */
	shell("cd '%s/pool' && btrfs -q subvolume snapshot snap new && printf three >new/f && mv s old && mv new s && "
	      "btrfs -q subvolume delete old",
	      dir);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_read(A, "photos", "f", "three"));
	take_away(&n, &x);
	nfs_free(&n);
	/* Nothing holds it: neither a mount nor Ganesha. */
	for (double deadline = text_monotonic() + 20; shell_status(text("umount '%s/pool' 2>/dev/null", dir)) != 0;) {
		ck_assert(text_monotonic() < deadline);
		poll(NULL, 0, 20);
	}
}
END_TEST

/* ---- servers that end ---- */

START_TEST(killed_servers)
{
	static const char *const servers[] = { "ganesha", "dbus" };
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	struct export closed = export_of("closed", 2, make_share("closed", "two"));
	struct export gone = export_of("gone", 3, make_share("gone", "three"));

	for (size_t i = 0; i < COUNT(servers); i++) {
		_cleanup_json_ json_t *all = NULL;

		put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
		put(&n, &closed, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
		put(&n, &closed, NO_RULES);
		put(&n, &gone, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
		kill_server(&n, servers[i]);
		put_fails(&n, &x, ERR_BACKEND_DOWN, "does not run");
		/* A Ganesha whose bus was killed may have some moments left. */
		for (double deadline = text_monotonic() + 20; ops->remove(n.x, &gone, NULL) < 0; poll(NULL, 0, 2))
			ck_assert(text_monotonic() < deadline);
		ck_assert(!exists(place_of(&gone)));
		nfs_start(&n);
		/* From its first moment what was in force, and nothing else. */
		ck_assert(can_write(A, "photos", servers[i]));
		ck_assert(!can_list(A, "closed") && !can_list(A, "gone"));
		ck_assert_int_eq(ops->list(n.x, &all, NULL), 0);
		ck_assert_uint_eq(json_array_size(all), 2);
		put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
		ck_assert(can_list(A, "photos") && !can_write(A, "photos", "h"));
	}
}
END_TEST

/* What is exported is what is mounted: after a restart of the machine that is nothing. */
START_TEST(stale_blocks)
{
	_cleanup_nfs_ struct nfs n = nfs_started();
	struct export x = export_of("photos", 1, make_share("photos", "one"));

	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	kill_server(&n, "ganesha");
	shell("umount '%s'", place_of(&x));
	nfs_start(&n);
	ck_assert(!can_list(A, "photos"));
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_list(A, "photos"));
	/* A block that Ganesha does not take keeps it from nothing. */
	kill_server(&n, "ganesha");
	shell("sed -i 's/^EXPORT {/EXPORT { Nonsense = {/' '%s/run/ganesha/exports.d/1.conf'", dir);
	nfs_start(&n);
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	ck_assert(can_list(A, "photos"));
}
END_TEST

START_TEST(hung_server)
{
	_cleanup_nfs_ struct nfs n = nfs_started(), next = { 0 };
	pid_t pid = pid_of("ganesha");

	stop_server(pid);
	/* Nothing waits for it without a limit; one that does not answer is not taken over. */
	next = nfs_new("");
	nfs_start(&next);
	ck_assert_int_ne(pid_of("ganesha"), pid);
	ck_assert(ops->is_lost(n.x));
}
END_TEST

START_TEST(taken_over)
{
	_cleanup_nfs_ struct nfs first = nfs_started(), second = { 0 }, third = { 0 };
	struct export x = export_of("photos", 1, make_share("photos", "one"));
	struct lab_reader r;
	pid_t nfsd = pid_of("ganesha"), bus = pid_of("dbus");

	put(&first, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	r = lab_reader_start(A, "photos", "f");
	ops->destroy(take_ptr(first.x));
	second = nfs_started();
	ck_assert_int_eq(pid_of("ganesha"), nfsd);
	ck_assert_int_eq(pid_of("dbus"), bus);
	put(&second, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	put(&second, &x, RULES(rule_of(RULE_1, A_IS, "rw", NULL)));
	lab_await_reads(&r, 5);
	ck_assert_uint_eq(lab_reader_failures(&r), 0);
	lab_reader_stop(&r);
	ops->destroy(take_ptr(second.x));
	/* With other settings it is another server. */
	third = nfs_new("ganesha_port = 2050");
	nfs_start(&third);
	ck_assert_int_ne(pid_of("ganesha"), nfsd);
	ck_assert_int_eq(pid_of("dbus"), bus);
	ck_assert(!can_list(A, "photos"));
	ck_assert_int_eq(lab_run(A, "nfs-ls 'nfs://10.99.1.1/photos?version=4&nfsport=2050'"), 0);
}
END_TEST

static void start_fails(const char *more, const char *part)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_nfs_ struct nfs n = nfs_new(more);

	ck_assert_int_lt(ops->start(n.x, &e), 0);
	ck_assert_int_eq(e.kind, ERR_BACKEND_DOWN);
	ck_assert_msg(strstr(e.message, part), "%s", e.message);
	ck_assert(ops->is_lost(n.x));
}

START_TEST(cannot_start)
{
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(2049) };

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	start_fails("", "cannot listen on port 2049, for another program does");
	close(take_fd(fd));
	start_fails("ganesha_protocols = {\"3\", \"4\"}", "without rpcbind");
	shell("mount --bind /dev/null /usr/bin/ganesha.nfsd");
	start_fails("", "apt-get install nfs-ganesha nfs-ganesha-vfs");
	shell("umount /usr/bin/ganesha.nfsd; mount --bind /dev/null /usr/bin/dbus-daemon");
	lab_end_servers();
	start_fails("", "dbus-daemon is not installed: apt-get install dbus");
	shell("umount /usr/bin/dbus-daemon; mount --bind /bin/false /usr/bin/dbus-daemon");
	start_fails("", "dbus-daemon ended when it was started");
	shell("umount /usr/bin/dbus-daemon; mount --bind /bin/false /usr/bin/ganesha.nfsd");
	start_fails("", "NFS-Ganesha ended when it was started");
	shell("umount /usr/bin/ganesha.nfsd");
	start_fails("ganesha_mode = \"system\"", "bus");
}
END_TEST

/* ---- a Ganesha with exports of others ---- */

START_TEST(among_others)
{
	_cleanup_nfs_ struct nfs other = nfs_started(), n = { 0 };
	struct export theirs = export_of("theirs", 1, make_share("deep/theirs", "theirs"));
	struct export x = export_of("ours", 1, make_share("ours", "ours"));
	_cleanup_json_ json_t *all = NULL;
	char *found = NULL;

	put(&other, &theirs, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	setenv("DBUS_SYSTEM_BUS_ADDRESS", text("unix:path=%s/run/ganesha/bus", dir), 1);
	n = nfs_with_run("second", "ganesha_mode = \"system\"");
	nfs_start(&n);
	put_fails(&n, &x, ERR_DRIVER_FAILED, "Export_Id 1 that is not ours");
	x.number = 2;
	x.name = "theirs";
	put_fails(&n, &x, ERR_ALREADY_EXISTS, "cannot be had twice");
	x.name = "ours";
	put(&n, &x, RULES(rule_of(RULE_1, A_IS, "ro", NULL)));
	ck_assert(can_read(A, "ours", "f", "ours") && can_read(A, "theirs", "f", "theirs"));
	ck_assert_int_eq(ops->list(n.x, &all, NULL), 0);
	ck_assert_uint_eq(json_array_size(all), 1);
	ck_assert_str_eq(jsonx_str(json_array_get(all, 0), "name"), "ours");
	/* The directory that they export is its mount point here, and what is above and below that. */
	for (const char *const *path = (const char *const[]){ place_of(&theirs), text("%s/run", dir), "/", NULL };
	     *path; path++) {
		ck_assert_int_eq(ops->find_foreign(n.x, *path, &found, NULL), 0);
		ck_assert_msg(found && strstr(found, "the export /theirs of NFS-Ganesha"), "%s", found);
		free(take_ptr(found));
	}
	shell("mkdir -p '%s/sub'", theirs.path);
	ck_assert_int_eq(ops->find_foreign(n.x, text("%s/sub", place_of(&theirs)), &found, NULL), 0);
	ck_assert_ptr_nonnull(found);
	free(take_ptr(found));
	ck_assert_int_eq(ops->find_foreign(n.x, x.path, &found, NULL), 0);
	ck_assert_ptr_null(found);
	take_away(&n, &x);
	ck_assert(!can_list(A, "ours") && can_list(A, "theirs"));
	ck_assert(!ops->is_lost(n.x));
	kill_server(&n, "ganesha");
	put_fails(&n, &x, ERR_BACKEND_DOWN, "is not on its bus");
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}
END_TEST

START_TEST(locations)
{
	_cleanup_nfs_ struct nfs n = nfs_new("export_addresses = {\"nas1\", \"192.0.2.1\", \"2001:db8::1\"}");
	_cleanup_nfs_ struct nfs bare = { 0 };
	struct export x = export_of("photos", 1, NULL);
	_cleanup_json_ json_t *all = ops->locations(n.x, &x), *one = NULL;
	_cleanup_free_ char *shown = jsonx_dump(all);
	char host[HOST_NAME_MAX + 1] = "";

	ck_assert_str_eq(
		shown,
		"[{\"path\":\"nas1:/photos\"},{\"path\":\"192.0.2.1:/photos\"},{\"path\":\"[2001:db8::1]:/photos\"}]");
	bare = nfs_new("");
	one = ops->locations(bare.x, &x);
	ck_assert_uint_eq(json_array_size(one), 1);
	gethostname(host, sizeof(host) - 1);
	ck_assert_str_eq(jsonx_str(json_array_get(one, 0), "path"), text("%s:/photos", host));
}
END_TEST

START_TEST(many)
{
	enum { N = 200 };
	_cleanup_nfs_ struct nfs n = nfs_started();
	_cleanup_json_ json_t *all = NULL;
	static const char *const addresses[] = { A_IS, "10.98.0.1", "10.98.1.0/24", "10.98.0.2", "fd98::/64" };
	struct driver_rule rules[COUNT(addresses)];
	double began = text_monotonic(), made, changed;

	for (size_t i = 0; i < COUNT(rules); i++)
		rules[i] = rule_of(addresses[i], addresses[i], "ro", NULL);
	for (unsigned i = 1; i <= N; i++) {
		struct export x = export_of(text("s%u", i), i, make_share(text("s%u", i), text("content %u", i)));

		put(&n, &x, rules, COUNT(rules));
	}
	made = text_monotonic();
	for (unsigned i = 1; i <= N; i++) {
		struct export x = export_of(text("s%u", i), i, text("%s/data/s%u", dir, i));

		rules[0].access_level = i % 2 ? "rw" : "ro";
		put(&n, &x, rules, COUNT(rules));
	}
	changed = text_monotonic();
	for (unsigned i = 1; i <= N; i += 17) {
		ck_assert(can_read(A, text("s%u", i), "f", text("content %u", i)));
		ck_assert(can_write(A, text("s%u", i), "g") == (i % 2 == 1));
	}
	kill_server(&n, "ganesha");
	nfs_start(&n);
	ck_assert(can_read(A, text("s%u", N), "f", text("content %u", N)));
	ck_assert_int_eq(ops->list(n.x, &all, NULL), 0);
	ck_assert_uint_eq(json_array_size(all), N);
	printf("%d exports with 5 rules: %.1f ms each to make, %.1f ms to change\n", N, (made - began) * 1000 / N,
	       (changed - made) * 1000 / N);
	for (unsigned i = 1; i <= N; i++) {
		struct export x = export_of(text("s%u", i), i, NULL);

		take_away(&n, &x);
	}
	ck_assert_int_eq(shell_status(text("grep -qF '%s/run/exports' /proc/self/mountinfo", dir)), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export_ganesha");
	TCase *plain = tcase_create("rules"), *tc = tcase_create("servers");
	SRunner *runner;
	int failed;

	tcase_add_test(plain, narrow_before_wide);
	tcase_add_test(plain, options_of_rules);
	tcase_add_test(plain, bad_rules);
	tcase_add_test(plain, addresses_as_numbers);
	suite_add_tcase(suite, plain);
	if (skip_unless_root("export_ganesha"))
		goto run;
	tcase_add_unchecked_fixture(tc, lab_open, lab_close);
	tcase_add_checked_fixture(tc, setup_nfs, teardown_nfs);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, most_specific_counts);
	tcase_add_test(tc, options_in_force);
	tcase_add_test(tc, live_sessions);
	tcase_add_test(tc, another_directory);
	tcase_add_test(tc, removed);
	tcase_add_test(tc, no_way_out);
	tcase_add_test(tc, odd_names);
	tcase_add_test(tc, subvolume);
	tcase_add_test(tc, killed_servers);
	tcase_add_test(tc, stale_blocks);
	tcase_add_test(tc, hung_server);
	tcase_add_test(tc, taken_over);
	tcase_add_test(tc, cannot_start);
	tcase_add_test(tc, among_others);
	tcase_add_test(tc, locations);
	tcase_add_test(tc, many);
	suite_add_tcase(suite, tc);
run:
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
