/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script puts a secret into each kind of state that there is.  After the wipe
 * all memory of its micro-VM is searched for it: the guest's, the kernel's that
 * serves it, and what both sides share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/runtime.h"
#include "sandbox/microvm/backend/microvm.h"
#include "tests/isolation/box.h"

#define PAGE         4096u
#define SECRET_BYTES 32u /* of text */

static const char planter[] =
    "import ctypes, mmap, os, signal, socket, sys, threading\n"
    "keep = []\n"
    "def plant(s):\n"
    "    b = s.encode()\n"
    "    os.environ['SECRET'] = s\n"
    "    os.mkdir('/tmp/' + s); os.chdir('/tmp/' + s)\n"
    "    os.symlink(s, 'link')\n"
    "    f = open('file', 'wb+'); f.write(b * 3000); f.flush()\n"
    "    m = mmap.mmap(f.fileno(), 0); m[5:5 + len(b)] = b\n"
    "    a = mmap.mmap(-1, 1 << 20); a[70000:70000 + len(b)] = b\n"
    "    fd = os.memfd_create(s[:20]); os.write(fd, b)\n"
    "    r, w = os.pipe(); os.write(w, b)\n"
    "    x, y = socket.socketpair(); x.send(b)\n"
    "    ctypes.CDLL(None).prctl(15, s[:15].encode())\n"
    "    e = threading.Event()\n"
    "    def wait(t=s): u = t + t; e.wait()\n"
    "    t = threading.Thread(target=wait, daemon=True); t.start()\n"
    "    signal.signal(signal.SIGUSR1, lambda *a, s=s: s)\n"
    "    big = bytearray(b) * 100000\n"
    "    sys.modules['secret'] = s\n"
    "    open('/proc/self/environ').read(4)\n"
    "    print(s)\n"
    "    keep.extend([f, m, a, fd, r, w, x, y, e, t, big])\n"
    "def process(c):\n"
    "    s = c.get_input('in')\n"
    "    plant(s)\n"
    "    c.send_output('early', s)\n"
    "    return {'out': s, 'more': (s * 10000).encode()}\n";

static struct gbx_runtime *runtime;
static struct gbx_script *script;
static char secret[SECRET_BYTES + 1];
static char path[] = "/tmp/wipe-test-XXXXXX/plant.py";

static void draw_secret(void)
{
    uint8_t bytes[SECRET_BYTES / 2];

    assert_int_equal(getrandom(bytes, sizeof(bytes), 0), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
}

static int set_up(void **state)
{
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config)};
    struct gbx_script_config how = {.struct_bytes = sizeof(how),
                                    .isolation = GBX_ISOLATION_MICROVM,
                                    .wipe = GBX_WIPE_PER_CALL};
    char *slash = strrchr(path, '/');
    struct gbx_error err;
    FILE *file;

    if (box_possible(state) < 0)
        return -1;
    config.libexec_dir = box_libexec;
    *slash = '\0';
    assert_non_null(mkdtemp(path));
    *slash = '/';
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(planter, file);
    fclose(file);
    if (gbx_runtime_open(&runtime, &config, &err) < 0 ||
        gbx_script_open(&script, runtime, path, &how, &err) < 0)
        fail_msg("%s", err.what);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gbx_script_close(script);
    gbx_runtime_close(runtime);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    return 0;
}

/* Also of what a sanitizer takes for free: what lies there, is there. */
__attribute__((no_sanitize_address)) static void
copy_page(uint64_t to[PAGE / 8], const uint8_t *page)
{
    const volatile uint64_t *words = (const volatile void *)page;

    for (size_t i = 0; i < PAGE / 8; i++)
        to[i] = words[i];
}

/* In what of [at, at + bytes) is there; NULL: nowhere. */
static const uint8_t *search(const uint8_t *at, uint64_t bytes)
{
    for (uint64_t off = 0; off < bytes;) {
        unsigned char in[1024];
        uint64_t part =
            bytes - off < sizeof(in) * PAGE ? bytes - off : sizeof(in) * PAGE;
        const uint8_t *page = at + off;

        assert_int_equal(mincore((void *)(uintptr_t)page, part, in), 0);
        for (uint64_t i = 0; i < part / PAGE; i++) {
            uint64_t copy[PAGE / 8];

            if ((in[i] & 1) == 0)
                continue;
            copy_page(copy, page + i * PAGE);
            if (memmem(copy, PAGE, secret, SECRET_BYTES / 2) != NULL)
                return page + i * PAGE;
        }
        off += part;
    }
    return NULL;
}

static struct microvm *the_vm(void)
{
    assert_false(LIST_EMPTY(&script->pool.all));
    assert_null(LIST_NEXT(LIST_FIRST(&script->pool.all), other));
    return LIST_FIRST(&script->pool.all)->sandbox.self;
}

/* Where it is; NULL: nowhere. */
static const char *look(void)
{
    const struct microvm *vm = the_vm();
    const struct region *region =
        &LIST_FIRST(&script->pool.all)->sandbox.region;
    const uint8_t *heap =
        (const uint8_t *)((uintptr_t)vm->kernel->heap & ~(HEAP_BYTES - 1));

    if (search(vm->frames.host, vm->frames.bytes) != NULL)
        return "the guest's memory";
    if (search(vm->system.host, vm->system.bytes) != NULL)
        return "its page tables";
    if (search(heap, HEAP_BYTES) != NULL)
        return "its kernel";
    if (search(region->base, GBX_ARENA_OFF + region->arena_bytes[0]) != NULL ||
        search(region->base + region->half_bytes,
               GBX_ARENA_OFF + region->arena_bytes[1]) != NULL)
        return "the region";
    return NULL;
}

static struct gbx_call *plant(void)
{
    const struct gbx_message text = {
        .type = GBX_STRING, .body = secret, .body_bytes = SECRET_BYTES};
    struct gbx_call *call;
    struct gbx_error err;

    draw_secret();
    if (gbx_call_begin(&call, script, 0, &err) < 0 ||
        gbx_call_put(call, "in", &text, &err) < 0 ||
        gbx_call_run(call, clock_now_ns() + 10000000000u, &err) < 0)
        fail_msg("%s", err.what);
    return call;
}

static void a_secret_is_nowhere_after_the_wipe(void **state)
{
    (void)state;
    gbx_call_finish(plant()); /* the first one makes way for a clone */
    for (int i = 0; i < 5; i++) {
        struct gbx_call *call = plant();
        const char *where = look();

        assert_non_null(where); /* the search finds what is there */
        gbx_call_finish(call);
        where = look();
        if (where != NULL)
            fail_msg("in %s", where);
    }
}

/* Each place for itself: what is left of a wipe that leaves it out? */
static void the_search_looks_everywhere(void **state)
{
    struct gbx_call *call = plant();
    struct microvm *vm = the_vm();
    const struct region *region =
        &LIST_FIRST(&script->pool.all)->sandbox.region;

    (void)state;
    assert_non_null(search(vm->frames.host, vm->frames.bytes));
    assert_non_null(search(
        (const uint8_t *)((uintptr_t)vm->kernel->heap & ~(HEAP_BYTES - 1)),
        HEAP_BYTES));
    assert_non_null(search(region->base, 2 * GBX_ARENA_OFF));
    assert_non_null(
        search(region->base + region->half_bytes, 2 * GBX_ARENA_OFF));
    gbx_call_finish(call);
    assert_null(look());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_nowhere_after_the_wipe),
        cmocka_unit_test(the_search_looks_everywhere),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
