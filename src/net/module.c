/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "net/module.h"

const void *net_module_find(const char *folder, const char *file,
                            const char *symbol, struct gbx_error *err)
{
    const char *told = secure_getenv("GLOVEBOX_LIBEXEC");
    const void *found;
    char path[4096];
    void *module;

    if (folder == NULL)
        folder = told != NULL ? told : GLOVEBOX_LIBEXEC_DIR;
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL) {
        fail(err, GBX_EUNSUPPORTED,
             "what speaks to other hosts cannot be loaded: %s", dlerror());
        return NULL;
    }
    found = dlsym(module, symbol);
    if (found == NULL)
        fail(err, GBX_EUNSUPPORTED, "%s is of another Glovebox", path);
    return found;
}
