#include "tests/e2e/harness_fail.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static char preload[600], path[300];

struct preload_fail *fail_new(const struct fixture *f)
{
	void *p;
	int fd;

	if (is_sanitized())
		return NULL;
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s", program_path("tests/plugins/preload_fail.so"));
	snprintf(path, sizeof path, "SHARESD_TEST_FAIL=%s/fail", f->dir);
	fd = open(fixture_path(f, "fail"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof(struct preload_fail)), 0);
	p = mmap(NULL, sizeof(struct preload_fail), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	close(fd);
	return p;
}

const char *const *fail_env(void)
{
	static const char *const env[] = { preload, path, NULL };

	return env;
}
