/* POSIX ACLs on directories: who may enter. All return 0 or a negative errno, and flush nothing. */
#ifndef DRIVERS_LOCAL_LOCAL_ACL_H
#define DRIVERS_LOCAL_LOCAL_ACL_H

#include <stddef.h>
#include <sys/types.h>

enum { LOCAL_ACL_READ = 4, LOCAL_ACL_WRITE = 2, LOCAL_ACL_SEARCH = 1 };

struct local_acl_user {
	uid_t uid; /* each once */
	unsigned perms;
};

/* The owner's alone: mode 0700, no ACL, no default ACL. */
int local_acl_shut(int fd);
/* Only the owner (with what he has) and these users, in one step. */
int local_acl_set(int fd, const struct local_acl_user *users, size_t n);
/* Adds these users to who has access already, which keeps its mode, so that nobody notices: local_acl_set is one step
 * for whoever calls it, but some file systems change the mode first and the ACL a moment later. */
int local_acl_add(int fd, const struct local_acl_user *users, size_t n);
/* As text with numbers: owned by the caller. */
int local_acl_text(int fd, char **ret);
/* ACL and mode as they were. */
int local_acl_restore(int fd, const char *text, mode_t mode);
/* Owner, group, ACL and mode of one directory onto another. */
int local_acl_copy(int from, int to);
/* What an ACL in text gives a user who is in these groups, on a directory of that owner and group. */
int local_acl_perms(const char *text, uid_t owner, gid_t group, uid_t uid, const gid_t *groups, size_t n_groups,
		    unsigned *ret);

#endif
