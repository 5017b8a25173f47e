/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex_pingpong.c - two processes, one word.
 *
 *   parent: ball = PEER, wake;  sleep while ball is PEER
 *   child:  sleep while ball is SELF;  ball = SELF, wake
 *
 * With spin nobody sleeps and nobody wakes: each looks at the word until it
 * changes.
 */
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "futex_pingpong.h"

enum { SELF, PEER, OVER };

static void throw(atomic_uint * ball, unsigned to, bool spin)
{
    atomic_store(ball, to);
    if (!spin)
        syscall(SYS_futex, ball, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_change(atomic_uint *ball, unsigned from, bool spin)
{
    while (atomic_load(ball) == from) {
        if (!spin)
            syscall(SYS_futex, ball, FUTEX_WAIT, from, NULL, NULL, 0);
#if defined(__x86_64__)
        else
            __builtin_ia32_pause();
#endif
    }
}

static void play_peer(atomic_uint *ball, bool spin)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        await_change(ball, SELF, spin);
        if (atomic_load(ball) == OVER)
            _exit(0);
        throw(ball, SELF, spin);
    }
}

bool futex_pingpong(struct samples *samples, enum place place, bool spin,
                    size_t count)
{
    const size_t warm_up = count / 10 + 10;
    atomic_uint *ball;
    pid_t peer;

    ball = mmap(NULL, sizeof(*ball), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ball == MAP_FAILED)
        return false;
    place_peer(place);
    peer = fork();
    if (peer == 0)
        play_peer(ball, spin);
    place_self(place);
    for (size_t i = 0; peer > 0 && i < warm_up + count; i++) {
        uint64_t from_ns = measure_now_ns();

        throw(ball, PEER, spin);
        await_change(ball, PEER, spin);
        if (i >= warm_up)
            samples_add(samples, measure_now_ns() - from_ns);
    }
    if (peer > 0) {
        throw(ball, OVER, false);
        waitpid(peer, NULL, 0);
    }
    place_self(PLACE_FREE);
    munmap(ball, sizeof(*ball));
    return peer > 0;
}
