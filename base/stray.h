/* Processes that nobody answers for any more, found by a variable in their environment. Any thread. */
#ifndef BASE_STRAY_H
#define BASE_STRAY_H

/* "SHARESD_RUN=" and 32 digits, with the end. */
#define STRAY_MARK_SIZE 48

/* A variable that no process has yet: whoever is started with it hands it on to all that comes of it. Returns 0 or a
 * negative errno. */
int stray_mark(char ret[STRAY_MARK_SIZE]);
/* Kills who has `mark` in its environment, until nobody is found or `seconds` have passed. Not found is who
 * has changed its environment, may not be looked at by us, or goes on starting itself anew faster than we look. */
void stray_kill(const char *mark, double seconds);

#endif
