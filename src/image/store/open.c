/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store/find.h"
#include "image/store/kept.h"
#include "image/store/list.h"

#define JSON_BYTES_MAX (4u << 20)

struct gbx_image {
    int fd;     /* owned: holds the root; or -1 */
    char *root; /* owned */
    char *name; /* owned */
    struct record record;
    struct gbx_image_info info;
    char *manifest, *config; /* owned; NULL of a rootfs */
    json_t *json;            /* owned: the configuration, with all texts of: */
    struct gbx_image_run run;
    const char **lists[3]; /* owned */
};

static const char *const nothing[] = {NULL};

static char *join(const char *one, const char *other, const char *third)
{
    char *text;

    return asprintf(&text, "%s%s%s", one, other, third) < 0 ? NULL : text;
}

/* A list of texts in the configuration; null and none are an empty one. */
static int take_list(struct gbx_image *image, int number, const char *key,
                     const char *const **list, struct gbx_error *err)
{
    const json_t *run = json_object_get(image->json, "config");
    const json_t *array = json_object_get(run, key);
    const size_t count = json_array_size(array);
    const char **texts;

    *list = nothing;
    if (count == 0)
        return 0;
    texts = calloc(count + 1, sizeof(*texts));
    image->lists[number] = texts;
    if (texts == NULL)
        return fail(err, GBX_EHOST, "no memory for an image");
    for (size_t i = 0; i < count; i++) {
        texts[i] = json_string_value(json_array_get(array, i));
        if (texts[i] == NULL)
            return fail(err, GBX_EFORMAT,
                        "image %.80s: \"%s\" of its configuration is no list "
                        "of texts",
                        image->name, key);
    }
    *list = texts;
    return 0;
}

static const char *take_text(const struct gbx_image *image, const char *key)
{
    const json_t *run = json_object_get(image->json, "config");
    const char *text = json_string_value(json_object_get(run, key));

    return text != NULL ? text : "";
}

static int read_blob(char **text, const struct gbx_images *images,
                     const char *digest, const char *name,
                     struct gbx_error *err)
{
    char path[STORE_PATH_BYTES];

    store_blob(path, digest);
    *text = store_read(images, path, JSON_BYTES_MAX, NULL);
    return *text != NULL
               ? 0
               : fail(err, GBX_EFORMAT,
                      "image %.80s has lost its %s; pull it again", name, path);
}

static int read_config(struct gbx_image *image, const struct gbx_images *images,
                       struct gbx_error *err)
{
    int rc = read_blob(&image->manifest, images, image->record.digest,
                       image->name, err);

    if (rc == 0)
        rc = read_blob(&image->config, images, image->record.config,
                       image->name, err);
    if (rc < 0)
        return rc;
    image->json = json_loads(image->config, 0, NULL);
    if (!json_is_object(image->json))
        return fail(err, GBX_EFORMAT,
                    "image %.80s has a configuration that is no JSON; pull it "
                    "again",
                    image->name);
    if ((rc = take_list(image, 0, "Entrypoint", &image->run.entrypoint, err)) <
            0 ||
        (rc = take_list(image, 1, "Cmd", &image->run.command, err)) < 0 ||
        (rc = take_list(image, 2, "Env", &image->run.env, err)) < 0)
        return rc;
    image->run.working_dir = take_text(image, "WorkingDir");
    image->run.user = take_text(image, "User");
    return 0;
}

static int open_folder(struct gbx_image *image,
                       const struct reference *reference, struct gbx_error *err)
{
    struct stat st;

    if (stat(reference->path, &st) < 0 || !S_ISDIR(st.st_mode))
        return fail(err, GBX_EFILE, "%s: no folder", image->name);
    image->root = strdup(reference->path);
    image->info =
        (struct gbx_image_info){.digest = "", .platform = "linux/amd64"};
    image->run = (struct gbx_image_run){nothing, nothing, nothing, "", ""};
    return image->root == NULL ? fail(err, GBX_EHOST, "no memory for an image")
                               : 0;
}

/* First the record, then the hold: whoever removed it in between did so whole.
 */
static int open_record(struct gbx_image *image, const struct gbx_images *images,
                       const struct reference *reference, struct gbx_error *err)
{
    int rc = find_record(&image->record, images, reference, err);

    if (rc < 0)
        return rc;
    image->fd = find_hold(images, image->record.root, false);
    if (image->fd >= 0 && !kept_is_whole(images, image->record.root))
        return fail(err, GBX_EFORMAT,
                    "image %.80s was not on the disk yet when this computer "
                    "went down; pull it again",
                    image->name);
    if (image->fd == -EAGAIN)
        return fail(err, GBX_EFILE, "image %.100s is being removed",
                    image->name);
    if (image->fd < 0)
        return fail(err, GBX_EFORMAT,
                    "image %.80s has lost its files (%s/%s); pull it again",
                    image->name, images->path, image->record.root);
    image->root = join(images->path, "/", image->record.root);
    if (image->root != NULL) {
        char *whole = join(image->root, "/fs", "");

        free(image->root);
        image->root = whole;
    }
    if (image->root == NULL)
        return fail(err, GBX_EHOST, "no memory for an image");
    list_info(&image->info, &image->record, NULL);
    return read_config(image, images, err);
}

int gbx_image_open(struct gbx_image **image, struct gbx_images *images,
                   const char *reference, struct gbx_error *err)
{
    char name[REFERENCE_NAME_BYTES];
    struct reference settled;
    struct gbx_image *made;
    int rc;

    *image = NULL;
    if (reference == NULL)
        return fail(err, GBX_EARGUMENT, "an image has no name");
    if ((rc = find_settle(&settled, reference, err)) < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for an image");
    made->fd = -1;
    reference_name(&settled, name);
    made->name = strdup(name);
    if (made->name == NULL)
        rc = fail(err, GBX_EHOST, "no memory for an image");
    else
        rc = settled.kind == REFERENCE_FOLDER
                 ? open_folder(made, &settled, err)
                 : open_record(made, images, &settled, err);
    if (rc < 0) {
        gbx_image_close(made);
        return rc;
    }
    made->info.name = made->name;
    if (made->info.from == NULL)
        made->info.from = made->name;
    *image = made;
    return 0;
}

void gbx_image_close(struct gbx_image *image)
{
    if (image == NULL)
        return;
    for (int i = 0; i < 3; i++)
        free(image->lists[i]);
    json_decref(image->json);
    free(image->config);
    free(image->manifest);
    record_fini(&image->record);
    free(image->name);
    free(image->root);
    close_fd(&image->fd);
    free(image);
}

const char *gbx_image_root(const struct gbx_image *image)
{
    return image->root;
}

const struct gbx_image_info *gbx_image_info(const struct gbx_image *image)
{
    return &image->info;
}

const char *gbx_image_manifest(const struct gbx_image *image)
{
    return image->manifest;
}

const char *gbx_image_config(const struct gbx_image *image)
{
    return image->config;
}

const struct gbx_image_run *gbx_image_run(const struct gbx_image *image)
{
    return &image->run;
}
