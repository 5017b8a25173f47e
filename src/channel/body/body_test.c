/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c is included here with its system calls replaced by ones that fail when
 * told to: every step of a body is failed once.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS_WITH ENFILE
#include "base/count_test.h"
#include "base/fault_test.h"

#define memfd_create(...)                                                      \
    (fails("memfd_create") ? -1 : memfd_create(__VA_ARGS__))
#define ftruncate(...) (fails("ftruncate") ? -1 : ftruncate(__VA_ARGS__))
#define fallocate(...) (fails("fallocate") ? -1 : fallocate(__VA_ARGS__))
#define mmap(...)      (fails("mmap") ? MAP_FAILED : mmap(__VA_ARGS__))

#include "channel/body/body.c" /* NOLINT: with the faulty calls */

#undef memfd_create
#undef ftruncate
#undef fallocate
#undef mmap

#include <cmocka.h>

#define MIB (1u << 20)

static struct gbx_error err;
static int files_before;

static int setup(void **state)
{
    (void)state;
    fails_at = 0;
    files_before = count_open_files();
    return 0;
}

/* Without a holder, the store has ended with its last body. */
static int teardown(void **state)
{
    (void)state;
    assert_null(store.base);
    assert_int_equal(count_open_files(), files_before);
    return 0;
}

static struct gbx_body *make(size_t bytes, uint8_t **data)
{
    struct gbx_body *body;
    void *at;

    if (gbx_body_make(&body, bytes, &at, &err) < 0)
        fail_msg("%s", err.what);
    *data = at;
    return body;
}

static void what_is_made_can_be_mapped_again(void **state)
{
    const size_t bytes = 3 * GBX_PAGE_BYTES + 5;
    struct gbx_body *body;
    const void *seen;
    uint8_t *data, *again;

    (void)state;
    body = make(bytes, &data);
    assert_int_equal((uintptr_t)data % GBX_PAGE_BYTES, 0);
    assert_int_equal(gbx_body_view(body, &seen), bytes);
    assert_ptr_equal(seen, data);
    assert_false(gbx_body_is_loose(body));
    memset(data - GBX_BODY_HEAD, 'h', GBX_BODY_HEAD);
    memset(data, 'b', bytes);
    again =
        mmap(NULL, bytes, PROT_READ, MAP_SHARED, body->fd, (off_t)body->off);
    assert_ptr_not_equal(again, MAP_FAILED);
    assert_memory_equal(again, data, bytes);
    munmap(again, bytes);
    gbx_body_put(body);
}

static void it_is_there_until_the_last_holder_puts_it(void **state)
{
    struct gbx_body *body, *other;
    uint8_t *data, *others;

    (void)state;
    body = make(MIB, &data);
    assert_ptr_equal(gbx_body_get(body), body);
    data[0] = 7;
    gbx_body_put(body);
    other = make(MIB, &others);
    assert_true(others >= data + MIB || data >= others + MIB);
    assert_int_equal(data[0], 7);
    gbx_body_put(body);
    gbx_body_put(other);
    gbx_body_put(NULL);
}

static void a_part_is_found_and_nothing_beyond(void **state)
{
    struct gbx_body *body;
    uint8_t *data;
    uint64_t at;

    (void)state;
    body = make(100, &data);
    assert_true(body_find(body, data + 10, 90, &at));
    assert_int_equal(at, 10);
    assert_true(body_find(body, data + 100, 0, &at));
    assert_false(body_find(body, data + 10, 91, &at));
    assert_false(body_find(body, data + 101, 0, &at));
    assert_false(body_find(body, data - 1, 1, &at));
    assert_false(body_find(body, data, SIZE_MAX, &at));
    gbx_body_put(body);
}

static void memory_that_is_held_is_used_again(void **state)
{
    struct gbx_body *body;
    uint8_t *first, *second;
    struct stat about;

    (void)state;
    body_store_hold();
    gbx_body_put(make(MIB, &first));
    gbx_body_put(make(MIB, &second));
    assert_ptr_equal(first, second);
    /* Much of it goes back to the host. */
    body = make(2 * IDLE_BYTES, &first);
    memset(first, 1, 2 * IDLE_BYTES);
    assert_int_equal(fstat(store.fd, &about), 0);
    assert_true(about.st_blocks * 512 >= 2ll * IDLE_BYTES);
    gbx_body_put(body);
    assert_int_equal(fstat(store.fd, &about), 0);
    assert_true(about.st_blocks * 512 <= (long long)IDLE_BYTES);
    body_store_release();
}

static void there_is_a_greatest_one_and_a_greatest_number(void **state)
{
    static struct gbx_body *all[GBX_ARENA_BLOCKS];
    struct gbx_body *one;
    void *data;
    uint8_t *at;

    (void)state;
    assert_int_equal(
        gbx_body_make(&one, GBX_BODY_BYTES_MAX + 1ull, &data, &err),
        GBX_ELIMIT);
    assert_null(one);
    assert_null(data);
    for (size_t i = 0; i < GBX_ARENA_BLOCKS; i++)
        all[i] = make(1, &at);
    assert_int_equal(gbx_body_make(&one, 1, &data, &err), GBX_ELIMIT);
    assert_non_null(strstr(err.what, "bodies"));
    gbx_body_put(all[3]);
    all[3] = make(1, &at);
    for (size_t i = 0; i < GBX_ARENA_BLOCKS; i++)
        gbx_body_put(all[i]);
}

static void each_step_fails_once(void **state)
{
    struct gbx_body *body;
    void *data;
    int n;

    (void)state;
    for (n = 1; n < 10; n++) {
        int rc;

        begin_failing(n);
        rc = gbx_body_make(&body, MIB, &data, &err);
        fails_at = 0;
        if (failed == NULL)
            break;
        assert_int_equal(rc, GBX_EHOST);
        assert_null(body);
        assert_null(data);
        /* And the next one is made. */
        gbx_body_put(make(MIB, (uint8_t **)&data));
        assert_int_equal(count_open_files(), files_before);
    }
    assert_int_equal(n, 4);
    gbx_body_put(body);

    /* Memory that cannot be given back is kept for the next. */
    body_store_hold();
    body = make(2 * IDLE_BYTES, (uint8_t **)&data);
    begin_failing(1);
    gbx_body_put(body);
    fails_at = 0;
    assert_string_equal(failed, "fallocate");
    body = make(IDLE_BYTES, (uint8_t **)&data);
    gbx_body_put(body);
    body_store_release();
}

/* What the child exits with. */
static int in_child(int (*fn)(void *), void *context)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(context));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int make_small_files(void *context)
{
    const struct rlimit limit = {.rlim_cur = MIB, .rlim_max = MIB};
    struct gbx_body *body;
    void *data;

    (void)context;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
        gbx_body_make(&body, 4 * MIB, &data, &err) != GBX_ELIMIT)
        return 1;
    return strstr(err.what, "RLIMIT_FSIZE") == NULL ? 2 : 0;
}

static void a_limit_of_files_is_named(void **state)
{
    (void)state;
    assert_int_equal(in_child(make_small_files, NULL), 0);
}

static int make_own(void *context)
{
    struct gbx_body *body;
    void *data;

    (void)context;
    if (gbx_body_make(&body, MIB, &data, &err) < 0)
        return 1;
    memset(data, 0xee, MIB);
    gbx_body_put(body);
    return store.base == NULL ? 0 : 2;
}

static int read_parents(void *context)
{
    return *(const volatile uint8_t *)context;
}

static void a_child_has_bodies_of_its_own(void **state)
{
    struct gbx_body *body;
    uint8_t *data;

    (void)state;
    body = make(MIB, &data);
    memset(data, 5, MIB);
    assert_int_equal(in_child(make_own, NULL), 0);
    for (size_t i = 0; i < MIB; i++)
        assert_int_equal(data[i], 5);
    signal(SIGSEGV, SIG_DFL);
    assert_int_not_equal(in_child(read_parents, data), 5);
    gbx_body_put(body);
}

/* Returns NULL; or its context: it had none, or one that another had. */
static void *make_and_look(void *context)
{
    const uint8_t mark = (uint8_t)(uintptr_t)context;

    for (unsigned turn = 0; turn < 500; turn++) {
        const size_t bytes = 1 + turn * 997 % 100000;
        struct gbx_body *body;
        uint8_t *data = NULL;
        void *at;

        if (gbx_body_make(&body, bytes, &at, NULL) < 0)
            return context;
        data = at;
        memset(data, mark, bytes);
        gbx_body_get(body);
        gbx_body_put(body);
        for (size_t i = 0; i < bytes; i += 61)
            if (data[i] != mark)
                return context;
        gbx_body_put(body);
    }
    return NULL;
}

static void threads_have_their_own(void **state)
{
    pthread_t all[4];

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&all[i], NULL, make_and_look, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++) {
        void *whose;

        pthread_join(all[i], &whose);
        assert_null(whose);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_made_can_be_mapped_again),
        TEST(it_is_there_until_the_last_holder_puts_it),
        TEST(a_part_is_found_and_nothing_beyond),
        TEST(memory_that_is_held_is_used_again),
        TEST(there_is_a_greatest_one_and_a_greatest_number),
        TEST(each_step_fails_once),
        TEST(a_limit_of_files_is_named),
        TEST(a_child_has_bodies_of_its_own),
        TEST(threads_have_their_own),
    };

    return cmocka_run_group_tests_name("bodies", tests, NULL, NULL);
}
