/* The text of a conf file to its sections, options and words (libconfuse). */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "conf/fault.h"

/* Reads and parses the file, whatever its options mean. 0, also with syntax errors, which are in `faults` and mark
 * `ret` as broken. -EPERM: others may write it; other errnos: it could not be read; both with a fault and nothing in
 * `ret`. */
int conf_parse_file(const char *path, struct raw *ret, struct fault_list *faults);

/* The same for a text, which is changed. */
void conf_parse_text(char *text, size_t len, struct raw *ret, struct fault_list *faults);

#endif
