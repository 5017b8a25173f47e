/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/config.h - the configuration file: defaults, and rules by path.
 *
 *  gbx_config_open(&config, NULL, &err);
 *  runtime_config.rules = config;
 *  gbx_runtime_open(&runtime, &runtime_config, &err);
 *  ...
 *  gbx_runtime_close(runtime);
 *  gbx_config_close(config);
 *
 * docs/config.md says what stands in it.  What is wrong in one is told with
 * file, line and key; nothing of it is taken then.
 *
 * Threads: any, once it is open; close last.
 */
#ifndef GBX_CONFIG_H
#define GBX_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_config;
struct gbx_script_config;
struct gbx_host_config;

/*
 * path NULL: the first of $GLOVEBOX_CONFIG, ./glovebox.json,
 * $XDG_CONFIG_HOME/glovebox/config.json (or that in ~/.config) and
 * /etc/glovebox/config.json that is there; none of them is fine, too.  One that
 * is not named, but found, must belong to the user or root, and nobody else may
 * write there.
 * Returns 0 and a configuration to close; GBX_EFILE; GBX_EFORMAT: it is wrong,
 * and err says in which line; GBX_ELIMIT: too large; GBX_EHOST.
 */
int gbx_config_open(struct gbx_config **config, const char *path,
                    struct gbx_error *err);

/* The same for text that a program has: name is what it is called, and the
 * folder that its patterns start from is the working directory. */
int gbx_config_read(struct gbx_config **config, const char *name,
                    const char *text, size_t bytes, struct gbx_error *err);

/* Whose path it is, or NULL: no file was found.  Borrowed until close. */
const char *gbx_config_path(const struct gbx_config *config);

/* Where compiled modules and templates shall be kept, or NULL: not said.
 * Borrowed until close. */
const char *gbx_config_cache(const struct gbx_config *config);

/* The hosts that it names, and how many: a runtime that has the configuration
 * adds them (remote.h) when a script may go there.  Borrowed until close. */
uint32_t gbx_config_hosts(const struct gbx_config *config,
                          const struct gbx_host_config **hosts);

/*
 * Fill in, of what is 0 in script, what the defaults and the rules for this
 * path, and for script's actor_id, say; later rules come before earlier ones.
 * (A runtime that has the configuration does so by itself.)  Texts and lists
 * are borrowed from the configuration.  The path need not exist, but links in
 * it are followed; NULL: what holds for all.
 * Returns 0, or GBX_EHOST.
 */
int gbx_config_apply(const struct gbx_config *config, const char *path,
                     struct gbx_script_config *script, struct gbx_error *err);

/*
 * Over script, what a node of a graph says of its actor (docs/graph.md): in its
 * metadata, a JSON object as text or NULL, `image`, `isolation`, `limits` and
 * `pool` are as in a file; all else there is the actor's own.  is_client, 1: it
 * was written by somebody who may only have less: limits are lowered, the pool
 * stays within script's, and image and isolation are refused.  An isolation
 * that script has counts before the node's; its policy always does.
 * Returns 0 and the texts that script borrows, to be closed after it was opened
 * (NULL: none); GBX_EFORMAT or GBX_EARGUMENT: something is wrong, and err says
 * what, or GBX_EHOST.
 */
int gbx_config_apply_node(struct gbx_config **texts, const char *metadata,
                          int is_client, struct gbx_script_config *script,
                          struct gbx_error *err);

/*
 * What is in force, as JSON text for free(): for this path, or, where it is
 * NULL, all of it.
 * Returns 0, or GBX_EHOST.
 */
int gbx_config_show(const struct gbx_config *config, const char *path,
                    char **json, struct gbx_error *err);

/* NULL is allowed. */
void gbx_config_close(struct gbx_config *config);

#ifdef __cplusplus
}
#endif

#endif
