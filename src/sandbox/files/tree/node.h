/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - what the tree is made of.  For the files of this folder only.
 *
 *     directory node <--parent-- entry --node--> node
 *                                  |               \--names--> its entries
 *                               "name", in one hash of the whole tree
 *
 * An entry is kept when the guest made or changed what it names: it holds its
 * node then, and lies in its directory's list.  An entry of an unchanged host
 * file only makes sure that whoever looks it up finds the same node as those
 * who have it already; it goes with the node.  An entry without a node is a
 * whiteout: it hides what the host has under the name.
 *
 * Each entry holds its directory.  So a directory is there as long as anything
 * in it is, and nodes go from the leaves up: in a loop, since the guest decides
 * how deep.
 *
 * Where a node's facts are:
 *  host != NULL   its content (entries, target) is the host's, below its
 *                 mount; of a directory, under what entries say
 *  is_own         its mode, owner and times are the node's, not the host's
 *
 * Threads: its owner's.
 */
#ifndef SANDBOX_FILES_TREE_NODE_H
#define SANDBOX_FILES_TREE_NODE_H

#include "sandbox/files/tree/tree.h"
#include "sandbox/files/heap/content.h"

#define NODE_NAME_MAX    255u
#define NODE_PATH_MAX    4096u
#define NODE_RECENT      128u /* host directories that are remembered */
#define NODE_DEVICES_MAX 64u
#define NODE_BLOCK       4096

enum node_kind {
    NODE_FILE,
    NODE_DIR,
    NODE_LINK,
    NODE_DEVICE,
    NODE_TEXT,
    NODE_OTHER, /* of the host: a pipe, a socket, a device */
};

struct mount {
    struct mount *next;
    int path; /* owned handle, O_PATH */
    int file; /* owned handle: a mount of one file has it open; or NONE */
    uint32_t number;
    uint64_t dev;      /* st_dev of the host */
    char *origin;      /* owned: its path on the host; or NULL */
    uint32_t uid, gid; /* of the host, whose files are the guest's; or -1 */
};

struct entry {
    struct node *parent; /* held */
    struct node *node;   /* held when kept; NULL: a whiteout */
    struct entry *next_hash, *next_name;
    uint64_t cookie; /* where it is listed */
    uint64_t hash;
    bool is_kept;
    bool over_host; /* the host has the name, too */
    char name[];
};

/* A directory's kept entries, by their cookies; holes where some have gone. */
struct entry_slot {
    uint64_t cookie;
    struct entry *entry;
};

struct node_dir {
    struct node *up; /* its parent: held when holds_up */
    bool holds_up;   /* it has no entry any more */
    uint32_t count, room, holes;
    uint32_t live;    /* kept entries with a node */
    uint32_t subdirs; /* entries with a directory */
    struct entry_slot *slots;
    uint64_t next_cookie;
};

struct node_text {
    tree_text_fn *fn;
    void *context;
};

struct node {
    struct tree *tree;
    struct node *before, *after; /* all of the tree's */
    uint32_t references;
    enum node_kind kind;
    bool is_sealed, is_own, is_mount;
    bool is_dead;    /* a directory that was removed */
    bool is_counted; /* against nodes_max */
    bool was_named;
    bool stays_nameless; /* O_TMPFILE | O_EXCL */

    struct mount *mount; /* whose file system it is of; NULL: memory */
    char *host;          /* owned: path below the mount, "" its root; or NULL */

    struct entry *names;
    uint32_t name_count;

    uint32_t mode, uid, gid; /* mode: its type is always right */
    uint64_t ino, dev, rdev;
    struct timespec read_at, written_at, changed_at;

    union {
        struct node_dir dir;
        struct content content; /* NODE_FILE without host */
        char *target;           /* NODE_LINK without host; owned */
        struct node_text text;
        unsigned device;
    };
};

struct node_device {
    uint64_t host; /* st_dev there */
    const struct mount *mount;
};

struct tree {
    struct frames *frames;
    struct handles *handles; /* beside the heap */
    struct seen *seen;       /* the same, or NULL */
    struct quota quota;
    uint32_t nodes_max, node_count, entry_count;
    uint32_t uid, gid; /* the guest */
    bool is_beneath;
    uint32_t host_uid, host_gid; /* the caller, whose files are the guest's */

    struct node *root;
    struct node *nodes; /* all */
    uint64_t next_ino;

    struct entry **buckets;
    uint32_t bucket_count, hashed; /* count: a power of two */
    uint64_t key[2];

    uint64_t text_bytes; /* of the host's memory, see special.c */
    uint32_t host_files, host_files_max; /* descriptors of the host */

    struct mount *mounts;
    uint32_t mount_count;
    struct node_device devices[NODE_DEVICES_MAX];
    uint32_t device_count;

    struct node *recent[NODE_RECENT]; /* held */
    uint32_t next_recent;

    /* What the host said of a node just now; NULL: of none. */
    const struct node *fresh;
    struct stat fresh_stat;
};

/* node.c: life of nodes */
struct node *node_make(struct tree *tree, enum node_kind kind, uint32_t mode,
                       const struct node *parent); /* NULL: no memory, limit */
struct node *node_from_host(struct tree *tree, struct node *parent,
                            const char *name, const struct stat *st);
void node_remember(struct node *node);
void node_free_all(struct tree *tree);

/* entry.c: names */
struct entry *entry_find(const struct node *parent, const char *name);
/* A whiteout.  NULL where there is no memory, or it is beyond the limit. */
struct entry *entry_make(struct node *parent, const char *name, bool is_kept,
                         bool over_host);
int entry_keep(struct entry *entry);
/* Name another node, or none (a whiteout). */
void entry_set(struct entry *entry, struct node *node);
void entry_drop(struct entry *entry);
void entry_unhash(struct entry *entry); /* not found any more */
/* Of the kept entries whose cookie is `from` or more, the first; or NULL. */
struct entry *entry_next(const struct node *dir, uint64_t from);

/* host/: all that touches the host's files */
int host_mount(struct tree *tree, struct mount **mount, int fd,
               bool is_foreign);
void host_unmount(struct tree *tree, struct mount *mount);
int host_look(struct node *dir, const char *name, struct stat *st);
int host_stat(struct node *node, struct stat *st);
int host_stat_fd(struct node *node, int fd, struct stat *st);
int host_access(const struct node *node, unsigned access);
int64_t host_read_link(const struct node *node, char *to, size_t bytes);
int host_open(const struct node *node); /* a file or directory; to read */
int64_t host_read(int fd, const struct iovec *pieces, int count,
                  uint64_t position);
int host_copy(struct node *node, struct content *content);
int host_statfs(const struct node *node, struct statfs *st);

/* Entries of a host directory, in its order; "." and ".." are left out. */
struct host_list {
    int fd;         /* borrowed */
    uint64_t index; /* of the next entry */
    uint32_t at, bytes;
    char *buffer;      /* owned */
    struct heap *heap; /* borrowed */
};
struct host_entry {
    const char *name;
    uint64_t ino;
    uint8_t type;
};
/* Before it is looked at: its descriptor, which others may share. */
int host_list_begin(struct host_list *list, struct handles *handles,
                    int handle);
/* Look at entry `index`: 1, 0 at the end, or -errno. */
int host_list_at(struct host_list *list, uint64_t index,
                 struct host_entry *entry);
void host_list_close(struct host_list *list);

/* walk.c: paths */
#define WALK_FOLLOW 1u
#define WALK_PARENT                                                            \
    2u                   /* the last name is not followed, not even before '/' \
                          */
#define WALK_TRUSTED 4u  /* the embedder asks: no permissions */
#define WALK_EMPTY   8u  /* "" is `from` itself */
#define WALK_SLASH   16u /* the caller judges what is before a last '/' */

enum walk_last { WALK_NAME, WALK_DOT, WALK_DOT_DOT, WALK_ROOT };

struct walk {
    struct node *parent; /* held: of the last name */
    struct node *node;   /* held: NULL: the last name is not there */
    enum walk_last last;
    bool has_slash; /* behind the last name */
    char name[NODE_NAME_MAX + 1];
};

/* Returns 0, also when only the last name is missing. */
int walk_path(struct walk *walk, struct tree *tree, struct node *from,
              const char *path, unsigned flags);
void walk_end(struct walk *walk);
/* What a directory has under a name: 0, held; or -ENOENT, ... */
int walk_child(struct node *dir, const char *name, bool is_last,
               struct node **child);

/* attr.c: whose and when */
struct timespec attr_now(void);
int attr_own(struct node *node); /* it gets mode, owner and times of its own */
/* Of the host, where the embedder is root: the host refuses nothing. */
bool attr_is_roots(const struct node *node);
int attr_may(struct node *node, unsigned access);
int attr_may_search(struct node *dir);
int attr_stat_fd(struct node *node, int fd, struct stat *st);
int attr_is_owner(struct node *node); /* 0 or -EPERM */
void attr_written(struct node *node);
void attr_changed(struct node *node);
void attr_read(struct node *node);

/* change.c */
/* Entries of this directory are about to be changed. */
int change_begin(struct node *dir);
/* Put a node under a name that is not there. */
int change_add(struct node *dir, const char *name, struct node *node);
int change_is_empty(struct node *dir); /* 0 or -ENOTEMPTY, ... */
struct node *change_new_link(struct tree *tree, const char *target,
                             const struct node *parent); /* NULL: no room */

/* open.c */
struct tree_file {
    struct file file;
    int handle;            /* owned: the host's file; or NONE */
    struct host_list list; /* of a directory; its fd is set at each use */
    struct text *text;     /* owned */
};
/* A host file's content comes into memory. */
int open_copy(struct node *node, bool is_empty);

int open_stat(struct file *file, struct stat *st);
void open_close(struct file *file);

/* list.c, special.c */
extern const struct file_class list_class;
extern const struct file_class special_text_class, special_device_class;
/* Its number on Linux, or 0. */
unsigned special_device(const char *name);
void text_free(struct text *text); /* NULL allowed */

#endif
