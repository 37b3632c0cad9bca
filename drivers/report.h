/* What helper programs tell the daemon: one JSON line at a time on standard output (struct driver_work). */
#ifndef DRIVERS_REPORT_H
#define DRIVERS_REPORT_H

#include "base/error.h"

#include <stdint.h>

/* {"bytes", "percent"}; at most some a second are printed. `percent` below 0: unknown, and null. */
void report_progress(uint64_t bytes, double percent);
/* The same of `total`; 0: unknown. Never more than 99: it is at its end when it has said so. */
void report_progress_of(uint64_t bytes, uint64_t total);
/* The last line: {"result"}, of which it takes the reference, or {"error"} where there is none. Returns the exit
 * status. */
int report_end(json_t *result, const struct error *e);

#endif
