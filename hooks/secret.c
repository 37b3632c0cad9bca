#include "hooks/secret.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int secret_path(const char *option, const char *value, char **ret, struct error *e)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	if (value[0] == '/') {
		*ret = xstrdup(value);
		return 0;
	}
	if (!*value || strchr(value, '/') || value[0] == '.') {
		error_set(e, ERR_INVALID_PARAMS, EINVAL,
			  "%s: \"%s\" is neither a path from \"/\" nor the name of a credential", option, value);
		return -EINVAL;
	}
	if (!directory) {
		error_set(e, ERR_INVALID_PARAMS, ENOENT,
			  "%s: sharesd has no credential \"%s\": add LoadCredential=%s:/path to its unit, or "
			  "write a path from \"/\"",
			  option, value, value);
		return -ENOENT;
	}
	*ret = xasprintf("%s/%s", directory, value);
	return 0;
}

static int refuse(struct error *e, const char *option, const char *path, const char *why)
{
	return error_set(e, ERR_PERMISSION_DENIED, EPERM, "%s: %s is not used, for %s", option, path, why);
}

static int check_file(const char *option, const char *path, int fd, bool private, struct error *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_errno(e, errno, "%s: %s", option, path);
	if (!S_ISREG(st.st_mode))
		return refuse(e, option, path, "it is no regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse(e, option, path,
			      "it belongs to another user than root and the daemon's: change its owner with chown");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(e, option, path, "others may write it: take that away with chmod go-w");
	if (private && (st.st_mode & S_IROTH))
		return refuse(e, option, path, "others may read it: take that away with chmod o-r");
	return 0;
}

static int open_file(const char *option, const char *value, bool private, char **ret_path, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	int r = secret_path(option, value, &path, e);
	if (r < 0)
		return r;
	/* O_NONBLOCK: a pipe that lies there must not hold the caller. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(e, errno, "%s: %s cannot be read", option, path);
	r = check_file(option, path, fd, private, e);
	if (r < 0)
		return r;
	*ret_path = take_ptr(path);
	return take_fd(fd);
}

int secret_check(const char *option, const char *value, bool private, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = open_file(option, value, private, &path, e);
	return fd < 0 ? fd : 0;
}

int secret_read(const char *option, const char *value, char **ret, size_t *ret_len, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = open_file(option, value, true, &path, e);
	if (fd < 0)
		return fd;
	char *text = xcalloc(1, SECRET_MAX + 2);
	ssize_t got, len = 0;
	while ((got = read(fd, text + len, SECRET_MAX + 1 - (size_t)len)) > 0)
		len += got;
	int err = got < 0 ? errno : (size_t)len > SECRET_MAX ? EFBIG : 0;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	if (err == 0 && len > 0) {
		*ret = text;
		*ret_len = (size_t)len;
		return 0;
	}
	secret_free(text, SECRET_MAX + 1);
	if (err)
		return error_errno(e, err, "%s: %s cannot be read", option, path);
	return error_set(e, ERR_INVALID_PARAMS, EINVAL, "%s: %s is empty", option, path);
}

void secret_free(char *secret, size_t len)
{
	if (secret)
		explicit_bzero(secret, len);
	free(secret);
}
