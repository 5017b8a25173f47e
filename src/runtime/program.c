/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - any Linux program in a micro-VM or a process, or a module of
 * WebAssembly: a backend without a region, driven by whoever runs it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "glovebox/program.h"
#include "runtime/cache/files.h"
#include "runtime/program/language.h"
#include "runtime/program/lookup.h"
#include "runtime/runtime.h"
#include "runtime/user/user.h"
#include "sandbox/backend.h"
#include "sandbox/grants/processes.h"

#define PROGRAM_MEMORY_BYTES (512ull << 20)

struct gbx_program {
    const struct backend *backend;
    void *self;   /* the backend's, owned */
    int cache_fd; /* owned, or -1 */
    int stdio[3];
    struct grants grants; /* what is mounted */
    gbx_output_fn output;
    void *output_context;
};

static const char *const environment[] = {"PATH=" LOOKUP_PATH, "HOME=/tmp",
                                          "TMPDIR=/tmp", "LANG=C.UTF-8", NULL};

static const char *find_path(const char *const *envp)
{
    for (size_t i = 0; envp[i] != NULL; i++)
        if (strncmp(envp[i], "PATH=", 5) == 0)
            return envp[i] + 5;
    return LOOKUP_PATH;
}

static int print(void *context, int stream, const void *text, size_t bytes)
{
    const struct gbx_program *program = context;

    if (program->output != NULL)
        program->output(program->output_context, stream, text, bytes);
    return 0;
}

static int check(const struct gbx_program_config *config, struct gbx_error *err)
{
    int rc = error_check_bytes("gbx_program_config", config->struct_bytes,
                               sizeof(*config), err);

    if (rc < 0)
        return rc;
    if (config->working_dir != NULL && config->working_dir[0] != '/')
        return fail(err, GBX_EARGUMENT,
                    "the working directory %s does not begin with /: it is one "
                    "of the program's root",
                    config->working_dir);
    if (config->argv != NULL && config->argv[0] == NULL)
        return fail(err, GBX_EARGUMENT, "a program's arguments have no name");
    return 0;
}

/* Its folder, as of a program, is what it sees as /script. */
static int find_module(struct lookup *found, const char *name,
                       const struct gbx_program_config *config,
                       struct gbx_error *err)
{
    char *path = realpath(name, NULL), *slash;

    if (path == NULL)
        return fail(err, GBX_EFILE, "%s: %s", name, strerrordesc_np(errno));
    if (config->trace != NULL || config->mount_count > 0 ||
        config->user != NULL) {
        free(path);
        return fail(err, GBX_EARGUMENT, "%s: a module %s", name,
                    config->trace != NULL ? "makes no system calls to trace"
                    : config->user != NULL
                        ? "knows no users"
                        : "sees nothing that is mounted; --folder shows it one "
                          "folder");
    }
    slash = strrchr(path, '/');
    snprintf(found->path, sizeof(found->path), "%s", path);
    found->folder[0] = '\0';
    if (config->folder == NULL && config->root == NULL && slash != path)
        snprintf(found->folder, sizeof(found->folder), "%.*s",
                 (int)(slash - path), path);
    free(path);
    return 0;
}

/* What compiles modules, and where they are kept. */
static int settle_module(struct gbx_program *program, struct bundle *bundle,
                         const struct gbx_program_config *config,
                         struct gbx_error *err)
{
    bundle->libexec_dir = runtime_find_libexec(config->libexec_dir);
    bundle->progress = config->progress;
    bundle->progress_context = config->progress_context;
    if (config->cache_dir == NULL)
        return 0;
    program->cache_fd = files_open(config->cache_dir, true, err);
    bundle->cache_fd = program->cache_fd;
    return program->cache_fd < 0 ? program->cache_fd : 0;
}

/* All that the backend is told; texts lie in config and found. */
static int settle(struct gbx_program *program, struct bundle *bundle,
                  const char *name, const struct gbx_program_config *config,
                  struct lookup *found, struct gbx_error *err)
{
    const char *const *envp = config->envp != NULL ? config->envp : environment;
    struct lookup_view view = {.root = config->root,
                               .grants = &program->grants,
                               .folder = config->folder,
                               .working_dir = config->working_dir,
                               .search_path = find_path(envp)};
    int rc;

    for (int i = 0; i < 3; i++)
        program->stdio[i] = config->stdio != NULL ? config->stdio[i] : -1;
    program->output = config->output;
    program->output_context = config->output_context;
    *bundle = (struct bundle){.argv = config->argv,
                              .envp = envp,
                              .folder = config->folder,
                              .limits = config->limits,
                              .root = config->root,
                              .grants = &program->grants,
                              .working_dir = config->working_dir,
                              .stdio = program->stdio,
                              .trace = config->trace,
                              .trace_context = config->trace_context,
                              .output = print,
                              .output_context = program};
    if (bundle->limits.memory_bytes == 0)
        bundle->limits.memory_bytes = PROGRAM_MEMORY_BYTES;
    if ((rc = limits_settle(&bundle->limits, err)) < 0 ||
        (rc = grants_open(&program->grants, config->mounts, config->mount_count,
                          err)) < 0)
        return rc;
    if (config->user != NULL &&
        (rc = user_find(&bundle->ids, config->user, config->root, err)) < 0)
        return rc;
    if (program->backend == &backend_wasm) {
        if ((rc = find_module(found, name, config, err)) < 0 ||
            (rc = settle_module(program, bundle, config, err)) < 0)
            return rc;
    } else if ((rc = lookup_program(found, name, &view, err)) < 0)
        return rc;
    if (program->backend == &backend_process)
        bundle->libexec_dir = runtime_find_libexec(config->libexec_dir);
    bundle->program = found->path;
    if (found->folder[0] != '\0')
        bundle->folder = found->folder;
    if (bundle->working_dir == NULL && bundle->folder != NULL)
        bundle->working_dir = "/script";
    return bundle->folder != NULL ? processes_refuse(bundle->folder, err) : 0;
}

/* A module runs in wasm, and nothing else does. */
static int choose(const struct backend **backend, const char *name,
                  enum gbx_isolation isolation, struct gbx_error *err)
{
    const bool is_module = language_is_module(name);

    *backend = is_module                            ? &backend_wasm
               : isolation == GBX_ISOLATION_PROCESS ? &backend_process
                                                    : &backend_microvm;
    if (isolation == GBX_ISOLATION_AUTO ||
        (is_module ? isolation == GBX_ISOLATION_WASM
                   : isolation == GBX_ISOLATION_MICROVM ||
                         isolation == GBX_ISOLATION_PROCESS))
        return 0;
    return fail(err, GBX_EARGUMENT,
                "%.100s is %s, and runs in %s: not in the isolation %s", name,
                is_module ? "a module of WebAssembly" : "a program",
                is_module ? "wasm" : "microvm or process",
                gbx_isolation_name((int)isolation));
}

int gbx_program_open(struct gbx_program **program, const char *name,
                     const struct gbx_program_config *config,
                     struct gbx_error *err)
{
    static const struct gbx_program_config none = {
        .struct_bytes = sizeof(struct gbx_program_config)};
    const char *const just_name[] = {name, NULL};
    struct gbx_program *made;
    struct lookup found;
    struct bundle bundle;
    int rc;

    if (program == NULL)
        return fail(err, GBX_EARGUMENT, "there is no place for a program");
    *program = NULL;
    if (name == NULL)
        return fail(err, GBX_EARGUMENT, "a program has no name");
    if ((rc = check(config != NULL ? config : &none, err)) < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a program");
    made->cache_fd = -1;
    if (config == NULL)
        config = &none;
    rc = choose(&made->backend, name, config->isolation, err);
    if (rc == 0)
        rc = settle(made, &bundle, name, config, &found, err);
    if (rc == 0) {
        if (bundle.argv == NULL)
            bundle.argv = just_name;
        made->self = calloc(1, made->backend->self_bytes);
        rc = made->self == NULL
                 ? fail(err, GBX_EHOST, "no memory for a program")
                 : made->backend->open(made->self, &bundle, NULL, err);
    }
    if (rc < 0)
        gbx_program_close(made);
    else
        *program = made;
    return rc;
}

int gbx_program_run(struct gbx_program *program, uint64_t deadline_ns,
                    int *status, struct gbx_error *err)
{
    int rc = program->backend->run(program->self, deadline_ns);

    *status = -1;
    if (rc == GBX_EEXIT || rc == GBX_ESIGNAL || rc == GBX_ETRAP ||
        rc == GBX_EMEMORY)
        *status = program->backend->status(program->self);
    else if (rc == GBX_ECPU)
        *status = 128 + SIGXCPU;
    if (rc == GBX_EEXIT)
        return 0;
    if (rc == GBX_ETIME)
        return fail(err, rc, "the program did not end in time");
    if (rc == GBX_ECANCELED)
        return fail(err, rc, "the program was ended from outside");
    if (rc == 0) /* it rang, and nobody is there to hear it */
        return fail(err, GBX_EBROKEN, "a program without a region rang");
    program->backend->explain(program->self, err);
    return rc;
}

const char *gbx_program_lacked(const struct gbx_program *program)
{
    return program->backend->lacked != NULL
               ? program->backend->lacked(program->self)
               : NULL;
}

void gbx_program_kill(struct gbx_program *program)
{
    program->backend->kill(program->self);
}

void gbx_program_close(struct gbx_program *program)
{
    if (program == NULL)
        return;
    if (program->self != NULL)
        program->backend->close(program->self);
    free(program->self);
    grants_close(&program->grants);
    close_fd(&program->cache_fd);
    free(program);
}
