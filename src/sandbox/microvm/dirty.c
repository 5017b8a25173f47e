/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c - /proc/self/pagemap tells, for each page, whether it is a page of a
 * file (or of nothing), or anonymous: one that was written, in a private
 * mapping.  Reading it costs a fraction of one exit, and nothing while the
 * guest runs.
 *
 * A page that was written is copied back where it is, not given back to the
 * host: the next call will write it again, and then neither the host nor KVM
 * has anything to do.  Only when they have become many, all go back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "glovebox/error.h"
#include "sandbox/microvm/dirty.h"
#include "sandbox/microvm/memory.h"

#define PAGE       ((uint64_t)MEMORY_PAGE_BYTES)
#define TOGETHER   512u /* entries that are read at once */
#define KEPT_PAGES 512u /* written pages that stay with a guest, at most */

#define PRESENT (1ull << 63)
#define SWAPPED (1ull << 62)
#define OF_FILE (1ull << 61) /* or shared */

static const uint8_t zero[MEMORY_PAGE_BYTES];

static bool is_private(uint64_t entry)
{
    return (entry & (PRESENT | SWAPPED)) != 0 && (entry & OF_FILE) == 0;
}

/* Where to find what a page was. */
struct origin {
    uint8_t *host;
    const uint8_t *image;
    uint64_t image_bytes;
};

static const uint8_t *was_at(const struct origin *origin, uint64_t off)
{
    return off < origin->image_bytes ? origin->image + off : zero;
}

static bool put_back(const struct origin *origin, uint64_t off)
{
    const uint8_t *was = was_at(origin, off);

    if (memcmp(origin->host + off, was, PAGE) == 0)
        return false;
    memcpy(origin->host + off, was, PAGE);
    return true;
}

/* All of it at once: what the guest touches comes anew. */
static int drop(uint8_t *host, uint64_t bytes)
{
    return madvise(host, bytes, MADV_DONTNEED) < 0 ? GBX_EHOST : 0;
}

/* Of pages [first, first + count): 0, or -errno. */
static int look(int pagemap, const uint8_t *host, uint64_t first,
                uint64_t count, uint64_t entries[TOGETHER])
{
    off_t at = (off_t)(((uintptr_t)host / PAGE + first) * sizeof(*entries));
    ssize_t n = pread(pagemap, entries, count * sizeof(*entries), at);

    return n == (ssize_t)(count * sizeof(*entries)) ? 0 : -EIO;
}

int dirty_restore(uint8_t *host, uint64_t bytes, const uint8_t *image,
                  uint64_t image_bytes, struct dirty_count *count)
{
    const struct origin origin = {host, image, image_bytes};
    auto_fd int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entries[TOGETHER], pages = bytes / PAGE, kept = 0;

    for (uint64_t first = 0; first < pages; first += TOGETHER) {
        uint64_t n = pages - first < TOGETHER ? pages - first : TOGETHER;

        if (pagemap < 0 || look(pagemap, host, first, n, entries) < 0)
            return drop(host, bytes); /* nobody tells: it may be anything */
        for (uint64_t i = 0; i < n; i++) {
            if (!is_private(entries[i]))
                continue;
            count->pages++;
            if (++kept > KEPT_PAGES)
                return drop(host, bytes);
            count->wrote += put_back(&origin, (first + i) * PAGE);
        }
    }
    return 0;
}

static bool differs(const struct origin *origin, uint64_t off)
{
    return memcmp(origin->host + off, was_at(origin, off), PAGE) != 0;
}

/* Where nobody tells who wrote what, each page is looked at. */
static int find(const struct origin *origin, uint64_t pages, uint32_t most,
                struct dirty_pages *found)
{
    auto_fd int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entries[TOGETHER];

    for (uint64_t first = 0; first < pages; first += TOGETHER) {
        uint64_t n = pages - first < TOGETHER ? pages - first : TOGETHER;
        bool told =
            pagemap >= 0 && look(pagemap, origin->host, first, n, entries) == 0;
        uint32_t *numbers =
            reallocarray(found->numbers, found->count + n, sizeof(*numbers));

        if (numbers == NULL)
            return GBX_EHOST;
        found->numbers = numbers;
        for (uint64_t i = 0; i < n; i++)
            if ((!told || is_private(entries[i])) &&
                differs(origin, (first + i) * PAGE))
                numbers[found->count++] = (uint32_t)(first + i);
        if (found->count > most)
            return GBX_ELIMIT;
    }
    return 0;
}

static uint8_t *map_apart(uint64_t bytes)
{
    uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    madvise(at, bytes, MADV_DONTDUMP);
    madvise(at, bytes, MADV_DONTFORK);
    return at;
}

int dirty_save(const uint8_t *host, uint64_t bytes, const uint8_t *image,
               uint64_t image_bytes, uint32_t most, struct dirty_pages *pages)
{
    const struct origin origin = {(uint8_t *)(uintptr_t)host, image,
                                  image_bytes};
    int rc;

    *pages = (struct dirty_pages){0};
    rc = find(&origin, bytes / PAGE, most, pages);
    if (rc == 0 && pages->count > 0 &&
        (pages->bytes = map_apart(pages->count * PAGE)) == NULL)
        rc = GBX_EHOST;
    for (uint32_t i = 0; rc == 0 && i < pages->count; i++)
        memcpy(pages->bytes + i * PAGE, host + pages->numbers[i] * PAGE, PAGE);
    if (rc < 0)
        dirty_fini(pages);
    return rc;
}

void dirty_load(uint8_t *host, const struct dirty_pages *pages)
{
    for (uint32_t i = 0; i < pages->count; i++)
        memcpy(host + pages->numbers[i] * PAGE, pages->bytes + i * PAGE, PAGE);
}

void dirty_fini(struct dirty_pages *pages)
{
    free(pages->numbers);
    if (pages->bytes != NULL)
        munmap(pages->bytes, pages->count * PAGE);
    *pages = (struct dirty_pages){0};
}

/* The host maps pages of files by so many that lie side by side. */
#define AROUND 16u

/* One call must not make all later clones slow and large: whoever touched more
 * than this is no example. */
#define WRITTEN_MAX 256u
#define READ_MAX    512u

struct noting {
    struct touched *touched;
    uint32_t written;
    uint64_t last; /* where the host was around last */
};

/* Of a stretch of entries.  False: too many. */
static bool note(struct noting *noting, const uint64_t *entries, uint64_t first,
                 uint64_t count)
{
    struct touched *touched = noting->touched;

    for (uint64_t i = 0; i < count; i++) {
        uint32_t page = (uint32_t)(first + i);

        if (is_private(entries[i])) {
            touched->pages[touched->count++] = page | TOUCHED_WRITTEN;
            noting->written++;
        } else if ((entries[i] & PRESENT) != 0 &&
                   page / AROUND != noting->last) {
            touched->pages[touched->count++] = page;
            noting->last = page / AROUND;
        }
        if (noting->written > WRITTEN_MAX ||
            touched->count - noting->written > READ_MAX)
            return false;
    }
    return true;
}

struct touched *dirty_learn(const uint8_t *host, uint64_t bytes)
{
    auto_fd int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entries[TOGETHER], pages = bytes / PAGE;
    struct touched *touched = calloc(1, sizeof(*touched) + pages * 4);
    struct noting noting = {.touched = touched, .last = UINT64_MAX};

    if (touched == NULL)
        return NULL;
    for (uint64_t first = 0; first < pages; first += TOGETHER) {
        uint64_t n = pages - first < TOGETHER ? pages - first : TOGETHER;

        if (pagemap < 0 || look(pagemap, host, first, n, entries) < 0 ||
            !note(&noting, entries, first, n)) {
            free(touched);
            return NULL;
        }
    }
    return touched;
}

void dirty_touch(uint8_t *host, const struct touched *touched)
{
    /* First those that become copies: one that is mapped already would have to
     * be taken away again. */
    for (uint32_t i = 0; i < touched->count; i++)
        if ((touched->pages[i] & TOUCHED_WRITTEN) != 0)
            __atomic_fetch_or(host +
                                  (touched->pages[i] & ~TOUCHED_WRITTEN) * PAGE,
                              0, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < touched->count; i++)
        if ((touched->pages[i] & TOUCHED_WRITTEN) == 0)
            (void)__atomic_load_n(host + touched->pages[i] * PAGE,
                                  __ATOMIC_RELAXED);
}
