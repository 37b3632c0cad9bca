#include "drivers/export/netns.h"

#include "base/cleanup.h"
#include "base/crash.h"
#include "base/mem.h"
#include "base/privilege.h"
#include "base/process_launch.h"
#include "base/text.h"
#include "drivers/export/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>

/* Where ip(8) keeps them. */
#define PINNED "/run/netns"
/* Its name in every namespace: each has one. */
#define INSIDE "eth0"
/* Seconds that one command of ip may take; it takes some milliseconds. */
#define LIMIT     30.0
#define SAID_MAX  4096
#define WORDS_MAX 16

char *netns_name(const char *id)
{
	return xasprintf("sharesd-%s", id);
}

char *netns_path(const char *id)
{
	return xasprintf(PINNED "/sharesd-%s", id);
}

/* The kernel takes 15 characters; the end of an id is what tells it from others. */
char *netns_link(const char *id)
{
	enum { TAIL = 12 };
	size_t n = strlen(id);

	return xasprintf("shs%s", n > TAIL ? id + n - TAIL : id);
}

int netns_check(struct error *e)
{
	_cleanup_free_ char *ip = NULL;

	if (!privilege_networks() || !privilege_mounts())
		return error_set(e, ERR_BACKEND_DOWN, EPERM,
				 "share servers need networks of their own, which the daemon may not make: it needs "
				 "CAP_NET_ADMIN and CAP_SYS_ADMIN, and under systemd the drop-ins mount and network");
	return export_server_find_program("ip", "iproute2", &ip, e);
}

/* ---- ip ---- */

/* Its exit status, or a negative errno. */
static int await(const struct process_launch *l)
{
	double deadline = text_monotonic() + LIMIT, left;
	struct pollfd fd = { .fd = l->pidfd, .events = POLLIN };
	siginfo_t info = { 0 };

	while ((left = deadline - text_monotonic()) > 0 && poll(&fd, 1, (int)(left * 1000) + 1) <= 0)
		continue;
	if (left <= 0)
		(void)pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	if (left <= 0)
		return -ETIMEDOUT;
	return info.si_code == CLD_EXITED ? info.si_status : -ECHILD;
}

/* The first line that it printed. Owned by the caller. */
static char *read_said(int fd)
{
	char text[SAID_MAX];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text_fix_utf8(text);
	text[strcspn(text, "\n")] = '\0';
	return xstrdup(text);
}

/* Runs ip WORDS.. in the namespace, or (-1) in our network. Not 0: `*ret_said` is what it said, owned by the caller. */
static int run(int netns, const char *const *words, char **ret_said, struct error *e)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL };
	struct process_launch l cleanup(process_launch_clear) = PROCESS_LAUNCH_INIT;
	_cleanup_close_ int said = memfd_create("ip", MFD_CLOEXEC);
	_cleanup_free_ char *program = NULL;
	const char *argv[WORDS_MAX + 2] = { NULL };
	int r = export_server_find_program("ip", "iproute2", &program, e);

	if (r < 0)
		return r;
	if (said < 0)
		return error_errno(e, errno, "cannot start %s", program);
	argv[0] = program;
	for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
		argv[i + 1] = words[i];
	r = process_launch_hold_in(netns, argv, env, said, &l, e);
	if (r == 0)
		r = process_launch_go(&l, program, e);
	if (r < 0)
		return r;
	r = await(&l);
	if (r < 0)
		return error_errno(e, -r, "cannot run %s %s", program, words[0]);
	if (r > 0)
		*ret_said = read_said(said);
	return r;
}

/* `what` is for people: "give the share server its address". */
static int ip(int netns, const char *what, const char *const *words, struct error *e)
{
	_cleanup_free_ char *said = NULL;
	int r = run(netns, words, &said, e);

	if (r <= 0 || !said)
		return r;
	return error_set(e, ERR_DRIVER_FAILED, strstr(said, "Operation not permitted") ? EPERM : EIO,
			 "cannot %s: ip %s says: %s", what, words[0], *said ? said : "nothing");
}

#define IP(netns, what, e, ...) ip((netns), (what), (const char *const[]){ __VA_ARGS__, NULL }, (e))

/* ---- the namespace ---- */

/* Is a namespace mounted there? Not just the file for it. */
static bool is_pinned(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/* Where its namespace ends the kernel removes it too, and may be faster. */
static int remove_link(const char *link, struct error *e)
{
	int r = 0;

	if (if_nametoindex(link) != 0)
		r = IP(-1, "remove the link of a share server", e, "link", "delete", "dev", link);
	if (r == 0 || if_nametoindex(link) != 0)
		return r;
	error_clear(e);
	return 0;
}

static int make_namespace(const char *id, const char *path, struct error *e)
{
	_cleanup_free_ char *name = netns_name(id), *link = netns_link(id);
	/* Of a namespace that was taken away behind our back, and lives on as long as somebody is in it. */
	int r = remove_link(link, e);

	/* What a crash has left. */
	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = error_errno(e, errno, "cannot remove %s", path);
	crash_step("before the namespace of a share server is made");
	if (r == 0)
		r = IP(-1, "make the network namespace of a share server", e, "netns", "add", name);
	crash_step("after the namespace of a share server was made");
	return r;
}

static int need_bridge(const struct netns_spec *spec, struct error *e)
{
	if (spec->bridge && if_nametoindex(spec->bridge) != 0)
		return 0;
	return error_set(e, ERR_DRIVER_FAILED, ENODEV,
			 "there is no bridge \"%s\" on this host for the share server %s: make it (ip link add %s type "
			 "bridge), or name another in the share_network section",
			 spec->bridge ? spec->bridge : "", spec->id, spec->bridge ? spec->bridge : "NAME");
}

/* The same for whoever has this address on this bridge, now or after it was made anew: what clients have learnt of it
 * stays true. Locally administered; owned by the caller. */
static char *hardware_address(const struct netns_spec *spec)
{
	_cleanup_free_ char *text = xasprintf("%s %s", spec->bridge, spec->address);
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		hash = (hash ^ *p) * UINT64_C(0x100000001b3);
	return xasprintf("02:%02x:%02x:%02x:%02x:%02x", (unsigned)(hash >> 56) & 0xff, (unsigned)(hash >> 48) & 0xff,
			 (unsigned)(hash >> 40) & 0xff, (unsigned)(hash >> 32) & 0xff, (unsigned)(hash >> 24) & 0xff);
}

static int make_link(const struct netns_spec *spec, struct error *e)
{
	_cleanup_free_ char *name = netns_name(spec->id), *link = netns_link(spec->id);
	_cleanup_free_ char *hardware = hardware_address(spec);
	_cleanup_free_ char *attach = xasprintf("attach the share server to \"%s\"", spec->bridge);
	int r = 0;

	/* Both ends come, and go, together. */
	if (if_nametoindex(link) == 0)
		r = IP(-1, "make the link of a share server", e, "link", "add", link, "type", "veth", "peer", "name",
		       INSIDE, "address", hardware, "netns", name);
	crash_step("after the link of a share server was made");
	if (r == 0)
		r = IP(-1, attach, e, "link", "set", "dev", link, "master", spec->bridge, "up");
	return r;
}

/* Within. */
static int configure(const struct netns_spec *spec, int netns, struct error *e)
{
	bool six = strchr(spec->address, ':') != NULL;
	int r = IP(netns, "begin the network of a share server", e, "link", "set", "dev", "lo", "up");

	/* An address that others may not use before it was asked for is not there when a server wants to listen. */
	if (r == 0 && six)
		r = IP(netns, "give the share server its address", e, "address", "replace", spec->address, "dev",
		       INSIDE, "nodad");
	else if (r == 0)
		r = IP(netns, "give the share server its address", e, "address", "replace", spec->address, "dev",
		       INSIDE);
	if (r == 0)
		r = IP(netns, "begin the network of a share server", e, "link", "set", "dev", INSIDE, "up");
	crash_step("after a share server got its address");
	if (r == 0 && spec->gateway && *spec->gateway)
		r = IP(netns, "give the share server its gateway", e, strchr(spec->gateway, ':') ? "-6" : "-4", "route",
		       "replace", "default", "via", spec->gateway, "dev", INSIDE);
	return r;
}

int netns_setup(const struct netns_spec *spec, bool *ret_made, struct error *e)
{
	_cleanup_free_ char *path = netns_path(spec->id);
	_cleanup_close_ int netns = -1;
	bool made = !is_pinned(path);
	int r = need_bridge(spec, e);

	if (r == 0 && made)
		r = make_namespace(spec->id, path, e);
	if (r == 0)
		r = make_link(spec, e);
	if (r < 0)
		return r;
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return error_errno(e, errno, "cannot open the network namespace %s", path);
	r = configure(spec, netns, e);
	if (r == 0)
		*ret_made = made;
	return r;
}

int netns_remove(const char *id, struct error *e)
{
	_cleanup_free_ char *path = netns_path(id), *link = netns_link(id);
	int r;

	crash_step("before the namespace of a share server is removed");
	/* Without waiting for the kernel, which clears a namespace some time after its end. */
	r = remove_link(link, e);
	if (r < 0)
		return r;
	crash_step("after the link of a share server was removed");
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		continue;
	if (errno != EINVAL && errno != ENOENT)
		return error_errno(e, errno, "cannot unmount %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(e, errno, "cannot remove %s", path);
	crash_step("after the namespace of a share server was removed");
	return 0;
}

/* ---- is it whole? ---- */

/* The index of what the link hangs on; 0: nothing. */
static unsigned read_master(const struct nlmsghdr *reply, size_t len)
{
	const struct rtattr *a;
	size_t left;

	if (!NLMSG_OK(reply, len) || reply->nlmsg_type != RTM_NEWLINK)
		return 0;
	left = IFLA_PAYLOAD(reply);
	for (a = IFLA_RTA((const struct ifinfomsg *)NLMSG_DATA(reply)); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_MASTER)
			return *(const unsigned *)RTA_DATA(a);
	return 0;
}

/* Negative errno: it could not be asked for. */
static int find_master(unsigned link, unsigned *ret)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} ask = { .header = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
		  .info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)link } };
	_Alignas(struct nlmsghdr) char reply[16384];
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	/* The kernel has answered when the question is sent. */
	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0 || (n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT)) < 0)
		return -errno;
	*ret = read_master((const struct nlmsghdr *)reply, (size_t)n);
	return 0;
}

/* 0 only where there is none of the name; -1: that could not be found out. */
static int64_t find_index(const char *name)
{
	unsigned index = if_nametoindex(name);

	return index == 0 && errno != ENODEV ? -1 : (int64_t)index;
}

/* What cannot be found out counts as it should be: a daemon without descriptors takes nothing apart. */
bool netns_is_whole(const char *id, const char *bridge)
{
	_cleanup_free_ char *path = netns_path(id), *name = netns_link(id);
	int64_t link = find_index(name), wanted = find_index(bridge);
	unsigned master = 0;

	if (!is_pinned(path) || link == 0 || wanted == 0)
		return false;
	return link < 0 || wanted < 0 || find_master((unsigned)link, &master) < 0 || master == wanted;
}

/* ---- sockets ---- */

struct wanted {
	const char *path;
	int family, type;
	int fd; /* or a negative errno */
};

static void *open_there(void *data)
{
	struct wanted *w = data;
	_cleanup_close_ int netns = open(w->path, O_RDONLY | O_CLOEXEC);

	w->fd = netns < 0 || setns(netns, CLONE_NEWNET) < 0 ? -1 : socket(w->family, w->type, 0);
	if (w->fd < 0)
		w->fd = -errno;
	return NULL;
}

/* By a thread that ends in that network: nobody has to find the way back. */
int netns_socket(const char *path, int family, int type)
{
	struct wanted w = { .path = path, .family = family, .type = type };
	pthread_t thread;
	int r, fd;

	if (!path) {
		fd = socket(family, type, 0);
		return fd < 0 ? -errno : fd;
	}
	r = pthread_create(&thread, NULL, open_there, &w);
	if (r != 0)
		return -r;
	(void)pthread_join(thread, NULL);
	return w.fd;
}
