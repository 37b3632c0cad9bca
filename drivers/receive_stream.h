/* Is a stream of btrfs send whole? Looks at its frame alone: a header, then commands, the last of which says that it is
 * the last. btrfs receive takes a stream that breaks off between two commands for a whole one. */
#ifndef DRIVERS_RECEIVE_STREAM_H
#define DRIVERS_RECEIVE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct receive_stream {
	unsigned char head[17]; /* of the stream, then of each command */
	size_t have;
	uint64_t skip; /* bytes of the command that are still to come */
	bool begun, ended, bad;
};

/* The next bytes, cut anywhere; {0} at first. */
void receive_stream_feed(struct receive_stream *s, const unsigned char *data, size_t n);
bool receive_stream_is_whole(const struct receive_stream *s);

#endif
