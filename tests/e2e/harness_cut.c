#include "tests/e2e/harness_cut.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB          ((size_t)1 << 20)
#define DISK_BYTES   (32 * MIB)
#define LOG_BYTES    (192 * MIB)
#define LOG_REQUESTS 65536
/* Of one request, with the room that the kernel asks for beside it. */
#define WRITE_MAX  (128 * 1024)
#define BUFFER_MAX (WRITE_MAX + 65536)

struct request {
	uint64_t offset;
	uint32_t len; /* 0: a flush */
	size_t at;    /* in `written` */
};

/* Of the disk's process and those that use it. */
struct shared {
	atomic_size_t n;
	atomic_bool full;
	size_t n_written;
	struct request requests[LOG_REQUESTS];
};

struct cut_disk {
	const struct fixture *f;
	struct shared *shared;
	unsigned char *now, *written; /* the disk as it is; all that was ever written, one after the other */
	unsigned char *stable;        /* after the last flush before `position` */
	size_t position, flushed;
	pid_t server;
	bool mounted;
};

static void *share_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

/* ---- the disk ---- */

static void write_down(struct cut_disk *d, uint64_t offset, const void *data, uint32_t len)
{
	struct shared *s = d->shared;
	size_t n = atomic_load(&s->n);

	if (n == LOG_REQUESTS || s->n_written + len > LOG_BYTES)
		atomic_store(&s->full, true);
	if (atomic_load(&s->full))
		return;
	s->requests[n] = (struct request){ .offset = offset, .len = len, .at = s->n_written };
	if (len)
		memcpy(d->written + s->n_written, data, len);
	s->n_written += len;
	atomic_store(&s->n, n + 1);
}

static struct fuse_attr attributes(void)
{
	return (struct fuse_attr){ .ino = 1,
				   .size = DISK_BYTES,
				   .blocks = DISK_BYTES / 512,
				   .mode = S_IFREG | 0600,
				   .nlink = 1,
				   .blksize = CUT_BLOCK };
}

static void reply(int fd, const struct fuse_in_header *in, int error, const void *data, size_t len)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof out + len), .error = error, .unique = in->unique };
	struct iovec parts[] = { { &out, sizeof out }, { (void *)data, len } };

	(void)!writev(fd, parts, len ? 2 : 1);
}

static void serve_write(struct cut_disk *d, int fd, const struct fuse_in_header *in, const void *body)
{
	const struct fuse_write_in *w = body;
	struct fuse_write_out out = { .size = w->size };

	if (w->offset > DISK_BYTES || w->size > DISK_BYTES - w->offset) {
		reply(fd, in, -EFBIG, NULL, 0);
		return;
	}
	memcpy(d->now + w->offset, w + 1, w->size);
	write_down(d, w->offset, w + 1, w->size);
	reply(fd, in, 0, &out, sizeof out);
}

static void serve_read(struct cut_disk *d, int fd, const struct fuse_in_header *in, const void *body)
{
	const struct fuse_read_in *r = body;
	size_t from = r->offset < DISK_BYTES ? r->offset : DISK_BYTES, left = DISK_BYTES - from;

	reply(fd, in, 0, d->now + from, r->size < left ? r->size : left);
}

static void serve(struct cut_disk *d, int fd, const struct fuse_in_header *in, const void *body)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = 31,
				      .max_readahead = WRITE_MAX,
				      .flags = FUSE_BIG_WRITES,
				      .max_background = 32,
				      .max_write = WRITE_MAX };
	struct fuse_attr_out attr = { .attr_valid = 3600, .attr = attributes() };
	struct fuse_open_out opened = { .fh = 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in, 0, &init, sizeof init);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		reply(fd, in, 0, &attr, sizeof attr);
		break;
	case FUSE_OPEN:
		reply(fd, in, 0, &opened, sizeof opened);
		break;
	case FUSE_WRITE:
		serve_write(d, fd, in, body);
		break;
	case FUSE_READ:
		serve_read(d, fd, in, body);
		break;
	case FUSE_FSYNC:
		write_down(d, 0, NULL, 0);
		reply(fd, in, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_ACCESS:
		reply(fd, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, in, -ENOSYS, NULL, 0);
	}
}

static _Noreturn void be_disk(struct cut_disk *d, int fd)
{
	static _Alignas(8) unsigned char buffer[BUFFER_MAX];
	ssize_t n;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && (errno == EINTR || errno == ENOENT)))
		if (n > 0)
			serve(d, fd, (const struct fuse_in_header *)buffer, buffer + sizeof(struct fuse_in_header));
	_exit(0);
}

/* ---- making and mounting it ---- */

static const char *image(const struct cut_disk *d)
{
	return fixture_path(d->f, "image");
}

static void read_image(const struct cut_disk *d, unsigned char *to)
{
	int fd = open(image(d), O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, to + done, DISK_BYTES - done)) > 0)
		done += (size_t)n;
	ck_assert_uint_eq(done, DISK_BYTES);
	close(fd);
}

static bool mount_fuse(struct cut_disk *d)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];
	bool ok;

	if (fd < 0)
		return false;
	snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0", fd);
	ok = mount("sharesd-test", image(d), "fuse", MS_NOSUID | MS_NODEV, options) == 0;
	if (ok) {
		fflush(NULL);
		d->server = fork();
		ck_assert_int_ge(d->server, 0);
		if (d->server == 0)
			be_disk(d, fd);
	}
	close(fd);
	return ok;
}

static bool mount_image(struct cut_disk *d)
{
	d->mounted = shell(NULL, "mount -o loop,errors=remount-ro '%s' '%s/disk'", image(d), d->f->dir) == 0;
	return d->mounted;
}

static struct cut_disk *skip(struct cut_disk *d, const char *test_name, const char *why)
{
	printf("SKIP %s: %s\n", test_name, why);
	fflush(stdout);
	cut_free(d);
	return NULL;
}

struct cut_disk *cut_new(const struct fixture *f, const char *test_name)
{
	struct cut_disk *d = calloc(1, sizeof *d);

	ck_assert_ptr_nonnull(d);
	d->f = f;
	d->shared = share_memory(sizeof *d->shared);
	d->now = share_memory(DISK_BYTES);
	d->written = share_memory(LOG_BYTES);
	d->stable = share_memory(DISK_BYTES);
	if (access("/dev/loop-control", F_OK) < 0 || access("/dev/fuse", F_OK) < 0)
		return skip(d, test_name, "no loop devices or no FUSE");
	/* All is made at once, so that nothing is written but by those who are tested. */
	ck_assert_int_eq(shell(NULL,
			       "mkdir -p '%s/disk' && truncate -s %zu '%s' && mkfs.ext4 -q -F -b %d -m 0 -E "
			       "lazy_itable_init=0,lazy_journal_init=0 '%s'",
			       f->dir, DISK_BYTES, image(d), CUT_BLOCK, image(d)),
			 0);
	read_image(d, d->now);
	memcpy(d->stable, d->now, DISK_BYTES);
	if (!mount_fuse(d))
		return skip(d, test_name, "FUSE cannot be mounted");
	if (!mount_image(d))
		return skip(d, test_name, "a loop device cannot be mounted");
	return d;
}

void cut_unmount(struct cut_disk *d)
{
	if (d->mounted)
		ck_assert_msg(umount(fixture_path(d->f, "disk")) == 0, "cannot unmount the disk: %s", strerror(errno));
	d->mounted = false;
}

void cut_stop(struct cut_disk *d)
{
	if (d->mounted)
		umount2(fixture_path(d->f, "disk"), MNT_DETACH);
	d->mounted = false;
	if (d->server > 0) {
		kill(d->server, SIGKILL);
		waitpid(d->server, NULL, 0);
		umount2(image(d), MNT_DETACH);
	}
	d->server = 0;
}

void cut_free(struct cut_disk *d)
{
	if (!d)
		return;
	cut_stop(d);
	munmap(d->shared, sizeof *d->shared);
	munmap(d->now, DISK_BYTES);
	munmap(d->written, LOG_BYTES);
	munmap(d->stable, DISK_BYTES);
	free(d);
}

/* ---- cutting ---- */

size_t cut_position(const struct cut_disk *d)
{
	return atomic_load(&d->shared->n);
}

bool cut_is_full(const struct cut_disk *d)
{
	return atomic_load(&d->shared->full);
}

static void put(const struct cut_disk *d, unsigned char *to, const struct request *r, size_t from, size_t len)
{
	memcpy(to + r->offset + from, d->written + r->at + from, len);
}

/* `stable` becomes what is certain at this position. */
static void settle(struct cut_disk *d, size_t position)
{
	size_t last = d->flushed;

	ck_assert_uint_ge(position, d->position);
	for (size_t i = d->flushed; i < position; i++)
		if (d->shared->requests[i].len == 0)
			last = i;
	for (size_t i = d->flushed; i < last; i++)
		put(d, d->stable, &d->shared->requests[i], 0, d->shared->requests[i].len);
	d->flushed = last;
	d->position = position;
}

static bool toss(unsigned *seed)
{
	return rand_r(seed) & 0x400;
}

static void put_some(const struct cut_disk *d, unsigned char *to, const struct request *r, enum cut_loss loss,
		     unsigned *seed)
{
	if (loss == CUT_LOSES_ALL || (loss == CUT_LOSES_WRITES && toss(seed)))
		return;
	for (size_t at = 0; at < r->len; at += CUT_BLOCK)
		if (loss != CUT_LOSES_BLOCKS || toss(seed))
			put(d, to, r, at, r->len - at < CUT_BLOCK ? r->len - at : CUT_BLOCK);
}

/* Onto zeros: most of a disk is empty, and stays a hole. */
static void copy_used(unsigned char *to, const unsigned char *from)
{
	static const unsigned char zeros[CUT_BLOCK];

	for (size_t at = 0; at < DISK_BYTES; at += CUT_BLOCK)
		if (memcmp(from + at, zeros, CUT_BLOCK) != 0)
			memcpy(to + at, from + at, CUT_BLOCK);
}

void cut_mount(struct cut_disk *d, size_t position, enum cut_loss loss, unsigned *seed)
{
	unsigned char *disk;
	int fd;

	settle(d, position);
	/* A new file: nothing that the kernel still remembers of the one before is in the way. */
	unlink(image(d));
	fd = open(image(d), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_msg(fd >= 0 && ftruncate(fd, DISK_BYTES) == 0, "%s: %s", image(d), strerror(errno));
	disk = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(disk, MAP_FAILED);
	copy_used(disk, d->stable);
	for (size_t i = d->flushed; i < position; i++)
		put_some(d, disk, &d->shared->requests[i], loss, seed);
	munmap(disk, DISK_BYTES);
	close(fd);
	ck_assert_msg(mount_image(d), "what a cut at %zu left cannot be mounted", position);
}
