#include "drivers/driver.h"

#include <stdlib.h>

void driver_work_free(struct driver_work *w)
{
	if (!w)
		return;
	for (char **a = w->argv; a && *a; a++)
		free(*a);
	free(w->argv);
	if (w->release)
		w->release(w->data);
	free(w);
}
