/* SHARESD_CRASH_AT=N: the process dies by SIGKILL at the Nth step that commits or changes the backend. Each such step
 * calls crash_step before and after it changes something; without the variable it costs a comparison. */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

void crash_setup(void); /* reads the environment; main calls it once */
void crash_step(const char *what);

#endif
