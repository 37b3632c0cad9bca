/* Room for results. What a driver has done must be stored, also on a disk that is full by then. So before a driver is
 * called, the log gets blocks beyond its end (fallocate, which leaves its size alone): the result's commit needs no
 * others. Where they cannot be had, the call is refused before anything has changed. */
#include "base/mem.h"
#include "daemon/store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

#define KIB 1024

/* What one result takes at most; one with the largest request that there can be may take more, and is then decided
 * when there is space again. */
#define RESULT_ROOM (128 * KIB)
/* What stays for calls that make room: on a full disk, too, shares can be deleted. */
#define FREEING_ROOM (384 * KIB)
/* Got at a time, so that most calls find it there. */
#define CHUNK (1024 * KIB)
/* SQLite's head of the log, and of each page in it. */
#define LOG_HEAD   32
#define FRAME_HEAD 24
#define PAGE_SIZE  4096

static int open_log(struct store *st)
{
	_cleanup_free_ char *path = xasprintf("%s-wal", st->path);
	struct stat s;

	st->log_fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (st->log_fd < 0 || fstat(st->log_fd, &s) < 0)
		return -errno;
	/* As much as it can be: the number of pages is known after the first commit. */
	if (st->log_end == 0)
		st->log_end = s.st_size;
	return 0;
}

void store_note_log(struct store *st, int pages)
{
	int64_t end = LOG_HEAD + (int64_t)pages * (PAGE_SIZE + FRAME_HEAD);

	/* It began anew, and may have been cut. */
	if (end < st->log_end)
		st->log_room = 0;
	st->log_end = end;
}

/* No file system without fallocate gets worse by this: a result that finds no space is decided later. */
static int get_room(struct store *st, int64_t end)
{
	if (end <= st->log_room)
		return 0;
	if (fallocate(st->log_fd, FALLOC_FL_KEEP_SIZE, 0, end + CHUNK) == 0) {
		st->log_room = end + CHUNK;
		return 0;
	}
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	if (fallocate(st->log_fd, FALLOC_FL_KEEP_SIZE, 0, end) < 0)
		return -errno;
	st->log_room = end;
	return 0;
}

int store_need_room(struct store *st, unsigned results, bool frees, struct error *e)
{
	int64_t room = (int64_t)(results + 1) * RESULT_ROOM + (frees ? 0 : FREEING_ROOM);
	int r = st->log_fd < 0 ? open_log(st) : 0;

	if (r == 0)
		r = get_room(st, st->log_end + room);
	if (r == -ENOSPC || r == -EDQUOT)
		return error_set(e, ERR_NO_SPACE, -r,
				 "no space is left for the database %s to store what would be done: free some on its "
				 "file system, then try again",
				 st->path);
	return r < 0 ? error_set(e, ERR_INTERNAL, -r,
				 "no space can be reserved for the log of the database %s (%s): see to its file system",
				 st->path, strerror(-r))
		     : 0;
}
