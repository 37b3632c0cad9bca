#include "tests/conformance/conformance.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <check.h>
#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT = 77, MOST = 16 };

/* ---- who is tested ---- */

static const char *shipped(const char *name)
{
	static char paths[MOST][PATH_MAX];
	static size_t next;
	char *path = paths[next++ % MOST];

	snprintf(path, sizeof paths[0], "%s/%s", program_path("tests/conformance"), name);
	return path;
}

static const char *given(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL;
}

const struct candidate *candidates(void)
{
	static struct candidate list[MOST];

	if (given("DRIVER")) {
		list[0] = (struct candidate){ given("DRIVER"), given("CONF"), given("PLACE"), false };
		if (!list[0].conf) {
			fprintf(stderr, "CONF=FILE is missing: a conf file with a backend of driver %s\n",
				list[0].driver);
			exit(2);
		}
		return list;
	}
	list[0] = (struct candidate){ "dir", shipped("dir.conf"), shipped("dir.place"), false };
	list[1] = (struct candidate){ "btrfs", shipped("btrfs.conf"), shipped("btrfs.place"), false };
	list[2] = (struct candidate){ "sim", shipped("sim.conf"), NULL, false };
	list[3] = (struct candidate){ "bare", shipped("bare.conf"), NULL, false };
	list[4] = (struct candidate){ "dir", shipped("dir-exports.conf"), shipped("dir.place"), true };
	list[5] = (struct candidate){ "btrfs", shipped("btrfs-exports.conf"), shipped("btrfs.place"), true };
	list[6] = (struct candidate){ "btrfs", shipped("btrfs-replicas.conf"), shipped("btrfs-replicas.place"), false };
	list[7] = (struct candidate){ "dir", shipped("dir-replicas.conf"), shipped("dir.place"), false };
	list[8] = (struct candidate){ "sim", shipped("sim-replicas.conf"), NULL, false };
	return list;
}

void candidate_range(int kind, int *ret_first, int *ret_end)
{
	static const int ends[CANDIDATE_KINDS] = { 4, 6, 9 };

	*ret_first = given("DRIVER") || kind == 0 ? 0 : ends[kind - 1];
	*ret_end = given("DRIVER") ? 1 : ends[kind];
}

/* ---- export servers ---- */

static bool is_server(const char *pid)
{
	_cleanup_free_ char *comm = xasprintf("/proc/%s/comm", pid);
	_cleanup_free_ char *net = xasprintf("/proc/%s/ns/net", pid);
	_cleanup_free_ char *name = NULL;
	struct stat ours, its;

	if (stat("/proc/self/ns/net", &ours) < 0 || stat(net, &its) < 0 || ours.st_ino != its.st_ino)
		return false;
	name = read_text(comm);
	return name && (strncmp(name, "ganesha", 7) == 0 || strncmp(name, "dbus-daemon", 11) == 0 ||
			strncmp(name, "smbd", 4) == 0);
}

static bool has_network; /* of its own, where the servers are all its own */

static bool loopback_up(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return false;
	lo.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
}

void servers_begin(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		return;
	has_network = loopback_up();
	(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

void servers_end(void)
{
	_cleanup_closedir_ DIR *d = has_network ? opendir("/proc") : NULL;
	const struct dirent *one;

	while (d && (one = readdir(d))) {
		pid_t pid = (pid_t)strtol(one->d_name, NULL, 10);
		struct pollfd end = { .fd = pid > 1 && is_server(one->d_name) ? pidfd_open(pid, 0) : -1,
				      .events = POLLIN };

		if (end.fd < 0)
			continue;
		(void)pidfd_send_signal(end.fd, SIGKILL, NULL, 0);
		(void)poll(&end, 1, 20000);
		close(end.fd);
	}
}

/* ---- its place ---- */

static bool run_place(const struct site *s, char **ret_out, const char *verb, const char *arg)
{
	int status;

	if (!s->c->place)
		return false;
	status = shell(ret_out, "cd '%s' && '%s' '%s' '%s'", s->f->dir, s->c->place, verb, arg ? arg : "");
	ck_assert_msg(status == 0 || status == CANNOT, "%s %s %s ended with %d", s->c->place, verb, arg ? arg : "",
		      status);
	return status == 0;
}

bool place(const struct site *s, char **ret_out, const char *verb, const char *arg)
{
	char *out = NULL;
	bool done = run_place(s, &out, verb, arg);

	if (!done)
		printf("%s: not looked at, for the place cannot: %s\n", s->c->driver, verb);
	if (out)
		out[strcspn(out, "\n")] = '\0';
	if (ret_out && done)
		*ret_out = out;
	else
		free(out);
	return done;
}

/* Without what is the suite's own to say, and with the directory of what was built. */
static char *read_conf(const struct candidate *c)
{
	char *text = read_text(c->conf), *out = NULL, *next = NULL;
	_cleanup_free_ char *build = xstrdup(program_path("tests"));
	size_t size;
	FILE *m = open_memstream(&out, &size);

	ck_assert_msg(text != NULL, "%s cannot be read", c->conf);
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char *mark = strstr(line, "@BUILD@");

		if (strncmp(line, "state_dir", 9) == 0 || strncmp(line, "socket ", 7) == 0)
			continue;
		if (mark)
			fprintf(m, "%.*s%s%s\n", (int)(mark - line), line, dirname(build), mark + strlen("@BUILD@"));
		else
			fprintf(m, "%s\n", line);
	}
	fclose(m);
	free(text);
	return out;
}

static void find_backend(struct site *s)
{
	_cleanup_json_ json_t *list = call(s->f, "list_backends", NULL);
	json_t *b;
	size_t i;

	json_array_foreach(at(list, "backends"), i, b)
		if (strcmp(str_at(b, "driver"), s->c->driver) == 0) {
			snprintf(s->backend, sizeof s->backend, "%s", str_at(b, "name"));
			ck_assert_msg(strcmp(str_at(b, "status"), "up") == 0, "backend %s is %s: %s", s->backend,
				      str_at(b, "status"), jsonx_str(b, "status_reason"));
			s->can = json_incref(at(b, "capabilities"));
		}
	ck_assert_msg(s->can != NULL, "%s has no backend of driver %s", s->c->conf, s->c->driver);
}

static bool skip(const struct candidate *c, const char *why)
{
	printf("SKIP conformance of %s: %s\n", c->driver, why);
	ck_assert_msg(!given("CI"), "%s of driver %s, and CI must not skip it", why, c->driver);
	return false;
}

bool site_open(struct site *s, const struct candidate *c)
{
	_cleanup_free_ char *conf = read_conf(c);

	*s = (struct site){ .c = c };
	if (c->exports && !has_network)
		return skip(c, "needs a network of its own");
	servers_end();
	s->f = fixture_new("");
	ck_assert_int_eq(mkdir(fixture_path(s->f, "outside"), 0755), 0);
	if (c->place && !run_place(s, NULL, "begin", NULL)) {
		fixture_free(s->f);
		return skip(c, "its place cannot be had here");
	}
	fixture_conf(s->f, conf);
	fixture_start(s->f, NULL, (uid_t)-1);
	find_backend(s);
	return true;
}

void site_close(struct site *s)
{
	fixture_stop(s->f);
	servers_end();
	if (s->c->exports)
		(void)shell(NULL, "umount -l '%s'/run/exports/*/* 2>/dev/null", s->f->dir);
	if (s->c->place)
		run_place(s, NULL, "end", NULL);
	fixture_free(s->f);
	json_decref(s->can);
}

bool claims(const struct site *s, const char *capability)
{
	return json_is_true(json_object_get(s->can, capability));
}

bool offers(const struct site *s, const char *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(s->can, list), i, v)
		if (strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

/* ---- shares ---- */

void make_share(const struct site *s, const char *name, long long size)
{
	_cleanup_json_ json_t *share = call(s->f, "create_share_instance", "{s:s,s:I,s:s,s:s}", "name", name,
					    "size_bytes", (json_int_t)size, "backend", s->backend, "mode", "0755");

	ck_assert_str_eq(str_at(share, "status"), "available");
	ck_assert_int_eq(int_at(share, "size_bytes"), size);
	ck_assert_uint_gt(json_array_size(at(share, "export_locations")), 0);
}

const char *files_of(const struct site *s, const char *share)
{
	static char path[PATH_MAX];
	_cleanup_free_ char *said = NULL;
	_cleanup_json_ json_t *o = call(s->f, "get_share", "{s:s}", "share", share);
	const json_t *locations = at(o, "export_locations");

	if (json_array_size(locations) == 0)
		return NULL;
	snprintf(path, sizeof path, "%s", str_at(json_array_get(locations, 0), "path"));
	if (path[0] == '/' && exists(path))
		return path;
	if (!run_place(s, &said, "path", share))
		return NULL;
	snprintf(path, sizeof path, "%.*s", (int)strcspn(said, "\n"), said);
	return path;
}

void fill_share(const struct site *s, const char *share)
{
	const char *files = files_of(s, share);

	if (files)
		ck_assert_int_eq(
			shell(NULL,
			      "cd '%s' && echo one >one && mkdir -p sub/dir empty && echo two >sub/dir/two && "
			      "ln one sub/hard && ln -s '%s/outside' out && ln -s nowhere dangling && mkfifo fifo && "
			      "head -c 100000 /dev/urandom >random && truncate -s 3M sparse && "
			      "printf x | dd of=sparse bs=1 seek=2000000 conv=notrunc 2>/dev/null && "
			      "echo odd >\"$(printf 'odd\\n \\\"name\\\" \\047\\377')\" && "
			      "echo long >$(printf 'n%%.0s' $(seq 255)) && setfattr -n user.note -v text one && "
			      "chmod 4751 random && touch -d 2001-02-03T04:05:06Z sub/dir/two",
			      files, s->f->dir),
			0);
}

char *tree_of(const struct site *s, const char *share)
{
	return tree_in(files_of(s, share));
}

char *tree_in(const char *files)
{
	char *out = NULL;

	if (!files)
		return xstrdup("");
	ck_assert_int_eq(shell(&out,
			       "cd '%s' && { find . -mindepth 1 -printf '%%P|%%y|%%m|%%U|%%G|%%l|%%n\\n'; "
			       "find . -type f -printf '%%P|%%s|%%T@\\n'; find . -type f -exec sha256sum {} +; "
			       "getfattr -dRhm user. . 2>/dev/null; } | LC_ALL=C sort",
			       files),
			 0);
	return out;
}

void expect_tree(const struct site *s, const char *share, const char *was)
{
	_cleanup_free_ char *is = tree_of(s, share);

	ck_assert_msg(strcmp(was, is) == 0, "%s: the files of %s were:\n%s\nand are:\n%s", s->c->driver, share, was,
		      is);
}

json_t *ask(const struct site *s, const char *method, json_t *params)
{
	struct client *c = client_new(s->f);
	json_t *reply = client_request(c, method, params);

	client_free(c);
	return reply;
}

const char *kind_of(const json_t *reply)
{
	return json_object_get(reply, "error") ? str_at(reply, "error.data.kind") : NULL;
}

void expect_error(const struct site *s, const char *kinds, const char *method, json_t *params)
{
	_cleanup_json_ json_t *reply = ask(s, method, params);
	_cleanup_free_ char *text = jsonx_dump(reply);
	const char *kind = kind_of(reply);

	ck_assert_msg(kind && strstr(kinds, kind), "%s: %s must fail as one of: %s; it answers %s", s->c->driver,
		      method, kinds, text);
}

/* ---- order ---- */

static json_t *list(const struct site *s, const char *method)
{
	return call(s->f, method, "{s:i}", "limit", 1000);
}

char *known(const struct site *s)
{
	_cleanup_json_ json_t *shares = list(s, "list_shares"), *snapshots = list(s, "list_snapshots"),
			      *rules = list(s, "list_access_rules"), *orphans = call(s->f, "list_orphans", NULL);
	_cleanup_json_ json_t *all = json_pack("[O,O,O,O]", shares, snapshots, rules, orphans);

	return jsonx_dump(all);
}

static void expect_rest(const struct site *s, const char *method, const char *member)
{
	_cleanup_json_ json_t *all = list(s, method);
	json_t *o;
	size_t i;

	json_array_foreach(at(all, member), i, o) {
		const char *status = str_at(o, "status");

		ck_assert_msg(strcmp(status, "available") == 0 || strstr(status, "error"), "%s: %s is %s", s->c->driver,
			      str_at(o, "name"), status);
	}
}

void expect_order(const struct site *s)
{
	_cleanup_json_ json_t *orphans = call(s->f, "list_orphans", NULL);

	ck_assert_msg(json_array_size(at(orphans, "orphans")) == 0, "%s: %s is left behind", s->c->driver,
		      str_at(orphans, "orphans.0.provider_location"));
	expect_rest(s, "list_shares", "shares");
	expect_rest(s, "list_snapshots", "snapshots");
}
