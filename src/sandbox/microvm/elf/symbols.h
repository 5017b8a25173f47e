/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols.h - the name of the function that an address is in, for reports.
 *
 * The file is the guest's, so it may be anything: work and memory are bounded,
 * and the name is only ever something to show.
 *
 *  if (elf_symbol(fd, bytes, rip - base, name, sizeof(name), &off) == 0)
 *      ... "%s+0x%lx", name, off
 *
 * Threads: any.
 */
#ifndef SANDBOX_MICROVM_ELF_SYMBOLS_H
#define SANDBOX_MICROVM_ELF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#define ELF_SYMBOLS_MAX (1u << 20) /* looked at in one table */

/*
 * The function that has `address` in it, else the nearest one below.  address:
 * as in the file, without the base at which it was placed.  *off is from the
 * function's start.  The name is cut to fit, and of printable ASCII: all else
 * in it is shown as '?'.
 *
 * Returns 0; -ENOENT when no function lies there; -ENOEXEC when the file is no
 * ELF file of this machine, is damaged or cannot be read.
 */
int elf_symbol(int fd, uint64_t file_bytes, uint64_t address, char *name,
               size_t name_bytes, uint64_t *off);

#endif
