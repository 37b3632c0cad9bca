/* A hook program that does nothing. With arguments (module exec) it ends at once; without (module coproc) it answers
 * each event. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	(void)argv;
	if (argc > 1)
		return EXIT_SUCCESS;
	while ((len = getline(&line, &size, stdin)) > 0) {
		json_t *event = json_loadb(line, (size_t)len, 0, NULL);
		json_t *answer = json_pack("{s:O,s:n}", "id", json_object_get(event, "id"), "result");

		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(answer);
		json_decref(event);
	}
	free(line);
	return EXIT_SUCCESS;
}
