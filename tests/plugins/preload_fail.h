/* What tests and a daemon with preload_fail.so in LD_PRELOAD share: a file, mapped by both, whose path is in
 * SHARESD_TEST_FAIL. Zeroed: nothing fails. */
#ifndef TESTS_PLUGINS_PRELOAD_FAIL_H
#define TESTS_PLUGINS_PRELOAD_FAIL_H

#include <stdatomic.h>

struct preload_fail {
	atomic_int counting;     /* allocations are counted, of all threads */
	atomic_long allocations; /* so many were asked for */
	atomic_long fail_at;     /* this one finds no memory (the first is 1; 0: none) .. */
	atomic_int for_good;     /* .. and all after it neither */
	atomic_long failed;      /* so many found none */
	atomic_int no_fallocate; /* the file system has no fallocate */
};

#endif
