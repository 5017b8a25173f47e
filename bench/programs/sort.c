/* SPDX-License-Identifier: Apache-2.0 */
/* sort - 50 MB of numbers, by way of a copy of them (glibc's qsort). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES 50000000u
#define COUNT (BYTES / sizeof(uint64_t))

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

int main(void)
{
    uint64_t *numbers = malloc(BYTES), state = 88172645463325252u;

    if (numbers == NULL)
        return 1;
    for (size_t i = 0; i < COUNT; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers[i] = state;
    }
    qsort(numbers, COUNT, sizeof(*numbers), compare);
    printf("%llu\n", (unsigned long long)numbers[COUNT / 2]);
    free(numbers);
    return 0;
}
