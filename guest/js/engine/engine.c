/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - the engine's start. */
#include "engine.h"

#define I (&engine.instance)

struct engine engine;

/* What is evaluated is told to the engine in memory of its own. */
uint32_t engine_take(size_t bytes)
{
    return bytes < engine.heap_max ? engine_malloc(I, (uint32_t)bytes) : 0;
}

void engine_give(uint32_t address)
{
    engine_free(I, address);
}

int engine_boot(void)
{
    const uint32_t tracker = table_open();
    struct engine_places *p = &engine.places;

    engine_start(I);
    p->runtime = QTS_NewRuntime(I);
    p->context = p->runtime != 0 ? QTS_NewContext(I, p->runtime, 0) : 0;
    p->scratch = engine_take(ENGINE_SCRATCH_BYTES);
    p->last_job = engine_take(4);
    if (tracker == 0 || p->context == 0 || p->scratch == 0 || p->last_job == 0)
        return -1;
    p->undefined = QTS_GetUndefined(I);
    p->null = QTS_GetNull(I);
    p->no = QTS_GetFalse(I);
    p->yes = QTS_GetTrue(I);
    QTS_RuntimeEnableModuleLoader(I, p->runtime, 1);
    return value_check() < 0 || buffer_check() < 0 ||
                   rejections_check(tracker) < 0
               ? -1
               : 0;
}
