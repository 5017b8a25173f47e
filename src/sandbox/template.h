/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - a sandbox as it stood between two calls, to clone others from
 * and to wipe them back to.
 *
 *  template_prepare(&template, &config, deadline_ns, &err);  no script, or:
 *  template_take(&template, &sandbox, &err);       the sandbox goes on
 *  sandbox_clone(&other, &config, template, &err);  as it was
 *  sandbox_wipe(&other, deadline_ns, &err);        as it was again
 *  template_put(template);                         clones hold theirs
 *
 * A template is bare where an isolation can only copy a guest before it is
 * sealed: then it holds the language alone, and each clone starts the
 * conversation itself, over a region of its own.
 *
 * Threads: any; nothing in it changes.
 */
#ifndef SANDBOX_TEMPLATE_H
#define SANDBOX_TEMPLATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel/channel.h"
#include "channel/region_image.h"
#include "sandbox/backend.h"

struct sandbox;
struct sandbox_config;

struct template
{
    atomic_uint references;
    const struct backend *backend;
    struct snapshot *snapshot; /* the backend's */
    bool is_bare;              /* then there is no more: */
    struct region_image region;
    struct channel channel; /* where the host's side stood */
    uint32_t last_call;
    /* Owned: of bodies that were kept then; those of clones are not. */
    uint64_t *gives;
    uint32_t give_count;
};

/*
 * The language of config's program, ready for a script.  What it prints until
 * then goes to config's output.
 * Returns 0 and a template to put, or as sandbox_open.
 */
int template_prepare(struct template **template,
                     const struct sandbox_config *config, uint64_t deadline_ns,
                     struct gbx_error *err);

/*
 * From IDLE.  Returns 0 and a template to put; GBX_EUNSUPPORTED where the
 * isolation has none of what has started; GBX_EHOST; GBX_ETIME, where its guest
 * is not to be stopped; or another code and a BROKEN sandbox.
 */
int template_take(struct template **template, struct sandbox *sandbox,
                  struct gbx_error *err);

struct template *template_get(struct template *template);
void template_put(struct template *template); /* NULL is allowed */

/* Between the files of this room: a region becomes the template's, and a clone
 * different from its siblings.  Returns 0 or a code. */
int template_fill(const struct template *template, struct region *region);

#endif
