/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - a message as one CBOR item, and one as a message.
 *
 * Threads: any.  Memory: what is read borrows the bytes.
 */
#ifndef FLOW_NODE_VALUE_H
#define FLOW_NODE_VALUE_H

#include "glovebox/message.h"

/* What is no null, scalar, text or bytes is an item already. */
void node_value_build(struct gbx_builder *b, const struct gbx_message *value);

/* The item that begins there; used: how long it is, or NULL.  Returns 0, or
 * gbx_read's code. */
int node_value_read(struct gbx_message *value, const uint8_t *bytes,
                    size_t count, size_t *used);

#endif
