/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imports.c - what the engine imports: a small libc's needs, and the calls that
 * leave JavaScript.
 *
 * The package's names are single letters; what each is, is read off the
 * package's own JavaScript.  The prototypes come from wasm2c, so an engine that
 * was put together in another way does not compile, most likely.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

/* WASI's numbers (preview 1). */
#define WASI_BADF  8u
#define WASI_INVAL 28u
#define WASI_SPIPE 70u

/* One of them, by the package's letter. */
#ifdef __wasm__
#define GIVEN(result, letter, ...)                                             \
    __attribute__((export_name(#letter))) result given_##letter(__VA_ARGS__)
#else
struct Z_a_instance_t; /* the engine, as wasm2c calls it */
#define GIVEN(result, letter, ...)                                             \
    result Z_aZ_##letter(__attribute__((unused)) struct Z_a_instance_t *a,     \
                         ##__VA_ARGS__)
#endif

static void put_u32(uint32_t address, uint32_t value)
{
    memcpy(engine_at(address), &value, sizeof(value));
}

static uint32_t get_u32(uint32_t address)
{
    uint32_t value;

    memcpy(&value, engine_at(address), sizeof(value));
    return value;
}

#ifndef __wasm__
wasm_rt_memory_t *Z_aZ_a(struct Z_a_instance_t *a)
{
    (void)a;
    return &engine.memory;
}
#endif

static void give_up(const char *what)
{
    fprintf(stderr, "glovebox-js: the engine gave up: %s\n", what);
    _exit(70);
}

/* ___assert_fail */
GIVEN(void, b, u32 condition, u32 file, u32 line, u32 function)
{
    (void)file;
    (void)line;
    (void)function;
    give_up(engine_at(condition));
}

/* __abort_js */
GIVEN(void, r)
{
    give_up("abort");
}

/* proc_exit */
GIVEN(void, s, u32 code)
{
    _exit((int)code);
}

/* fd_write: only its complaints come this way. */
GIVEN(u32, c, u32 fd, u32 vectors, u32 count, u32 written)
{
    uint32_t total = 0;

    if (fd != 1 && fd != 2)
        return WASI_BADF;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = get_u32(vectors + 8 * i);
        uint32_t bytes = get_u32(vectors + 8 * i + 4);

        total += (uint32_t)fwrite(engine_at(at), 1, bytes, stderr);
    }
    put_u32(written, total);
    return 0;
}

/* fd_close, fd_seek */
GIVEN(u32, d, u32 fd)
{
    (void)fd;
    return WASI_BADF;
}

GIVEN(u32, o, u32 fd, u64 offset, u32 whence, u32 to)
{
    (void)fd;
    (void)offset;
    (void)whence;
    (void)to;
    return WASI_SPIPE;
}

/* environ_get, environ_sizes_get: empty */
GIVEN(u32, e, u32 list, u32 texts)
{
    (void)list;
    (void)texts;
    return 0;
}

GIVEN(u32, f, u32 count, u32 bytes)
{
    put_u32(count, 0);
    put_u32(bytes, 0);
    return 0;
}

/* emscripten_resize_heap: half more than asked for, if there is as much. */
GIVEN(u32, k, u32 bytes)
{
    return engine_grow((uint64_t)bytes + bytes / 2) || engine_grow(bytes);
}

/* _emscripten_runtime_keepalive_clear, _setitimer_js: of no use here */
GIVEN(void, l)
{
}

GIVEN(u32, j, u32 which, f64 milliseconds)
{
    (void)which;
    (void)milliseconds;
    return 0;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* clock_time_get */
GIVEN(u32, q, u32 which, u64 precision, u32 to)
{
    uint64_t ns;

    (void)precision;
    if (which > 3)
        return WASI_INVAL;
    ns = read_clock(which == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    memcpy(engine_at(to), &ns, sizeof(ns));
    return 0;
}

/* emscripten_date_now: whole milliseconds */
GIVEN(f64, p)
{
    return (double)(read_clock(CLOCK_REALTIME) / 1000000u);
}

/* __localtime_js */
GIVEN(void, m, u64 seconds, u32 to)
{
    time_t time = (time_t)seconds;
    struct tm tm = {0};

    localtime_r(&time, &tm);
    const int32_t fields[] = {
        tm.tm_sec,  tm.tm_min,  tm.tm_hour, tm.tm_mday,  tm.tm_mon,
        tm.tm_year, tm.tm_wday, tm.tm_yday, tm.tm_isdst, (int32_t)tm.tm_gmtoff};

    memcpy(engine_at(to), fields, sizeof(fields));
}

/* __tzset_js */
GIVEN(void, n, u32 zone, u32 daylight, u32 standard, u32 summer)
{
#ifdef __wasm__ /* WASI knows no time zones */
    static const long timezone = 0;
    static const char *const tzname[] = {"UTC", "UTC"};
#else
    tzset();
#endif
    put_u32(zone, (uint32_t)timezone);
    put_u32(daylight, 0);
    snprintf(engine_at(standard), 17, "%.16s", tzname[0]);
    snprintf(engine_at(summer), 17, "%.16s", tzname[1]);
}

/* qts_host_call_function */
GIVEN(u32, t, u32 context, u32 self, u32 count, u32 arguments, u32 id)
{
    (void)context;
    (void)self;
    return native_call(id, count, arguments);
}

/* qts_host_interrupt_handler */
GIVEN(u32, i, u32 runtime)
{
    (void)runtime;
    return 0;
}

/* qts_host_load_module_source, qts_host_normalize_module */
GIVEN(u32, h, u32 runtime, u32 context, u32 name)
{
    (void)runtime;
    (void)context;
    return native_module(engine_at(name));
}

GIVEN(u32, g, u32 runtime, u32 context, u32 base, u32 name)
{
    (void)runtime;
    (void)context;
    return native_resolve(engine_at(base), engine_at(name));
}

/* qts_host_free_host_ref: functions of the prelude live as long as it */
GIVEN(void, u, u32 runtime, u32 id)
{
    (void)runtime;
    (void)id;
}

#ifndef __wasm__
void engine_trap(wasm_rt_trap_t trap);

/* What the engine must never do: its own memory is no longer what it was. */
void engine_trap(wasm_rt_trap_t trap)
{
    give_up(wasm_rt_strerror(trap));
}
#endif
