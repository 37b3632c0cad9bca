#include "tests/e2e/harness_halves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void in_halves(void (*part)(size_t which, void *data), void *data)
{
	const char *mode = getenv("CK_FORK");
	int status = 0;
	pid_t pid = -1;

	fflush(NULL);
	if (!mode || strcmp(mode, "no") != 0)
		pid = fork();
	if (pid == 0) {
		part(1, data);
		_exit(0);
	}
	part(0, data);
	if (pid < 0)
		part(1, data);
	else if (waitpid(pid, &status, 0) != pid || status != 0)
		_exit(1); /* the child has told Check why */
}
