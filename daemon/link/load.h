/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - the body of a LOAD frame (net/frame.h): a script that a client
 * brings, and what it wants of the sandbox.
 *
 *  if (load_read(&load, body, bytes, &err) == 0) ... load.file ...
 *  load_fini(&load);
 *
 * Memory: the texts are its own, and end with a zero.
 * Threads: any.
 */
#ifndef DAEMON_LINK_LOAD_H
#define DAEMON_LINK_LOAD_H

#include "glovebox/runtime.h"

#define LOAD_FILE_MAX 128u /* bytes of a file's name */

struct load {
    char *file, *source, *actor_id, *config_json; /* owned */
    size_t source_bytes;
    enum gbx_isolation floor; /* AUTO: none */
    struct gbx_limits limits; /* 0: not said */
};

/*
 * The file's name is one that can be made in a folder of ours, and says what
 * language it is: .py, .js or .mjs.  Returns 0; GBX_EFORMAT, GBX_EARGUMENT or
 * GBX_EHOST.  To be given to fini in any case.
 */
int load_read(struct load *load, const void *body, size_t bytes,
              struct gbx_error *err);
void load_fini(struct load *load);

#endif
