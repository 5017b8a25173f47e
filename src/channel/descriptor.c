/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/descriptor.h"

#define FLAGS_KNOWN (GBX_HAS_MESSAGE | GBX_LONG_NAME | GBX_IS_ERROR | GBX_TYPED)

static bool may_send(enum channel_side side, unsigned kind)
{
    switch (kind) {
#define X(name, value, from, what)                                             \
    case GBX_KIND_##name:                                                      \
        return side == ((from)[0] == 'h' ? CHANNEL_HOST : CHANNEL_GUEST);
        GBX_KINDS(X)
#undef X
    }
    return false;
}

static bool has_place(const struct gbx_descriptor *descriptor)
{
    return descriptor->body_off != 0 || descriptor->body_bytes != 0 ||
           descriptor->name_bytes != 0;
}

int descriptor_check(const struct gbx_descriptor *descriptor,
                     enum channel_side from)
{
    const struct gbx_descriptor *d = descriptor;
    const bool is_long = (d->flags & GBX_LONG_NAME) != 0;

    if (!may_send(from, d->kind) || d->type >= GBX_TYPE_COUNT)
        return GBX_EFORMAT;
    if ((d->flags & ~FLAGS_KNOWN) != 0)
        return GBX_EFORMAT;
    if (d->zero[0] != 0 || d->zero[1] != 0)
        return GBX_EFORMAT;
    if (is_long ? d->name_bytes == 0 : d->name_bytes > GBX_NAME_INLINE_MAX)
        return GBX_EFORMAT;

    /* Whoever sees no message would not give its block back. */
    if ((d->kind == GBX_KIND_CALL || d->kind == GBX_KIND_DONE) &&
        (d->flags & GBX_HAS_MESSAGE) == 0 && has_place(d))
        return GBX_EFORMAT;
    return 0;
}
