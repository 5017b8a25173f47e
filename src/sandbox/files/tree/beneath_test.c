/* SPDX-License-Identifier: Apache-2.0 */
/* beneath_test.c - a tree whose paths stay below where they start. */
#include "sandbox/files/tree/node.h"
#include "sandbox/files/tree/tree_test.h"

/* From /host, but for the last ones; tree_test.h says what is there. */
static const struct {
    const char *path;
    int want;
} cases[] = {
    {"hello", 0},
    {".", 0},
    {"sub/..", 0},
    {"sub/../sub/./a", 0},
    {"subdir/../hello", 0},
    {"subdir/../../hello", -EREMOTE},
    {"in", 0},
    {"..", -EREMOTE},
    {"../host/hello", -EREMOTE},
    {"sub/../..", -EREMOTE},
    {"/", -EREMOTE},
    {"/host/hello", -EREMOTE},
    {"//", -EREMOTE},
    {"out", -EREMOTE},
    {"out/x", -EREMOTE},
    {"up", -EREMOTE},
    {"abs", -EREMOTE},
    {"none/..", -ENOENT},
    {"hello/..", -ENOTDIR},
    {"", -ENOENT},
};

static void a_path_stays_below_its_start(void **state)
{
    struct node *from = look("/host", 0), *node;

    (void)state;
    t.tree->is_beneath = true;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = tree_look(t.tree, from, cases[i].path, 0, &node);

        if (rc != cases[i].want)
            print_error("%s: %d\n", cases[i].path, rc);
        assert_int_equal(rc, cases[i].want);
        if (rc == 0)
            node_put(node);
    }
    node_put(from);
}

/* A link that is not followed leads nowhere; the root has nothing above it, but
 * a path that asks for that does not stay below; and NULL is not confined. */
static void links_may_be_looked_at_and_the_embedder_is_free(void **state)
{
    struct node *from = look("/host", 0), *node;

    (void)state;
    t.tree->is_beneath = true;
    assert_int_equal(tree_look(t.tree, from, "out", TREE_NOFOLLOW, &node), 0);
    node_put(node);
    assert_int_equal(tree_look(t.tree, t.tree->root, "..", 0, &node), -EREMOTE);
    assert_int_equal(tree_look(t.tree, NULL, "/host/../host", 0, &node), 0);
    node_put(node);
    node_put(from);
}

/* Also those that make, take and move. */
static void nothing_is_changed_above(void **state)
{
    struct node *from, *tmp = look("/tmp", 0);
    struct file *file;

    (void)state;
    assert_int_equal(tree_make(t.tree, tmp, "dir", 0755), 0);
    make_text("/tmp/file", "text");
    from = look("/tmp/dir", 0);
    t.tree->is_beneath = true;
    assert_int_equal(tree_make(t.tree, from, "../new", 0755), -EREMOTE);
    assert_int_equal(tree_remove(t.tree, from, "../file", false), -EREMOTE);
    assert_int_equal(tree_rename(t.tree, from, "../file", from, "x", 0),
                     -EREMOTE);
    assert_int_equal(tree_rename(t.tree, tmp, "file", from, "../x", 0),
                     -EREMOTE);
    assert_int_equal(tree_link(t.tree, from, "../file", 0, from, "x"),
                     -EREMOTE);
    assert_int_equal(tree_symlink(t.tree, "x", from, "/tmp/x"), -EREMOTE);
    assert_int_equal(tree_symlink(t.tree, "../file", from, "leads"), 0);
    assert_int_equal(tree_open_file(t.tree, from, "leads", O_RDONLY, 0, &file),
                     -EREMOTE);
    assert_int_equal(
        tree_open_file(t.tree, from, "../new", O_CREAT | O_WRONLY, 0644, &file),
        -EREMOTE);
    node_put(from);
    node_put(tmp);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_path_stays_below_its_start),
        TEST(links_may_be_looked_at_and_the_embedder_is_free),
        TEST(nothing_is_changed_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
