/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rejections.c - promises that were rejected while nobody listened.
 *
 * The engine tells of them by a function pointer in its runtime's struct, which
 * the package has no function to set.  So it is set here: our function goes to
 * a new place in the module's table, and the place's number into the struct.
 * rejections_check tries it out.
 */
#include <stdio.h>
#include <string.h>

#include "engine.h"

/* In JSRuntime; read off the code that calls it. */
#define TRACKER_OFF 180u

#define UNHEARD_MAX 64u

static struct {
    uint32_t promise; /* its object's address; the reason keeps nothing of it */
    js_value reason;  /* owned */
} unheard[UNHEARD_MAX];

static uint32_t count;

static void forget(uint32_t index)
{
    js_free(unheard[index].reason);
    unheard[index] = unheard[--count];
}

void rejections_forget(js_value promise)
{
    uint32_t address;

    memcpy(&address, engine_at(promise), sizeof(address));
    for (uint32_t i = 0; i < count; i++)
        if (unheard[i].promise == address) {
            forget(i);
            return;
        }
}

/* Is told at a rejection, and again when somebody listens after all. */
void rejections_track(uint64_t promise, uint64_t reason, bool is_heard)
{
    uint32_t handle;

    for (uint32_t i = 0; i < count; i++)
        if (unheard[i].promise == (uint32_t)promise) {
            forget(i);
            break;
        }
    if (is_heard || count == UNHEARD_MAX || (handle = engine_take(8)) == 0)
        return;
    memcpy(engine_at(handle), &reason, sizeof(reason));
    unheard[count].promise = (uint32_t)promise;
    unheard[count++].reason = js_dup(handle);
    engine_give(handle);
}

js_value rejections_take(void)
{
    js_value first = count > 0 ? js_dup(unheard[0].reason) : JS_NONE;

    while (count > 0)
        forget(0);
    return first;
}

int rejections_check(uint32_t place)
{
    static const char text[] = "void Promise.reject(7)";
    js_value answer;
    bool is_told;

    memcpy(engine_at(engine.places.runtime + TRACKER_OFF), &place,
           sizeof(place));
    answer = js_evaluate(text, sizeof(text) - 1, "glovebox", 0);
    js_free(answer);
    answer = rejections_take();
    is_told = answer != JS_NONE && js_integer(answer) == 7;
    js_free(answer);
    if (is_told)
        return 0;
    fprintf(stderr, "glovebox-js: rejections are not told of\n");
    return -1;
}
