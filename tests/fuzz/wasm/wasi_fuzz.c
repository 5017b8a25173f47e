/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_fuzz.c - a module that calls WASI as the fuzzer likes.
 *
 *   input: steps of  function (1 byte) | what is written to memory first, and
 *          the arguments, of a few bytes each
 *
 * Arguments are drawn from what functions may like: descriptors, places in
 * memory and at its end, paths, rights, and any number.  What must hold:
 *  - nothing outside is read, nothing of the host is changed;
 *  - nothing beyond the memory is touched (no page is there);
 *  - a function says an errno that there is, and ends the run with no code but
 *    its own; and when all is closed no descriptor is left.
 */
#define MEMORY_BYTES (128u << 10)

#include "sandbox/wasm/wasi/wasi_test.h"

#define SECRET "the secret"
#define STEPS  200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static int pipes[2][2];
static int stdio[3];
static struct stat before[5];
static const char *const watched[] = {"secret", "root", "root/hello",
                                      "root/sub", "script/main.wasm"};
static bool is_set_up;

static uint8_t next(void)
{
    return at < end ? *at++ : 0;
}

static uint64_t next_number(unsigned bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | next();
    return number;
}

/* ---- the host ---- */

/* What would wait is the end: nothing happens by itself here. */
static int do_not_wait(void *context, struct pollfd *fds, unsigned count,
                       uint64_t until_ns)
{
    int rc = poll(fds, count, 0);

    (void)context;
    must(count <= 3 && fds != NULL && rc >= 0);
    if (rc == 0 && (until_ns == 0 || until_ns > clock_now_ns()))
        return GBX_ETIME;
    return rc;
}

static int hear(void *context, int stream, const void *text, size_t bytes)
{
    const char *read = text;

    (void)context;
    must(stream == 1 || stream == 2);
    return bytes > 0 && read[0] + read[bytes - 1] == 7 ? GBX_EOUTPUT : 0;
}

static void clean_up(void)
{
    nftw(t.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up_once(void)
{
    make_memory();
    make_host();
    make_config();
    atexit(clean_up);
    for (unsigned i = 0; i < 2; i++)
        must(pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK) == 0);
    stdio[0] = pipes[0][0];
    stdio[1] = pipes[1][1];
    stdio[2] = -1;
    t.config.output = hear;
    t.config.wait = do_not_wait;
    t.config.disk_bytes = 40 * PAGE;
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        must(stat(host(watched[i]), &before[i]) == 0);
    is_set_up = true;
}

static void check_host(void)
{
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        must(stat(host(watched[i]), &st) == 0);
        must(st.st_mode == before[i].st_mode);
        must(st.st_size == before[i].st_size);
        must(memcmp(&st.st_ctim, &before[i].st_ctim, sizeof(st.st_ctim)) == 0);
    }
}

/* ---- what the fuzzer chooses ---- */

static uint64_t a_path(void)
{
    static const char *const names[] = {
        "hello", "sub",    "a",   "in",   "out",  "up",  "abs",
        "work",  "tmp",    "..",  ".",    "x",    "y",   "/",
        "",      "secret", "dev", "zero", "null", "root"};
    uint32_t where = NAME + (next() % 2u) * 512u, bytes = 0;
    unsigned parts = next() % 4u;

    for (unsigned i = 0; i <= parts; i++) {
        if (i > 0)
            bytes += put_text(where + bytes, "/");
        bytes += put_text(where + bytes, names[next() % ARRAY_SIZE(names)]);
    }
    t.bytes[where + bytes] = 0;
    return where;
}

/* Its length: of what lies there, mostly. */
static uint64_t length_of(uint64_t where)
{
    uint8_t choice = next();

    if (choice < 200 && where < MEMORY_BYTES - 600)
        return strnlen((const char *)t.bytes + where, 512);
    return choice < 250 ? choice : next_number(4);
}

static uint64_t a_place(void)
{
    static const uint64_t places[] = {RESULT, VECTOR, NAME, OTHER, DATA, 0};
    uint8_t choice = next();

    if (choice < 200)
        return places[choice % ARRAY_SIZE(places)];
    return choice < 240 ? MEMORY_BYTES - choice % 64u : next_number(4);
}

static uint64_t a_small(void)
{
    uint8_t choice = next();

    return choice < 240 ? choice % 40u : next_number(4);
}

static uint64_t a_long(void)
{
    static const uint64_t longs[] = {0,          1,         PAGE,
                                     1ull << 40, INT64_MAX, UINT64_MAX,
                                     READ,       WRITE,     READ | WRITE};
    uint8_t choice = next();

    if (choice < 200)
        return longs[choice % ARRAY_SIZE(longs)] + choice / 100u;
    return next_number(8);
}

/* Vectors, subscriptions, or anything. */
static void fill_memory(void)
{
    uint8_t choice = next();

    if (choice % 4 == 0) {
        for (uint32_t i = 0; i < 4; i++) {
            put_u32(VECTOR + 8 * i, (uint32_t)a_place());
            put_u32(VECTOR + 8 * i + 4, (uint32_t)next_number(choice % 3u));
        }
    } else if (choice % 4 == 1) {
        for (uint32_t i = 0; i < 4; i++) {
            memset(t.bytes + OTHER + 48 * i, 0, 48);
            t.bytes[OTHER + 48 * i + 8] = next() % 4u;
            put_u32(OTHER + 48 * i + 16, (uint32_t)a_small());
            put_u64(OTHER + 48 * i + 24, a_long());
            t.bytes[OTHER + 48 * i + 40] = next() % 3u;
        }
    }
}

/* The first i32 is a descriptor, mostly; a path comes with its length. */
static void choose(const char *parameters, bool has_path, uint64_t *arguments)
{
    uint64_t path = 0;

    for (size_t i = 0; parameters[i] != '\0'; i++) {
        if (parameters[i] == 'I')
            arguments[i] = a_long();
        else if (path != 0)
            arguments[i] = length_of(path), path = 0;
        else if (has_path && i > 0 && next() % 2 == 0)
            arguments[i] = path = a_path();
        else if (i == 0 || next() % 4 == 0)
            arguments[i] = a_small();
        else
            arguments[i] = a_place();
        if (parameters[i] == 'i')
            arguments[i] |= (uint64_t)next() << 32;
    }
}

static bool shows_secret(void)
{
    return memmem(t.bytes, MEMORY_BYTES, SECRET, strlen(SECRET)) != NULL;
}

static bool act(void)
{
    static const char *const names[] = {
#define FUNCTION(name, parameters) #name,
#include "sandbox/wasm/wasi/functions.def"
#undef FUNCTION
    };
    const char *name = names[next() % ARRAY_SIZE(names)];
    const struct wasi_function *function = wasi_find(name);
    uint64_t arguments[ARGUMENTS_MAX] = {0};
    uint32_t rc;
    int code;

    fill_memory();
    choose(function->parameters, strncmp(name, "path_", 5) == 0, arguments);
    rc = function->call(t.wasi, &t.memory, arguments);
    code = wasi_ended(t.wasi);
    must(rc <= NOTCAPABLE);
    must(code == 0 || code == GBX_EEXIT || code == GBX_ESIGNAL ||
         code == GBX_ETIME || code == GBX_EOUTPUT);
    wasi_is_plain(t.wasi);
    return code == 0;
}

static void drain(void)
{
    static char bytes[65536];

    while (read(pipes[0][0], bytes, sizeof(bytes)) > 0)
        ;
    while (read(pipes[1][0], bytes, sizeof(bytes)) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds;

    if (!is_set_up)
        set_up_once();
    at = data;
    end = data + size;
    drain();
    memset(t.bytes, 0, MEMORY_BYTES);
    t.config.stdio = next() % 2 == 0 ? stdio : NULL;
    t.config.working_dir = next() % 2 == 0 ? "/work" : NULL;
    must(write(pipes[0][1], "input", 5) == 5);
    fds = count_open_files();
    open_wasi();
    for (int i = 0; i < STEPS && at < end && act(); i++)
        must(!shows_secret());
    must(!shows_secret());
    wasi_close(t.wasi);
    must(count_open_files() == fds);
    check_host();
    return 0;
}
