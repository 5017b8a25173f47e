/* SPDX-License-Identifier: Apache-2.0 */
/*
 * voice.c - what a script prints, on standard error; with --names, each line
 * under its name, so that who gathers them knows whose they are.
 *
 * A line is one write, and no longer than a pipe takes at once: lines of
 * different scripts never mix.  Calls of one script at a time may, within a
 * line that is written in pieces.
 */
#include <string.h>
#include <unistd.h>

#include "daemon/link/link.h"

static bool is_named;

void voice_names(void)
{
    is_named = true;
}

void voice_open(struct voice *voice, const char *name)
{
    size_t i = 0;

    *voice = (struct voice){.bytes = {0}};
    for (; name[i] != '\0' && i < sizeof(voice->name) - 1; i++)
        voice->name[i] =
            strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789_.-",
                   name[i]) != NULL
                ? name[i]
                : '_';
    voice->name[i] = '\0';
    pthread_mutex_init(&voice->lock, NULL);
}

void voice_close(struct voice *voice)
{
    voice_settle(voice);
    pthread_mutex_destroy(&voice->lock);
}

static void write_line(const struct voice *voice, const char *text,
                       size_t bytes)
{
    char line[sizeof(voice->name) + VOICE_LINE_BYTES + 4];
    const int count = snprintf(line, sizeof(line), "%s: %.*s\n", voice->name,
                               (int)bytes, text);

    (void)!write(STDERR_FILENO, line, (size_t)count);
}

/* The lines that are there; all: what is no whole line, too. */
static void write_lines(struct voice *voice, int which, bool all)
{
    char *from = voice->text[which], *end = from + voice->bytes[which], *at;

    while (from < end &&
           (at = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        write_line(voice, from, (size_t)(at - from));
        from = at + 1;
    }
    if (from < end && (all || end - from == VOICE_LINE_BYTES)) {
        write_line(voice, from, (size_t)(end - from));
        from = end;
    }
    voice->bytes[which] = (size_t)(end - from);
    memmove(voice->text[which], from, voice->bytes[which]);
}

/* It may lie where the script can still write it: copied, and then looked at.
 * A zero would end the line. */
static void add(struct voice *voice, int which, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const size_t room = VOICE_LINE_BYTES - voice->bytes[which],
                     some = bytes < room ? bytes : room;
        char *to = voice->text[which] + voice->bytes[which];

        memcpy(to, text, some);
        for (size_t i = 0; i < some; i++)
            to[i] = to[i] == '\0' ? '?' : to[i];
        voice->bytes[which] += some;
        text += some;
        bytes -= some;
        write_lines(voice, which, false);
    }
}

void voice_print(void *context, int stream, const void *text, size_t bytes)
{
    struct voice *voice = context;

    printed_add(text, bytes);
    if (link_print(stream, text, bytes))
        return;
    if (!is_named) {
        fwrite(text, 1, bytes, stderr);
        return;
    }
    pthread_mutex_lock(&voice->lock);
    add(voice, stream == 2, text, bytes);
    pthread_mutex_unlock(&voice->lock);
}

void voice_settle(struct voice *voice)
{
    pthread_mutex_lock(&voice->lock);
    write_lines(voice, 0, true);
    write_lines(voice, 1, true);
    pthread_mutex_unlock(&voice->lock);
}
