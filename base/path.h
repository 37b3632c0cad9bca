/* Confined paths: the one place that opens a path under a root. openat2 with RESOLVE_BENEATH: no name, link or ".."
 * leads out of the directory. All descriptors are close-on-exec. Return a descriptor or 0, or a negative errno. Any
 * thread. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stddef.h>
#include <sys/types.h>

/* Links are not followed at all (-ELOOP), mount points not crossed (-EXDEV). `path` is relative; "." is `dirfd` itself.
 */
int path_open(int dirfd, const char *path, int flags, mode_t mode);
/* The directory that holds the last component, and that component (a pointer into `path`). -EINVAL for "..", ".", "".
 */
int path_open_parent(int dirfd, const char *path, const char **ret_name);
/* Opens a root from "/": the admin's links are followed. A directory, or -ENOTDIR. */
int path_open_root(const char *path);

/* A relative path without empty, "." and ".." components; -EINVAL for others, absolute ones, over PATH_MAX. */
int path_check_relative(const char *path);

int path_fsync(int fd);
/* A whole small file: -EFBIG past `max`. `*ret` is NUL-terminated (the length does not count it), owned by the caller.
 */
int path_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);
/* Replaces a file in one step (temporary beside it, flushed, renamed, directory flushed). */
int path_write_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode);

#endif
