/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_soak.c - flow_soak SECONDS ISOLATION: three scripts in a row, at four
 * fifths of what they can, while the one in the middle dies every second.
 *
 * Each message is a number of its own; it must arrive once, and those of which
 * the middle one dies must be letters.  Memory must not grow.  Prints what it
 * saw; fails with 1 where a promise was not kept, 77 where it cannot run.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "glovebox/flow.h"

#define NUMBERS_MAX 50000000
#define GROWTH_MAX  (48u << 20)
#define WARM_NS     2000000000ull

static atomic_uchar *seen; /* how often each number arrived */
static atomic_size_t arrived, letters, wrong;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void take(void *context, const char *port, const struct gbx_message *m)
{
    (void)context;
    (void)port;
    if (m->type != GBX_INTEGER || m->scalar.integer < 0 ||
        m->scalar.integer >= NUMBERS_MAX)
        atomic_fetch_add(&wrong, 1);
    else
        atomic_fetch_add(&seen[m->scalar.integer], 1);
    atomic_fetch_add(&arrived, 1);
}

static void letter(void *context, const struct gbx_letter *l)
{
    (void)context;
    if (strcmp(l->node, "b") == 0 && l->message->scalar.integer == -1 &&
        l->attempts == 2)
        atomic_fetch_add(&letters, 1);
    else {
        atomic_fetch_add(&wrong, 1);
        fprintf(stderr, "letter of %s: %s\n", l->node, l->reason);
    }
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long all = 0, resident = 0;

    if (file != NULL && fscanf(file, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident * 4096;
}

static const char echo[] = "def process(context):\n"
                           "    return {'out': context.get_input('in')}\n";
static const char shaky[] = "import os\n"
                            "def process(context):\n"
                            "    n = context.get_input('in')\n"
                            "    if n < 0: os._exit(1)\n"
                            "    return {'out': n}\n";

static int add(struct gbx_flow *flow, const char *folder, const char *id,
               const char *text, struct gbx_error *err)
{
    char path[128];
    FILE *out;
    int rc;

    snprintf(path, sizeof(path), "%s/%s.py", folder, id);
    out = fopen(path, "we");
    if (out == NULL || fputs(text, out) < 0 || fclose(out) != 0)
        return GBX_EFILE;
    rc = gbx_flow_add_node(flow, id, path,
                           "{\"retries\": 1, \"backoff_ms\": 1}", err);
    unlink(path);
    return rc;
}

static int send(struct gbx_flow *flow, int64_t number)
{
    const struct gbx_message m = {.type = GBX_INTEGER,
                                  .scalar.integer = number};

    return gbx_flow_send(flow, "in", &m, 0, NULL);
}

struct soak {
    uint64_t end_ns;
    int64_t sent;
    size_t deaths, least_bytes, most_bytes;
    double rate; /* what it can, a second */
};

/* As fast as it will go, and what that is. */
static int warm(struct gbx_flow *flow, struct soak *soak)
{
    const uint64_t from_ns = now_ns();
    int rc = 0;

    while (rc == 0 && now_ns() - from_ns < WARM_NS)
        rc = send(flow, soak->sent++);
    if (rc == 0)
        rc = gbx_flow_drain(flow, now_ns() + 60000000000ull);
    soak->rate = (double)soak->sent * 1e9 / (double)(now_ns() - from_ns);
    return rc;
}

static void look(struct soak *soak)
{
    size_t bytes = resident_bytes();

    if (soak->least_bytes == 0)
        soak->least_bytes = bytes;
    if (bytes > soak->most_bytes)
        soak->most_bytes = bytes;
}

static int soak_for(struct gbx_flow *flow, struct soak *soak)
{
    const uint64_t from_ns = now_ns();
    const int64_t first = soak->sent;
    uint64_t death_ns = from_ns;
    int rc = 0;

    while (rc == 0 && now_ns() < soak->end_ns && soak->sent < NUMBERS_MAX) {
        const uint64_t took_ns = now_ns() - from_ns;
        const int64_t due =
            first + (int64_t)(0.8 * soak->rate * (double)took_ns / 1e9);

        for (int i = 0; i < 100 && soak->sent < due && rc == 0; i++)
            rc = send(flow, soak->sent++);
        if (soak->sent >= due)
            usleep(1000);
        if (now_ns() - death_ns < 1000000000u)
            continue;
        death_ns = now_ns();
        rc = send(flow, -1);
        soak->deaths++;
        if (soak->deaths > 2) /* caches and pools are full then */
            look(soak);
    }
    return rc == 0 ? gbx_flow_drain(flow, now_ns() + 60000000000ull) : rc;
}

static int judge(const struct soak *soak)
{
    size_t lost = 0, twice = 0;

    for (int64_t i = 0; i < soak->sent; i++) {
        lost += seen[i] == 0;
        twice += seen[i] > 1;
    }
    printf("%lld messages at %.0f of %.0f a second; %zu lost, %zu twice; %zu "
           "deaths, %zu letters, %zu wrong; memory from %.1f to %.1f MiB\n",
           (long long)soak->sent, 0.8 * soak->rate, soak->rate, lost, twice,
           soak->deaths, atomic_load(&letters), atomic_load(&wrong),
           (double)soak->least_bytes / (1 << 20),
           (double)soak->most_bytes / (1 << 20));
    return lost > 0 || twice > 0 || atomic_load(&letters) != soak->deaths ||
           atomic_load(&wrong) > 0 || soak->deaths == 0 ||
           soak->most_bytes > soak->least_bytes + GROWTH_MAX;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/flow-soak-XXXXXX";
    const bool vm = argc > 2 && strcmp(argv[2], "microvm") == 0;
    const struct gbx_runtime_config rc_config = {.struct_bytes =
                                                     sizeof(rc_config)};
    const struct gbx_script_config script = {
        .struct_bytes = sizeof(script),
        .isolation = vm ? GBX_ISOLATION_MICROVM : GBX_ISOLATION_PROCESS};
    struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                     .script = &script,
                                     .queue = 256,
                                     .output = take,
                                     .letter = letter};
    struct gbx_error err = {.what = "it stands still"};
    struct gbx_runtime *runtime = NULL;
    struct gbx_flow *flow = NULL;
    struct soak soak = {.sent = 0};
    int rc;

    seen = calloc(NUMBERS_MAX, 1);
    if (seen == NULL || mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
        return 1;
    if ((rc = gbx_runtime_open(&runtime, &rc_config, &err)) < 0 ||
        (config.runtime = runtime, rc = gbx_flow_open(&flow, &config, &err)) <
            0 ||
        (rc = add(flow, folder, "a", echo, &err)) < 0 ||
        (rc = add(flow, folder, "b", shaky, &err)) < 0 ||
        (rc = add(flow, folder, "c", echo, &err)) < 0 ||
        (rc = gbx_flow_connect(flow, "a", "out", "b", "in", &err)) < 0 ||
        (rc = gbx_flow_connect(flow, "b", "out", "c", "in", &err)) < 0 ||
        (rc = gbx_flow_add_inport(flow, "in", "a", "in", &err)) < 0 ||
        (rc = gbx_flow_add_outport(flow, "out", "c", "out", &err)) < 0 ||
        (rc = gbx_flow_start(flow, &err)) < 0) {
        printf("skipped: %s\n", err.what);
        rmdir(folder);
        return rc == GBX_EUNSUPPORTED ? 77 : 1;
    }
    rc = warm(flow, &soak);
    soak.end_ns =
        now_ns() + strtoull(argc > 1 ? argv[1] : "5", NULL, 10) * 1000000000ull;
    if (rc == 0)
        rc = soak_for(flow, &soak);
    gbx_flow_close(flow);
    gbx_runtime_close(runtime);
    rmdir(folder);
    rc = rc < 0 ? 1 : judge(&soak);
    free(seen);
    return rc;
}
