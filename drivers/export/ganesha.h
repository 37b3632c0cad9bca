/* NFS through NFS-Ganesha, told over D-Bus what to do: a server of our own, or the system's. */
#ifndef DRIVERS_EXPORT_GANESHA_H
#define DRIVERS_EXPORT_GANESHA_H

#include "drivers/export/export.h"

extern const struct exporter_ops ganesha_exporter;

#endif
