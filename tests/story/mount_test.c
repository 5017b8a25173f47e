/* SPDX-License-Identifier: Apache-2.0 */
/* mount_test.c - what is mounted, over the life of a script: its source is what
 * it was when the script was opened, its files are what they are at the call,
 * and what calls change there is wiped. */
#include <sys/stat.h>

#include "story.h"

#define READ "open('/data/name').read()"

/* name: "one" or "other", by the folder. */
static void make_source(struct story *s, const char *folder)
{
    char path[96];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", s->folder, folder);
    assert_int_equal(mkdir(path, 0755), 0);
    strcat(path, "/name");
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(folder, file);
    fclose(file);
}

static void point(struct story *s, const char *folder)
{
    char path[80];

    snprintf(path, sizeof(path), "%s/source", s->folder);
    unlink(path);
    assert_int_equal(symlink(folder, path), 0);
}

static const char *source(const struct story *s)
{
    static char path[80];

    snprintf(path, sizeof(path), "%s/source", s->folder);
    return path;
}

static void remove_sources(struct story *s)
{
    static const char *const names[] = {"source", "one/name", "other/name",
                                        "one", "other"};
    char path[96];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->folder, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void prepare(struct story *s)
{
    make_source(s, "one");
    make_source(s, "other");
    point(s, "one");
    s->config.hide_folder = 1;
    s->config.wipe = GBX_WIPE_PER_CALL;
}

static void asks(struct story *s, struct gbx_script *script, const char *text,
                 const char *want)
{
    int code;
    const char *answer = story_evaluate(s, script, NULL, text, &code);

    if (code < 0)
        fail_msg("%s: %s", text, s->err.what);
    assert_string_equal(answer, want);
}

static void a_source_is_looked_for_once(void **state)
{
    struct story *s = *state;
    const struct gbx_mount mount = {source(s), "/data", 0};
    struct gbx_script *script;

    prepare(s);
    s->config.mounts = &mount;
    s->config.mount_count = 1;
    script = story_open(s, STORY_EVALUATOR);
    point(s, "other");
    for (int i = 0; i < 4; i++)
        asks(s, script, READ, V_TEXT("one"));
    story_close(s, script);
    script = story_open(s, STORY_EVALUATOR); /* which looks anew */
    asks(s, script, READ, V_TEXT("other"));
    story_close(s, script);
    remove_sources(s);
}

static void its_files_are_what_they_are_at_the_call(void **state)
{
    struct story *s = *state;
    const struct gbx_mount mount = {source(s), "/data", 1};
    struct gbx_script *script;
    char path[96];

    prepare(s);
    s->config.mounts = &mount;
    s->config.mount_count = 1;
    script =
        story_open(s, "seen = open('/data/name').read()\n" STORY_EVALUATOR);
    asks(s, script, READ, V_TEXT("one"));
    snprintf(path, sizeof(path), "%s/one/name", s->folder);
    for (int i = 0; i < 3; i++) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fprintf(file, "it is %d", i);
        fclose(file);
        asks(s, script, READ,
             i == 0   ? V_TEXT("it is 0")
             : i == 1 ? V_TEXT("it is 1")
                      : V_TEXT("it is 2"));
    }
    story_close(s, script);
    remove_sources(s);
}

static void what_a_call_changes_the_next_does_not_find(void **state)
{
    struct story *s = *state;
    const struct gbx_mount mounts[] = {{source(s), "/data", 1},
                                       {source(s), "/more/data", 1}};
    struct gbx_script *script;

    prepare(s);
    s->config.mounts = mounts;
    s->config.mount_count = 2;
    s->config.pool.total_max = 2;
    script = story_open(s, STORY_EVALUATOR);
    for (int i = 0; i < 4; i++) {
        asks(s, script, "os.listdir('/data') + os.listdir('/more/data')",
             "{\"v\":{\"type\":\"Array\",\"data\":[\"name\",\"name\"]}}");
        asks(s, script,
             "[open('/data/name', 'a').write('!'), os.mkdir('/data/x'), "
             "os.remove('/more/data/name')][0]",
             V_NUMBER(1));
    }
    story_close(s, script);
    remove_sources(s);
}

static void one_that_cannot_be_opens_nothing(void **state)
{
    struct story *s = *state;
    const struct gbx_mount mounts[] = {{"/usr", "/data", 0},
                                       {"/nowhere/at/all", "/x", 0}};
    struct gbx_script *script;

    s->config.mounts = mounts;
    s->config.mount_count = 2;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_EFILE);
    assert_non_null(strstr(s->err.what, "/nowhere/at/all"));
    s->config.mount_count = GBX_MOUNTS_MAX + 1;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_source_is_looked_for_once),
        story_test(its_files_are_what_they_are_at_the_call),
        story_test(what_a_call_changes_the_next_does_not_find),
        story_test(one_that_cannot_be_opens_nothing),
    };

    return story_main("mount", tests);
}
