/* Share servers from the outside: two tenants with the same addresses, each on a bridge of its own; a real daemon, an
 * NFS-Ganesha and an smbd for each of them. */
#include "tests/e2e/harness.h"
#include "tests/unit/nfs_lab.h"

#define MIB      (1024.0 * 1024)
#define CLIENT   "192.0.2.2" /* both A and B */
#define SERVER   "192.0.2.10"
#define SERVER_6 "2001:db8::10"
/* A user that every Debian has; in the test's passdb the password is "secret". */
#define ANN "games"

static struct fixture *f;

/* ---- two networks, and a daemon ---- */

#define CONF                                                                                                           \
	"runtime_dir = \"@DIR@/run\"\nsamba_passdb = \"@DIR@/passdb.tdb\"\nganesha_grace_period = 0\n"                 \
	"share_network \"blue\" { bridge = \"br1\"\n addresses = {\"" SERVER "-192.0.2.11/24\"} }\n"                   \
	"share_network \"red\" { bridge = \"br2\"\n addresses = {\"" SERVER "-192.0.2.11/24\"}\n"                      \
	" gateway = \"" CLIENT "\" }\n"                                                                                \
	"share_network \"six\" { bridge = \"br2\"\n addresses = {\"" SERVER_6 "/64\"}\n"                               \
	" gateway = \"2001:db8::2\" }\n"                                                                               \
	"share_network \"later\" { bridge = \"br3\"\n addresses = {\"198.51.100.1/24\"} }\n"
#define BACKEND                                                                                                        \
	"dir \"b\" {\n root = \"@DIR@/root\"\n export = {\"ganesha\", \"samba\"}\n"                                    \
	" driver_handles_share_servers = true\n delete_share_server_with_last_share = true\n}\n"

/* The clients' addresses are the same, and the bridges have none: nobody but them is there. */
static void open_networks(void)
{
	ck_assert_msg(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "unshare: %s", strerror(errno));
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(lab_shell("mount -t tmpfs tmpfs /run && ip link set lo up"), 0);
	for (int i = 0; i < LAB_CLIENTS; i++) {
		int n = i + 1;

		lab_client[i] = lab_start_client();
		lab_server[i] = SERVER;
		ck_assert_int_eq(lab_shell("set -e; ip link add br%d type bridge; ip link set br%d up; "
					   "ip link add c%d type veth peer name c netns %d; "
					   "ip link set c%d master br%d up; "
					   "nsenter -t %d -n sh -ec 'ip link set lo up; "
					   "ip addr add " CLIENT "/24 dev c; "
					   "ip addr add 2001:db8::2/64 dev c nodad; ip link set c up'",
					   n, n, n, (int)lab_client[i], n, n, (int)lab_client[i]),
				 0);
	}
}

/* What a test that failed has left is ended by the next. */
static void end_servers(void)
{
	lab_end_servers();
	(void)lab_shell(
		"ip -all netns delete 2>/dev/null; for l in $(ip -o link 2>/dev/null | grep -o 'shs[0-9a-f]*'); do "
		"ip link delete $l 2>/dev/null; done; ip link delete br3 2>/dev/null");
}

static void begin(void)
{
	end_servers();
	f = NULL;
}

static void unmount_all(void)
{
	(void)shell(NULL, "umount -l '%s'/run/servers/*/exports/*/* 2>/dev/null", f->dir);
}

static void finish(void)
{
	end_servers();
	if (!f)
		return;
	unmount_all();
	fixture_free(f);
}

static void start(void)
{
	f = fixture_new(CONF BACKEND);
	fixture_start(f, NULL, (uid_t)-1);
}

#define AWAIT(condition)                                                                                               \
	for (double deadline_ = now() + 60; !(condition); nap(0.02))                                                   \
	ck_assert_msg(now() < deadline_, "waited in vain for " #condition)

/* ---- what the tests do ---- */

/* With a file f in it that says `content`. */
static void make_share(const char *name, const char *proto, const char *network, const char *content)
{
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:I,s:s,s:s,s:s}", "name", name, "backend", "b",
			 "size_bytes", (json_int_t)MIB, "share_proto", proto, "mode", "0777", "share_network",
			 network));
	write_file(fixture_path(f, "root/%s/data/f", name), content);
	ck_assert_int_eq(chmod(fixture_path(f, "root/%s/data/f", name), 0644), 0);
}

static void delete_share(const char *name)
{
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", name));
}

/* The rule's id, to be freed; it is in force, or the test fails. */
static char *allow(const char *share, const char *type, const char *to)
{
	json_t *rule = call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", share, "access_type", type, "access_to",
			    to, "access_level", "rw");
	char *id = strdup(str_at(rule, "id"));

	ck_assert_str_eq(str_at(rule, "state"), "active");
	json_decref(rule);
	return id;
}

enum { ID_SIZE = 40 };

/* The id of the network's share server. False: there is none. */
static bool find_server(const char *network, char ret[ID_SIZE])
{
	json_t *all = call(f, "list_share_servers", NULL), *one;
	bool found = false;
	size_t i;

	json_array_foreach(at(all, "share_servers"), i, one)
		if (strcmp(str_at(one, "share_network"), network) == 0) {
			snprintf(ret, ID_SIZE, "%s", str_at(one, "id"));
			found = true;
		}
	json_decref(all);
	return found;
}

static pid_t pid_of(const char *network, const char *what)
{
	char id[ID_SIZE], *text;
	pid_t pid;

	if (!find_server(network, id))
		return 0;
	text = read_text(fixture_path(f, "run/servers/%s/%s.pid", id, what));
	pid = text ? (pid_t)strtol(text, NULL, 10) : 0;
	free(text);
	return pid;
}

/* Kills both and waits until others run and the backend is well. */
static void kill_servers(const char *network)
{
	pid_t nfsd = pid_of(network, "ganesha/ganesha"), smbd = pid_of(network, "samba/smbd");

	ck_assert(nfsd > 1 && smbd > 1);
	ck_assert(kill(nfsd, SIGKILL) == 0 && kill(smbd, SIGKILL) == 0);
	AWAIT(pid_of(network, "ganesha/ganesha") > 1 && pid_of(network, "ganesha/ganesha") != nfsd);
	AWAIT(pid_of(network, "samba/smbd") > 1 && pid_of(network, "samba/smbd") != smbd);
	wait_backend(f, "b", "up");
}

static bool has_link(const char *id)
{
	return lab_shell("ip -o link | grep -q shs%s", id + strlen(id) - 12) == 0;
}

static void expect_gone(const char *id)
{
	_cleanup_free_ char *netns = xasprintf("/run/netns/sharesd-%s", id);

	ck_assert(!exists(netns) && !has_link(id));
	ck_assert(!exists(fixture_path(f, "run/servers/%s", id)) && !exists(fixture_path(f, "state/servers/%s", id)));
	ck_assert_int_eq(shell(NULL, "grep -qF '%s/run/servers/%s' /proc/self/mountinfo", f->dir, id), 1);
}

static void add_user(const char *network)
{
	char id[ID_SIZE];

	ck_assert(find_server(network, id));
	ck_assert_int_eq(
		shell(NULL,
		      "printf 'secret\\nsecret\\n' | smbpasswd -c '%s/run/servers/%s/samba/smb.conf' -a -s " ANN
		      " >/dev/null",
		      f->dir, id),
		0);
}

static bool sees(int client, const char *server, const char *share)
{
	return lab_run(client, "smbclient '//%s/%s' -U '" ANN "%%secret' -c 'get f /dev/null' </dev/null", server,
		       share) == 0;
}

/* ---- two tenants ---- */

START_TEST(tenants)
{
	char blue[ID_SIZE], red[ID_SIZE], six[ID_SIZE];
	_cleanup_free_ char *rule = NULL;
	json_t *share, *all;

	start();
	make_share("a", "NFS_CIFS", "blue", "one");
	make_share("b", "NFS_CIFS", "red", "two");
	share = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(share, "export_locations.0.path"), SERVER ":/a");
	ck_assert_str_eq(str_at(share, "export_locations.1.path"), "\\\\" SERVER "\\a");
	ck_assert_uint_eq(json_array_size(at(share, "export_locations")), 2);
	json_decref(share);
	ck_assert(!can_list(A, "a") && !can_list(B, "b"));
	rule = allow("a", "ip", CLIENT);
	ck_assert(can_read(A, "a", "f", "one") && !can_list(B, "a") && !can_list(B, "b"));
	free(allow("b", "ip", CLIENT));
	ck_assert(can_read(A, "a", "f", "one") && can_read(B, "b", "f", "two"));
	ck_assert(can_write(A, "a", "g") && exists(fixture_path(f, "root/a/data/g")));
	ck_assert(!can_list(A, "b") && !can_list(B, "a"));
	add_user("blue");
	free(allow("a", "user", ANN));
	free(allow("b", "user", ANN));
	ck_assert(sees(A, SERVER, "a") && sees(B, SERVER, "b") && !sees(A, SERVER, "b") && !sees(B, SERVER, "a"));
	/* Another share of a tenant is on the same server; over IPv6. */
	make_share("a2", "NFS", "blue", "three");
	free(allow("a2", "ip", "192.0.2.0/24"));
	ck_assert(can_read(A, "a2", "f", "three") && !can_list(B, "a2"));
	make_share("s", "CIFS", "six", "four");
	free(allow("s", "user", ANN));
	ck_assert(sees(B, SERVER_6, "s") && !sees(B, SERVER, "s") && !sees(A, SERVER, "s"));
	all = call(f, "list_share_servers", NULL);
	ck_assert_uint_eq(json_array_size(at(all, "share_servers")), 3);
	json_decref(all);
	ck_assert(find_server("blue", blue) && find_server("red", red) && find_server("six", six));
	ck_assert_int_eq(
		lab_shell("nsenter --net=/run/netns/sharesd-%s ip route | grep -q 'default via " CLIENT "' && "
			  "nsenter --net=/run/netns/sharesd-%s ip -6 route | grep -q 'default via 2001:db8::2'",
			  red, six),
		0);
	/* One's rule is not the other's. */
	json_decref(call(f, "deny_access", "{s:s,s:s}", "share", "a", "access", rule));
	ck_assert(!can_list(A, "a") && can_list(A, "a2") && can_list(B, "b"));
	/* A server goes with its last share, and with it all that was made for it. */
	delete_share("a");
	ck_assert(!sees(A, SERVER, "a") && can_list(A, "a2"));
	delete_share("a2");
	expect_gone(blue);
	ck_assert(can_read(B, "b", "f", "two") && has_link(red));
	delete_share("b");
	delete_share("s");
	expect_gone(red);
	expect_gone(six);
}
END_TEST

/* ---- what ends ---- */

static const char *what_is_amiss(void)
{
	if (!can_read(A, "a", "f", "one"))
		return "A cannot read";
	if (!can_read(B, "b", "f", "two"))
		return "B cannot read";
	if (can_list(A, "b"))
		return "A sees what is B's";
	return can_list(B, "a") ? "B sees what is A's" : NULL;
}

static bool all_is_in_force(void)
{
	return what_is_amiss() == NULL;
}

/* The daemon may be away. */
static void expect_in_force(void)
{
	const char *amiss = what_is_amiss();

	if (amiss)
		(void)shell(NULL, "tail -n 20 '%s' >&2", f->log);
	ck_assert_msg(!amiss, "%s", amiss);
}

static void make_two(void)
{
	make_share("a", "NFS", "blue", "one");
	make_share("b", "NFS", "red", "two");
	free(allow("a", "ip", CLIENT));
	free(allow("b", "ip", CLIENT));
	expect_in_force();
}

START_TEST(what_ends_is_put_back)
{
	struct lab_reader a, b;
	pid_t blue, red, smbd;

	start();
	make_two();
	/* The daemon: its servers go on, and no client notices. */
	blue = pid_of("blue", "ganesha/ganesha");
	red = pid_of("red", "ganesha/ganesha");
	smbd = pid_of("blue", "samba/smbd");
	ck_assert(blue > 1 && red > 1 && blue != red && smbd > 1);
	a = lab_reader_start(A, "a", "f");
	b = lab_reader_start(B, "b", "f");
	fixture_kill(f);
	expect_in_force();
	fixture_start(f, NULL, (uid_t)-1);
	expect_in_force();
	lab_await_reads(&a, 5);
	ck_assert_uint_eq(lab_reader_failures(&a), 0);
	lab_reader_stop(&a);
	ck_assert_int_eq(pid_of("blue", "ganesha/ganesha"), blue);
	ck_assert_int_eq(pid_of("red", "ganesha/ganesha"), red);
	ck_assert_int_eq(pid_of("blue", "samba/smbd"), smbd);
	/* One's servers: put back, and the other notices nothing. */
	kill_servers("blue");
	AWAIT(all_is_in_force());
	lab_await_reads(&b, 5);
	ck_assert_uint_eq(lab_reader_failures(&b), 0);
	lab_reader_stop(&b);
	ck_assert_int_eq(pid_of("red", "ganesha/ganesha"), red);
	/* A bridge that is made anew, as ifdown and ifup do. */
	ck_assert_int_eq(lab_shell("ip link delete br2 && ip link add br2 type bridge && ip link set br2 up && "
				   "ip link set c2 master br2"),
			 0);
	AWAIT(all_is_in_force());
	wait_backend(f, "b", "up");
	/* Everything, as a start of the machine leaves it. */
	fixture_stop(f);
	lab_end_servers();
	unmount_all();
	ck_assert_int_eq(shell(NULL, "ip -all netns delete; rm -r '%s/run'", f->dir), 0);
	fixture_start(f, NULL, (uid_t)-1);
	expect_in_force();
	/* A network that was taken away under its servers is none that they can stay in. */
	fixture_stop(f);
	ck_assert_int_eq(lab_shell("ip -all netns delete"), 0);
	fixture_start(f, NULL, (uid_t)-1);
	expect_in_force();
}
END_TEST

/* ---- what is lacking ---- */

static void expect_down(const char *why)
{
	json_t *b;

	wait_backend(f, "b", "down");
	b = call(f, "get_backend", "{s:s}", "backend", "b");
	ck_assert_msg(strstr(str_at(b, "status_reason"), why) != NULL, "%s", str_at(b, "status_reason"));
	json_decref(b);
}

START_TEST(without_bridge)
{
	char id[ID_SIZE];
	json_t *e;

	start();
	make_two();
	e = call_error(f, "driver_failed", "create_share_instance", "{s:s,s:s,s:I,s:s,s:s}", "name", "n", "backend",
		       "b", "size_bytes", (json_int_t)MIB, "share_proto", "NFS", "share_network", "later");
	ck_assert_msg(strstr(str_at(e, "message"), "there is no bridge \"br3\"") != NULL, "%s", str_at(e, "message"));
	json_decref(e);
	delete_share("n");
	ck_assert(find_server("later", id));
	expect_gone(id);
	json_decref(call(f, "delete_share_server", "{s:s}", "share_server", id));
	ck_assert_int_eq(lab_shell("ip link add br3 type bridge"), 0);
	make_share("n", "NFS", "later", "five");
	/* Gone again, as when a machine starts before its networks are there: the other tenants are served, and it is
	 * tried again. */
	fixture_stop(f);
	end_servers();
	unmount_all();
	fixture_start(f, NULL, (uid_t)-1);
	expect_down("there is no bridge \"br3\"");
	expect_in_force();
	ck_assert_int_eq(lab_shell("ip link add br3 type bridge"), 0);
	wait_backend(f, "b", "up");
	expect_in_force();
	ck_assert_int_gt(pid_of("later", "ganesha/ganesha"), 1);
}
END_TEST

START_TEST(without_servers)
{
	json_t *share;

	start();
	make_two();
	fixture_stop(f);
	fixture_conf(f, CONF "dir \"b\" { root = \"@DIR@/root\"\n export = {\"ganesha\"} }\n");
	fixture_start(f, NULL, (uid_t)-1);
	share = call(f, "get_share", "{s:s}", "share", "a");
	ck_assert_str_eq(str_at(share, "status"), "error");
	ck_assert_msg(strstr(str_at(share, "status_reason"), "set driver_handles_share_servers again") != NULL, "%s",
		      str_at(share, "status_reason"));
	json_decref(share);
	fixture_stop(f);
	fixture_conf(f, CONF BACKEND);
	fixture_start(f, NULL, (uid_t)-1);
	wait_share(f, "a", "available");
	expect_in_force();
}
END_TEST

START_TEST(without_right)
{
	f = fixture_new(CONF BACKEND);
	fixture_start(f, NULL, 65534);
	expect_down("it needs CAP_NET_ADMIN and CAP_SYS_ADMIN");
}
END_TEST

/* ---- crashes ---- */

/* Once more, by a daemon that goes on: one share, on one server that serves it. */
static bool create_cut_off(unsigned step)
{
	_cleanup_free_ char *request = xasprintf("create %u", step);
	json_t *params =
		json_pack("{s:s,s:s,s:i,s:s,s:s,s:s,s:s}", "name", "a", "backend", "b", "size_bytes", 1000,
			  "share_proto", "NFS", "mode", "0777", "share_network", "blue", "request_id", request);
	bool through = fixture_crash_at(f, step, "create_share_instance", json_incref(params));
	json_t *share, *all;

	fixture_start(f, NULL, (uid_t)-1);
	share = call(f, "create_share_instance", "o", params);
	all = call(f, "list_share_servers", NULL);
	ck_assert_msg(json_array_size(at(all, "share_servers")) == 1, "step %u: %zu servers", step,
		      json_array_size(at(all, "share_servers")));
	ck_assert_str_eq(str_at(all, "share_servers.0.status"), "active");
	ck_assert_str_eq(str_at(share, "share_server_id"), str_at(all, "share_servers.0.id"));
	ck_assert_str_eq(str_at(share, "status"), "available");
	free(allow("a", "ip", CLIENT));
	ck_assert_msg(can_list(A, "a"), "step %u", step);
	json_decref(share);
	json_decref(all);
	fixture_stop(f);
	return through;
}

/* Once more, by a daemon that goes on: nothing is left. */
static bool delete_cut_off(unsigned step)
{
	_cleanup_free_ char *request = xasprintf("delete %u", step);
	char id[ID_SIZE], left[ID_SIZE];
	bool through;

	fixture_start(f, NULL, (uid_t)-1);
	ck_assert(find_server("blue", id));
	fixture_stop(f);
	through = fixture_crash_at(f, step, "delete_share_instance",
				   json_pack("{s:s,s:s}", "share", "a", "request_id", request));
	fixture_start(f, NULL, (uid_t)-1);
	json_decref(call(f, "delete_share_instance", "{s:s,s:s}", "share", "a", "request_id", request));
	/* It died before it got to the server, which then is one without shares, for the timer. */
	if (find_server("blue", left))
		json_decref(call(f, "delete_share_server", "{s:s}", "share_server", left));
	ck_assert_int_eq(lab_shell("[ -z \"$(ip -o link | grep shs)\" ] && [ -z \"$(ls /run/netns)\" ]"), 0);
	ck_assert_int_eq(shell(NULL, "[ -z \"$(ls '%s/root' | grep -v '^\\.')\" ]", f->dir), 0);
	expect_gone(id);
	fixture_stop(f);
	return through;
}

START_TEST(cut_off_at_steps)
{
	/* Some, for each start of a server takes its time; SWEEP_ALL=1 for all. */
	unsigned stride = getenv("SWEEP_ALL") ? 1 : 9, step = getenv("SWEEP_ALL") ? 1 : 5;
	bool created = false, deleted = false;

	f = fixture_new(CONF "dir \"b\" {\n root = \"@DIR@/root\"\n export = {\"ganesha\"}\n"
			     " driver_handles_share_servers = true\n delete_share_server_with_last_share = true\n}\n");
	fixture_start(f, NULL, (uid_t)-1);
	fixture_stop(f);
	for (; !created || !deleted; step += stride) {
		ck_assert_uint_lt(step, 150);
		created = create_cut_off(step) || created;
		deleted = delete_cut_off(step) || deleted;
	}
	printf("killed at steps up to %u\n", step);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server_netns");
	TCase *tc = tcase_create("networks");
	SRunner *runner;
	int failed;

	if (!need_root("server_netns")) {
		printf("100%%: Checks: 0, Failures: 0, Errors: 0\n");
		return EXIT_SUCCESS;
	}
	tcase_add_unchecked_fixture(tc, open_networks, lab_close);
	tcase_add_checked_fixture(tc, begin, finish);
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, tenants);
	tcase_add_test(tc, what_ends_is_put_back);
	tcase_add_test(tc, without_bridge);
	tcase_add_test(tc, without_servers);
	tcase_add_test(tc, without_right);
	tcase_add_test(tc, cut_off_at_steps);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
