/* A disaster, from the outside: a share on one btrfs with a replica on another, both exported, and an NFS client that
 * writes all the time. The first file system is taken away; the replica is promoted, and the client goes on there with
 * all that was in sync; what was away comes back as a replica like others. At no time are two active. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "tests/e2e/harness.h"
#include "tests/unit/nfs_lab.h"

#define MIB  (1024 * 1024)
#define A_IS "10.99.1.2"

static struct fixture *f;

static const char conf[] = "runtime_dir = \"@DIR@/run\"\nganesha_grace_period = 0\nexport_addresses = {\"nas\"}\n"
			   "stats_interval = 0.5\nreplica_state_update_interval = 86400\n"
			   "btrfs \"a\" {\n root = \"@DIR@/one/shares\"\n export = {\"ganesha\"}\n"
			   " replication_domain = \"d\"\n}\n"
			   "btrfs \"b\" {\n root = \"@DIR@/two/shares\"\n export = {\"ganesha\"}\n"
			   " replication_domain = \"d\"\n}\n";

/* ---- two file systems ---- */

static bool make_pools(const char *test_name)
{
	if (shell(NULL,
		  "cd '%s' && rm -rf one two && for i in one two; do truncate -s 512M $i.img && mkfs.btrfs -q $i.img "
		  ">/dev/null 2>&1 && "
		  "mkdir $i && mount -o loop $i.img $i && btrfs quota enable $i && mkdir $i/shares || exit 1; done",
		  f->dir) == 0)
		return true;
	printf("SKIP %s: no btrfs on a loop device here\n", test_name);
	ck_assert_msg(!getenv("CI"), "everything can be had in CI");
	return false;
}

static void begin(void)
{
	lab_end_servers();
	f = NULL;
}

static void end(void)
{
	lab_end_servers();
	if (!f)
		return;
	(void)shell(NULL, "umount -l '%s'/run/exports/*/* '%s/one' '%s/two' 2>/dev/null", f->dir, f->dir, f->dir);
	fixture_free(f);
}

/* ---- a client that writes ---- */

/* A record is its number in eight digits. Each was answered before the next is sent. */
enum { RECORD = 8 };

struct writer {
	pid_t pid;
	struct progress {
		atomic_ulong written;
		atomic_bool stop;
	} * shared;
};

static void write_on(struct progress *p)
{
	struct lab_libnfs n;
	void *fh, *nfs = lab_open_file(&n, A, "photos", "log", O_WRONLY, &fh);

	n.set_timeout(nfs, 2000);
	while (!atomic_load(&p->stop)) {
		unsigned long number = atomic_load(&p->written);
		char record[RECORD + 1];

		snprintf(record, sizeof record, "%07lu\n", number);
		if (n.pwrite(nfs, fh, number * RECORD, RECORD, record) != RECORD)
			break;
		atomic_store(&p->written, number + 1);
	}
	_exit(0);
}

static unsigned long await_written(const struct writer *w, unsigned long more)
{
	unsigned long wanted = atomic_load(&w->shared->written) + more;
	double until = now() + 60;

	while (atomic_load(&w->shared->written) < wanted) {
		ck_assert_int_eq(waitpid(w->pid, NULL, WNOHANG), 0);
		ck_assert_msg(now() < until, "writing does not go on");
		nap(0.002);
	}
	return atomic_load(&w->shared->written);
}

static struct writer start_writer(void)
{
	struct writer w;

	w.shared = mmap(NULL, sizeof *w.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(w.shared, MAP_FAILED);
	w.pid = fork();
	if (w.pid == 0)
		write_on(w.shared);
	await_written(&w, 20);
	return w;
}

static unsigned long stop_writer(struct writer *w)
{
	unsigned long written;
	int status;

	atomic_store(&w->shared->stop, true);
	ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %x", (unsigned)status);
	written = atomic_load(&w->shared->written);
	munmap(w->shared, sizeof *w->shared);
	return written;
}

/* ---- a watch that nothing is active twice ---- */

struct watch {
	pid_t pid;
	atomic_bool *stop;
};

static unsigned count_active(struct client *c)
{
	_cleanup_json_ json_t *list = client_call(c, "list_replicas", "{s:s}", "share", "photos");
	unsigned n = 0;
	json_t *one;
	size_t i;

	json_array_foreach(at(list, "replicas"), i, one)
		n += strcmp(str_at(one, "replica_state"), "active") == 0;
	return n;
}

static struct watch start_watch(void)
{
	struct watch w = { .stop = mmap(NULL, sizeof *w.stop, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
					0) };

	ck_assert_ptr_ne(w.stop, MAP_FAILED);
	w.pid = fork();
	if (w.pid == 0) {
		struct client *c = client_new(f);
		unsigned most = 0;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!atomic_load(w.stop)) {
			unsigned n = count_active(c);

			most = n > most ? n : most;
			nap(0.001);
		}
		_exit(most == 1 ? 0 : 1);
	}
	return w;
}

static void stop_watch(struct watch *w)
{
	int status;

	atomic_store(w->stop, true);
	ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "two replicas were active at a time, or none was");
	munmap(w->stop, sizeof *w->stop);
}

/* ---- what is where ---- */

static char *replica_on(const char *backend)
{
	_cleanup_json_ json_t *list = call(f, "list_replicas", "{s:s}", "share", "photos");
	json_t *one;
	size_t i;

	json_array_foreach(at(list, "replicas"), i, one)
		if (strcmp(str_at(one, "backend"), backend) == 0)
			return strdup(str_at(one, "id"));
	ck_abort_msg("there is no replica on %s", backend);
	return NULL;
}

static void expect_state(const char *backend, const char *state)
{
	_cleanup_json_ json_t *list = call(f, "list_replicas", "{s:s}", "share", "photos");
	bool found = false;
	json_t *one;
	size_t i;

	json_array_foreach(at(list, "replicas"), i, one)
		if (strcmp(str_at(one, "backend"), backend) == 0) {
			ck_assert_msg(strcmp(str_at(one, "replica_state"), state) == 0 &&
					      strcmp(str_at(one, "status"), "available") == 0,
				      "the replica on %s is %s and %s, not %s", backend, str_at(one, "status"),
				      str_at(one, "replica_state"), state);
			found = true;
		}
	ck_assert_msg(found, "there is no replica on %s", backend);
}

static void act(const char *method, const char *backend)
{
	_cleanup_free_ char *id = replica_on(backend);

	json_decref(call(f, method, "{s:s}", "replica", id));
}

/* How many records there are, one after another. */
static unsigned long read_records(const char *share)
{
	_cleanup_free_ char *text = NULL;
	unsigned long n = 0;

	ck_assert_int_eq(shell(&text, "nsenter -t %d -n timeout 60 nfs-cat 'nfs://10.99.1.1/%s/log?version=4'",
			       (int)lab_client[A], share),
			 0);
	for (const char *p = text; *p; p += RECORD, n++)
		ck_assert_msg(strlen(p) >= RECORD && strtoul(p, NULL, 10) == n, "record %lu is %.8s", n, p);
	return n;
}

static void make_share(void)
{
	json_decref(call(f, "create_share_instance", "{s:s,s:s,s:I,s:s,s:s}", "name", "photos", "backend", "a",
			 "size_bytes", (json_int_t)(64 * MIB), "share_proto", "NFS", "mode", "0777"));
	json_decref(call(f, "allow_access", "{s:s,s:s,s:s,s:s}", "share", "photos", "access_type", "ip", "access_to",
			 A_IS, "access_level", "rw"));
	ck_assert_int_eq(
		shell(NULL, "cd '%s/one/shares/photos/data' && echo first >f && touch log && chmod 666 log", f->dir),
		0);
	json_decref(call(f, "create_share_replica", "{s:s,s:s}", "share", "photos", "backend", "b"));
	act("update_share_replica", "b");
	expect_state("b", "in_sync");
}

/* ---- the drill ---- */

START_TEST(drill)
{
	unsigned long in_sync, all, there;
	struct writer writer;
	struct watch watch;

	f = fixture_new(conf);
	if (!make_pools("drill"))
		return;
	fixture_start(f, NULL, (uid_t)-1);
	make_share();
	ck_assert(can_read(A, "photos@b", "f", "first") && !can_write(A, "photos@b", "x") && !can_list(B, "photos@b"));
	watch = start_watch();
	writer = start_writer();
	in_sync = await_written(&writer, 50);
	act("update_share_replica", "b");
	await_written(&writer, 50);
	/* Whoever has a file open there goes on writing to what nobody finds any more. */
	ck_assert_int_eq(shell(NULL, "umount -l '%s/one'", f->dir), 0);
	wait_backend(f, "a", "down");
	expect_state("b", "in_sync");
	act("promote_share_replica", "b");
	expect_state("b", "active");
	all = stop_writer(&writer);
	there = read_records("photos");
	ck_assert_msg(there >= in_sync && there <= all, "%lu records of %lu, and %lu were in sync", there, all,
		      in_sync);
	/* The client goes on. */
	writer = start_writer();
	ck_assert(can_write(A, "photos", "after"));
	ck_assert_int_eq(shell(NULL, "cd '%s' && mount -o loop one.img one", f->dir), 0);
	wait_backend(f, "a", "up");
	expect_state("a", "out_of_sync");
	ck_assert(!can_write(A, "photos@a", "x"));
	in_sync = await_written(&writer, 50);
	act("update_share_replica", "a");
	expect_state("a", "in_sync");
	all = stop_writer(&writer);
	there = read_records("photos@a");
	ck_assert_msg(there >= in_sync && there <= all, "%lu records of %lu, and %lu were in sync", there, all,
		      in_sync);
	ck_assert(can_read(A, "photos@a", "f", "first") && !can_write(A, "photos@a", "x"));
	/* And back again, with nothing lost. */
	act("update_share_replica", "a");
	act("promote_share_replica", "a");
	ck_assert_uint_eq(read_records("photos"), all);
	ck_assert(can_write(A, "photos", "again") && !can_write(A, "photos@b", "x"));
	stop_watch(&watch);
	ck_assert(exists(fixture_path(f, "one/shares/photos/data/again")));
	act("delete_share_replica", "b");
	json_decref(call(f, "delete_share_instance", "{s:s}", "share", "photos"));
	ck_assert_int_eq(shell(NULL, "grep -qF '%s/run/exports' /proc/self/mountinfo", f->dir), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disaster");
	TCase *t = tcase_create("drill");
	SRunner *r;
	int failed;

	if (!need_root("disaster")) {
		printf("100%%: Checks: 0, Failures: 0, Errors: 0\n");
		return EXIT_SUCCESS;
	}
	tcase_add_unchecked_fixture(t, lab_open, lab_close);
	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, drill);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
