/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toml.h - a text in TOML, as JSON that says where each value stands.
 *
 * Each value is [LINE, VALUE], and a member's line is its key's:
 *
 *   [serve]                       [1, {"serve": [1,
 *   listen = "127.0.0.1:80"           {"listen": [2, "127.0.0.1:80"]}]}]
 *
 * What JSON lacks (dates, times, inf, nan) is null.
 *
 * It is C++, so it lies in a module of its own (libexec/glovebox-toml.so),
 * which only commands that read a project load: no other has the C++ runtime.
 *
 * Threads: any.
 */
#ifndef CLI_PROJECT_TOML_H
#define CLI_PROJECT_TOML_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOML_BYTES_MAX (1u << 20)
#define TOML_DOTS_MAX  32u /* of a line: each is one more level */
#define TOML_DEPTH_MAX 16u /* of lists and inline tables */

struct toml_error {
    unsigned line; /* 0: there is no memory */
    char what[300];
};

typedef char *toml_read_fn(const char *text, size_t bytes,
                           struct toml_error *err);

/* Returns JSON for free(), or NULL, with what is wrong in err. */
__attribute__((visibility("default"))) toml_read_fn toml_read;

#ifdef __cplusplus
}
#endif

#endif
