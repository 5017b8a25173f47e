/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner.h - what the files of this folder share.
 *
 *   wasi.c        its life, the table of functions, errors
 *   memory.c      the wall: the module's addresses become memory here
 *   descriptor.c  numbers      files.c   the tree behind them
 *   stream.c      0, 1 and 2   io.c      what is read and written
 *   attributes.c  of files     path.c    names
 *   poll.c        waiting      process.c all else
 *
 * A function is wasi_NAME here, takes the module's cells, of which an i32 has
 * the lower half, and returns 0 or -errno as Linux has it.
 *
 * errno belongs to a thread, and config.wait may change that: a function that
 * looks at errno does not wait, and is not inlined into one that does (LEAF).
 */
#ifndef SANDBOX_WASM_WASI_INNER_H
#define SANDBOX_WASM_WASI_INNER_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sandbox/files/tree/tree.h"
#include "sandbox/wasm/wasi/wasi.h"

#define LEAF __attribute__((noinline))

#define NOT_CAPABLE EREMOTE /* as the tree says it */

#define WASI_PATH_MAX   4096u
#define WASI_PIECES_MAX 1024u
#define WASI_PART_BYTES (4u << 20) /* between two looks at the time */

/* typenames.witx */
enum wasi_filetype {
    WASI_UNKNOWN,
    WASI_BLOCK_DEVICE,
    WASI_CHARACTER_DEVICE,
    WASI_DIRECTORY,
    WASI_REGULAR_FILE,
    WASI_SOCKET_DGRAM,
    WASI_SOCKET_STREAM,
    WASI_SYMBOLIC_LINK,
};

#define WASI_APPEND    1u /* fdflags */
#define WASI_NONBLOCK  4u
#define WASI_FLAGS_ALL 31u /* DSYNC, RSYNC and SYNC are so anyway */

#define WASI_FOLLOW 1u /* lookupflags */

#define WASI_FD_READ       (1ull << 1) /* rights */
#define WASI_FD_SEEK       (1ull << 2)
#define WASI_FD_TELL       (1ull << 5)
#define WASI_FD_WRITE      (1ull << 6)
#define WASI_FD_ALLOCATE   (1ull << 8)
#define WASI_FD_READDIR    (1ull << 14)
#define WASI_FD_SET_SIZE   (1ull << 22)
#define WASI_RIGHTS_ALL    ((1ull << 28) - 1)
#define WASI_RIGHTS_FILE   0x08e001ffull
#define WASI_RIGHTS_DIR    0x07bffe19ull
#define WASI_RIGHTS_STREAM 0x08200019ull /* beside those to read, or write */
#define WASI_TO_READ       (WASI_FD_READ | WASI_FD_READDIR)
#define WASI_TO_WRITE      (WASI_FD_WRITE | WASI_FD_ALLOCATE | WASI_FD_SET_SIZE)

enum descriptor_kind {
    DESCRIPTOR_FREE,
    DESCRIPTOR_STREAM,
    DESCRIPTOR_PREOPEN,
    DESCRIPTOR_FILE,
};

struct descriptor {
    uint8_t kind;
    uint8_t which;  /* of the streams, or of the preopens */
    uint16_t flags; /* fdflags */
    uint64_t rights, inheriting;
    struct file *file; /* owned; of a preopen NULL until there is a tree */
};

/*
 * Without a working directory there is "/" alone.  With one it is "."; and as
 * wasi-libc compares names without the '/' that they begin with, "/" and "."
 * are one to it, and the later wins.  So others follow, for absolute paths.
 */
#define PREOPENS_FIRST    3u
#define PREOPENS_MAX      6u
#define DESCRIPTORS_FIRST 16u

extern const char *const preopen_names[PREOPENS_MAX]; /* files.c */

/* One of the standard streams; stream.c. */
struct stream {
    bool is_known, is_socket, is_pipe, is_regular, is_terminal;
    uint32_t mode;
    int own; /* owned: the same, opened anew, never waits; or -1 */
};

struct wasi {
    struct wasi_config config;
    struct descriptor *all; /* owned, when it is not first */
    uint32_t room;
    struct descriptor first[DESCRIPTORS_FIRST];
    struct stream streams[3];
    struct files *files; /* owned; files.c; NULL: not asked for yet */
    bool has_changed;    /* a file */
    bool has_cpu_start;
    uint64_t cpu_shift, cpu_last; /* process.c */
    int ended, status;
    struct gbx_error why;
};

/* Negative codes of output and wait end the run.  Returns -EIO. */
int wasi_end(struct wasi *wasi, int code);

/* ---- memory.c ---- */

/* NULL where not all of it lies in the memory. */
void *wasi_reach(const struct wasi_memory *memory, uint64_t at, uint64_t bytes);

/* All of these return 0 or -EFAULT. */
int wasi_copy_in(const struct wasi_memory *memory, void *to, uint64_t at,
                 uint64_t bytes);
int wasi_copy_out(const struct wasi_memory *memory, uint64_t at,
                  const void *from, uint64_t bytes);
int wasi_put_u32(const struct wasi_memory *memory, uint64_t at, uint32_t value);
int wasi_put_u64(const struct wasi_memory *memory, uint64_t at, uint64_t value);

struct wasi_pieces {
    struct iovec all[WASI_PIECES_MAX];
    int count;
    uint64_t bytes;
};

/* Too many of them, -EINVAL; they are cut where one call ends: 2 GiB. */
int wasi_pieces(const struct wasi_memory *memory, uint64_t at, uint32_t count,
                struct wasi_pieces *pieces);

/* A path, with NUL.  -ENAMETOOLONG; -EINVAL where it has a NUL in it. */
int wasi_path(const struct wasi_memory *memory, uint64_t at, uint32_t bytes,
              char path[WASI_PATH_MAX]);

/* ---- descriptor.c ---- */

void descriptors_open(struct wasi *wasi);
void descriptors_close(struct wasi *wasi);
bool descriptors_are_first(const struct wasi *wasi);

/* NULL: there is none. */
struct descriptor *descriptor_find(struct wasi *wasi, uint64_t number);
/* Its number, the lowest that is free; -EMFILE, -ENOMEM. */
int64_t descriptor_add(struct wasi *wasi, const struct descriptor *descriptor);
/* With its file, if it is no stream; -EBADF, or -EIO: the run is over. */
int descriptor_file(struct wasi *wasi, uint64_t number,
                    struct descriptor **descriptor);
/* The same, where it must be a directory: -ENOTDIR. */
int descriptor_dir(struct wasi *wasi, uint64_t number,
                   struct descriptor **descriptor);
/* Of an open file; what the file knows by itself is its file's. */
bool descriptor_is_dir(const struct descriptor *descriptor);

/* ---- files.c ---- */

/* The tree, made when it is not there; NULL: the run is over. */
struct tree *files_tree(struct wasi *wasi);
/* A preopened directory; 0 or -errno. */
int files_preopen(struct wasi *wasi, unsigned which, struct file **file);
void files_close(struct files *files); /* NULL is allowed */

/* ---- stream.c ---- */

void stream_close(struct wasi *wasi, unsigned which);
/* offset NULL: where it is. */
int64_t stream_read(struct wasi *wasi, const struct descriptor *descriptor,
                    struct wasi_pieces *pieces, const uint64_t *offset);
int64_t stream_write(struct wasi *wasi, const struct descriptor *descriptor,
                     struct wasi_pieces *pieces, const uint64_t *offset);
int64_t stream_seek(struct wasi *wasi, unsigned which, int64_t off, int whence);
int stream_stat(struct wasi *wasi, unsigned which, struct stat *st);
uint64_t stream_rights(struct wasi *wasi, unsigned which);
/* The host's, or -1. */
int stream_fd(const struct wasi *wasi, unsigned which);
/* What can be read now; 0: nobody knows. */
uint64_t stream_bytes(struct wasi *wasi, unsigned which);

/* ---- attributes.c ---- */

enum wasi_filetype filetype_of(uint32_t mode);
enum wasi_filetype filetype_of_entry(uint8_t type);

/* ---- functions ---- */

#define FUNCTION(name, parameters)                                             \
    int wasi_##name(struct wasi *wasi, const struct wasi_memory *memory,       \
                    const uint64_t *a);
#include "sandbox/wasm/wasi/functions.def"
#undef FUNCTION

#endif
