/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - records as the embedder is told of them.  Threads: any. */
#ifndef IMAGE_STORE_LIST_H
#define IMAGE_STORE_LIST_H

#include "image/store/record.h"

/* Borrowed from the record. */
void list_info(struct gbx_image_info *info, const struct record *record,
               const char *name);
/* fn may be NULL. */
void list_tell(const struct record *record, const char *name, gbx_image_fn fn,
               void *context);

#endif
