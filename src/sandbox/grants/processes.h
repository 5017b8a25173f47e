/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes.h - does a folder of the host have its processes in it?
 *
 *  rc = processes_below("/srv/root", place);   1: at place, "/srv/root/proc"
 *
 * A guest that reads procfs reads of the caller, too; and in a process it could
 * open its own descriptors anew, with other rights than they were given with.
 */
#ifndef SANDBOX_GRANTS_PROCESSES_H
#define SANDBOX_GRANTS_PROCESSES_H

#include <limits.h>

#include "glovebox/error.h"

/* folder: without links.  Returns 1 and where procfs is mounted, 0, or
 * -errno. */
int processes_below(const char *folder, char place[PATH_MAX]);

/* That is no folder to be shown: returns 0, or GBX_EFILE; GBX_EHOST. */
int processes_refuse(const char *folder, struct gbx_error *err);

#endif
