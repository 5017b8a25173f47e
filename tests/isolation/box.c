/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/count_test.h"
#include "tests/isolation/box.h"

const struct backend *box_backend;
const char *box_libexec, *box_guest;
pid_t box_caller;

static char box_name[32]; /* the guests' argv[0], of this test run alone */

static int gather(void *context, int stream, const void *text, size_t bytes)
{
    struct box *box = context;
    size_t room = sizeof(box->text) - 1 - box->text_bytes;

    (void)stream;
    box->printed_bytes += bytes;
    if (bytes < room)
        room = bytes;
    memcpy(box->text + box->text_bytes, text, room);
    box->text_bytes += room;
    return box->output_code;
}

void box_begin(struct box *box, const char *kind, const char *argument)
{
    static const char *const envp[] = {"VARIABLE=value", NULL};

    memset(box, 0, sizeof(*box));
    box->region = (struct region)REGION_NONE;
    if (box_name[0] == '\0')
        snprintf(box_name, sizeof(box_name), "gbx-guest-%d", getpid());
    box->argv[0] = box_name;
    box->argv[1] = kind;
    box->argv[2] = argument;
    box->bundle = (struct bundle){
        .program = box_guest,
        .argv = box->argv,
        .envp = envp,
        .libexec_dir = box_libexec,
        .limits = {.memory_bytes = 64 << 20,
                   .message_bytes = 4 << 20,
                   .output_bytes = 1 << 20,
                   .disk_bytes = 8 << 20,
                   .processes = 32,
                   .files = 64},
        .output = gather,
        .output_context = box,
    };
    assert_int_equal(region_open(&box->region, 8 << 20, &box->err), 0);
    box->self = calloc(1, box_backend->self_bytes);
    assert_non_null(box->self);
}

int box_clone(struct box *box, struct snapshot *snapshot)
{
    int rc = 0;

    if (box_backend->begin != NULL)
        rc = box_backend->begin(box->self, &box->bundle, snapshot, &box->err);
    return rc < 0 ? rc
                  : box_backend->clone(box->self, &box->bundle, snapshot,
                                       &box->region, &box->err);
}

/* A template for this one alone: it goes when the box does.  Root can show a
 * clone a folder that its template does not. */
static int open_clone(struct box *box)
{
    struct bundle bare = box->bundle;
    struct snapshot *snapshot;
    int rc;

    if (geteuid() == 0)
        bare.folder = NULL;
    rc = box_backend->prepare(&bare, clock_now_ns() + BOX_WAIT_NS, &snapshot,
                              &box->err);
    if (rc < 0)
        return rc;
    rc = box_clone(box, snapshot);
    box_backend->put(snapshot);
    return rc;
}

int box_open(struct box *box)
{
    if (is_clone())
        return open_clone(box);
    return box_backend->open(box->self, &box->bundle, &box->region, &box->err);
}

int box_run(struct box *box, uint64_t wait_ns)
{
    return box_backend->run(box->self, clock_now_ns() + wait_ns);
}

int box_end(struct box *box)
{
    const uint64_t deadline_ns = clock_now_ns() + BOX_WAIT_NS;
    int rc;

    while ((rc = box_backend->run(box->self, deadline_ns)) == 0)
        ;
    return rc;
}

void box_close(struct box *box)
{
    box_backend->close(box->self);
    box_backend->close(box->self);
    free(box->self);
    region_close(&box->region);
}

int box_try(struct box *box, const char *kind, const char *argument)
{
    int rc;

    box_begin(box, kind, argument);
    if ((rc = box_open(box)) == 0) {
        rc = box_end(box);
        box_backend->explain(box->self, &box->err);
    }
    box_close(box);
    return rc;
}

int count_fds(void)
{
    return count_open_files();
}

int count_threads(void)
{
    return count_names("/proc/self/task");
}

int count_maps(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    int count = 0;

    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, "kvm") != NULL || strstr(line, "memfd") != NULL;
    fclose(file);
    return count;
}

int count_mib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return (int)(pages / 256);
}

int count_children(void)
{
    char path[64], text[4096];
    int count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    for (char *at = strtok(text, " "); at != NULL; at = strtok(NULL, " "))
        count++;
    if (file != NULL)
        fclose(file);
    return count;
}

/* "glovebox-PID-...": made for the caller under test? */
static bool is_ours(const char *name)
{
    char prefix[32];

    snprintf(prefix, sizeof(prefix), "glovebox-%d-",
             box_caller != 0 ? box_caller : getpid());
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_stray(const char *pid)
{
    char path[300], line[128] = "";
    const char *second;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    if ((file = fopen(path, "r")) == NULL)
        return false;
    line[fread(line, 1, sizeof(line) - 1, file)] = '\0';
    fclose(file);
    second = line + strlen(line) + 1;
    if (strcmp(line, "glovebox-init") == 0)
        return is_ours(second);
    return strcmp(line, box_name) == 0;
}

int count_strays(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)) != NULL)
        count += is_stray(entry->d_name);
    closedir(dir);
    return count;
}

void strays_become(int count)
{
    for (int i = 0; i < 5000 && count_strays() != count; i++)
        usleep(1000);
    assert_int_equal(count_strays(), count);
}

static int cgroups_seen;

static int see(const char *path, const struct stat *st, int type,
               struct FTW *place)
{
    (void)st;
    if (type == FTW_D && is_ours(path + place->base))
        cgroups_seen++;
    return 0;
}

int count_cgroups(void)
{
    cgroups_seen = 0;
    nftw("/sys/fs/cgroup", see, 16, FTW_PHYS);
    return cgroups_seen;
}

bool is_clone(void)
{
    const char *name = getenv("GLOVEBOX_TEST_ISOLATION");

    return name != NULL && strcmp(name, "clone") == 0;
}

static const struct backend *choose(void)
{
    static const struct backend *const all[] = {&backend_process,
                                                &backend_microvm};
    const char *name = getenv("GLOVEBOX_TEST_ISOLATION");

    if (is_clone())
        return &backend_process;

    for (size_t i = 0; name != NULL && i < ARRAY_SIZE(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return name == NULL ? &backend_process : NULL;
}

bool is_microvm(void)
{
    return box_backend == &backend_microvm;
}

static void only(const struct backend *backend, const char *reason)
{
    if (box_backend == backend)
        return;
    print_message("of the isolation \"%s\" alone: %s\n", backend->name, reason);
    skip();
}

void only_process(const char *reason)
{
    only(&backend_process, reason);
}

void only_microvm(const char *reason)
{
    only(&backend_microvm, reason);
}

int box_processes(void)
{
    return is_microvm() ? 0 : is_clone() ? 4 : 2;
}

static void *do_nothing(void *context)
{
    return context;
}

/* Before threads are counted: a sanitizer has one of its own from then on. */
static void start_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

int box_possible(void **state)
{
    static struct box box;
    int rc;

    (void)state;
    if ((box_backend = choose()) == NULL) {
        print_error("GLOVEBOX_TEST_ISOLATION is no isolation\n");
        return -1;
    }
    box_libexec = getenv("GLOVEBOX_TEST_LIBEXEC");
    box_guest = getenv("GLOVEBOX_TEST_GUEST");
    if (box_libexec == NULL || box_guest == NULL) {
        print_error("GLOVEBOX_TEST_LIBEXEC and _GUEST are not set\n");
        return -1;
    }
    start_a_thread();
    rc = box_try(&box, "end", "x0");
    if (rc == GBX_EUNSUPPORTED) {
        print_message("skipped: %s\n", box.err.what);
        exit(77);
    }
    if (rc != GBX_EEXIT) {
        print_error("%s\n", box.err.what);
        return -1;
    }
    return 0;
}

const char *box_at(const char *top, const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
    return path;
}
