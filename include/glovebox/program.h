/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/program.h - run any Linux program in a micro-VM or a process, or a
 * module of WebAssembly that is a program (WASI preview 1, with a main; .wasm
 * or .gbx) in the calling thread.
 *
 * It sees a read-only system and a private /tmp, has no network and starts no
 * other programs (but in a process); what it writes elsewhere stays in memory
 * and dies with it.  Its standard streams are descriptors of yours: a micro-VM
 * reads and writes them for it, a process holds them itself.
 *
 *  static const int streams[] = {0, 1, 2};
 *  struct gbx_program_config config = {.struct_bytes = sizeof(config),
 *                                      .stdio = streams};
 *  gbx_program_open(&program, "sort", &config, &err);
 *  if (gbx_program_run(program, deadline_ns, &status, &err) == 0)
 *      printf("it exited with status %d\n", status);
 *  gbx_program_close(program);
 *
 * Threads: one at a time, but kill: any thread, at any time before close.
 * Memory:  what open returns is owned by the caller and freed by close; texts
 *          of the config are borrowed until open returns, descriptors until
 *          close.
 * Time:    deadlines are CLOCK_MONOTONIC, in nanoseconds; 0 is "never".
 * Signals: writing to a pipe that nobody reads raises SIGPIPE, as ever: ignore
 *          it, and the program inside gets its own.
 */
#ifndef GBX_PROGRAM_H
#define GBX_PROGRAM_H

#include "glovebox/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_program;

/* Zero in any field means the default. */
struct gbx_program_config {
    size_t struct_bytes;     /* sizeof this struct: tells versions apart */
    const char *const *argv; /* NULL-terminated; default: the name alone */
    const char *const *envp; /* all its environment; default: PATH, HOME, ... */

    /* A host folder that is its /.  Default: the host's /usr and what leads
     * into it, and a few names in /etc. */
    const char *root;
    /* A host folder that it sees as /script, read-only.  Default: that of a
     * program outside of /usr. */
    const char *folder;
    /* In its root.  Default: /script where there is one, else /. */
    const char *working_dir;

    const int *stdio;     /* three descriptors, -1: none; default: none */
    gbx_output_fn output; /* what it writes to 1 and 2, where there is none */
    void *output_context; /* until close */

    struct gbx_limits limits; /* as of scripts; memory: default 512 MiB */

    const char *libexec_dir; /* helpers: what compiles modules, what starts
                                processes; default: where installed */
    const char *cache_dir; /* where they are kept compiled; default: nowhere */
    gbx_progress_fn progress;
    void *progress_context;

    /* Each system call, as a line; not of modules.  Comes in the thread of run.
     */
    void (*trace)(void *context, const char *line);
    void *trace_context; /* until close */

    /* What it sees of the host besides (mount.h); not of modules. */
    const struct gbx_mount *mounts;
    size_t mount_count;
    /* Whom it takes itself for (runtime.h); default: the caller, or nobody. */
    const char *user;

    /* AUTO: a micro-VM, or wasm for a module.  PROCESS is the weaker one, but
     * needs no KVM, and what it runs may start others (docs/threats.md). */
    enum gbx_isolation isolation;
};

/*
 * Load a program, up to its first instruction.  The name is a path, or is
 * looked for in the PATH of its environment.  In a root of its own, a path is
 * one of that root, and may start at the working directory; else it is a path
 * of the host.
 * Returns 0 and a program to close; GBX_EFILE (it, or a folder, is not there),
 * GBX_ELOAD (no program for this machine), GBX_EARGUMENT (no name; a limit that
 * GBX_LIMITS does not allow), GBX_EMEMORY (one that does, but is too small for
 * this program), GBX_EUNSUPPORTED (no KVM here, no compiler for a module) or
 * any other code.
 */
int gbx_program_open(struct gbx_program **program, const char *name,
                     const struct gbx_program_config *config,
                     struct gbx_error *err);

/*
 * Let it run to its end.
 * Returns 0 when it exited, with its status; GBX_ESIGNAL, GBX_ETRAP,
 * GBX_EMEMORY, GBX_ECPU when that killed it, with 128 + the signal; GBX_ETIME
 * (it can be run on), GBX_ECANCELED (killed), GBX_EBROKEN and other codes, with
 * -1.  Run again after its end, it returns the same again.
 */
int gbx_program_run(struct gbx_program *program, uint64_t deadline_ns,
                    int *status, struct gbx_error *err);

/*
 * What it asked for last that is not there ("processes: ..."), or NULL; after
 * run, whatever it returned.  A program may live without it, and exit with 0.
 * Borrowed until close.
 */
const char *gbx_program_lacked(const struct gbx_program *program);

/* End it.  Does not wait: run returns GBX_ECANCELED. */
void gbx_program_kill(struct gbx_program *program);

/* NULL is allowed. */
void gbx_program_close(struct gbx_program *program);

#ifdef __cplusplus
}
#endif

#endif
