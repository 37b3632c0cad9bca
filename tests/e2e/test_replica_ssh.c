/* Replicas on another host: a real sshd in a network namespace of its own, whose key runs sharesd-receive on a btrfs of
 * its own. What comes over, what is cut off, who else knocks, and how that host takes over. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/e2e/harness_mount.h"
#include "tests/e2e/harness_replica.h"
#include "tests/unit/nfs_lab.h"

#include <stdio.h>
#include <unistd.h>

#define MIB (1 << 20)
#define FAR "10.99.9.2"

/* Nothing happens by itself. */
static const char conf[] = "stats_interval = 86400\nusage_interval = 0\nreplica_state_update_interval = 86400\n"
			   "btrfs \"a\" { root = \"@DIR@/a\"\n replication_domain = \"d\"\n }\n"
			   "btrfs_ssh \"far\" { replication_domain = \"d\"\n"
			   " replica_transport = \"ssh://root@" FAR "\"\n ssh_config = \"@DIR@/ssh_config\"\n }\n"
			   "btrfs \"there\" { root = \"@DIR@/far/shares\" }\n";

static const char sshd_config[] =
	"ListenAddress " FAR "\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\nLogLevel VERBOSE\n"
	"PermitRootLogin forced-commands-only\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
	"UsePAM no\nStrictModes no\n";
static const char ssh_config[] = "IdentityFile %s/near\nIdentitiesOnly yes\nUserKnownHostsFile %s/known\n"
				 "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
				 /* Tests make many connections. */
				 "KexAlgorithms curve25519-sha256\n";
/* The command of the key. With DIR/mute it does not tell of a replica whose snapshots it has; with DIR/hold the next
 * stream comes to a stop on its way, until DIR/held is taken away. It deletes nothing while there is DIR/stay, nor
 * with DIR/broken. */
static const char command[] = "#!/bin/bash\n"
			      "case $SSH_ORIGINAL_COMMAND in\n"
			      "*' state '*)\n"
			      " [ -e @DIR@/mute ] && ls @DIR@/far/replicas/*/snapshots/*/name >&2 && exit 255;;\n"
			      "*' delete '*)\n"
			      " touch @DIR@/deleting; while [ -e @DIR@/stay ]; do sleep 0.01; done\n"
			      " [ -e @DIR@/broken ] && echo 'it is broken' >&2 && exit 1;;\n"
			      "*' receive '*)\n"
			      " if mv @DIR@/hold @DIR@/held 2>/dev/null; then\n"
			      "  { head -c 3000000; touch @DIR@/reached; while [ -e @DIR@/held ]; do sleep 0.01; done; "
			      "cat; } | %s @DIR@/far/replicas\n"
			      "  exit\n"
			      " fi;;\n"
			      "esac\n"
			      "exec %s @DIR@/far/replicas\n";
/* Says in DIR/transfers what it was asked, and how much went over. */
static const char recording[] = "#!/bin/bash\nset -o pipefail\necho \"$@\" >>@DIR@/transfers\n"
				"@DIR@/bin/sharesd-transfer.held \"$@\" | tee -a @DIR@/transfers\n";

static pid_t far_host, sshd;

/* ---- two hosts ---- */

static void link_is(const char *state)
{
	ck_assert_int_eq(lab_shell("ip link set near %s", state), 0);
}

static void open_network(void)
{
	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "unshare: %s", strerror(errno));
	/* sshd wants a directory there; and what root's shell does first on this host is no part of the test. */
	ck_assert_int_eq(lab_shell("set -e; mount -t tmpfs tmpfs /run; mkdir -m 0755 /run/sshd; ip link set lo up; "
				   "for f in ~root/.bashrc ~root/.zshenv; do [ ! -e $f ] || "
				   "mount --bind /dev/null $f; done"),
			 0);
	far_host = lab_start_client();
	ck_assert_int_eq(lab_shell("set -e; ip link add near type veth peer name far netns %d; "
				   "ip addr add 10.99.9.1/24 dev near; ip link set near up; nsenter -t %d -n sh -ec "
				   "'ip link set lo up; ip addr add " FAR "/24 dev far; ip link set far up'",
				   (int)far_host, (int)far_host),
			 0);
}

static void write_keys(struct fixture *f)
{
	_cleanup_free_ char *program =
		xasprintf(command, program_path("sharesd-receive"), program_path("sharesd-receive"));
	_cleanup_free_ char *server = xasprintf(sshd_config, f->dir, f->dir);
	_cleanup_free_ char *client = xasprintf(ssh_config, f->dir, f->dir);

	fixture_program(f, "receive", program);
	put(f, "sshd_config", server);
	put(f, "ssh_config", client);
	in_dir(f, "for k in host near; do ssh-keygen -q -t ed25519 -N '' -C '' -f $k || exit 1; done && "
		  "echo \"" FAR " $(cat host.pub)\" >known && "
		  "echo \"restrict,command=\\\"$PWD/receive\\\" $(cat near.pub)\" >authorized");
}

static void start_sshd(const struct fixture *f)
{
	_cleanup_free_ char *ns = xasprintf("--net=/proc/%d/ns/net", (int)far_host);
	const char *config = fixture_path(f, "sshd_config"), *log = fixture_path(f, "sshd.log");

	sshd = fork();
	if (sshd == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("nsenter", "nsenter", ns, "/usr/sbin/sshd", "-D", "-E", log, "-f", config, (char *)NULL);
		_exit(127);
	}
	for (double until = now() + 30; lab_shell("nsenter %s ss -Hltn | grep -q :22", ns) != 0; nap(0.02))
		ck_assert_msg(now() < until, "sshd does not start");
}

static void stop_sshd(void)
{
	kill(sshd, SIGTERM);
	waitpid(sshd, NULL, 0);
}

/* NULL: this machine cannot. */
static struct fixture *start(const char *test)
{
	struct fixture *f;

	if (!mounts_begin(test))
		return NULL;
	open_network();
	f = fixture_new(conf);
	in_dir(f, "mkdir -p far && for x in a far; do truncate -s 256M $x.img && mkfs.btrfs -q $x.img && "
		  "mount -o loop $x.img $x && btrfs quota enable $x || exit 1; done && mkdir -p far/shares "
		  "far/replicas");
	fixture_hold_work(f);
	fixture_program(f, "bin/sharesd-transfer", recording);
	fixture_release_work(f);
	write_keys(f);
	start_sshd(f);
	fixture_start(f, NULL, (uid_t)-1);
	wait_backend(f, "far", "up");
	return f;
}

static void finish(struct fixture *f)
{
	if (f->pid)
		fixture_stop(f);
	stop_sshd();
	kill(far_host, SIGKILL);
	waitpid(far_host, NULL, 0);
	in_dir(f, "until umount a; do sleep 0.01; done && until umount far; do sleep 0.01; done");
	fixture_free(f);
}

/* ---- what is there ---- */

static void create(const struct fixture *f)
{
	json_decref(
		call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "s", "backend", "a", "size_bytes", 64 * MIB));
	in_dir(f, "head -c 10M /dev/urandom >a/s/data/big");
}

/* Bytes that went over since it was asked last; -1: there was no transfer. `ret_whole`: the last one was whole. */
static long sent(const struct fixture *f, bool *ret_whole)
{
	_cleanup_free_ char *text = read_text(fixture_path(f, "transfers"));
	long n = -1;

	for (const char *p = text; p && (p = strstr(p, "\"sent_bytes\":")); p++)
		n = (n < 0 ? 0 : n) + strtol(p + strlen("\"sent_bytes\":"), NULL, 10);
	*ret_whole = text && strstr(text, "data - ") != NULL;
	unlink(fixture_path(f, "transfers"));
	return n;
}

static int subvolumes(const struct fixture *f, const char *disk)
{
	_cleanup_free_ char *text = xasprintf("btrfs subvolume list %s | wc -l", disk);

	return (int)number_of(f, text);
}

static void nothing_on_its_way(const struct fixture *f)
{
	_cleanup_json_ json_t *orphans = call(f, "list_orphans", NULL);

	ck_assert_uint_eq(json_array_size(at(orphans, "orphans")), 0);
	in_dir(f, "! ls far/replicas/*/receiving | grep -v lock$ && ! ls a/.sharesd/replicas/*/ | grep next && "
		  "[ -z \"$(ls a/.sharesd/staging a/.sharesd/trash | grep -v :$)\" ]");
}

/* The replica's data. */
#define HELD "far/replicas/*/shares/*/data"

START_TEST(comes_over)
{
	struct fixture *f = start("comes_over");
	_cleanup_json_ json_t *s = NULL, *backend = NULL, *refused = NULL;
	_cleanup_free_ char *far = NULL, *list = NULL;
	bool whole;

	if (!f)
		return;
	create(f);
	json_decref(
		call(f, "allow_access", "{s:s,s:s,s:s}", "share", "s", "access_type", "user", "access_to", "nobody"));
	replicate(f, "far");
	expect(f, "far", "available", "in_sync");
	ck_assert_int_gt(sent(f, &whole), 10 * MIB);
	ck_assert(whole);
	in_dir(f, "cmp a/s/data/big " HELD "/big");
	/* The share is where it was, and the rules are its own. */
	s = call(f, "get_share", "{s:s}", "share", "s");
	ck_assert_str_eq(str_at(s, "access_rules_status"), "active");
	ck_assert_uint_eq(json_array_size(at(on(s, "far"), "export_locations")), 0);
	backend = call(f, "get_backend", "{s:s}", "backend", "far");
	ck_assert_int_gt(int_at(backend, "capabilities.total_bytes"), 200 * MIB);
	/* Nothing is new. */
	update(f, "far");
	update(f, "far");
	sent(f, &whole);
	update(f, "far");
	ck_assert_int_eq(sent(f, &whole), -1);
	/* The difference. */
	in_dir(f, "head -c 100k /dev/urandom | dd of=a/s/data/big conv=notrunc bs=100k seek=20 2>/dev/null");
	put(f, "a/s/data/f", "two");
	update(f, "far");
	ck_assert_int_lt(sent(f, &whole), 300 << 10);
	ck_assert(!whole);
	in_dir(f, "cmp a/s/data/big " HELD "/big && grep -q two " HELD "/f && ! touch " HELD "/g 2>/dev/null");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	nothing_on_its_way(f);
	/* It is for the other host to take over. */
	far = id_on(f, "far");
	refused = call_error(f, "not_supported", "promote_share_replica", "{s:s}", "replica", far);
	ck_assert_ptr_nonnull(strstr(str_at(refused, "message"), "far"));
	shell(&list, "%s %s/far/replicas list", program_path("sharesd-receive"), f->dir);
	ck_assert_ptr_nonnull(strstr(list, "share\ts\t"));
	ck_assert_ptr_nonnull(strstr(list, far));
	in_dir(f, "btrfs subvolume snapshot " HELD " far/shares/taken >/dev/null");
	json_decref(call(f, "manage_share", "{s:s,s:s,s:s}", "backend", "there", "name", "taken", "provider_location",
			 "taken"));
	has(f, "far/shares/taken/f", "two");
	put(f, "far/shares/taken/f", "mine");
	in_dir(f, "cmp a/s/data/big far/shares/taken/big && grep -q two " HELD "/f");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "taken"));
	drop(f, "far");
	in_dir(f, "! ls -d " HELD " 2>/dev/null");
	ck_assert_int_eq(subvolumes(f, "a"), 1);
	ck_assert_int_eq(subvolumes(f, "far"), 0);
	nothing_on_its_way(f);
	finish(f);
}
END_TEST

static void await_file(const struct fixture *f, const char *name)
{
	for (double until = now() + 60; !exists(fixture_path(f, "%s", name)); nap(0.01))
		ck_assert_msg(now() < until, "%s does not come", name);
}

/* A call whose stream stops on its way. */
static struct client *hold(const struct fixture *f, const char *method, json_t *params, json_int_t *ret_id)
{
	struct client *c = client_new(f);

	put(f, "hold", "");
	*ret_id = client_send_request(c, method, params);
	await_file(f, "reached");
	unlink(fixture_path(f, "reached"));
	return c;
}

/* Where the other host takes its time, the next update tells. */
static void available_on_far(const struct fixture *f, const char *ref)
{
	_cleanup_free_ char *replica = id_on(f, "far");
	bool found = false;

	for (double until = now() + 60; !found; nap(0.05)) {
		_cleanup_json_ json_t *s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", ref);
		json_t *instance;
		size_t i;

		json_array_foreach(at(s, "instances"), i, instance)
			found = found || (strcmp(str_at(instance, "instance_id"), replica) == 0 &&
					  strcmp(str_at(instance, "status"), "available") == 0);
		ck_assert_msg(now() < until, "%s does not come", ref);
	}
}

static void gone_on_far(const struct fixture *f, const char *ref)
{
	for (double until = now() + 60;; nap(0.05)) {
		_cleanup_json_ json_t *list = call(f, "list_snapshots", NULL);
		json_t *s;
		bool listed = false;
		size_t i;

		json_array_foreach(at(list, "snapshots"), i, s)
			listed = listed || strcmp(str_at(s, "name"), strchr(ref, '@') + 1) == 0;
		if (!listed)
			return;
		json_decref(call(f, "update_replicated_snapshot", "{s:s}", "snapshot", ref));
		ck_assert_msg(now() < until, "%s does not go", ref);
	}
}

START_TEST(snapshots)
{
	struct fixture *f = start("snapshots");
	_cleanup_json_ json_t *reply = NULL;
	struct client *c;
	json_int_t id;
	bool whole;

	if (!f)
		return;
	create(f);
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "sun"));
	/* The connection is lost after a part has come over. */
	put(f, "mute", "");
	json_decref(
		call_error(f, "driver_failed", "create_share_replica", "{s:s,s:s}", "share", "s", "backend", "far"));
	ck_assert_int_eq(subvolumes(f, "far"), 1);
	drop(f, "far");
	ck_assert_int_eq(subvolumes(f, "far"), 0);
	unlink(fixture_path(f, "mute"));
	/* One that goes while it comes over. */
	c = hold(f, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "far"), &id);
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@sun"));
	unlink(fixture_path(f, "held"));
	reply = client_reply(c, id);
	client_free(c);
	ck_assert_ptr_nonnull(json_object_get(reply, "result"));
	expect(f, "far", "available", "in_sync");
	ck_assert_int_eq(subvolumes(f, "far"), 1);
	nothing_on_its_way(f);
	gone_on_far(f, "s@sun");
	put(f, "a/s/data/f", "monday");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "mon"));
	put(f, "a/s/data/f", "tuesday");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "tue"));
	put(f, "a/s/data/f", "today");
	sent(f, &whole);
	update(f, "far");
	/* Nothing goes over twice. */
	ck_assert_int_lt(sent(f, &whole), MIB);
	ck_assert(!whole);
	available_on_far(f, "s@mon");
	available_on_far(f, "s@tue");
	in_dir(f, "[ \"$(for i in far/replicas/*/snapshots/*; do echo \"$(cat $i/name) $(cat $i/data/f)\"; done | "
		  "sort | tr '\\n' ' ')\" = 's@mon monday s@tue tuesday ' ] && grep -q today " HELD "/f");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@mon"));
	gone_on_far(f, "s@mon");
	in_dir(f, "[ \"$(cat far/replicas/*/snapshots/*/name)\" = s@tue ]");
	nothing_on_its_way(f);
	/* A replica with its snapshots goes as a whole. */
	drop(f, "far");
	ck_assert_int_eq(subvolumes(f, "far"), 0);
	/* A later one gets what is there by then. */
	replicate(f, "far");
	in_dir(f, "grep -q today " HELD "/f && [ \"$(cat far/replicas/*/snapshots/*/name)\" = s@tue ]");
	nothing_on_its_way(f);
	finish(f);
}
END_TEST

/* ---- what is cut off ---- */

/* Until this side has heard of it. */
static void end_connections(void)
{
	ck_assert_int_eq(lab_shell("for p in $(ps -eo pid,args | awk '/sshd: root@notty/ {print $1}'); do "
				   "[ \"$(readlink /proc/$p/ns/net)\" != \"$(readlink /proc/%d/ns/net)\" ] || "
				   "kill -9 $p; done; until [ -z \"$(ss -Htn state established dst " FAR
				   ")\" ]; do sleep 0.01; done",
				   (int)far_host),
			 0);
}

static json_t *failed(struct client *c, json_int_t id, const char *kind)
{
	json_t *reply = client_reply(c, id), *error = json_incref(at(reply, "error"));

	client_free(c);
	ck_assert_str_eq(str_at(error, "data.kind"), kind);
	json_decref(reply);
	return error;
}

START_TEST(what_is_cut_off)
{
	struct fixture *f = start("what_is_cut_off");
	_cleanup_json_ json_t *e = NULL;
	_cleanup_free_ char *far = NULL;
	struct client *c;
	json_int_t id;
	bool whole;

	if (!f)
		return;
	create(f);
	/* The first copy: nothing of it is left, there or here. */
	c = hold(f, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "far"), &id);
	end_connections();
	unlink(fixture_path(f, "held"));
	json_decref(failed(c, id, "driver_failed"));
	ck_assert_int_eq(subvolumes(f, "a"), 1);
	drop(f, "far");
	nothing_on_its_way(f);
	ck_assert_int_eq(subvolumes(f, "far"), 0);
	replicate(f, "far");
	far = id_on(f, "far");
	/* A difference: the replica stays what it was. */
	in_dir(f, "head -c 8M /dev/urandom >a/s/data/more");
	c = hold(f, "update_share_replica", jsonx_pack("{s:s}", "replica", far), &id);
	end_connections();
	unlink(fixture_path(f, "held"));
	e = failed(c, id, "driver_failed");
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), "ssh"));
	in_dir(f, "cmp a/s/data/big " HELD "/big && ! ls " HELD "/more 2>/dev/null");
	expect(f, "far", "error", "error");
	/* The daemon goes down in the middle of another, and the other host does not hear of it. */
	c = hold(f, "update_share_replica", jsonx_pack("{s:s}", "replica", far), &id);
	client_may_be_cut(c);
	fixture_kill(f);
	client_free(c);
	fixture_start(f, NULL, (uid_t)-1);
	wait_backend(f, "far", "up");
	sent(f, &whole);
	update(f, "far");
	ck_assert(exists(fixture_path(f, "held")));
	unlink(fixture_path(f, "held"));
	ck_assert_int_ge(sent(f, &whole), 8 * MIB);
	ck_assert(!whole);
	in_dir(f, "cmp a/s/data/more " HELD "/more && cmp a/s/data/big " HELD "/big");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	ck_assert_int_eq(subvolumes(f, "far"), 1);
	nothing_on_its_way(f);
	/* Without the pair all goes over again. */
	in_dir(f, "btrfs property set $(echo a/.sharesd/replicas/*/*/data) ro false && "
		  "btrfs subvolume delete a/.sharesd/replicas/*/*/data >/dev/null");
	update(f, "far");
	ck_assert_int_ge(sent(f, &whole), 18 * MIB);
	ck_assert(whole);
	ck_assert_int_eq(subvolumes(f, "far"), 1);
	nothing_on_its_way(f);
	finish(f);
}
END_TEST

/* ---- the other host is away ---- */

static void await_down(const struct fixture *f, const char *reason)
{
	for (double until = now() + 60;; nap(0.05)) {
		_cleanup_json_ json_t *backend = call(f, "get_backend", "{s:s}", "backend", "far");
		const char *said = str_at(backend, "status_reason");

		if (strcmp(str_at(backend, "status"), "down") == 0 && said && strstr(said, reason))
			return;
		ck_assert_msg(now() < until, "the reason is %s", said);
	}
}

START_TEST(when_it_cannot_be_reached)
{
	struct fixture *f = start("when_it_cannot_be_reached");
	_cleanup_json_ json_t *e = NULL;
	_cleanup_free_ char *far = NULL;
	struct client *c;
	json_int_t id;

	if (!f)
		return;
	create(f);
	/* In the middle of a first copy, which goes on by itself when it can. */
	c = hold(f, "create_share_replica", jsonx_pack("{s:s,s:s}", "share", "s", "backend", "far"), &id);
	stop_sshd();
	end_connections();
	link_is("down");
	unlink(fixture_path(f, "held"));
	json_decref(failed(c, id, "backend_down"));
	start_sshd(f);
	link_is("up");
	wait_backend(f, "far", "up");
	await_first_copy(f, "far");
	ck_assert_int_eq(subvolumes(f, "a"), 2);
	nothing_on_its_way(f);
	far = id_on(f, "far");
	link_is("down");
	put(f, "a/s/data/f", "new");
	e = call_error(f, "backend_down", "update_share_replica", "{s:s}", "replica", far);
	ck_assert_ptr_nonnull(strstr(str_at(e, "message"), FAR));
	await_down(f, "ssh");
	/* The share itself has no trouble. */
	json_decref(call(f, "extend_share", "{s:s,s:i}", "share", "s", "size_bytes", 80 * MIB));
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "mon"));
	fixture_stop(f);
	fixture_spawn(f, NULL, (uid_t)-1);
	fixture_wait_started(f);
	wait_backend(f, "far", "down");
	wait_share(f, "s", "available");
	link_is("up");
	wait_backend(f, "far", "up");
	update(f, "far");
	in_dir(f, "grep -q new " HELD "/f && grep -q new far/replicas/*/snapshots/*/data/f");
	nothing_on_its_way(f);
	/* Its disk is gone. */
	fixture_stop(f);
	in_dir(f, "mv far/replicas far/elsewhere && mkdir far/replicas");
	fixture_spawn(f, NULL, (uid_t)-1);
	fixture_wait_started(f);
	await_down(f, "is the right disk mounted");
	in_dir(f, "[ -z \"$(ls far/replicas)\" ] && rmdir far/replicas && mv far/elsewhere far/replicas");
	wait_backend(f, "far", "up");
	update(f, "far");
	finish(f);
}
END_TEST

static const char slow[] = "%sProxyCommand bash -c 'sleep 2.2; exec 3<>/dev/tcp/" FAR "/22; cat <&3 & cat >&3'\n";

static bool publishes(const struct fixture *f)
{
	struct client *c = client_new(f);
	_cleanup_json_ json_t *reply =
		client_request(c, "publish_service_capabilities", jsonx_pack("{s:s}", "backend", "far"));

	client_free(c);
	return json_object_get(reply, "result") != NULL;
}

/* What takes seconds there holds up nothing here, and does not take the backend down. */
START_TEST(a_slow_link)
{
	struct fixture *f = start("a_slow_link");
	_cleanup_free_ char *fast = NULL, *slowly = NULL;

	if (!f)
		return;
	create(f);
	fixture_stop(f);
	fast = read_text(fixture_path(f, "ssh_config"));
	slowly = xasprintf(slow, fast);
	put(f, "ssh_config", slowly);
	fixture_spawn(f, NULL, (uid_t)-1);
	fixture_wait_started(f);
	await_down(f, "no answer yet");
	wait_backend(f, "far", "up");
	for (int n = 0; n < 3; n++)
		ck_assert(publishes(f));
	replicate(f, "far");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "mon"));
	update(f, "far");
	available_on_far(f, "s@mon");
	ck_assert(publishes(f));
	/* It is seen all the same when the host is gone. */
	link_is("down");
	for (double until = now() + 60; publishes(f); nap(0.05))
		ck_assert(now() < until);
	await_down(f, "ssh");
	link_is("up");
	put(f, "ssh_config", fast);
	wait_backend(f, "far", "up");
	drop(f, "far");
	finish(f);
}
END_TEST

/* Nor does what is deleted there. */
START_TEST(slow_deletes)
{
	struct fixture *f = start("slow_deletes");
	_cleanup_json_ json_t *reply = NULL, *s = NULL, *orphans = NULL;
	_cleanup_free_ char *far = NULL;
	struct client *c;
	json_int_t id;

	if (!f)
		return;
	create(f);
	replicate(f, "far");
	json_decref(call(f, "create_snapshot", "{s:s,s:s}", "share", "s", "name", "mon"));
	update(f, "far");
	available_on_far(f, "s@mon");
	/* A snapshot stays `deleting` until it is heard of. */
	put(f, "stay", "");
	json_decref(call(f, "delete_snapshot", "{s:s}", "snapshot", "s@mon"));
	for (int n = 0; n < 2; n++) {
		json_decref(s);
		s = call(f, "update_replicated_snapshot", "{s:s}", "snapshot", "s@mon");
		ck_assert_str_eq(str_at(s, "status"), "deleting");
	}
	await_file(f, "deleting");
	unlink(fixture_path(f, "stay"));
	gone_on_far(f, "s@mon");
	in_dir(f, "[ -z \"$(ls far/replicas/*/snapshots)\" ]");
	/* A replica goes while other calls go on. */
	far = id_on(f, "far");
	put(f, "stay", "");
	unlink(fixture_path(f, "deleting"));
	c = client_new(f);
	id = client_send_request(c, "delete_share_replica", jsonx_pack("{s:s}", "replica", far));
	await_file(f, "deleting");
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:i}", "name", "t", "backend", "a", "size_bytes", MIB));
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "t"));
	expect(f, "far", "deleting", "in_sync");
	unlink(fixture_path(f, "stay"));
	reply = client_reply(c, id);
	client_free(c);
	ck_assert_ptr_nonnull(json_object_get(reply, "result"));
	ck_assert_int_eq(subvolumes(f, "a"), 1);
	ck_assert_int_eq(subvolumes(f, "far"), 0);
	nothing_on_its_way(f);
	/* Force goes past what fails there, and says what stays. */
	replicate(f, "far");
	free(far);
	far = id_on(f, "far");
	put(f, "broken", "");
	json_decref(call_error(f, "driver_failed", "delete_share_replica", "{s:s}", "replica", far));
	expect(f, "far", "error_deleting", "error");
	json_decref(call(f, "delete_share_replica", "{s:s,s:b}", "replica", far, "force", 1));
	unlink(fixture_path(f, "broken"));
	orphans = call(f, "list_orphans", NULL);
	ck_assert_uint_eq(json_array_size(at(orphans, "orphans")), 1);
	ck_assert_str_eq(str_at(orphans, "orphans.0.backend"), "far");
	finish(f);
}
END_TEST

/* ---- who else comes ---- */

/* A stream of who has the key: a link out of the replica, and behind it a file is made, or gets another mode. */
static const char forged[] =
	"import struct, sys\n"
	"table = []\n"
	"for n in range(256):\n"
	"    for _ in range(8): n = n >> 1 ^ 0x82f63b78 if n & 1 else n >> 1\n"
	"    table.append(n)\n"
	"def crc(data):\n"
	"    c = 0\n"
	"    for b in data: c = table[(c ^ b) & 255] ^ c >> 8\n"
	"    return c\n"
	"def attr(kind, value): return struct.pack('<HH', kind, len(value)) + value\n"
	"def command(kind, *attrs):\n"
	"    body = b''.join(attrs)\n"
	"    head = struct.pack('<IHI', len(body), kind, 0)\n"
	"    return struct.pack('<IHI', len(body), kind, crc(head + body)) + body\n"
	"def ino(n): return attr(3, struct.pack('<Q', n))\n"
	"link, out = sys.argv[1].encode(), sys.stdout.buffer\n"
	"out.write(b'btrfs-stream\\0' + struct.pack('<I', 1))\n"
	"out.write(command(1, attr(15, b'data'), attr(1, bytes(range(16))), attr(2, struct.pack('<Q', 9))))\n"
	"if link:\n"
	"    out.write(command(8, attr(15, b'out'), ino(257), attr(17, link)))\n"
	"    if sys.argv[2] == 'make': out.write(command(3, attr(15, b'out/evil'), ino(258)))\n"
	"    else: out.write(command(18, attr(15, b'out/evil'), attr(5, struct.pack('<Q', 0o666))))\n"
	"else: out.write(command(3, attr(15, b'good'), ino(257)))\n"
	"out.write(command(21))\n";

static int send_forged(const struct fixture *f, const char *link, const char *what)
{
	return shell(NULL,
		     "cd %s && B=$(ls far/replicas) && python3 forged.py '%s' %s | ssh -F ssh_config root@" FAR
		     " $B receive share $B n 2>said",
		     f->dir, link, what);
}

/* Below DIR. */
static void cannot_reach(const struct fixture *f, const char *place)
{
	const char *evil = fixture_path(f, "%s/evil", place);
	struct stat st;

	ck_assert_int_ne(send_forged(f, fixture_path(f, "%s", place), "make"), 0);
	in_dir(f, "grep -q evil said");
	ck_assert(!exists(evil));
	write_file(evil, "");
	ck_assert_int_eq(chmod(evil, 0600), 0);
	ck_assert_int_ne(send_forged(f, fixture_path(f, "%s", place), "chmod"), 0);
	ck_assert_int_eq(stat(evil, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	unlink(evil);
}

static char *all_there(const struct fixture *f)
{
	char *list = NULL;

	ck_assert_int_eq(shell(&list, "cd %s && find far -not -name '*.lock' -printf '%%p %%i\n' | sort", f->dir), 0);
	return list;
}

START_TEST(what_the_key_may_do)
{
	static const char *const refused[] = {
		"", "ls /", "../.. make", "$B make x", "$B receive share ../../../x n", "$B delete share ..", NULL,
	};
	struct fixture *f = start("what_the_key_may_do");
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (!f)
		return;
	create(f);
	replicate(f, "far");
	before = all_there(f);
	for (const char *const *one = refused; *one; one++) {
		_cleanup_free_ char *said = NULL;
		int status = shell(&said,
				   "cd %s && B=$(ls far/replicas) && ssh -F ssh_config -oBatchMode=yes root@" FAR
				   " %s </dev/null 2>&1",
				   f->dir, one[0]);

		ck_assert_msg(status > 0 && status < 10 && said && *said, "\"%s\": %d, %s", *one, status, said);
	}
	/* What is no stream, and one that is not whole, which btrfs receive by itself would take. */
	ck_assert_int_ne(shell(NULL,
			       "cd %s && B=$(ls far/replicas) && echo nonsense | ssh -F ssh_config root@" FAR
			       " $B receive share $B n 2>/dev/null",
			       f->dir),
			 0);
	ck_assert_int_ne(shell(NULL,
			       "cd %s && B=$(ls far/replicas) && btrfs send -q a/.sharesd/replicas/*/*/data | "
			       "head -c $((17 + 10)) | ssh -F ssh_config root@" FAR
			       " $B receive share $B n 2>/dev/null",
			       f->dir),
			 0);
	put(f, "forged.py", forged);
	cannot_reach(f, ".");
	cannot_reach(f, "far");
	ck_assert_int_eq(send_forged(f, "", "make"), 0);
	in_dir(f, "B=$(ls far/replicas) && [ -e far/replicas/$B/shares/$B/data/good ] && ssh -F ssh_config root@" FAR
		  " $B delete share $B");
	after = all_there(f);
	ck_assert_str_eq(before, after);
	update(f, "far");
	in_dir(f, "cmp a/s/data/big " HELD "/big");
	finish(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replica_ssh");
	TCase *tc = tcase_create("replica_ssh");
	SRunner *sr;
	int failures;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, comes_over);
	tcase_add_test(tc, snapshots);
	tcase_add_test(tc, what_is_cut_off);
	tcase_add_test(tc, when_it_cannot_be_reached);
	tcase_add_test(tc, a_slow_link);
	tcase_add_test(tc, slow_deletes);
	tcase_add_test(tc, what_the_key_may_do);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
