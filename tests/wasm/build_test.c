/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is compiled, what is refused, and what needs no compiler any more
 * (glovebox/wasm.h).
 */
#include "wasm_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

static void write_file(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(const char *path, uint8_t *bytes, size_t room)
{
    FILE *file = fopen(path, "re");
    size_t count;

    assert_non_null(file);
    count = fread(bytes, 1, room, file);
    fclose(file);
    return count;
}

static int try_bytes(const void *bytes, size_t count)
{
    struct gbx_wasm *module;
    int rc;

    write_file(scratch_path("try.wasm"), bytes, count);
    rc = gbx_wasm_open(&module, scratch_path("try.wasm"), NULL, &err);
    if (rc == 0)
        gbx_wasm_close(module);
    return rc;
}

static void what_is_no_module_is_refused(void **state)
{
    static uint8_t bytes[1 << 16];
    size_t count = read_file(path_of("good.wasm"), bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(try_bytes("", 0), GBX_ELOAD);
    assert_int_equal(try_bytes("hello", 5), GBX_ELOAD);
    assert_non_null(strstr(err.what, "not a WebAssembly module"));
    assert_int_equal(try_bytes("\0asm\x0d\0\1\0", 8), GBX_ELOAD);
    assert_non_null(strstr(err.what, "a component?"));
    for (size_t cut = 9; cut < count; cut += 7)
        if (try_bytes(bytes, cut) == 0) /* between two sections, perhaps */
            assert_true(cut < count);
    assert_int_equal(
        gbx_wasm_open(&(struct gbx_wasm *){NULL}, "/no/such.wasm", NULL, &err),
        GBX_EFILE);
    assert_int_equal(
        gbx_wasm_open(&(struct gbx_wasm *){NULL}, "/tmp", NULL, &err),
        GBX_EFILE);
}

/* What wasm2c does not see, since it is given names of ours. */
static void an_outside_that_is_wrong_is_refused(void **state)
{
#define HEAD "\0asm\1\0\0\0"
#define TYPE "\1\4\1\x60\0\0"
#define BODY "\xa\4\1\2\0\xb"
    static const struct {
        const char *bytes, *said;
        size_t count;
    } cases[] = {
#define CASE(bytes, said) {bytes, said, sizeof(bytes) - 1}
        CASE(HEAD TYPE "\3\2\1\0\7\x9\2\1a\0\0\1a\0\0" BODY,
             "two exports have the same name"),
        CASE(HEAD TYPE "\3\2\1\0\7\5\1\1\xff\0\0" BODY, "not UTF-8"),
        CASE(HEAD "\0\2\1\xff", "not UTF-8"),
        CASE(HEAD "\0\1\1", "ends too early"),
        CASE(HEAD "\1\5\1\x60\0\0\0", "longer than what it lists"),
        CASE(HEAD TYPE TYPE, "a section comes twice"),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(try_bytes(cases[i].bytes, cases[i].count), GBX_ELOAD);
        if (strstr(err.what, cases[i].said) == NULL)
            fail_msg("%zu: %s", i, err.what);
    }
}

/* Damaged in one place: refused, or a module as good as another. */
static void damaged_modules_do_no_harm(void **state)
{
    static uint8_t bytes[1 << 16];
    size_t count = read_file(path_of("good.wasm"), bytes, sizeof(bytes));

    (void)state;
    for (size_t at = 8; at < count; at += 41) {
        bytes[at] ^= 0x55;
        try_bytes(bytes, count);
        bytes[at] ^= 0x55;
    }
}

/* Names are bytes of anybody's: they are no C. */
static void names_are_not_compiled(void **state)
{
    (void)state;
    struct gbx_wasm *module;
    struct gbx_wasm_instance *instance;

    if (gbx_wasm_open(&module, path_of("names.wasm"), NULL, &err) < 0)
        fail_msg("%s", err.what);
    assert_int_equal(gbx_wasm_start(&instance, module, NULL, &err), GBX_ELOAD);
    assert_non_null(strstr(err.what, "*/e"));
    gbx_wasm_close(module);
}

/* A NUL ends a text of C, but no name. */
static void a_name_goes_on_behind_a_nul(void **state)
{
    struct gbx_wasm *module;
    uint32_t function;

    (void)state;
    if (gbx_wasm_open(&module, path_of("nul.wasm"), NULL, &err) < 0)
        fail_msg("%s", err.what);
    if (gbx_wasm_find(module, "a", ":i", &function, &err) < 0)
        fail_msg("%s", err.what);
    gbx_wasm_close(module);
}

static void what_is_imported_must_be_there(void **state)
{
    static const struct {
        const char *file, *said;
    } cases[] = {
        {"import_function.wasm", "imports the function env.missing, which"},
        {"import_type.wasm", "fd_close as a function of another type (I:i)"},
        {"import_nul.wasm", "it imports a name with a NUL in it"},
        {"import_memory.wasm", "it imports the memory env.mem"},
    };
    struct gbx_wasm *module;
    struct gbx_wasm_instance *instance = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = gbx_wasm_open(&module, path_of(cases[i].file), NULL, &err);

        if (rc == 0) {
            rc = gbx_wasm_start(&instance, module, NULL, &err);
            gbx_wasm_close(module);
        }
        assert_int_equal(rc, GBX_ELOAD);
        if (strstr(err.what, cases[i].said) == NULL)
            fail_msg("%s", err.what);
    }
}

/* A folder of programs whose compiler does as told. */
static struct gbx_wasm_config with_compiler(const char *script)
{
    char path[160];

    mkdir(scratch_path("libexec"), 0700);
    snprintf(path, sizeof(path), "%s/glovebox-wasmc", scratch_path("libexec"));
    unlink(path);
    if (script != NULL) {
        write_file(path, script, strlen(script));
        chmod(path, 0700);
    }
    return (struct gbx_wasm_config){.struct_bytes =
                                        sizeof(struct gbx_wasm_config),
                                    .libexec_dir = scratch_path("libexec")};
}

static void without_a_compiler_it_says_what_to_do(void **state)
{
    static const struct {
        const char *script, *said;
        int code;
    } cases[] = {
        {NULL, "is Glovebox installed?", GBX_EFILE},
        {"#!/bin/sh\necho there is no wasm2c >&2; exit 69\n",
         "glovebox build x.wasm -o x.gbx", GBX_EUNSUPPORTED},
        {"#!/bin/sh\necho too bad >&2; exit 70\n", "too bad", GBX_EHOST},
        {"#!/bin/sh\nkill -9 $$\n", "was killed", GBX_EHOST},
        {"#!/bin/sh\nexit 0\n", "made no artefact", GBX_EHOST},
        {"#!/bin/sh\necho text > $1/module.gbx\n", "cannot be loaded",
         GBX_ELOAD},
        {"#!/bin/sh\ncp /lib/x86_64-linux-gnu/libm.so.6 $1/module.gbx\n",
         "no artefact of glovebox build", GBX_ELOAD},
    };
    struct gbx_wasm *module;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gbx_wasm_config config = with_compiler(cases[i].script);
        /* Empty, but for a custom section: nobody has seen it before. */
        const char fresh[] = {0, 'a', 's', 'm', 1, 0,
                              0, 0,   0,   2,   1, (char)('a' + i)};
        int rc;

        write_file(scratch_path("fresh.wasm"), fresh, sizeof(fresh));
        rc = gbx_wasm_open(&module, scratch_path("fresh.wasm"), &config, &err);

        if (rc != cases[i].code || strstr(err.what, cases[i].said) == NULL)
            fail_msg("%zu: %s: %s", i, gbx_error_name(rc), err.what);
    }
}

static void *open_fresh(void *config)
{
    struct gbx_wasm *module;
    struct gbx_error own;
    char path[160];

    snprintf(path, sizeof(path), "%s/fresh.wasm", scratch);
    return gbx_wasm_open(&module, path, config, &own) == GBX_EUNSUPPORTED
               ? config
               : NULL;
}

static void count_progress(void *context, const char *path, unsigned permille)
{
    unsigned *last = context;

    assert_non_null(strstr(path, "fresh.wasm"));
    assert_true(permille >= *last && permille <= 1000);
    *last = permille;
}

/* Its compiler stands until it is let go: others are opened meanwhile, and
 * closed. */
static void a_compiler_holds_nobody_else_up(void **state)
{
    static const char fresh[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 2, 1, 'Z'};
    char script[200], fifo[160];
    struct gbx_wasm_config config;
    struct gbx_wasm *module;
    unsigned last = 0;
    pthread_t thread;
    void *right;
    int fd;

    (void)state;
    snprintf(fifo, sizeof(fifo), "%s", scratch_path("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    snprintf(script, sizeof(script), "#!/bin/sh\ncat %s; exit 69\n", fifo);
    config = with_compiler(script);
    config.progress = count_progress;
    config.progress_context = &last;
    write_file(scratch_path("fresh.wasm"), fresh, sizeof(fresh));
    assert_int_equal(pthread_create(&thread, NULL, open_fresh, &config), 0);
    fd = open(fifo, O_WRONLY); /* the compiler reads: it is at work */
    assert_true(fd >= 0);
    assert_int_equal(gbx_wasm_open(&module, path_of("good.wasm"), NULL, &err),
                     0);
    gbx_wasm_close(module);
    close(fd);
    pthread_join(thread, &right);
    assert_ptr_equal(right, &config);
    assert_int_equal(last, 1000);
    unlink(fifo);
}

/* In a process of its own: without a compiler, from what this one has kept. */
static int open_again(const char *cache_dir)
{
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config),
                                     .libexec_dir = "/no/such/folder",
                                     .cache_dir = cache_dir};
    struct gbx_wasm *module;
    int rc = gbx_wasm_open(&module, path_of("good.wasm"), &config, &err);

    if (rc == 0)
        gbx_wasm_close(module);
    return -rc;
}

static int status_of_another(const char *cache_dir)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        execl("/proc/self/exe", "build_test", cache_dir, NULL);
        _exit(126);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_module_seen_before_needs_no_compiler(void **state)
{
    struct dirent *entry;
    DIR *dir = opendir(scratch);

    (void)state;
    assert_int_equal(status_of_another(scratch), 0);
    mkdir(scratch_path("empty"), 0700);
    assert_int_equal(status_of_another(scratch_path("empty")), -GBX_EFILE);
    /* What is damaged there is not used. */
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, ".gbx") != NULL &&
            strcmp(entry->d_name, "good.gbx") != 0)
            assert_int_equal(truncate(scratch_path(entry->d_name), 5000), 0);
    closedir(dir);
    assert_int_equal(status_of_another(scratch), -GBX_EFILE);
}

static void an_artefact_needs_no_compiler(void **state)
{
    struct gbx_wasm_config none = with_compiler(NULL);
    const char *to = scratch_path("good.gbx");
    struct gbx_wasm *module;

    (void)state;
    assert_int_equal(gbx_wasm_build(path_of("good.wasm"), to, 0, NULL, &err),
                     0);
    assert_int_equal(gbx_wasm_open(&module, to, &none, &err), 0);
    gbx_wasm_close(module);
    assert_int_equal(
        gbx_wasm_build(path_of("good.wasm"), to, GBX_WASM_READY, NULL, &err),
        GBX_ELOAD);
    assert_non_null(strstr(err.what, "libglovebox-wasm"));
    assert_int_equal(access(to, F_OK), -1);
    assert_int_equal(
        gbx_wasm_build(path_of("good.wasm"), "/no/such/x.gbx", 0, NULL, &err),
        GBX_EFILE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_module_is_refused),
        cmocka_unit_test(an_outside_that_is_wrong_is_refused),
        cmocka_unit_test(damaged_modules_do_no_harm),
        cmocka_unit_test(names_are_not_compiled),
        cmocka_unit_test(a_name_goes_on_behind_a_nul),
        cmocka_unit_test(what_is_imported_must_be_there),
        cmocka_unit_test(without_a_compiler_it_says_what_to_do),
        cmocka_unit_test(a_compiler_holds_nobody_else_up),
        cmocka_unit_test(a_module_seen_before_needs_no_compiler),
        cmocka_unit_test(an_artefact_needs_no_compiler),
    };

    if (argc > 1)
        return open_again(argv[1]);
    return cmocka_run_group_tests_name("wasm builds", tests, begin, end);
}
