/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "channel/region.h"
#include "glovebox/doctor.h"
#include "runtime/runtime.h"
#include "sandbox/backend.h"

struct report {
    struct gbx_check *checks;
    size_t room, count;
};

static void add(struct report *report, const char *name, int state,
                const char *text, const char *remedy)
{
    struct gbx_check *check;

    if (report->count++ >= report->room)
        return;
    check = &report->checks[report->count - 1];
    check->state = state;
    snprintf(check->name, sizeof(check->name), "%s", name);
    snprintf(check->text, sizeof(check->text), "%s", text);
    snprintf(check->remedy, sizeof(check->remedy), "%s",
             remedy != NULL ? remedy : "");
}

static void add_program(struct report *report, const char *dir,
                        const char *name, const char *what, int how)
{
    char path[512], text[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (access(path, how) == 0) {
        add(report, what, GBX_CHECK_OK, path, NULL);
        return;
    }
    snprintf(text, sizeof(text), "%.140s: %.50s", path, strerrordesc_np(errno));
    add(report, what, GBX_CHECK_MISSING, text,
        "install Glovebox, or set GLOVEBOX_LIBEXEC to the folder of its "
        "helper programs");
}

static void add_region(struct report *report)
{
    struct region region = REGION_NONE;
    struct gbx_error err;
    int rc = region_open(&region, GBX_HALF_BYTES_MIN, &err);

    region_close(&region);
    if (rc == 0)
        add(report, "shared memory", GBX_CHECK_OK,
            "memfd with seals, mapped by both sides", NULL);
    else
        add(report, "shared memory", GBX_CHECK_MISSING, err.what,
            "Linux 3.17 or newer with memfd_create and /proc is needed");
}

static void add_cpus(struct report *report)
{
    cpu_set_t set;
    char text[100];
    int count =
        sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    snprintf(text, sizeof(text), "%d: calls %s", count,
             count > 1 ? "spin before they sleep" : "sleep at once");
    add(report, "CPUs", count > 1 ? GBX_CHECK_OK : GBX_CHECK_PARTLY, text,
        count > 1 ? NULL : "with two CPUs a call costs no system call");
}

static void add_stdlib(struct report *report)
{
    static const char path[] = "/usr/lib/python3.11/os.py";

    if (access(path, R_OK) == 0)
        add(report, "Python's library", GBX_CHECK_OK, "/usr/lib/python3.11",
            NULL);
    else
        add(report, "Python's library", GBX_CHECK_MISSING,
            "/usr/lib/python3.11 is not there",
            "apt-get install libpython3.11-stdlib");
}

/* Only modules that were not compiled before need it. */
static void add_compiler(struct report *report, const char *dir)
{
    static const char *const tools[] = {"/usr/bin/wasm2c", "/usr/bin/gcc"};
    static const char *const others[] = {"/usr/local/bin/wasm2c",
                                         "/usr/local/bin/gcc"};
    char program[4200];

    snprintf(program, sizeof(program), "%s/glovebox-wasmc", dir);
    if (access(program, X_OK) < 0) {
        add(report, "modules", GBX_CHECK_PARTLY, "glovebox-wasmc is not there",
            "install Glovebox: make install");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
        if (access(tools[i], X_OK) < 0 && access(others[i], X_OK) < 0) {
            add(report, "modules", GBX_CHECK_PARTLY,
                "WebAssembly is run, but only what was compiled elsewhere",
                "apt-get install wabt gcc, or glovebox build elsewhere");
            return;
        }
    add(report, "modules", GBX_CHECK_OK, "WebAssembly is compiled and run",
        NULL);
}

/* What an isolation needs of this host. */
struct needs {
    struct probe_item items[GBX_CHECKS_MAX];
    size_t count;
    bool met;
};

static void probe(struct needs *needs, const struct backend *backend)
{
    needs->count = backend->probe(needs->items, GBX_CHECKS_MAX);
    if (needs->count > GBX_CHECKS_MAX)
        needs->count = GBX_CHECKS_MAX;
    needs->met = true;
    for (size_t i = 0; i < needs->count; i++)
        needs->met = needs->met && needs->items[i].state != PROBE_MISSING;
}

/* Where the other isolation works, nothing is missing altogether. */
static void add_needs(struct report *report, const struct needs *needs,
                      bool may_lack)
{
    for (size_t i = 0; i < needs->count; i++) {
        const struct probe_item *item = &needs->items[i];

        add(report, item->name,
            may_lack && item->state == PROBE_MISSING ? GBX_CHECK_PARTLY
                                                     : item->state,
            item->text, item->remedy);
    }
}

static void add_isolations(struct report *report)
{
    struct needs microvm, process;

    probe(&microvm, &backend_microvm);
    probe(&process, &backend_process);
    add_needs(report, &microvm, process.met);
    add_needs(report, &process, microvm.met);
    if (microvm.met)
        add(report, "isolation", GBX_CHECK_OK,
            process.met ? "auto takes microvm; process works, too"
                        : "auto takes microvm; process does not work",
            NULL);
    else if (process.met)
        add(report, "isolation", GBX_CHECK_PARTLY,
            "auto takes process; microvm and exec do not work",
            "with KVM, scripts make no system calls of this host");
    else
        add(report, "isolation", GBX_CHECK_MISSING,
            "neither microvm nor process works", "see above; either will do");
}

size_t gbx_doctor(struct gbx_check *checks, size_t room,
                  const char *libexec_dir)
{
    struct report report = {.checks = checks, .room = room};
    const char *dir = runtime_find_libexec(libexec_dir);

    add_program(&report, dir, "glovebox-init", "sandbox helper", X_OK);
    add_program(&report, dir, "glovebox-python", "Python guest", X_OK);
    add_program(&report, dir, "glovebox-js", "JavaScript guest", X_OK);
    add_program(&report, dir, "glovebox-js.gbx", "JavaScript module", R_OK);
    add_stdlib(&report);
    add_compiler(&report, dir);
    add_region(&report);
    add_cpus(&report);
    add_isolations(&report);
    return report.count;
}
