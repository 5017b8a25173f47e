/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/platform/x86.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "glovebox/runtime.h"
#include "runtime/cache/cache.h"
#include "runtime/cache/files.h"

#define LEAVES 16u /* more than the C library knows */

static void say(const struct cache *cache, const char *what)
{
    if (cache->note != NULL)
        cache->note(cache->note_context, what);
}

void cache_open(struct cache *cache, const char *dir)
{
    char text[GBX_ERROR_TEXT_MAX + 64];
    struct gbx_error err;

    cache->dir_fd = -1;
    if (dir == NULL)
        return;
    cache->dir_fd = files_open(dir, true, &err);
    if (cache->dir_fd < 0) {
        snprintf(text, sizeof(text), "no template cache: %s", err.what);
        say(cache, text);
    }
}

void cache_close(struct cache *cache)
{
    close_fd(&cache->dir_fd);
}

/* The build of this library: its functions have the places that a template
 * knows them by (heap/move.c). */
struct build {
    uintptr_t here;
    struct bytes_out *key;
    bool is_known;
};

static void put_notes(struct build *build, const uint8_t *at, size_t bytes)
{
    while (bytes > sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)at;
        size_t name = (note->n_namesz + 3) & ~3u;
        size_t all = sizeof(*note) + name + ((note->n_descsz + 3) & ~3u);

        if (all > bytes)
            return;
        if (note->n_type == NT_GNU_BUILD_ID) {
            bytes_put_block(build->key, at + sizeof(*note) + name,
                            note->n_descsz);
            build->is_known = true;
        }
        at += all;
        bytes -= all;
    }
}

static bool has(const struct dl_phdr_info *object, uintptr_t address)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];

        if (part->p_type == PT_LOAD &&
            address - (object->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

static void put_file(struct bytes_out *key, const char *path)
{
    struct stat st = {0};
    uint64_t facts[5];

    stat(path, &st);
    facts[0] = st.st_dev;
    facts[1] = st.st_ino;
    facts[2] = (uint64_t)st.st_size;
    facts[3] = (uint64_t)st.st_mtim.tv_sec;
    facts[4] = (uint64_t)st.st_mtim.tv_nsec;
    bytes_put_text(key, path);
    bytes_put(key, facts, sizeof(facts));
}

/* Not every linker gives a build its ID: then it is the file. */
static int put_build(struct dl_phdr_info *object, size_t bytes, void *context)
{
    struct build *build = context;

    (void)bytes;
    if (!has(object, build->here))
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];

        if (part->p_type == PT_NOTE)
            put_notes(build,
                      (const uint8_t *)(object->dlpi_addr + part->p_vaddr),
                      part->p_memsz);
    }
    if (!build->is_known)
        put_file(build->key, object->dlpi_name[0] != '\0' ? object->dlpi_name
                                                          : "/proc/self/exe");
    return 1;
}

/* What programs may have chosen their code by. */
static void put_processor(struct bytes_out *key)
{
    for (unsigned leaf = 0; leaf < LEAVES; leaf++) {
        const struct cpuid_feature *feature =
            __x86_get_cpuid_feature_leaf(leaf);

        bytes_put(key, feature->active_array, sizeof(feature->active_array));
    }
}

static void put_list(struct bytes_out *key, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++)
        bytes_put_text(key, list[i]);
    bytes_put_text(key, NULL);
}

static void put_ids(struct bytes_out *key, struct guest_ids ids)
{
    bytes_put_number(key, ids.uid);
    bytes_put_number(key, ids.gid);
}

void cache_key(struct bytes_out *key, const struct sandbox_config *config)
{
    const struct bundle *what = &config->bundle;
    struct build build = {(uintptr_t)cache_key, key, false};
    uint32_t ids[2] = {geteuid(), getegid()};
    struct utsname host;

    bytes_put_text(key, GLOVEBOX_VERSION);
    dl_iterate_phdr(put_build, &build);
    put_processor(key);
    if (uname(&host) == 0) {
        bytes_put_text(key, host.release);
        bytes_put_text(key, host.version);
    }
    bytes_put(key, ids, sizeof(ids));
    bytes_put_text(key, config->backend->name);
    put_file(key, what->program);
    bytes_put_text(key, what->root);
    put_ids(key, bundle_ids(what));
    put_list(key, what->argv);
    put_list(key, what->envp);
    bytes_put(key, &what->limits, sizeof(what->limits));
}

struct template *cache_load(const struct cache *cache,
                            const struct sandbox_config *config,
                            const struct bytes_out *key,
                            struct bytes_out *extra)
{
    char name[TEMPLATE_NAME_BYTES], text[GBX_ERROR_TEXT_MAX + 64];
    struct template *template;
    struct gbx_error err;
    int rc;

    *extra = (struct bytes_out){0};
    if (cache->dir_fd < 0 || key->failed)
        return NULL;
    template_name(name, key);
    rc = template_load(&template, extra, config->backend, cache->dir_fd, name,
                       key, cache->how, &err);
    if (rc == 0)
        return template;
    if (rc != GBX_EFILE && rc != GBX_EUNSUPPORTED) {
        snprintf(text, sizeof(text), "a template is made anew: %s", err.what);
        say(cache, text);
    }
    return NULL;
}

void cache_save(const struct cache *cache, const struct template *template,
                const struct bytes_out *key, const struct bytes_out *extra)
{
    char name[TEMPLATE_NAME_BYTES], text[GBX_ERROR_TEXT_MAX + 64];
    struct gbx_error err;
    int rc;

    if (cache->dir_fd < 0 || key->failed || extra->failed)
        return;
    template_name(name, key);
    rc = template_save(template, cache->dir_fd, name, key, extra, &err);
    if (rc < 0 && rc != GBX_EUNSUPPORTED) {
        snprintf(text, sizeof(text), "a template was not kept: %s", err.what);
        say(cache, text);
    }
    if (rc != GBX_EUNSUPPORTED) /* also where the disk is full */
        files_prune(cache->dir_fd, CACHE_BYTES_MAX, NULL, NULL);
}
