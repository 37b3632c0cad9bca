#include "hooks/breaker.h"

#include "base/text.h"

#include <errno.h>
#include <time.h>

int breaker_admit(const struct breaker *b, struct error *e)
{
	double left = b->until - text_monotonic();
	if (!b->open || left <= 0)
		return 0;
	return error_set(
		e, ERR_INTERNAL, EAGAIN,
		"it is left out, since it did not answer in time %u times in a row; it is tried again in %.0f s, "
		"or after sharesctl hook enable",
		b->timeouts, left < 1 ? 1 : left);
}

static void set_shown(struct breaker *b)
{
	time_t at = time(NULL) + (time_t)b->pause;
	struct tm tm;
	gmtime_r(&at, &tm);
	strftime(b->shown, sizeof(b->shown), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

bool breaker_note(struct breaker *b, bool timed_out, bool answered)
{
	if (answered)
		breaker_reset(b);
	if (!timed_out)
		return false;
	b->timeouts++;
	if (b->limit == 0 || b->timeouts < b->limit)
		return false;
	b->open = true;
	b->until = text_monotonic() + b->pause;
	set_shown(b);
	return true;
}

void breaker_reset(struct breaker *b)
{
	b->timeouts = 0;
	b->open = false;
}
