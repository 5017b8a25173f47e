/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_fuzz.c - any bytes as a template's file.
 *
 * The target makes the checksums right, so that what lies behind them is met.
 * An input begins with how it is loaded and made: a real file with patches
 * (place, value) on it, or the parts behind the key as they come.  What is
 * loaded is then used as far as its numbers decide where memory is touched; the
 * heap in it is believed (template_file.h).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/template_file.h"

#define PAGE      4096u
#define NAME      "0.template"
#define HALF      (GBX_ARENA_OFF + (2u << 20))
#define SYSTEM    (MICROVM_TABLES_AT + PAGE)
#define FRAMES    (4 * PAGE)
#define BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As template_file.c writes it. */
struct head {
    uint64_t magic, version;
    uint64_t file_bytes, meta_bytes;
    uint64_t pages_off, pages_bytes;
    uint64_t checksum[2], head_checksum;
};

static char folder[] = "/tmp/glovebox-fuzz-XXXXXX";
static int dir_fd = -1;
static struct bytes_out key;
static struct region region;
static uint8_t real[BYTES_MAX], file[BYTES_MAX];
static size_t real_bytes;

static void clean_up(void)
{
    unlinkat(dir_fd, NAME, 0);
    rmdir(folder);
}

/* By hand: nothing has run. */
static struct snapshot *make_snapshot(void)
{
    static struct snapshot made;
    struct touched *touched = malloc(sizeof(*touched) + 2 * sizeof(uint32_t));
    struct stat st;

    must(touched != NULL);
    touched->count = 2;
    touched->pages[0] = 1;
    touched->pages[1] = 3 | TOUCHED_WRITTEN;
    made.touched = touched;
    made.system_bytes = SYSTEM;
    made.frames_bytes = FRAMES;
    made.kernel.heap_bytes = 100;
    made.kernel.heap = calloc(1, 100);
    must(stat("/dev/null", &st) == 0);
    seen_note(&made.seen, "/dev/null", &st);
    seen_note(&made.seen, "/nothing of this name", NULL);
    handles_add(&made.kernel.handles, open("/dev/null", O_RDONLY | O_CLOEXEC));
    handles_add(&made.kernel.handles, open("/", O_PATH | O_CLOEXEC));
    made.fd = memfd_create("pages", MFD_CLOEXEC);
    must(ftruncate(made.fd, SYSTEM + FRAMES) == 0);
    return &made;
}

static void set_up(void)
{
    struct template template = {.references = 2, .backend = &backend_microvm};
    struct bytes_out extra = {0};
    int fd;

    must(mkdtemp(folder) != NULL);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atexit(clean_up);
    bytes_put_text(&key, "a key");
    bytes_put_text(&extra, "a script's");
    must(region_open(&region, HALF, NULL) == 0);
    memset(region.base + PAGE, 1, 100);
    must(region_image_take(&template.region, &region, NULL) == 0);
    template.snapshot = make_snapshot();
    must(template_save(&template, dir_fd, NAME, &key, &extra, NULL) == 0);
    fd = openat(dir_fd, NAME, O_RDONLY);
    real_bytes = (size_t)read(fd, real, sizeof(real));
    must(real_bytes > PAGE && real_bytes < sizeof(real));
    close(fd);
    bytes_out_fini(&extra);
    region_image_fini(&template.region);
}

/* Each: a place behind the first page, and 8 bytes for it. */
static size_t patch(const uint8_t *data, size_t size)
{
    memcpy(file, real, real_bytes);
    for (; size >= 10; data += 10, size -= 10) {
        size_t at = PAGE + (size_t)(data[0] | data[1] << 8);

        if (at <= real_bytes - 8)
            memcpy(file + at, data + 2, 8);
    }
    return real_bytes;
}

/* What follows the key is the input's, and some pages. */
static size_t compose(const uint8_t *data, size_t size)
{
    struct head *head = (struct head *)(void *)file;
    size_t at = PAGE + sizeof(uint64_t) + key.count, end;

    if (size > BYTES_MAX / 2)
        size = BYTES_MAX / 2;
    memset(file, 0, BYTES_MAX);
    memcpy(file, real, at);
    memcpy(file + at, data, size);
    head->meta_bytes = at + size - PAGE;
    end = (at + size + PAGE - 1) & ~(size_t)(PAGE - 1);
    head->pages_off = end;
    head->pages_bytes = SYSTEM + FRAMES;
    head->file_bytes = end + SYSTEM + FRAMES;
    return head->file_bytes;
}

static void sign(size_t bytes)
{
    struct head *head = (struct head *)(void *)file;
    XXH128_hash_t hash = XXH3_128bits(file + PAGE, bytes - PAGE);

    head->checksum[0] = hash.low64;
    head->checksum[1] = hash.high64;
    head->head_checksum =
        XXH3_64bits(head, offsetof(struct head, head_checksum));
}

/* As a clone does: all of its memory, and all of its region. */
static void use(const struct template *template)
{
    const struct snapshot *snapshot = template->snapshot;
    static volatile uint8_t sum;
    const char *path;

    for (uint64_t at = 0; at < snapshot->system_bytes + snapshot->frames_bytes;
         at += PAGE)
        sum += snapshot->image[at];
    seen_is_stale(&snapshot->seen, &path);
    region_image_put(&template->region, &region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *template;
    struct bytes_out extra;
    enum template_how how;
    size_t bytes;
    int fd;

    if (dir_fd < 0)
        set_up();
    if (size == 0)
        return 0;
    how = data[0] & 1 ? TEMPLATE_BRIEF : TEMPLATE_COPIED;
    bytes =
        data[0] & 2 ? compose(data + 1, size - 1) : patch(data + 1, size - 1);
    sign(bytes);
    fd = openat(dir_fd, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, file, bytes) == (ssize_t)bytes);
    close(fd);
    if (template_load(&template, &extra, &backend_microvm, dir_fd, NAME, &key,
                      how, NULL) < 0)
        return 0;
    use(template);
    template_put(template);
    bytes_out_fini(&extra);
    return 0;
}
