/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/wasm/module.h"

/* All that are loaded.  Held while one is compiled: others that want the same
 * one wait for it, and a compiler has enough to do with one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct module *modules;

struct file {
    bool is_artefact; /* then it is not read, for the loader maps it */
    uint8_t *bytes;   /* owned */
    size_t count;
};

static int read_file(struct file *file, int fd, const char *path,
                     struct gbx_error *err)
{
    char begin[4];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "%s: not a file", path);
    if (st.st_size == 0)
        return fail(err, GBX_ELOAD, "%s: empty", path);
    file->is_artefact =
        pread(fd, begin, sizeof(begin), 0) == (ssize_t)sizeof(begin) &&
        memcmp(begin, "\177ELF", sizeof(begin)) == 0;
    if (file->is_artefact)
        return 0;
    if (st.st_size > (off_t)MODULE_BYTES_MAX)
        return fail(err, GBX_ELOAD, "%s: larger than %u MiB", path,
                    MODULE_BYTES_MAX >> 20);
    file->count = (size_t)st.st_size;
    /* Read, not mapped: a file that is cut short would end this process. */
    file->bytes = malloc(file->count);
    if (file->bytes == NULL)
        return fail(err, GBX_EHOST, "no memory for %s", path);
    if (pread(fd, file->bytes, file->count, 0) != (ssize_t)file->count)
        return fail(err, GBX_EFILE, "%s: cannot be read", path);
    return 0;
}

/* The loader maps what an ELF file says of itself; behind the end of one that
 * was cut short, that would be the end of this process.  Its section headers
 * come last. */
static bool is_whole(int fd)
{
    Elf64_Ehdr head;
    struct stat st;

    return fstat(fd, &st) == 0 &&
           pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
           memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
           head.e_shoff <= (uint64_t)st.st_size &&
           (uint64_t)head.e_shnum * sizeof(Elf64_Shdr) <=
               (uint64_t)st.st_size - head.e_shoff;
}

/*
 * A descriptor's name, without /proc there is none.  The loader takes a name
 * that it has seen before for what it loaded then, and descriptors have the
 * same numbers again: so each name is spelled in another way, with a number in
 * it as
 * "/." and "/".
 */
static void *load_fd(int fd)
{
    static uint32_t loads; /* the list is locked */
    char name[128] = "/proc/self/fd";
    size_t at = strlen(name);

    loads++;
    for (uint32_t bit = 0; bit < 32; bit++) {
        name[at++] = '/';
        if (loads >> bit & 1)
            name[at++] = '.';
    }
    snprintf(name + at, sizeof(name) - at, "/%d", fd);
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

/* Where files may not be executed (noexec), a copy in memory may. */
static void *load(int fd)
{
    void *handle = load_fd(fd);
    auto_fd int copy = -1;

    if (handle != NULL)
        return handle;
    copy = compile_copy(fd);
    return copy >= 0 ? load_fd(copy) : NULL;
}

static int check(const struct wasm_artefact *artefact, const char *path,
                 struct gbx_error *err)
{
    if (artefact == NULL || artefact->magic != WASM_ARTEFACT_MAGIC)
        return fail(err, GBX_ELOAD, "%s: no artefact of glovebox build", path);
    if (artefact->version != WASM_ARTEFACT_VERSION ||
        artefact->host_bytes != sizeof(struct wasm_context))
        return fail(err, GBX_ELOAD,
                    "%s: made by another version of Glovebox; make it anew: "
                    "glovebox build x.wasm -o %s",
                    path, path);
    /* By what is newest in it: clang 14 does not know the level's name. */
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt"))
        return fail(err, GBX_EUNSUPPORTED,
                    "modules are compiled for processors of x86-64-v2 (SSE4.2, "
                    "popcnt), which this one is not");
    return 0;
}

/* The loader knows a file that it has loaded, and so do we. */
static struct module *find_same(const struct module *as)
{
    struct module *module = modules;

    while (module != NULL && module->artefact != as->artefact)
        module = module->next;
    return module != NULL ? module_share(module) : NULL;
}

/* Make a module of an artefact's file; the list is locked. */
static int open_locked(struct module **made, int fd, const char *path,
                       struct gbx_error *err)
{
    const struct wasm_artefact *(*say)(void);
    struct module *module = calloc(1, sizeof(*module));
    int rc;

    if (module == NULL)
        return fail(err, GBX_EHOST, "no memory for a module");
    module->handle = is_whole(fd) ? load(fd) : NULL;
    if (module->handle == NULL) {
        const char *why =
            is_whole(fd) ? dlerror() : "no ELF file, or one that was cut short";

        free(module);
        return fail(err, GBX_ELOAD, "%s: cannot be loaded: %s", path,
                    why != NULL ? why : "no memory");
    }
    say = (const struct wasm_artefact *(*)(void))dlsym(module->handle,
                                                       WASM_ARTEFACT_SYMBOL);
    module->artefact = say != NULL ? say() : NULL;
    rc = check(module->artefact, path, err);
    if (rc < 0) {
        dlclose(module->handle);
        free(module);
        return rc;
    }
    *made = find_same(module);
    if (*made != NULL) {
        dlclose(module->handle);
        free(module);
        return 0;
    }
    module->artefact->prepare();
    module->image = image_find(fd, module->artefact->global_count);
    atomic_store(&module->references, 1);
    module->next = modules;
    modules = module;
    *made = module;
    return 0;
}

static bool is_of(const struct module *module, const struct file *file)
{
    return module->artefact->module_bytes == file->count &&
           memcmp(module->artefact->module, file->bytes, file->count) == 0;
}

static struct module *find_locked(const struct file *file)
{
    struct module *module = modules;

    while (module != NULL && !is_of(module, file))
        module = module->next;
    return module != NULL ? module_share(module) : NULL;
}

static void unload_locked(struct module *module)
{
    struct module **link = &modules;

    while (*link != module)
        link = &(*link)->next;
    *link = module->next;
    image_put(module->image);
    dlclose(module->handle);
    free(module);
}

/* Of those that nobody uses, the newest stay. */
static void trim_locked(void)
{
    struct module *next;
    uint32_t idle = 0;

    for (struct module *module = modules; module != NULL; module = next) {
        next = module->next;
        if (atomic_load(&module->references) == 0 && ++idle > MODULE_IDLE_MAX)
            unload_locked(module);
    }
}

static void put_locked(struct module *module)
{
    if (atomic_fetch_sub(&module->references, 1) != 1)
        return;
    if (module->is_compiled)
        trim_locked();
    else
        unload_locked(module);
}

/* From the cache, if what is there was made from this very module. */
static int find_kept(struct module **module, const struct file *file,
                     const char *path, const struct compile_how *how)
{
    auto_fd int fd = compile_find(file->bytes, file->count, how);

    if (fd < 0 || open_locked(module, fd, path, NULL) < 0)
        return -1;
    if (is_of(*module, file))
        return 0;
    put_locked(*module);
    return -1;
}

/* One that is loaded, or can be without a compiler; or NULL. */
static struct module *known(const struct file *file, const char *path,
                            const struct compile_how *how)
{
    struct module *module;

    pthread_mutex_lock(&lock);
    module = find_locked(file);
    if (module == NULL && find_kept(&module, file, path, how) < 0)
        module = NULL;
    pthread_mutex_unlock(&lock);
    return module;
}

/* Nobody waits for a compiler but who needs what it makes: two who begin at
 * once have it done twice, and the first one's is used by both. */
static int get_compiled(struct module **module, const struct file *file,
                        const char *path, const struct compile_how *how,
                        struct gbx_error *err)
{
    struct gbx_error why;
    auto_fd int fd = -1;
    int rc = 0;

    *module = known(file, path, how);
    if (*module != NULL)
        return 0;
    fd = compile(path, file->bytes, file->count, how, &why);
    if (fd < 0) {
        errno = 0; /* told already */
        return fail(err, fd, "%s: %s", path, why.what);
    }
    pthread_mutex_lock(&lock);
    *module = find_locked(file);
    if (*module == NULL) {
        rc = open_locked(module, fd, path, err);
        if (rc == 0)
            (*module)->is_compiled = true;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int get(struct module **module, int fd, const char *path,
               const struct compile_how *how, struct gbx_error *err)
{
    struct file file = {0};
    int rc = read_file(&file, fd, path, err);

    if (rc == 0 && !file.is_artefact) {
        rc = get_compiled(module, &file, path, how, err);
    } else if (rc == 0) {
        pthread_mutex_lock(&lock);
        rc = open_locked(module, fd, path, err);
        pthread_mutex_unlock(&lock);
    }
    free(file.bytes);
    return rc;
}

int module_get(struct module **module, const char *path,
               const struct compile_how *how, struct gbx_error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    return get(module, fd, path, how, err);
}

struct module *module_share(struct module *module)
{
    atomic_fetch_add(&module->references, 1);
    return module;
}

void module_put(struct module *module)
{
    if (module == NULL)
        return;
    pthread_mutex_lock(&lock);
    put_locked(module);
    pthread_mutex_unlock(&lock);
}

/* The artefact as a file of its own: whole or not at all. */
static int write_artefact(int from, const char *to, struct gbx_error *err)
{
    char draft[4096];
    auto_fd int fd = -1;

    snprintf(draft, sizeof(draft), "%.4000s.%d", to, getpid());
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 || compile_write(fd, from) < 0 || rename(draft, to) < 0) {
        int sys = errno;

        if (fd >= 0)
            unlink(draft);
        return fail(err, GBX_EFILE, "%s: %s", to, strerrordesc_np(sys));
    }
    return 0;
}

int module_build(const char *path, const char *to,
                 const struct compile_how *how, struct gbx_error *err)
{
    auto_fd int in = open(path, O_RDONLY | O_CLOEXEC), made = -1;
    struct file file = {0};
    struct gbx_error why;
    int rc;

    if (in < 0)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    rc = read_file(&file, in, path, err);
    if (rc == 0 && file.is_artefact)
        rc = write_artefact(in, to, err);
    else if (rc == 0) {
        made = compile(path, file.bytes, file.count, how, &why);
        rc = made < 0 ? fail(err, made, "%s: %s", path, why.what)
                      : write_artefact(made, to, err);
    }
    free(file.bytes);
    return rc;
}

const struct wasm_export *module_find(const struct module *module,
                                      const char *name)
{
    const struct wasm_artefact *artefact = module->artefact;

    for (uint32_t i = 0; i < artefact->export_count; i++)
        if (strcmp(artefact->exports[i].name, name) == 0)
            return &artefact->exports[i];
    return NULL;
}

const char *module_symbol(const struct module *module, const void *address)
{
    const struct wasm_artefact *artefact = module->artefact;
    const struct wasm_symbol *best = NULL;

    for (uint32_t i = 0; i < artefact->symbol_count; i++) {
        const struct wasm_symbol *symbol = &artefact->symbols[i];

        if (symbol->address <= address &&
            (best == NULL || symbol->address > best->address))
            best = symbol;
    }
    return best != NULL ? best->name : "the start of the module";
}
