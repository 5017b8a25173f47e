/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "sandbox/microvm/linux/space/user.h"

/* May the host touch it?  Memory files of the region end somewhere. */
static bool touchable(const struct space *space, uint64_t physical,
                      uint64_t bytes)
{
    for (size_t i = 0; i < 2; i++) {
        const struct space_window *window = &space->windows[i];

        if (physical - window->at < window->bytes)
            return physical - window->at + bytes <= window->touchable(window);
    }
    return true;
}

/* One page at most; *bytes is cut to it.  NULL where it may not be. */
static void *reach(struct space *space, uint64_t address, unsigned access,
                   uint64_t *bytes)
{
    uint64_t left = SPACE_PAGE_BYTES - address % SPACE_PAGE_BYTES;
    uint64_t physical;

    if (address >= TABLES_USER_END)
        return NULL;
    if (*bytes > left)
        *bytes = left;
    access |= TABLES_READ | TABLES_USER;
    if (tables_translate(&space->tables, address, access, &physical) < 0 &&
        (space_fault(space, address, access & ~(unsigned)TABLES_USER) < 0 ||
         tables_translate(&space->tables, address, access, &physical) < 0))
        return NULL;
    if (!touchable(space, physical, *bytes))
        return NULL;
    return memory_host(space->memory, physical, *bytes);
}

int user_read(struct space *space, void *to, uint64_t address, size_t bytes)
{
    for (uint64_t part; bytes > 0; bytes -= part) {
        const void *from;

        part = bytes;
        if ((from = reach(space, address, TABLES_READ, &part)) == NULL)
            return -EFAULT;
        memcpy(to, from, part);
        to = (char *)to + part;
        address += part;
    }
    return 0;
}

int user_write(struct space *space, uint64_t address, const void *from,
               size_t bytes)
{
    for (uint64_t part; bytes > 0; bytes -= part) {
        void *to;

        part = bytes;
        if ((to = reach(space, address, TABLES_WRITE, &part)) == NULL)
            return -EFAULT;
        memcpy(to, from, part);
        from = (const char *)from + part;
        address += part;
    }
    return 0;
}

int user_zero(struct space *space, uint64_t address, size_t bytes)
{
    for (uint64_t part; bytes > 0; bytes -= part) {
        void *to;

        part = bytes;
        if ((to = reach(space, address, TABLES_WRITE, &part)) == NULL)
            return -EFAULT;
        memset(to, 0, part);
        address += part;
    }
    return 0;
}

int64_t user_string(struct space *space, char *to, size_t room,
                    uint64_t address)
{
    size_t have = 0;

    while (have < room) {
        uint64_t part = room - have;
        const char *from = reach(space, address + have, TABLES_READ, &part);

        if (from == NULL)
            return -EFAULT;
        memcpy(to + have, from, part);
        from = memchr(to + have, '\0', part);
        if (from != NULL)
            return from - to;
        have += part;
    }
    return -ENAMETOOLONG;
}

int user_pieces(struct space *space, uint64_t address, uint64_t bytes,
                unsigned access, struct iovec *pieces, int max,
                uint64_t *reached)
{
    int count = 0;

    *reached = 0;
    while (*reached < bytes) {
        uint64_t part = bytes - *reached;
        char *host = reach(space, address + *reached, access, &part);

        if (host == NULL)
            break;
        if (count > 0 &&
            (char *)pieces[count - 1].iov_base + pieces[count - 1].iov_len ==
                host)
            pieces[count - 1].iov_len += part;
        else if (count < max)
            pieces[count++] = (struct iovec){.iov_base = host, .iov_len = part};
        else
            break;
        *reached += part;
    }
    return count == 0 && bytes > 0 ? -EFAULT : count;
}

int user_word(struct space *space, uint64_t address, unsigned access,
              uint64_t *key, void **host)
{
    uint64_t bytes = sizeof(uint32_t);
    const struct area *area;

    if (address % sizeof(uint32_t) != 0)
        return -EINVAL;
    *host = reach(space, address, access, &bytes);
    if (*host == NULL ||
        tables_translate(&space->tables, address, TABLES_READ, key) < 0)
        return -EFAULT;
    area = space_find(space, address);
    if (area != NULL && area->kind < AREA_SHARED)
        *key = address | USER_WORD_PRIVATE;
    return 0;
}
