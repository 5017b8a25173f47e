/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h - parts of Glovebox that are loaded where they are needed: what
 * speaks TLS, WebSocket and NATS is in the process of nobody else.
 *
 *  api = net_module_find(libexec_dir, "glovebox-nats.so", "net_edge_api",
 * &err);
 *
 * They stay: their libraries do not like to be unloaded.
 *
 * Threads: any.
 */
#ifndef NET_MODULE_H
#define NET_MODULE_H

#include "glovebox/error.h"

/* folder NULL: by GLOVEBOX_LIBEXEC, else where it was installed.  Returns the
 * symbol, or NULL: GBX_EUNSUPPORTED, and err says why. */
const void *net_module_find(const char *folder, const char *file,
                            const char *symbol, struct gbx_error *err);

#endif
