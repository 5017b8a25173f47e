/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.h - sections of a project file, and what their keys mean.
 *
 * A node is [LINE, VALUE], as toml/toml.h draws it; no value is null.
 */
#ifndef CLI_PROJECT_READ_H
#define CLI_PROJECT_READ_H

#include "cli/project/project.h"

struct reading {
    struct project *project;
    struct gbx_error *err;
    json_t *facts; /* of the section that is read, in its project's list */
};

typedef int key_fn(struct reading *reading, void *to, const char *key,
                   json_t *node);

/* What a section may have; the list ends with a key without a name. */
struct key {
    const char *name;
    key_fn *read;
    const char *instead; /* it is refused, and this is why */
};

/* The tree of the file's values, or NULL, with what is wrong in err. */
typedef json_t *project_tree_fn(const struct project *project,
                                struct gbx_error *err);
/* project_open, of a tree from elsewhere. */
int project_take(struct project *project, const char *path,
                 project_tree_fn *parse, struct gbx_error *err);

unsigned node_line(const json_t *node);
json_t *node_value(const json_t *node);
/* Without its lines: a reference of one's own. */
json_t *node_plain(const json_t *node);

/* GBX_EFORMAT: "FILE, line N: ...". */
int node_fail(const struct reading *reading, const json_t *node,
              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Each member of a table; what: "[serve]", for errors. */
int read_table(struct reading *reading, const char *what,
               const struct key *keys, void *to, json_t *node);
/* fn for each member of a table of sections, whose names are checked. */
int read_sections(struct reading *reading, const char *what, key_fn *fn,
                  json_t *node);
/* Texts are borrowed from the node. */
int read_text(struct reading *reading, const char *key, const json_t *node,
              const char **text);
/* From the project's folder on; for free(). */
int read_path(struct reading *reading, const char *key, const json_t *node,
              char **path);

/* settings.c: a key of the configuration (docs/config.md), checked there, into
 * an object: its rule, or defaults.  to: the object. */
int setting_read(struct reading *reading, void *to, const char *key,
                 json_t *node);
/* The same in a group: "limits", "pool". */
int setting_put(struct reading *reading, json_t *to, const char *group,
                const char *key, const json_t *node);
/* One that `up` can have in the store by this name. */
int image_read(struct reading *reading, void *to, const char *key,
               json_t *node);
/* mount.c: "mounts", and "volumes" as they are called elsewhere. */
int mounts_read(struct reading *reading, void *to, const char *key,
                json_t *node);
#define SETTING_KEYS                                                           \
    {"trust", setting_read, NULL}, {"isolation", setting_read, NULL},          \
        {"floor", setting_read, NULL}, {"limits", setting_read, NULL},         \
        {"wipe", setting_read, NULL}, {"pool", setting_read, NULL},            \
        {"spin", setting_read, NULL}, {"start", setting_read, NULL},           \
        {"image", image_read, NULL}, {"user", setting_read, NULL},             \
        {"config", setting_read, NULL}, {"mounts", mounts_read, NULL},         \
        {"volumes", mounts_read, NULL}, {"hide_folder", setting_read, NULL},   \
        {"idempotent", setting_read, NULL},                                    \
    {                                                                          \
        "host_calls", setting_read, NULL                                       \
    }

int section_defaults(struct reading *reading, void *to, const char *key,
                     json_t *node);
int section_hosts(struct reading *reading, void *to, const char *key,
                  json_t *node);
/* script.c: [scripts.NAME]; flow.c: [flows.NAME] */
int section_scripts(struct reading *reading, void *to, const char *key,
                    json_t *node);
int section_flows(struct reading *reading, void *to, const char *key,
                  json_t *node);
/* When all sections are read: what they say of each other, and the rules. */
int scripts_settle(struct reading *reading, json_t *sections);
int flows_settle(struct reading *reading, json_t *sections);
/* serve.c: [serve] */
int section_serve(struct reading *reading, void *to, const char *key,
                  json_t *node);
/* secret.c: [secrets.NAME]; and those that a script names, into its rule. */
int secrets_grant(struct reading *reading, json_t *rule, const json_t *names,
                  json_t *node);
int section_secrets(struct reading *reading, void *to, const char *key,
                    json_t *node);

/* What the file's bytes are, in 16 digits; or a code. */
int digest_file(const char *path, char digest[17], struct gbx_error *err);

#endif
