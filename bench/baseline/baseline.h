/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baseline.h - what Glovebox replaces: the same script behind a WebSocket
 * server on loopback, spoken to in JSON-RPC 2.0.
 *
 *  baseline_open(&baseline, folder, "echo.py", BASELINE_BASE64, PLACE_ONE,
 * why); baseline_stream(baseline, data, bytes); baseline_answer(baseline,
 * &bytes); baseline_close(baseline);
 *
 * The server is a process of its own (baseline/server.py).  It ends when it is
 * told to, and by itself when we die: its standard input is a pipe from us.
 */
#ifndef BENCH_BASELINE_H
#define BENCH_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"

struct baseline;

/* How bytes travel in JSON. */
enum baseline_form {
    BASELINE_BASE64,
    BASELINE_ARRAY /* a number for each byte, as Reflow sends them */
};

#define BASELINE_WHY_BYTES 160

/*
 * folder: where baseline/server.py and scripts/ are.
 * Returns true and a baseline to close, else says why not.
 */
bool baseline_open(struct baseline **baseline, const char *folder,
                   const char *script, enum baseline_form form,
                   enum place place, char why[BASELINE_WHY_BYTES]);
void baseline_close(struct baseline *baseline); /* NULL is allowed */

/*
 * One call: the script's "in" is this, and its "out" is kept.
 * Returns false when the server is gone or its answer is not one.
 */
bool baseline_stream(struct baseline *baseline, const void *data, size_t bytes);
bool baseline_integer(struct baseline *baseline, int64_t value);

/* The last answer: bytes, borrowed until the next call; or the integer. */
const void *baseline_answer(const struct baseline *baseline, size_t *bytes);
int64_t baseline_answer_integer(const struct baseline *baseline);

#endif
