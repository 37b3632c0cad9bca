#include "drivers/report.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/text.h"

#include <stdio.h>

static const double progress_pause = 0.2;

static void print_line(json_t *line)
{
	_cleanup_free_ char *text = jsonx_dump(line);

	/* Who started us may be gone: then the work is still worth its end, or we are killed. */
	if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
		clearerr(stdout);
	json_decref(line);
}

void report_progress(uint64_t bytes, double percent)
{
	static double last;
	double now = text_monotonic();

	if (now - last < progress_pause)
		return;
	last = now;
	print_line(jsonx_pack("{s:I,s:o}", "bytes", (json_int_t)bytes, "percent",
			      percent >= 0 ? json_integer((json_int_t)percent) : json_null()));
}

void report_progress_of(uint64_t bytes, uint64_t total)
{
	double percent = total ? 100.0 * (double)bytes / (double)total : -1;

	report_progress(bytes, percent < 99 ? percent : 99);
}

int report_end(json_t *result, const struct error *e)
{
	if (result)
		print_line(jsonx_pack("{s:o}", "result", result));
	else
		print_line(jsonx_pack("{s:{s:i,s:o}}", "error", "errno", e->err, "message", jsonx_string(e->message)));
	return result ? 0 : 1;
}
