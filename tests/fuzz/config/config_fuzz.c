/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_fuzz.c - any text as a configuration, applied to any path.
 *
 *   input: a path, ends with a newline | the text
 *
 * What is accepted must be shown as text that reads as the same; what is not,
 * is told with a line that the text has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stays(const struct gbx_config *config)
{
    struct gbx_config *again;
    struct gbx_error err;
    char *text, *second;

    must(gbx_config_show(config, NULL, &text, &err) == 0);
    must(gbx_config_read(&again, "again", text, strlen(text), &err) == 0);
    must(gbx_config_show(again, NULL, &second, &err) == 0);
    must(strcmp(text, second) == 0);
    gbx_config_close(again);
    free(second);
    free(text);
}

static void applies(const struct gbx_config *config, const char *path)
{
    struct gbx_script_config script = {0}, again;
    struct gbx_error err;

    must(gbx_config_apply(config, path, &script, &err) == 0);
    again = script;
    must(gbx_config_apply(config, path, &again, &err) == 0);
    must(again.limits.memory_bytes == script.limits.memory_bytes);
    must((unsigned)script.route.trust <= GBX_TRUST_TRUSTED);
    must((unsigned)script.route.floor <= GBX_ISOLATION_WASM);
    must((unsigned)script.wipe <= GBX_WIPE_PER_TENANT);
    for (unsigned i = 0; i < GBX_ISOLATIONS; i++)
        must((unsigned)script.route.allowed[i] <= GBX_ISOLATION_REMOTE);
    must(script.limits.memory_bytes == 0 ||
         script.limits.memory_bytes >= 16 << 20);
}

static void check_line(const char *what, const uint8_t *text, size_t size)
{
    unsigned line, lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    must(sscanf(what, "f, line %u", &line) == 1);
    must(line >= 1 && line <= lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    const size_t head = end != NULL ? (size_t)(end - data) : 0;
    const size_t skip = end != NULL ? head + 1 : 0;
    struct gbx_config *config;
    struct gbx_error err = {0};
    char path[256] = "/";
    int rc;

    if (head > 0 && head < sizeof(path) && memchr(data, 0, head) == NULL) {
        memcpy(path, data, head);
        path[head] = '\0';
    }
    rc = gbx_config_read(&config, "f", (const char *)data + skip, size - skip,
                         &err);
    if (rc < 0) {
        must(rc == GBX_EFORMAT || rc == GBX_ELIMIT);
        if (rc == GBX_EFORMAT)
            check_line(err.what, data + skip, size - skip);
        return 0;
    }
    stays(config);
    applies(config, path);
    gbx_config_close(config);
    return 0;
}
