/* Samba's own programs, as they are told what to do: net, smbcontrol, smbstatus, pdbedit, testparm. Call thread. */
#ifndef DRIVERS_EXPORT_SAMBA_TOOLS_H
#define DRIVERS_EXPORT_SAMBA_TOOLS_H

#include "base/error.h"

#include <jansson.h>

/* A program of the distribution's: owned by the caller. ERR_BACKEND_DOWN: Samba is not installed. */
int samba_find_program(const char *name, char **ret, struct error *e);

/* All with the conf file `conf`; NULL: the system's. */

/* The shares of the registry: new reference to {name: {parameter: value}}. */
int samba_registry_list(const char *conf, json_t **ret, struct error *e);
/* Makes the share exactly this, in one step; `text` is a section of a conf file, `file` where to put it meanwhile. */
int samba_registry_import(const char *conf, const char *file, const char *name, const char *text, struct error *e);
/* None of that name is fine. */
int samba_registry_remove(const char *conf, const char *name, struct error *e);

/* The value of a global parameter, owned by the caller. */
int samba_parameter(const char *conf, const char *name, char **ret, struct error *e);
/* All shares, of the file and the registry: as samba_registry_list. */
int samba_shares(const char *conf, json_t **ret, struct error *e);
/* The users of the passdb: new reference to {name: true}. */
int samba_users(const char *conf, json_t **ret, struct error *e);

/* Who is connected to the share: new reference to [{"pid", "user", "machine"}]. */
int samba_sessions(const char *conf, const char *share, json_t **ret, struct error *e);
/* `what` ("close-share", "close-denied-share") of the share, by one server process, or all ("smbd"). */
int samba_control(const char *conf, const char *process, const char *what, const char *share, struct error *e);

#endif
