#include "drivers/export/ganesha_block.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/export/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define BLOCK_MAX (4 << 20)
/* With the number, what clients take for the file system's identity: ours are apart from those that others set. */
#define FILESYSTEM_MAJOR 1936224626

int ganesha_block_check_path(const char *path, struct error *e)
{
	for (const char *p = path; *p; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
			return error_set(
				e, ERR_INVALID_PARAMS, EINVAL,
				"\"%s\" cannot be used with NFS-Ganesha, for its configuration cannot hold quotes, "
				"backslashes and control characters",
				path);
	return 0;
}

char *ganesha_block_pseudo(const struct export *x)
{
	return xasprintf("/%s", x->name);
}

/* Its first line tells what must be mounted where. Attributes are asked for each time: others change the files too. */
static char *make_block(const struct export *x, const char *place, const struct ganesha_clients *clients,
			const char *protocols)
{
	_cleanup_free_ char *pseudo = ganesha_block_pseudo(x);
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	fprintf(to,
		"# %s\n"
		"EXPORT {\n\tExport_Id = %u; Path = \"%s\"; Pseudo = \"%s\"; Filesystem_Id = %u.%u;\n"
		"\tAccess_Type = None; Squash = root_squash; SecType = sys; Protocols = %s; Transports = TCP;\n"
		"\tAttr_Expiration_Time = 0;\n\tFSAL { Name = VFS; }\n",
		place, x->number, place, pseudo, (unsigned)FILESYSTEM_MAJOR, x->number, protocols);
	ganesha_clients_write(clients, to);
	fputs("}\n", to);
	fclose(to);
	return text;
}

static void name_block(unsigned number, const char *suffix, char ret[32])
{
	snprintf(ret, 32, "%u.conf%s", number, suffix);
}

static int open_blocks(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/exports.d", dir);

	return path_open_root(path);
}

/* Not flushed: after a loss of power there are no mounts, and so no exports of these blocks. */
static int write_file(int dirfd, const char *name, const char *text)
{
	int fd = path_open(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool whole;

	if (!f)
		return fd < 0 ? fd : -errno;
	whole = fputs(text, f) >= 0;
	return fclose(f) == 0 && whole ? 0 : -EIO;
}

int ganesha_block_write(const char *dir, const struct export *x, const char *place,
			const struct ganesha_clients *clients, const char *protocols, char **ret, struct error *e)
{
	_cleanup_free_ char *text = make_block(x, place, clients, protocols);
	_cleanup_close_ int dirfd = -1;
	char name[32];
	int r;

	ganesha_block_drop(dir, x->number);
	name_block(x->number, ".new", name);
	dirfd = open_blocks(dir);
	r = dirfd < 0 ? dirfd : write_file(dirfd, name, text);
	if (r < 0)
		return error_errno(e, -r, "cannot write %s/exports.d/%s", dir, name);
	*ret = xasprintf("%s/exports.d/%s", dir, name);
	return 0;
}

int ganesha_block_keep(const char *dir, unsigned number, struct error *e)
{
	_cleanup_close_ int dirfd = open_blocks(dir);
	char from[32], to[32];

	name_block(number, ".new", from);
	name_block(number, "", to);
	if (dirfd < 0 || renameat(dirfd, from, dirfd, to) < 0)
		return error_errno(e, dirfd < 0 ? -dirfd : errno, "cannot rename %s/exports.d/%s", dir, from);
	return 0;
}

void ganesha_block_drop(const char *dir, unsigned number)
{
	_cleanup_close_ int dirfd = open_blocks(dir);
	char name[32];

	if (dirfd < 0)
		return;
	name_block(number, "", name);
	unlinkat(dirfd, name, 0);
	name_block(number, ".new", name);
	unlinkat(dirfd, name, 0);
}

static bool is_mounted(const char *block)
{
	_cleanup_free_ char *place = xstrndup(block, strcspn(block, "\n"));

	return strncmp(place, "# ", 2) == 0 && mount_is_there(place + 2);
}

char *ganesha_blocks_read(const char *dir)
{
	_cleanup_closedir_ DIR *d = NULL;
	char *text = NULL;
	size_t len;
	int fd = open_blocks(dir);
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	d = fd < 0 ? NULL : fdopendir(fd);
	for (const struct dirent *one = d ? readdir(d) : NULL; one; one = readdir(d)) {
		_cleanup_free_ char *block = NULL;
		size_t digits = strspn(one->d_name, "0123456789");

		if (digits == 0 || strcmp(one->d_name + digits, ".conf") != 0)
			continue;
		if (path_read_file(dirfd(d), one->d_name, BLOCK_MAX, &block, NULL) == 0 && is_mounted(block))
			fputs(block, to);
		else
			unlinkat(dirfd(d), one->d_name, 0);
	}
	fclose(to);
	return text;
}
