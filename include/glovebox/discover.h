/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/discover.h - which scripts lie in a folder, and which of them a
 * graph's component is.
 *
 *  gbx_scripts_open(&scripts, "flows", &err);
 *  if (gbx_scripts_find(scripts, "luma", &path, &err) == 0)
 *      gbx_script_open(&script, runtime, path, NULL, &err);
 *  gbx_scripts_close(scripts);
 *
 * Scripts are found by Reflow's patterns: NAME.actor.py and NAME.actor.js
 * anywhere, NAME.py and NAME.js in folders called actors; also .mjs and .cjs.
 * What lies in node_modules, __pycache__, venv, target or .git is none, nor
 * what is more than GBX_DISCOVER_DEPTH_MAX folders deep.  Links to folders are
 * not followed, links to files as long as those lie in the folder.  Nothing is
 * run.
 *
 * Threads: any; one scripts object may be used by many at once.
 */
#ifndef GBX_DISCOVER_H
#define GBX_DISCOVER_H

#include <stddef.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_DISCOVER_DEPTH_MAX   10u
#define GBX_DISCOVER_SCRIPTS_MAX 10000u

struct gbx_discovered {
    const char *path;    /* the folder's, and on from there */
    const char *name;    /* "luma" of luma.actor.py */
    const char *space;   /* namespace: "vision.camera" of vision/camera/, or
                            "default" */
    const char *runtime; /* "Python" or "JavaScript" */
};

/* A script; its texts are borrowed until the function returns.  Returns 0; any
 * other value ends the search and is returned. */
typedef int (*gbx_discovered_fn)(void *context,
                                 const struct gbx_discovered *found);

/* Each script once, folder by folder, by name.  Returns 0; GBX_EFILE: the
 * folder cannot be read; GBX_ELIMIT; or GBX_EHOST. */
int gbx_discover(const char *folder, gbx_discovered_fn found, void *context,
                 struct gbx_error *err);

struct gbx_scripts;

/* All that a folder has now.  Returns as gbx_discover; 0: to be closed. */
int gbx_scripts_open(struct gbx_scripts **scripts, const char *folder,
                     struct gbx_error *err);

/* NULL is allowed. */
void gbx_scripts_close(struct gbx_scripts *scripts);

/*
 * The file that a component is.  It is, in this order:
 *   a file of the folder, as "actors/luma.py" or "luma.py";
 *   a script in the folder itself, as "luma" is luma.py;
 *   a script that was discovered, by name, or by namespace and name:
 *   "vision.luma".
 * Returns 0 and a path, borrowed until close; GBX_EFILE: there is none;
 * GBX_EARGUMENT: there are several, err names two; or GBX_EHOST.
 */
int gbx_scripts_find(struct gbx_scripts *scripts, const char *component,
                     const char **path, struct gbx_error *err);

/* The i-th that was discovered, borrowed until close; NULL behind the last. */
const struct gbx_discovered *gbx_scripts_at(const struct gbx_scripts *scripts,
                                            size_t i);

#ifdef __cplusplus
}
#endif

#endif
