/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - the tree behind a module's descriptors, when it asks for a file.
 *
 * Its objects lie in a heap, its content in frames: addresses that cost nothing
 * until they are touched.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/files/show.h"
#include "sandbox/wasm/wasi/inner.h"

#define NOBODY      65534u
#define NODES_MAX   65536u
#define SLACK_BYTES (1ull << 20) /* what the embedder puts in counts beside */

struct files {
    struct heap *heap; /* owned */
    uint8_t *memory;   /* owned, or NULL */
    uint64_t bytes;    /* of it */
    struct frames frames;
    struct handles handles;
    struct tree *tree; /* owned */
};

void files_close(struct files *files)
{
    if (files == NULL)
        return;
    tree_close(files->tree);
    handles_fini(&files->handles);
    frames_fini(&files->frames);
    heap_close(files->heap);
    if (files->memory != NULL)
        munmap(files->memory, files->bytes);
    free(files);
}

static int take_memory(struct files *files, uint64_t disk_bytes,
                       struct gbx_error *err)
{
    void *memory;

    files->heap = heap_open();
    files->bytes = (disk_bytes + SLACK_BYTES) & ~(FRAME_BYTES - 1ull);
    memory = mmap(NULL, files->bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        files->memory = memory;
    if (files->heap == NULL || files->memory == NULL)
        return fail(err, GBX_EHOST,
                    "no addresses for a module's files; raise ulimit -v");
    madvise(memory, files->bytes, MADV_DONTDUMP);
    madvise(memory, files->bytes, MADV_DONTFORK);
    frames_init(&files->frames, files->heap, files->memory, 0, files->bytes);
    return 0;
}

static int fill(struct files *files, const struct wasi_config *config,
                struct gbx_error *err)
{
    const bool is_root = geteuid() == 0;
    const struct tree_config how = {
        .frames = &files->frames,
        .handles = &files->handles,
        .disk_bytes = config->disk_bytes,
        .nodes_max = NODES_MAX,
        .files_max = config->files_max + PREOPENS_MAX,
        .uid = is_root ? NOBODY : geteuid(),
        .gid = is_root ? NOBODY : getegid(),
        .is_beneath = true,
    };
    int rc = tree_open(&files->tree, &how);

    if (rc < 0) {
        errno = -rc;
        return fail(err, GBX_EHOST, "a module's files");
    }
    if ((rc = show_files(files->tree, config->root, how.uid, how.gid, err)) <
            0 ||
        (config->folder != NULL &&
         (rc = show_folder(files->tree, config->folder, err)) < 0))
        return rc;
    return config->root == NULL ? show_seal(files->tree, err) : 0;
}

struct tree *files_tree(struct wasi *wasi)
{
    struct files *new;
    int rc;

    if (wasi->files != NULL)
        return wasi->files->tree;
    new = calloc(1, sizeof(*new));
    if (new == NULL)
        rc = fail(&wasi->why, GBX_EHOST, "no memory for a module's files");
    else if ((rc = take_memory(new, wasi->config.disk_bytes, &wasi->why)) == 0)
        rc = fill(new, &wasi->config, &wasi->why);
    if (rc < 0) {
        files_close(new);
        wasi_end(wasi, rc);
        return NULL;
    }
    wasi->files = new;
    return new->tree;
}

const char *const preopen_names[PREOPENS_MAX] = {"/",       ".",    "/tmp",
                                                 "/script", "/usr", "/etc"};

int files_preopen(struct wasi *wasi, unsigned which, struct file **file)
{
    const char *path =
        which == 1 ? wasi->config.working_dir : preopen_names[which];
    struct tree *tree = files_tree(wasi);
    int rc;

    if (tree == NULL)
        return -EIO;
    rc = tree_open_file(tree, NULL, path, O_RDONLY | O_DIRECTORY, 0, file);
    if (rc == 0 || which > 1) /* the others need not be there */
        return rc;
    return wasi_end(wasi, show_refuse(path, rc, &wasi->why));
}
