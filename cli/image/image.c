/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - `glovebox image`: its options, and its acts but for listing. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/image/image.h"

enum {
    OPTION_STORE = 256,
    OPTION_JSON,
    OPTION_PLATFORM,
    OPTION_NAME,
    OPTION_INSECURE,
    OPTION_AUTH,
    OPTION_SILENCE,
    OPTION_SIZE,
    OPTION_RATIO
};

static const struct {
    const char *name;
    int (*run)(struct gbx_images *images, const struct image_options *options);
    enum { NONE, MAYBE, ONE } what; /* does it take a reference? */
} acts[] = {{"pull", image_pull, ONE},       {"ls", image_list, NONE},
            {"inspect", image_inspect, ONE}, {"rm", image_remove, ONE},
            {"prune", image_prune, NONE},    {"verify", image_verify, NONE}};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

static const struct argp_option known[] = {
    {"store", OPTION_STORE, "DIR", 0,
     "Where images are; default $XDG_DATA_HOME/glovebox/images, or "
     "~/.local/share/glovebox/images",
     1},
    {"json", OPTION_JSON, NULL, 0, "Of ls, inspect and prune: for programs", 1},
    {"quiet", 'q', NULL, 0, "Of pull: no bar, no words", 1},
    {"all", 'a', NULL, 0, "Of prune: also images that have names", 1},
    {NULL, 0, NULL, 0, "Of pull:", 2},
    {"platform", OPTION_PLATFORM, "OS/ARCH", 0,
     "For another computer, as linux/arm64", 2},
    {"name", OPTION_NAME, "NAME", 0, "Call it this, too", 2},
    {"insecure", OPTION_INSECURE, NULL, 0,
     "Allow http, and certificates that nobody knows (a registry on this "
     "computer may have them anyway)",
     2},
    {"auth-file", OPTION_AUTH, "FILE", 0,
     "Credentials; default those of skopeo login, podman login and docker "
     "login",
     2},
    {"timeout", 't', "TIME", 0, "Longest time, as 30s or 10m; default none", 2},
    {"silence", OPTION_SILENCE, "TIME", 0,
     "Longest time without a byte; default 60s", 2},
    {"max-size", OPTION_SIZE, "SIZE", 0,
     "What a layer may unpack to; default 16G", 2},
    {"max-ratio", OPTION_RATIO, "N", 0,
     "And how many times what it is packed; default 200", 2},
    {0}};

static const char doc[] =
    "Images for --image: pull them, list them, remove them.  An IMAGE is "
    "python, python:3.11-slim, HOST:PORT/NAME:TAG, NAME@sha256:..., "
    "sha256:3f2a91 (one that is here), oci:DIR[:TAG] or "
    "docker-archive:FILE[:NAME].\v"
    "  pull IMAGE     have it here, as it is now\n"
    "  ls             what is here\n"
    "  inspect IMAGE  what it is, and what it wants to run\n"
    "  rm IMAGE       forget its name, and free what only it had\n"
    "  prune          free what no name leads to, and what pulls left that "
    "ended\n"
    "  verify         read all that is here, and compare it with its digests\n"
    "\n"
    "Examples:\n"
    "  glovebox image pull python:3.11-slim\n"
    "  glovebox image pull localhost:5000/my/app:1 --silence 10s\n"
    "  glovebox image pull oci:build/layout:latest --name my/app\n"
    "  glovebox exec --image python:3.11-slim python3 -c 'print(6 * 7)'\n"
    "\n"
    "Exit status: 0 fine; 1 verify found damage; 2 wrong usage, or what came "
    "is no image; 3 a limit; 124 out of time; 125 no such registry, a full "
    "disk, an image in use; 127 no such image.";

static void take_word(struct image_options *o, const char *arg,
                      struct argp_state *state)
{
    if (o->act != NULL && o->what != NULL)
        argp_error(state, "%s: one image at a time", arg);
    if (o->act != NULL) {
        o->what = arg;
        return;
    }
    for (size_t i = 0; i < ACTS; i++)
        if (strcmp(acts[i].name, arg) == 0)
            o->act = arg;
    if (o->act == NULL)
        argp_error(state,
                   "%s: pull, ls, inspect, rm, prune or verify is expected",
                   arg);
}

static void check_words(const struct image_options *o, struct argp_state *state)
{
    if (o->act == NULL)
        argp_error(state, "pull, ls, inspect, rm, prune or verify is expected");
    for (size_t i = 0; i < ACTS; i++) {
        if (strcmp(acts[i].name, o->act) != 0)
            continue;
        if (acts[i].what == ONE && o->what == NULL)
            argp_error(state, "%s: which IMAGE?", o->act);
        if (acts[i].what == NONE && o->what != NULL)
            argp_error(state, "%s takes no IMAGE", o->act);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct image_options *o = state->input;

    switch (key) {
    case OPTION_STORE:
        o->dir = arg;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case 'a':
        o->all = true;
        return 0;
    case OPTION_PLATFORM:
        o->pull.platform = arg;
        return 0;
    case OPTION_NAME:
        o->pull.name = arg;
        return 0;
    case OPTION_INSECURE:
        o->pull.is_insecure = true;
        return 0;
    case OPTION_AUTH:
        o->pull.auth_file = arg;
        return 0;
    case 't':
        o->pull.deadline_ns =
            cli_now_ns() + cli_option_time("timeout", arg, state);
        return 0;
    case OPTION_SILENCE:
        o->pull.silence_ns = cli_option_time("silence", arg, state);
        return 0;
    case OPTION_SIZE:
        o->pull.size_max = cli_option_size("max-size", arg, state);
        return 0;
    case OPTION_RATIO:
        o->pull.ratio_max =
            (uint32_t)cli_option_number("max-ratio", arg, 1, UINT32_MAX, state);
        return 0;
    case ARGP_KEY_ARG:
        take_word(o, arg, state);
        return 0;
    case ARGP_KEY_END:
        check_words(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = known,
                                 .parser = parse,
                                 .args_doc = "pull IMAGE|ls|inspect IMAGE|rm "
                                             "IMAGE|prune|verify",
                                 .doc = doc};

int image_pull(struct gbx_images *images, const struct image_options *options)
{
    struct gbx_image_pull_config config = options->pull;
    struct cli_pull pull = {.is_quiet = options->quiet};
    struct gbx_error err = {0};
    struct gbx_image *image;
    int rc;

    config.libexec_dir = cli_libexec();
    config.progress = cli_pull_show;
    config.progress_context = &pull;
    rc = gbx_image_pull(images, options->what, &config, &err);
    cli_pull_end(&pull);
    if (rc == 0)
        rc = gbx_image_open(&image, images, options->what, &err);
    if (rc < 0)
        return cli_fail(&err);
    if (!options->quiet)
        printf("%s  %s\n", gbx_image_info(image)->name,
               gbx_image_info(image)->digest);
    gbx_image_close(image);
    return CLI_OK;
}

int image_remove(struct gbx_images *images, const struct image_options *options)
{
    struct gbx_error err = {0};
    uint64_t bytes;
    char size[32];

    if (gbx_image_remove(images, options->what, &bytes, &err) < 0)
        return cli_fail(&err);
    printf("%s removed, %s freed\n", options->what, image_size(size, bytes));
    return CLI_OK;
}

static void print_damage(void *context, const char *text)
{
    (void)context;
    cli_print(stdout, text, strlen(text), true);
    putchar('\n');
}

int image_verify(struct gbx_images *images, const struct image_options *options)
{
    struct gbx_error err = {0};
    int rc = gbx_images_verify(images, cli_libexec(), print_damage, NULL, &err);

    (void)options;
    if (rc == GBX_EFORMAT)
        return cli_say(err.what, CLI_FINDINGS);
    if (rc < 0)
        return cli_fail(&err);
    puts("all is as its digests say");
    return CLI_OK;
}

int cli_image(int argc, char **argv)
{
    static char name[] = "glovebox image";
    struct image_options o = {.pull = {.struct_bytes = sizeof(o.pull)}};
    struct gbx_images *images;
    struct gbx_error err = {0};
    int code = CLI_USAGE;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (gbx_images_open(&images, o.dir, &err) < 0)
        return cli_fail(&err);
    for (size_t i = 0; i < ACTS; i++)
        if (strcmp(acts[i].name, o.act) == 0)
            code = acts[i].run(images, &o);
    gbx_images_close(images);
    return code;
}
