/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - images, shown: ls, inspect, prune. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/cli.h"
#include "cli/image/image.h"

#define SHORT_DIGEST 19 /* "sha256:" and twelve digits */

static json_t *json_of(const struct gbx_image_info *info)
{
    return json_pack("{s:s?, s:s, s:s, s:s, s:i, s:I, s:I}", "name", info->name,
                     "from", info->from, "digest", info->digest, "platform",
                     info->platform, "layers", (int)info->layers, "bytes",
                     (json_int_t)info->packed_bytes, "pulled",
                     (json_int_t)info->pulled_s);
}

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

static void add_json(void *context, const struct gbx_image_info *info)
{
    json_array_append_new(context, json_of(info));
}

static void print_line(const struct gbx_image_info *info, const char *end)
{
    const char *name = info->name != NULL ? info->name : info->from;
    char when[32], size[32];
    time_t pulled = (time_t)info->pulled_s;
    struct tm tm;

    strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&pulled, &tm));
    printf("%.*s  %10s  %s  ", SHORT_DIGEST, info->digest,
           image_size(size, info->packed_bytes), when);
    cli_print(stdout, name, strlen(name), true);
    puts(end);
}

static void print_listed(void *context, const struct gbx_image_info *info)
{
    print_line(info, info->name != NULL ? "" : " (another has the name now)");
    ++*(unsigned *)context;
}

static void print_pruned(void *context, const struct gbx_image_info *info)
{
    print_line(info, "");
    ++*(unsigned *)context;
}

int image_list(struct gbx_images *images, const struct image_options *options)
{
    json_t *list = options->json ? json_array() : NULL;
    struct gbx_error err = {0};
    unsigned count = 0;
    int rc = list != NULL ? gbx_images_list(images, add_json, list, &err)
                          : gbx_images_list(images, print_listed, &count, &err);

    if (rc < 0) {
        json_decref(list);
        return cli_fail(&err);
    }
    if (list != NULL)
        print_json(list);
    else if (count == 0)
        puts("no images; glovebox image pull IMAGE gets one");
    return CLI_OK;
}

int image_prune(struct gbx_images *images, const struct image_options *options)
{
    json_t *list = options->json ? json_array() : NULL;
    struct gbx_error err = {0};
    unsigned count = 0;
    uint64_t bytes = 0;
    char size[32];
    int rc = gbx_images_prune(
        images, options->all, list != NULL ? add_json : print_pruned,
        list != NULL ? (void *)list : &count, &bytes, &err);

    if (rc < 0) {
        json_decref(list);
        return cli_fail(&err);
    }
    if (list != NULL)
        print_json(json_pack("{s:o, s:I}", "images", list, "freed",
                             (json_int_t)bytes));
    else
        printf("%u images, %s freed\n", count, image_size(size, bytes));
    return CLI_OK;
}

static json_t *json_list(const char *const *texts)
{
    json_t *list = json_array();

    for (; *texts != NULL; texts++)
        json_array_append_new(list, json_string(*texts));
    return list;
}

static void inspect_json(const struct gbx_image *image)
{
    const struct gbx_image_run *run = gbx_image_run(image);
    json_t *json = json_of(gbx_image_info(image));
    const char *manifest = gbx_image_manifest(image);
    const char *config = gbx_image_config(image);

    json_object_set_new(json, "root", json_string(gbx_image_root(image)));
    json_object_set_new(json, "run",
                        json_pack("{s:o, s:o, s:o, s:s, s:s}", "entrypoint",
                                  json_list(run->entrypoint), "command",
                                  json_list(run->command), "env",
                                  json_list(run->env), "workdir",
                                  run->working_dir, "user", run->user));
    if (manifest != NULL)
        json_object_set_new(json, "manifest", json_loads(manifest, 0, NULL));
    if (config != NULL)
        json_object_set_new(json, "config", json_loads(config, 0, NULL));
    print_json(json);
}

static void print_text(const char *title, const char *text)
{
    printf("%-11s", title);
    cli_print(stdout, text, strlen(text), true);
    putchar('\n');
}

static void print_words(const char *title, const char *const *words)
{
    printf("%-11s", title);
    for (; *words != NULL; words++) {
        cli_print(stdout, *words, strlen(*words), true);
        fputs(words[1] != NULL ? " " : "", stdout);
    }
    putchar('\n');
}

static void inspect_text(const struct gbx_image *image)
{
    const struct gbx_image_info *info = gbx_image_info(image);
    const struct gbx_image_run *run = gbx_image_run(image);
    char size[32];

    print_text("name", info->name);
    print_text("digest", info->digest);
    print_text("platform", info->platform);
    printf("%-11s%u, %s packed\n", "layers", info->layers,
           image_size(size, info->packed_bytes));
    print_text("root", gbx_image_root(image));
    print_words("entrypoint", run->entrypoint);
    print_words("command", run->command);
    for (const char *const *env = run->env; *env != NULL; env++)
        print_text("env", *env);
    print_text("workdir", run->working_dir[0] ? run->working_dir : "/");
    print_text("user", run->user[0] ? run->user : "root");
}

int image_inspect(struct gbx_images *images,
                  const struct image_options *options)
{
    struct gbx_error err = {0};
    struct gbx_image *image;

    if (gbx_image_open(&image, images, options->what, &err) < 0)
        return cli_fail(&err);
    if (options->json)
        inspect_json(image);
    else
        inspect_text(image);
    gbx_image_close(image);
    return CLI_OK;
}
