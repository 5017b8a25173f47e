/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_file.h - templates in a directory, for other processes and days.
 *
 *   page 0   | magic, version, lengths, checksum |
 *   then     | key: what it was made of and for  |
 *            | extra: the caller's               |
 *            | the snapshot, region, channel     |  to the end of a page
 *   then     | pages of the guest's memory       |  mapped as they are
 *
 *  template_load(&template, &extra, dir_fd, name, &key, how, &err);
 *  template_save(template, dir_fd, name, &key, &extra, &err);
 *
 * What a template has in it, runs in this process (heap.h).  So a file is used
 * only if it is ours and nobody else may write it, its key is the very same,
 * byte for byte, and its checksum is right.  The checksum finds damage; who can
 * write as us needs no template to do harm.
 *
 * Threads: any.  A file appears as a whole, or not at all.
 */
#ifndef SANDBOX_TEMPLATE_FILE_H
#define SANDBOX_TEMPLATE_FILE_H

#include "base/bytes.h"
#include "sandbox/template.h"

#define TEMPLATE_FILE_END ".template"

/*
 * TEMPLATE_BRIEF: its pages are mapped from the file, which nobody can change
 * for TEMPLATE_BRIEF_S from now on (a lease); else they are copied first, which
 * takes a few milliseconds.
 */
enum template_how { TEMPLATE_COPIED, TEMPLATE_BRIEF };
#define TEMPLATE_BRIEF_S 30

/*
 * Returns 0, a template to put, and extra to free(); GBX_EFILE where there is
 * none; GBX_EFORMAT (damaged), GBX_ESTALE (of another key, or the host has
 * changed), GBX_ELIMIT (RLIMIT_FSIZE is too low for a copy), GBX_EHOST.
 */
int template_load(struct template **template, struct bytes_out *extra,
                  const struct backend *backend, int dir_fd, const char *name,
                  const struct bytes_out *key, enum template_how how,
                  struct gbx_error *err);

/* Returns 0; GBX_EUNSUPPORTED where its backend has no files; GBX_ELIMIT:
 * RLIMIT_FSIZE; GBX_EHOST: no memory, a full disk.  Then the directory is as it
 * was. */
int template_save(const struct template *template, int dir_fd, const char *name,
                  const struct bytes_out *key, const struct bytes_out *extra,
                  struct gbx_error *err);

/* The name for a key: 32 hexadecimal digits, and TEMPLATE_FILE_END. */
#define TEMPLATE_NAME_BYTES (32 + sizeof(TEMPLATE_FILE_END))
void template_name(char name[TEMPLATE_NAME_BYTES], const struct bytes_out *key);

#endif
