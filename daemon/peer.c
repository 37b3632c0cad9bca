#include "daemon/peer.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gid_t *load_groups(const struct settings *top, const char *option, size_t *ret_n)
{
	size_t n, k = 0;
	const char *const *names = settings_list(top, option, &n);
	gid_t *gids = xcalloc(n + 1, sizeof *gids);

	for (size_t i = 0; i < n; i++) {
		if (text_parse_group(names[i], &gids[k], NULL) == 0)
			k++;
		else
			log_warning("%s: there is no group \"%s\" on this host, so it gives nobody a role", option,
				    names[i]);
	}
	*ret_n = k;
	return gids;
}

void roles_load(struct roles *r, const struct settings *top)
{
	roles_clear(r);
	r->admin = load_groups(top, "admin_groups", &r->n_admin);
	r->reader = load_groups(top, "reader_groups", &r->n_reader);
}

void roles_clear(struct roles *r)
{
	free(r->admin);
	free(r->reader);
	*r = (struct roles){ 0 };
}

static int peer_groups(int fd, struct requester *who)
{
	socklen_t len = 64 * sizeof(gid_t);

	for (;;) {
		gid_t *gids = xmalloc(len ? len : sizeof *gids);

		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len) == 0) {
			who->gids = gids;
			who->n_gids = len / sizeof *gids;
			return 0;
		}
		free(gids);
		if (errno != ERANGE)
			return -errno;
	}
}

int peer_of(int fd, struct requester *ret)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	struct requester who = { .known = true };
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	who.uid = cred.uid;
	who.gid = cred.gid;
	who.pid = cred.pid;
	if ((r = peer_groups(fd, &who)) < 0)
		return r;
	*ret = who;
	return 0;
}

static bool is_member(const struct requester *who, const gid_t *gids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (who->gid == gids[i])
			return true;
		for (size_t k = 0; k < who->n_gids; k++)
			if (who->gids[k] == gids[i])
				return true;
	}
	return false;
}

enum role peer_role(const struct roles *r, const struct requester *who)
{
	if (who->uid == 0 || who->uid == geteuid() || is_member(who, r->admin, r->n_admin))
		return ROLE_ADMIN;
	return is_member(who, r->reader, r->n_reader) ? ROLE_READER : ROLE_NONE;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], buf[512], *close_paren;
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(buf, 1, sizeof buf - 1, f);
	fclose(f);
	buf[n] = '\0';
	/* The name in parentheses may hold anything. */
	close_paren = strrchr(buf, ')');
	/* " S 123 ..": the state's letter, then the parent. */
	return close_paren && strlen(close_paren) > 4 ? (pid_t)strtol(close_paren + 3, NULL, 10) : 0;
}

bool peer_is_below_us(pid_t pid)
{
	pid_t self = getpid();

	/* Hook programs stay below their helper whatever they do, so the chain holds. The bound is for a chain that
	 * changes while it is read. */
	for (int i = 0; i < 256 && pid > 1; i++) {
		if (pid == self)
			return true;
		pid = parent_of(pid);
	}
	return false;
}
