/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find_test.c - which file it is, whose it may be, and what comes of a host
 * that refuses something: each call of what the linker has wrapped fails once,
 * and leaves nothing behind.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault_test.h"
#include "config/config.h"

static long alive; /* what was allocated, and not freed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
char *__real_realpath(const char *path, char *to);
void __real_free(void *old);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
char *__wrap_realpath(const char *path, char *to);
void __wrap_free(void *old);

#define COUNTED(name, arguments)                                               \
    void *made = fails(name) ? NULL : arguments;                               \
    alive += made != NULL;                                                     \
    return made

void *__wrap_malloc(size_t bytes)
{
    COUNTED("malloc", __real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    COUNTED("calloc", __real_calloc(count, bytes));
}

char *__wrap_strdup(const char *text)
{
    COUNTED("strdup", __real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t bytes)
{
    COUNTED("strndup", __real_strndup(text, bytes));
}

char *__wrap_realpath(const char *path, char *to)
{
    COUNTED("realpath", __real_realpath(path, to));
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

WRAP(int, open64, (const char *path, int flags, mode_t mode),
     (path, flags, mode), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(ssize_t, read, (int fd, void *to, size_t bytes), (fd, to, bytes), -1)

static const char good[] =
    "{\"defaults\": {\"trust\": \"untrusted\", \"cache\": \"c\"},\n"
    " \"rules\": [{\"match\": \"**/*.py\", \"host_calls\": [\"a\", \"b\"],\n"
    "             \"isolation\": [\"process\"]}],\n"
    " \"hosts\": [{\"url\": \"ws://a\", \"token_file\": \"t\"}]}\n";

static char folder[64], before[4096];

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/glovebox-config-XXXXXX");
    if (getcwd(before, sizeof(before)) == NULL || mkdtemp(folder) == NULL ||
        chdir(folder) < 0 || mkdir("own", 0700) < 0 ||
        mkdir("own/glovebox", 0700) < 0 || mkdir("home", 0700) < 0 ||
        mkdir("home/.config", 0700) < 0 ||
        mkdir("home/.config/glovebox", 0700) < 0)
        return -1;
    unsetenv("GLOVEBOX_CONFIG");
    setenv("HOME", "/nowhere", 1);
    unsetenv("XDG_CONFIG_HOME");
    return 0;
}

static int end(void **state)
{
    static const char *const all[] = {"glovebox.json",
                                      "own/glovebox/config.json",
                                      "own/glovebox",
                                      "own",
                                      "home/.config/glovebox/config.json",
                                      "home/.config/glovebox",
                                      "home/.config",
                                      "home",
                                      "named.json",
                                      "link.json"};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        remove(all[i]);
    return chdir(before) < 0 || rmdir(folder) < 0 ? -1 : 0;
}

static void set_folder(const char *name, const char *inner)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, inner);
    setenv(name, path, 1);
}

/* The path of what is found; "" for nothing. */
static const char *found(void)
{
    static char path[4096];
    struct gbx_config *config;
    struct gbx_error err = {0};

    if (gbx_config_open(&config, NULL, &err) < 0)
        fail_msg("%s", err.what);
    snprintf(path, sizeof(path), "%s",
             gbx_config_path(config) ? gbx_config_path(config) : "");
    gbx_config_close(config);
    return path;
}

static void refused(const char *path, int code, const char *said)
{
    struct gbx_config *config;
    struct gbx_error err = {0};

    assert_int_equal(gbx_config_open(&config, path, &err), code);
    assert_null(config);
    if (strstr(err.what, said) == NULL)
        fail_msg("\"%s\" has no \"%s\"", err.what, said);
}

static void the_first_that_is_there_is_taken(void **state)
{
    char want[128];

    (void)state;
    if (access("/etc/glovebox/config.json", F_OK) == 0)
        skip();
    assert_string_equal(found(), "");
    set_folder("HOME", "home");
    write_text("home/.config/glovebox/config.json", "{}");
    snprintf(want, sizeof(want), "%s/home/.config/glovebox/config.json",
             folder);
    assert_string_equal(found(), want);
    set_folder("XDG_CONFIG_HOME", "own");
    assert_string_equal(found(), ""); /* it stands for ~/.config */
    write_text("own/glovebox/config.json", "{}");
    snprintf(want, sizeof(want), "%s/own/glovebox/config.json", folder);
    assert_string_equal(found(), want);
    write_text("glovebox.json", "{}");
    assert_string_equal(found(), "./glovebox.json");
    write_text("named.json", "{}");
    setenv("GLOVEBOX_CONFIG", "named.json", 1);
    assert_string_equal(found(), "named.json");
    setenv("GLOVEBOX_CONFIG", "", 1);
    assert_string_equal(found(), "./glovebox.json");
}

static void what_is_named_must_be_there(void **state)
{
    (void)state;
    refused("nowhere.json", GBX_EFILE, "nowhere.json: No such file");
    refused("own", GBX_EFILE, "own: not a file");
    refused("/dev/zero", GBX_EFILE, "not a file");
    setenv("GLOVEBOX_CONFIG", "nowhere.json", 1);
    refused(NULL, GBX_EFILE, "nowhere.json");
}

static void what_others_may_write_is_refused_unless_it_is_named(void **state)
{
    struct gbx_config *config;
    struct gbx_error err;

    (void)state;
    write_text("glovebox.json", "{}");
    chmod("glovebox.json", 0646);
    refused(NULL, GBX_EFILE, "others may write there; chmod go-w");
    assert_int_equal(gbx_config_open(&config, "glovebox.json", &err), 0);
    gbx_config_close(config);
    if (geteuid() != 0)
        return;
    chmod("glovebox.json", 0644);
    assert_int_equal(chown("glovebox.json", 12345, 0), 0);
    refused(NULL, GBX_EFILE, "belongs to another user (12345)");
    assert_int_equal(chown("glovebox.json", 0, 12345), 0);
    chmod("glovebox.json", 0664);
    refused(NULL, GBX_EFILE, "others may write there");
    assert_int_equal(chown("glovebox.json", 0, getegid()), 0);
    chmod("glovebox.json", 0664);
    assert_string_equal(found(), "./glovebox.json");
}

/* A folder that came from elsewhere must not bring its own templates, nor have
 * scripts sent elsewhere. */
static void what_lies_near_may_not_name_templates_and_hosts(void **state)
{
    struct gbx_config *config;
    struct gbx_error err;
    char want[128];

    (void)state;
    write_text("glovebox.json", good);
    refused(NULL, GBX_EFORMAT, "line 1: \"cache\" may not be set by a file");
    write_text("glovebox.json", "{\"hosts\": [\"ws://a\"]}");
    refused(NULL, GBX_EFORMAT, "line 1: \"hosts\" may not be set by a file");
    write_text("glovebox.json", good);
    assert_int_equal(gbx_config_open(&config, "glovebox.json", &err), 0);
    snprintf(want, sizeof(want), "%s/c", folder);
    assert_string_equal(gbx_config_cache(config), want);
    gbx_config_close(config);
}

static void patterns_start_at_the_files_folder(void **state)
{
    struct gbx_script_config script = {0};
    struct gbx_config *config;
    struct gbx_error err;
    char path[128];

    (void)state;
    write_text("own/glovebox/config.json",
               "{\"rules\": [{\"match\": \"./a/*.py\", \"wipe\": \"never\"},"
               "{\"match\": \"**/x.py\", \"spin\": 1}]}");
    assert_int_equal(gbx_config_open(&config, "own/glovebox/config.json", &err),
                     0);
    assert_int_equal(gbx_config_apply(config, "a/x.py", &script, &err), 0);
    assert_int_equal(script.wipe, GBX_WIPE_DEFAULT);
    assert_int_equal(script.spin_ns, 0);
    snprintf(path, sizeof(path), "%s/own/glovebox2/x.py", folder);
    assert_int_equal(gbx_config_apply(config, path, &script, &err), 0);
    assert_int_equal(script.spin_ns, 0);
    snprintf(path, sizeof(path), "%s/own/glovebox/a/x.py", folder);
    assert_int_equal(gbx_config_apply(config, path, &script, &err), 0);
    assert_int_equal(script.wipe, GBX_WIPE_NEVER);
    assert_int_equal(script.spin_ns, 1000000000);
    gbx_config_close(config);
}

/* A link in a folder that is trusted is as good as what it leads to. */
static void links_are_followed(void **state)
{
    struct gbx_script_config script = {0};
    struct gbx_config *config;
    struct gbx_error err;

    (void)state;
    write_text("named.json",
               "{\"rules\": [{\"match\": \"link.json\", \"spin\": 1}]}");
    assert_int_equal(symlink("own/glovebox/config.json", "link.json"), 0);
    write_text("own/glovebox/config.json", "{}");
    assert_int_equal(gbx_config_open(&config, "named.json", &err), 0);
    assert_int_equal(gbx_config_apply(config, "link.json", &script, &err), 0);
    assert_int_equal(script.spin_ns, 0);
    gbx_config_close(config);
}

static int use(void)
{
    struct gbx_script_config script = {0};
    struct gbx_config *config;
    struct gbx_error err = {0};
    char *text;
    int rc = gbx_config_open(&config, "named.json", &err);

    if (rc == 0)
        rc = gbx_config_apply(config, "x.py", &script, &err);
    if (rc == 0 && script.route.allowed[0] != GBX_ISOLATION_PROCESS)
        fail_msg("the rule for x.py was lost");
    if (rc == 0)
        rc = gbx_config_show(config, "x.py", &text, &err);
    if (rc == 0)
        free(text);
    gbx_config_close(config);
    assert_int_equal(rc, err.code);
    assert_true(rc == 0 || err.what[0] != '\0');
    return rc;
}

static int use_node(void)
{
    struct gbx_script_config script = {0};
    struct gbx_config *texts;
    struct gbx_error err = {0};
    int rc = gbx_config_apply_node(&texts,
                                   "{\"image\": \"i\", \"limits\": "
                                   "{\"files\": 9}, \"mine\": [1]}",
                                   0, &script, &err);

    if (rc == 0 && (script.limits.files != 9 || script.image == NULL))
        fail_msg("what the node says was lost");
    gbx_config_close(texts);
    assert_int_equal(rc, err.code);
    assert_true(rc == 0 || err.what[0] != '\0');
    return rc;
}

static void each_fails(int (*act)(void), int least)
{
    int n = 1, rc;

    for (;; n++) {
        const long alive_before = alive;

        begin_failing(n);
        rc = act();
        fails_at = 0;
        if (failed == NULL)
            break;
        if (alive != alive_before)
            fail_msg("%s, call %d: %ld are left", failed, n,
                     alive - alive_before);
        /* A path that cannot be resolved is taken as it is. */
        if (rc == 0 && strcmp(failed, "realpath") != 0)
            fail_msg("%s, call %d: nobody noticed", failed, n);
    }
    assert_int_equal(rc, 0);
    assert_true(n > least);
}

static void whatever_fails_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    write_text("named.json", good);
    each_fails(use, 20);
    each_fails(use_node, 5);
}

int main(void)
{
#define HERE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        HERE(the_first_that_is_there_is_taken),
        HERE(what_is_named_must_be_there),
        HERE(what_others_may_write_is_refused_unless_it_is_named),
        HERE(what_lies_near_may_not_name_templates_and_hosts),
        HERE(patterns_start_at_the_files_folder),
        HERE(links_are_followed),
        HERE(whatever_fails_is_told_and_leaves_nothing),
    };

    umask(022);
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    return cmocka_run_group_tests_name("find", tests, NULL, NULL);
}
