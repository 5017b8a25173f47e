/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - an open file, as Linux means it: what descriptors point at.
 *
 * Each kind of file (of the tree, a pipe, an event counter, ...) is a class and
 * a struct that begins with struct file.  Buffers are host memory: the guest's
 * pages behind a pointer that it gave, translated and checked, in pieces.  They
 * are the guest's, which may not run meanwhile; but what is parsed is copied.
 *
 *  rc = file->class->read(file, pieces, count, &file->position);
 *  file_put(file);
 *
 * Answers are Linux's: a count, or -errno.  Nothing ever waits: -EAGAIN says
 * that it would have, and poll tells when it will not.
 *
 * Threads: its owner's.  Memory: counted references; the class frees.
 */
#ifndef SANDBOX_FILES_TREE_FILE_H
#define SANDBOX_FILES_TREE_FILE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sandbox/files/heap/heap.h"

struct file;
struct node;

/* An entry of a directory, handed to list's callback. */
struct file_entry {
    const char *name;
    uint64_t ino;
    uint64_t next; /* the position from which listing goes on behind it */
    uint8_t type;  /* DT_REG ... */
};

/* Returns 0 to go on, or anything else to stop: there is no more room. */
typedef int file_entry_fn(void *context, const struct file_entry *entry);

/* What is NULL, the kind of file does not have; file_*() then say so. */
struct file_class {
    const char *name; /* "pipe"; for /proc and traces */

    /*
     * position: where in the file, moved on by what was done; NULL for kinds
     * that have none.  May do less than asked.
     */
    int64_t (*read)(struct file *file, const struct iovec *pieces, int count,
                    uint64_t *position);
    int64_t (*write)(struct file *file, const struct iovec *pieces, int count,
                     uint64_t *position);

    int64_t (*size)(struct file *file); /* for SEEK_END; kinds with position */
    /* As lseek(2), for kinds that keep their own position (the host's): they
     * are handed NULL for it. */
    int64_t (*seek)(struct file *file, int64_t off, int whence);
    int (*truncate)(struct file *file, uint64_t bytes);
    int (*stat)(struct file *file, struct stat *st);
    int (*list)(struct file *file, file_entry_fn *fn, void *context);

    /* POLLIN, POLLOUT, POLLERR, POLLHUP as they are now.  NULL: in and out. */
    unsigned (*poll)(struct file *file);
    /* When poll may change by itself (a timer), CLOCK_MONOTONIC; 0: never. */
    uint64_t (*due_ns)(struct file *file);

    /*
     * The frame of a page of a file that may be mapped shared: made if it is
     * not there.  Returns 0 and its guest-physical address; -ENXIO behind the
     * end of the file (SIGBUS); -ENODEV where the content is the host's (only
     * files that are open for reading: map a private copy); or -ENOSPC.
     */
    int (*page)(struct file *file, uint64_t index, uint64_t *physical);
    /* One more (1) or one fewer (-1) shared mapping: frames stay meanwhile. */
    void (*mapped)(struct file *file, int more);

    void (*close)(struct file *file); /* the last reference is gone: free it */
};

struct file {
    const struct file_class *class;
    uint32_t references;
    uint32_t numbers;  /* descriptors among them; whoever has those counts */
    uint32_t flags;    /* as F_GETFL: O_ACCMODE, O_APPEND, O_NONBLOCK ... */
    uint64_t position; /* shared by all descriptors of this file */
    struct node *node; /* of the tree, counted; or NULL */
};

struct file *file_get(struct file *file);
void file_put(struct file *file); /* NULL is allowed */

/*
 * The same as the class's functions, with all that Linux checks before: that
 * the file is open for it, and has it.  position NULL: the file's own.  Up to
 * 2 GiB are read or written at once; who must stop in time asks for less.
 */
int64_t file_read(struct file *file, const struct iovec *pieces, int count,
                  uint64_t *position);
int64_t file_write(struct file *file, const struct iovec *pieces, int count,
                   uint64_t *position);
int64_t file_seek(struct file *file, int64_t off, int whence);
int file_truncate(struct file *file, int64_t bytes);
int file_stat(struct file *file, struct stat *st);
int file_list(struct file *file, file_entry_fn *fn, void *context);
unsigned file_poll(struct file *file);
uint64_t file_due_ns(struct file *file);

/* Of whoever contains it: its pointers are moved (heap.h). */
void file_move(struct file *file, const struct heap_move *move);

#endif
