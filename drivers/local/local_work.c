#include "drivers/local/local_work.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

enum { ARGUMENTS = 15 };

struct job {
	json_t *busy; /* the backend's, which may be gone before its work */
	char *id;
	int purpose, gone;
};

static void job_release(void *data)
{
	struct job *j = data;

	json_object_del(j->busy, j->id);
	json_decref(j->busy);
	free(j->id);
	free(j);
}

static struct job *new_job(const struct local_backend *b, const char *id)
{
	struct job *j = xcalloc(1, sizeof *j);

	j->busy = json_incref(b->busy);
	j->id = xstrdup(id);
	json_object_set_new(j->busy, id, json_true());
	return j;
}

/* Takes the arguments, the last of which is NULL. */
static struct driver_work *new_work(const struct local_backend *b, const char *command, ...)
{
	struct driver_work *w = xcalloc(1, sizeof *w);
	size_t n = 0;
	va_list ap;
	char *arg;

	w->argv = xcalloc(ARGUMENTS + 1, sizeof *w->argv);
	w->argv[n++] = process_beside_helper("sharesd-tree");
	w->argv[n++] = xstrdup(command);
	w->argv[n++] = xstrdup("--root");
	w->argv[n++] = xstrdup(b->root);
	va_start(ap, command);
	while ((arg = va_arg(ap, char *)) && n < ARGUMENTS)
		w->argv[n++] = arg;
	va_end(ap);
	return w;
}

static int stat_data(const struct local_object *o, struct stat *ret, struct error *e)
{
	if (fstatat(o->gate, o->in_place ? "." : "data", ret, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(e, errno, "cannot look at the data of %s", o->location);
	return S_ISDIR(ret->st_mode) ? 0 : error_errno(e, ENOTDIR, "cannot open the data of %s", o->location);
}

int local_work_copy(const struct local_root *r, const struct local_object *from, const char *id, bool read_only,
		    const struct driver_call *call, local_finish *finish, struct driver_result *ret, struct error *e)
{
	struct stat st;
	struct job *j;
	int n = stat_data(from, &st, e);

	(void)read_only, (void)call;
	if (n < 0)
		return n;
	j = new_job(r->b, id);
	ret->work = new_work(r->b, "copy", xstrdup("--inode"), xasprintf("%ju", (uintmax_t)st.st_ino), xstrdup("--"),
			     local_object_data_location(from), xasprintf(LOCAL_META "/staging/%s/data", id), NULL);
	ret->work->finish = finish;
	ret->work->release = job_release;
	ret->work->data = j;
	return 0;
}

int local_work_measure(const struct local_root *r, const struct local_object *o, const struct driver_call *call,
		       local_finish *finish, struct driver_result *ret, struct error *e)
{
	struct stat st;
	int n = stat_data(o, &st, e);

	(void)call;
	if (n < 0)
		return n;
	ret->work = new_work(r->b, "measure", xstrdup("--inode"), xasprintf("%ju", (uintmax_t)st.st_ino), xstrdup("--"),
			     local_object_data_location(o), NULL);
	ret->work->finish = finish;
	return 0;
}

/* A call may leave something in the trash of several roots, and has one work behind it. */
static bool add_root(const struct driver_work *w, const struct local_backend *b)
{
	size_t n = 0;

	while (w->argv[n])
		n++;
	if (!w->background || n < 2 || strcmp(w->argv[1], "empty") != 0 || n + 2 > ARGUMENTS)
		return false;
	memmove(w->argv + 4, w->argv + 2, (n - 1) * sizeof *w->argv);
	w->argv[2] = xstrdup("--root");
	w->argv[3] = xstrdup(b->root);
	return true;
}

void local_work_purge(const struct local_root *r, struct driver_result *ret)
{
	if (local_is_empty(r->trash) || (ret->work && add_root(ret->work, r->b)) || ret->work)
		return;
	ret->work = new_work(r->b, "empty", xstrdup("--"), xstrdup(LOCAL_META "/trash"), NULL);
	ret->work->background = true;
}

struct driver_work *local_work_transfer(const struct local_root *r, const char *id, char **argv, int purpose, int gone,
					local_finish *finish)
{
	struct driver_work *w = xcalloc(1, sizeof *w);
	struct job *j = new_job(r->b, id);

	j->purpose = purpose;
	j->gone = gone;
	w->argv = argv;
	w->finish = finish;
	w->release = job_release;
	w->data = j;
	return w;
}

const char *local_work_id(const void *data)
{
	return ((const struct job *)data)->id;
}

int local_work_purpose(const void *data)
{
	return ((const struct job *)data)->purpose;
}

int local_work_gone(const void *data)
{
	return ((const struct job *)data)->gone;
}

int local_work_failed(const struct error *failure, struct error *e)
{
	int err = failure->err ? failure->err : EIO;
	enum error_kind kind = err == ENOSPC || err == EDQUOT ? ERR_NO_SPACE : ERR_DRIVER_FAILED;

	return error_set(e, kind, err, "%s", failure->message ? failure->message : "the helper failed");
}
