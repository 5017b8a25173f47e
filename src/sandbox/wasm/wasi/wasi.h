/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi.h - WASI preview 1: what a WebAssembly module takes for its system.
 *
 *  function = wasi_find("fd_write");           once, for each import
 *  wasi_open(&wasi, &config, &err);
 *  answer = function->call(wasi, &memory, arguments);
 *  if ((rc = wasi_ended(wasi)) < 0) ...        nothing of it runs any more
 *  wasi_close(wasi);
 *
 * The functions, and how their structs lie in memory, are those of
 * wasi_snapshot_preview1.witx and typenames.witx (WebAssembly/WASI, in
 * legacy/preview1/witx).  The module finds its standard streams at 0, 1 and 2,
 * "/" at 3, and if it has a working directory, that as "." at 4, with a few
 * others behind it for absolute paths (inner.h).  Files are a tree
 * (files/tree/tree.h) in which a path does not leave the directory that it
 * starts from: ENOTCAPABLE.  There are no sockets.
 *
 * Opening is one allocation.  The tree is made when the first file is asked
 * for; if that fails (a folder is not there), the run ends with the code, and
 * wasi_explain says why.
 *
 * What the module passes is hostile: each address is checked, each struct is
 * copied once and the copy judged.  What lies at data may be changed by nobody
 * else during a call.
 *
 * A call needs WASI_STACK_BYTES of stack.  Nothing waits but config.wait, and
 * that may come back in another thread, or never: then only wasi_close follows.
 *
 * Threads: one at a time.
 * Memory:  disk_bytes of content, and what up to files_max descriptors need.
 */
#ifndef SANDBOX_WASM_WASI_WASI_H
#define SANDBOX_WASM_WASI_WASI_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#define WASI_STACK_BYTES (128u << 10)

struct wasi;

/* The module's linear memory as it is now. */
struct wasi_memory {
    uint8_t *data;
    uint64_t bytes;
};

struct wasi_function {
    const char *name;
    const char *parameters; /* a letter each: 'i' i32, 'I' i64 */

    /* Returns an errno, of which 0 is success, as the one i32 that the function
     * results in; of proc_exit, which has no result, 0. */
    uint32_t (*call)(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *arguments);
};

/* NULL: there is none of this name. */
const struct wasi_function *wasi_find(const char *name);

/* All borrowed until close. */
struct wasi_config {
    const char *const *argv, *const *envp; /* NULL-terminated, or NULL */

    const int *stdio; /* three descriptors of the host, -1: none; or NULL */
    /* What goes to 1 and 2 where they have none, in the order in which it was
     * written.  A negative return is the code with which the run ends.  NULL:
     * it goes nowhere. */
    int (*output)(void *context, int stream, const void *text, size_t bytes);
    void *output_context;

    const char *folder;      /* of the host, shown at /script; or NULL */
    const char *root;        /* of the host, its /; NULL: what show.h says */
    const char *working_dir; /* in its /, absolute; NULL: it has none */
    uint64_t disk_bytes;
    uint32_t files_max; /* open at once; 0: as many as it likes */

    /*
     * As ppoll, count is at most 3; until_ns is CLOCK_MONOTONIC, 0: forever.
     * With a time that is past it is also called between two parts of long
     * work, which goes on when it returns.
     * Returns how many are ready, 0 when the time has come, or earlier; or a
     * negative code with which the run ends.
     */
    int (*wait)(void *context, struct pollfd *fds, unsigned count,
                uint64_t until_ns);
    void *wait_context;
};

/* Returns 0 or GBX_EHOST. */
int wasi_open(struct wasi **wasi, const struct wasi_config *config,
              struct gbx_error *err);
void wasi_close(struct wasi *wasi); /* NULL is allowed */

/*
 * After a call: 0, or the code with which the run ends: GBX_EEXIT, GBX_ESIGNAL
 * (then there is a status), GBX_EFILE and GBX_EHOST (no files), or what output
 * or wait returned.
 */
int wasi_ended(const struct wasi *wasi);
int wasi_status(const struct wasi *wasi); /* or 128 + the signal of Linux */
void wasi_explain(const struct wasi *wasi, struct gbx_error *err);

/* Has it no descriptor and no file but those that it was opened with?  Then one
 * that is opened alike can take its place. */
bool wasi_is_plain(const struct wasi *wasi);

#endif
