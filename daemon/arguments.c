#include "daemon/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

static void usage(FILE *to)
{
	fprintf(to, "Usage: sharesd [--config FILE] [--check-config]\n"
		    "The share service. Runs in the foreground and logs to the journal or to standard error.\n\n"
		    "  --config FILE    the conf file (default " SHARESD_SYSCONF "/sharesd.conf)\n"
		    "  --check-config   only check the conf file: exit status 0, or 78 with one line a fault\n"
		    "  --version        print the version\n"
		    "  --help           print this\n");
}

int arguments_parse(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	*ret = (struct arguments){ .conf = SHARESD_SYSCONF "/sharesd.conf" };
	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			ret->conf = optarg;
			break;
		case 'k':
			ret->check_only = true;
			break;
		case 'V':
			puts("sharesd " SHARESD_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sharesd: \"%s\" is one argument too many\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}
