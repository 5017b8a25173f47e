/* SPDX-License-Identifier: Apache-2.0 */
/* frame_fuzz.c - any bytes as a frame's head: what is read is written again as
 * it was. */
#include <string.h>

#include "base/check.h"
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    uint8_t head[FRAME_HEAD_MAX];
    struct frame frame;
    const char *what = NULL;
    int bytes = frame_read(&frame, data, count, &what);

    must(bytes >= -1 && bytes <= (int)count && (bytes != -1 || what != NULL));
    if (bytes <= 0)
        return 0;
    must(frame_write(&frame, head) == (size_t)bytes);
    must(memcmp(head, data, (size_t)bytes) == 0);
    return 0;
}
