/* Cleanup by scope: the variable's destructor runs when it goes out of scope. Destructors take NULL. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(f) __attribute__((__cleanup__(f)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_     cleanup(cleanup_free)
#define _cleanup_json_     cleanup(cleanup_json)
#define _cleanup_close_    cleanup(cleanup_close)
#define _cleanup_closedir_ cleanup(cleanup_closedir)
#define _cleanup_fclose_   cleanup(cleanup_fclose)

/* Hands the value on and leaves the variable empty, so that its cleanup does nothing. */
#define take_ptr(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) t_ = (p);                                                                                \
		(p) = NULL;                                                                                            \
		t_;                                                                                                    \
	})
#define take_fd(fd)                                                                                                    \
	({                                                                                                             \
		int t_ = (fd);                                                                                         \
		(fd) = -1;                                                                                             \
		t_;                                                                                                    \
	})

#endif
