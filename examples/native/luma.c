/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luma.c - a frame in; its brightness, a histogram and a half-size grey picture
 * out: what examples/frames/luma.py does, as a program without an interpreter.
 * The frame is looked at where the caller filled it; picture and histogram are
 * written where the caller reads them.
 *
 *   cc luma.c $(pkg-config --cflags --libs --static glovebox-native) -o luma
 *   glovebox run ./luma --in frame=@frame.ppm --out half=half.pgm
 */
#include <glovebox/native.h>
#include <stdio.h>
#include <string.h>

struct picture {
    const uint8_t *rgb;
    unsigned width, height;
};

static int see_ppm(struct picture *picture, const struct gbx_message *frame)
{
    char head[64] = "";
    int at = 0;

    memcpy(head, frame->body, frame->body_bytes < 63 ? frame->body_bytes : 63);
    /* One white space ends the head; the pixels follow. */
    if (sscanf(head, "P6 %u %u 255%n", &picture->width, &picture->height,
               &at) != 2 ||
        at == 0 || picture->width > 65535 || picture->height > 65535 ||
        frame->body_bytes <
            (size_t)at + 1 + 3 * (size_t)picture->width * picture->height)
        return -1;
    picture->rgb = (const uint8_t *)frame->body + at + 1;
    return 0;
}

/* ITU-R BT.601 weights in 1/256. */
static unsigned grey(const uint8_t *pixel)
{
    return (77u * pixel[0] + 150u * pixel[1] + 29u * pixel[2]) >> 8;
}

/* A pixel of the small picture is the mean of four.  Returns the sum of all. */
static double shrink(const struct picture *picture, uint8_t *half,
                     uint32_t *histogram)
{
    const size_t line = 3 * (size_t)picture->width;
    uint64_t sum = 0;

    for (unsigned y = 0; y + 1 < picture->height; y += 2)
        for (unsigned x = 0; x + 1 < picture->width; x += 2) {
            const uint8_t *p = picture->rgb + y * line + 3 * x;
            const unsigned four[] = {grey(p), grey(p + 3), grey(p + line),
                                     grey(p + line + 3)};
            unsigned all = 0;

            for (int i = 0; i < 4; i++) {
                histogram[four[i]]++;
                all += four[i];
            }
            *half++ = (uint8_t)(all >> 2);
            sum += all;
        }
    return (double)sum;
}

static int process(void *context, struct gbx_native_call *call)
{
    const struct gbx_array bins = {
        .dtype = GBX_DTYPE_U32, .rank = 1, .dims = {256}};
    struct gbx_message frame, histogram, half = {.type = GBX_STREAM};
    struct gbx_message mean = {.type = GBX_FLOAT};
    struct picture picture;
    unsigned width, height;
    void *counts, *room;
    int head, rc;

    (void)context;
    if (gbx_native_input(call, "frame", &frame) < 0 ||
        see_ppm(&picture, &frame) < 0)
        return gbx_native_fail(call, "ValueError",
                               "the frame is no PPM picture (P6, 255)");
    width = picture.width / 2;
    height = picture.height / 2;
    if ((rc = gbx_native_array(call, &bins, &counts, &histogram)) < 0 ||
        (rc = gbx_native_room(call, 32 + (size_t)width * height, &room)) < 0)
        return rc;
    memset(counts, 0, 256 * sizeof(uint32_t));
    head = sprintf(room, "P5\n%u %u\n255\n", width, height);
    mean.scalar.real = shrink(&picture, (uint8_t *)room + head, counts) /
                       (4.0 * width * height);
    half.body = room;
    half.body_bytes = (size_t)head + (size_t)width * height;
    if ((rc = gbx_native_send(call, "mean", &mean)) < 0 ||
        (rc = gbx_native_send(call, "histogram", &histogram)) < 0)
        return rc;
    return gbx_native_answer(call, "half", &half);
}

int main(void)
{
    static const char *const inports[] = {"frame", NULL};
    static const char *const outports[] = {"mean", "histogram", "half", NULL};
    static const struct gbx_native luma = {
        .struct_bytes = sizeof(luma),
        .component = "luma",
        .description =
            "Brightness, histogram and half-size grey picture of a frame",
        .inports = inports,
        .outports = outports,
        .process = process,
    };

    return gbx_native_serve(&luma);
}
