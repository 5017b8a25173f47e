/* SPDX-License-Identifier: Apache-2.0 */
/* template_file_test.c - a template in a file, and which files are none. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sandbox/template_file_test.h"

/* The first page of a file, as template_file.c writes it. */
struct head {
    uint64_t magic, version;
    uint64_t file_bytes, meta_bytes;
    uint64_t pages_off, pages_bytes;
    uint64_t checksum[2], head_checksum;
};

static uint8_t file[1 << 20];
static size_t file_bytes;
static struct head *const head = (struct head *)(void *)file;

static void read_file(void)
{
    int fd = openat(dir_fd, NAME, O_RDONLY);

    file_bytes = (size_t)read(fd, file, sizeof(file));
    must(file_bytes > PAGE && file_bytes < sizeof(file));
    close(fd);
}

static void write_bytes(size_t bytes)
{
    int fd = openat(dir_fd, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    must(write(fd, file, bytes) == (ssize_t)bytes);
    close(fd);
}

/* With checksums that are right. */
static void write_signed(void)
{
    XXH128_hash_t hash = XXH3_128bits(file + PAGE, file_bytes - PAGE);

    head->checksum[0] = hash.low64;
    head->checksum[1] = hash.high64;
    head->head_checksum =
        XXH3_64bits(head, offsetof(struct head, head_checksum));
    write_bytes(file_bytes);
}

static void what_was_saved_is_loaded(void **state)
{
    const struct sandbox_config config = config_of(&filed);

    (void)state;
    assert_int_equal(save(), 0);
    for (int how = TEMPLATE_COPIED; how <= TEMPLATE_BRIEF; how++) {
        assert_int_equal(load((enum template_how)how), 0);
        expect_loaded();
        assert_int_equal(sandbox_clone(&one, &config, loaded, &err), 0);
        expect_template(&one);
        play_call(&one, 3 << 20);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
        sandbox_close(&one);
    }
}

static void a_file_is_ours_alone_and_has_no_companions(void **state)
{
    struct stat st;

    (void)state;
    umask(0);
    assert_int_equal(save(), 0);
    umask(022);
    assert_int_equal(fstatat(dir_fd, NAME, &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(save(), 0); /* in the place of the first */
    assert_int_equal(count_entries(), 1);
}

static void a_key_has_a_name_of_its_own(void **state)
{
    char name[TEMPLATE_NAME_BYTES], other_name[TEMPLATE_NAME_BYTES];

    (void)state;
    template_name(name, &key);
    assert_int_equal(strlen(name), 32 + strlen(TEMPLATE_FILE_END));
    assert_int_equal(strspn(name, "0123456789abcdef"), 32);
    assert_string_equal(name + 32, TEMPLATE_FILE_END);
    template_name(other_name, &key);
    assert_string_equal(name, other_name);
    bytes_put(&key, "", 1);
    template_name(other_name, &key);
    assert_string_not_equal(name, other_name);
}

static void a_file_of_another_key_is_stale(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    key.bytes[3] ^= 1; /* as another processor is */
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    assert_non_null(strstr(err.what, "something else"));
    key.bytes[3] ^= 1;
    key.count--;
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    key.count++;
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    bytes_put(&key, "x", 1);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    assert_null(loaded);
    assert_null(got.bytes);
}

static void any_damage_is_seen(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    read_file();
    for (size_t at = 0; at < file_bytes; at += at < 72 ? 1 : 509) {
        if (at >= sizeof(struct head) && at < PAGE)
            continue; /* nobody reads it */
        file[at] ^= 0x10;
        write_bytes(file_bytes);
        assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
        assert_non_null(strstr(err.what, NAME " is damaged"));
        file[at] ^= 0x10;
    }
    write_bytes(file_bytes);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
}

static void so_is_one_cut_off_or_too_long(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    read_file();
    for (size_t bytes = 0; bytes < file_bytes + PAGE; bytes += 511) {
        write_bytes(bytes);
        assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
        assert_int_equal(load(TEMPLATE_BRIEF), GBX_EFORMAT);
    }
    write_bytes(file_bytes + 1);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
}

static void one_of_another_version_is_stale(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    read_file();
    head->version++;
    write_signed();
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    assert_non_null(strstr(err.what, "version"));
}

static void a_head_that_lies_is_refused(void **state)
{
    const struct head good = (save(), read_file(), *head);
    const struct {
        uint64_t file_bytes, meta_bytes, pages_off, pages_bytes;
    } lies[] = {
        {UINT64_MAX, good.meta_bytes, good.pages_off, good.pages_bytes},
        {good.file_bytes, UINT64_MAX, good.pages_off, good.pages_bytes},
        {good.file_bytes, UINT64_MAX - 4095, PAGE, good.file_bytes - PAGE},
        {good.file_bytes, 0, good.pages_off, good.pages_bytes},
        {good.file_bytes, good.meta_bytes, 0, good.file_bytes},
        {good.file_bytes, good.meta_bytes, good.pages_off, 0},
        {good.file_bytes, good.meta_bytes, good.pages_off + 1,
         good.pages_bytes - 1},
        {good.file_bytes, good.meta_bytes, good.pages_off, UINT64_MAX},
        {good.file_bytes, good.file_bytes, PAGE + good.file_bytes,
         UINT64_MAX - PAGE + 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        head->file_bytes = lies[i].file_bytes;
        head->meta_bytes = lies[i].meta_bytes;
        head->pages_off = lies[i].pages_off;
        head->pages_bytes = lies[i].pages_bytes;
        write_signed();
        assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
    }
}

/* Where the region begins: behind key, extra and last_call. */
static uint8_t *region_at(void)
{
    return file + PAGE + 8 + key.count + 8 + extra.count + 8;
}

static void put_number(uint8_t *at, uint64_t number)
{
    memcpy(at, &number, sizeof(number));
}

static void parts_that_lie_are_refused(void **state)
{
    const uint64_t half = template->region.half_bytes,
                   bytes = template->region.byte_count;
    const struct region_part lies[] = {
        {2 * half, 4096, 0},          {2 * half - 4095, 4096, 0},
        {UINT64_MAX - 4095, 4096, 0}, {0, bytes + 1, 0},
        {0, UINT64_MAX, 1},           {0, 4096, bytes - 4095},
        {0, 4096, UINT64_MAX - 4095},
    };
    /* half_bytes, arena_bytes, the length of what follows. */
    const size_t parts_at = 8 + sizeof(template->region.arena_bytes) + 8;

    (void)state;
    assert_true(template->region.part_count > 0);
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        assert_int_equal(save(), 0);
        read_file();
        memcpy(region_at() + parts_at, &lies[i], sizeof(lies[i]));
        write_signed();
        assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
    }
}

static void lengths_that_lie_are_refused(void **state)
{
    static const uint64_t lies[] = {1ull << 20, 1ull << 40, UINT64_MAX};
    const size_t places[] = {0, 8 + key.count,
                             (size_t)(region_at() - file) - PAGE + 8 +
                                 sizeof(template->region.arena_bytes)};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places) * ARRAY_SIZE(lies); i++) {
        int rc;

        assert_int_equal(save(), 0);
        read_file();
        put_number(file + PAGE + places[i / ARRAY_SIZE(lies)],
                   lies[i % ARRAY_SIZE(lies)]);
        write_signed();
        rc = load(TEMPLATE_COPIED);
        assert_true(rc == GBX_EFORMAT || rc == GBX_ESTALE);
    }
}

static void a_meta_cut_off_anywhere_is_refused(void **state)
{
    uint64_t meta_bytes;

    (void)state;
    assert_int_equal(save(), 0);
    read_file();
    meta_bytes = head->meta_bytes;
    for (uint64_t cut = 1; cut < PAGE && cut < meta_bytes % PAGE; cut += 7) {
        head->meta_bytes = meta_bytes - cut;
        write_signed();
        assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
    }
}

static void more_blocks_than_there_can_be_are_refused(void **state)
{
    uint32_t *number = &template->channel.arena.count, was = *number;

    (void)state;
    *number = GBX_ARENA_BLOCKS + 1;
    assert_int_equal(save(), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
    *number = was;
    template->channel.ring_copied = template->channel.ring_head - 1;
    assert_int_equal(save(), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EFORMAT);
}

static void what_the_backend_says_is_said(void **state)
{
    static const int codes[] = {GBX_ESTALE, GBX_EHOST, GBX_EFORMAT};

    (void)state;
    assert_int_equal(save(), 0);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        load_code = codes[i];
        assert_int_equal(load(TEMPLATE_COPIED), codes[i]);
        assert_null(loaded);
        assert_null(got.bytes);
    }
}

static void what_is_no_file_of_ours_is_not_read(void **state)
{
    (void)state;
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EFILE);
    assert_int_equal(save(), 0);
    assert_int_equal(fchmodat(dir_fd, NAME, 0620, 0), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    assert_int_equal(fchmodat(dir_fd, NAME, 0602, 0), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
    assert_int_equal(fchmodat(dir_fd, NAME, 0644, 0), 0);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchownat(dir_fd, NAME, 65534, 65534, 0), 0);
        assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
        assert_int_equal(fchownat(dir_fd, NAME, 0, 0, 0), 0);
    }
    assert_int_equal(renameat(dir_fd, NAME, dir_fd, "real"), 0);
    assert_int_equal(symlinkat("real", dir_fd, NAME), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EHOST);
    assert_int_equal(unlinkat(dir_fd, NAME, 0), 0);
    assert_int_equal(mkfifoat(dir_fd, NAME, 0600), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE); /* nobody waits */
    assert_int_equal(unlinkat(dir_fd, NAME, 0), 0);
    assert_int_equal(mkdirat(dir_fd, NAME, 0700), 0);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_ESTALE);
}

static void a_backend_without_files_says_so(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    template->backend = &play;
    assert_int_equal(save(), GBX_EUNSUPPORTED);
    template->backend = &filed;
    assert_int_equal(template_load(&loaded, &got, &plain, dir_fd, NAME, &key,
                                   TEMPLATE_COPIED, &err),
                     GBX_EUNSUPPORTED);
    assert_null(loaded);
}

static void loading_it_makes_it_the_newest(void **state)
{
    const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct stat st;

    (void)state;
    assert_int_equal(save(), 0);
    assert_int_equal(utimensat(dir_fd, NAME, past, 0), 0);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    assert_int_equal(fstatat(dir_fd, NAME, &st, 0), 0);
    assert_true(st.st_mtim.tv_sec > 1000);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, file_setup, file_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_loaded),
        TEST(a_file_is_ours_alone_and_has_no_companions),
        TEST(a_key_has_a_name_of_its_own),
        TEST(a_file_of_another_key_is_stale),
        TEST(any_damage_is_seen),
        TEST(so_is_one_cut_off_or_too_long),
        TEST(one_of_another_version_is_stale),
        TEST(a_head_that_lies_is_refused),
        TEST(parts_that_lie_are_refused),
        TEST(lengths_that_lie_are_refused),
        TEST(a_meta_cut_off_anywhere_is_refused),
        TEST(more_blocks_than_there_can_be_are_refused),
        TEST(what_the_backend_says_is_said),
        TEST(what_is_no_file_of_ours_is_not_read),
        TEST(a_backend_without_files_says_so),
        TEST(loading_it_makes_it_the_newest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
