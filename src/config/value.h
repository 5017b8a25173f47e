/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - one value of the file, into settings.
 *
 * Threads: the reader's.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <jansson.h>

#include "config/config.h"
#include "config/text/place.h"

struct reader {
    struct gbx_config *config;
    struct gbx_error *err;
    uint32_t line;      /* of the key that is read, for errors */
    bool has_no_lines;  /* it is no file that somebody reads */
    struct place place; /* of its value */
};

/* An object of the file: what its keys mean. */
struct object {
    const char *what;          /* "a rule", for errors */
    const char *group;         /* of the keys of settings that it may have */
    const char *const *others; /* its other keys, NULL-terminated; the first is
                                  "comment" */
    uint32_t fields; /* a bit for each of the group that it may have */
    bool is_open;    /* other keys are somebody else's */
    int (*read_other)(struct reader *reader, void *to, size_t number,
                      json_t *value);
};

/* read.c: a text; NULL: it is none, and *rc what was told. */
json_t *read_json(struct reader *reader, const char *text, size_t bytes,
                  int *rc);
/* Each of its keys, into `to`. */
int read_object(struct reader *reader, const struct object *object, void *to,
                json_t *value);
/* "limits" and "pool", a read_other of settings. */
int read_group(struct reader *reader, void *to, size_t number, json_t *value);
/* Settings as a whole: they fit each other, too. */
int read_settings(struct reader *reader, const struct object *object,
                  struct config_settings *settings, json_t *value);
/* fn for each of a list, with the reader there.  Returns 0, or what fn did that
 * is not 0. */
int read_list(struct reader *reader, json_t *list,
              int (*fn)(struct reader *reader, size_t i, json_t *item));
/* grant/secrets.c: names, and where their values are. */
int secrets_read_value(struct reader *reader, struct config_values *values,
                       json_t *value);
/* grant/mounts.c: what a script sees of the host. */
int mounts_read_value(struct reader *reader, struct config_values *values,
                      json_t *value);
/* hosts.c */
int hosts_read(struct reader *reader, json_t *value);

/* GBX_EFORMAT, and err says where: "FILE, line N: ...", or "NAME: ...". */
int value_fail(const struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns 0, GBX_EFORMAT, or GBX_EHOST. */
int value_read(struct reader *reader, struct config_settings *settings,
               enum config_field field, json_t *value);

/* GBX_EHOST, and err says so. */
int config_no_memory(const struct reader *reader);
/* The text of a value, to keep.  Returns 0, or GBX_EHOST. */
int value_keep(struct reader *reader, const char **to, const json_t *value);
/* A path, to keep, from the file's folder on.  Returns as value_read. */
int value_path(struct reader *reader, const char **to, const char *key,
               const char *text);
/* A text as "5s", or seconds.  False: it is none. */
bool value_time(const json_t *value, uint64_t *ns);
/* GBX_EFORMAT, where the file was only found in the working directory. */
int value_refuse_near(const struct reader *reader, const char *key);

#endif
