// SPDX-License-Identifier: Apache-2.0
// A frame in; its brightness, a histogram and a half-size grey picture out: the
// same as luma.py, in JavaScript.  The frame is looked at where the caller
// filled it, and the picture is written where the caller reads it.

// The pixels of a P6 picture: their place, width and height.
function seePPM(data) {
    const head = new TextDecoder().decode(data.subarray(0, 64));
    const fields = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(head);
    if (fields === null)
        throw new Error("the frame is no PPM picture (P6, 255)");
    const [whole, width, height] = fields;
    return { pixels: data.subarray(whole.length), width: Number(width),
             height: Number(height) };
}

// A grey picture to be filled in place, and the message that holds it.
function newPGM(context, port, width, height) {
    const head = new TextEncoder().encode(`P5\n${width} ${height}\n255\n`);
    const message = context.outputBuffer(port, head.length + width * height);
    message.set(head);
    return { message, pixels: message.subarray(head.length) };
}

module.exports = actor({
    component: "luma",
    description: "Brightness, histogram and half-size grey picture of a frame",
    inports: ["frame"],
    outports: ["mean", "histogram", "half"],
}, context => {
    const { pixels: rgb, width, height } = seePPM(context.getInput("frame"));
    const columns = width >> 1, rows = height >> 1;
    const { message, pixels: half } = newPGM(context, "half", columns, rows);
    const histogram = context.outputArray("histogram", "u32", 256).fill(0);
    let sum = 0;

    // ITU-R BT.601 weights in 1/256; a pixel of the small picture is the mean
    // of four.
    const grey = at => 77 * rgb[at] + 150 * rgb[at + 1] + 29 * rgb[at + 2] >> 8;
    for (let row = 0, to = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
            const at = 3 * (2 * row * width + 2 * column), below = at + 3 * width;
            const a = grey(at), b = grey(at + 3);
            const c = grey(below), d = grey(below + 3);
            histogram[a]++;
            histogram[b]++;
            histogram[c]++;
            histogram[d]++;
            half[to++] = a + b + c + d >> 2;
            sum += a + b + c + d;
        }
    const mean = sum / (4 * columns * rows);
    console.log(`${2 * columns} x ${2 * rows}, brightness ${mean.toFixed(1)} of 255`);
    return { mean: Message.float(mean), histogram, half: message };
});
