/* drivers/export/samba with a real smbd, and smbclient on a host of its own with two addresses. */
#include "tests/unit/test_driver.h"

#include "drivers/export/samba.h"

#include <sched.h>
#include <sys/mount.h>

#define RULE(id_, type, to, level)                                                                                     \
	{                                                                                                              \
		.id = (id_), .access_type = (type), .access_to = (to), .access_level = (level)                         \
	}
#define HERE "192.0.2.1"
#define ONE  "192.0.2.2"
#define TWO  "192.0.2.3"

static const struct exporter_ops *const ops = &samba_exporter;
static struct conf *conf;
static void *x;
static json_t *results;

/* ---- a network of its own for each test, and a client in it ---- */

static void make_network(void)
{
	ck_assert_msg(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "%s", strerror(errno));
	shell("mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip netns add client && "
	      "ip link set lo up && ip link add s type veth peer name c netns client && "
	      "ip addr add " HERE "/24 dev s && ip addr add 2001:db8::1/64 dev s nodad && ip link set s up && "
	      "ip -n client addr add " ONE "/24 dev c && ip -n client addr add " TWO "/24 dev c && "
	      "ip -n client addr add 2001:db8::2/64 dev c nodad && ip -n client link set c up");
}

/* smbclient from this address; what it printed is in DIR/out. */
static bool client(const char *from, const char *user, const char *share, const char *commands)
{
	return shell_status(text("ip -n client route replace 192.0.2.0/24 dev c src %s && "
				 "timeout 20 ip netns exec client smbclient '//" HERE
				 "/%s' -U '%s' -c '%s' >'%s/out' 2>&1 </dev/null",
				 from, share, user, commands, dir)) == 0;
}

#define SEES(from, user, share)     ck_assert_msg(client(from, user, share, "ls"), "%s", read_text(text("%s/out", dir)))
#define SEES_NOT(from, user, share) ck_assert(!client(from, user, share, "ls"))
#define WRITES(from, user, share)                                                                                      \
	ck_assert_msg(client(from, user, share, text("put %s/file new", dir)), "%s", read_text(text("%s/out", dir)))
#define WRITES_NOT(from, user, share) ck_assert(!client(from, user, share, text("put %s/file new", dir)))

/* ---- fixture ---- */

static void open_exporter(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(ops->create(conf_top(conf), NULL, &x, &e), 0);
	ck_assert_msg(ops->start(x, &e) == 0, "%s", e.message);
}

static pid_t smbd(void)
{
	return (pid_t)strtol(read_text(text("%s/run/samba/smbd.pid", dir)), NULL, 10);
}

static void load_conf(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct conf_faults faults = { 0 }, warnings = { 0 };

	ck_assert_msg(conf_load(text("%s/conf", dir), daemon_schema(), &conf, &faults, &warnings, &e) == 0, "%s",
		      e.message);
}

static void load(const char *more)
{
	write_text(text("%s/conf", dir),
		   text("state_dir = \"%s/state\"\nruntime_dir = \"%s/run\"\nsamba_passdb = \"%s/passdb.tdb\"\n%s", dir,
			dir, dir, more));
	load_conf();
}

static void begin(void)
{
	setup();
	make_network();
	shell("mkdir -m 711 '%s/root' && mkdir -m 777 '%s/root/one' '%s/root/two' && echo hello >'%s/file'", dir, dir,
	      dir, dir);
	load("");
	results = json_object();
	open_exporter();
	shell("for u in games www-data; do printf 'secret\\nsecret\\n' | smbpasswd -c '%s/run/samba/smb.conf' -a -s "
	      "$u; done "
	      ">'%s/out' 2>&1",
	      dir, dir);
}

static void end(void)
{
	/* Where it runs no more, its number may be another's. */
	if (!ops->is_lost(x))
		kill(smbd(), SIGTERM);
	ops->destroy(x);
	conf_unref(conf);
	json_decref(results);
	teardown();
}

static struct export share(const char *name)
{
	return (struct export){
		.backend = "b", .id = SHARE_1, .name = name, .number = 7, .path = text("%s/root/one", dir)
	};
}

static int put(struct export ex, const struct driver_rule *rules, size_t n, struct error *e)
{
	json_object_clear(results);
	return ops->put(x, &ex, rules, n, results, e);
}

#define PUT(ex, ...)                                                                                                   \
	do {                                                                                                           \
		const struct driver_rule rules_[] = { __VA_ARGS__ };                                                   \
		_cleanup_error_ struct error e_ = ERROR_INIT;                                                          \
		ck_assert_msg(put(ex, rules_, COUNT(rules_), &e_) == 0, "%s", e_.message);                             \
	} while (0)
#define REFUSED(ex, kind_)                                                                                             \
	do {                                                                                                           \
		_cleanup_error_ struct error e_ = ERROR_INIT;                                                          \
		ck_assert_int_lt(put(ex, NULL, 0, &e_), 0);                                                            \
		ck_assert_msg(e_.kind == (kind_), "%s: %s", error_kind_name(e_.kind), e_.message);                     \
	} while (0)

static const char *state_of(const char *rule)
{
	return jsonx_str(json_object_get(results, rule), "state");
}

static const char *reason_of(const char *rule)
{
	return jsonx_str(json_object_get(results, rule), "reason");
}

#define GAMES "games%secret"
#define WWW   "www-data%secret"

/* ---- who gets in ---- */

START_TEST(users)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	ck_assert_int_eq(put(share("one"), NULL, 0, &e), 0);
	SEES_NOT(ONE, GAMES, "one");
	PUT(share("one"), RULE("r1", "user", "games", "rw"), RULE("r2", "user", "www-data", "ro"));
	ck_assert_str_eq(state_of("r1"), "active");
	ck_assert_str_eq(state_of("r2"), "active");
	WRITES(ONE, GAMES, "one");
	SEES(TWO, WWW, "one");
	WRITES_NOT(TWO, WWW, "one");
	SEES_NOT(ONE, "games%wrong", "one");
	SEES_NOT(ONE, "nobody%secret", "one");
	SEES_NOT(ONE, "%", "one");
	/* Who is not in the passdb has no rule that could be; the others keep theirs. */
	PUT(share("one"), RULE("r1", "user", "games", "ro"), RULE("r3", "user", "daemon", "rw"));
	ck_assert_str_eq(state_of("r1"), "active");
	ck_assert_str_eq(state_of("r3"), "error");
	ck_assert_ptr_nonnull(strstr(reason_of("r3"), "smbpasswd -a daemon"));
	SEES(ONE, GAMES, "one");
	WRITES_NOT(ONE, GAMES, "one");
	SEES_NOT(ONE, WWW, "one");
	ck_assert_int_eq(
		ops->remove(x, &(struct export){ .backend = "b", .id = SHARE_1, .name = "one", .number = 7 }, &e), 0);
	SEES_NOT(ONE, GAMES, "one");
	ck_assert_int_eq(
		ops->remove(x, &(struct export){ .backend = "b", .id = SHARE_1, .name = "one", .number = 7 }, &e), 0);
}
END_TEST

START_TEST(addresses)
{
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"));
	WRITES(ONE, GAMES, "one");
	SEES_NOT(TWO, GAMES, "one");
	ck_assert(shell_status(text("smbclient //127.0.0.1/one -U games%%secret -c ls >'%s/out' 2>&1", dir)) != 0);
	PUT(share("one"), RULE("r1", "ip", "192.0.2.0/24", "ro"));
	SEES(TWO, GAMES, "one");
	WRITES_NOT(TWO, GAMES, "one");
	SEES_NOT(TWO, "nobody%secret", "one");
	/* One level for all addresses, that of the first rule. */
	PUT(share("one"), RULE("r1", "ip", ONE, "ro"), RULE("r2", "ip", TWO, "rw"));
	ck_assert_str_eq(state_of("r1"), "active");
	ck_assert_str_eq(state_of("r2"), "error");
	SEES(ONE, GAMES, "one");
	SEES_NOT(TWO, GAMES, "one");
	/* What is in force stays, whichever is named first. */
	PUT(share("one"), RULE("r2", "ip", TWO, "rw"), RULE("r1", "ip", ONE, "ro"));
	ck_assert_str_eq(state_of("r1"), "active");
	ck_assert_str_eq(state_of("r2"), "error");
	PUT(share("one"), RULE("r2", "ip", TWO, "rw"));
	WRITES(TWO, GAMES, "one");
	/* Both: these users, from there. */
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"), RULE("r2", "user", "games", "rw"));
	WRITES(ONE, GAMES, "one");
	SEES_NOT(TWO, GAMES, "one");
	SEES_NOT(ONE, WWW, "one");
	/* A user that cannot be is no leave for all others. */
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"), RULE("r2", "user", "daemon", "rw"));
	ck_assert_str_eq(state_of("r2"), "error");
	SEES_NOT(ONE, GAMES, "one");
	PUT(share("one"), RULE("r1", "ip", "2001:db8::/64", "rw"));
	SEES_NOT(ONE, GAMES, "one");
	ck_assert_int_eq(shell_status(text("ip netns exec client smbclient '//2001:db8::1/one' -U games%%secret -c ls "
					   ">'%s/out' 2>&1",
					   dir)),
			 0);
}
END_TEST

/* ---- live sessions ---- */

/* Two clients who go on: each line that comes of DIR/NAME.in is done. */
static void begin_session(const char *from, const char *name, const char *user)
{
	shell("ip -n client route replace 192.0.2.0/24 dev c src %s", from);
	write_text(text("%s/%s.out", dir, name), "");
	shell("mkfifo '%s/%s.in'; (ip netns exec client stdbuf -o0 smbclient '//" HERE
	      "/one' -U '%s' <'%s/%s.in' >>'%s/%s.out' 2>&1; echo ended >>'%s/%s.out') & echo >/dev/null",
	      dir, name, user, dir, name, dir, name, dir, name);
}

static int open_session(const char *name)
{
	int fd = open(text("%s/%s.in", dir, name), O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The file appears, or the session says that it cannot. */
static bool session_does(int fd, const char *name, const char *line, const char *path)
{
	ck_assert_int_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	for (int i = 0; i < 1000; i++) {
		const char *out = read_text(text("%s/%s.out", dir, name));

		if (exists(path) && stat_of(path).st_size > 0)
			return true;
		if (strstr(out, "NT_STATUS_") || strstr(out, "ended"))
			return false;
		usleep(20000);
	}
	ck_abort_msg("no answer of %s: %s", name, read_text(text("%s/%s.out", dir, name)));
	return false;
}

static bool session_writes(int fd, const char *name, const char *file)
{
	_cleanup_free_ char *line = xasprintf("put %s/file %s\n", dir, file),
			    *path = xasprintf("%s/root/one/%s", dir, file);

	return session_does(fd, name, line, path);
}

static bool session_reads(int fd, const char *name, const char *as)
{
	_cleanup_free_ char *line = xasprintf("get there %s/%s\n", dir, as), *path = xasprintf("%s/%s", dir, as);

	return session_does(fd, name, line, path);
}

static void end_session(int fd, const char *name)
{
	close(fd);
	for (int i = 0; i < 1000 && !strstr(read_text(text("%s/%s.out", dir, name)), "ended"); i++)
		usleep(10000);
}

START_TEST(live_sessions_are_cut_off)
{
	int games, www;

	signal(SIGPIPE, SIG_IGN);
	PUT(share("one"), RULE("r1", "user", "games", "rw"), RULE("r2", "user", "www-data", "rw"));
	begin_session(ONE, "games", GAMES);
	begin_session(ONE, "www", WWW);
	games = open_session("games");
	www = open_session("www");
	ck_assert(session_writes(games, "games", "g1"));
	ck_assert(session_writes(www, "www", "w1"));
	/* Less for one of them. */
	PUT(share("one"), RULE("r1", "user", "games", "ro"), RULE("r2", "user", "www-data", "rw"));
	ck_assert(!session_writes(games, "games", "g2"));
	ck_assert(session_writes(www, "www", "w2"));
	/* Nothing for the other. */
	PUT(share("one"), RULE("r1", "user", "games", "ro"));
	ck_assert(!session_writes(www, "www", "w3"));
	end_session(games, "games");
	end_session(www, "www");
}
END_TEST

START_TEST(readers_stay_when_the_last_writer_may_only_read)
{
	int games, www;

	signal(SIGPIPE, SIG_IGN);
	shell("cp '%s/file' '%s/root/one/there'", dir, dir);
	PUT(share("one"), RULE("r1", "user", "games", "rw"), RULE("r2", "user", "www-data", "ro"));
	begin_session(ONE, "games", GAMES);
	begin_session(ONE, "www", WWW);
	games = open_session("games");
	www = open_session("www");
	ck_assert(session_writes(games, "games", "g1"));
	ck_assert(session_reads(www, "www", "w1"));
	PUT(share("one"), RULE("r1", "user", "games", "ro"), RULE("r2", "user", "www-data", "ro"));
	ck_assert(!session_writes(games, "games", "g2"));
	ck_assert(session_reads(www, "www", "w2"));
	end_session(games, "games");
	end_session(www, "www");
}
END_TEST

/* Samba itself looks again at users, not at addresses. */
START_TEST(sessions_from_an_address_are_cut_off)
{
	int one, two;

	signal(SIGPIPE, SIG_IGN);
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"), RULE("r2", "ip", TWO, "rw"));
	begin_session(ONE, "one", GAMES);
	one = open_session("one");
	ck_assert(session_writes(one, "one", "1a"));
	begin_session(TWO, "two", GAMES);
	two = open_session("two");
	ck_assert(session_writes(two, "two", "2a"));
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"));
	ck_assert(!session_writes(two, "two", "2b"));
	ck_assert(session_writes(one, "one", "1b"));
	/* Wider and narrower again. */
	PUT(share("one"), RULE("r1", "ip", "192.0.2.0/24", "rw"));
	ck_assert(session_writes(one, "one", "1c"));
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"), RULE("r2", "user", "games", "rw"));
	PUT(share("one"), RULE("r1", "ip", "192.0.2.4/30", "rw"), RULE("r2", "user", "games", "rw"));
	ck_assert(!session_writes(one, "one", "1d"));
	end_session(one, "one");
	end_session(two, "two");
}
END_TEST

/* ---- names and places ---- */

START_TEST(what_samba_cannot_have)
{
	struct export other = share("ONE"), odd = share("odd"), longest;
	_cleanup_free_ char *long_name = xcalloc(1, 82);
	_cleanup_error_ struct error e = ERROR_INIT;

	memset(long_name, 'a', 81);
	REFUSED(share("global"), ERR_INVALID_PARAMS);
	REFUSED(share("Homes"), ERR_INVALID_PARAMS);
	REFUSED(share("IPC"), ERR_INVALID_PARAMS);
	REFUSED(share(long_name), ERR_INVALID_PARAMS);
	long_name[80] = '\0';
	longest = share(long_name);
	longest.id = SNAP_2;
	ck_assert_int_eq(put(longest, NULL, 0, &e), 0);
	ck_assert_int_eq(put(share("one"), NULL, 0, &e), 0);
	other.id = SHARE_2;
	REFUSED(other, ERR_ALREADY_EXISTS);
	odd.id = SNAP_1;
	odd.path = text("%s/root/a%%Ub", dir);
	REFUSED(odd, ERR_NOT_SUPPORTED);
	shell("mkdir -p -m 700 '%s/root/closed' && mkdir '%s/root/closed/in'", dir, dir);
	odd.path = text("%s/root/closed/in", dir);
	ck_assert_int_eq(put(odd, &(struct driver_rule)RULE("r1", "user", "games", "rw"), 1, &e), -EACCES);
	ck_assert_msg(e.kind == ERR_INVALID_STATE && strstr(e.message, "run chmod o+x"), "%s", e.message);
	error_clear(&e);
	/* Of no concern where nobody is let in. */
	ck_assert_int_eq(put(odd, NULL, 0, &e), 0);
	shell("mkdir -m 777 '%s/root/with blank; [global]'", dir);
	odd.path = text("%s/root/with blank; [global]", dir);
	PUT(odd, RULE("r1", "user", "games", "rw"));
	WRITES(ONE, GAMES, "odd");
	ck_assert(exists(text("%s/root/with blank; [global]/new", dir)));
	/* After a revert it is another directory. */
	odd.path = text("%s/root/two", dir);
	PUT(odd, RULE("r1", "user", "games", "rw"));
	WRITES(ONE, GAMES, "odd");
	ck_assert(exists(text("%s/root/two/new", dir)));
}
END_TEST

START_TEST(others_are_left_alone)
{
	_cleanup_json_ json_t *all = NULL, *place = NULL;
	_cleanup_error_ struct error e = ERROR_INIT;
	struct export mine = share("mine"), foreign = share("Foreign");
	_cleanup_free_ char *what = NULL, *again = NULL;

	shell("net -s '%s/run/samba/smb.conf' conf addshare foreign '%s/root/two' writeable=y guest_ok=n", dir, dir);
	ck_assert_int_eq(put(mine, NULL, 0, &e), 0);
	ck_assert_int_eq(ops->list(x, &all, &e), 0);
	ck_assert_uint_eq(json_array_size(all), 1);
	ck_assert_str_eq(jsonx_str(json_array_get(all, 0), "id"), SHARE_1);
	ck_assert_str_eq(jsonx_str(json_array_get(all, 0), "backend"), "b");
	ck_assert_int_eq(jsonx_int(json_array_get(all, 0), "number"), 7);
	foreign.id = SHARE_2;
	REFUSED(foreign, ERR_ALREADY_EXISTS);
	SEES(ONE, GAMES, "foreign");
	place = ops->locations(x, &mine);
	ck_assert_ptr_nonnull(strstr(jsonx_str(json_array_get(place, 0), "path"), "\\mine"));
	/* The distribution's own configuration is looked at. */
	shell("mkdir '%s/etc' && cp -a /etc/samba '%s/etc/' && mount --bind '%s/etc/samba' /etc/samba && "
	      "printf '[theirs]\\n path = %s/root/three\\n' >>/etc/samba/smb.conf",
	      dir, dir, dir, dir);
	ck_assert_int_eq(ops->find_foreign(x, text("%s/root/one", dir), &what, &e), 0);
	ck_assert_ptr_null(what);
	shell("mkdir -p '%s/root/two/below' '%s/root/three/below'", dir, dir);
	ck_assert_int_eq(ops->find_foreign(x, text("%s/root/three/below", dir), &what, &e), 0);
	ck_assert_ptr_nonnull(what);
	ck_assert_ptr_nonnull(strstr(what, "[theirs]"));
	/* So is the registry; above and below count, as do other names of the same place. */
	ck_assert_int_eq(ops->find_foreign(x, text("%s/root/two/below", dir), &again, &e), 0);
	ck_assert_ptr_nonnull(again);
	ck_assert_ptr_nonnull(strstr(again, "[foreign]"));
	shell("umount /etc/samba");
}
END_TEST

/* ---- the server ---- */

START_TEST(it_outlives_us_and_is_taken_over)
{
	pid_t pid = smbd();

	PUT(share("one"), RULE("r1", "user", "games", "rw"));
	ck_assert(!ops->is_lost(x));
	ops->destroy(x);
	SEES(ONE, GAMES, "one");
	open_exporter();
	ck_assert_int_eq(smbd(), pid);
	ck_assert(!ops->is_lost(x));
	/* Killed: it is noticed, another is started, and shares are as they were. */
	kill(pid, SIGKILL);
	for (int i = 0; i < 500 && !ops->is_lost(x); i++)
		usleep(10000);
	ck_assert(ops->is_lost(x));
	SEES_NOT(ONE, GAMES, "one");
	ops->destroy(x);
	open_exporter();
	ck_assert_int_ne(smbd(), pid);
	PUT(share("one"), RULE("r1", "user", "games", "rw"));
	WRITES(ONE, GAMES, "one");
}
END_TEST

START_TEST(what_a_dead_server_exported_can_be_removed)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	struct export one = share("one");
	pid_t pid = smbd();

	PUT(one, RULE("r1", "user", "games", "rw"));
	kill(pid, SIGKILL);
	for (int i = 0; i < 500 && !ops->is_lost(x); i++)
		usleep(10000);
	ck_assert_msg(ops->remove(x, &one, &e) == 0, "%s", e.message);
	ck_assert_msg(ops->start(x, &e) == 0, "%s", e.message);
	SEES_NOT(ONE, GAMES, "one");
}
END_TEST

START_TEST(another_port_after_a_restart)
{
	pid_t pid = smbd();

	PUT(share("one"), RULE("r1", "user", "games", "rw"));
	ops->destroy(x);
	conf_unref(conf);
	load("samba_port = 4450\n");
	open_exporter();
	ck_assert_int_ne(smbd(), pid);
	SEES_NOT(ONE, GAMES, "one");
	ck_assert_int_eq(shell_status(text("ip netns exec client smbclient -p 4450 //" HERE
					   "/one -U games%%secret -c ls >'%s/out' 2>&1",
					   dir)),
			 0);
}
END_TEST

/* Whoever the distribution's Samba knows gets in, where samba_passdb does not say otherwise. */
START_TEST(users_of_the_system)
{
	pid_t pid = smbd();

	ops->destroy(x);
	conf_unref(conf);
	shell("mkdir '%s/etc' '%s/private' && cp -a /etc/samba '%s/etc/' && mount --bind '%s/etc/samba' /etc/samba && "
	      "printf '[global]\nprivate dir = %s/private\n' >/etc/samba/smb.conf && "
	      "printf 'other\nother\n' | smbpasswd -a -s games >'%s/out' 2>&1",
	      dir, dir, dir, dir, dir, dir);
	write_text(text("%s/conf", dir), text("state_dir = \"%s/state\"\nruntime_dir = \"%s/run\"\n", dir, dir));
	load_conf();
	open_exporter();
	ck_assert_int_ne(smbd(), pid);
	PUT(share("one"), RULE("r1", "user", "games", "rw"), RULE("r2", "user", "www-data", "rw"));
	ck_assert_str_eq(state_of("r1"), "active");
	ck_assert_str_eq(state_of("r2"), "error");
	WRITES(ONE, "games%other", "one");
	SEES_NOT(ONE, GAMES, "one");
	shell("umount /etc/samba");
}
END_TEST

START_TEST(a_port_that_is_taken)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	kill(smbd(), SIGKILL);
	for (int i = 0; i < 500 && !ops->is_lost(x); i++)
		usleep(10000);
	/* Children of the old one may hold the port for a moment. */
	shell("i=0; while ! (exec 3<>/dev/tcp/127.0.0.1/445) 2>/dev/null || [ $i -gt 200 ]; do break; done");
	shell("socat TCP-LISTEN:445,reuseaddr,fork /dev/null & echo $! >'%s/socat'", dir);
	for (int i = 0; i < 500 && shell_status("socat -u OPEN:/dev/null TCP:127.0.0.1:445 2>/dev/null") != 0; i++)
		usleep(10000);
	ck_assert_int_lt(ops->start(x, &e), 0);
	ck_assert_msg(e.kind == ERR_BACKEND_DOWN && strstr(e.message, "port 445 is another program's"), "%s",
		      e.message);
	shell("kill $(cat '%s/socat')", dir);
}
END_TEST

/* ---- the distribution's server ---- */

/* What stands for it: an smbd with /etc/samba/smb.conf, whose other places are in DIR. */
static void write_system_conf(const char *global, const char *shares)
{
	write_text("/etc/samba/smb.conf",
		   text("[global]\nserver role = standalone server\ndisable netbios = yes\nload printers = no\n"
			"disable spoolss = yes\nlock directory = %s/sys/lock\ncache directory = %s/sys/cache\n"
			"pid directory = %s/sys\nncalrpc dir = %s/sys/ncalrpc\nstate directory = %s/sys/state\n"
			"private dir = %s/sys/private\npassdb backend = tdbsam:%s/passdb.tdb\n"
			"log file = %s/sys/log\nmap to guest = bad user\nguest ok = yes\n%s\n%s",
			dir, dir, dir, dir, dir, dir, dir, dir, global, shares));
}

static void start_system(void)
{
	shell("setsid /usr/sbin/smbd -F --no-process-group >'%s/sys/out' 2>&1 </dev/null & echo >/dev/null", dir);
	for (int i = 0; i < 1000 && shell_status("socat -u OPEN:/dev/null TCP:127.0.0.1:445 2>/dev/null") != 0; i++)
		usleep(20000);
}

static void end_system(void)
{
	pid_t pid = (pid_t)strtol(read_text(text("%s/sys/smbd.pid", dir)), NULL, 10);

	ck_assert_int_gt(pid, 1);
	kill(pid, SIGKILL);
	for (int i = 0; i < 1000 && !ops->is_lost(x); i++)
		usleep(10000);
	ck_assert(ops->is_lost(x));
}

#define CANNOT_START(word)                                                                                             \
	do {                                                                                                           \
		_cleanup_error_ struct error e_ = ERROR_INIT;                                                          \
		ck_assert_int_lt(ops->start(x, &e_), 0);                                                               \
		ck_assert_msg(e_.kind == ERR_BACKEND_DOWN && strstr(e_.message, (word)), "%s", e_.message);            \
	} while (0)

START_TEST(the_system_s_server)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	_cleanup_free_ char *what = NULL;
	struct export other = share("other");
	_cleanup_free_ char *path = xasprintf("%s/root/one", dir);
	pid_t pid = smbd();

	other.path = path;

	kill(pid, SIGTERM);
	for (int i = 0; i < 1000 && !ops->is_lost(x); i++)
		usleep(10000);
	ops->destroy(x);
	conf_unref(conf);
	load("samba_mode = \"system\"\n");
	shell("mkdir '%s/etc' && cp -a /etc/samba '%s/etc/' && mount --bind '%s/etc/samba' /etc/samba && mkdir "
	      "'%s/sys' "
	      "&& for d in lock cache ncalrpc state private; do mkdir '%s/sys/'$d; done",
	      dir, dir, dir, dir, dir);
	ck_assert_int_eq(ops->create(conf_top(conf), NULL, &x, &e), 0);
	write_system_conf("", "");
	CANNOT_START("registry shares = yes");
	write_system_conf("registry shares = yes", text("[theirs]\npath = %s/root/two\n", dir));
	CANNOT_START("systemctl start smbd");
	start_system();
	ck_assert_msg(ops->start(x, &e) == 0, "%s", e.message);
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"));
	WRITES(ONE, GAMES, "one");
	SEES_NOT(TWO, GAMES, "one");
	/* Guests are let in elsewhere, not here. */
	SEES(ONE, "stranger%x", "theirs");
	SEES_NOT(ONE, "stranger%x", "one");
	/* Names of theirs: in the file, and made in the registry behind our back. */
	other.id = SHARE_2;
	other.name = "Theirs";
	REFUSED(other, ERR_ALREADY_EXISTS);
	shell("mkdir -m 777 '%s/root/three' && net conf addshare later '%s/root/three' writeable=y guest_ok=n", dir,
	      dir);
	other.name = "later";
	REFUSED(other, ERR_ALREADY_EXISTS);
	WRITES(ONE, GAMES, "later");
	ck_assert_int_eq(ops->find_foreign(x, text("%s/root/three", dir), &what, &e), 0);
	ck_assert_ptr_nonnull(what);
	ck_assert_ptr_nonnull(strstr(what, "[later]"));
	ck_assert_int_eq(ops->remove(x, &other, &e), 0);
	SEES(ONE, GAMES, "later");
	end_system();
	start_system();
	ck_assert_msg(ops->start(x, &e) == 0, "%s", e.message);
	ck_assert(!ops->is_lost(x));
	PUT(share("one"), RULE("r1", "ip", ONE, "rw"));
	WRITES(ONE, GAMES, "one");
	end_system();
	shell("umount /etc/samba");
}
END_TEST

int main(void)
{
	const TTest *tests[] = { users,
				 addresses,
				 live_sessions_are_cut_off,
				 readers_stay_when_the_last_writer_may_only_read,
				 sessions_from_an_address_are_cut_off,
				 what_a_dead_server_exported_can_be_removed,
				 another_port_after_a_restart,
				 users_of_the_system,
				 the_system_s_server,
				 what_samba_cannot_have,
				 others_are_left_alone,
				 it_outlives_us_and_is_taken_over,
				 a_port_that_is_taken };
	Suite *s = suite_create("export_samba");
	TCase *c = tcase_create("export_samba");

	if (skip_unless_root("export_samba"))
		tests[0] = NULL;
	tcase_add_checked_fixture(c, begin, end);
	tcase_set_timeout(c, 120);
	for (size_t i = 0; tests[0] && i < COUNT(tests); i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	return run_suite(s);
}
