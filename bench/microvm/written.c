/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written.c - how to know which pages a guest has written: each way there is,
 * on the KVM of this computer (decision 0007).
 *
 * The guest's memory is a private mapping of a file, as a clone's is.  A round
 * is a call and its wipe: whatever the way needs before, the guest writes to
 * the same 64 of 4,096 pages, they are found, and what was in them is put back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/check.h"
#include "base/fd.h"
#include "bench.h"
#include "microvm/raw.h"

#define PAGE   4096ul
#define SPAN   4096u /* pages that could be written */
#define PAGES  64u   /* that are */
#define FIRST  1024u /* of them */
#define ROUNDS 300

#define PAGEMAP_PRIVATE(e) ((e) >> 62 != 0 && ((e) >> 61 & 1) == 0)
#define PAGEMAP_SOFT(e)    (((e) >> 55 & 1) != 0)
#define TABLE_DIRTY        0x40u

/* Linux 6.7's, which older headers do not have (linux/fs.h). */
struct scan_region {
    uint64_t start, end, categories;
};

struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL   _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE    (1u << 2)
#define SCAN_PRESENT (1u << 3)

struct written {
    struct raw raw;
    uint8_t *image, *host; /* mappings of SPAN pages: the file, the guest's */
    int pagemap;
    uint64_t entries[SPAN];
    struct scan_region regions[SPAN];
    uint64_t bitmap[RAW_SLOT_BYTES / PAGE / 64];
    bool found[SPAN];
};

/* begin: once; arm: before each call; find: into found.  False: not here. */
struct way {
    const char *name;
    bool (*begin)(struct written *w);
    bool (*arm)(struct written *w);
    bool (*find)(struct written *w);
};

static bool nothing(struct written *w)
{
    (void)w;
    return true;
}

static bool read_pagemap(struct written *w)
{
    off_t at = (off_t)((uintptr_t)w->host / PAGE * sizeof(uint64_t));

    return pread(w->pagemap, w->entries, sizeof(w->entries), at) ==
           sizeof(w->entries);
}

static bool find_private(struct written *w)
{
    bool done = read_pagemap(w);

    for (unsigned i = 0; done && i < SPAN; i++)
        w->found[i] = PAGEMAP_PRIVATE(w->entries[i]);
    return done;
}

static bool find_by_scan(struct written *w)
{
    struct scan_arg arg = {.size = sizeof(arg),
                           .start = (uintptr_t)w->host,
                           .end = (uintptr_t)w->host + SPAN * PAGE,
                           .vec = (uintptr_t)w->regions,
                           .vec_len = SPAN,
                           .category_inverted = SCAN_FILE,
                           .category_mask = SCAN_FILE | SCAN_PRESENT,
                           .return_mask = SCAN_PRESENT};
    int count = ioctl(w->pagemap, SCAN_IOCTL, &arg);

    for (int i = 0; i < count; i++)
        for (uint64_t at = w->regions[i].start; at < w->regions[i].end;
             at += PAGE)
            w->found[(at - (uintptr_t)w->host) / PAGE] = true;
    return count >= 0;
}

/* To read it is to clear it, and to protect the pages again. */
static bool read_log(struct written *w)
{
    struct kvm_dirty_log log = {.dirty_bitmap = w->bitmap};

    return ioctl(w->raw.vm_fd, KVM_GET_DIRTY_LOG, &log) == 0;
}

static bool begin_log(struct written *w)
{
    struct kvm_userspace_memory_region slot = {.flags = KVM_MEM_LOG_DIRTY_PAGES,
                                               .memory_size = RAW_SLOT_BYTES,
                                               .userspace_addr =
                                                   (uintptr_t)w->raw.memory};

    return ioctl(w->raw.vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) == 0 &&
           read_log(w);
}

static bool find_in_log(struct written *w)
{
    const uint64_t first = (uint64_t)(w->host - w->raw.memory) / PAGE;
    bool done = read_log(w);

    for (uint64_t i = first; done && i < first + SPAN; i++)
        w->found[i - first] = w->bitmap[i / 64] >> i % 64 & 1;
    return done;
}

static uint64_t *table_of(struct written *w)
{
    return (uint64_t *)(void *)(w->raw.memory + RAW_TABLES_AT) +
           (w->host - w->raw.memory) / (ptrdiff_t)PAGE;
}

/* Of the guest's own tables, which the processor or KVM sets. */
static bool clear_bits(struct written *w)
{
    uint64_t *table = table_of(w);

    for (unsigned i = 0; i < SPAN; i++)
        table[i] &= ~(uint64_t)TABLE_DIRTY;
    return true;
}

static bool find_bits(struct written *w)
{
    const uint64_t *table = table_of(w);

    for (unsigned i = 0; i < SPAN; i++)
        w->found[i] = (table[i] & TABLE_DIRTY) != 0;
    return true;
}

/* Of the whole process, whoever else is in it. */
static bool clear_soft(struct written *w)
{
    auto_fd int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    (void)w;
    return fd >= 0 && write(fd, "4", 1) == 1;
}

/* Where the kernel has none, none is ever set. */
static bool begin_soft(struct written *w)
{
    volatile uint8_t *page = w->host;

    page[0] = page[0];
    return clear_soft(w) && read_pagemap(w) && !PAGEMAP_SOFT(w->entries[0]) &&
           (page[0] = page[0], read_pagemap(w)) && PAGEMAP_SOFT(w->entries[0]);
}

static bool find_soft(struct written *w)
{
    bool done = read_pagemap(w);

    for (unsigned i = 0; done && i < SPAN; i++)
        w->found[i] = PAGEMAP_SOFT(w->entries[i]);
    return done;
}

static const struct way ways[] = {
    {"pagemap: private pages", nothing, nothing, find_private},
    {"the same by PAGEMAP_SCAN", nothing, nothing, find_by_scan},
    {"KVM's dirty log", begin_log, nothing, find_in_log},
    {"dirty bits of the guest's tables", nothing, clear_bits, find_bits},
    {"soft-dirty bits", begin_soft, clear_soft, find_soft},
};

struct row {
    struct samples call, find, whole;
    uint64_t forgotten, more; /* of all rounds: written, not found; and not */
    const char *missing;
};

/* As a wipe does: pages that differ are written back where they are. */
static void put_back(struct written *w)
{
    for (unsigned i = 0; i < SPAN; i++)
        if (w->found[i] &&
            memcmp(w->host + i * PAGE, w->image + i * PAGE, PAGE) != 0)
            memcpy(w->host + i * PAGE, w->image + i * PAGE, PAGE);
}

static bool measure_round(struct written *w, const struct way *way,
                          struct row *row, bool counts)
{
    uint64_t from_ns = measure_now_ns(), call_ns, find_ns, end_ns;

    memset(w->found, 0, sizeof(w->found));
    if (!way->arm(w) || !raw_touch(&w->raw, FIRST, PAGES))
        return false;
    call_ns = measure_now_ns();
    if (!way->find(w))
        return false;
    find_ns = measure_now_ns();
    put_back(w);
    end_ns = measure_now_ns();
    if (counts) {
        samples_add(&row->call, call_ns - from_ns);
        samples_add(&row->find, find_ns - call_ns);
        samples_add(&row->whole, end_ns - from_ns);
        for (unsigned i = 0; i < SPAN; i++) {
            bool is_written = i >= FIRST && i < FIRST + PAGES;

            row->forgotten += is_written && !w->found[i];
            row->more += !is_written && w->found[i];
        }
    }
    /* What was forgotten shall be the next round's, too. */
    memcpy(w->host + FIRST * PAGE, w->image + FIRST * PAGE, PAGES * PAGE);
    return true;
}

static bool open_written(struct written *w, char why[RAW_WHY_BYTES])
{
    struct raw_times times;
    FILE *file = tmpfile();
    int fd = file == NULL ? -1 : fileno(file);

    *w = (struct written){.pagemap = -1};
    if (!raw_open(&w->raw, &times, why)) {
        if (file != NULL)
            fclose(file);
        return false;
    }
    w->host = raw_page(&w->raw, 0);
    must(fd >= 0 && ftruncate(fd, SPAN * PAGE) == 0);
    w->image =
        mmap(NULL, SPAN * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(w->image != MAP_FAILED);
    memset(w->image, 0x55, SPAN * PAGE);
    must(mmap(w->host, SPAN * PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_FIXED, fd, 0) == w->host);
    fclose(file);
    w->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return true;
}

static void close_written(struct written *w)
{
    close_fd(&w->pagemap);
    munmap(w->image, SPAN * PAGE);
    raw_close(&w->raw);
}

static void measure(struct row *row, const struct way *way,
                    char why[RAW_WHY_BYTES])
{
    static struct written w;
    bool done;

    if (!open_written(&w, why))
        return;
    done = way->begin(&w);
    for (int i = -20; done && i < ROUNDS; i++)
        done = measure_round(&w, way, row, i >= 0);
    if (!done)
        row->missing = "this kernel has none";
    close_written(&w);
}

static const struct report_column columns[] = {
    {"way", "way", REPORT_TEXT},
    {"call_ns", "call", REPORT_TIME},
    {"find_ns", "find", REPORT_TIME},
    {"median_ns", "with wipe", REPORT_TIME},
    {"per_exit", "/ exit", REPORT_TIMES},
    {"forgotten", "forgotten", REPORT_COUNT},
    {"more", "too many", REPORT_COUNT},
};

static void tell(struct report *report, struct row rows[],
                 struct samples *exits, const char *why)
{
    double exit_ns = samples_figure(exits).median;

    report_begin(report, "written",
                 "64 of 4,096 pages written by a call: how to know which",
                 columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        double whole_ns = samples_figure(&rows[i].whole).median;

        report_row(report);
        report_text(report, "way", ways[i].name);
        if (rows[i].missing == NULL && whole_ns > 0) {
            report_number(report, "call_ns",
                          samples_figure(&rows[i].call).median);
            report_number(report, "find_ns",
                          samples_figure(&rows[i].find).median);
            report_number(report, "median_ns", whole_ns);
            report_ratio(report, "per_exit", whole_ns, exit_ns);
            report_number(report, "forgotten", (double)rows[i].forgotten);
            report_number(report, "more", (double)rows[i].more);
        }
        if (rows[i].missing != NULL)
            report_note(report, "%s: %s", ways[i].name, rows[i].missing);
        samples_fini(&rows[i].call);
        samples_fini(&rows[i].find);
        samples_fini(&rows[i].whole);
    }
    if (why[0] != '\0')
        report_note(report, "no KVM: %s", why);
    report_note(report,
                "call: what the way needs before, and the guest's 64 writes; "
                "find: which they were; with wipe: both, and what was in them "
                "put back. forgotten: pages that were written and not found, "
                "in %d rounds; any makes a way useless.",
                ROUNDS);
    report_end(report);
}

bool bench_written(struct report *report, const struct paths *paths)
{
    struct row rows[ARRAY_SIZE(ways)] = {0};
    struct samples exits = {0};
    char why[RAW_WHY_BYTES] = "";

    (void)paths;
    raw_sample_exits(&exits, ROUNDS);
    for (size_t i = 0; i < ARRAY_SIZE(ways) && why[0] == '\0'; i++) {
        report_progress(report, "written: %s", ways[i].name);
        measure(&rows[i], &ways[i], why);
    }
    tell(report, rows, &exits, why);
    samples_fini(&exits);
    return true;
}
