/* What sharesd is called with. (Its struct option is getopt's, not base/option.h's.) */
#ifndef DAEMON_ARGUMENTS_H
#define DAEMON_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
	const char *conf;
	bool check_only;
};
/* 0: go on. 1: done (help, version). Negative: wrong, and said so. */
int arguments_parse(int argc, char **argv, struct arguments *ret);

#endif
