/* sharesd-receive: keeps replicas for the sharesd of another host, which runs it through ssh. It is the command that a
 * key of that host is held to (sshd's authorized_keys):
 *
 *   restrict,command="/usr/libexec/sharesd/sharesd-receive /srv/replicas" ssh-ed25519 ...
 *
 * What it is to do comes in SSH_ORIGINAL_COMMAND; nothing else that the other host says reaches a path or a program:
 *
 *   BACKEND make                            makes the place of a backend, and tidies it; answers as `state`
 *   BACKEND state [ID]                      what is there of all replicas, or of one: a JSON line
 *   BACKEND receive share ID NAME           takes a stream of btrfs send from standard input
 *   BACKEND receive snapshot ID NAME OF     the same; OF is the replica's ID
 *   BACKEND delete share|snapshot ID
 *
 * `sharesd-receive DIRECTORY list`, by hand, lists what is held for all backends. Exit status: 0, 1 with the reason on
 * standard error, 3 where the place is not there. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "base/text.h"
#include "drivers/receive.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 6, NOT_THERE = 3, USAGE = 2 };

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 127)
			return false;
	return true;
}

static int split(char *request, char **words)
{
	int n = 0;
	char *next, *word;

	for (word = strtok_r(request, " ", &next); word; word = strtok_r(NULL, " ", &next)) {
		if (n == WORDS)
			return WORDS + 1;
		words[n++] = word;
	}
	return n;
}

static int print_state(const struct receive_place *p, const char *replica, struct error *e)
{
	_cleanup_json_ json_t *state = NULL;
	_cleanup_free_ char *text = NULL;
	int r = receive_state(p, replica, &state, e);

	if (r < 0)
		return r;
	text = jsonx_dump(state);
	return printf("%s\n", text) < 0 || fflush(stdout) != 0 ? error_errno(e, errno, "cannot answer") : 0;
}

static int serve(const struct receive_place *p, int n, char **words, struct error *e)
{
	bool snapshot = n > 2 && strcmp(words[2], "snapshot") == 0;
	enum receive_kind kind = snapshot ? RECEIVE_SNAPSHOT : RECEIVE_SHARE;
	bool about = n > 3 && (snapshot || strcmp(words[2], "share") == 0) && text_is_uuid(words[3]);

	if (n == 2 && strcmp(words[1], "make") == 0)
		return receive_tidy(p, e) < 0 ? -EIO : print_state(p, NULL, e);
	if (n <= 3 && strcmp(words[1], "state") == 0)
		return print_state(p, n == 3 ? words[2] : NULL, e);
	if (n == (snapshot ? 6 : 5) && about && strcmp(words[1], "receive") == 0 && is_plain(words[4]) &&
	    (!snapshot || text_is_uuid(words[5])))
		return receive_take(p, &(struct receive_object){ kind, words[3], words[4], snapshot ? words[5] : NULL },
				    STDIN_FILENO, e);
	if (n == 4 && about && strcmp(words[1], "delete") == 0)
		return receive_delete(p, kind, words[3], e);
	return error_set(e, ERR_DRIVER_FAILED, EINVAL,
			 "this is not a request of sharesd's: both hosts need the same version of it");
}

static int list_place(const char *root, const char *backend, struct error *e)
{
	struct receive_place p = RECEIVE_PLACE_INIT;
	_cleanup_json_ json_t *state = NULL;
	json_t *held;
	size_t i;
	int r = receive_open(root, backend, false, &p, e);

	if (r == 0)
		r = receive_state(&p, NULL, &state, e);
	receive_close(&p);
	json_array_foreach(json_object_get(state, "held"), i, held) {
		const char *kind = jsonx_str(held, "kind");

		printf("%s\t%s\t%s/%s/%ss/%s/data\n", kind, jsonx_str(held, "name"), root, backend, kind,
		       jsonx_str(held, "id"));
	}
	return r;
}

static int list(const char *root, struct error *e)
{
	_cleanup_closedir_ DIR *d = opendir(root);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return error_errno(e, errno, "cannot read %s", root);
	while (r == 0 && (entry = readdir(d)))
		if (text_is_uuid(entry->d_name))
			r = list_place(root, entry->d_name, e);
	return r;
}

static int failed(int r, const struct error *e)
{
	if (r >= 0)
		return 0;
	fprintf(stderr, "sharesd-receive: %s\n", e->message);
	return r == -ENOENT ? NOT_THERE : 1;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct error e = ERROR_INIT;
	const char *asked = getenv("SSH_ORIGINAL_COMMAND");
	_cleanup_free_ char *request = asked ? xstrdup(asked) : NULL;
	struct receive_place p = RECEIVE_PLACE_INIT;
	char *words[WORDS];
	int n, r;

	mem_setup();
	signal(SIGPIPE, SIG_IGN);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	if (argc == 3 && !request && strcmp(argv[2], "list") == 0)
		return failed(list(argv[1], &e), &e);
	if (argc != 2 || *argv[1] != '/' || !request) {
		fprintf(stderr,
			"usage: sharesd-receive DIRECTORY list\n"
			"   or: the command of a key in sshd's authorized_keys, for the sharesd of another host\n");
		return USAGE;
	}
	n = split(request, words);
	if (n < 2 || n > WORDS || !text_is_uuid(words[0])) {
		error_set(&e, ERR_DRIVER_FAILED, EINVAL, "this is not a request of sharesd's");
		return failed(-EINVAL, &e);
	}
	r = receive_open(argv[1], words[0], strcmp(words[1], "make") == 0, &p, &e);
	if (r < 0)
		return r == -ENOENT ? failed(r, &e) : failed(-EIO, &e);
	r = serve(&p, n, words, &e);
	receive_close(&p);
	return failed(r == -ENOENT ? -EIO : r, &e);
}
