/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "runtime/route/measure.h"

void measures_init(struct measures *measures)
{
    *measures = (struct measures){0};
    must(pthread_mutex_init(&measures->lock, NULL) == 0);
}

void measures_fini(struct measures *measures)
{
    while (measures->first != NULL) {
        struct measure_seen *seen = measures->first;

        must(seen->users == 0);
        measures->first = seen->next;
        free(seen);
    }
    pthread_mutex_destroy(&measures->lock);
}

/* FNV-1a: so that most paths are told apart by one comparison. */
static uint64_t hash_of(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *path != '\0'; path++)
        hash = (hash ^ (uint8_t)*path) * 0x100000001b3;
    return hash;
}

static struct measure_seen *find_locked(const struct measures *measures,
                                        const char *path, uint64_t hash)
{
    struct measure_seen *seen = measures->first;

    while (seen != NULL &&
           (seen->hash != hash || strcmp(seen->path, path) != 0))
        seen = seen->next;
    return seen;
}

/* The oldest that nobody has. */
static void drop_locked(struct measures *measures)
{
    struct measure_seen **last = NULL, *seen;

    for (struct measure_seen **at = &measures->first; *at != NULL;
         at = &(*at)->next)
        if ((*at)->users == 0)
            last = at;
    if (last == NULL)
        return;
    seen = *last;
    *last = seen->next;
    measures->count--;
    free(seen);
}

struct measure_seen *measure_get(struct measures *measures, const char *path)
{
    const uint64_t hash = hash_of(path);
    const size_t bytes = strlen(path) + 1;
    struct measure_seen *seen;

    pthread_mutex_lock(&measures->lock);
    seen = find_locked(measures, path, hash);
    if (seen == NULL) {
        if (measures->count >= MEASURE_PATHS_MAX)
            drop_locked(measures);
        seen = calloc(1, sizeof(*seen) + bytes);
        if (seen != NULL) {
            memcpy(seen->path, path, bytes);
            seen->hash = hash;
            seen->next = measures->first;
            measures->first = seen;
            measures->count++;
        }
    }
    if (seen != NULL)
        seen->users++;
    pthread_mutex_unlock(&measures->lock);
    return seen;
}

void measure_put(struct measures *measures, struct measure_seen *seen)
{
    if (seen == NULL)
        return;
    pthread_mutex_lock(&measures->lock);
    must(seen->users > 0);
    seen->users--;
    pthread_mutex_unlock(&measures->lock);
}
