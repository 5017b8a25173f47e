/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.c - three pieces of work, compiled for this machine and as
 * WebAssembly: bytes of a picture, numbers, memory that is not read in order.
 * Each returns a number that depends on all of it.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

#define WIDTH  512
#define HEIGHT 512

static uint8_t from[WIDTH * HEIGHT], to[WIDTH * HEIGHT];

static void blur_once(void)
{
    for (int y = 1; y < HEIGHT - 1; y++)
        for (int x = 1; x < WIDTH - 1; x++) {
            unsigned sum = 0;

            for (int j = -1; j <= 1; j++)
                for (int i = -1; i <= 1; i++)
                    sum += (unsigned)(from[(y + j) * WIDTH + x + i] *
                                      ((i == 0) + 1) * ((j == 0) + 1));
            to[y * WIDTH + x] = (uint8_t)(sum >> 4);
        }
}

EXPORT(kernel_blur) uint32_t kernel_blur(uint32_t rounds)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < sizeof(from); i++)
        from[i] = (uint8_t)(i * 2654435761u >> 13);
    while (rounds-- > 0) {
        blur_once();
        memcpy(from, to, sizeof(from));
    }
    for (uint32_t i = 0; i < sizeof(from); i++)
        sum = sum * 31 + from[i];
    return sum;
}

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static void pull(struct body *a, struct body *b)
{
    double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
    double square = dx * dx + dy * dy + dz * dz + 0.01;
    double force = 0.001 / (square * sqrt(square));

    a->vx -= dx * b->mass * force;
    a->vy -= dy * b->mass * force;
    a->vz -= dz * b->mass * force;
    b->vx += dx * a->mass * force;
    b->vy += dy * a->mass * force;
    b->vz += dz * a->mass * force;
}

EXPORT(kernel_bodies) uint32_t kernel_bodies(uint32_t steps)
{
    static struct body all[5];

    for (int i = 0; i < 5; i++)
        all[i] = (struct body){i * 1.1,       i * 0.7 - 1, i * 0.3,    0.1 * i,
                               0.2 - 0.1 * i, 0.05 * i,    1 + i * 0.1};
    while (steps-- > 0) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++)
                pull(&all[i], &all[j]);
        for (int i = 0; i < 5; i++) {
            all[i].x += 0.001 * all[i].vx;
            all[i].y += 0.001 * all[i].vy;
            all[i].z += 0.001 * all[i].vz;
        }
    }
    return (uint32_t)(int32_t)(all[0].x * 1e6);
}

#define NUMBERS (1 << 18)

static uint32_t numbers[NUMBERS];

static void sort(uint32_t *v, int low, int high)
{
    while (low < high) {
        uint32_t pivot = v[(low + high) / 2];
        int i = low, j = high;

        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t other = v[i];

                v[i++] = v[j];
                v[j--] = other;
            }
        }
        if (j - low < high - i) {
            sort(v, low, j);
            low = i;
        } else {
            sort(v, i, high);
            high = j;
        }
    }
}

EXPORT(kernel_sort) uint32_t kernel_sort(uint32_t rounds)
{
    uint32_t sum = 0, x;

    for (uint32_t round = 0; round < rounds; round++) {
        x = 12345 + round;
        for (int i = 0; i < NUMBERS; i++)
            numbers[i] = x = x * 1664525 + 1013904223;
        sort(numbers, 0, NUMBERS - 1);
        for (int i = 0; i < NUMBERS; i += 100)
            sum = sum * 31 + numbers[i];
    }
    return sum;
}

EXPORT(kernel_nothing) uint32_t kernel_nothing(uint32_t value)
{
    return value + 1;
}
