/* A look over the text before libconfuse reads it. libconfuse keeps no line per option, counts lines wrongly after
 * comments, drops characters that it does not know, lets a string run on over lines, takes a missing } at the end of
 * the file for granted, and needs to know every name before it reads. So this finds the names, their lines and the
 * faults of writing; what the words mean is left to libconfuse. */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "conf/fault.h"

/* The syntax error at which the look ended, to be reported unless libconfuse finds one on an earlier line. */
struct scan_stop {
	int at;     /* line */
	int line;   /* to be reported: where the cause is */
	char *text; /* NULL: there is none; owned by the caller */
};

/* Fills `raw` with sections (their titles as they are written, with escapes) and options without values. `text`
 * (NUL-terminated) is changed: comments become blanks, and it ends before a syntax error. Faults that are no syntax
 * errors are added to `faults`. */
void conf_scan(char *text, size_t len, struct raw *raw, struct fault_list *faults, struct scan_stop *ret_stop);

#endif
