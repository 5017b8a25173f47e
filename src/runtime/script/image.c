/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - a script whose root is an image's.
 *
 * The tag is followed once, when the script is opened: all its sandboxes, and
 * its branches, have what it meant then, whatever is pulled meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "glovebox/image.h"
#include "runtime/runtime.h"

/* From here on it is called by what it is.  (A folder has no digest.) */
static int settle(struct gbx_script *script, struct gbx_error *err)
{
    const char *digest = gbx_image_info(script->image)->digest,
               *root = strdup(gbx_image_root(script->image)),
               *name = digest[0] != '\0' ? strdup(digest)
                                         : strdup(script->config.image);

    free((char *)(uintptr_t)script->config.image);
    script->config.image = name;
    script->config.root = root;
    return root != NULL && name != NULL
               ? 0
               : fail(err, GBX_EHOST, "no memory for a script");
}

int script_take_image(struct gbx_script *script, struct gbx_error *err)
{
    const struct gbx_script_config *config = &script->config;
    int rc;

    if (config->image == NULL || config->root != NULL)
        return 0;
    rc = gbx_images_open(&script->images, NULL, err);
    if (rc == 0)
        rc = gbx_image_open(&script->image, script->images, config->image, err);
    return rc == 0 ? settle(script, err) : rc;
}

void script_put_image(struct gbx_script *script)
{
    gbx_image_close(script->image);
    gbx_images_close(script->images);
    free((char *)(uintptr_t)script->config.image);
}
