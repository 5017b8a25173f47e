/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store/record.h"

#define END ".json"

void record_path(char path[STORE_PATH_BYTES], const char *digest)
{
    snprintf(path, STORE_PATH_BYTES, STORE_IMAGES "/%s" END,
             digest_hex(digest));
}

static bool take_text(char *to, size_t room, const json_t *object,
                      const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL && (size_t)snprintf(to, room, "%s", text) < room;
}

static bool take_digest(char to[DIGEST_BYTES], const json_t *object,
                        const char *key)
{
    return take_text(to, DIGEST_BYTES, object, key) && digest_is_valid(to);
}

/* layers/HEX or roots/HEX, and nothing that leads elsewhere. */
static bool is_root(const char *root)
{
    const char *hex = strchr(root, '/');
    char digest[DIGEST_BYTES];

    if (hex == NULL)
        return false;
    snprintf(digest, sizeof(digest), "sha256:%s", hex + 1);
    return digest_is_valid(digest) && strlen(hex + 1) == 64 &&
           (strncmp(root, STORE_LAYERS "/", strlen(STORE_LAYERS) + 1) == 0 ||
            strncmp(root, STORE_ROOTS "/", strlen(STORE_ROOTS) + 1) == 0);
}

static bool take_layers(struct record *record, const json_t *list)
{
    const size_t count = json_array_size(list);

    if (!json_is_array(list) || count > RECORD_LAYERS_MAX)
        return false;
    record->layers = calloc(count + 1, sizeof(*record->layers));
    if (record->layers == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        struct record_layer *layer = &record->layers[i];
        const json_int_t bytes =
            json_integer_value(json_object_get(item, "bytes"));

        if (!take_digest(layer->digest, item, "digest") ||
            !take_digest(layer->diff, item, "diff") || bytes < 0)
            return false;
        layer->bytes = (uint64_t)bytes;
    }
    record->layer_count = (uint32_t)count;
    return true;
}

static bool take(struct record *record, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));

    record->name = name != NULL ? strdup(name) : NULL;
    record->pulled_s = json_integer_value(json_object_get(object, "pulled"));
    return record->name != NULL &&
           take_digest(record->digest, object, "digest") &&
           take_digest(record->config, object, "config") &&
           take_text(record->platform, sizeof(record->platform), object,
                     "platform") &&
           take_text(record->root, sizeof(record->root), object, "root") &&
           is_root(record->root) &&
           take_layers(record, json_object_get(object, "layers"));
}

int record_read(struct record *record, const struct gbx_images *images,
                const char *digest, struct gbx_error *err)
{
    char path[STORE_PATH_BYTES];
    json_t *object;
    size_t bytes = 0;
    char *text;
    bool well;

    *record = (struct record){0};
    record_path(path, digest);
    text = store_read(images, path, RECORD_BYTES_MAX, &bytes);
    if (text == NULL)
        return errno == ENOENT
                   ? fail(err, GBX_EFILE, "%s: no such image in %s", digest,
                          images->path)
                   : fail(err, GBX_EHOST, "%s/%s", images->path, path);
    errno = 0;
    object = json_loadb(text, bytes, 0, NULL);
    free(text);
    well = take(record, object) && strcmp(record->digest, digest) == 0;
    json_decref(object);
    if (well)
        return 0;
    record_fini(record);
    if (errno == ENOMEM)
        return fail(err, GBX_EHOST, "%s/%s", images->path, path);
    return fail(err, GBX_EFORMAT, "%s/%s is damaged; pull the image again",
                images->path, path);
}

static json_t *layers_json(const struct record *record)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < record->layer_count; i++) {
        const struct record_layer *layer = &record->layers[i];

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:I}", "digest", layer->digest, "diff",
                            layer->diff, "bytes", (json_int_t)layer->bytes));
    }
    return list;
}

int record_write(const struct record *record, const struct gbx_images *images,
                 struct gbx_error *err)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "digest", record->digest,
        "config", record->config, "platform", record->platform, "name",
        record->name, "root", record->root, "pulled",
        (json_int_t)record->pulled_s, "layers", layers_json(record));
    char *text = json_dumps(object, JSON_INDENT(1));
    char path[STORE_PATH_BYTES];
    int rc = -ENOMEM;

    record_path(path, record->digest);
    if (text != NULL)
        rc = store_write(images, path, text, strlen(text));
    free(text);
    json_decref(object);
    errno = -rc;
    return rc < 0 ? fail(err, GBX_EHOST, "%s/%s", images->path, path) : 0;
}

void record_fini(struct record *record)
{
    free(record->name);
    free(record->layers);
    *record = (struct record){0};
}

static int by_digest(const void *a, const void *b)
{
    const struct record *one = a, *other = b;

    return strcmp(one->digest, other->digest);
}

static bool is_record(char digest[DIGEST_BYTES], const char *file)
{
    const size_t bytes = strlen(file), end = strlen(END);

    if (bytes < end || strcmp(file + bytes - end, END) != 0)
        return false;
    return (size_t)snprintf(digest, DIGEST_BYTES, "sha256:%.*s",
                            (int)(bytes - end), file) < DIGEST_BYTES &&
           digest_is_valid(digest);
}

int records_read(struct records *records, const struct gbx_images *images,
                 struct gbx_error *err)
{
    int fd =
        openat(images->fd, STORE_IMAGES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    char digest[DIGEST_BYTES];
    int rc = 0;

    *records = (struct records){0};
    if (dir == NULL) {
        close_fd(&fd);
        return fail(err, GBX_EHOST, "%s/%s", images->path, STORE_IMAGES);
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        struct record *more;

        if (!is_record(digest, entry->d_name))
            continue;
        more = reallocarray(records->all, records->count + 1, sizeof(*more));
        if (more == NULL) {
            rc = fail(err, GBX_EHOST, "no memory for images");
            break;
        }
        records->all = more;
        rc = record_read(&more[records->count], images, digest, err);
        if (rc == 0)
            records->count++;
        else if (rc != GBX_EHOST)
            rc = 0;
    }
    if (rc == 0 && errno != 0)
        rc = fail(err, GBX_EHOST, "%s/%s", images->path, STORE_IMAGES);
    closedir(dir);
    if (rc < 0)
        records_fini(records);
    if (records->count > 0)
        qsort(records->all, records->count, sizeof(*records->all), by_digest);
    return rc;
}

struct record *records_find(const struct records *records, const char *digest)
{
    struct record key = {0};

    snprintf(key.digest, sizeof(key.digest), "%s", digest);
    return records->count == 0 ? NULL
                               : bsearch(&key, records->all, records->count,
                                         sizeof(key), by_digest);
}

struct record *records_begin(const struct records *records, const char *start)
{
    struct record *found = NULL;

    for (size_t i = 0; i < records->count; i++)
        if (strncmp(records->all[i].digest, start, strlen(start)) == 0) {
            if (found != NULL)
                return NULL;
            found = &records->all[i];
        }
    return found;
}

void records_fini(struct records *records)
{
    for (size_t i = 0; i < records->count; i++)
        record_fini(&records->all[i]);
    free(records->all);
    *records = (struct records){0};
}
