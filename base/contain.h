/* What sharesd-contain and who starts it (process.c) say to each other. Private to base/.
 *
 * sharesd-contain USER GROUP PROGRAM [ARGUMENT]..: USER "" keeps the user; GROUP "" keeps the control group, else
 * descriptor 4 is the directory of the one that the program runs in, and the helper does not. Its descriptors 0, 1, 2
 * and its environment are the program's. On descriptor 3, a socket of whole messages, it tells what happens; end of
 * file there is the order to kill all. It ends when nothing is left below it. */
#ifndef BASE_CONTAIN_H
#define BASE_CONTAIN_H

#include <stdint.h>

#define CONTAIN_FD       3
#define CONTAIN_GROUP_FD 4

enum contain_word {
	CONTAIN_STARTED,   /* value: the program's process id */
	CONTAIN_NO_USER,   /* there is no such user; value: errno */
	CONTAIN_NO_SWITCH, /* the user could not be taken on; value: errno */
	CONTAIN_NO_GROUP,  /* the control group could not be gone to; value: errno */
	CONTAIN_NO_EXEC,   /* value: errno */
	CONTAIN_ENDED,     /* the program itself; value: its wait status. What it left is being killed */
};

struct contain_message {
	int32_t word;
	int32_t value;
};

#endif
