/* SPDX-License-Identifier: Apache-2.0 */
/* troubles.c - what went wrong lately.  One that fails again and again takes
 * its own place, and not that of all others. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/dashboard/dashboard.h"

#define TROUBLES_MAX 50u
#define OF_ONE_MAX   10u /* of an actor */

struct trouble {
    uint64_t number, at_ms;
    int code;
    char actor[128], what[GBX_ERROR_TEXT_MAX], traceback[4000];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct trouble all[TROUBLES_MAX];
static uint64_t last; /* number; the first is 1, and 0 there is none */

/* Of as much as there is room for; no letter is cut. */
static void copy(char *to, size_t room, const char *text)
{
    size_t bytes = strnlen(text != NULL ? text : "", room);

    if (bytes == room) {
        bytes = room - 1;
        while (bytes > 0 && (text[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    if (bytes > 0)
        memcpy(to, text, bytes);
    to[bytes] = '\0';
}

/* Of a traceback the end says most. */
static void copy_end(char *to, size_t room, const char *text)
{
    const size_t bytes = strlen(text != NULL ? text : "");

    if (bytes >= room) {
        text += bytes - (room - 1) + strlen("...\n");
        while ((*text & 0xc0) == 0x80)
            text++;
        memcpy(to, "...\n", 4);
        to += 4;
        room -= 4;
    }
    copy(to, room, text);
}

/* The oldest of all, or of the same actor's, if it has enough. */
static struct trouble *place_locked(const char *actor)
{
    struct trouble *oldest = &all[0], *own = NULL;
    unsigned count = 0;

    for (size_t i = 0; i < TROUBLES_MAX; i++) {
        if (all[i].number < oldest->number)
            oldest = &all[i];
        if (all[i].number == 0 || strcmp(all[i].actor, actor) != 0)
            continue;
        count++;
        if (own == NULL || all[i].number < own->number)
            own = &all[i];
    }
    return count >= OF_ONE_MAX ? own : oldest;
}

void trouble_note(const char *actor, int code, const char *what,
                  const char *traceback)
{
    char name[sizeof(all[0].actor)];
    struct timespec now;
    struct trouble *one;

    copy(name, sizeof(name), actor);
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&lock);
    one = place_locked(name);
    one->number = ++last;
    one->at_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    one->code = code;
    copy(one->actor, sizeof(one->actor), name);
    copy(one->what, sizeof(one->what), what);
    copy_end(one->traceback, sizeof(one->traceback), traceback);
    pthread_mutex_unlock(&lock);
}

json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    char *plain;

    if (json != NULL)
        return json;
    plain = strdup(text);
    for (char *at = plain; at != NULL && *at != '\0'; at++)
        if ((*at & 0x80) != 0)
            *at = '?';
    json = json_string(plain != NULL ? plain : "?");
    free(plain);
    return json;
}

static int compare(const void *a, const void *b)
{
    const struct trouble *const *one = a, *const *other = b;

    return ((*one)->number > (*other)->number) -
           ((*one)->number < (*other)->number);
}

static json_t *tell(const struct trouble *one)
{
    return json_pack("{s:I,s:I,s:o,s:s,s:o,s:o}", "number",
                     (json_int_t)one->number, "at_ms", (json_int_t)one->at_ms,
                     "actor", text_json(one->actor), "code",
                     gbx_error_name(one->code), "message", text_json(one->what),
                     "traceback", text_json(one->traceback));
}

json_t *troubles_list(uint64_t after)
{
    const struct trouble *some[TROUBLES_MAX];
    json_t *list = json_array();
    size_t count = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < TROUBLES_MAX; i++)
        if (all[i].number > after)
            some[count++] = &all[i];
    qsort(some, count, sizeof(some[0]), compare);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, tell(some[i]));
    pthread_mutex_unlock(&lock);
    return list;
}
