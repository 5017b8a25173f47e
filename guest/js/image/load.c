/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "image/image.h"

int image_load(void)
{
    const uint8_t *from = image_bytes;

    if (!engine_grow(image_head.memory_bytes))
        return -1;
    for (uint32_t i = 0; i < image_head.page_count; i++) {
        memcpy(engine_at(image_pages[i] * IMAGE_PAGE_BYTES), from,
               IMAGE_PAGE_BYTES);
        from += IMAGE_PAGE_BYTES;
    }
    program.prelude = image_head.prelude;
    return engine_resume(&image_head.places);
}
