/* sharesd-tree: work that grows with the data, for drivers. Prints JSON lines: progress, then the result or the error.
 *
 *   sharesd-tree copy [--root DIR] [--inode N] SRC DST     {"result":{"bytes","files","reflink"}}
 *   sharesd-tree measure [--root DIR] [--inode N] DIR      {"result":{"used_bytes","files"}}
 *   sharesd-tree remove [--root DIR] DIR                   {"result":{}}
 *   sharesd-tree empty [--root DIR].. DIR                  {"result":{}}: all in it, but not itself; in each root
 *
 * With --root the paths are relative to it and confined to it: no link is followed, no mount point crossed. --inode
 * is what the source must be. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/report.h"
#include "drivers/tree.h"
#include "drivers/tree_copy.h"
#include "drivers/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_ROOTS = 8 };

struct request {
	const char *command;
	const char *root; /* NULL: paths as they are */
	const char *roots[MAX_ROOTS];
	size_t n_roots;
	unsigned long long inode; /* 0: any */
	char **paths;
};

static int open_parent(const struct request *q, const char *path, char **ret_name, struct error *e)
{
	_cleanup_free_ char *copy = xstrdup(path);
	_cleanup_close_ int base = -1;
	char *slash;
	int fd;

	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	*ret_name = xstrdup(slash ? slash + 1 : copy);
	if (slash)
		slash[slash == copy] = '\0';
	if (!q->root) {
		fd = path_open_root(slash ? copy : ".");
	} else {
		base = path_open_root(q->root);
		fd = base < 0 ? base : path_open(base, slash ? copy : ".", O_RDONLY | O_DIRECTORY, 0);
	}
	return fd < 0 ? error_errno(e, -fd, "cannot open the directory of %s", path) : fd;
}

static int open_source(const struct request *q, const char *path, struct error *e)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int parent = open_parent(q, path, &name, e);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (parent < 0)
		return parent;
	fd = tree_open_dir(parent, name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(e, fd < 0 ? -fd : errno, "cannot open %s", path);
	if (q->inode && st.st_ino != q->inode)
		return error_set(e, ERR_DRIVER_FAILED, ESTALE, "%s was replaced by another directory: try again", path);
	return take_fd(fd);
}

static int run_copy(const struct request *q, json_t **ret, struct error *e)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int to = -1;
	struct tree_copy_result sum;
	int from = open_source(q, q->paths[0], e);
	int r;

	if (from < 0)
		return from;
	to = open_parent(q, q->paths[1], &name, e);
	if (to < 0) {
		close(from);
		return to;
	}
	r = tree_copy(from, to, name, report_progress, &sum, e);
	if (r == 0)
		*ret = jsonx_pack("{s:I,s:I,s:b}", "bytes", (json_int_t)sum.bytes, "files", (json_int_t)sum.files,
				  "reflink", sum.reflink);
	return r;
}

static int run_measure(const struct request *q, json_t **ret, struct error *e)
{
	struct tree_sum sum;
	int fd = open_source(q, q->paths[0], e);
	int r = fd < 0 ? fd : tree_measure(fd, &sum, e);

	if (r == 0)
		*ret = jsonx_pack("{s:I,s:I}", "used_bytes", (json_int_t)sum.used_bytes, "files",
				  (json_int_t)sum.files);
	return r;
}

static int run_remove(const struct request *q, json_t **ret, struct error *e)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int parent = open_parent(q, q->paths[0], &name, e);
	int r = parent < 0 ? parent : tree_remove(parent, name, e);

	if (r == 0)
		*ret = json_object();
	return r;
}

/* Whatever can be emptied is; the error is that of the first that cannot. */
static int run_empty(const struct request *q, json_t **ret, struct error *e)
{
	int first = 0;

	for (size_t i = 0; i == 0 || i < q->n_roots; i++) {
		_cleanup_free_ char *name = NULL;
		_cleanup_close_ int parent = -1;
		struct request one = *q;
		int r;

		one.root = q->roots[i];
		parent = open_parent(&one, q->paths[0], &name, first ? NULL : e);
		r = parent < 0 ? parent : tree_empty(parent, name, first ? NULL : e);
		first = first ? first : r;
	}
	if (first == 0)
		*ret = json_object();
	return first;
}

static const struct command {
	const char *name;
	int n_paths;
	int (*run)(const struct request *q, json_t **ret, struct error *e);
} commands[] = {
	{ "copy", 2, run_copy },
	{ "measure", 1, run_measure },
	{ "remove", 1, run_remove },
	{ "empty", 1, run_empty },
};

static const struct command *parse(int argc, char **argv, struct request *ret)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "inode", required_argument, NULL, 'i' },
		{ 0 },
	};
	int o;

	if (argc < 2)
		return NULL;
	ret->command = argv[1];
	while ((o = getopt_long(argc - 1, argv + 1, "", longs, NULL)) >= 0) {
		if (o == 'r' && ret->n_roots < MAX_ROOTS)
			ret->root = ret->roots[ret->n_roots++] = optarg;
		else if (o == 'i')
			ret->inode = strtoull(optarg, NULL, 10);
		else
			return NULL;
	}
	ret->paths = argv + 1 + optind;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, ret->command) == 0 && argc - 1 - optind == commands[i].n_paths)
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct request q = { 0 };
	const struct command *c = parse(argc, argv, &q);
	json_t *result = NULL;

	mem_setup();
	signal(SIGPIPE, SIG_IGN);
	if (!c) {
		fprintf(stderr, "usage: sharesd-tree copy|measure|remove|empty [--root DIR] [--inode N] DIR [DST]\n");
		return 2;
	}
	(void)c->run(&q, &result, &e);
	return report_end(result, &e);
}
