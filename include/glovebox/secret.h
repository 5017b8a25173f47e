/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/secret.h - what a script may know and nobody else: keys, passwords.
 *
 *  const struct gbx_secret secrets[] = {
 *      {.name = "API_KEY", .value = key, .bytes = key_bytes},
 *      {.name = "PASSWORD", .source = "file:/run/secrets/password"}};
 *  config.secrets = secrets;                     of a script (runtime.h)
 *  config.secret_count = 2;
 *
 *  context.secret("API_KEY")                     in the script
 *
 * Granted by name, and handed over when the script asks, in a call.  So a
 * secret is in no file, image, template, environment or argument, and in no log
 * of Glovebox.  While a script is loaded it gets none, since what it knows then
 * would be kept in templates.  What it has been told it knows until its sandbox
 * is wiped (pool.h: GBX_WIPE_PER_CALL), and it can send it anywhere that it can
 * send anything; one that runs on another host (remote.h) is told there.
 *
 * Memory: values are copied when the script is opened, into pages that are
 *         locked, where RLIMIT_MEMLOCK allows it, and neither dumped nor seen
 *         by children; they are zeroed when its last call is finished.  The
 *         caller's own copy is the caller's matter.
 */
#ifndef GBX_SECRET_H
#define GBX_SECRET_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_SECRETS_MAX      64         /* of one script */
#define GBX_SECRET_NAME_MAX  63         /* bytes: A-Z a-z 0-9 _ - . */
#define GBX_SECRET_BYTES_MAX (64 << 10) /* of a value */

struct gbx_secret {
    const char *name;
    const void *value; /* a script sees a text if it is UTF-8, else bytes */
    size_t bytes;
    /* Instead of a value, where it is when the script is opened:
     * "env:VARIABLE", which others of the same user can read in /proc, or
     * "file:PATH", without a line end that is its last byte. */
    const char *source;
};

#ifdef __cplusplus
}
#endif

#endif
