/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - bytes as JSON text, as quick as tables make it, so that the
 * baseline is measured and not its client.
 */
#ifndef BENCH_CODEC_H
#define BENCH_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* Room for the text of `bytes` bytes, in either form. */
static inline size_t codec_room(size_t bytes)
{
    return bytes * 4 + 8;
}

void codec_init(void);

/* Each returns how many it wrote.  With the quotes, with the brackets. */
size_t codec_base64(char *text, const uint8_t *data, size_t bytes);
size_t codec_array(char *text, const uint8_t *data, size_t bytes);

/*
 * And back, from a text that is that and nothing else; data has room for as
 * many bytes as the text has.  Returns the bytes, or -1.
 */
long long codec_from_base64(uint8_t *data, const char *text, size_t length);
long long codec_from_array(uint8_t *data, const char *text, size_t length);

#endif
