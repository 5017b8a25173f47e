/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blur.c - a filter of pictures as WebAssembly: a PGM (P5, 8 bits) in, the same
 * blurred out.
 *
 *  clang-14 --target=wasm32-wasi -O2 $(pkg-config --cflags --libs
 *      glovebox-wasm) blur.c -o blur.wasm
 *  glovebox run blur.wasm --in image=@picture.pgm --out blurred=blurred.pgm
 *
 * The picture is read where the caller put it, and written where the caller
 * will read it: two rows at a time are all that is copied.
 */
#include <glovebox/native.h>

#include <stdio.h>
#include <string.h>

#define WIDTH_MAX 16384

struct picture {
    unsigned width, height;
    const unsigned char *pixels;
    size_t head; /* bytes before them */
};

static int read_picture(struct picture *picture, const unsigned char *bytes,
                        size_t count)
{
    char head[64];
    unsigned most;
    int at = 0;

    memset(head, 0, sizeof(head));
    memcpy(head, bytes, count < sizeof(head) - 1 ? count : sizeof(head) - 1);
    if (sscanf(head, "P5 %u %u %u%n", &picture->width, &picture->height, &most,
               &at) != 3 ||
        most != 255 || picture->width == 0 || picture->width > WIDTH_MAX ||
        picture->height == 0)
        return -1;
    picture->head = (size_t)at + 1;
    picture->pixels = bytes + picture->head;
    return (size_t)picture->width * picture->height + picture->head <= count
               ? 0
               : -1;
}

/* Three rows of sums of three, weighted 1 2 1. */
static void sum_row(unsigned short *to, const unsigned char *from,
                    unsigned width)
{
    static unsigned char row[WIDTH_MAX];

    memcpy(row, from, width);
    for (unsigned x = 0; x < width; x++) {
        unsigned left = row[x > 0 ? x - 1 : 0];
        unsigned right = row[x + 1 < width ? x + 1 : x];

        to[x] = (unsigned short)(left + 2u * row[x] + right);
    }
}

static void blur(unsigned char *to, const struct picture *picture)
{
    static unsigned short sums[3][WIDTH_MAX];
    static unsigned char row[WIDTH_MAX];
    const unsigned width = picture->width, height = picture->height;

    sum_row(sums[0], picture->pixels, width);
    memcpy(sums[2], sums[0], width * sizeof(sums[0][0]));
    for (unsigned y = 0; y < height; y++) {
        const unsigned short *here = sums[y % 3], *above = sums[(y + 2) % 3];
        unsigned short *below = sums[(y + 1) % 3];
        unsigned next = y + 1 < height ? y + 1 : y;

        sum_row(below, picture->pixels + (size_t)next * width, width);
        for (unsigned x = 0; x < width; x++)
            row[x] =
                (unsigned char)((above[x] + 2u * here[x] + below[x] + 8) / 16);
        memcpy(to + (size_t)y * width, row, width);
    }
}

static int process(void *context, struct gbx_native_call *call)
{
    struct gbx_message in, out = {.type = GBX_STREAM};
    struct picture picture;
    unsigned char *room;
    void *place;
    int rc;

    (void)context;
    if (gbx_native_input(call, "image", &in) < 0 || in.type != GBX_STREAM)
        return gbx_native_fail(call, "TypeError", "a picture is expected");
    if (read_picture(&picture, in.body, in.body_bytes) < 0)
        return gbx_native_fail(call, "ValueError",
                               "not a PGM of 8 bits (P5), at most %d wide",
                               WIDTH_MAX);
    out.body_bytes = picture.head + (size_t)picture.width * picture.height;
    if ((rc = gbx_native_room(call, out.body_bytes, &place)) < 0)
        return rc;
    room = place;
    memcpy(room, in.body, picture.head);
    blur(room + picture.head, &picture);
    out.body = room;
    return gbx_native_answer(call, "blurred", &out);
}

int main(void)
{
    static const char *const inports[] = {"image", NULL};
    static const char *const outports[] = {"blurred", NULL};
    static const struct gbx_native me = {.struct_bytes = sizeof(me),
                                         .component = "blur",
                                         .description = "Blurs a picture.",
                                         .inports = inports,
                                         .outports = outports,
                                         .process = process};

    return gbx_native_serve(&me);
}
