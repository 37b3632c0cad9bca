/* Memory. Out of memory ends the process: every change is journaled first (daemon/store), so an end at any
 * moment is a state that the next start knows how to repair, and half of the error paths need not exist.
 * What a client can make us allocate is bounded by the limits of the socket. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
/* NULL stays NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* Gives free memory back to the system, which the allocator would keep: after work that is rare and as large as all
 * that there is. Any thread. */
void mem_give_back(void);

/* Routes jansson's allocations through xmalloc. Call first in main, before any thread. */
void mem_setup(void);

#endif
