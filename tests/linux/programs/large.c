/* SPDX-License-Identifier: Apache-2.0 */
/* large.c - more memory than a small limit allows, before main. */
#define LARGE_BYTES (64u << 20)

static volatile char zeros[LARGE_BYTES];

int main(int argc, char **argv)
{
    (void)argv;
    zeros[(unsigned)argc] = 1;
    return zeros[(unsigned)argc] - 1;
}
