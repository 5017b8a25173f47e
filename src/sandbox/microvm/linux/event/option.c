/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/option.h"

#define BUFFER_MAX 212992 /* Linux's rmem_max and wmem_max */

enum rule {
    READ_ONLY,
    FLAG,   /* 0 or 1 */
    BUFFER, /* doubled, between a floor and twice BUFFER_MAX */
    NUMBER, /* from 0 to `limit` */
};

static const struct {
    int name;
    enum rule rule;
    int first, limit;
} table[OPTION_COUNT] = {
    {SO_DOMAIN, READ_ONLY, AF_UNIX, 0},
    {SO_PROTOCOL, READ_ONLY, 0, 0},
    {SO_ACCEPTCONN, READ_ONLY, 0, 0},
    {SO_RCVLOWAT, READ_ONLY, 1, 0},
    {SO_SNDLOWAT, READ_ONLY, 1, 0},
    {SO_REUSEADDR, FLAG, 0, 0},
    {SO_REUSEPORT, FLAG, 0, 0},
    {SO_KEEPALIVE, FLAG, 0, 0},
    {SO_BROADCAST, FLAG, 0, 0},
    {SO_OOBINLINE, FLAG, 0, 0},
    {SO_PRIORITY, NUMBER, 0, 6},
    {SO_SNDBUF, BUFFER, EVENT_SOCKET_BYTES, 4608},
    {SO_RCVBUF, BUFFER, EVENT_SOCKET_BYTES, 2304},
};

static int find(int name)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (table[i].name == name)
            return i;
    return -ENOPROTOOPT;
}

void options_init(struct options *options)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        options->values[i] = table[i].first;
}

int options_get(const struct options *options, int name, int *value)
{
    int index = find(name);

    if (index < 0)
        return index;
    *value = options->values[index];
    return 0;
}

int options_set(struct options *options, int name, int value)
{
    int index = find(name);

    if (index < 0)
        return index;
    switch (table[index].rule) {
    case READ_ONLY:
        return -ENOPROTOOPT;
    case FLAG:
        value = value != 0;
        break;
    case NUMBER:
        if (value < 0 || value > table[index].limit)
            return -EPERM;
        break;
    case BUFFER:
        if (value < 0 || value > BUFFER_MAX) /* Linux compares unsigned */
            value = BUFFER_MAX;
        value *= 2;
        if (value < table[index].limit)
            value = table[index].limit;
        break;
    }
    options->values[index] = value;
    return 0;
}
