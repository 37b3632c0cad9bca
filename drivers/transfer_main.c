/* sharesd-transfer: carries trees from one backend to another, for drivers. Prints JSON lines: progress, then the
 * result or the error.
 *
 *   sharesd-transfer btrfs SNAPSHOT PARENT|- DIR TOTAL
 *   sharesd-transfer btrfs-to SNAPSHOT PARENT|- TOTAL PROGRAM ARGUMENT..
 *   sharesd-transfer rsync [--base DIR] [--inode N] SOURCE TARGET TOTAL
 *   sharesd-transfer ask NAME BACKEND TRANSPORT CONFIG REQUEST
 *
 * The first is `btrfs send [-p PARENT] SNAPSHOT | btrfs receive DIR`, the second has PROGRAM at the end of the pipe,
 * the third is `rsync [--link-dest DIR] SOURCE/ TARGET/`, and the last asks sharesd-receive on another host
 * (drivers/btrfs_ssh/far.h).
 *
 * TOTAL: bytes that are expected, 0 where that is unknown. --inode: what the source must be. The result is
 * {"sent_bytes", "same"}; the latter where DIR is already what SOURCE is, and TARGET was not made. Of `ask` it is what
 * the other host answers. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "drivers/btrfs_ssh/far.h"
#include "drivers/report.h"
#include "drivers/transfer.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int transfer_function(const struct transfer *t, struct transfer_result *ret, struct error *e);

static bool is_number(const char *s, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && errno == 0;
}

static transfer_function *parse_btrfs(int n, char **args, struct transfer *ret)
{
	if (n != 4 || !is_number(args[3], &ret->total_bytes))
		return NULL;
	ret->source = args[0];
	ret->target = args[2];
	ret->base = strcmp(args[1], "-") == 0 ? NULL : args[1];
	return transfer_btrfs;
}

static transfer_function *parse_btrfs_to(int n, char **args, struct transfer *ret)
{
	if (n < 4 || !is_number(args[2], &ret->total_bytes))
		return NULL;
	ret->source = args[0];
	ret->base = strcmp(args[1], "-") == 0 ? NULL : args[1];
	ret->far = (const char *const *)(args + 3);
	return transfer_btrfs;
}

static transfer_function *parse_rsync(int n, char **args, struct transfer *ret)
{
	if (n != 3 || !is_number(args[2], &ret->total_bytes))
		return NULL;
	ret->source = args[0];
	ret->target = args[1];
	return transfer_rsync;
}

static transfer_function *parse(int argc, char **argv, struct transfer *ret)
{
	static const struct option longs[] = {
		{ "base", required_argument, NULL, 'b' },
		{ "inode", required_argument, NULL, 'i' },
		{ 0 },
	};
	transfer_function *f;
	const char *verb;
	int o;

	if (argc < 2)
		return NULL;
	while ((o = getopt_long(argc - 1, argv + 1, "+", longs, NULL)) >= 0) {
		if (o == 'b')
			ret->base = optarg;
		else if (o != 'i' || !is_number(optarg, &ret->inode))
			return NULL;
	}
	argv += 1 + optind;
	argc -= 1 + optind;
	verb = argv[-optind];
	f = strcmp(verb, "btrfs") == 0      ? parse_btrfs(argc, argv, ret)
	    : strcmp(verb, "btrfs-to") == 0 ? parse_btrfs_to(argc, argv, ret)
	    : strcmp(verb, "rsync") == 0    ? parse_rsync(argc, argv, ret)
					    : NULL;
	return f && *ret->source == '/' && (ret->far || *ret->target == '/') && (!ret->base || *ret->base == '/')
		       ? f
		       : NULL;
}

static int ask(char **args)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct far far = { .name = args[0], .id = args[1], .transport = args[2], .config = args[3] };
	json_t *answer = NULL;

	/* Only what asks for a state has an answer. */
	if (far_ask(&far, args[4], text_starts_with(args[4], "state ") ? &answer : NULL, &e) == 0 && !answer)
		answer = json_object();
	return report_end(answer, &e);
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct transfer t = { 0 };
	transfer_function *f = parse(argc, argv, &t);
	json_t *result = NULL;
	struct transfer_result done = { 0 };

	mem_setup();
	signal(SIGPIPE, SIG_IGN);
	/* What they say of failures is read. */
	setenv("LC_ALL", "C.UTF-8", 1);
	if (argc == 7 && strcmp(argv[1], "ask") == 0)
		return ask(argv + 2);
	if (!f) {
		fprintf(stderr, "usage: sharesd-transfer btrfs SNAPSHOT PARENT|- DIR TOTAL\n"
				"       sharesd-transfer btrfs-to SNAPSHOT PARENT|- TOTAL PROGRAM ARGUMENT..\n"
				"       sharesd-transfer ask NAME BACKEND TRANSPORT CONFIG REQUEST\n"
				"       sharesd-transfer rsync [--base DIR] [--inode N] SOURCE TARGET TOTAL\n");
		return 2;
	}
	if (f(&t, &done, &e) == 0)
		result = jsonx_pack("{s:I,s:b}", "sent_bytes", (json_int_t)done.sent_bytes, "same", done.same);
	return report_end(result, &e);
}
