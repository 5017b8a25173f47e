/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_file.c - written beside and renamed; read, checked, and only then
 * believed.
 *
 * A file that is mapped can be cut off by whoever may write it, and then a
 * touch is SIGBUS, in the embedder.  So its pages are copied into memory of our
 * own.  A process that will run one script and end has no time for that: it
 * takes a lease, with which the kernel lets everybody wait who wants to write,
 * for as long as /proc/sys/fs/lease-break-time says (45 s).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/template_file.h"

#define PAGE    4096u
#define MAGIC   0x746c706d74786267ull /* "gbxtmplt" */
#define VERSION 2u

struct head {
    uint64_t magic, version;
    uint64_t file_bytes;
    uint64_t meta_bytes; /* behind the first page */
    uint64_t pages_off, pages_bytes;
    uint64_t checksum[2];   /* of all behind the first page */
    uint64_t head_checksum; /* of the above */
};

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + PAGE - 1) & ~(PAGE - 1ull);
}

static uint64_t check_head(const struct head *head)
{
    return XXH3_64bits(head, offsetof(struct head, head_checksum));
}

void template_name(char name[TEMPLATE_NAME_BYTES], const struct bytes_out *key)
{
    XXH128_hash_t hash = XXH3_128bits(key->bytes, key->count);

    snprintf(name, TEMPLATE_NAME_BYTES, "%016llx%016llx%s",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64,
             TEMPLATE_FILE_END);
}

/* ---- what is in it, beside the pages ---- */

static void save_region(const struct region_image *image, struct bytes_out *out)
{
    bytes_put_number(out, image->half_bytes);
    bytes_put(out, image->arena_bytes, sizeof(image->arena_bytes));
    bytes_put_block(out, image->parts,
                    image->part_count * sizeof(*image->parts));
    bytes_put_block(out, image->bytes, image->byte_count);
}

static void *copy_block(struct bytes_in *in, size_t *bytes)
{
    const void *block = bytes_take_block(in, bytes);
    void *copy = malloc(*bytes + 1);

    if (copy == NULL)
        in->failed = true;
    else if (block != NULL)
        memcpy(copy, block, *bytes);
    return copy;
}

static void load_region(struct region_image *image, struct bytes_in *in)
{
    size_t part_bytes, bytes;

    image->half_bytes = bytes_take_number(in);
    bytes_take(in, image->arena_bytes, sizeof(image->arena_bytes));
    image->parts = copy_block(in, &part_bytes);
    image->bytes = copy_block(in, &bytes);
    image->part_count = (uint32_t)(part_bytes / sizeof(*image->parts));
    image->byte_count = bytes;
    for (uint32_t i = 0; i < image->part_count && !in->failed; i++) {
        const struct region_part *part = &image->parts[i];

        if (part->bytes > bytes || part->at > bytes - part->bytes ||
            part->bytes > 2 * image->half_bytes ||
            part->off > 2 * image->half_bytes - part->bytes)
            in->failed = true;
    }
}

/* Where the host stood: numbers, no pointers. */
static void save_channel(const struct channel *channel, struct bytes_out *out)
{
    struct channel copy = *channel;

    memset(&copy.config, 0, sizeof(copy.config));
    copy.mine = NULL;
    copy.peer = NULL;
    copy.my_ring = NULL;
    copy.peer_ring = NULL;
    copy.my_gives = NULL;
    copy.peer_gives = NULL;
    bytes_put(out, &copy, sizeof(copy));
}

static bool is_channel(const struct channel *channel)
{
    return channel->arena.count <= GBX_ARENA_BLOCKS &&
           channel->arena.lent <= GBX_ARENA_BLOCKS &&
           channel->ring_copied - channel->ring_head <= GBX_RING_SLOTS;
}

/* ---- writing ---- */

static int write_parts(int fd, struct head *head, struct bytes_out *meta,
                       const uint8_t *pages, uint64_t page_bytes)
{
    static const uint8_t zero[PAGE];
    uint8_t first[PAGE] = {0};
    XXH128_hash_t hash;
    XXH3_state_t *state = XXH3_createState();

    if (state == NULL)
        return GBX_EHOST;
    bytes_put(meta, zero, round_up(meta->count) - meta->count);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, meta->bytes, meta->count);
    XXH3_128bits_update(state, pages, page_bytes);
    hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    head->checksum[0] = hash.low64;
    head->checksum[1] = hash.high64;
    head->head_checksum = check_head(head);
    memcpy(first, head, sizeof(*head));
    if (meta->failed || fd_write_at(fd, first, PAGE, 0) < 0 ||
        fd_write_at(fd, meta->bytes, meta->count, PAGE) < 0 ||
        fd_write_at(fd, pages, page_bytes, PAGE + meta->count) < 0)
        return GBX_EHOST;
    return 0;
}

static int write_file(int fd, struct bytes_out *meta, int pages_fd,
                      uint64_t page_bytes)
{
    struct head head = {
        .magic = MAGIC,
        .version = VERSION,
        .meta_bytes = meta->count,
        .pages_off = PAGE + round_up(meta->count),
        .pages_bytes = page_bytes,
        .file_bytes = PAGE + round_up(meta->count) + page_bytes,
    };
    /* Shared, kernels before 6.7 take it for one that may be written. */
    uint8_t *pages =
        mmap(NULL, page_bytes, PROT_READ, MAP_PRIVATE, pages_fd, 0);
    int rc;

    if (pages == MAP_FAILED)
        return GBX_EHOST;
    rc = write_parts(fd, &head, meta, pages, page_bytes);
    munmap(pages, page_bytes);
    return rc;
}

static int check_limit(uint64_t bytes, struct gbx_error *err)
{
    if (bytes <= fd_bytes_max())
        return 0;
    return fail(err, GBX_ELIMIT,
                "a template of %llu bytes: RLIMIT_FSIZE (ulimit -f) is %llu: "
                "raise it",
                (unsigned long long)bytes, (unsigned long long)fd_bytes_max());
}

#define TEMPORARY_BYTES (TEMPLATE_NAME_BYTES + 32)

/* By chance: who died while writing may have had our number, as in a container,
 * where it is always the same. */
static int open_temporary(char temporary[TEMPORARY_BYTES], int dir_fd,
                          const char *name)
{
    uint64_t chance;

    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return -1;
    snprintf(temporary, TEMPORARY_BYTES, ".%s.%016llx", name,
             (unsigned long long)chance);
    return openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                  0600);
}

/* Beside it, and then in its place. */
static int write_all_of(struct bytes_out *meta, int pages_fd,
                        uint64_t page_bytes, int dir_fd, const char *name)
{
    char temporary[TEMPORARY_BYTES];
    auto_fd int fd = open_temporary(temporary, dir_fd, name);
    int rc, sys;

    if (fd < 0)
        return GBX_EHOST;
    rc = write_file(fd, meta, pages_fd, page_bytes);
    if (rc == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        rc = GBX_EHOST;
    if (rc == 0)
        return 0;
    sys = errno;
    unlinkat(dir_fd, temporary, 0);
    errno = sys;
    return rc;
}

int template_save(const struct template *template, int dir_fd, const char *name,
                  const struct bytes_out *key, const struct bytes_out *extra,
                  struct gbx_error *err)
{
    const struct backend *backend = template->backend;
    struct bytes_out meta = {0};
    uint64_t page_bytes;
    int pages_fd, rc;

    if (backend->save == NULL)
        return fail(err, GBX_EUNSUPPORTED, "%s templates are kept in memory",
                    backend->name);
    bytes_put_block(&meta, key->bytes, key->count);
    bytes_put_block(&meta, extra->bytes, extra->count);
    bytes_put_number(&meta, template->last_call);
    save_region(&template->region, &meta);
    save_channel(&template->channel, &meta);
    rc = backend->save(template->snapshot, &meta, &pages_fd, &page_bytes);
    if (rc == 0)
        rc = check_limit(PAGE + round_up(meta.count) + page_bytes, err);
    if (rc == 0)
        rc = write_all_of(&meta, pages_fd, page_bytes, dir_fd, name);
    bytes_out_fini(&meta);
    return rc == 0 || rc == GBX_ELIMIT
               ? rc
               : fail(err, rc, "write a template to the cache");
}

/* ---- reading ---- */

struct opened {
    int fd; /* owned */
    struct head head;
    uint8_t *all; /* owned mapping */
};

static void drop(struct opened *opened)
{
    if (opened->all != NULL)
        munmap(opened->all, opened->head.file_bytes);
    close_fd(&opened->fd);
}

/* Ours, and nobody else's to write. */
static int check_owner(int fd, const char *name, struct stat *st,
                       struct gbx_error *err)
{
    if (fstat(fd, st) < 0)
        return fail(err, GBX_EHOST, "%s", name);
    if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() ||
        (st->st_mode & 022) != 0)
        return fail(err, GBX_ESTALE, "%s is not a file that only we may write",
                    name);
    return 0;
}

static int read_head(struct opened *opened, const char *name,
                     const struct stat *st, struct gbx_error *err)
{
    struct head *head = &opened->head;

    if (pread(opened->fd, head, sizeof(*head), 0) != sizeof(*head) ||
        head->magic != MAGIC || head->head_checksum != check_head(head))
        return fail(err, GBX_EFORMAT, "%s is damaged", name);
    if (head->version != VERSION)
        return fail(err, GBX_ESTALE, "%s is of another version", name);
    if (head->file_bytes != (uint64_t)st->st_size ||
        head->meta_bytes > head->file_bytes ||
        head->pages_off != PAGE + round_up(head->meta_bytes) ||
        head->pages_bytes % PAGE != 0 || head->pages_bytes > head->file_bytes ||
        head->pages_off != head->file_bytes - head->pages_bytes)
        return fail(err, GBX_EFORMAT, "%s is damaged", name);
    return 0;
}

/* From here on nobody changes it under our hands: a lease, or a copy. */
static int hold(struct opened *opened, enum template_how how,
                struct gbx_error *err)
{
    int copy, rc;
    off_t off = 0;

    /* SIGURG, which is ignored: the default of a lease's end is to be killed.
     */
    if (how == TEMPLATE_BRIEF && fcntl(opened->fd, F_SETSIG, SIGURG) == 0 &&
        fcntl(opened->fd, F_SETLEASE, F_RDLCK) == 0)
        return 0;
    if ((rc = check_limit(opened->head.file_bytes, err)) < 0)
        return rc;
    copy = memfd_create("glovebox-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0)
        return fail(err, GBX_EHOST, "memory for a template");
    while ((uint64_t)off < opened->head.file_bytes) {
        ssize_t n = sendfile(copy, opened->fd, &off,
                             opened->head.file_bytes - (uint64_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = fail(err, GBX_EHOST, "copy a template");
            close(copy);
            return rc;
        }
    }
    fd_seal(copy, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    close_fd(&opened->fd);
    opened->fd = copy;
    return 0;
}

static int map_and_check(struct opened *opened, const char *name,
                         struct gbx_error *err)
{
    const struct head *head = &opened->head;
    XXH128_hash_t hash;

    opened->all = mmap(NULL, head->file_bytes, PROT_READ,
                       MAP_PRIVATE | MAP_POPULATE, opened->fd, 0);
    if (opened->all == MAP_FAILED) {
        opened->all = NULL;
        return fail(err, GBX_EHOST, "map %s", name);
    }
    hash = XXH3_128bits(opened->all + PAGE, head->file_bytes - PAGE);
    if (hash.low64 != head->checksum[0] || hash.high64 != head->checksum[1])
        return fail(err, GBX_EFORMAT, "%s is damaged", name);
    return 0;
}

static int read_parts(struct template *template, struct bytes_out *extra,
                      const struct opened *opened, const struct bytes_out *key,
                      struct gbx_error *err)
{
    struct bytes_in in = {opened->all + PAGE,
                          opened->all + PAGE + opened->head.meta_bytes, false};
    const void *block;
    size_t bytes;

    block = bytes_take_block(&in, &bytes);
    if (block == NULL || bytes != key->count ||
        memcmp(block, key->bytes, bytes) != 0)
        return fail(err, GBX_ESTALE, "it was made for something else");
    block = bytes_take_block(&in, &bytes);
    bytes_put(extra, block, bytes);
    template->last_call = (uint32_t)bytes_take_number(&in);
    load_region(&template->region, &in);
    bytes_take(&in, &template->channel, sizeof(template->channel));
    if (in.failed || extra->failed || !is_channel(&template->channel))
        return fail(err, GBX_EFORMAT, "its parts make no sense");
    return template->backend->load(&template->snapshot, &in, opened->fd,
                                   opened->head.pages_off, err);
}

static int open_file(struct opened *opened, int dir_fd, const char *name,
                     enum template_how how, struct gbx_error *err)
{
    struct stat st;
    int rc;

    opened->fd =
        openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (opened->fd < 0)
        return fail(err, errno == ENOENT ? GBX_EFILE : GBX_EHOST, "%s", name);
    if ((rc = check_owner(opened->fd, name, &st, err)) < 0 ||
        (rc = read_head(opened, name, &st, err)) < 0)
        return rc;
    if ((rc = hold(opened, how, err)) < 0)
        return rc;
    /* It may have been changed meanwhile. */
    if (fstat(opened->fd, &st) < 0 ||
        (uint64_t)st.st_size != opened->head.file_bytes)
        return fail(err, GBX_EFORMAT, "%s is damaged", name);
    return map_and_check(opened, name, err);
}

int template_load(struct template **template, struct bytes_out *extra,
                  const struct backend *backend, int dir_fd, const char *name,
                  const struct bytes_out *key, enum template_how how,
                  struct gbx_error *err)
{
    struct template *made = calloc(1, sizeof(*made));
    struct opened opened = {.fd = -1};
    int rc;

    *template = NULL;
    *extra = (struct bytes_out){0};
    if (made == NULL || backend->load == NULL) {
        free(made);
        return fail(err, GBX_EUNSUPPORTED, "no templates in files");
    }
    made->references = 1;
    made->backend = backend;
    rc = open_file(&opened, dir_fd, name, how, err);
    if (rc == 0)
        rc = read_parts(made, extra, &opened, key, err);
    drop(&opened);
    if (rc < 0) {
        bytes_out_fini(extra);
        template_put(made);
    } else {
        utimensat(dir_fd, name, NULL, 0); /* the last to be removed */
        *template = made;
    }
    return rc;
}
