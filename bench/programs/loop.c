/* SPDX-License-Identifier: Apache-2.0 */
/* loop - arithmetic in registers, no memory. */
#include <stdint.h>
#include <stdio.h>

#define TURNS 900000000u

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;

    for (uint32_t i = 0; i < TURNS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += state * 3;
    }
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
