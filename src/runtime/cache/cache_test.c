/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_test.c - templates from one process to the next; whatever goes wrong is
 * a note, and everything is as without a cache.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <sys/platform/x86.h>
#include <sys/utsname.h>

#include "runtime/cache/cache.h"
#include "runtime/cache/files.h"
#include "sandbox/template_file_test.h"

static unsigned other_leaf, uid_more;
static bool other_kernel;

const struct cpuid_feature *__real___x86_get_cpuid_feature_leaf(unsigned leaf);
const struct cpuid_feature *__wrap___x86_get_cpuid_feature_leaf(unsigned leaf);
int __real_uname(struct utsname *host);
int __wrap_uname(struct utsname *host);
uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);

/* A processor with one feature more. */
const struct cpuid_feature *__wrap___x86_get_cpuid_feature_leaf(unsigned leaf)
{
    static struct cpuid_feature other_feature;

    other_feature = *__real___x86_get_cpuid_feature_leaf(leaf);
    if (leaf + 1 == other_leaf)
        other_feature.active_array[0] ^= 1;
    return &other_feature;
}

int __wrap_uname(struct utsname *host)
{
    int rc = __real_uname(host);

    host->release[0] = (char)(host->release[0] + other_kernel);
    return rc;
}

uid_t __wrap_geteuid(void)
{
    return __real_geteuid() + uid_more;
}

static struct cache cache;
static char notes[4096];
static unsigned note_count;

static void note(void *context, const char *text)
{
    assert_null(context);
    note_count++;
    snprintf(notes, sizeof(notes), "%s", text);
}

static int cache_setup(void **state)
{
    file_setup(state);
    note_count = 0;
    notes[0] = '\0';
    cache = (struct cache){.dir_fd = -1, .note = note};
    cache_open(&cache, folder);
    return cache.dir_fd < 0;
}

static int cache_teardown(void **state)
{
    cache_close(&cache);
    cache_close(&cache);
    other_leaf = uid_more = 0;
    other_kernel = false;
    return file_teardown(state);
}

static bool find(void)
{
    const struct sandbox_config config = config_of(&filed);

    drop_loaded();
    loaded = cache_load(&cache, &config, &key, &got);
    return loaded != NULL;
}

static void keep(void)
{
    cache_save(&cache, template, &key, &extra);
}

static void expect_note(const char *text)
{
    assert_int_equal(note_count, 1);
    assert_non_null(strstr(notes, text));
    note_count = 0;
}

/* The name of the one file that is kept. */
static const char *kept_name(void)
{
    static char name[TEMPLATE_NAME_BYTES];

    template_name(name, &key);
    return name;
}

static void what_is_kept_is_found_by_its_key(void **state)
{
    (void)state;
    assert_false(find());
    keep();
    assert_true(find());
    expect_loaded();
    bytes_put(&key, "x", 1);
    assert_false(find());
    assert_int_equal(note_count, 0);
}

static void without_a_directory_nothing_is_kept(void **state)
{
    (void)state;
    cache_close(&cache);
    cache_open(&cache, NULL);
    keep();
    assert_false(find());
    assert_int_equal(note_count, 0);
}

static void what_is_damaged_is_noted_and_kept_anew(void **state)
{
    int fd;

    (void)state;
    keep();
    fd = openat(dir_fd, kept_name(), O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, 5000), 1);
    close(fd);
    assert_false(find());
    assert_null(got.bytes);
    expect_note("made anew");
    keep();
    assert_true(find());
    load_code = GBX_ESTALE;
    assert_false(find());
    expect_note("made anew");
    assert_int_equal(note_count, 0);
}

static void another_one_s_file_under_its_name_is_noted(void **state)
{
    char name[TEMPLATE_NAME_BYTES];

    (void)state;
    keep();
    strcpy(name, kept_name());
    key.bytes[0] ^= 1;
    assert_int_equal(renameat(dir_fd, name, dir_fd, kept_name()), 0);
    assert_false(find());
    expect_note("something else");
}

static void a_directory_that_cannot_be_written_is_noted(void **state)
{
    (void)state;
    assert_int_equal(rmdir(folder), 0);
    keep();
    expect_note("not kept");
    assert_false(find());
    assert_int_equal(note_count, 0); /* there is none */
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void a_full_disk_is_cleared_of_what_others_left(void **state)
{
    const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const char *left = ".x.template.17";

    (void)state;
    close(openat(dir_fd, left, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(utimensat(dir_fd, left, past, 0), 0);
    assert_int_equal(mkdirat(dir_fd, kept_name(), 0700), 0); /* in the way */
    keep();
    expect_note("not kept");
    assert_int_equal(faccessat(dir_fd, left, F_OK, 0), -1);
}

static void what_cannot_be_kept_is_no_news(void **state)
{
    (void)state;
    template->backend = &play;
    keep();
    template->backend = &filed;
    assert_int_equal(note_count, 0);
    key.failed = true;
    keep();
    assert_false(find());
    key.failed = false;
    extra.failed = true;
    keep();
    extra.failed = false;
    assert_int_equal(count_entries(), 0);
}

static void open_anew(const char *dir)
{
    cache_close(&cache);
    cache_open(&cache, dir);
}

static void a_directory_is_made_with_its_parents(void **state)
{
    char dir[128];
    struct stat st;

    (void)state;
    snprintf(dir, sizeof(dir), "%s/a/b//c/", folder);
    open_anew(dir);
    assert_true(cache.dir_fd >= 0);
    assert_int_equal(fstat(cache.dir_fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rmdir(dir), 0);
        *strrchr(dir, '/') = '\0';
        if (i == 1)
            *strrchr(dir, '/') = '\0'; /* there are two */
        if (i == 0)
            *strrchr(dir, '/') = '\0'; /* and the last had one behind it */
    }
}

static void a_directory_that_is_not_ours_alone_is_not_used(void **state)
{
    static const mode_t modes[] = {0770, 0707, 0777, 01777};
    char path[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(folder, modes[i]), 0);
        open_anew(folder);
        assert_true(cache.dir_fd < 0);
        expect_note("chmod 700");
        keep();
        assert_false(find());
    }
    assert_int_equal(chmod(folder, 0755), 0); /* others may look */
    open_anew(folder);
    assert_true(cache.dir_fd >= 0);
    uid_more = 1;
    open_anew(folder);
    expect_note("others may write");
    uid_more = 0;
    snprintf(path, sizeof(path), "%s/file", folder);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    open_anew(path);
    expect_note("no template cache");
    strcat(path, "/below");
    open_anew(path);
    expect_note("no template cache");
    open_anew("");
    expect_note("no template cache");
}

static struct bytes_out key_of(const struct sandbox_config *config)
{
    struct bytes_out made = {0};

    cache_key(&made, config);
    assert_false(made.failed);
    return made;
}

static void expect_key(const struct sandbox_config *config,
                       const struct bytes_out *want, bool is_it)
{
    struct bytes_out made = key_of(config);

    assert_int_equal(made.count == want->count &&
                         memcmp(made.bytes, want->bytes, made.count) == 0,
                     is_it);
    bytes_out_fini(&made);
}

static const char *const one_word[] = {"one", NULL};
static const char *const two_words[] = {"one", "two", NULL};

static struct sandbox_config complete_config(void)
{
    static char path[128];
    struct sandbox_config config = config_of(&filed);

    snprintf(path, sizeof(path), "%s/program", folder);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    config.bundle.program = path;
    config.bundle.argv = one_word;
    config.bundle.envp = two_words;
    return config;
}

static void the_key_is_all_that_a_template_depends_on(void **state)
{
    const struct sandbox_config was = complete_config();
    struct sandbox_config config = was;
    struct bytes_out want = key_of(&was);
    int fd;

    (void)state;
    expect_key(&was, &want, true);
    config.backend = &play;
    expect_key(&config, &want, false);
    config = was;
    config.bundle.limits.files++;
    expect_key(&config, &want, false);
    config = was;
    config.bundle.argv = two_words;
    expect_key(&config, &want, false);
    config.bundle.envp = one_word; /* the same words, in other lists */
    expect_key(&config, &want, false);
    config.bundle.argv = one_word;
    expect_key(&config, &want, false);
    config = was;
    config.bundle.program = "/dev/null";
    expect_key(&config, &want, false);
    config = was;
    config.bundle.folder = "/tmp"; /* a script's matter */
    config.spin_ns = 5;
    expect_key(&config, &want, true);

    fd = open(was.bundle.program, O_WRONLY);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    expect_key(&was, &want, false);
    bytes_out_fini(&want);
}

static void so_are_processor_kernel_user_and_build(void **state)
{
    const struct sandbox_config config = complete_config();
    struct bytes_out want = key_of(&config);

    (void)state;
    for (other_leaf = 1; other_leaf <= 9; other_leaf++)
        expect_key(&config, &want, false);
    other_leaf = 0;
    other_kernel = true;
    expect_key(&config, &want, false);
    other_kernel = false;
    uid_more = 1;
    expect_key(&config, &want, false);
    uid_more = 0;
    expect_key(&config, &want, true);
    /* This test has no build ID: then it is the file that it runs from. */
    assert_non_null(memmem(want.bytes, want.count, "/proc/self/exe", 15));
    bytes_out_fini(&want);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, cache_setup, cache_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_is_found_by_its_key),
        TEST(without_a_directory_nothing_is_kept),
        TEST(what_is_damaged_is_noted_and_kept_anew),
        TEST(another_one_s_file_under_its_name_is_noted),
        TEST(a_directory_that_cannot_be_written_is_noted),
        TEST(a_full_disk_is_cleared_of_what_others_left),
        TEST(what_cannot_be_kept_is_no_news),
        TEST(a_directory_is_made_with_its_parents),
        TEST(a_directory_that_is_not_ours_alone_is_not_used),
        TEST(the_key_is_all_that_a_template_depends_on),
        TEST(so_are_processor_kernel_user_and_build),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
