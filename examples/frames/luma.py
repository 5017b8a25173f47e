# SPDX-License-Identifier: Apache-2.0
"""A frame in; its brightness, a histogram and a half-size grey picture out.

The frame is a PPM picture (RGB, three bytes a pixel), as cameras' drivers and
converters hand it over.  It lies in memory that the caller filled, and numpy
looks at it there.  The half-size picture is written where the caller reads it.
Nothing is copied on the way, however large the frame.
"""
import numpy as np

from glovebox import actor


def see_ppm(data):
    """The pixels of a P6 picture, height x width x 3, where they lie."""
    head = bytes(data[:64])
    fields = head.split(None, 4)[:4]  # P6, width, height, 255
    at = 0
    for field in fields:
        at = head.index(field, at) + len(field)
    if len(fields) < 4 or fields[0] != b"P6" or fields[3] != b"255":
        raise ValueError("the frame is no PPM picture (P6, 255)")
    width, height = int(fields[1]), int(fields[2])
    # One white space ends the head; the pixels follow.
    pixels = np.frombuffer(data, np.uint8, width * height * 3, at + 1)
    return pixels.reshape(height, width, 3)


def new_pgm(context, port, height, width):
    """A grey picture to be filled in place, and the message that holds it."""
    head = b"P5\n%d %d\n255\n" % (width, height)
    message = context.output_buffer(port, len(head) + height * width)
    message[: len(head)] = head
    pixels = np.frombuffer(message, np.uint8, offset=len(head))
    return message, pixels.reshape(height, width)


@actor(
    component="luma",
    description="Brightness, histogram and half-size grey picture of a frame",
    inports=["frame"],
    outports=["mean", "histogram", "half"],
)
def luma(context):
    rgb = see_ppm(context.get_input("frame"))
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    rgb = rgb[:height, :width]

    # ITU-R BT.601 weights in 1/256: 8-bit pixels stay exact in 16-bit sums.
    grey = np.multiply(rgb[..., 0], 77, dtype=np.uint16)
    grey += np.multiply(rgb[..., 1], 150, dtype=np.uint16)
    grey += np.multiply(rgb[..., 2], 29, dtype=np.uint16)
    grey >>= 8

    # A pixel of the small picture is the mean of four.
    message, half = new_pgm(context, "half", height // 2, width // 2)
    half[:] = (grey[::2, ::2] + grey[1::2, ::2]
               + grey[::2, 1::2] + grey[1::2, 1::2]) >> 2

    histogram = context.output_array("histogram", "u32", (256,))
    np.asarray(histogram)[:] = np.bincount(grey.ravel(), minlength=256)
    print(f"{width} x {height}, brightness {grey.mean():.1f} of 255")
    return {"mean": float(grey.mean()), "histogram": histogram, "half": message}
