/* sharesctl as a whole: from the command line to the exit code. */
#ifndef CLIENT_PROGRAM_H
#define CLIENT_PROGRAM_H

#include "client/ctl.h"

/* Does what argv says; the result is the exit code. */
int program_run(struct ctl *c, int argc, char **argv);

#endif
