/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptor.h - is a descriptor one that this side may send?  Threads: any.
 */
#ifndef CHANNEL_DESCRIPTOR_H
#define CHANNEL_DESCRIPTOR_H

#include "glovebox/abi/message.h"

#include "channel/channel.h"

/*
 * The form of a private copy: kind, type, flags, name.  Not the places: those
 * depend on the arenas.  Returns 0 or GBX_EFORMAT.
 */
int descriptor_check(const struct gbx_descriptor *descriptor,
                     enum channel_side from);

#endif
