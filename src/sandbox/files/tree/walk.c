/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c - from a path to a node, one name at a time.
 *
 * A link on the way puts its target before what is left of the path: a stack
 * of texts, as deep as links are followed (40, as Linux does).  So nothing here
 * recurses, and no text is longer than a path may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

#define LINKS_MAX 40u

struct text_left {
    char *owned; /* the target of a link */
    const char *rest;
};

struct state {
    struct walk *walk;
    struct tree *tree;
    unsigned flags, links, depth;
    struct node *at;          /* held */
    const struct node *below; /* what is not to be left; or NULL: the root */
    struct text_left stack[LINKS_MAX + 1];
};

static void move(struct state *s, struct node *to)
{
    struct node *old = s->at;

    s->at = to == NULL ? NULL : node_get(to);
    node_put(old);
}

static const char *skip_slashes(const char *text)
{
    while (*text == '/')
        text++;
    return text;
}

static void push(struct state *s, char *owned, const char *text)
{
    must(s->depth <= LINKS_MAX);
    if (text[0] == '/') {
        move(s, s->tree->root);
        s->walk->last = WALK_ROOT;
    }
    s->stack[s->depth++] = (struct text_left){owned, text};
}

static void pop(struct state *s)
{
    free(s->stack[--s->depth].owned);
}

/* The next name and its length; NULL when there is none. */
static const char *next(struct state *s, size_t *bytes)
{
    while (s->depth > 0) {
        struct text_left *top = &s->stack[s->depth - 1];
        const char *name = skip_slashes(top->rest);

        if (*name != '\0') {
            *bytes = strcspn(name, "/");
            top->rest = name + *bytes;
            return name;
        }
        pop(s);
    }
    return NULL;
}

/* Is there nothing but slashes behind this name? */
static bool is_last(struct state *s)
{
    bool has_slash = false;

    for (unsigned i = 0; i < s->depth; i++) {
        const char *rest = s->stack[i].rest;

        has_slash |= *rest == '/';
        if (*skip_slashes(rest) != '\0')
            return false;
    }
    s->walk->has_slash = has_slash;
    return true;
}

static int follow(struct state *s, struct node *link)
{
    char *target;
    int64_t n;

    if (++s->links > LINKS_MAX)
        return -ELOOP;
    target = malloc(NODE_PATH_MAX);
    if (target == NULL)
        return -ENOMEM;
    n = node_read_link(link, target, NODE_PATH_MAX - 1);
    if (n <= 0 || memchr(target, '\0', (size_t)n) != NULL)
        n = n < 0 ? n : -ENOENT;
    else if (s->below != NULL && target[0] == '/')
        n = -EREMOTE;
    if (n < 0) {
        free(target);
        return (int)n;
    }
    target[n] = '\0';
    push(s, target, target);
    return 0;
}

static bool follows(const struct state *s, bool last)
{
    if (!last)
        return true;
    return (s->flags & WALK_PARENT) == 0 &&
           ((s->flags & WALK_FOLLOW) != 0 || s->walk->has_slash);
}

static bool is_name(const char *name, size_t bytes, const char *want)
{
    return strlen(want) == bytes && memcmp(name, want, bytes) == 0;
}

static void set_parent(struct walk *walk, struct node *parent)
{
    node_put(walk->parent);
    walk->parent = node_get(parent);
}

/* Returns 0 to go on; the walk is over when it was the last. */
static int step(struct state *s, const char *name, size_t bytes)
{
    struct walk *walk = s->walk;
    struct node *child;
    bool last = is_last(s);
    int rc = 0;

    if (s->at->kind != NODE_DIR)
        return -ENOTDIR;
    if ((s->flags & WALK_TRUSTED) == 0)
        rc = attr_may_search(s->at);
    if (rc < 0)
        return rc;
    if (is_name(name, bytes, ".")) {
        walk->last = WALK_DOT;
        return 0;
    }
    if (is_name(name, bytes, "..")) {
        walk->last = WALK_DOT_DOT;
        if (s->at == s->below)
            return -EREMOTE;
        if (s->at != s->tree->root)
            move(s, s->at->dir.up);
        return 0;
    }
    if (bytes > NODE_NAME_MAX)
        return -ENAMETOOLONG;
    walk->last = WALK_NAME;
    memcpy(walk->name, name, bytes);
    walk->name[bytes] = '\0';
    rc = walk_child(s->at, walk->name, last, &child);
    if (rc < 0 && (rc != -ENOENT || !last))
        return rc;
    if (rc == 0 && child->kind == NODE_LINK && follows(s, last)) {
        rc = follow(s, child);
        node_put(child);
        return rc;
    }
    set_parent(walk, s->at);
    if (rc < 0) {
        move(s, NULL);
        return 0;
    }
    move(s, child);
    node_put(child);
    return 0;
}

static int run(struct state *s)
{
    const char *name;
    size_t bytes;
    int rc;

    while ((name = next(s, &bytes)) != NULL) {
        rc = step(s, name, bytes);
        if (rc < 0)
            return rc;
        if (s->at == NULL)
            return 0; /* it was the last, and is not there */
    }
    /* A name before "/." or behind ".." is not where the node lies. */
    if (s->walk->last != WALK_NAME)
        set_parent(s->walk, s->at);
    if ((s->flags & (WALK_PARENT | WALK_SLASH)) == 0 && s->walk->has_slash &&
        s->at->kind != NODE_DIR)
        return -ENOTDIR;
    return 0;
}

int walk_path(struct walk *walk, struct tree *tree, struct node *from,
              const char *path, unsigned flags)
{
    struct state s = {.walk = walk, .tree = tree, .flags = flags};
    int rc = 0;

    *walk = (struct walk){.last = WALK_DOT};
    tree->fresh = NULL;
    if (strnlen(path, NODE_PATH_MAX) == NODE_PATH_MAX)
        return -ENAMETOOLONG;
    if (path[0] == '\0' && (flags & WALK_EMPTY) == 0)
        return -ENOENT;
    if (tree->is_beneath && from != NULL)
        s.below = from;
    if (s.below != NULL && path[0] == '/')
        return -EREMOTE;
    move(&s, from == NULL ? tree->root : from);
    push(&s, NULL, path);
    if (path[0] != '\0')
        rc = run(&s);
    while (s.depth > 0)
        pop(&s);
    walk->node = s.at;
    if (rc < 0)
        walk_end(walk);
    return rc;
}

void walk_end(struct walk *walk)
{
    node_put(walk->parent);
    node_put(walk->node);
    walk->parent = walk->node = NULL;
}

/* Is what the entry has still what the host has? */
static bool is_same(const struct node *node, const struct stat *st)
{
    return node->ino == st->st_ino && node->dev == st->st_dev &&
           ((node->mode ^ st->st_mode) & S_IFMT) == 0;
}

static int look_on_host(struct node *dir, const char *name, struct entry *entry,
                        struct node **child)
{
    struct tree *tree = dir->tree;
    struct stat st;
    int rc = host_look(dir, name, &st);

    if (entry != NULL &&
        (rc == -ENOENT || (rc == 0 && !is_same(entry->node, &st)))) {
        entry_drop(entry); /* who has the node still has it */
        entry = NULL;
    }
    if (rc < 0)
        return rc;
    if (entry != NULL) {
        *child = node_get(entry->node);
    } else {
        *child = node_from_host(tree, dir, name, &st);
        if (*child == NULL)
            return -ENOMEM;
    }
    tree->fresh = *child;
    tree->fresh_stat = st;
    return 0;
}

int walk_child(struct node *dir, const char *name, bool is_last,
               struct node **child)
{
    struct entry *entry;
    int rc = 0;

    if (dir->is_dead)
        return -ENOENT;
    entry = entry_find(dir, name);
    if (entry == NULL && dir->host == NULL)
        return -ENOENT;
    if (entry != NULL && entry->node == NULL)
        return -ENOENT;
    if (entry != NULL && (entry->is_kept || !is_last))
        *child = node_get(entry->node);
    else
        rc = look_on_host(dir, name, entry, child);
    if (rc == 0 && (*child)->kind == NODE_DIR && (*child)->host != NULL)
        node_remember(*child);
    return rc;
}
