/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the files of this room share: a configuration as it lies in
 * memory.
 *
 *   gbx_config --- defaults: settings
 *              --< rules: pattern, settings        the later, the stronger
 *
 * Settings are values with a bit for each that was given: so one that is given
 * as 0 is told from one that is not given.
 *
 * Threads: any, once it is open: nothing of it changes.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/runtime.h"

#include "base/scratch.h"

#define CONFIG_BYTES_MAX   (1u << 20)
#define CONFIG_RULES_MAX   1024u
#define CONFIG_NAMES_MAX   64u /* host calls in a list */
#define CONFIG_HOSTS_MAX   64u
#define CONFIG_PATTERN_MAX 1024u
#define CONFIG_ACTOR_MAX   255u
#define CONFIG_DEPTH_MAX   16u

enum config_kind {
    SIZE,
    TIME,
    NUMBER,
    FLAG,
    WORD,
    ISOLATIONS,
    NAMES,
    PATH,
    TEXT,
    OBJECT,
    SECRETS,
    MOUNTS
};

enum config_field {
#define X(field, group, name, kind, member, least, most) CONFIG_##field,
#include "config/keys.def"
#undef X
    CONFIG_FIELDS
};

struct config_key {
    const char *group, *name;
    enum config_kind kind;
    size_t off, bytes;        /* in struct config_values */
    uint64_t least, most;     /* not of limits: config_least, config_most */
    const char *const *words; /* of a WORD; the nth has value n + 1 */
};

struct config_values {
    struct gbx_script_config script;
    const char *cache;
};

struct config_settings {
    uint32_t given; /* a bit for each field */
    struct config_values values;
    const char *from; /* of what it says of isolation or trust; or NULL */
};

struct config_rule {
    const char *match; /* as it was written; or NULL: any path */
    const char *actor; /* or NULL: any */
    struct config_settings settings;
};

struct gbx_config {
    char *path;     /* owned; NULL: no file */
    char *folder;   /* owned; where relative patterns start */
    char name[104]; /* of the file, in messages */
    bool is_near;   /* it was found in the working directory */
    struct config_settings defaults;
    struct config_rule *rules; /* owned */
    uint32_t rule_count;
    struct gbx_host_config *hosts; /* owned */
    uint32_t host_count;
    struct scratch texts; /* what all the others point to */
};

/* config.c: one that is empty, called so in messages; NULL: no memory. */
struct gbx_config *config_new(const char *name, struct gbx_error *err);

/* keys.c */
const struct config_key *config_key(enum config_field field);
uint64_t config_least(const struct config_key *key);
uint64_t config_most(const struct config_key *key);

/* read.c: of one that is empty. */
int config_read(struct gbx_config *config, const char *text, size_t bytes,
                struct gbx_error *err);

/* find.c: the file's bytes, for free(), and whose they are. */
int config_find(struct gbx_config *config, const char *path, char **text,
                size_t *bytes, struct gbx_error *err);

/* apply.c: what holds for a path, its links followed, and an actor's name;
 * NULL: of none. */
void config_merge(const struct gbx_config *config, const char *path,
                  const char *actor, struct config_settings *merged);
/* What the other gives, in place of what was there. */
void config_override(struct config_settings *settings,
                     const struct config_settings *by);
/* The path without links, for free(); NULL: no memory. */
char *config_real_path(const char *path);

#endif
