/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.h - the texts of /proc and /sys that programs read: made when they are
 * opened, about this guest alone.
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_PROC_H
#define SANDBOX_MICROVM_LINUX_PROC_H

#include "sandbox/microvm/linux/kernel.h"

/* Put them into the tree.  Returns 0 or -errno. */
int proc_build(struct kernel *kernel);
/* Its number is another one. */
int proc_add_pid(struct kernel *kernel);

#endif
