/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/run/repeat.h"

struct repeating {
    struct gbx_script *script;
    const struct run_options *options;
    atomic_uint next;
    atomic_int code;   /* of the first that failed */
    uint64_t *wall_ns; /* of each call; owned */
};

static void *call_on(void *context)
{
    struct repeating *self = context;
    unsigned i;

    while ((i = atomic_fetch_add(&self->next, 1)) < self->options->repeat &&
           atomic_load(&self->code) == CLI_OK) {
        uint64_t from_ns = cli_now_ns();
        int none = CLI_OK, code = call_once(self->script, self->options, 0);

        self->wall_ns[i] = cli_now_ns() - from_ns;
        if (code != CLI_OK)
            atomic_compare_exchange_strong(&self->code, &none, code);
    }
    return NULL;
}

static int by_length(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;

    return (*one > *other) - (*one < *other);
}

static void print_summary(const struct repeating *self, uint64_t all_ns)
{
    unsigned count = self->options->repeat;
    const char *why = gbx_script_why(self->script);
    struct gbx_pool_stats pool;

    gbx_script_pool_stats(self->script, &pool);
    qsort(self->wall_ns, count, sizeof(*self->wall_ns), by_length);
    fprintf(stderr, "isolation %s\nroute     ",
            gbx_script_isolation(self->script));
    cli_print(stderr, why, strlen(why), true);
    fprintf(stderr,
            "\ncalls     %u in %.1f ms, %.0f a second\n"
            "each      p50 %.1f us, p99 %.1f us, with its wipe\n"
            "sandboxes %llu made, %llu of them copied; wiped %llu times; "
            "%llu broke\n",
            count, (double)all_ns / 1e6, count / ((double)all_ns / 1e9),
            (double)self->wall_ns[count / 2] / 1e3,
            (double)self->wall_ns[count - 1 - count / 100] / 1e3,
            (unsigned long long)pool.built, (unsigned long long)pool.cloned,
            (unsigned long long)pool.wiped, (unsigned long long)pool.broken);
}

int repeat(struct gbx_script *script, const struct run_options *options)
{
    struct repeating self = {.script = script, .options = options};
    uint64_t from_ns = cli_now_ns();
    pthread_t threads[RUN_PARALLEL_MAX];
    unsigned started = 0;

    self.wall_ns = calloc(options->repeat, sizeof(*self.wall_ns));
    if (self.wall_ns == NULL)
        return cli_say("no memory for so many calls", CLI_HOST);
    while (started + 1 < options->parallel &&
           pthread_create(&threads[started], NULL, call_on, &self) == 0)
        started++;
    call_on(&self);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (options->stats && atomic_load(&self.code) == CLI_OK)
        print_summary(&self, cli_now_ns() - from_ns);
    free(self.wall_ns);
    return atomic_load(&self.code);
}
