#include "conf/near.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

/* No option's name is longer. */
#define LENGTH_MAX 63
#define FAR        2

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t near_distance(const char *a, const char *b, size_t max)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > LENGTH_MAX || m > LENGTH_MAX)
		return max + 1;
	/* d[i][j]: from the first i letters of a to the first j of b. */
	uint8_t d[LENGTH_MAX + 1][LENGTH_MAX + 1];
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			size_t best = i ? j ? LENGTH_MAX : i : j;
			if (i && j) {
				best = least(d[i - 1][j], d[i][j - 1]) + 1U;
				best = least(best, d[i - 1][j - 1] + (size_t)(a[i - 1] != b[j - 1]));
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least(best, d[i - 2][j - 2] + 1U);
			d[i][j] = (uint8_t)best;
		}
	}
	return least(d[n][m], max + 1);
}

void near_add(struct near *n, const char *name)
{
	size_t distance = near_distance(n->word, name, FAR);
	/* Of a short word not much would be left. */
	if (distance > FAR || distance * 2 >= strlen(n->word) || (n->names && distance > n->distance))
		return;
	_cleanup_free_ char *before = n->names;
	n->names = before && distance == n->distance ? xasprintf("%s or `%s'", before, name) : xasprintf("`%s'", name);
	n->distance = distance;
}
