/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - SipHash-1-3 of a name in a place, under a secret key: who chooses
 * the names cannot choose where they collide.  Threads: any.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint64_t hash_turn(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static inline void hash_mix(uint64_t v[4], unsigned rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = hash_turn(v[1], 13) ^ v[0];
        v[0] = hash_turn(v[0], 32);
        v[2] += v[3];
        v[3] = hash_turn(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = hash_turn(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = hash_turn(v[1], 17) ^ v[2];
        v[2] = hash_turn(v[2], 32);
    }
}

static inline uint64_t hash_name(const uint64_t key[2], uint64_t place,
                                 const char *name)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    size_t left = strlen(name);
    uint64_t word = place;

    for (;;) {
        v[3] ^= word;
        hash_mix(v, 1);
        v[0] ^= word;
        if (left == SIZE_MAX)
            break;
        word = 0;
        if (left >= sizeof(word)) {
            memcpy(&word, name, sizeof(word));
            name += sizeof(word), left -= sizeof(word);
        } else {
            memcpy(&word, name, left);
            word |= (uint64_t)(left + 1) << 56;
            left = SIZE_MAX;
        }
    }
    v[2] ^= 0xff;
    hash_mix(v, 3);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
