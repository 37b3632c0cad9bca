/* The exporter `samba`: SMB, by shares in Samba's registry. */
#ifndef DRIVERS_EXPORT_SAMBA_H
#define DRIVERS_EXPORT_SAMBA_H

#include "drivers/export/export.h"

extern const struct exporter_ops samba_exporter;

#endif
