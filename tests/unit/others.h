/* May other users run what was built here? Not below a home directory that is its owner's alone. */
#ifndef TESTS_UNIT_OTHERS_H
#define TESTS_UNIT_OTHERS_H

#include "base/process.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Root. false, and a line that begins with SKIP, where they may not. */
static inline bool others_may_run(const char *test, const char *helper)
{
	char *program = process_beside_helper(helper);
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setresuid(65534, 65534, 65534) == 0 && access(program, X_OK) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (status != 0)
		printf("SKIP %s: other users may not run %s: build it where they may\n", test, program);
	free(program);
	return status == 0;
}

#endif
