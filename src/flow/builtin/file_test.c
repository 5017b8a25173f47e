/* SPDX-License-Identifier: Apache-2.0 */
/* Built-in actors that read and write files, and refuse to touch others. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "flow/builtin/builtin_test.h"

/* The disk, which is full after so many bytes more. */
static size_t disk_left = SIZE_MAX;
static int sync_error;

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes,
                                                     size_t count)
{
    const struct iovec all = {.iov_base = (void *)(uintptr_t)bytes,
                              .iov_len = count < disk_left ? count : disk_left};

    if (all.iov_len == 0 && count > 0) {
        errno = ENOSPC;
        return -1;
    }
    if (disk_left != SIZE_MAX)
        disk_left -= all.iov_len;
    return writev(fd, &all, 1);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    (void)fd;
    errno = sync_error;
    return sync_error == 0 ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *bytes, size_t count)
{
    FILE *out = fopen(path_of(name), "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, count, out), count);
    assert_int_equal(fclose(out), 0);
}

static void has(const char *name, const char *want)
{
    char text[4096];
    FILE *in = fopen(path_of(name), "r");

    assert_non_null(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(text, want);
}

#define PUT(name, text) put_file(name, text, sizeof(text) - 1)

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/glovebox-builtin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    disk_left = SIZE_MAX;
    sync_error = 0;
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"f",       "sub/f", "link", "folder",
                                        "sub/out", "out",   "pipe", "sub"};

    finish(state);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        remove(path_of(names[i]));
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void only_files_of_the_folder_are_opened(void **state)
{
    static const struct bad bad[] = {
        {"file_in", "{}", "path: it is missing"},
        {"file_in", "{\"path\":5}", "path: a text that is not empty"},
        {"file_in", "{\"path\":\"nothing\"}", "nothing: No such file"},
        {"file_in", "{\"path\":\"../f\"}", "it may not lead out by \"..\""},
        {"file_in", "{\"path\":\"sub/../f\"}", "it may not lead out"},
        {"file_in", "{\"path\":\"sub/..\"}", "it may not lead out"},
        {"file_in", "{\"path\":\"link\"}", "link: a part of it is a link"},
        {"file_in", "{\"path\":\"folder/f\"}", "a part of it is a link"},
        {"file_in", "{\"path\":\"f/x\"}", "a part of it is a link, or no fold"},
        {"file_in", "{\"path\":\"sub\"}", "sub: not a file"},
        {"file_in", "{\"path\":\"pipe\"}", "pipe: not a file"},
        {"file_in", "{\"path\":\"/dev/zero\"}", "/dev/zero: not a file"},
        {"file_in", "{\"path\":\"f\",\"as\":\"x\"}",
         "as: \"whole\" or \"lines\" or \"chunks\""},
        {"file_in", "{\"path\":\"f\",\"as\":\"chunks\",\"type\":\"String\"}",
         "type: a chunk may end within a character"},
        {"file_in", "{\"path\":\"f\",\"bytes_max\":0}", "bytes_max: a whole"},
        {"file_out", "{\"path\":\"none/f\"}", "none/f: No such file or dir"},
        {"file_out", "{\"path\":\"link\"}", "link: a part of it is a link"},
        {"file_out", "{\"path\":\"sub\"}", "sub: Is a directory"},
        {"file_out", "{\"path\":\"/dev/null\"}", "/dev/null: not a file"},
        {"file_out", "{\"path\":\"f\",\"mode\":\"w\"}",
         "mode: \"append\" or \"overwrite\""},
        {"file_out", "{\"path\":\"f\",\"lines\":1}", "lines: true or false"},
    };

    (void)state;
    PUT("f", "text");
    assert_int_equal(symlink("f", path_of("link")), 0);
    assert_int_equal(symlink("sub", path_of("folder")), 0);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refuse(&bad[i]);
    has("f", "text");
}

static void a_file_is_read_whole(void **state)
{
    char metadata[128];

    (void)state;
    PUT("sub/f", "one\ntwo");
    begin("file_in", "{\"path\":\"sub//./f\"}");
    drain();
    assert_string_equal(seen, "out \"one\\ntwo\"\nend 1\n");
    PUT("sub/f", "\1\377");
    give("again", "1");
    assert_non_null(
        strstr(reason, "sub//./f: message 1 of it would be no UTF"));
    gbx_flow_close(flow);
    snprintf(metadata, sizeof(metadata),
             "{\"path\":\"%s\",\"type\":\"Stream\"}", path_of("sub/f"));
    begin("file_in", metadata);
    drain();
    assert_string_equal(seen, "out [1,255]\nend 1\n");
    forget();
    PUT("sub/f", "");
    give("again", "1");
    assert_string_equal(seen, "out []\nend 1\n");
    unlink(path_of("sub/f"));
    give("again", "1");
    assert_non_null(strstr(reason, "No such file"));
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    PUT("f", "12345678\n12345\n123456789\n1\n");
    begin("file_in", "{\"path\":\"f\",\"bytes_max\":9}");
    drain();
    assert_non_null(strstr(seen, "error \"f: it has more than 9 bytes"));
    gbx_flow_close(flow);
    begin("file_in", "{\"path\":\"f\",\"bytes_max\":8,\"as\":\"lines\"}");
    drain();
    assert_non_null(strstr(seen,
                           "out \"12345678\"\nout \"12345\"\nerror \"f: a "
                           "line of it has more than 8"));
}

static void a_file_is_read_by_lines(void **state)
{
    static char large[300000];

    (void)state;
    PUT("f", "one\r\n\n\xc3\xa4\nlast");
    begin("file_in", "{\"path\":\"f\",\"as\":\"lines\"}");
    drain();
    assert_string_equal(seen, "out \"one\"\nout \"\"\nout \"\xc3\xa4\"\n"
                              "out \"last\"\nend 4\n");
    forget();
    PUT("f", "one\n");
    give("again", "1");
    assert_string_equal(seen, "out \"one\"\nend 1\n");
    forget();
    memset(large, 'x', sizeof(large));
    large[131071] = large[131072] = large[200000] = '\n';
    put_file("f", large, sizeof(large));
    give("again", "1");
    assert_int_equal(seen_count, 5);
    assert_int_equal(seen_bytes,
                     sizeof(large) - 3 + 4 * strlen("out \"\"\n") + 6);
}

static void a_file_is_read_in_chunks(void **state)
{
    (void)state;
    PUT("f", "12345");
    begin("file_in", "{\"path\":\"f\",\"as\":\"chunks\",\"bytes_max\":2}");
    drain();
    assert_string_equal(seen, "out [49,50]\nout [51,52]\nout [53]\nend 3\n");
}

static void a_large_file_waits_for_its_reader(void **state)
{
    static char large[1u << 18];
    uint64_t lines = 0;

    (void)state;
    for (size_t i = 1; i < sizeof(large); i += 2, lines++)
        large[i - 1] = 'x', large[i] = '\n';
    put_file("f", large, sizeof(large));
    open_with(gbx_builtin_types);
    assert_int_equal(gbx_flow_add_node(flow, "f", "file_in",
                                       "{\"path\":\"f\",\"as\":\"lines\"}",
                                       &err),
                     0);
    assert_int_equal(gbx_flow_add_node(flow, "n", "counter",
                                       "{\"queue\":8,\"every\":65536}", &err),
                     0);
    assert_int_equal(gbx_flow_connect(flow, "f", "out", "n", "in", &err), 0);
    assert_int_equal(gbx_flow_add_outport(flow, "out", "n", "out", &err), 0);
    assert_int_equal(gbx_flow_start(flow, &err), 0);
    drain();
    assert_int_equal(lines, 131072);
    assert_string_equal(seen, "out 65536\nout 131072\n");
}

static void what_comes_is_written_and_passed_on(void **state)
{
    (void)state;
    begin("file_out", "{\"path\":\"sub/out\",\"lines\":true,\"sync\":true}");
    give("in", "\"text\"");
    give("in", "{\"a\":[1,null]}");
    give("in", "5");
    give("in", "{\"type\":\"Stream\",\"data\":[49,50]}");
    has("sub/out", "text\n{\"a\":[1,null]}\n5\n12\n");
    assert_string_equal(seen, "out \"text\"\nout {\"a\":[1,null]}\nout 5\n"
                              "out [49,50]\n");
    gbx_flow_close(flow);
    begin("file_out", "{\"path\":\"sub/out\"}");
    give("in", "\"more\"");
    has("sub/out", "text\n{\"a\":[1,null]}\n5\n12\nmore");
    gbx_flow_close(flow);
    begin("file_out", "{\"path\":\"sub/out\",\"mode\":\"overwrite\"}");
    give("in", "\"a\"");
    give("in", "\"b\"");
    has("sub/out", "ab");
}

static void what_cannot_be_written_whole_is_not(void **state)
{
    (void)state;
    begin("file_out", "{\"path\":\"out\",\"lines\":true,\"sync\":true,"
                      "\"bytes_max\":12}");
    give("in", "\"1234\"");
    disk_left = 2;
    give("in", "\"5678\"");
    assert_string_equal(reason, "out: No space left on device");
    has("out", "1234\n");
    disk_left = 4; /* all but the newline */
    give("in", "\"5678\"");
    has("out", "1234\n");
    disk_left = SIZE_MAX;
    sync_error = EIO;
    give("in", "\"5678\"");
    assert_string_equal(reason, "out: Input/output error");
    has("out", "1234\n");
    sync_error = 0;
    give("in", "\"5678\"");
    give("in", "\"9012\"");
    assert_string_equal(reason, "out: it would have 15 bytes (bytes_max)");
    has("out", "1234\n5678\n");
    unlink(path_of("out"));
    give("in", "\"\"");
    assert_string_equal(reason, "out: it has been removed");
}

int main(void)
{
#define FILES(name)                                                            \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        FILES(only_files_of_the_folder_are_opened),
        FILES(a_file_is_read_whole),
        FILES(what_is_too_long_is_refused),
        FILES(a_file_is_read_by_lines),
        FILES(a_file_is_read_in_chunks),
        FILES(a_large_file_waits_for_its_reader),
        FILES(what_comes_is_written_and_passed_on),
        FILES(what_cannot_be_written_whole_is_not),
    };

    return cmocka_run_group_tests_name("builtin_file", tests, NULL, NULL);
}
