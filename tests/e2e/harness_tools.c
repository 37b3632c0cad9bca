#include "tests/e2e/harness.h"

#include <check.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- JSON ---- */

static json_t *step(const json_t *j, const char *name)
{
	char *end;
	size_t i;

	if (!json_is_array(j))
		return json_object_get(j, name);
	i = strtoul(name, &end, 10);
	return isdigit((unsigned char)*name) && !*end ? json_array_get(j, i) : NULL;
}

/* Check notes each assertion in a file; what is asked for this often has none that holds. */
json_t *at(const json_t *j, const char *path)
{
	char copy[512], *save = NULL;
	const json_t *here = j;

	if (strlen(path) >= sizeof copy)
		ck_abort_msg("a path of more than %zu bytes: %s", sizeof copy - 1, path);
	strcpy(copy, path);
	for (char *name = strtok_r(copy, ".", &save); name && here; name = strtok_r(NULL, ".", &save))
		here = step(here, name);
	if (!here) {
		char *text = json_dumps(j, JSON_ENCODE_ANY);

		ck_abort_msg("there is no %s in %s", path, text ? text : "nothing");
	}
	return (json_t *)here;
}

static void must_be(const json_t *j, const json_t *member, json_type type, const char *path)
{
	char *text;

	if (json_typeof(member) == type)
		return;
	text = json_dumps(j, JSON_ENCODE_ANY);
	ck_abort_msg("%s is of another type in %s", path, text ? text : "nothing");
}

const char *str_at(const json_t *j, const char *path)
{
	const json_t *member = at(j, path);

	must_be(j, member, JSON_STRING, path);
	return json_string_value(member);
}

long long int_at(const json_t *j, const char *path)
{
	const json_t *member = at(j, path);

	must_be(j, member, JSON_INTEGER, path);
	return json_integer_value(member);
}

/* ---- files and programs ---- */

/* To the end; free it. Outside a test too, where nothing may be asserted. */
static char *read_all(FILE *f)
{
	char *text = NULL, data[8192];
	size_t size = 0, n;
	FILE *m = open_memstream(&text, &size);

	if (!m)
		ck_abort_msg("no memory for what is read");
	while ((n = fread(data, 1, sizeof data, f)) > 0)
		fwrite(data, 1, n, m);
	fclose(m);
	return text;
}

int shell(char **ret_out, const char *fmt, ...)
{
	char command[8192], *out = NULL;
	size_t n;
	va_list ap;
	FILE *p;
	int status;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(n, sizeof command);
	p = popen(command, "re");
	ck_assert_ptr_nonnull(p);
	out = read_all(p);
	status = pclose(p);
	if (ret_out)
		*ret_out = out;
	else
		free(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_msg(f != NULL, "cannot write %s", path);
	fputs(text, f);
	ck_assert_msg(fclose(f) == 0, "cannot write %s", path);
}

char *read_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text;

	if (!f)
		return NULL;
	text = read_all(f);
	fclose(f);
	return text;
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* ---- time and users ---- */

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void nap(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}

bool need_root(const char *test_name)
{
	const char *ci = getenv("CI");

	if (geteuid() == 0)
		return true;
	printf("SKIP %s: needs root\n", test_name);
	if (ci && *ci)
		ck_abort_msg("%s needs root, and CI must not skip it", test_name);
	return false;
}
