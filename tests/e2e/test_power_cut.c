/* The power fails while clients change shares: the store and a `dir` backend lie on a disk that remembers what it was
 * told (harness_cut.h says why what is found there is what a machine would find). Of one run under load many cuts are
 * made, each is mounted, the daemon starts on it, and all that had been answered by then is as it was answered. */
#include "base/cleanup.h"
#include "tests/e2e/harness_cut.h"
#include "tests/e2e/harness_load.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <unistd.h>

/* CUTS=N makes it N. */
enum { CUTS = 50, SECONDS = 20, MORE_SECONDS = 100, ENOUGH_NOTES = 2000, LEAST_NOTES = 300, NOTES = 20000 };

/* What a client knew, and how far the disk was then. */
struct known {
	size_t position;
	unsigned item;
	struct load_item is;
};

/* On shared memory; each client has its own. */
struct notes {
	struct cut_disk *disk;
	atomic_size_t n[LOAD_CLIENTS];
	struct known known[LOAD_CLIENTS][NOTES];
};

/* The position is read when the answer is there (or before the request goes out), so a cut at or behind it must find
 * it. */
static void note(void *data, unsigned client, unsigned item, const struct load_item *it)
{
	struct notes *notes = data;
	size_t n = atomic_load(&notes->n[client]);

	if (n == NOTES)
		return;
	notes->known[client][n] = (struct known){ .position = cut_position(notes->disk), .item = item, .is = *it };
	atomic_store(&notes->n[client], n + 1);
}

static size_t count_notes(const struct notes *notes)
{
	size_t n = 0;

	for (unsigned i = 0; i < LOAD_CLIENTS; i++)
		n += atomic_load(&notes->n[i]);
	return n;
}

/* What the clients knew when the power failed. */
static struct load *load_at(const struct notes *notes, size_t position)
{
	struct load *l = load_new();

	for (unsigned i = 0; i < LOAD_CLIENTS; i++)
		for (size_t k = 0; k < atomic_load(&notes->n[i]); k++) {
			const struct known *known = &notes->known[i][k];

			if (known->position <= position)
				l->items[i][known->item] = known->is;
		}
	return l;
}

/* ---- the places on the disk ---- */

static void bind(const struct fixture *f, const char *name)
{
	ck_assert_int_eq(shell(NULL, "mkdir -p -m 0700 '%s/disk/%s' '%s/%s'", f->dir, name, f->dir, name), 0);
	ck_assert_msg(mount(fixture_path(f, "disk/%s", name), fixture_path(f, "%s", name), NULL, MS_BIND, NULL) == 0,
		      "%s: %s", name, strerror(errno));
}

static void bind_both(const struct fixture *f)
{
	bind(f, "state");
	bind(f, "root");
}

static void unbind(const struct fixture *f, int flags)
{
	umount2(fixture_path(f, "state"), flags);
	umount2(fixture_path(f, "root"), flags);
}

/* ---- */

/* Returns where the load began: a cut before that is none of ours. */
static size_t run_load(struct fixture *f, struct cut_disk *disk, struct notes *notes, unsigned seed)
{
	struct load *l = load_new();
	pid_t clients[LOAD_CLIENTS];
	double until = now() + SECONDS;
	size_t from;

	fixture_start(f, NULL, (uid_t)-1);
	from = cut_position(disk);
	l->note = note;
	l->data = notes;
	load_start(f, l, seed, clients);
	/* A busy machine has its time for the least of it. */
	while ((now() < until || (count_notes(notes) < LEAST_NOTES && now() < until + MORE_SECONDS)) &&
	       !cut_is_full(disk) && count_notes(notes) < ENOUGH_NOTES)
		nap(0.01);
	fixture_kill(f);
	load_wait(clients);
	ck_assert_uint_ge(count_notes(notes), LEAST_NOTES);
	load_free(l);
	return from;
}

static void try_cut(struct fixture *f, struct cut_disk *disk, const struct notes *notes, unsigned cut, size_t position,
		    unsigned *seed)
{
	struct load *l = load_at(notes, position);
	char where[64];

	snprintf(where, sizeof where, "cut %u at request %zu, loss %u", cut, position, cut % CUT_LOSSES);
	cut_mount(disk, position, (enum cut_loss)(cut % CUT_LOSSES), seed);
	bind_both(f);
	fixture_start(f, NULL, (uid_t)-1);
	load_check(f, l, where);
	fixture_stop(f);
	unbind(f, 0);
	cut_unmount(disk);
	load_free(l);
}

static int compare(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned choose_seed(void)
{
	const char *given = getenv("SEED");
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)tv.tv_usec;
}

static void cut_all(struct fixture *f, struct cut_disk *disk, struct notes *notes, unsigned seed)
{
	const char *given = getenv("CUTS");
	unsigned cuts = given ? (unsigned)strtoul(given, NULL, 10) : CUTS;
	size_t *positions = calloc(cuts, sizeof *positions), from = run_load(f, disk, notes, seed);
	size_t n = cut_position(disk) - from;

	unbind(f, MNT_DETACH);
	cut_stop(disk);
	for (unsigned i = 0; i < cuts; i++)
		positions[i] = from + (size_t)rand_r(&seed) % n;
	qsort(positions, cuts, sizeof *positions, compare);
	for (unsigned i = 0; i < cuts; i++)
		try_cut(f, disk, notes, i, positions[i], &seed);
	printf("%u cuts in %zu requests to the disk and %zu notes of the clients\n", cuts, n, count_notes(notes));
	free(positions);
}

START_TEST(test_power_cut)
{
	struct notes *notes =
		mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned seed = choose_seed();
	struct fixture *f;

	if (!need_root("test_power_cut"))
		return;
	ck_assert_ptr_ne(notes, MAP_FAILED);
	/* A namespace of its own, so that nothing stays mounted whatever happens. */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	printf("SEED=%u\n", seed);
	fflush(stdout);
	f = fixture_new("log_level = \"warning\"\ndir \"b\" { root = \"@DIR@/root\" }\n");
	notes->disk = cut_new(f, "test_power_cut");
	if (notes->disk) {
		bind_both(f);
		cut_all(f, notes->disk, notes, seed);
	}
	cut_free(notes->disk);
	fixture_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("power_cut");
	TCase *tc = tcase_create("power_cut");
	SRunner *runner;
	int failed;

	/* Images are written often and need not last. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_power_cut);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
