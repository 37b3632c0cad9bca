#include "drivers/receive_stream.h"

#include <string.h>

/* The kernel's fs/btrfs/send.h: "btrfs-stream", a null byte, a version of 4 bytes; then of each command the length of
 * what follows the head (4 bytes, little-endian), what it is (2), a checksum (4). */
enum { MAGIC_BYTES = 13, STREAM_HEAD = 17, COMMAND_HEAD = 10, COMMAND_END = 21 };

static void take_head(struct receive_stream *s)
{
	const unsigned char *h = s->head;

	if (!s->begun) {
		s->bad = memcmp(h, "btrfs-stream", MAGIC_BYTES) != 0;
		s->begun = true;
	} else {
		s->skip = h[0] | (uint64_t)h[1] << 8 | (uint64_t)h[2] << 16 | (uint64_t)h[3] << 24;
		s->ended = (h[4] | h[5] << 8) == COMMAND_END;
		s->bad = s->ended && s->skip > 0;
	}
	s->have = 0;
}

void receive_stream_feed(struct receive_stream *s, const unsigned char *data, size_t n)
{
	while (n > 0 && !s->bad) {
		size_t wanted = s->begun ? COMMAND_HEAD : STREAM_HEAD, take;

		if (s->ended) {
			s->bad = true;
		} else if (s->skip > 0) {
			take = n < s->skip ? n : (size_t)s->skip;
			s->skip -= take;
			data += take;
			n -= take;
		} else {
			take = n < wanted - s->have ? n : wanted - s->have;
			memcpy(s->head + s->have, data, take);
			s->have += take;
			data += take;
			n -= take;
			if (s->have == wanted)
				take_head(s);
		}
	}
}

bool receive_stream_is_whole(const struct receive_stream *s)
{
	return s->ended && !s->bad;
}
