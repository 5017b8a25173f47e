/* SPDX-License-Identifier: Apache-2.0 */
/*
 * story.h - tests that run real scripts through the public API, whatever the
 * isolation: GLOVEBOX_TEST_ISOLATION chooses it (process, microvm, wasm or
 * remote), and with GLOVEBOX_TEST_CLONES a process is a zygote's copy, so that
 * one list of tests serves them all.
 *
 * A test opens a script from its text, calls it, and looks at what comes out.
 * What a script printed is gathered in story.printed.
 */
#ifndef STORY_H
#define STORY_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "glovebox/runtime.h"

struct story {
    struct gbx_runtime *runtime;
    struct gbx_script_config config; /* of the next script */
    struct gbx_error err;
    char folder[64];  /* where scripts are written; removed at the end */
    const char *name; /* of scripts' files: story.py, or as a test sets it */
    char printed[2][1 << 16];
    size_t printed_bytes[2];    /* all, also what did not fit */
    struct gbx_script *open[8]; /* closed at the end where a test failed */
};

/* Setup and teardown of every test. Teardown fails the test when a process, a
 * descriptor or a file was left behind. */
int story_begin(void **state);
int story_end(void **state);

/* Open a script of this text; fails the test when it cannot. */
struct gbx_script *story_open(struct story *s, const char *text);

/* The same, and return the code instead of failing. */
int story_try(struct story *s, const char *text, struct gbx_script **script);

void story_close(struct story *s, struct gbx_script *script);

/* Begin a call, or fail the test. */
struct gbx_call *story_call(struct story *s, struct gbx_script *script);

/* An input in plain or typed JSON, or fail the test. */
void story_put(struct story *s, struct gbx_call *call, const char *port,
               const char *json);

/* Run with a deadline of 10 s; returns the code. */
int story_run(struct story *s, struct gbx_call *call);

/* The outputs so far as one JSON text, {"port":typed,...} in order; static. */
const char *story_outputs(struct gbx_call *call);

/* All at once: input "in" (JSON or NULL), run, outputs.  The call is finished;
 * the answer is static.  Fails the test unless the script answers well. */
const char *story_ask(struct story *s, struct gbx_script *script,
                      const char *json);

/* The same for a script of this text, opened and closed. */
const char *story_ask_once(struct story *s, const char *text, const char *json);

/* Run a script without inputs and expect this code. */
void story_expect(struct story *s, const char *text, int code);

/*
 * A script that evaluates its input, a piece of Python: what one call has left
 * in v, another can ask for.  c is the context.
 */
#define STORY_EVALUATOR                                                        \
    "import os, random, threading, time\n"                                     \
    "v = []\n"                                                                 \
    "def process(c):\n"                                                        \
    "    answer = eval(c.get_input('in'), globals(), {'c': c})\n"              \
    "    return {'v': answer}\n"

/* One call of it for a key.  The answer, static; or NULL, and *code. */
const char *story_evaluate(struct story *s, struct gbx_script *script,
                           const char *key, const char *text, int *code);

/*
 * A script that reads all memory that it has, and looks for what its edge did
 * not send: runs of 32 bytes 0xc5.  How many there are.
 */
#define STORY_SEARCHER                                                         \
    "import ctypes, re, struct\n"                                              \
    "BASE, STEP = 0x200000000000, 1 << 20\n"                                   \
    "RUN = re.compile(b'[\\xc5]{32}')\n"                                       \
    "def spans():\n"                                                           \
    "    at = BASE\n"                                                          \
    "    for half in range(2):\n"                                              \
    "        head = ctypes.string_at(at, 448)\n"                               \
    "        size, = struct.unpack_from('<Q', head, 24)\n"                     \
    "        arena, = struct.unpack_from('<Q', head, 320)\n"                   \
    "        yield at, at + (2 << 20) + arena\n"                               \
    "        at += size\n"                                                     \
    "    try: maps = open('/proc/self/maps').read()\n"                         \
    "    except OSError: return\n"                                             \
    "    for line in maps.splitlines():\n"                                     \
    "        start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"  \
    "        if line.split()[1][0] == 'r' and not (BASE <= start < at):\n"     \
    "            yield start, end\n"                                           \
    "def process(c):\n"                                                        \
    "    v, found, read = c.get_input('in'), 0, 0\n"                           \
    "    for start, end in spans():\n"                                         \
    "        for at in range(start, end, STEP):\n"                             \
    "            part = ctypes.string_at(at, min(STEP, end - at))\n"           \
    "            read += len(part)\n"                                          \
    "            if part.count(b'\\xc5') >= 32:\n"                             \
    "                found += sum(1 for _ in RUN.finditer(part))\n"            \
    "            del part\n"                                                   \
    "    return {'v': found if read > 4 << 20 else 'it read nothing'}\n"

/* What an answer at port v is, as story_outputs has it. */
#define V_TEXT(t)    "{\"v\":{\"type\":\"String\",\"data\":\"" t "\"}}"
#define V_NUMBER(n)  "{\"v\":{\"type\":\"Integer\",\"data\":" #n "}}"
#define V_BOOLEAN(b) "{\"v\":{\"type\":\"Boolean\",\"data\":" #b "}}"

uint64_t story_deadline(double seconds);

/* Is it this isolation that the tests are run with? */
bool story_is(const char *isolation);

/* NULL, or why this isolation cannot be had here. */
const char *story_lacks(void);

/* At a test's beginning: what it says holds on this host alone. */
#define STORY_NOT_REMOTE(why)                                                  \
    do {                                                                       \
        if (story_is("remote")) {                                              \
            print_message("not on another host: %s\n", why);                   \
            skip();                                                            \
        }                                                                      \
    } while (0)

/* Run them all, or skip them all with the reason. */
#define story_main(name, tests)                                                \
    (story_lacks() == NULL                                                     \
         ? cmocka_run_group_tests_name(name, tests, NULL, NULL)                \
         : (print_message("%s\n", story_lacks()), 77))

#define story_test(name)                                                       \
    cmocka_unit_test_setup_teardown(name, story_begin, story_end)

#endif
