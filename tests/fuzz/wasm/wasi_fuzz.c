/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that calls its system with any memory and any arguments: nothing is
 * read or written but its memory, which ends where a page does that faults.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "sandbox/wasm/wasi/wasi.h"

#define MEMORY_BYTES 4096u
#define CALLS_MAX    64
#define ARGUMENTS    9

static const char *const names[] = {
#define FUNCTION(name, parameters) #name,
#include "sandbox/wasm/wasi/functions.def"
#undef FUNCTION
};

/* Nobody waits for a fuzzer. */
static int wait_not(void *context, struct pollfd *fds, unsigned count,
                    uint64_t until_ns)
{
    (void)context;
    must(count <= 3);
    for (unsigned i = 0; i < count; i++)
        fds[i].revents = fds[i].events;
    return count > 0 ? (int)count : until_ns == 1 ? 0 : GBX_ETIME;
}

static int print(void *context, int stream, const void *text, size_t bytes)
{
    const char *at = text;

    (void)context;
    must(stream == 1 || stream == 2);
    return bytes > 0 && at[0] + at[bytes - 1] == 7 ? GBX_EOUTPUT : 0;
}

static uint8_t *memory(void)
{
    static uint8_t *at;

    if (at == NULL) {
        at = mmap(NULL, 2 * MEMORY_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(at != MAP_FAILED &&
             mprotect(at + MEMORY_BYTES, MEMORY_BYTES, PROT_NONE) == 0);
    }
    memset(at, 0, MEMORY_BYTES);
    return at;
}

/* A call's arguments: small numbers mostly, or they would only be refused. */
static void fill(uint64_t arguments[ARGUMENTS], const uint8_t *data)
{
    for (int i = 0; i < ARGUMENTS; i++) {
        uint16_t raw;

        memcpy(&raw, data + 2 * (size_t)i, 2);
        arguments[i] = raw < 0xf000 ? raw % 4500 : ~(uint64_t)(raw & 0xfff);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const argv[] = {"fuzz", "", NULL};
    const struct wasi_config config = {.argv = argv,
                                       .envp = argv,
                                       .output = print,
                                       .root = "/usr/share",
                                       .working_dir = "/",
                                       .disk_bytes = 1 << 16,
                                       .files_max = 20,
                                       .wait = wait_not};
    struct wasi_memory place = {.data = memory(), .bytes = MEMORY_BYTES};
    uint64_t arguments[ARGUMENTS];
    struct wasi *wasi;

    if (bytes < 256)
        return 0;
    memcpy(place.data, data, 256);
    must(wasi_open(&wasi, &config, NULL) == 0);
    data += 256, bytes -= 256;
    for (int i = 0;
         i < CALLS_MAX && bytes > 2 * ARGUMENTS && wasi_ended(wasi) == 0; i++) {
        const char *name = names[data[0] % ARRAY_SIZE(names)];

        fill(arguments, data + 1);
        wasi_find(name)->call(wasi, &place, arguments);
        data += 1 + 2 * ARGUMENTS, bytes -= 1 + 2 * ARGUMENTS;
    }
    (void)wasi_is_plain(wasi);
    wasi_close(wasi);
    return 0;
}
