/* SPDX-License-Identifier: Apache-2.0 */
/* The probe agrees with what a sandbox finds. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/process/probe.h"
#include "tests/isolation/box.h"

static struct probe_item items[32];

static const struct probe_item *find(size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].name, name) == 0)
            return &items[i];
    return NULL;
}

/* The group's setup has opened a sandbox, so nothing can be missing. */
static void where_a_sandbox_opens_nothing_is_missing(void **state)
{
    const int fds = count_fds();
    size_t count = process_probe(items, 32);

    (void)state;
    assert_in_range(count, 10, 31);
    for (size_t i = 0; i < count; i++) {
        if (items[i].state == PROBE_MISSING)
            fail_msg("%s: %s", items[i].name, items[i].text);
        assert_true(items[i].text[0] != '\0');
        assert_int_equal(items[i].remedy[0] == 0, items[i].state == PROBE_OK);
    }
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_children(), 0);
}

static void it_fills_no_more_than_it_may(void **state)
{
    (void)state;
    memset(items, 0, sizeof(items));
    assert_int_equal(process_probe(items, 3), 3);
    assert_null(items[3].name);
    assert_int_equal(process_probe(NULL, 0), 0);
}

/* A host as it is not: no user namespaces may be made below this one. */
static void what_is_missing_is_told_with_a_remedy(void **state)
{
    static struct box box;
    const struct probe_item *item;
    FILE *sysctl;
    pid_t pid;
    int status;

    (void)state;
    if (getuid() != 0)
        skip();
    if ((pid = fork()) == 0) {
        if (unshare(CLONE_NEWUSER) < 0 ||
            (sysctl = fopen("/proc/sys/user/max_user_namespaces", "w")) ==
                NULL ||
            fputs("0", sysctl) < 0 || fclose(sysctl) != 0)
            _exit(77);
        item = find(process_probe(items, 32), "user namespaces");
        if (item == NULL || item->state != PROBE_MISSING ||
            strstr(item->remedy, "max_user_namespaces") == NULL)
            _exit(1);
        box_begin(&box, "hang", "");
        if (box_open(&box) != GBX_EUNSUPPORTED ||
            strstr(box.err.what, "max_user_namespaces") == NULL)
            _exit(2);
        box_close(&box);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_sandbox_opens_nothing_is_missing),
        cmocka_unit_test(it_fills_no_more_than_it_may),
        cmocka_unit_test(what_is_missing_is_told_with_a_remedy),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
