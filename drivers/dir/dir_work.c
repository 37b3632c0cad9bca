#include "drivers/dir/dir_work.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/process.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct job {
	json_t *busy; /* the backend's, which may be gone before its work */
	char *id;
};

static void job_release(void *data)
{
	struct job *j = data;

	json_object_del(j->busy, j->id);
	json_decref(j->busy);
	free(j->id);
	free(j);
}

/* Takes the arguments, the last of which is NULL. */
static struct driver_work *new_work(const struct dir_backend *b, const char *command, ...)
{
	struct driver_work *w = xcalloc(1, sizeof *w);
	size_t n = 0;
	va_list ap;
	char *arg;

	w->argv = xcalloc(16, sizeof *w->argv);
	w->argv[n++] = process_beside_helper("sharesd-tree");
	w->argv[n++] = xstrdup(command);
	w->argv[n++] = xstrdup("--root");
	w->argv[n++] = xstrdup(b->root);
	va_start(ap, command);
	while ((arg = va_arg(ap, char *)) && n < 15)
		w->argv[n++] = arg;
	va_end(ap);
	return w;
}

int dir_work_copy(const struct dir_root *r, const struct dir_object *from, const char *id, dir_finish *finish,
		  struct driver_result *ret, struct error *e)
{
	struct stat st;
	struct job *j;
	int n = dir_object_stat_data(from, &st);

	if (n < 0)
		return error_errno(e, -n, "cannot look at the data of %s", from->location);
	j = xcalloc(1, sizeof *j);
	j->busy = json_incref(r->b->busy);
	j->id = xstrdup(id);
	json_object_set_new(j->busy, id, json_true());
	ret->work = new_work(r->b, "copy", xstrdup("--inode"), xasprintf("%ju", (uintmax_t)st.st_ino), xstrdup("--"),
			     dir_object_data_location(from), xasprintf(DIR_META "/staging/%s/data", id), NULL);
	ret->work->finish = finish;
	ret->work->release = job_release;
	ret->work->data = j;
	return 0;
}

void dir_work_measure(const struct dir_root *r, const char *location, ino_t ino, dir_finish *finish,
		      struct driver_result *ret)
{
	ret->work = new_work(r->b, "measure", xstrdup("--inode"), xasprintf("%ju", (uintmax_t)ino), xstrdup("--"),
			     xstrdup(location), NULL);
	ret->work->finish = finish;
}

void dir_work_purge(const struct dir_root *r, struct driver_result *ret)
{
	if (ret->work || dir_is_empty(r->trash))
		return;
	ret->work = new_work(r->b, "empty", xstrdup("--"), xstrdup(DIR_META "/trash"), NULL);
	ret->work->background = true;
}

int dir_work_failed(const struct error *failure, struct error *e)
{
	int err = failure->err ? failure->err : EIO;
	enum error_kind kind = err == ENOSPC || err == EDQUOT ? ERR_NO_SPACE : ERR_DRIVER_FAILED;

	return error_set(e, kind, err, "%s", failure->message ? failure->message : "the helper failed");
}
