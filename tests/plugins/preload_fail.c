/* Goes into a daemon by LD_PRELOAD: fails the Nth allocation of all that is linked or loaded (SQLite's, libevent's and
 * libc's own among them), and fallocate. It is told how by preload_fail.h's file. */
#include "tests/plugins/preload_fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's own, under names that nobody replaces. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
/* NOLINTEND(bugprone-reserved-identifier) */

static struct preload_fail *control;

__attribute__((constructor)) static void find_control(void)
{
	const char *path = getenv("SHARESD_TEST_FAIL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		control = p;
	close(fd);
}

static bool fails(void)
{
	long n, at;

	if (!control || !atomic_load(&control->counting))
		return false;
	n = atomic_fetch_add(&control->allocations, 1) + 1;
	at = atomic_load(&control->fail_at);
	if (at == 0 || n < at || (n > at && !atomic_load(&control->for_good)))
		return false;
	atomic_fetch_add(&control->failed, 1);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return fails() ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *p = fails() ? NULL : __libc_memalign(alignment, n);

	if (p)
		*ret = p;
	return p ? 0 : ENOMEM;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (control && atomic_load(&control->no_fallocate)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}
