/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the files that a guest sees: host directories, read-only, with a
 * private layer in memory over them.
 *
 *            /            memory (or a host directory: exec --root)
 *            +-- usr      host directory, sealed: EROFS
 *            +-- tmp      memory, writable
 *            +-- script   host directory, sealed
 *            +-- proc     texts made when they are opened
 *            +-- dev      devices
 *
 * A node is a file, a directory or a link, from the host or made by the guest.
 * Host nodes are looked up when they are named, each time, and forgotten when
 * nobody uses them; what the guest changed, made or removed stays in memory and
 * hides what the host has under that name.  A host file that is opened for
 * writing is copied into memory first.
 *
 * Confinement: paths are walked here, one name at a time, links and ".." in the
 * guest's own tree.  The host is only asked for relative paths without links
 * below a mount's directory (openat2: RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS,
 * RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV is not asked).  Only regular files and
 * directories of the host are ever opened; all else is shown, but is ENXIO.
 *
 * Content that the guest made lies in frames of its own memory, so that it can
 * be mapped shared; it is limited (disk_bytes), as are nodes (ENOSPC).
 *
 * All functions return 0 or more, or -errno.  `from` is the directory where a
 * relative path starts; NULL: the root.  Paths are copies, at most PATH_MAX.
 *
 * Threads: its owner's.
 */
#ifndef SANDBOX_FILES_TREE_TREE_H
#define SANDBOX_FILES_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include "sandbox/files/tree/file.h"
#include "sandbox/files/tree/host/handles.h"
#include "sandbox/files/tree/host/seen.h"
#include "sandbox/files/heap/frames.h"

struct tree;
struct node;

struct tree_config {
    struct frames *frames;   /* borrowed until close: content of files */
    struct handles *handles; /* the same: files of the host */
    struct seen *seen;       /* the same: what is found there; or NULL */
    uint64_t disk_bytes;     /* of content, at most */
    uint32_t nodes_max;      /* made by the guest */
    uint32_t files_max;      /* of the host, open at once; 0: no limit */
    uint32_t uid, gid;       /* of the guest, who owns what it makes; 0 has
                              * no rights that others have not */

    /* A path stays below its `from`, as openat2's RESOLVE_BENEATH has it: one
     * that leaves it by a '/' at its start, a link or ".." is EREMOTE.  NULL is
     * the embedder's, and is not confined. */
    bool is_beneath;
};

/* Texts of /proc: append to it; -ENOMEM when there is none. */
struct text;
int text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int text_add_bytes(struct text *text, const void *bytes, size_t count);
typedef int tree_text_fn(void *context, struct text *text);

int tree_open(struct tree **tree, const struct tree_config *config);
void tree_close(struct tree *tree); /* NULL allowed; all files are put */

/* Of a copy of the heap: its files of the host. */
struct handles *tree_handles(const struct tree *tree); /* borrowed */
void tree_unbind(struct tree *tree);
void tree_bind(struct tree *tree, struct handles *handles, struct seen *seen);

/*
 * Before the guest runs.  Directories on the way are made, as sealed as what
 * they are in.  `at` is absolute.  None of it counts against the guest's
 * limits.
 *
 * tree_mount shows a host directory or file (an O_PATH descriptor, duplicated);
 * MOUNT_SEALED: nothing in it can be changed.  What the embedder may not read
 * there, the guest may not.  Root may read all, so then the guest has the
 * rights of whoever owns what is mounted, or with MOUNT_FOREIGN those of
 * anybody.
 *
 * tree_make_dir on a host's directory hides it behind one in memory; files,
 * links, texts and devices replace what was there, but no directory.
 *
 * tree_seal: the guest can change neither that directory nor what is in memory
 * below it, as of now: what is made there afterwards is open again.  So first
 * all else and tree_seal("/"), then tree_make_dir("/tmp").
 */
#define MOUNT_SEALED  1u
#define MOUNT_FOREIGN 2u

int tree_mount(struct tree *tree, const char *at, int fd, unsigned how);
int tree_make_dir(struct tree *tree, const char *at, unsigned mode);
int tree_make_link(struct tree *tree, const char *at, const char *target);
int tree_make_file(struct tree *tree, const char *at, const void *bytes,
                   size_t count, unsigned mode);
int tree_make_text(struct tree *tree, const char *at, tree_text_fn *fn,
                   void *context);
/* null, zero, full, random, urandom; with their numbers as on Linux. */
int tree_make_device(struct tree *tree, const char *at, const char *name);
int tree_seal(struct tree *tree, const char *at);

/* Counted references to nodes. */
struct node *node_get(struct node *node);
void node_put(struct node *node); /* NULL is allowed */
bool node_is_dir(const struct node *node);

#define TREE_NOFOLLOW 1u /* the last name may be a link */
#define TREE_EMPTY    2u /* "" is `from` itself (AT_EMPTY_PATH) */

int tree_look(struct tree *tree, struct node *from, const char *path,
              unsigned flags, struct node **node);
/* flags and mode as open(2); the file is the caller's to put. */
int tree_open_file(struct tree *tree, struct node *from, const char *path,
                   unsigned flags, unsigned mode, struct file **file);
/* Open anew what is open already (/proc/self/fd/3). */
int tree_open_node(struct node *node, unsigned flags, struct file **file);
/* A file without a name, for memfd_create.  (O_TMPFILE is a flag of open.) */
int tree_open_nameless(struct tree *tree, unsigned flags, struct file **file);

int tree_make(struct tree *tree, struct node *from, const char *path,
              unsigned mode); /* mkdir */
int tree_link(struct tree *tree, struct node *from, const char *path,
              unsigned flags, struct node *to, const char *name);
int tree_symlink(struct tree *tree, const char *target, struct node *from,
                 const char *path);
/* is_dir: rmdir. */
int tree_remove(struct tree *tree, struct node *from, const char *path,
                bool is_dir);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE. */
int tree_rename(struct tree *tree, struct node *from, const char *path,
                struct node *to, const char *name, unsigned flags);

int node_stat(struct node *node, struct stat *st);
/* R_OK, W_OK, X_OK as the guest's user; EROFS for W_OK where it is sealed. */
int node_access(struct node *node, unsigned access);
/* Returns how many bytes were put into `to`, which gets no NUL. */
int64_t node_read_link(struct node *node, char *to, size_t bytes);
int node_set_mode(struct node *node, unsigned mode);
int node_set_owner(struct node *node, uint32_t uid, uint32_t gid);
/* As utimensat(2), UTIME_NOW and UTIME_OMIT included. */
int node_set_times(struct node *node, const struct timespec times[2]);
int node_truncate(struct node *node, int64_t bytes);
int node_statfs(struct node *node, struct statfs *st);
/* The absolute path, with NUL; returns its bytes with it, or -ENOENT when it
 * was removed, or -ERANGE. */
int64_t node_path(struct node *node, char *to, size_t bytes);

/* For programs to load: a host descriptor of a host file, borrowed until the
 * file is put; or -1 when its content is in memory. */
int file_host_fd(const struct file *file);

#endif
