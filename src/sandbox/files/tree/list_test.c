/* SPDX-License-Identifier: Apache-2.0 */
/* list_test.c - what a directory lists, also while it is changed. */
#include "sandbox/files/tree/tree_test.h"

#define NAMES_MAX 512u

struct listed {
    unsigned count, room; /* room: how many fit at once */
    char names[NAMES_MAX][32];
    uint64_t inos[NAMES_MAX], next[NAMES_MAX];
    uint8_t types[NAMES_MAX];
};

static struct listed listed;

static int note(void *context, const struct file_entry *entry)
{
    struct listed *to = context;
    unsigned i = to->count;

    if (to->room == 0)
        return 1;
    assert_true(i < NAMES_MAX);
    snprintf(to->names[i], sizeof(to->names[i]), "%s", entry->name);
    to->inos[i] = entry->ino;
    to->next[i] = entry->next;
    to->types[i] = entry->type;
    to->count++;
    to->room--;
    return 0;
}

/* Go on listing, so many at once; returns how many came. */
static unsigned list_some(struct file *file, unsigned room)
{
    unsigned before = listed.count;

    listed.room = room;
    assert_int_equal(file_list(file, note, &listed), 0);
    return listed.count - before;
}

static void list_rest(struct file *file, unsigned at_once)
{
    while (list_some(file, at_once) > 0)
        ;
}

static void list_all(const char *path, unsigned at_once)
{
    struct file *file = open_it(path, O_RDONLY | O_DIRECTORY);

    listed.count = 0;
    list_rest(file, at_once);
    file_put(file);
}

static int find(const char *name)
{
    int at = -1;

    for (unsigned i = 0; i < listed.count; i++) {
        if (strcmp(listed.names[i], name) != 0)
            continue;
        assert_int_equal(at, -1); /* only once */
        at = (int)i;
    }
    return at;
}

static void everything_is_listed_once_with_its_number(void **state)
{
    static const char *const names[] = {".",    "..",   "hello",  "sub",
                                        "in",   "out",  "up",     "abs",
                                        "shut", "pipe", "subdir", "empty"};

    (void)state;
    for (unsigned at_once = 1; at_once < 15; at_once += 6) {
        list_all("/host", at_once);
        assert_int_equal(listed.count, ARRAY_SIZE(names));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            char path[64];
            struct stat st;
            int at = find(names[i]);

            assert_true(at >= 0);
            snprintf(path, sizeof(path), "/host/%s", names[i]);
            st = stat_of(path);
            assert_int_equal(listed.inos[at], st.st_ino);
            assert_int_equal(listed.types[at], IFTODT(st.st_mode));
        }
    }
}

static void the_layer_shows_over_the_host(void **state)
{
    (void)state;
    make_text("/host/new", "new");
    make_text("/host/hello", "changed");
    assert_int_equal(tree_remove(t.tree, NULL, "/host/in", false), 0);
    assert_int_equal(tree_remove(t.tree, NULL, "/host/out", false), 0);
    assert_int_equal(tree_make(t.tree, NULL, "/host/out", 0755), 0);
    assert_int_equal(
        tree_rename(t.tree, NULL, "/host/up", NULL, "/host/down", 0), 0);
    list_all("/host", 3);
    assert_int_equal(listed.count, 12);
    assert_int_equal(find("in"), -1);
    assert_int_equal(find("up"), -1);
    assert_true(find("new") > 0);
    assert_true(find("hello") > 0);
    assert_int_equal(listed.types[find("down")], DT_LNK);
    assert_int_equal(listed.types[find("out")], DT_DIR);
    assert_int_equal(listed.inos[find("out")], stat_of("/host/out").st_ino);
    list_all("/sealed", 3);
    assert_int_equal(listed.count, 12);
    assert_true(find("up") > 0);
}

static void make_many(const char *dir, unsigned count)
{
    char path[64];

    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%u", dir, i);
        assert_int_equal(try_open(path, O_CREAT | O_RDWR), 0);
    }
}

static void what_stays_is_listed_while_the_rest_goes(void **state)
{
    static const char *const dirs[] = {"/tmp", "/host/sub"};
    char path[64];

    (void)state;
    for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
        struct file *file;

        make_many(dirs[d], 100);
        file = open_it(dirs[d], O_RDONLY);
        listed.count = 0;
        while (list_some(file, 7) > 0) {
            /* rm -r does this: what it was told is removed. */
            for (unsigned i = listed.count; i-- > 0;) {
                const char *name = listed.names[i];

                if (name[0] == '.')
                    continue;
                snprintf(path, sizeof(path), "%s/%s", dirs[d], name);
                tree_remove(t.tree, NULL, path, false);
            }
        }
        assert_int_equal(listed.count, d == 0 ? 102 : 105);
        file_put(file);
        list_all(dirs[d], 7);
        assert_int_equal(listed.count, 2);
        assert_int_equal(tree_remove(t.tree, NULL, dirs[d], true),
                         d == 0 ? -EROFS : 0);
    }
}

static void a_position_leads_back_to_where_it_was(void **state)
{
    struct listed *first = malloc(sizeof(*first));
    struct file *file;

    (void)state;
    make_many("/host", 50);
    list_all("/host", 5);
    memcpy(first, &listed, sizeof(*first));
    file = open_it("/host", O_RDONLY);
    for (unsigned i = first->count; i-- > 0;) {
        assert_int_equal(file_seek(file, (int64_t)first->next[i], SEEK_SET),
                         first->next[i]);
        listed.count = 0;
        list_some(file, 1);
        if (i + 1 < first->count)
            assert_string_equal(listed.names[0], first->names[i + 1]);
        else
            assert_int_equal(listed.count, 0);
    }
    assert_int_equal(file_seek(file, 0, SEEK_SET), 0);
    listed.count = 0;
    list_rest(file, 100);
    assert_int_equal(listed.count, first->count);
    assert_int_equal(file_seek(file, INT64_MAX, SEEK_SET), INT64_MAX);
    assert_int_equal(list_some(file, 5), 0);
    assert_int_equal(file_seek(file, 0, SEEK_END), -EINVAL);
    file_put(file);
    free(first);
}

static void a_removed_directory_lists_nothing(void **state)
{
    struct file *file = open_it("/host/empty", O_RDONLY);

    (void)state;
    listed.count = 0;
    assert_int_equal(list_some(file, 1), 1);
    assert_int_equal(tree_remove(t.tree, NULL, "/host/empty", true), 0);
    assert_int_equal(file_list(file, note, &listed), -ENOENT);
    file_put(file);
}

/* What is made and removed again does not make a directory grow. */
static void names_that_came_and_went_cost_nothing(void **state)
{
    (void)state;
    make_many("/tmp", 10);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(tree_make(t.tree, NULL, "/tmp/x", 0755), 0);
        assert_int_equal(tree_remove(t.tree, NULL, "/tmp/x", true), 0);
    }
    list_all("/tmp", 3);
    assert_int_equal(listed.count, 12);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_listed_once_with_its_number),
        TEST(the_layer_shows_over_the_host),
        TEST(what_stays_is_listed_while_the_rest_goes),
        TEST(a_position_leads_back_to_where_it_was),
        TEST(a_removed_directory_lists_nothing),
        TEST(names_that_came_and_went_cost_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
