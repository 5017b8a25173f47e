/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store/list.h"
#include "image/store/names.h"

void list_tell(const struct record *record, const char *name, gbx_image_fn fn,
               void *context)
{
    struct gbx_image_info info;

    list_info(&info, record, name);
    if (fn != NULL)
        fn(context, &info);
}

void list_info(struct gbx_image_info *info, const struct record *record,
               const char *name)
{
    *info = (struct gbx_image_info){.name = name,
                                    .from = record->name,
                                    .digest = record->digest,
                                    .platform = record->platform,
                                    .layers = record->layer_count,
                                    .pulled_s = record->pulled_s};
    for (uint32_t i = 0; i < record->layer_count; i++)
        info->packed_bytes += record->layers[i].bytes;
}

int gbx_images_list(struct gbx_images *images, gbx_image_fn fn, void *context,
                    struct gbx_error *err)
{
    struct records records = {0};
    struct names names = {0};
    int rc = records_read(&records, images, err);

    if (rc == 0)
        rc = names_read(&names, images, err);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        const struct record *record =
            records_find(&records, names.all[i].digest);

        if (record != NULL)
            list_tell(record, names.all[i].name, fn, context);
    }
    for (size_t i = 0; rc == 0 && i < records.count; i++)
        if (!names_mean(&names, records.all[i].digest))
            list_tell(&records.all[i], NULL, fn, context);
    names_fini(&names);
    records_fini(&records);
    return rc;
}
