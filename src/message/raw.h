/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h - which bodies are only passed on: nobody on the way parses them, so
 * they may stay where their writer can still change them. */
#ifndef MESSAGE_RAW_H
#define MESSAGE_RAW_H

#include "glovebox/message.h"

static inline bool message_is_raw(const struct gbx_message *message)
{
    return message->type == GBX_STREAM || message->type == GBX_ENCODED ||
           (message->flags & GBX_TYPED) != 0;
}

#endif
