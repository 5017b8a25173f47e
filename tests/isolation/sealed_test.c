/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees, and what it may do: nothing but what it was given. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sandbox/process/landlock.h"
#include "tests/isolation/box.h"

static struct box box;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines the guest printed, sorted, with a space behind each. */
static const char *sorted(void)
{
    static char out[1 << 16];
    char *lines[1024];
    size_t count = 0, at = 0;

    for (char *line = strtok(box.text, "\n"); line != NULL && count < 1024;
         line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof(lines[0]), compare);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s ", lines[i]);
    return out;
}

/* A micro-VM's /proc and devices are texts of our own, no kernel's. */
static const char own[] = "/proc /dev/fd /dev/stdin /dev/stdout /dev/stderr "
                          "/dev/zero /sys ";

static void the_root_holds_what_it_should(void **state)
{
    static const char known[] =
        "/.glovebox /bin /dev /dev/full /dev/null /dev/random /dev/shm "
        "/dev/urandom /etc /etc/alternatives /etc/group "
        "/etc/ld.so.cache /etc/localtime /etc/nsswitch.conf /etc/passwd /lib "
        "/lib32 /lib64 /libx32 /sbin /tmp /usr ";
    const char *seen;
    char name[128];

    (void)state;
    assert_int_equal(box_try(&box, "look", ""), GBX_EEXIT);
    seen = sorted();
    assert_non_null(strstr(seen, "/usr "));
    for (int n; sscanf(seen, "%127s %n", name, &n) == 1; seen += n) {
        strcat(name, " ");
        if (is_clone() && strcmp(name, "/script ") == 0)
            continue; /* where a folder could be */
        if (strstr(known, name) == NULL &&
            (!is_microvm() || strstr(own, name) == NULL))
            fail_msg("%sis visible", name);
    }
}

static void files_of_the_host_are_not_there(void **state)
{
    (void)state;
    assert_int_equal(
        box_try(&box, "read",
                "/etc/shadow:/etc/hosts:/etc/hostname:/etc/machine-id:/root/"
                ".bashrc:/home:/var/lib/dpkg/status:/proc/1/status:/proc/self/"
                "status:/proc/version:/sys/kernel/uevent_seqnum:/dev/kmsg:/dev/"
                "sda:/dev/vda:/dev/kvm:/run/systemd:/boot:/usr/bin/env"),
        GBX_EEXIT);
    assert_string_equal(box.text,
                        is_microvm()
                            ? "/proc/self/status\n/proc/version\n/usr/bin/env\n"
                            : "/usr/bin/env\n");
}

static void the_own_proc_tells_nothing_of_the_host(void **state)
{
    struct utsname host;

    (void)state;
    only_microvm("the other has no /proc");
    assert_int_equal(uname(&host), 0);
    assert_int_equal(box_try(&box, "print",
                             "/proc/version:/proc/self/status:/proc/self/"
                             "mounts:/proc/self/maps:/proc/self/cmdline:/proc/"
                             "cpuinfo:/proc/meminfo:/proc/stat:/proc/uptime"),
                     GBX_EEXIT);
    assert_true(box.text_bytes > 1000);
    assert_null(strstr(box.text, host.release));
    assert_null(strstr(box.text, host.nodename));
    assert_null(strstr(box.text, box_libexec));
    assert_null(strstr(box.text, box_guest));
}

static char folder[] = "/tmp/glovebox-test-XXXXXX";

static void make(const char *name, mode_t mode)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    chmod(path, mode);
}

static int folder_setup(void **state)
{
    char path[128];

    if (box_possible(state) < 0 || mkdtemp(folder) == NULL)
        return -1;
    make("input.txt", 0600);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    return mkfifo(path, 0666);
}

static int folder_teardown(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/input.txt", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    unlink(path);
    rmdir(folder);
    return 0;
}

/* mkdtemp made it 0700, and the file in it is 0600. */
static void a_folder_of_its_owner_alone_can_be_read_inside(void **state)
{
    (void)state;
    box_begin(&box, "read", "/script/input.txt");
    box.bundle.folder = folder;
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
    assert_string_equal(box.text, "/script/input.txt\n");
}

/* The fifo has a reader, and a read-only mount does not keep it shut. */
static void only_tmp_can_be_written(void **state)
{
    char path[128];
    int reader;

    (void)state;
    snprintf(path, sizeof(path), "%s/fifo", folder);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    chmod(path, 0666);
    box_begin(&box, "write", "");
    box.bundle.folder = folder;
    assert_int_equal(box_open(&box), 0);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
    close(reader);
    assert_string_equal(
        sorted(), landlock_abi() > 0 ? "/dev/null /dev/shm /tmp "
                                     : "/dev/null /dev/shm /script/fifo /tmp ");
}

/* Which answers a micro-VM has of its own, and which calls it serves, from its
 * own memory alone. */
static void is_refused_or_its_own(char *line)
{
    static const char served[] = " memfd_create socketpair mmap ";
    char name[64], spaced[80];
    long rc;
    int code;

    assert_int_equal(sscanf(line, "%63s %ld %d", name, &rc, &code), 3);
    snprintf(spaced, sizeof(spaced), " %s ", name);
    if (rc >= 0 ? strstr(served, spaced) == NULL : code == 0)
        fail_msg("%s", line);
}

static void forbidden_calls_are_refused_as_documented(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "calls", ""), GBX_EEXIT);
    if (!is_microvm())
        assert_string_equal(box.text, "");
    for (char *line = strtok(box.text, "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        is_refused_or_its_own(line);
}

static void ordinary_things_work(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "ordinary", ""), GBX_EEXIT);
    assert_string_equal(box.text, "");
}

/* A micro-VM is one process. */
static void children_can_be_had_or_are_refused(void **state)
{
    char want[32] = "";

    (void)state;
    if (is_microvm())
        snprintf(want, sizeof(want), "fork %d\nvfork %d\n", ENOSYS, ENOSYS);
    assert_int_equal(box_try(&box, "children", ""), GBX_EEXIT);
    assert_string_equal(box.text, want);
}

static void the_guest_is_nobody_in_particular(void **state)
{
    unsigned uid = getuid() == 0 ? 65534 : getuid();
    unsigned gid = getuid() == 0 ? 65534 : getgid();
    char start[64];

    (void)state;
    if (getuid() == 0) /* one that it must not inherit */
        assert_int_equal(setgroups(1, &(gid_t){4242}), 0);
    assert_int_equal(box_try(&box, "who", ""), GBX_EEXIT);
    if (getuid() == 0)
        assert_int_equal(setgroups(0, NULL), 0);
    snprintf(start, sizeof(start), "uid %u gid %u groups ", uid, gid);
    assert_memory_equal(box.text, start, strlen(start));
    if (getuid() == 0)
        assert_non_null(strstr(box.text, "groups 0 "));
    assert_non_null(strstr(
        box.text, is_microvm() ? " pid 2 ppid 1 host glovebox\n"
                                 "caps 0 nnp 1 seccomp 0 fds 6 core 0\n"
                               : " pid 2 ppid 1 host glovebox\n"
                                 "caps 0 nnp 1 seccomp 2 fds 6 core 1\n"));
}

static void it_is_born_as_any_program(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    assert_int_equal(box_try(&box, "born", "some words"), GBX_EEXIT);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    assert_string_equal(box.text, "odd signals 0, stdin 0, argument some "
                                  "words, VARIABLE value\n");
}

/* Pid 1 is there, and cannot be killed; it is not even asked where the guest is
 * another user, and where Landlock keeps signals in. */
static void it_sees_no_process_of_the_host(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "others", ""), GBX_EEXIT);
    assert_true(strcmp(box.text, "still here\n") == 0 ||
                strcmp(box.text, "1\nstill here\n") == 0);
}

static void the_host_half_cannot_be_written(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "host_half", ""), GBX_EEXIT);
    assert_string_equal(box.text, "");
}

/* Nor is it anybody outside. */
static void whoever_it_is_called_it_is_capable_of_nothing(void **state)
{
    static const struct guest_ids ids[] = {
        {true, 0, 0}, {true, 1000, 50}, {true, 0, 7}, {true, 4294967294u, 0}};
    char want[64];

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        box_begin(&box, "who", "");
        box.bundle.ids = ids[i];
        if (box_open(&box) < 0)
            fail_msg("%s", box.err.what);
        assert_int_equal(box_end(&box), GBX_EEXIT);
        snprintf(want, sizeof(want), "uid %u gid %u groups", ids[i].uid,
                 ids[i].gid);
        assert_non_null(strstr(box.text, want));
        assert_non_null(strstr(box.text, "caps 0 nnp 1"));
        box_close(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_holds_what_it_should),
        cmocka_unit_test(files_of_the_host_are_not_there),
        cmocka_unit_test(a_folder_of_its_owner_alone_can_be_read_inside),
        cmocka_unit_test(only_tmp_can_be_written),
        cmocka_unit_test(the_own_proc_tells_nothing_of_the_host),
        cmocka_unit_test(forbidden_calls_are_refused_as_documented),
        cmocka_unit_test(ordinary_things_work),
        cmocka_unit_test(children_can_be_had_or_are_refused),
        cmocka_unit_test(the_guest_is_nobody_in_particular),
        cmocka_unit_test(whoever_it_is_called_it_is_capable_of_nothing),
        cmocka_unit_test(it_is_born_as_any_program),
        cmocka_unit_test(it_sees_no_process_of_the_host),
        cmocka_unit_test(the_host_half_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
