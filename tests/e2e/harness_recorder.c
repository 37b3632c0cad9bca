#include "tests/e2e/harness_recorder.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct recorder {
	char scripts[192], log[192];
	off_t read;
};

const char recorder_options[] =
	"hook_options = {\"recorder_log=@DIR@/recorder/log\", \"recorder_scripts=@DIR@/recorder\"}\n";

struct recorder *recorder_new(const struct fixture *f)
{
	struct recorder *r = calloc(1, sizeof *r);

	ck_assert_ptr_nonnull(r);
	snprintf(r->scripts, sizeof r->scripts, "%s/recorder", f->dir);
	snprintf(r->log, sizeof r->log, "%s/recorder/log", f->dir);
	ck_assert_msg(mkdir(r->scripts, 0700) == 0, "%s: %s", r->scripts, strerror(errno));
	return r;
}

void recorder_free(struct recorder *r)
{
	free(r);
}

const char *recorder_entry(void)
{
	static char entry[512];

	snprintf(entry, sizeof entry, "%s:e2e_recorder", program_path("tests/plugins/e2e_recorder.so"));
	return entry;
}

/* A new file, put in place whole: the hook may be reading. */
void recorder_script(struct recorder *r, const char *backend, json_t *script)
{
	char path[512], new[512];

	snprintf(path, sizeof path, "%s/%s.script", r->scripts, backend);
	snprintf(new, sizeof new, "%s/new", r->scripts);
	if (script) {
		ck_assert_int_eq(json_dump_file(script, new, JSON_COMPACT), 0);
		ck_assert_int_eq(rename(new, path), 0);
	} else {
		unlink(path);
	}
	json_decref(script);
}

/* Whole lines: one may be in the middle of being written. */
static char *read_new(struct recorder *r, size_t *ret_len)
{
	int fd = open(r->log, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	ssize_t n = 0;

	*ret_len = 0;
	if (fd < 0)
		return NULL;
	for (double until = now() + 10;; nap(0.001)) {
		struct stat st;

		ck_assert_int_eq(fstat(fd, &st), 0);
		free(text);
		text = malloc((size_t)(st.st_size - r->read) + 1);
		ck_assert_ptr_nonnull(text);
		n = pread(fd, text, (size_t)(st.st_size - r->read), r->read);
		ck_assert_int_eq(n, st.st_size - r->read);
		if (n == 0 || text[n - 1] == '\n')
			break;
		ck_assert_msg(now() < until, "half a line of a hook event: %.*s", (int)n, text);
	}
	close(fd);
	r->read += n;
	*ret_len = (size_t)n;
	return text;
}

json_t *recorder_events(struct recorder *r)
{
	json_t *list = json_array();
	size_t len = 0;
	char *text = read_new(r, &len);

	for (char *p = text, *end; p && p < text + len; p = end + 1) {
		json_error_t error;
		json_t *line;

		end = memchr(p, '\n', (size_t)(text + len - p));
		ck_assert_ptr_nonnull(end);
		line = json_loadb(p, (size_t)(end - p), 0, &error);
		ck_assert_msg(line != NULL, "a hook event is no JSON: %s", error.text);
		json_array_append_new(list, line);
	}
	free(text);
	return list;
}
