/* What is wrong with a conf file, one line a fault, put in the order of the file at the end. */
#ifndef CONF_FAULT_H
#define CONF_FAULT_H

#include "conf/conf.h"
#include "conf/raw.h"

struct fault_list {
	const char *path; /* borrowed */
	struct fault {
		int line; /* 0: the file as a whole */
		char *text;
	} * faults;
	size_t n;
};

/* "FILE:LINE: dir "media": option `x': reason". `s` (NULL or the top level: none) and `option` may be missing. */
void fault_add(struct fault_list *f, int line, const struct raw_section *s, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* In the order of the file. */
void fault_sort(struct fault_list *f);
/* Moves all, sorted, into `ret`, which may be NULL; the list is empty afterwards. */
void fault_finish(struct fault_list *f, struct conf_faults *ret);
void fault_clear(struct fault_list *f);

/* A text of the file as it can stand in a message: one line, UTF-8, cut when long. Owned by the caller. */
char *fault_shown(const char *text);

#endif
