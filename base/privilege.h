/* What this process may do beyond what its user may. A capability counts, not being root: a unit gives the daemon's
 * user a few, and root in a container may have few. Asked anew each time. Any thread. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H

#include <stdbool.h>

/* May it own, read and change the files of all users? */
bool privilege_files(void);
/* May it run programs as any user? */
bool privilege_users(void);
/* May it mount, and change what a file system keeps for all of it? */
bool privilege_mounts(void);
/* Is it a service of a systemd that runs here, whose unit says what it may? */
bool privilege_of_unit(void);
/* May it talk to other machines? */
bool privilege_network(void);
/* May it make networks: namespaces' links, addresses and routes? */
bool privilege_networks(void);

#endif
