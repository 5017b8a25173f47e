/* SPDX-License-Identifier: Apache-2.0 */
/* kind.h - what the kinds of event.h's files know of each other. */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_KIND_H
#define SANDBOX_MICROVM_LINUX_EVENT_KIND_H

#include <stdint.h>

#include "sandbox/files/tree/file.h"

/* Of all kinds that are neither pipe nor socket. */
static inline int kind_stat(struct file *file, struct stat *st)
{
    (void)file;
    *st = (struct stat){.st_mode = 0600, .st_nlink = 1, .st_blksize = 4096};
    return 0;
}

int64_t socket_readable_bytes(struct file *socket);

#endif
